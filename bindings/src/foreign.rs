//! Operators whose products C functions compute on the owned entries, without the interpreter.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};
use std::marker::PhantomData;

use dolmen::core::{AdjointOperator, Layout, LinearOperator, Result, Vector};

use crate::callback::without_adjoint;
use crate::typed::Element;

/// `int f(int64_t nx, const T *x, int64_t ny, T *y, void *data)`: computes `y` and returns zero, or else fails.
type Function<T> = unsafe extern "C" fn(i64, *const T, i64, *mut T, *mut c_void) -> c_int;

/// An operator of one function, or of two with its adjoint.
pub(crate) struct ForeignOperator<T> {
    domain: Layout,
    range: Layout,
    forward: usize,
    adjoint: usize,
    data: usize,
    scalar: PhantomData<T>,
}

impl<T: Element> ForeignOperator<T> {
    /// Addresses of functions of the type above; zero for no adjoint. The caller of Python answers for them.
    pub(crate) fn new(
        domain: &Layout,
        range: &Layout,
        forward: usize,
        adjoint: usize,
        data: usize,
    ) -> ForeignOperator<T> {
        let (domain, range) = (domain.clone(), range.clone());
        ForeignOperator { domain, range, forward, adjoint, data, scalar: PhantomData }
    }

    /// # Collective
    fn call(&self, address: usize, x: &Vector<T>, y: &mut Vector<T>) -> Result<()> {
        let length = |entries: &[T]| i64::try_from(entries.len()).expect("invariant: memory has fewer entries");
        let (nx, ny) = (length(x.owned()), length(y.owned()));
        // SAFETY: the caller of `from_address` vouches for the address, the type of the function and its data; the
        // slices are live and as long as the counts.
        let code = unsafe {
            let function = std::mem::transmute::<*const c_void, Function<T>>(address as *const c_void);
            function(nx, x.owned().as_ptr(), ny, y.owned_mut().as_mut_ptr(), self.data as *mut c_void)
        };
        let failed = || format!("the C function of the operator returned {code}");
        x.comm().agree_text(if code == 0 { Ok(()) } else { Err(failed()) })
    }
}

impl<T: Element> LinearOperator<T> for ForeignOperator<T> {
    fn domain(&self) -> &Layout {
        &self.domain
    }

    fn range(&self) -> &Layout {
        &self.range
    }

    fn compute(&self, x: &Vector<T>, y: &mut Vector<T>) -> Result<()> {
        self.call(self.forward, x, y)
    }
}

impl<T: Element> AdjointOperator<T> for ForeignOperator<T> {
    fn compute_adjoint(&self, x: &Vector<T>, y: &mut Vector<T>) -> Result<()> {
        if self.adjoint == 0 {
            return Err(without_adjoint());
        }
        self.call(self.adjoint, x, y)
    }
}
