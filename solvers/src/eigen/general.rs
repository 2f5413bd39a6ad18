//! The problem `A v = w M v` without symmetry: its operators, and eigenpairs with complex values.

use std::cell::Cell;

use dolmen_core::scaling::exponent;
use dolmen_core::{Complex64, Layout, LinearOperator, MultiVector, Real, Scalar, Vector};

use crate::eigen::problem::{judged, rounding};
use crate::eigen::report::EigenReport;
use crate::eigen::space::random;
use crate::error::Result;
use crate::krylov::powers::Numbers;
use crate::stop_reason::StopReason;

/// Eigenvalues of a general problem, most wanted first, with their eigenvectors of length one.
#[derive(Debug)]
pub struct GeneralEigenpairs<T: Scalar> {
    /// The eigenvalues.
    pub values: Vec<Complex64>,
    /// The eigenvectors as columns; of a real operator their real parts.
    pub vectors: MultiVector<T>,
    /// The imaginary parts of the eigenvectors of a real operator; none of a complex one.
    pub imaginary: Option<MultiVector<T>>,
    /// Account of the search, with the residuals.
    pub report: EigenReport,
}

/// Eigenpairs without a report.
pub(super) struct Pairs<T: Scalar> {
    pub(super) values: Vec<Complex64>,
    pub(super) vectors: MultiVector<T>,
    pub(super) imaginary: Option<MultiVector<T>>,
}

impl<T: Scalar> Pairs<T> {
    pub(super) fn new(layout: &Layout, count: usize) -> Pairs<T> {
        let zeros = || MultiVector::zeros(layout, count);
        Pairs { values: vec![Complex64::new(0.0, 0.0); count], vectors: zeros(), imaginary: (!T::COMPLEX).then(zeros) }
    }

    /// Takes a value and its vector, in real and imaginary part if the vectors are real.
    pub(super) fn set(&mut self, column: usize, value: Complex64, parts: &[Vector<T>]) -> Result<()> {
        self.values[column] = value;
        for (block, part) in [Some(&mut self.vectors), self.imaginary.as_mut()].into_iter().flatten().zip(parts) {
            block.set_column(column, part)?;
        }
        Ok(())
    }

    /// Brings the vectors to length one.
    ///
    /// # Collective
    pub(super) fn normalize(&mut self) -> Result<()> {
        for column in 0..self.values.len() {
            let mut parts = Vec::new();
            for block in [Some(&self.vectors), self.imaginary.as_ref()].into_iter().flatten() {
                let mut part = Vector::zeros(block.layout());
                block.copy_column_to(column, &mut part)?;
                parts.push(part);
            }
            let power = parts.iter().map(|part| exponent(part.norm2())).max().unwrap_or(0);
            parts.iter_mut().for_each(|part| part.scale_by(-power));
            let factor = T::from_parts(1.0 / length(&parts), 0.0);
            parts.iter_mut().for_each(|part| part.scale(factor));
            self.set(column, self.values[column], &parts)?;
        }
        Ok(())
    }
}

/// The operators, which have one layout.
pub(super) struct General<'s, T> {
    method: &'static str,
    a: &'s dyn LinearOperator<T>,
    mass: Option<&'s dyn LinearOperator<T>>,
    applications: Cell<usize>,
}

impl<'s, T: Scalar> General<'s, T> {
    pub(super) fn new(
        method: &'static str,
        a: &'s dyn LinearOperator<T>,
        mass: Option<&'s dyn LinearOperator<T>>,
    ) -> General<'s, T> {
        General { method, a, mass, applications: Cell::new(0) }
    }

    pub(super) fn layout(&self) -> &'s Layout {
        self.a.domain()
    }

    pub(super) fn has_mass(&self) -> bool {
        self.mass.is_some()
    }

    /// Counts a product with an operator that is not here.
    pub(super) fn count(&self) {
        self.applications.set(self.applications.get() + 1);
    }

    /// Computes `y = A x`.
    pub(super) fn apply(&self, x: &Vector<T>, y: &mut Vector<T>) -> Result<()> {
        self.count();
        Ok(self.a.apply(x, y)?)
    }

    /// Computes `y = M x`.
    pub(super) fn apply_mass(&self, x: &Vector<T>, y: &mut Vector<T>) -> Result<()> {
        match self.mass {
            Some(mass) => {
                self.count();
                Ok(mass.apply(x, y)?)
            }
            None => Ok(y.copy_from(x)?),
        }
    }

    /// Reports on pairs, with residuals computed afresh; iterations and time are still to be said.
    ///
    /// # Collective
    pub(super) fn report(
        &self,
        reason: StopReason,
        values: &[Complex64],
        vectors: &MultiVector<T>,
        imaginary: Option<&MultiVector<T>>,
        tolerance: f64,
    ) -> Result<EigenReport> {
        let zeros = || Vector::zeros(self.layout());
        let (probe, mut image) = (random::<T>(self.layout(), 0), zeros());
        self.apply(&probe, &mut image)?;
        let mut size = image.norm2() / probe.norm2().max(f64::MIN_POSITIVE);
        let mut found = Vec::with_capacity(values.len());
        for (column, &value) in values.iter().enumerate() {
            // Real and imaginary part of `A v` and of `M v`; one of each for complex vectors.
            let (mut of_a, mut of_m) = (Vec::new(), Vec::new());
            for block in [Some(vectors), imaginary].into_iter().flatten() {
                let [mut v, mut a, mut m] = [zeros(), zeros(), zeros()];
                block.copy_column_to(column, &mut v)?;
                self.apply(&v, &mut a)?;
                self.apply_mass(&v, &mut m)?;
                of_a.push(a);
                of_m.push(m);
            }
            let mass_length = length(&of_m);
            match &mut of_a[..] {
                [whole] => whole.axpy(T::from_parts(-value.re, -value.im), &of_m[0])?,
                [re, im] => {
                    re.axpy(T::from_parts(-value.re, 0.0), &of_m[0])?;
                    re.axpy(T::from_parts(value.im, 0.0), &of_m[1])?;
                    im.axpy(T::from_parts(-value.im, 0.0), &of_m[0])?;
                    im.axpy(T::from_parts(-value.re, 0.0), &of_m[1])?;
                }
                _ => {}
            }
            let residual = length(&of_a);
            let wanted = value.norm() * mass_length;
            size = size.max(wanted);
            found.push(judged(residual, wanted, tolerance, rounding::<T>(size)));
        }
        Ok(EigenReport::new(self.method, reason, found, tolerance, self.applications.get()))
    }
}

/// Returns the length of a vector in parts.
fn length<T: Scalar>(parts: &[Vector<T>]) -> f64 {
    parts.iter().map(Vector::norm2).fold(0.0, f64::hypot)
}

/// Returns a number in double precision.
pub(super) fn to_complex<T: Scalar>(value: T) -> Complex64 {
    Complex64::new(value.re().to_f64(), value.im().to_f64())
}

/// Turns the phase of a vector so that its largest entry is real; drops what is left of imaginary parts of real ones.
pub(super) fn turned(mut vector: Vec<Complex64>, is_real: bool) -> Vec<Complex64> {
    let largest = vector.iter().fold(Complex64::ZERO, |a, &b| if b.norm() > a.norm() { b } else { a });
    let phase = largest.conj().scale(1.0 / largest.norm());
    for entry in &mut vector {
        *entry *= phase;
        entry.im = if is_real { 0.0 } else { entry.im };
    }
    vector
}
