//! Summands of the sums over a rank's rows.

use std::ops::Range;

use crate::reduce::parts::{self, Total};

/// Contribution of a rank's rows to a number of sums, `P` numbers to each.
pub(super) trait Summands<const P: usize> {
    /// Writes the summands of some rows: `out[j * rows.len() + i]` for row `i` of them and sum `j`.
    fn write(&mut self, rows: Range<usize>, out: &mut [[f64; P]]);

    /// Adds the sums of the blocks that begin at `whole.start` to `totals`, number `p` of sum `j` to
    /// `totals[j * P + p]`. `of_parts` is memory to work in.
    fn add_blocks<S: Total>(&mut self, whole: &Range<usize>, totals: &mut [S], of_parts: &mut Vec<S>);
}

/// A function of pairs of entries, `f(a[i], b[i])`, where `operands(j)` gives `a` and `b` of sum `j`.
pub(super) struct Pairs<O, F> {
    pub(super) count: usize,
    pub(super) operands: O,
    pub(super) f: F,
}

impl<'v, A, O, F, const P: usize> Summands<P> for Pairs<O, F>
where
    A: Copy + Sync + 'v,
    O: Fn(usize) -> [&'v [A]; 2],
    F: Fn(A, A) -> [f64; P] + Sync,
{
    fn write(&mut self, rows: Range<usize>, out: &mut [[f64; P]]) {
        let mut out = out.iter_mut();
        for j in 0..self.count {
            let [a, b] = (self.operands)(j).map(|operand| &operand[rows.clone()]);
            for ((&a, &b), out) in a.iter().zip(b).zip(&mut out) {
                *out = (self.f)(a, b);
            }
        }
    }

    fn add_blocks<S: Total>(&mut self, whole: &Range<usize>, totals: &mut [S], of_parts: &mut Vec<S>) {
        parts::add_blocks(whole, totals, of_parts, &self.operands, &self.f);
    }
}
