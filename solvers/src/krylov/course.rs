//! What the drivers of one right-hand side and of several share: how far a solve has come, which
//! reason to stop comes first, and what its monitor is told and given.

use std::cell::Cell;

use dolmen_core::{Comm, Scalar, Snapshot};

use crate::error::Result;
use crate::krylov::iteration::Archive;
use crate::monitor::{Progress, Request};
use crate::report::StopReason;
use crate::settings::Settings;

/// Entries of a history for which there is room beforehand, so that an ordinary solve does not
/// allocate while it iterates.
pub(crate) const RESERVED: usize = 10_000;
/// Starts in a row that may gain too little. One alone may be from a guess that was nearly good enough.
const PATIENCE: usize = 2;

/// What monitors ask for, on its way to all ranks.
#[derive(Default)]
pub(crate) struct Wishes {
    /// This rank's, to stop and for a snapshot, until a reduction carries them; `None` without a monitor.
    mine: Cell<Option<[f64; 2]>>,
    /// All ranks', as the reductions of this iteration brought them.
    heard: Cell<[bool; 2]>,
}

impl Wishes {
    pub(crate) fn new<T>(settings: &Settings<'_, T>) -> Wishes {
        Wishes { mine: Cell::new(settings.monitor.is_some().then_some([0.0; 2])), heard: Cell::default() }
    }

    /// Makes a reduction in which the wishes ride.
    pub(crate) fn ride<V>(&self, reduce: impl FnOnce(&mut [f64]) -> dolmen_core::Result<V>) -> Result<V> {
        let Some(mut riders) = self.mine.get() else {
            return Ok(reduce(&mut [])?);
        };
        let value = reduce(&mut riders)?;
        self.mine.set(Some([0.0; 2]));
        let heard = self.heard.get();
        self.heard.set(std::array::from_fn(|i| heard[i] || riders[i] > 0.0));
        Ok(value)
    }

    /// Forgets what was heard in the last iteration.
    pub(crate) fn forget(&self) {
        self.heard.set([false; 2]);
    }
}

/// What the residuals at hand say.
pub(crate) struct Signs {
    pub(crate) finite: bool,
    /// A residual that is there vanishes in the norm that was asked for, which then is none.
    pub(crate) hidden: bool,
    pub(crate) met: bool,
    pub(crate) diverged: bool,
}

/// Where a solve stands.
pub(crate) struct Course<'s, 'a, T> {
    settings: &'s Settings<'a, T>,
    pub(crate) iterations: usize,
    /// Whether the residual at hand has just been computed as `b - A x`.
    pub(crate) is_true: bool,
    /// Whether the last start followed a breakdown.
    pub(crate) broke: bool,
    /// Starts in a row that gained too little.
    idle: usize,
    /// The iteration of the last snapshot.
    delivered: Option<usize>,
}

impl<'s, 'a, T: Scalar> Course<'s, 'a, T> {
    pub(crate) fn new(settings: &'s Settings<'a, T>) -> Self {
        Course { settings, iterations: 0, is_true: false, broke: false, idle: 0, delivered: None }
    }

    /// Notes whether a start gained what is expected of one.
    pub(crate) fn started_again(&mut self, gained: bool) {
        self.idle = if gained { 0 } else { self.idle + 1 };
    }

    /// Whether to stop before the next step.
    pub(crate) fn verdict(&self, signs: &Signs, wishes: &Wishes) -> Option<StopReason> {
        if !signs.finite {
            Some(StopReason::NotFinite)
        } else if self.is_true && signs.hidden {
            Some(StopReason::IndefinitePreconditioner)
        } else if self.is_true && signs.met {
            Some(StopReason::Converged)
        } else if self.idle >= PATIENCE {
            Some(if self.broke { StopReason::Breakdown } else { StopReason::Stagnated })
        } else if signs.diverged {
            Some(StopReason::Diverged)
        } else if wishes.heard.get()[0] {
            Some(StopReason::Requested)
        } else if self.iterations >= self.settings.max_iterations {
            Some(StopReason::IterationLimit)
        } else {
            None
        }
    }

    /// Tells the monitor how far the solve has come.
    pub(crate) fn tell(&self, residual: f64, target: f64, wishes: &Wishes) {
        if let Some(monitor) = &self.settings.monitor {
            let request = monitor.borrow_mut().progress(&Progress { iteration: self.iterations, residual, target });
            let wish = [Request::Stop, Request::Snapshot].map(|kind| f64::from(u8::from(request == kind)));
            wishes.mine.set(Some(wish));
        }
    }

    /// Whether it is time for a snapshot, which is handed out once for an iteration.
    pub(crate) fn is_due(&self, wishes: &Wishes) -> bool {
        let (every, iterations) = (self.settings.snapshot_every, self.iterations);
        let regular = every > 0 && iterations > 0 && iterations.is_multiple_of(every);
        let wanted = regular || wishes.heard.get().contains(&true);
        wanted && self.settings.monitor.is_some() && self.delivered != Some(iterations)
    }

    /// Gives the monitor a snapshot.
    pub(crate) fn deliver(&mut self, snapshot: &Snapshot<T>, comm: &Comm) -> Result<()> {
        self.delivered = Some(self.iterations);
        if let Some(monitor) = &self.settings.monitor {
            let outcome = monitor.borrow_mut().snapshot(snapshot);
            comm.agree(outcome)?;
        }
        Ok(())
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
