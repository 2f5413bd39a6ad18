//! Common parts of methods for least-squares problems: their interface, and the bidiagonalization.

use dolmen_core::{AdjointOperator, Scalar, Vector};

use crate::error::Result;
use crate::krylov::problem::Problem;
use crate::krylov::snapshot_state::Archive;
use crate::report::SolveReport;

/// A method for `min |b - A x|` with its settings, for programs that choose one at run time.
pub trait LeastSquaresSolver<T: Scalar> {
    /// Returns the method's name, as in its reports.
    fn name(&self) -> &'static str;

    /// Minimizes `|b - A x|` from the guess in `x`.
    ///
    /// # Collective
    ///
    /// # Errors
    /// As the `solve` of the method. Not converging is a report, not an error.
    fn solve(&self, a: &dyn AdjointOperator<T>, b: &Vector<T>, x: &mut Vector<T>) -> Result<SolveReport>;
}

/// Members of methods for least squares: setters, and `solve` by their `iteration(&Problem)`.
macro_rules! least_squares_solver {
    ($solver:ident, $name:expr) => {
        crate::krylov::solver::common_setters!($solver);

        impl<'a, T: dolmen_core::Scalar> From<crate::settings::Settings<'a, T>> for $solver<'a, T> {
            fn from(settings: crate::settings::Settings<'a, T>) -> Self {
                $solver { settings, preconditioner: None }
            }
        }

        impl<'a, T: dolmen_core::Scalar> $solver<'a, T> {
            /// Sets an operator `M` on the domain, from the right: `min |b - A M y|`, `x = M y`.
            #[must_use]
            pub fn preconditioner(mut self, preconditioner: &'a dyn dolmen_core::AdjointOperator<T>) -> Self {
                self.preconditioner = Some(preconditioner);
                self
            }

            /// Minimizes `|b - A x|`; `x` holds the initial guess and becomes the solution, with a guess
            /// of zero and no preconditioner the shortest one. For `b = 0` it becomes zero.
            ///
            /// # Collective
            /// All ranks have the same settings.
            ///
            /// # Errors
            /// Mismatched layouts, a setting out of range or of square systems, or a failure in an operator
            /// or a monitor; the same on all ranks; [`Error::OutOfRange`](crate::Error::OutOfRange), after which
            /// `x` is of no use. Not converging is not an error but a [`StopReason`](crate::StopReason).
            pub fn solve(
                &self,
                a: &dyn dolmen_core::AdjointOperator<T>,
                b: &dolmen_core::Vector<T>,
                x: &mut dolmen_core::Vector<T>,
            ) -> crate::error::Result<crate::report::SolveReport> {
                let problem =
                    crate::krylov::problem::Problem::least_squares($name, &self.settings, self.preconditioner, a, b, x);
                let iteration = problem.begin(self.iteration(&problem))?;
                crate::krylov::driver::drive(problem, &self.settings, iteration, x)
            }
        }

        impl<T: dolmen_core::Scalar> crate::krylov::least_squares::LeastSquaresSolver<T> for $solver<'_, T> {
            fn name(&self) -> &'static str {
                $name
            }

            fn solve(
                &self,
                a: &dyn dolmen_core::AdjointOperator<T>,
                b: &dolmen_core::Vector<T>,
                x: &mut dolmen_core::Vector<T>,
            ) -> crate::error::Result<crate::report::SolveReport> {
                $solver::solve(self, a, b, x)
            }
        }
    };
}
pub(crate) use least_squares_solver;

/// The bidiagonalization of Golub and Kahan (SIAM J. Numer. Anal. 2 (1965) 205) of `A M`, in the
/// form of Paige and Saunders (ACM TOMS 8 (1982) 43).
pub(crate) struct GolubKahan<T> {
    u: Vector<T>,
    v: Vector<T>,
    /// `M v`.
    pub(crate) t: Vector<T>,
    pub(crate) alpha: f64,
    pub(crate) beta: f64,
    /// `A M v` on the range, `M^H A^H u` on the domain.
    image: Vector<T>,
    back: Vector<T>,
}

impl<T: Scalar> GolubKahan<T> {
    pub(crate) fn new(problem: &Problem<'_, T>) -> GolubKahan<T> {
        let range = || Vector::zeros(problem.a.range());
        GolubKahan {
            u: range(),
            v: problem.zeros(),
            t: problem.zeros(),
            alpha: 0.0,
            beta: 0.0,
            image: range(),
            back: problem.zeros(),
        }
    }

    /// Computes `beta u = r`, `alpha v = M^H A^H u`.
    pub(crate) fn start(&mut self, problem: &Problem<'_, T>, r: &Vector<T>) -> Result<()> {
        self.u.copy_from(r)?;
        self.beta = normalize(problem, &mut self.u)?;
        problem.apply_adjoint(&self.u, &mut self.v)?;
        self.alpha = normalize(problem, &mut self.v)?;
        problem.precondition(&self.v, &mut self.t)
    }

    /// Computes `beta u = A M v - alpha u`, `alpha v = M^H A^H u - beta v`.
    pub(crate) fn advance(&mut self, problem: &Problem<'_, T>) -> Result<()> {
        problem.apply(&self.t, &mut self.image)?;
        self.u.axpby(T::ONE, &self.image, T::from_parts(-self.alpha, 0.0))?;
        let before = self.alpha;
        self.beta = normalize(problem, &mut self.u)?;
        problem.note_operator_norm((before * before + self.beta * self.beta).sqrt());
        problem.apply_adjoint(&self.u, &mut self.back)?;
        self.v.axpby(T::ONE, &self.back, T::from_parts(-self.beta, 0.0))?;
        self.alpha = normalize(problem, &mut self.v)?;
        problem.precondition(&self.v, &mut self.t)
    }

    pub(crate) fn archive(&mut self, archive: &mut Archive<'_, T>) {
        archive.vector("u", &mut self.u);
        archive.vector("v", &mut self.v);
        archive.vector("t", &mut self.t);
        archive.real("alpha", &mut self.alpha);
        archive.real("beta", &mut self.beta);
    }
}

/// Normalizes a vector and returns its former norm; leaves zero unchanged.
fn normalize<T: Scalar>(problem: &Problem<'_, T>, v: &mut Vector<T>) -> Result<f64> {
    let length = problem.square_of(v)?.sqrt();
    if length > 0.0 {
        v.scale(T::from_parts(1.0 / length, 0.0));
    }
    Ok(length)
}
