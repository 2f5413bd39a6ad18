//! `dolmen solve`.

use std::fs;

use dolmen_tests::{TestResult, manifest, shared};
use tempfile::tempdir;

use crate::odd_files::refused;
use crate::{dolmen, matrix, object, tridiagonal};

pub(crate) fn systems() -> TestResult {
    let folder = tempdir()?;
    tridiagonal(folder.path(), "a.mtx", 50, 2.0)?;
    for ranks in [1, 2, 3] {
        let (solved, code) = object(ranks, folder.path(), &["solve", "a.mtx", "--rtol", "1e-10"])?;
        assert_eq!((code, &solved["converged"]), (Some(0), &true.into()), "{solved}");
        assert_eq!((&solved["method"], &solved["preconditioner"]), (&"cg".into(), &"ic".into()));
        assert!(solved["true_relative_residual"].as_f64().is_some_and(|residual| residual <= 1e-10), "{solved}");
        assert!(solved["relative_error"].as_f64().is_some_and(|error| error <= 1e-7), "{solved}");
        assert!(solved["setup_seconds"].is_f64() && solved["solve_seconds"].is_f64(), "{solved}");
        assert!(solved["reason"].as_str().is_some_and(|reason| reason.contains("dominant")), "{solved}");
    }
    let output = dolmen(2, folder.path(), &["solve", "a.mtx", "--solver", "bicgstab", "--preconditioner", "jacobi"])?;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let lines: Vec<&str> = output.stdout.lines().collect();
    assert_eq!(lines[0], "a.mtx: 50 x 50, 148 entries, real, stored as symmetric");
    assert_eq!(lines[1], "b = A * ones");
    assert_eq!(lines[2], "bicgstab with jacobi (division by the diagonal): named by the user");
    assert!(lines[3].starts_with("BiCGStab: ") && lines[3].contains("converged"), "{}", lines[3]);
    Ok(())
}

/// Scaled, these systems are as easy as any.
pub(crate) fn badly_scaled() -> TestResult {
    let folder = tempdir()?;
    // Every third row is in units of 2^60.
    let graded = |i: u64, j: u64| {
        (i, j, (if i == j { 4.0 } else { 1.0 }) * (if i.is_multiple_of(3) { 2f64.powi(-60) } else { 1.0 }))
    };
    let rows = (1..=30).flat_map(|i: u64| (i.max(2) - 1..=30.min(i + 1)).map(move |j| graded(i, j))).collect();
    let systems = [
        ("units", [2, 2], vec![(1, 1, 1.0), (2, 2, 1e-17)]),
        ("largest", [2, 2], vec![(1, 1, 1e308), (1, 2, 1e308), (2, 1, 1e308), (2, 2, -1e308)]),
        ("rows", [30, 30], rows),
    ];
    for (name, size, entries) in systems {
        matrix(folder.path(), name, "general", size, &entries)?;
        let (solved, code) = object(2, folder.path(), &["solve", name, "--solver", "direct"])?;
        assert_eq!((code, &solved["converged"]), (Some(0), &true.into()), "{solved}");
        assert!(solved["relative_error"].as_f64().is_some_and(|error| error < 1e-12), "{solved}");
    }
    // The rows depend on each other, whatever their units.
    matrix(folder.path(), "singular", "general", [2, 2], &[(1, 1, 1.0), (1, 2, 2e9), (2, 1, 1e-20), (2, 2, 2e-11)])?;
    let (solved, code) = object(2, folder.path(), &["solve", "singular", "--solver", "direct"])?;
    assert_eq!((code, &solved["converged"]), (Some(1), &false.into()), "{solved}");
    assert!(solved["outcome"].as_str().is_some_and(|outcome| outcome.contains("singular")), "{solved}");
    Ok(())
}

