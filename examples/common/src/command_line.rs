//! The command line of a program on several ranks.

use std::process::ExitCode;

use clap::Parser;
use dolmen_core::Comm;

/// Parses the arguments, which every rank has, or says what is wrong with them, or the help that they
/// ask for: then the program is to end with the code that is returned, 2 for bad arguments.
///
/// # Errors
/// The exit code of a program that has no more to do.
pub fn parse<A: Parser>(comm: &Comm) -> Result<A, ExitCode> {
    A::try_parse().map_err(|answer| {
        // Every rank parses the same arguments; one speaks.
        if comm.rank() == 0 {
            // Help that cannot be printed is no reason to fail.
            let _ = answer.print();
        }
        if answer.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS }
    })
}
