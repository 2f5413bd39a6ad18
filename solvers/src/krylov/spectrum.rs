//! The ends of the spectrum of `M A` by a few steps of Lanczos' process (Golub and Van Loan, "Matrix
//! Computations", 4th ed., section 10.1; bisection, section 8.4.1).
//!
//! The start is random but fixed by a seed, so the estimate is the same on every run and any number
//! of ranks. Estimates lie inside of the spectrum: the largest is usually found to some percent in
//! ten steps, the smallest may be far off.

use dolmen_core::scaling::scaled;
use dolmen_core::{LinearOperator, Reduction, Scalar, Vector};

use crate::error::{Error, NoSpectrum, Result};
use crate::krylov::minres::Lanczos;
use crate::krylov::problem::Problem;
use crate::krylov::symmetry::{is_hermitian, random};
use crate::settings::{Settings, require};
use crate::stop_reason::StopReason;

const METHOD: &str = "spectrum estimate";

/// Estimates of the smallest and the largest eigenvalue of `M A`, for Hermitian `A` and Hermitian
/// positive definite `M`; the identity if there is none.
///
/// # Collective
/// `steps` products with each operator; two more to find out why there is no estimate, or whether one
/// that is not positive may be believed.
///
/// # Errors
/// [`Error::Setting`] without steps; [`Error::NoSpectrum`], with the reason; mismatched layouts, or a
/// failure in an operator. The same on all ranks.
pub fn estimate_spectrum<'s, T: Scalar>(
    a: &'s dyn LinearOperator<T>,
    preconditioner: Option<&'s dyn LinearOperator<T>>,
    steps: usize,
    reduction: Reduction,
) -> Result<[f64; 2]> {
    a.domain().comm().agree(require(METHOD, "steps", steps as f64, steps > 0, "one or more"))?;
    let mut settings = Settings::new().reduction(reduction);
    settings.preconditioner = preconditioner;
    let zero = Vector::zeros(a.domain());
    let problem = Problem::square(METHOD, &settings, a, &zero, &zero);
    problem.begin(Ok(()))?;
    let ends = estimate(&problem, steps)?.map(|ends| ends.map(|end| scaled(end, problem.product_power())));
    ends.map_err(|reason| Error::NoSpectrum { method: METHOD, reason })
}

/// [`estimate_spectrum`] of the operators of a solve, times their powers of two, which goes on to report why there
/// is none.
pub(crate) fn estimate<T: Scalar>(problem: &Problem<'_, T>, steps: usize) -> Result<Result<[f64; 2], NoSpectrum>> {
    let mut lanczos = Lanczos::new(problem);
    let start = random(problem, 0)?;
    lanczos.start(problem, &start)?;
    let (mut diagonal, mut beside) = (Vec::with_capacity(steps), Vec::with_capacity(steps));
    while diagonal.len() < steps && lanczos.gamma[0] > 0.0 {
        let delta = lanczos.expand(problem)?;
        lanczos.advance(problem, delta)?;
        diagonal.push(delta);
        beside.push(lanczos.gamma[0]);
    }
    beside.pop();
    let ends = extremes(&diagonal, &beside);
    Ok(match lanczos.refuse() {
        Some(StopReason::IndefinitePreconditioner) if is_hermitian(problem, Problem::precondition)? => {
            Err(NoSpectrum::IndefinitePreconditioner)
        }
        Some(StopReason::IndefinitePreconditioner) => Err(NoSpectrum::PreconditionerNotHermitian),
        Some(_) => Err(NoSpectrum::NotFinite),
        None if diagonal.is_empty() => Err(NoSpectrum::Empty),
        None if !ends.iter().all(|end| end.is_finite()) => Err(NoSpectrum::NotFinite),
        // Eigenvalues of a Hermitian operator may have any sign; these are those of another one.
        None if ends[0] <= 0.0 && !is_hermitian(problem, Problem::apply_projected)? => Err(NoSpectrum::NotHermitian),
        None => Ok(ends),
    })
}

/// Returns the smallest and largest eigenvalue of a symmetric tridiagonal matrix; NaN if it is empty.
fn extremes(diagonal: &[f64], beside: &[f64]) -> [f64; 2] {
    let n = diagonal.len();
    let off = |i: usize| beside.get(i).map_or(0.0, |b| b.abs());
    let radius = |i: usize| off(i) + if i > 0 { off(i - 1) } else { 0.0 };
    let low = (0..n).map(|i| diagonal[i] - radius(i)).fold(f64::INFINITY, f64::min);
    let high = (0..n).map(|i| diagonal[i] + radius(i)).fold(f64::NEG_INFINITY, f64::max);
    if !(low.is_finite() && high.is_finite()) || diagonal.iter().any(|d| d.is_nan()) {
        return [f64::NAN; 2];
    }
    // Eigenvalues below a shift are negative pivots of the shifted matrix (Sylvester's law).
    let below = |shift: f64| {
        let (mut count, mut pivot) = (0, 1.0f64);
        for i in 0..n {
            let coupling = if i > 0 { beside[i - 1] * beside[i - 1] } else { 0.0 };
            pivot = diagonal[i] - shift - coupling / pivot;
            if pivot == 0.0 {
                pivot = f64::MIN_POSITIVE;
            }
            count += usize::from(pivot < 0.0);
        }
        count
    };
    [1, n].map(|wanted| {
        let (mut low, mut high) = (low, high);
        for _ in 0..100 {
            let middle = low + (high - low) / 2.0;
            if below(middle) >= wanted { high = middle } else { low = middle }
        }
        high
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eigenvalues_of_the_second_difference() {
        for n in [1u32, 2, 5, 20] {
            let size = usize::try_from(n).unwrap();
            let found = extremes(&vec![2.0; size], &vec![-1.0; size - 1]);
            let exact = |k: u32| 2.0 - 2.0 * (std::f64::consts::PI * f64::from(k) / f64::from(n + 1)).cos();
            for (found, exact) in found.into_iter().zip([exact(1), exact(n)]) {
                assert!((found - exact).abs() < 1e-14, "{n}: {found}, not {exact}");
            }
        }
        assert!(extremes(&[], &[])[0].is_nan() && extremes(&[1.0, f64::NAN], &[0.0])[1].is_nan());
    }
}
