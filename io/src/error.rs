//! Errors about files: the file, the place in it and the reason.

use dolmen_core::text::{escaped, shown};
use std::io;
use std::path::{Path, PathBuf};

/// Result of an operation of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of reading or writing a file. Its text is one line: what comes from files and their names is
/// shown escaped.
///
/// Collective operations return it on all ranks: as [`Error::OnRank`], which has the error of the rank that failed,
/// where not all did. [`Error::cause`] is the same on any number of ranks.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused an operation.
    #[error("{}: cannot {action}: {source}", shown(path))]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Action that failed, as a verb: "open", "write 8192 bytes".
        action: String,
        /// The system's answer.
        source: io::Error,
    },
    /// An HDF5 file, or the HDF5 library on it, is not as needed.
    #[error("{}: {}", shown(path), escaped(what))]
    File {
        /// The file.
        path: PathBuf,
        /// Fault, in words.
        what: String,
    },
    /// A dataset of an HDF5 file is missing or not as needed.
    #[error("{}: dataset {}: {}", shown(path), escaped(dataset), escaped(what))]
    Dataset {
        /// The file.
        path: PathBuf,
        /// The dataset's path inside the file.
        dataset: String,
        /// Fault, in words.
        what: String,
    },
    /// A group or attribute of an HDF5 file is missing or not as needed.
    #[error("{}: {}: {}", shown(path), escaped(object), escaped(what))]
    Object {
        /// The file.
        path: PathBuf,
        /// "group NAME" or "attribute NAME of OBJECT".
        object: String,
        /// Fault, in words.
        what: String,
    },
    /// A FITS file is malformed, truncated or not as needed.
    #[error("{}: {}: {}", shown(path), escaped(place), escaped(what))]
    Fits {
        /// The file.
        path: PathBuf,
        /// "HDU 1", "HDU 1, column TEMPERATURE", "header of HDU 0".
        place: String,
        /// Fault, in words.
        what: String,
    },
    /// A file of a matrix or of vectors is malformed, or holds what is not supported. All ranks
    /// return this with the same text, on any number of ranks.
    #[error("{}: {}: {}", shown(path), escaped(place), escaped(what))]
    Malformed {
        /// The file.
        path: PathBuf,
        /// "line 12" (counted from 1), "byte 80" (from 0), "member indptr.npy".
        place: String,
        /// Fault there, in words.
        what: String,
    },
    /// Vectors in a file that are not as long as the layout they are read to.
    #[error(
        "{}: {} {found} entries, but the layout they are read into has {expected}", shown(path),
        object.as_ref().map_or("its vectors have".into(), |object| format!("{} has", escaped(object)))
    )]
    Length {
        /// The file.
        path: PathBuf,
        /// The dataset or "column NAME", of one of several objects of the file.
        object: Option<String>,
        /// Entries of each vector in the file.
        found: u64,
        /// Entries of the layout.
        expected: u64,
    },
    /// The arguments of a call contradict each other or the file.
    #[error("{}: {}", shown(path), escaped(what))]
    Argument {
        /// The file that was to be read or written.
        path: PathBuf,
        /// Which argument, and what it has to be.
        what: String,
    },
    /// A failure of the toolkit, or one that is known by its text only.
    #[error(transparent)]
    Core(#[from] dolmen_core::Error),
    /// A file that some ranks can open and others cannot.
    #[error("{error}; that was rank {rank}, and other ranks can open it: put the file where every node sees it")]
    NotSeen {
        /// The lowest rank that cannot open it.
        rank: usize,
        /// Reason.
        error: Box<Error>,
    },
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
    Io { path, action, source },
    File { path, what },
    Dataset { path, dataset, what },
    Object { path, object, what },
    Fits { path, place, what },
    Malformed { path, place, what },
    Length { path, object, found, expected },
    Argument { path, what },
    Core(error),
    NotSeen { rank, error },
    OnRank { rank, error },
});

impl Error {
    /// Returns the error itself, without the rank on which it arose.
    pub fn cause(&self) -> &Error {
        match self {
            Error::OnRank { error, .. } | Error::NotSeen { error, .. } => error.cause(),
            other => other,
        }
    }

    /// Returns the file or folder that the error is about.
    pub fn path(&self) -> Option<&Path> {
        match self.cause() {
            Error::Io { path, .. }
            | Error::File { path, .. }
            | Error::Dataset { path, .. }
            | Error::Object { path, .. }
            | Error::Fits { path, .. }
            | Error::Malformed { path, .. }
            | Error::Length { path, .. }
            | Error::Argument { path, .. } => Some(path),
            Error::Core(_) | Error::NotSeen { .. } | Error::OnRank { .. } => None,
        }
    }

    /// Returns the text without the rank, for errors whose text already names the place in the input.
    pub fn message(&self) -> String {
        match self {
            Error::OnRank { error, .. } => error.message(),
            Error::Core(error) => error.message(),
            other => other.to_string(),
        }
    }

    pub(crate) fn io(path: &Path, action: impl Into<String>, source: io::Error) -> Self {
        Self::Io { path: path.to_owned(), action: action.into(), source }
    }

    pub(crate) fn fits(path: &Path, place: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Fits { path: path.to_owned(), place: place.into(), what: what.into() }
    }

    pub(crate) fn argument(path: &Path, what: impl Into<String>) -> Self {
        Self::Argument { path: path.to_owned(), what: what.into() }
    }
}
