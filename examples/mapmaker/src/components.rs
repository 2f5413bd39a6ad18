//! The null space of destriping without a prior: one constant for each connected component.
//!
//! Adding one number to all baselines that are linked through common pixels changes only the mean
//! of their sky, so the system cannot tell. Components are found by spreading the smallest
//! baseline number through the pixels until nothing changes: rank-local union-find, then
//! `export(Min)` and import of the labels. [`ComponentMeans`] projects the constants out.

use std::cell::RefCell;
use std::collections::BTreeMap;

use dolmen_core::{BinnedSum, Combine, Layout, LinearOperator, Vector, index::at};

use crate::pixels::Pixels;
use crate::samples::{Part, Samples};

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

/// Disjoint sets of local pixels, each with a label.
struct Sets(Vec<usize>);

impl Sets {
    fn root(&mut self, mut member: usize) -> usize {
        while self.0[member] != member {
            self.0[member] = self.0[self.0[member]];
            member = self.0[member];
        }
        member
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.0[a.max(b)] = a.min(b);
    }
}

impl ComponentMeans {
    /// Finds the components of the baselines that share pixels in the solve.
    ///
    /// # Collective
    /// One exchange for each rank that a component's label has to pass.
    pub fn find(pixels: &Pixels, samples: &Samples, baselines: &Layout) -> ComponentMeans {
        let labels = spread_labels(pixels, samples, baselines);
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
        ComponentMeans { baselines: baselines.clone(), component, sizes, work: RefCell::default() }
    }

    /// Returns the number of components, which is the dimension of the null space.
    pub fn count(&self) -> usize {
        self.sizes.len()
    }
}

/// For each local baseline the smallest number of a baseline that it is linked with.
fn spread_labels(pixels: &Pixels, samples: &Samples, baselines: &Layout) -> Vec<Option<u64>> {
    let mut sets = Sets((0..pixels.seen.len()).collect());
    let first = |baseline: usize| samples.range(baseline, Part::Solved).next();
    for baseline in 0..samples.baselines() {
        for i in samples.range(baseline, Part::Solved).skip(1) {
            sets.join(at(samples.pixel[i - 1]), at(samples.pixel[i]));
        }
    }
    let mut label = vec![u64::MAX; pixels.seen.len()];
    for baseline in 0..samples.baselines() {
        if let Some(i) = first(baseline) {
            let root = sets.root(at(samples.pixel[i]));
            label[root] = label[root].min(baselines.range().start + baseline as u64);
        }
    }
    let mut owned = vec![u64::MAX; pixels.layout.local_len()];
    loop {
        let seen: Vec<u64> = (0..label.len()).map(|pixel| label[sets.root(pixel)]).collect();
        pixels.plan.start_export(&seen, 1).finish(Combine::Min, &mut owned);
        let mut changed = [0u64];
        for (pixel, &smallest) in pixels.plan.start_import(&owned, 1).finish().iter().enumerate() {
            let root = sets.root(pixel);
            if smallest < label[root] {
                label[root] = smallest;
                changed = [1];
            }
        }
        baselines.comm().all_reduce_max(&mut changed);
        if changed == [0] {
            break;
        }
    }
    let of = |baseline| first(baseline).map(|i| label[sets.root(at(samples.pixel[i]))]);
    (0..samples.baselines()).map(of).collect()
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
