//! The end of a solve: converged, as good as rounding allows, or an error.

use dolmen_solvers::{SolveReport, StopReason};

use crate::error::{Error, Result};

/// Largest relative residual at which a solve that rounding ends is good enough for maps.
const LIMITED: f64 = 1e-9;

/// Returns true if rounding ended the solve before its tolerance, at a residual that is good enough for maps. `solve`
/// says in an error which solve it is.
///
/// # Errors
/// The solve was asked to stop, reached its limit of iterations, or did not converge.
pub(crate) fn is_limited(solve: &str, report: &SolveReport) -> Result<bool> {
    let solve = solve.to_owned();
    match report.reason {
        StopReason::Requested => Err(Error::Stopped { solve, iterations: report.iterations }),
        StopReason::IterationLimit => {
            Err(Error::IterationLimit { solve, outcome: report.outcome(), advice: String::new() })
        }
        _ if report.converged() => Ok(false),
        // Energies of a residual that is made of rounding errors have any sign.
        reason if ends_in_rounding(reason) && report.relative_residual() <= LIMITED => Ok(true),
        _ => Err(Error::NotConverged { solve, outcome: report.outcome() }),
    }
}

/// Returns true for reasons of a solve that has nothing left but rounding errors to work on.
fn ends_in_rounding(reason: StopReason) -> bool {
    matches!(
        reason,
        StopReason::Stagnated
            | StopReason::Breakdown
            | StopReason::Inconsistent
            | StopReason::IndefiniteOperator
            | StopReason::IndefinitePreconditioner
    )
}

/// Returns the outcome of a solve in words; `key` is the setting of its tolerance.
pub(crate) fn outcome(report: &SolveReport, limited: bool, key: &str) -> String {
    if !limited {
        return report.explain().to_owned();
    }
    format!(
        "the relative residual stopped falling at {:.1e}: rounding allows no less, and {key} asks for less",
        report.relative_residual()
    )
}
