//! Products and norms of sparse matrices.

use dolmen_core::{AdjointOperator, Comm, CsrMatrix, Layout, LinearOperator, MultiVector, Scalar, Vector};
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
        assert!(a.norm_inf() > T::Real::ZERO && a.norm_frobenius() > T::Real::ZERO && a.norm_one()? > T::Real::ZERO);
        Ok(())
    })
}
