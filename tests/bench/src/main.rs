//! `dolmen-bench`: speed of the toolkit beside STREAM, as one JSON line for each case.
//!
//! Takes `--case PREFIX[,PREFIX...]`, `--repeats N`, `--maxsec S`, `--dir FOLDER`, like the PETSc and Trilinos
//! programs that `make bench` runs beside it on the same cases; `scripts/bench.py` joins the
//! lines. Each case is timed between barriers, the slowest rank counting, and STREAM's triad runs
//! just before and just after it, so that its share is taken under the same load.

mod files;
mod hdf5;
mod matrices;
mod measure;
mod pairs;
mod problems;
mod products;
mod solves;
mod vectors;

use std::process::ExitCode;

use dolmen_core::Comm;
use measure::Bench;

fn main() -> ExitCode {
    Comm::run(|comm| -> Result<ExitCode, dolmen_io::Error> {
        let bench = match Bench::from_args(comm, std::env::args().skip(1)) {
            Ok(bench) => bench,
            Err(message) => {
                if comm.rank() == 0 {
                    eprintln!("dolmen-bench: {message}");
                }
                return Ok(ExitCode::from(2));
            }
        };
        vectors::run(&bench)?;
        matrices::run(&bench)?;
        pairs::run(&bench)?;
        products::run(&bench)?;
        solves::run(&bench)?;
        hdf5::run(&bench)?;
        files::run(&bench)?;
        Ok(ExitCode::SUCCESS)
    })
}
