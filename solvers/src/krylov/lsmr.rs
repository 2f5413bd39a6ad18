//! LSMR (Fong and Saunders, SIAM J. Sci. Comput. 33 (2011) 2950, algorithm of section 3.2 with the
//! residual of section 5.1) for `min |b - A x|`: MINRES on the normal equations, without forming them.
//! `|A^H r|` falls in every iteration, so that stopping early is safer than with LSQR.
//!
//! Stops when `|r| <= max(rtol |b|, atol)` or `|M^H A^H r| <= rtol |A M| |r|`.
//!
//! Two reductions an iteration, one on the range and one on the domain. Traffic of an iteration
//! beside operator and preconditioner, in vectors: on the range 4 reads and 2 writes, on the domain
//! 10 and 5.

use dolmen_core::{AdjointOperator, Scalar, Vector};

use crate::error::Result;
use crate::krylov::least_squares::{GolubKahan, Terms, least_squares_solver};
use crate::krylov::method::{Estimate, Iteration, Step};
use crate::krylov::problem::Problem;
use crate::krylov::snapshot_state::Archive;
use crate::settings::Settings;

/// LSMR, for least-squares problems of any shape and rank.
pub struct Lsmr<'a, T> {
    settings: Settings<'a, T>,
    preconditioner: Option<&'a dyn AdjointOperator<T>>,
    terms: Terms<'a, T>,
}

least_squares_solver!(Lsmr, "LSMR");

impl<T: Scalar> Lsmr<'_, T> {
    fn iteration(&self, problem: &Problem<'_, T>) -> Result<LsmrState<T>> {
        Ok(LsmrState {
            bidiagonal: GolubKahan::new(problem),
            h: problem.zeros(),
            h_bar: problem.zeros(),
            scalars: Scalars::default(),
        })
    }
}

struct LsmrState<T> {
    bidiagonal: GolubKahan<T>,
    h: Vector<T>,
    h_bar: Vector<T>,
    scalars: Scalars,
}

/// The quantities of the paper that live from one iteration to the next.
#[derive(Clone, Copy, Default)]
struct Scalars {
    alpha_bar: f64,
    rho: f64,
    rho_bar: f64,
    c_bar: f64,
    s_bar: f64,
    zeta: f64,
    zeta_bar: f64,
    beta_dd: f64,
    beta_d: f64,
    rho_d: f64,
    tau_tilde: f64,
    theta_tilde: f64,
}

impl Scalars {
    fn start(alpha: f64, beta: f64) -> Scalars {
        Scalars {
            alpha_bar: alpha,
            zeta_bar: alpha * beta,
            rho: 1.0,
            rho_bar: 1.0,
            c_bar: 1.0,
            beta_dd: beta,
            rho_d: 1.0,
            ..Scalars::default()
        }
    }

    fn all(&mut self) -> [&mut f64; 12] {
        [
            &mut self.alpha_bar,
            &mut self.rho,
            &mut self.rho_bar,
            &mut self.c_bar,
            &mut self.s_bar,
            &mut self.zeta,
            &mut self.zeta_bar,
            &mut self.beta_dd,
            &mut self.beta_d,
            &mut self.rho_d,
            &mut self.tau_tilde,
            &mut self.theta_tilde,
        ]
    }

    /// Computes the norm of the residual, from what this step and the one before know (section 5.1, without
    /// damping).
    fn residual(&mut self, c: f64, s: f64, theta_bar: f64, zeta_before: f64) -> f64 {
        let beta_hat = c * self.beta_dd;
        self.beta_dd *= -s;
        let theta_tilde_before = self.theta_tilde;
        let rho_tilde = (self.rho_d * self.rho_d + theta_bar * theta_bar).sqrt();
        let (c_tilde, s_tilde) = (self.rho_d / rho_tilde, theta_bar / rho_tilde);
        self.theta_tilde = s_tilde * self.rho_bar;
        self.rho_d = c_tilde * self.rho_bar;
        self.beta_d = c_tilde * beta_hat - s_tilde * self.beta_d;
        self.tau_tilde = (zeta_before - theta_tilde_before * self.tau_tilde) / rho_tilde;
        let tau_d = (self.zeta - self.theta_tilde * self.tau_tilde) / self.rho_d;
        ((self.beta_d - tau_d).powi(2) + self.beta_dd.powi(2)).sqrt()
    }
}

impl<T: Scalar> Iteration<T> for LsmrState<T> {
    fn start(&mut self, problem: &Problem<'_, T>, r: &Vector<T>) -> Result<()> {
        self.bidiagonal.start(problem, r)?;
        self.h.copy_from(&self.bidiagonal.t)?;
        self.h_bar.fill(T::ZERO);
        self.scalars = Scalars::start(self.bidiagonal.alpha, self.bidiagonal.beta);
        Ok(())
    }

    fn step(&mut self, problem: &Problem<'_, T>, x: &mut Vector<T>, _r: &mut Vector<T>) -> Result<Step> {
        self.bidiagonal.advance(problem)?;
        let GolubKahan { alpha, beta, t, .. } = &self.bidiagonal;
        let now = &mut self.scalars;
        let (rho_before, rho_bar_before, zeta_before) = (now.rho, now.rho_bar, now.zeta);
        now.rho = (now.alpha_bar * now.alpha_bar + beta * beta).sqrt();
        if now.rho == 0.0 {
            return Ok(Step::Breakdown);
        }
        let (c, s) = (now.alpha_bar / now.rho, beta / now.rho);
        let theta = s * alpha;
        now.alpha_bar = c * alpha;
        let theta_bar = now.s_bar * now.rho;
        let along = now.c_bar * now.rho;
        now.rho_bar = (along * along + theta * theta).sqrt();
        if now.rho_bar == 0.0 {
            return Ok(Step::Breakdown);
        }
        (now.c_bar, now.s_bar) = (along / now.rho_bar, theta / now.rho_bar);
        now.zeta = now.c_bar * now.zeta_bar;
        now.zeta_bar *= -now.s_bar;
        let factor = |value: f64| T::from_parts(value, 0.0);
        self.h_bar.axpby(T::ONE, &self.h, factor(-theta_bar * now.rho / (rho_before * rho_bar_before)))?;
        x.axpy(factor(now.zeta / (now.rho * now.rho_bar)), &self.h_bar)?;
        self.h.axpby(T::ONE, t, factor(-theta / now.rho))?;
        let normal = now.zeta_bar.abs();
        let residual = now.residual(c, s, theta_bar, zeta_before);
        Ok(Step::Next(Estimate { residual, normal }))
    }

    fn archive(&mut self, archive: &mut Archive<'_, T>) {
        self.bidiagonal.archive(archive);
        archive.vector("h", &mut self.h);
        archive.vector("h bar", &mut self.h_bar);
        let mut values = self.scalars.all().map(|value| *value);
        archive.reals("scalars", &mut values);
        self.scalars.all().into_iter().zip(values).for_each(|(scalar, value)| *scalar = value);
    }
}
