//! Arnoldi's process with the least-squares problem it leads to, for GMRES and its relatives (Saad,
//! "Iterative Methods for Sparse Linear Systems", 2nd ed., sections 6.3 and 6.5).
//!
//! New vectors are orthogonalized by classical Gram-Schmidt, all inner products in one reduction. What
//! remains of the square is known without another sum, so an iteration takes one reduction, or two: a
//! second pass is made when less than a tenth of the length is left (the criterion of Daniel, Gragg,
//! Kaufman and Stewart, Math. Comp. 30 (1976) 772), or when the basis would become too oblique.
//! One pass each makes a basis whose products are about `eps` times the square of the condition of the vectors
//! that it was made of, if the remainder is computed as here (Smoktunowicz, Barlow and Langou, Numer. Math. 105
//! (2006) 299), and that condition is about the factor by which the residual has shrunk in the cycle (Paige and
//! Strakos, SIAM J. Sci. Comput. 23 (2002) 1898). As long as the products stay below a tenth of the square root of `eps`,
//! the residuals do not notice (semi-orthogonality: Simon, Math. Comp. 42 (1984) 115). Most cycles shrink a
//! residual by less than that takes, and passing twice over the basis each time would be most of their work.

use dolmen_core::{Real, Scalar, Vector};

use crate::error::Result;
use crate::krylov::problem::Problem;
use crate::krylov::snapshot_state::Archive;

/// An orthonormal basis and the triangular factor of the Hessenberg matrix `A` becomes in it.
pub(crate) struct Arnoldi<T: Scalar> {
    /// One more than the longest cycle so far had steps.
    pub(crate) basis: Vec<Vector<T>>,
    /// Steps of this cycle.
    pub(crate) len: usize,
    /// Steps that a cycle can have.
    cycle: usize,
    /// The columns of the triangle one after the other: one entry, two, three.
    triangle: Vec<T::Double>,
    rotations: Vec<Rotation<T::Double>>,
    /// The residual at the start of the cycle.
    first: f64,
    /// The rotated right-hand side; its last entry is the residual.
    rhs: Vec<T::Double>,
    coefficients: Vec<T::Double>,
    factors: Vec<T>,
}

/// Share of the square of a vector that must remain for one pass to be enough.
const LEFT: f64 = 0.01;

/// Share of the square root of `eps` that products of vectors of the basis may reach.
const OBLIQUE: f64 = 0.1;

/// Outcome of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Expansion {
    /// The norm of the residual.
    Residual(f64),
    /// The operator does not lead out of the space and is singular in it.
    Singular,
}

impl<T: Scalar> Arnoldi<T> {
    pub(crate) fn new(problem: &Problem<'_, T>, cycle: usize) -> Arnoldi<T> {
        Arnoldi {
            basis: vec![problem.zeros()],
            len: 0,
            cycle,
            triangle: Vec::new(),
            rotations: Vec::new(),
            first: 0.0,
            rhs: vec![T::Double::ZERO],
            coefficients: vec![T::Double::ZERO; 2],
            factors: Vec::new(),
        }
    }

    /// Returns true if the cycle has all of its steps.
    pub(crate) fn is_full(&self) -> bool {
        self.len == self.cycle
    }

    /// Makes room for `steps` steps and the vector after them: a restart that is never reached takes
    /// no memory.
    fn reserve(&mut self, steps: usize) {
        while self.basis.len() <= steps {
            self.basis.push(Vector::zeros(self.basis[0].layout()));
            self.factors.push(T::ZERO);
            self.rhs.push(T::Double::ZERO);
            self.coefficients.push(T::Double::ZERO);
            self.rotations.push(Rotation { c: 1.0, s: T::Double::ZERO });
            self.triangle.resize(column(self.rotations.len()).start, T::Double::ZERO);
        }
    }

    /// Begins with the vector in `basis[0]`; its norm.
    pub(crate) fn start(&mut self, problem: &Problem<'_, T>) -> Result<f64> {
        let norm = problem.square_of(&self.basis[0])?.sqrt();
        self.len = 0;
        self.first = norm;
        self.rhs.fill(T::Double::ZERO);
        self.rhs[0] = T::Double::from_parts(norm, 0.0);
        if norm > 0.0 {
            self.basis[0].scale(T::from_parts(1.0 / norm, 0.0));
        }
        Ok(norm)
    }

    /// Returns the last vector of the basis and room for its image.
    pub(crate) fn last_and_next(&mut self) -> (&Vector<T>, &mut Vector<T>) {
        self.reserve(self.len + 1);
        let (known, new) = self.basis.split_at_mut(self.len + 1);
        (&known[self.len], &mut new[0])
    }

    /// Makes `basis[len + 1]`, which holds the image of the last vector, the next vector of the basis.
    pub(crate) fn expand(&mut self, problem: &Problem<'_, T>) -> Result<Expansion> {
        let j = self.len;
        self.triangle[column(j)].fill(T::Double::ZERO);
        let whole = self.project(problem)?;
        let mut rest = self.remainder(whole);
        let eps = T::Real::EPSILON.to_f64();
        let noise = eps.powi(2) * whole;
        let products = eps * (self.first / self.rhs[j].abs()).powi(2);
        if rest < LEFT * whole || products > OBLIQUE * eps.sqrt() {
            self.subtract(1.0)?;
            let again = self.project(problem)?;
            rest = self.remainder(again);
        }
        let norm = if rest <= noise { 0.0 } else { rest.sqrt() };
        self.subtract(if norm > 0.0 { 1.0 / norm } else { 1.0 })?;
        let column = &mut self.triangle[column(j)];
        for (i, rotation) in self.rotations[..j].iter().enumerate() {
            (column[i], column[i + 1]) = rotation.apply(column[i], column[i + 1]);
        }
        if norm == 0.0 && column[j].abs() <= noise.sqrt() {
            return Ok(Expansion::Singular);
        }
        let (rotation, pivot) = Rotation::eliminating(column[j], norm);
        column[j] = pivot;
        self.rotations[j] = rotation;
        (self.rhs[j], self.rhs[j + 1]) = rotation.apply(self.rhs[j], T::Double::ZERO);
        self.len += 1;
        Ok(Expansion::Residual(self.rhs[j + 1].abs()))
    }

