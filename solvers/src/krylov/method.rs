//! Interface between a method and the driver.

use dolmen_core::{Scalar, Vector};

use crate::error::Result;
use crate::krylov::problem::Problem;
use crate::krylov::snapshot_state::Archive;
use crate::krylov::symmetry::Needs;
use crate::stop_reason::StopReason;

/// Estimate of the residual by the recurrences of a method.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Estimate {
    /// Its norm, in the requested norm.
    pub(crate) residual: f64,
    /// In least squares `|A^H r|`; infinite otherwise, where it plays no part.
    pub(crate) normal: f64,
}

impl From<f64> for Estimate {
    fn from(residual: f64) -> Estimate {
        Estimate { residual, normal: f64::INFINITY }
    }
}

/// Outcome of an iteration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Step {
    /// Made; the method can continue.
    Next(Estimate),
    /// Made; the method wants to restart from the true residual.
    Cycle(Estimate),
    /// Made; the method wants to start from the true residual to find out whether it can be made smaller, and
    /// counts itself how often.
    Doubt(Estimate),
    /// Not made: a division by zero was ahead. A start from the true residual may help.
    Breakdown,
    /// Not made, and nothing will help.
    Stop(StopReason),
}

impl Step {
    /// Returns an iteration that was made.
    pub(crate) fn next(residual: f64) -> Result<Step> {
        Ok(Step::Next(residual.into()))
    }
}

/// A method under way. `r` belongs to the driver, which sets it to `b - A x` before each start; a
/// method may keep its recursive residual there.
pub(crate) trait Iteration<T: Scalar> {
    /// The operators that have to be Hermitian.
    const NEEDS: Needs = Needs::Nothing;

    /// Starts from a true residual, at the beginning and whenever the driver had to compute one.
    fn start(&mut self, problem: &Problem<'_, T>, r: &Vector<T>) -> Result<()>;

    /// Makes one iteration.
    fn step(&mut self, problem: &Problem<'_, T>, x: &mut Vector<T>, r: &mut Vector<T>) -> Result<Step>;

    /// Brings `x` up to date, for methods that do not in each step. A start or the end follows.
    fn finish(&mut self, _cx: &Problem<'_, T>, _x: &mut Vector<T>) -> Result<()> {
        Ok(())
    }

    /// Takes `x` back to the best that the method has kept, where steps have only made it worse since, as its
    /// residual at the end shows; gives the reason for the end there.
    fn retreat(&mut self, _x: &mut Vector<T>, _residual: f64) -> Result<Option<StopReason>> {
        Ok(None)
    }

    /// Names all of the state that lives from one iteration to the next, beside `x` and `r`.
    fn archive(&mut self, archive: &mut Archive<'_, T>);
}
