//! Random matrices: shape, distribution and triplets, the same on all ranks.

use dolmen_core::{Comm, Gid, Layout, Scalar};
use dolmen_core_tests::{Shares, layout_of_shares, shares};
use dolmen_tests::TestResult;
use proptest::prelude::*;

/// A triplet with small whole parts, so that sums and products of few are exact in any order.
#[derive(Clone, Debug)]
pub(crate) struct Triplet {
    pub(crate) row: u64,
    pub(crate) column: u64,
    pub(crate) re: i8,
    pub(crate) im: i8,
    /// The rank that gives it, modulo their number.
    pub(crate) giver: usize,
}

/// One random matrix.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) rows: u64,
    pub(crate) columns: u64,
    row_shares: Shares,
    column_shares: Shares,
    pub(crate) triplets: Vec<Triplet>,
}

pub(crate) fn samples() -> impl Strategy<Value = Sample> {
    let part = -7i8..8;
    let triplet = (any::<u16>(), any::<u16>(), part.clone(), part, 0usize..7);
    let triplets = prop::collection::vec(triplet, 0..80);
    // As often with runs of rows, for the kernels that take several rows at once.
    (0u64..40, 0u64..40, shares(), shares(), triplets, 0u64..4).prop_map(
        |(rows, columns, row_shares, column_shares, triplets, bands)| {
            let columns = if rows % 3 == 0 { rows } else { columns };
            let column_shares = if rows % 3 == 0 { row_shares } else { column_shares };
            let mut triplets: Vec<Triplet> = triplets
                .into_iter()
                .filter(|_| rows * columns > 0)
                .map(|(row, column, re, im, giver)| {
                    let (row, column) = (u64::from(row) % rows, u64::from(column) % columns);
                    Triplet { row, column, re, im, giver }
                })
                .collect();
            for (row, step) in (0..rows).flat_map(|row| (0..bands).map(move |step| (row, step))) {
                if row + step < columns && row > 5 {
                    triplets.push(Triplet { row, column: row + step, re: 1, im: 2, giver: 0 });
                }
            }
            Sample { rows, columns, row_shares, column_shares, triplets }
        },
    )
}

impl Sample {
    /// The layouts of range and domain.
    pub(crate) fn layouts(&self, comm: &Comm) -> TestResult<(Layout, Layout)> {
        let range = layout_of_shares(comm, self.rows, &self.row_shares)?;
        Ok((range, layout_of_shares(comm, self.columns, &self.column_shares)?))
    }

    /// The triplets that this rank gives.
    pub(crate) fn mine<T: Scalar>(&self, comm: &Comm) -> Vec<(Gid, Gid, T)> {
        let mine = self.triplets.iter().filter(|triplet| triplet.giver % comm.size() == comm.rank());
        mine.map(|triplet| (triplet.row, triplet.column, triplet.value())).collect()
    }
}

impl Triplet {
    pub(crate) fn value<T: Scalar>(&self) -> T {
        T::from_parts(f64::from(self.re), f64::from(self.im))
    }
}
