//! One outcome on all ranks: [`Comm::agree`], and the errors that travel from the rank that failed to the others.
//!
//! An error travels as its text and, if its type implements that ([`SharedError`]), as its variant and fields, so that
//! a program on any rank can match on it. What cannot travel, such as the payload of an [`std::io::Error`], becomes
//! text. What arrives is no invariant: bytes that do not decode are an error that is known by its text only.

use std::fmt::Display;

use crate::comm::{Comm, Min};
use crate::error::{Error, Result};

mod portable;

pub use portable::Portable;

/// Packed errors beyond this length travel as their text only.
const LONGEST: usize = 1 << 14;

/// A rank that has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed {
    /// The lowest rank that failed.
    pub rank: usize,
    /// True if every rank failed, for example if all of them read the same bad file.
    pub everywhere: bool,
}

/// An error that [`Comm::agree`] takes from the rank that failed to all others.
///
/// An implementation without methods takes the text alone, which becomes [`Error::Agreed`]:
///
/// ```
/// # use dolmen_core::SharedError;
/// #[derive(Debug, thiserror::Error)]
/// #[error("{0} is not a number of the experiment")]
/// struct NoSuchRun(u64);
///
/// impl SharedError for NoSuchRun {
///     type Agreed = dolmen_core::Error;
/// }
/// ```
///
/// An enumeration keeps its variants and fields by [`shared_error!`](crate::shared_error).
pub trait SharedError: Display {
    /// The error that all ranks return.
    type Agreed: From<Error>;

    /// Appends variant and fields; nothing where the text is all that travels.
    fn pack_fields(&self, bytes: &mut Vec<u8>) {
        let _ = bytes;
    }

    /// Reads what [`SharedError::pack_fields`] wrote on the rank that failed; `None` if nothing was written, or if
    /// it cannot be read.
    fn unpack_fields(bytes: &[u8], failed: Failed) -> Option<Self::Agreed> {
        let _ = (bytes, failed);
        None
    }
}

/// Implements [`SharedError`] for types whose text is all that travels.
macro_rules! text_only {
    ($($kind:ty),*) => {
        $(impl SharedError for $kind {
            type Agreed = Error;
        })*
    };
}
text_only!(String, &String, str, &str, std::io::Error);
text_only!(Box<dyn std::error::Error>, Box<dyn std::error::Error + Send + Sync>);

/// Makes an enumeration of errors a [`SharedError`] that keeps its variants and fields. Given are all variants with
/// their fields, as for [`portable!`](crate::portable), among them `OnRank { rank: usize, error: Box<Self> }`, in which
/// the ranks that have not failed, and those that have, get the error.
#[macro_export]
macro_rules! shared_error {
    ($kind:ident { $($variants:tt)* }) => {
        $crate::portable!($kind { $($variants)* });

        impl $crate::SharedError for $kind {
            type Agreed = $kind;

            fn pack_fields(&self, bytes: &mut Vec<u8>) {
                $crate::Portable::pack(self, bytes);
            }

            fn unpack_fields(bytes: &[u8], failed: $crate::Failed) -> Option<$kind> {
                let error = $crate::Portable::unpack_all(bytes)?;
                let $crate::Failed { rank, everywhere } = failed;
                Some(if everywhere { error } else { $kind::OnRank { rank, error: Box::new(error) } })
            }
        }
    };
}

