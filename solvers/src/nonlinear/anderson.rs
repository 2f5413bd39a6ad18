//! Anderson mixing: a fixed-point iteration that combines the last few points so that their residuals are least (Walker
//! and Ni, SIAM J. Numer. Anal. 49 (2011) 1715, with differences as unknowns, and damping).
//!
//! Stops when `|F(x)| <= max(rtol |F(x0)|, atol)`. Memory: two vectors for each point that is kept. Two reductions an
//! iteration beside that of the norm.

use std::collections::VecDeque;
use std::time::Instant;

use dolmen_core::dense::Cholesky;
use dolmen_core::ndarray::Array2;
use dolmen_core::{LinearOperator, Reduction, Scalar, Vector, profile};

use crate::error::Result;
use crate::nonlinear::evaluation::{Evaluation, Function};
use crate::nonlinear::reason::NonlinearReason;
use crate::nonlinear::report::NonlinearReport;
use crate::nonlinear::settings::{Common, Run, common_setters};
use crate::settings::require;

const NAME: &str = "Anderson mixing";
/// The least pivot of the normalized Gram matrix of differences: where it is smaller, the oldest is dropped.
const INDEPENDENT: f64 = 1e-6;

/// Anderson mixing of the fixed-point iteration `x - damping M F(x)`, with a preconditioner `M`, the identity by default.
/// No Jacobian is needed. Where the iteration contracts it converges much faster, and often where it does not.
pub struct Anderson<'a, T: Scalar> {
    common: Common<'a>,
    depth: usize,
    damping: f64,
    preconditioner: Option<&'a dyn LinearOperator<T>>,
}

impl<T: Scalar> Default for Anderson<'_, T> {
    fn default() -> Self {
        Anderson { common: Common::new(1000), depth: 5, damping: 1.0, preconditioner: None }
    }
}

common_setters!(Anderson);

impl<'a, T: Scalar> Anderson<'a, T> {
    /// Creates the method with its default settings: relative tolerance 1e-8, at most 1000 iterations, five differences,
    /// no damping.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of differences that are combined, 5 by default; zero for the fixed-point iteration itself.
    #[must_use]
    pub fn depth(mut self, depth: usize) -> Self {
        self.depth = depth;
        self
    }

    /// Factor of `M F(x)` in each step, one by default.
    #[must_use]
    pub fn damping(mut self, damping: f64) -> Self {
        self.damping = damping;
        self
    }

    /// An operator that approximates the inverse of the Jacobian.
    #[must_use]
    pub fn preconditioner(mut self, preconditioner: &'a dyn LinearOperator<T>) -> Self {
        self.preconditioner = Some(preconditioner);
        self
    }

    /// Solves `F(x) = 0`; `x` holds the initial guess and becomes the solution, or the last point that was reached.
    /// `function(x, y)` computes `y = F(x)` on all ranks together.
    ///
    /// # Collective
    /// All ranks have the same settings, which the first reduction compares.
    ///
    /// # Errors
    /// Mismatched layouts, a setting out of range, or a failure in the function or the preconditioner on any rank; the same
    /// on all ranks. Not converging is not an error but a [`NonlinearReason`].
    pub fn solve(&self, function: Function<'_, T>, x: &mut Vector<T>) -> Result<NonlinearReport> {
        let (start, comm) = (Instant::now(), x.comm().clone());
        let _event = profile::event(NAME);
        let evaluation = Evaluation::new(function, x.layout());
        let Anderson { depth, damping, preconditioner, .. } = *self;
        self.common.compare(NAME, &comm, || {
            let given = if preconditioner.is_some() { "given" } else { "none" };
            format!("depth {depth}\ndamping {damping:?}\npreconditioner {given}")
        });
        comm.agree(self.check(&evaluation))?;
        let zeros = || Vector::zeros(x.layout());
        let (mut f, mut g, mut before) = (zeros(), zeros(), None::<(Vector<T>, Vector<T>)>);
        let mut history = History::new(depth);
        let residual = evaluation.evaluate(x, &mut f)?;
        let mut run = Run::new(NAME, &self.common, start, residual);
        let reason = loop {
            if let Some(reason) = run.verdict(evaluation.count(), &comm)? {
                break reason;
            }
            match preconditioner {
                Some(m) => m.apply(&f, &mut g)?,
                None => g.copy_from(&f)?,
            }
            g.scale(-T::ONE);
            if let Some((last_x, last_g)) = before.take().filter(|_| depth > 0) {
                history.push(difference(x, last_x)?, difference(&g, last_g)?)?;
            }
            before = Some((x.clone(), g.clone()));
            history.mix(damping, &mut g, x)?;
            let (last, _) = before.as_ref().expect("invariant: just set");
            let step = difference(x, last.clone())?.norm2();
            let residual = evaluation.evaluate(x, &mut f)?;
            run.made(residual, step);
            if step == 0.0 && residual > run.report.target {
                break NonlinearReason::Stagnated;
            }
        };
        run.conclude(reason, &evaluation, x, &mut f)
    }

