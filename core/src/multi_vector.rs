//! `MultiVector`: several vectors on one layout, as the columns of a tall matrix.
//!
//! Each rank holds its rows column by column (column-major, leading dimension the number of local
//! rows), which is what BLAS-3 reads without copying and makes every column a slice. The small
//! matrices beside it (a Gram matrix, a triangle, a block of coefficients) are `ndarray` arrays that
//! every rank holds in full.
//!
//! `block` multiplies with small matrices, `qr` makes columns orthonormal.

mod block;
mod qr;

use ndarray::{ArrayView2, ArrayViewMut2, ShapeBuilder};

use crate::comm::Comm;
use crate::comm::disagreement::Disagreement;
use crate::error::{Error, Result};
use crate::index::Gid;
use crate::layout::Layout;
use crate::memory;
use crate::profile::entrywise;
use crate::random::Philox;
use crate::scalar::Scalar;
use crate::simd;
use crate::threads;
use crate::vector::{Vector, fill_normal, fill_uniform};

/// Vectors on one [`Layout`], as columns.
pub struct MultiVector<T> {
    layout: Layout,
    columns: usize,
    owned: Box<[T]>,
}

impl<T: Scalar> Clone for MultiVector<T> {
    fn clone(&self) -> MultiVector<T> {
        MultiVector { layout: self.layout.clone(), columns: self.columns, owned: memory::copied(&self.owned) }
    }
}

impl<T: Scalar> std::fmt::Debug for MultiVector<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MultiVector").field("layout", &self.layout).field("owned", &self.view()).finish()
    }
}

impl<T: Scalar> MultiVector<T> {
    /// Creates columns of zeros.
    pub fn zeros(layout: &Layout, columns: usize) -> MultiVector<T> {
        MultiVector { layout: layout.clone(), columns, owned: memory::zeros(layout.local_len() * columns).into() }
    }

    /// Creates columns from a function of global row and column.
    pub fn from_fn(layout: &Layout, columns: usize, mut entry: impl FnMut(Gid, usize) -> T) -> MultiVector<T> {
        let mut new = MultiVector::zeros(layout, columns);
        for column in 0..columns {
            for (slot, row) in new.column_mut(column).iter_mut().zip(layout.owned_rows()) {
                *slot = entry(row, column);
            }
        }
        new
    }

