//! Chebyshev's iteration (Golub and Varga, Numer. Math. 3 (1961) 147; Saad, "Iterative Methods for
//! Sparse Linear Systems", 2nd ed., algorithm 12.1) for Hermitian positive definite `A` and `M`.
//!
//! Needs no inner products but bounds of the eigenvalues of `M A`. Estimated ones come from
//! [`estimate_spectrum`](crate::estimate_spectrum); the largest is made a tenth larger, since above
//! the interval the iteration diverges, while below it it is only slower.
//!
//! Stops when `|r| <= max(rtol |b|, atol)`. One reduction an iteration, for that test. Traffic of an
//! iteration beside operator and preconditioner, in vectors of `n` entries: 8 reads and 3 writes.

use dolmen_core::scaling::scaled;
use dolmen_core::{Scalar, Vector};

use crate::error::{NoSpectrum, Result};
use crate::krylov::method::{Iteration, Step};
use crate::krylov::problem::Problem;
use crate::krylov::snapshot_state::Archive;
use crate::krylov::solver::square_solver;
use crate::krylov::spectrum::estimate;
use crate::krylov::symmetry::Needs;
use crate::settings::{Settings, require};
use crate::stop_reason::StopReason;

/// Chebyshev's iteration, for Hermitian positive definite operators with a known spectrum.
pub struct Chebyshev<'a, T> {
    settings: Settings<'a, T>,
    bounds: Option<[f64; 2]>,
    estimate_steps: usize,
}

impl<'a, T: Scalar> From<Settings<'a, T>> for Chebyshev<'a, T> {
    fn from(settings: Settings<'a, T>) -> Self {
        Chebyshev { settings, bounds: None, estimate_steps: ESTIMATE_STEPS }
    }
}

square_solver!(Chebyshev, "Chebyshev");

/// Steps of Lanczos' process for an estimate, unless another number is given.
pub(crate) const ESTIMATE_STEPS: usize = 30;
/// Factor for an estimate of the largest eigenvalue.
const MARGIN: f64 = 1.1;

/// Refuses an estimate from nothing.
pub(crate) fn require_estimate_steps(method: &'static str, steps: usize) -> Result<()> {
    require(method, "estimate_steps", steps as f64, steps > 0, "one or more")
}

/// Refuses bounds of eigenvalues that are not those of a positive definite operator.
pub(crate) fn require_bounds(method: &'static str, [smallest, largest]: [f64; 2]) -> Result<()> {
    require(method, "smallest eigenvalue", smallest, smallest > 0.0, "more than zero")?;
    let good = largest >= smallest && largest.is_finite();
    require(method, "largest eigenvalue", largest, good, "no less than the smallest")
}

impl<T: Scalar> Chebyshev<'_, T> {
    /// Sets an interval with all eigenvalues of `M A`, instead of an estimate.
    #[must_use]
    pub fn bounds(mut self, smallest: f64, largest: f64) -> Self {
        self.bounds = Some([smallest, largest]);
        self
    }

    /// Steps of Lanczos' process for the estimate, 30 by default.
    #[must_use]
    pub fn estimate_steps(mut self, steps: usize) -> Self {
        self.estimate_steps = steps;
        self
    }

    fn iteration(&self, problem: &Problem<'_, T>) -> Result<ChebyshevState<T>> {
        problem.compare("estimate_steps", &self.estimate_steps);
        problem.compare("bounds", &self.bounds);
        problem.require(require_estimate_steps(problem.method, self.estimate_steps));
        if let Some(bounds) = self.bounds {
            problem.require(require_bounds(problem.method, bounds));
        }
        let [z, d, image] = std::array::from_fn(|_| problem.zeros());
        let is_given = self.bounds.is_some();
        Ok(ChebyshevState {
            z,
            d,
            image,
            bounds: self.bounds.unwrap_or([1.0; 2]),
            is_given,
            steps: (!is_given).then_some(self.estimate_steps),
            refused: None,
            rho: 0.0,
        })
    }
}

