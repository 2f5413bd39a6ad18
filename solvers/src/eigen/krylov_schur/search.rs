//! The search of Krylov-Schur.

use dolmen_core::ndarray::{Array2, s};
use dolmen_core::scaling::scaled;
use dolmen_core::{Complex64, Layout, LinearOperator, Scalar, Vector};

use crate::eigen::basis::{Basis, noise, require_finite};
use crate::eigen::general::{General, Pairs, to_complex, turned};
use crate::eigen::projection::Projection;
use crate::eigen::region::{Region, ends_in_a_pair};
use crate::eigen::space::{Space, far_power, random};
use crate::eigen::watch::Watch;
use crate::error::{Error, Result};
use crate::krylov::powers::Numbers;
use crate::krylov::snapshot_state::Archive;
use crate::stop_reason::StopReason;

use super::{KrylovSchur, METHOD};

/// Share of the tolerance at which a pair counts as converged by its estimate.
const MARGIN: f64 = 0.1;

/// The transformed operator, divided by a power of two.
struct Operator<'s, 'a, T: Scalar> {
    problem: &'s General<'s, T>,
    inverse: Option<(T, &'a dyn LinearOperator<T>)>,
    power: i32,
    between: Vector<T>,
}

impl<T: Scalar> Operator<'_, '_, T> {
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

    /// Returns the eigenvalue that belongs to one of this operator.
    fn value(&self, theta: Complex64) -> Complex64 {
        let scaled = |theta: Complex64, power| Complex64::new(scaled(theta.re, power), scaled(theta.im, power));
        match self.inverse {
            None => scaled(theta, self.power),
            Some((shift, _)) => to_complex(shift) + scaled(Complex64::ONE.quotient(theta), -self.power),
        }
    }

    /// Returns what the relative residual of a value has to be multiplied with for that of the eigenvalue.
    fn magnification(&self, theta: Complex64) -> f64 {
        let Some((shift, _)) = self.inverse else {
            return 1.0;
        };
        let value = self.value(theta);
        ((value - to_complex(shift)).norm() / value.norm()).max(1.0)
    }
}

/// A search under way.
pub(super) struct Search<'s, 'a, T: Scalar> {
    count: usize,
    /// The wanted part of the spectrum of the transformed operator.
    region: Region,
    pub(super) watch: Watch<'s, 'a, T>,
    operator: Operator<'s, 'a, T>,
    space: Space<'s, T>,
    basis: Basis<T>,
    projection: Projection,
    largest: f64,
    complete: bool,
    /// Values of the locked block of H and of the rest of it, and the lengths of their residuals.
    values: Vec<Complex64>,
    residuals: Vec<f64>,
}

impl<'s, 'a, T: Scalar> Search<'s, 'a, T> {
    pub(super) fn new(method: &'s KrylovSchur<'a, T>, problem: &'s General<'s, T>, size: usize) -> Self {
        let layout = problem.layout();
        let (inverse, between) = (method.inverse, Vector::zeros(layout));
        Search {
            count: method.count,
            region: if inverse.is_some() { Region::LargestMagnitude } else { method.region },
            watch: Watch::new(METHOD, layout.comm(), &method.settings),
            operator: Operator { problem, inverse, power: 0, between },
            space: Space::new(METHOD, layout, None),
            basis: Basis::new(layout, size),
            projection: Projection::new(size, !T::COMPLEX),
            largest: 0.0,
            complete: false,
            values: Vec::new(),
            residuals: Vec::new(),
        }
    }

