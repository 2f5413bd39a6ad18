//! Scripts for the Python that has the packages of the field.

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
        let python = std::env::var("DOLMEN_PYTHON").unwrap_or_else(|_| "/usr/bin/python3".to_owned());
        let import = Command::new(&python).args(["-c", &format!("import {modules}")]).output();
        if !import.is_ok_and(|output| output.status.success()) {
            return Ok(false);
        }
        let output = Command::new(&python).arg("-c").arg(script).arg(path).output();
        let output = output.map_err(|error| error.to_string())?;
        let problem = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() { Ok(true) } else { Err(problem) }
    };
    let ran = comm.agree(if comm.rank() == 0 { run() } else { Ok(true) })?;
    let mut everywhere = [u64::from(ran)];
    comm.all_reduce_min(&mut everywhere);
    if everywhere == [0] {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "no Python with {modules}");
        skip(&format!("no Python with {modules} (DOLMEN_PYTHON names one)"));
    }
    Ok(everywhere == [1])
}
