//! A job that runs one trial after the other, from the side that watches it.
//!
//! To start ranks takes most of the time of a short trial. So the trials of a test file share a job for each
//! number of ranks, as long as they pass. One that does not ends its job, and the next one starts another.

use std::collections::BTreeMap;
use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use tempfile::TempDir;

use crate::case::{Body, Case, Checksums};
use crate::mpirun::{DELAY, Job, Mpirun, POLL};
use crate::orders::Giver;
use crate::rank;
use crate::status::{self, Event};
use crate::verdict::{complaint, judge, logs};

/// Time for the other ranks to continue after one has failed, so that they can report too.
const GRACE: Duration = Duration::from_secs(2);
/// Interval between readings of the ranks' records while they run and say nothing.
const LOOK: Duration = Duration::from_millis(100);
/// Time for ranks to leave MPI.
const DEADLINE: Duration = Duration::from_secs(60);
/// Trials of one job. Each may leave communicators behind, of which MPICH has two thousand.
const MOST: usize = 60;

/// A run of a case that ended well.
pub(crate) struct Passed {
    pub(crate) skipped: Option<String>,
    pub(crate) checksums: Checksums,
}

/// The factor on all deadlines: `DOLMEN_TEST_PATIENCE`, for slow machines.
fn patience() -> u32 {
    let asked = env::var("DOLMEN_TEST_PATIENCE").ok().and_then(|factor| factor.parse().ok());
    asked.unwrap_or(1)
}

/// The jobs of a test file, by their numbers of ranks.
#[derive(Default)]
pub(crate) struct Jobs(Mutex<BTreeMap<usize, Queue>>);

/// The job that runs now on some number of ranks, and how many runs are still to come there.
#[derive(Default)]
struct Queue {
    to_come: usize,
    session: Option<Session>,
}

impl Jobs {
    /// Announces a run on this number of ranks.
    pub(crate) fn announce(&self, ranks: usize) {
        self.queues().entry(ranks).or_default().to_come += 1;
    }

    fn queues(&self) -> MutexGuard<'_, BTreeMap<usize, Queue>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a case on one number of ranks, which was announced unless the case runs alone.
    pub(crate) fn run(&self, case: &Case, ranks: usize) -> Result<Passed, Failed> {
        if case.alone {
            return Ok(Session::start(ranks, false)?.run(case, true)?.0);
        }
        let mut queues = self.queues();
        let queue = queues.entry(ranks).or_default();
        queue.to_come -= 1;
        let session = match queue.session.take() {
            Some(session) => session,
            None => Session::start(ranks, queue.to_come > 0)?,
        };
        let is_last = queue.to_come == 0 || session.passed.len() + 1 == MOST;
        let (passed, session) = session.run(case, is_last)?;
        queue.session = session;
        Ok(passed)
    }

    /// Gives up a run that was announced.
    pub(crate) fn forgo(&self, ranks: usize) -> Result<(), Failed> {
        let mut queues = self.queues();
        let queue = queues.entry(ranks).or_default();
        queue.to_come -= 1;
        let over = if queue.to_come == 0 { queue.session.take() } else { None };
        over.map_or(Ok(()), Session::leave)
    }
}

/// A job and its trials so far, all of which passed.
struct Session {
    job: Job,
    ranks: usize,
    giver: Giver,
    passed: Vec<&'static str>,
    /// The folder of the last trial; that of the job at first.
    last: PathBuf,
    folder: TempDir,
}

impl Session {
    /// Starts the ranks of a job, in which several cases are `shared` or one runs alone.
    fn start(ranks: usize, shared: bool) -> io::Result<Session> {
        let folder = tempfile::Builder::new().prefix("dolmen-test-").tempdir()?;
        let giver = Giver::new(folder.path(), ranks)?;
        let mut job = Mpirun::new(ranks).program(env::current_exe()?).env(rank::FOLDER, folder.path());
        // If several ranks fail, each has time to record why.
        job = job.env(DELAY, "1");
        if shared {
            job = job.env(rank::SHARED, "1");
        }
        let last = folder.path().to_owned();
        Ok(Session { job: job.spawn()?, ranks, giver, passed: Vec::new(), last, folder })
    }

