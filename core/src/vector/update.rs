//! Several operations in one pass over memory.
//!
//! Vector operations are bound by memory: what is read twice costs twice. Whoever knows that
//! operations follow each other entry by entry, as the recurrences of a Krylov method and the inner
//! products of its next step do, says so here in one closure, and every vector is read and written
//! once. The bits are those of the operations one after the other.

use crate::error::{Error, Result};
use crate::profile::entrywise;
use crate::reduce::{Summation, update_entries, update_sums};
use crate::scalar::Scalar;
use crate::vector::Vector;

/// Changes vectors together, in one pass: `entry` makes the new entries of `outputs` from their old
/// ones and those of `inputs`.
///
/// ```
/// # use dolmen_core::{Comm, Layout, Vector, update};
/// # fn f(p: &mut Vector<f64>, r: &Vector<f64>, v: &Vector<f64>) -> dolmen_core::Result<()> {
/// let (beta, omega) = (0.5, 2.0);
/// update([p], [r, v], |[p], [r, v]| [r + beta * (p - omega * v)])
/// # }
/// ```
///
/// Traffic: `outputs` are read and written once, `inputs` read once. A profile counts a
/// multiplication and an addition for each entry of `outputs`.
///
/// # Errors
/// [`Error::LayoutMismatch`].
pub fn update<T: Scalar, const W: usize, const R: usize>(
    outputs: [&mut Vector<T>; W],
    inputs: [&Vector<T>; R],
    entry: impl Fn([T; W], [T; R]) -> [T; W] + Sync,
) -> Result<()> {
    require_same("update", &outputs, &inputs)?;
    let _event = entrywise::<T>("VecUpdate", local_len(&outputs), W, W, 2 * W + R);
    update_entries(outputs.map(|output| &mut *output.owned), inputs.map(|input| &*input.owned), entry);
    Ok(())
}

/// Computes [`update`], and in the same pass `N` inner products: `entry` also gives the pairs `(a, b)` of which
/// `sum conj(a) b` is wanted. The riders of the [`Summation`] are added up in the same reduction.
///
/// ```
/// # use dolmen_core::{Comm, Layout, Reduction, Vector, update_dots};
/// # fn f(x: &mut Vector<f64>, r: &mut Vector<f64>, p: &Vector<f64>, q: &Vector<f64>) -> dolmen_core::Result<()> {
/// let alpha = 0.5;
/// let [square] = update_dots([x, r], [p, q], Reduction::Reproducible, |[x, r], [p, q]| {
///     let r = r - alpha * q;
///     ([x + alpha * p, r], [(r, r)])
/// })?;
/// # Ok(()) }
/// ```
///
/// # Collective
/// One reduction. All ranks give the same number of riders.
///
/// # Errors
/// [`Error::LayoutMismatch`], [`Error::Shape`] without any output, or [`Error::RanksDisagree`].
pub fn update_dots<'r, T: Scalar, const W: usize, const R: usize, const N: usize>(
    outputs: [&mut Vector<T>; W],
    inputs: [&Vector<T>; R],
    summation: impl Into<Summation<'r>>,
    entry: impl Fn([T; W], [T; R]) -> ([T; W], [(T, T); N]) + Sync,
) -> Result<[T::Double; N]> {
    let operation = "update with products";
    require_same(operation, &outputs, &inputs)?;
    let Some(layout) = outputs.first().map(|first| first.layout.clone()) else {
        return Err(Error::Shape { operation, expected: (1, 1), found: (0, 1) });
    };
    let _event = entrywise::<T>("VecUpdate", layout.local_len(), W + N, W + N, 2 * W + R);
    let outputs = outputs.map(|output| &mut *output.owned);
    let summation = summation.into();
    let count = summation.riders();
    update_sums(&layout, summation, outputs, inputs.map(|input| &*input.owned), entry)
        .map_err(|differ| differ.error(layout.comm(), &format_args!("update_dots of {N} products, {count} riders")))
}

fn require_same<T: Scalar>(operation: &'static str, outputs: &[&mut Vector<T>], inputs: &[&Vector<T>]) -> Result<()> {
    let Some((first, others)) = outputs.split_first() else {
        return Ok(());
    };
    let others = others.iter().map(|other| &other.layout).chain(inputs.iter().map(|input| &input.layout));
    others.into_iter().try_for_each(|layout| first.layout.require_same(layout, operation))
}

fn local_len<T>(outputs: &[&mut Vector<T>]) -> usize {
    outputs.first().map_or(0, |output| output.owned.len())
}
