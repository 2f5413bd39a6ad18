//! Errors of solvers. A solve that does not converge returns a report, not an error.

mod faults;

use dolmen_core::text::escaped;

use crate::choice::{Method, PreconditionerKind};
use crate::norm::Norm;

pub use faults::{Defect, LevelFault, NoSpectrum};

/// An error of a solver.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// A failure in the operator, the preconditioner or a vector operation.
    #[error(transparent)]
    Core(#[from] dolmen_core::Error),
    /// A setting outside its range.
    #[error("{method}: {setting} is {value}, expected {expected}")]
    Setting {
        /// The solver.
        method: &'static str,
        /// The setting's name.
        setting: &'static str,
        /// The value that was given.
        value: f64,
        /// Accepted values, in words.
        expected: &'static str,
    },
    /// A vector or an operator that does not fit the system.
    #[error(
        "{method}: {what}: the operands live on different layouts ({left} and {right} global entries, or split differently over the ranks); build both from one Layout"
    )]
    Layout {
        /// The solver.
        method: &'static str,
        /// Vector or operator that does not fit.
        what: &'static str,
        /// Global length that was expected.
        left: u64,
        /// Global length that was given.
        right: u64,
    },
    /// A norm of the residual that the method's recurrence does not know.
    #[error("{method} cannot measure residuals in the {norm:?} norm; use Norm::True")]
    Norm {
        /// The solver.
        method: &'static str,
        /// The requested norm.
        norm: Norm,
    },
    /// A setting of square systems in [`Settings`](crate::Settings) that became a least-squares method.
    #[error("{method} takes no {setting} from common settings; {}", instead_of(setting))]
    NotForLeastSquares {
        /// The solver.
        method: &'static str,
        /// The setting's name.
        setting: &'static str,
    },
    /// A snapshot of another method.
    #[error(
        "{method} cannot resume from a snapshot of {}; use the method and the settings with which it was taken",
        escaped(found)
    )]
    SnapshotMethod {
        /// The solver.
        method: &'static str,
        /// The method that the snapshot names.
        found: String,
    },
    /// A snapshot without something that the method needs, or with a vector on another layout.
    #[error(
        "{method}: the snapshot has no fitting \"{name}\"; use the settings and the layout with which it was taken"
    )]
    Snapshot {
        /// The solver.
        method: String,
        /// Name of the state that is missing or does not fit.
        name: String,
    },
    /// A matrix that cannot be factored or inverted because of one of its rows.
    #[error("{method}: row {row} {defect}")]
    Unfit {
        /// The preconditioner or factorization.
        method: &'static str,
        /// The row, by its number in the matrix that was given.
        row: u64,
        /// Fault, in words.
        defect: Defect,
    },
    /// A number that is NaN or infinite in vectors that were given.
    #[error("{method}: {what} {column} is NaN or infinite in row {row}; check how it was computed")]
    NotFinite {
        /// The method that the vectors were given to.
        method: &'static str,
        /// Name of a column.
        what: &'static str,
        /// The column, from 0.
        column: usize,
        /// The global row.
        row: u64,
    },
    /// A weight of least squares that is negative or no real number.
    #[error("{method}: the weight of row {row} is {weight}, expected a real number of zero or more")]
    Weight {
        /// The method.
        method: &'static str,
        /// The global row.
        row: u64,
        /// The weight.
        weight: String,
    },
    /// A matrix of the Jacobian is needed, and there is none.
    #[error(
        "{method}: a matrix of the Jacobian is needed, and it is an operator or by differences; give Jacobian::matrix or Jacobian::colored (for preconditioners by preconditioned_by), or use a line search without preconditioner"
    )]
    NoMatrix {
        /// The method.
        method: &'static str,
    },
    /// A level of a multigrid hierarchy that the method cannot use.
    #[error("{method}: level {level} of the hierarchy {fault}")]
    Level {
        /// The preconditioner.
        method: &'static str,
        /// The level; 0 is the matrix that was given, and the others are computed from it.
        level: usize,
        /// Fault, in words.
        fault: LevelFault,
    },
    /// A rectangular matrix where a square one is needed.
    #[error(
        "{method}: the matrix has {rows} rows and {columns} columns; it must be square; least-squares problems are \
         solved by lsqr, lsmr, cgls"
    )]
    NotSquare {
        /// The method, preconditioner or factorization.
        method: &'static str,
        /// Rows of the matrix.
        rows: u64,
        /// Columns of the matrix.
        columns: u64,
    },
    /// An operator that does not know its diagonal.
    #[error("{method}: the operator does not know its diagonal; assemble it, or implement LinearOperator::diagonal")]
    NoDiagonal {
        /// The preconditioner.
        method: &'static str,
    },
    /// A matrix that is singular to working precision, in whatever units its rows and columns are.
    #[error(
        "{method}: the matrix is singular to working precision (condition estimate {condition:.1e} after rows and columns are scaled); remove the dependent rows, or use an iterative method with the null space projected out"
    )]
    Singular {
        /// The factorization.
        method: &'static str,
        /// Its estimate of the condition number of the scaled matrix; infinite if its pattern alone makes it
        /// singular.
        condition: f64,
    },
    /// Operators whose spectrum cannot be estimated.
    #[error("{method}: {reason}")]
    NoSpectrum {
        /// Method that needs the estimate.
        method: &'static str,
        /// Fault, in words.
        reason: NoSpectrum,
    },
    /// A problem with fewer eigenvalues or singular values than were asked for.
    #[error("{method}: {wanted} values are asked for, and the problem has {found}; ask for at most as many")]
    FewEigenvalues {
        /// The method.
        method: &'static str,
        /// Number that was asked for.
        wanted: usize,
        /// Number that there is; infinite ones are none.
        found: usize,
    },
    /// Eigenvalues inside of the spectrum, of a method that finds the ends.
    #[error("{method} finds the smallest or the largest eigenvalues, not those {which}; use Lanczos with shift_invert")]
    NotAnEnd {
        /// The method.
        method: &'static str,
        /// The part of the spectrum that was asked for, in words.
        which: String,
    },
    /// A mass matrix with a direction of negative energy, `x* M x < 0`.
    #[error("{method}: the mass matrix is not positive semidefinite (x* M x < 0); check its signs")]
    MassNotPositive {
        /// The method.
        method: &'static str,
    },
    /// A factorization without pivoting that lost too many digits.
    #[error("{method}: solves have a backward error of {error:.1e}, because {method} does not pivot; use lu")]
    Unstable {
        /// The factorization.
        method: &'static str,
        /// The backward error of a solve.
        error: f64,
    },
    /// Factors that do not fit into memory.
    #[error("{method}: the factors do not fit into the memory of this rank; use an iterative method")]
    OutOfMemory {
        /// The factorization.
        method: &'static str,
    },
    /// A result that the numbers of the vectors cannot hold.
    #[error(
        "{method}: {what} is about 2^{exponent}, outside of the range of normal {scalar} numbers; multiply the right-hand side or the operator by a power of two"
    )]
    OutOfRange {
        /// The solver.
        method: &'static str,
        /// The result.
        what: &'static str,
        /// Its binary exponent.
        exponent: i32,
        /// The name of the scalar.
        scalar: &'static str,
    },
    /// A method, a preconditioner or a local solver that is not known by its name.
    #[error("there is no {kind} named \"{}\"; {}nown are {known}", escaped(name), did_you_mean(nearest))]
    UnknownName {
        /// `method`, `preconditioner` or `local solver`.
        kind: &'static str,
        /// The name that was given.
        name: String,
        /// The known name that is most like it, if one is.
        nearest: Option<String>,
        /// All names, separated by commas.
        known: String,
    },
    /// An argument that a method, a preconditioner or a local solver does not have.
    #[error("{}", no_such_key(name, key, nearest.as_deref(), known))]
    UnknownKey {
        /// The name that the argument was given to.
        name: &'static str,
        /// The key that was given, or the value without a key.
        key: String,
        /// The key that is most like it, if one is.
        nearest: Option<String>,
        /// All keys of the name, separated by commas.
        known: String,
    },
    /// A value that a key does not take.
    #[error("{name}: {} is \"{}\", expected {expected}", escaped(key), escaped(value))]
    BadValue {
        /// The method, preconditioner or local solver.
        name: &'static str,
        /// The key.
        key: String,
        /// The value that was given.
        value: String,
        /// The values that it takes.
        expected: String,
    },
    /// A text of settings that cannot be read.
    #[error("\"{}\": expected {expected} at character {position}; write name(value, key=value)", escaped(text))]
    Syntax {
        /// The text.
        text: String,
        /// The character, counted from 1, at which it is not as expected.
        position: usize,
        /// Accepted settings there, in words.
        expected: &'static str,
    },
    /// Two preconditioners for one solve.
    #[error("two preconditioners are named, {first} and {second}; name one, or additive({first}, {second})")]
    TwoPreconditioners {
        /// The settings of one.
        first: String,
        /// The settings of the other.
        second: String,
    },
    /// A method for square systems where one of least squares is needed, or the other way round.
    #[error("{method} {}", other_problem(*method))]
    OtherProblem {
        /// The method.
        method: Method,
    },
    /// A method and a preconditioner that do not go together.
    #[error(
        "{solver} cannot take the preconditioner {preconditioner}; methods for least squares take column-scaling or none, all other methods any but column-scaling"
    )]
    Mismatch {
        /// The method.
        solver: Method,
        /// The preconditioner.
        preconditioner: PreconditionerKind,
    },
    /// A preconditioner that could not be made in the solve which another resumes.
    #[error("{preconditioner} could not be made; the output of the interrupted solve has the reason")]
    NotMade {
        /// The preconditioner.
        preconditioner: PreconditionerKind,
    },
    /// [`SolveReport::require_converged`](crate::SolveReport::require_converged) on a solve that
    /// did not converge.
    #[error("{0}")]
    NotConverged(String),
    /// A failure on some ranks, which all ranks return.
    #[error("{error} (rank {rank})")]
    OnRank {
        /// The lowest rank that failed.
        rank: usize,
        /// Error on that rank.
        error: Box<Error>,
    },
}