    fn check(&self, evaluation: &Evaluation<'_, T>) -> Result<()> {
        self.common.check(NAME)?;
        let damping = self.damping;
        require(NAME, "damping", damping, damping.is_finite() && damping != 0.0, "a number other than zero")?;
        let Some(m) = self.preconditioner else { return Ok(()) };
        evaluation.require_same(NAME, "preconditioner", m.domain())?;
        evaluation.require_same(NAME, "preconditioner", m.range())
    }
}

/// Returns `x - y`, in the memory of `y`.
fn difference<T: Scalar>(x: &Vector<T>, mut y: Vector<T>) -> Result<Vector<T>> {
    y.axpby(T::ONE, x, -T::ONE)?;
    Ok(y)
}

/// Differences of points and of residuals, the oldest first, and the inner products of the latter.
struct History<T: Scalar> {
    depth: usize,
    points: VecDeque<Vector<T>>,
    residuals: VecDeque<Vector<T>>,
    gram: Vec<Vec<T::Double>>,
}

impl<T: Scalar> History<T> {
    fn new(depth: usize) -> History<T> {
        History { depth, points: VecDeque::new(), residuals: VecDeque::new(), gram: Vec::new() }
    }

    fn drop_oldest(&mut self) {
        self.points.pop_front();
        self.residuals.pop_front();
        self.gram.remove(0);
        for row in &mut self.gram {
            row.remove(0);
        }
    }

    /// # Collective
    /// One reduction.
    fn push(&mut self, point: Vector<T>, residual: Vector<T>) -> Result<()> {
        if self.points.len() == self.depth {
            self.drop_oldest();
        }
        self.points.push_back(point);
        self.residuals.push_back(residual);
        let all = self.residuals.make_contiguous();
        let mut products = vec![T::Double::ZERO; all.len()];
        all[all.len() - 1].multi_dot(all, Reduction::Reproducible, &mut products)?;
        for (row, &product) in self.gram.iter_mut().zip(&products) {
            row.push(product);
        }
        self.gram.push(products.iter().map(|product| product.conj()).collect());
        Ok(())
    }

    /// Adds the step to `x`: the combination of points whose residual is least, and `damping` times that residual; `g` is
    /// the residual at `x`, and becomes that of the combination.
    ///
    /// # Collective
    /// One reduction.
    fn mix(&mut self, damping: f64, g: &mut Vector<T>, x: &mut Vector<T>) -> Result<()> {
        let mut products = vec![T::Double::ZERO; self.residuals.len()];
        if !products.is_empty() {
            g.multi_dot(self.residuals.make_contiguous(), Reduction::Reproducible, &mut products)?;
        }
        let factors: Vec<T> = self.least_squares(&products).into_iter().map(|value| -T::from_double(value)).collect();
        if !factors.is_empty() {
            x.multi_axpy(&factors, self.points.make_contiguous())?;
            g.multi_axpy(&factors, self.residuals.make_contiguous())?;
        }
        Ok(x.axpy(T::from_parts(damping, 0.0), g)?)
    }

    /// Solves the normal equations of the differences, normalized; drops the oldest until they are independent.
    fn least_squares(&mut self, products: &[T::Double]) -> Vec<T::Double> {
        loop {
            let (kept, all) = (self.gram.len(), products.len());
            let sizes: Vec<f64> = (0..kept).map(|i| self.gram[i][i].re().sqrt()).collect();
            let scaled = |value: T::Double, size: f64| value / T::Double::from_parts(size, 0.0);
            let normalized = Array2::from_shape_fn((kept, kept), |(i, j)| scaled(self.gram[i][j], sizes[i] * sizes[j]));
            let is_regular = sizes.iter().all(|size| *size > 0.0 && size.is_finite());
            let factored = is_regular.then(|| Cholesky::factor(normalized.view()).ok()).flatten();
            let least = |factor: &Cholesky<T::Double>| factor.l().diag().iter().all(|pivot| pivot.re() > INDEPENDENT);
            if let Some(factor) = factored.filter(least) {
                let mut unknowns: Vec<T::Double> =
                    products[all - kept..].iter().zip(&sizes).map(|(&value, &size)| scaled(value, size)).collect();
                factor.solve(&mut unknowns).expect("invariant: one column");
                return unknowns.into_iter().zip(&sizes).map(|(value, &size)| scaled(value, size)).collect();
            }
            self.drop_oldest();
        }
    }
}
