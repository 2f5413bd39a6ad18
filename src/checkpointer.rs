//! `Checkpointer`: a monitor that writes checkpoints.
//!
//! Each rank has its own clock and its own signals. What one of them wants becomes a request, which the
//! solver carries to all ranks with the sums of its next iteration; when it then hands out a snapshot,
//! the ranks vote once more on whether it is still wanted, since two ranks may have asked for the same
//! one in consecutive iterations. Nor is one wanted that the solver hands out of its own accord
//! ([`Settings::snapshot_every`](dolmen_solvers::Settings::snapshot_every)).
//!
//! A checkpoint that cannot be written costs no result: it is warned of, the solve continues, and the next one is
//! tried when it is due. [`Checkpointer::finish`] tells of the failure unless a later checkpoint was written.
//!
//! The snapshot is written by threads while the solve continues. When all of them are done the ranks meet
//! in the solver, which needs no message either, and the checkpoint gets its name.

use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dolmen_core::text::{escaped, shown};
use dolmen_core::{Comm, Layout, Scalar, Snapshot};
use dolmen_io::checkpoint::{Checkpoint, CheckpointStore, Signals, Skipped, Wish};
use dolmen_io::{Error, Result};
use dolmen_solvers::{Monitor, Progress, Request};

/// The name of the snapshot in the file.
const SOLVER: &str = "solver";

/// Writes checkpoints of a solve at intervals, on signals and at the limit of iterations, and stops it on SIGTERM and
/// SIGUSR2.
pub struct Checkpointer<'m, T: Scalar> {
    store: CheckpointStore,
    config: String,
    every: Duration,
    /// Until the solve has ended.
    signals: Option<Signals>,
    last: Instant,
    /// The attempt, of a solve that makes several, and the iteration that were saved last.
    place: Option<[Option<u64>; 2]>,
    newest: Option<PathBuf>,
    /// True if this rank asked for a checkpoint that is not saved yet.
    wanted: bool,
    /// The last iteration after which this rank asked.
    asked: Option<usize>,
    /// Reason why the last checkpoint could not be written.
    failure: Option<Error>,
    ask: Option<&'m mut dyn FnMut(&Progress) -> Request>,
    scalar: PhantomData<T>,
}

/// State from which a solve resumes.
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
    /// Describes the checkpoint, and those that were skipped, in one line for each file.
    pub fn describe(&self) -> String {
        let mut lines = Vec::new();
        for Skipped { path, reason, .. } in &self.skipped {
            lines.push(format!("skipped {}, which {}", shown(path), escaped(reason)));
        }
        let iterations = self.snapshot.integer("iterations").unwrap_or(0);
        let attempt = match self.snapshot.integer("attempt") {
            Some(attempt) if attempt > 1 => format!(" of attempt {attempt}"),
            _ => String::new(),
        };
        lines.push(format!("resuming from {} after iteration {iterations}{attempt}", shown(&self.path)));
        lines.join("\n")
    }
}

impl<'m, T: Scalar> Checkpointer<'m, T> {
    /// Opens the folder and begins to watch signals. `config` is any text that has to be the same when
    /// the solve continues: it should name all settings and input that decide about its bits.
    ///
    /// # Collective
    ///
    /// # Errors
    /// The folder cannot be used.
    pub fn new(comm: &Comm, folder: &Path, every: Duration, config: &str) -> Result<Self> {
        // First, so that signals are heard from the moment at which the folder is there.
        let watched = Signals::watch();
        let describe = |source| Error::Io { path: folder.to_owned(), action: "watch signals".into(), source };
        let signals = Some(comm.agree(watched.map_err(describe))?);
        Ok(Checkpointer {
            store: CheckpointStore::open(comm, folder)?,
            config: config.to_owned(),
            every,
            signals,
            last: Instant::now(),
            place: None,
            newest: None,
            wanted: false,
            asked: None,
            failure: None,
            ask: None,
            scalar: PhantomData,
        })
    }

