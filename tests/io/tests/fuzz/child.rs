//! A process that reads damaged files, so that a library that crashes over one does not end the test.

use std::env;
use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitCode, ExitStatus};
use std::thread::sleep;
use std::time::{Duration, Instant};

use dolmen_core::Comm;
use dolmen_tests::TestResult;

use crate::hdf5;

/// Names the folder to a process that is to read, and the input that it starts with.
const FOLDER: &str = "DOLMEN_FUZZ_FOLDER";
const FIRST: &str = "DOLMEN_FUZZ_FIRST";
/// The longest time for one input.
const STALL: Duration = Duration::from_secs(10);
/// The time to start, on a machine that is busy.
const START: Duration = Duration::from_secs(60);

/// How a process ended.
pub(crate) struct Ended {
    /// The last input that it began with.
    pub(crate) input: u64,
    /// None if it did not go on, and was killed.
    pub(crate) status: Option<ExitStatus>,
    pub(crate) output: String,
    pub(crate) errors: String,
}

impl Ended {
    /// Whether it crashed: not a panic, which is ours, but a signal.
    pub(crate) fn crashed(&self) -> bool {
        self.status.is_some_and(|status| status.signal().is_some())
    }
}

/// What this process is to do if it is a child.
pub(crate) fn run() -> Option<ExitCode> {
    let folder = env::var_os(FOLDER)?;
    let first = env::var(FIRST).ok()?.parse().ok()?;
    Some(Comm::run(|comm| hdf5::read_damaged(comm, Path::new(&folder), first).map(|()| ExitCode::SUCCESS)))
}

/// Has a process read inputs from `first` on, until it ends or is stuck.
pub(crate) fn spawn(folder: &Path, first: u64) -> TestResult<Ended> {
    let (output, errors) = (folder.join("output"), folder.join("errors"));
    let mut command = Command::new(env::current_exe()?);
    command.env(FOLDER, folder).env(FIRST, first.to_string());
    let mut child = command.stdout(File::create(&output)?).stderr(File::create(&errors)?).spawn()?;
    let status = watch(&mut child, &output)?;
    let (output, errors) = (fs::read_to_string(output)?, fs::read_to_string(errors)?);
    let mut inputs = output.lines().filter_map(|line| line.strip_prefix("input ")?.parse().ok());
    Ok(Ended { input: inputs.next_back().unwrap_or(first), status, output, errors })
}

fn watch(child: &mut Child, output: &Path) -> TestResult<Option<ExitStatus>> {
    let (mut length, mut since) = (0, Instant::now());
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        let now = output.metadata()?.len();
        if now > length {
            (length, since) = (now, Instant::now());
        }
        if since.elapsed() > if length == 0 { START } else { STALL } {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        sleep(Duration::from_millis(20));
    }
}
