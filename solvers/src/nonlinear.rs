//! Nonlinear systems `F(x) = 0`: Newton's method, Anderson mixing and nonlinear conjugate gradients.
//!
//! A function is a closure `f(x, y)` that computes `y = F(x)` on all ranks together. Methods are builders of settings as the
//! linear ones are, and return a [`NonlinearReport`]: "converged" is said only of `|F(x)|` computed afresh, and a failure
//! says what to try next. All decisions are made on norms and products that have the same bits on any number of ranks, so
//! that iterates have them too, as far as the function and the preconditioner have.
//!
//! `evaluation` calls the function and counts, `jacobian` makes Jacobians ([`colored`] and [`products`] by differences),
//! `line_search` and `trust_region` keep Newton's steps from going too far, `forcing` chooses linear tolerances.

mod anderson;
mod colored;
mod conjugate_gradients;
mod evaluation;
mod forcing;
mod jacobian;
mod line_search;
mod newton;
mod products;
mod reason;
mod report;
mod settings;
mod trust_region;

pub use anderson::Anderson;
pub use colored::ColoredDifferences;
pub use conjugate_gradients::NonlinearCg;
pub use forcing::Forcing;
pub use jacobian::Jacobian;
pub use line_search::LineSearch;
pub use newton::Newton;
pub use reason::NonlinearReason;
pub use report::NonlinearReport;
