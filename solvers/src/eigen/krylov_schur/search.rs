//! The search of Krylov-Schur.

use dolmen_core::ndarray::{Array2, s};
use dolmen_core::scaling::{exponent, scaled};
use dolmen_core::{Complex64, LinearOperator, Real, Scalar, Snapshot, Vector};

use crate::eigen::basis::{Basis, noise, require_finite};
use crate::eigen::general::{General, Pairs};
use crate::eigen::projection::Projection;
use crate::eigen::region::Region;
use crate::eigen::space::{Space, random};
use crate::error::{Error, Result};
use crate::krylov::powers::Numbers;
use crate::krylov::snapshot_state::Archive;
use crate::krylov::stopping::{ResidualTests, StoppingTest, Votes};
use crate::settings::Settings;
use crate::stop_reason::StopReason;

use super::{KrylovSchur, METHOD, complex};

/// Share of the tolerance at which a pair counts as converged by its estimate.
const MARGIN: f64 = 0.1;

/// A search under way.
pub(super) struct Search<'s, 'a, T: Scalar> {
    count: usize,
    region: Region,
    inverse: Option<(T, &'a dyn LinearOperator<T>)>,
    settings: &'s Settings<'a, T>,
    pub(super) stopping: StoppingTest<'s, 'a, T>,
    votes: Votes,
    problem: &'s General<'s, T>,
    space: Space<'s, T>,
    /// The operator is divided by `2^power`.
    power: i32,
    basis: Basis<T>,
    projection: Projection,
    largest: f64,
    complete: bool,
    /// Values of the locked block of H and of the rest of it, and the lengths of their residuals.
    values: Vec<Complex64>,
    residuals: Vec<f64>,
    between: Vector<T>,
}

impl<'s, 'a, T: Scalar> Search<'s, 'a, T> {
    pub(super) fn new(method: &'s KrylovSchur<'a, T>, problem: &'s General<'s, T>, size: usize) -> Self {
        let (settings, layout) = (&method.settings, problem.layout());
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
            projection: Projection::new(size, !T::COMPLEX),
            largest: 0.0,
            complete: false,
            values: Vec::new(),
            residuals: Vec::new(),
            between: Vector::zeros(layout),
        }
    }

    pub(super) fn run(&mut self) -> Result<StopReason> {
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
            let wanted = &order[..self.wanted(&order)];
            let converged = wanted.iter().all(|&place| self.is_converged(place));
            if converged && (self.complete || self.is_confirmed(&order, wanted)) {
                return Ok(StopReason::Converged);
            }
            if converged && wanted.iter().any(|&place| place >= self.projection.locked) {
                self.keep(wanted, false)?;
                self.projection.locked = self.basis.filled;
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
            self.projection.h[(i, j)] = coefficient;
            self.largest = self.largest.max(coefficient.norm());
        }
        self.largest = self.largest.max(remainder.norm);
        self.basis.filled = j + 1;
        if remainder.norm > self.noise() {
            self.projection.h[(j + 1, j)] = Complex64::new(remainder.norm, 0.0);
            w.scale(T::from_parts(1.0 / remainder.norm, 0.0));
            self.basis.put(w);
        } else {
            self.projection.h[(j + 1, j)] = Complex64::ZERO;
            self.next_random()?;
        }
        Ok(())
    }

