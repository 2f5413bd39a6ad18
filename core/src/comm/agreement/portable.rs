//! Values that errors have in their fields, as bytes.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// The longest text that becomes a `&'static str`, and how many of them there may be: they are never freed.
const KEPT: (usize, usize) = (1 << 12, 1 << 12);

/// A value that an error takes from one rank to others.
pub trait Portable: Sized {
    /// Appends the value.
    fn pack(&self, bytes: &mut Vec<u8>);

    /// Takes the value from the front of `bytes`; `None` if they do not begin with one.
    fn unpack(bytes: &mut &[u8]) -> Option<Self>;

    /// Reads a value that is all of `bytes`.
    fn unpack_all(mut bytes: &[u8]) -> Option<Self> {
        Self::unpack(&mut bytes).filter(|_| bytes.is_empty())
    }
}

macro_rules! numbers {
    ($($number:ty),*) => {
        $(impl Portable for $number {
            fn pack(&self, bytes: &mut Vec<u8>) {
                bytes.extend(self.to_le_bytes());
            }

            fn unpack(bytes: &mut &[u8]) -> Option<$number> {
                let (number, rest) = bytes.split_first_chunk()?;
                *bytes = rest;
                Some(<$number>::from_le_bytes(*number))
            }
        })*
    };
}
numbers!(u64, i32, f64);

impl Portable for usize {
    fn pack(&self, bytes: &mut Vec<u8>) {
        (*self as u64).pack(bytes);
    }

    fn unpack(bytes: &mut &[u8]) -> Option<usize> {
        u64::unpack(bytes)?.try_into().ok()
    }
}

impl Portable for bool {
    fn pack(&self, bytes: &mut Vec<u8>) {
        u64::from(*self).pack(bytes);
    }

    fn unpack(bytes: &mut &[u8]) -> Option<bool> {
        Some(u64::unpack(bytes)? == 1)
    }
}

impl Portable for Vec<u8> {
    fn pack(&self, bytes: &mut Vec<u8>) {
        self.len().pack(bytes);
        bytes.extend(self);
    }

    fn unpack(bytes: &mut &[u8]) -> Option<Vec<u8>> {
        let length = usize::unpack(bytes)?;
        let (own, rest) = bytes.split_at_checked(length)?;
        *bytes = rest;
        Some(own.to_owned())
    }
}

impl Portable for String {
    fn pack(&self, bytes: &mut Vec<u8>) {
        self.len().pack(bytes);
        bytes.extend(self.as_bytes());
    }

    fn unpack(bytes: &mut &[u8]) -> Option<String> {
        String::from_utf8(Vec::unpack(bytes)?).ok()
    }
}

impl Portable for PathBuf {
    fn pack(&self, bytes: &mut Vec<u8>) {
        self.as_os_str().as_bytes().to_owned().pack(bytes);
    }

    fn unpack(bytes: &mut &[u8]) -> Option<PathBuf> {
        Some(OsString::from_vec(Vec::unpack(bytes)?).into())
    }
}

impl Portable for &'static str {
    fn pack(&self, bytes: &mut Vec<u8>) {
        (*self).to_owned().pack(bytes);
    }

    fn unpack(bytes: &mut &[u8]) -> Option<&'static str> {
        interned(String::unpack(bytes)?)
    }
}

/// Keeps a text to the end of the program, once: such texts are names in this program, of which there are few.
fn interned(text: String) -> Option<&'static str> {
    static KNOWN: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = known.get(text.as_str()) {
        return Some(known);
    }
    let (longest, most) = KEPT;
    if text.len() > longest || known.len() >= most {
        return None;
    }
    let kept: &'static str = text.leak();
    known.insert(kept);
    Some(kept)
}

impl<V: Portable> Portable for Option<V> {
    fn pack(&self, bytes: &mut Vec<u8>) {
        self.is_some().pack(bytes);
        if let Some(value) = self {
            value.pack(bytes);
        }
    }

    fn unpack(bytes: &mut &[u8]) -> Option<Option<V>> {
        Some(if bool::unpack(bytes)? { Some(V::unpack(bytes)?) } else { None })
    }
}

impl<V: Portable> Portable for Box<V> {
    fn pack(&self, bytes: &mut Vec<u8>) {
        (**self).pack(bytes);
    }

    fn unpack(bytes: &mut &[u8]) -> Option<Box<V>> {
        Some(Box::new(V::unpack(bytes)?))
    }
}

impl<V: Portable, W: Portable> Portable for (V, W) {
    fn pack(&self, bytes: &mut Vec<u8>) {
        self.0.pack(bytes);
        self.1.pack(bytes);
    }

    fn unpack(bytes: &mut &[u8]) -> Option<(V, W)> {
        Some((V::unpack(bytes)?, W::unpack(bytes)?))
    }
}

