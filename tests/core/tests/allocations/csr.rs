//! Products and norms of sparse matrices, with and without blocks, and of block-diagonal operators.

use dolmen_core::dense::HermitianBanded;
use dolmen_core::{
    AdjointOperator, BandedDiagonal, BlockCsrMatrix, Comm, CsrMatrix, Layout, LinearOperator, MultiVector, Scalar,
    Vector,
};
use dolmen_tests::TestResult;

use crate::check;

pub(crate) fn products<T: Scalar>(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 200);
    let a = CsrMatrix::from_rows(&layout, &layout, |row, entries| {
        for step in [0, 1, 17, 100] {
            entries.push((row + step) % 200, T::from_parts((row + step) as f64, 0.5));
        }
    })?;
    let x = Vector::from_fn(&layout, |row| T::from_parts(row as f64, 1.0));
    let mut y = Vector::zeros(&layout);
    let many = MultiVector::from_fn(&layout, 6, |row, column| T::from_parts(row as f64, column as f64));
    let mut results = MultiVector::zeros(&layout, 6);
    check("apply", || a.apply(&x, &mut y))?;
    check("apply_add", || a.apply_add(&x, &mut y))?;
    check("apply_adjoint", || a.apply_adjoint(&x, &mut y))?;
    check("apply_transpose", || a.apply_transpose(&x, &mut y))?;
    check("apply_many", || a.apply_many(&many, &mut results))?;
    check("norms", || {
        assert!(a.norm_inf() > 0.0 && a.norm_frobenius() > 0.0 && a.norm_one()? > 0.0);
        Ok(())
    })
}

pub(crate) fn block_products<T: Scalar>(comm: &Comm) -> TestResult {
    let points = Layout::uniform(comm, 60);
    let rows = points.refined(3)?;
    let plain = CsrMatrix::from_rows(&rows, &rows, |row, entries| {
        for step in [0, 1, 17, 100] {
            entries.push((row + step) % 180, T::from_parts((row * row + step) as f64, 0.5));
        }
    })?;
    let a = BlockCsrMatrix::from_csr(3, &plain)?;
    let jacobi = a.block_diagonal().ok_or("a square matrix")?;
    let x = Vector::from_fn(&rows, |row| T::from_parts(row as f64, 1.0));
    let mut y = Vector::zeros(&rows);
    check("block apply", || a.apply(&x, &mut y))?;
    check("block apply_adjoint", || a.apply_adjoint(&x, &mut y))?;
    check("block-diagonal apply", || jacobi.apply(&x, &mut y))?;
    check("block-diagonal apply_adjoint", || jacobi.apply_adjoint(&x, &mut y))?;
    let segment = HermitianBanded::toeplitz(rows.local_len(), &[T::from_parts(5.0, 0.0), T::ONE, T::ONE]);
    let banded = BandedDiagonal::new(&rows, vec![segment])?;
    let inverse = banded.factor()?;
    check("banded apply", || banded.apply(&x, &mut y))?;
    check("banded solve", || inverse.apply(&x, &mut y))
}
