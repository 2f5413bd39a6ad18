//! The harness itself: a test binary whose cases go wrong in every way we know, and what is said
//! about each.
//!
//! With `DOLMEN_MISBEHAVE` set this binary has the misbehaving cases instead of its own. The
//! environment carries on to their ranks, so that the whole way, command line included, is tested.

mod shared_processes;

use std::env;
use std::ffi::OsStr;
use std::hint::black_box;
use std::process::{Child, Command, ExitCode};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use dolmen_tests::{Case, Checksums, Comm, Mpirun, TestResult, case, same_bits, serial, shared, skip};

const MISBEHAVE: &str = "DOLMEN_MISBEHAVE";

fn main() -> ExitCode {
    if env::var_os(MISBEHAVE).is_some() {
        return dolmen_tests::main(&misbehaving());
    }
    dolmen_tests::main(&[
        case("all_ranks_are_there", &[1, 2, 3], all_ranks_are_there),
        case("sum_of_threes", &[2], sum_is_three),
        same_bits("sum_of_threes", &[1, 2, 3], sum_of_threes),
        serial("a_good_case_passes", a_good_case_passes),
        serial("an_error_names_its_rank", an_error_names_its_rank),
        serial("a_panic_names_its_rank", a_panic_names_its_rank),
        serial("a_hang_ends_at_the_deadline", a_hang_ends_at_the_deadline),
        serial("ranks_that_compute_forever_are_ended", ranks_that_compute_forever_are_ended),
        serial("other_work_does_not_fail_a_case", other_work_does_not_fail_a_case),
        serial("a_fault_names_its_rank", a_fault_names_its_rank),
        serial("an_early_exit_is_noticed", an_early_exit_is_noticed),
        serial("a_silent_exit_is_noticed", a_silent_exit_is_noticed),
        serial("different_bits_are_told_apart", different_bits_are_told_apart),
        serial("a_skipped_case_is_ignored", a_skipped_case_is_ignored),
        serial("missing_data_fails_in_ci", missing_data_fails_in_ci),
        serial("a_program_runs_on_several_ranks", a_program_runs_on_several_ranks),
        serial("a_killed_rank_ends_the_job", a_killed_rank_ends_the_job),
        serial("a_deaf_program_is_killed", a_deaf_program_is_killed),
        serial("a_bad_trial_harms_no_other", shared_processes::a_bad_trial_harms_no_other),
        serial("messages_that_are_left_reach_no_other_trial", shared_processes::messages_that_are_left),
        serial("a_job_that_ends_late_is_noticed", shared_processes::a_job_that_ends_late_is_noticed),
        serial("a_job_that_does_not_end_is_noticed", shared_processes::a_job_that_does_not_end_is_noticed),
        serial("long_lists_have_several_jobs", shared_processes::long_lists_have_several_jobs),
        serial("a_dropped_job_leaves_nothing", a_dropped_job_leaves_nothing),
    ])
}

fn all_ranks_are_there(comm: &Comm) -> TestResult {
    let mut ranks = [comm.rank() as u64];
    comm.all_reduce_sum(&mut ranks);
    let size = comm.size() as u64;
    assert_eq!(ranks[0], size * (size - 1) / 2);
    Ok(())
}

/// Integers 0..3 dealt to the ranks in turn; their sum is 3 however they are dealt.
fn sum_of_threes(comm: &Comm) -> TestResult<Checksums> {
    let mine = (0..3).filter(|n| n % comm.size() == comm.rank()).sum::<usize>();
    let mut sum = [mine as u64];
    comm.all_reduce_sum(&mut sum);
    Ok(vec![("sum".to_owned(), sum[0])])
}

fn sum_is_three(comm: &Comm) -> TestResult {
    assert_eq!(sum_of_threes(comm)?, [("sum".to_owned(), 3)]);
    Ok(())
}

// The misbehaving cases.

fn misbehaving() -> Vec<Case> {
    let mut cases = shared_processes::misbehaving();
    cases.extend([
        case("good", &[3], good),
        case("error", &[3], error_on_one),
        case("panic", &[3], panic_on_one),
        case("hang", &[3], hang_on_two).deadline(Duration::from_secs(4)),
        case("spin", &[2], spin).deadline(SHORT),
        case("compute", &[1], compute).deadline(SHORT),
        case("fault", &[3], fault_on_one),
        case("exit", &[3], exit_on_one),
        case("silent", &[2], silent_exit),
        case("skipped", &[2], skipped),
        case("data", &[1], needs_data),
        same_bits("rounding", &[1, 2, 3], depends_on_ranks),
    ]);
    cases
}

