//! Newton's method: `J d = -F` solved by any linear method to a tolerance that follows the progress, and a step along `d`
//! that makes `|F|` smaller (Kelley, "Solving Nonlinear Equations with Newton's Method", 2003).
//!
//! Stops when `|F(x)| <= max(rtol |F(x0)|, atol)`.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use dolmen_core::{Comm, CsrMatrix, LinearOperator, Scalar, Vector, profile};

use crate::choice::{Factorization, Method, MethodSettings, PreconditionerSettings, SolverChoice};
use crate::error::{Error, Result};
use crate::nonlinear::evaluation::{Evaluation, Function};
use crate::nonlinear::forcing::Forcing;
use crate::nonlinear::jacobian::{Jacobian, Products};
use crate::nonlinear::line_search::{Line, LineSearch, invisible};
use crate::nonlinear::products::DifferenceProducts;
use crate::nonlinear::reason::NonlinearReason;
use crate::nonlinear::report::NonlinearReport;
use crate::nonlinear::settings::{Common, Run, common_setters, epsilon};
use crate::nonlinear::trust_region::Model;
use crate::report::SolveReport;
use crate::settings::{Settings, require};

/// A preconditioner that owns what it needs.
type Preconditioner<T> = Box<dyn LinearOperator<T>>;
/// Makes a preconditioner of a matrix.
type Make<'a, T> = dyn FnMut(&Rc<CsrMatrix<T>>) -> Result<Preconditioner<T>> + 'a;

/// Newton's method with a line search or a trust region.
///
/// ```no_run
/// # use dolmen_core::{CsrMatrix, LinearOperator, Vector};
/// # use dolmen_solvers::{Jacobian, Newton, Result};
/// # fn f(a: &CsrMatrix<f64>, x: &mut Vector<f64>) -> Result<()> {
/// // A x + x^3 = 1, its Jacobian A + 3 diag(x^2).
/// let function = |x: &Vector<f64>, y: &mut Vector<f64>| {
///     a.apply(x, y)?;
///     y.map_with(x, |y, x| y + x * x * x - 1.0)
/// };
/// let diagonal = a.diagonal().unwrap();
/// let mut jacobian = Jacobian::matrix(a.clone(), |x, j| {
///     let values = x.range().zip(x.owned()).zip(diagonal.owned());
///     j.set(values.map(|((row, x), d)| (row, row, d + 3.0 * x * x)))
/// });
/// let newton = Newton::new().linear("cg, multigrid".parse()?);
/// newton.solve(&function, &mut jacobian, x)?.require_converged()?;
/// # Ok(()) }
/// ```
pub struct Newton<'a, T: Scalar> {
    common: Common<'a>,
    forcing: Forcing,
    globalization: Globalization,
    method: MethodSettings,
    preconditioning: Preconditioning<'a, T>,
    max_linear_iterations: usize,
    lag_jacobian: usize,
    lag_preconditioner: usize,
    projection: Option<&'a dyn LinearOperator<T>>,
}

/// Guard against steps that go too far.
#[derive(Clone, Copy, Debug)]
enum Globalization {
    Line(LineSearch),
    /// The first radius; `None` for the length of the Newton step.
    Region(Option<f64>),
}

/// Source of the preconditioner.
enum Preconditioning<'a, T: Scalar> {
    /// A complete factorization if the Jacobian is a matrix, none otherwise.
    Default,
    Settings(PreconditionerSettings),
    Fixed(&'a dyn LinearOperator<T>),
    Made(RefCell<&'a mut Make<'a, T>>),
}

impl<T: Scalar> Default for Newton<'_, T> {
    fn default() -> Self {
        Newton {
            common: Common::new(50),
            forcing: Forcing::EisenstatWalker,
            globalization: Globalization::Line(LineSearch::default()),
            method: Method::Gmres.into(),
            preconditioning: Preconditioning::Default,
            max_linear_iterations: 1000,
            lag_jacobian: 1,
            lag_preconditioner: 1,
            projection: None,
        }
    }
}

