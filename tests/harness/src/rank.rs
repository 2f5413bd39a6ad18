//! The side of a trial that runs under MPI: one rank of one case.

use std::env;
use std::fs::File;
use std::io;
use std::panic;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use dolmen_core::Comm;

use crate::case::{Body, Case, Checksums, TestResult};
use crate::ffi;
use crate::processes::RANK_VARIABLES;
use crate::status::{self, Event};

/// Names the case that the ranks of a trial run.
pub(crate) const CASE: &str = "DOLMEN_TEST_CASE";
/// The folder where the ranks of a trial leave output, records and checksums.
pub(crate) const FOLDER: &str = "DOLMEN_TEST_FOLDER";

/// The case this process is to run, if it is a rank of a trial.
pub(crate) fn assigned_case() -> Option<String> {
    env::var(CASE).ok()
}

pub(crate) fn log_path(folder: &Path, rank: usize) -> PathBuf {
    folder.join(format!("rank-{rank}.log"))
}

pub(crate) fn checksums_path(folder: &Path) -> PathBuf {
    folder.join("checksums.json")
}

/// Runs one rank of the case with this key.
pub(crate) fn run(cases: &[Case], key: &str) -> ExitCode {
    let case = cases.iter().find(|case| case.key() == key);
    let (Some(case), Some(folder), Some(rank)) = (case, env::var_os(FOLDER).map(PathBuf::from), rank_number()) else {
        eprintln!("{CASE} is set, but this is not a rank of a trial of {key}; unset it to list the tests");
        return ExitCode::FAILURE;
    };
    if let Err(error) = set_up(&folder, rank) {
        eprintln!("rank {rank} cannot write in {}: {error}", folder.display());
        return ExitCode::FAILURE;
    }
    let code = Comm::run(|comm| -> TestResult<ExitCode> {
        ffi::record_fatal_signals();
        record_panics();
        let result = run_body(case.body, comm, &folder);
        status::record(&match &result {
            Ok(()) => Event::Returned,
            Err(error) => Event::Failed(error.to_string()),
        });
        result.map(|()| ExitCode::SUCCESS)
    });
    status::record(&Event::Finished);
    ffi::stop_recording();
    code
}

/// The rank by the launcher's environment: it is needed before MPI is initialized.
fn rank_number() -> Option<usize> {
    RANK_VARIABLES.iter().find_map(|name| env::var(name).ok()?.parse().ok())
}

fn set_up(folder: &Path, rank: usize) -> io::Result<()> {
    ffi::redirect_output(&File::create(log_path(folder, rank))?)?;
    ffi::record_exit(status::open(folder, rank)?);
    Ok(())
}

/// Records a panic before the hook that `Comm::run` has installed ends the job.
fn record_panics() {
    let abort = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        status::record(&Event::Panicked(panic_message(info)));
        abort(info);
    }));
}

fn panic_message(info: &panic::PanicHookInfo<'_>) -> String {
    let place = info.location().map(|at| format!(" at {at}")).unwrap_or_default();
    format!("{}{place}", info.payload_as_str().unwrap_or("without a message"))
}

fn run_body(body: Body, comm: &Comm, folder: &Path) -> TestResult {
    match body {
        Body::Ranks(function) => function(comm),
        Body::SameBits(function) => {
            let checksums = function(comm)?;
            if comm.rank() == 0 { write_checksums(folder, &checksums) } else { Ok(()) }
        }
        Body::Serial(_) => Err("a serial case does not run under MPI".into()),
    }
}

fn write_checksums(folder: &Path, checksums: &Checksums) -> TestResult {
    let file = File::create(checksums_path(folder))?;
    Ok(serde_json::to_writer(file, checksums)?)
}

/// Reads the checksums that rank 0 of a `same_bits` run left.
pub(crate) fn read_checksums(folder: &Path) -> TestResult<Checksums> {
    let file = File::open(checksums_path(folder))?;
    Ok(serde_json::from_reader(io::BufReader::new(file))?)
}
