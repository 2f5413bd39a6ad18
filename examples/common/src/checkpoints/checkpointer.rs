//! `Checkpointer`: a monitor that writes checkpoints.
//!
//! Each rank has its own clock and its own signals. What one of them wants becomes a request, which the
//! solver carries to all ranks with the sums of its next iteration; when it then hands out a snapshot,
//! the ranks vote once more on whether it is still wanted, since two ranks may have asked for the same
//! one in consecutive iterations.
//!
//! The snapshot is written by threads while the solve goes on. When all of them are done the ranks meet
//! in the solver, which needs no message either, and the checkpoint gets its name.

use std::marker::PhantomData;
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
    /// Whether there was an iteration after which this rank wanted what is not saved yet.
    wanted: bool,
    ask: Option<&'m mut dyn FnMut(&Progress) -> Request>,
    scalar: PhantomData<T>,
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
        let (place, newest, ask, last) = (None, None, None, Instant::now());
        let (wanted, scalar) = (false, PhantomData);
        Ok(Checkpointer { store, config, every, signals, last, place, newest, wanted, ask, scalar })
    }

    /// Tells `ask` of the progress too, which can ask for a checkpoint and to stop with one.
    #[must_use]
    pub fn ask(mut self, ask: &'m mut dyn FnMut(&Progress) -> Request) -> Self {
        self.ask = Some(ask);
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
    fn request(&mut self, progress: &Progress) -> Request {
        let asked = self.ask.as_mut().map_or(Request::Continue, |ask| ask(progress));
        let wish = self.signals.wish();
        if asked == Request::Stop || wish == Some(Wish::Stop) {
            return Request::Stop;
        }
        let due = self.last.elapsed() >= self.every || progress.iteration >= progress.limit;
        if due || asked == Request::Snapshot || wish == Some(Wish::Save) {
            return Request::Snapshot;
        }
        if self.store.is_written() { Request::Meet } else { Request::Continue }
    }

    fn save(&mut self, snapshot: Snapshot<T>) -> Result<()> {
        let place = ["attempt", "iterations"].map(|name| snapshot.integer(name));
        let mut wanted = [u64::from(self.wanted)];
        self.store.comm().all_reduce_max(&mut wanted);
        if wanted == [0] || (place[1].is_some() && self.place == Some(place)) {
            return Ok(());
        }
        self.signals.saved();
        self.complete()?;
        self.store.begin(Checkpoint::new(self.config.as_str()).give_snapshot(SOLVER, snapshot))?;
        self.place = Some(place);
        self.last = Instant::now();
        self.wanted = false;
        Ok(())
    }

    fn complete(&mut self) -> Result<()> {
        if let Some(saved) = self.store.complete()? {
            self.newest = Some(saved.path);
        }
        Ok(())
    }
}

impl<T: Scalar> Monitor<T> for Checkpointer<'_, T> {
    fn progress(&mut self, progress: &Progress) -> Request {
        let request = self.request(progress);
        self.wanted |= matches!(request, Request::Snapshot | Request::Stop);
        request
    }

    fn snapshot(&mut self, snapshot: Snapshot<T>) -> dolmen_solvers::Result<()> {
        Ok(self.save(snapshot).map_err(core)?)
    }

    fn meet(&mut self) -> dolmen_solvers::Result<()> {
        Ok(self.complete().map_err(core)?)
    }
}

fn core(error: Error) -> dolmen_core::Error {
    match error {
        Error::Agreed(error) => error,
        // All ranks have it: its text names no rank.
        other => dolmen_core::Error::Agreed { rank: 0, everywhere: true, message: other.to_string() },
    }
}
