//! Parts that `dolmen eigen` and `dolmen svd` share: reading, and telling what was found.

mod plot;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use dolmen_common::command_line::{say, say_besides, say_json};
use dolmen_common::files::keep_inputs;
use dolmen_common::progress::{Direction, Display, Iterations, ProgressArgs, Transfer};
use dolmen_core::{Comm, Complex64, MultiVector};
use dolmen_io::files::require_vectors_destination;
use dolmen_io::hdf5::Entry;
use dolmen_io::{Description, Location, Matrix, write_vectors};
use dolmen_solvers::{EigenReport, Progress, Request};
use serde_json::{Value, json};

use crate::error::{Error, Result};

/// Options of both subcommands.
#[derive(clap::Args)]
pub(crate) struct Search {
    /// Number of values.
    #[arg(short = 'k', long, default_value = "6", value_name = "N")]
    pub(crate) count: usize,
    /// Relative tolerance of the residuals, which are computed afresh at the end.
    #[arg(long, default_value = "1e-8", allow_negative_numbers = true, value_parser = crate::solve::relative_tolerance)]
    pub(crate) rtol: f64,
    /// Maximum number of iterations, or restarts of methods that restart.
    #[arg(long, value_name = "N", default_value = "1000")]
    pub(crate) max_iterations: usize,
    /// Draw the values as a PNG picture.
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Print the largest residual after each iteration.
    #[arg(long)]
    pub(crate) monitor: bool,
    /// Print one JSON object; residuals of --monitor go to the standard error.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    progress: ProgressArgs,
}

impl Search {
    /// Refuses outputs that cannot be written, before anything is computed.
    pub(crate) fn require(&self, comm: &Comm, inputs: &[&Path], outputs: &[&Location]) -> Result<()> {
        if let Some(plot) = &self.plot {
            keep_inputs(comm, inputs, std::slice::from_ref(plot))?;
        }
        for output in outputs {
            keep_inputs(comm, inputs, &output.written_files())?;
            require_vectors_destination(comm, output)?;
        }
        Ok(())
    }

    pub(crate) fn read(&self, comm: &Comm, from: &Location) -> Result<(Matrix, Description)> {
        let _shown = Transfer::start(self.display(comm), comm.size(), Direction::Reading, &from.file);
        Ok(Matrix::read(comm, from)?)
    }

    fn display(&self, comm: &Comm) -> Display {
        self.progress.display(comm, self.json || self.monitor)
    }

    /// Returns a monitor that shows progress, and residuals if they are asked for.
    pub(crate) fn shown<'c>(&self, comm: &'c Comm) -> impl FnMut(&Progress) -> Request + use<'c> {
        let mut shown = Iterations::new(self.display(comm), self.rtol, 0.0);
        let (monitor, json) = (self.monitor, self.json);
        move |progress: &Progress| {
            shown.show(progress);
            let text = format!("iteration {:>5}  largest residual {:.6e}", progress.iteration, progress.residual);
            if monitor {
                say_besides(comm, json, &text);
            }
            Request::Continue
        }
    }

    /// Prints what is neither asked for nor the result.
    pub(crate) fn say(&self, comm: &Comm, text: &str) {
        if !self.json && !self.progress.quiet {
            say(comm, text);
        }
    }

    /// Prints the values and what is known of them; returns the exit code.
    pub(crate) fn tell(&self, comm: &Comm, name: &str, found: &Found<'_>) -> Result<ExitCode> {
        let Found { matrix, values, why, report } = found;
        if self.json {
            say_json(comm, &found.json(comm, name).to_string());
        } else {
            self.say(comm, why);
            for (number, (value, residual)) in (1..).zip(values.iter().zip(&report.residuals)) {
                let value = if found.is_real() { format!("{:>22.15e}", value.re) } else { complex(*value) };
                say(comm, &format!("{number:>4}  {value}  residual {residual:.1e}"));
            }
            match self.progress.quiet {
                true => say(comm, &report.outcome()),
                false => say(comm, &format!("{report}\n{matrix}: {} {name}", values.len())),
            }
        }
        if let Some(path) = &self.plot {
            let written = match comm.rank() {
                0 => std::fs::write(path, plot::picture(found, name)),
                _ => Ok(()),
            };
            let what = |error| Error::File { path: path.clone(), what: format!("cannot write: {error}") };
            comm.agree(written.map_err(what))?;
        }
        Ok(ExitCode::from(u8::from(!report.converged())))
    }

    /// Writes vectors as the columns of one object.
    pub(crate) fn write<T: Entry>(&self, comm: &Comm, vectors: &MultiVector<T>, to: &Location) -> Result<()> {
        write_vectors(vectors, to)?;
        self.say(comm, &format!("the vectors are in {to}"));
        Ok(())
    }
}

/// Outcome of a search.
pub(crate) struct Found<'f> {
    pub(crate) matrix: &'f Location,
    pub(crate) values: &'f [Complex64],
    pub(crate) why: &'f str,
    pub(crate) report: &'f EigenReport,
}

impl Found<'_> {
    fn is_real(&self) -> bool {
        self.values.iter().all(|value| value.im == 0.0)
    }

    fn json(&self, comm: &Comm, name: &str) -> Value {
        let Found { matrix, values, why, report } = self;
        let values: Value = match self.is_real() {
            true => values.iter().map(|value| value.re).collect(),
            false => values.iter().map(|value| json!([value.re, value.im])).collect(),
        };
        let mut object = json!({
            "matrix": matrix.to_string(),
            "ranks": comm.size(),
            "residuals": report.residuals,
            "converged_values": report.is_converged,
            "converged": report.converged(),
            "method": report.method,
            "reason": why,
            "outcome": report.outcome(),
            "iterations": report.iterations,
            "products": report.applications,
            "rtol": report.tolerance,
            "seconds": report.time.as_secs_f64(),
        });
        object[name.replace(' ', "_")] = values;
        object
    }
}

fn complex(value: Complex64) -> String {
    let sign = if value.im.is_sign_negative() { '-' } else { '+' };
    format!("{:>22.15e} {sign} {:.15e}i", value.re, value.im.abs())
}
