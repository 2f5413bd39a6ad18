//! A program that is killed at any moment while it writes checkpoints.
//!
//! It solves a system on two ranks and saves after every iteration, so that it does little else. It is
//! killed fifty times, each time at a random moment after it has begun to save, and started again: every
//! start has to find the newest checkpoint that had its name, undamaged. What comes out in the end has
//! passed through all of them, and has to have the bits of a run that was never disturbed.

#[path = "../common/problem.rs"]
mod problem;
mod program;

use std::env;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use dolmen_core::random::Philox;
use dolmen_tests::{Job, Mpirun, Output, TestResult, serial};

const KILLS: u64 = 50;
const SEED: u64 = 20_240_229;
/// The longest time from the first new checkpoint to the one that is disturbed [s].
const PAUSE: f64 = 0.04;
/// The longest time from the first sight of a temporary file to the kill [s]: about that of a checkpoint.
const MOMENT: f64 = 0.01;
const DEADLINE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    if let Some(folder) = env::var_os(program::FOLDER) {
        return program::run(Path::new(&folder));
    }
    dolmen_tests::main(&[serial("killed_at_any_moment", killed_at_any_moment).deadline(Duration::from_secs(300))])
}

fn start(folder: &Path) -> TestResult<Job> {
    let job = Mpirun::new(2).program(env::current_exe()?).env(program::FOLDER, folder).deadline(DEADLINE);
    Ok(job.spawn()?)
}

/// The largest number of a checkpoint that has its name.
fn newest(folder: &Path) -> TestResult<u64> {
    let mut newest = 0;
    if folder.is_dir() {
        for entry in fs::read_dir(folder)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            let number = name.strip_prefix("checkpoint-").and_then(|name| name.strip_suffix(".h5"));
            newest = newest.max(number.map_or(Ok(0), str::parse)?);
        }
    }
    Ok(newest)
}

/// The number after a word at the start of a line.
fn said(output: &str, word: &str) -> Option<u64> {
    output.lines().find_map(|line| line.strip_prefix(word)?.trim().parse().ok())
}

/// Waits for something that a job does.
fn wait_until(job: &Job, mut done: impl FnMut() -> TestResult<bool>) -> TestResult {
    let started = Instant::now();
    while !done()? {
        assert!(started.elapsed() < DEADLINE, "no checkpoint is written: {}", job.stderr()?);
        sleep(Duration::from_micros(500));
    }
    Ok(())
}

fn is_half_written(folder: &Path) -> TestResult<bool> {
    let mut half = false;
    for entry in fs::read_dir(folder)? {
        half |= entry?.path().extension().is_some_and(|extension| extension == "tmp");
    }
    Ok(half)
}

/// Kills a run at a random moment of a checkpoint after its first; its output.
fn disturb(folder: &Path, before: u64, random: [f64; 2], both: bool) -> TestResult<Output> {
    let job = start(folder)?;
    wait_until(&job, || Ok(newest(folder)? > before))?;
    let ranks = job.ranks();
    sleep(Duration::from_secs_f64(PAUSE * random[0]));
    wait_until(&job, || is_half_written(folder))?;
    sleep(Duration::from_secs_f64(MOMENT * random[1]));
    for rank in ranks.keys().filter(|rank| both || **rank == 1) {
        // One that has been killed takes the other with it.
        let _ = job.signal_rank(*rank, libc::SIGKILL);
    }
    let output = job.wait()?;
    assert!(!output.timed_out && !output.status.success(), "{}{}", output.stdout, output.stderr);
    Ok(output)
}

fn killed_at_any_moment() -> TestResult {
    let temporary = tempfile::tempdir()?;
    let undisturbed = start(&temporary.path().join("undisturbed"))?.wait()?;
    assert!(undisturbed.status.success(), "{}", undisturbed.stderr);
    let bits = said(&undisturbed.stdout, "bits").ok_or("no bits")?;
    let folder = temporary.path().join("killed");
    let random = Philox::new(SEED);
    let (mut number, mut half_written) = (0, 0);
    for kill in 0..KILLS {
        // Now and then only one of them dies, which takes longer to end.
        let moment = [random.uniform(0, kill), random.uniform(1, kill)];
        let output = disturb(&folder, number, moment, kill % 10 != 9)?;
        let resumed = said(&output.stdout, "resumed").unwrap_or(0);
        assert_eq!(resumed, number, "kill {kill}: the newest is found: {}", output.stdout);
        assert!(!output.stdout.contains("skipped"), "kill {kill}: {}", output.stdout);
        assert_eq!(said(&output.stdout, "bits"), None, "kill {kill}: it was still at work");
        number = newest(&folder)?;
        assert!(number > resumed, "kill {kill}");
        half_written += usize::from(is_half_written(&folder)?);
    }
    assert!(half_written >= 10, "only {half_written} of the kills met a checkpoint half-written");
    let output = start(&folder)?.wait()?;
    assert!(output.status.success(), "{}", output.stderr);
    assert_eq!(said(&output.stdout, "resumed"), Some(number));
    assert_eq!(said(&output.stdout, "bits"), Some(bits), "{KILLS} kills leave no trace");
    Ok(())
}
