//! A program that is killed at any moment while it writes checkpoints.
//!
//! It solves a system in each of five groups of two ranks, which have nothing to do with each other, and saves
//! after every iteration, so that it does little else. It is killed ten times, which are fifty random moments
//! of checkpoints, and started again: every group has to find the newest checkpoint that had its name,
//! undamaged. What comes out in the end has passed through all of them, and has to have the bits of a run that
//! was never disturbed.

#[path = "../common/problem.rs"]
mod problem;
mod program;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

use dolmen_core::random::Philox;
use dolmen_tests::{Job, Mpirun, Output, TestResult, serial};
use program::GROUP;

const GROUPS: usize = 5;
const KILLS: u64 = 10;
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
    dolmen_tests::main(&[serial("killed_at_any_moment", killed_at_any_moment)])
}

fn start(folder: &Path, groups: usize, save: bool) -> TestResult<Job> {
    let job = Mpirun::new(groups * GROUP).program(env::current_exe()?).env(program::FOLDER, folder);
    let job = if save { job.env(program::SAVE, "") } else { job };
    Ok(job.deadline(DEADLINE).spawn()?)
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

/// The folder of a group's checkpoints.
fn of_group(folder: &Path, group: usize) -> PathBuf {
    folder.join(group.to_string())
}

/// The newest of each group.
fn all_newest(folder: &Path) -> TestResult<Vec<u64>> {
    (0..GROUPS).map(|group| newest(&of_group(folder, group))).collect()
}

/// The number that a group has said after a word.
fn said(output: &str, group: usize, word: &str) -> Option<u64> {
    let start = format!("{group}: {word} ");
    output.lines().find_map(|line| line.strip_prefix(&start)?.trim().parse().ok())
}

/// Waits for something that a job does.
fn wait_until(job: &Job, mut done: impl FnMut() -> TestResult<bool>) -> TestResult {
    while !done()? {
        assert!(!job.is_late(), "no checkpoint is written: {}", job.stderr()?);
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

/// Kills a run when each group has saved, at a random moment of a checkpoint of one of them; its output.
fn disturb(folder: &Path, before: &[u64], group: usize, random: [f64; 2], all: bool) -> TestResult<Output> {
    let job = start(folder, GROUPS, true)?;
    wait_until(&job, || Ok(all_newest(folder)?.iter().zip(before).all(|(now, before)| now > before)))?;
    let ranks = job.ranks();
    sleep(Duration::from_secs_f64(PAUSE * random[0]));
    wait_until(&job, || is_half_written(&of_group(folder, group)))?;
    sleep(Duration::from_secs_f64(MOMENT * random[1]));
    for rank in ranks.keys().filter(|rank| all || **rank == group * GROUP + 1) {
        // One that has been killed takes the others with it.
        let _ = job.signal_rank(*rank, libc::SIGKILL);
    }
    let output = job.wait()?;
    assert!(!output.timed_out && !output.status.success(), "{}{}", output.stdout, output.stderr);
    Ok(output)
}

fn killed_at_any_moment() -> TestResult {
    let temporary = tempfile::tempdir()?;
    let undisturbed = start(&temporary.path().join("undisturbed"), 1, false)?.wait()?;
    assert!(undisturbed.status.success(), "{}", undisturbed.stderr);
    let bits = said(&undisturbed.stdout, 0, "bits").ok_or("no bits")?;
    let folder = temporary.path().join("killed");
    let random = Philox::new(SEED);
    let (mut numbers, mut half_written) = (vec![0; GROUPS], 0);
    for kill in 0..KILLS {
        // Now and then only one of them dies, which takes longer to end.
        let moment = [random.uniform(0, kill), random.uniform(1, kill)];
        let target = usize::try_from(kill)? % GROUPS;
        let output = disturb(&folder, &numbers, target, moment, kill % 5 != 4)?;
        let newest = all_newest(&folder)?;
        for group in 0..GROUPS {
            let resumed = said(&output.stdout, group, "resumed").unwrap_or(0);
            assert_eq!(resumed, numbers[group], "kill {kill}, group {group}: the newest is found: {}", output.stdout);
            assert!(newest[group] > resumed, "kill {kill}, group {group}");
            assert_eq!(said(&output.stdout, group, "bits"), None, "kill {kill}: group {group} was still at work");
            half_written += usize::from(is_half_written(&of_group(&folder, group))?);
        }
        assert!(!output.stdout.contains("skipped"), "kill {kill}: {}", output.stdout);
        numbers = newest;
    }
    println!("{half_written} of {} moments met a checkpoint half-written", KILLS * GROUPS as u64);
    assert!(half_written >= 10, "only {half_written} of the kills met a checkpoint half-written");
    let output = start(&folder, GROUPS, false)?.wait()?;
    assert!(output.status.success(), "{}", output.stderr);
    for (group, number) in numbers.into_iter().enumerate() {
        assert_eq!(said(&output.stdout, group, "resumed"), Some(number));
        assert_eq!(said(&output.stdout, group, "bits"), Some(bits), "group {group}: kills leave no trace");
    }
    Ok(())
}
