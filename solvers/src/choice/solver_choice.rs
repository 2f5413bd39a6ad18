//! A method, and a preconditioner if one is named, in one text.

use std::fmt;
use std::str::FromStr;

use crate::choice::fields::read;
use crate::choice::from_name::unknown_name;
use crate::choice::grammar::{Call, parse};
use crate::choice::method::Method;
use crate::choice::method_settings::MethodSettings;
use crate::choice::preconditioner::PreconditionerKind;
use crate::choice::preconditioner_settings::PreconditionerSettings;
use crate::error::{Error, Result};

/// A method, and the preconditioner if it is chosen too: `gmres(restart=50), schwarz(overlap=1, ilu(2))`.
///
/// `direct`, or `direct(cholesky)`, is GMRES with that factorization, which refines its solution.
#[derive(Clone, Debug, PartialEq)]
pub struct SolverChoice {
    /// The method.
    pub method: MethodSettings,
    /// The preconditioner; `None` leaves the choice to [`Automatic`](crate::Automatic).
    pub preconditioner: Option<PreconditionerSettings>,
}

impl fmt::Display for SolverChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.preconditioner {
            Some(preconditioner) => write!(f, "{}, {preconditioner}", self.method),
            None => self.method.fmt(f),
        }
    }
}

impl FromStr for SolverChoice {
    type Err = Error;

    fn from_str(text: &str) -> Result<SolverChoice> {
        let mut calls = parse(text)?.into_iter();
        let is_direct = |call: &Call| call.word == PreconditionerKind::Direct.name();
        let mut choice = match calls.next() {
            Some(direct) if is_direct(&direct) => {
                SolverChoice { method: Method::Gmres.into(), preconditioner: Some(read(direct)?) }
            }
            Some(method) => SolverChoice { method: method_of(method)?, preconditioner: None },
            None => return Err(Error::Syntax { text: text.to_owned(), position: 1, expected: "a name" }),
        };
        if let Some(call) = calls.next() {
            choice.precondition(read(call)?)?;
        }
        match calls.next() {
            None => Ok(choice),
            Some(third) => {
                let position = text.find(&third.word).map_or(1, |at| text[..at].chars().count() + 1);
                Err(Error::Syntax { text: text.to_owned(), position, expected: "a method and a preconditioner only" })
            }
        }
    }
}

/// Reads a method; of an unknown name it says that `direct` is known too.
fn method_of(call: Call) -> Result<MethodSettings> {
    if Method::ALL.iter().any(|method| method.name() == call.word) {
        return read(call);
    }
    let known = Method::ALL.iter().map(|method| method.name()).chain([PreconditionerKind::Direct.name()]);
    Err(unknown_name("method", &call.word, known))
}

impl SolverChoice {
    /// Takes a preconditioner that was given elsewhere.
    ///
    /// # Errors
    /// [`Error::TwoPreconditioners`] if there is another one already.
    pub fn precondition(&mut self, preconditioner: PreconditionerSettings) -> Result<()> {
        match &self.preconditioner {
            Some(before) if *before != preconditioner => {
                let (first, second) = (before.to_string(), preconditioner.to_string());
                Err(Error::TwoPreconditioners { first, second })
            }
            _ => {
                self.preconditioner = Some(preconditioner);
                Ok(())
            }
        }
    }
}
