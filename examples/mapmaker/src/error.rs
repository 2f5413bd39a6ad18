//! What can go wrong in a map-making run, each in one sentence that names the place.

use std::path::PathBuf;

use dolmen_core::SharedError;
use dolmen_core::text::{escaped, shown};

/// An error of the map-maker. Bad input ends a run with exit code 2 and this text.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration is not valid.
    #[error("{}{}: {}", shown(path), line.map(|line| format!(":{line}")).unwrap_or_default(), escaped(what))]
    Config {
        /// The configuration file.
        path: PathBuf,
        /// Line, counted from one, where the parser knows it.
        line: Option<usize>,
        /// What is wrong and what would be right.
        what: String,
    },
    /// The timelines are not valid.
    #[error("{}: {}: {}", shown(path), escaped(place), escaped(what))]
    Tod {
        /// The file.
        path: PathBuf,
        /// Dataset or attribute inside the file.
        place: String,
        /// What is wrong and what would be right.
        what: String,
    },
    /// A file other than HDF5 and FITS could not be read or written.
    #[error("{}: {}", shown(path), escaped(what))]
    File {
        /// The file.
        path: PathBuf,
        /// What failed.
        what: String,
    },
    /// Maps that could not be written to their folder.
    #[error("{error}; the maps are in {}", shown(rescued))]
    Rescued {
        /// Why not.
        error: Box<Error>,
        /// The folder that has them.
        rescued: PathBuf,
    },
    /// Maps that could not be written anywhere.
    #[error("{error}; and the maps could not be written elsewhere: {elsewhere}")]
    Lost {
        /// Why not to their folder.
        error: Box<Error>,
        /// Why not to others.
        elsewhere: String,
    },
    /// More memory is asked for than there is.
    #[error("{0}, which is more than the memory available")]
    Memory(String),
    /// Simulated samples that cannot be stored. Which is met first depends on the number of ranks, so
    /// none is named.
    #[error(
        "simulated samples exceed single precision; lower simulate.net, fknee, alpha or sky_unit, or raise \
         simulate.fmin"
    )]
    Unbounded,
    /// Destriping did not converge.
    #[error("destriping: {0}")]
    NotConverged(String),
    /// Destriping ended at its limit of iterations.
    #[error("destriping: {outcome}{advice}")]
    IterationLimit {
        /// What came out.
        outcome: String,
        /// How to go on.
        advice: String,
    },
    /// A checkpoint of other timelines than those that are read, although their file is the same.
    #[error(
        "destriping: the checkpoint was made of other timelines than those that are read now, which may lie in other \
         files behind links; resume with what it was made of, or start anew with another folder of checkpoints"
    )]
    OtherData,
    /// Destriping was asked to stop.
    #[error("destriping was asked to stop and did so after {iterations} iterations")]
    Stopped {
        /// Iterations made.
        iterations: usize,
    },
    /// A failure of the toolkit, or one that the ranks agreed on. Its text names a place in the
    /// input, which is the same on any number of ranks; the failing rank is left out.
    #[error("{}", .0.message())]
    Core(dolmen_core::Error),
    /// A failure in reading or writing HDF5 or FITS.
    #[error("{}", .0.message())]
    Io(dolmen_io::Error),
    /// A failure in the solver.
    #[error("{}", .0.message())]
    Solver(#[from] dolmen_solvers::Error),
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
            other => Error::Io(other),
        }
    }
}

/// Its text travels to ranks that have not failed.
impl SharedError for Error {
    type Agreed = dolmen_core::Error;
}

/// Result of a map-making step.
pub type Result<T, E = Error> = std::result::Result<T, E>;
