//! Thick-restart Lanczos (Wu and Simon, SIAM J. Matrix Anal. Appl. 22 (2000) 602) for a few eigenvalues of
//! `A v = w M v` with Hermitian operators, with full orthogonalization: also of `M^-1 A` and of `(A - s M)^-1 M` in the
//! inner product of M.
//!
//! A Krylov space of one vector has one direction of each eigenspace, so copies of a multiple eigenvalue are not seen, or
//! seen late through rounding errors. So nothing is called found before a second look: the pairs are locked, and the space
//! orthogonal to them is searched from a random vector until its best value is seen to be less wanted than all of them.
//! A better one that is found there takes the place of the worst, and the look is repeated.
//!
//! Traffic of step `j`, in vectors: `4 j` to `6 j` reads beside the operators. A restart of a basis of `m` to `l` vectors
//! reads `l m` and writes `l`. Memory: `m + 1` vectors.

use std::time::Instant;

use dolmen_core::ndarray::{Array2, s};
use dolmen_core::scaling::{exponent, scaled};
use dolmen_core::{LinearOperator, MultiVector, Real, Scalar, Snapshot, Vector, profile};

use crate::eigen::basis::{Basis, noise, require_finite};
use crate::eigen::block::eigen;
use crate::eigen::problem::{Pencil, require_fit};
use crate::eigen::report::{EigenReport, Eigenpairs};
use crate::eigen::search::{Process, Ritz, Search};
use crate::eigen::space::random;
use crate::eigen::which::Which;
use crate::error::{Error, Result};
use crate::krylov::powers::Numbers;
use crate::krylov::snapshot_state::Archive;
use crate::krylov::solver::forward;
use crate::settings::{Settings, require};

const METHOD: &str = "Lanczos";
/// Restarts, unless another number is given.
const RESTARTS: usize = 1000;
/// The operator whose largest or smallest eigenvalues the process finds.
#[derive(Clone, Copy)]
enum Transform<'a, T> {
    /// `A`.
    None,
    /// `M^-1 A`.
    MassInverse(&'a dyn LinearOperator<T>),
    /// `(A - s M)^-1 M`.
    ShiftInvert(f64, &'a dyn LinearOperator<T>),
}

/// Lanczos' method for a few eigenvalues of a Hermitian operator, beside a mass matrix if there is one.
///
/// ```no_run
/// # use dolmen_core::CsrMatrix;
/// # use dolmen_solvers::{Direct, Lanczos, Result, Which};
/// # fn f(a: &CsrMatrix<f64>) -> Result<()> {
/// let largest = Lanczos::new(4).which(Which::Largest).solve(a)?;
/// // The eigenvalues nearest to zero, by solves with A - 0.
/// let inverse = Direct::factor(a)?;
/// let nearest = Lanczos::new(10).shift_invert(0.0, &inverse).solve(a)?;
/// println!("{:?} {:?}\n{}", largest.values, nearest.values, nearest.report);
/// # Ok(()) }
/// ```
pub struct Lanczos<'a, T> {
    settings: Settings<'a, T>,
    count: usize,
    which: Which,
    basis: Option<usize>,
    mass: Option<&'a dyn LinearOperator<T>>,
    transform: Transform<'a, T>,
}

forward! { Lanczos:
    rtol: f64, "Relative tolerance, 1e-8 by default: `|A v - w M v| <= rtol |w M v|`.";
    max_iterations: usize, "Maximum number of restarts, 1000 by default.";
    monitor: &'a mut dyn crate::monitor::Monitor<T>,
        "Called after each restart with the largest relative residual; see [`Settings::monitor`](crate::Settings::monitor).";
    snapshot_every: usize, "Hands a snapshot to the monitor at intervals of this number of restarts.";
    resume: &'a Snapshot<T>, "Resumes from a snapshot, with the bits of the run that was interrupted.";
}

impl<'a, T: Scalar> Lanczos<'a, T> {
    /// Creates the method for this number of eigenvalues: the largest in magnitude, unless told otherwise.
    pub fn new(count: usize) -> Self {
        Self::with_settings(Settings::new().max_iterations(RESTARTS), count)
    }

    pub(super) fn with_settings(settings: Settings<'a, T>, count: usize) -> Self {
        let (which, transform) = (Which::LargestMagnitude, Transform::None);
        Lanczos { settings, count, which, basis: None, mass: None, transform }
    }

    /// Sets the part of the spectrum.
    #[must_use]
    pub fn which(mut self, which: Which) -> Self {
        self.which = which;
        self
    }

    /// Vectors of the basis, `2 count + 20` by default.
    #[must_use]
    pub fn basis(mut self, vectors: usize) -> Self {
        self.basis = Some(vectors);
        self
    }

