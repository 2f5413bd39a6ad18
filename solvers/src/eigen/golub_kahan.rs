//! Thick-restart bidiagonalization of Golub and Kahan for a few singular values and vectors (Baglama and Reichel, SIAM J.
//! Sci. Comput. 27 (2005) 19), with full orthogonalization on both sides and the second look of
//! [`lanczos`](super::lanczos).
//!
//! `A V = U B` and `A^H U = V B^H + beta v e^T`, B upper bidiagonal with a column of couplings after a restart. An operator
//! with fewer rows than columns is taken as its adjoint. Memory: one vector of each side for each of the basis.

use std::time::{Duration, Instant};

use dolmen_core::dense::Svd;
use dolmen_core::ndarray::{Array2, s};
use dolmen_core::scaling::{exponent, scaled};
use dolmen_core::{AdjointOperator, Comm, Layout, MultiVector, Real, Scalar, Snapshot, Vector, profile};

use crate::eigen::basis::{Basis, noise, require_finite};
use crate::eigen::report::{EigenReport, SingularTriplets};
use crate::eigen::search::{Process, Ritz, Search};
use crate::eigen::space::{Space, random};
use crate::eigen::which::Which;
use crate::error::{Error, Result};
use crate::krylov::powers::Numbers;
use crate::krylov::snapshot_state::Archive;
use crate::krylov::solver::forward;
use crate::settings::{Settings, require};
use crate::stop_reason::StopReason;

const METHOD: &str = "Golub-Kahan";
/// Restarts, unless another number is given.
const RESTARTS: usize = 1000;
/// Rounding errors of a product, in units of `eps |A| |v|`: residuals of at most this size are as small as they get.
const ROUNDING: f64 = 32.0;

/// A few singular values and vectors of any operator that has an adjoint, the largest or the smallest.
///
/// ```no_run
/// # use dolmen_core::CsrMatrix;
/// # use dolmen_solvers::{GolubKahan, Result};
/// # fn f(a: &CsrMatrix<f64>) -> Result<()> {
/// let largest = GolubKahan::new(20).solve(a)?;
/// println!("{:?}\n{}", largest.values, largest.report);
/// # Ok(()) }
/// ```
pub struct GolubKahan<'a, T> {
    settings: Settings<'a, T>,
    count: usize,
    which: Which,
    basis: Option<usize>,
}

forward! { GolubKahan:
    rtol: f64, "Relative tolerance, 1e-8 by default, of the length of `(A v - s u, A^H u - s v)`, divided by `s`.";
    max_iterations: usize, "Maximum number of restarts, 1000 by default.";
    monitor: &'a mut dyn crate::monitor::Monitor<T>,
        "Called after each restart with the largest relative residual; see [`Settings::monitor`](crate::Settings::monitor).";
    snapshot_every: usize, "Hands a snapshot to the monitor at intervals of this number of restarts.";
    resume: &'a Snapshot<T>, "Resumes from a snapshot, with the bits of the run that was interrupted.";
}

