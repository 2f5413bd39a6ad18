//! Interface of the methods for square systems, and the members that methods share.

use dolmen_core::{LinearOperator, Scalar, Vector};

use crate::error::Result;
use crate::report::SolveReport;

/// A method with its settings, for programs that choose one at run time.
pub trait Solver<T: Scalar> {
    /// Returns the method's name, as in its reports.
    fn name(&self) -> &'static str;

    /// Solves `A x = b` from the guess in `x`.
    ///
    /// # Collective
    ///
    /// # Errors
    /// As the `solve` of the method. Not converging is a report, not an error.
    fn solve(&self, a: &dyn LinearOperator<T>, b: &Vector<T>, x: &mut Vector<T>) -> Result<SolveReport>;
}

/// Setters of a method that forward to its `settings`.
macro_rules! forward {
    ($solver:ident: $($name:ident: $kind:ty, $text:literal;)*) => {
        impl<'a, T: dolmen_core::Scalar> $solver<'a, T> {
            $(#[doc = $text]
            #[must_use]
            pub fn $name(mut self, $name: $kind) -> Self {
                self.settings = self.settings.$name($name);
                self
            })*
        }
    };
}
pub(crate) use forward;

/// Members of all methods: `new`, and the setters that apply to any of them.
macro_rules! common_setters {
    ($solver:ident) => {
        impl<T: dolmen_core::Scalar> $solver<'_, T> {
            /// Creates the method with the settings of [`Settings::new`](crate::Settings::new).
            pub fn new() -> Self {
                Self::from(crate::settings::Settings::default())
            }
        }

        impl<T: dolmen_core::Scalar> Default for $solver<'_, T> {
            fn default() -> Self {
                Self::new()
            }
        }

        crate::krylov::solver::forward! { $solver:
            rtol: f64, "Relative tolerance; see [`Settings::rtol`](crate::Settings::rtol).";
            atol: f64, "Absolute tolerance; see [`Settings::atol`](crate::Settings::atol).";
            dtol: f64, "Divergence limit; see [`Settings::dtol`](crate::Settings::dtol).";
            max_iterations: usize, "Maximum number of iterations.";
            reduction: dolmen_core::Reduction, "How inner products are summed over the ranks.";
            monitor: &'a mut dyn crate::monitor::Monitor<T>,
                "Called after each iteration; see [`Settings::monitor`](crate::Settings::monitor).";
            snapshot_every: usize,
                "Hands out snapshots; see [`Settings::snapshot_every`](crate::Settings::snapshot_every).";
            resume: &'a dolmen_core::Snapshot<T>,
                "Resumes from a snapshot; see [`Settings::resume`](crate::Settings::resume).";
        }
    };
}
pub(crate) use common_setters;

/// Members of methods for square systems: setters, and `solve` by their `iteration(&Problem)`. Written as a
/// struct, with the defaults of settings of its own and the words about their setters, it declares that too.
macro_rules! square_solver {
    (
        $(#[$about:meta])*
        pub struct $solver:ident: $name:literal {
            $($(#[$setter:meta])* $field:ident: $kind:ty = $default:expr;)*
        }
    ) => {
        $(#[$about])*
        pub struct $solver<'a, T> {
            settings: crate::settings::Settings<'a, T>,
            $($field: $kind,)*
        }

        impl<'a, T: dolmen_core::Scalar> From<crate::settings::Settings<'a, T>> for $solver<'a, T> {
            fn from(settings: crate::settings::Settings<'a, T>) -> Self {
                $solver { settings, $($field: $default,)* }
            }
        }

        impl<T: dolmen_core::Scalar> $solver<'_, T> {
            $($(#[$setter])*
            #[must_use]
            pub fn $field(mut self, $field: $kind) -> Self {
                self.$field = $field;
                self
            })*
        }

        crate::krylov::solver::square_solver!($solver, $name);
    };
    ($solver:ident, $name:expr) => {
        crate::krylov::solver::common_setters!($solver);

        crate::krylov::solver::forward! { $solver:
            norm: crate::norm::Norm, "The norm of residuals; see [`Settings::norm`](crate::Settings::norm).";
            preconditioner: &'a dyn dolmen_core::LinearOperator<T>, "An operator that approximates the inverse of `A`.";
            projection: &'a dyn dolmen_core::LinearOperator<T>,
                "Projects out a null space; see [`Settings::projection`](crate::Settings::projection).";
        }

        impl<T: dolmen_core::Scalar> $solver<'_, T> {
            /// Solves `A x = b`; `x` holds the initial guess and becomes the solution. For `b = 0` it
            /// becomes zero, whatever the guess.
            ///
            /// # Collective
            /// All ranks have the same settings, which the first reduction compares.
            ///
            /// # Errors
            /// Mismatched layouts, a setting out of range, or a failure in an operator or a monitor; the
            /// same on all ranks; [`Error::OutOfRange`](crate::Error::OutOfRange), after which `x` is of no use.
            /// Not converging is not an error but a [`StopReason`](crate::StopReason).
            pub fn solve(
                &self,
                a: &dyn dolmen_core::LinearOperator<T>,
                b: &dolmen_core::Vector<T>,
                x: &mut dolmen_core::Vector<T>,
            ) -> crate::error::Result<crate::report::SolveReport> {
                let problem = crate::krylov::problem::Problem::square($name, &self.settings, a, b, x);
                let iteration = problem.begin(self.iteration(&problem))?;
                crate::krylov::driver::drive(problem, &self.settings, iteration, x)
            }
        }

        impl<T: dolmen_core::Scalar> crate::krylov::solver::Solver<T> for $solver<'_, T> {
            fn name(&self) -> &'static str {
                $name
            }

            fn solve(
                &self,
                a: &dyn dolmen_core::LinearOperator<T>,
                b: &dolmen_core::Vector<T>,
                x: &mut dolmen_core::Vector<T>,
            ) -> crate::error::Result<crate::report::SolveReport> {
                $solver::solve(self, a, b, x)
            }
        }
    };
}
pub(crate) use square_solver;