pub(crate) fn failures() -> TestResult {
    let folder = tempdir()?;
    tridiagonal(folder.path(), "a.mtx", 50, 2.0)?;
    let few = ["solve", "a.mtx", "--solver", "cg", "--preconditioner", "none", "--max-iterations", "3"];
    let (solved, code) = object(2, folder.path(), &few)?;
    assert_eq!((code, &solved["converged"], &solved["iterations"]), (Some(1), &false.into(), &3.into()), "{solved}");
    let output = dolmen(2, folder.path(), &few)?;
    assert!(output.stdout.contains("not solved: the best x has |b - Ax| / |b| = "), "{output:?}");
    // Indefinite, so CG fails and a factorization follows; both are told.
    tridiagonal(folder.path(), "indefinite.mtx", 50, 0.5)?;
    let (solved, code) = object(2, folder.path(), &["solve", "indefinite.mtx"])?;
    assert_eq!((code, &solved["preconditioner"]), (Some(0), &"direct".into()), "{solved}");
    let first = &solved["attempts"][0];
    assert_eq!((&first["method"], &first["converged"]), (&"cg".into(), &false.into()));
    assert!(first["outcome"].as_str().is_some_and(|outcome| outcome.contains("not positive definite")), "{first}");
    // x + y = 1 and x + y = 2.
    matrix(folder.path(), "twice.mtx", "general", [2, 2], &[(1, 1, 1.0), (1, 2, 1.0), (2, 1, 1.0), (2, 2, 1.0)])?;
    fs::write(folder.path().join("b.mtx"), "%%MatrixMarket matrix array real general\n2 1\n1\n2\n")?;
    let (solved, code) = object(1, folder.path(), &["solve", "twice.mtx", "--rhs", "b.mtx"])?;
    assert_eq!((code, &solved["converged"]), (Some(1), &false.into()), "{solved}");
    Ok(())
}

pub(crate) fn written() -> TestResult {
    let folder = tempdir()?;
    tridiagonal(folder.path(), "a.mtx", 5, 4.0)?;
    let output = dolmen(2, folder.path(), &["solve", "a.mtx", "--rtol", "1e-14", "--output", "x.mtx"])?;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = fs::read_to_string(folder.path().join("x.mtx"))?;
    let mut lines = text.lines().filter(|line| !line.starts_with('%'));
    assert_eq!(lines.next().map(str::trim), Some("5 1"), "{text}");
    let x = lines.map(|line| line.trim().parse::<f64>()).collect::<Result<Vec<_>, _>>()?;
    assert!(x.len() == 5 && x.iter().all(|x| (x - 1.0).abs() < 1e-12), "{x:?}");
    Ok(())
}

pub(crate) fn right_hand_sides() -> TestResult {
    let folder = tempdir()?;
    let file = |name: &str, text: &str| fs::write(folder.path().join(name), text);
    // (2 0; 0 4) (1, i) = (2, 4i).
    matrix(folder.path(), "a.mtx", "general", [2, 2], &[(1, 1, 2.0), (2, 2, 4.0)])?;
    file("b.mtx", "%%MatrixMarket matrix array complex general\n2 1\n2 0\n0 4\n")?;
    let (solved, code) = object(2, folder.path(), &["solve", "a.mtx", "--rhs", "b.mtx", "--output", "x.mtx"])?;
    assert_eq!((code, &solved["right_hand_side"]), (Some(0), &"b.mtx".into()), "{solved}");
    let x = fs::read_to_string(folder.path().join("x.mtx"))?;
    let numbers: Vec<f64> =
        x.lines().skip(1).flat_map(str::split_whitespace).filter_map(|word| word.parse().ok()).collect();
    assert!(x.contains("complex"), "{x}");
    let expected = [2.0, 1.0, 1.0, 0.0, 0.0, 1.0];
    assert!(numbers.len() == 6 && numbers.iter().zip(expected).all(|(x, y)| (x - y).abs() < 1e-12), "{x}");
    // A complex matrix with a real right-hand side: (i) x = 1.
    file("c.mtx", "%%MatrixMarket matrix coordinate complex general\n1 1 1\n1 1 0 1\n")?;
    file("one.mtx", "%%MatrixMarket matrix array real general\n1 1\n1\n")?;
    let (solved, code) = object(1, folder.path(), &["solve", "c.mtx", "--rhs", "one.mtx"])?;
    assert_eq!(code, Some(0), "{solved}");
    // Rows sum to zero, so that A * ones says nothing.
    matrix(folder.path(), "n.mtx", "general", [2, 2], &[(1, 1, 1.0), (1, 2, -1.0), (2, 1, -1.0), (2, 2, 1.0)])?;
    let (solved, code) = object(2, folder.path(), &["solve", "n.mtx"])?;
    let origin = solved["right_hand_side"].as_str().unwrap_or_default();
    assert!(code == Some(0) && origin.contains("since A * ones is zero"), "{solved}");
    Ok(())
}

