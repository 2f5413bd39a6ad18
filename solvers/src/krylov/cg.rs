//! Preconditioned conjugate gradients (Hestenes and Stiefel 1952; Saad, "Iterative Methods for
//! Sparse Linear Systems", 2nd ed., algorithm 9.1) for Hermitian positive (semi-)definite `A`.
//!
//! Stops when `|r| <= max(rtol |b|, atol)`, in the norm of the residual itself unless another one is
//! asked for.
//!
//! Two reductions an iteration: one for `p* A p`, one for `r* z` and `r* r` together. Traffic of
//! an iteration beside the operator, in vectors of `n` entries, with what is done in one pass:
//!
//! | pass | unpreconditioned | diagonal `M` | any other `M`, beside its own |
//! |---|---|---|---|
//! | `p* q` | 2 reads | 2 reads | 2 reads |
//! | `r -= alpha q`, `r* z`, `r* r` | 2 reads, 1 write | 3 reads, 1 write | 4 reads, 1 write |
//! | `x += alpha p`, `p = z + beta p` | 3 reads, 2 writes | 4 reads, 2 writes | 3 reads, 2 writes |
//! | together | 7 reads, 3 writes | 9 reads, 3 writes | 9 reads, 3 writes |
//!
//! A diagonal preconditioner is applied twice, since that reads no more than `z` would, and does not
//! write it.

use std::borrow::Cow;

use dolmen_core::{Scalar, Vector, update};

use crate::error::Result;
use crate::krylov::method::{Iteration, Step};
use crate::krylov::problem::Problem;
use crate::krylov::snapshot_state::Archive;
use crate::krylov::solver::square_solver;
use crate::krylov::symmetry::Needs;
use crate::norm::Norm;
use crate::stop_reason::StopReason;

square_solver! {
    /// Conjugate gradients, for Hermitian positive definite operators and preconditioners.
    ///
    /// ```no_run
    /// # use dolmen_core::{Diagonal, LinearOperator, Vector};
    /// # use dolmen_solvers::{Cg, Result};
    /// # fn f(a: &Diagonal<f64>, m: &Diagonal<f64>, b: &Vector<f64>, x: &mut Vector<f64>) -> Result<()> {
    /// let report = Cg::new().rtol(1e-8).preconditioner(m).solve(a, b, x)?.require_converged()?;
    /// # Ok(()) }
    /// ```
    pub struct Cg: "CG" {}
}

impl<T: Scalar> Cg<'_, T> {
    fn iteration<'s>(&self, problem: &Problem<'s, T>) -> Result<CgState<'s, T>> {
        let source = match problem.diagonal() {
            _ if problem.leaves_residuals() => Preconditioned::Residual,
            Some(diagonal) => Preconditioned::Diagonal(diagonal),
            None => Preconditioned::Stored(problem.zeros()),
        };
        Ok(CgState { z: source, p: problem.zeros(), q: problem.zeros(), rho: 0.0 })
    }
}

struct CgState<'s, T: Scalar> {
    z: Preconditioned<'s, T>,
    p: Vector<T>,
    /// `A p`.
    q: Vector<T>,
    /// `r* z`.
    rho: f64,
}

/// Knowledge about `z = M r`.
enum Preconditioned<'s, T: Scalar> {
    /// It is `r`.
    Residual,
    /// It is `r` times this, entry by entry: cheaper to compute again than to keep.
    Diagonal(Cow<'s, Vector<T>>),
    /// It is kept.
    Stored(Vector<T>),
}

