//! Sums that do not depend on the number of ranks, nor on that of threads.
//!
//! A floating-point sum changes with its order, so a norm computed on 4 ranks differs in its last
//! bits from the one on 3, and an iterative solver then takes another path. Here the order is fixed
//! by global positions instead. Vectors are cut into blocks of 256 entries at multiples of 256 of
//! the *global* index; a block is summed plainly, in sixteen lanes and one order; the sums of the
//! blocks are added exactly ([`BinnedSum`]), so that neither the number of ranks nor the shape of
//! the reduction tree matters. A block that a rank boundary cuts is summed by the rank that owns
//! its first entry: the others send it their products, a message between neighbors just before
//! the one reduction, which layouts cut at multiples of 256 do not need.
//!
//! Summing every entry exactly needs no such message but costs three to four times a plain dot
//! product on memory that is fast for one core (measured at 1e7 entries, 44 GB/s); with blocks the
//! plain loop is all but 1/256 of the work.

mod binned;
mod blocked;
mod chunks;
mod parts;
mod products;
mod summands;
mod update;

use std::cell::RefCell;

use crate::comm::disagreement::Disagreement;
use crate::comm::{Comm, Sum};
use crate::layout::Layout;
use crate::reduce::products::Products;
use crate::reduce::summands::{Pairs, Summands};
use crate::scalar::{Real, Scalar};

pub use binned::BinnedSum;
pub(crate) use update::{update_entries, update_sums};

/// Columns from which on their products are taken in tiles.
const FEW: usize = 3;

/// Algorithm of sums over all ranks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reduction {
    /// The same bits on any number of ranks and threads.
    #[default]
    Reproducible,
    /// Plain floating-point sums, whose last bits depend on the distribution and on the number of threads.
    Fast,
}

/// A [`Reduction`], with a few numbers of each rank that are added up in the same message: votes, counts, times.
///
/// Functions that take one take a `Reduction` too.
///
/// ```
/// # use dolmen_core::{Reduction, Vector, dots};
/// # fn f(r: &Vector<f64>, z: &Vector<f64>, wants_to_stop: bool) -> dolmen_core::Result<()> {
/// let [plain] = dots([(r, z)], Reduction::Fast)?;
/// let mut votes = [f64::from(u8::from(wants_to_stop))];
/// let [product] = dots([(r, z)], Reduction::Reproducible.with(&mut votes))?;
/// let is_to_stop = votes[0] > 0.0;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Summation<'r> {
    reduction: Reduction,
    riders: &'r mut [f64],
}

impl Reduction {
    /// Adds up the riders of all ranks in the message of the reduction: each becomes its sum. All ranks give the same
    /// number of them.
    pub fn with(self, riders: &mut [f64]) -> Summation<'_> {
        Summation { reduction: self, riders }
    }
}

impl From<Reduction> for Summation<'_> {
    fn from(reduction: Reduction) -> Self {
        Summation { reduction, riders: &mut [] }
    }
}

impl Summation<'_> {
    /// Returns the number of riders.
    pub(crate) fn riders(&self) -> usize {
        self.riders.len()
    }
}

/// Which inner product: `conj(a) b` (BLAS `dotc`) or `a b` (BLAS `dotu`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Conjugated,
    Bilinear,
}

/// Inner products over all ranks, in one reduction: `operands(j)` gives this rank's entries of the
/// vectors of product `j`, which live on `layout`.
///
/// # Collective
pub(crate) fn dot_sums<'v, T: Scalar, S: Scalar>(
    layout: &Layout,
    summation: Summation<'_>,
    form: Form,
    out: &mut [S],
    operands: impl Fn(usize) -> [&'v [T]; 2],
) -> Result<(), Disagreement> {
    if !T::COMPLEX {
        return sums(layout, summation, out, operands, real_product::<T>);
    }
    let sign = if form == Form::Conjugated { 1.0 } else { -1.0 };
    sums(layout, summation, out, operands, |a: T, b: T| complex_product(sign, a, b))
}

/// Reproducible inner products of each column of `columns[0]` with each of `columns[1]` over all ranks, in one
/// reduction, column after column of the result. Columns are this rank's entries of vectors that live on `layout`, one
/// after the other, and complex ones of the left are conjugated.
///
/// # Collective
pub(crate) fn gram_sums<T: Scalar>(layout: &Layout, columns: [&[T]; 2], out: &mut [T]) -> Result<(), Disagreement> {
    let rows = layout.local_len();
    let counts = columns.map(|columns| columns.len() / rows.max(1));
    if !T::COMPLEX && counts.into_iter().all(|count| count >= FEW) {
        return add_up(layout, Reduction::Reproducible.into(), out, &mut Products { columns, counts, rows });
    }
    let column = |side: usize, number: usize| &columns[side][number * rows..][..rows];
    let operands = |at: usize| [column(0, at % counts[0].max(1)), column(1, at / counts[0].max(1))];
    dot_sums(layout, Reduction::Reproducible.into(), Form::Conjugated, out, operands)
}

