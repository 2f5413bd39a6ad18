//! Output of `dolmen solve`: as text, and as one JSON object.

use std::path::Path;

use dolmen_common::command_line::say;
use dolmen_core::text::shown;
use dolmen_core::{Comm, CsrMatrix, Scalar, Vector};
use dolmen_io::{Description, Location};
use dolmen_solvers::{Solution, StopReason};
use serde_json::{Value, json};

use crate::error::Result;
use crate::json;

/// A solve that has ended.
pub(crate) struct Outcome<'s> {
    pub(crate) file: &'s Description,
    pub(crate) solution: &'s Solution,
    /// Origin of the right-hand side.
    pub(crate) right_hand_side: &'s str,
    /// `|x - y| / |y|`, if the right-hand side was made from a solution `y`.
    pub(crate) error: Option<f64>,
    /// True if a signal ended it.
    pub(crate) stopped: bool,
    /// The checkpoint that was written last.
    pub(crate) checkpoint: Option<&'s Path>,
}

/// Size and kind of a matrix.
pub(crate) fn title<T: Scalar>(file: &Description, a: &CsrMatrix<T>) -> String {
    let (entries, field, symmetry) = (a.global_entries(), &file.field, &file.symmetry);
    let more = right_hand_sides(file).map(|text| format!("; {text}")).unwrap_or_default();
    format!("{} x {}, {entries} entries, {field}, stored as {symmetry}{more}", file.rows, file.columns)
}

/// Returns the note about right-hand sides after the matrix, which are read only with `--rhs`.
pub(crate) fn right_hand_sides(file: &Description) -> Option<String> {
    match file.right_hand_sides {
        0 => None,
        1 => Some("the file also has a right-hand side; use it with --rhs FILE".to_owned()),
        count => Some(format!("the file also has {count} right-hand sides; use one with --rhs FILE --column N")),
    }
}

/// Returns `|x - y| / |y|`; `|x - y|` where `y` is zero.
///
/// # Collective
pub(crate) fn relative_error<T: Scalar>(x: &Vector<T>, known: &Vector<T>) -> Result<f64> {
    let mut difference = x.clone();
    difference.axpy(-T::ONE, known)?;
    let size = known.norm2();
    Ok(if size > 0.0 { difference.norm2() / size } else { difference.norm2() })
}

/// Returns true if the last attempt ended for this reason.
pub(crate) fn ended(solution: &Solution, reason: StopReason) -> bool {
    let last = solution.attempts.last().and_then(|attempt| attempt.outcome.as_ref().ok());
    last.is_some_and(|report| report.reason == reason)
}

impl Outcome<'_> {
    /// Prints one JSON object: the attempt whose solution is kept, the request, and all attempts.
    pub(crate) fn json(&self, comm: &Comm, matrix: &Location) -> Value {
        let solution = self.solution;
        let mut object = json::attempt(solution.kept());
        object["converged"] = json!(solution.solved());
        object["matrix"] = json!(matrix.to_string());
        object["rows"] = json!(self.file.rows);
        object["cols"] = json!(self.file.columns);
        object["ranks"] = json!(comm.size());
        object["rtol"] = json!(solution.rtol);
        object["right_hand_side"] = json!(self.right_hand_side);
        object["relative_error"] = json!(self.error);
        object["stopped"] = json!(self.stopped);
        object["checkpoint"] = json!(self.checkpoint.map(shown));
        object["warnings"] = json!(solution.warnings());
        object["attempts"] = solution.attempts.iter().map(json::attempt).collect();
        object
    }

    /// Each attempt, then what came of it all.
    pub(crate) fn tell(&self, comm: &Comm) {
        let solution = self.solution;
        let several = solution.attempts.len() > 1;
        for (attempt, number) in solution.attempts.iter().zip(1..) {
            let counted = if several { format!("{number}. ") } else { String::new() };
            let title = attempt.preconditioner.title().map(|title| format!(" ({title})")).unwrap_or_default();
            let (method, preconditioner, reason) = (attempt.method, &attempt.preconditioner, &attempt.reason);
            say(comm, &format!("{counted}{method} with {preconditioner}{title}: {reason}"));
            match &attempt.outcome {
                Ok(report) if attempt.solved => say(comm, &report.to_string()),
                _ => say(comm, &attempt.summary()),
            }
        }
        if self.stopped {
            let last = solution.attempts.last().and_then(|attempt| attempt.outcome.as_ref().ok());
            let iterations = last.map_or(0, |report| report.iterations);
            let text = format!("the solve stopped as requested after {iterations} iterations");
            return say(comm, &format!("{text}; add --resume to continue from the checkpoint"));
        }
        self.tell_result(comm);
    }

    /// The outcome of the attempt whose solution is kept, and warnings.
    pub(crate) fn tell_briefly(&self, comm: &Comm) {
        say(comm, &self.solution.kept().summary());
        self.solution.warnings().iter().for_each(|warning| say(comm, &format!("warning: {warning}")));
    }

    fn tell_result(&self, comm: &Comm) {
        let kept = self.solution.kept();
        let time = kept.outcome.as_ref().map_or(0.0, |report| report.time.as_secs_f64());
        say(comm, &format!("setup {:.3} s, solve {time:.3} s", kept.setup.as_secs_f64()));
        if !self.solution.solved() {
            say(comm, &format!("not solved: the best x has |b - Ax| / |b| = {:.2e}", kept.true_relative_residual));
            if let (Some(path), true) = (self.checkpoint, ended(self.solution, StopReason::IterationLimit)) {
                say(comm, &format!("to continue from {}, raise --max-iterations and add --resume", shown(path)));
            }
        }
        self.solution.warnings().iter().for_each(|warning| say(comm, &format!("warning: {warning}")));
        if let Some(error) = self.error {
            say(comm, &format!("relative error |x - y| / |y| = {error:.2e} (b was made as A * y)"));
        }
    }
}
