//! Objects of any of the four scalars, and their numbers in Python.
//!
//! A family is a type with a parameter for the scalar: vectors, matrices, operators. [`Any`] is one of its four
//! members, and [`each`] runs the same code for whichever it is.

use std::rc::Rc;

use dolmen::core::{AdjointOperator, Complex32, Complex64, CsrMatrix, MultiVector, Scalar, Snapshot, Vector};
use dolmen::io::hdf5::Entry;
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyComplex;

/// A type with a parameter for the scalar.
pub(crate) trait Family {
    type Of<T: Element>;
}

/// A member of a family, named after NumPy's types.
pub(crate) enum Any<F: Family> {
    F4(F::Of<f32>),
    F8(F::Of<f64>),
    C8(F::Of<Complex32>),
    C16(F::Of<Complex64>),
}

/// Runs `$body` with the member of `$any` as `$member`.
macro_rules! each {
    ($any:expr, $member:pat => $body:expr) => {
        match $any {
            $crate::typed::Any::F4($member) => $body,
            $crate::typed::Any::F8($member) => $body,
            $crate::typed::Any::C8($member) => $body,
            $crate::typed::Any::C16($member) => $body,
        }
    };
}

/// Runs `$body` with `$scalar` as the type that NumPy's `$name` names.
macro_rules! for_dtype {
    ($name:expr, $scalar:ident => $body:expr) => {
        match $name {
            "f4" => {
                type $scalar = f32;
                $body
            }
            "f8" => {
                type $scalar = f64;
                $body
            }
            "c8" => {
                type $scalar = dolmen::core::Complex32;
                $body
            }
            "c16" => {
                type $scalar = dolmen::core::Complex64;
                $body
            }
            other => Err(pyo3::exceptions::PyTypeError::new_err(format!(
                "dtype {other:?} is not known; use f4, f8, c8 or c16"
            ))),
        }
    };
}

/// A scalar of the toolkit as NumPy has it.
pub(crate) trait Element: Entry + numpy::Element {
    /// NumPy's name.
    const DTYPE: &'static str;

    fn wrap<F: Family>(member: F::Of<Self>) -> Any<F>;

    fn of<F: Family>(any: &Any<F>) -> Option<&F::Of<Self>>;

    fn of_mut<F: Family>(any: &mut Any<F>) -> Option<&mut F::Of<Self>>;

    /// Returns the member, of an argument that has to be of this scalar.
    fn expect<'a, F: Family>(any: &'a Any<F>, what: &str) -> PyResult<&'a F::Of<Self>> {
        Self::of(any).ok_or_else(|| other_dtype(what, any.dtype(), Self::DTYPE))
    }

    /// [`Element::expect`] for modification.
    fn expect_mut<'a, F: Family>(any: &'a mut Any<F>, what: &str) -> PyResult<&'a mut F::Of<Self>> {
        let dtype = any.dtype();
        Self::of_mut(any).ok_or_else(|| other_dtype(what, dtype, Self::DTYPE))
    }
}

fn other_dtype(what: &str, found: &str, expected: &str) -> PyErr {
    PyTypeError::new_err(format!(
        "{what} has dtype {found}, expected {expected}; convert it with astype(\"{expected}\")"
    ))
}

macro_rules! element {
    ($scalar:ty, $variant:ident, $dtype:literal) => {
        impl Element for $scalar {
            const DTYPE: &'static str = $dtype;

            fn wrap<F: Family>(member: F::Of<Self>) -> Any<F> {
                Any::$variant(member)
            }

            fn of<F: Family>(any: &Any<F>) -> Option<&F::Of<Self>> {
                match any {
                    Any::$variant(member) => Some(member),
                    _ => None,
                }
            }

            fn of_mut<F: Family>(any: &mut Any<F>) -> Option<&mut F::Of<Self>> {
                match any {
                    Any::$variant(member) => Some(member),
                    _ => None,
                }
            }
        }
    };
}
element!(f32, F4, "f4");
element!(f64, F8, "f8");
element!(Complex32, C8, "c8");
element!(Complex64, C16, "c16");

impl<F: Family> Any<F> {
    /// Returns NumPy's name of the scalar.
    pub(crate) fn dtype(&self) -> &'static str {
        match self {
            Any::F4(_) => f32::DTYPE,
            Any::F8(_) => f64::DTYPE,
            Any::C8(_) => Complex32::DTYPE,
            Any::C16(_) => Complex64::DTYPE,
        }
    }
}

/// Reads a number of Python. Real types refuse complex numbers.
pub(crate) fn number<T: Element>(value: &Bound<'_, PyAny>) -> PyResult<T> {
    if T::COMPLEX {
        let Complex64 { re, im } = value.extract()?;
        return Ok(T::from_parts(re, im));
    }
    Ok(T::from_parts(value.extract()?, 0.0))
}

/// Returns a number as Python's `float` or `complex`.
pub(crate) fn to_python<T: Scalar>(py: Python<'_>, value: T) -> PyResult<Py<PyAny>> {
    use dolmen::core::Real;
    if T::COMPLEX {
        return PyComplex::from_doubles(py, value.re().to_f64(), value.im().to_f64()).into_py_any(py);
    }
    value.re().to_f64().into_py_any(py)
}

pub(crate) struct Vectors;
impl Family for Vectors {
    type Of<T: Element> = Vector<T>;
}

pub(crate) struct MultiVectors;
impl Family for MultiVectors {
    type Of<T: Element> = MultiVector<T>;
}

/// Matrices are shared with the preconditioners and operators that are made from them.
pub(crate) struct Matrices;
impl Family for Matrices {
    type Of<T: Element> = Rc<CsrMatrix<T>>;
}

pub(crate) struct Operators;
impl Family for Operators {
    type Of<T: Element> = Rc<dyn AdjointOperator<T>>;
}

pub(crate) struct Snapshots;
impl Family for Snapshots {
    type Of<T: Element> = Snapshot<T>;
}
