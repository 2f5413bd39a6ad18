//! Means over the pixels of distributed maps, the same bits on any number of ranks.

use dolmen_core::{Layout, Reduction, Vector};
use dolmen_io::fits::UNSEEN;

/// Computes the mean of a function of the values at pixels that are seen; zero if there is none.
///
/// # Collective
pub(crate) fn mean(layout: &Layout, owned: &[f64], f: impl Fn(f64) -> f64) -> f64 {
    sum(layout, owned, f) / sum(layout, owned, |_| 1.0).max(1.0)
}

/// Computes the sum of a function of the values at pixels that are seen.
///
/// # Collective
pub(crate) fn sum(layout: &Layout, owned: &[f64], f: impl Fn(f64) -> f64) -> f64 {
    let mut terms = owned.iter().map(|&value| if value == UNSEEN { 0.0 } else { f(value) });
    let vector = Vector::from_fn(layout, |_| terms.next().expect("invariant: a value a pixel"));
    vector.sum(Reduction::Reproducible)
}