    /// Tells `ask` of the progress too, which can ask for a checkpoint and to stop with one.
    #[must_use]
    pub fn ask(mut self, ask: &'m mut dyn FnMut(&Progress) -> Request) -> Self {
        self.ask = Some(ask);
        self
    }

    /// Loads the newest valid checkpoint; `None` if the folder has none. Each vector gets the first of `layouts`
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
            return Err(Error::File {
                path,
                what: "is a checkpoint without the state of a solver; choose the folder of a solve".into(),
            });
        };
        Ok(Some(Resumed { snapshot, path, skipped }))
    }

    /// Refuses a folder that holds checkpoints, which those of a new run would displace.
    ///
    /// # Collective
    pub fn require_empty(&self) -> Result<()> {
        if self.store.is_empty()? {
            return Ok(());
        }
        let what = "holds checkpoints of an earlier run; add --resume, or choose another folder".to_owned();
        Err(Error::File { path: self.store.folder().to_owned(), what })
    }

    /// Returns the last checkpoint that was written, if any. Call it after the solve, when its result is safe.
    ///
    /// # Errors
    /// The last checkpoint of the solve could not be written; the same on all ranks.
    pub fn finish(self) -> Result<Option<PathBuf>> {
        self.failure.map_or(Ok(self.newest), Err)
    }

    /// Returns the request of this rank.
    fn request(&mut self, progress: &Progress) -> Request {
        let asked = self.ask.as_mut().map_or(Request::Continue, |ask| ask(progress));
        let wish = self.signals.as_ref().and_then(Signals::wish);
        if asked == Request::Stop || wish == Some(Wish::Stop) {
            return Request::Stop;
        }
        let due = progress.iteration >= progress.limit || self.last.elapsed() >= self.every;
        // What this rank asked for after the iteration before is about to be handed out.
        let is_pending = self.asked.is_some_and(|before| before + 1 == progress.iteration);
        if !is_pending && (due || asked == Request::Snapshot || wish == Some(Wish::Save)) {
            self.asked = Some(progress.iteration);
            return Request::Snapshot;
        }
        if self.store.is_written() { Request::Meet } else { Request::Continue }
    }

    fn save(&mut self, snapshot: Snapshot<T>) {
        let place = ["attempt", "iterations"].map(|name| snapshot.integer(name));
        let mut wanted = [u64::from(self.wanted)];
        self.store.comm().all_reduce_max(&mut wanted);
        if wanted == [0] || (place[1].is_some() && self.place == Some(place)) {
            return;
        }
        self.signals.iter().for_each(Signals::saved);
        self.last = Instant::now();
        self.wanted = false;
        self.complete();
        match self.store.begin(Checkpoint::new(self.config.as_str()).give_snapshot(SOLVER, snapshot)) {
            Ok(_) => self.place = Some(place),
            Err(failure) => self.fail(failure),
        }
    }

    fn complete(&mut self) {
        match self.store.complete() {
            Ok(None) => {}
            Ok(Some(saved)) => (self.newest, self.failure) = (Some(saved.path), None),
            Err(failure) => self.fail(failure),
        }
    }

    fn fail(&mut self, failure: Error) {
        if self.store.comm().rank() == 0 {
            tracing::warn!(%failure, "a checkpoint could not be written; the solve continues");
        }
        // The state of this moment may be wanted again.
        self.place = None;
        self.failure = Some(failure);
    }
}

impl<T: Scalar> Monitor<T> for Checkpointer<'_, T> {
    fn progress(&mut self, progress: &Progress) -> Request {
        let request = self.request(progress);
        self.wanted |= matches!(request, Request::Snapshot | Request::Stop);
        request
    }

    fn snapshot(&mut self, snapshot: Snapshot<T>) -> dolmen_solvers::Result<()> {
        self.save(snapshot);
        Ok(())
    }

    fn meet(&mut self) -> dolmen_solvers::Result<()> {
        self.complete();
        Ok(())
    }

    /// From here on signals end the program, and nothing costs the result.
    fn end(&mut self) -> dolmen_solvers::Result<()> {
        self.signals = None;
        self.complete();
        Ok(())
    }
}
