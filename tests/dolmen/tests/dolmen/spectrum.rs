//! Eigenvalues and singular values of matrices in files.

use std::f64::consts::PI;

use dolmen_tests::{TestResult, data};
use serde_json::Value;

use crate::{dolmen, matrix, object, tridiagonal};

fn numbers(found: &Value, name: &str) -> TestResult<Vec<f64>> {
    let values = found[name].as_array().ok_or_else(|| format!("no {name} in {found}"))?;
    Ok(values.iter().filter_map(Value::as_f64).collect())
}

fn near(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= 1e-7 * expected.abs().max(1e-7), "{found} is not {expected}");
    }
}

/// The ends and the middle of a known spectrum, of a matrix with a dense copy and one without, and with a mass matrix.
pub(crate) fn eigenvalues() -> TestResult {
    let folder = tempfile::tempdir()?;
    for n in [60u64, 900] {
        let value = |j: u64| 2.0 - 2.0 * (j as f64 * PI / (n + 1) as f64).cos();
        tridiagonal(folder.path(), "a.mtx", n, 2.0)?;
        let ends: [(&str, Vec<f64>); 3] = [
            ("smallest", (1..=3).map(value).collect()),
            ("largest", (0..3).map(|j| value(n - j)).collect()),
            ("nearest=0", (1..=3).map(value).collect()),
        ];
        for (number, (which, expected)) in ends.into_iter().enumerate() {
            let (found, code) =
                object(1 + number, folder.path(), &["eigen", "a.mtx", "-k", "3", "--which", which, "--rtol", "1e-10"])?;
            assert_eq!((code, &found["converged"]), (Some(0), &true.into()), "{found}");
            near(&numbers(&found, "eigenvalues")?, &expected);
            assert!(numbers(&found, "residuals")?.iter().all(|residual| *residual <= 1e-6), "{found}");
            assert!(found["reason"].as_str().is_some_and(|why| why.contains("dense") == (n == 60)), "{found}");
        }
    }
    matrix(folder.path(), "m.mtx", "symmetric", [900, 900], &(1..=900).map(|i| (i, i, 4.0)).collect::<Vec<_>>())?;
    let (found, _) =
        object(2, folder.path(), &["eigen", "a.mtx", "--mass", "m.mtx", "-k", "1", "--which", "smallest"])?;
    near(&numbers(&found, "eigenvalues")?, &[(2.0 - 2.0 * (PI / 901.0).cos()) / 4.0]);
    Ok(())
}

/// Conjugates of a real matrix, their vectors in a file, singular values, and what is printed.
pub(crate) fn output() -> TestResult {
    let folder = tempfile::tempdir()?;
    // A rotation by a right angle, and 5.
    matrix(folder.path(), "turn.mtx", "general", [3, 3], &[(1, 2, -2.0), (2, 1, 2.0), (3, 3, 1.0)])?;
    let (found, code) = object(2, folder.path(), &["eigen", "turn.mtx", "-k", "1", "--output", "v.npy"])?;
    assert_eq!(code, Some(0), "{found}");
    assert_eq!(found["eigenvalues"].as_array().map(Vec::len), Some(2), "{found}");
    assert!((found["eigenvalues"][0][1].as_f64().ok_or("no imaginary part")? - 2.0).abs() < 1e-12, "{found}");
    let described = dolmen(1, folder.path(), &["info", "v.npy"])?;
    assert!(described.stdout.contains("complex"), "{described:?}");
    let told = dolmen(2, folder.path(), &["svd", "turn.mtx", "-k", "2", "--left", "u.npy", "--right", "w.h5::w"])?;
    assert_eq!(told.status.code(), Some(0), "{told:?}");
    for part in [
        "dense (LAPACK): the matrix has 3 rows",
        "   1     2.000000000000000e0",
        "   2     2.000000000000000e0",
        "2 of 2 values converged",
        "the vectors are in u.npy",
    ] {
        assert!(told.stdout.contains(part), "{part:?} is not in {}", told.stdout);
    }
    assert!(folder.path().join("w.h5").exists());
    let drawn = dolmen(2, folder.path(), &["eigen", "turn.mtx", "-k", "3", "--plot", "spectrum.png"])?;
    assert_eq!(drawn.status.code(), Some(0), "{drawn:?}");
    assert!(std::fs::read(folder.path().join("spectrum.png"))?.starts_with(b"\x89PNG"));
    let quiet = dolmen(1, folder.path(), &["svd", "turn.mtx", "-k", "1", "--quiet"])?;
    assert_eq!(quiet.stdout.lines().count(), 2, "{quiet:?}");
    Ok(())
}

/// Not converged is exit code 1, and says how far it came; bad input is 2 and one line.
pub(crate) fn failures() -> TestResult {
    let folder = tempfile::tempdir()?;
    tridiagonal(folder.path(), "a.mtx", 2000, 2.0)?;
    let args = ["eigen", "a.mtx", "-k", "2", "--which", "largest", "--max-iterations", "1", "--rtol", "1e-12"];
    let (found, code) = object(2, folder.path(), &args)?;
    assert_eq!((code, &found["converged"]), (Some(1), &false.into()), "{found}");
    let refused: [(&[&str], &str); 6] = [
        (&["eigen", "a.mtx", "-k", "0"], "eigenvalues: count is 0, expected one or more"),
        (&["eigen", "a.mtx", "-k", "3000"], "3000 values are asked for, and the problem has 2000"),
        (&["eigen", "a.mtx", "--which", "middle"], "expected smallest, largest"),
        (&["eigen", "a.mtx", "--output", "a.mtx"], "a.mtx"),
        (&["svd", "a.mtx", "--which", "nearest=1"], "expected largest or smallest"),
        (&["svd", "missing.mtx"], "missing.mtx"),
    ];
    for (args, part) in refused {
        let output = dolmen(2, folder.path(), args)?;
        assert_eq!(output.status.code(), Some(2), "{args:?}: {output:?}");
        assert!(output.stderr.contains(part), "{args:?}: {}", output.stderr);
    }
    Ok(())
}

/// The small matrices of this repository.
pub(crate) fn own() -> TestResult {
    for name in ["poisson.mtx", "convection.mtx", "helmholtz.mtx", "ring.mtx"] {
        let (found, code) = object(2, &data(), &["eigen", name, "-k", "2"])?;
        assert_eq!((code, &found["converged"]), (Some(0), &true.into()), "{name}: {found}");
        let (found, code) = object(2, &data(), &["svd", name, "-k", "2"])?;
        assert_eq!((code, &found["converged"]), (Some(0), &true.into()), "{name}: {found}");
    }
    Ok(())
}
