//! Errors that end the command with exit code 2, each one line that names the place.

use std::path::PathBuf;

use dolmen_core::SharedError;
use dolmen_core::text::{escaped, shown};

/// Bad input.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file that can be read does not fit, or one cannot be written.
    #[error("{}: {}", shown(path), escaped(what))]
    File { path: PathBuf, what: String },
    /// A solution that could not be written to its file.
    #[error("{error}; the solution is in {}", shown(rescued))]
    Rescued { error: Box<Error>, rescued: PathBuf },
    /// A solution that could not be written anywhere.
    #[error("{error}; the solution is lost, because it could not be written elsewhere either: {elsewhere}")]
    Lost { error: Box<Error>, elsewhere: String },
    /// A failure of the toolkit, or one that the ranks agreed on. Its text names a place in the input,
    /// which is the same on any number of ranks; the failing rank is left out.
    #[error("{}", .0.message())]
    Core(dolmen_core::Error),
    /// A file that cannot be read.
    #[error("{}", .0.message())]
    Io(dolmen_io::Error),
    /// A system that cannot be solved as asked.
    #[error("{}", .0.message())]
    Solver(dolmen_solvers::Error),
}

impl From<dolmen_core::Error> for Error {
    fn from(error: dolmen_core::Error) -> Error {
        Error::Core(error)
    }
}

impl From<dolmen_io::Error> for Error {
    fn from(error: dolmen_io::Error) -> Error {
        match error {
            dolmen_io::Error::Core(error) => Error::Core(error),
            // Vectors are read to the rows of a matrix, or to a layout of their own length.
            dolmen_io::Error::Length { path, object, found, expected } => {
                let object = object.map(|object| format!("{object} ")).unwrap_or_default();
                let what = format!(
                    "{object}has {found} rows, but the matrix has {expected}; a right-hand side needs one entry for each \
                     row of the matrix"
                );
                Error::File { path, what }
            }
            other => Error::Io(other),
        }
    }
}

impl From<dolmen_solvers::Error> for Error {
    fn from(error: dolmen_solvers::Error) -> Error {
        match error {
            dolmen_solvers::Error::Core(error) => Error::Core(error),
            other => Error::Solver(other),
        }
    }
}

/// Its text travels to ranks that have not failed.
impl SharedError for Error {
    type Agreed = dolmen_core::Error;
}

/// Result of a step of the command.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;
