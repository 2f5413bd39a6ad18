//! The problem `A v = w M v`: its operators, its size and the residuals of what is found.

use std::cell::Cell;

use dolmen_core::scaling::{exponent, scaled};
use dolmen_core::{Comm, Layout, LinearOperator, MultiVector, Real, Scalar, Vector};

use crate::eigen::report::EigenReport;
use crate::eigen::space::{Space, random};
use crate::eigen::which::Which;
use crate::error::{Error, NoSpectrum, Result};
use crate::krylov::powers::Numbers;
use crate::krylov::problem::require_same;
use crate::settings::require;
use crate::stop_reason::StopReason;

/// Rounding errors of a product, in units of `eps |A| |v|`: residuals of at most this size are as small as they get.
const ROUNDING: f64 = 32.0;
/// Streams of random numbers that only look at operators.
const PROBES: [u64; 2] = [u64::MAX, u64::MAX - 1];

/// The operators, which have one layout.
pub(super) struct Pencil<'s, T> {
    pub(super) method: &'static str,
    pub(super) a: &'s dyn LinearOperator<T>,
    pub(super) space: Space<'s, T>,
    pub(super) applications: Cell<usize>,
    /// The largest `|A v| / |v|` seen so far.
    size: Cell<f64>,
}

impl<'s, T: Scalar> Pencil<'s, T> {
    /// # Collective
    /// Two products with each operator, which find one that is not Hermitian.
    ///
    /// # Errors
    /// [`Error::NoSpectrum`] of operators that are not Hermitian or not finite.
    pub(super) fn new(
        method: &'static str,
        a: &'s dyn LinearOperator<T>,
        mass: Option<&'s dyn LinearOperator<T>>,
    ) -> Result<Pencil<'s, T>> {
        let space = Space::new(method, a.domain(), mass);
        let pencil = Pencil { method, a, space, applications: Cell::new(0), size: Cell::new(0.0) };
        pencil.require_hermitian(|x, y| pencil.apply(x, y))?;
        if mass.is_some() {
            pencil.require_hermitian(|x, y| pencil.space.apply(x, y))?;
        }
        Ok(pencil)
    }

    pub(super) fn layout(&self) -> &'s Layout {
        self.a.domain()
    }

    pub(super) fn comm(&self) -> &'s Comm {
        self.a.domain().comm()
    }

    /// Computes `y = A x`.
    pub(super) fn apply(&self, x: &Vector<T>, y: &mut Vector<T>) -> Result<()> {
        self.applications.set(self.applications.get() + 1);
        Ok(self.a.apply(x, y)?)
    }

    /// Computes `A X`.
    pub(super) fn apply_many(&self, x: &MultiVector<T>) -> Result<MultiVector<T>> {
        self.applications.set(self.applications.get() + x.columns());
        let mut y = MultiVector::zeros(x.layout(), x.columns());
        self.a.apply_many(x, &mut y)?;
        Ok(y)
    }

    /// Returns the products made with both operators.
    pub(super) fn applications(&self) -> usize {
        self.applications.get() + self.space.applications.get()
    }

    /// Returns the size of rounding errors in residuals of vectors of this length.
    pub(super) fn rounding(&self, length: f64) -> f64 {
        rounding::<T>(self.size.get()) * length
    }

    /// Notes the length of an image of a vector.
    fn note(&self, image: f64, vector: f64) {
        if vector > 0.0 {
            self.size.set(self.size.get().max(image / vector));
        }
    }

    fn require_hermitian(&self, apply: impl Fn(&Vector<T>, &mut Vector<T>) -> Result<()>) -> Result<()> {
        let [x, y] = PROBES.map(|stream| random::<T>(self.layout(), stream));
        let [mut image_x, mut image_y] = [Vector::zeros(self.layout()), Vector::zeros(self.layout())];
        apply(&x, &mut image_x)?;
        apply(&y, &mut image_y)?;
        let norms = [&x, &y, &image_x, &image_y].map(Vector::norm2);
        let failed = |reason| Err(Error::NoSpectrum { method: self.method, reason });
        if !norms[2].is_finite() || !norms[3].is_finite() {
            return failed(NoSpectrum::NotFinite);
        }
        self.note(norms[2], norms[0]);
        self.note(norms[3], norms[1]);
        // Images of length one, so that products neither overflow nor vanish.
        for (image, norm) in [(&mut image_x, norms[2]), (&mut image_y, norms[3])] {
            normalize(image, norm);
        }
        let left = image_x.dot(&y)?.scale(norms[2] / norms[2].max(norms[3]));
        let right = x.dot(&image_y)?.scale(norms[3] / norms[2].max(norms[3]));
        let differs = (left - right).abs() > T::Real::EPSILON.to_f64().powf(0.75) * norms[0].max(norms[1]);
        if differs { failed(NoSpectrum::NotHermitian) } else { Ok(()) }
    }

    /// Returns `|A v - w M v|` divided by `|w M v|` for each pair, and whether it is at most `rtol`, or of the size of
    /// rounding errors.
    ///
    /// # Collective
    pub(super) fn residuals(&self, values: &[f64], vectors: &MultiVector<T>, rtol: f64) -> Result<Vec<(f64, bool)>> {
        let zeros = || Vector::zeros(self.layout());
        let [mut v, mut image, mut mass_image] = [zeros(), zeros(), zeros()];
        let mut found = Vec::with_capacity(values.len());
        for (column, &value) in values.iter().enumerate() {
            vectors.copy_column_to(column, &mut v)?;
            self.apply(&v, &mut image)?;
            self.space.apply(&v, &mut mass_image)?;
            let [length, image_length] = [&v, &image].map(Vector::norm2);
            self.note(image_length, length);
            let size = value.abs() * mass_image.norm2();
            image.axpy(T::from_parts(-value, 0.0), &mass_image)?;
            let residual = image.norm2();
            self.note(size, length);
            found.push(judged(residual, size, rtol, self.rounding(length)));
        }
        Ok(found)
    }

    /// Reports on pairs, with residuals computed afresh; iterations and time are still to be said.
    ///
    /// # Collective
    pub(super) fn report(
        &self,
        reason: StopReason,
        values: &[f64],
        vectors: &MultiVector<T>,
        tolerance: f64,
    ) -> Result<EigenReport> {
        let found = self.residuals(values, vectors, tolerance)?;
        Ok(EigenReport::new(self.method, reason, found, tolerance, self.applications()))
    }
}

