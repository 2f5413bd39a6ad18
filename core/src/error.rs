//! Errors of the toolkit, and the rule that all ranks return the same error.

/// An error of the distributed toolkit.
///
/// All ranks return the same error. Failures that only some ranks can see go through
/// [`Comm::agree`](crate::Comm::agree) and come back on all ranks as [`Error::OnRank`], which has the error of the rank
/// that failed: match on [`Error::cause`], which is the same on any number of ranks.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A failure that is known by its text only, as of a program's own function: the first failing rank and its
    /// message.
    #[error("{message}{}", suffix(*.rank, *.everywhere))]
    Agreed {
        /// The lowest rank that failed.
        rank: usize,
        /// True if every rank failed, for example if all of them read the same bad file.
        everywhere: bool,
        /// Message of that rank.
        message: String,
    },
    /// A failure on some ranks, which all ranks return.
    #[error("{error} (rank {rank})")]
    OnRank {
        /// The lowest rank that failed.
        rank: usize,
        /// Error on that rank.
        error: Box<Error>,
    },
    /// Ranks made different calls, or the same with different sizes or settings.
    #[error("the ranks disagree: {calls}; all ranks must make the same calls, with the same sizes and settings")]
    RanksDisagree {
        /// Calls of the ranks, in words.
        calls: String,
    },
    /// A variable of the environment has a value without a meaning.
    #[error("{variable}={value}: expected {expected}")]
    Environment {
        /// The variable.
        variable: &'static str,
        /// Its value.
        value: String,
        /// The values that it may have.
        expected: &'static str,
    },
    /// Two objects that must live on the same layout do not.
    #[error(
        "{operation}: the operands live on different layouts ({left} and {right} global entries, or split differently over the ranks); build both from one Layout"
    )]
    LayoutMismatch {
        /// The requested operation.
        operation: &'static str,
        /// Global length of the left operand.
        left: u64,
        /// Global length of the right operand.
        right: u64,
    },
    /// Two objects that must live on the same communicator do not.
    #[error(
        "{operation}: the operands live on different communicators ({left}, and {right}); build both from layouts of one Comm"
    )]
    CommMismatch {
        /// The operation that was asked for.
        operation: &'static str,
        /// The [name](crate::Comm::name) of the communicator of the left operand.
        left: String,
        /// That of the right operand.
        right: String,
    },
    /// A stacked layout where every rank must own one range of rows.
    #[error(
        "{operation}: a stacked layout of {blocks} blocks cannot be used here, because a rank owns a separate range of rows in each block; use the layout of one block, or move the vector to a uniform layout"
    )]
    StackedLayout {
        /// The requested operation.
        operation: &'static str,
        /// The number of blocks.
        blocks: usize,
    },
    /// A local array has the wrong number of entries.
    #[error("{what}: expected {expected} local entries, found {found}")]
    LocalLength {
        /// The argument that was checked.
        what: &'static str,
        /// Entries the layout asks for on this rank.
        expected: usize,
        /// Entries that were given.
        found: usize,
    },
    /// A global index lies outside its range.
    #[error("{what}: global index {index} is outside 0..{bound}")]
    IndexOutOfRange {
        /// Kind of thing that the index counts.
        what: &'static str,
        /// The offending index.
        index: u64,
        /// The exclusive upper bound.
        bound: u64,
    },
    /// An entry of a matrix is given for a column that does not exist.
    #[error("matrix entry ({row}, {column}): there are only {columns} columns, numbered from 0")]
    NoSuchColumn {
        /// The global row of the entry.
        row: u64,
        /// Its global column.
        column: u64,
        /// The number of columns.
        columns: u64,
    },
    /// An entry of a matrix whose row another rank owns.
    #[error("row {row} of the matrix belongs to another rank; set entries where their rows are owned, or refill")]
    ForeignRow {
        /// The global row.
        row: u64,
    },
    /// Blocks of a matrix by columns whose columns another rank owns.
    #[error(
        "block column {column} of the matrix belongs to another rank; give the blocks of a column where it is owned"
    )]
    ForeignColumn {
        /// The global block column.
        column: u64,
    },
    /// An entry of a matrix that is not stored.
    #[error("entry ({row}, {column}) is not in the pattern of the matrix; assemble it with a zero there")]
    NotStored {
        /// The global row of the entry.
        row: u64,
        /// Its global column.
        column: u64,
    },
    /// Arrays that are not the compressed rows of a matrix.
    #[error("compressed rows of a matrix: {reason}")]
    NotRows {
        /// Fault, in words.
        reason: String,
    },
    /// A small dense block, or a list, has the wrong number of rows or columns.
    #[error("{operation}: expected {} by {} entries, found {} by {}", .expected.0, .expected.1, .found.0, .found.1)]
    Shape {
        /// The requested operation.
        operation: &'static str,
        /// Rows and columns that fit the other operands.
        expected: (u64, u64),
        /// Rows and columns that were given.
        found: (u64, u64),
    },
    /// Columns that should be linearly independent are not, to working precision.
    #[error(
        "{operation}: column {column} depends linearly on the columns before it, to working precision; drop it, or use MultiVector::tsqr, which needs no independent columns"
    )]
    RankDeficient {
        /// The requested operation.
        operation: &'static str,
        /// The first dependent column.
        column: usize,
    },
    /// A matrix has not the pattern that an operation writes, or a plan was made for other patterns.
    #[error(
        "{operation}: the sparsity patterns of the matrices differ from those for which the plan or the result was made; make a new plan and a new result from these matrices"
    )]
    PatternMismatch {
        /// The requested operation.
        operation: &'static str,
    },
    /// An index that may be given only once is there twice.
    #[error("{what}: global index {index} is given twice")]
    Repeated {
        /// Kind of thing that the index counts.
        what: &'static str,
        /// The repeated index.
        index: u64,
    },
    /// A matrix that should be positive definite is not.
    #[error(
        "{operation}: the pivot of row {row} is not positive, so the matrix is not positive definite; use an LU factorization, or add to the diagonal"
    )]
    NotPositiveDefinite {
        /// The requested operation.
        operation: &'static str,
        /// The first row whose pivot is not positive, counted in the whole matrix.
        row: u64,
    },
    /// A matrix has no inverse, to working precision.
    #[error("{operation}: the pivot of row {row} is zero, so the matrix is singular; use the SVD to solve with it")]
    Singular {
        /// The requested operation.
        operation: &'static str,
        /// The first row whose pivot is zero, counted in the whole matrix.
        row: u64,
    },
    /// An eigenvalue is zero, to working precision, so that the matrix has no inverse.
    #[error(
        "{operation}: eigenvalue {index}, counted from 0 and ascending, is zero, so the matrix is singular; use the SVD to solve with it"
    )]
    ZeroEigenvalue {
        /// The requested operation.
        operation: &'static str,
        /// The first eigenvalue that is zero.
        index: u64,
    },
    /// An iteration inside LAPACK did not converge.
    #[error("{operation}: {count} values did not converge; scale the matrix")]
    NoConvergence {
        /// The requested operation.
        operation: &'static str,
        /// Number of missing values.
        count: u64,
    },
    /// A matrix to be factored holds an infinity or a NaN.
    #[error("{operation}: entry ({row}, {column}) is not finite")]
    NotFinite {
        /// The requested operation.
        operation: &'static str,
        /// Row of the first such entry.
        row: u64,
        /// Its column.
        column: u64,
    },
    /// A rank number past the end of the communicator.
    #[error("{operation}: there is no rank {rank} among {size}")]
    NoSuchRank {
        /// The requested operation.
        operation: &'static str,
        /// The rank that was named.
        rank: usize,
        /// The number of ranks.
        size: usize,
    },
    /// A number that is not the Fortran handle of a communicator.
    #[error(
        "{handle} is not the handle of a communicator; pass mpi4py's comm.py2f(), of a communicator that was not freed"
    )]
    NoSuchComm {
        /// The number.
        handle: i32,
    },
    /// Block offsets that do not describe a distribution.
    #[error("layout offsets: {reason}")]
    Offsets {
        /// Fault, in words.
        reason: String,
    },
    /// A structured grid that cannot be, or cannot be cut as was asked.
    #[error("grid: {reason}")]
    Grid {
        /// Fault and remedy, in words.
        reason: String,
    },
    /// New numbers of rows that are not a permutation of them.
    #[error("renumbering: new row {row} is given to {times} rows, not to one")]
    NotAPermutation {
        /// The first new row that is missing or repeated.
        row: u64,
        /// Number of rows that have it.
        times: u64,
    },
    /// A graph that is too large for an algorithm that works on one rank.
    #[error(
        "{operation}: the graph has {size} vertices and edge ends, more than the {limit} that one rank can number; work on a coarser graph, or on the blocks of the ranks"
    )]
    GraphTooLarge {
        /// The requested operation.
        operation: &'static str,
        /// Vertices and edge ends over all ranks.
        size: u64,
        /// The largest supported size.
        limit: u64,
    },
    /// A graph that cannot be cut into parts as was asked.
    #[error("partition into {parts} parts: {reason}")]
    Partition {
        /// The requested number of parts.
        parts: usize,
        /// Reason, in words.
        reason: String,
    },
    /// A size exceeds what an index type can count.
    #[error("{what}: {size} is more than the {limit} that one rank can count; use more ranks")]
    TooLarge {
        /// Things that were counted.
        what: &'static str,
        /// Its size.
        size: u64,
        /// The largest supported size.
        limit: u64,
    },
    /// The library was asked to start twice, or after MPI was finalized.
    #[error("MPI is already initialized or finalized in this process; call Comm::run once, at the top of main")]
    AlreadyInitialized,
    /// A number of threads that cannot be had.
    #[error("threads: {reason}")]
    Threads {
        /// Fault and remedy, in words.
        reason: String,
    },
    /// A profile was started while another one is running.
    #[error("a profile is running already; finish it before the next one starts")]
    AlreadyRecording,
}

