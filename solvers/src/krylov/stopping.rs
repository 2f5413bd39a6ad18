//! Stopping, for the drivers of one right-hand side and of several: how far a solve has come, which
//! reason to stop comes first, what monitors request, and what they are told and given.

use std::cell::Cell;

use dolmen_core::{Comm, Scalar, Snapshot};

use crate::error::Result;
use crate::krylov::snapshot_state::Archive;
use crate::monitor::{Monitor, Progress, Request};
use crate::settings::Settings;
use crate::stop_reason::StopReason;

/// Entries of a history for which there is room beforehand, so that an ordinary solve does not
/// allocate while it iterates.
pub(crate) const RESERVED: usize = 10_000;
/// Starts in a row that may gain too little. One alone may be from a guess that was nearly good enough.
const PATIENCE: usize = 2;

/// Requests of monitors.
const KINDS: [Request; 3] = [Request::Stop, Request::Snapshot, Request::Meet];
const STOP: usize = 0;
const SNAPSHOT: usize = 1;
const MEET: usize = 2;

/// Requests of monitors, on their way to all ranks.
pub(crate) struct Votes {
    /// Number of ranks that have to request it.
    quorum: [f64; 3],
    /// This rank's, one of each kind, until a reduction carries them; `None` without a monitor.
    mine: Cell<Option<[f64; 3]>>,
    /// All ranks', as the reductions of this iteration brought them.
    heard: Cell<[bool; 3]>,
}

impl Votes {
    pub(crate) fn new<T>(settings: &Settings<'_, T>, comm: &Comm) -> Votes {
        let mine = settings.monitor.is_some().then_some([0.0; 3]);
        Votes { quorum: [1.0, 1.0, comm.size() as f64], mine: Cell::new(mine), heard: Cell::default() }
    }

    fn hears(&self, kind: usize) -> bool {
        self.heard.get()[kind]
    }

    /// Makes a reduction in which the votes ride.
    pub(crate) fn ride<V>(&self, reduce: impl FnOnce(&mut [f64]) -> dolmen_core::Result<V>) -> Result<V> {
        let Some(mut riders) = self.mine.get() else {
            return Ok(reduce(&mut [])?);
        };
        let value = reduce(&mut riders)?;
        self.mine.set(Some([0.0; 3]));
        self.heard.set(std::array::from_fn(|kind| self.hears(kind) || riders[kind] >= self.quorum[kind]));
        Ok(value)
    }

    /// Forgets what was heard in the last iteration.
    pub(crate) fn forget(&self) {
        self.heard.set([false; 3]);
    }
}

/// State of the current residuals.
pub(crate) struct ResidualTests {
    pub(crate) finite: bool,
    /// The residual is nonzero but its norm, in the requested sense, is zero, so this norm cannot be a stopping test.
    pub(crate) hidden: bool,
    pub(crate) met: bool,
    pub(crate) diverged: bool,
}

/// Test that decides when a solve stops, and what it keeps from one iteration to the next.
pub(crate) struct StoppingTest<'s, 'a, T> {
    settings: &'s Settings<'a, T>,
    pub(crate) iterations: usize,
    /// True if the current residual has just been computed as `b - A x`.
    pub(crate) is_true: bool,
    /// True if the last start followed a breakdown.
    pub(crate) broke: bool,
    /// Starts in a row that gained too little.
    idle: usize,
    /// The iteration of the last snapshot.
    delivered: Option<usize>,
}

impl<'s, 'a, T: Scalar> StoppingTest<'s, 'a, T> {
    pub(crate) fn new(settings: &'s Settings<'a, T>) -> Self {
        StoppingTest { settings, iterations: 0, is_true: false, broke: false, idle: 0, delivered: None }
    }

    /// Notes whether a start gained what is expected of one.
    pub(crate) fn started_again(&mut self, gained: bool) {
        self.idle = if gained { 0 } else { self.idle + 1 };
    }

    /// Returns the reason to stop before the next step, if any.
    pub(crate) fn verdict(&self, tests: &ResidualTests, votes: &Votes) -> Option<StopReason> {
        if !tests.finite {
            Some(StopReason::NotFinite)
        } else if self.is_true && tests.hidden {
            Some(StopReason::IndefinitePreconditioner)
        } else if self.is_true && tests.met {
            Some(StopReason::Converged)
        } else if self.idle >= PATIENCE {
            Some(if self.broke { StopReason::Breakdown } else { StopReason::Stagnated })
        } else if tests.diverged {
            Some(StopReason::Diverged)
        } else if votes.hears(STOP) {
            Some(StopReason::Requested)
        } else if self.iterations >= self.settings.max_iterations {
            Some(StopReason::IterationLimit)
        } else {
            None
        }
    }

    /// Tells the monitor how far the solve has come.
    pub(crate) fn tell(&self, residual: f64, target: f64, votes: &Votes) {
        if let Some(monitor) = &self.settings.monitor {
            let (iteration, limit) = (self.iterations, self.settings.max_iterations);
            let request = monitor.borrow_mut().progress(&Progress { iteration, residual, target, limit });
            votes.mine.set(Some(KINDS.map(|kind| f64::from(u8::from(request == kind)))));
        }
    }

    /// Returns true if a snapshot is due, which is handed out once for an iteration.
    pub(crate) fn is_due(&self, votes: &Votes) -> bool {
        let (every, iterations) = (self.settings.snapshot_every, self.iterations);
        let regular = every > 0 && iterations > 0 && iterations.is_multiple_of(every);
        let wanted = regular || votes.hears(STOP) || votes.hears(SNAPSHOT);
        wanted && self.settings.monitor.is_some() && self.delivered != Some(iterations)
    }

    /// Gives the monitor a snapshot.
    pub(crate) fn deliver(&mut self, snapshot: Snapshot<T>, comm: &Comm) -> Result<()> {
        self.delivered = Some(self.iterations);
        self.with_monitor(comm, |monitor| monitor.snapshot(snapshot))
    }

    /// Hears what is asked for after an iteration that no other follows, and its sums.
    pub(crate) fn hear_last(&self, votes: &Votes, comm: &Comm) -> Result<()> {
        if self.settings.monitor.is_none() {
            return Ok(());
        }
        votes.ride(|riders| {
            comm.all_reduce_sum(riders);
            Ok(())
        })
    }

    /// Lets the ranks' monitors meet if all of them want to.
    pub(crate) fn meet(&self, votes: &Votes, comm: &Comm) -> Result<()> {
        if votes.hears(MEET) { self.with_monitor(comm, |monitor| monitor.meet()) } else { Ok(()) }
    }

    /// Tells the monitors that the solve has ended.
    pub(crate) fn end(&self, comm: &Comm) -> Result<()> {
        self.with_monitor(comm, |monitor| monitor.end())
    }

    fn with_monitor(&self, comm: &Comm, act: impl FnOnce(&mut dyn Monitor<T>) -> Result<()>) -> Result<()> {
        let Some(monitor) = &self.settings.monitor else {
            return Ok(());
        };
        let outcome = act(&mut **monitor.borrow_mut());
        comm.agree(outcome)
    }

    pub(crate) fn archive(&mut self, archive: &mut Archive<'_, T>) {
        archive.integer("iterations", &mut self.iterations);
        archive.integer("idle starts", &mut self.idle);
        archive.flag("residual is true", &mut self.is_true);
        archive.flag("breakdown", &mut self.broke);
        // Who resumes from a snapshot has that one.
        self.delivered = Some(self.iterations);
    }
}
