//! The model problems, as operators without a stored matrix, and what every report has to satisfy.
//!
//! A row is a function of its number; one import brings the entries of `x` that the owned rows need.

use dolmen_core::{Diagonal, ExchangePlan, FnOperator, IndexMap, Layout, LinearOperator, Real, Scalar, Vector, index};
use dolmen_solvers::SolveReport;
use dolmen_tests::{Comm, TestResult};

pub(crate) type Row<T> = Vec<(u64, T)>;

/// An operator of which any row can be computed. Rows are summed in ascending column order.
pub(crate) struct Stencil<T> {
    layout: Layout,
    plan: ExchangePlan,
    /// Positions among the imported entries, and factors.
    rows: Vec<Vec<(usize, T)>>,
}

impl<T: Scalar> Stencil<T> {
    pub(crate) fn new(layout: &Layout, row: impl Fn(u64) -> Row<T>) -> TestResult<Stencil<T>> {
        let rows: Vec<Row<T>> = layout.range().map(row).collect();
        let map = IndexMap::new(rows.iter().flatten().map(|(column, _)| *column).collect())?;
        let place = |(column, value): (u64, T)| (index::at(map.global_to_local(column).expect("in the map")), value);
        let mut rows: Vec<Vec<_>> = rows.into_iter().map(|row| row.into_iter().map(place).collect()).collect();
        rows.iter_mut().for_each(|row| row.sort_by_key(|(place, _)| *place));
        Ok(Stencil { layout: layout.clone(), plan: ExchangePlan::new(layout, &map)?, rows })
    }
}

impl<T: Scalar> LinearOperator<T> for Stencil<T> {
    fn domain(&self) -> &Layout {
        &self.layout
    }

    fn range(&self) -> &Layout {
        &self.layout
    }

    fn compute(&self, x: &Vector<T>, y: &mut Vector<T>) -> dolmen_core::Result<()> {
        let x = self.plan.start_import(x.owned(), 1).finish();
        for (y, row) in y.owned_mut().iter_mut().zip(&self.rows) {
            *y = row.iter().map(|&(place, value)| value * x[place]).sum();
        }
        Ok(())
    }
}

/// Neighbors of a point in a grid of any dimension, in natural ordering.
pub(crate) fn neighbors(point: u64, lengths: &[u64]) -> Vec<u64> {
    let mut found = Vec::new();
    let mut stride = 1;
    for length in lengths {
        let place = point / stride % length;
        if place > 0 {
            found.push(point - stride);
        }
        if place + 1 < *length {
            found.push(point + stride);
        }
        stride *= length;
    }
    found
}

/// The finite-difference Laplacian with this diagonal and -1 for each neighbor.
pub(crate) fn laplacian<T: Scalar>(point: u64, lengths: &[u64], diagonal: f64) -> Row<T> {
    let mut row: Row<T> = neighbors(point, lengths).into_iter().map(|column| (column, -T::ONE)).collect();
    row.push((point, T::from_parts(diagonal, 0.0)));
    row
}

/// The five-point Laplacian of an `n` by `n` grid, on a uniform layout.
pub(crate) fn grid<T: Scalar>(comm: &Comm, n: u64) -> TestResult<(Layout, Stencil<T>)> {
    let layout = Layout::uniform(comm, n * n);
    let a = Stencil::new(&layout, |i| laplacian(i, &[n, n], 4.0))?;
    Ok((layout, a))
}

pub(crate) fn ones(layout: &Layout) -> Vector<f64> {
    Vector::from_fn(layout, |_| 1.0)
}

pub(crate) fn assert_close(found: f64, expected: f64, tolerance: f64) {
    let error = (found - expected).abs() / expected.abs();
    assert!(error <= tolerance, "found {found}, expected {expected}: relative error {error:.1e}");
}

/// Checks every report against a residual computed here.
pub(crate) fn audit<T: Scalar>(
    report: &SolveReport,
    a: &dyn LinearOperator<T>,
    b: &Vector<T>,
    x: &Vector<T>,
) -> TestResult {
    let mut r = Vector::zeros(b.layout());
    a.apply(x, &mut r)?;
    r.axpby(T::ONE, b, -T::ONE)?;
    let residual = r.norm2().to_f64();
    assert_eq!(residual.to_bits(), report.true_residual.to_bits(), "{report}");
    assert_eq!(report.converged(), residual <= report.target, "{report}");
    assert_eq!(report.history.len(), report.iterations + 1);
    assert!(report.applications > report.iterations);
    let (last, before) = report.history.split_last().ok_or("an empty history")?;
    assert!(before.iter().all(|&residual| residual > report.target), "went on below the target: {report:?}");
    if report.converged() {
        assert!(*last <= report.target);
    }
    Ok(())
}

/// The Laplacian of a 32 by 32 grid without boundary values, its inverse diagonal, and the
/// projection onto the vectors of mean zero.
pub(crate) struct Neumann<P> {
    pub(crate) layout: Layout,
    pub(crate) a: Stencil<f64>,
    pub(crate) jacobi: Diagonal<f64>,
    pub(crate) projection: P,
}

pub(crate) fn neumann(comm: &Comm) -> TestResult<Neumann<impl LinearOperator<f64> + use<>>> {
    let grid = [32, 32];
    let degree = move |point| neighbors(point, &grid).len() as f64;
    let layout = Layout::uniform(comm, 1024);
    let a = Stencil::new(&layout, |i| laplacian(i, &grid, degree(i)))?;
    let jacobi = Diagonal::new(Vector::from_fn(&layout, |i| 1.0 / degree(i)));
    let constant = ones(&layout);
    let projection = FnOperator::new(&layout, &layout, move |x: &Vector<f64>, y: &mut Vector<f64>| {
        y.copy_from(x)?;
        y.axpy(-constant.dot(x)? / 1024.0, &constant)
    });
    Ok(Neumann { layout, a, jacobi, projection })
}

pub(crate) fn slope(row: u64) -> f64 {
    (row % 32) as f64 - 15.5
}
