//! Bad input and bad arguments: exit code 2, and one line that says what is wrong.

use std::fs;
use std::time::Duration;

use dolmen_tests::{Mpirun, TestResult, binary};
use tempfile::tempdir;

use crate::{dolmen, matrix, tridiagonal};

pub(crate) fn bad_input() -> TestResult {
    let folder = tempdir()?;
    let file = |name: &str, text: &str| fs::write(folder.path().join(name), text);
    tridiagonal(folder.path(), "a.mtx", 4, 2.0)?;
    matrix(folder.path(), "tall.mtx", "general", [3, 2], &[(1, 1, 1.0), (3, 2, 1.0)])?;
    matrix(folder.path(), "nan.mtx", "general", [2, 2], &[(1, 1, 1.0), (2, 2, f64::NAN)])?;
    file("two.mtx", "%%MatrixMarket matrix array real general\n4 2\n1\n2\n3\n4\n5\n6\n7\n8\n")?;
    file("text.mtx", "a letter\n")?;
    file("bad.mtx", "%%MatrixMarket matrix array real general\n% a comment\n4 1\n1\n2\nnan\n4\n")?;
    file("inf.mtx", "%%MatrixMarket matrix coordinate real general\n4 1 2\n1 1 1\n3 1 -inf\n")?;
    for (args, expected) in [
        (&["solve", "none.mtx"][..], "none.mtx: cannot open"),
        (&["info", "text.mtx"], "text.mtx: "),
        (&["solve", "nan.mtx"], "row 1 has an entry that is NaN or infinite"),
        (&["solve", "a.mtx", "--rhs", "two.mtx"], "two.mtx: has 2 columns; a right-hand side has one"),
        (&["solve", "a.mtx", "--rhs", "bad.mtx"], "bad.mtx: line 6: the value is NaN or infinite"),
        (&["solve", "a.mtx", "--rhs", "inf.mtx"], "inf.mtx: line 4: the value is NaN or infinite"),
        (&["solve", "tall.mtx", "--solver", "cg"], "cg: the matrix has 3 rows and 2 columns; it must be square"),
        (
            &["solve", "tall.mtx", "--solver", "direct"],
            "error: direct: the matrix has 3 rows and 2 columns; it must be square; least-squares problems are solved by \
             lsqr, lsmr, cgls",
        ),
        (
            &["solve", "a.mtx", "--solver", "cg", "--preconditioner", "column-scaling"],
            "cg cannot take the preconditioner",
        ),
        (&["solve", "none.mtx", "--rtol", "-1"], "a relative tolerance must be at least 0 and less than 1"),
        (&["solve", "none.mtx", "--rtol", "2"], "a relative tolerance must be at least 0 and less than 1"),
        (&["solve", "none.mtx", "--atol", "-1"], "an absolute tolerance must be at least 0"),
        (&["solve", "a.mtx", "--output", "x.what"], "x.what: "),
        (&["info", "a.mtx", "--plot", "nowhere/a.png"], "nowhere/a.png.tmp: cannot create: "),
    ] {
        let output = dolmen(2, folder.path(), args)?;
        assert_eq!(output.status.code(), Some(2), "{args:?}: {output:?}");
        let errors: Vec<&str> = output.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
        assert!(errors.len() == 1 && errors[0].contains(expected), "{args:?}: {errors:?}");
    }
    Ok(())
}

/// A right-hand side of another length than the matrix has rows: both are told, whatever the kind of file.
pub(crate) fn right_hand_sides() -> TestResult {
    let folder = tempdir()?;
    tridiagonal(folder.path(), "a.mtx", 4, 2.0)?;
    matrix(folder.path(), "tall.mtx", "general", [4, 2], &[(1, 1, 1.0), (4, 2, 1.0)])?;
    // As long as the columns of the tall matrix.
    fs::write(folder.path().join("b.mtx"), "%%MatrixMarket matrix array real general\n2 1\n1\n2\n")?;
    for name in ["b.npy", "b.petsc", "b.h5", "b.fits"] {
        let made = dolmen(1, folder.path(), &["convert", "b.mtx", name])?;
        assert!(made.status.success(), "{made:?}");
    }
    for (name, what) in [
        ("b.mtx", "b.mtx: has"),
        ("b.npy", "b.npy: has"),
        ("b.petsc", "b.petsc: has"),
        ("b.h5", "b.h5: /vectors has"),
        ("b.fits", "b.fits: column VALUE has"),
    ] {
        let expected = format!(
            "error: {what} 2 rows, but the matrix has 4; a right-hand side needs one entry for each row of the matrix"
        );
        for (ranks, matrix) in [(1, "a.mtx"), (3, "a.mtx"), (2, "tall.mtx")] {
            let output = dolmen(ranks, folder.path(), &["solve", matrix, "--rhs", name])?;
            assert_eq!(output.status.code(), Some(2), "{output:?}");
            let errors: Vec<&str> = output.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
            assert_eq!(errors, [expected.as_str()], "{ranks} ranks");
        }
    }
    Ok(())
}

