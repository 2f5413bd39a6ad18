//! Krylov-Schur (Stewart, SIAM J. Matrix Anal. Appl. 23 (2002) 601) for a few eigenvalues of general operators, also of
//! `(A - s M)^-1 M`, with full orthogonalization.
//!
//! `O V = V H + v b^T`. A restart keeps an invariant subspace of H: of a real operator a real basis of it, so that
//! arithmetic stays real and eigenvalues come in pairs of conjugates, which are kept and counted together. What is found
//! is looked at a second time from a random vector, as in [`lanczos`](super::lanczos), so that copies of eigenvalues
//! with several eigenvectors are not missed.

use std::time::Instant;

use dolmen_core::dense::{Schur, Svd};
use dolmen_core::ndarray::{Array2, s};
use dolmen_core::scaling::{exponent, scaled};
use dolmen_core::{Complex64, LinearOperator, Real, Scalar, Snapshot, Vector, profile};

use crate::eigen::basis::{Basis, noise, require_finite};
use crate::eigen::general::{General, GeneralEigenpairs, Pairs};
use crate::eigen::problem::require_fit;
use crate::eigen::region::Region;
use crate::eigen::report::EigenReport;
use crate::eigen::space::{Space, random};
use crate::error::{Error, Result};
use crate::krylov::powers::Numbers;
use crate::krylov::snapshot_state::Archive;
use crate::krylov::solver::forward;
use crate::krylov::stopping::{ResidualTests, StoppingTest, Votes};
use crate::settings::{Settings, require};
use crate::stop_reason::StopReason;

const METHOD: &str = "Krylov-Schur";
/// Restarts, unless another number is given.
const RESTARTS: usize = 1000;
/// Share of the tolerance at which a pair counts as converged by its estimate.
const MARGIN: f64 = 0.1;

/// Krylov-Schur for a few eigenvalues of any operator, beside a mass matrix if there is one.
///
/// ```no_run
/// # use dolmen_core::CsrMatrix;
/// # use dolmen_solvers::{KrylovSchur, Region, Result};
/// # fn f(a: &CsrMatrix<f64>) -> Result<()> {
/// let found = KrylovSchur::new(6).region(Region::LargestReal).solve(a)?;
/// println!("{:?}\n{}", found.values, found.report);
/// # Ok(()) }
/// ```
pub struct KrylovSchur<'a, T> {
    settings: Settings<'a, T>,
    count: usize,
    region: Region,
    basis: Option<usize>,
    mass: Option<&'a dyn LinearOperator<T>>,
    inverse: Option<(T, &'a dyn LinearOperator<T>)>,
}

forward! { KrylovSchur:
    rtol: f64, "Relative tolerance, 1e-8 by default: `|A v - w M v| <= rtol |w M v|`.";
    max_iterations: usize, "Maximum number of restarts, 1000 by default.";
    monitor: &'a mut dyn crate::monitor::Monitor<T>,
        "Called after each restart with the largest relative residual; see [`Settings::monitor`](crate::Settings::monitor).";
    snapshot_every: usize, "Hands a snapshot to the monitor at intervals of this number of restarts.";
    resume: &'a Snapshot<T>, "Resumes from a snapshot, with the bits of the run that was interrupted.";
}

impl<'a, T: Scalar> KrylovSchur<'a, T> {
    /// Creates the method for this number of eigenvalues: the largest in magnitude, unless told otherwise. Of a real
    /// operator one more is returned where the last one is the first of two conjugates.
    pub fn new(count: usize) -> Self {
        Self::with_settings(Settings::new().max_iterations(RESTARTS), count)
    }

    pub(super) fn with_settings(settings: Settings<'a, T>, count: usize) -> Self {
        KrylovSchur { settings, count, region: Region::LargestMagnitude, basis: None, mass: None, inverse: None }
    }

    /// Sets the part of the plane.
    #[must_use]
    pub fn region(mut self, region: Region) -> Self {
        self.region = region;
        self
    }

    /// Vectors of the basis, `2 count + 20` by default.
    #[must_use]
    pub fn basis(mut self, vectors: usize) -> Self {
        self.basis = Some(vectors);
        self
    }