    /// Computes the coefficients of `basis[len + 1]` along the others; the square of its norm.
    fn project(&mut self, problem: &Problem<'_, T>) -> Result<f64> {
        let j = self.len;
        let coefficients = &mut self.coefficients[..j + 2];
        // The product of the vector with itself is the square of its norm.
        problem.multi_dot(&self.basis[j + 1], &self.basis[..j + 2], coefficients)?;
        for (entry, coefficient) in self.triangle[column(j)].iter_mut().zip(&coefficients[..=j]) {
            *entry += *coefficient;
        }
        Ok(coefficients[j + 1].re())
    }

    /// Subtracts from `basis[len + 1]` its parts along the others, and multiplies what is left with `scale`.
    fn subtract(&mut self, scale: f64) -> Result<()> {
        let j = self.len;
        for (factor, coefficient) in self.factors.iter_mut().zip(&self.coefficients[..=j]) {
            *factor = -T::from_double(coefficient.scale(scale));
        }
        let (known, new) = self.basis.split_at_mut(j + 1);
        Ok(new[0].multi_axpby(&self.factors[..=j], known, T::from_parts(scale, 0.0))?)
    }

    /// Returns the square of the remainder that the last pass left of a vector whose square was `whole`.
    fn remainder(&self, whole: f64) -> f64 {
        whole - self.coefficients[..=self.len].iter().map(|c| c.abs_sqr()).sum::<f64>()
    }

    /// Adds to `x` the combination with the smallest residual, of `vectors` in place of those of the
    /// basis if there are any, and ends the cycle.
    pub(crate) fn add_solution(&mut self, x: &mut Vector<T>, vectors: Option<&[Vector<T>]>) -> Result<()> {
        let len = self.len;
        for i in (0..len).rev() {
            let mut sum = self.rhs[i];
            for k in i + 1..len {
                sum -= self.triangle[column(k)][i] * self.coefficients[k];
            }
            self.coefficients[i] = sum / self.triangle[column(i)][i];
            self.factors[i] = T::from_double(self.coefficients[i]);
        }
        let vectors = vectors.unwrap_or(&self.basis);
        x.multi_axpy(&self.factors[..len], &vectors[..len])?;
        self.len = 0;
        Ok(())
    }

    pub(crate) fn archive(&mut self, archive: &mut Archive<'_, T>) {
        archive.integer("steps in cycle", &mut self.len);
        if self.len > self.cycle {
            self.len = 0;
            return archive.refuse("steps in cycle");
        }
        archive.real("residual at the start of the cycle", &mut self.first);
        let len = self.len;
        self.reserve(len);
        archive.vectors("basis", &mut self.basis[..=len]);
        archive.doubles("triangle", &mut self.triangle[..column(len).start]);
        archive.doubles("rotated right-hand side", &mut self.rhs[..=len]);
        let mut cosines: Vec<f64> = self.rotations[..len].iter().map(|rotation| rotation.c).collect();
        let mut sines: Vec<T::Double> = self.rotations[..len].iter().map(|rotation| rotation.s).collect();
        archive.reals("cosines", &mut cosines);
        archive.doubles("sines", &mut sines);
        for (rotation, (c, s)) in self.rotations.iter_mut().zip(cosines.into_iter().zip(sines)) {
            *rotation = Rotation { c, s };
        }
    }
}

/// Returns the positions of column `j` of the triangle.
fn column(j: usize) -> std::ops::Range<usize> {
    j * (j + 1) / 2..(j + 1) * (j + 2) / 2
}

/// A Givens rotation `(c, s; -conj(s), c)`.
#[derive(Clone, Copy)]
struct Rotation<D> {
    c: f64,
    s: D,
}

impl<D: Scalar<Real = f64>> Rotation<D> {
    /// Returns the rotation that takes `(a, b)` to `(r, 0)`, for a `b` that is not negative; and `r`.
    fn eliminating(a: D, b: f64) -> (Rotation<D>, D) {
        let size = a.abs();
        if size == 0.0 {
            return (Rotation { c: 0.0, s: D::ONE }, D::from_real(b));
        }
        let length = (size * size + b * b).sqrt();
        let direction = a.scale(1.0 / size);
        (Rotation { c: size / length, s: direction.scale(b / length) }, direction.scale(length))
    }

    fn apply(&self, a: D, b: D) -> (D, D) {
        (a.scale(self.c) + self.s * b, b.scale(self.c) - self.s.conj() * a)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dolmen_core::Complex64;

    #[test]
    fn rotations_eliminate_and_keep_lengths() {
        for a in [Complex64::new(3.0, 0.0), Complex64::new(0.0, -3.0), Complex64::ZERO, Complex64::new(1.0, 2.0)] {
            for b in [0.0, 4.0] {
                if a == Complex64::ZERO && b == 0.0 {
                    continue;
                }
                let (rotation, r) = Rotation::eliminating(a, b);
                let (top, bottom) = rotation.apply(a, Complex64::new(b, 0.0));
                assert!((top - r).norm() < 1e-15 && bottom.norm() < 1e-15, "{a} {b}: {top} {bottom}, not {r}");
                assert!((r.norm_sqr() - a.norm_sqr() - b * b).abs() < 1e-14);
            }
        }
    }
}
