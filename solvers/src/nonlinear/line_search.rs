//! Line searches for Newton's method: a part of the step that makes `|F|` smaller by a share of what its slope promises
//! (Dennis and Schnabel, "Numerical Methods for Unconstrained Optimization and Nonlinear Equations", algorithm A6.3.1).

use dolmen_core::{Scalar, Vector};

use crate::error::Result;
use crate::nonlinear::evaluation::Evaluation;
use crate::nonlinear::settings::epsilon;

/// Choice of the part of a Newton step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LineSearch {
    /// The whole step, whatever becomes of `|F|`.
    Full,
    /// Half of the step, a quarter and so on, until `|F|` falls enough.
    Backtracking,
    /// The minimum of a parabola, then of cubics, through what was found.
    #[default]
    Cubic,
}

/// The share of the decrease that the slope promises, of `|F|^2`.
const SHARE: f64 = 1e-4;
/// The smallest part of a step.
const SMALLEST: f64 = 1e-12;
/// A part is at least this and at most [`LARGEST`] of the one before.
const LEAST: f64 = 0.1;
const LARGEST: f64 = 0.5;

/// A direction from a point, and vectors for points on it.
pub(super) struct Line<'l, T: Scalar> {
    pub(super) x: &'l Vector<T>,
    pub(super) direction: &'l Vector<T>,
    /// `|F(x)|`.
    pub(super) residual: f64,
    /// The slope of `|F|^2 / 2` along the direction.
    pub(super) slope: f64,
    /// The part that rounding hides.
    pub(super) invisible: f64,
}

/// A point on a line that is good enough: the part of the step, and `|F|` there.
pub(super) type Found = Option<(f64, f64)>;

impl LineSearch {
    /// Finds a point on the line; `moved` is left there, and `f` is the function there. `None` if there is none.
    ///
    /// # Collective
    pub(super) fn search<T: Scalar>(
        self,
        evaluation: &Evaluation<'_, T>,
        line: &Line<'_, T>,
        moved: &mut Vector<T>,
        f: &mut Vector<T>,
    ) -> Result<Found> {
        let mut evaluate = |part: f64| -> Result<f64> {
            moved.waxpy(T::from_parts(part, 0.0), line.direction, line.x)?;
            evaluation.evaluate(moved, f)
        };
        if self == LineSearch::Full {
            let residual = evaluate(1.0)?;
            return Ok(residual.is_finite().then_some((1.0, residual)));
        }
        // In units of |F(x)|, so that squares neither overflow nor vanish.
        let slope = line.slope / line.residual / line.residual;
        if slope.is_nan() || slope >= 0.0 {
            return Ok(None);
        }
        let merit = |residual: f64| 0.5 * (residual / line.residual).powi(2);
        let (mut part, mut before) = (1.0, None);
        while part > SMALLEST.max(line.invisible) {
            let residual = evaluate(part)?;
            let now = merit(residual);
            if now <= 0.5 + SHARE * part * slope {
                return Ok(Some((part, residual)));
            }
            let next = match self {
                LineSearch::Cubic if now.is_finite() => interpolated(slope, (part, now), before),
                _ => LARGEST * part,
            };
            before = now.is_finite().then_some((part, now));
            // NaN becomes the least.
            part = next.max(LEAST * part).min(LARGEST * part);
        }
        Ok(None)
    }
}

/// Returns the part that rounding hides: of a step of this length from a point of this size.
pub(super) fn invisible<T: Scalar>(step: f64, size: f64) -> f64 {
    epsilon::<T>() * size / step
}

/// Returns the minimum of the polynomial with the value one half and this slope at zero, through a point and, if there
/// is one, the point before.
fn interpolated(slope: f64, (part, merit): (f64, f64), before: Found) -> f64 {
    let excess = |(part, merit): (f64, f64)| (merit - 0.5 - slope * part) / (part * part);
    let now = excess((part, merit));
    let Some(before) = before else { return -slope / (2.0 * now) };
    let cubic = (now - excess(before)) / (part - before.0);
    let square = now - cubic * part;
    if cubic == 0.0 {
        return -slope / (2.0 * square);
    }
    let discriminant = (square * square - 3.0 * cubic * slope).max(0.0).sqrt();
    if square <= 0.0 { (discriminant - square) / (3.0 * cubic) } else { -slope / (square + discriminant) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polynomials_are_minimized_exactly() {
        // 1/2 - 2 t + 4 t^2, whose minimum is at 1/4.
        let parabola = |t: f64| 0.5 - 2.0 * t + 4.0 * t * t;
        assert!((interpolated(-2.0, (1.0, parabola(1.0)), None) - 0.25).abs() < 1e-14);
        // 1/2 - t + t^2 + 3 t^3: 9 t^2 + 2 t - 1 = 0.
        let cubic = |t: f64| 0.5 - t + t * t + 3.0 * t * t * t;
        let minimum = (-2.0 + 40f64.sqrt()) / 18.0;
        assert!((interpolated(-1.0, (0.5, cubic(0.5)), Some((1.0, cubic(1.0)))) - minimum).abs() < 1e-14);
        // 1/2 - t - t^2 + 3 t^3: the square is negative.
        let falling = |t: f64| 0.5 - t - t * t + 3.0 * t * t * t;
        let minimum = (2.0 + 40f64.sqrt()) / 18.0;
        assert!((interpolated(-1.0, (0.5, falling(0.5)), Some((1.0, falling(1.0)))) - minimum).abs() < 1e-14);
    }
}
