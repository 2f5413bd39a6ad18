//! Folders that are not the same for all ranks, as on nodes that do not share them, and a disk that fills.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use dolmen_tests::{Mpirun, Output, TestResult, binary, skip};
use tempfile::{TempDir, tempdir};

use crate::{DEADLINE, only_error, prepare, run};

/// Gives rank 1 a folder of its own in the place of `$FOLDER`, and has it do `$BEFORE` there.
const APART: &str = r#"
    rank=${OMPI_COMM_WORLD_RANK:-$PMI_RANK}
    [ "$rank" = 1 ] || exec "$@"
    exec unshare --mount sh -c 'mount -t tmpfs tmpfs "$FOLDER" && cd . && eval "$BEFORE" && exec "$@"' sh "$@"
"#;

/// Returns whether ranks can have folders of their own here.
fn is_permitted() -> TestResult<bool> {
    let tried = Command::new("unshare").args(["--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]).output();
    if tried.is_ok_and(|output| output.status.success()) {
        return Ok(true);
    }
    let reason = "a mount of its own for one rank is not permitted";
    assert!(env::var("CI").as_deref() != Ok("true"), "{reason}");
    skip(reason);
    Ok(false)
}

/// A folder with the inputs of all programs, and in it the place for what rank 1 sees in its own way.
fn prepared() -> TestResult<Option<TempDir>> {
    if !is_permitted()? {
        return Ok(None);
    }
    let folder = tempdir()?;
    prepare(folder.path())?;
    fs::create_dir(folder.path().join("apart"))?;
    Ok(Some(folder))
}

fn apart(folder: &Path, before: &str, program: &str, args: &[&str]) -> TestResult<Output> {
    let program = binary(program)?;
    let job = Mpirun::new(3).program("/bin/sh").args(["-c", APART, "sh"]).args([program]).args(args);
    let job = job.env("FOLDER", folder.join("apart")).env("BEFORE", before).current_dir(folder);
    Ok(job.deadline(DEADLINE).run()?)
}

pub(crate) fn inputs() -> TestResult {
    let Some(temporary) = prepared()? else { return Ok(()) };
    let folder = temporary.path();
    for name in ["a.mtx", "a.h5", "tod.h5", "case.toml"] {
        fs::copy(folder.join(name), folder.join("apart").join(name))?;
    }
    for (program, args, name) in [
        ("dolmen", &["info", "apart/a.h5"][..], "a.h5"),
        ("dolmen", &["info", "apart/a.mtx"], "a.mtx"),
        ("dolmen", &["solve", "apart/a.h5"], "a.h5"),
        ("mapmaker", &["run", "case.toml", "--tod", "apart/tod.h5"], "tod.h5"),
        ("mapmaker", &["run", "apart/case.toml"], "case.toml"),
    ] {
        let output = apart(folder, "true", program, args)?;
        let error = only_error(&output).map_err(|error| format!("{program} {args:?}: {error}"))?;
        let expected = format!("apart/{name}: cannot open: No such file");
        assert!(error.contains(&expected) && error.contains("that was rank 1"), "{error}");
    }
    Ok(())
}

pub(crate) fn different_files() -> TestResult {
    let Some(temporary) = prepared()? else { return Ok(()) };
    let folder = temporary.path();
    fs::copy(folder.join("a.h5"), folder.join("apart/a.h5"))?;
    fs::copy(folder.join("case.toml"), folder.join("apart/case.toml"))?;
    let before = r#"cp tod.h5 "$FOLDER/a.h5"; (cat case.toml; echo) > "$FOLDER/case.toml""#;
    for (program, args) in [("dolmen", ["info", "apart/a.h5"]), ("mapmaker", ["run", "apart/case.toml"])] {
        let error = only_error(&apart(folder, before, program, &args)?)?;
        assert!(error.contains(args[1]) && error.contains("the ranks see different contents"), "{error}");
    }
    Ok(())
}

pub(crate) fn outputs() -> TestResult {
    let Some(temporary) = prepared()? else { return Ok(()) };
    let folder = temporary.path();
    for (program, args) in [
        ("dolmen", &["solve", "a.mtx", "--output", "apart/x.h5"][..]),
        ("dolmen", &["solve", "a.mtx", "--output", "apart/x.npy"]),
        ("dolmen", &["solve", "a.mtx", "--checkpoint", "apart/saved"]),
        ("dolmen", &["convert", "a.mtx", "apart/y.h5"]),
        ("mapmaker", &["run", "case.toml", "--output", "apart"]),
        ("mapmaker", &["simulate", "case.toml", "--output", "apart/y.h5"]),
    ] {
        let error = only_error(&apart(folder, "true", program, args)?)?;
        assert!(error.contains("apart") && error.contains("that was rank 1"), "{program} {args:?}: {error}");
    }
    // A file of the same name in a folder of its own is not the one.
    let error = only_error(&apart(
        folder,
        r#"touch "$FOLDER/x.h5.tmp""#,
        "dolmen",
        &["solve", "a.mtx", "--output", "apart/x.h5"],
    )?)?;
    assert!(error.contains("apart/x.h5.tmp") && error.contains("that was rank 1"), "{error}");
    let left: Vec<_> = fs::read_dir(folder.join("apart"))?.flatten().map(|entry| entry.file_name()).collect();
    assert!(left.iter().all(|name| name == "saved"), "{left:?}");
    Ok(())
}

/// The place that a message names.
pub(crate) fn rescued<'e>(error: &'e str, words: &str) -> TestResult<&'e str> {
    error.split_once(words).map(|(_, path)| path.trim()).ok_or_else(|| format!("names no place: {error}").into())
}

pub(crate) fn full_disk() -> TestResult {
    let temporary = tempdir()?;
    let folder = temporary.path();
    prepare(folder)?;
    let disk = folder.join("disk");
    fs::create_dir(&disk)?;
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=16k", "tmpfs"]).arg(&disk).output()?;
    if !mounted.status.success() {
        skip("mounting a small disk is not permitted");
        return Ok(());
    }
    let tried = on_a_small_disk(folder);
    assert!(Command::new("umount").arg("--lazy").arg(&disk).status()?.success());
    tried
}

fn on_a_small_disk(folder: &Path) -> TestResult {
    fs::write(folder.join("disk/filler"), [0; 12 << 10])?;
    for ranks in [1, 3] {
        assert!(run(ranks, folder, "dolmen", &["solve", "a.mtx", "--output", "x.npy"])?.status.success());
        let expected = fs::read(folder.join("x.npy"))?;
        for name in ["disk/x.h5", "disk/x.mtx", "disk/x.fits", "disk/x.petsc"] {
            let output = run(ranks, folder, "dolmen", &["solve", "a.mtx", "--output", name])?;
            let error = only_error(&output).map_err(|error| format!("{ranks} ranks, {name}: {error}"))?;
            assert!(error.contains(name) && error.contains("No space left"), "{error}");
            let path = rescued(&error, "; the solution is in ")?;
            assert!(fs::read(path)? == expected, "{ranks} ranks, {name}: another solution");
            fs::remove_file(path)?;
        }
        let output = run(ranks, folder, "mapmaker", &["run", "case.toml", "--output", "disk"])?;
        let error = only_error(&output)?;
        let maps = folder.join(rescued(&error, "; the maps are in ")?);
        for name in ["map_binned.fits", "map_destriped.fits", "baselines.h5"] {
            assert!(maps.join(name).is_file(), "{name}: {error}");
        }
        fs::remove_dir_all(maps)?;
        assert_eq!(fs::read_dir(folder.join("disk"))?.count(), 1, "something half-written is left");
    }
    Ok(())
}
