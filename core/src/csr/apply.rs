//! Products: start the import, multiply the interior, finish, multiply the boundary.

use std::borrow::Cow;

use crate::csr::kernels::Update;
use crate::csr::matrix::{CsrMatrix, Shape};
use crate::error::{Error, Result};
use crate::index::Lid;
use crate::layout::Layout;
use crate::multi_vector::MultiVector;
use crate::operator::{AdjointOperator, LinearOperator};
use crate::profile::{self, Event};
use crate::scalar::Scalar;
use crate::vector::Vector;

/// Operands that one pass over the matrix multiplies.
const AT_ONCE: usize = 4;

impl<T: Scalar> LinearOperator<T> for CsrMatrix<T> {
    fn domain(&self) -> &Layout {
        &self.shape.domain
    }

    fn range(&self) -> &Layout {
        &self.shape.range
    }

    fn compute(&self, x: &Vector<T>, y: &mut Vector<T>) -> Result<()> {
        self.multiply_vectors([x.owned()], [y.owned_mut()], Update::Overwrite);
        Ok(())
    }

    fn compute_many(&self, x: &MultiVector<T>, y: &mut MultiVector<T>) -> Result<()> {
        self.multiply_many(x, y);
        Ok(())
    }

    /// Zero where no entry is stored.
    fn diagonal(&self) -> Option<Vector<T>> {
        let Shape { range, domain, .. } = &*self.shape;
        (range == domain).then(|| Vector::from_fn(range, |row| self.get(row, row).unwrap_or(T::ZERO)))
    }
}

/// The same bits on any number of ranks: row sums of [`CsrMatrix::adjoint`], which is made by the
/// first call after a change of values.
impl<T: Scalar> AdjointOperator<T> for CsrMatrix<T> {
    fn compute_adjoint(&self, x: &Vector<T>, y: &mut Vector<T>) -> Result<()> {
        let _event = profile::operation("MatMultTranspose");
        self.adjoint()?.compute(x, y)
    }
}

impl<T: Scalar> CsrMatrix<T> {
    fn multiply_vectors<const K: usize>(&self, x: [&[T]; K], mut y: [&mut [T]; K], update: Update) {
        let _event = self.product_event(K, update);
        if self.shape.range.comm().size() == 1 {
            // No rows but the interior's, and nothing to exchange.
            return self.local.multiply_interior(x, y, update);
        }
        let halos = x.map(|x| self.shape.plan.start_import(x, 1));
        self.local.multiply_interior(x, y.each_mut().map(|y| &mut **y), update);
        let halos = halos.map(|halo| halo.finish());
        self.local.multiply_boundary(x, halos.each_ref().map(|halo| &**halo), y, update);
    }

    fn product_event(&self, vectors: usize, update: Update) -> Event {
        let (entries, rows, columns) = (self.local_entries(), self.local.rows(), self.local.columns());
        let flops = vectors * entries * if T::COMPLEX { 8 } else { 2 };
        let results = rows * if update == Update::Add { 2 } else { 1 };
        let matrix = entries * (size_of::<T>() + size_of::<Lid>()) + rows * size_of::<usize>();
        let bytes = matrix + vectors * (results + columns) * size_of::<T>();
        profile::operation("MatMult").flops(flops as u64).bytes(bytes as u64)
    }