common_setters!(Newton);

impl<'a, T: Scalar> Newton<'a, T> {
    /// Creates the method with its default settings: relative tolerance 1e-8, at most 50 iterations, a cubic line search,
    /// Eisenstat and Walker's tolerances, GMRES with at most 1000 iterations, preconditioned by a complete factorization
    /// on one rank where the Jacobian has a matrix.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the part of each step that a line search finds. This is the default, with [`LineSearch::Cubic`].
    #[must_use]
    pub fn line_search(mut self, line_search: LineSearch) -> Self {
        self.globalization = Globalization::Line(line_search);
        self
    }

    /// Keeps steps within a trust region, on Powell's dogleg, instead of a line search. The first `radius` is the length of
    /// the first Newton step if it is `None`. The Jacobian has to be a matrix, since products with its adjoint are needed.
    #[must_use]
    pub fn trust_region(mut self, radius: Option<f64>) -> Self {
        self.globalization = Globalization::Region(radius);
        self
    }

    /// Chooses the tolerances of linear solves.
    #[must_use]
    pub fn forcing(mut self, forcing: Forcing) -> Self {
        self.forcing = forcing;
        self
    }

    /// Chooses the linear method, and the preconditioner if the choice names one: `"cg, multigrid".parse()?`.
    #[must_use]
    pub fn linear(mut self, choice: SolverChoice) -> Self {
        self.method = choice.method;
        if let Some(settings) = choice.preconditioner {
            self.preconditioning = Preconditioning::Settings(settings);
        }
        self
    }

    /// Uses one preconditioner for all linear solves.
    #[must_use]
    pub fn preconditioner(mut self, preconditioner: &'a dyn LinearOperator<T>) -> Self {
        self.preconditioning = Preconditioning::Fixed(preconditioner);
        self
    }

    /// Makes preconditioners of the Jacobian's matrix by a function, which is called on all ranks together.
    #[must_use]
    pub fn make_preconditioner(mut self, make: &'a mut Make<T>) -> Self {
        self.preconditioning = Preconditioning::Made(RefCell::new(make));
        self
    }

    /// Maximum number of iterations of a linear solve, 1000 by default.
    #[must_use]
    pub fn max_linear_iterations(mut self, iterations: usize) -> Self {
        self.max_linear_iterations = iterations;
        self
    }

    /// Computes the matrix of the Jacobian in every `iterations`-th iteration only, and where a step with an older one
    /// fails. One by default: in each.
    #[must_use]
    pub fn lag_jacobian(mut self, iterations: usize) -> Self {
        self.lag_jacobian = iterations;
        self
    }

    /// Makes the preconditioner in every `iterations`-th iteration only, and where a linear solve or a step with an older
    /// one fails. One by default: in each.
    #[must_use]
    pub fn lag_preconditioner(mut self, iterations: usize) -> Self {
        self.lag_preconditioner = iterations;
        self
    }

    /// Projects a null space of the Jacobian, and of its adjoint, out of linear solves; see
    /// [`Settings::projection`](crate::Settings::projection).
    #[must_use]
    pub fn projection(mut self, projection: &'a dyn LinearOperator<T>) -> Self {
        self.projection = Some(projection);
        self
    }

