//! The serial oracle: a dense matrix that remembers which entries are stored.

use dolmen_core::{Gid, Real, Scalar};

use crate::cases::Sample;

#[derive(Clone, Debug)]
pub(crate) struct Dense<T> {
    pub(crate) rows: Vec<Vec<Option<T>>>,
    columns: usize,
}

impl<T: Scalar> Dense<T> {
    fn empty(sample: &Sample) -> Dense<T> {
        let columns = usize::try_from(sample.columns).expect("a small matrix");
        Dense { rows: (0..sample.rows).map(|_| vec![None; columns]).collect(), columns }
    }

    /// Triplets of the same place summed.
    pub(crate) fn added(sample: &Sample) -> Dense<T> {
        let mut dense = Dense::empty(sample);
        for triplet in &sample.triplets {
            *dense.entry(triplet.row, triplet.column).get_or_insert(T::ZERO) += triplet.value();
        }
        dense
    }

    /// The last triplet of each place, in order of the giving ranks.
    pub(crate) fn inserted(sample: &Sample, ranks: usize) -> Dense<T> {
        let mut dense = Dense::empty(sample);
        for rank in 0..ranks {
            for triplet in sample.triplets.iter().filter(|triplet| triplet.giver % ranks == rank) {
                *dense.entry(triplet.row, triplet.column) = Some(triplet.value());
            }
        }
        dense
    }

    fn entry(&mut self, row: Gid, column: Gid) -> &mut Option<T> {
        let at = |index| usize::try_from(index).expect("a small matrix");
        &mut self.rows[at(row)][at(column)]
    }

    pub(crate) fn stored(&self) -> u64 {
        self.rows.iter().flatten().flatten().count() as u64
    }

    /// Stored entries changed by `change(row, column, value)`.
    pub(crate) fn map(&self, change: impl Fn(usize, usize, T) -> T) -> Dense<T> {
        let mut dense = self.clone();
        for (i, row) in dense.rows.iter_mut().enumerate() {
            for (j, entry) in row.iter_mut().enumerate() {
                *entry = entry.map(|value| change(i, j, value));
            }
        }
        dense
    }

    pub(crate) fn transposed(&self) -> Dense<T> {
        let rows = (0..self.columns).map(|column| self.rows.iter().map(|row| row[column]).collect()).collect();
        Dense { rows, columns: self.rows.len() }
    }

    pub(crate) fn times(&self, x: &[T]) -> Vec<T> {
        let sum = |row: &Vec<Option<T>>| row.iter().zip(x).filter_map(|(a, &x)| Some((*a)? * x)).sum();
        self.rows.iter().map(sum).collect()
    }

    pub(crate) fn sizes(&self) -> Vec<f64> {
        let size = |row: &Vec<Option<T>>| {
            row.iter().flatten().map(|value| value.re().to_f64().hypot(value.im().to_f64())).sum()
        };
        self.rows.iter().map(size).collect()
    }
}
