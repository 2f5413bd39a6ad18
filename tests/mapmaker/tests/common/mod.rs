//! Common to both test programs: the `mapmaker` program on a small simulation.

use std::path::Path;
use std::time::Duration;

use dolmen_tests::{Mpirun, Output, TestResult, binary};

/// A small simulation, and maps of it. Tests replace parts of it.
pub(crate) const CONFIG: &str = "
    input.tod = 'tod.h5'
    map = { nside = 8 }
    destripe = { baseline = 20.0 }
    output.folder = 'out'
    simulate = { hours = 0.2, sample_rate = 5.0, interval = 0.1, sky_nside = 8 }";

/// Runs the program in a folder.
pub(crate) fn mapmaker(ranks: usize, folder: &Path, args: &[&str]) -> TestResult<Output> {
    let job = Mpirun::new(ranks).program(binary("mapmaker")?).args(args).current_dir(folder);
    Ok(job.deadline(Duration::from_secs(60)).run()?)
}

/// The one line by which a program of exit code 2 says what is wrong.
pub(crate) fn only_error(output: &Output) -> TestResult<String> {
    assert_eq!(output.status.code(), Some(2), "{}", output.stderr);
    let errors: Vec<&str> = output.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
    match errors.as_slice() {
        [error] => Ok((*error).to_owned()),
        _ => Err(format!("expected one error: {}", output.stderr).into()),
    }
}
