//! `dolmen solve`: a system from files, by a method that fits it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use dolmen::{Checkpointer, Resumed};
use dolmen_common::STOPPED;
use dolmen_common::checkpoint_args::CheckpointArgs;
use dolmen_common::command_line::{say, say_besides, say_json};
use dolmen_common::files::{checksum, keep_inputs};
use dolmen_common::progress::{Direction, Display, Iterations, ProgressArgs, Transfer};
use dolmen_core::profile::Profile;
use dolmen_core::{Comm, CsrMatrix, LinearOperator, Vector};
use dolmen_io::files::require_vectors_destination;
use dolmen_io::hdf5::Entry;
use dolmen_io::{Description, Location, Matrix, RightHandSide as Given, require_writable_folder, write_vector};
use dolmen_solvers::{
    Automatic, Method, MethodSettings, Monitor, PreconditionerKind, PreconditionerSettings, Progress, Request,
    Solution, SolverChoice, StopReason,
};

use crate::error::Result;
use crate::outcome::{self, Outcome};
use crate::rescue;
use crate::right_hand_side::{RightHandSide, complex};

#[derive(clap::Args)]
pub(crate) struct Solve {
    /// File of the matrix; the format is recognized by its contents. FILE::OBJECT selects one of several in an HDF5
    /// file.
    matrix: Location,
    /// File of the right-hand side, in any format [default: b = A * ones].
    #[arg(long, value_name = "FILE")]
    rhs: Option<Location>,
    /// Column of --rhs FILE to use, counted from 0, if there are several.
    #[arg(long, value_name = "N", requires = "rhs")]
    column: Option<usize>,
    #[arg(long, value_name = "METHOD", help = methods())]
    solver: Option<SolverChoice>,
    #[arg(long, value_name = "PRECONDITIONER", help = preconditioners())]
    preconditioner: Option<PreconditionerSettings>,
    /// Relative tolerance: stop when |b - A x| <= RTOL |b|.
    #[arg(long, default_value = "1e-8", allow_negative_numbers = true, value_parser = relative_tolerance)]
    rtol: f64,
    /// Absolute tolerance: stop when |b - A x| <= ATOL.
    #[arg(long, default_value = "0", allow_negative_numbers = true, value_parser = absolute_tolerance)]
    atol: f64,
    /// Maximum number of iterations per attempt.
    #[arg(long, value_name = "N")]
    max_iterations: Option<usize>,
    /// File for the solution (.mtx, .mtx.gz, .npy, .petsc, .h5, .hdf5 or .fits), written even if the solve has not
    /// converged.
    #[arg(long, value_name = "FILE")]
    output: Option<Location>,
    /// Print the residual after each iteration.
    #[arg(long)]
    monitor: bool,
    /// Print a table of the time spent in each operation.
    #[arg(long)]
    profile: bool,
    /// Print one JSON object; messages of monitor, profile and checkpoints go to the standard error.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    checkpoints: CheckpointArgs,
    #[command(flatten)]
    progress: ProgressArgs,
}

/// Explains `--solver`.
fn methods() -> String {
    let names: Vec<&str> = Method::ALL.iter().map(|method| method.name()).collect();
    format!(
        "Method, with settings in parentheses, for example \"gmres(restart=50)\" [default: chosen from the matrix]. One of \
         {}, or direct (a complete factorization, whose solution GMRES refines)",
        names.join(", ")
    )
}

/// Explains `--preconditioner`.
fn preconditioners() -> String {
    let names: Vec<&str> = PreconditionerKind::ALL.iter().map(|kind| kind.name()).collect();
    format!(
        "Preconditioner, with settings in parentheses, for example \"schwarz(overlap=2, ilu(1))\" [default: chosen from the \
         matrix]. One of {}",
        names.join(", ")
    )
}

/// The newest checkpoint of a solve.
type Saved = dolmen_io::Result<Option<PathBuf>>;

