//! The search for wanted values by a process that expands and restarts a basis: when to restart, when to lock, when to
//! take the second look that [`lanczos`](super::lanczos) tells of, and when to stop.

use dolmen_core::{Comm, Scalar};

use crate::eigen::watch::Watch;
use crate::eigen::which::Which;
use crate::error::{Error, Result};
use crate::krylov::snapshot_state::Archive;
use crate::settings::Settings;
use crate::stop_reason::StopReason;

/// Share of the tolerance at which a pair counts as converged by its estimate: what is found after it is orthogonal to
/// it, and so has a part of its residual too.
const MARGIN: f64 = 0.1;
/// Length of the residual of the best value of a second look, beside its distance from the worst that is wanted: at most this
/// part of its vector can be one that would be wanted more, and of a random vector that is unlikely to be so little.
const HIDDEN: f64 = 1e-3;
/// Steps after which the values are looked at, at least: that is cheap beside the steps.
const LOOK: usize = 8;

/// Approximations that the basis of a process holds.
#[derive(Default)]
pub(super) struct Ritz {
    /// Values of the transformed operator; those that are locked come first.
    pub(super) values: Vec<f64>,
    /// Lengths of their residuals.
    pub(super) residuals: Vec<f64>,
    /// Residuals of this size are rounding errors.
    pub(super) noise: f64,
    /// Values that are locked.
    pub(super) locked: usize,
    /// True if no vector is beside the basis.
    pub(super) complete: bool,
}

/// A process that expands a basis.
pub(super) trait Process<T: Scalar> {
    /// Takes a random vector as the next one; with an empty basis also what it needs to know of the operator.
    fn begin(&mut self) -> Result<()>;

    /// Adds a vector to the basis.
    fn step(&mut self) -> Result<()>;

    /// Returns the number of vectors of the basis.
    fn filled(&self) -> usize;

    /// Returns true if the basis has all vectors that it may have.
    fn is_full(&self) -> bool;

    /// Finds the values in the basis.
    fn decompose(&mut self) -> Result<()>;

    fn ritz(&self) -> &Ritz;

    /// Keeps approximations; what follows is coupled to them.
    fn keep(&mut self, places: &[usize]) -> Result<()>;

    /// Keeps approximations, which are exact enough to be left alone.
    fn lock(&mut self, places: &[usize]) -> Result<()>;

    /// Returns the wanted value that belongs to one of the transformed operator.
    fn value(&self, theta: f64) -> f64 {
        theta
    }

    /// Returns what a relative residual has to be multiplied with for that of the wanted value.
    fn magnification(&self, theta: f64) -> f64 {
        let _ = theta;
        1.0
    }

    /// Returns by how much one value of the transformed operator is wanted more than another.
    fn lead(&self, which: Which, a: f64, b: f64) -> f64 {
        which.lead(a, b)
    }

    /// Names all of the state between a restart and the steps after it.
    fn archive(&mut self, archive: &mut Archive<'_, T>);
}

/// A search under way.
pub(super) struct Search<'s, 'a, T: Scalar> {
    method: &'static str,
    count: usize,
    which: Which,
    comm: &'s Comm,
    pub(super) watch: Watch<'s, 'a, T>,
}

/// Verdict on what the basis holds.
enum Finding {
    /// Not all of the wanted values are converged.
    Open,
    /// They are, but other copies of them may be missing.
    Converged,
    /// A second look has found nothing better.
    Confirmed,
}

impl<'s, 'a, T: Scalar> Search<'s, 'a, T> {
    pub(super) fn new(
        method: &'static str,
        count: usize,
        which: Which,
        comm: &'s Comm,
        settings: &'s Settings<'a, T>,
    ) -> Self {
        Search { method, count, which, comm, watch: Watch::new(method, comm, settings) }
    }

