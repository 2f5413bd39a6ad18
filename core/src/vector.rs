//! `Vector`: the owned entries of a distributed vector, and nothing else.
//!
//! Copies of other ranks' entries (ghosts) never live here, so a norm cannot count one. Operations
//! between vectors compare layouts first: every rank knows all offsets, hence a mismatch is the
//! same error on all ranks without a message.

use std::ops::Range;

use crate::comm::Comm;
use crate::error::{Error, Result};
use crate::index::{Gid, local};
use crate::layout::Layout;
use crate::reduce::{BinnedSum, Reduction, binned_dot, binned_sqr, fast_dot};
use crate::scalar::{Real, Scalar};

/// A distributed vector: each rank holds the entries that its [`Layout`] says it owns.
#[derive(Clone)]
pub struct Vector<T> {
    layout: Layout,
    owned: Box<[T]>,
}

impl<T: Scalar> std::fmt::Debug for Vector<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vector").field("layout", &self.layout).field("owned", &self.owned).finish()
    }
}

impl<T: Scalar> Vector<T> {
    /// A vector of zeros.
    pub fn zeros(layout: &Layout) -> Vector<T> {
        Vector { layout: layout.clone(), owned: vec![T::ZERO; layout.local_len()].into() }
    }

    /// Each entry from its global index.
    pub fn from_fn(layout: &Layout, entry: impl FnMut(Gid) -> T) -> Vector<T> {
        Vector { layout: layout.clone(), owned: layout.range().map(entry).collect() }
    }

    /// From this rank's own entries, in global order.
    ///
    /// # Collective
    ///
    /// # Errors
    /// [`Error::LocalLength`], agreed over the ranks, if a rank gives the wrong number of entries.
    pub fn from_owned(layout: &Layout, owned: Vec<T>) -> Result<Vector<T>> {
        let expected = layout.local_len();
        let fits = if owned.len() == expected {
            Ok(())
        } else {
            Err(Error::LocalLength { what: "Vector::from_owned", expected, found: owned.len() })
        };
        layout.comm().agree(fits)?;
        Ok(Vector { layout: layout.clone(), owned: owned.into() })
    }

    /// How the entries are spread over the ranks.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The communicator of the layout.
    pub fn comm(&self) -> &Comm {
        self.layout.comm()
    }

    /// Number of entries over all ranks.
    pub fn global_len(&self) -> u64 {
        self.layout.global_len()
    }

    /// Global indices of the owned entries.
    pub fn range(&self) -> Range<Gid> {
        self.layout.range()
    }

    /// The owned entries.
    pub fn owned(&self) -> &[T] {
        &self.owned
    }

    /// The owned entries, to change.
    pub fn owned_mut(&mut self) -> &mut [T] {
        &mut self.owned
    }

    /// The entry at a global index, if this rank owns it.
    pub fn get(&self, row: Gid) -> Option<T> {
        self.layout.global_to_owned(row).map(|position| self.owned[position])
    }

    /// Sets every entry.
    pub fn fill(&mut self, value: T) {
        self.owned.fill(value);
    }