    /// Copies of vectors that share `layout`.
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`].
    pub fn from_vectors(layout: &Layout, vectors: &[&Vector<T>]) -> Result<MultiVector<T>> {
        let mut new = MultiVector::zeros(layout, vectors.len());
        for (column, vector) in vectors.iter().enumerate() {
            new.set_column(column, vector)?;
        }
        Ok(new)
    }

    /// Returns the distribution of the rows over the ranks.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Returns the communicator of the layout.
    pub fn comm(&self) -> &Comm {
        self.layout.comm()
    }

    /// Returns the number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Returns the owned entries, column by column.
    pub fn owned(&self) -> &[T] {
        &self.owned
    }

    /// Returns the owned entries, column by column, for modification.
    pub fn owned_mut(&mut self) -> &mut [T] {
        &mut self.owned
    }

    /// Returns the owned entries of a column.
    ///
    /// # Panics
    /// If there is no such column, as indexing a slice does.
    pub fn column(&self, column: usize) -> &[T] {
        assert!(column < self.columns, "column {column} of {}", self.columns);
        let rows = self.layout.local_len();
        &self.owned[column * rows..][..rows]
    }

    /// Returns the owned entries of a column for modification.
    ///
    /// # Panics
    /// If there is no such column, as indexing a slice does.
    pub fn column_mut(&mut self, column: usize) -> &mut [T] {
        assert!(column < self.columns, "column {column} of {}", self.columns);
        let rows = self.layout.local_len();
        &mut self.owned[column * rows..][..rows]
    }

    /// Returns the owned rows as a matrix.
    pub fn view(&self) -> ArrayView2<'_, T> {
        let shape = (self.layout.local_len(), self.columns).f();
        ArrayView2::from_shape(shape, &self.owned).expect("invariant: the entries fill the shape")
    }

    /// Returns the owned rows as a matrix for modification.
    pub fn view_mut(&mut self) -> ArrayViewMut2<'_, T> {
        let shape = (self.layout.local_len(), self.columns).f();
        ArrayViewMut2::from_shape(shape, &mut self.owned).expect("invariant: the entries fill the shape")
    }

    /// Copies a column to a vector.
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`].
    ///
    /// # Panics
    /// If there is no such column, as indexing a slice does.
    pub fn copy_column_to(&self, column: usize, vector: &mut Vector<T>) -> Result<()> {
        self.layout.require_same(vector.layout(), "column copy")?;
        vector.owned_mut().copy_from_slice(self.column(column));
        Ok(())
    }

    /// Copies a vector to a column.
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`].
    ///
    /// # Panics
    /// If there is no such column, as indexing a slice does.
    pub fn set_column(&mut self, column: usize, vector: &Vector<T>) -> Result<()> {
        self.layout.require_same(vector.layout(), "column copy")?;
        self.column_mut(column).copy_from_slice(vector.owned());
        Ok(())
    }

    /// Sets every entry.
    pub fn fill(&mut self, value: T) {
        self.owned.fill(value);
    }

    /// Fills column `j` as [`Vector::fill_uniform`] does from stream `first_stream + j`.
    pub fn fill_uniform(&mut self, random: &Philox, first_stream: u64) {
        let layout = self.layout.clone();
        for (column, stream) in (0..self.columns).zip(first_stream..) {
            fill_uniform(&layout, self.column_mut(column), random, stream);
        }
    }

    /// Fills column `j` as [`Vector::fill_normal`] does from stream `first_stream + j`.
    pub fn fill_normal(&mut self, random: &Philox, first_stream: u64) {
        let layout = self.layout.clone();
        for (column, stream) in (0..self.columns).zip(first_stream..) {
            fill_normal(&layout, self.column_mut(column), random, stream);
        }
    }

    /// Copies `x`: `self = x`.
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`] or [`Error::Shape`].
    pub fn copy_from(&mut self, x: &MultiVector<T>) -> Result<()> {
        self.require_like(x, "copy")?;
        self.owned.copy_from_slice(&x.owned);
        Ok(())
    }

    /// Multiplies all entries: `self = alpha self`.
    pub fn scale(&mut self, alpha: T) {
        let _event = entrywise::<T>("MVScale", self.owned.len(), 0, 1, 2);
        scale(&mut self.owned, alpha);
    }

    /// Multiplies column `j` by `alphas[j]`.
    ///
    /// # Errors
    /// [`Error::Shape`] if there is not one factor for each column.
    pub fn scale_columns(&mut self, alphas: &[T]) -> Result<()> {
        self.require_columns(alphas.len(), "column scaling")?;
        let _event = entrywise::<T>("MVScale", self.owned.len(), 0, 1, 2);
        for (column, &alpha) in alphas.iter().enumerate() {
            scale(self.column_mut(column), alpha);
        }
        Ok(())
    }

    /// Computes `self = self + alpha x`.
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`] or [`Error::Shape`].
    pub fn axpy(&mut self, alpha: T, x: &MultiVector<T>) -> Result<()> {
        self.require_like(x, "axpy")?;
        let _event = entrywise::<T>("MVAXPY", self.owned.len(), 1, 1, 3);
        axpy(&mut self.owned, alpha, &x.owned);
        Ok(())
    }

    /// Adds `alphas[j]` times column `j` of `x` to column `j`.
    ///
    /// # Errors
    /// [`Error::LayoutMismatch`] or [`Error::Shape`].
    pub fn axpy_columns(&mut self, alphas: &[T], x: &MultiVector<T>) -> Result<()> {
        self.require_like(x, "axpy of columns")?;
        self.require_columns(alphas.len(), "axpy of columns")?;
        let _event = entrywise::<T>("MVAXPY", self.owned.len(), 1, 1, 3);
        for (column, &alpha) in alphas.iter().enumerate() {
            axpy(self.column_mut(column), alpha, x.column(column));
        }
        Ok(())
    }

    /// Checks that `x` has the same layout and number of columns.
    pub(crate) fn require_like(&self, x: &MultiVector<T>, operation: &'static str) -> Result<()> {
        self.layout.require_same(&x.layout, operation)?;
        self.require_columns(x.columns, operation)
    }

    /// Checks that all ranks have as many columns.
    ///
    /// # Collective
    /// One reduction.
    pub(crate) fn require_same_columns(&self, operation: &str) -> Result<()> {
        let differs =
            |differ: Disagreement| differ.error(self.comm(), &format_args!("{operation} of {} columns", self.columns));
        self.comm().require_alike(self.columns).map_err(differs)
    }

    /// Checks the number of columns of an operand.
    pub(crate) fn require_columns(&self, found: usize, operation: &'static str) -> Result<()> {
        if found == self.columns {
            return Ok(());
        }
        let rows = self.layout.global_len();
        Err(Error::Shape { operation, expected: (rows, self.columns as u64), found: (rows, found as u64) })
    }
}

fn scale<T: Scalar>(ys: &mut [T], alpha: T) {
    threads::for_entries(ys, &|_, ys| simd::dispatch(|| ys.iter_mut().for_each(|y| *y = alpha * *y)));
}

fn axpy<T: Scalar>(ys: &mut [T], alpha: T, xs: &[T]) {
    threads::for_entries(ys, &|start, ys| {
        simd::dispatch(|| ys.iter_mut().zip(&xs[start..]).for_each(|(y, &x)| *y += alpha * x));
    });
}
