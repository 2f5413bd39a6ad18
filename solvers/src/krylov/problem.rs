//! The problem that a method solves: operators, right-hand side, norm and projection. Products, preconditionings and
//! sums are made here, and counted.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::fmt::Debug;
use std::time::Instant;

use dolmen_core::scaling::scaled;
use dolmen_core::{
    AdjointOperator, Layout, LinearOperator, Real, Reduction, Scalar, Snapshot, Vector, dots, profile, update_dots,
};

use crate::error::{Error, Result};
use crate::krylov::powers::{self, Numbers, Power, Powers, vector_power};
use crate::krylov::stopping::Votes;
use crate::norm::Norm;
use crate::settings::Settings;

/// The operators of a solve, times the powers of two that [`powers`] tells of.
pub(crate) struct Problem<'s, T: Scalar> {
    pub(crate) start: Instant,
    pub(crate) method: &'static str,
    /// For its layouts; [`Problem::apply`] applies it.
    pub(crate) a: &'s dyn LinearOperator<T>,
    /// `b`, or `2^-power b`.
    pub(crate) b: Cow<'s, Vector<T>>,
    /// The power of the right-hand side.
    rhs_power: i32,
    pub(crate) powers: Powers,
    /// Operands on the domain and the range, times a power of two.
    rooms: [RefCell<Option<Vector<T>>>; 2],
    preconditioner: Option<&'s dyn LinearOperator<T>>,
    projection: Option<&'s dyn LinearOperator<T>>,
    adjoint: Option<Adjoints<'s, T>>,
    pub(crate) reduction: Reduction,
    pub(crate) norm: Norm,
    pub(crate) applications: Cell<usize>,
    pub(crate) preconditionings: Cell<usize>,
    /// The largest `|A v| / |v|` seen so far, in least squares.
    pub(crate) operator_norm: Cell<f64>,
    /// The residual norm at or below which the solve is to stop.
    pub(crate) target: Cell<f64>,
    pub(crate) votes: Votes,
    /// Takes projections, which do not work in place, and adjoints before they are preconditioned.
    scratch: RefCell<Vector<T>>,
    /// Error of this rank, until the ranks agree on it.
    refused: Cell<Option<Error>>,
}

/// The operators of a least-squares problem once more, with their adjoints.
struct Adjoints<'s, T> {
    a: &'s dyn AdjointOperator<T>,
    preconditioner: Option<&'s dyn AdjointOperator<T>>,
}