    /// Finds the eigenvalues nearest to `shift`, from an operator that is the inverse of `A - shift I`.
    #[must_use]
    pub fn shift_invert(mut self, shift: T, inverse: &'a dyn LinearOperator<T>) -> Self {
        self.region = Region::Nearest(complex(shift));
        self.inverse = Some((shift, inverse));
        self
    }

    /// Finds the eigenvalues nearest to `shift`, from an operator that is the inverse of `A - shift M`.
    #[must_use]
    pub fn shift_invert_mass(
        mut self,
        shift: T,
        mass: &'a dyn LinearOperator<T>,
        inverse: &'a dyn LinearOperator<T>,
    ) -> Self {
        self.mass = Some(mass);
        self.shift_invert(shift, inverse)
    }

    /// Finds eigenvalues and eigenvectors.
    ///
    /// # Collective
    /// All ranks have the same settings, which the first reduction compares.
    ///
    /// # Errors
    /// As [`Lanczos::solve`](crate::Lanczos::solve), but that nothing has to be Hermitian.
    pub fn solve(&self, a: &dyn LinearOperator<T>) -> Result<GeneralEigenpairs<T>> {
        let start = Instant::now();
        let _event = profile::event(METHOD);
        let comm = a.domain().comm();
        self.settings.compare(METHOD, comm);
        let KrylovSchur { count, region, basis, .. } = self;
        comm.compare(|| format!("count {count}\nregion {region:?}\nbasis {basis:?}"));
        let size = comm.agree(self.accept(a))?;
        let problem = General::new(METHOD, a, self.mass);
        let mut search = Search::new(self, &problem, size);
        let reason = search.run()?;
        let order = search.order();
        let count = search.wanted(&order).min(order.len());
        let Pairs { values, vectors, imaginary } = search.pairs(&order[..count])?;
        search.stopping.end(comm)?;
        let report = problem.report(reason, &values, &vectors, imaginary.as_ref(), self.settings.rtol)?;
        let (iterations, time) = (search.stopping.iterations, start.elapsed());
        Ok(GeneralEigenpairs { values, vectors, imaginary, report: EigenReport { iterations, time, ..report } })
    }

    /// Refuses what this rank cannot do; returns the size of the basis.
    fn accept(&self, a: &dyn LinearOperator<T>) -> Result<usize> {
        self.settings.check(METHOD)?;
        let inverse = self.inverse.map(|(_, inverse)| ("inverse", inverse));
        require_fit(METHOD, a, inverse.into_iter().chain(self.mass.map(|mass| ("mass matrix", mass))))?;
        require(METHOD, "count", self.count as f64, self.count > 0, "one or more")?;
        if let (Region::Nearest(shift), None) = (self.region, self.inverse) {
            let expected = "given by shift_invert, with an operator that solves with A - shift M";
            return Err(Error::Setting {
                method: METHOD,
                setting: "the number to be near to",
                value: shift.re,
                expected,
            });
        }
        let rows = usize::try_from(a.domain().global_len()).unwrap_or(usize::MAX);
        if self.count > rows {
            return Err(Error::FewEigenvalues { method: METHOD, wanted: self.count, found: rows });
        }
        let size = self.basis.unwrap_or(2 * self.count + 20);
        require(METHOD, "basis", size as f64, size > self.count + 2 || size >= rows, "more than count + 2")?;
        Ok(size.min(rows))
    }
}

/// Returns a number in double precision.
fn complex<T: Scalar>(value: T) -> Complex64 {
    Complex64::new(value.re().to_f64(), value.im().to_f64())
}

