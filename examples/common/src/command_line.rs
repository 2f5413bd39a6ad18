//! The command line of a program on several ranks.

use std::io::{self, Write as _};
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

/// Prints a line on rank 0. A reader that has gone away, such as `head`, is no reason to fail.
pub fn say(comm: &Comm, text: &str) {
    if comm.rank() == 0 {
        let _ = writeln!(io::stdout(), "{text}");
    }
}
