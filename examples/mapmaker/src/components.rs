//! The null space of destriping: one constant for each connected component.
//!
//! Adding one number to all baselines that are linked, through common pixels or the series of a prior, changes only the
//! mean of their sky, so the system cannot tell. Components are found by spreading the smallest
//! baseline number through the pixels until nothing changes: rank-local union-find of baselines, then
//! `export(Min)` and import of the labels. [`ComponentMeans`] projects the constants out.

use std::cell::RefCell;
use std::collections::BTreeMap;

use dolmen_core::{BinnedSum, Combine, ExchangePlan, Gid, IndexMap, Layout, Lid, LinearOperator, Vector, index::at};

use crate::error::Result;

/// The projection onto offsets whose mean over each component is zero.
pub struct ComponentMeans {
    baselines: Layout,
    /// Component of each local baseline; `None` without samples.
    component: Vec<Option<usize>>,
    /// Number of baselines in each component.
    sizes: Vec<f64>,
    work: RefCell<Work>,
}

#[derive(Default)]
struct Work {
    values: Vec<Vec<f64>>,
    partial: Vec<BinnedSum>,
    total: Vec<BinnedSum>,
}

/// Places where baselines meet: pixels of the solve, and behind them the series of a prior.
pub(crate) struct Meetings<'a> {
    /// Pixels that this rank's baselines meet, ascending.
    pub(crate) pixels: &'a [Gid],
    /// First meeting of each pixel, and the number of all.
    pub(crate) starts: &'a [usize],
    /// Baseline of each meeting, counted on this rank.
    pub(crate) baselines: &'a [Lid],
    /// Places behind the pixels, ascending, each with the baselines of this rank that meet there.
    pub(crate) others: Vec<(Gid, Vec<Lid>)>,
}

impl Meetings<'_> {
    fn ids(&self) -> Vec<Gid> {
        self.pixels.iter().copied().chain(self.others.iter().map(|(id, _)| *id)).collect()
    }

    /// Returns the baselines of each place.
    fn rows(&self) -> impl Iterator<Item = &[Lid]> {
        let pixels = self.starts.windows(2).map(|bounds| &self.baselines[bounds[0]..bounds[1]]);
        pixels.chain(self.others.iter().map(|(_, baselines)| &baselines[..]))
    }
}

/// Disjoint sets of local baselines, each with a label.
struct Sets(Vec<Lid>);

impl Sets {
    fn root(&mut self, mut member: Lid) -> Lid {
        while self.0[at(member)] != member {
            self.0[at(member)] = self.0[at(self.0[at(member)])];
            member = self.0[at(member)];
        }
        member
    }

    fn join(&mut self, a: Lid, b: Lid) {
        let (a, b) = (self.root(a), self.root(b));
        self.0[at(a.max(b))] = a.min(b);
    }
}

impl ComponentMeans {
    /// Finds the components of the baselines that share pixels in the solve.
    ///
    /// # Collective
    /// One exchange for each rank that a component's label has to pass.
    ///
    /// # Errors
    /// None in practice: the pixels come from the pixelization.
    pub(crate) fn find(places: &Layout, meetings: &Meetings<'_>, baselines: &Layout) -> Result<ComponentMeans> {
        let labels = spread_labels(places, meetings, baselines)?;
        let mut own: Vec<u64> = labels.iter().flatten().copied().collect();
        own.sort_unstable();
        own.dedup();
        // A component is named by its smallest baseline, which one rank owns.
        let range = baselines.range();
        let named: Vec<u64> = own.iter().copied().filter(|label| range.contains(label)).collect();
        let mut all: Vec<u64> = baselines.comm().gather(0, &named).into_iter().flatten().flatten().collect();
        baselines.comm().broadcast(0, &mut all);
        let number: BTreeMap<u64, usize> = all.iter().enumerate().map(|(i, &label)| (label, i)).collect();
        let component: Vec<Option<usize>> = labels.into_iter().map(|label| label.map(|label| number[&label])).collect();
        let mut counts = vec![0u64; all.len()];
        for &component in component.iter().flatten() {
            counts[component] += 1;
        }
        baselines.comm().all_reduce_sum(&mut counts);
        #[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
        let sizes = counts.into_iter().map(|count| count as f64).collect();
        Ok(ComponentMeans { baselines: baselines.clone(), component, sizes, work: RefCell::default() })
    }