/// A search under way.
struct Search<'s, 'a, T: Scalar> {
    count: usize,
    region: Region,
    inverse: Option<(T, &'a dyn LinearOperator<T>)>,
    settings: &'s Settings<'a, T>,
    stopping: StoppingTest<'s, 'a, T>,
    votes: Votes,
    problem: &'s General<'s, T>,
    space: Space<'s, T>,
    /// The operator is divided by `2^power`.
    power: i32,
    basis: Basis<T>,
    /// H, and below it b.
    h: Array2<Complex64>,
    largest: f64,
    complete: bool,
    /// Values at which a second look is taken.
    locked: Vec<Complex64>,
    /// Values of H, their eigenvectors as columns, and the lengths of their residuals.
    values: Vec<Complex64>,
    vectors: Array2<Complex64>,
    residuals: Vec<f64>,
    between: Vector<T>,
}

impl<'s, 'a, T: Scalar> Search<'s, 'a, T> {
    fn new(method: &'s KrylovSchur<'a, T>, problem: &'s General<'s, T>, size: usize) -> Self {
        let (settings, layout) = (&method.settings, problem.layout());
        let zeros = |rows, columns| Array2::from_elem((rows, columns), Complex64::ZERO);
        Search {
            count: method.count,
            region: method.region,
            inverse: method.inverse,
            settings,
            stopping: StoppingTest::new(settings),
            votes: Votes::new(settings, layout.comm()),
            problem,
            space: Space::new(METHOD, layout, None),
            power: 0,
            basis: Basis::new(layout, size),
            h: zeros(size + 1, size),
            largest: 0.0,
            complete: false,
            locked: Vec::new(),
            values: Vec::new(),
            vectors: zeros(0, 0),
            residuals: Vec::new(),
            between: Vector::zeros(layout),
        }
    }

    fn run(&mut self) -> Result<StopReason> {
        match self.settings.resume {
            Some(snapshot) => {
                let mut archive = Archive::load(snapshot, METHOD);
                self.archive(&mut archive);
                archive.agree(self.problem.layout().comm())?;
            }
            None => self.begin()?,
        }
        loop {
            let tests = ResidualTests { finite: true, hidden: false, met: false, diverged: false };
            if let Some(reason) = self.stopping.verdict(&tests, &self.votes) {
                self.decompose()?;
                return Ok(reason);
            }
            self.votes.forget();
            while self.basis.filled < self.basis.size && !self.complete {
                self.step()?;
            }
            self.decompose()?;
            let order = self.order();
            if order.len() < self.count {
                return Err(Error::FewEigenvalues { method: METHOD, wanted: self.count, found: order.len() });
            }
            self.stopping.iterations += 1;
            self.tell(&order)?;
            let wanted = self.wanted(&order);
            let converged = order[..wanted].iter().all(|&place| self.is_converged(place));
            if converged && (self.complete || self.is_confirmed(&order, wanted)) {
                return Ok(StopReason::Converged);
            }
            if converged && !self.is_second_look(&order[..wanted]) {
                self.locked = order[..wanted].iter().map(|&place| self.values[place]).collect();
                self.keep(&order[..wanted], false)?;
                self.next_random()?;
            } else {
                self.restart(&order)?;
            }
            self.hand_out()?;
        }
    }

    /// Computes `y = O x`.
    fn apply(&mut self, x: &Vector<T>, y: &mut Vector<T>) -> Result<()> {
        match self.inverse {
            None => self.problem.apply(x, y)?,
            Some((_, inverse)) => {
                self.problem.apply_mass(x, &mut self.between)?;
                self.problem.count();
                inverse.apply(&self.between, y)?;
            }
        }
        y.scale_by(-self.power);
        Ok(())
    }

    fn begin(&mut self) -> Result<()> {
        let layout = self.problem.layout();
        let (x, mut y) = (random::<T>(layout, 0), Vector::zeros(layout));
        self.apply(&x, &mut y)?;
        let ordinary = if T::Real::EPSILON.to_f64() == f64::EPSILON { 256 } else { 30 };
        let power = exponent(y.norm2() / x.norm2().max(f64::MIN_POSITIVE));
        self.power = if power.abs() > ordinary { power } else { 0 };
        self.next_random()
    }

    /// Takes a random vector in the range of the operator.
    fn next_random(&mut self) -> Result<()> {
        let mut vector = self.basis.random();
        if self.problem.has_mass() {
            let given = vector.clone();
            self.apply(&given, &mut vector)?;
        }
        self.complete = !self.basis.put_orthogonal(METHOD, &self.space, vector)?;
        Ok(())
    }

    fn noise(&self) -> f64 {
        noise::<T>(self.largest)
    }

