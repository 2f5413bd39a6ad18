//! `Checkpointer`: a monitor that writes checkpoints.
//!
//! Each rank has its own clock and its own signals. What one of them wants becomes a request, which the
//! solver carries to all ranks with the sums of its next iteration; when it then hands out a snapshot,
//! the ranks vote once more on whether it is still wanted, since two ranks may have asked for the same
//! one in consecutive iterations.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dolmen_core::{Comm, Layout, Scalar, Snapshot};
use dolmen_io::checkpoint::{Checkpoint, CheckpointStore, Signals, Skipped, Wish};
use dolmen_io::{Error, Result};
use dolmen_solvers::{Monitor, Progress, Request};

/// The name of the snapshot in the file.
const SOLVER: &str = "solver";

/// Writes checkpoints of a solve at intervals and on signals, and stops it on SIGTERM.
pub struct Checkpointer<'m, T: Scalar> {
    store: CheckpointStore,
    config: String,
    every: Duration,
    signals: Signals,
    last: Instant,
    /// The attempt, of a solve that makes several, and the iteration that were saved last.
    place: Option<[Option<u64>; 2]>,
    newest: Option<PathBuf>,
    monitor: Option<&'m mut dyn Monitor<T>>,
}

/// Where a solve goes on.
#[derive(Debug)]
pub struct Resumed<T: Scalar> {
    /// The solver's state, for [`Settings::resume`](dolmen_solvers::Settings::resume).
    pub snapshot: Snapshot<T>,
    /// The file it comes from.
    pub path: PathBuf,
    /// Later ones that were damaged.
    pub skipped: Vec<Skipped>,
}

impl<T: Scalar> Resumed<T> {
    /// In words, a line for each of the files.
    pub(super) fn describe(&self) -> String {
        let mut lines = Vec::new();
        for Skipped { path, reason, .. } in &self.skipped {
            lines.push(format!("skipped {}, which {reason}", path.display()));
        }
        let iterations = self.snapshot.integer("iterations").unwrap_or(0);
        let attempt = match self.snapshot.integer("attempt") {
            Some(attempt) if attempt > 1 => format!(" of attempt {attempt}"),
            _ => String::new(),
        };
        lines.push(format!("going on from {} after iteration {iterations}{attempt}", self.path.display()));
        lines.join("\n")
    }
}

impl<'m, T: Scalar> Checkpointer<'m, T> {
    /// Opens the folder and begins to watch signals. `config` is any text that has to be the same when
    /// the solve goes on: it should name all settings and input that decide about its bits.
    ///
    /// # Collective
    ///
    /// # Errors
    /// The folder cannot be used.
    pub fn new(comm: &Comm, folder: &Path, every: Duration, config: &str) -> Result<Self> {
        // First, so that signals are heard from the moment at which the folder is there.
        let watched = Signals::watch();
        let describe = |source| Error::Io { path: folder.to_owned(), action: "watch signals".into(), source };
        let signals = comm.agree(watched.map_err(describe))?;
        let store = CheckpointStore::open(comm, folder)?;
        let config = config.to_owned();
        let (place, newest, monitor) = (None, None, None);
        Ok(Checkpointer { store, config, every, signals, last: Instant::now(), place, newest, monitor })
    }

    /// Tells another monitor of the progress too.
    #[must_use]
    pub fn monitor(mut self, monitor: &'m mut dyn Monitor<T>) -> Self {
        self.monitor = Some(monitor);
        self
    }

    /// The newest valid checkpoint; none if the folder has none. Each vector gets the first of `layouts`
    /// that has its length, and is spread evenly if none has.
    ///
    /// # Collective
    ///
    /// # Errors
    /// There are checkpoints, but none is valid, or it is of another configuration.
    pub fn resume(&mut self, layouts: &[&Layout]) -> Result<Option<Resumed<T>>> {
        let Some(mut restored) = self.store.load()? else { return Ok(None) };
        restored.require_config(&self.config)?;
        let (path, skipped) = (restored.path().to_owned(), restored.skipped().to_vec());
        let Some(snapshot) = restored.take_snapshot(SOLVER, layouts)? else {
            return Err(Error::File { path, what: "holds no state of a solver".into() });
        };
        Ok(Some(Resumed { snapshot, path, skipped }))
    }

    /// Refuses a folder that holds checkpoints, which those of a new run would displace.
    ///
    /// # Collective
    pub(super) fn require_empty(&self) -> Result<()> {
        if self.store.is_empty()? {
            return Ok(());
        }
        let what = "holds checkpoints of an earlier run; add --resume, or name another folder".to_owned();
        Err(Error::File { path: self.store.folder().to_owned(), what })
    }

    /// The checkpoint that was written last.
    pub fn newest(&self) -> Option<&Path> {
        self.newest.as_deref()
    }

    /// What this rank wants.
    fn request(&self) -> Request {
        match self.signals.wish() {
            Some(Wish::Stop) => Request::Stop,
            Some(Wish::Save) => Request::Snapshot,
            None if self.last.elapsed() >= self.every => Request::Snapshot,
            None => Request::Continue,
        }
    }

    fn save(&mut self, snapshot: &Snapshot<T>) -> Result<()> {
        let place = ["attempt", "iterations"].map(|name| snapshot.integer(name));
        let mut wanted = [u64::from(self.request() != Request::Continue)];
        self.store.comm().all_reduce_max(&mut wanted);
        if wanted == [0] || (place[1].is_some() && self.place == Some(place)) {
            return Ok(());
        }
        self.signals.saved();
        let saved = self.store.save(&Checkpoint::new(self.config.as_str()).snapshot(SOLVER, snapshot))?;
        self.newest = Some(saved.path);
        self.place = Some(place);
        self.last = Instant::now();
        Ok(())
    }
}

impl<T: Scalar> Monitor<T> for Checkpointer<'_, T> {
    fn progress(&mut self, progress: &Progress) -> Request {
        let other = self.monitor.as_mut().map_or(Request::Continue, |monitor| monitor.progress(progress));
        match (other, self.request()) {
            (Request::Stop, _) | (_, Request::Stop) => Request::Stop,
            (Request::Snapshot, _) | (_, Request::Snapshot) => Request::Snapshot,
            (Request::Continue, Request::Continue) => Request::Continue,
        }
    }

    fn snapshot(&mut self, snapshot: &Snapshot<T>) -> dolmen_solvers::Result<()> {
        let core = |error| match error {
            Error::Agreed(error) => error,
            // All ranks have it: its text names no rank.
            other => dolmen_core::Error::Agreed { rank: 0, everywhere: true, message: other.to_string() },
        };
        self.save(snapshot).map_err(core)?;
        self.monitor.as_mut().map_or(Ok(()), |monitor| monitor.snapshot(snapshot))
    }
}