impl<T: Scalar> GolubKahan<'_, T> {
    /// Creates the method for this number of singular values: the largest, unless told otherwise.
    pub fn new(count: usize) -> Self {
        let settings = Settings::new().max_iterations(RESTARTS);
        GolubKahan { settings, count, which: Which::Largest, basis: None }
    }

    /// Sets the end of the spectrum: [`Which::Largest`] or [`Which::Smallest`]. The smallest converge slowly if they are
    /// close to each other beside the largest.
    #[must_use]
    pub fn which(mut self, which: Which) -> Self {
        self.which = which;
        self
    }

    /// Vectors of the basis on each side, `2 count + 20` by default.
    #[must_use]
    pub fn basis(mut self, vectors: usize) -> Self {
        self.basis = Some(vectors);
        self
    }

    /// Finds singular values and vectors.
    ///
    /// # Collective
    /// All ranks have the same settings, which the first reduction compares.
    ///
    /// # Errors
    /// A setting out of range; [`Error::FewEigenvalues`] if more are asked for than the smaller side has;
    /// [`Error::NoSpectrum`] of an operator that is not finite; a failure in the operator or a monitor; the same on all
    /// ranks. Not converging is not an error but a [`StopReason`](crate::StopReason).
    pub fn solve(&self, a: &dyn AdjointOperator<T>) -> Result<SingularTriplets<T>> {
        let start = Instant::now();
        let _event = profile::event(METHOD);
        let comm = a.domain().comm();
        self.compare(comm);
        let size = comm.agree(self.accept(a))?;
        let tall = Tall::new(a);
        let mut search = Search::new(METHOD, self.count, self.which, comm, &self.settings);
        let mut steps = Steps::new(&tall, size);
        let reason = search.run(&mut steps)?;
        let places = search.order(&steps);
        let places = &places[..self.count.min(places.len())];
        let values: Vec<f64> = places.iter().map(|&place| steps.value(steps.ritz.values[place])).collect();
        let v = steps.v.combinations(&steps.right, places)?;
        let u = steps.u.combinations(&steps.left, places)?;
        search.stopping.end(comm)?;
        let (iterations, rtol) = (search.stopping.iterations, self.settings.rtol);
        let mut report = tall.report(reason, &values, &u, &v, rtol)?;
        (report.iterations, report.time) = (iterations, start.elapsed());
        let (u, v) = if tall.is_turned { (v, u) } else { (u, v) };
        Ok(SingularTriplets { values, u, v, report })
    }

    /// Lets the next reduction compare the settings over the ranks.
    pub(super) fn compare(&self, comm: &Comm) {
        self.settings.compare(METHOD, comm);
        let GolubKahan { count, which, basis, .. } = self;
        comm.compare(|| format!("count {count}\nwhich {which:?}\nbasis {basis:?}"));
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn end(&self) -> Which {
        self.which
    }

    /// Returns the relative tolerance.
    pub(super) fn tolerance(&self) -> f64 {
        self.settings.rtol
    }

    /// Refuses what this rank cannot do; returns the size of the basis.
    pub(super) fn accept(&self, a: &dyn AdjointOperator<T>) -> Result<usize> {
        self.settings.check(METHOD)?;
        require(METHOD, "count", self.count as f64, self.count > 0, "one or more")?;
        if !matches!(self.which, Which::Smallest | Which::Largest) {
            return Err(Error::NotAnEnd { method: METHOD, which: self.which.to_string() });
        }
        let side = usize::try_from(a.domain().global_len().min(a.range().global_len())).unwrap_or(usize::MAX);
        if self.count > side {
            return Err(Error::FewEigenvalues { method: METHOD, wanted: self.count, found: side });
        }
        let size = self.basis.unwrap_or(2 * self.count + 20);
        require(METHOD, "basis", size as f64, size > self.count + 1 || size >= side, "more than count + 1")?;
        Ok(size.min(side))
    }
}

/// The operator, or its adjoint where that has more rows.
pub(super) struct Tall<'s, T> {
    a: &'s dyn AdjointOperator<T>,
    is_turned: bool,
    applications: std::cell::Cell<usize>,
}

impl<'s, T: Scalar> Tall<'s, T> {
    fn new(a: &'s dyn AdjointOperator<T>) -> Tall<'s, T> {
        Tall { a, is_turned: a.range().global_len() < a.domain().global_len(), applications: Default::default() }
    }

    /// The operator itself, whatever its shape.
    pub(super) fn straight(a: &'s dyn AdjointOperator<T>) -> Tall<'s, T> {
        Tall { a, is_turned: false, applications: Default::default() }
    }

    fn domain(&self) -> &'s Layout {
        if self.is_turned { self.a.range() } else { self.a.domain() }
    }

    fn range(&self) -> &'s Layout {
        if self.is_turned { self.a.domain() } else { self.a.range() }
    }

    fn apply(&self, x: &Vector<T>, y: &mut Vector<T>) -> Result<()> {
        self.applications.set(self.applications.get() + 1);
        let applied = if self.is_turned { self.a.apply_adjoint(x, y) } else { self.a.apply(x, y) };
        Ok(applied?)
    }

    fn apply_adjoint(&self, x: &Vector<T>, y: &mut Vector<T>) -> Result<()> {
        self.applications.set(self.applications.get() + 1);
        let applied = if self.is_turned { self.a.apply(x, y) } else { self.a.apply_adjoint(x, y) };
        Ok(applied?)
    }

