//! Random matrices: shape, distribution and triplets, the same on all ranks.

use dolmen_core::{Blocks, Comm, Gid, Layout, Scalar};
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
    /// Shares of the ranks; zero for an empty one.
    row_shares: [u64; 7],
    column_shares: [u64; 7],
    pub(crate) triplets: Vec<Triplet>,
}

pub(crate) fn samples() -> impl Strategy<Value = Sample> {
    let part = -7i8..8;
    let triplet = (any::<u16>(), any::<u16>(), part.clone(), part, 0usize..7);
    let shares = || prop::array::uniform7(0u64..4);
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
        let range = layout(comm, self.rows, &self.row_shares)?;
        Ok((range, layout(comm, self.columns, &self.column_shares)?))
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

/// Blocks in proportion to the shares; even ones if all shares are zero.
pub(crate) fn layout(comm: &Comm, len: u64, shares: &[u64; 7]) -> TestResult<Layout> {
    let shares = &shares[..comm.size()];
    let all: u64 = shares.iter().sum();
    if all == 0 {
        return Ok(Layout::uniform(comm, len));
    }
    let mut offsets = vec![0];
    let mut so_far = 0;
    for share in shares {
        so_far += share;
        offsets.push(len * so_far / all);
    }
    Ok(Layout::from_blocks(comm, Blocks::from_offsets(&offsets)?)?)
}
