//! Additive Schwarz: each rank solves with its rows and some layers of those around them, so that
//! errors pass from one rank's part to the next (Smith, Bjørstad and Gropp, "Domain Decomposition",
//! 1996, chapter 1; Cai and Sarkis, "A restricted additive Schwarz preconditioner for general sparse
//! linear systems", SIAM J. Sci. Comput. 21, 1999).
//!
//! With `R_i` the restriction to the overlapping part of rank `i`, `A_i = R_i A R_i^T`, and `Q_i` the
//! restriction to its own rows within that part: the symmetric form is `sum R_i^T A_i^-1 R_i`, the
//! restricted one `sum Q_i^T A_i^-1 R_i`, which needs half of the messages and mostly fewer
//! iterations, but is not Hermitian. Contributions to a row are added by ascending rank.

use std::cell::RefCell;

use dolmen_core::{
    AdjointOperator, Combine, CsrMatrix, ExchangePlan, Gid, IndexMap, Layout, LinearOperator, Result as CoreResult,
    Scalar, SerialCsr, Vector,
};

use crate::error::{Defect, Result};
use crate::precond::block_jacobi::require_square;
use crate::precond::local::{LocalSolver, agree, unfit};

const METHOD: &str = "additive Schwarz";

/// Treatment of a rank's result for rows that others own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schwarz {
    /// It is added to the owner's: Hermitian, and positive definite, if matrix and solver are.
    Symmetric,
    /// It is left out: for methods that need no symmetry.
    Restricted,
}

/// Local solvers of overlapping parts of the matrix.
///
/// ```no_run
/// # use dolmen_core::CsrMatrix;
/// # use dolmen_solvers::{AdditiveSchwarz, Ilu, Result, Schwarz};
/// # fn f(a: &CsrMatrix<f64>) -> Result<()> {
/// let m = AdditiveSchwarz::new(a, 1, Schwarz::Restricted, |block| Ilu::new(block, 0))?;
/// # Ok(()) }
/// ```
pub struct AdditiveSchwarz<T, S> {
    layout: Layout,
    levels: usize,
    form: Schwarz,
    map: IndexMap,
    plan: ExchangePlan,
    /// Positions of own rows in the overlapping part.
    own: std::ops::Range<usize>,
    solver: S,
    work: RefCell<Vec<T>>,
}

impl<T: Scalar, S: LocalSolver<T>> AdditiveSchwarz<T, S> {
    /// Creates the preconditioner with `make` from own rows and those within `levels` steps of them in the graph of the
    /// matrix, on each rank.
    ///
    /// # Collective
    ///
    /// # Errors
    /// [`Error::NotSquare`](crate::Error::NotSquare), rows and columns on different layouts, or what
    /// `make` returns on the first rank where it fails, with the global number of the row; the same
    /// on all ranks.
    pub fn new(
        a: &CsrMatrix<T>,
        levels: usize,
        form: Schwarz,
        make: impl FnOnce(&SerialCsr<T>) -> Result<S>,
    ) -> Result<AdditiveSchwarz<T, S>> {
        require_square(METHOD, a)?;
        let layout = a.range().clone();
        let (map, block) = a.overlapping_block(levels)?;
        let solver = agree(layout.comm(), make(&block), |row| global(&map, row))?;
        let plan = ExchangePlan::new(&layout, &map)?;
        let first = map.gids().partition_point(|&row| row < layout.range().start);
        let own = first..first + layout.local_len();
        let work = RefCell::new(vec![T::ZERO; map.len()]);
        Ok(AdditiveSchwarz { layout, levels, form, map, plan, own, solver, work })
    }

    /// Returns the global rows of this rank's part.
    pub fn rows(&self) -> &IndexMap {
        &self.map
    }

    /// Returns the solver of this rank.
    pub fn solver(&self) -> &S {
        &self.solver
    }

    /// Takes new values of the matrix, keeping what depends on its pattern only.
    ///
    /// # Collective
    ///
    /// # Errors
    /// [`LayoutMismatch`](dolmen_core::Error::LayoutMismatch), a pattern with another overlap, or as
    /// [`LocalSolver::refill`]; the same on all ranks.
    pub fn refill(&mut self, a: &CsrMatrix<T>) -> Result<()> {
        self.layout.require_same(a.range(), METHOD)?;
        self.layout.require_same(a.domain(), METHOD)?;
        let (map, block) = a.overlapping_block(self.levels)?;
        let result = match differing_row(&self.map, &map) {
            Some(row) => Err(unfit(METHOD, row, Defect::NotInPattern)),
            None => self.solver.refill(&block),
        };
        agree(self.layout.comm(), result, |row| global(&map, row))
    }

    /// Adds what all ranks have in `work` to the owners' rows.
    fn add_up(&self, work: &[T], y: &mut Vector<T>) {
        y.fill(T::ZERO);
        let width = if T::COMPLEX { 2 } else { 1 };
        let export = self.plan.start_export(T::parts(work), width);
        export.finish(Combine::Add, bytemuck::cast_slice_mut(y.owned_mut()));
    }
}

fn global(map: &IndexMap, row: u64) -> Gid {
    let position = usize::try_from(row).ok();
    position.and_then(|position| map.gids().get(position)).copied().unwrap_or(row)
}

/// Returns the first position at which two maps differ.
fn differing_row(one: &IndexMap, other: &IndexMap) -> Option<usize> {
    let same = one.gids().iter().zip(other.gids()).take_while(|(one, other)| one == other).count();
    (one != other).then_some(same)
}

impl<T: Scalar, S: LocalSolver<T>> LinearOperator<T> for AdditiveSchwarz<T, S> {
    fn domain(&self) -> &Layout {
        &self.layout
    }

    fn range(&self) -> &Layout {
        &self.layout
    }

    fn compute(&self, x: &Vector<T>, y: &mut Vector<T>) -> CoreResult<()> {
        let work = &mut *self.work.borrow_mut();
        work.copy_from_slice(&self.plan.start_import(x.owned(), 1).finish());
        self.solver.solve(work);
        match self.form {
            Schwarz::Symmetric => self.add_up(work, y),
            Schwarz::Restricted => y.owned_mut().copy_from_slice(&work[self.own.clone()]),
        }
        Ok(())
    }
}

impl<T: Scalar, S: LocalSolver<T>> AdjointOperator<T> for AdditiveSchwarz<T, S> {
    fn compute_adjoint(&self, x: &Vector<T>, y: &mut Vector<T>) -> CoreResult<()> {
        let work = &mut *self.work.borrow_mut();
        match self.form {
            Schwarz::Symmetric => work.copy_from_slice(&self.plan.start_import(x.owned(), 1).finish()),
            Schwarz::Restricted => {
                work.fill(T::ZERO);
                work[self.own.clone()].copy_from_slice(x.owned());
            }
        }
        self.solver.solve_adjoint(work);
        self.add_up(work, y);
        Ok(())
    }
}