dolmen_core::shared_error!(Error {
    Core(error),
    Setting { method, setting, value, expected },
    Layout { method, what, left, right },
    Norm { method, norm },
    NotForLeastSquares { method, setting },
    SnapshotMethod { method, found },
    Snapshot { method, name },
    Unfit { method, row, defect },
    NotFinite { method, what, column, row },
    Weight { method, row, weight },
    NoMatrix { method },
    Level { method, level, fault },
    NotSquare { method, rows, columns },
    NoDiagonal { method },
    Singular { method, condition },
    NoSpectrum { method, reason },
    FewEigenvalues { method, wanted, found },
    NotAnEnd { method, which },
    MassNotPositive { method },
    Unstable { method, error },
    OutOfMemory { method },
    OutOfRange { method, what, exponent, scalar },
    UnknownName { kind, name, nearest, known },
    UnknownKey { name, key, nearest, known },
    BadValue { name, key, value, expected },
    Syntax { text, position, expected },
    TwoPreconditioners { first, second },
    OtherProblem { method },
    Mismatch { solver, preconditioner },
    NotMade { preconditioner },
    NotConverged(outcome),
    OnRank { rank, error },
});

impl Error {
    /// Returns the error itself, without the rank on which it arose.
    pub fn cause(&self) -> &Error {
        match self {
            Error::OnRank { error, .. } => error.cause(),
            other => other,
        }
    }