    fn step(&mut self) -> Result<()> {
        let j = self.basis.filled;
        let mut w = Vector::zeros(self.problem.layout());
        let last = self.basis.vectors[j].clone();
        self.apply(&last, &mut w)?;
        let remainder = self.space.orthogonalize(&self.basis.vectors[..=j], &mut w)?;
        require_finite(METHOD, remainder.norm)?;
        for (i, &coefficient) in remainder.coefficients.iter().enumerate() {
            let coefficient = complex(coefficient);
            self.h[(i, j)] = coefficient;
            self.largest = self.largest.max(coefficient.norm());
        }
        self.largest = self.largest.max(remainder.norm);
        self.basis.filled = j + 1;
        if remainder.norm > self.noise() {
            self.h[(j + 1, j)] = Complex64::new(remainder.norm, 0.0);
            w.scale(T::from_parts(1.0 / remainder.norm, 0.0));
            self.basis.put(w);
        } else {
            self.h[(j + 1, j)] = Complex64::ZERO;
            self.next_random()?;
        }
        Ok(())
    }

    /// Finds eigenvalues and eigenvectors of H, on one rank for all.
    fn decompose(&mut self) -> Result<()> {
        let n = self.basis.filled;
        let comm = self.problem.layout().comm();
        let (mut values, mut vectors) = (Vec::new(), Vec::new());
        let outcome = match comm.rank() {
            0 => Schur::factor(self.h.slice(s![..n, ..n])).map(|schur| {
                values = schur.values();
                vectors = (0..n).flat_map(|place| schur.vector(place)).collect();
            }),
            _ => Ok(()),
        };
        comm.agree(outcome)?;
        comm.broadcast(0, &mut values);
        comm.broadcast(0, &mut vectors);
        let by_rows = Array2::from_shape_vec((n, n), vectors).expect("invariant: a vector for each value");
        (self.values, self.vectors) = (values, by_rows.reversed_axes());
        let residual = |place| (0..n).map(|i| self.h[(n, i)] * self.vectors[(i, place)]).sum::<Complex64>().norm();
        self.residuals = if n < self.h.nrows() { (0..n).map(residual).collect() } else { vec![0.0; n] };
        Ok(())
    }

    /// Returns the eigenvalue that belongs to one of the transformed operator.
    fn value(&self, theta: Complex64) -> Complex64 {
        let scaled = |theta: Complex64, power| Complex64::new(scaled(theta.re, power), scaled(theta.im, power));
        match self.inverse {
            None => scaled(theta, self.power),
            Some((shift, _)) => complex(shift) + scaled(Complex64::ONE.quotient(theta), -self.power),
        }
    }

    /// Returns the places of the values in the basis, most wanted first.
    fn order(&self) -> Vec<usize> {
        let region = if self.inverse.is_some() { Region::LargestMagnitude } else { self.region };
        region.order(&self.values, !T::COMPLEX, 1e3 * self.noise())
    }

    /// Returns the number of values that are wanted: conjugates of a real operator belong together.
    fn wanted(&self, order: &[usize]) -> usize {
        let Some([last, next]) = order.get(self.count.wrapping_sub(1)..=self.count) else {
            return self.count;
        };
        let (last, next) = (self.values[*last], self.values[*next]);
        let is_pair = !T::COMPLEX && last.im > 1e3 * self.noise() && (last - next.conj()).norm() <= 1e3 * self.noise();
        self.count + usize::from(is_pair)
    }

    fn is_converged(&self, place: usize) -> bool {
        let (theta, residual) = (self.values[place].norm(), self.residuals[place]);
        residual * self.magnification(place) <= MARGIN * self.settings.rtol * theta || residual <= self.noise()
    }

    /// Returns what a relative residual has to be multiplied with for that of the eigenvalue.
    fn magnification(&self, place: usize) -> f64 {
        let Some((shift, _)) = self.inverse else {
            return 1.0;
        };
        let value = self.value(self.values[place]);
        ((value - complex(shift)).norm() / value.norm()).max(1.0)
    }

    /// Returns true if the wanted values are those that were locked.
    fn is_second_look(&self, wanted: &[usize]) -> bool {
        let near = |(&place, &locked): (&usize, &Complex64)| {
            (self.values[place] - locked).norm() <= (10.0 * self.settings.rtol * locked.norm()).max(1e3 * self.noise())
        };
        wanted.len() == self.locked.len() && wanted.iter().zip(&self.locked).all(near)
    }