/// If the output cannot be written, nothing is solved: the matrix is not even looked for.
pub(crate) fn destinations() -> TestResult {
    let folder = tempdir()?;
    fs::create_dir(folder.path().join("x.mtx"))?;
    for (args, expected) in [
        (&["solve", "none.mtx", "--output", "x.what"][..], "x.what: has no known extension"),
        (&["solve", "none.mtx", "--output", "x.what"], ".h5, .hdf5 or .fits"),
        (&["solve", "none.mtx", "--output", "x.npz"], "x.npz: npz files hold sparse matrices"),
        (&["solve", "none.mtx", "--output", "nowhere/x.mtx"], "nowhere/x.mtx.tmp: cannot create: "),
        (&["solve", "none.mtx", "--output", "x.mtx"], "x.mtx: is a folder; name a file"),
        (&["info", "none.mtx", "--plot", "nowhere/a.png"], "nowhere/a.png.tmp: cannot create: "),
    ] {
        let output = dolmen(2, folder.path(), args)?;
        assert_eq!(output.status.code(), Some(2), "{args:?}: {output:?}");
        let errors: Vec<&str> = output.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
        assert!(errors.len() == 1 && errors[0].contains(expected), "{args:?}: {errors:?}");
    }
    Ok(())
}

/// The input, and the neighbors of the object that is written, are not lost.
pub(crate) fn inputs_and_neighbors() -> TestResult {
    let temporary = tempdir()?;
    let folder = temporary.path();
    tridiagonal(folder, "a.mtx", 4, 2.0)?;
    fs::write(folder.join("b.mtx"), "%%MatrixMarket matrix array real general\n4 1\n1\n2\n3\n4\n")?;
    fs::hard_link(folder.join("b.mtx"), folder.join("linked.mtx"))?;
    std::os::unix::fs::symlink("a.mtx", folder.join("symbolic.mtx"))?;
    for args in [["convert", "a.mtx", "sys.h5::in/A"], ["convert", "b.mtx", "t.fits::B"]] {
        let made = dolmen(1, folder, &args)?;
        assert!(made.status.success(), "{made:?}");
    }
    // The names under which x.npy is written first, and that stand beside x.petsc.
    ["x.npy.tmp", "x.petsc.info"]
        .into_iter()
        .try_for_each(|name| fs::copy(folder.join("a.mtx"), folder.join(name)).map(drop))?;
    fs::create_dir(folder.join("saved"))?;
    fs::copy(folder.join("a.mtx"), folder.join("saved/checkpoint-00000003.h5"))?;
    let files = ["a.mtx", "b.mtx", "sys.h5", "t.fits", "x.npy.tmp", "x.petsc.info", "saved/checkpoint-00000003.h5"];
    let contents = || files.iter().map(|name| fs::read(folder.join(name))).collect::<Result<Vec<_>, _>>();
    let before = contents()?;
    let is_read = "is the input ";
    for (args, expected) in [
        (&["solve", "a.mtx", "--output", "./a.mtx"][..], is_read),
        (&["solve", "a.mtx", "--output", "symbolic.mtx"], is_read),
        (&["solve", "a.mtx", "--rhs", "b.mtx", "--output", "linked.mtx"], is_read),
        (&["solve", "sys.h5::in/A", "--output", "sys.h5::x"], is_read),
        (&["convert", "b.mtx", "b.mtx"], is_read),
        (&["convert", "sys.h5", "sys.h5"], is_read),
        (&["info", "a.mtx", "--plot", "a.mtx"], is_read),
        (&["solve", "x.npy.tmp", "--output", "x.npy"], is_read),
        (&["solve", "x.petsc.info", "--output", "x.petsc"], is_read),
        (&["solve", "saved/checkpoint-00000003.h5", "--checkpoint", "saved", "--resume"], is_read),
        (&["solve", "a.mtx", "--checkpoint", "saved", "--output", "saved/checkpoint-00000003.h5"], is_read),
        (&["convert", "b.mtx", "sys.h5::b"], "sys.h5: would be replaced as a whole, and /in in it would be lost"),
        (&["convert", "b.mtx", "sys.h5::in/b"], "would be replaced as a whole, and /in/A in it would be lost"),
        (&["convert", "b.mtx", "t.fits::X"], "t.fits: would be replaced as a whole, and B in it would be lost"),
    ] {
        let output = dolmen(2, folder, args)?;
        assert_eq!(output.status.code(), Some(2), "{args:?}: {output:?}");
        assert!(output.stderr.contains(expected), "{args:?}: {}", output.stderr);
        assert!(contents()? == before, "{args:?} changes a file");
    }
    for args in
        [["convert", "a.mtx", "sys.h5::in/A"], ["convert", "b.mtx", "t.fits::B"], ["convert", "b.mtx", "sys.h5"]]
    {
        let output = dolmen(2, folder, &args)?;
        assert!(output.status.success(), "{args:?}: {output:?}");
    }
    Ok(())
}

