//! Entries of one vector to entries of another, by two lists of global indices.
//!
//! A pair of indices may be given on any rank. It travels once, to the owner of its target; from then on a scatter is an
//! import of the sources that a rank's targets want, and a walk over its pairs. What is added to one target is summed
//! independently of the order of the pairs, so that it has the same bits on any number of ranks.

use std::collections::BTreeMap;

use super::{Combine, ExchangePlan};
use crate::error::{Error, Result};
use crate::index::{Gid, Lid, at};
use crate::index_map::IndexMap;
use crate::layout::Layout;
use crate::profile;
use crate::scalar::{Real, Scalar};
use crate::vector::{Vector, exact_sum};

/// Pairs of target and source by the rank that they are sent to.
type Messages = Vec<(usize, Vec<[Gid; 2]>)>;

/// Reusable plan that moves entries `x[from[k]]` to `y[to[k]]` (PETSc `VecScatter`).
pub struct Scatter {
    target: Layout,
    plan: ExchangePlan,
    /// The sources that this rank's targets want.
    map: IndexMap,
    /// For each target entry with sources: its position, and where its sources end in `sources`.
    targets: Vec<(usize, usize)>,
    /// Positions among the imported copies, by target; of one target in the order of the ranks that gave the pairs.
    sources: Vec<Lid>,
}

