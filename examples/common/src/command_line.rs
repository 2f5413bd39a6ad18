//! The command line of a program on several ranks.

use std::borrow::Cow;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::OnceLock;

use crate::progress::write_beside_bars;
use clap::Parser;
use dolmen_core::Comm;
use dolmen_core::text::{escaped_json, escaped_lines};

/// Parses the arguments, which every rank has. For bad arguments and for `--help` it prints the text and
/// returns the exit code with which the program has to end: 2 for bad arguments.
///
/// # Errors
/// The exit code of a program that has no more to do.
pub fn parse<A: Parser>(comm: &Comm) -> Result<A, ExitCode> {
    A::try_parse().map_err(|answer| {
        // Every rank parses the same arguments; one speaks.
        if comm.rank() == 0 {
            // Help that cannot be printed is no reason to fail.
            let _ = print(&answer);
        }
        if answer.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS }
    })
}

/// Prints the answer of the parser, in colors unless an argument would act on the terminal.
fn print(answer: &clap::Error) -> io::Result<()> {
    let plain = answer.to_string();
    match escaped_lines(&plain) {
        Cow::Borrowed(_) => answer.print(),
        Cow::Owned(shown) => io::stderr().write_all(shown.as_bytes()),
    }
}

/// Prints the warnings of the libraries on the standard error. Call it before MPI is started.
pub fn show_warnings() {
    let lines = tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_writer(write_beside_bars);
    lines.with_ansi(false).without_time().with_target(false).init();
}

/// Reason of the first failed write to the standard output.
static FAILURE: OnceLock<String> = OnceLock::new();

/// Prints a line, or several, on rank 0; what would act on the terminal is shown escaped. A reader that has gone
/// away, such as `head`, is no reason to fail; anything else that keeps it from being written is told by [`finish`].
pub fn say(comm: &Comm, text: &str) {
    if comm.rank() == 0
        && let Err(error) = writeln!(io::stdout(), "{}", escaped_lines(text))
    {
        note(&error);
    }
}

/// Prints, on rank 0, what was asked for besides an answer: on the standard error where the answer is one JSON object.
pub fn say_besides(comm: &Comm, json: bool, text: &str) {
    match (json, comm.rank()) {
        (false, _) => say(comm, text),
        // A reader that has gone away is no reason to fail.
        (true, 0) => drop(writeln!(io::stderr(), "{}", escaped_lines(text))),
        (true, _) => {}
    }
}

/// Prints a JSON text on rank 0, as [`say`] prints lines.
pub fn say_json(comm: &Comm, json: &str) {
    say(comm, &escaped_json(json));
}

fn note(error: &io::Error) {
    if error.kind() != io::ErrorKind::BrokenPipe {
        // The first failure is the one to report.
        let _ = FAILURE.set(format!("standard output: cannot write: {error}"));
    }
}

/// Ends a program: an error if [`say`] could not write what it was given.
///
/// # Collective
///
/// # Errors
/// A line was lost for another reason than that its reader has gone away.
pub fn finish(comm: &Comm) -> dolmen_core::Result<()> {
    if let Err(error) = io::stdout().flush() {
        note(&error);
    }
    comm.agree(FAILURE.get().map_or(Ok(()), Err))
}