fn good(comm: &Comm) -> TestResult {
    println!("rank {} is well", comm.rank());
    comm.barrier();
    Ok(())
}

/// The other ranks wait for rank 1, which never comes.
fn error_on_one(comm: &Comm) -> TestResult {
    println!("out of rank {}", comm.rank());
    if comm.rank() == 1 {
        return Err("expected 3 stones,\nfound 2".into());
    }
    comm.barrier();
    Ok(())
}

fn panic_on_one(comm: &Comm) -> TestResult {
    assert_ne!(comm.rank(), 2, "the stone fell");
    comm.barrier();
    Ok(())
}

fn hang_on_two(comm: &Comm) -> TestResult {
    while comm.rank() != 1 {
        sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// The deadline of jobs beside other work, which last several times as long.
const SHORT: Duration = Duration::from_secs(2);
/// For how long a case uses a core, if it has one to itself.
const WORK: Duration = Duration::from_millis(400);

fn spin(_comm: &Comm) -> TestResult {
    loop {
        black_box(());
    }
}

fn compute(_comm: &Comm) -> TestResult {
    while processor_time()? < WORK {
        black_box(());
    }
    Ok(())
}

fn processor_time() -> TestResult<Duration> {
    let statistics = std::fs::read_to_string("/proc/self/schedstat")?;
    let nanoseconds = statistics.split_whitespace().next().ok_or("no statistics")?.parse()?;
    Ok(Duration::from_nanos(nanoseconds))
}

fn fault_on_one(comm: &Comm) -> TestResult {
    if comm.rank() == 1 {
        println!("{} stones", pile(black_box(1)));
    }
    comm.barrier();
    Ok(())
}

/// Faults for want of stack: the only memory fault that safe code can make.
fn pile(stones: u64) -> u64 {
    let pile = black_box([stones; 512]);
    if stones == 0 { 0 } else { pile[1] + pile_up(&pile) }
}

fn pile_up(pile: &[u64]) -> u64 {
    self::pile(black_box(pile[0] + 1))
}

fn exit_on_one(comm: &Comm) -> TestResult {
    if comm.rank() == 2 {
        std::process::exit(0);
    }
    comm.barrier();
    Ok(())
}

/// No handler of ours runs on this way out.
fn silent_exit(comm: &Comm) -> TestResult {
    if comm.rank() == 1 {
        run_shell("kill -KILL $PPID")?;
    }
    comm.barrier();
    Ok(())
}

fn skipped(_comm: &Comm) -> TestResult {
    skip("there is no stone here");
    Ok(())
}

fn needs_data(_comm: &Comm) -> TestResult {
    assert_eq!(shared(), None);
    Ok(())
}

fn depends_on_ranks(comm: &Comm) -> TestResult<Checksums> {
    let third = 1.0 / 3.0_f64;
    let value = if comm.size() == 3 { third + third + third - 1.0 + f64::EPSILON } else { 0.0 };
    Ok(vec![("same".to_owned(), 7), ("sum".to_owned(), value.to_bits())])
}

fn run_shell(line: &str) -> TestResult {
    Command::new("sh").args(["-c", line]).status()?;
    Ok(())
}

// What is said about them.

struct Verdict {
    passed: bool,
    text: String,
    elapsed: Duration,
}

/// Runs one trial of the misbehaving cases through the command line and checks that none of its
/// processes is left.
fn judge_with(trial: &str, prepare: impl FnOnce(&mut Command)) -> TestResult<Verdict> {
    judge_command(trial, Command::new(env::current_exe()?), prepare)
}

fn judge_command(trial: &str, mut command: Command, prepare: impl FnOnce(&mut Command)) -> TestResult<Verdict> {
    command.args(["--exact", trial]).env_remove("CI");
    prepare(&mut command);
    let verdict = judge_all(command)?;
    assert!(verdict.text.contains("running 1 test"), "{}", verdict.text);
    Ok(verdict)
}

/// Runs the misbehaving cases that the arguments of the command choose.
fn judge_all(mut command: Command) -> TestResult<Verdict> {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let start = Instant::now();
    let mark = format!("{}-{}", NUMBER.fetch_add(1, Ordering::Relaxed), std::process::id());
    command.arg("--nocapture").env(MISBEHAVE, &mark);
    let output = command.output()?;
    let elapsed = start.elapsed();
    let mark = format!("{MISBEHAVE}={mark}");
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        let left = environment.split(|&byte| byte == 0).any(|variable| variable == mark.as_bytes());
        assert!(!left, "{command:?} has left process {}", entry.file_name().display());
    }
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    Ok(Verdict { passed: output.status.success(), text, elapsed })
}

fn judge(trial: &str) -> TestResult<Verdict> {
    judge_with(trial, |_| ())
}

/// Checks that the trial failed soon, and that the report has these lines in this order.
fn expect_failure(verdict: &Verdict, within: Duration, lines: &[&str]) {
    let Verdict { passed, text, elapsed } = verdict;
    assert!(!passed, "{text}");
    assert!(*elapsed < within, "took {elapsed:?}\n{text}");
    let mut rest = text.as_str();
    for line in lines {
        let Some(at) = rest.find(line) else {
            panic!("{line:?} is not in its place in\n{text}");
        };
        rest = &rest[at + line.len()..];
    }
}

/// Less than a deadline, and long enough for a busy machine.
const SOON: Duration = Duration::from_secs(45);

fn a_good_case_passes() -> TestResult {
    let verdict = judge("good::n3")?;
    assert!(verdict.passed, "{}", verdict.text);
    assert!(verdict.text.contains("1 passed; 0 failed; 0 ignored"), "{}", verdict.text);
    Ok(())
}

fn an_error_names_its_rank() -> TestResult {
    let outputs = ["--- rank 0 ---\nout of rank 0", "--- rank 1 ---\nout of rank 1", "--- rank 2 ---\nout of rank 2"];
    let lines = ["rank 1 failed: expected 3 stones,\nfound 2", "ranks 0, 2 had not finished"];
    expect_failure(&judge("error::n3")?, SOON, &[&lines[..], &outputs[..]].concat());
    Ok(())
}

fn a_panic_names_its_rank() -> TestResult {
    let lines = ["rank 2 panicked: ", "the stone fell", "main.rs:", "--- rank 2 ---", "the stone fell"];
    expect_failure(&judge("panic::n3")?, SOON, &lines);
    Ok(())
}

fn a_hang_ends_at_the_deadline() -> TestResult {
    let verdict = judge("hang::n3")?;
    expect_failure(&verdict, SOON, &["no end within 4s", "ranks 0, 2 had not finished"]);
    assert!(verdict.elapsed >= Duration::from_secs(4));
    Ok(())
}

/// Programs that keep one core busy as long as this lives.
struct OtherWork(Vec<Child>);

impl OtherWork {
    fn start(core: &str, programs: usize) -> TestResult<OtherWork> {
        let mut work = OtherWork(Vec::new());
        for _ in 0..programs {
            // Sessions share a core, each its programs a part of that; MPICH gives a job a session of its own.
            work.0.push(pinned(core, "setsid").args(["sh", "-c", "while :; do :; done"]).spawn()?);
        }
        Ok(work)
    }
}

impl Drop for OtherWork {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn pinned(core: &str, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", core]).arg(program);
    command
}

/// A core that this process may use.
fn first_core() -> TestResult<String> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let cores = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).ok_or("no list of cores")?;
    Ok(cores.trim().chars().take_while(char::is_ascii_digit).collect())
}

