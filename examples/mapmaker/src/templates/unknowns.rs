//! The vector of all unknowns: offsets, and the amplitudes of templates between them.
//!
//! The amplitudes of a group follow the offset of the baseline in its middle. So the order, in which snapshots store them,
//! does not depend on the number of ranks, and a rank has one range of it.

use std::cell::RefCell;

use dolmen_core::{Layout, LinearOperator, Result as CoreResult, Vector};

use super::Groups;
use crate::error::Result;

/// The order of the unknowns on this rank.
pub(crate) struct Unknowns {
    /// Distribution of all unknowns.
    pub(crate) layout: Layout,
    /// Positions of the baselines that amplitudes follow.
    middles: Vec<usize>,
    /// Amplitudes of a group.
    columns: usize,
}

impl Unknowns {
    /// # Collective
    ///
    /// # Errors
    /// More unknowns than 64 bits can count.
    pub(crate) fn new(baselines: &Layout, groups: &Groups, columns: usize) -> Result<Unknowns> {
        let len = baselines.local_len() + groups.owned.len() * columns;
        let layout = Layout::from_local_len(baselines.comm(), len)?;
        Ok(Unknowns { layout, middles: groups.middles.clone(), columns })
    }

    /// Takes offsets and amplitudes out of the vector of all.
    pub(crate) fn split(&self, all: &[f64], offsets: &mut [f64], amplitudes: &mut [f64]) {
        let (mut from, mut to) = (0, 0);
        for (&middle, amplitudes) in self.middles.iter().zip(amplitudes.chunks_exact_mut(self.columns)) {
            let count = middle + 1 - to;
            offsets[to..=middle].copy_from_slice(&all[from..from + count]);
            amplitudes.copy_from_slice(&all[from + count..][..self.columns]);
            (from, to) = (from + count + self.columns, middle + 1);
        }
        offsets[to..].copy_from_slice(&all[from..]);
    }

    /// Puts offsets and amplitudes into the vector of all.
    pub(crate) fn join(&self, offsets: &[f64], amplitudes: &[f64], all: &mut [f64]) {
        let (mut from, mut to) = (0, 0);
        for (&middle, amplitudes) in self.middles.iter().zip(amplitudes.chunks_exact(self.columns)) {
            let count = middle + 1 - from;
            all[to..to + count].copy_from_slice(&offsets[from..=middle]);
            all[to + count..][..self.columns].copy_from_slice(amplitudes);
            (from, to) = (middle + 1, to + count + self.columns);
        }
        all[to..].copy_from_slice(&offsets[from..]);
    }
}

/// An operator on offsets, as one on all unknowns that leaves amplitudes as they are.
pub(crate) struct OffsetsOnly<'a> {
    operator: &'a dyn LinearOperator<f64>,
    unknowns: &'a Unknowns,
    work: RefCell<[Vector<f64>; 2]>,
    amplitudes: RefCell<Vec<f64>>,
}

impl<'a> OffsetsOnly<'a> {
    pub(crate) fn new(operator: &'a dyn LinearOperator<f64>, unknowns: &'a Unknowns) -> OffsetsOnly<'a> {
        let work = RefCell::new([Vector::zeros(operator.domain()), Vector::zeros(operator.range())]);
        let amplitudes = RefCell::new(vec![0.0; unknowns.middles.len() * unknowns.columns]);
        OffsetsOnly { operator, unknowns, work, amplitudes }
    }
}

impl LinearOperator<f64> for OffsetsOnly<'_> {
    fn domain(&self) -> &Layout {
        &self.unknowns.layout
    }

    fn range(&self) -> &Layout {
        &self.unknowns.layout
    }

    fn compute(&self, x: &Vector<f64>, y: &mut Vector<f64>) -> CoreResult<()> {
        let ([offsets, result], amplitudes) = (&mut *self.work.borrow_mut(), &mut *self.amplitudes.borrow_mut());
        self.unknowns.split(x.owned(), offsets.owned_mut(), amplitudes);
        self.operator.apply(offsets, result)?;
        self.unknowns.join(result.owned(), amplitudes, y.owned_mut());
        Ok(())
    }
}
