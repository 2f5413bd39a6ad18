//! Files that one rank does not see, that are no files, and system calls that fail on one rank: programs end with one
//! line, on all ranks, and nothing is lost.

mod injected;
mod inputs;
mod places;

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use dolmen_tests::{Mpirun, Output, TestResult, binary, serial};

/// A small simulation, and maps of it.
const CONFIG: &str = "
    input.tod = 'tod.h5'
    map = { nside = 8 }
    destripe = { baseline = 20.0 }
    output.folder = 'out'
    simulate = { hours = 0.2, sample_rate = 5.0, interval = 0.1, sky_nside = 8 }";

/// A program is faster than this, also on a busy machine; else it hangs.
const DEADLINE: Duration = Duration::from_secs(40);

fn main() -> ExitCode {
    dolmen_tests::main(&[
        serial("pipes_and_devices_are_refused", inputs::pipes_and_devices),
        serial("outputs_replace_files_only", inputs::outputs),
        serial("files_that_one_rank_does_not_see_are_told", places::inputs),
        serial("folders_that_one_rank_does_not_see_are_told", places::outputs),
        serial("files_that_ranks_see_differently_are_told", places::different_files),
        serial("a_solution_survives_a_full_disk", places::full_disk),
        serial("a_failing_write_of_a_fits_file_is_told", injected::fits),
        serial("failing_system_calls_end_programs", injected::sample),
    ])
}

/// The inputs of all programs: a matrix in two formats, a configuration and its timelines.
fn prepare(folder: &Path) -> TestResult {
    let n = 2000;
    let mut text = format!("%%MatrixMarket matrix coordinate real symmetric\n{n} {n} {}\n", 2 * n - 1);
    (1..=n).for_each(|row| text += &format!("{row} {row} 2.5\n"));
    (2..=n).for_each(|row| text += &format!("{row} {} -1\n", row - 1));
    fs::write(folder.join("a.mtx"), text)?;
    fs::write(folder.join("case.toml"), CONFIG)?;
    for (program, args) in
        [("dolmen", &["convert", "a.mtx", "a.h5"][..]), ("mapmaker", &["simulate", "case.toml", "--output", "tod.h5"])]
    {
        let output = run(2, folder, program, args)?;
        assert!(output.status.success(), "{output:?}");
    }
    Ok(())
}

fn run(ranks: usize, folder: &Path, program: &str, args: &[&str]) -> TestResult<Output> {
    let job = Mpirun::new(ranks).program(binary(program)?).args(args).current_dir(folder);
    Ok(job.deadline(DEADLINE).run()?)
}

/// The one line by which a program of exit code 2 says what is wrong.
fn only_error(output: &Output) -> TestResult<String> {
    assert!(!output.timed_out, "hangs: {output:?}");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let errors: Vec<&str> = output.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
    match errors.as_slice() {
        [error] => Ok((*error).to_owned()),
        _ => Err(format!("expected one error: {}", output.stderr).into()),
    }
}

/// Runs a program that has to refuse with these words.
fn refused(ranks: usize, folder: &Path, program: &str, args: &[&str], expected: &[&str]) -> TestResult {
    let output = run(ranks, folder, program, args)?;
    let error = only_error(&output).map_err(|error| format!("{program} {args:?}: {error}"))?;
    for words in expected {
        assert!(error.contains(words), "{program} {args:?}: {error}");
    }
    Ok(())
}