    /// Returns the text without the rank, for errors whose text already names the place in the input.
    pub fn message(&self) -> String {
        match self.cause() {
            Error::Core(error) => error.message(),
            other => other.to_string(),
        }
    }
}

/// Offers the name that is most like an unknown one, before all are named.
fn did_you_mean(nearest: &Option<String>) -> String {
    nearest.as_ref().map_or("k".to_owned(), |nearest| format!("did you mean \"{nearest}\"? K"))
}

/// Says that a name has no such key, and which it has.
fn no_such_key(name: &str, key: &str, nearest: Option<&str>, known: &str) -> String {
    let key = escaped(key);
    let its = nearest.map_or("its".to_owned(), |nearest| format!("did you mean \"{nearest}\"? Its"));
    if known.is_empty() {
        return format!("{name} takes no arguments, so not \"{key}\"; leave it out");
    }
    format!("{name} has no key \"{key}\"; {its} keys are {known}")
}

/// Says which problem a method is for.
fn other_problem(method: Method) -> &'static str {
    if method.is_least_squares() {
        "solves least-squares problems; use Method::least_squares, or a method for square systems"
    } else {
        "solves square systems; use Method::solver, or lsqr, lsmr or cgls"
    }
}

/// Returns the alternative in least squares to a setting of square systems.
fn instead_of(setting: &str) -> &'static str {
    match setting {
        "preconditioner" => "its preconditioner needs an adjoint: set it on the method",
        "projection" => "it needs none: from a guess of zero and without preconditioner it finds the shortest solution",
        _ => "it measures |r| and |A^H r|: leave it out",
    }
}

/// Result of a solve.
pub type Result<T, E = Error> = std::result::Result<T, E>;
