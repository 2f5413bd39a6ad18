//! Test that operators are Hermitian, after a failure of a method that needs it.
//!
//! The recurrences of such methods cannot tell: with an operator that is not Hermitian they continue without
//! meaning anything. Two products with random vectors can. They are made where a solve has failed, and
//! where its residual has not halved in the second half of its iterations, at 64, 128, 256, ... of them: a
//! solve that makes progress pays nothing.

use dolmen_core::random::Philox;
use dolmen_core::{Real, Scalar, Vector};

use crate::error::Result;
use crate::krylov::problem::Problem;
use crate::stop_reason::StopReason;

const SEED: u64 = 0x5eed;
/// The first iteration after which a solve without progress is looked at.
const FIRST: usize = 64;

/// The operators that a method needs to be Hermitian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Nothing.
    Nothing,
    /// The operator.
    Operator,
    /// The operator and the preconditioner.
    Both,
}

/// Returns whether the residual has not halved in the second half of the iterations.
pub(crate) fn is_stalled(history: &[f64]) -> bool {
    let last = history.len() - 1;
    last > 1 && history[last] > 0.5 * history[last / 2]
}

/// Returns whether symmetry is to be looked at after this number of iterations.
pub(crate) fn is_due(history: &[f64]) -> bool {
    let iterations = history.len() - 1;
    iterations >= FIRST && iterations.is_power_of_two() && is_stalled(history)
}

/// Returns whether a solve that ends for this reason may do so because an operator is not Hermitian.
pub(crate) fn is_suspect(reason: StopReason, history: &[f64]) -> bool {
    match reason {
        StopReason::IterationLimit => is_stalled(history),
        StopReason::Diverged
        | StopReason::Stagnated
        | StopReason::Breakdown
        | StopReason::IndefiniteOperator
        | StopReason::IndefinitePreconditioner => true,
        _ => false,
    }
}

/// Returns the operator that should be Hermitian and is not.
///
/// # Collective
/// Two products with each operator.
pub(crate) fn violation<T: Scalar>(problem: &Problem<'_, T>, needs: Needs) -> Result<Option<StopReason>> {
    if needs != Needs::Nothing && !is_hermitian(problem, Problem::apply_projected)? {
        return Ok(Some(StopReason::NotHermitian));
    }
    if needs == Needs::Both && problem.is_preconditioned() && !is_hermitian(problem, Problem::precondition)? {
        return Ok(Some(StopReason::PreconditionerNotHermitian));
    }
    Ok(None)
}

/// Returns a vector that is the same on every run.
pub(crate) fn random<T: Scalar>(problem: &Problem<'_, T>, stream: u64) -> Result<Vector<T>> {
    let mut vector = problem.zeros();
    vector.fill_normal(&Philox::new(SEED), stream);
    problem.project(&mut vector)?;
    Ok(vector)
}

/// Returns whether `<A x, y> = <x, A y>` for random `x` and `y`, to `eps^(3/4)` beside the norms of vectors: as
/// [`Analysis`](crate::Analysis) takes it of entries. So it is of what is not finite.
pub(crate) fn is_hermitian<'s, T: Scalar>(
    problem: &Problem<'s, T>,
    apply: impl Fn(&Problem<'s, T>, &Vector<T>, &mut Vector<T>) -> Result<()>,
) -> Result<bool> {
    let [x, y] = [random(problem, 0)?, random(problem, 1)?];
    let [mut image_x, mut image_y] = [problem.zeros(), problem.zeros()];
    apply(problem, &x, &mut image_x)?;
    apply(problem, &y, &mut image_y)?;
    let [left, right] = problem.dots([(&image_x, &y), (&x, &image_y)])?;
    let [x, y, image_x, image_y] = problem.dots([(&x, &x), (&y, &y), (&image_x, &image_x), (&image_y, &image_y)])?;
    let size = (image_x.re() * y.re()).sqrt() + (x.re() * image_y.re()).sqrt();
    let differs = (left - right).abs() > T::Real::EPSILON.to_f64().powf(0.75) * size;
    Ok(!differs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_half_of_the_residual_in_half_of_the_iterations() {
        let falling: Vec<f64> = (0..=64).map(|i| 0.5f64.powi(i / 32)).collect();
        assert!(!is_stalled(&falling) && !is_due(&falling));
        let resting = vec![1.0; 65];
        assert!(is_stalled(&resting) && is_due(&resting) && !is_due(&resting[1..]) && !is_due(&resting[32..]));
        assert!(!is_stalled(&[1.0]) && !is_stalled(&[1.0, 1.0]) && is_stalled(&[1.0; 3]));
    }
}
