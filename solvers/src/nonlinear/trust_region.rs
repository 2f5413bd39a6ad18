//! Trust region for Newton's method: the step goes along Powell's dogleg, from the steepest descent of `|F|^2` to the
//! Newton step, as far as a radius within which the linear model is trusted (Nocedal and Wright, "Numerical
//! Optimization", algorithms 11.5 and 4.1, section 4.1).

use dolmen_core::{AdjointOperator, Scalar, Vector};

use crate::error::Result;
use crate::nonlinear::evaluation::Evaluation;
use crate::nonlinear::settings::epsilon;

/// Ratio of the decrease of `|F|^2` to that of the model above which a step is taken.
const ACCEPTED: f64 = 1e-4;
/// Below this ratio the radius shrinks, and above the next it may grow.
const POOR: f64 = 0.25;
const GOOD: f64 = 0.75;
const SHRINK: f64 = 0.25;
const GROW: f64 = 2.0;
/// A step of this share of the radius is at its edge.
const EDGE: f64 = 0.99;

/// The model at a point, and vectors for steps.
pub(super) struct Model<'m, T: Scalar> {
    pub(super) jacobian: &'m dyn AdjointOperator<T>,
    pub(super) x: &'m Vector<T>,
    /// `F(x)` and its norm.
    pub(super) f: &'m Vector<T>,
    pub(super) residual: f64,
    pub(super) newton: &'m Vector<T>,
}

/// A step that was taken: its length, and `|F|` after it.
pub(super) type Taken = Option<(f64, f64)>;

impl<T: Scalar> Model<'_, T> {
    /// Shrinks the radius until a step makes `|F|` smaller; `moved` is left at its end, and `f` is the function there. No
    /// radius yet becomes that of the Newton step. `None` if rounding hides what is left of the radius.
    ///
    /// # Collective
    pub(super) fn step(
        &self,
        evaluation: &Evaluation<'_, T>,
        radius: &mut Option<f64>,
        moved: &mut Vector<T>,
        f: &mut Vector<T>,
    ) -> Result<Taken> {
        let least = epsilon::<T>() * self.x.norm2();
        let newton = self.newton.norm2();
        let mut now = radius.unwrap_or(newton);
        let mut image = Vector::zeros(self.x.layout());
        let mut cauchy = None;
        while now > least && now > 0.0 {
            let mut step = self.newton.clone();
            if newton > now {
                if cauchy.is_none() {
                    cauchy = Some(self.cauchy(&mut image)?);
                }
                let (point, length) = cauchy.as_ref().expect("invariant: just computed");
                self.dogleg(point, *length, now, &mut step)?;
            }
            let length = step.norm2();
            self.jacobian.apply(&step, &mut image)?;
            image.axpy(T::ONE, self.f)?;
            let predicted = 1.0 - (image.norm2() / self.residual).powi(2);
            moved.waxpy(T::ONE, &step, self.x)?;
            let residual = evaluation.evaluate(moved, f)?;
            let actual = 1.0 - (residual / self.residual).powi(2);
            let ratio = actual / predicted;
            let accepted = predicted > 0.0 && ratio > ACCEPTED;
            // Where F is no number the model is not trusted at all.
            if !(accepted && ratio >= POOR) {
                now = SHRINK * length;
            } else if ratio > GOOD && length >= EDGE * now {
                now *= GROW;
            }
            *radius = Some(now);
            if accepted {
                return Ok(Some((length, residual)));
            }
        }
        Ok(None)
    }

    /// Returns the minimum of the model along its steepest descent, and its length; zero where that is no direction.
    fn cauchy(&self, image: &mut Vector<T>) -> Result<(Vector<T>, f64)> {
        let mut gradient = Vector::zeros(self.x.layout());
        self.jacobian.apply_adjoint(self.f, &mut gradient)?;
        self.jacobian.apply(&gradient, image)?;
        let [slope, curvature] = [gradient.norm2(), image.norm2()];
        let part = if curvature > 0.0 { (slope / curvature).powi(2) } else { 0.0 };
        gradient.scale(T::from_parts(-part, 0.0));
        Ok((gradient, part * slope))
    }

    /// Shortens the Newton step in `step` to the point of the dogleg at the radius.
    fn dogleg(&self, cauchy: &Vector<T>, length: f64, radius: f64, step: &mut Vector<T>) -> Result<()> {
        if length >= radius {
            step.copy_from(cauchy)?;
            step.scale(T::from_parts(radius / length, 0.0));
            return Ok(());
        }
        // |c + t (n - c)| = radius, for t between zero and one.
        step.axpy(-T::ONE, cauchy)?;
        let square = step.dot(step)?.re();
        let along = cauchy.dot(step)?.re();
        let left = radius * radius - length * length;
        let part = left / (along + (along * along + square * left).sqrt());
        step.scale(T::from_parts(part, 0.0));
        Ok(step.axpy(T::ONE, cauchy)?)
    }
}
