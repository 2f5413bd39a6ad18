//! Setup by [`Comm::run`] before `main`: the span of the rank, one thread for BLAS. With
//! `DOLMEN_PROGRAM` set this binary is a program that looks at it.

use std::process::ExitCode;
use std::sync::Mutex;

use dolmen_core::{Comm, Error, environment};
use dolmen_tests::{Mpirun, TestResult};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

pub(crate) const PROGRAM: &str = "DOLMEN_PROGRAM";

/// Numbers of the ranks of the spans that were entered.
static ENTERED: Mutex<Vec<u64>> = Mutex::new(Vec::new());

/// Spans are named by the rank that they carry, counted from one.
struct Ranks;

struct Rank(Option<u64>);

impl Visit for Rank {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "rank" {
            self.0 = Some(value);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

impl Subscriber for Ranks {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_span() && metadata.target() == "dolmen" && metadata.name() == "rank"
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut rank = Rank(None);
        span.record(&mut rank);
        Id::from_u64(1 + rank.0.expect("a span without a rank"))
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, span: &Id) {
        ENTERED.lock().expect("not poisoned").push(span.into_u64() - 1);
    }

    fn exit(&self, _: &Id) {
        ENTERED.lock().expect("not poisoned").pop();
    }
}

/// A program that fails where something is not as it should be.
pub(crate) fn run(name: &str) -> ExitCode {
    if name == "span" {
        tracing::subscriber::set_global_default(Ranks).expect("the first subscriber");
    }
    Comm::run(|comm| {
        match name {
            "span" => assert_eq!(*ENTERED.lock().expect("not poisoned"), [comm.rank() as u64]),
            _ => assert_eq!(environment::blas_library().threads, 1),
        }
        Ok::<_, Error>(ExitCode::SUCCESS)
    })
}

/// Runs the program on three ranks, which do not find `OPENBLAS_NUM_THREADS` in their environment.
fn program(name: &str) -> TestResult {
    let this = std::env::current_exe()?.into_os_string().into_string().map_err(|_| "a path that is not text")?;
    let script = "unset OPENBLAS_NUM_THREADS; exec \"$0\"";
    let output = Mpirun::new(3).program("/bin/sh").args(["-c", script, &this]).env(PROGRAM, name).run()?;
    assert!(output.status.success() && !output.timed_out, "{}", output.stderr);
    Ok(())
}

pub(crate) fn all_of_main_knows_its_rank() -> TestResult {
    program("span")
}

pub(crate) fn blas_has_one_thread() -> TestResult {
    program("blas")
}