impl<T: Scalar> CgState<'_, T> {
    /// Returns `r -= alpha q`, `z = M r`, `rho = r* z`; the norm of the residual.
    fn reduce(&mut self, problem: &Problem<'_, T>, r: &mut Vector<T>, alpha: T) -> Result<f64> {
        let of_z = problem.norm == Norm::Preconditioned;
        let measured = |r: T, z: T| if of_z { (z, z) } else { (r, r) };
        let [rho, square] = match &mut self.z {
            Preconditioned::Residual => problem.update_dots([r], [&self.q], |[r], [q]| {
                let r = r - alpha * q;
                ([r], [(r, r); 2])
            })?,
            Preconditioned::Diagonal(diagonal) => {
                problem.count_preconditioning();
                problem.update_dots([r], [&self.q, diagonal], |[r], [q, d]| {
                    let r = r - alpha * q;
                    ([r], [(r, r * d), measured(r, r * d)])
                })?
            }
            Preconditioned::Stored(z) => {
                r.axpy(-alpha, &self.q)?;
                problem.precondition(r, z)?;
                let other = if of_z { &*z } else { &*r };
                problem.dots([(r, z), (other, other)])?
            }
        };
        self.rho = rho.re();
        Ok(if problem.norm == Norm::Natural { self.rho.abs().sqrt() } else { square.re().sqrt() })
    }

    /// `x += alpha p`, `p = z + beta p`.
    fn advance(&mut self, x: &mut Vector<T>, r: &Vector<T>, [alpha, beta]: [T; 2]) -> Result<()> {
        let outputs = [x, &mut self.p];
        Ok(match &self.z {
            Preconditioned::Residual => update(outputs, [r], |[x, p], [z]| [x + alpha * p, z + beta * p]),
            Preconditioned::Diagonal(diagonal) => {
                update(outputs, [r, diagonal], |[x, p], [r, d]| [x + alpha * p, r * d + beta * p])
            }
            Preconditioned::Stored(z) => update(outputs, [z], |[x, p], [z]| [x + alpha * p, z + beta * p]),
        }?)
    }
}

impl<T: Scalar> Iteration<T> for CgState<'_, T> {
    const NEEDS: Needs = Needs::Both;

    fn start(&mut self, problem: &Problem<'_, T>, r: &Vector<T>) -> Result<()> {
        problem.precondition(r, &mut self.p)?;
        let [rho] = problem.dots([(r, &self.p)])?;
        self.rho = rho.re();
        Ok(())
    }

    fn step(&mut self, problem: &Problem<'_, T>, x: &mut Vector<T>, r: &mut Vector<T>) -> Result<Step> {
        if let Some(reason) = refuse_energy(problem, self.rho) {
            return Ok(Step::Stop(reason));
        }
        let energy = match direction_energy(problem, &self.p, &mut self.q)? {
            Ok(energy) => energy,
            Err(reason) => return Ok(Step::Stop(reason)),
        };
        let previous = self.rho;
        let alpha = T::from_parts(previous / energy, 0.0);
        let residual = self.reduce(problem, r, alpha)?;
        self.advance(x, r, [alpha, T::from_parts(self.rho / previous, 0.0)])?;
        Step::next(residual)
    }

    fn archive(&mut self, archive: &mut Archive<'_, T>) {
        archive.vector("p", &mut self.p);
        archive.real("rho", &mut self.rho);
    }
}

/// Computes `q = A p`. Returns `p* q`, or the reason for which no step can be made along `p`.
pub(crate) fn direction_energy<T: Scalar>(
    problem: &Problem<'_, T>,
    p: &Vector<T>,
    q: &mut Vector<T>,
) -> Result<Result<f64, StopReason>> {
    problem.apply(p, q)?;
    let [energy] = problem.dots([(p, q)])?;
    let energy = energy.re();
    Ok(if !energy.is_finite() {
        Err(StopReason::NotFinite)
    } else if energy <= 0.0 {
        Err(StopReason::IndefiniteOperator)
    } else {
        Ok(energy)
    })
}

/// Returns the reason for which no step can be made with `rho = r* M r`.
pub(crate) fn refuse_energy<T: Scalar>(problem: &Problem<'_, T>, rho: f64) -> Option<StopReason> {
    if !rho.is_finite() {
        Some(StopReason::NotFinite)
    } else if rho < 0.0 || (rho == 0.0 && problem.is_preconditioned()) {
        Some(StopReason::IndefinitePreconditioner)
    } else {
        // Squares so small that they underflow: no step can be computed from them.
        (rho == 0.0).then_some(StopReason::Stagnated)
    }
}
