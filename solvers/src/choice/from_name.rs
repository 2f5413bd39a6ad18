//! Reading of names: the variant of a name that users write, or an error with the nearest one.

use std::str::FromStr;

use crate::choice::local::LocalKind;
use crate::choice::method::Method;
use crate::choice::names::nearest;
use crate::choice::preconditioner::PreconditionerKind;
use crate::error::{Error, Result};

/// Reads the names of an enumeration that [`names!`](crate::choice::names::names) declares.
macro_rules! from_name {
    ($($kind:ident: $what:literal,)*) => {$(
        impl FromStr for $kind {
            type Err = Error;

            fn from_str(name: &str) -> Result<$kind> {
                let known = || $kind::ALL.iter().map(|kind| kind.name());
                let found = $kind::ALL.iter().find(|kind| kind.name() == name);
                found.copied().ok_or_else(|| unknown_name($what, name, known()))
            }
        }
    )*};
}

from_name! {
    Method: "method",
    PreconditionerKind: "preconditioner",
    LocalKind: "local solver",
}

/// Returns the error of a name that is not known.
pub(super) fn unknown_name(kind: &'static str, name: &str, known: impl Iterator<Item = &'static str> + Clone) -> Error {
    let nearest = nearest(name, known.clone()).map(str::to_owned);
    let known = known.collect::<Vec<_>>().join(", ");
    Error::UnknownName { kind, name: name.to_owned(), nearest, known }
}