/// Refuses operators that are not square, and those that do not fit to each other.
pub(super) fn require_fit<'o, T: Scalar>(
    method: &'static str,
    a: &dyn LinearOperator<T>,
    others: impl IntoIterator<Item = (&'static str, &'o dyn LinearOperator<T>)>,
) -> Result<()> {
    require_same(method, "operator", a.domain(), a.range())?;
    for (what, other) in others {
        require_same(method, what, a.domain(), other.domain())?;
        require_same(method, what, a.domain(), other.range())?;
    }
    Ok(())
}

/// Refuses a number of values of none, and more than there are rows.
pub(super) fn require_count(method: &'static str, count: usize, rows: u64) -> Result<()> {
    require(method, "count", count as f64, count > 0, "one or more")?;
    if count as u64 <= rows {
        return Ok(());
    }
    let found = usize::try_from(rows).unwrap_or(usize::MAX);
    Err(Error::FewEigenvalues { method, wanted: count, found })
}

/// Returns the number of vectors of a basis, `2 count + 20` unless one is given, which has to be above `least`.
pub(super) fn basis_size(
    method: &'static str,
    given: Option<usize>,
    count: usize,
    rows: u64,
    (least, expected): (usize, &'static str),
) -> Result<usize> {
    let rows = usize::try_from(rows).unwrap_or(usize::MAX);
    let size = given.unwrap_or(2 * count + 20);
    require(method, "basis", size as f64, size > least || size >= rows, expected)?;
    Ok(size.min(rows))
}

/// Refuses values inside of the spectrum, for methods that find its ends.
pub(super) fn require_end(method: &'static str, which: Which) -> Result<()> {
    match which {
        Which::Smallest | Which::Largest => Ok(()),
        inside => Err(Error::NotAnEnd { method, which: inside.to_string() }),
    }
}

/// The refusal of a number to be near to, without an operator that solves with `A - shift M`.
pub(super) fn no_inverse(method: &'static str, shift: f64) -> Error {
    let expected = "given by shift_invert, with an operator that solves with A - shift M";
    Error::Setting { method, setting: "the number to be near to", value: shift, expected }
}

/// Returns the size of rounding errors in residuals of vectors of length one, of an operator of this size.
pub(super) fn rounding<T: Scalar>(size: f64) -> f64 {
    ROUNDING * T::Real::EPSILON.to_f64() * size
}

/// Returns a residual relative to a size, and whether it is at most `rtol`, or of the size of rounding errors.
pub(super) fn judged(residual: f64, size: f64, rtol: f64, rounding: f64) -> (f64, bool) {
    let relative = if residual == 0.0 { 0.0 } else { residual / size };
    (relative, residual <= rtol * size || residual <= rounding)
}

/// Divides a vector by its norm, without leaving the range of its numbers on the way.
pub(super) fn normalize<T: Scalar>(x: &mut Vector<T>, norm: f64) {
    if norm == 0.0 {
        return;
    }
    let power = exponent(norm);
    x.scale_by(-power);
    x.scale(T::from_parts(1.0 / scaled(norm, -power), 0.0));
}
