//! Preconditioned MINRES (Paige and Saunders, SIAM J. Numer. Anal. 12 (1975) 617; Elman, Silvester
//! and Wathen, "Finite Elements and Fast Iterative Solvers", 2nd ed., algorithm 4.1) for Hermitian
//! `A`, definite or not, and Hermitian positive definite `M`.
//!
//! The recurrence gives the residual in the natural norm, `(r* M r)^(1/2)`. Without a preconditioner
//! that is the true norm; with one the residual itself is carried along for it, unless the natural norm
//! is asked for. Stops when `|r| <= max(rtol |b|, atol)`.
//!
//! If `b` is not in the range of a singular `A`, `A r` goes to zero and `r` does not; further steps would add
//! null vectors to `x` without end. For any solution, `r* r = r* A (x_s - x) <= |A r| |x_s - x|`, so that `|A r|`
//! says how large a solution has to be. If it is so large that the rounding errors of `A x_s` are larger than the
//! tolerance, the method stops as [`StopReason::Inconsistent`]: at `|A r| <= eps / 16 (|r| / target - 1) |A| |r|`, and
//! at most `eps^(1/2) / 16 |A| |r|`, so that systems of condition `16 / eps^(1/2)` are never given up. The estimate of
//! Choi, Paige and Saunders (SIAM J. Sci. Comput. 33 (2011) 1810) for `|A r|` is not believed, as rounding spoils it
//! before it is so small. At `eps^(1/3)`, and again whenever it has fallen to a tenth, the method starts from the
//! true residual: its image is computed, not estimated, and the new recurrences bring it down further. Rounding may
//! keep `|A r|` above the bound all the same, and `x` then drifts along null vectors: once a start finds a residual twice
//! the least of earlier starts, the method stops, and gives back the `x` of that one. It stops as `Inconsistent` if
//! `|A r| <= eps^(1/3) |A| |r|` there.
//!
//! Two reductions an iteration. Traffic of an iteration beside operator and preconditioner, in
//! vectors of `n` entries: 14 reads and 6 writes; 3 and 1 more for a residual carried along.

use dolmen_core::{Real, Scalar, Vector};

use crate::error::{Error, Result};
use crate::krylov::method::{Iteration, Step};
use crate::krylov::problem::Problem;
use crate::krylov::snapshot_state::Archive;
use crate::krylov::solver::square_solver;
use crate::krylov::symmetry::Needs;
use crate::norm::Norm;
use crate::stop_reason::StopReason;

square_solver! {
    /// MINRES, for Hermitian operators and Hermitian positive definite preconditioners.
    pub struct Minres: "MINRES" {}
}

impl<T: Scalar> Minres<'_, T> {
    fn iteration(&self, problem: &Problem<'_, T>) -> Result<MinresState<T>> {
        if problem.norm == Norm::Preconditioned {
            return Err(Error::Norm { method: problem.method, norm: problem.norm });
        }
        Ok(MinresState {
            lanczos: Lanczos::new(problem),
            w: std::array::from_fn(|_| problem.zeros()),
            eta: 0.0,
            c: [1.0; 2],
            s: [0.0; 2],
            residual: 0.0,
            operator: 0.0,
            doubt: T::Real::EPSILON.to_f64().cbrt(),
            fresh: true,
            best: problem.zeros(),
            best_residual: f64::INFINITY,
            best_image: f64::INFINITY,
            carries_residual: problem.is_preconditioned() && problem.norm == Norm::True,
        })
    }
}

/// Lanczos' process in the inner product of `M`: residual-like vectors `v` and their images `M v`.
pub(crate) struct Lanczos<T> {
    /// The newest vector and the one before, each of them `gamma` times a normalized one.
    pub(crate) v: [Vector<T>; 2],
    /// `M v` of the newest.
    pub(crate) z: Vector<T>,
    /// Norms of the newest vectors, newest first; the square of the first as it was computed.
    pub(crate) gamma: [f64; 2],
    pub(crate) square: f64,
    image: Vector<T>,
    /// True if the vector before the newest is the residual of the start, whose size is none of the operator's.
    is_first: bool,
}

impl<T: Scalar> Lanczos<T> {
    pub(crate) fn new(problem: &Problem<'_, T>) -> Lanczos<T> {
        let v = std::array::from_fn(|_| problem.zeros());
        Lanczos { v, z: problem.zeros(), gamma: [0.0, 1.0], square: 0.0, image: problem.zeros(), is_first: false }
    }