    /// Sets a Hermitian positive definite mass matrix, and an operator that is its inverse, such as
    /// [`Direct`](crate::Direct).
    #[must_use]
    pub fn mass(mut self, mass: &'a dyn LinearOperator<T>, inverse: &'a dyn LinearOperator<T>) -> Self {
        (self.mass, self.transform) = (Some(mass), Transform::MassInverse(inverse));
        self
    }

    /// Finds the eigenvalues nearest to `shift`, from an operator that is the inverse of `A - shift I`.
    #[must_use]
    pub fn shift_invert(mut self, shift: f64, inverse: &'a dyn LinearOperator<T>) -> Self {
        (self.which, self.transform) = (Which::Nearest(shift), Transform::ShiftInvert(shift, inverse));
        self
    }

    /// Finds the eigenvalues nearest to `shift`, from an operator that is the inverse of `A - shift M`. The mass matrix
    /// is Hermitian positive semidefinite; what it takes to zero has infinite eigenvalues, which are not found.
    #[must_use]
    pub fn shift_invert_mass(
        mut self,
        shift: f64,
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
    /// A setting out of range, or mismatched layouts; [`Error::FewEigenvalues`] if the problem has fewer than are asked
    /// for; [`Error::NoSpectrum`] of operators that are seen not to be Hermitian or not finite;
    /// [`Error::MassNotPositive`]; a failure in an operator or a monitor; the same on all ranks. Not converging is not
    /// an error but a [`StopReason`](crate::StopReason).
    pub fn solve(&self, a: &dyn LinearOperator<T>) -> Result<Eigenpairs<T>> {
        let start = Instant::now();
        let _event = profile::event(METHOD);
        self.settings.compare(METHOD, a.domain().comm());
        let Lanczos { count, which, basis, .. } = self;
        a.domain().comm().compare(|| format!("count {count}\nwhich {which:?}\nbasis {basis:?}"));
        let size = a.domain().comm().agree(self.accept(a))?;
        let pencil = Pencil::new(METHOD, a, self.mass)?;
        let mut search = Search::new(METHOD, self.count, self.which, pencil.comm(), &self.settings);
        let mut steps = Steps::new(&pencil, self.transform, size);
        let reason = search.run(&mut steps)?;
        let (values, vectors) = steps.pairs(&search.order(&steps)[..self.count.min(steps.ritz.values.len())])?;
        search.stopping.end(pencil.comm())?;
        let report = pencil.report(reason, &values, &vectors, self.settings.rtol)?;
        let (iterations, time) = (search.stopping.iterations, start.elapsed());
        Ok(Eigenpairs { values, vectors, report: EigenReport { iterations, time, ..report } })
    }

    /// Refuses what this rank cannot do; returns the size of the basis.
    fn accept(&self, a: &dyn LinearOperator<T>) -> Result<usize> {
        self.settings.check(METHOD)?;
        let inverse = match self.transform {
            Transform::None => None,
            Transform::MassInverse(inverse) | Transform::ShiftInvert(_, inverse) => Some(("inverse", inverse)),
        };
        require_fit(METHOD, a, inverse.into_iter().chain(self.mass.map(|mass| ("mass matrix", mass))))?;
        require(METHOD, "count", self.count as f64, self.count > 0, "one or more")?;
        if let (Which::Nearest(shift), Transform::None | Transform::MassInverse(_)) = (self.which, self.transform) {
            let expected = "given by shift_invert, with an operator that solves with A - shift M";
            return Err(Error::Setting { method: METHOD, setting: "the number to be near to", value: shift, expected });
        }
        let rows = usize::try_from(a.domain().global_len()).unwrap_or(usize::MAX);
        if self.count > rows {
            return Err(Error::FewEigenvalues { method: METHOD, wanted: self.count, found: rows });
        }
        let size = self.basis.unwrap_or(2 * self.count + 20);
        require(METHOD, "basis", size as f64, size > self.count + 1 || size >= rows, "more than count + 1")?;
        Ok(size.min(rows))
    }
}

/// The transformed operator, divided by a power of two.
struct Operator<'s, 'a, T: Scalar> {
    pencil: &'s Pencil<'s, T>,
    transform: Transform<'a, T>,
    power: i32,
    between: Vector<T>,
}

impl<T: Scalar> Operator<'_, '_, T> {
    /// Computes `y = O x`.
    fn apply(&mut self, x: &Vector<T>, y: &mut Vector<T>) -> Result<()> {
        match self.transform {
            Transform::None => self.pencil.apply(x, y)?,
            Transform::MassInverse(inverse) => {
                self.pencil.apply(x, &mut self.between)?;
                self.invert(inverse, y)?;
            }
            Transform::ShiftInvert(_, inverse) => {
                self.pencil.space.apply(x, &mut self.between)?;
                self.invert(inverse, y)?;
            }
        }
        y.scale_by(-self.power);
        Ok(())
    }