    pub(super) fn run(&mut self) -> Result<StopReason> {
        match self.watch.settings.resume {
            Some(snapshot) => {
                let mut archive = Archive::load(snapshot, METHOD);
                self.archive(&mut archive);
                archive.agree(self.layout().comm())?;
            }
            None => self.begin()?,
        }
        loop {
            if let Some(reason) = self.watch.verdict() {
                self.decompose()?;
                return Ok(reason);
            }
            while self.basis.filled < self.basis.size && !self.complete {
                self.step()?;
            }
            self.decompose()?;
            let order = self.order();
            if order.len() < self.count {
                return Err(Error::FewEigenvalues { method: METHOD, wanted: self.count, found: order.len() });
            }
            self.watch.count();
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

    fn layout(&self) -> &'s Layout {
        self.operator.problem.layout()
    }

    fn begin(&mut self) -> Result<()> {
        let (x, mut y) = (random::<T>(self.layout(), 0), Vector::zeros(self.layout()));
        self.operator.apply(&x, &mut y)?;
        self.operator.power = far_power(&x, &y);
        self.next_random()
    }

    /// Takes a random vector in the range of the operator.
    fn next_random(&mut self) -> Result<()> {
        let mut vector = self.basis.random();
        if self.operator.problem.has_mass() {
            let given = vector.clone();
            self.operator.apply(&given, &mut vector)?;
        }
        self.complete = !self.basis.put_orthogonal(METHOD, &self.space, vector)?;
        Ok(())
    }

    fn noise(&self) -> f64 {
        noise::<T>(self.largest)
    }

    fn step(&mut self) -> Result<()> {
        let j = self.basis.filled;
        let mut w = Vector::zeros(self.layout());
        self.operator.apply(&self.basis.vectors[j], &mut w)?;
        let remainder = self.space.orthogonalize(&self.basis.vectors[..=j], &mut w)?;
        require_finite(METHOD, remainder.norm)?;
        for (i, &coefficient) in remainder.coefficients.iter().enumerate() {
            let coefficient = to_complex(coefficient);
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
        let comm = self.layout().comm();
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

    /// Returns the places of the values in the basis, most wanted first.
    fn order(&self) -> Vec<usize> {
        self.region.order(&self.values, !T::COMPLEX, 1e3 * self.noise())
    }

    /// Returns the number of values that are wanted: conjugates of a real operator belong together.
    fn wanted(&self, order: &[usize]) -> usize {
        self.wanted_of(&self.values, order)
    }

    fn wanted_of(&self, values: &[Complex64], order: &[usize]) -> usize {
        let noise = 1e3 * self.noise();
        let is_split = !T::COMPLEX && ends_in_a_pair(values, order, self.count, noise, 10.0 * noise);
        self.count + usize::from(is_split)
    }

    fn is_converged(&self, place: usize) -> bool {
        let (theta, residual) = (self.values[place], self.residuals[place]);
        let bound = MARGIN * self.watch.settings.rtol * theta.norm();
        residual * self.operator.magnification(theta) <= bound || residual <= self.noise()
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
        let comm = self.layout().comm();
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
        let mut vector = Vector::zeros(self.layout());
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
        let order = self.region.order(&values, !T::COMPLEX, 1e3 * self.noise());
        let count = self.wanted_of(&values, &order).min(size);
        let pad = |place: usize| schur.vector(place).into_iter().chain(std::iter::repeat_n(Complex64::ZERO, n - size));
        let vectors = order[..count].iter().flat_map(|&place| pad(place)).collect();
        Ok((order[..count].iter().map(|&place| values[place]).collect(), vectors))
    }

    /// Computes the wanted pairs that the basis holds.
    pub(super) fn pairs(&mut self) -> Result<Pairs<T>> {
        let comm = self.layout().comm();
        let (mut thetas, mut vectors) = (Vec::new(), Vec::new());
        let outcome = match comm.rank() {
            0 => self.wanted_pairs().map(|found| (thetas, vectors) = found),
            _ => Ok(()),
        };
        comm.agree(outcome)?;
        comm.broadcast(0, &mut thetas);
        comm.broadcast(0, &mut vectors);
        let n = self.basis.filled;
        let mut pairs = Pairs::new(self.layout(), thetas.len());
        for (column, &theta) in thetas.iter().enumerate() {
            let is_real = !T::COMPLEX && theta.im.abs() <= 1e3 * self.noise();
            let mut value = self.operator.value(theta);
            if is_real {
                value.im = 0.0;
            }
            let factors = turned(vectors[column * n..][..n].to_vec(), is_real);
            let mut parts = vec![self.combination(&factors)?];
            if !T::COMPLEX {
                let imaginary: Vec<Complex64> = factors.iter().map(|factor| Complex64::new(factor.im, 0.0)).collect();
                parts.push(self.combination(&imaginary)?);
            }
            if self.operator.inverse.is_some() {
                // A step of inverse iteration makes small the parts of the residual that `A` enlarges.
                for part in &mut parts {
                    let mut image = Vector::zeros(part.layout());
                    self.operator.apply(part, &mut image)?;
                    *part = image;
                }
            }
            pairs.set(column, value, &parts)?;
        }
        pairs.normalize()?;
        Ok(pairs)
    }

    /// Tells the monitor of the largest relative residual.
    fn tell(&self, order: &[usize]) -> Result<()> {
        let relative = |&place: &usize| match self.residuals[place] {
            0.0 => 0.0,
            residual => residual / self.values[place].norm() * self.operator.magnification(self.values[place]),
        };
        self.watch.tell(order[..self.count].iter().map(relative).fold(0.0, f64::max))
    }

    fn hand_out(&mut self) -> Result<()> {
        let Some(mut snapshot) = self.watch.due_snapshot() else {
            return Ok(());
        };
        self.archive(&mut Archive::Save(&mut snapshot));
        self.watch.deliver(snapshot)
    }

    fn archive(&mut self, archive: &mut Archive<'_, T>) {
        self.watch.archive(archive);
        archive.power("power of the operator", &mut self.operator.power);
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