    /// Reports on triplets, with residuals computed afresh; iterations and time are still to be said.
    ///
    /// # Collective
    pub(super) fn report(
        &self,
        reason: StopReason,
        values: &[f64],
        u: &MultiVector<T>,
        v: &MultiVector<T>,
        tolerance: f64,
    ) -> Result<EigenReport> {
        let (mut left, mut right) = (Vector::zeros(self.range()), Vector::zeros(self.domain()));
        let (mut of_left, mut of_right) = (right.clone(), left.clone());
        // A random vector shows the size of an operator whose singular values here are small.
        let probe = random::<T>(self.domain(), 0);
        self.apply(&probe, &mut of_right)?;
        let mut size = of_right.norm2() / probe.norm2().max(f64::MIN_POSITIVE);
        let (mut residuals, mut is_converged) = (Vec::new(), Vec::new());
        for (column, &value) in values.iter().enumerate() {
            u.copy_column_to(column, &mut left)?;
            v.copy_column_to(column, &mut right)?;
            self.apply(&right, &mut of_right)?;
            self.apply_adjoint(&left, &mut of_left)?;
            let factor = T::from_parts(-value, 0.0);
            of_right.axpy(factor, &left)?;
            of_left.axpy(factor, &right)?;
            let residual = of_right.norm2().hypot(of_left.norm2());
            size = size.max(value);
            let rounding = ROUNDING * T::Real::EPSILON.to_f64() * size;
            is_converged.push(residual <= tolerance * value || residual <= rounding);
            residuals.push(if residual == 0.0 { 0.0 } else { residual / value });
        }
        let contradicted = reason == StopReason::Converged && is_converged.contains(&false);
        Ok(EigenReport {
            method: METHOD,
            reason: if contradicted { StopReason::Stagnated } else { reason },
            iterations: 0,
            residuals,
            is_converged,
            tolerance,
            applications: self.applications.get(),
            time: Duration::ZERO,
        })
    }
}

/// The steps of the process.
struct Steps<'s, T: Scalar> {
    a: &'s Tall<'s, T>,
    /// The operator is divided by `2^power`.
    power: i32,
    spaces: [Space<'s, T>; 2],
    u: Basis<T>,
    v: Basis<T>,
    /// Upper bidiagonal, with couplings.
    b: Array2<f64>,
    beta: f64,
    largest: f64,
    ritz: Ritz,
    /// Singular vectors of B as columns.
    left: Array2<f64>,
    right: Array2<f64>,
}

impl<'s, T: Scalar> Steps<'s, T> {
    fn new(a: &'s Tall<'s, T>, size: usize) -> Self {
        let empty = || Array2::zeros((0, 0));
        Steps {
            a,
            power: 0,
            spaces: [Space::new(METHOD, a.range(), None), Space::new(METHOD, a.domain(), None)],
            u: Basis::new(a.range(), size),
            v: Basis::new(a.domain(), size),
            b: Array2::zeros((size, size)),
            beta: 0.0,
            largest: 0.0,
            ritz: Ritz::default(),
            left: empty(),
            right: empty(),
        }
    }

    /// Notes the size of an entry of B.
    fn see(&mut self, entry: f64) {
        self.largest = self.largest.max(entry);
        self.ritz.noise = noise::<T>(self.largest);
    }

    fn next_random(&mut self) -> Result<()> {
        let vector = self.v.random();
        self.beta = 0.0;
        self.ritz.complete = !self.v.put_orthogonal(METHOD, &self.spaces[1], vector)?;
        Ok(())
    }

    fn replace(&mut self, places: &[usize]) -> Result<()> {
        self.u.replace(&self.left, places)?;
        self.v.replace(&self.right, places)?;
        self.b.fill(0.0);
        for (i, &place) in places.iter().enumerate() {
            self.b[(i, i)] = self.ritz.values[place];
        }
        Ok(())
    }

    fn couple(&mut self, couplings: &[f64]) {
        let next = couplings.len();
        for (i, &coupling) in couplings.iter().enumerate().filter(|_| next < self.v.size) {
            self.b[(i, next)] = coupling;
        }
    }
}

