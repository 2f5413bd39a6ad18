//! `dolmen info`: what a matrix is, in numbers and as a picture.

use std::path::PathBuf;
use std::process::ExitCode;

use dolmen_common::command_line::say;
use dolmen_core::{Comm, CsrMatrix, LinearOperator, Scalar};
use dolmen_io::{Description, Matrix, read_matrix};
use dolmen_solvers::Analysis;

use crate::error::{Error, Result};
use crate::json;
use crate::spy::Spy;

#[derive(clap::Args)]
pub(crate) struct Info {
    /// The matrix.
    matrix: PathBuf,
    /// Draw where its entries are, as a PNG picture.
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl Info {
    pub(crate) fn run(&self, comm: &Comm) -> Result<ExitCode> {
        match read_matrix(comm, &self.matrix)? {
            (Matrix::Real(a), file) => self.describe(&file, &a)?,
            (Matrix::Complex(a), file) => self.describe(&file, &a)?,
        }
        Ok(ExitCode::SUCCESS)
    }

    fn describe<T: Scalar>(&self, file: &Description, a: &CsrMatrix<T>) -> Result<()> {
        let comm = a.range().comm();
        let facts = Analysis::new(a)?;
        if let Some(path) = &self.plot {
            let name = self.matrix.file_name().unwrap_or_default().to_string_lossy();
            let spy = Spy::new(a);
            let written = match comm.rank() {
                0 => dolmen_common::files::write(path, &spy.picture(&name, facts.entries)),
                _ => Ok(()),
            };
            let what = |error| Error::File { path: path.clone(), what: format!("cannot write: {error}") };
            comm.agree(written.map_err(what))?;
        }
        if self.json {
            say(comm, &json::description(file, &facts).to_string());
        } else {
            say(comm, &text(file, &facts));
        }
        Ok(())
    }
}

/// A line for each kind of fact.
fn text(file: &Description, facts: &Analysis) -> String {
    let Analysis { rows, columns, entries, .. } = *facts;
    let share = 100.0 * entries as f64 / (rows as f64 * columns as f64).max(1.0);
    let mut lines = vec![
        (
            "file",
            format!("{}, {}, {}, {}, {} entries", file.format, file.storage, file.field, file.symmetry, file.entries),
        ),
        ("size", format!("{rows} rows, {columns} columns")),
        ("entries", format!("{entries} in full ({share:.2e} %), at most {} in a row", facts.longest_row)),
    ];
    let mut add = |name, value: String| lines.push((name, value));
    if facts.stored_zeros > 0 {
        add("", format!("{} of them are zero", facts.stored_zeros));
    }
    if facts.zero_rows + facts.zero_columns > 0 {
        add("zero", format!("{} rows, {} columns", facts.zero_rows, facts.zero_columns));
    }
    add("bandwidth", format!("{} below the diagonal, {} above", facts.lower_bandwidth, facts.upper_bandwidth));
    if facts.is_square() {
        let pattern = if facts.symmetric_pattern { "symmetric" } else { "not symmetric" };
        add("symmetry", format!("values {}, pattern {pattern}", facts.symmetry()));
        let Analysis { positive_diagonal: positive, negative_diagonal: negative, zero_diagonal: zero, .. } = facts;
        add("diagonal", format!("{positive} positive, {negative} negative, {zero} zero"));
        let dominant = facts.dominant_rows;
        add("dominance", format!("in {dominant} of {rows} rows; least |a_ii| / sum of others: {:.3}", facts.dominance));
    }
    if entries > 0 && facts.zero_row_sums {
        add("null space", "rows sum to zero: constants are in it".into());
    }
    let Analysis { norm_frobenius, norm_one, norm_inf, .. } = facts;
    add("norms", format!("Frobenius {norm_frobenius:.6e}, 1 {norm_one:.6e}, infinity {norm_inf:.6e}"));
    if let Some(row) = facts.not_finite {
        add("not finite", format!("row {row}, counted from 0, is the first with NaN or infinity"));
    }
    let text: Vec<String> = lines.iter().map(|(name, value)| format!("{name:<10}  {value}")).collect();
    text.join("\n")
}