    /// Returns the number of components with a baseline of which `has` is true, by its number on this rank.
    ///
    /// # Collective
    pub(crate) fn count_with(&self, has: impl Fn(usize) -> bool) -> u64 {
        let mut found = vec![0u64; self.count()];
        for (baseline, component) in self.component.iter().enumerate() {
            if let Some(component) = component.filter(|_| has(baseline)) {
                found[component] = 1;
            }
        }
        self.baselines.comm().all_reduce_max(&mut found);
        found.into_iter().sum()
    }

    /// Returns the number of components, which is the dimension of the null space.
    pub fn count(&self) -> usize {
        self.sizes.len()
    }
}

/// For each local baseline the smallest number of a baseline that it is linked with.
fn spread_labels(places: &Layout, meetings: &Meetings<'_>, baselines: &Layout) -> Result<Vec<Option<Gid>>> {
    let mut sets = Sets((0..).take(baselines.local_len()).collect());
    let mut label = vec![None; baselines.local_len()];
    for row in meetings.rows() {
        for &baseline in row {
            label[at(baseline)] = Some(baselines.range().start + Gid::from(baseline));
            sets.join(row[0], baseline);
        }
    }
    // The root of a set is its smallest baseline, and has the smallest label.
    let plan = ExchangePlan::new(places, &baselines.comm().agree(IndexMap::new(meetings.ids()))?)?;
    let mut owned = vec![Gid::MAX; places.local_len()];
    loop {
        let smallest = |row: &[Lid]| label[at(sets.root(row[0]))].expect("invariant: it meets a pixel");
        let seen: Vec<Gid> = meetings.rows().map(smallest).collect();
        plan.start_export(&seen, 1).finish(Combine::Min, &mut owned);
        let mut changed = [0u64];
        for (row, &smallest) in meetings.rows().zip(plan.start_import(&owned, 1).finish().iter()) {
            let label = &mut label[at(sets.root(row[0]))];
            if label.is_some_and(|label| smallest < label) {
                *label = Some(smallest);
                changed = [1];
            }
        }
        baselines.comm().all_reduce_max(&mut changed);
        if changed == [0] {
            break;
        }
    }
    let of = |baseline| label[at(baseline)].and(label[at(sets.root(baseline))]);
    Ok((0..).take(baselines.local_len()).map(of).collect())
}

impl LinearOperator<f64> for ComponentMeans {
    fn domain(&self) -> &Layout {
        &self.baselines
    }

    fn range(&self) -> &Layout {
        &self.baselines
    }

    fn compute(&self, x: &Vector<f64>, y: &mut Vector<f64>) -> dolmen_core::Result<()> {
        let mut work = self.work.borrow_mut();
        let Work { values, partial, total } = &mut *work;
        values.resize(self.count(), Vec::new());
        partial.clear();
        partial.resize(self.count(), BinnedSum::default());
        total.resize(self.count(), BinnedSum::default());
        for (&component, &value) in self.component.iter().zip(x.owned()) {
            if let Some(component) = component {
                values[component].push(value);
            }
        }
        for (values, sum) in values.iter_mut().zip(&mut *partial) {
            sum.add(values);
            values.clear();
        }
        self.baselines.comm().all_reduce_merge(partial, total);
        for ((&component, &value), y) in self.component.iter().zip(x.owned()).zip(y.owned_mut()) {
            // Baselines without samples have no amplitude.
            *y = component.map_or(0.0, |c| value - total[c].value() / self.sizes[c]);
        }
        Ok(())
    }
}