impl Solve {
    pub(crate) fn run(&self, comm: &Comm) -> Result<ExitCode> {
        self.choice()?;
        if let Some(output) = &self.output {
            // Before anything is tried with the output, which makes temporary files.
            let checkpoints = self.checkpoints.files();
            let inputs: Vec<&Path> = self.inputs().chain(checkpoints.iter().map(PathBuf::as_path)).collect();
            keep_inputs(comm, &inputs, &output.written_files())?;
            require_vectors_destination(comm, output)?;
        }
        let profile = self.profile.then(|| Profile::start(comm)).transpose()?;
        let (matrix, file) = self.watch(comm, &self.matrix, || Matrix::read(comm, &self.matrix))?;
        let read = |rhs: &Location| self.watch(comm, rhs, || Given::read(rhs, matrix.range(), self.column));
        let b = self.rhs.as_ref().map(read).transpose()?;
        let code = match (matrix, b) {
            (Matrix::Real(a), None) => self.system(&file, &a, None)?,
            (Matrix::Real(a), Some(Given::Real(b))) => self.system(&file, &a, Some(b))?,
            (Matrix::Real(a), Some(b)) => self.system(&file, &complex(&a)?, Some(b.into_complex()))?,
            (Matrix::Complex(a), b) => self.system(&file, &a, b.map(Given::into_complex))?,
        };
        if let Some(profile) = profile {
            let (summary, _) = profile.finish();
            say_besides(comm, self.json, &format!("\n{summary}"));
        }
        Ok(code)
    }

    /// Returns the display of progress. It is off with `--json`, and with `--monitor`, which prints residuals itself.
    fn display(&self, comm: &Comm) -> Display {
        self.progress.display(comm, self.json || self.monitor)
    }

    /// Shows the bytes that `work` reads of a file.
    fn watch<R>(&self, comm: &Comm, from: &Location, work: impl FnOnce() -> R) -> R {
        let _shown = Transfer::start(self.display(comm), comm.size(), Direction::Reading, &from.file);
        work()
    }

    /// Prints what is neither asked for nor the result.
    fn say(&self, comm: &Comm, text: &str) {
        if !self.json && !self.progress.quiet {
            say(comm, text);
        }
    }

    /// Returns the method and the preconditioner that are named.
    fn choice(&self) -> Result<(Option<MethodSettings>, Option<PreconditionerSettings>)> {
        let Some(mut choice) = self.solver.clone() else { return Ok((None, self.preconditioner.clone())) };
        if let Some(preconditioner) = &self.preconditioner {
            choice.precondition(preconditioner.clone())?;
        }
        Ok((Some(choice.method), choice.preconditioner))
    }

    /// Returns all places that are read or written.
    pub(crate) fn locations(&mut self) -> Vec<&mut Location> {
        std::iter::once(&mut self.matrix).chain(&mut self.rhs).chain(&mut self.output).collect()
    }

    /// Returns the files that are read.
    fn inputs(&self) -> impl Iterator<Item = &Path> {
        std::iter::once(&self.matrix).chain(&self.rhs).map(|location| location.file.as_path())
    }

    /// Solves and reports.
    fn system<T: Entry>(&self, file: &Description, a: &CsrMatrix<T>, b: Option<Vector<T>>) -> Result<ExitCode> {
        let comm = a.range().comm();
        let b = match (b, &self.rhs) {
            (Some(b), Some(location)) => RightHandSide::given(b, self.column_name(location)),
            _ => RightHandSide::of_known_solution(a)?,
        };
        self.say(comm, &format!("{}: {}", self.matrix, outcome::title(file, a)));
        self.say(comm, &format!("b = {}", b.origin));
        let mut x = Vector::zeros(a.domain());
        let (solution, saved) = self.solve(a, &b.vector, &mut x)?;
        let stopped = outcome::ended(&solution, StopReason::Requested);
        // What has ended has a result, which comes first.
        let (checkpoint, failure) = match saved {
            Err(failure) if stopped => return Err(failure.into()),
            Err(failure) => (None, Some(failure)),
            Ok(newest) => (newest, None),
        };
        let error = b.solution.as_ref().map(|known| outcome::relative_error(&x, known)).transpose()?;
        let checkpoint = checkpoint.as_deref();
        let outcome = Outcome { file, solution: &solution, right_hand_side: &b.origin, error, stopped, checkpoint };
        match (self.json, self.progress.quiet) {
            (true, _) => say_json(comm, &outcome.json(comm, &self.matrix).to_string()),
            (false, true) => outcome.tell_briefly(comm),
            (false, false) => outcome.tell(comm),
        }
        if let (Some(path), false) = (&self.output, stopped) {
            let written = write_vector(&x, path);
            written.or_else(|error| Err(rescue::elsewhere(&x, error.into())?))?;
            self.say(comm, &format!("the solution is in {path}"));
        }
        let code = if stopped { STOPPED } else { u8::from(!solution.solved()) };
        failure.map_or(Ok(ExitCode::from(code)), |failure| Err(failure.into()))
    }