impl Comm {
    /// Ends a phase that can fail on one rank: if it failed anywhere, every rank returns the error of the lowest rank
    /// that failed, with its variant and fields.
    ///
    /// If not all ranks failed, the error is inside a variant that names the rank, such as [`Error::OnRank`]; `cause`
    /// takes it out: `matches!(error.cause(), Error::IndexOutOfRange { .. })` holds on every rank or on none. A text
    /// becomes [`Error::Agreed`].
    ///
    /// # Collective
    /// One reduction of two words; a broadcast of the error after a failure.
    ///
    /// # Errors
    /// If `result` is an error on any rank; [`Error::RanksDisagree`] if another rank makes another call.
    pub fn agree<T, E: SharedError>(&self, result: std::result::Result<T, E>) -> std::result::Result<T, E::Agreed> {
        self.check("agree", String::new);
        let failed = result.is_err();
        let mut vote = [if failed { self.rank() as u64 } else { u64::MAX }, u64::from(failed)];
        self.reduce::<Min<u64>>(&mut vote).map_err(|differ| differ.error(self, &"Comm::agree"))?;
        let [first, everywhere] = vote;
        let mine = match (result, first) {
            (Ok(value), u64::MAX) => return Ok(value),
            (Ok(_), _) => Vec::new(),
            (Err(error), _) => envelope(&error),
        };
        let failed = Failed { rank: crate::index::local(first), everywhere: everywhere == 1 };
        let mut bytes = mine;
        self.broadcast(failed.rank, &mut bytes);
        Err(opened::<E>(&bytes, failed))
    }

    /// Works like [`Comm::agree`] for an error of any type: its text becomes [`Error::Agreed`].
    ///
    /// # Collective
    /// As [`Comm::agree`].
    ///
    /// # Errors
    /// If `result` is an error on any rank.
    pub fn agree_text<T, E: Display>(&self, result: std::result::Result<T, E>) -> Result<T> {
        self.agree(result.map_err(|error| error.to_string()))
    }
}

/// Returns the text of an error, with its length before it, and its variant and fields.
fn envelope(error: &impl SharedError) -> Vec<u8> {
    let mut bytes = Vec::new();
    Portable::pack(&error.to_string(), &mut bytes);
    let text = bytes.len();
    error.pack_fields(&mut bytes);
    if bytes.len() - text > LONGEST {
        bytes.truncate(text);
    }
    bytes
}

/// Returns the error from its envelope.
fn opened<E: SharedError>(bytes: &[u8], failed: Failed) -> E::Agreed {
    let mut rest = bytes;
    let Some(message) = <String as Portable>::unpack(&mut rest) else {
        let message = "an error whose text cannot be read".to_owned();
        return Error::Agreed { rank: failed.rank, everywhere: failed.everywhere, message }.into();
    };
    let packed = Some(rest).filter(|rest| !rest.is_empty() && rest.len() <= LONGEST);
    let unpacked = packed.and_then(|packed| E::unpack_fields(packed, failed));
    unpacked.unwrap_or_else(|| Error::Agreed { rank: failed.rank, everywhere: failed.everywhere, message }.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Failed = Failed { rank: 2, everywhere: false };

    #[test]
    fn what_does_not_decode_is_known_by_its_text() {
        let error = Error::IndexOutOfRange { what: "index map", index: 11, bound: 10 };
        let whole = envelope(&error);
        let typed = Error::OnRank { rank: 2, error: Box::new(error.clone()) };
        assert_eq!(opened::<Error>(&whole, ONE), typed);
        assert_eq!(opened::<Error>(&whole, Failed { everywhere: true, ..ONE }), error);
        let text = || Error::Agreed { rank: 2, everywhere: false, message: error.to_string() };
        let start = 8 + error.to_string().len();
        for length in start..whole.len() {
            assert_eq!(opened::<Error>(&whole[..length], ONE), text(), "{length} bytes");
        }
        assert_eq!(opened::<Error>(&[&whole[..], &[0]].concat(), ONE), text(), "a byte too many");
        for length in 0..start {
            assert!(matches!(opened::<Error>(&whole[..length], ONE), Error::Agreed { rank: 2, .. }));
        }
        let mut other = whole.clone();
        other[start + 8] = b'?';
        assert_eq!(opened::<Error>(&other, ONE), text(), "a variant that there is not");
    }

    #[test]
    fn a_deep_error_travels_as_text() {
        let mut deep = Error::AlreadyRecording;
        for rank in 0..1000 {
            deep = Error::OnRank { rank, error: Box::new(deep) };
        }
        let opened = opened::<Error>(&envelope(&deep), ONE);
        assert_eq!(opened, Error::Agreed { rank: 2, everywhere: false, message: deep.to_string() });
    }
}