crate::shared_error!(Error {
    Agreed { rank, everywhere, message },
    OnRank { rank, error },
    RanksDisagree { calls },
    Environment { variable, value, expected },
    LayoutMismatch { operation, left, right },
    CommMismatch { operation, left, right },
    StackedLayout { operation, blocks },
    LocalLength { what, expected, found },
    IndexOutOfRange { what, index, bound },
    NoSuchColumn { row, column, columns },
    ForeignRow { row },
    ForeignColumn { column },
    NotStored { row, column },
    NotRows { reason },
    Shape { operation, expected, found },
    RankDeficient { operation, column },
    PatternMismatch { operation },
    Repeated { what, index },
    NotPositiveDefinite { operation, row },
    Singular { operation, row },
    ZeroEigenvalue { operation, index },
    NoConvergence { operation, count },
    NotFinite { operation, row, column },
    NoSuchRank { operation, rank, size },
    NoSuchComm { handle },
    Offsets { reason },
    Grid { reason },
    NotAPermutation { row, times },
    GraphTooLarge { operation, size, limit },
    Partition { parts, reason },
    TooLarge { what, size, limit },
    AlreadyInitialized,
    Threads { reason },
    AlreadyRecording,
});

fn suffix(rank: usize, everywhere: bool) -> String {
    if everywhere { String::new() } else { format!(" (rank {rank})") }
}

impl Error {
    /// Returns the error itself, without the rank on which it arose.
    pub fn cause(&self) -> &Error {
        match self {
            Error::OnRank { error, .. } => error.cause(),
            other => other,
        }
    }

    /// Returns the message without the rank, for errors whose text already names the place in the input.
    pub fn message(&self) -> String {
        match self {
            Error::Agreed { message, .. } => message.clone(),
            Error::OnRank { error, .. } => error.message(),
            other => other.to_string(),
        }
    }
}

/// Result of a toolkit operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;
