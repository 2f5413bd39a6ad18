//! Names of files and text in them: accepted in any encoding, shown escaped, and links followed nowhere.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;

use dolmen_tests::{Mpirun, Output, TestResult, binary};
use serde_json::Value;
use tempfile::tempdir;

use crate::{dolmen, tridiagonal};

/// A link under the name that a picture has until it is whole is removed, and not what it leads to.
pub(crate) fn links() -> TestResult {
    let temporary = tempdir()?;
    let folder = temporary.path();
    tridiagonal(folder, "a.mtx", 4, 2.0)?;
    fs::write(folder.join("victim"), "precious")?;
    symlink("victim", folder.join("a.png.tmp"))?;
    let made = dolmen(2, folder, &["info", "a.mtx", "--plot", "a.png"])?;
    assert!(made.status.success() && folder.join("a.png").exists(), "{made:?}");
    assert_eq!(fs::read(folder.join("victim"))?, b"precious");
    Ok(())
}

/// Runs the command on names of any bytes.
fn run(ranks: usize, folder: &Path, args: &[&[u8]]) -> TestResult<Output> {
    let args = args.iter().map(|arg| OsStr::from_bytes(arg));
    Ok(Mpirun::new(ranks).program(binary("dolmen")?).args(args).current_dir(folder).run()?)
}

/// Text without anything that acts on the terminal.
fn require_plain(text: &str) {
    let bad = text.chars().find(|letter| *letter != '\n' && letter.is_control());
    assert_eq!(bad, None, "{text:?}");
}

pub(crate) fn text() -> TestResult {
    let temporary = tempdir()?;
    let folder = temporary.path();
    fs::write(folder.join("word.mtx"), "%%MatrixMarket matrix \u{1b}]0;title\u{7} real general\n1 1 1\n1 1 1\n")?;
    fs::write(folder.join("line.mtx"), "%%MatrixMarket matrix coordinate real general\n1 1 1\n1 \u{9b}2J 1\n")?;
    for name in ["word.mtx", "line.mtx"] {
        let output = dolmen(1, folder, &["info", name])?;
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        require_plain(&output.stderr);
    }
    fs::write(folder.join("x.mtx"), "%%MatrixMarket matrix array real general\n2 1\n1\n2\n")?;
    let made = dolmen(1, folder, &["convert", "x.mtx", "odd.h5::x\n\u{1b}[31m\u{9b}2J"])?;
    assert!(made.status.success(), "{made:?}");
    require_plain(&made.stdout);
    let output = dolmen(2, folder, &["info", "odd.h5"])?;
    assert!(output.status.success(), "{output:?}");
    require_plain(&output.stdout);
    assert!(output.stdout.contains("/x\\n\\u{1b}[31m\\u{9b}2J  "), "{}", output.stdout);
    let output = dolmen(2, folder, &["info", "odd.h5", "--json"])?;
    require_plain(&output.stdout);
    let object: Value = serde_json::from_str(&output.stdout)?;
    let objects = object["objects"].as_array().ok_or("no list")?;
    assert!(objects.iter().any(|object| object["name"] == "/x\n\u{1b}[31m\u{9b}2J"), "{object}");
    Ok(())
}

pub(crate) fn names() -> TestResult {
    let temporary = tempdir()?;
    let folder = temporary.path();
    tridiagonal(folder, "a.mtx", 4, 2.0)?;
    let odd: &[u8] = b"odd\n\x1b[31m\xff";
    let name = |end: &str| [odd, end.as_bytes()].concat();
    fs::copy(folder.join("a.mtx"), folder.join(OsStr::from_bytes(&name(".mtx"))))?;
    let shown = "odd\\n\\u{1b}[31m\\xff";
    for end in [".npz", ".h5"] {
        let output = run(2, folder, &[b"convert", &name(".mtx"), &name(end)])?;
        assert!(output.status.success(), "{output:?}");
        assert_eq!(output.stdout.lines().count(), 1, "{output:?}");
        assert!(output.stdout.starts_with(&format!("{shown}{end}: ")), "{output:?}");
    }
    for args in [
        &[b"solve", &name(".npz")[..], b"--output", &name(".npy")][..],
        &[b"solve", &name(".h5")[..], b"--output", &name("x.h5"), b"--checkpoint", odd],
        &[b"info", &name(".h5")[..]],
        &[b"info", &name("x.h5")[..], b"--json"],
    ] {
        let output = run(2, folder, args)?;
        assert!(output.status.success(), "{output:?}");
        require_plain(&output.stdout);
        require_plain(&output.stderr);
    }
    let output = run(1, folder, &[b"info", &name("none.mtx")])?;
    assert_eq!(output.status.code(), Some(2));
    let expected = format!("error: {shown}none.mtx: cannot open: ");
    assert!(output.stderr.lines().any(|line| line.starts_with(&expected)), "{output:?}");
    let option: OsString = [OsStr::new("--"), OsStr::from_bytes(b"\x1b[31m")].into_iter().collect();
    let output = run(1, folder, &[b"info", option.as_bytes()])?;
    assert_eq!(output.status.code(), Some(2));
    require_plain(&output.stderr);
    Ok(())
}
