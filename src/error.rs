//! One error for programs: that of any of the crates.

/// Result of a program that uses this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of one of the crates, with its text.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An error of vectors, matrices or communication, whichever crate passed it on.
    #[error(transparent)]
    Core(#[from] dolmen_core::Error),
    /// An error of a solver or a preconditioner.
    #[error(transparent)]
    Solvers(dolmen_solvers::Error),
    /// An error of reading or writing a file.
    #[error(transparent)]
    Io(#[from] dolmen_io::Error),
}

impl From<dolmen_solvers::Error> for Error {
    fn from(error: dolmen_solvers::Error) -> Error {
        match error {
            dolmen_solvers::Error::Core(error) => Error::Core(error),
            error => Error::Solvers(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_core_is_one_whoever_passes_it_on() {
        let of_core = || dolmen_core::Error::AlreadyRecording;
        let through_solvers = Error::from(dolmen_solvers::Error::from(of_core()));
        assert!(matches!(through_solvers, Error::Core(dolmen_core::Error::AlreadyRecording)));
        assert_eq!(through_solvers.to_string(), of_core().to_string());
    }
}
