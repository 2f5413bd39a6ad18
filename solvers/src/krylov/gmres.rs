//! Restarted GMRES (Saad and Schultz, SIAM J. Sci. Stat. Comput. 7 (1986) 856; Saad, "Iterative
//! Methods for Sparse Linear Systems", 2nd ed., algorithms 6.9 and 9.4 (left), 9.5 (right)) for any
//! nonsingular `A`.
//!
//! From the right, `A M y = b` with `x = M y`, the residual of the recurrence is that of `A x = b`.
//! From the left, `M A x = M b`, it is `M (b - A x)`; in the true norm, which is the default there
//! too, it is scaled by the ratio that both had at the beginning of the cycle, and the truth decides.
//! Split, `M A R y = M b` with `x = R y`, it is the same. Of the other methods none has sides: those for
//! Hermitian operators make the same iterates from an `M` however it is split (Saad, section 9.2.1), and
//! the rest are preconditioned from the right, where the residual stays that of `A x = b`.
//!
//! Stops when `|r| <= max(rtol |b|, atol)`. One or two reductions an iteration (see [`super::arnoldi`]).
//! Traffic of step `j` of a cycle beside the operator and the preconditioner, in vectors of `n`
//! entries: `2 j + 6` reads and 3 writes, or `4 j + 9` and 4 where the second pass is needed.

use dolmen_core::{LinearOperator, Scalar, Vector};

use crate::error::{Error, Result};
use crate::krylov::arnoldi::{Arnoldi, Expansion};
use crate::krylov::method::{Estimate, Iteration, Step};
use crate::krylov::problem::Problem;
use crate::krylov::snapshot_state::Archive;
use crate::krylov::solver::square_solver;
use crate::norm::Norm;
use crate::settings::{Settings, require};
use crate::stop_reason::StopReason;

/// Steps before a restart, of methods that keep a basis.
pub(crate) const RESTART: usize = 30;

/// On which side of the operator the preconditioner stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Side {
    /// `M A x = M b`.
    Left,
    /// `A M y = b`, `x = M y`.
    #[default]
    Right,
}

/// Restarted GMRES, for any nonsingular operator.
///
/// ```no_run
/// # use dolmen_core::{Diagonal, LinearOperator, Vector};
/// # use dolmen_solvers::{Gmres, Result};
/// # fn f(a: &Diagonal<f64>, m: &Diagonal<f64>, b: &Vector<f64>, x: &mut Vector<f64>) -> Result<()> {
/// let report = Gmres::new().rtol(1e-8).restart(50).preconditioner(m).solve(a, b, x)?;
/// # Ok(()) }
/// ```
pub struct Gmres<'a, T> {
    settings: Settings<'a, T>,
    restart: usize,
    side: Side,
    right: Option<&'a dyn LinearOperator<T>>,
}

impl<'a, T: Scalar> From<Settings<'a, T>> for Gmres<'a, T> {
    fn from(settings: Settings<'a, T>) -> Self {
        Gmres { settings, restart: RESTART, side: Side::Right, right: None }
    }
}

square_solver!(Gmres, "GMRES");

impl<'a, T: Scalar> Gmres<'a, T> {
    /// Steps before a restart, 30 by default; one more vector than this is kept.
    #[must_use]
    pub fn restart(mut self, restart: usize) -> Self {
        self.restart = restart;
        self
    }

    /// Sets the side of the preconditioner, the right one by default.
    #[must_use]
    pub fn side(mut self, side: Side) -> Self {
        self.side = side;
        self
    }

    /// Splits the preconditioner: `M A R y = M b`, `x = R y`, with this `R` on the right and what
    /// [`Gmres::preconditioner`] gives on the left.
    #[must_use]
    pub fn split(mut self, right: &'a dyn LinearOperator<T>) -> Self {
        self.side = Side::Left;
        self.right = Some(right);
        self
    }

