//! Inputs that are no regular files, and outputs that would replace such.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use dolmen_tests::TestResult;
use tempfile::tempdir;

use crate::{CONFIG, prepare, refused, run};

/// Options by which each program takes a file; NAME stands for the file.
const PLACES: [(&str, &[&str]); 9] = [
    ("dolmen", &["info", "NAME"]),
    ("dolmen", &["solve", "NAME"]),
    ("dolmen", &["solve", "a.mtx", "--rhs", "NAME"]),
    ("dolmen", &["convert", "NAME", "y.h5"]),
    ("mapmaker", &["run", "NAME"]),
    ("mapmaker", &["run", "case.toml", "--tod", "NAME"]),
    ("mapmaker", &["run", "masked.toml"]),
    ("mapmaker", &["run", "compared.toml"]),
    ("mapmaker", &["simulate", "case.toml", "--sky", "NAME", "--output", "x.h5"]),
];

fn pipe(path: &Path) -> TestResult {
    assert!(Command::new("mkfifo").arg(path).status()?.success());
    Ok(())
}

pub(crate) fn pipes_and_devices() -> TestResult {
    let temporary = tempdir()?;
    let folder = temporary.path();
    prepare(folder)?;
    let masked = CONFIG.replace("baseline = 20.0", "baseline = 20.0, mask = 'pipe'");
    fs::write(folder.join("masked.toml"), masked)?;
    fs::write(folder.join("compared.toml"), format!("{CONFIG}\n output.compare = 'pipe'"))?;
    pipe(&folder.join("pipe"))?;
    symlink("pipe", folder.join("link"))?;
    for (program, args) in PLACES {
        let named = |name: &'static str| args.iter().map(|arg| if *arg == "NAME" { name } else { arg }).collect();
        let args: Vec<&str> = named("pipe");
        refused(2, folder, program, &args, &["pipe: is not a regular file"])?;
    }
    for name in ["link", "/dev/urandom", "/dev/null"] {
        refused(1, folder, "dolmen", &["info", name], &[name, "is not a regular file"])?;
        refused(1, folder, "mapmaker", &["run", name], &[name, "is not a regular file"])?;
    }
    refused(2, folder, "mapmaker", &["run", "."], &["is a folder; name a file"])?;
    // Links to files are files.
    symlink("a.h5", folder.join("a-link.h5"))?;
    assert!(run(2, folder, "dolmen", &["info", "a-link.h5"])?.status.success());
    checkpoints(folder)
}

fn checkpoints(folder: &Path) -> TestResult {
    fs::create_dir(folder.join("locked"))?;
    pipe(&folder.join("locked/.lock"))?;
    let solve = |name| ["solve", "a.mtx", "--checkpoint", name, "--resume"];
    refused(2, folder, "dolmen", &solve("locked"), &["locked: cannot use as folder of checkpoints: its file .lock"])?;
    fs::create_dir(folder.join("piped"))?;
    pipe(&folder.join("piped/checkpoint-00000001.h5"))?;
    refused(2, folder, "dolmen", &solve("piped"), &["checkpoint-00000001.h5: is not a regular file"])
}

pub(crate) fn outputs() -> TestResult {
    let temporary = tempdir()?;
    let folder = temporary.path();
    prepare(folder)?;
    pipe(&folder.join("x.npy"))?;
    pipe(&folder.join("x.h5"))?;
    for name in ["x.npy", "x.h5"] {
        let expected = format!("{name}: is not a regular file; name another");
        refused(2, folder, "dolmen", &["solve", "a.mtx", "--output", name], &[&expected])?;
        refused(1, folder, "dolmen", &["convert", "a.mtx", name], &[name])?;
        assert!(!folder.join(name).metadata()?.is_file());
    }
    // What a program that was killed has left may be anything.
    fs::create_dir(folder.join("out"))?;
    pipe(&folder.join("out/baselines.h5.tmp"))?;
    pipe(&folder.join("out/report.html.tmp"))?;
    let output = run(2, folder, "mapmaker", &["run", "case.toml"])?;
    assert!(output.status.success(), "{output:?}");
    Ok(())
}
