//! Ends of a job's processes: alone, with a launcher, and when a host is lost.
//!
//! With `DOLMEN_PROGRAM` set this binary is one of the programs at the end of the file.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::thread::sleep;
use std::time::Duration;

use dolmen_core::environment::mpi_library;
use dolmen_core::{Comm, Error};
use dolmen_tests::{Mpirun, TestResult, serial, skip};

const PROGRAM: &str = "DOLMEN_PROGRAM";

fn main() -> ExitCode {
    if let Ok(name) = env::var(PROGRAM) {
        return program(&name);
    }
    dolmen_tests::main(&[
        serial("libraries_stay_until_the_end", libraries_stay_until_the_end),
        serial("a_lost_host_ends_the_job", a_lost_host_ends_the_job),
    ])
}

/// Runs a program without a launcher; what it prints.
fn alone(name: &str) -> TestResult<String> {
    let output = Command::new(env::current_exe()?).env(PROGRAM, name).output()?;
    let (printed, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{name}: {} {printed}{errors}", output.status);
    Ok(printed.into_owned())
}

/// Threads of MPI must not lose the code that they execute.
fn libraries_stay_until_the_end() -> TestResult {
    assert_eq!(alone("libraries")?, "unloaded: {}\n");
    let output = Mpirun::new(2).program(env::current_exe()?).env(PROGRAM, "libraries").run()?;
    assert_eq!(output.stdout, "unloaded: {}\n".repeat(2), "{}", output.stderr);
    Ok(())
}

fn a_lost_host_ends_the_job() -> TestResult {
    if !alone("library")?.contains("Open MPI") {
        skip("the settings are Open MPI's");
        return Ok(());
    }
    let namespaces = ["--user", "--map-root-user", "--net", "--pid", "--fork", "--mount-proc", "--kill-child"];
    let probe = Command::new("unshare").args(namespaces).args(["ip", "link", "set", "lo", "up"]).output();
    if !probe.as_ref().is_ok_and(|output| output.status.success()) {
        let reason = format!("this machine does not let a test have networks of its own: {probe:?}");
        assert!(env::var("CI").as_deref() != Ok("true"), "{reason}");
        skip(&reason);
        return Ok(());
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/launch/two-hosts.sh");
    let mut job = Command::new("unshare");
    job.args(namespaces).arg(script).arg(env::current_exe()?).env(PROGRAM, "barriers");
    let output = job.output()?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let line =
        printed.lines().find(|line| line.starts_with("the launcher ended")).ok_or_else(|| format!("{output:?}"))?;
    let words: Vec<&str> = line.split(' ').collect();
    let seconds: u64 = words[words.len() - 2].parse()?;
    // Without the settings the launcher is killed after two minutes.
    assert!(seconds < 60, "{printed}");
    assert!(printed.contains("lost communication with a remote daemon"), "{printed}");
    Ok(())
}

// The programs.

fn program(name: &str) -> ExitCode {
    let mut before = BTreeSet::new();
    let code = Comm::run(|comm| -> Result<ExitCode, Error> {
        match name {
            "library" => println!("{}", mpi_library().description),
            "libraries" => before = libraries(),
            _ => wait_together(comm),
        }
        Ok(ExitCode::SUCCESS)
    });
    if name == "libraries" {
        println!("unloaded: {:?}", before.difference(&libraries()).collect::<BTreeSet<_>>());
    }
    code
}

fn wait_together(comm: &Comm) -> ! {
    comm.barrier();
    println!("ready");
    loop {
        comm.barrier();
        sleep(Duration::from_millis(10));
    }
}

/// The shared libraries that are loaded.
fn libraries() -> BTreeSet<String> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let files = maps.lines().filter_map(|line| line.find('/').map(|start| line[start..].to_owned()));
    files.filter(|path| path.contains(".so")).collect()
}
