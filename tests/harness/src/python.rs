//! Scripts for the Python that has the packages of the field.

use std::env;
use std::path::Path;
use std::process::Command;

use dolmen_core::Comm;

use crate::case::TestResult;
use crate::shared::skip;

/// Runs a script on rank 0 with a file's name as argument; false, and the case skipped, where there is
/// no Python with `modules`: Debian's interpreter, unless `DOLMEN_PYTHON` names another.
///
/// # Collective
///
/// # Errors
/// A script that fails, with what it printed.
///
/// # Panics
/// Where `CI=true` and there is no such Python.
pub fn python(comm: &Comm, modules: &str, script: &str, path: &Path) -> TestResult<bool> {
    let run = || -> Result<bool, String> {
        let python = env::var("DOLMEN_PYTHON").unwrap_or_else(|_| "/usr/bin/python3".to_owned());
        let import = interpreter(&python).args(["-c", &format!("import {modules}")]).output();
        if !import.is_ok_and(|output| output.status.success()) {
            return Ok(false);
        }
        let output = interpreter(&python).arg("-c").arg(script).arg(path).output();
        let output = output.map_err(|error| error.to_string())?;
        let problem = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() { Ok(true) } else { Err(problem) }
    };
    let ran = comm.agree(if comm.rank() == 0 { run() } else { Ok(true) })?;
    let mut everywhere = [u64::from(ran)];
    comm.all_reduce_min(&mut everywhere);
    if everywhere == [0] {
        assert!(env::var("CI").as_deref() != Ok("true"), "no Python with {modules}");
        skip(&format!("no Python with {modules} (DOLMEN_PYTHON names one)"));
    }
    Ok(everywhere == [1])
}

/// What launchers tell their ranks.
const OF_LAUNCHERS: [&str; 3] = ["OMPI_", "PMIX_", "PMI_"];

/// An interpreter that is no rank of the job: a script that starts an MPI of its own, as PETSc does, would
/// else try to join it in the place of the rank.
fn interpreter(python: &str) -> Command {
    let mut command = Command::new(python);
    for (name, _) in env::vars_os() {
        if OF_LAUNCHERS.iter().any(|of| name.to_string_lossy().starts_with(of)) {
            command.env_remove(name);
        }
    }
    command
}