impl<T: Scalar> Process<T> for Steps<'_, T> {
    fn begin(&mut self) -> Result<()> {
        if self.v.filled == 0 {
            let (x, mut y) = (random::<T>(self.a.domain(), 0), Vector::zeros(self.a.range()));
            self.a.apply(&x, &mut y)?;
            let ordinary = if T::Real::EPSILON.to_f64() == f64::EPSILON { 256 } else { 30 };
            let power = exponent(y.norm2() / x.norm2().max(f64::MIN_POSITIVE));
            self.power = if power.abs() > ordinary { power } else { 0 };
        }
        self.next_random()
    }

    /// Adds the image of the last right vector to the left basis, and the image of that to the right one.
    fn step(&mut self) -> Result<()> {
        let j = self.v.filled;
        let mut w = Vector::zeros(self.a.range());
        self.a.apply(&self.v.vectors[j], &mut w)?;
        w.scale_by(-self.power);
        let alpha = self.spaces[0].orthogonalize(&self.u.vectors[..j], &mut w)?.norm;
        require_finite(METHOD, alpha)?;
        self.see(alpha);
        let is_new = alpha > self.ritz.noise;
        if is_new {
            w.scale(T::from_parts(1.0 / alpha, 0.0));
            self.u.put(w);
        } else {
            let vector = self.u.random();
            let found = self.u.put_orthogonal(METHOD, &self.spaces[0], vector)?;
            assert!(found, "invariant: there are at least as many rows as columns");
        }
        self.b[(j, j)] = if is_new { alpha } else { 0.0 };
        self.u.filled = j + 1;
        let mut w = Vector::zeros(self.a.domain());
        self.a.apply_adjoint(&self.u.vectors[j], &mut w)?;
        w.scale_by(-self.power);
        let beta = self.spaces[1].orthogonalize(&self.v.vectors[..=j], &mut w)?.norm;
        require_finite(METHOD, beta)?;
        self.see(beta);
        self.v.filled = j + 1;
        if beta > self.ritz.noise {
            self.beta = beta;
            w.scale(T::from_parts(1.0 / beta, 0.0));
            self.v.put(w);
        } else {
            self.next_random()?;
        }
        if j + 1 < self.v.size {
            self.b[(j, j + 1)] = self.beta;
        }
        Ok(())
    }

    fn filled(&self) -> usize {
        self.v.filled
    }

    fn is_full(&self) -> bool {
        self.ritz.complete || self.v.filled == self.v.size
    }

    fn decompose(&mut self) -> Result<()> {
        let (locked, n) = (self.ritz.locked, self.v.filled);
        let open = n - locked;
        let comm = self.a.domain().comm();
        let (mut values, mut vectors) = (Vec::new(), Vec::new());
        let outcome = match comm.rank() {
            0 => Svd::factor(self.b.slice(s![locked..n, locked..n])).map(|svd| {
                values.extend_from_slice(svd.values());
                vectors.extend(svd.u().iter());
                vectors.extend(svd.vh().t().iter());
            }),
            _ => Ok(()),
        };
        comm.agree(outcome)?;
        comm.broadcast(0, &mut values);
        comm.broadcast(0, &mut vectors);
        let of_v = vectors.split_off(open * open);
        let whole = |entries: Vec<f64>| {
            let mut whole = Array2::eye(n);
            let part = Array2::from_shape_vec((open, open), entries).expect("invariant: an entry for each pair");
            whole.slice_mut(s![locked.., locked..]).assign(&part);
            whole
        };
        (self.left, self.right) = (whole(vectors), whole(of_v));
        self.ritz.values = (0..locked).map(|i| self.b[(i, i)]).chain(values).collect();
        let residual = |place: usize| {
            if place < locked { 0.0 } else { (self.beta * self.left[(n - 1, place)]).abs() }
        };
        self.ritz.residuals = (0..n).map(residual).collect();
        Ok(())
    }

    fn ritz(&self) -> &Ritz {
        &self.ritz
    }

    fn keep(&mut self, places: &[usize]) -> Result<()> {
        let last = self.v.filled - 1;
        let coupling = |&place: &usize| {
            if place < self.ritz.locked { 0.0 } else { self.beta * self.left[(last, place)] }
        };
        let couplings: Vec<f64> = places.iter().map(coupling).collect();
        let next = self.v.take_next();
        self.replace(places)?;
        next.into_iter().for_each(|next| self.v.put(next));
        self.couple(&couplings);
        Ok(())
    }

    fn lock(&mut self, places: &[usize]) -> Result<()> {
        self.replace(places)?;
        self.ritz.locked = places.len();
        Ok(())
    }

    fn value(&self, theta: f64) -> f64 {
        scaled(theta, self.power)
    }

    fn archive(&mut self, archive: &mut Archive<'_, T>) {
        let mut power = f64::from(self.power);
        archive.real("power of the operator", &mut power);
        #[expect(clippy::cast_possible_truncation, reason = "powers are small whole numbers")]
        let power = power as i32;
        self.power = power;
        archive.integer("locked", &mut self.ritz.locked);
        archive.flag("complete", &mut self.ritz.complete);
        archive.real("beta", &mut self.beta);
        archive.real("largest", &mut self.largest);
        self.ritz.noise = noise::<T>(self.largest);
        self.u.archive("left vector", archive);
        self.v.archive("right vector", archive);
        if self.ritz.locked > self.v.filled || self.u.filled != self.v.filled {
            (self.ritz.locked, self.u.filled, self.v.filled) = (0, 0, 0);
            return archive.refuse("locked");
        }
        let (count, size) = (self.v.filled, self.v.size);
        let mut diagonal: Vec<f64> = (0..count).map(|i| self.b[(i, i)]).collect();
        let mut couplings: Vec<f64> = (0..count).map(|i| if count < size { self.b[(i, count)] } else { 0.0 }).collect();
        archive.reals("diagonal", &mut diagonal);
        archive.reals("couplings", &mut couplings);
        for (i, diagonal) in diagonal.into_iter().enumerate() {
            self.b[(i, i)] = diagonal;
        }
        self.couple(&couplings);
    }
}