fn judge_beside_other_work(trial: &str, programs: usize) -> TestResult<Verdict> {
    let core = first_core()?;
    let _work = OtherWork::start(&core, programs)?;
    judge_command(trial, pinned(&core, env::current_exe()?), |_| ())
}

fn ranks_that_compute_forever_are_ended() -> TestResult {
    let verdict = judge_beside_other_work("spin::n2", 1)?;
    expect_failure(&verdict, SOON, &["no end within 2s", "ranks 0, 1 had not finished"]);
    assert!(verdict.elapsed >= SHORT);
    Ok(())
}

/// By the wall clock the case lasts longer than its deadline.
fn other_work_does_not_fail_a_case() -> TestResult {
    let verdict = judge_beside_other_work("compute::n1", 6)?;
    assert!(verdict.passed, "{}", verdict.text);
    assert!(verdict.elapsed > SHORT, "{:?}", verdict.elapsed);
    Ok(())
}

fn a_fault_names_its_rank() -> TestResult {
    expect_failure(&judge("fault::n3")?, SOON, &["rank 1 died of SIGSEGV", "--- rank 1 ---", "overflowed its stack"]);
    Ok(())
}

fn an_early_exit_is_noticed() -> TestResult {
    expect_failure(&judge("exit::n3")?, SOON, &["rank 2 exited before the case was finished"]);
    Ok(())
}