    /// Runs a case. Returns the session with it unless this was the last case.
    fn run(mut self, case: &Case, is_last: bool) -> Result<(Passed, Option<Session>), Failed> {
        let deadline = case.deadline * patience();
        self.job.restart_clock(deadline);
        self.last = self.giver.give(&case.key())?;
        let mut watch = Watch::new(&self.last, self.ranks);
        let still_runs = self.job.wait_while(|| watch.goes_on(&self.giver))?;
        let (folder, records) = (self.last.clone(), watch.records());
        let (session, _folder) = if still_runs && watch.has_passed() && !is_last {
            self.passed.push(case.name);
            (Some(self), None)
        } else {
            let title = format!("{} on {} ranks", case.name, self.ranks);
            (None, Some(self.end(&title, deadline, watch)?))
        };
        let skipped = records.into_iter().flatten().find_map(|event| match event {
            Event::Skipped(reason) => Some(reason),
            _ => None,
        });
        let checksums = match case.body {
            Body::SameBits(_) => rank::read_checksums(&folder).map_err(|error| Failed::from(error.to_string()))?,
            Body::Ranks(_) | Body::Serial(_) => Checksums::new(),
        };
        Ok((Passed { skipped, checksums }, session))
    }

    /// Ends the job between two cases.
    fn leave(mut self) -> Result<(), Failed> {
        let deadline = DEADLINE * patience();
        self.job.restart_clock(deadline);
        let title = format!("the end of a job of {} ranks", self.ranks);
        let watch = Watch::new(&self.last, self.ranks);
        self.end(&title, deadline, watch).map(drop)
    }

    /// Lets the ranks leave, or ends them where one has failed or they had their time, and reports what was wrong.
    /// Returns the folder of the job, which is removed when it is dropped.
    fn end(self, title: &str, deadline: Duration, mut watch: Watch) -> Result<TempDir, Failed> {
        let Session { job, ranks, giver, passed, last, folder } = self;
        drop(giver);
        let output = job.wait_unless(|| watch.failure_is_final())?;
        let complaints = judge(&watch.records(), &output, deadline);
        if complaints.is_empty() {
            return Ok(folder);
        }
        let mut text = format!("{title}: {}\n{}", complaints.join("\n  "), logs(&last, ranks, &output)?);
        if !passed.is_empty() {
            text += &format!("--- passed before in the same processes ---\n{}\n", passed.join(", "));
        }
        Err(text.into())
    }
}

/// Reads the records of a trial while it runs, and notices that a rank has failed and the others have had their time to
/// follow.
struct Watch {
    folder: PathBuf,
    ranks: usize,
    looked: Option<Instant>,
    failed: Option<Instant>,
    /// All ranks have returned from the case or failed.
    over: bool,
}

impl Watch {
    fn new(folder: &Path, ranks: usize) -> Watch {
        Watch { folder: folder.to_owned(), ranks, looked: None, failed: None, over: false }
    }

    fn records(&self) -> Vec<Vec<Event>> {
        (0..self.ranks).map(|rank| status::read(&self.folder, rank)).collect()
    }

    /// Waits for a moment, or until a rank has returned. Returns false if there is nothing more to wait for.
    fn goes_on(&mut self, giver: &Giver) -> io::Result<bool> {
        if giver.wait(POLL)? {
            self.look();
        }
        Ok(!self.failure_is_final() && !self.over)
    }

    fn failure_is_final(&mut self) -> bool {
        if self.looked.is_none_or(|looked| looked.elapsed() > LOOK) {
            self.look();
        }
        self.failed.is_some_and(|failed| failed.elapsed() > GRACE)
    }

    fn look(&mut self) {
        let records = self.records();
        self.looked = Some(Instant::now());
        if records.iter().any(|events| complaint(events).is_some()) {
            self.failed.get_or_insert_with(Instant::now);
        }
        self.over = records.iter().all(|events| complaint(events).is_some() || events.contains(&Event::Returned));
    }

    /// Returns whether all ranks have returned without a failure.
    fn has_passed(&self) -> bool {
        self.over && self.failed.is_none()
    }
}