    /// Returns true if a second look has found nothing that is wanted more.
    fn is_confirmed(&self, order: &[usize], wanted: usize) -> bool {
        let region = if self.inverse.is_some() { Region::LargestMagnitude } else { self.region };
        let rank = |place: usize| region.rank(self.values[place], !T::COMPLEX);
        let decided = order.get(wanted).is_some_and(|&place| {
            self.is_converged(place) || rank(order[wanted - 1]) - rank(place) > self.residuals[place]
        });
        decided && self.is_second_look(&order[..wanted])
    }

    fn restart(&mut self, order: &[usize]) -> Result<()> {
        let kept = (order.len() / 2).max(self.count + 1).min(order.len() - 1);
        self.keep(&order[..kept], true)
    }

    /// Keeps an invariant subspace of H; of a real operator also what is conjugate to it.
    fn keep(&mut self, places: &[usize], coupled: bool) -> Result<()> {
        let n = self.basis.filled;
        let comm = self.problem.layout().comm();
        let mut chosen = vec![false; n];
        places.iter().for_each(|&place| chosen[place] = true);
        if !T::COMPLEX {
            self.close_under_conjugation(&mut chosen);
        }
        let mut kept = Vec::new();
        let outcome = match comm.rank() {
            0 => self.invariant_subspace(&chosen).map(|columns| kept.extend(columns.iter().copied())),
            _ => Ok(()),
        };
        comm.agree(outcome)?;
        comm.broadcast(0, &mut kept);
        let columns = kept.len() / n;
        let z = Array2::from_shape_vec((n, columns), kept).expect("invariant: whole columns");
        self.rotate(&z, coupled)
    }

    fn close_under_conjugation(&self, chosen: &mut [bool]) {
        for place in 0..chosen.len() {
            let value = self.values[place];
            if chosen[place] && value.im.abs() > 1e3 * self.noise() {
                let distance = |&other: &usize| (self.values[other] - value.conj()).norm();
                let partner = (0..chosen.len()).min_by(|a, b| distance(a).total_cmp(&distance(b)));
                partner.into_iter().for_each(|partner| chosen[partner] = true);
            }
        }
    }

    /// Returns an orthonormal basis of the subspace of H that belongs to some of its values; real for a real operator.
    fn invariant_subspace(&self, chosen: &[bool]) -> dolmen_core::Result<Array2<Complex64>> {
        let n = self.basis.filled;
        let mut schur = Schur::factor(self.h.slice(s![..n, ..n]))?;
        schur.bring_to_top(chosen);
        let count = chosen.iter().filter(|chosen| **chosen).count();
        let q = schur.q().slice(s![.., ..count]).to_owned();
        if T::COMPLEX {
            return Ok(q);
        }
        let parts =
            Array2::from_shape_fn((n, 2 * count), |(i, j)| if j < count { q[(i, j)].re } else { q[(i, j - count)].im });
        let u = Svd::factor(parts.view())?.u();
        Ok(Array2::from_shape_fn((n, count), |(i, j)| Complex64::new(u[(i, j)], 0.0)))
    }

    /// Takes the columns of `V Z` as the basis.
    fn rotate(&mut self, z: &Array2<Complex64>, coupled: bool) -> Result<()> {
        let (n, count) = z.dim();
        let image = product(&self.h.slice(s![..n, ..n]).to_owned(), z);
        let adjoint = Array2::from_shape_fn((count, n), |(i, j)| z[(j, i)].conj());
        let h = product(&adjoint, &image);
        let b = product(&self.h.slice(s![n..=n, ..n]).to_owned(), z);
        let next = self.basis.take_next().filter(|_| coupled);
        let combine = |column: usize| self.combination(&z.column(column).to_vec());
        self.basis.vectors = (0..count).map(combine).collect::<Result<_>>()?;
        self.basis.filled = count;
        self.h.fill(Complex64::ZERO);
        self.h.slice_mut(s![..count, ..count]).assign(&h);
        if let Some(next) = next {
            self.basis.put(next);
            self.h.slice_mut(s![count..=count, ..count]).assign(&b);
        }
        Ok(())
    }

    /// Computes a combination of the basis; of a real one with the real parts of the factors.
    fn combination(&self, factors: &[Complex64]) -> Result<Vector<T>> {
        let mut vector = Vector::zeros(self.problem.layout());
        let factors: Vec<T> = factors.iter().map(|factor| T::from_parts(factor.re, factor.im)).collect();
        vector.multi_axpy(&factors, &self.basis.vectors[..factors.len()])?;
        Ok(vector)
    }