    fn invert(&self, inverse: &dyn LinearOperator<T>, y: &mut Vector<T>) -> Result<()> {
        self.pencil.applications.set(self.pencil.applications.get() + 1);
        Ok(inverse.apply(&self.between, y)?)
    }

    /// Finds the power of two that brings the operator near one, if it is far from it.
    fn find_power(&mut self) -> Result<()> {
        let layout = self.pencil.layout();
        let (x, mut y) = (random::<T>(layout, 0), Vector::zeros(layout));
        self.apply(&x, &mut y)?;
        let ordinary = if T::Real::EPSILON.to_f64() == f64::EPSILON { 256 } else { 30 };
        let power = exponent(y.norm2() / x.norm2().max(f64::MIN_POSITIVE));
        self.power = if power.abs() > ordinary { power } else { 0 };
        Ok(())
    }
}

/// The steps of the process.
struct Steps<'s, 'a, T: Scalar> {
    operator: Operator<'s, 'a, T>,
    basis: Basis<T>,
    /// T, real symmetric, `O V = V T + beta v e^T`.
    t: Array2<f64>,
    /// `|O v - ...|` of the last vector; zero if the basis spans an invariant space.
    beta: f64,
    /// The largest entry of T so far.
    largest: f64,
    ritz: Ritz,
    /// Eigenvectors of T as columns.
    rotation: Array2<f64>,
}

impl<'s, 'a, T: Scalar> Steps<'s, 'a, T> {
    fn new(pencil: &'s Pencil<'s, T>, transform: Transform<'a, T>, size: usize) -> Self {
        let operator = Operator { pencil, transform, power: 0, between: Vector::zeros(pencil.layout()) };
        Steps {
            operator,
            basis: Basis::new(pencil.layout(), size),
            t: Array2::zeros((size, size)),
            beta: 0.0,
            largest: 0.0,
            ritz: Ritz::default(),
            rotation: Array2::zeros((0, 0)),
        }
    }

    /// Takes a random vector, in the range of the operator where a singular mass matrix takes others to zero.
    fn next_random(&mut self) -> Result<()> {
        let space = &self.operator.pencil.space;
        let mut vector = self.basis.random();
        if space.has_mass() {
            let given = vector.clone();
            self.operator.apply(&given, &mut vector)?;
        }
        self.beta = 0.0;
        self.ritz.complete = !self.basis.put_orthogonal(METHOD, space, vector)?;
        Ok(())
    }

    /// Computes pairs that the basis holds.
    fn pairs(&mut self, places: &[usize]) -> Result<(Vec<f64>, MultiVector<T>)> {
        let layout = self.operator.pencil.layout();
        let mut vectors = MultiVector::zeros(layout, places.len());
        let mut image = Vector::zeros(layout);
        for (column, &place) in places.iter().enumerate() {
            let theta = self.ritz.values[place];
            let mut vector = self.basis.combination(self.rotation.column(place))?;
            if matches!(self.operator.transform, Transform::ShiftInvert(..)) {
                // A step of inverse iteration makes small the parts of the residual that `A` enlarges.
                self.operator.apply(&vector, &mut image)?;
                let norm = self.operator.pencil.space.norm(&image)?;
                if norm > 0.0 && norm.is_finite() {
                    image.scale(T::from_parts(theta.signum() / norm, 0.0));
                    std::mem::swap(&mut vector, &mut image);
                }
            }
            vectors.set_column(column, &vector)?;
        }
        Ok((places.iter().map(|&place| self.value(self.ritz.values[place])).collect(), vectors))
    }

    /// Replaces the basis by approximations from it.
    fn replace(&mut self, places: &[usize]) -> Result<()> {
        self.basis.replace(&self.rotation, places)?;
        self.t.fill(0.0);
        for (i, &place) in places.iter().enumerate() {
            self.t[(i, i)] = self.ritz.values[place];
        }
        Ok(())
    }

    /// Couples the vectors to the next one.
    fn couple(&mut self, couplings: &[f64]) {
        let next = couplings.len();
        for (i, &coupling) in couplings.iter().enumerate().filter(|_| next < self.basis.size) {
            (self.t[(i, next)], self.t[(next, i)]) = (coupling, coupling);
        }
    }
}

impl<T: Scalar> Process<T> for Steps<'_, '_, T> {
    fn begin(&mut self) -> Result<()> {
        if self.basis.filled == 0 {
            self.operator.find_power()?;
        }
        self.next_random()
    }

