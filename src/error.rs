//! One error for programs: that of any of the crates.

/// Result of a program that uses this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of one of the crates, with its text.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An error of vectors, matrices or communication, whichever crate passed it on.
    #[error(transparent)]
    Core(dolmen_core::Error),
    /// An error of a solver or a preconditioner.
    #[error(transparent)]
    Solvers(dolmen_solvers::Error),
    /// An error of reading or writing a file.
    #[error(transparent)]
    Io(dolmen_io::Error),
    /// A failure on some ranks, which all ranks return.
    #[error("{error} (rank {rank})")]
    OnRank {
        /// The lowest rank that failed.
        rank: usize,
        /// Error on that rank.
        error: Box<Error>,
    },
}

dolmen_core::shared_error!(Error { Core(error), Solvers(error), Io(error), OnRank { rank, error } });

impl Error {
    /// Returns the error itself, without the rank on which it arose.
    pub fn cause(&self) -> &Error {
        match self {
            Error::OnRank { error, .. } => error.cause(),
            other => other,
        }
    }

    fn on_rank(rank: usize, error: impl Into<Error>) -> Error {
        Error::OnRank { rank, error: Box::new(error.into()) }
    }
}

impl From<dolmen_core::Error> for Error {
    fn from(error: dolmen_core::Error) -> Error {
        match error {
            dolmen_core::Error::OnRank { rank, error } => Error::on_rank(rank, *error),
            error => Error::Core(error),
        }
    }
}

impl From<dolmen_solvers::Error> for Error {
    fn from(error: dolmen_solvers::Error) -> Error {
        match error {
            dolmen_solvers::Error::OnRank { rank, error } => Error::on_rank(rank, *error),
            dolmen_solvers::Error::Core(error) => error.into(),
            error => Error::Solvers(error),
        }
    }
}

impl From<dolmen_io::Error> for Error {
    fn from(error: dolmen_io::Error) -> Error {
        match error {
            dolmen_io::Error::OnRank { rank, error } => Error::on_rank(rank, *error),
            dolmen_io::Error::Core(error) => error.into(),
            error => Error::Io(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dolmen_core::{Error as Core, Failed, SharedError as _};

    #[test]
    fn an_error_of_the_core_is_one_whoever_passes_it_on() {
        let through = [dolmen_solvers::Error::from(Core::AlreadyRecording).into(), Core::AlreadyRecording.into()];
        for error in through.into_iter().chain([dolmen_io::Error::from(Core::AlreadyRecording).into()]) {
            assert!(matches!(error, Error::Core(Core::AlreadyRecording)), "{error:?}");
            assert_eq!(error.to_string(), Core::AlreadyRecording.to_string());
        }
    }

    #[test]
    fn the_rank_is_outside_whichever_crate_names_it() {
        let on_rank = Core::OnRank { rank: 2, error: Box::new(Core::AlreadyRecording) };
        let text = on_rank.to_string();
        let error = Error::from(dolmen_io::Error::from(on_rank));
        assert!(matches!(error.cause(), Error::Core(Core::AlreadyRecording)), "{error:?}");
        assert_eq!(error.to_string(), text);
    }

    #[test]
    fn ranks_agree_on_kind_and_fields() {
        let row = dolmen_io::Error::from(Core::IndexOutOfRange { what: "row", index: 7, bound: 5 });
        let mut bytes = Vec::new();
        Error::from(row).pack_fields(&mut bytes);
        let agreed = Error::unpack_fields(&bytes, Failed { rank: 1, everywhere: false }).expect("what was packed");
        assert!(matches!(agreed, Error::OnRank { rank: 1, .. }), "{agreed:?}");
        assert!(matches!(agreed.cause(), Error::Core(Core::IndexOutOfRange { index: 7, bound: 5, .. })), "{agreed:?}");
    }
}