    /// `self = x`.
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`].
    pub fn copy_from(&mut self, x: &Vector<T>) -> Result<()> {
        self.layout.require_same(&x.layout, "copy")?;
        self.owned.copy_from_slice(&x.owned);
        Ok(())
    }

    /// `self = alpha self`.
    pub fn scale(&mut self, alpha: T) {
        self.owned.iter_mut().for_each(|y| *y *= alpha);
    }

    /// `self = self + alpha x`.
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`].
    pub fn axpy(&mut self, alpha: T, x: &Vector<T>) -> Result<()> {
        self.combine(x, "axpy", |y, x| y + alpha * x)
    }

    /// `self = alpha x + beta self`.
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`].
    pub fn axpby(&mut self, alpha: T, x: &Vector<T>, beta: T) -> Result<()> {
        self.combine(x, "axpby", |y, x| alpha * x + beta * y)
    }

    /// `self[i] = self[i] x[i]`.
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`].
    pub fn multiply(&mut self, x: &Vector<T>) -> Result<()> {
        self.combine(x, "pointwise product", |y, x| y * x)
    }

    /// `self[i] = f(self[i], x[i])`.
    fn combine(&mut self, x: &Vector<T>, operation: &'static str, f: impl Fn(T, T) -> T) -> Result<()> {
        self.layout.require_same(&x.layout, operation)?;
        crate::simd::dispatch(|| {
            for (y, &x) in self.owned.iter_mut().zip(&x.owned) {
                *y = f(*y, x);
            }
        });
        Ok(())
    }

    /// The inner product `sum conj(self[i]) x[i]`, the same bits on any number of ranks.
    ///
    /// # Collective
    /// One reduction.
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`].
    pub fn dot(&self, x: &Vector<T>) -> Result<T> {
        self.dot_with(x, Reduction::Reproducible)
    }

    /// The inner product with a chosen reduction.
    ///
    /// # Collective
    /// One reduction.
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`].
    pub fn dot_with(&self, x: &Vector<T>, reduction: Reduction) -> Result<T> {
        let [value] = dots([(self, x)], reduction)?;
        Ok(value)
    }

    /// The Euclidean norm, the same bits on any number of ranks.
    ///
    /// # Collective
    /// One reduction.
    pub fn norm2(&self) -> T::Real {
        let mut total = [BinnedSum::default()];
        self.comm().all_reduce_merge(&[binned_sqr(&self.owned)], &mut total);
        T::Real::from_f64(total[0].value().sqrt())
    }

    /// The largest absolute value; NaN if any entry is NaN; zero for an empty vector.
    ///
    /// # Collective
    /// One reduction.
    pub fn norm_inf(&self) -> T::Real {
        let mut largest = [0.0f64; 2];
        for value in &self.owned {
            let size = value.abs().to_f64();
            if size.is_nan() {
                largest[1] = 1.0;
            } else {
                largest[0] = largest[0].max(size);
            }
        }
        self.comm().all_reduce_max(&mut largest);
        T::Real::from_f64(if largest[1] > 0.0 { f64::NAN } else { largest[0] })
    }

    /// All entries on rank `root`, in global order; `None` elsewhere.
    ///
    /// # Collective
    ///
    /// # Panics
    /// If the entries do not fit the memory of one rank.
    pub fn gather(&self, root: usize) -> Option<Vec<T>> {
        let parts = self.comm().gather(root, &self.owned)?;
        let mut all = Vec::with_capacity(local(self.global_len()));
        all.extend(parts.into_iter().flatten());
        Some(all)
    }
}

/// Several inner products `sum conj(a[i]) b[i]` in one reduction.
///
/// # Collective
///
/// # Errors
/// [`Error::LayoutMismatch`] if the vectors do not all share one layout.
pub fn dots<T: Scalar, const N: usize>(pairs: [(&Vector<T>, &Vector<T>); N], reduction: Reduction) -> Result<[T; N]> {
    let Some((first, _)) = pairs.first() else {
        return Ok([T::ZERO; N]);
    };
    for (a, b) in pairs {
        first.layout.require_same(&a.layout, "dot")?;
        first.layout.require_same(&b.layout, "dot")?;
    }
    let comm = first.comm();
    if reduction == Reduction::Fast {
        let mut sums = pairs.map(|(a, b)| {
            let sum = fast_dot(&a.owned, &b.owned);
            [sum.re().to_f64(), sum.im().to_f64()]
        });
        comm.all_reduce_sum(sums.as_flattened_mut());
        return Ok(sums.map(|[re, im]| T::from_parts(re, im)));
    }
    let partial = pairs.map(|(a, b)| binned_dot(&a.owned, &b.owned));
    let mut total = [[BinnedSum::default(); 2]; N];
    comm.all_reduce_merge(partial.as_flattened(), total.as_flattened_mut());
    Ok(total.map(|[re, im]| T::from_parts(re.value(), im.value())))
}