/// A failed write on a full disk is an error; a reader that has gone away is not.
pub(crate) fn full_output() -> TestResult {
    let folder = tempdir()?;
    tridiagonal(folder.path(), "a.mtx", 4, 2.0)?;
    let run = |output: std::process::Stdio| {
        let mut command = std::process::Command::new(binary("dolmen")?);
        let child = command.args(["solve", "a.mtx"]).current_dir(folder.path()).stdout(output);
        Ok::<_, Box<dyn std::error::Error>>(child.stderr(std::process::Stdio::piped()).spawn()?)
    };
    let full = run(fs::OpenOptions::new().write(true).open("/dev/full")?.into())?.wait_with_output()?;
    let errors = String::from_utf8_lossy(&full.stderr);
    assert_eq!(full.status.code(), Some(2), "{errors}");
    assert!(errors.contains("standard output: cannot write: No space left"), "{errors}");
    let (reader, writer) = std::io::pipe()?;
    let child = run(writer.into())?;
    drop(reader);
    let gone = child.wait_with_output()?;
    assert_eq!(gone.status.code(), Some(0), "{}", String::from_utf8_lossy(&gone.stderr));
    Ok(())
}

pub(crate) fn bad_arguments() -> TestResult {
    let folder = tempdir()?;
    for (args, expected) in [
        (&["solve", "a.mtx", "--solver", "gmress"][..], &["bicgstab, idr", "did you mean \"gmres\"?"][..]),
        (&["solve", "a.mtx", "--preconditioner", "jacob"], &["ssor, ic, ilu", "did you mean \"jacobi\"?"]),
        (&["solve"], &["<MATRIX>"]),
        (&["slove", "a.mtx"], &["'solve'"]),
    ] {
        let output = dolmen(2, folder.path(), args)?;
        assert_eq!(output.status.code(), Some(2), "{args:?}: {output:?}");
        assert!(expected.iter().all(|part| output.stderr.contains(part)), "{args:?}: {}", output.stderr);
        assert_eq!(output.stderr.matches("error: ").count(), 1, "{args:?}: one rank speaks: {}", output.stderr);
    }
    let help = dolmen(2, folder.path(), &["solve", "--help"])?;
    assert!(help.status.success() && help.stdout.matches("--max-iterations").count() == 1, "{help:?}");
    Ok(())
}

pub(crate) fn warnings() -> TestResult {
    let job = Mpirun::new(2).program(binary("dolmen")?).args(["check"]).env("DOLMEN_NUM_THREADS", "2");
    let output = job.deadline(Duration::from_secs(60)).spawn()?.wait()?;
    assert!(output.stderr.contains("WARN") && output.stderr.contains("without the feature `threads`"), "{output:?}");
    Ok(())
}
