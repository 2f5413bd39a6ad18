//! Sums that do not depend on the number of ranks, nor on that of threads.
//!
//! A floating-point sum changes with its order, so a norm computed on 4 ranks differs in its last
//! bits from the one on 3, and an iterative solver then takes another path. Here the order is fixed
//! by global positions instead. Vectors are cut into blocks of 256 entries at multiples of 256 of
//! the *global* index; a block is summed plainly, in sixteen lanes and one order; the sums of the
//! blocks are added exactly ([`BinnedSum`]), so that neither the number of ranks nor the shape of
//! the reduction tree matters. A block that a rank boundary cuts is summed by the rank that owns
//! its first entry: the others send it their products, a message between neighbours just before
//! the one reduction, which layouts cut at multiples of 256 do not need.
//!
//! Summing every entry exactly needs no such message but costs three to four times a plain dot
//! product on memory that is fast for one core (measured at 1e7 entries, 44 GB/s); with blocks the
//! plain loop is all but 1/256 of the work.

mod binned;
mod blocked;

use std::cell::RefCell;
use std::ops::Range;

use crate::comm::Comm;
use crate::layout::Layout;
use crate::scalar::{Real, Scalar};
use crate::simd;
use crate::threads;

pub use binned::BinnedSum;

/// How sums over all ranks are computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reduction {
    /// The same bits on any number of ranks and threads.
    #[default]
    Reproducible,
    /// Plain floating-point sums, whose last bits depend on the distribution and on the number of threads.
    Fast,
}

/// Which inner product: `conj(a) b` (BLAS `dotc`) or `a b` (BLAS `dotu`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Conjugated,
    Bilinear,
}

/// Independent lanes of a sum.
const LANES: usize = 16;

/// Inner products over all ranks, in one reduction: `operands(j)` gives this rank's entries of the
/// vectors of product `j`, which live on `layout`.
///
/// # Collective
pub(crate) fn dot_sums<'v, T: Scalar>(
    layout: &Layout,
    reduction: Reduction,
    form: Form,
    out: &mut [T],
    operands: impl Fn(usize) -> [&'v [T]; 2],
) {
    let sign = if form == Form::Conjugated { 1.0 } else { -1.0 };
    match (reduction, T::COMPLEX) {
        (Reduction::Fast, _) => {
            for (j, sum) in out.iter_mut().enumerate() {
                let [a, b] = operands(j);
                *sum = match form {
                    Form::Conjugated => plain_sum(a, b, |a, b| a.conj() * b),
                    Form::Bilinear => plain_sum(a, b, |a, b| a * b),
                };
            }
            add_ranks(layout.comm(), out);
        }
        (Reduction::Reproducible, false) => {
            let product = |a: T, b: T| [a.re().to_f64() * b.re().to_f64()];
            blocked::sum(layout, out, operands, product);
        }
        (Reduction::Reproducible, true) => {
            let product = |a: T, b: T| {
                let (ar, ai) = (a.re().to_f64(), sign * a.im().to_f64());
                let (br, bi) = (b.re().to_f64(), b.im().to_f64());
                [ar * br + ai * bi, ar * bi - ai * br]
            };
            blocked::sum(layout, out, operands, product);
        }
    }
}

/// Sums of a real function of entries over all ranks, in one reduction.
///
/// # Collective
pub(crate) fn real_sums<'v, T: Scalar, R: Real>(
    layout: &Layout,
    reduction: Reduction,
    out: &mut [R],
    operand: impl Fn(usize) -> &'v [T],
    f: impl Fn(T) -> f64 + Sync,
) {
    match reduction {
        Reduction::Reproducible => blocked::sum(layout, out, |j| [operand(j); 2], |a, _| [f(a)]),
        Reduction::Fast => {
            for (j, sum) in out.iter_mut().enumerate() {
                *sum = R::from_f64(plain_sum(operand(j), operand(j), |a, _| f(a)));
            }
            add_ranks(layout.comm(), out);
        }
    }
}

/// The sum of all entries of a vector over all ranks, in one reduction.
///
/// # Collective
pub(crate) fn entry_sum<T: Scalar>(layout: &Layout, reduction: Reduction, entries: &[T]) -> T {
    let mut out = [T::ZERO];
    match (reduction, T::COMPLEX) {
        (Reduction::Fast, _) => {
            out = [plain_sum(entries, entries, |x, _| x)];
            add_ranks(layout.comm(), &mut out);
        }
        (Reduction::Reproducible, false) => {
            blocked::sum(layout, &mut out, |_| [entries; 2], |x, _| [x.re().to_f64()]);
        }
        (Reduction::Reproducible, true) => {
            blocked::sum(layout, &mut out, |_| [entries; 2], |x, _| [x.re().to_f64(), x.im().to_f64()]);
        }
    }
    out[0]
}

/// Plain sum of `f(a[i], b[i])`.
fn plain_sum<A: Copy + Sync, T: Scalar>(a: &[A], b: &[A], f: impl Fn(A, A) -> T + Sync) -> T {
    let piece = |range: Range<usize>| plain_sum_of(&a[range.clone()], &b[range], &f);
    threads::reduce(a.len(), &piece, &|low, high| low + high)
}

fn plain_sum_of<A: Copy, T: Scalar>(a: &[A], b: &[A], f: &impl Fn(A, A) -> T) -> T {
    simd::dispatch(|| {
        let mut lanes = [T::ZERO; LANES];
        let (a, a_rest) = a.as_chunks::<LANES>();
        let (b, b_rest) = b.as_chunks::<LANES>();
        for (a, b) in a.iter().zip(b) {
            for i in 0..LANES {
                lanes[i] += f(a[i], b[i]);
            }
        }
        let rest: T = a_rest.iter().zip(b_rest).map(|(&a, &b)| f(a, b)).sum();
        lanes.into_iter().sum::<T>() + rest
    })
}

/// Replaces each of this rank's plain sums by the sum over all ranks, in one reduction.
///
/// # Collective
pub(crate) fn add_ranks<T: Scalar>(comm: &Comm, sums: &mut [T]) {
    thread_local!(static PLAIN: RefCell<Vec<[f64; 2]>> = RefCell::default());
    PLAIN.with_borrow_mut(|plain| {
        plain.clear();
        plain.extend(sums.iter().map(|sum| [sum.re().to_f64(), sum.im().to_f64()]));
        comm.all_reduce_sum(plain.as_flattened_mut());
        for (sum, [re, im]) in sums.iter_mut().zip(plain) {
            *sum = T::from_parts(*re, *im);
        }
    });
}
