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

use dolmen_core::ndarray::Array2;
use dolmen_core::scaling::scaled;
use dolmen_core::{LinearOperator, MultiVector, Scalar, Snapshot, Vector, profile};

use crate::eigen::arrow::Arrow;
use crate::eigen::basis::{Basis, require_finite};
use crate::eigen::block::eigen;
use crate::eigen::problem::{Pencil, basis_size, no_inverse, require_count, require_fit};
use crate::eigen::report::{EigenReport, Eigenpairs};
use crate::eigen::search::{Process, Ritz, Search};
use crate::eigen::space::{far_power, random};
use crate::eigen::watch::ITERATIONS;
use crate::eigen::which::Which;
use crate::error::Result;
use crate::krylov::powers::Numbers;
use crate::krylov::snapshot_state::Archive;
use crate::krylov::solver::forward;
use crate::settings::Settings;

const METHOD: &str = "Lanczos";

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
        Self::with_settings(Settings::new().max_iterations(ITERATIONS), count)
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
    /// A setting out of range, or mismatched layouts; [`FewEigenvalues`](crate::Error::FewEigenvalues) if the problem has fewer than are asked
    /// for; [`NoSpectrum`](crate::Error::NoSpectrum) of operators that are seen not to be Hermitian or not finite;
    /// [`MassNotPositive`](crate::Error::MassNotPositive); a failure in an operator or a monitor; the same on all ranks. Not converging is not
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
        let (values, vectors) = steps.pairs(&search.order(&steps)[..self.count.min(steps.arrow.ritz.values.len())])?;
        search.watch.end()?;
        let report = pencil.report(reason, &values, &vectors, self.settings.rtol)?;
        let (iterations, time) = (search.watch.iterations(), start.elapsed());
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
        let rows = a.domain().global_len();
        require_count(METHOD, self.count, rows)?;
        if let (Which::Nearest(shift), Transform::None | Transform::MassInverse(_)) = (self.which, self.transform) {
            return Err(no_inverse(METHOD, shift));
        }
        basis_size(METHOD, self.basis, self.count, rows, (self.count + 1, "more than count + 1"))
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
        self.power = far_power(&x, &y);
        Ok(())
    }
}

/// The steps of the process.
struct Steps<'s, 'a, T: Scalar> {
    operator: Operator<'s, 'a, T>,
    basis: Basis<T>,
    /// T, real symmetric, `O V = V T + beta v e^T`.
    arrow: Arrow,
    /// Eigenvectors of T as columns.
    rotation: Array2<f64>,
}

impl<'s, 'a, T: Scalar> Steps<'s, 'a, T> {
    fn new(pencil: &'s Pencil<'s, T>, transform: Transform<'a, T>, size: usize) -> Self {
        let operator = Operator { pencil, transform, power: 0, between: Vector::zeros(pencil.layout()) };
        Steps {
            operator,
            basis: Basis::new(pencil.layout(), size),
            arrow: Arrow::new(size),
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
        self.arrow.beta = 0.0;
        self.arrow.ritz.complete = !self.basis.put_orthogonal(METHOD, space, vector)?;
        Ok(())
    }

    /// Computes pairs that the basis holds.
    fn pairs(&mut self, places: &[usize]) -> Result<(Vec<f64>, MultiVector<T>)> {
        let layout = self.operator.pencil.layout();
        let mut vectors = MultiVector::zeros(layout, places.len());
        let mut image = Vector::zeros(layout);
        for (column, &place) in places.iter().enumerate() {
            let theta = self.arrow.ritz.values[place];
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
        Ok((places.iter().map(|&place| self.value(self.arrow.ritz.values[place])).collect(), vectors))
    }

    /// Replaces the basis by approximations from it.
    fn replace(&mut self, places: &[usize]) -> Result<()> {
        self.basis.replace(&self.rotation, places)?;
        self.arrow.replace(places);
        Ok(())
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
        self.arrow.set_diagonal(j, diagonal);
        self.basis.filled = j + 1;
        self.arrow.see::<T>(diagonal.abs().max(remainder.norm));
        if remainder.norm > self.arrow.ritz.noise {
            self.arrow.beta = remainder.norm;
            w.scale(T::from_parts(1.0 / remainder.norm, 0.0));
            self.basis.put(w);
        } else {
            self.next_random()?;
        }
        self.arrow.set_beside(j);
        Ok(())
    }

    fn filled(&self) -> usize {
        self.basis.filled
    }

    fn is_full(&self) -> bool {
        self.arrow.ritz.complete || self.basis.filled == self.basis.size
    }

    fn decompose(&mut self) -> Result<()> {
        // What LAPACK reads is the lower triangle.
        let open = self.arrow.open(self.basis.filled).reversed_axes();
        let (values, vectors) = eigen(self.operator.pencil.comm(), open)?;
        self.rotation = self.arrow.with_locked(&vectors);
        self.arrow.take(values, &self.rotation);
        Ok(())
    }

    fn ritz(&self) -> &Ritz {
        &self.arrow.ritz
    }

    fn keep(&mut self, places: &[usize]) -> Result<()> {
        let couplings = self.arrow.couplings(places, &self.rotation);
        let next = self.basis.take_next();
        self.replace(places)?;
        next.into_iter().for_each(|next| self.basis.put(next));
        self.arrow.couple(&couplings);
        Ok(())
    }

    fn lock(&mut self, places: &[usize]) -> Result<()> {
        self.replace(places)?;
        self.arrow.ritz.locked = places.len();
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
        archive.power("power of the operator", &mut self.operator.power);
        self.basis.archive("vector", archive);
        self.arrow.archive(self.basis.filled, archive);
    }
}
