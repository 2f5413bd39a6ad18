//! Progress of long work: on a terminal, and nowhere else.

use std::path::Path;

use dolmen_tests::{Mpirun, Output, TestResult, binary};
use tempfile::tempdir;

use crate::{dolmen, tridiagonal};

/// A solve that takes longer than what has no bar.
const LONG: [&str; 7] = ["solve", "a.mtx", "--solver", "cg", "--preconditioner", "none", "--max-iterations=3000"];

/// Runs the command on one rank whose standard output and standard error are a terminal.
fn on_terminal(folder: &Path, args: &[&str]) -> TestResult<Output> {
    let command = format!("{} {}", binary("dolmen")?.display(), args.join(" "));
    let job = Mpirun::new(1).program("/usr/bin/script").args(["-qec", &command, "/dev/null"]);
    Ok(job.env("TERM", "xterm").current_dir(folder).run()?)
}

pub(crate) fn terminal() -> TestResult {
    let folder = tempdir()?;
    tridiagonal(folder.path(), "a.mtx", 80_000, 2.0)?;
    let shown = on_terminal(folder.path(), &LONG)?.stdout;
    let bars: Vec<&str> = shown.split('\r').filter(|line| line.contains("[=")).collect();
    assert!(!bars.is_empty(), "{shown}");
    for bar in bars {
        assert!(bar.contains("iteration ") && bar.contains("relative residual ") && bar.contains(" left"), "{bar:?}");
    }
    // Wiped off before the result.
    assert!(shown.contains("\u{1b}[2Kcg with none"), "{shown:?}");
    Ok(())
}

pub(crate) fn quiet() -> TestResult {
    let folder = tempdir()?;
    tridiagonal(folder.path(), "a.mtx", 80_000, 2.0)?;
    let shown = on_terminal(folder.path(), &[&LONG[..], &["--quiet"]].concat())?.stdout;
    assert!(shown.starts_with("CG: 3000 iterations; ") && shown.lines().count() == 1, "{shown:?}");
    let converted = dolmen(1, folder.path(), &["convert", "a.mtx", "a.petsc", "-q"])?;
    assert!(converted.status.success() && folder.path().join("a.petsc").exists(), "{converted:?}");
    assert_eq!((converted.stdout.as_str(), converted.stderr.as_str()), ("", ""));
    Ok(())
}

pub(crate) fn elsewhere() -> TestResult {
    let folder = tempdir()?;
    tridiagonal(folder.path(), "a.mtx", 80_000, 2.0)?;
    let piped = dolmen(2, folder.path(), &LONG)?;
    assert!(!piped.stderr.contains("residual"), "{}", piped.stderr);
    assert!(piped.stdout.contains("CG: 3000 iterations") && !piped.stdout.contains('\u{1b}'), "{}", piped.stdout);
    Ok(())
}