    /// Finds the eigenvalues of the two diagonal blocks of H, on one rank for all.
    fn decompose(&mut self) -> Result<()> {
        let comm = self.problem.layout().comm();
        let (mut values, mut residuals) = (Vec::new(), Vec::new());
        let outcome = match comm.rank() {
            0 => self.projection.values(self.basis.filled).map(|found| (values, residuals) = found),
            _ => Ok(()),
        };
        comm.agree(outcome)?;
        comm.broadcast(0, &mut values);
        comm.broadcast(0, &mut residuals);
        (self.values, self.residuals) = (values, residuals);
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

    /// Returns the wanted part of the spectrum of the transformed operator.
    fn transformed_region(&self) -> Region {
        if self.inverse.is_some() { Region::LargestMagnitude } else { self.region }
    }

    /// Returns the places of the values in the basis, most wanted first.
    fn order(&self) -> Vec<usize> {
        self.transformed_region().order(&self.values, !T::COMPLEX, 1e3 * self.noise())
    }

    /// Returns the number of values that are wanted: conjugates of a real operator belong together.
    fn wanted(&self, order: &[usize]) -> usize {
        self.wanted_of(&self.values, order)
    }

    fn wanted_of(&self, values: &[Complex64], order: &[usize]) -> usize {
        let Some([last, next]) = order.get(self.count.wrapping_sub(1)..=self.count) else {
            return self.count;
        };
        let (last, next, noise) = (values[*last], values[*next], 1e3 * self.noise());
        let is_pair = !T::COMPLEX && last.im > noise && (last - next.conj()).norm() <= 10.0 * noise;
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

    /// Returns true if a second look has found nothing that is wanted more, or has no room left. What it found has to be
    /// converged: without symmetry a residual does not tell how far the value is from an eigenvalue.
    fn is_confirmed(&self, order: &[usize], wanted: &[usize]) -> bool {
        let is_open = |place: usize| place >= self.projection.locked;
        let best = order.iter().copied().find(|&place| is_open(place));
        let is_looked_at = best.is_some_and(|best| self.is_converged(best));
        !wanted.iter().any(|&place| is_open(place)) && (is_looked_at || self.projection.locked + 3 > self.basis.size)
    }

    /// Keeps half of the basis, what is locked first.
    fn restart(&mut self, order: &[usize]) -> Result<()> {
        let kept = (order.len() / 2).max(self.count + 1).max(self.projection.locked + 1).min(order.len() - 1);
        let others =
            order.iter().copied().filter(|place| *place >= self.projection.locked).take(kept - self.projection.locked);
        let places: Vec<usize> = others.collect();
        self.keep(&places, true)
    }

    /// Keeps what is locked and, of the rest of H, an invariant subspace to which some values belong; of a real operator also
    /// what is conjugate to it.
    fn keep(&mut self, places: &[usize], coupled: bool) -> Result<()> {
        let (locked, n) = (self.projection.locked, self.basis.filled);
        let comm = self.problem.layout().comm();
        let mut chosen = vec![false; n - locked];
        places.iter().filter(|place| **place >= locked).for_each(|&place| chosen[place - locked] = true);
        if !T::COMPLEX {
            self.close_under_conjugation(&mut chosen);
        }
        let mut kept = Vec::new();
        let outcome = match comm.rank() {
            0 => self.projection.invariant_subspace(&chosen).map(|columns| kept.extend(columns.iter().copied())),
            _ => Ok(()),
        };
        comm.agree(outcome)?;
        comm.broadcast(0, &mut kept);
        let columns = kept.len() / (n - locked).max(1);
        let open = Array2::from_shape_vec((n - locked, columns), kept).expect("invariant: whole columns");
        let mut z = Array2::from_elem((n, locked + columns), Complex64::ZERO);
        (0..locked).for_each(|i| z[(i, i)] = Complex64::ONE);
        z.slice_mut(s![locked.., locked..]).assign(&open);
        self.rotate(&z, coupled)
    }

    fn close_under_conjugation(&self, chosen: &mut [bool]) {
        let open = &self.values[self.projection.locked..];
        for place in 0..chosen.len() {
            let value = open[place];
            if chosen[place] && value.im.abs() > 1e3 * self.noise() {
                let distance = |&other: &usize| (open[other] - value.conj()).norm();
                let partner = (0..chosen.len()).min_by(|a, b| distance(a).total_cmp(&distance(b)));
                partner.into_iter().for_each(|partner| chosen[partner] = true);
            }
        }
    }

    /// Takes the columns of `V Z` as the basis.
    fn rotate(&mut self, z: &Array2<Complex64>, coupled: bool) -> Result<()> {
        let next = self.basis.take_next().filter(|_| coupled);
        let combine = |column: usize| self.combination(&z.column(column).to_vec());
        self.basis.vectors = (0..z.ncols()).map(combine).collect::<Result<_>>()?;
        self.basis.filled = z.ncols();
        self.projection.rotate(z, next.is_some());
        next.into_iter().for_each(|next| self.basis.put(next));
        Ok(())
    }

    /// Computes a combination of the basis; of a real one with the real parts of the factors.
    fn combination(&self, factors: &[Complex64]) -> Result<Vector<T>> {
        let mut vector = Vector::zeros(self.problem.layout());
        let factors: Vec<T> = factors.iter().map(|factor| T::from_parts(factor.re, factor.im)).collect();
        vector.multi_axpy(&factors, &self.basis.vectors[..factors.len()])?;
        Ok(vector)
    }

    /// Returns the wanted pairs of the locked block of H if it has them all, else of all of it: values, and eigenvectors one
    /// after the other.
    fn wanted_pairs(&self) -> dolmen_core::Result<(Vec<Complex64>, Vec<Complex64>)> {
        let n = self.basis.filled;
        let order = self.order();
        let is_locked = self.projection.locked > 0
            && order.iter().take(self.wanted(&order)).all(|&place| place < self.projection.locked);
        let size = if is_locked { self.projection.locked } else { n };
        let schur = self.projection.schur(0..size)?;
        let values = schur.values();
        let order = self.transformed_region().order(&values, !T::COMPLEX, 1e3 * self.noise());
        let count = self.wanted_of(&values, &order).min(size);
        let pad = |place: usize| schur.vector(place).into_iter().chain(std::iter::repeat_n(Complex64::ZERO, n - size));
        let vectors = order[..count].iter().flat_map(|&place| pad(place)).collect();
        Ok((order[..count].iter().map(|&place| values[place]).collect(), vectors))
    }

    /// Computes the wanted pairs that the basis holds.
    pub(super) fn pairs(&mut self) -> Result<Pairs<T>> {
        let comm = self.problem.layout().comm();
        let (mut thetas, mut vectors) = (Vec::new(), Vec::new());
        let outcome = match comm.rank() {
            0 => self.wanted_pairs().map(|found| (thetas, vectors) = found),
            _ => Ok(()),
        };
        comm.agree(outcome)?;
        comm.broadcast(0, &mut thetas);
        comm.broadcast(0, &mut vectors);
        let n = self.basis.filled;
        let mut pairs = Pairs::new(self.problem.layout(), thetas.len());
        for (column, &theta) in thetas.iter().enumerate() {
            let (mut value, mut factors) = (self.value(theta), vectors[column * n..][..n].to_vec());
            let largest = factors.iter().fold(Complex64::ZERO, |a, &b| if b.norm() > a.norm() { b } else { a });
            let phase = largest.conj().scale(1.0 / largest.norm());
            factors.iter_mut().for_each(|factor| *factor *= phase);
            if !T::COMPLEX && theta.im.abs() <= 1e3 * self.noise() {
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
        archive.integer("locked", &mut self.projection.locked);
        if self.projection.locked > self.basis.filled {
            self.projection.locked = 0;
            archive.refuse("locked");
        }
        let count = self.basis.filled;
        let mut entries: Vec<f64> = Vec::new();
        for entry in self.projection.h.slice(s![..=count, ..count]) {
            entries.extend([entry.re, entry.im]);
        }
        archive.reals("matrix", &mut entries);
        for (entry, &[re, im]) in
            self.projection.h.slice_mut(s![..=count, ..count]).iter_mut().zip(entries.as_chunks::<2>().0)
        {
            *entry = Complex64::new(re, im);
        }
    }
}
