//! The serial oracle: a dense matrix that remembers which entries are stored.

use dolmen_core::Scalar;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Dense<T> {
    pub(crate) rows: Vec<Vec<Option<T>>>,
    pub(crate) columns: usize,
}

impl<T: Scalar> Dense<T> {
    pub(crate) fn empty(rows: usize, columns: usize) -> Dense<T> {
        Dense { rows: vec![vec![None; columns]; rows], columns }
    }

    pub(crate) fn stored(&self) -> u64 {
        self.rows.iter().flatten().flatten().count() as u64
    }

    /// Stored entries changed.
    pub(crate) fn map(&self, change: impl Fn(T) -> T) -> Dense<T> {
        let row = |row: &Vec<Option<T>>| row.iter().map(|value| value.map(&change)).collect();
        Dense { rows: self.rows.iter().map(row).collect(), columns: self.columns }
    }

    pub(crate) fn transposed(&self) -> Dense<T> {
        let rows = (0..self.columns).map(|column| self.rows.iter().map(|row| row[column]).collect()).collect();
        Dense { rows, columns: self.rows.len() }
    }

    /// The product, with an entry wherever two stored entries meet.
    pub(crate) fn times(&self, right: &Dense<T>) -> Dense<T> {
        let mut product = Dense::empty(self.rows.len(), right.columns);
        for (row, sums) in self.rows.iter().zip(&mut product.rows) {
            for (a, inner) in row.iter().zip(&right.rows) {
                for (b, sum) in inner.iter().zip(sums.iter_mut()) {
                    if let (Some(a), Some(b)) = (*a, *b) {
                        *sum.get_or_insert(T::ZERO) += a * b;
                    }
                }
            }
        }
        product
    }

    /// The sum, with an entry wherever one of both is stored.
    pub(crate) fn plus(&self, other: &Dense<T>) -> Dense<T> {
        let mut sum = self.clone();
        for (sums, row) in sum.rows.iter_mut().zip(&other.rows) {
            for (sum, value) in sums.iter_mut().zip(row) {
                if let Some(value) = *value {
                    *sum.get_or_insert(T::ZERO) += value;
                }
            }
        }
        sum
    }
}