    /// Computes pairs that the basis holds.
    fn pairs(&mut self, places: &[usize]) -> Result<Pairs<T>> {
        let mut pairs = Pairs::new(self.problem.layout(), places.len());
        for (column, &place) in places.iter().enumerate() {
            let (mut value, mut factors) = (self.value(self.values[place]), self.vectors.column(place).to_vec());
            let largest = factors.iter().fold(Complex64::ZERO, |a, &b| if b.norm() > a.norm() { b } else { a });
            let phase = largest.conj().scale(1.0 / largest.norm());
            factors.iter_mut().for_each(|factor| *factor *= phase);
            if !T::COMPLEX && self.values[place].im.abs() <= 1e3 * self.noise() {
                // A real eigenvalue of a real operator has a real eigenvector.
                value.im = 0.0;
                factors.iter_mut().for_each(|factor| factor.im = 0.0);
            }
            let turned: Vec<Complex64> = factors.iter().map(|factor| Complex64::new(factor.im, -factor.re)).collect();
            let mut parts = vec![self.combination(&factors)?];
            if !T::COMPLEX {
                parts.push(self.combination(&turned)?);
            }
            if self.inverse.is_some() {
                // A step of inverse iteration makes small the parts of the residual that `A` enlarges.
                for part in &mut parts {
                    let mut image = Vector::zeros(part.layout());
                    self.apply(part, &mut image)?;
                    *part = image;
                }
            }
            pairs.set(column, value, &parts)?;
        }
        pairs.normalize()?;
        Ok(pairs)
    }

    /// Tells the monitor of the largest relative residual.
    fn tell(&mut self, order: &[usize]) -> Result<()> {
        let relative = |&place: &usize| match self.residuals[place] {
            0.0 => 0.0,
            residual => residual / self.values[place].norm() * self.magnification(place),
        };
        let worst = order[..self.count].iter().map(relative).fold(0.0, f64::max);
        let comm = self.problem.layout().comm();
        self.stopping.tell(worst, self.settings.rtol, &self.votes);
        self.stopping.hear_last(&self.votes, comm)?;
        self.stopping.meet(&self.votes, comm)
    }

    fn hand_out(&mut self) -> Result<()> {
        if !self.stopping.is_due(&self.votes) {
            return Ok(());
        }
        let mut snapshot = Snapshot::new(METHOD);
        self.archive(&mut Archive::Save(&mut snapshot));
        self.stopping.deliver(snapshot, self.problem.layout().comm())
    }

    fn archive(&mut self, archive: &mut Archive<'_, T>) {
        self.stopping.archive(archive);
        let mut power = f64::from(self.power);
        archive.real("power of the operator", &mut power);
        #[expect(clippy::cast_possible_truncation, reason = "powers are small whole numbers")]
        let power = power as i32;
        self.power = power;
        archive.flag("complete", &mut self.complete);
        archive.real("largest", &mut self.largest);
        self.basis.archive("vector", archive);
        let mut locked: Vec<f64> = self.locked.iter().flat_map(|value| [value.re, value.im]).collect();
        archive.series("locked", &mut locked);
        self.locked = locked.as_chunks::<2>().0.iter().map(|&[re, im]| Complex64::new(re, im)).collect();
        let count = self.basis.filled;
        let mut entries: Vec<f64> = Vec::new();
        for entry in self.h.slice(s![..=count, ..count]) {
            entries.extend([entry.re, entry.im]);
        }
        archive.reals("matrix", &mut entries);
        for (entry, &[re, im]) in self.h.slice_mut(s![..=count, ..count]).iter_mut().zip(entries.as_chunks::<2>().0) {
            *entry = Complex64::new(re, im);
        }
    }
}

/// Returns the product of two small matrices.
fn product(a: &Array2<Complex64>, b: &Array2<Complex64>) -> Array2<Complex64> {
    Array2::from_shape_fn((a.nrows(), b.ncols()), |(i, j)| (0..a.ncols()).map(|k| a[(i, k)] * b[(k, j)]).sum())
}