    /// Searches until all wanted values are found, or there is another reason to stop.
    ///
    /// # Collective
    pub(super) fn run(&mut self, process: &mut impl Process<T>) -> Result<StopReason> {
        match self.watch.settings.resume {
            Some(snapshot) => {
                let mut archive = Archive::load(snapshot, self.method);
                self.archive(process, &mut archive);
                archive.agree(self.comm)?;
            }
            None => process.begin()?,
        }
        loop {
            if let Some(reason) = self.watch.verdict() {
                process.decompose()?;
                return Ok(reason);
            }
            self.expand(process)?;
            let order = self.order(process);
            if order.len() < self.count {
                return Err(Error::FewEigenvalues { method: self.method, wanted: self.count, found: order.len() });
            }
            self.watch.count();
            self.tell(process, &order)?;
            match self.judge(process, &order) {
                Finding::Confirmed => return Ok(StopReason::Converged),
                Finding::Converged => {
                    process.lock(&order[..self.count])?;
                    process.begin()?;
                }
                Finding::Open => self.restart(process, &order)?,
            }
            self.hand_out(process)?;
        }
    }

    /// Adds vectors until the basis is full, or holds what is wanted, and finds the values in it.
    fn expand(&self, process: &mut impl Process<T>) -> Result<()> {
        let every = LOOK.max(process.filled() / 4);
        let mut steps = 0;
        while !process.is_full() {
            process.step()?;
            steps += 1;
            if steps % every == 0 && process.filled() > self.count {
                process.decompose()?;
                if !matches!(self.judge(process, &self.order(process)), Finding::Open) {
                    return Ok(());
                }
            }
        }
        process.decompose()
    }

    /// Returns the places of the values in the basis, most wanted first.
    pub(super) fn order(&self, process: &impl Process<T>) -> Vec<usize> {
        let values: Vec<f64> = process.ritz().values.iter().map(|&theta| process.value(theta)).collect();
        self.which.order(&values)
    }

    fn is_converged(&self, process: &impl Process<T>, place: usize) -> bool {
        let ritz = process.ritz();
        let (theta, residual) = (ritz.values[place], ritz.residuals[place]);
        let bound = MARGIN * self.watch.settings.rtol * theta.abs();
        residual * process.magnification(theta) <= bound || residual <= ritz.noise
    }

    fn judge(&self, process: &impl Process<T>, order: &[usize]) -> Finding {
        let ritz = process.ritz();
        let (wanted, others) = order.split_at(self.count);
        if !wanted.iter().all(|&place| self.is_converged(process, place)) {
            return Finding::Open;
        }
        if ritz.complete {
            return Finding::Confirmed;
        }
        if !wanted.iter().all(|&place| place < ritz.locked) {
            return Finding::Converged;
        }
        let decided = others.first().is_some_and(|&place| {
            let lead = process.lead(self.which, ritz.values[wanted[self.count - 1]], ritz.values[place]);
            self.is_converged(process, place) || ritz.residuals[place] <= HIDDEN * lead
        });
        if decided { Finding::Confirmed } else { Finding::Open }
    }

    /// Keeps half of the basis, what is locked first.
    fn restart(&self, process: &mut impl Process<T>, order: &[usize]) -> Result<()> {
        let (filled, locked) = (order.len(), process.ritz().locked);
        let kept = (filled / 2).max(self.count + 1).min(filled - 1);
        let others = order.iter().copied().filter(|place| *place >= locked);
        let places: Vec<usize> = (0..locked).chain(others).take(kept).collect();
        process.keep(&places)
    }

    /// Tells the monitor of the largest relative residual.
    fn tell(&self, process: &impl Process<T>, order: &[usize]) -> Result<()> {
        let ritz = process.ritz();
        let relative = |&place: &usize| match (ritz.residuals[place], ritz.values[place]) {
            (0.0, _) => 0.0,
            (residual, theta) => residual / theta.abs() * process.magnification(theta),
        };
        let worst = order[..self.count].iter().map(relative).fold(0.0, f64::max);
        self.watch.tell(worst)
    }

    fn hand_out(&mut self, process: &mut impl Process<T>) -> Result<()> {
        let Some(mut snapshot) = self.watch.due_snapshot() else {
            return Ok(());
        };
        self.archive(process, &mut Archive::Save(&mut snapshot));
        self.watch.deliver(snapshot)
    }

    fn archive(&mut self, process: &mut impl Process<T>, archive: &mut Archive<'_, T>) {
        self.watch.archive(archive);
        process.archive(archive);
    }
}
