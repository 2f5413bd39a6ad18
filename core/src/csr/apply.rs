//! Products: start the import, multiply the interior, finish, multiply the boundary.

use crate::csr::assemble::CsrBuilder;
use crate::csr::local::Update;
use crate::csr::matrix::CsrMatrix;
use crate::csr::rows::Duplicates;
use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::operator::LinearOperator;
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
        self.multiply([x.owned()], [y.owned_mut()], Update::Overwrite);
        Ok(())
    }
}

impl<T: Scalar> CsrMatrix<T> {
    fn multiply<const K: usize>(&self, x: [&[T]; K], mut y: [&mut [T]; K], update: Update) {
        let halos = x.map(|x| self.shape.plan.start_import(x, 1));
        self.local.multiply_interior(x, y.each_mut().map(|y| &mut **y), update);
        let halos = halos.map(|halo| halo.finish());
        self.local.multiply_boundary(x, halos.each_ref().map(|halo| &**halo), y, update);
    }

    /// `y = y + A x`: each row is summed as by [`LinearOperator::apply`], then added.
    ///
    /// # Collective
    /// Neighbours exchange ghost entries.
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`] if `x` is not on the domain or `y` not on the range.
    pub fn apply_add(&self, x: &Vector<T>, y: &mut Vector<T>) -> Result<()> {
        self.shape.domain.require_same(x.layout(), "operand of a product")?;
        self.shape.range.require_same(y.layout(), "result of a product")?;
        self.multiply([x.owned()], [y.owned_mut()], Update::Add);
        Ok(())
    }

    /// `Y = A X` for `count` vectors, each with the bits of [`LinearOperator::apply`]: this rank's
    /// parts, one vector after the other, in slices. Four vectors at a time read the matrix once.
    ///
    /// # Collective
    /// Neighbours exchange ghost entries. Every rank gives the same count.
    ///
    /// # Errors
    /// [`Error::LocalLength`], agreed, if a slice is not `count` times as long as its layout asks.
    pub fn multiply_many(&self, x: &[T], y: &mut [T], count: usize) -> Result<()> {
        let (rows, columns) = (self.shape.range.local_len(), self.shape.domain.local_len());
        let require = |what, len: usize, found| match len.checked_mul(count) {
            Some(expected) if expected == found => Ok(()),
            expected => Err(Error::LocalLength { what, expected: expected.unwrap_or(usize::MAX), found }),
        };
        let fits = require("operands of a product", columns, x.len())
            .and_then(|()| require("results of a product", rows, y.len()));
        self.shape.range.comm().agree(fits)?;
        let mut rest = y;
        let mut done = 0;
        while done < count {
            let width = if count - done >= AT_ONCE { AT_ONCE } else { 1 };
            let (y, after) = rest.split_at_mut(width * rows);
            let x = &x[done * columns..(done + width) * columns];
            if width == AT_ONCE {
                self.multiply::<AT_ONCE>(split(x, columns), split_mut(y, rows), Update::Overwrite);
            } else {
                self.multiply([x], [y], Update::Overwrite);
            }
            rest = after;
            done += width;
        }
        Ok(())
    }

    /// `y = A^H x`, the same bits on any number of ranks: row sums of [`CsrMatrix::adjoint`], which
    /// is made by the first call after a change of values.
    ///
    /// # Collective
    /// Neighbours exchange ghost entries.
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`] if `x` is not on the range or `y` not on the domain, and those of
    /// [`CsrMatrix::adjoint`].
    pub fn apply_adjoint(&self, x: &Vector<T>, y: &mut Vector<T>) -> Result<()> {
        self.check_adjoint_operands(x, y)?;
        self.adjoint()?.compute(x, y)
    }

    /// `y = A^T x`, without conjugation; otherwise as [`CsrMatrix::apply_adjoint`].
    ///
    /// # Collective
    /// Neighbours exchange ghost entries.
    ///
    /// # Errors
    /// As [`CsrMatrix::apply_adjoint`].
    pub fn apply_transpose(&self, x: &Vector<T>, y: &mut Vector<T>) -> Result<()> {
        self.check_adjoint_operands(x, y)?;
        let adjoint = self.adjoint()?;
        if !T::COMPLEX {
            return adjoint.compute(x, y);
        }
        let mut conjugates = self.conjugates.borrow_mut();
        conjugates.clear();
        conjugates.extend(x.owned().iter().map(|x| x.conj()));
        adjoint.multiply([&conjugates], [y.owned_mut()], Update::Overwrite);
        y.owned_mut().iter_mut().for_each(|y| *y = y.conj());
        Ok(())
    }

    fn check_adjoint_operands(&self, x: &Vector<T>, y: &Vector<T>) -> Result<()> {
        self.shape.range.require_same(x.layout(), "operand of an adjoint product")?;
        self.shape.domain.require_same(y.layout(), "result of an adjoint product")
    }

    /// The adjoint (conjugate transpose) as a matrix of its own, kept until values change: rows by
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
        let mut builder = CsrBuilder::new(&self.shape.domain, &self.shape.range, Duplicates::Add);
        builder.reserve(self.local_entries());
        for row in self.rows() {
            row.entries().for_each(|(column, value)| builder.push(column, row.index(), value.conj()));
        }
        let adjoint = builder.build()?;
        Ok(self.adjoint.get_or_init(|| Box::new(adjoint)))
    }
}

/// `K` slices of length `len`, one after the other.
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
