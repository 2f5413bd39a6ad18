//! The command `dolmen`: solves and describes sparse matrices from files.
//!
//! Each subcommand is a file: its arguments, and what it does with them.

mod check;
mod convert;
mod eigen;
mod error;
mod info;
mod json;
mod listing;
mod outcome;
mod rescue;
mod right_hand_side;
mod solve;
mod spectrum;
mod spy;
mod svd;
mod told;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use dolmen_common::command_line;
use dolmen_common::file_args::FileArgs;
use dolmen_core::Comm;
use dolmen_io::Location;
use error::Result;

/// Solves, describes and converts sparse matrices in files. Run it under mpirun to use several ranks.
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
    /// Solve A x = b, or a least-squares problem. Exit code 0 if it converged, 1 if not, 2 for bad input,
    /// 75 if a signal stopped it and a checkpoint was written: add --resume to continue.
    Solve(Box<solve::Solve>),
    /// Find eigenvalues and eigenvectors of a matrix. Exit code 0 if all are converged, 1 if not, 2 for bad input.
    Eigen(Box<eigen::Eigen>),
    /// Find singular values and vectors of a matrix. Exit code 0 if all are converged, 1 if not, 2 for bad input.
    Svd(Box<svd::Svd>),
    /// Describe a matrix, vectors, or all objects of a file. Exit code 0 if they are valid, 2 if not.
    Info(info::Info),
    /// Convert a matrix or vectors to another file format.
    Convert(convert::Convert),
    /// Describe this machine (MPI, BLAS, HDF5, Python) and its problems. Exit code 0 without problems, 1 otherwise.
    Check(check::Check),
}

impl Command {
    /// Returns all places that are read or written.
    fn locations(&mut self) -> Vec<&mut Location> {
        match self {
            Command::Solve(solve) => solve.locations(),
            Command::Eigen(eigen) => eigen.locations(),
            Command::Svd(svd) => svd.locations(),
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
            Command::Eigen(eigen) => eigen.run(comm),
            Command::Svd(svd) => svd.run(comm),
            Command::Info(info) => info.run(comm),
            Command::Convert(convert) => convert.run(comm),
            Command::Check(check) => check.run(comm),
        }?;
        command_line::finish(comm)?;
        Ok(code)
    })
}
