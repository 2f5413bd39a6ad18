//! Trials that share processes: what each of them sees of the others, and what is said when one goes wrong.

use std::env;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{sleep, spawn, yield_now};
use std::time::{Duration, Instant};

use dolmen_core::{ExchangePlan, IndexMap, Layout, Vector};
use dolmen_tests::{Case, Checksums, Comm, TestResult, case, same_bits, skip};

use crate::{SOON, Verdict, judge_all};

/// Number of the trial that ran last in this process.
static LAST: AtomicUsize = AtomicUsize::new(0);
/// Trials of the long list in this process.
static COUNT: AtomicUsize = AtomicUsize::new(0);
/// More trials than one job has.
const LONG: usize = 70;

pub(crate) fn misbehaving() -> Vec<Case> {
    let mut cases = vec![
        case("row_1_good", &[2], |comm| follows(comm, 0, 1)),
        case("row_2_good", &[2], |comm| follows(comm, 1, 2)),
        case("row_3_error", &[2], error),
        case("row_4_good", &[2], |comm| follows(comm, 0, 4)),
        case("row_5_hang", &[2], hang).deadline(Duration::from_secs(2)),
        case("row_6_abort", &[2], abort),
        case("row_7_good", &[2], |comm| follows(comm, 0, 7)),
        case("row_8_alone", &[2], |comm| follows(comm, 0, 8)).alone(),
        case("row_9_good", &[2], |comm| follows(comm, 7, 9)),
        case("row_panic", &[2], panic_on_all),
        case("row_skipped", &[2], skipped),
        same_bits("row_skipped", &[1, 2], |comm| skipped(comm).map(|()| Checksums::new())),
        case("left_message", &[2], |comm| exchange(comm, comm.rank() == 1, 7.0)),
        case("left_nothing", &[2], |comm| exchange(comm, true, 9.0)),
        case("late_cause", &[2], dies_in_the_next),
        case("late_victim", &[2], waits),
        case("late_other", &[2], |comm| follows(comm, 0, 3)),
        case("end_good", &[2], |comm| follows(comm, 0, 1)),
        case("end_bad", &[2], dies_afterwards),
    ];
    cases.extend((0..LONG).map(|number| case(format!("long_{number}").leak(), &[1], few_in_a_process)));
    cases
}

fn follows(comm: &Comm, expected: usize, number: usize) -> TestResult {
    println!("trial {number} on rank {}", comm.rank());
    assert_eq!(LAST.swap(number, Ordering::Relaxed), expected);
    assert_eq!(comm.all_gather(comm.rank()), [0, 1]);
    Ok(())
}

fn error(comm: &Comm) -> TestResult {
    print!("trial 3 on rank {}, without a line break", comm.rank());
    if comm.rank() == 1 { Err("expected 3 stones, found 2".into()) } else { Ok(()) }
}

fn hang(comm: &Comm) -> TestResult {
    println!("trial 5 on rank {}", comm.rank());
    while comm.rank() == 0 {
        sleep(Duration::from_millis(100));
    }
    Ok(())
}

fn abort(comm: &Comm) -> TestResult {
    println!("trial 6 on rank {}", comm.rank());
    if comm.rank() == 1 {
        std::process::abort();
    }
    comm.barrier();
    Ok(())
}

/// The ranks wait for each other, so that none is ended before it has spoken.
fn panic_on_all(comm: &Comm) -> TestResult {
    let start = Instant::now();
    comm.barrier();
    assert!(start.elapsed() > SOON, "the stone of rank {} fell", comm.rank());
    Ok(())
}

fn skipped(_comm: &Comm) -> TestResult {
    skip("there is no stone here");
    Ok(())
}

/// Rank 0 asks rank 1 for a value. If only rank 1 takes part, its message waits for rank 0.
fn exchange(comm: &Comm, takes_part: bool, value: f64) -> TestResult {
    let layout = Layout::uniform(comm, 2);
    let plan = ExchangePlan::new(&layout, &IndexMap::new(if comm.rank() == 0 { vec![1] } else { vec![] })?)?;
    if takes_part {
        let found = plan.import(&Vector::from_fn(&layout, |_| value))?;
        assert_eq!(found.len(), 1 - comm.rank());
        assert!(found.iter().all(|found| *found == value), "{:?}", found.to_vec());
    }
    Ok(())
}

/// The file in which a rank of a trial keeps its records.
fn records(trial: usize) -> TestResult<PathBuf> {
    let folder = env::var_os("DOLMEN_TEST_FOLDER").ok_or("no folder")?;
    Ok(PathBuf::from(folder).join(format!("trial-{trial}/rank-1.status")))
}

