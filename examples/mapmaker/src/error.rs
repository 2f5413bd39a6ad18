//! Errors of a map-making run, each one sentence that names the place.

use std::path::PathBuf;

use dolmen_core::text::{escaped, shown};
use dolmen_core::{Failed, Portable, SharedError, portable};

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
        /// Fault, and what would be right.
        what: String,
    },
    /// The timelines are not valid.
    #[error("{}: {}: {}", shown(path), escaped(place), escaped(what))]
    Tod {
        /// The file.
        path: PathBuf,
        /// Dataset or attribute inside the file.
        place: String,
        /// Fault, and what would be right.
        what: String,
    },
    /// A file other than HDF5 and FITS could not be read or written.
    #[error("{}: {}", shown(path), escaped(what))]
    File {
        /// The file.
        path: PathBuf,
        /// Action that failed, in words.
        what: String,
    },
    /// Maps that could not be written to their folder.
    #[error("{error}; the maps are in {}", shown(rescued))]
    Rescued {
        /// Reason.
        error: Box<Error>,
        /// The folder that has them.
        rescued: PathBuf,
    },
    /// Maps that could not be written anywhere.
    #[error("{error}; the maps are lost, because they could not be written elsewhere either: {elsewhere}")]
    Lost {
        /// Reason for which the results are not in their folder.
        error: Box<Error>,
        /// Reasons for which they are not in other folders.
        elsewhere: String,
    },
    /// A run needs more memory than is available.
    #[error("{0}, more than the available memory; run on more nodes, or reduce the problem")]
    Memory(String),
    /// Simulated samples too large for single precision. The error names no sample, as the first one that a rank
    /// meets depends on the number of ranks.
    #[error(
        "simulated samples exceed single precision; lower simulate.net, fknee, alpha or sky_unit, or raise \
         simulate.fmin"
    )]
    Unbounded,
    /// A solve did not converge.
    #[error("{solve}: {outcome}")]
    NotConverged {
        /// Name of the solve.
        solve: String,
        /// Outcome, in words.
        outcome: String,
    },
    /// A solve ended at its limit of iterations.
    #[error("{solve}: {outcome}{advice}")]
    IterationLimit {
        /// Name of the solve.
        solve: String,
        /// Outcome, in words.
        outcome: String,
        /// Advice, in words.
        advice: String,
    },
    /// A checkpoint of other timelines, although their file is the same.
    #[error(
        "the checkpoint belongs to other timelines than these; if the file links to other files, they may \
         have changed; restore the timelines of the checkpoint, or start without --resume in another --checkpoint folder"
    )]
    OtherData,
    /// A solve was asked to stop.
    #[error("{solve}: stopped as requested after {iterations} iterations")]
    Stopped {
        /// Name of the solve.
        solve: String,
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

portable!(Error {
    Config { path, line, what },
    Tod { path, place, what },
    File { path, what },
    Rescued { error, rescued },
    Lost { error, elsewhere },
    Memory(needed),
    Unbounded,
    NotConverged { solve, outcome },
    IterationLimit { solve, outcome, advice },
    OtherData,
    Stopped { solve, iterations },
    Core(error),
    Io(error),
    Solver(error),
});

/// Travels whole to the other ranks, without the number of the rank: the place that the text names is the same on any
/// number of ranks.
impl SharedError for Error {
    type Agreed = Error;

    fn pack_fields(&self, bytes: &mut Vec<u8>) {
        self.pack(bytes);
    }

    fn unpack_fields(bytes: &[u8], _: Failed) -> Option<Error> {
        Error::unpack_all(bytes)
    }
}

/// Result of a map-making step.
pub type Result<T, E = Error> = std::result::Result<T, E>;
