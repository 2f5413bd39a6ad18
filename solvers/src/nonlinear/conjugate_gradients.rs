//! Nonlinear conjugate gradients for `F(x) = 0` where `F` is the gradient of a function with a minimum: the directions of
//! Polak, Ribiere and Polyak, restarted where their factor is negative (Nocedal and Wright, "Numerical Optimization",
//! section 5.2), and a line search for a zero of the slope.
//!
//! Stops when `|F(x)| <= max(rtol |F(x0)|, atol)`.

use std::time::Instant;

use dolmen_core::{LinearOperator, Reduction, Scalar, Vector, dots, profile};

use crate::error::Result;
use crate::nonlinear::evaluation::{Evaluation, Function};
use crate::nonlinear::reason::NonlinearReason;
use crate::nonlinear::report::NonlinearReport;
use crate::nonlinear::settings::{Common, Run, common_setters};

const NAME: &str = "nonlinear CG";
/// A slope of this share of the first one ends a line search.
const FLAT: f64 = 0.1;
/// Evaluations of a line search.
const TRIALS: usize = 40;
/// A step grows by this while the slope stays negative.
const GROW: f64 = 4.0;

/// Nonlinear conjugate gradients, with an optional preconditioner that is Hermitian and positive definite. Two vectors
/// less than Newton needs, and no Jacobian; about two evaluations an iteration.
pub struct NonlinearCg<'a, T: Scalar> {
    common: Common<'a>,
    preconditioner: Option<&'a dyn LinearOperator<T>>,
}

impl<T: Scalar> Default for NonlinearCg<'_, T> {
    fn default() -> Self {
        NonlinearCg { common: Common::new(10_000), preconditioner: None }
    }
}

common_setters!(NonlinearCg);

impl<'a, T: Scalar> NonlinearCg<'a, T> {
    /// Creates the method with its default settings: relative tolerance 1e-8, at most 10 000 iterations.
    pub fn new() -> Self {
        Self::default()
    }

    /// An operator that approximates the inverse of the Jacobian, Hermitian and positive definite.
    #[must_use]
    pub fn preconditioner(mut self, preconditioner: &'a dyn LinearOperator<T>) -> Self {
        self.preconditioner = Some(preconditioner);
        self
    }

    /// Solves `F(x) = 0`; `x` holds the initial guess and becomes the solution, or the last point that was reached.
    /// `function(x, y)` computes `y = F(x)`, a gradient, on all ranks together.
    ///
    /// # Collective
    /// All ranks have the same settings, which the first reduction compares.
    ///
    /// # Errors
    /// Mismatched layouts, a setting out of range, or a failure in the function or the preconditioner on any rank; the same
    /// on all ranks. Not converging is not an error but a [`NonlinearReason`].
    pub fn solve(&self, function: Function<'_, T>, x: &mut Vector<T>) -> Result<NonlinearReport> {
        let (start, comm) = (Instant::now(), x.comm().clone());
        let _event = profile::event(NAME);
        let evaluation = Evaluation::new(function, x.layout());
        self.common.compare(NAME, &comm, || {
            format!("preconditioner {}", if self.preconditioner.is_some() { "given" } else { "none" })
        });
        comm.agree(self.check(&evaluation))?;
        let zeros = || Vector::zeros(x.layout());
        let (mut f, mut z, mut direction, mut moved, mut g) = (zeros(), zeros(), zeros(), zeros(), zeros());
        let residual = evaluation.evaluate(x, &mut f)?;
        let mut run = Run::new(NAME, &self.common, start, residual);
        self.precondition(&f, &mut z)?;
        // z^H f, and the last step with its slope.
        let (mut energy, mut last) = (f.dot(&z)?.re(), None::<(f64, f64)>);
        direction.axpby(-T::ONE, &z, T::ZERO)?;
        let reason = loop {
            if let Some(reason) = run.verdict(evaluation.count(), &comm)? {
                break reason;
            }
            let mut slope = direction.dot(&f)?.re();
            if slope >= 0.0 || slope.is_nan() {
                direction.axpby(-T::ONE, &z, T::ZERO)?;
                (slope, last) = (-energy, None);
            }
            if slope >= 0.0 || slope.is_nan() {
                break NonlinearReason::NotDescent;
            }
            let length = direction.norm2();
            let guess = match last {
                Some((step, before)) => step * before / slope,
                None if self.preconditioner.is_some() => 1.0,
                None => 1.0 / length.max(1.0),
            };
            let line = Line { evaluation: &evaluation, x, direction: &direction, slope };
            let Some((step, residual)) = line.search(guess, &mut moved, &mut g)? else {
                break NonlinearReason::LineSearchFailed;
            };
            last = Some((step, slope));
            std::mem::swap(x, &mut moved);
            self.precondition(&g, &mut z)?;
            let [new, old] = dots([(&z, &g), (&z, &f)], Reduction::Reproducible)?;
            let beta = ((new.re() - old.re()) / energy).max(0.0);
            energy = new.re();
            direction.axpby(-T::ONE, &z, T::from_parts(beta, 0.0))?;
            std::mem::swap(&mut f, &mut g);
            run.made(residual, step * length);
        };
        run.conclude(reason, &evaluation, x, &mut f)
    }