struct ChebyshevState<T> {
    /// `M r`.
    z: Vector<T>,
    /// The next correction.
    d: Vector<T>,
    image: Vector<T>,
    bounds: [f64; 2],
    /// True if the user gave the bounds, in units of the user's system.
    is_given: bool,
    /// Steps for the estimate of the bounds, as long as it is to be made.
    steps: Option<usize>,
    /// Reason for which there are no bounds.
    refused: Option<StopReason>,
    rho: f64,
}

/// Returns the end of a solve that needs a spectrum and gets none.
fn end(reason: NoSpectrum) -> StopReason {
    match reason {
        NoSpectrum::NotFinite => StopReason::NotFinite,
        NoSpectrum::IndefinitePreconditioner => StopReason::IndefinitePreconditioner,
        NoSpectrum::NotHermitian => StopReason::NotHermitian,
        NoSpectrum::PreconditionerNotHermitian => StopReason::PreconditionerNotHermitian,
        NoSpectrum::Empty => StopReason::Breakdown,
    }
}

impl<T: Scalar> ChebyshevState<T> {
    fn estimate_bounds(&mut self, problem: &Problem<'_, T>, steps: usize) -> Result<()> {
        match estimate(problem, steps)? {
            Ok([smallest, _]) if smallest <= 0.0 => self.refused = Some(StopReason::IndefiniteOperator),
            Ok([smallest, largest]) => self.bounds = [smallest, MARGIN * largest],
            Err(reason) => self.refused = Some(end(reason)),
        }
        Ok(())
    }

    /// Middle and half width of the interval. One point is widened, to divide by.
    fn interval(&self, problem: &Problem<'_, T>) -> (f64, f64) {
        let power = if self.is_given { problem.product_power() } else { 0 };
        let [smallest, largest] = self.bounds.map(|bound| scaled(bound, -power));
        let middle = (largest + smallest) / 2.0;
        (middle, ((largest - smallest) / 2.0).max(1e-3 * middle))
    }
}

impl<T: Scalar> Iteration<T> for ChebyshevState<T> {
    const NEEDS: Needs = Needs::Both;

    fn start(&mut self, problem: &Problem<'_, T>, r: &Vector<T>) -> Result<()> {
        if let Some(steps) = self.steps.take() {
            self.estimate_bounds(problem, steps)?;
        }
        problem.precondition(r, &mut self.z)?;
        if self.is_given {
            problem.assume_operator_preconditioned(self.bounds[1]);
        }
        let (middle, half) = self.interval(problem);
        self.rho = half / middle;
        Ok(self.d.axpby(T::from_parts(1.0 / middle, 0.0), &self.z, T::ZERO)?)
    }

    fn step(&mut self, problem: &Problem<'_, T>, x: &mut Vector<T>, r: &mut Vector<T>) -> Result<Step> {
        if let Some(reason) = self.refused {
            return Ok(Step::Stop(reason));
        }
        x.axpy(T::ONE, &self.d)?;
        problem.apply_projected(&self.d, &mut self.image)?;
        r.axpy(-T::ONE, &self.image)?;
        problem.precondition(r, &mut self.z)?;
        let (middle, half) = self.interval(problem);
        let rho = 1.0 / (2.0 * middle / half - self.rho);
        let factors = [2.0 * rho / half, rho * self.rho].map(|factor| T::from_parts(factor, 0.0));
        self.d.axpby(factors[0], &self.z, factors[1])?;
        self.rho = rho;
        Step::next(problem.residual_norm(r, &self.z)?)
    }

    fn archive(&mut self, archive: &mut Archive<'_, T>) {
        // A snapshot has the bounds.
        self.steps = None;
        archive.vector("d", &mut self.d);
        archive.real("rho", &mut self.rho);
        archive.reals("bounds", &mut self.bounds);
    }
}
