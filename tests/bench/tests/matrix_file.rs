//! `dolmen-bench --matrix`: its cases on matrices of files, and why others do not apply.

use dolmen_tests::{Mpirun, Output, TestResult, data, serial};
use serde_json::Value;

fn main() -> std::process::ExitCode {
    dolmen_tests::main(&[
        serial("solves_of_a_symmetric_matrix", symmetric),
        serial("cases_on_a_general_matrix", general),
        serial("solves_need_a_square_matrix", rectangular),
        serial("a_name_without_a_matrix_is_refused", name_alone),
    ])
}

fn run(ranks: usize, args: &[&str]) -> TestResult<Output> {
    Ok(Mpirun::new(ranks).program(env!("CARGO_BIN_EXE_dolmen-bench")).args(args).run()?)
}

/// The lines of cases with these prefixes on a matrix.
fn lines(ranks: usize, matrix: &str, cases: &str, more: &[&str]) -> TestResult<Vec<Value>> {
    let place = data().join(matrix).display().to_string();
    let output = run(ranks, &[&["--matrix", &place, "--case", cases, "--repeats", "3"], more].concat())?;
    assert!(output.status.success(), "{matrix} on {ranks} ranks: {}", output.stderr);
    output.stdout.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

fn names(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["case"].as_str().expect("a name")).collect()
}

const SOLVES: [&str; 4] = ["f.cg_jacobi", "f.cg_icc0", "f.cg_multigrid", "f.gmres30_ilu0"];

fn symmetric() -> TestResult {
    for ranks in [1, 3] {
        let lines = lines(ranks, "poisson.h5::A", "f.", &[])?;
        assert_eq!(names(&lines), SOLVES.map(|case| format!("{case}.poisson")));
        for line in &lines {
            assert_eq!(line["ranks"], ranks);
            assert!(line["iterations"].as_u64() >= Some(1), "{line}");
            assert!(line["final_rel_residual"].as_f64() <= Some(1e-8), "{line}");
            for kind in ["", "setup_"] {
                let [least, median] = ["min", "median"].map(|of| line[format!("{kind}seconds_{of}")].as_f64());
                assert!(least > Some(0.0) && median >= least, "{line}");
            }
        }
    }
    Ok(())
}

fn general() -> TestResult {
    let lines = lines(2, "convection.petsc", "d.,e.,f.", &["--name", "wind"])?;
    let assembled = ["e.transpose", "d.assembly", "d.refill"];
    let expected: Vec<String> = assembled.iter().chain(&SOLVES).map(|case| format!("{case}.wind")).collect();
    assert_eq!(names(&lines), expected);
    for line in &lines {
        let symmetric = line["case"].as_str().is_some_and(|case| case.starts_with("f.cg"));
        assert_eq!(line["matrix"], "wind");
        match symmetric {
            true => assert_eq!(line["skipped"], "not symmetric"),
            false => assert_eq!((&line["n"], &line["nnz"]), (&48.into(), &212.into()), "{line}"),
        }
    }
    Ok(())
}

fn rectangular() -> TestResult {
    let file = tempfile::Builder::new().suffix(".mtx").tempfile()?;
    std::fs::write(&file, "%%MatrixMarket matrix coordinate real general\n3 2 3\n1 1 1\n2 2 4\n3 1 2\n")?;
    // An absolute path stays what it is when it is joined.
    let lines = lines(2, &file.path().display().to_string(), "d.,e.,f.", &["--name", "tall"])?;
    let skipped: Vec<_> = lines.iter().map(|line| line["skipped"].as_str()).collect();
    let square = Some("not square");
    assert_eq!(skipped, [None, None, None, square, square, square, square]);
    Ok(())
}

fn name_alone() -> TestResult {
    let output = run(2, &["--name", "wind"])?;
    assert_eq!(output.status.code(), Some(2));
    let message = "dolmen-bench: --name is that of a matrix; give --matrix FILE too";
    assert!(output.stderr.lines().any(|line| line == message), "{}", output.stderr);
    Ok(())
}
