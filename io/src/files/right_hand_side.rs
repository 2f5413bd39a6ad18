//! One vector as the right-hand side of a system.

use super::read::with_file;
use super::wanted::Wanted;
use super::{Field, Location, Vectors};
use crate::error::Result;
use dolmen_core::{Complex64, Layout, MultiVector, Scalar, Vector};

/// A right-hand side of the numbers that a file has, all of them finite.
#[derive(Clone, Debug)]
pub enum RightHandSide {
    /// With real entries.
    Real(Vector<f64>),
    /// With complex entries.
    Complex(Vector<Complex64>),
}

impl RightHandSide {
    /// Reads one column of a file, counted from 0, on the layout `rows`; without `column` the only one.
    ///
    /// # Collective
    ///
    /// # Errors
    /// As [`read_vectors`](super::read_vectors); several columns, or no such column; an entry that is NaN or
    /// infinite, with its line if the file is MatrixMarket text of one column.
    pub fn read(from: impl Into<Location>, rows: &Layout, column: Option<usize>) -> Result<RightHandSide> {
        let from = from.into();
        let vectors = with_file(rows.comm(), &from, Wanted::Vectors, |mut file| {
            let description = file.description();
            if description.columns == 1 {
                file.require_finite();
            }
            Ok(match description.field {
                Field::Complex => Vectors::Complex(file.vectors(rows)?),
                _ => Vectors::Real(file.vectors(rows)?),
            })
        })?;
        Ok(match vectors {
            Vectors::Real(vectors) => RightHandSide::Real(choose(&from, &vectors, column)?),
            Vectors::Complex(vectors) => RightHandSide::Complex(choose(&from, &vectors, column)?),
        })
    }

    /// Makes it one of complex numbers.
    #[must_use]
    pub fn into_complex(self) -> Vector<Complex64> {
        match self {
            RightHandSide::Real(vector) => {
                let mut entries = vector.owned().iter();
                Vector::from_fn(vector.layout(), |_| {
                    Complex64::new(*entries.next().expect("invariant: as many entries"), 0.0)
                })
            }
            RightHandSide::Complex(vector) => vector,
        }
    }
}

/// # Collective
fn choose<T: Scalar>(from: &Location, vectors: &MultiVector<T>, column: Option<usize>) -> Result<Vector<T>> {
    let column = match (column, vectors.columns()) {
        (None, 1) => 0,
        (None, count) => {
            let what = format!("has {count} columns; a right-hand side has one");
            return Err(from.error(format!("{what}: choose it with --column, counted from 0")));
        }
        (Some(column), count) if column < count => column,
        (Some(column), count) => {
            return Err(from.error(format!("has no column {column}; it has {count}, counted from 0")));
        }
    };
    let mut vector = Vector::zeros(vectors.layout());
    vectors.copy_column_to(column, &mut vector)?;
    require_finite(from, &vector)?;
    Ok(vector)
}

/// Refuses NaN and infinity, for which no system can be solved.
///
/// # Collective
fn require_finite<T: Scalar>(from: &Location, vector: &Vector<T>) -> Result<()> {
    let found = vector.range().zip(vector.owned()).find(|(_, value)| !value.is_finite());
    let mut first = [found.map_or(u64::MAX, |(row, _)| row)];
    vector.layout().comm().all_reduce_min(&mut first);
    match first {
        [u64::MAX] => Ok(()),
        [row] => Err(from.error(format!("entry {row}, counted from 0, is NaN or infinite; no x solves such a system"))),
    }
}