    /// Solves `F(x) = 0`; `x` holds the initial guess and becomes the solution, or the last point that was reached.
    /// `function(x, y)` computes `y = F(x)` on all ranks together.
    ///
    /// # Collective
    /// All ranks have the same settings, which the first reduction compares.
    ///
    /// # Errors
    /// Mismatched layouts, a setting out of range, [`Error::NoMatrix`] where one is needed, or a failure in the function, the
    /// Jacobian or an operator on any rank; the same on all ranks. Not converging is not an error but a
    /// [`NonlinearReason`].
    pub fn solve(
        &self,
        function: Function<'_, T>,
        jacobian: &mut Jacobian<'_, T>,
        x: &mut Vector<T>,
    ) -> Result<NonlinearReport> {
        let (start, comm) = (Instant::now(), x.comm().clone());
        let _event = profile::event(self.name());
        let evaluation = Evaluation::new(function, x.layout());
        self.compare(&comm, jacobian);
        comm.agree(self.check(&evaluation, jacobian))?;
        let mut f = Vector::zeros(x.layout());
        let residual = evaluation.evaluate(x, &mut f)?;
        let run = Run::new(self.name(), &self.common, start, residual);
        let work = [(); 4].map(|()| Vector::zeros(x.layout()));
        let radius = if let Globalization::Region(radius) = self.globalization { radius } else { None };
        let mut state =
            State { newton: self, run, evaluation, f, work, radius, preconditioner: None, ages: None, forced: None };
        let reason = loop {
            if let Some(reason) = state.run.verdict(state.evaluation.count(), &comm)? {
                break reason;
            }
            if let Some(reason) = state.iterate(jacobian, x)? {
                break reason;
            }
        };
        let State { run, evaluation, mut f, .. } = state;
        run.conclude(reason, &evaluation, x, &mut f)
    }

    fn name(&self) -> &'static str {
        match self.globalization {
            Globalization::Line(_) => "Newton with line search",
            Globalization::Region(_) => "Newton with trust region",
        }
    }

    fn compare(&self, comm: &Comm, jacobian: &Jacobian<'_, T>) {
        self.common.compare(self.name(), comm, || {
            let Newton {
                forcing, globalization, method, max_linear_iterations, lag_jacobian, lag_preconditioner, ..
            } = self;
            let preconditioning = match &self.preconditioning {
                Preconditioning::Default => "default".to_owned(),
                Preconditioning::Settings(settings) => settings.to_string(),
                Preconditioning::Fixed(_) => "given".to_owned(),
                Preconditioning::Made(_) => "made by a function".to_owned(),
            };
            let projection = if self.projection.is_some() { "given" } else { "none" };
            format!(
                "Jacobian {}\nforcing {forcing:?}\nglobalization {globalization:?}\nlinear method {method}\n\
                 preconditioner {preconditioning}\nmax_linear_iterations {max_linear_iterations}\n\
                 lag_jacobian {lag_jacobian}\nlag_preconditioner {lag_preconditioner}\nprojection {projection}",
                jacobian.kind()
            )
        });
    }

    fn check(&self, evaluation: &Evaluation<'_, T>, jacobian: &Jacobian<'_, T>) -> Result<()> {
        let method = self.name();
        self.common.check(method)?;
        self.forcing.check(method)?;
        for (setting, lag) in [("lag_jacobian", self.lag_jacobian), ("lag_preconditioner", self.lag_preconditioner)] {
            require(method, setting, lag as f64, lag > 0, "one or more")?;
        }
        if self.method.method().is_least_squares() {
            return Err(Error::OtherProblem { method: self.method.method() });
        }
        jacobian.check(method, evaluation)?;
        if let Globalization::Region(radius) = self.globalization {
            let radius = radius.unwrap_or(1.0);
            require(method, "radius", radius, radius > 0.0 && radius.is_finite(), "a positive number")?;
            if !matches!(jacobian.products, Products::Matrix) {
                return Err(Error::NoMatrix { method });
            }
        }
        let fixed = if let Preconditioning::Fixed(m) = self.preconditioning { Some(m) } else { None };
        for inner in fixed.into_iter().chain(self.projection) {
            evaluation.require_same(method, "preconditioner or projection", inner.domain())?;
            evaluation.require_same(method, "preconditioner or projection", inner.range())?;
        }
        let needs_matrix = match &self.preconditioning {
            Preconditioning::Settings(settings) => *settings != PreconditionerSettings::None,
            Preconditioning::Made(_) => true,
            Preconditioning::Default | Preconditioning::Fixed(_) => false,
        };
        if needs_matrix && jacobian.assembled().is_none() { Err(Error::NoMatrix { method }) } else { Ok(()) }
    }
}