impl<'s, T: Scalar> Problem<'s, T> {
    /// For a square system. No communication: what is refused is noted, until the ranks agree on it by
    /// [`Problem::begin`].
    pub(crate) fn square<'a: 's>(
        method: &'static str,
        settings: &Settings<'a, T>,
        a: &'s dyn LinearOperator<T>,
        b: &'s Vector<T>,
        x: &Vector<T>,
    ) -> Problem<'s, T> {
        settings.compare(method, b.comm());
        let problem = Problem::new(method, settings, a, b, settings.preconditioner);
        problem.require(settings.check(method));
        problem.require_same("operator", a.domain(), a.range());
        problem.require_same("right-hand side", a.range(), b.layout());
        problem.require_same("initial guess", a.domain(), x.layout());
        for inner in [settings.preconditioner, settings.projection].into_iter().flatten() {
            problem.require_same("preconditioner or projection", a.range(), inner.domain());
            problem.require_same("preconditioner or projection", a.domain(), inner.range());
        }
        problem
    }

    /// For a least-squares problem, preconditioned from the right: `A M y = b`, `x = M y`. No communication, as
    /// [`Problem::square`].
    pub(crate) fn least_squares<'a: 's>(
        method: &'static str,
        settings: &Settings<'a, T>,
        preconditioner: Option<&'s dyn AdjointOperator<T>>,
        a: &'s dyn AdjointOperator<T>,
        b: &'s Vector<T>,
        x: &Vector<T>,
    ) -> Problem<'s, T> {
        settings.compare(method, b.comm());
        let forward = preconditioner.map(|m| m as &dyn LinearOperator<T>);
        let adjoint = Some(Adjoints { a, preconditioner });
        let problem = Problem { adjoint, ..Problem::new(method, settings, a, b, forward) };
        problem.require(settings.check(method));
        let refused = [
            ("preconditioner", settings.preconditioner.is_some()),
            ("projection", settings.projection.is_some()),
            ("norm", settings.norm != Norm::True),
        ];
        for (setting, _) in refused.into_iter().filter(|(_, given)| *given) {
            problem.require(Err(Error::NotForLeastSquares { method, setting }));
        }
        problem.require_same("right-hand side", a.range(), b.layout());
        problem.require_same("initial guess", a.domain(), x.layout());
        if let Some(m) = preconditioner {
            problem.require_same("preconditioner", a.domain(), m.domain());
            problem.require_same("preconditioner", a.domain(), m.range());
        }
        problem
    }

    /// Notes what this rank refuses; the first is told.
    pub(crate) fn require(&self, accepted: Result<()>) {
        let first = self.refused.take().or(accepted.err());
        self.refused.set(first);
    }

    pub(crate) fn require_same(&self, what: &'static str, expected: &Layout, found: &Layout) {
        self.require(require_same(self.method, what, expected, found));
    }

    /// Lets the ranks agree on what they refuse, before the first sum and product.
    ///
    /// # Collective
    /// One reduction, in which the settings are compared.
    pub(crate) fn begin<V>(&self, prepared: Result<V>) -> Result<V> {
        self.b.comm().agree(self.refused.take().map_or(prepared, Err))
    }

    fn new<'a: 's>(
        method: &'static str,
        settings: &Settings<'a, T>,
        a: &'s dyn LinearOperator<T>,
        b: &'s Vector<T>,
        preconditioner: Option<&'s dyn LinearOperator<T>>,
    ) -> Problem<'s, T> {
        let (powers, rhs) = settings.resume.map(|snapshot| Powers::resumed(snapshot, 1)).unwrap_or_default();
        let mut problem = Problem {
            start: Instant::now(),
            method,
            a,
            b: Cow::Borrowed(b),
            rhs_power: 0,
            powers,
            rooms: Default::default(),
            preconditioner,
            projection: settings.projection,
            adjoint: None,
            reduction: settings.reduction,
            norm: settings.norm,
            applications: Cell::new(0),
            preconditionings: Cell::new(0),
            operator_norm: Cell::new(0.0),
            target: Cell::new(0.0),
            votes: Votes::new(settings, b.comm()),
            scratch: RefCell::new(Vector::zeros(a.domain())),
            refused: Cell::default(),
        };
        problem.scale_rhs(rhs.first().copied().unwrap_or(0));
        problem
    }

    /// Computes `b = 2^-power b`.
    fn scale_rhs(&mut self, power: i32) {
        if power != 0 {
            self.b.to_mut().scale_by(-power);
            self.rhs_power += power;
        }
    }

    /// Lets the next reduction compare a setting of the method over the ranks.
    pub(crate) fn compare(&self, setting: &str, value: &dyn Debug) {
        self.b.comm().compare(|| format!("{setting} {value:?}"));
    }

    /// Brings the right-hand side to an ordinary size, unless it has been. Gives `P b` and its norm.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] if the norm overflows.
    pub(crate) fn rhs(&mut self, resumes: bool) -> Result<(Vector<T>, f64)> {
        let mut r = self.b.as_ref().clone();
        self.project(&mut r)?;
        let norm = r.try_norm2()?;
        powers::require_norm(self.method, &r, norm)?;
        let power = if resumes { 0 } else { vector_power::<T>(norm) };
        if power == 0 {
            return Ok((r, norm));
        }
        self.scale_rhs(power);
        r.scale_by(-power);
        let norm = r.norm2();
        Ok((r, norm))
    }

    /// Adds the powers of two to a snapshot.
    pub(crate) fn save_powers(&self, snapshot: &mut Snapshot<T>) {
        self.powers.save(snapshot, &[self.rhs_power]);
    }

    /// Residuals of the user's system are `2^power` times those of the solve, in the requested norm.
    pub(crate) fn residual_power(&self) -> i32 {
        let preconditioner = self.powers.preconditioner.get();
        self.rhs_power
            + match self.norm {
                Norm::True => 0,
                Norm::Preconditioned => preconditioner,
                // Powers of operators are even.
                Norm::Natural => preconditioner / 2,
            }
    }

    /// The right-hand side and true residuals of the user's system are `2^power` times those of the solve.
    pub(crate) fn rhs_power(&self) -> i32 {
        self.rhs_power
    }

    /// The user's `M^H A^H r` is `2^power` times that of the solve.
    pub(crate) fn normal_power(&self) -> i32 {
        self.rhs_power + self.product_power()
    }

    /// The user's `M A` is `2^power` times that of the solve.
    pub(crate) fn product_power(&self) -> i32 {
        self.powers.operator.get() + self.powers.preconditioner.get()
    }

    /// Takes the user's `M A` to be of this size, if nothing is known of `A`.
    pub(crate) fn assume_operator_preconditioned(&self, size: f64) {
        self.powers.operator.assume::<T>(scaled(size, -self.powers.preconditioner.get()));
    }

    /// The user's `x` is `2^power` times that of the solve.
    pub(crate) fn solution_power(&self) -> i32 {
        self.rhs_power - self.powers.operator.get()
    }

    /// Creates a vector of zeros on the domain.
    pub(crate) fn zeros(&self) -> Vector<T> {
        Vector::zeros(self.a.domain())
    }

    /// Refuses other norms than the true one, for methods that know no other. Without a
    /// preconditioner all are the same.
    pub(crate) fn require_true_norm(&self) {
        if self.norm != Norm::True && self.is_preconditioned() {
            self.require(Err(Error::Norm { method: self.method, norm: self.norm }));
        }
    }

    pub(crate) fn is_preconditioned(&self) -> bool {
        self.preconditioner.is_some()
    }

    pub(crate) fn is_least_squares(&self) -> bool {
        self.adjoint.is_some()
    }

    /// Computes `y = A x`.
    pub(crate) fn apply(&self, x: &Vector<T>, y: &mut Vector<T>) -> Result<()> {
        self.powers.operator.apply(&self.rooms[0], x, y, |x, y| {
            self.applications.set(self.applications.get() + 1);
            Ok(self.a.apply(x, y)?)
        })
    }

    /// Computes `y = P A x`, for methods that orthogonalize what `A` gives.
    pub(crate) fn apply_projected(&self, x: &Vector<T>, y: &mut Vector<T>) -> Result<()> {
        self.apply(x, y)?;
        self.project(y)
    }

    /// Computes `r = P (b - A x)`.
    pub(crate) fn residual(&self, x: &Vector<T>, r: &mut Vector<T>) -> Result<()> {
        self.apply(x, r)?;
        self.subtract_from_rhs(r)
    }

    /// Computes `r = P (b - r)`.
    fn subtract_from_rhs(&self, r: &mut Vector<T>) -> Result<()> {
        r.axpby(T::ONE, &self.b, -T::ONE)?;
        self.project(r)
    }

    /// Takes the user's guess `x` to the units of the solve; `r = P (b - A x)`.
    pub(crate) fn take_guess(&self, x: &mut Vector<T>, r: &mut Vector<T>) -> Result<()> {
        let size = x.norm2();
        let power = vector_power::<T>(size);
        x.scale_by(-power);
        self.apply(x, r)?;
        if size > 0.0 && !self.powers.operator.is_known() {
            // The units of x follow from the size of the operator, of which a vector in its null space says nothing.
            self.learn_from_rhs()?;
        }
        let power = power - self.solution_power();
        x.scale_by(power);
        r.scale_by(power);
        self.subtract_from_rhs(r)
    }

    fn learn_from_rhs(&self) -> Result<()> {
        let mut image = self.zeros();
        match self.is_least_squares() {
            true => self.apply_adjoint(&self.b, &mut image)?,
            false => self.apply(&self.b, &mut image)?,
        }
        if !self.powers.operator.is_known() {
            self.powers.operator.set(0);
        }
        Ok(())
    }

    /// Computes `z = P M r`.
    pub(crate) fn precondition(&self, r: &Vector<T>, z: &mut Vector<T>) -> Result<()> {
        match self.preconditioner {
            Some(m) => self.precondition_by(m, &self.powers.preconditioner, r, z),
            None => {
                z.copy_from(r)?;
                self.project(z)
            }
        }
    }

    /// Computes `z = P R r` with the part `R` of a split preconditioner that stands on the right.
    pub(crate) fn precondition_right(&self, m: &dyn LinearOperator<T>, r: &Vector<T>, z: &mut Vector<T>) -> Result<()> {
        self.precondition_by(m, &self.powers.right, r, z)
    }

    fn precondition_by(
        &self,
        m: &dyn LinearOperator<T>,
        power: &Power,
        r: &Vector<T>,
        z: &mut Vector<T>,
    ) -> Result<()> {
        power.apply(&self.rooms[0], r, z, |r, z| {
            self.count_preconditioning();
            let _event = profile::event("PCApply");
            Ok(m.apply(r, z)?)
        })?;
        self.project(z)
    }

    /// Returns a vector for `P M r`; `None` where that is `r`.
    pub(crate) fn room(&self) -> Option<Vector<T>> {
        (!self.leaves_residuals()).then(|| self.zeros())
    }

    /// Returns `P M r`, in what [`Problem::room`] gave.
    pub(crate) fn preconditioned<'v>(&self, r: &'v Vector<T>, z: &'v mut Option<Vector<T>>) -> Result<&'v Vector<T>> {
        let Some(z) = z else { return Ok(r) };
        self.precondition(r, z)?;
        Ok(z)
    }

    /// Returns true if `P M r` is `r`.
    pub(crate) fn leaves_residuals(&self) -> bool {
        self.preconditioner.is_none() && self.projection.is_none()
    }

    /// Returns the entries of `P M` where it is a diagonal matrix, for a method that multiplies with them in the
    /// pass that needs the products, and counts that.
    pub(crate) fn diagonal(&self) -> Option<Cow<'s, Vector<T>>> {
        let diagonal = self.preconditioner.filter(|_| self.projection.is_none())?.as_diagonal()?;
        let power = &self.powers.preconditioner;
        if !power.is_known() {
            power.assume::<T>(diagonal.norm_inf().to_f64());
        }
        let mut diagonal = Cow::Borrowed(diagonal);
        if power.get() != 0 {
            diagonal.to_mut().scale_by(-power.get());
        }
        Some(diagonal)
    }

    /// Counts a preconditioning that a method did itself.
    pub(crate) fn count_preconditioning(&self) {
        self.preconditionings.set(self.preconditionings.get() + 1);
    }

    /// Computes `v = P v`.
    pub(crate) fn project(&self, v: &mut Vector<T>) -> Result<()> {
        if let Some(projection) = self.projection {
            let scratch = &mut *self.scratch.borrow_mut();
            projection.apply(v, scratch)?;
            std::mem::swap(v, scratch);
        }
        Ok(())
    }

    /// Computes `v = M^H A^H u`, in least squares.
    pub(crate) fn apply_adjoint(&self, u: &Vector<T>, v: &mut Vector<T>) -> Result<()> {
        let adjoint = self.adjoint.as_ref().expect("invariant: least-squares methods have adjoints");
        let product = |u: &Vector<T>, v: &mut Vector<T>| {
            self.applications.set(self.applications.get() + 1);
            Ok(adjoint.a.apply_adjoint(u, v)?)
        };
        let Some(m) = adjoint.preconditioner else {
            return self.powers.operator.apply(&self.rooms[1], u, v, product);
        };
        let scratch = &mut *self.scratch.borrow_mut();
        self.powers.operator.apply(&self.rooms[1], u, scratch, product)?;
        self.powers.preconditioner.apply(&self.rooms[0], scratch, v, |u, v| {
            self.count_preconditioning();
            let _event = profile::event("PCApply");
            Ok(m.apply_adjoint(u, v)?)
        })
    }

    /// Learns that `|A v| / |v|` is this large for some `v`.
    pub(crate) fn note_operator_norm(&self, ratio: f64) {
        if ratio > self.operator_norm.get() {
            self.operator_norm.set(ratio);
        }
    }

    /// Several inner products in one reduction.
    pub(crate) fn dots<const N: usize>(&self, pairs: [(&Vector<T>, &Vector<T>); N]) -> Result<[T::Double; N]> {
        self.votes.ride(|riders| dots(pairs, self.reduction.with(riders)))
    }

    /// Changes vectors and sums what comes out of it, in one pass and one reduction.
    pub(crate) fn update_dots<const W: usize, const R: usize, const N: usize>(
        &self,
        outputs: [&mut Vector<T>; W],
        inputs: [&Vector<T>; R],
        entry: impl Fn([T; W], [T; R]) -> ([T; W], [(T, T); N]) + Sync,
    ) -> Result<[T::Double; N]> {
        self.votes.ride(|riders| update_dots(outputs, inputs, self.reduction.with(riders), entry))
    }

    /// Returns `|v|^2`.
    pub(crate) fn square_of(&self, v: &Vector<T>) -> Result<f64> {
        let [square] = self.dots([(v, v)])?;
        Ok(square.re())
    }

    /// Returns the requested norm, of a residual and what the preconditioner made of it. NaN where the
    /// preconditioner is not positive.
    pub(crate) fn residual_norm(&self, r: &Vector<T>, z: &Vector<T>) -> Result<f64> {
        let [left, right] = match self.norm {
            Norm::True => [r, r],
            Norm::Preconditioned => [z, z],
            Norm::Natural => [r, z],
        };
        let [square] = self.dots([(left, right)])?;
        Ok(square.re().sqrt())
    }

    /// Computes `out[j] = xs[j]^H w`, in one reduction.
    pub(crate) fn multi_dot(&self, w: &Vector<T>, xs: &[Vector<T>], out: &mut [T::Double]) -> Result<()> {
        self.votes.ride(|riders| w.multi_dot(xs, self.reduction.with(riders), out))
    }
}

pub(crate) fn require_same(
    method: &'static str,
    what: &'static str,
    left: &dolmen_core::Layout,
    right: &dolmen_core::Layout,
) -> Result<()> {
    left.require_same(right, what).map_err(|error| match error {
        dolmen_core::Error::LayoutMismatch { left, right, .. } => Error::Layout { method, what, left, right },
        other => other.into(),
    })
}
