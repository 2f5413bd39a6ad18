//! Programs under the MPI launcher, with a deadline and without leftovers.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::stopwatch::Stopwatch;
use crate::{ffi, processes};

/// Interval between looks at a running job.
pub(crate) const POLL: Duration = Duration::from_millis(10);
/// Interval between looks for a file; short, as the next step of a test often has to meet a moment soon after.
const POLL_FILE: Duration = Duration::from_millis(2);
/// Time for a job to end after SIGTERM, and again after SIGKILL.
const MERCY: Duration = Duration::from_secs(3);

/// Seconds for which Open MPI's launcher sleeps, once or twice, when a rank has failed and it ends the others, even if
/// they have ended. By default it is one, which is most of the time of a program that refuses its input.
pub(crate) const DELAY: &str = "OMPI_MCA_odls_base_sigkill_timeout";

/// A program to run on several ranks. `scripts/mpirun.sh` chooses the launcher and its flags.
#[derive(Debug)]
pub struct Mpirun {
    ranks: usize,
    program: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    folder: Option<PathBuf>,
    deadline: Duration,
}

/// Result of a job.
#[derive(Debug)]
pub struct Output {
    /// Exit status of the launcher.
    pub status: ExitStatus,
    /// Standard output of the ranks and the launcher.
    pub stdout: String,
    /// Standard error of the ranks and the launcher.
    pub stderr: String,
    /// True if the job was ended because it was still running at its deadline.
    pub timed_out: bool,
    /// From the start of the job to its end, less the time for which the machine did other work.
    pub elapsed: Duration,
}

impl Mpirun {
    /// A job of `ranks` ranks, with a deadline of one minute.
    pub fn new(ranks: usize) -> Mpirun {
        Mpirun {
            ranks,
            program: PathBuf::new(),
            args: Vec::new(),
            env: Vec::new(),
            folder: None,
            deadline: Duration::from_secs(60),
        }
    }

    /// The program every rank runs.
    #[must_use]
    pub fn program(mut self, program: impl AsRef<Path>) -> Mpirun {
        self.program = program.as_ref().to_owned();
        self
    }

    /// Adds arguments of the program.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Mpirun {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets a variable in the environment of the launcher and all ranks.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Mpirun {
        self.env.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Starts the ranks in `folder` instead of the test's own working directory.
    #[must_use]
    pub fn current_dir(mut self, folder: impl AsRef<Path>) -> Mpirun {
        self.folder = Some(folder.as_ref().to_owned());
        self
    }

    /// Ends the job if it still runs after this time. While its processes wait for a core because the
    /// machine does other work, the time stands still.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Mpirun {
        self.deadline = deadline;
        self
    }

    /// Runs the job to its end or deadline.
    ///
    /// # Errors
    /// If the launcher cannot be started or its output cannot be read. A job that fails is not
    /// an error here.
    pub fn run(self) -> io::Result<Output> {
        self.spawn()?.wait()
    }

    /// Starts the job. Dropping it ends it.
    ///
    /// # Errors
    /// If no program was named or the launcher cannot be started.
    pub fn spawn(self) -> io::Result<Job> {
        if self.program.as_os_str().is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "Mpirun: no program was named"));
        }
        let folder = tempfile::Builder::new().prefix("dolmen-job-").tempdir()?;
        let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/mpirun.sh"));
        command
            .arg("-n")
            .arg(self.ranks.to_string())
            .arg(&self.program)
            .args(&self.args)
            .env(DELAY, "0")
            // The launcher's session files go with the job, even when it is killed.
            .env("TMPDIR", folder.path())
            .envs(self.env)
            .env(processes::JOB, folder.path())
            .stdin(Stdio::null())
            // Files, not pipes: a rank can neither block on them nor keep us waiting for their end.
            .stdout(File::create(folder.path().join("stdout"))?)
            .stderr(File::create(folder.path().join("stderr"))?)
            .process_group(0);
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        ffi::end_with_parent(&mut command);
        let watch = RefCell::new(Stopwatch::start());
        let launcher = command.spawn()?;
        Ok(Job { launcher, ended: None, ranks: self.ranks, folder, watch, deadline: self.deadline })
    }
}

/// A running job. Dropping it ends all its processes.
#[derive(Debug)]
pub struct Job {
    launcher: Child,
    ended: Option<ExitStatus>,
    ranks: usize,
    folder: TempDir,
    watch: RefCell<Stopwatch>,
    deadline: Duration,
}

impl Job {
    /// The process id of the launcher.
    pub fn launcher(&self) -> u32 {
        self.launcher.id()
    }

    /// The process ids of the ranks that are running now.
    pub fn ranks(&self) -> BTreeMap<usize, u32> {
        processes::ranks(self.folder.path().as_os_str())
    }

    /// All processes of the job that are running now, the launcher included.
    pub fn processes(&self) -> Vec<u32> {
        processes::of_job(self.folder.path().as_os_str())
    }

