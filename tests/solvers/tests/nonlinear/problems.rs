//! Nonlinear functions of any length with known roots and Jacobians.

use std::cell::Cell;

use dolmen_core::{Comm, CsrMatrix, Layout, LinearOperator, Real, Result, Scalar, Vector};
use dolmen_solvers::Jacobian;
use dolmen_tests::TestResult;

/// The second rank owns nothing, if there are three.
pub(crate) fn layout(comm: &Comm, rows: u64) -> TestResult<Layout> {
    let (rank, size) = (comm.rank() as u64, comm.size() as u64);
    if size < 3 {
        return Ok(Layout::uniform(comm, rows));
    }
    let place = if rank > 1 { rank - 1 } else { rank };
    let end = |place: u64| rows * place / (size - 1);
    let mine = if rank == 1 { 0 } else { end(place + 1) - end(place) };
    Ok(Layout::from_local_len(comm, usize::try_from(mine)?)?)
}

pub(crate) fn number<T: Scalar>(re: f64) -> T {
    T::from_parts(re, 0.0)
}

/// `A x + x^3 = A r + r^3` with a tridiagonal `A` that is not symmetric and has the root `r` alone near it.
pub(crate) struct Cubic<T> {
    pub(crate) a: CsrMatrix<T>,
    pub(crate) root: Vector<T>,
    rhs: Vector<T>,
    pub(crate) evaluations: Cell<usize>,
}

impl<T: Scalar> Cubic<T> {
    pub(crate) fn new(layout: &Layout, skew: f64) -> TestResult<Cubic<T>> {
        let end = layout.global_len();
        let a = CsrMatrix::from_rows(layout, layout, |row, entries| {
            entries.push(row, number(4.0));
            if row > 0 {
                entries.push(row - 1, number(-1.0 - skew));
            }
            if row + 1 < end {
                entries.push(row + 1, number(-1.0 + skew));
            }
        })?;
        let root = Vector::from_fn(layout, |row| {
            let row = f64::from(u32::try_from(row).unwrap_or(0));
            T::from_parts(1.0 + (row * 0.7).sin(), 0.3 * (row * 0.4).cos())
        });
        let mut rhs = Vector::zeros(layout);
        a.apply(&root, &mut rhs)?;
        rhs.map_with(&root, |y, x| y + x * x * x)?;
        Ok(Cubic { a, root, rhs, evaluations: Cell::new(0) })
    }

    pub(crate) fn apply(&self, x: &Vector<T>, y: &mut Vector<T>) -> Result<()> {
        self.evaluations.set(self.evaluations.get() + 1);
        self.a.apply(x, y)?;
        y.map_with(x, |y, x| y + x * x * x)?;
        y.axpy(-T::ONE, &self.rhs)
    }

    /// The Jacobian at `x`, with a diagonal times `factor`.
    pub(crate) fn derivative(&self, x: &Vector<T>, j: &mut CsrMatrix<T>, factor: f64) -> Result<()> {
        let value = |x: T| number::<T>(factor) * (number::<T>(4.0) + number::<T>(3.0) * x * x);
        j.set(x.range().zip(x.owned()).map(|(row, &x)| (row, row, value(x))))
    }

    pub(crate) fn jacobian(&self) -> Jacobian<'_, T> {
        Jacobian::matrix(self.a.clone(), |x, j| self.derivative(x, j, 1.0))
    }

    pub(crate) fn guess(&self) -> Vector<T> {
        Vector::from_fn(self.root.layout(), |row| number(if row % 2 == 0 { 2.0 } else { 0.5 }))
    }

    pub(crate) fn error(&self, x: &Vector<T>) -> TestResult<f64> {
        let mut error = x.clone();
        error.axpy(-T::ONE, &self.root)?;
        Ok(error.norm2() / self.root.norm2())
    }
}

pub(crate) fn epsilon<T: Scalar>() -> f64 {
    T::Real::EPSILON.to_f64()
}

/// A function of two unknowns, and its derivatives by rows.
pub(crate) type Plane = (fn([f64; 2]) -> [f64; 2], fn([f64; 2]) -> [[f64; 2]; 2]);

/// Rosenbrock's function as a system; the root is (1, 1).
pub(crate) const ROSENBROCK: Plane =
    (|[x, y]| [10.0 * (y - x * x), 1.0 - x], |[x, _]| [[-20.0 * x, 10.0], [-1.0, 0.0]]);

/// Freudenstein and Roth: the root is (5, 4), and |F| has a local minimum at (11.4128, -0.8968).
pub(crate) const FREUDENSTEIN: Plane = (
    |[x, y]| [-13.0 + x + ((5.0 - y) * y - 2.0) * y, -29.0 + x + ((y + 1.0) * y - 14.0) * y],
    |[_, y]| [[1.0, 10.0 * y - 3.0 * y * y - 2.0], [1.0, 3.0 * y * y + 2.0 * y - 14.0]],
);

/// The arc tangent of both: Newton's whole steps diverge from beyond 1.39.
pub(crate) const ARC_TANGENT: Plane =
    (|[x, y]| [x.atan(), y.atan()], |[x, y]| [[1.0 / (1.0 + x * x), 0.0], [0.0, 1.0 / (1.0 + y * y)]]);

/// A plane function on the last rank that owns rows, both of them or not.
pub(crate) fn plane(function: Plane) -> impl Fn(&Vector<f64>, &mut Vector<f64>) -> Result<()> {
    move |x, y| {
        let all = x.gather_all();
        let values = function.0([all[0], all[1]]);
        *y = Vector::from_fn(x.layout(), |row| values[usize::from(row == 1)]);
        Ok(())
    }
}

pub(crate) fn plane_jacobian<'a>(layout: &Layout, function: Plane) -> TestResult<Jacobian<'a, f64>> {
    let full = CsrMatrix::from_rows(layout, layout, |_, entries| (0..2).for_each(|column| entries.push(column, 1.0)))?;
    Ok(Jacobian::matrix(full, move |x, j| {
        let all = x.gather_all();
        let rows = function.1([all[0], all[1]]);
        let at = |row: u64| usize::from(row == 1);
        j.set(x.range().flat_map(|row| (0..2).map(move |column| (row, column, rows[at(row)][at(column)]))))
    }))
}
