//! A local solver of a matrix whose rows and columns are taken in another order.
//!
//! The order decides what an incomplete factorization leaves out: with reverse Cuthill-McKee
//! numbers, neighbors stand close together and less is lost (Saad, "Iterative Methods for Sparse
//! Linear Systems", 2nd ed., section 10.3.4). The direct solvers order for themselves.

use std::cell::RefCell;

use dolmen_core::index::at;
use dolmen_core::{Lid, Scalar, SerialCsr};

use crate::error::{Error, Result};
use crate::precond::local::LocalSolver;

/// A local solver of `P A P^T`, applied as `P^T M P`.
///
/// ```no_run
/// # use dolmen_core::{CsrMatrix, Graph};
/// # use dolmen_solvers::{BlockJacobi, Ilu, Permuted, Result};
/// # fn f(a: &CsrMatrix<f64>) -> Result<()> {
/// let numbers = Graph::from_matrix(a)?.local_reverse_cuthill_mckee();
/// let m = BlockJacobi::new(a, |block| Permuted::new(block, &numbers, |block| Ilu::new(block, 1)))?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Permuted<T, S> {
    numbers: Box<[Lid]>,
    /// The rows in their new order.
    order: Box<[Lid]>,
    solver: S,
    work: RefCell<Vec<T>>,
}

impl<T: Scalar, S: LocalSolver<T>> Permuted<T, S> {
    /// Creates the solver with `make` from `a` with row and column `i` renumbered to `numbers[i]`.
    ///
    /// # Errors
    /// [`NotAPermutation`](dolmen_core::Error::NotAPermutation) if the numbers are not one of the
    /// rows; what `make` returns.
    pub fn new(
        a: &SerialCsr<T>,
        numbers: &[Lid],
        make: impl FnOnce(&SerialCsr<T>) -> Result<S>,
    ) -> Result<Permuted<T, S>> {
        let order = order_of(numbers, a.rows())?;
        let solver = make(&renumbered(a, numbers, &order)?).map_err(|error| in_old_rows(error, &order))?;
        let work = RefCell::new(vec![T::ZERO; a.rows()]);
        Ok(Permuted { numbers: numbers.into(), order, solver, work })
    }

    fn through(&self, x: &mut [T], solve: impl Fn(&mut [T])) {
        let work = &mut *self.work.borrow_mut();
        work.iter_mut().zip(&self.order).for_each(|(work, &row)| *work = x[at(row)]);
        solve(work);
        self.order.iter().zip(work.iter()).for_each(|(&row, &work)| x[at(row)] = work);
    }
}

impl<T: Scalar, S: LocalSolver<T>> LocalSolver<T> for Permuted<T, S> {
    fn solve(&self, x: &mut [T]) {
        self.through(x, |x| self.solver.solve(x));
    }

    fn solve_adjoint(&self, x: &mut [T]) {
        self.through(x, |x| self.solver.solve_adjoint(x));
    }

    fn refill(&mut self, a: &SerialCsr<T>) -> Result<()> {
        let order = order_of(&self.numbers, a.rows())?;
        let a = renumbered(a, &self.numbers, &order)?;
        self.solver.refill(&a).map_err(|error| in_old_rows(error, &order))
    }
}

/// Returns the rows by their new numbers.
fn order_of(numbers: &[Lid], rows: usize) -> Result<Box<[Lid]>> {
    let mut order = vec![None; rows];
    for (&number, row) in numbers.iter().zip(0..) {
        match order.get_mut(at(number)) {
            Some(place @ None) => *place = Some(row),
            _ => return Err(dolmen_core::Error::NotAPermutation { row: u64::from(number), times: 2 }.into()),
        }
    }
    let missing = (0..).zip(&order).find(|(_, row)| row.is_none()).map(|(number, _)| number);
    match missing {
        Some(row) => Err(dolmen_core::Error::NotAPermutation { row, times: 0 }.into()),
        None => Ok(order.into_iter().flatten().collect()),
    }
}

fn renumbered<T: Scalar>(a: &SerialCsr<T>, numbers: &[Lid], order: &[Lid]) -> Result<SerialCsr<T>> {
    if a.rows() != a.columns() {
        let (rows, columns) = (a.rows() as u64, a.columns() as u64);
        return Err(Error::NotSquare { method: "renumbering", rows, columns });
    }
    let mut starts = vec![0];
    let (mut columns, mut values) = (Vec::with_capacity(a.values().len()), Vec::with_capacity(a.values().len()));
    for &row in order {
        let (own, entries) = a.row(at(row));
        let mut row: Vec<(Lid, T)> = own.iter().map(|&c| numbers[at(c)]).zip(entries.iter().copied()).collect();
        row.sort_unstable_by_key(|&(column, _)| column);
        row.into_iter().for_each(|(column, value)| {
            columns.push(column);
            values.push(value);
        });
        starts.push(columns.len());
    }
    Ok(SerialCsr::new(a.columns(), starts, columns, values)?)
}

fn in_old_rows(error: Error, order: &[Lid]) -> Error {
    match error {
        Error::Unfit { method, row, defect } => {
            let old = usize::try_from(row).ok().and_then(|row| order.get(row)).copied();
            Error::Unfit { method, row: old.map_or(row, u64::from), defect }
        }
        other => other,
    }
}
