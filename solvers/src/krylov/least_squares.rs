//! Common parts of methods for least-squares problems: their interface, and the bidiagonalization.

use dolmen_core::{
    AdjointOperator, BlockLayout, BlockOperator, Diagonal, Identity, Product, Real, Scalar, Scaled, Vector,
};

use crate::error::{Error, Result};
use crate::krylov::driver::drive;
use crate::krylov::method::Iteration;
use crate::krylov::problem::{Problem, require_same};
use crate::krylov::snapshot_state::Archive;
use crate::report::SolveReport;
use crate::settings::{Settings, require};

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
                $solver { settings, preconditioner: None, terms: crate::krylov::least_squares::Terms::default() }
            }
        }

        impl<'a, T: dolmen_core::Scalar> $solver<'a, T> {
            /// Sets an operator `M` on the domain, from the right: `min |b - A M y|`, `x = M y`.
            #[must_use]
            pub fn preconditioner(mut self, preconditioner: &'a dyn dolmen_core::AdjointOperator<T>) -> Self {
                self.preconditioner = Some(preconditioner);
                self
            }

            /// Adds a penalty on large solutions (Tikhonov): `min |b - A x|^2 + damp^2 |x|^2`. The solve is that of
            /// `[A; damp I] x = [b; 0]`: norms in settings, stopping tests and report are of its residual, and
            /// `A^H r` becomes `A^H (b - A x) - damp^2 x`.
            #[must_use]
            pub fn damp(mut self, damp: f64) -> Self {
                self.terms.damp = damp;
                self
            }

            /// Weights the equations: `min |W^(1/2) (b - A x)|` with `W` of these entries on the diagonal, on the range of
            /// `A`, real and not negative. Norms in settings, stopping tests and report are of `W^(1/2) (b - A x)`.
            #[must_use]
            pub fn weights(mut self, weights: &'a dolmen_core::Vector<T>) -> Self {
                self.terms.weights = Some(weights);
                self
            }

            /// Minimizes `|b - A x|`; `x` holds the initial guess and becomes the solution, with a guess
            /// of zero and no preconditioner the shortest one. For `b = 0` it becomes zero.
            ///
            /// # Collective
            /// All ranks have the same settings.
            ///
            /// # Errors
            /// Mismatched layouts, a setting out of range or of square systems, a weight that is no number of zero or
            /// more, or a failure in an operator
            /// or a monitor; the same on all ranks; [`Error::OutOfRange`](crate::Error::OutOfRange), after which
            /// `x` is of no use. Not converging is not an error but a [`StopReason`](crate::StopReason).
            pub fn solve(
                &self,
                a: &dyn dolmen_core::AdjointOperator<T>,
                b: &dolmen_core::Vector<T>,
                x: &mut dolmen_core::Vector<T>,
            ) -> crate::error::Result<crate::report::SolveReport> {
                let method = crate::krylov::least_squares::Setup {
                    method: $name,
                    settings: &self.settings,
                    preconditioner: self.preconditioner,
                    terms: &self.terms,
                };
                method.solve(a, b, x, |problem| self.iteration(problem))
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

/// Terms of the objective beside `|b - A x|`.
pub(crate) struct Terms<'a, T> {
    pub(crate) damp: f64,
    pub(crate) weights: Option<&'a Vector<T>>,
}

impl<T> Default for Terms<'_, T> {
    fn default() -> Self {
        Terms { damp: 0.0, weights: None }
    }
}

/// Refuses a damping out of range.
pub(crate) fn require_damp(method: &'static str, damp: f64) -> Result<()> {
    require(method, "damp", damp, damp >= 0.0 && damp.is_finite(), "zero or more, and finite")
}

/// A method of least squares with all that is set on it.
pub(crate) struct Setup<'s, 'a, T> {
    pub(crate) method: &'static str,
    pub(crate) settings: &'s Settings<'a, T>,
    pub(crate) preconditioner: Option<&'a dyn AdjointOperator<T>>,
    pub(crate) terms: &'s Terms<'a, T>,
}

impl<T: Scalar> Setup<'_, '_, T> {
    /// Solves with the operator as it is, or with what damping and weights make of it.
    pub(crate) fn solve<I: Iteration<T>>(
        &self,
        a: &dyn AdjointOperator<T>,
        b: &Vector<T>,
        x: &mut Vector<T>,
        iteration: impl Fn(&Problem<'_, T>) -> Result<I>,
    ) -> Result<SolveReport> {
        let &Terms { damp, weights } = self.terms;
        if damp == 0.0 && weights.is_none() {
            return self.run(a, b, x, iteration);
        }
        let comm = b.comm();
        self.settings.compare(self.method, comm);
        self.compare_terms(b);
        let roots = comm.agree(self.roots(a, b, x))?;
        let (mut a, mut b): (Box<dyn AdjointOperator<T> + '_>, Vector<T>) = (Box::new(a), b.clone());
        if let Some(roots) = roots {
            b.multiply(&roots)?;
            a = Box::new(Product::new(Diagonal::new(roots), a)?);
        }
        if damp != 0.0 {
            let (domain, range) = (BlockLayout::new(&[a.domain()])?, BlockLayout::new(&[a.range(), a.domain()])?);
            let below: Box<dyn AdjointOperator<T> + '_> =
                Box::new(Scaled::new(T::from_parts(damp, 0.0), Identity::new(a.domain())));
            b = range.join(&[&b, &Vector::zeros(a.domain())])?;
            a = Box::new(BlockOperator::new(&domain, &range, vec![vec![Some(a)], vec![Some(below)]])?);
        }
        let report = self.run(&*a, &b, x, iteration)?;
        Ok(SolveReport { damp, weighted: weights.is_some(), ..report })
    }

    fn run<I: Iteration<T>>(
        &self,
        a: &dyn AdjointOperator<T>,
        b: &Vector<T>,
        x: &mut Vector<T>,
        iteration: impl Fn(&Problem<'_, T>) -> Result<I>,
    ) -> Result<SolveReport> {
        let problem = Problem::least_squares(self.method, self.settings, self.preconditioner, a, b, x);
        self.compare_terms(b);
        let iteration = problem.begin(iteration(&problem))?;
        drive(problem, self.settings, iteration, x)
    }

    fn compare_terms(&self, b: &Vector<T>) {
        let Terms { damp, weights } = self.terms;
        b.comm().compare(|| format!("damp {damp:?}\nweights {}", if weights.is_some() { "given" } else { "none" }));
    }

    /// Checks the terms and what they are applied to; gives the square roots of the weights.
    fn roots(&self, a: &dyn AdjointOperator<T>, b: &Vector<T>, x: &Vector<T>) -> Result<Option<Vector<T>>> {
        let &Terms { damp, weights } = self.terms;
        require_damp(self.method, damp)?;
        require_same(self.method, "right-hand side", a.range(), b.layout())?;
        require_same(self.method, "initial guess", a.domain(), x.layout())?;
        let Some(weights) = weights else { return Ok(None) };
        require_same(self.method, "weights", a.range(), weights.layout())?;
        let size = |weight: T| weight.re().to_f64();
        let is_weight = |weight: T| size(weight) >= 0.0 && size(weight).is_finite() && weight.im().to_f64() == 0.0;
        if let Some((row, weight)) = weights.layout().owned_rows().zip(weights.owned()).find(|(_, w)| !is_weight(**w)) {
            return Err(Error::Weight { method: self.method, row, weight: weight.to_string() });
        }
        let mut roots = weights.clone();
        roots.map(|weight| T::from_parts(size(weight).sqrt(), 0.0));
        Ok(Some(roots))
    }
}

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
