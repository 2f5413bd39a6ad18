//! Methods and preconditioners that are picked at run time: by a variant, or by a text.
//!
//! [`Method`], [`PreconditionerKind`] and [`LocalKind`] are the names, with what is known of each. The settings of one
//! are [`MethodSettings`], [`PreconditionerSettings`] and [`LocalSettings`]; they read the text that they write:
//!
//! ```
//! # use dolmen_solvers::{MethodSettings, PreconditionerSettings, Result, SolverChoice};
//! # fn f() -> Result<()> {
//! let choice: SolverChoice = "gmres(restart=50), schwarz(overlap=1, ilu(2))".parse()?;
//! assert_eq!(choice.method.to_string(), "gmres(restart=50)");
//! assert_eq!("ilut(1e-4, 20)".parse::<PreconditionerSettings>()?.to_string(), "ilut(drop=0.0001, fill=20)");
//! # Ok(()) }
//! # f().unwrap();
//! ```
//!
//! A text is a name with arguments in parentheses, and an argument a value or `key=value` ([`grammar`]). The keys of a
//! name are written once, for reading, writing and listing ([`fields`]).

mod fields;
mod from_name;
mod grammar;
mod local;
mod method;
mod method_settings;
mod names;
mod preconditioner;
mod preconditioner_settings;
mod solver_choice;

pub use fields::Key;
pub use local::{Factorization, LocalKind, LocalSettings};
pub use method::Method;
pub use method_settings::MethodSettings;
pub use preconditioner::PreconditionerKind;
pub use preconditioner_settings::PreconditionerSettings;
pub use solver_choice::SolverChoice;
