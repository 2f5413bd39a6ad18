//! `dolmen solve`: a system from files, by a method that fits it.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use dolmen_common::command_line::say;
use dolmen_core::profile::Profile;
use dolmen_core::{Comm, CsrMatrix, LinearOperator, MultiVector, Scalar, Vector};
use dolmen_io::{Description, Matrix, Vectors, read_matrix, write_vectors};
use dolmen_solvers::{Automatic, PRECONDITIONERS, Progress, Solution};
use serde_json::{Value, json};

use crate::error::Result;
use crate::json;
use crate::right_hand_side::{Column, RightHandSide, complex, read};

#[derive(clap::Args)]
pub(crate) struct Solve {
    /// The matrix, as `dolmen info` describes it.
    matrix: PathBuf,
    /// The right-hand side, one column; A * ones without it.
    #[arg(long, value_name = "FILE")]
    rhs: Option<PathBuf>,
    /// The method; chosen from the matrix without it.
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(Automatic::<f64>::solvers()))]
    solver: Option<String>,
    /// The preconditioner; chosen from the matrix without it.
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(Automatic::<f64>::preconditioners()))]
    preconditioner: Option<String>,
    /// Stop at a residual of so much of the right-hand side.
    #[arg(long, default_value = "1e-8")]
    rtol: f64,
    /// Stop at a residual of this norm.
    #[arg(long, default_value = "0")]
    atol: f64,
    /// Most iterations of each attempt.
    #[arg(long, value_name = "N")]
    max_iterations: Option<usize>,
    /// Where to write the solution (.mtx or .mtx.gz), also one that has not converged.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print the residual after each iteration.
    #[arg(long)]
    monitor: bool,
    /// Print where the time went.
    #[arg(long)]
    profile: bool,
    /// Print one JSON object; monitor and profile go to the standard error.
    #[arg(long)]
    json: bool,
}

