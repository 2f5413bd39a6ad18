//! The small matrices of this repository, solved from each format.

use dolmen_tests::{TestResult, data};
use serde_json::Value;

use crate::object;

pub(crate) fn systems() -> TestResult {
    let facts: Value = serde_json::from_str(&std::fs::read_to_string(data().join("facts.json"))?)?;
    for (number, name) in facts["matrices"].as_object().ok_or("no matrices")?.keys().enumerate() {
        let (solved, code) = object(1 + number % 3, &data(), &["solve", name])?;
        assert_eq!((code, &solved["converged"]), (Some(0), &true.into()), "{name}: {solved}");
        assert!(solved["relative_error"].as_f64().is_some_and(|error| error < 1e-6), "{name}: {solved}");
    }
    Ok(())
}

/// The same system has the same solution, whatever holds its right-hand side.
pub(crate) fn right_hand_sides() -> TestResult {
    let system = |matrix: &str, rhs: &[&str]| -> TestResult<f64> {
        let (solved, code) = object(2, &data(), &[&["solve", matrix, "--solver", "direct", "--rhs"], rhs].concat())?;
        assert_eq!((code, &solved["converged"]), (Some(0), &true.into()), "{matrix}: {solved}");
        Ok(solved["true_relative_residual"].as_f64().ok_or("no residual")?)
    };
    let first = system("convection.mtx", &["b.mtx"])?;
    let same: [(&str, &[&str]); 4] = [
        ("convection.rua", &["convection.rua"]),
        ("convection.petsc", &["convection.petsc"]),
        ("convection.npz", &["b.npy", "--column", "0"]),
        ("convection.mtx", &["poisson.h5::b"]),
    ];
    for (matrix, rhs) in same {
        assert_eq!(system(matrix, rhs)?, first, "{matrix}, {rhs:?}");
    }
    Ok(())
}