    /// Returns whether the job has had more time than its deadline. To be called often while a test waits for
    /// something that the job does.
    pub fn is_late(&self) -> bool {
        self.watch.borrow_mut().is_past(self.deadline, self.folder.path().as_os_str())
    }

    /// Waits until all ranks are running and returns their process ids, by rank.
    ///
    /// # Errors
    /// If they are not all there before the deadline of the job.
    pub fn wait_for_ranks(&self) -> io::Result<Vec<u32>> {
        loop {
            let ranks = self.ranks();
            if ranks.len() == self.ranks {
                return Ok(ranks.into_values().collect());
            }
            if self.is_late() {
                let message = format!("{} of {} ranks were started; {}", ranks.len(), self.ranks, self.stderr()?);
                return Err(io::Error::new(io::ErrorKind::TimedOut, message));
            }
            sleep(POLL);
        }
    }

    /// Waits until a file or folder that the job makes is there.
    ///
    /// # Errors
    /// If it is not there before the deadline of the job.
    pub fn wait_for_file(&self, path: &Path) -> io::Result<()> {
        while !path.exists() {
            if self.is_late() {
                let message = format!("{} does not appear; {}", path.display(), self.stderr()?);
                return Err(io::Error::new(io::ErrorKind::TimedOut, message));
            }
            sleep(POLL_FILE);
        }
        Ok(())
    }

    /// Sends a signal to one rank.
    ///
    /// # Errors
    /// If that rank is not running.
    pub fn signal_rank(&self, rank: usize, signal: i32) -> io::Result<()> {
        let ranks = self.ranks();
        let pid = ranks.get(&rank).ok_or_else(|| io::Error::other(format!("rank {rank} is not running")))?;
        ffi::signal(*pid, signal)
    }

    /// Sends a signal to the launcher.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn signal_launcher(&self, signal: i32) -> io::Result<()> {
        ffi::signal(self.launcher(), signal)
    }

    /// Returns the standard output so far.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn stdout(&self) -> io::Result<String> {
        self.read("stdout")
    }

    /// Returns the standard error so far.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn stderr(&self) -> io::Result<String> {
        self.read("stderr")
    }

    fn read(&self, name: &str) -> io::Result<String> {
        let bytes = fs::read(self.folder.path().join(name))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Starts the clock of the deadline again, for the next part of a job.
    pub(crate) fn restart_clock(&mut self, deadline: Duration) {
        self.watch.borrow_mut().restart();
        self.deadline = deadline;
    }

    /// Waits, `pause` by `pause`, as long as the job runs within its deadline and `pause` returns true. Returns whether
    /// the job still runs.
    ///
    /// # Errors
    /// If the launcher cannot be waited for, or those of `pause`.
    pub(crate) fn wait_while(&mut self, mut pause: impl FnMut() -> io::Result<bool>) -> io::Result<bool> {
        while self.launcher.try_wait()?.is_none() && !self.is_late() && pause()? {}
        Ok(self.launcher.try_wait()?.is_none())
    }

    /// Waits for the end of the job and ends it at its deadline. Nothing of it runs afterwards.
    ///
    /// # Errors
    /// If the launcher cannot be waited for or its output cannot be read.
    pub fn wait(self) -> io::Result<Output> {
        self.wait_unless(|| false)
    }

    /// Like [`Job::wait`], and ends the job as soon as `give_up` says so.
    pub(crate) fn wait_unless(mut self, mut give_up: impl FnMut() -> bool) -> io::Result<Output> {
        let mut timed_out = false;
        let status = loop {
            if let Some(status) = self.launcher.try_wait()? {
                break status;
            }
            timed_out = self.is_late();
            if timed_out || give_up() {
                break self.end()?;
            }
            sleep(POLL);
        };
        let elapsed = self.watch.borrow().elapsed();
        self.ended = Some(status);
        self.kill_leftovers();
        Ok(Output { status, stdout: self.stdout()?, stderr: self.stderr()?, timed_out, elapsed })
    }

    /// Ends the launcher: politely, so that it can clean up after its ranks, then by force.
    fn end(&mut self) -> io::Result<ExitStatus> {
        for signal in [libc::SIGTERM, libc::SIGKILL] {
            // The group may be gone already.
            let _ = ffi::signal_group(self.launcher(), signal);
            let start = Instant::now();
            while start.elapsed() < MERCY {
                if let Some(status) = self.launcher.try_wait()? {
                    return Ok(status);
                }
                sleep(POLL);
            }
        }
        self.launcher.wait()
    }

    /// Kills whatever of the job its launcher has left running.
    fn kill_leftovers(&self) {
        let start = Instant::now();
        loop {
            let leftovers = self.processes();
            if leftovers.is_empty() || start.elapsed() > MERCY {
                return;
            }
            for pid in leftovers {
                let _ = ffi::signal(pid, libc::SIGKILL);
            }
            sleep(POLL);
        }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if self.ended.is_none() {
            let _ = self.end();
            self.kill_leftovers();
        }
    }
}
