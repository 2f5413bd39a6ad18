//! `dolmen-scaling`: messages, reductions and memory of operations, counted on each rank.
//!
//! Takes `--dir FOLDER` for checkpoints, and `--problem weak` or `strong` for one of the two problems: of a fixed size
//! a rank, and of a fixed size. Prints one JSON line for each operation, the largest rank's counts and the mean
//! over the ranks. `scripts/scaling.py` runs it on 1 to 64 ranks and writes `docs/scaling.md`. Counts do not depend
//! on the load of the machine, so the ranks may outnumber its cores.

mod allocations;
mod grid;
mod mpi_calls;
mod operations;

use std::path::PathBuf;
use std::process::ExitCode;

use dolmen_core::Comm;
use grid::Grid;

/// Choices of the command line.
struct Choices {
    folder: PathBuf,
    /// All without one.
    problem: Option<String>,
}

impl Choices {
    fn from_args(mut args: impl Iterator<Item = String>) -> Result<Choices, String> {
        let mut choices = Choices { folder: std::env::temp_dir(), problem: None };
        while let Some(option) = args.next() {
            let value = args.next().ok_or_else(|| format!("{option} needs a value"))?;
            match (option.as_str(), value.as_str()) {
                ("--dir", _) => choices.folder = value.into(),
                ("--problem", "weak" | "strong") => choices.problem = Some(value),
                ("--problem", _) => return Err(format!("--problem {value} is neither weak nor strong")),
                _ => return Err(format!("unknown option {option}")),
            }
        }
        Ok(choices)
    }
}

fn main() -> ExitCode {
    Comm::run(|comm| -> Result<ExitCode, dolmen_io::Error> {
        let choices = match Choices::from_args(std::env::args().skip(1)) {
            Ok(choices) => choices,
            Err(message) => {
                if comm.rank() == 0 {
                    eprintln!("dolmen-scaling: {message}");
                }
                return Ok(ExitCode::from(2));
            }
        };
        let wanted = |grid: &Grid| choices.problem.as_deref().is_none_or(|problem| problem == grid.name);
        for grid in [Grid::weak(comm.size()), Grid::strong(comm.size())].into_iter().filter(wanted) {
            operations::run(comm, &grid, &choices.folder)?;
        }
        Ok(ExitCode::SUCCESS)
    })
}
