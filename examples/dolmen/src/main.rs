//! The command `dolmen`: solves and describes sparse matrices from files.
//!
//! Each subcommand is a file: its arguments, and what it does with them.

mod check;
mod convert;
mod error;
mod info;
mod json;
mod listing;
mod outcome;
mod rescue;
mod right_hand_side;
mod solve;
mod spy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use dolmen_common::command_line;
use dolmen_common::file_args::FileArgs;
use dolmen_core::Comm;
use dolmen_io::Location;
use error::Result;

/// Sparse matrices from files, solved and described. Start it under mpirun for more than one rank.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    files: FileArgs,
}

#[derive(Subcommand)]
enum Command {
    /// Solve A x = b, or least squares, and say how. Exit code 0 if it converged, 1 if not, 2 for bad input,
    /// 75 if a signal stopped it and --resume can go on.
    Solve(Box<solve::Solve>),
    /// Describe a matrix, vectors, or all objects of a file. Exit code 2 if it is not valid.
    Info(info::Info),
    /// Write a matrix or vectors in another file format.
    Convert(convert::Convert),
    /// Show what this machine has, and which of it is a problem. Exit code 0 if nothing is, 1 otherwise.
    Check(check::Check),
}

impl Command {
    /// All places that are read or written.
    fn locations(&mut self) -> Vec<&mut Location> {
        match self {
            Command::Solve(solve) => solve.locations(),
            Command::Info(info) => vec![&mut info.matrix],
            Command::Convert(convert) => vec![&mut convert.from, &mut convert.to],
            Command::Check(_) => Vec::new(),
        }
    }
}

fn main() -> ExitCode {
    command_line::show_warnings();
    Comm::run(|comm| -> Result<ExitCode> {
        let command = match command_line::parse::<Arguments>(comm) {
            Ok(mut arguments) => {
                let allow = arguments.files.apply(comm).allows_external();
                arguments.command.locations().into_iter().for_each(|location| location.allow_external = allow);
                arguments.command
            }
            Err(code) => return Ok(code),
        };
        let code = match command {
            Command::Solve(solve) => solve.run(comm),
            Command::Info(info) => info.run(comm),
            Command::Convert(convert) => convert.run(comm),
            Command::Check(check) => check.run(comm),
        }?;
        command_line::finish(comm)?;
        Ok(code)
    })
}
