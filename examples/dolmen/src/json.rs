//! The outcome of a subcommand as one JSON object.

use dolmen_io::Description;
use dolmen_solvers::{Analysis, Attempt};
use serde_json::{Value, json};

/// Describes a matrix as JSON: by its file, and by its entries. Numbers that are not finite are null.
pub(crate) fn description(file: &Description, facts: &Analysis) -> Value {
    json!({
        "rows": facts.rows,
        "cols": facts.columns,
        "entries": file.entries,
        "entries_in_full": facts.entries,
        "format": file.format.to_string(),
        "storage": file.storage.to_string(),
        "field": file.field.to_string(),
        "symmetry": file.symmetry.to_string().to_lowercase(),
        "right_hand_sides": file.right_hand_sides,
        "norm_fro": facts.norm_frobenius,
        "norm_1": facts.norm_one,
        "norm_inf": facts.norm_inf,
        "symmetric": facts.symmetric,
        "hermitian": facts.hermitian,
        "skew_symmetric": facts.skew_symmetric,
        "symmetric_pattern": facts.symmetric_pattern,
        "bandwidth": facts.bandwidth(),
        "lower_bandwidth": facts.lower_bandwidth,
        "upper_bandwidth": facts.upper_bandwidth,
        "longest_row": facts.longest_row,
        "stored_zeros": facts.stored_zeros,
        "positive_diagonal": facts.positive_diagonal,
        "negative_diagonal": facts.negative_diagonal,
        "zero_diagonal": facts.zero_diagonal,
        "dominant_rows": facts.dominant_rows,
        "dominance": facts.dominance,
        "zero_rows": facts.zero_rows,
        "zero_cols": facts.zero_columns,
        "zero_row_sums": facts.zero_row_sums,
        "zero_column_sums": facts.zero_column_sums,
        "finite": facts.not_finite.is_none(),
    })
}

/// Returns an attempt to solve a system.
pub(crate) fn attempt(attempt: &Attempt) -> Value {
    let report = attempt.outcome.as_ref().ok();
    json!({
        "method": attempt.method.to_string(),
        "preconditioner": attempt.preconditioner.to_string(),
        "reason": attempt.reason,
        "converged": attempt.solved,
        "iterations": report.map_or(0, |report| report.iterations),
        "true_relative_residual": attempt.true_relative_residual,
        "setup_seconds": attempt.setup.as_secs_f64(),
        "solve_seconds": report.map_or(0.0, |report| report.time.as_secs_f64()),
        "outcome": attempt.summary(),
    })
}
