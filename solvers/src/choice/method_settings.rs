//! A method with its own settings, as a value and as a text.

use dolmen_core::{AdjointOperator, Scalar};

use crate::choice::fields::{self, Fields, Key, Named, text};
use crate::choice::method::Method;
use crate::error::{Error, Result};
use crate::krylov::bicgstab::BiCgStab;
use crate::krylov::cg::Cg;
use crate::krylov::cgls::Cgls;
use crate::krylov::chebyshev::{self, Chebyshev};
use crate::krylov::fgmres::Fgmres;
use crate::krylov::flexible_cg::FlexibleCg;
use crate::krylov::gcr::Gcr;
use crate::krylov::gmres::{self, Gmres, Side};
use crate::krylov::idr::{self, Idr};
use crate::krylov::least_squares::{self, LeastSquaresSolver};
use crate::krylov::lsmr::Lsmr;
use crate::krylov::lsqr::Lsqr;
use crate::krylov::minres::Minres;
use crate::krylov::pipelined_cg::PipelinedCg;
use crate::krylov::richardson::{self, Richardson};
use crate::krylov::solver::Solver;
use crate::krylov::symmlq::Symmlq;
use crate::settings::Settings;

/// A method with its own settings; those that all methods have are [`Settings`].
///
/// As a text it is the name, with the settings that are not at their defaults: `gmres(restart=50)`.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MethodSettings {
    /// A method without settings of its own.
    Plain(Method),
    /// [`Gmres`].
    Gmres {
        /// Steps before a restart.
        restart: usize,
        /// The side of the preconditioner.
        side: Side,
    },
    /// [`Fgmres`].
    Fgmres {
        /// Steps before a restart.
        restart: usize,
    },
    /// [`Gcr`].
    Gcr {
        /// Steps before a restart.
        restart: usize,
    },
    /// [`Idr`].
    Idr {
        /// The dimension of the shadow space.
        shadow_dimension: usize,
    },
    /// [`Chebyshev`].
    Chebyshev {
        /// An interval with all eigenvalues of `M A`, instead of an estimate.
        bounds: Option<[f64; 2]>,
        /// Steps of Lanczos' process for the estimate.
        estimate_steps: usize,
    },
    /// [`Lsqr`], [`Lsmr`] or [`Cgls`].
    LeastSquares {
        /// The method.
        method: Method,
        /// The weight of `|x|` beside `|b - A x|`.
        damp: f64,
    },
    /// [`Richardson`].
    Richardson {
        /// The factor of each correction.
        damping: f64,
    },
}

impl Method {
    /// Returns the method for square systems, its own settings at their defaults.
    ///
    /// # Errors
    /// [`Error::OtherProblem`](crate::Error::OtherProblem) for a method of least squares.
    pub fn solver<'a, T: Scalar>(self, settings: Settings<'a, T>) -> Result<Box<dyn Solver<T> + 'a>> {
        MethodSettings::from(self).solver(settings)
    }

    /// Returns the method for least squares, with a preconditioner on the domain if there is one.
    ///
    /// # Errors
    /// [`Error::OtherProblem`](crate::Error::OtherProblem) for a method for square systems.
    pub fn least_squares<'a, T: Scalar>(
        self,
        settings: Settings<'a, T>,
        preconditioner: Option<&'a dyn AdjointOperator<T>>,
    ) -> Result<Box<dyn LeastSquaresSolver<T> + 'a>> {
        MethodSettings::from(self).least_squares(settings, preconditioner)
    }
}

impl From<Method> for MethodSettings {
    /// Returns the method with its settings at their defaults.
    fn from(method: Method) -> MethodSettings {
        let restart = gmres::RESTART;
        match method {
            Method::Gmres => MethodSettings::Gmres { restart, side: Side::default() },
            Method::Fgmres => MethodSettings::Fgmres { restart },
            Method::Gcr => MethodSettings::Gcr { restart },
            Method::Idr => MethodSettings::Idr { shadow_dimension: idr::SHADOW_DIMENSION },
            Method::Chebyshev => MethodSettings::Chebyshev { bounds: None, estimate_steps: chebyshev::ESTIMATE_STEPS },
            Method::Richardson => MethodSettings::Richardson { damping: richardson::DAMPING },
            method if method.is_least_squares() => MethodSettings::LeastSquares { method, damp: 0.0 },
            plain => MethodSettings::Plain(plain),
        }
    }
}

impl MethodSettings {
    /// Returns the method.
    pub const fn method(&self) -> Method {
        match self {
            MethodSettings::Plain(method) | MethodSettings::LeastSquares { method, .. } => *method,
            MethodSettings::Gmres { .. } => Method::Gmres,
            MethodSettings::Fgmres { .. } => Method::Fgmres,
            MethodSettings::Gcr { .. } => Method::Gcr,
            MethodSettings::Idr { .. } => Method::Idr,
            MethodSettings::Chebyshev { .. } => Method::Chebyshev,
            MethodSettings::Richardson { .. } => Method::Richardson,
        }
    }

    /// Returns the keys of its text, with their values.
    pub fn keys(&self) -> Vec<Key> {
        fields::list(self)
    }