fn a_silent_exit_is_noticed() -> TestResult {
    expect_failure(&judge("silent::n2")?, SOON, &["1 had not finished", "--- launcher ---"]);
    Ok(())
}

fn different_bits_are_told_apart() -> TestResult {
    let lines = ["rounding: sum is 0x0000000000000000 on 1 ranks and 0x3cb0000000000000 on 3"];
    expect_failure(&judge("rounding::same_bits")?, SOON, &lines);
    Ok(())
}

fn a_skipped_case_is_ignored() -> TestResult {
    let verdict = judge("skipped::n2")?;
    assert!(verdict.passed, "{}", verdict.text);
    assert!(verdict.text.contains("skipped: there is no stone here"), "{}", verdict.text);
    assert!(verdict.text.contains("0 passed; 0 failed; 1 ignored"), "{}", verdict.text);
    Ok(())
}

fn missing_data_fails_in_ci() -> TestResult {
    let nowhere = tempfile::tempdir()?.path().join("nowhere");
    let verdict = judge_with("data::n1", |command| {
        command.env("DOLMEN_SHARED", &nowhere);
    })?;
    assert!(verdict.passed && verdict.text.contains("1 ignored"), "{}", verdict.text);
    let verdict = judge_with("data::n1", |command| {
        command.env("DOLMEN_SHARED", &nowhere).env("CI", "true");
    })?;
    expect_failure(&verdict, SOON, &["rank 0 panicked: no reference data at "]);
    Ok(())
}

// Whole programs.

fn shell(ranks: usize, script: &str) -> Mpirun {
    Mpirun::new(ranks).program("/bin/sh").args(["-c", script])
}

fn a_program_runs_on_several_ranks() -> TestResult {
    let folder = tempfile::tempdir()?;
    // The launcher of MPICH forwards nothing any more once a rank has failed.
    let output =
        shell(3, "echo $STONE; pwd >&2; sleep 1; exit 3").env("STONE", "menhir").current_dir(folder.path()).run()?;
    assert!(!output.timed_out && !output.status.success());
    assert!(output.stdout.contains("menhir"), "{}", output.stdout);
    let name = folder.path().file_name().and_then(|name| name.to_str()).unwrap_or_default();
    assert!(output.stderr.contains(name), "{}", output.stderr);
    Ok(())
}

fn a_killed_rank_ends_the_job() -> TestResult {
    let job = shell(3, "echo ready; exec sleep 60").spawn()?;
    let ranks = job.wait_for_ranks()?;
    assert_eq!(ranks.len(), 3);
    let deadline = Instant::now() + SOON;
    while job.stdout()?.matches("ready").count() < 3 {
        assert!(Instant::now() < deadline, "{}", job.stderr()?);
        sleep(Duration::from_millis(20));
    }
    job.signal_rank(1, libc::SIGKILL)?;
    let output = job.wait()?;
    assert!(!output.status.success() && !output.timed_out, "{}", output.stderr);
    assert!(output.elapsed < SOON, "{:?}", output.elapsed);
    for pid in ranks {
        assert!(!is_running(pid), "rank {pid} still runs");
    }
    Ok(())
}

fn a_deaf_program_is_killed() -> TestResult {
    let output = shell(2, "trap '' TERM; while :; do sleep 1; done").deadline(Duration::from_secs(2)).run()?;
    assert!(output.timed_out);
    assert!(output.elapsed < SOON, "{:?}", output.elapsed);
    Ok(())
}

fn a_dropped_job_leaves_nothing() -> TestResult {
    let job = shell(2, "exec sleep 60").spawn()?;
    let mut processes = job.wait_for_ranks()?;
    processes.push(job.launcher());
    assert!(processes.iter().all(|&pid| is_running(pid)));
    assert!(processes.iter().all(|pid| job.processes().contains(pid)));
    drop(job);
    for pid in processes {
        assert!(!is_running(pid), "process {pid} still runs");
    }
    Ok(())
}

/// Returns true if a process lives; one that has ended may stay in the table until its parent looks.
fn is_running(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().any(|line| line.starts_with("State:") && !line.contains('Z'))
}