    pub(crate) fn start(&mut self, problem: &Problem<'_, T>, r: &Vector<T>) -> Result<()> {
        self.v[0].copy_from(r)?;
        self.v[1].fill(T::ZERO);
        self.gamma = [0.0, 1.0];
        self.is_first = true;
        self.normalize(problem)
    }

    /// Computes `z = M v`, and the norm of `v`.
    fn normalize(&mut self, problem: &Problem<'_, T>) -> Result<()> {
        problem.precondition(&self.v[0], &mut self.z)?;
        let [square] = problem.dots([(&self.v[0], &self.z)])?;
        self.square = square.re();
        self.gamma[0] = self.square.max(0.0).sqrt();
        Ok(())
    }

    /// Returns the reason for which no step can be made.
    pub(crate) fn refuse(&self) -> Option<StopReason> {
        if !self.square.is_finite() {
            Some(StopReason::NotFinite)
        } else {
            (self.square < 0.0).then_some(StopReason::IndefinitePreconditioner)
        }
    }

    /// Returns the next vector; the diagonal entry of the tridiagonal matrix. `z` still is the normalized
    /// `M v` from before; [`Lanczos::advance`] replaces it.
    pub(crate) fn expand(&mut self, problem: &Problem<'_, T>) -> Result<f64> {
        let [gamma, before] = self.gamma;
        self.z.scale(T::from_parts(1.0 / gamma, 0.0));
        problem.apply_projected(&self.z, &mut self.image)?;
        let [delta] = problem.dots([(&self.image, &self.z)])?;
        let delta = delta.re();
        let [newest, older] = &mut self.v;
        older.axpby(T::ONE, &self.image, T::from_parts(-gamma / before, 0.0))?;
        older.axpy(T::from_parts(-delta / gamma, 0.0), newest)?;
        self.v.swap(0, 1);
        self.gamma = [0.0, gamma];
        Ok(delta)
    }

    /// Preconditions the vector that [`Lanczos::expand`] made.
    pub(crate) fn advance(&mut self, problem: &Problem<'_, T>, delta: f64) -> Result<()> {
        self.normalize(problem)?;
        // What rounding leaves of a space that is exhausted.
        let beside = if self.is_first { delta.abs() } else { self.gamma[1] };
        let noise = T::Real::EPSILON.to_f64() * (delta.abs() + beside);
        self.is_first = false;
        if self.gamma[0] <= noise {
            self.gamma[0] = 0.0;
        }
        Ok(())
    }

    pub(crate) fn archive(&mut self, archive: &mut Archive<'_, T>) {
        archive.vectors("v", &mut self.v);
        archive.vector("z", &mut self.z);
        archive.reals("gamma", &mut self.gamma);
        archive.real("square", &mut self.square);
    }
}

/// Growth of the true residual, which steps only reduce, that shows how far `x` has drifted.
const GROWTH: f64 = 2.0;

struct MinresState<T> {
    lanczos: Lanczos<T>,
    /// Directions, newest first.
    w: [Vector<T>; 2],
    /// The residual in the natural norm, with a sign.
    eta: f64,
    /// Rotations, newest first.
    c: [f64; 2],
    s: [f64; 2],
    /// The residual in the requested norm.
    residual: f64,
    /// A lower bound of the norm of the (preconditioned) operator.
    operator: f64,
    /// The part of `|A| |r|` at which an estimate of `|A r|` is worth a new start.
    doubt: f64,
    /// True if no step was made since the last start.
    fresh: bool,
    /// The `x` of the start with the least residual, that residual, and `|A r| / |r|` there.
    best: Vector<T>,
    best_residual: f64,
    best_image: f64,
    carries_residual: bool,
}

/// Treatment of a residual that the operator takes nearly to zero.
enum Doubt {
    None,
    StartAgain,
    Inconsistent,
}

impl<T: Scalar> MinresState<T> {
    /// Judges `|A r| / |r|`, which is computed in the first step after a start and an estimate in others.
    fn doubt(&mut self, problem: &Problem<'_, T>, image: f64) -> Doubt {
        let eps = T::Real::EPSILON.to_f64();
        if std::mem::replace(&mut self.fresh, false) {
            let hidden = (eps * (self.residual / problem.target.get() - 1.0)).min(eps.sqrt()) / 16.0;
            self.doubt = self.doubt.min(image / self.operator / 10.0);
            return if image <= hidden * self.operator { Doubt::Inconsistent } else { Doubt::None };
        }
        if image <= self.doubt * self.operator { Doubt::StartAgain } else { Doubt::None }
    }
}

