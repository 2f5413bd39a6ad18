//! Bad input and bad arguments: exit code 2, and one line that says what is wrong.

use std::fs;

use dolmen_tests::TestResult;
use tempfile::tempdir;

use crate::{dolmen, matrix, tridiagonal};

pub(crate) fn bad_input() -> TestResult {
    let folder = tempdir()?;
    let file = |name: &str, text: &str| fs::write(folder.path().join(name), text);
    tridiagonal(folder.path(), "a.mtx", 4, 2.0)?;
    matrix(folder.path(), "tall.mtx", "general", [3, 2], &[(1, 1, 1.0), (3, 2, 1.0)])?;
    matrix(folder.path(), "nan.mtx", "general", [2, 2], &[(1, 1, 1.0), (2, 2, f64::NAN)])?;
    file("two.mtx", "%%MatrixMarket matrix array real general\n4 2\n1\n2\n3\n4\n5\n6\n7\n8\n")?;
    file("short.mtx", "%%MatrixMarket matrix array real general\n3 1\n1\n2\n3\n")?;
    file("text.mtx", "a letter\n")?;
    for (args, expected) in [
        (&["solve", "none.mtx"][..], "none.mtx: cannot open"),
        (&["info", "text.mtx"], "text.mtx: "),
        (&["solve", "nan.mtx"], "row 1 has an entry that is NaN or infinite"),
        (&["solve", "a.mtx", "--rhs", "two.mtx"], "two.mtx: has 2 columns; a right-hand side has one"),
        (&["solve", "a.mtx", "--rhs", "short.mtx"], "short.mtx: "),
        (&["solve", "tall.mtx", "--solver", "cg"], "cg: the matrix has 3 rows and 2 columns; it must be square"),
        (
            &["solve", "a.mtx", "--solver", "cg", "--preconditioner", "column-scaling"],
            "cg cannot take the preconditioner",
        ),
        (&["solve", "a.mtx", "--rtol=-1"], "rtol is -1"),
        (&["solve", "a.mtx", "--output", "x.what"], "x.what: "),
        (&["info", "a.mtx", "--plot", "nowhere/a.png"], "nowhere/a.png: cannot write: "),
    ] {
        let output = dolmen(2, folder.path(), args)?;
        assert_eq!(output.status.code(), Some(2), "{args:?}: {output:?}");
        let errors: Vec<&str> = output.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
        assert!(errors.len() == 1 && errors[0].contains(expected), "{args:?}: {errors:?}");
    }
    Ok(())
}

pub(crate) fn bad_arguments() -> TestResult {
    let folder = tempdir()?;
    for (args, expected) in [
        (&["solve", "a.mtx", "--solver", "gmress"][..], &["bicgstab, idr", "a similar value exists: 'gmres'"][..]),
        (&["solve", "a.mtx", "--preconditioner", "jacob"], &["ssor, ic, ilu", "'jacobi'"]),
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
