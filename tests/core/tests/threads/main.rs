//! Threads inside ranks: the same bits with any number of them, and no more of them than cores.
//!
//! The number of threads is that of a process, so the tests run this binary as a program.

mod bits;

use std::env;
use std::process::ExitCode;

use dolmen_core::{Comm, threads};
use dolmen_tests::{Mpirun, Output, TestResult, serial};

/// Names what the program does.
const PROGRAM: &str = "DOLMEN_TEST_THREADS";

fn main() -> ExitCode {
    if let Ok(what) = env::var(PROGRAM) {
        return Comm::run(|comm| program(comm, &what));
    }
    dolmen_tests::main(&[
        serial("any_number_of_threads_and_ranks_has_the_same_bits", same_bits),
        serial("the_environment_chooses", the_environment_chooses),
        serial("a_program_chooses", a_program_chooses),
        serial("too_many_threads_are_refused", too_many_are_refused),
        serial("what_is_no_number_is_refused", no_number),
    ])
}

/// `bits` prints checksums, `count` the number of threads, `start` that after asking for two, twice,
/// and `again` asks for two and for three.
fn program(comm: &Comm, what: &str) -> TestResult<ExitCode> {
    let text = match what {
        "bits" => bits::checksums(comm)?,
        "count" => threads::count().to_string(),
        "start" | "again" => {
            threads::start(comm, 2)?;
            threads::start(comm, if what == "again" { 3 } else { 2 })?;
            threads::count().to_string()
        }
        other => return Err(format!("unknown program {other}").into()),
    };
    if comm.rank() == 0 {
        println!("{text}");
    }
    Ok(ExitCode::SUCCESS)
}

fn run(what: &str, ranks: usize, variables: &[(&str, &str)]) -> TestResult<Output> {
    let program = Mpirun::new(ranks).program(env::current_exe()?).env(PROGRAM, what);
    // What the tests were started with does not count: empty is not set.
    let usual = [("DOLMEN_OVERSUBSCRIBE", "1"), ("DOLMEN_NUM_THREADS", ""), ("RAYON_NUM_THREADS", "")];
    let program = usual.iter().chain(variables).fold(program, |program, (name, value)| program.env(name, value));
    Ok(program.run()?)
}

fn printed(what: &str, ranks: usize, variables: &[(&str, &str)]) -> TestResult<String> {
    let output = run(what, ranks, variables)?;
    if !output.status.success() {
        return Err(format!("{what} on {ranks} ranks with {variables:?}: {}", output.stderr).into());
    }
    Ok(output.stdout.trim().to_owned())
}

fn refused(what: &str, ranks: usize, variables: &[(&str, &str)], expected: &str) -> TestResult {
    let output = run(what, ranks, variables)?;
    assert_eq!(output.status.code(), Some(2), "{}", output.stderr);
    let errors: Vec<&str> = output.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(errors.len(), 1, "{}", output.stderr);
    assert!(errors[0].starts_with(expected), "{}", errors[0]);
    Ok(())
}

fn same_bits() -> TestResult {
    let reference = printed("bits", 1, &[("DOLMEN_NUM_THREADS", "1")])?;
    assert!(reference.lines().count() > 40, "{reference}");
    for ranks in 1..=3 {
        for threads in ["1", "2", "3"].into_iter().filter(|&threads| (ranks, threads) != (1, "1")) {
            let found = printed("bits", ranks, &[("DOLMEN_NUM_THREADS", threads)])?;
            let differing = reference.lines().zip(found.lines()).find(|(expected, found)| expected != found);
            assert_eq!(differing, None, "{ranks} ranks with {threads} threads");
            assert_eq!(reference.lines().count(), found.lines().count());
        }
    }
    Ok(())
}

fn the_environment_chooses() -> TestResult {
    assert_eq!(printed("count", 1, &[("DOLMEN_NUM_THREADS", "3")])?, "3");
    assert_eq!(printed("count", 2, &[("RAYON_NUM_THREADS", "2")])?, "2");
    assert_eq!(printed("count", 1, &[("DOLMEN_NUM_THREADS", "3"), ("RAYON_NUM_THREADS", "2")])?, "3");
    assert_eq!(printed("start", 2, &[("DOLMEN_NUM_THREADS", "3")])?, "3");
    Ok(())
}

fn a_program_chooses() -> TestResult {
    assert_eq!(printed("count", 1, &[])?, "1");
    assert_eq!(printed("start", 2, &[])?, "2");
    refused("again", 2, &[], "error: threads: this rank has 2 threads already; start them once")
}

fn too_many_are_refused() -> TestResult {
    let guarded = [("DOLMEN_OVERSUBSCRIBE", "0"), ("DOLMEN_NUM_THREADS", "1024")];
    refused("count", 2, &guarded, "error: threads: 1024 threads on a rank that may run on ")?;
    // As many threads as cores are all right on one rank, and too many on two.
    let cores = std::thread::available_parallelism()?.to_string();
    let full = [("DOLMEN_OVERSUBSCRIBE", "0"), ("DOLMEN_NUM_THREADS", cores.as_str())];
    assert_eq!(printed("count", 1, &full)?, cores);
    if cores != "1" {
        let all = 2 * cores.parse::<usize>()?;
        refused(
            "count",
            2,
            &full,
            &format!("error: threads: {all} threads of 2 ranks on a node with {cores} cores; "),
        )?;
    }
    Ok(())
}

fn no_number() -> TestResult {
    let expected = |value: &str| format!("error: threads: DOLMEN_NUM_THREADS={value} is not a number of threads");
    for value in ["many", "0", "-2"] {
        refused("count", 2, &[("DOLMEN_NUM_THREADS", value)], &expected(value))?;
    }
    Ok(())
}
