//! `dolmen info`: what a file holds, in numbers and as a picture.

use std::path::PathBuf;
use std::process::ExitCode;

use dolmen_common::command_line::{say, say_json};
use dolmen_common::files::{keep_inputs, write};
use dolmen_common::progress::{Direction, ProgressArgs, Transfer};
use dolmen_core::{Comm, CsrMatrix, Layout, LinearOperator, Scalar};
use dolmen_io::{Description, Format, Location, Matrix, Vectors, describe, require_writable};
use dolmen_solvers::Analysis;

use crate::error::{Error, Result};
use crate::json;
use crate::listing;
use crate::outcome::right_hand_sides;
use crate::spy::Spy;
use crate::told::Told;

#[derive(clap::Args)]
pub(crate) struct Info {
    /// File of the matrix or vectors. FILE::OBJECT selects one of several in an HDF5 file, FILE::COLUMN a column of a
    /// FITS table; without a name, all objects of such files are listed.
    #[arg(value_name = "FILE")]
    pub(crate) matrix: Location,
    /// Draw the pattern of the matrix as a PNG picture.
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    progress: ProgressArgs,
}

impl Info {
    pub(crate) fn run(&self, comm: &Comm) -> Result<ExitCode> {
        if let Some(path) = &self.plot {
            keep_inputs(comm, &[self.matrix.file.as_path()], std::slice::from_ref(path))?;
            require_writable(comm, path)?;
        }
        let listed = match (Format::of(comm, &self.matrix.file), &self.matrix.object) {
            (Some(Format::Hdf5), None) => Some(listing::hdf5(comm, &self.matrix)?),
            (Some(Format::Fits), None) => Some(listing::fits(comm, &self.matrix)?),
            _ => None,
        };
        // In a file of several objects the only matrix, or else the only vector, is described in full.
        let told = match listed {
            None => self.describe_any(comm, &self.matrix)?,
            Some((Some(only), listed)) => listed.followed_by(self.describe_any(comm, &only)?),
            Some((None, _)) if self.plot.is_some() => {
                let what = "holds no matrix, or several; choose one to draw with FILE::OBJECT".to_owned();
                return Err(Error::File { path: self.matrix.file.clone(), what });
            }
            Some((None, listed)) => listed,
        };
        if self.json {
            say_json(comm, &told.json.to_string());
        } else {
            say(comm, &told.text);
        }
        Ok(ExitCode::SUCCESS)
    }

    fn describe_any(&self, comm: &Comm, location: &Location) -> Result<Told> {
        let file = describe(comm, location)?;
        let display = self.progress.display(comm, self.json);
        let shown = Transfer::start(display, comm.size(), Direction::Reading, &location.file);
        let (matrix, file) = if file.is_vectors() {
            let (vectors, file) = Vectors::read(location, &Layout::uniform(comm, file.rows))?;
            (vectors.to_matrix()?, file)
        } else {
            Matrix::read(comm, location)?
        };
        drop(shown);
        match matrix {
            Matrix::Real(a) => self.describe(&file, &a),
            Matrix::Complex(a) => self.describe(&file, &a),
        }
    }

    fn describe<T: Scalar>(&self, file: &Description, a: &CsrMatrix<T>) -> Result<Told> {
        let comm = a.range().comm();
        let facts = Analysis::new(a)?;
        if let Some(path) = &self.plot {
            let name = self.matrix.to_string();
            let name = name.rsplit_once('/').map_or(name.as_str(), |(_, name)| name);
            let spy = Spy::new(a);
            let written = match comm.rank() {
                0 => write(path, &spy.picture(name, facts.entries)),
                _ => Ok(()),
            };
            let what = |error| Error::File { path: path.clone(), what: format!("cannot write: {error}") };
            comm.agree(written.map_err(what))?;
        }
        Ok(Told { text: text(file, &facts), json: json::description(file, &facts) })
    }
}

/// Returns a line for each kind of fact.
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
    right_hand_sides(file).into_iter().for_each(|text| add("vectors", text));
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
        add("null space", "holds constants, because rows sum to zero".into());
    }
    let Analysis { norm_frobenius, norm_one, norm_inf, .. } = facts;
    add("norms", format!("Frobenius {norm_frobenius:.6e}, 1 {norm_one:.6e}, infinity {norm_inf:.6e}"));
    if let Some(row) = facts.not_finite {
        add("not finite", format!("row {row}, counted from 0, is the first with NaN or infinity"));
    }
    let text: Vec<String> = lines.iter().map(|(name, value)| format!("{name:<10}  {value}")).collect();
    text.join("\n")
}