    /// Computes `y = y + A x`: each row is summed as by [`LinearOperator::apply`], then added.
    ///
    /// # Collective
    /// Neighbors exchange ghost entries.
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`] if `x` is not on the domain or `y` not on the range.
    pub fn apply_add(&self, x: &Vector<T>, y: &mut Vector<T>) -> Result<()> {
        self.shape.domain.require_same(x.layout(), "operand of a product")?;
        self.shape.range.require_same(y.layout(), "result of a product")?;
        self.multiply_vectors([x.owned()], [y.owned_mut()], Update::Add);
        Ok(())
    }

    /// Computes `Y = A X`, each column with the bits of [`LinearOperator::apply`]. Four columns at a time read
    /// the matrix once.
    ///
    /// # Collective
    /// Neighbors exchange ghost entries; a reduction compares the numbers of columns over the ranks.
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`] if `x` is not on the domain or `y` not on the range,
    /// [`Error::Shape`] if they have different numbers of columns, and [`Error::RanksDisagree`] if the ranks
    /// have.
    pub fn apply_many(&self, x: &MultiVector<T>, y: &mut MultiVector<T>) -> Result<()> {
        self.shape.domain.require_same(x.layout(), "operands of a product")?;
        self.shape.range.require_same(y.layout(), "results of a product")?;
        let count = x.columns();
        if y.columns() != count {
            let rows = y.layout().global_len();
            let (expected, found) = ((rows, count as u64), (rows, y.columns() as u64));
            return Err(Error::Shape { operation: "product with several vectors", expected, found });
        }
        x.require_same_columns("CsrMatrix::apply_many")?;
        self.multiply_many(x, y);
        Ok(())
    }

    /// [`CsrMatrix::apply_many`] without its checks.
    fn multiply_many(&self, x: &MultiVector<T>, y: &mut MultiVector<T>) {
        let (rows, columns, count) = (y.layout().local_len(), x.layout().local_len(), x.columns());
        let mut rest = y.owned_mut();
        let mut done = 0;
        while done < count {
            let width = if count - done >= AT_ONCE { AT_ONCE } else { 1 };
            let (y, after) = rest.split_at_mut(width * rows);
            let x = &x.owned()[done * columns..(done + width) * columns];
            if width == AT_ONCE {
                self.multiply_vectors::<AT_ONCE>(split(x, columns), split_mut(y, rows), Update::Overwrite);
            } else {
                self.multiply_vectors([x], [y], Update::Overwrite);
            }
            rest = after;
            done += width;
        }
    }

    /// Computes `y = A^T x`, without conjugation; otherwise as [`AdjointOperator::apply_adjoint`].
    ///
    /// # Collective
    /// Neighbors exchange ghost entries.
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`] if `x` is not on the range or `y` not on the domain, and those of
    /// [`CsrMatrix::adjoint`].
    pub fn apply_transpose(&self, x: &Vector<T>, y: &mut Vector<T>) -> Result<()> {
        self.shape.range.require_same(x.layout(), "operand of a transposed product")?;
        self.shape.domain.require_same(y.layout(), "result of a transposed product")?;
        let _event = profile::operation("MatMultTranspose");
        let adjoint = self.adjoint()?;
        if !T::COMPLEX {
            return adjoint.compute(x, y);
        }
        let mut conjugates = self.conjugates.borrow_mut();
        conjugates.clear();
        conjugates.extend(x.owned().iter().map(|x| x.conj()));
        adjoint.multiply_vectors([&conjugates], [y.owned_mut()], Update::Overwrite);
        y.owned_mut().iter_mut().for_each(|y| *y = y.conj());
        Ok(())
    }

    /// Returns the adjoint that is [kept](CsrMatrix::adjoint), or makes one that is not, for uses that need it once.
    ///
    /// # Collective
    /// As [`CsrMatrix::adjoint`].
    ///
    /// # Errors
    /// As [`CsrMatrix::adjoint`].
    pub fn adjoint_once(&self) -> Result<Cow<'_, CsrMatrix<T>>> {
        Ok(match self.adjoint.get() {
            Some(adjoint) => Cow::Borrowed(&**adjoint),
            None => Cow::Owned(self.transposed(T::conj)?),
        })
    }

    /// Computes the adjoint (conjugate transpose) as a matrix of its own, kept until values change: rows by
    /// the domain, in ascending columns, so as large as this one.
    ///
    /// # Collective
    /// The first call after a change of values: entries of rows that other ranks own are sent.
    ///
    /// # Errors
    /// More than 2^32 - 1 columns of the adjoint on one rank.
    pub fn adjoint(&self) -> Result<&CsrMatrix<T>> {
        if let Some(adjoint) = self.adjoint.get() {
            return Ok(adjoint);
        }
        let adjoint = self.transposed(T::conj)?;
        Ok(self.adjoint.get_or_init(|| Box::new(adjoint)))
    }
}

/// Returns `K` slices of length `len`, one after the other.
fn split<T, const K: usize>(all: &[T], len: usize) -> [&[T]; K] {
    std::array::from_fn(|k| &all[k * len..(k + 1) * len])
}

fn split_mut<T, const K: usize>(mut all: &mut [T], len: usize) -> [&mut [T]; K] {
    std::array::from_fn(|_| {
        let (first, rest) = std::mem::take(&mut all).split_at_mut(len);
        all = rest;
        first
    })
}