    fn check(&self, evaluation: &Evaluation<'_, T>) -> Result<()> {
        self.common.check(NAME)?;
        let Some(m) = self.preconditioner else { return Ok(()) };
        evaluation.require_same(NAME, "preconditioner", m.domain())?;
        evaluation.require_same(NAME, "preconditioner", m.range())
    }

    fn precondition(&self, f: &Vector<T>, z: &mut Vector<T>) -> Result<()> {
        match self.preconditioner {
            Some(m) => Ok(m.apply(f, z)?),
            None => Ok(z.copy_from(f)?),
        }
    }
}

/// A line from a point with a negative slope.
struct Line<'l, 'f, T: Scalar> {
    evaluation: &'l Evaluation<'f, T>,
    x: &'l Vector<T>,
    direction: &'l Vector<T>,
    slope: f64,
}

impl<T: Scalar> Line<'_, '_, T> {
    /// Finds a step at which the slope nearly vanishes; `moved` is left there, and `f` is the function there. Gives the
    /// step and `|F|`. The zero is enclosed first, and then found by the Illinois variant of false position (Dowell and
    /// Jarratt, BIT 11 (1971) 168).
    ///
    /// # Collective
    fn search(&self, guess: f64, moved: &mut Vector<T>, f: &mut Vector<T>) -> Result<Option<(f64, f64)>> {
        let (mut lower, mut upper) = ((0.0, self.slope), None::<(f64, f64)>);
        let mut step = guess;
        let mut side = 0;
        for _ in 0..TRIALS {
            if !(step > 0.0 && step.is_finite()) {
                return Ok(None);
            }
            moved.waxpy(T::from_parts(step, 0.0), self.direction, self.x)?;
            let residual = self.evaluation.evaluate(moved, f)?;
            let slope = self.direction.dot(f)?.re();
            if slope.abs() <= FLAT * -self.slope && residual.is_finite() {
                return Ok(Some((step, residual)));
            }
            if slope < 0.0 {
                lower = (step, slope);
                if let (1, Some(end)) = (side, &mut upper) {
                    end.1 /= 2.0;
                }
                side = 1;
            } else {
                // Where F is no number the step is too long.
                upper = Some((step, slope));
                if side == 2 {
                    lower.1 /= 2.0;
                }
                side = 2;
            }
            step = match upper {
                None => GROW * step,
                Some((end, above)) => {
                    let crossing = (lower.0 * above - end * lower.1) / (above - lower.1);
                    let inside = crossing > lower.0 && crossing < end;
                    if inside { crossing } else { 0.5 * (lower.0 + end) }
                }
            };
        }
        Ok(None)
    }
}