    /// Solves, with checkpoints if requested; returns the last of them, or the error of its write.
    fn solve<T: Entry>(&self, a: &CsrMatrix<T>, b: &Vector<T>, x: &mut Vector<T>) -> Result<(Solution, Saved)> {
        let comm = a.range().comm();
        let saved = self.checkpoints.checkpoint.as_deref().map(|folder| self.checkpointer(folder, a)).transpose()?;
        let (checkpointer, resumed) = saved.unzip();
        let resumed = resumed.flatten();
        let before = resumed.as_ref().and_then(|resumed| resumed.snapshot.integer("attempt"));
        let mut attempt = before.unwrap_or(0);
        let mut shown = Iterations::new(self.display(comm), self.rtol, self.atol);
        let mut print = |progress: &Progress| {
            shown.show(progress);
            let Progress { iteration, residual, .. } = progress;
            attempt += u64::from(*iteration == 0);
            if self.monitor {
                say_besides(
                    comm,
                    self.json,
                    &format!("attempt {attempt} iteration {iteration:>5}  |r| = {residual:.6e}"),
                );
            }
            Request::Continue
        };
        let mut saver = None;
        let monitor: &mut dyn Monitor<T> = match checkpointer {
            Some(checkpointer) => saver.insert(checkpointer.ask(&mut print)),
            None => &mut print,
        };
        let mut automatic = Automatic::new().rtol(self.rtol).atol(self.atol).monitor(monitor);
        let (method, preconditioner) = self.choice()?;
        automatic = method.into_iter().fold(automatic, Automatic::solver);
        automatic = preconditioner.into_iter().fold(automatic, Automatic::preconditioner);
        automatic = self.max_iterations.iter().fold(automatic, |automatic, &most| automatic.max_iterations(most));
        automatic = resumed.iter().fold(automatic, |automatic, resumed| automatic.resume(&resumed.snapshot));
        let solution = automatic.solve(a, b, x)?;
        Ok((solution, saver.map_or(Ok(None), Checkpointer::finish)))
    }

    /// Returns the checkpointer of the solve, and the state from which it resumes.
    fn checkpointer<'m, T: Entry>(
        &self,
        folder: &Path,
        a: &CsrMatrix<T>,
    ) -> Result<(Checkpointer<'m, T>, Option<Resumed<T>>)> {
        let comm = a.range().comm();
        let tell = |text: &str| {
            if !self.progress.quiet {
                say_besides(comm, self.json, text);
            }
        };
        let config = self.checkpoint_config(comm)?;
        let inputs: Vec<&Path> = self.inputs().collect();
        let saved = self.checkpoints.open(comm, folder, &config, &inputs, &[a.domain(), a.range()], tell)?;
        require_writable_folder(comm, folder)?;
        Ok(saved)
    }

    /// Returns the text with which a checkpoint of this solve has to agree: the system and all options that decide
    /// about the bits. A solve that has reached its limit of iterations may resume with a higher one.
    fn checkpoint_config(&self, comm: &Comm) -> Result<String> {
        let identity = |location: &Location| -> Result<String> {
            let object = location.object.as_ref().map(|object| format!(", object {object}"));
            Ok(format!("CRC32 {}{}", checksum(comm, &location.file)?, object.unwrap_or_default()))
        };
        let matrix = identity(&self.matrix)?;
        let column = self.column.map(|column| format!(", column {column}")).unwrap_or_default();
        let b = self.rhs.as_ref().map_or(Ok("A * ones".to_owned()), identity)? + &column;
        let chosen = || "chosen".to_owned();
        let (method, preconditioner) = self.choice()?;
        let solver = method.map_or_else(chosen, |method| method.to_string());
        let preconditioner = preconditioner.map_or_else(chosen, |preconditioner| preconditioner.to_string());
        let (rtol, atol) = (self.rtol, self.atol);
        Ok(format!(
            "dolmen solve\nmatrix {matrix}\nright-hand side {b}\nsolver {solver}\npreconditioner \
             {preconditioner}\nrtol {rtol:e}\natol {atol:e}\n"
        ))
    }

    /// Returns the right-hand side by its file, object and column.
    fn column_name(&self, rhs: &Location) -> String {
        self.column.map_or_else(|| rhs.to_string(), |column| format!("{rhs}, column {column}"))
    }
}

/// Returns a tolerance that zero does not meet.
pub(crate) fn relative_tolerance(text: &str) -> Result<f64, String> {
    let tolerance = number(text)?;
    let good = (0.0..1.0).contains(&tolerance);
    if good { Ok(tolerance) } else { Err("a relative tolerance must be at least 0 and less than 1".to_owned()) }
}

fn absolute_tolerance(text: &str) -> Result<f64, String> {
    let tolerance = number(text)?;
    let good = tolerance >= 0.0 && tolerance.is_finite();
    if good { Ok(tolerance) } else { Err("an absolute tolerance must be at least 0 and finite".to_owned()) }
}

fn number(text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| format!("{text:?} is not a number"))
}
