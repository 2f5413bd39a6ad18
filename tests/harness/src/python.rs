//! Scripts for the Python that has the packages of the field.

use std::env;
use std::path::Path;
use std::process::Command;

use dolmen_core::Comm;

use crate::case::TestResult;
use crate::shared::skip;

/// Runs a script on rank 0 with a file's name as argument; false, and the case skipped, where there is
/// no [`interpreter`] with `modules`.
///
/// # Collective
///
/// # Errors
/// A script that fails, with what it printed.
///
/// # Panics
/// If `CI=true` and there is no such Python.
pub fn python(comm: &Comm, modules: &str, script: &str, path: &Path) -> TestResult<bool> {
    let run = || -> Result<bool, String> {
        if !has_modules(modules) {
            return Ok(false);
        }
        let output = interpreter().arg("-c").arg(script).arg(path).output();
        let output = output.map_err(|error| error.to_string())?;
        let problem = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() { Ok(true) } else { Err(problem) }
    };
    let ran = comm.agree(if comm.rank() == 0 { run() } else { Ok(true) })?;
    let mut everywhere = [u64::from(ran)];
    comm.all_reduce_min(&mut everywhere);
    if everywhere == [0] {
        skip_without(modules);
    }
    Ok(everywhere == [1])
}

/// Runs a script in this process alone, with file names as arguments; false, and the case skipped, where
/// there is no [`interpreter`] with `modules`.
///
/// # Errors
/// Python cannot be started.
///
/// # Panics
/// The script fails; or `CI=true` and there is no such Python.
pub fn python_here(modules: &str, script: &str, arguments: &[&Path]) -> TestResult<bool> {
    if !has_modules(modules) {
        skip_without(modules);
        return Ok(false);
    }
    let output = interpreter().arg("-c").arg(script).args(arguments).output()?;
    assert!(output.status.success(), "python3: {}", String::from_utf8_lossy(&output.stderr));
    Ok(true)
}

fn has_modules(modules: &str) -> bool {
    let import = interpreter().args(["-c", &format!("import {modules}")]).output();
    import.is_ok_and(|output| output.status.success())
}

fn skip_without(modules: &str) {
    assert!(env::var("CI").as_deref() != Ok("true"), "no Python with {modules}");
    skip(&format!("no Python with {modules} (DOLMEN_PYTHON names one)"));
}

/// Prefixes of the variables that launchers set for their ranks.
const OF_LAUNCHERS: [&str; 3] = ["OMPI_", "PMIX_", "PMI_"];

/// Debian's interpreter, unless `DOLMEN_PYTHON` names another, as no rank of the job: a script that starts an MPI of
/// its own, as PETSc does, would else try to join it in the place of the rank.
pub fn interpreter() -> Command {
    let mut command = Command::new(env::var_os("DOLMEN_PYTHON").unwrap_or_else(|| "/usr/bin/python3".into()));
    for (name, _) in env::vars_os() {
        if OF_LAUNCHERS.iter().any(|of| name.to_string_lossy().starts_with(of)) {
            command.env_remove(name);
        }
    }
    command
}