impl Solve {
    pub(crate) fn run(&self, comm: &Comm) -> Result<ExitCode> {
        let profile = self.profile.then(|| Profile::start(comm)).transpose()?;
        let (matrix, file) = read_matrix(comm, &self.matrix)?;
        let rows = match &matrix {
            Matrix::Real(a) => a.range(),
            Matrix::Complex(a) => a.range(),
        };
        let column = self.rhs.as_deref().map(|path| read(path, rows)).transpose()?;
        let solved = match (matrix, column) {
            (Matrix::Real(a), None) => self.system(&file, &a, None, Vectors::Real)?,
            (Matrix::Real(a), Some(Column::Real(b))) => self.system(&file, &a, Some(b), Vectors::Real)?,
            (Matrix::Real(a), Some(b)) => self.system(&file, &complex(&a)?, Some(b.complex()), Vectors::Complex)?,
            (Matrix::Complex(a), b) => self.system(&file, &a, b.map(|b| b.complex()), Vectors::Complex)?,
        };
        if let Some(profile) = profile {
            let (summary, _) = profile.finish();
            self.tell(comm, &format!("\n{summary}"));
        }
        Ok(if solved { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }

    /// Solves and reports; whether the system is solved.
    fn system<T: Scalar>(
        &self,
        file: &Description,
        a: &CsrMatrix<T>,
        b: Option<Vector<T>>,
        wrap: fn(MultiVector<T>) -> Vectors,
    ) -> Result<bool> {
        let comm = a.range().comm();
        let b = match (b, &self.rhs) {
            (Some(b), Some(path)) => RightHandSide::given(b, path),
            _ => RightHandSide::of_known_solution(a)?,
        };
        if !self.json {
            say(comm, &format!("{}: {}", self.matrix.display(), title(file, a)));
            say(comm, &format!("b = {}", b.origin));
        }
        let mut x = Vector::zeros(a.domain());
        let mut attempts = 0;
        let mut print = |progress: &Progress| {
            attempts += usize::from(progress.iteration == 0);
            let Progress { iteration, residual, .. } = progress;
            self.tell(comm, &format!("attempt {attempts} iteration {iteration:>5}  |r| = {residual:.6e}"));
        };
        let mut automatic = Automatic::new().rtol(self.rtol).atol(self.atol);
        automatic = self.solver.iter().fold(automatic, |automatic, name| automatic.solver(name));
        automatic = self.preconditioner.iter().fold(automatic, |automatic, name| automatic.preconditioner(name));
        automatic = self.max_iterations.iter().fold(automatic, |automatic, &most| automatic.max_iterations(most));
        if self.monitor {
            automatic = automatic.monitor(&mut print);
        }
        let solution = automatic.solve(a, &b.vector, &mut x)?;
        let error = b.solution.as_ref().map(|known| relative_error(&x, known)).transpose()?;
        if self.json {
            say(comm, &self.json(comm, file, &solution, &b.origin, error).to_string());
        } else {
            tell_attempts(comm, &solution);
            if let Some(error) = error {
                say(comm, &format!("|x - y| / |y| = {error:.2e} for the y of which b = A * y was made"));
            }
        }
        if let Some(path) = &self.output {
            write_vectors(path, &wrap(MultiVector::from_vectors(a.domain(), &[&x])?))?;
            if !self.json {
                say(comm, &format!("x is in {}", path.display()));
            }
        }
        Ok(solution.solved())
    }

    /// Prints what was asked for besides the answer: on the standard error where that is one JSON object.
    fn tell(&self, comm: &Comm, text: &str) {
        match (self.json, comm.rank()) {
            (false, _) => say(comm, text),
            // A reader that has gone away is no reason to fail.
            (true, 0) => drop(writeln!(io::stderr(), "{text}")),
            (true, _) => {}
        }
    }

    fn json(&self, comm: &Comm, file: &Description, solution: &Solution, b: &str, error: Option<f64>) -> Value {
        let mut object = json::attempt(solution.kept());
        object["converged"] = json!(solution.solved());
        object["matrix"] = json!(self.matrix.display().to_string());
        object["rows"] = json!(file.rows);
        object["cols"] = json!(file.columns);
        object["ranks"] = json!(comm.size());
        object["rtol"] = json!(self.rtol);
        object["right_hand_side"] = json!(b);
        object["relative_error"] = json!(error);
        object["warnings"] = json!(solution.warnings());
        object["attempts"] = solution.attempts.iter().map(json::attempt).collect();
        object
    }
}

/// Size and kind of a matrix.
fn title<T: Scalar>(file: &Description, a: &CsrMatrix<T>) -> String {
    let (entries, field, symmetry) = (a.global_entries(), file.field, file.symmetry);
    format!("{} x {}, {entries} entries, {field}, stored as {symmetry}", file.rows, file.columns)
}

fn relative_error<T: Scalar>(x: &Vector<T>, known: &Vector<T>) -> Result<f64> {
    let mut difference = x.clone();
    difference.axpy(-T::ONE, known)?;
    Ok(difference.norm2() / known.norm2())
}

/// Each attempt, then what came of it all.
fn tell_attempts(comm: &Comm, solution: &Solution) {
    let several = solution.attempts.len() > 1;
    for (attempt, number) in solution.attempts.iter().zip(1..) {
        let counted = if several { format!("{number}. ") } else { String::new() };
        let title = PRECONDITIONERS.iter().find(|(name, _)| *name == attempt.preconditioner);
        let title = title.map(|(_, title)| format!(" ({title})")).unwrap_or_default();
        say(comm, &format!("{counted}{} with {}{title}: {}", attempt.method, attempt.preconditioner, attempt.reason));
        match &attempt.outcome {
            Ok(report) if attempt.solved => say(comm, &report.to_string()),
            _ => say(comm, &attempt.summary()),
        }
    }
    let kept = solution.kept();
    let time = kept.outcome.as_ref().map_or(0.0, |report| report.time.as_secs_f64());
    say(comm, &format!("setup {:.3} s, solve {time:.3} s", kept.setup.as_secs_f64()));
    if !solution.solved() {
        say(comm, &format!("not solved: the best x has |b - Ax| / |b| = {:.2e}", kept.true_relative_residual));
    }
    solution.warnings().iter().for_each(|warning| say(comm, &format!("warning: {warning}")));
}
