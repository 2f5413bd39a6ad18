//! The right-hand side of a system: from a file, or one whose solution is known.

use std::path::Path;

use dolmen_core::{Complex64, CsrMatrix, Layout, LinearOperator, MultiVector, Real, Scalar, Vector};
use dolmen_io::{Vectors, read_vectors};

use crate::error::{Error, Result};

/// The only vector of a file.
pub(crate) enum Column {
    Real(Vector<f64>),
    Complex(Vector<Complex64>),
}

/// A right-hand side, and what is known of it.
pub(crate) struct RightHandSide<T> {
    pub(crate) vector: Vector<T>,
    /// The solution, or one of them, if it was chosen first.
    pub(crate) solution: Option<Vector<T>>,
    /// Where it comes from.
    pub(crate) origin: String,
}

/// Reads the right-hand side from a file of one column.
///
/// # Collective
pub(crate) fn read(path: &Path, rows: &Layout) -> Result<Column> {
    let (vectors, _) = read_vectors(path, rows)?;
    Ok(match vectors {
        Vectors::Real(vectors) => Column::Real(only(path, &vectors)?),
        Vectors::Complex(vectors) => Column::Complex(only(path, &vectors)?),
    })
}

fn only<T: Scalar>(path: &Path, vectors: &MultiVector<T>) -> Result<Vector<T>> {
    if vectors.columns() != 1 {
        let what = format!("has {} columns; a right-hand side has one", vectors.columns());
        return Err(Error::File { path: path.to_owned(), what });
    }
    let mut vector = Vector::zeros(vectors.layout());
    vectors.copy_column_to(0, &mut vector)?;
    Ok(vector)
}

impl Column {
    /// As complex numbers.
    pub(crate) fn complex(&self) -> Vector<Complex64> {
        match self {
            Column::Real(vector) => {
                let mut entries = vector.owned().iter();
                Vector::from_fn(vector.layout(), |_| {
                    Complex64::new(*entries.next().expect("invariant: as many entries"), 0.0)
                })
            }
            Column::Complex(vector) => vector.clone(),
        }
    }
}

impl<T: Scalar> RightHandSide<T> {
    /// The right-hand side of a file.
    pub(crate) fn given(vector: Vector<T>, path: &Path) -> RightHandSide<T> {
        RightHandSide { vector, solution: None, origin: path.display().to_string() }
    }

    /// `A * ones`; where that vanishes, `A` times a ramp.
    ///
    /// # Collective
    pub(crate) fn of_known_solution(a: &CsrMatrix<T>) -> Result<RightHandSide<T>> {
        let ones = Vector::from_fn(a.domain(), |_| T::ONE);
        let mut vector = Vector::zeros(a.range());
        a.apply(&ones, &mut vector)?;
        let (size, largest) = (vector.norm_inf().to_f64(), a.norm_inf().to_f64());
        if size > 1e-12 * largest || largest == 0.0 {
            return Ok(RightHandSide { vector, solution: Some(ones), origin: "A * ones".to_owned() });
        }
        let last = a.domain().global_len() as f64;
        let ramp = Vector::from_fn(a.domain(), |row| T::from_parts(row as f64 / last, 0.0));
        a.apply(&ramp, &mut vector)?;
        let origin = "A * y with y from 0 to 1 in equal steps, since A * ones is zero".to_owned();
        Ok(RightHandSide { vector, solution: Some(ramp), origin })
    }
}

/// A real matrix as one of complex numbers.
///
/// # Collective
pub(crate) fn complex(a: &CsrMatrix<f64>) -> Result<CsrMatrix<Complex64>> {
    let mut rows = a.rows();
    Ok(CsrMatrix::from_rows(a.range(), a.domain(), |_, entries| {
        let row = rows.next().expect("invariant: as many rows");
        row.entries().for_each(|(column, value)| entries.push(column, Complex64::new(value, 0.0)));
    })?)
}