    /// Returns the method for square systems.
    ///
    /// # Errors
    /// [`Error::OtherProblem`] for a method of least squares.
    pub fn solver<'a, T: Scalar>(&self, settings: Settings<'a, T>) -> Result<Box<dyn Solver<T> + 'a>> {
        Ok(match *self {
            MethodSettings::Gmres { restart, side } => Box::new(Gmres::from(settings).restart(restart).side(side)),
            MethodSettings::Fgmres { restart } => Box::new(Fgmres::from(settings).restart(restart)),
            MethodSettings::Gcr { restart } => Box::new(Gcr::from(settings).restart(restart)),
            MethodSettings::Idr { shadow_dimension } => {
                Box::new(Idr::from(settings).shadow_dimension(shadow_dimension))
            }
            MethodSettings::Chebyshev { bounds, estimate_steps } => {
                let solver = Chebyshev::from(settings).estimate_steps(estimate_steps);
                Box::new(bounds.into_iter().fold(solver, |solver, [lower, upper]| solver.bounds(lower, upper)))
            }
            MethodSettings::Richardson { damping } => Box::new(Richardson::from(settings).damping(damping)),
            MethodSettings::LeastSquares { method, .. } => return Err(Error::OtherProblem { method }),
            MethodSettings::Plain(method) => match method {
                Method::Cg => Box::new(Cg::from(settings)),
                Method::PipelinedCg => Box::new(PipelinedCg::from(settings)),
                Method::FlexibleCg => Box::new(FlexibleCg::from(settings)),
                Method::Minres => Box::new(Minres::from(settings)),
                Method::Symmlq => Box::new(Symmlq::from(settings)),
                Method::BiCgStab => Box::new(BiCgStab::from(settings)),
                with_settings => return MethodSettings::from(with_settings).solver(settings),
            },
        })
    }

    /// Returns the method for least squares, with a preconditioner on the domain if there is one.
    ///
    /// # Errors
    /// [`Error::OtherProblem`] for a method for square systems.
    pub fn least_squares<'a, T: Scalar>(
        &self,
        settings: Settings<'a, T>,
        preconditioner: Option<&'a dyn AdjointOperator<T>>,
    ) -> Result<Box<dyn LeastSquaresSolver<T> + 'a>> {
        let (m, damp) = (preconditioner, self.damp());
        Ok(match self.method() {
            Method::Lsqr => boxed(m, Lsqr::from(settings).damp(damp), Lsqr::preconditioner),
            Method::Lsmr => boxed(m, Lsmr::from(settings).damp(damp), Lsmr::preconditioner),
            Method::Cgls => boxed(m, Cgls::from(settings).damp(damp), Cgls::preconditioner),
            method => return Err(Error::OtherProblem { method }),
        })
    }

    /// Returns the weight of `|x|` beside `|b - A x|`, of a method of least squares.
    pub const fn damp(&self) -> f64 {
        match self {
            MethodSettings::LeastSquares { damp, .. } => *damp,
            _ => 0.0,
        }
    }
}

/// Gives a solver its preconditioner, if there is one.
fn boxed<'a, T: Scalar, S: LeastSquaresSolver<T> + 'a>(
    preconditioner: Option<&'a dyn AdjointOperator<T>>,
    solver: S,
    set: impl Fn(S, &'a dyn AdjointOperator<T>) -> S,
) -> Box<dyn LeastSquaresSolver<T> + 'a> {
    Box::new(preconditioner.into_iter().fold(solver, set))
}

impl Named for MethodSettings {
    fn with_defaults(name: &str) -> Result<MethodSettings> {
        Ok(name.parse::<Method>()?.into())
    }

    fn name(&self) -> &'static str {
        self.method().name()
    }

    fn fields(&mut self, fields: &mut Fields) {
        match self {
            MethodSettings::Plain(_) => {}
            MethodSettings::Gmres { restart, side } => {
                fields.count("restart", restart);
                fields.word("side", side, &[("left", Side::Left), ("right", Side::Right)]);
            }
            MethodSettings::Fgmres { restart } | MethodSettings::Gcr { restart } => fields.count("restart", restart),
            MethodSettings::Idr { shadow_dimension } => fields.count("shadow_dimension", shadow_dimension),
            MethodSettings::Chebyshev { bounds, estimate_steps } => {
                fields.interval(["lower", "upper"], bounds);
                fields.count("estimate_steps", estimate_steps);
            }
            MethodSettings::LeastSquares { damp, .. } => fields.real("damp", damp),
            MethodSettings::Richardson { damping } => fields.real("damping", damping),
        }
    }

    fn check(&self) -> Result<()> {
        let title = self.method().title();
        match self {
            MethodSettings::Plain(_) => Ok(()),
            MethodSettings::Gmres { restart, .. }
            | MethodSettings::Fgmres { restart }
            | MethodSettings::Gcr { restart } => gmres::require_restart(title, *restart),
            MethodSettings::Idr { shadow_dimension } => idr::require_shadow_dimension(title, *shadow_dimension),
            MethodSettings::Chebyshev { bounds, estimate_steps } => {
                chebyshev::require_estimate_steps(title, *estimate_steps)?;
                bounds.map_or(Ok(()), |bounds| chebyshev::require_bounds(title, bounds))
            }
            MethodSettings::LeastSquares { damp, .. } => least_squares::require_damp(title, *damp),
            MethodSettings::Richardson { damping } => richardson::require_damping(title, *damping),
        }
    }
}

text!(MethodSettings);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_of_another_problem_is_refused() {
        let refused = Method::Lsqr.solver::<f64>(Settings::new()).err();
        assert_eq!(refused, Some(Error::OtherProblem { method: Method::Lsqr }));
        let refused = Method::Cg.least_squares::<f64>(Settings::new(), None).err();
        assert_eq!(refused, Some(Error::OtherProblem { method: Method::Cg }));
    }

    #[test]
    fn a_solver_has_the_title_of_its_method() {
        for &method in Method::ALL {
            let title = if method.is_least_squares() {
                method.least_squares::<f64>(Settings::new(), None).unwrap().name()
            } else {
                method.solver::<f64>(Settings::new()).unwrap().name()
            };
            assert_eq!(title, method.title());
        }
    }
}