    fn step(&mut self) -> Result<()> {
        let space = &self.operator.pencil.space;
        let j = self.basis.filled;
        let mut w = Vector::zeros(self.operator.pencil.layout());
        self.operator.apply(&self.basis.vectors[j], &mut w)?;
        let remainder = space.orthogonalize(&self.basis.vectors[..=j], &mut w)?;
        require_finite(METHOD, remainder.norm)?;
        let diagonal = remainder.coefficients[j].re();
        self.t[(j, j)] = diagonal;
        self.basis.filled = j + 1;
        self.largest = self.largest.max(diagonal.abs()).max(remainder.norm);
        self.ritz.noise = noise::<T>(self.largest);
        if remainder.norm > self.ritz.noise {
            self.beta = remainder.norm;
            w.scale(T::from_parts(1.0 / remainder.norm, 0.0));
            self.basis.put(w);
        } else {
            self.next_random()?;
        }
        if j + 1 < self.basis.size {
            (self.t[(j, j + 1)], self.t[(j + 1, j)]) = (self.beta, self.beta);
        }
        Ok(())
    }

    fn filled(&self) -> usize {
        self.basis.filled
    }

    fn is_full(&self) -> bool {
        self.ritz.complete || self.basis.filled == self.basis.size
    }

    fn decompose(&mut self) -> Result<()> {
        let (locked, n) = (self.ritz.locked, self.basis.filled);
        let open = self.t.slice(s![locked..n, locked..n]);
        let (values, vectors) = eigen(self.operator.pencil.comm(), open)?;
        self.ritz.values = (0..locked).map(|i| self.t[(i, i)]).chain(values).collect();
        self.rotation = Array2::eye(n);
        self.rotation.slice_mut(s![locked.., locked..]).assign(&vectors);
        let residual = |place: usize| {
            if place < locked { 0.0 } else { (self.beta * self.rotation[(n - 1, place)]).abs() }
        };
        self.ritz.residuals = (0..n).map(residual).collect();
        Ok(())
    }

    fn ritz(&self) -> &Ritz {
        &self.ritz
    }

    fn keep(&mut self, places: &[usize]) -> Result<()> {
        let last = self.basis.filled - 1;
        let coupling = |&place: &usize| {
            if place < self.ritz.locked { 0.0 } else { self.beta * self.rotation[(last, place)] }
        };
        let couplings: Vec<f64> = places.iter().map(coupling).collect();
        let next = self.basis.take_next();
        self.replace(places)?;
        next.into_iter().for_each(|next| self.basis.put(next));
        self.couple(&couplings);
        Ok(())
    }

    fn lock(&mut self, places: &[usize]) -> Result<()> {
        self.replace(places)?;
        self.ritz.locked = places.len();
        Ok(())
    }

    fn value(&self, theta: f64) -> f64 {
        match self.operator.transform {
            Transform::None | Transform::MassInverse(_) => scaled(theta, self.operator.power),
            Transform::ShiftInvert(shift, _) => shift + 1.0 / scaled(theta, self.operator.power),
        }
    }

    fn magnification(&self, theta: f64) -> f64 {
        match self.operator.transform {
            Transform::None | Transform::MassInverse(_) => 1.0,
            // After the step of inverse iteration `|A v - w M v| = |w - s| |M r| / |theta|`.
            Transform::ShiftInvert(shift, _) => {
                let value = self.value(theta);
                ((value - shift) / value).abs().max(1.0)
            }
        }
    }

    fn lead(&self, which: Which, a: f64, b: f64) -> f64 {
        match self.operator.transform {
            Transform::ShiftInvert(..) => Which::LargestMagnitude.lead(a, b),
            Transform::None | Transform::MassInverse(_) => which.lead(a, b),
        }
    }

    fn archive(&mut self, archive: &mut Archive<'_, T>) {
        let mut power = f64::from(self.operator.power);
        archive.real("power of the operator", &mut power);
        #[expect(clippy::cast_possible_truncation, reason = "powers are small whole numbers")]
        let power = power as i32;
        self.operator.power = power;
        archive.integer("locked", &mut self.ritz.locked);
        archive.flag("complete", &mut self.ritz.complete);
        archive.real("beta", &mut self.beta);
        archive.real("largest", &mut self.largest);
        self.ritz.noise = noise::<T>(self.largest);
        self.basis.archive("vector", archive);
        if self.ritz.locked > self.basis.filled {
            self.ritz.locked = 0;
            return archive.refuse("locked");
        }
        let (count, size) = (self.basis.filled, self.basis.size);
        let mut diagonal: Vec<f64> = (0..count).map(|i| self.t[(i, i)]).collect();
        let mut couplings: Vec<f64> = (0..count).map(|i| if count < size { self.t[(i, count)] } else { 0.0 }).collect();
        archive.reals("diagonal", &mut diagonal);
        archive.reals("couplings", &mut couplings);
        for (i, diagonal) in diagonal.into_iter().enumerate() {
            self.t[(i, i)] = diagonal;
        }
        self.couple(&couplings);
    }
}