    fn iteration(&self, problem: &Problem<'_, T>) -> Result<GmresState<'a, T>> {
        problem.compare("side", &self.side);
        if let Some(right) = self.right {
            problem.require_same("preconditioner from the right", problem.a.domain(), right.domain());
            problem.require_same("preconditioner from the right", problem.a.domain(), right.range());
        }
        let supported = match (self.side, problem.norm) {
            (_, Norm::True) | (Side::Left, Norm::Preconditioned) => true,
            (Side::Right, Norm::Preconditioned) => !problem.is_preconditioned(),
            (_, Norm::Natural) => false,
        };
        if !supported {
            problem.require(Err(Error::Norm { method: problem.method, norm: problem.norm }));
        }
        let cycle = cycle(problem, self.restart);
        let right = self.right.map(|right| (right, problem.zeros()));
        Ok(GmresState { arnoldi: Arnoldi::new(problem, cycle), side: self.side, right, z: problem.zeros(), ratio: 1.0 })
    }
}

/// Refuses a cycle without steps.
pub(crate) fn require_restart(method: &'static str, restart: usize) -> Result<()> {
    require(method, "restart", restart as f64, restart > 0, "one or more")
}

/// Steps of a cycle of at most `restart`.
pub(crate) fn cycle<T: Scalar>(problem: &Problem<'_, T>, restart: usize) -> usize {
    problem.compare("restart", &restart);
    problem.require(require_restart(problem.method, restart));
    let rows = usize::try_from(problem.a.domain().global_len()).unwrap_or(usize::MAX);
    restart.min(rows).max(1)
}

struct GmresState<'a, T: Scalar> {
    arnoldi: Arnoldi<T>,
    side: Side,
    /// `R`, and room for what it gives.
    right: Option<(&'a dyn LinearOperator<T>, Vector<T>)>,
    z: Vector<T>,
    /// `|r| / |M r|` at the beginning of a cycle, where the norms of recurrence and tests differ.
    ratio: f64,
}

impl<T: Scalar> Iteration<T> for GmresState<'_, T> {
    fn start(&mut self, problem: &Problem<'_, T>, r: &Vector<T>) -> Result<()> {
        let first = &mut self.arnoldi.basis[0];
        match self.side {
            Side::Right => first.copy_from(r)?,
            Side::Left => problem.precondition(r, first)?,
        }
        let norm = self.arnoldi.start(problem)?;
        if self.side == Side::Left && problem.norm == Norm::True && problem.is_preconditioned() {
            self.ratio = problem.square_of(r)?.sqrt() / norm;
        }
        Ok(())
    }

    fn step(&mut self, problem: &Problem<'_, T>, _x: &mut Vector<T>, _r: &mut Vector<T>) -> Result<Step> {
        if !self.ratio.is_finite() {
            return Ok(Step::Stop(StopReason::NotFinite));
        }
        let (last, next) = self.arnoldi.last_and_next();
        match self.side {
            Side::Right => {
                problem.precondition(last, &mut self.z)?;
                problem.apply_projected(&self.z, next)?;
            }
            Side::Left => {
                let last = match &mut self.right {
                    Some((right, y)) => {
                        problem.precondition_right(*right, last, y)?;
                        y
                    }
                    None => last,
                };
                problem.apply_projected(last, &mut self.z)?;
                problem.precondition(&self.z, next)?;
            }
        }
        Ok(match self.arnoldi.expand(problem)? {
            Expansion::Singular => Step::Breakdown,
            Expansion::Residual(residual) => end_of_step(&self.arnoldi, (residual * self.ratio).into()),
        })
    }

    fn finish(&mut self, problem: &Problem<'_, T>, x: &mut Vector<T>) -> Result<()> {
        if self.arnoldi.len == 0 {
            return Ok(());
        }
        if self.side == Side::Left && self.right.is_none() {
            return self.arnoldi.add_solution(x, None);
        }
        self.z.fill(T::ZERO);
        self.arnoldi.add_solution(&mut self.z, None)?;
        // The basis is not needed any more.
        let correction = &mut self.arnoldi.basis[0];
        match self.right {
            Some((right, _)) => problem.precondition_right(right, &self.z, correction)?,
            None => problem.precondition(&self.z, correction)?,
        }
        Ok(x.axpy(T::ONE, correction)?)
    }

    fn archive(&mut self, archive: &mut Archive<'_, T>) {
        self.arnoldi.archive(archive);
        archive.real("ratio", &mut self.ratio);
    }
}

/// Returns a step that may be the last of its cycle.
pub(crate) fn end_of_step<T: Scalar>(arnoldi: &Arnoldi<T>, estimate: Estimate) -> Step {
    if arnoldi.is_full() { Step::Cycle(estimate) } else { Step::Next(estimate) }
}