/// Kinds of failures of the operating system and the library that have no number of the system.
const KINDS: &[ErrorKind] = &[
    ErrorKind::NotFound,
    ErrorKind::PermissionDenied,
    ErrorKind::AlreadyExists,
    ErrorKind::NotADirectory,
    ErrorKind::IsADirectory,
    ErrorKind::DirectoryNotEmpty,
    ErrorKind::ReadOnlyFilesystem,
    ErrorKind::InvalidInput,
    ErrorKind::InvalidData,
    ErrorKind::TimedOut,
    ErrorKind::WriteZero,
    ErrorKind::StorageFull,
    ErrorKind::FileTooLarge,
    ErrorKind::Interrupted,
    ErrorKind::Unsupported,
    ErrorKind::UnexpectedEof,
    ErrorKind::OutOfMemory,
    ErrorKind::BrokenPipe,
];

/// Keeps the number of the system, or kind and text.
impl Portable for io::Error {
    fn pack(&self, bytes: &mut Vec<u8>) {
        self.raw_os_error().pack(bytes);
        KINDS.iter().position(|kind| *kind == self.kind()).pack(bytes);
        self.to_string().pack(bytes);
    }

    fn unpack(bytes: &mut &[u8]) -> Option<io::Error> {
        let (number, kind) = <(Option<i32>, Option<usize>)>::unpack(bytes)?;
        let text = String::unpack(bytes)?;
        let kind = kind.map_or(Some(ErrorKind::Other), |at| KINDS.get(at).copied())?;
        Some(number.map_or_else(|| io::Error::new(kind, text), io::Error::from_raw_os_error))
    }
}

/// Makes an enumeration [`Portable`], given all of its variants with their fields, of which each is portable:
///
/// ```
/// # #[derive(Debug, PartialEq)]
/// enum Refusal {
///     Closed,
///     TooLong { length: u64, limit: u64 },
///     Unknown(String),
/// }
/// dolmen_core::portable!(Refusal { Closed, TooLong { length, limit }, Unknown(name) });
/// # use dolmen_core::Portable;
/// # let mut bytes = Vec::new();
/// # Refusal::TooLong { length: 3, limit: 2 }.pack(&mut bytes);
/// # assert_eq!(Refusal::unpack_all(&bytes), Some(Refusal::TooLong { length: 3, limit: 2 }));
/// ```
#[macro_export]
macro_rules! portable {
    ($kind:ident { $($variant:ident $({ $($field:ident),* })? $(( $item:ident ))?),* $(,)? }) => {
        impl $crate::Portable for $kind {
            fn pack(&self, bytes: &mut Vec<u8>) {
                match self {
                    $($kind::$variant $({ $($field),* })? $(( $item ))? => {
                        $crate::Portable::pack(&stringify!($variant).to_owned(), bytes);
                        $($($crate::Portable::pack($field, bytes);)*)?
                        $($crate::Portable::pack($item, bytes);)?
                    })*
                }
            }

            fn unpack(bytes: &mut &[u8]) -> Option<Self> {
                let variant = <String as $crate::Portable>::unpack(bytes)?;
                $(if variant == stringify!($variant) {
                    $($(let $field = $crate::Portable::unpack(bytes)?;)*)?
                    $(let $item = $crate::Portable::unpack(bytes)?;)?
                    return Some($kind::$variant $({ $($field),* })? $(( $item ))?);
                })*
                None
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn back<V: Portable>(value: &V) -> Option<V> {
        let mut bytes = Vec::new();
        value.pack(&mut bytes);
        V::unpack_all(&bytes)
    }

    #[test]
    fn values_come_back() {
        assert_eq!(back(&usize::MAX), Some(usize::MAX));
        assert_eq!(back(&"static"), Some("static"));
        assert_eq!(back(&Some("text".to_owned())), Some(Some("text".to_owned())));
        assert!(back(&f64::NAN).is_some_and(f64::is_nan));
        let name = PathBuf::from(OsString::from_vec(vec![b'a', 0xff]));
        assert_eq!(back(&name), Some(name));
        assert_eq!(String::unpack_all(&[255; 8]), None, "a length beyond the bytes");
        assert_eq!(String::unpack_all(&[1, 0, 0, 0, 0, 0, 0, 0, 0xff]), None, "not UTF-8");
    }

    #[test]
    fn system_errors_keep_their_number_or_kind() {
        let missing = back(&io::Error::from_raw_os_error(2)).unwrap();
        assert_eq!((missing.raw_os_error(), missing.kind()), (Some(2), ErrorKind::NotFound));
        let cut = back(&io::Error::new(ErrorKind::UnexpectedEof, "3 bytes are missing")).unwrap();
        assert_eq!((cut.kind(), cut.to_string()), (ErrorKind::UnexpectedEof, "3 bytes are missing".to_owned()));
        assert_eq!(back(&io::Error::other("odd")).unwrap().kind(), ErrorKind::Other);
    }
}
