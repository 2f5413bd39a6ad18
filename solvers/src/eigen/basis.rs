//! An orthonormal basis that grows and is restarted.

use dolmen_core::ndarray::{Array2, ArrayView1};
use dolmen_core::{Layout, MultiVector, Real, Scalar, Vector};

use crate::eigen::space::{Space, random};
use crate::error::{Error, NoSpectrum, Result};
use crate::krylov::snapshot_state::Archive;

/// Rounding errors of a product, in units of `eps |O|`.
const ROUNDING: f64 = 10.0;

pub(super) struct Basis<T: Scalar> {
    layout: Layout,
    /// Vectors that the basis may have.
    pub(super) size: usize,
    /// Orthonormal; the next one after those that are filled, if there is one.
    pub(super) vectors: Vec<Vector<T>>,
    /// Vectors whose images are known.
    pub(super) filled: usize,
    /// The number of the next random vector.
    stream: usize,
}

impl<T: Scalar> Basis<T> {
    pub(super) fn new(layout: &Layout, size: usize) -> Basis<T> {
        Basis { layout: layout.clone(), size, vectors: Vec::new(), filled: 0, stream: 1 }
    }

    /// Takes a vector as the one after those that are filled.
    pub(super) fn put(&mut self, vector: Vector<T>) {
        self.vectors.truncate(self.filled);
        self.vectors.push(vector);
    }

    /// Takes out the vector after those that are filled.
    pub(super) fn take_next(&mut self) -> Option<Vector<T>> {
        if self.vectors.len() > self.filled { self.vectors.pop() } else { None }
    }

    /// Returns another random vector.
    pub(super) fn random(&mut self) -> Vector<T> {
        self.stream += 1;
        random(&self.layout, self.stream as u64)
    }

    /// Takes the part of a vector beside the filled ones as the next one, of length one. Returns false if there is none.
    ///
    /// # Collective
    pub(super) fn put_orthogonal(
        &mut self,
        method: &'static str,
        space: &Space<'_, T>,
        vector: Vector<T>,
    ) -> Result<bool> {
        let mut vector = vector;
        let before = space.norm(&vector)?;
        let norm = space.orthogonalize(&self.vectors[..self.filled], &mut vector)?.norm;
        require_finite(method, norm)?;
        if norm == 0.0 || norm <= T::Real::EPSILON.to_f64().sqrt() * before {
            return Ok(false);
        }
        vector.scale(T::from_parts(1.0 / norm, 0.0));
        // Once more, since the first time may have left little of it.
        let norm = space.orthogonalize(&self.vectors[..self.filled], &mut vector)?.norm;
        vector.scale(T::from_parts(1.0 / norm, 0.0));
        self.put(vector);
        Ok(true)
    }

    /// Computes a combination of the filled vectors.
    pub(super) fn combination(&self, factors: ArrayView1<'_, f64>) -> Result<Vector<T>> {
        let mut vector = Vector::zeros(&self.layout);
        let factors: Vec<T> = factors.iter().map(|&factor| T::from_parts(factor, 0.0)).collect();
        vector.multi_axpy(&factors, &self.vectors[..self.filled])?;
        Ok(vector)
    }

    /// Computes combinations of the filled vectors, some columns of a matrix.
    pub(super) fn combinations(&self, rotation: &Array2<f64>, columns: &[usize]) -> Result<MultiVector<T>> {
        let mut vectors = MultiVector::zeros(&self.layout, columns.len());
        for (to, &column) in columns.iter().enumerate() {
            vectors.set_column(to, &self.combination(rotation.column(column))?)?;
        }
        Ok(vectors)
    }

    /// Replaces the vectors by combinations of them, columns of a matrix.
    pub(super) fn replace(&mut self, rotation: &Array2<f64>, columns: &[usize]) -> Result<()> {
        let new = columns.iter().map(|&column| self.combination(rotation.column(column))).collect::<Result<_>>()?;
        (self.vectors, self.filled) = (new, columns.len());
        Ok(())
    }

    /// Names the vectors, the next one among them.
    pub(super) fn archive(&mut self, name: &str, archive: &mut Archive<'_, T>) {
        let mut stored = self.vectors.len();
        archive.integer(&format!("{name}s filled"), &mut self.filled);
        archive.integer(&format!("{name}s"), &mut stored);
        archive.integer(&format!("{name}s at random"), &mut self.stream);
        if self.filled > self.size || stored < self.filled || stored > self.filled + 1 {
            (self.filled, stored) = (0, 0);
            archive.refuse(&format!("{name}s"));
        }
        self.vectors.resize_with(stored, || Vector::zeros(&self.layout));
        archive.vectors(name, &mut self.vectors);
    }
}

/// Returns the size of rounding errors beside an operator of this size.
pub(super) fn noise<T: Scalar>(size: f64) -> f64 {
    ROUNDING * T::Real::EPSILON.to_f64() * size
}

/// Refuses operators that give numbers that are not finite.
pub(super) fn require_finite(method: &'static str, norm: f64) -> Result<()> {
    if norm.is_finite() { Ok(()) } else { Err(Error::NoSpectrum { method, reason: NoSpectrum::NotFinite }) }
}
