//! Snapshots that carry a mark of their system, so that none is resumed with other data.
//!
//! A checksum of the file of timelines does not see data that lie behind its links, in other files. What is
//! solved does: the mark is made of sums over the right-hand side and the diagonal, whose bits do not depend
//! on the number of ranks.

use dolmen_core::random::Philox;
use dolmen_core::{Reduction, Snapshot, Vector, dots};
use dolmen_solvers::{Monitor, Progress, Request};

use crate::error::{Error, Result};

/// The name of the mark in a snapshot.
const NAME: &str = "system";

/// A monitor that marks the snapshots that it hands on.
pub(crate) struct Marked<'m> {
    monitor: &'m mut dyn Monitor<f64>,
    mark: Vec<f64>,
}

impl<'m> Marked<'m> {
    /// Marks with the right-hand side and the diagonal of a system.
    ///
    /// # Collective
    ///
    /// # Errors
    /// The two live on different layouts.
    pub(crate) fn new(monitor: &'m mut dyn Monitor<f64>, rhs: &Vector<f64>, diagonal: &Vector<f64>) -> Result<Self> {
        let mut weights = Vector::zeros(rhs.layout());
        weights.fill_normal(&Philox::new(1), 0);
        let mark = dots([(rhs, rhs), (rhs, &weights), (diagonal, &weights)], Reduction::Reproducible)?;
        Ok(Marked { monitor, mark: mark.into() })
    }

    /// Refuses a snapshot that is not of this system.
    ///
    /// # Errors
    /// It has another mark, or none.
    pub(crate) fn require(&self, snapshot: &Snapshot<f64>) -> Result<()> {
        let bits = |mark: &[f64]| mark.iter().map(|sum| sum.to_bits()).collect::<Vec<_>>();
        if snapshot.reals(NAME).map(bits) == Some(bits(&self.mark)) { Ok(()) } else { Err(Error::OtherData) }
    }
}

impl Monitor<f64> for Marked<'_> {
    fn progress(&mut self, progress: &Progress) -> Request {
        self.monitor.progress(progress)
    }

    fn snapshot(&mut self, mut snapshot: Snapshot<f64>) -> dolmen_solvers::Result<()> {
        snapshot.set_reals(NAME, self.mark.clone());
        self.monitor.snapshot(snapshot)
    }

    fn meet(&mut self) -> dolmen_solvers::Result<()> {
        self.monitor.meet()
    }

    fn end(&mut self) -> dolmen_solvers::Result<()> {
        self.monitor.end()
    }
}
