//! The command `dolmen`: solves and describes sparse matrices from files.
//!
//! Each subcommand is a file: its arguments, and what it does with them.

mod check;
mod convert;
mod error;
mod info;
mod json;
mod right_hand_side;
mod solve;
mod spy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use dolmen_common::command_line;
use dolmen_core::Comm;
use error::Result;

/// Sparse matrices from files, solved and described. Start it under mpirun for more than one rank.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Solve A x = b, or least squares, and say how. Exit code 0 if it converged, 1 if not, 2 for bad input.
    Solve(solve::Solve),
    /// Describe a matrix.
    Info(info::Info),
    /// Write a matrix or vectors in another file format.
    Convert(convert::Convert),
    /// Show what this machine has, and which of it is a problem. Exit code 0 if nothing is, 1 otherwise.
    Check(check::Check),
}

fn main() -> ExitCode {
    Comm::run(|comm| -> Result<ExitCode> {
        match command_line::parse::<Arguments>(comm) {
            Ok(Arguments { command: Command::Solve(solve) }) => solve.run(comm),
            Ok(Arguments { command: Command::Info(info) }) => info.run(comm),
            Ok(Arguments { command: Command::Convert(convert) }) => convert.run(comm),
            Ok(Arguments { command: Command::Check(check) }) => check.run(comm),
            Err(code) => Ok(code),
        }
    })
}
