//! Programs that end in all ways, and what they leave: cases start them on several ranks.

use std::process::ExitCode;
use std::time::Duration;

use dolmen_core::{Error, Layout, Vector};
use dolmen_tests::{Comm, Mpirun, Output, TestResult};

/// The variable that names the program.
pub(crate) const PROGRAM: &str = "DOLMEN_PROGRAM";

/// A rank fails with this text.
fn main_of(name: &str, comm: &Comm) -> Result<ExitCode, String> {
    let rank = comm.rank();
    match name {
        "panic" => {
            assert_ne!(rank, 1, "the capstone slipped");
            comm.barrier();
        }
        "lone error" => {
            if rank == 1 {
                return Err("expected 3 stones, found 2".to_owned());
            }
            comm.barrier();
        }
        "lengths differ" => {
            let layout = Layout::uniform(comm, if rank == 0 { 100 } else { 300 });
            Vector::<f64>::zeros(&layout).norm2();
        }
        "no root" => comm.broadcast(3, &mut vec![1u8]),
        "no gathering root" => drop(comm.gather(3, &[1u8])),
        "no such partner" => drop(comm.sparse_exchange(&[(3, vec![1u8])])),
        "common error" => return Err("there is no quarry".to_owned()),
        "agreed error" => {
            let stones = if rank == 2 { Err("a stone is missing") } else { Ok(3) };
            comm.agree(stones).map_err(|error| error.to_string())?;
        }
        "two errors" => {
            if rank > 0 {
                std::thread::sleep(Duration::from_millis(200 * (3 - rank as u64)));
                return Err(format!("stone {rank} broke"));
            }
        }
        "exit code" => return Ok(ExitCode::from(7)),
        other => return Err(format!("there is no program {other}")),
    }
    Ok(ExitCode::SUCCESS)
}

/// The error type of these programs: its text.
struct Text(String);

impl From<Error> for Text {
    fn from(error: Error) -> Text {
        Text(error.to_string())
    }
}

impl std::fmt::Display for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

pub(crate) fn program(name: &str) -> ExitCode {
    if name == "twice" {
        let first = Comm::run(|_| Ok::<_, Text>(ExitCode::SUCCESS));
        assert_eq!(first, ExitCode::SUCCESS);
        return Comm::run(|_| Ok::<_, Text>(ExitCode::SUCCESS));
    }
    Comm::run(|comm| main_of(name, comm).map_err(Text))
}

fn run(name: &str, ranks: usize) -> TestResult<Output> {
    let this = std::env::current_exe()?;
    let output = Mpirun::new(ranks).program(this).env(PROGRAM, name).deadline(Duration::from_secs(30)).run()?;
    assert!(!output.timed_out, "{name} hangs\n{}", output.stderr);
    Ok(output)
}

/// The lines that `Comm::run` printed, launcher messages left out.
fn errors(output: &Output) -> Vec<&str> {
    output.stderr.lines().filter(|line| line.starts_with("error: ")).collect()
}

pub(crate) fn a_panic_ends_the_job() -> TestResult {
    let output = run("panic", 3)?;
    assert!(output.elapsed < Duration::from_secs(10), "took {:?}", output.elapsed);
    assert_eq!(output.status.code(), Some(101));
    for text in ["rank 1: panicked at", "the capstone slipped", "rank 1 panicked: this is a bug; the job is aborted"] {
        assert!(output.stderr.contains(text), "{text:?} is missing from\n{}", output.stderr);
    }
    let first = "   0: ";
    assert!(output.stderr.contains(first), "no backtrace in\n{}", output.stderr);
    let brief = Mpirun::new(3).program(std::env::current_exe()?).env(PROGRAM, "panic").env("RUST_BACKTRACE", "0");
    let brief = brief.deadline(Duration::from_secs(30)).run()?;
    assert!(brief.stderr.contains("the capstone slipped") && !brief.stderr.contains(first), "{}", brief.stderr);
    Ok(())
}

pub(crate) fn bugs_of_the_caller_end_the_job() -> TestResult {
    for (name, message) in [
        ("lengths differ", "Layout::uniform: the ranks give different lengths"),
        ("no root", "broadcast: there is no rank 3 among 2"),
        ("no gathering root", "gather: there is no rank 3 among 2"),
        ("no such partner", "sparse exchange: there is no rank 3 among 2"),
    ] {
        let output = run(name, 2)?;
        assert!(output.elapsed < Duration::from_secs(10), "{name} took {:?}", output.elapsed);
        assert_eq!(output.status.code(), Some(101), "{name}");
        assert!(output.stderr.contains(message), "{message:?} is missing from\n{}", output.stderr);
    }
    Ok(())
}

pub(crate) fn a_lone_error_ends_the_job() -> TestResult {
    let output = run("lone error", 3)?;
    assert!(output.elapsed < Duration::from_secs(15), "took {:?}", output.elapsed);
    assert_eq!(output.status.code(), Some(2), "{}", output.stderr);
    let expected = "error: rank 1 ended while others continued, so the job was ended: expected 3 stones, found 2";
    assert_eq!(errors(&output), [expected]);
    Ok(())
}

pub(crate) fn a_common_error_is_printed_once() -> TestResult {
    for ranks in [1, 4] {
        let output = run("common error", ranks)?;
        assert_eq!(output.status.code(), Some(2), "{}", output.stderr);
        assert_eq!(errors(&output), ["error: there is no quarry"]);
        assert!(output.elapsed < Duration::from_secs(5), "took {:?}: waited for a grace", output.elapsed);
    }
    Ok(())
}

pub(crate) fn an_agreed_error_names_its_rank() -> TestResult {
    let output = run("agreed error", 3)?;
    assert_eq!(output.status.code(), Some(2), "{}", output.stderr);
    assert_eq!(errors(&output), ["error: a stone is missing (rank 2)"]);
    Ok(())
}

/// Rank 0 succeeds, ranks 2 and 1 fail one after the other.
pub(crate) fn the_lowest_failing_rank_speaks() -> TestResult {
    let output = run("two errors", 3)?;
    assert_eq!(output.status.code(), Some(2), "{}", output.stderr);
    assert_eq!(errors(&output), ["error: stone 1 broke"]);
    Ok(())
}

pub(crate) fn main_chooses_the_exit_code() -> TestResult {
    let output = run("exit code", 2)?;
    assert_eq!(output.status.code(), Some(7), "{}", output.stderr);
    assert_eq!(errors(&output), [""; 0]);
    Ok(())
}

pub(crate) fn a_second_run_is_refused() -> TestResult {
    let output = run("twice", 1)?;
    assert_eq!(output.status.code(), Some(2), "{}", output.stderr);
    assert_eq!(errors(&output).len(), 1);
    assert!(errors(&output)[0].contains("already initialized or finalized"), "{}", output.stderr);
    Ok(())
}
