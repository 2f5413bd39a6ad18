//! Progress of long work on the standard error of rank 0.
//!
//! On a terminal it is a bar, which appears after half a second and is wiped off when the work is done. Under mpirun
//! and in batch jobs the standard error of a rank is a pipe or a file: there it is a line a minute.

mod iterations;
mod meter;
mod transfer;

pub use iterations::Iterations;
pub use meter::write_beside_bars;
pub use transfer::{Direction, Transfer};

use std::env;
use std::io::{self, IsTerminal as _};

use clap::Args;
use dolmen_core::Comm;
use meter::Meter;

/// The option that silences a program.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct ProgressArgs {
    /// Show no progress, and print only results, warnings and errors.
    #[arg(long, short)]
    pub quiet: bool,
}

impl ProgressArgs {
    /// Chooses how to show progress; nothing is shown if the program is to be quiet, or `silent` for another reason.
    pub fn display(self, comm: &Comm, silent: bool) -> Display {
        Display::new(comm, silent || self.quiet)
    }
}

/// The way in which this rank shows progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Display {
    /// Not at all.
    Silent,
    /// A line a minute.
    Lines,
    /// A bar on the terminal.
    Bar,
}

impl Display {
    /// Chooses by the standard error of rank 0; the other ranks and a `silent` program show nothing.
    fn new(comm: &Comm, silent: bool) -> Display {
        let moves_its_cursor = || env::var_os("TERM").is_some_and(|terminal| terminal != "dumb");
        match silent || comm.rank() != 0 {
            true => Display::Silent,
            false if io::stderr().is_terminal() && moves_its_cursor() => Display::Bar,
            false => Display::Lines,
        }
    }

    fn meter(self) -> Meter {
        match self {
            Display::Silent => Meter::silent(),
            Display::Lines => Meter::lines(meter::MINUTE, io::stderr()),
            Display::Bar => Meter::bar(),
        }
    }
}
