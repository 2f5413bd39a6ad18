//! A linear system that several tests solve.

use dolmen_core::{CsrMatrix, Diagonal, Layout, Vector};
use dolmen_tests::{Comm, TestResult};

/// A 5-point Laplacian with coefficients that vary, and its right-hand side.
pub(crate) fn problem(comm: &Comm, side: u64) -> TestResult<(CsrMatrix<f64>, Diagonal<f64>, Vector<f64>)> {
    let layout = Layout::uniform(comm, side * side);
    let weight = |a: u64, b: u64| 1.0 + ((a + b) % 7) as f64 / 3.0;
    let matrix = CsrMatrix::from_rows(&layout, &layout, |row, entries| {
        let (x, y) = (row % side, row / side);
        let mut diagonal = 0.01;
        let neighbors = [
            (y > 0).then(|| row - side),
            (x > 0).then(|| row - 1),
            (x + 1 < side).then(|| row + 1),
            (y + 1 < side).then(|| row + side),
        ];
        for other in neighbors.into_iter().flatten() {
            diagonal += weight(row, other);
            entries.push(other, -weight(row, other));
        }
        entries.push(row, diagonal);
    })?;
    let jacobi = Diagonal::new(Vector::from_fn(&layout, |row| 1.0 / (4.0 + (row % 5) as f64)));
    let rhs = Vector::from_fn(&layout, |row| 1.0 + (row % 13) as f64 / 16.0);
    Ok((matrix, jacobi, rhs))
}