/// One column of several, counted from 0, of text and of a PETSc file that holds A, b and x0 in this order.
pub(crate) fn columns() -> TestResult {
    let temporary = tempdir()?;
    let folder = temporary.path();
    matrix(folder, "a.mtx", "general", [2, 2], &[(1, 1, 2.0), (2, 2, 4.0)])?;
    fs::write(folder.join("two.mtx"), "%%MatrixMarket matrix array real general\n2 2\n2\n4\n6\nnan\n")?;
    for (name, text) in [("b", "2 1\n4\n8\n"), ("x0", "2 1\n6\n12\n")] {
        let text = format!("%%MatrixMarket matrix array real general\n{text}");
        fs::write(folder.join(format!("{name}.mtx")), text)?;
    }
    let mut system = Vec::new();
    for name in ["a", "b", "x0"] {
        let (from, to) = (format!("{name}.mtx"), format!("{name}.petsc"));
        assert!(dolmen(1, folder, &["convert", &from, &to])?.status.success());
        system.extend(fs::read(folder.join(to))?);
    }
    fs::write(folder.join("system.petsc"), system)?;
    for (rhs, column, expected) in [
        ("two.mtx", "0", [1.0, 1.0]),
        ("system.petsc", "0", [2.0, 2.0]),
        ("system.petsc", "1", [3.0, 3.0]),
        ("b.mtx", "0", [2.0, 2.0]),
    ] {
        let args = ["solve", "system.petsc", "--rhs", rhs, "--column", column, "--output", "x.mtx"];
        let (solved, code) = object(2, folder, &args)?;
        let origin = format!("{rhs}, column {column}");
        assert_eq!((code, &solved["right_hand_side"]), (Some(0), &origin.into()), "{solved}");
        let text = fs::read_to_string(folder.join("x.mtx"))?;
        let x: Vec<f64> = text.lines().rev().take(2).flat_map(str::parse).collect();
        assert!(x.len() == 2 && x.iter().zip(expected).all(|(x, y)| (x - y).abs() < 1e-12), "{text}");
    }
    let many = "has 2 columns; a right-hand side has one: choose it with --column, counted from 0";
    refused(folder, &["solve", "a.mtx", "--rhs", "system.petsc"], many)?;
    let absent = "two.mtx: has no column 2; it has 2, counted from 0";
    refused(folder, &["solve", "a.mtx", "--rhs", "two.mtx", "--column", "2"], absent)?;
    let nan = "two.mtx: entry 1, counted from 0, is NaN or infinite";
    refused(folder, &["solve", "a.mtx", "--rhs", "two.mtx", "--column", "1"], nan)
}

pub(crate) fn monitor_and_profile() -> TestResult {
    let folder = tempdir()?;
    tridiagonal(folder.path(), "a.mtx", 50, 2.0)?;
    let output = dolmen(2, folder.path(), &["solve", "a.mtx", "--monitor", "--profile"])?;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let iterations = output.stdout.lines().filter(|line| line.starts_with("attempt 1 iteration ")).count();
    assert!(iterations >= 2, "{}", output.stdout);
    assert!(output.stdout.contains("profile of 2 ranks") && output.stdout.contains("MatMult"), "{}", output.stdout);
    let (solved, _) = object(2, folder.path(), &["solve", "a.mtx", "--monitor", "--profile"])?;
    assert_eq!(solved["converged"], true);
    Ok(())
}

