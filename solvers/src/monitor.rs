//! Progress of a running solver, and requests to it.

use dolmen_core::{Scalar, Snapshot};

use crate::error::Result;

/// The state of a solve after an iteration.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Iterations made so far.
    pub iteration: usize,
    /// Residual norm, as in [`SolveReport::history`](crate::SolveReport::history).
    pub residual: f64,
    /// The residual norm to be reached.
    pub target: f64,
    /// Iterations after which the solve ends in any case.
    pub limit: usize,
}

/// Request of a monitor. The request of one rank is enough, except for `Meet`. Requests travel with the sums of
/// the next iteration, and all ranks act on them after it. After the last one that the limit of
/// iterations allows they act at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Request {
    /// Nothing: continue.
    #[default]
    Continue,
    /// A call of [`Monitor::meet`] as soon as every rank wants one.
    Meet,
    /// A snapshot; the solve continues.
    Snapshot,
    /// A snapshot, and stop as [`StopReason::Requested`](crate::StopReason::Requested).
    Stop,
}

impl From<()> for Request {
    fn from((): ()) -> Request {
        Request::Continue
    }
}

/// Watches a solve. A closure `|progress: &Progress| ...` is one, whether it returns a [`Request`]
/// or nothing.
pub trait Monitor<T: Scalar> {
    /// Called on every rank with the initial residual and after each iteration.
    fn progress(&mut self, progress: &Progress) -> Request;

    /// Takes a snapshot that was requested, on all ranks after the same iteration. Does nothing unless
    /// implemented.
    ///
    /// # Collective
    ///
    /// # Errors
    /// An error of any rank ends the solve on all of them.
    fn snapshot(&mut self, snapshot: Snapshot<T>) -> Result<()> {
        let _ = snapshot;
        Ok(())
    }

    /// Called on all ranks after the first iteration in which every one of them has asked to
    /// [`Request::Meet`]: a place to finish together what each rank does by itself meanwhile. Does
    /// nothing unless implemented.
    ///
    /// # Collective
    ///
    /// # Errors
    /// An error of any rank ends the solve on all of them.
    fn meet(&mut self) -> Result<()> {
        Ok(())
    }

    /// Called on all ranks when a solve has ended, unless by an error; by
    /// [`Automatic`](crate::Automatic) once, after all attempts. Does nothing unless implemented.
    ///
    /// # Collective
    ///
    /// # Errors
    /// An error of any rank takes the place of the report.
    fn end(&mut self) -> Result<()> {
        Ok(())
    }
}

impl<T: Scalar, F: FnMut(&Progress) -> R, R: Into<Request>> Monitor<T> for F {
    fn progress(&mut self, progress: &Progress) -> Request {
        self(progress).into()
    }
}