impl Scatter {
    /// Plans to move entries of vectors on `source` to vectors on `target`: for each `k`, entry `from[k]` to entry
    /// `to[k]`. Each rank gives any pairs, wherever the entries live and however often.
    ///
    /// # Collective
    /// A sparse exchange of the pairs, and an [`ExchangePlan`].
    ///
    /// # Errors
    /// [`Error::LocalLength`] if a rank gives lists of different lengths, [`Error::IndexOutOfRange`], both agreed over the
    /// ranks; [`Error::StackedLayout`], [`Error::CommMismatch`].
    ///
    /// # Examples
    /// ```no_run
    /// # use dolmen_core::{Combine, Layout, Result, Scatter, Vector};
    /// # fn f(x: &Vector<f64>) -> Result<()> {
    /// // Every second entry, to a vector of half the length.
    /// let half = Layout::uniform(x.comm(), x.global_len() / 2);
    /// let to: Vec<u64> = half.range().collect();
    /// let from: Vec<u64> = to.iter().map(|row| 2 * row).collect();
    /// let mut y = Vector::zeros(&half);
    /// Scatter::new(x.layout(), &from, &half, &to)?.apply(x, Combine::Insert, &mut y)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn new(source: &Layout, from: &[Gid], target: &Layout, to: &[Gid]) -> Result<Scatter> {
        let _event = profile::operation("ScatterPlan");
        let comm = source.comm();
        target.require_same_comm(source, "scatter")?;
        source.require_contiguous("source of a scatter")?;
        target.require_contiguous("target of a scatter")?;
        let messages = comm.agree(by_owner(source, from, target, to))?;
        let mut pairs: Vec<(usize, Gid)> = Vec::new();
        for [row, gid] in comm.sparse_exchange(&messages).into_iter().flat_map(|(_, pairs)| pairs) {
            pairs.push((target.global_to_owned(row).expect("invariant: sent to its owner"), gid));
        }
        // Stable: the pairs of one target stay in the order of the ranks.
        pairs.sort_by_key(|&(position, _)| position);
        let map = comm.agree(IndexMap::new(pairs.iter().map(|&(_, gid)| gid).collect()))?;
        let plan = ExchangePlan::new(source, &map)?;
        let number = |&(_, gid): &(usize, Gid)| map.global_to_local(gid).expect("invariant: every source is mapped");
        let sources: Vec<Lid> = pairs.iter().map(number).collect();
        let mut targets: Vec<(usize, usize)> = Vec::new();
        for (end, &(position, _)) in (1..).zip(&pairs) {
            match targets.last_mut().filter(|(last, _)| *last == position) {
                Some(last) => last.1 = end,
                None => targets.push((position, end)),
            }
        }
        Ok(Scatter { target: target.clone(), plan, map, targets, sources })
    }

    /// Returns the layout of the vectors that entries are taken from.
    pub fn source(&self) -> &Layout {
        self.plan.layout()
    }

    /// Returns the layout of the vectors that entries are moved to.
    pub fn target(&self) -> &Layout {
        &self.target
    }

    /// Combines the entries of `x` into those of `y`; other entries of `y` stay as they are. Of several sources of one
    /// target, `Insert` takes the last one of the highest rank that gave it, and `Add` sums them independently of order
    /// and rank first. Of complex numbers the real and imaginary parts are combined apart.
    ///
    /// # Collective
    /// Neighbors only. All ranks give the same `combine`.
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`], on all ranks alike.
    pub fn apply<T: Scalar>(&self, x: &Vector<T>, combine: Combine, y: &mut Vector<T>) -> Result<()> {
        self.target.require_same(y.layout(), "scatter")?;
        let copies = self.plan.import(x)?;
        let (mut start, mut same, mut parts) = (0, Vec::new(), Vec::new());
        for &(position, end) in &self.targets {
            same.clear();
            same.extend(self.sources[start..end].iter().map(|&source| copies[at(source)]));
            start = end;
            let entry = &mut y.owned_mut()[position];
            match (combine, &same[..]) {
                (Combine::Add, [one]) => *entry += *one,
                (Combine::Add, all) => *entry += exact_sum(all, &mut parts),
                (Combine::Insert, [.., last]) => *entry = *last,
                (Combine::Max, all) => *entry = all.iter().fold(*entry, |a, b| by_parts(a, *b, f64::max)),
                (Combine::Min, all) => *entry = all.iter().fold(*entry, |a, b| by_parts(a, *b, f64::min)),
                (Combine::Insert, []) => {}
            }
        }
        Ok(())
    }

    /// Plans the scatter in the other direction: entries of vectors on the target to those on the source, along the same
    /// pairs.
    ///
    /// # Collective
    /// As [`Scatter::new`].
    ///
    /// # Errors
    /// Those of [`Scatter::new`] that are left: more pairs on one rank than it can number.
    pub fn reversed(&self) -> Result<Scatter> {
        let (mut from, mut start) = (Vec::with_capacity(self.sources.len()), 0);
        for &(position, end) in &self.targets {
            let row = self.target.owned_to_global(position);
            from.extend((start..end).map(|_| row));
            start = end;
        }
        let to: Vec<Gid> = self.sources.iter().map(|&source| self.map.gids()[at(source)]).collect();
        Scatter::new(&self.target, &from, self.source(), &to)
    }
}

/// Sorts pairs by the owner of the target.
fn by_owner(source: &Layout, from: &[Gid], target: &Layout, to: &[Gid]) -> Result<Messages> {
    let what = "target indices of a scatter (one for each source)";
    if from.len() != to.len() {
        return Err(Error::LocalLength { what, expected: from.len(), found: to.len() });
    }
    let mut messages = BTreeMap::<usize, Vec<[Gid; 2]>>::new();
    for (&gid, &row) in from.iter().zip(to) {
        if gid >= source.global_len() {
            return Err(Error::IndexOutOfRange { what: "source of a scatter", index: gid, bound: source.global_len() });
        }
        let Some(owner) = target.owner(row) else {
            return Err(Error::IndexOutOfRange { what: "target of a scatter", index: row, bound: target.global_len() });
        };
        messages.entry(owner).or_default().push([row, gid]);
    }
    Ok(messages.into_iter().collect())
}

/// Combines real and imaginary parts apart.
fn by_parts<T: Scalar>(a: T, b: T, combine: fn(f64, f64) -> f64) -> T {
    T::from_parts(combine(a.re().to_f64(), b.re().to_f64()), combine(a.im().to_f64(), b.im().to_f64()))
}