/// A solve under way.
struct State<'s, 'a, 'f, T: Scalar> {
    newton: &'s Newton<'a, T>,
    run: Run<'s, 'a>,
    evaluation: Evaluation<'f, T>,
    /// `F(x)`.
    f: Vector<T>,
    /// `-F`, the direction, the point that is tried, and `F` there or `J` times the direction.
    work: [Vector<T>; 4],
    radius: Option<f64>,
    preconditioner: Option<Preconditioner<T>>,
    /// Iterations since the matrix and the preconditioner were made; `None` if both have to be.
    ages: Option<[usize; 2]>,
    /// The last forcing term, and `|F|` where it was used.
    forced: Option<(f64, f64)>,
}

impl<T: Scalar> State<'_, '_, '_, T> {
    /// Makes one iteration, or finds out that a step needs a newer Jacobian or preconditioner. Gives the reason to stop if
    /// no step can be made.
    ///
    /// # Collective
    fn iterate(&mut self, jacobian: &mut Jacobian<'_, T>, x: &mut Vector<T>) -> Result<Option<NonlinearReason>> {
        let residual = self.run.residual();
        let is_new = match self.renew(jacobian, x) {
            Err(error) if is_of_values(error.cause()) => {
                self.run.report.failure = Some(error);
                return Ok(Some(NonlinearReason::PreconditionerFailed));
            }
            renewed => renewed?,
        };
        let eta = self.newton.forcing.next(self.forced, residual, self.run.report.target);
        let newton = self.newton;
        let State { evaluation, f, work: [rhs, direction, moved, other], .. } = self;
        let matrix = jacobian.assembled().map(Rc::clone);
        let (made, differences);
        let operator: &dyn LinearOperator<T> = match &mut jacobian.products {
            Products::Matrix => &**matrix.as_ref().expect("invariant: checked before the first iteration"),
            Products::Operator(make) => {
                self.run.report.jacobians += 1;
                made = x.comm().agree(make(x))?;
                &*made
            }
            Products::Differences => {
                differences = DifferenceProducts::new(evaluation, x, f);
                &differences
            }
        };
        rhs.copy_from(f)?;
        rhs.scale(-T::ONE);
        direction.fill(T::ZERO);
        let m = match newton.preconditioning {
            Preconditioning::Fixed(m) => Some(m),
            _ => self.preconditioner.as_deref(),
        };
        let solved = newton.solve_linear(operator, m, eta, rhs, direction)?;
        self.run.report.linear_iterations += solved.iterations;
        self.run.report.linear_failures += usize::from(!solved.converged());
        if !(solved.converged() || solved.true_residual < residual) {
            return Ok(self.expire(is_new, NonlinearReason::LinearSolveFailed));
        }
        let (step, size) = (direction.norm2(), x.norm2());
        let taken = match newton.globalization {
            Globalization::Line(line_search) => {
                operator.apply(direction, other)?;
                let slope = f.dot(other)?.re();
                let line = Line { x, direction, residual, slope, invisible: invisible::<T>(step, size) };
                line_search.search(evaluation, &line, moved, other)?.map(|(part, residual)| (part * step, residual))
            }
            Globalization::Region(_) => {
                let jacobian = &**matrix.as_ref().expect("invariant: checked before the first iteration");
                let model = Model { jacobian, x, f, residual, newton: direction };
                model.step(evaluation, &mut self.radius, moved, other)?
            }
        };
        let Some((length, reached)) = taken else {
            let hidden = step <= epsilon::<T>().powf(0.75) * size;
            return Ok(self.expire(is_new, if hidden { NonlinearReason::Stagnated } else { newton.failure() }));
        };
        std::mem::swap(x, moved);
        std::mem::swap(f, other);
        self.forced = Some((eta, residual));
        self.run.made(reached, length);
        for age in self.ages.iter_mut().flatten() {
            *age += 1;
        }
        let is_still = length <= epsilon::<T>() * size && reached > self.run.report.target;
        Ok(is_still.then_some(NonlinearReason::Stagnated))
    }

    /// Fills the matrix and makes the preconditioner where they are due; tells whether both are those of `x`.
    ///
    /// # Collective
    fn renew(&mut self, jacobian: &mut Jacobian<'_, T>, x: &Vector<T>) -> Result<bool> {
        let Newton { lag_jacobian, lag_preconditioner, .. } = *self.newton;
        let [mut matrix_age, mut preconditioner_age] = self.ages.unwrap_or([lag_jacobian, lag_preconditioner]);
        if matrix_age >= lag_jacobian {
            let assembled = jacobian.assemble(self.newton.name(), &self.evaluation, x, &self.f)?;
            self.run.report.jacobians += usize::from(assembled && matches!(jacobian.products, Products::Matrix));
            matrix_age = 0;
        }
        if preconditioner_age >= lag_preconditioner {
            self.preconditioner = jacobian.assembled().map(|a| self.newton.precondition(a)).transpose()?.flatten();
            self.run.report.preconditioners += usize::from(self.preconditioner.is_some());
            preconditioner_age = 0;
        }
        self.ages = Some([matrix_age, preconditioner_age]);
        Ok(matrix_age == 0 && preconditioner_age == 0)
    }

    /// Gives up for a reason if the Jacobian and the preconditioner are those of this point; otherwise has them made anew.
    fn expire(&mut self, is_new: bool, reason: NonlinearReason) -> Option<NonlinearReason> {
        self.ages = None;
        is_new.then_some(reason)
    }
}

