//! The side of a trial that runs under MPI: one rank of a job, which runs cases as long as there are orders.

use std::env;
use std::fs::File;
use std::io;
use std::panic;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use dolmen_core::Comm;

use crate::case::{Body, Case, Checksums, TestResult};
use crate::ffi;
use crate::orders::{Order, Taker};
use crate::processes::RANK_VARIABLES;
use crate::status::{self, Event};

/// The folder of a job, with its pipes and the folders of its trials.
pub(crate) const FOLDER: &str = "DOLMEN_TEST_FOLDER";
/// Set in a job that is to run several cases.
pub(crate) const SHARED: &str = "DOLMEN_TEST_SHARED";

/// The folder of the job, if this process is a rank of one.
pub(crate) fn assigned_folder() -> Option<PathBuf> {
    env::var_os(FOLDER).map(PathBuf::from)
}

pub(crate) fn log_path(folder: &Path, rank: usize) -> PathBuf {
    folder.join(format!("rank-{rank}.log"))
}

pub(crate) fn checksums_path(folder: &Path) -> PathBuf {
    folder.join("checksums.json")
}

/// Runs one rank of a job.
pub(crate) fn run(cases: &[Case], folder: &Path) -> ExitCode {
    let Some(rank) = rank_number() else {
        eprintln!("{FOLDER} is set, but this is not a rank of a job; unset it to list the tests");
        return ExitCode::FAILURE;
    };
    let (mut taker, first) = match begin(folder, rank) {
        Ok((taker, Some(first))) => (taker, first),
        Ok((_, None)) => return ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rank {rank} has no orders in {}: {error}", folder.display());
            return ExitCode::FAILURE;
        }
    };
    let code = Comm::run(|comm| -> TestResult<ExitCode> {
        ffi::record_fatal_signals();
        record_panics();
        run_orders(cases, comm, &mut taker, first)?;
        Ok(ExitCode::SUCCESS)
    });
    status::record(&Event::Finished);
    ffi::stop_recording();
    code
}

/// The rank by the launcher's environment: it is needed before MPI is initialized.
fn rank_number() -> Option<usize> {
    RANK_VARIABLES.iter().find_map(|name| env::var(name).ok()?.parse().ok())
}

/// Takes the first order before MPI is initialized, so that the first trial has what MPI says.
fn begin(folder: &Path, rank: usize) -> io::Result<(Taker, Option<Order>)> {
    let mut taker = Taker::new(folder, rank)?;
    let first = taker.take()?;
    if let Some(order) = &first {
        let records = enter(&order.folder, rank)?;
        ffi::record_exit(records);
    }
    Ok((taker, first))
}

/// Sends output and records of this rank to the folder of a trial from here on.
fn enter(folder: &Path, rank: usize) -> io::Result<&'static File> {
    ffi::redirect_output(&File::create(log_path(folder, rank))?)?;
    status::open(folder, rank)
}

/// Runs the case of one order after the other.
fn run_orders(cases: &[Case], comm: &Comm, taker: &mut Taker, first: Order) -> io::Result<()> {
    let is_shared = env::var_os(SHARED).is_some();
    let between_trials = comm.duplicate();
    let mut next = Some(first);
    while let Some(order) = next {
        // Never given back: a message that a case has left must not come to a later one, whose communicator
        // could be known to MPI by the same number.
        let of_case = if is_shared { comm.duplicate() } else { comm.clone() };
        let result = match cases.iter().find(|case| case.key() == order.key) {
            Some(case) => run_body(case.body, &of_case, &order.folder),
            None => Err(format!("there is no case {}", order.key).into()),
        };
        ffi::flush_output()?;
        status::record(&match result {
            Ok(()) => Event::Returned,
            Err(error) => Event::Failed(error.to_string()),
        });
        // A rank that only waits for orders does not help others that still receive what it has sent.
        between_trials.barrier();
        taker.answer()?;
        next = taker.take()?;
        if let Some(order) = &next {
            enter(&order.folder, comm.rank())?;
        }
    }
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
