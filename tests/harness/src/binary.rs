//! The workspace's own programs, built for the tests that run them.

use std::collections::HashMap;
use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// Variables that Cargo sets for a running test. Build scripts that watch them would run again,
/// and everything that depends on them would be compiled again.
const OF_THE_TEST: [&str; 5] = ["CARGO_BIN_", "CARGO_CRATE_", "CARGO_MANIFEST_", "CARGO_PKG_", "CARGO_TARGET_TMPDIR"];

/// The built program `name` of the workspace, up to date and of the same profile as
/// the running test. Cargo is asked once per process.
///
/// # Errors
/// If the test does not run from a Cargo target directory or the program does not build.
pub fn binary(name: &str) -> io::Result<PathBuf> {
    built(name, &["--bin", name], Path::new(name))
}

/// The built example `name` of the workspace; otherwise as [`binary`].
///
/// # Errors
/// As [`binary`].
pub fn example(name: &str) -> io::Result<PathBuf> {
    built(name, &["--example", name], &Path::new("examples").join(name))
}

/// Builds `selection` and returns the file at `place` in the folder of the running test's profile.
fn built(name: &str, selection: &[&str], place: &Path) -> io::Result<PathBuf> {
    static BUILT: Mutex<Option<HashMap<String, PathBuf>>> = Mutex::new(None);
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let built = built.get_or_insert_default();
    if let Some(path) = built.get(name) {
        return Ok(path.clone());
    }
    let path = build(name, selection, &env::current_exe()?)?.join(place);
    built.insert(name.to_owned(), path.clone());
    Ok(path)
}

/// Builds `selection` beside `test`, which lies in `TARGET/PROFILE/deps`; the folder of the profile.
fn build(name: &str, selection: &[&str], test: &Path) -> io::Result<PathBuf> {
    let mut parents = test.ancestors().skip(2);
    let place = (parents.next(), parents.next());
    let (Some(folder), Some(target)) = place else {
        return Err(io::Error::other(format!("{} is not in a Cargo target directory", test.display())));
    };
    // The directory of the dev profile is the only one with a name of its own.
    let profile = match folder.file_name() {
        Some(name) if name != "debug" => name,
        _ => "dev".as_ref(),
    };
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (variable, _) in env::vars_os() {
        if OF_THE_TEST.iter().any(|prefix| variable.as_encoded_bytes().starts_with(prefix.as_bytes())) {
            cargo.env_remove(variable);
        }
    }
    // A package by itself would have fewer features of its dependencies, which then are built again.
    let status = cargo
        .args(["build", "--quiet", "--workspace"])
        .args(selection)
        .arg("--profile")
        .arg(profile)
        .arg("--target-dir")
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()?;
    if !status.success() {
        return Err(io::Error::other(format!("building {name} ended with {status}")));
    }
    Ok(folder.to_owned())
}
