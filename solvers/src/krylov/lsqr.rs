//! LSQR (Paige and Saunders, ACM TOMS 8 (1982) 43) for `min |b - A x|`, any shape of `A`.
//! In exact arithmetic the iterates are those of CGLS; the bidiagonalization is kinder to
//! ill-conditioned problems.
//!
//! Stops when `|r| <= max(rtol |b|, atol)` or `|M^H A^H r| <= rtol |A M| |r|` (tests 1 and 2 of the
//! paper).
//!
//! Two reductions an iteration, one on the range and one on the domain. Traffic of an iteration
//! beside operator and preconditioner, in vectors: on the range 4 reads and 2 writes, on the domain
//! 8 and 4.

use dolmen_core::{AdjointOperator, Scalar, Vector};

use crate::error::Result;
use crate::krylov::least_squares::{GolubKahan, Terms, least_squares_solver};
use crate::krylov::method::{Estimate, Iteration, Step};
use crate::krylov::problem::Problem;
use crate::krylov::snapshot_state::Archive;
use crate::settings::Settings;

/// LSQR, for least-squares problems of any shape and rank.
pub struct Lsqr<'a, T> {
    settings: Settings<'a, T>,
    preconditioner: Option<&'a dyn AdjointOperator<T>>,
    terms: Terms<'a, T>,
}

least_squares_solver!(Lsqr, "LSQR");

impl<T: Scalar> Lsqr<'_, T> {
    fn iteration(&self, problem: &Problem<'_, T>) -> Result<LsqrState<T>> {
        Ok(LsqrState { bidiagonal: GolubKahan::new(problem), w: problem.zeros(), phi_bar: 0.0, rho_bar: 0.0 })
    }
}

struct LsqrState<T> {
    bidiagonal: GolubKahan<T>,
    /// The direction, `M w` in the notation of the paper.
    w: Vector<T>,
    /// The norm of the residual.
    phi_bar: f64,
    rho_bar: f64,
}

impl<T: Scalar> Iteration<T> for LsqrState<T> {
    fn start(&mut self, problem: &Problem<'_, T>, r: &Vector<T>) -> Result<()> {
        self.bidiagonal.start(problem, r)?;
        self.w.copy_from(&self.bidiagonal.t)?;
        (self.phi_bar, self.rho_bar) = (self.bidiagonal.beta, self.bidiagonal.alpha);
        Ok(())
    }

    fn step(&mut self, problem: &Problem<'_, T>, x: &mut Vector<T>, _r: &mut Vector<T>) -> Result<Step> {
        self.bidiagonal.advance(problem)?;
        let GolubKahan { alpha, beta, t, .. } = &self.bidiagonal;
        let rho = (self.rho_bar * self.rho_bar + beta * beta).sqrt();
        if rho == 0.0 {
            return Ok(Step::Breakdown);
        }
        let (c, s) = (self.rho_bar / rho, beta / rho);
        let theta = s * alpha;
        self.rho_bar = -c * alpha;
        x.axpy(T::from_parts(c * self.phi_bar / rho, 0.0), &self.w)?;
        self.w.axpby(T::ONE, t, T::from_parts(-theta / rho, 0.0))?;
        self.phi_bar *= s;
        Ok(Step::Next(Estimate { residual: self.phi_bar, normal: self.phi_bar * alpha * c.abs() }))
    }

    fn archive(&mut self, archive: &mut Archive<'_, T>) {
        self.bidiagonal.archive(archive);
        archive.vector("w", &mut self.w);
        archive.real("phi bar", &mut self.phi_bar);
        archive.real("rho bar", &mut self.rho_bar);
    }
}