fn dies_when(comm: &Comm, it_is_time: impl Fn() -> bool + Send + 'static) {
    if comm.rank() == 1 {
        spawn(move || {
            while !it_is_time() {
                yield_now();
            }
            std::process::abort();
        });
    }
}

fn dies_in_the_next(comm: &Comm) -> TestResult {
    let next = records(1)?;
    // The records of the next trial are in use some time after the file is there.
    dies_when(comm, move || {
        sleep(Duration::from_millis(100));
        next.exists()
    });
    Ok(())
}

fn waits(_comm: &Comm) -> TestResult {
    sleep(SOON);
    Ok(())
}

fn dies_afterwards(comm: &Comm) -> TestResult {
    let here = records(1)?;
    dies_when(comm, move || std::fs::read_to_string(&here).is_ok_and(|text| text.contains("returned")));
    Ok(())
}

fn few_in_a_process(_comm: &Comm) -> TestResult {
    let before = COUNT.fetch_add(1, Ordering::Relaxed);
    assert!(before < LONG - 1, "{before} before");
    Ok(())
}

/// Runs the misbehaving cases with this word in their names.
fn judge(filter: &str) -> TestResult<Verdict> {
    let mut command = Command::new(env::current_exe()?);
    command.arg(filter).env_remove("CI");
    judge_all(command)
}

/// The report of one trial that failed.
fn report<'v>(verdict: &'v Verdict, trial: &str) -> &'v str {
    let title = format!("---- {trial} ----\n");
    let Some((_, text)) = verdict.text.split_once(&title) else { panic!("no {title:?} in\n{}", verdict.text) };
    text.split("\n---- ").next().unwrap_or(text)
}

fn ends_with(verdict: &Verdict, summary: &str) {
    assert!(verdict.text.contains(summary), "{summary:?} is missing from\n{}", verdict.text);
    assert!(verdict.elapsed < SOON, "took {:?}\n{}", verdict.elapsed, verdict.text);
}

/// Checks that the parts are there, and that nothing is there of trials with other numbers.
fn has(report: &str, number: usize, parts: &[&str]) {
    for part in parts {
        assert!(report.contains(part), "{part:?} is missing from\n{report}");
    }
    let of_others = (0..10).filter(|other| *other != number).any(|other| report.contains(&format!("trial {other} ")));
    assert!(!of_others, "{report}");
}

/// Each good trial knows which one was before it in its processes.
pub(crate) fn a_bad_trial_harms_no_other() -> TestResult {
    let verdict = judge("row_")?;
    ends_with(&verdict, "6 passed; 4 failed; 2 ignored");
    let parts = ["row_3_error on 2 ranks: rank 1 failed: expected 3 stones, found 2\n", "trial 3 on rank 0, without"];
    has(report(&verdict, "row_3_error::n2"), 3, &parts);
    has(report(&verdict, "row_3_error::n2"), 3, &["passed before in the same processes", "row_1_good, row_2_good"]);
    let parts = ["row_5_hang on 2 ranks: no end within 2s\n  rank 0 had not finished\n", "trial 5 on rank 1\n"];
    has(report(&verdict, "row_5_hang::n2"), 5, &parts);
    let parts = ["row_6_abort on 2 ranks: rank 1 died of SIGABRT\n  rank 0 had not finished\n", "trial 6 on rank 0"];
    has(report(&verdict, "row_6_abort::n2"), 6, &parts);
    let parts = ["rank 0 panicked: the stone of rank 0 fell at ", "rank 1 panicked: the stone of rank 1 fell at "];
    has(report(&verdict, "row_panic::n2"), 0, &parts);
    Ok(())
}

pub(crate) fn messages_that_are_left() -> TestResult {
    ends_with(&judge("left_")?, "2 passed; 0 failed");
    Ok(())
}

pub(crate) fn a_job_that_ends_late_is_noticed() -> TestResult {
    let verdict = judge("late_")?;
    ends_with(&verdict, "2 passed; 1 failed");
    let parts = ["rank 1 died of SIGABRT", "--- passed before in the same processes ---\nlate_cause"];
    has(report(&verdict, "late_victim::n2"), 0, &parts);
    Ok(())
}

pub(crate) fn a_job_that_does_not_end_is_noticed() -> TestResult {
    let verdict = judge("end_")?;
    ends_with(&verdict, "1 passed; 1 failed");
    let parts = ["rank 1 died of SIGABRT", "--- passed before in the same processes ---\nend_good"];
    has(report(&verdict, "end_bad::n2"), 0, &parts);
    Ok(())
}

pub(crate) fn long_lists_have_several_jobs() -> TestResult {
    ends_with(&judge("long_")?, "70 passed; 0 failed");
    Ok(())
}