/// A matrix of each kind; all of them are solved in the tests of dolmen-solvers.
pub(crate) fn reference_matrices() -> TestResult {
    let Some(shared) = shared() else { return Ok(()) };
    let folder = tempdir()?;
    let manifest = manifest(&shared)?;
    for name in ["bcsstk09", "sherman1", "tumorAntiAngiogenesis_2", "fidapm05", "orsirr_2", "west0479", "lp_e226"] {
        let file = manifest["matrices"][name]["file"].as_str().ok_or("no file")?;
        let path = shared.join("data").join(file);
        let (solved, code) = object(2, folder.path(), &["solve", path.to_str().ok_or("a strange path")?])?;
        assert_eq!((code, &solved["converged"]), (Some(0), &true.into()), "{name}: {solved}");
        assert!(solved["true_relative_residual"].as_f64().is_some_and(|residual| residual <= 1e-8), "{name}: {solved}");
    }
    Ok(())
}

/// Systems far from one in size are solved.
pub(crate) fn sizes() -> TestResult {
    let folder = tempdir()?;
    let path = folder.path();
    let column = |name: &str, values: &[&str]| {
        let text = format!("%%MatrixMarket matrix array real general\n{} 1\n{}\n", values.len(), values.join("\n"));
        fs::write(path.join(name), text)
    };
    // Two equations for one unknown: 1.5.
    matrix(path, "tall.mtx", "general", [2, 1], &[(1, 1, 1e-170), (2, 1, 1e-170)])?;
    column("tall-b.mtx", &["1e-170", "2e-170"])?;
    for (ranks, solver) in [(1, "lsmr"), (2, "lsqr"), (3, "cgls")] {
        let arguments = ["solve", "tall.mtx", "--rhs", "tall-b.mtx", "--solver", solver, "--output", "x.mtx"];
        let (solved, code) = object(ranks, path, &arguments)?;
        assert_eq!((code, &solved["converged"]), (Some(0), &true.into()), "{solved}");
        let residual = solved["true_relative_residual"].as_f64().ok_or("no residual")?;
        assert!((residual - 0.1f64.sqrt()).abs() < 1e-7, "{solved}");
        let x = fs::read_to_string(path.join("x.mtx"))?;
        let x: f64 = x.lines().last().ok_or("no x")?.trim().parse()?;
        assert!((x - 1.5).abs() < 1e-7, "{x}");
    }
    // x = (1e-170, 2e-170).
    matrix(path, "square.mtx", "general", [2, 2], &[(1, 1, 2.0), (1, 2, 1.0), (2, 2, 3.0)])?;
    column("square-b.mtx", &["4e-170", "6e-170"])?;
    for solver in ["gmres", "bicgstab", "idr", "lsmr"] {
        let arguments =
            ["solve", "square.mtx", "--rhs", "square-b.mtx", "--solver", solver, "--preconditioner", "none"];
        let (solved, code) = object(2, path, &arguments)?;
        assert_eq!((code, &solved["converged"]), (Some(0), &true.into()), "{solved}");
    }
    let huge = [(1, 1, 1e308), (1, 2, 1e308), (2, 1, 1e308), (2, 2, -1e308)];
    matrix(path, "huge.mtx", "general", [2, 2], &huge)?;
    column("huge-b.mtx", &["1e308", "0.5e308"])?;
    let (solved, code) = object(
        2,
        path,
        &["solve", "huge.mtx", "--rhs", "huge-b.mtx", "--solver", "gmres", "--preconditioner", "none"],
    )?;
    assert_eq!((code, &solved["converged"]), (Some(0), &true.into()), "{solved}");
    Ok(())
}