/// Returns true for an error of a preconditioner that the values of a matrix cause, and not its shape or a setting.
fn is_of_values(error: &Error) -> bool {
    matches!(
        error,
        Error::Unfit { .. }
            | Error::Level { .. }
            | Error::Singular { .. }
            | Error::Unstable { .. }
            | Error::NoSpectrum { .. }
    )
}

impl<T: Scalar> Newton<'_, T> {
    fn solve_linear(
        &self,
        operator: &dyn LinearOperator<T>,
        m: Option<&dyn LinearOperator<T>>,
        eta: f64,
        b: &Vector<T>,
        x: &mut Vector<T>,
    ) -> Result<SolveReport> {
        let mut settings = Settings::new().rtol(eta).max_iterations(self.max_linear_iterations);
        settings = m.into_iter().fold(settings, Settings::preconditioner);
        settings = self.projection.into_iter().fold(settings, Settings::projection);
        self.method.solver(settings)?.solve(operator, b, x)
    }

    /// Makes a preconditioner of the Jacobian's matrix, if one is made of it.
    ///
    /// # Collective
    fn precondition(&self, a: &Rc<CsrMatrix<T>>) -> Result<Option<Preconditioner<T>>> {
        let direct = PreconditionerSettings::Direct { factorization: Factorization::Lu };
        let settings = match &self.preconditioning {
            Preconditioning::Fixed(_) => return Ok(None),
            Preconditioning::Made(make) => return Ok(Some((*make.borrow_mut())(a)?)),
            Preconditioning::Settings(settings) => settings,
            Preconditioning::Default => &direct,
        };
        Ok(settings.make_shared(a)?.map(|made| made as Preconditioner<T>))
    }

    /// Returns the reason of a step that fails.
    fn failure(&self) -> NonlinearReason {
        match self.globalization {
            Globalization::Line(LineSearch::Full) => NonlinearReason::NotFinite,
            Globalization::Line(_) => NonlinearReason::LineSearchFailed,
            Globalization::Region(_) => NonlinearReason::TrustRegionFailed,
        }
    }
}
