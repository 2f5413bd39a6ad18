//! Flexible GMRES (Saad, SIAM J. Sci. Comput. 14 (1993) 461; "Iterative Methods for Sparse Linear
//! Systems", 2nd ed., algorithm 9.6), for preconditioners that change from step to step: an inner
//! solve, a smoother with its own stopping test.
//!
//! Stops when `|r| <= max(rtol |b|, atol)`. One or two reductions an iteration (see
//! [`super::arnoldi`]). Traffic of step `j` of a cycle beside the operator and the preconditioner, in
//! vectors of `n` entries: `2 j + 6` reads and 3 writes, or `4 j + 9` and 4 where the second pass is
//! needed. Memory is twice that of GMRES.

use dolmen_core::{Scalar, Vector};

use crate::error::Result;
use crate::krylov::arnoldi::{Arnoldi, Expansion};
use crate::krylov::gmres::{RESTART, cycle, end_of_step};
use crate::krylov::method::{Iteration, Step};
use crate::krylov::problem::Problem;
use crate::krylov::snapshot_state::Archive;
use crate::krylov::solver::square_solver;

square_solver! {
    /// Restarted flexible GMRES, for any nonsingular operator and a preconditioner that may vary.
    pub struct Fgmres: "FGMRES" {
        /// Steps before a restart, 30 by default; two vectors are kept for each.
        restart: usize = RESTART;
    }
}

impl<T: Scalar> Fgmres<'_, T> {
    fn iteration(&self, problem: &Problem<'_, T>) -> Result<FgmresState<T>> {
        problem.require_true_norm();
        let cycle = cycle(problem, self.restart);
        Ok(FgmresState { arnoldi: Arnoldi::new(problem, cycle), preconditioned: Vec::new() })
    }
}

struct FgmresState<T: Scalar> {
    arnoldi: Arnoldi<T>,
    /// Preconditioned vectors of the basis.
    preconditioned: Vec<Vector<T>>,
}

impl<T: Scalar> FgmresState<T> {
    /// Reserves memory for the preconditioned forms of this number of vectors.
    fn reserve(&mut self, len: usize) {
        while self.preconditioned.len() < len {
            self.preconditioned.push(Vector::zeros(self.arnoldi.basis[0].layout()));
        }
    }
}

impl<T: Scalar> Iteration<T> for FgmresState<T> {
    fn start(&mut self, problem: &Problem<'_, T>, r: &Vector<T>) -> Result<()> {
        self.arnoldi.basis[0].copy_from(r)?;
        self.arnoldi.start(problem)?;
        Ok(())
    }

    fn step(&mut self, problem: &Problem<'_, T>, _x: &mut Vector<T>, _r: &mut Vector<T>) -> Result<Step> {
        let j = self.arnoldi.len;
        self.reserve(j + 1);
        let (last, next) = self.arnoldi.last_and_next();
        let z = &mut self.preconditioned[j];
        problem.precondition(last, z)?;
        problem.apply_projected(z, next)?;
        Ok(match self.arnoldi.expand(problem)? {
            Expansion::Singular => Step::Breakdown,
            Expansion::Residual(residual) => end_of_step(&self.arnoldi, residual.into()),
        })
    }

    fn finish(&mut self, _cx: &Problem<'_, T>, x: &mut Vector<T>) -> Result<()> {
        self.arnoldi.add_solution(x, Some(&self.preconditioned))
    }

    fn archive(&mut self, archive: &mut Archive<'_, T>) {
        self.arnoldi.archive(archive);
        let len = self.arnoldi.len;
        self.reserve(len);
        archive.vectors("preconditioned", &mut self.preconditioned[..len]);
    }
}
