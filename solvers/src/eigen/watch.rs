//! The end of a search, what its monitor is told, and the snapshots that are handed out; the same in all methods.

use dolmen_core::{Comm, Scalar, Snapshot};

use crate::error::Result;
use crate::krylov::snapshot_state::Archive;
use crate::krylov::stopping::{ResidualTests, StoppingTest, Votes};
use crate::settings::Settings;
use crate::stop_reason::StopReason;

/// Iterations, or restarts of methods that restart, unless another number is given.
pub(super) const ITERATIONS: usize = 1000;

pub(super) struct Watch<'s, 'a, T: Scalar> {
    method: &'static str,
    comm: &'s Comm,
    pub(super) settings: &'s Settings<'a, T>,
    stopping: StoppingTest<'s, 'a, T>,
    votes: Votes,
}

impl<'s, 'a, T: Scalar> Watch<'s, 'a, T> {
    pub(super) fn new(method: &'static str, comm: &'s Comm, settings: &'s Settings<'a, T>) -> Self {
        let (stopping, votes) = (StoppingTest::new(settings), Votes::new(settings, comm));
        Watch { method, comm, settings, stopping, votes }
    }

    pub(super) fn iterations(&self) -> usize {
        self.stopping.iterations
    }

    /// Counts an iteration.
    pub(super) fn count(&mut self) {
        self.stopping.iterations += 1;
    }

    /// Returns the reason to stop before the next iteration, if the monitor or the limit is one; else a new iteration begins.
    pub(super) fn verdict(&self) -> Option<StopReason> {
        let tests = ResidualTests { finite: true, hidden: false, met: false, diverged: false };
        let reason = self.stopping.verdict(&tests, &self.votes);
        if reason.is_none() {
            self.votes.forget();
        }
        reason
    }

    /// Tells the monitor of the largest relative residual, and hears it.
    ///
    /// # Collective
    pub(super) fn tell(&self, worst: f64) -> Result<()> {
        self.stopping.tell(worst, self.settings.rtol, &self.votes);
        self.stopping.hear_last(&self.votes, self.comm)?;
        self.stopping.meet(&self.votes, self.comm)
    }

    /// Returns a snapshot to be filled and delivered, if it is time for one.
    pub(super) fn due_snapshot(&self) -> Option<Snapshot<T>> {
        self.stopping.is_due(&self.votes).then(|| Snapshot::new(self.method))
    }

    /// Gives the monitor a snapshot.
    ///
    /// # Collective
    pub(super) fn deliver(&mut self, snapshot: Snapshot<T>) -> Result<()> {
        self.stopping.deliver(snapshot, self.comm)
    }

    /// Tells the monitor that the search has ended.
    ///
    /// # Collective
    pub(super) fn end(&self) -> Result<()> {
        self.stopping.end(self.comm)
    }

    pub(super) fn archive(&mut self, archive: &mut Archive<'_, T>) {
        self.stopping.archive(archive);
    }
}
