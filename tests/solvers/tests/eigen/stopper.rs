//! A monitor that asks to stop, on one rank only, and keeps snapshots.

use dolmen_core::{Scalar, Snapshot};
use dolmen_solvers::{Monitor, Progress, Request, Result};
use dolmen_tests::Comm;

pub(crate) struct Stopper<T> {
    after: Option<usize>,
    pub(crate) snapshots: Vec<Snapshot<T>>,
}

impl<T: Scalar> Stopper<T> {
    pub(crate) fn new(comm: &Comm, after: usize) -> Stopper<T> {
        let last = comm.rank() + 1 == comm.size();
        Stopper { after: last.then_some(after), snapshots: Vec::new() }
    }
}

impl<T: Scalar> Monitor<T> for Stopper<T> {
    fn progress(&mut self, progress: &Progress) -> Request {
        if self.after == Some(progress.iteration) { Request::Stop } else { Request::Continue }
    }

    fn snapshot(&mut self, snapshot: Snapshot<T>) -> Result<()> {
        self.snapshots.push(snapshot);
        Ok(())
    }
}