impl<T: Scalar> Iteration<T> for MinresState<T> {
    const NEEDS: Needs = Needs::Both;

    fn start(&mut self, problem: &Problem<'_, T>, r: &Vector<T>) -> Result<()> {
        self.lanczos.start(problem, r)?;
        self.w.iter_mut().for_each(|w| w.fill(T::ZERO));
        self.eta = self.lanczos.gamma[0];
        self.residual = if self.carries_residual { problem.square_of(r)?.sqrt() } else { self.eta };
        self.fresh = true;
        (self.c, self.s) = ([1.0; 2], [0.0; 2]);
        Ok(())
    }

    fn step(&mut self, problem: &Problem<'_, T>, x: &mut Vector<T>, r: &mut Vector<T>) -> Result<Step> {
        if let Some(reason) = self.lanczos.refuse() {
            return Ok(Step::Stop(reason));
        }
        let gamma = self.lanczos.gamma[0];
        if gamma == 0.0 {
            return Ok(Step::Breakdown);
        }
        let delta = self.lanczos.expand(problem)?;
        let [c, c_before] = self.c;
        let [s, s_before] = self.s;
        let above = s * delta + c_before * c * gamma;
        let top = s_before * gamma;
        // The direction in all but its length, before z makes way for the next one.
        let [newest, older] = &mut self.w;
        older.axpby(T::ONE, &self.lanczos.z, T::from_parts(-top, 0.0))?;
        older.axpy(T::from_parts(-above, 0.0), newest)?;
        self.lanczos.advance(problem, delta)?;
        let next = self.lanczos.gamma[0];
        let diagonal = c * delta - c_before * s * gamma;
        self.operator = self.operator.max((delta * delta + next * next).sqrt());
        let image = (diagonal * diagonal + c * c * next * next).sqrt();
        if self.fresh {
            if self.residual > GROWTH * self.best_residual {
                return Ok(Step::Stop(StopReason::Diverged));
            }
            if self.residual <= self.best_residual {
                self.best.copy_from(x)?;
                (self.best_residual, self.best_image) = (self.residual, image);
            }
        }
        match self.doubt(problem, image) {
            Doubt::Inconsistent => return Ok(Step::Stop(StopReason::Inconsistent)),
            Doubt::StartAgain => return Ok(Step::Doubt(self.residual.into())),
            Doubt::None => {}
        }
        let length = (diagonal * diagonal + next * next).sqrt();
        if length == 0.0 {
            return Ok(Step::Breakdown);
        }
        self.w[1].scale(T::from_parts(1.0 / length, 0.0));
        self.w.swap(0, 1);
        (self.c, self.s) = ([diagonal / length, c], [next / length, s]);
        x.axpy(T::from_parts(self.c[0] * self.eta, 0.0), &self.w[0])?;
        self.eta *= -self.s[0];
        if !self.carries_residual {
            self.residual = self.eta.abs();
            return Step::next(self.residual);
        }
        r.scale(T::from_parts(self.s[0] * self.s[0], 0.0));
        if next > 0.0 {
            r.axpy(T::from_parts(self.c[0] * self.eta / next, 0.0), &self.lanczos.v[0])?;
        }
        self.residual = problem.square_of(r)?.sqrt();
        Step::next(self.residual)
    }

    fn retreat(&mut self, x: &mut Vector<T>, residual: f64) -> Result<Option<StopReason>> {
        if residual > GROWTH * self.best_residual {
            x.copy_from(&self.best)?;
            let least = self.best_image <= T::Real::EPSILON.to_f64().cbrt() * self.operator;
            return Ok(Some(if least { StopReason::Inconsistent } else { StopReason::Diverged }));
        }
        Ok(None)
    }

    fn archive(&mut self, archive: &mut Archive<'_, T>) {
        self.lanczos.archive(archive);
        archive.vectors("w", &mut self.w);
        archive.real("eta", &mut self.eta);
        archive.reals("c", &mut self.c);
        archive.reals("s", &mut self.s);
        archive.real("residual in the recurrence", &mut self.residual);
        archive.real("operator", &mut self.operator);
        archive.real("doubt", &mut self.doubt);
        archive.flag("fresh", &mut self.fresh);
        archive.vector("best", &mut self.best);
        archive.real("residual of best", &mut self.best_residual);
        archive.real("image of best", &mut self.best_image);
    }
}