/// Returns `a b` of real numbers.
#[inline(always)]
fn real_product<T: Scalar>(a: T, b: T) -> [f64; 1] {
    [a.re().to_f64() * b.re().to_f64()]
}

/// Returns `conj(a) b`, or `a b` for a `sign` of minus one.
#[inline(always)]
fn complex_product<T: Scalar>(sign: f64, a: T, b: T) -> [f64; 2] {
    let (ar, ai) = (a.re().to_f64(), sign * a.im().to_f64());
    let (br, bi) = (b.re().to_f64(), b.im().to_f64());
    [ar * br + ai * bi, ar * bi - ai * br]
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
) -> Result<(), Disagreement> {
    sums(layout, reduction.into(), out, |j| [operand(j); 2], |a, _| [f(a)])
}

/// Returns the sum of all entries of a vector over all ranks, in one reduction.
///
/// # Collective
pub(crate) fn entry_sum<T: Scalar>(
    layout: &Layout,
    reduction: Reduction,
    entries: &[T],
) -> Result<T::Double, Disagreement> {
    let mut out = [T::Double::ZERO];
    if T::COMPLEX {
        sums(layout, reduction.into(), &mut out, |_| [entries; 2], |x, _| [x.re().to_f64(), x.im().to_f64()])?;
    } else {
        sums(layout, reduction.into(), &mut out, |_| [entries; 2], |x, _| [x.re().to_f64()])?;
    }
    Ok(out[0])
}

/// Sums of `f(a[i], b[i])`, in double precision, over all ranks, in one reduction.
///
/// # Collective
fn sums<'v, S: Scalar, A: Copy + Sync + 'v, const P: usize>(
    layout: &Layout,
    summation: Summation<'_>,
    out: &mut [S],
    operands: impl Fn(usize) -> [&'v [A]; 2],
    f: impl Fn(A, A) -> [f64; P] + Sync,
) -> Result<(), Disagreement> {
    let count = out.len();
    add_up(layout, summation, out, &mut Pairs { count, operands, f })
}

/// Sums of summands over all ranks, in one reduction.
///
/// # Collective
fn add_up<S: Scalar, const P: usize>(
    layout: &Layout,
    Summation { reduction, riders }: Summation<'_>,
    out: &mut [S],
    summands: &mut impl Summands<P>,
) -> Result<(), Disagreement> {
    if reduction == Reduction::Reproducible {
        return blocked::sum(layout, (out, riders), summands);
    }
    PLAIN.with_borrow_mut(|Plain { sums, of_parts }| {
        sums.clear();
        sums.resize(out.len() * P, 0.0);
        summands.add_blocks(&(0..layout.local_len()), sums, of_parts);
        sums.extend_from_slice(riders);
        layout.comm().reduce::<Sum<f64>>(sums)?;
        riders.copy_from_slice(&sums[out.len() * P..]);
        for (sum, parts) in out.iter_mut().zip(sums.as_chunks::<P>().0) {
            *sum = S::from_parts(parts[0], parts.get(1).copied().unwrap_or(0.0));
        }
        Ok(())
    })
}

/// Memory of plain sums, kept from one reduction to the next.
#[derive(Default)]
struct Plain {
    sums: Vec<f64>,
    of_parts: Vec<f64>,
}

thread_local!(static PLAIN: RefCell<Plain> = RefCell::default());

/// Replaces each of this rank's plain sums by the sum over all ranks, in one reduction.
///
/// # Collective
pub(crate) fn add_ranks<T: Scalar>(comm: &Comm, sums: &mut [T]) -> Result<(), Disagreement> {
    PLAIN.with_borrow_mut(|Plain { sums: plain, .. }| {
        plain.clear();
        plain.extend(sums.iter().flat_map(|sum| [sum.re().to_f64(), sum.im().to_f64()]));
        comm.reduce::<Sum<f64>>(plain)?;
        for (sum, &[re, im]) in sums.iter_mut().zip(plain.as_chunks().0) {
            *sum = T::from_parts(re, im);
        }
        Ok(())
    })
}
