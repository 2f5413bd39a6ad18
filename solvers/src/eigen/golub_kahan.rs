//! Thick-restart bidiagonalization of Golub and Kahan for a few singular values and vectors (Baglama and Reichel, SIAM J.
//! Sci. Comput. 27 (2005) 19), with full orthogonalization on both sides and the second look of
//! [`lanczos`](super::lanczos).
//!
//! `A V = U B` and `A^H U = V B^H + beta v e^T`, B upper bidiagonal with a column of couplings after a restart. An operator
//! with fewer rows than columns is taken as its adjoint. Memory: one vector of each side for each of the basis.

use std::time::Instant;

use dolmen_core::dense::Svd;
use dolmen_core::ndarray::Array2;
use dolmen_core::scaling::scaled;
use dolmen_core::{AdjointOperator, Comm, Layout, MultiVector, Scalar, Snapshot, Vector, profile};

use crate::eigen::arrow::Arrow;
use crate::eigen::basis::{Basis, require_finite};
use crate::eigen::problem::{basis_size, judged, require_count, require_end, rounding};
use crate::eigen::report::{EigenReport, SingularTriplets};
use crate::eigen::search::{Process, Ritz, Search};
use crate::eigen::space::{Space, far_power, random};
use crate::eigen::watch::ITERATIONS;
use crate::eigen::which::Which;
use crate::error::Result;
use crate::krylov::powers::Numbers;
use crate::krylov::snapshot_state::Archive;
use crate::krylov::solver::forward;
use crate::settings::Settings;
use crate::stop_reason::StopReason;

const METHOD: &str = "Golub-Kahan";

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
        let settings = Settings::new().max_iterations(ITERATIONS);
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
    /// A setting out of range; [`FewEigenvalues`](crate::Error::FewEigenvalues) if more are asked for than the smaller side has;
    /// [`NoSpectrum`](crate::Error::NoSpectrum) of an operator that is not finite; a failure in the operator or a monitor; the same on all
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
        let values: Vec<f64> = places.iter().map(|&place| steps.value(steps.arrow.ritz.values[place])).collect();
        let v = steps.v.combinations(&steps.right, places)?;
        let u = steps.u.combinations(&steps.left, places)?;
        search.watch.end()?;
        let (iterations, rtol) = (search.watch.iterations(), self.settings.rtol);
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
        let side = a.domain().global_len().min(a.range().global_len());
        require_count(METHOD, self.count, side)?;
        require_end(METHOD, self.which)?;
        basis_size(METHOD, self.basis, self.count, side, (self.count + 1, "more than count + 1"))
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
        let mut found = Vec::with_capacity(values.len());
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
            found.push(judged(residual, value, tolerance, rounding::<T>(size)));
        }
        Ok(EigenReport::new(METHOD, reason, found, tolerance, self.applications.get()))
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
    /// B.
    arrow: Arrow,
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
            arrow: Arrow::new(size),
            left: empty(),
            right: empty(),
        }
    }

    fn next_random(&mut self) -> Result<()> {
        let vector = self.v.random();
        self.arrow.beta = 0.0;
        self.arrow.ritz.complete = !self.v.put_orthogonal(METHOD, &self.spaces[1], vector)?;
        Ok(())
    }

    fn replace(&mut self, places: &[usize]) -> Result<()> {
        self.u.replace(&self.left, places)?;
        self.v.replace(&self.right, places)?;
        self.arrow.replace(places);
        Ok(())
    }
}

impl<T: Scalar> Process<T> for Steps<'_, T> {
    fn begin(&mut self) -> Result<()> {
        if self.v.filled == 0 {
            let (x, mut y) = (random::<T>(self.a.domain(), 0), Vector::zeros(self.a.range()));
            self.a.apply(&x, &mut y)?;
            self.power = far_power(&x, &y);
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
        self.arrow.see::<T>(alpha);
        let is_new = alpha > self.arrow.ritz.noise;
        if is_new {
            w.scale(T::from_parts(1.0 / alpha, 0.0));
            self.u.put(w);
        } else {
            let vector = self.u.random();
            let found = self.u.put_orthogonal(METHOD, &self.spaces[0], vector)?;
            assert!(found, "invariant: there are at least as many rows as columns");
        }
        self.arrow.set_diagonal(j, if is_new { alpha } else { 0.0 });
        self.u.filled = j + 1;
        let mut w = Vector::zeros(self.a.domain());
        self.a.apply_adjoint(&self.u.vectors[j], &mut w)?;
        w.scale_by(-self.power);
        let beta = self.spaces[1].orthogonalize(&self.v.vectors[..=j], &mut w)?.norm;
        require_finite(METHOD, beta)?;
        self.arrow.see::<T>(beta);
        self.v.filled = j + 1;
        if beta > self.arrow.ritz.noise {
            self.arrow.beta = beta;
            w.scale(T::from_parts(1.0 / beta, 0.0));
            self.v.put(w);
        } else {
            self.next_random()?;
        }
        self.arrow.set_beside(j);
        Ok(())
    }

    fn filled(&self) -> usize {
        self.v.filled
    }

    fn is_full(&self) -> bool {
        self.arrow.ritz.complete || self.v.filled == self.v.size
    }

    fn decompose(&mut self) -> Result<()> {
        let open = self.arrow.open(self.v.filled);
        let comm = self.a.domain().comm();
        let (mut values, mut vectors) = (Vec::new(), Vec::new());
        let outcome = match comm.rank() {
            0 => Svd::factor(open).map(|svd| {
                values.extend_from_slice(svd.values());
                vectors.extend(svd.u().iter());
                vectors.extend(svd.vh().t().iter());
            }),
            _ => Ok(()),
        };
        comm.agree(outcome)?;
        comm.broadcast(0, &mut values);
        comm.broadcast(0, &mut vectors);
        let n = values.len();
        let of_v = vectors.split_off(n * n);
        let [left, right] = [vectors, of_v].map(|entries| {
            let open = Array2::from_shape_vec((n, n), entries).expect("invariant: an entry for each pair");
            self.arrow.with_locked(&open)
        });
        (self.left, self.right) = (left, right);
        self.arrow.take(values, &self.left);
        Ok(())
    }

    fn ritz(&self) -> &Ritz {
        &self.arrow.ritz
    }

    fn keep(&mut self, places: &[usize]) -> Result<()> {
        let couplings = self.arrow.couplings(places, &self.left);
        let next = self.v.take_next();
        self.replace(places)?;
        next.into_iter().for_each(|next| self.v.put(next));
        self.arrow.couple(&couplings);
        Ok(())
    }

    fn lock(&mut self, places: &[usize]) -> Result<()> {
        self.replace(places)?;
        self.arrow.ritz.locked = places.len();
        Ok(())
    }

    fn value(&self, theta: f64) -> f64 {
        scaled(theta, self.power)
    }

    fn archive(&mut self, archive: &mut Archive<'_, T>) {
        archive.power("power of the operator", &mut self.power);
        self.u.archive("left vector", archive);
        self.v.archive("right vector", archive);
        if self.u.filled != self.v.filled {
            (self.u.filled, self.v.filled) = (0, 0);
            archive.refuse("left vectors");
        }
        self.arrow.archive(self.v.filled, archive);
    }
}
