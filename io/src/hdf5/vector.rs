//! Vectors and multi-vectors as datasets.
//!
//! A vector is a dataset of one dimension; a multi-vector has a row for each row and a column for
//! each column, as NumPy arrays have. What others store as a vector is read too, whatever its
//! dimensions, in row-major order: PETSc gives vectors of blocks a second dimension, and complex
//! ones a last one of two with an attribute `complex`; MATLAB's vectors are matrices of one row.

use super::attribute::Attribute;
use super::dataset::Dataset;
use super::element::{Element, ElementType};
use super::file::H5File;
use super::layout::Layout;
use crate::error::{Error, Result};
use dolmen_core::{Layout as Distribution, MultiVector, Scalar, Vector, memory};
use std::ops::Range;

/// An entry of a vector or a matrix that files can hold: all four scalars.
pub trait Entry: Scalar<Real: Element> + Element {}

impl<T: Scalar<Real: Element> + Element> Entry for T {}

impl H5File {
    /// Writes a vector as a dataset, with the groups above it.
    ///
    /// # Collective
    ///
    /// # Errors
    ///
    /// The name is taken, the layout does not suit, the vector lives on another communicator than
    /// the file, or the disk is full.
    pub fn write_vector<T: Entry>(&self, name: &str, vector: &Vector<T>, layout: &Layout) -> Result<()> {
        self.require_comm(name, vector.layout())?;
        let dataset = self.create_dataset::<T>(name, &[vector.global_len()], layout)?;
        for run in vector.layout().runs() {
            let part = &vector.owned()[run.positions.clone()];
            dataset.write_slab(&[run.rows.start], &[part.len() as u64], part)?;
        }
        Ok(())
    }

    /// Returns the number of entries of a dataset read as a vector.
    ///
    /// # Collective
    ///
    /// # Errors
    ///
    /// There is no such dataset.
    pub fn vector_len(&self, name: &str) -> Result<u64> {
        Ok(Flat::new(self.dataset(name)?)?.len())
    }

    /// Reads a dataset of any dimensions as a vector, in row-major order; real numbers also as complex
    /// ones.
    ///
    /// # Collective
    ///
    /// # Errors
    ///
    /// There is no such dataset, it has another number of entries than `distribution`, or they cannot
    /// be read as `T`.
    pub fn read_vector<T: Entry>(&self, name: &str, distribution: &Distribution) -> Result<Vector<T>> {
        let flat = self.flat_of(name, distribution)?;
        self.comm().agree(flat.dataset.require_stored(distribution.local_len() as u64, size_of::<T>()))?;
        if let [run] = distribution.runs() {
            return Ok(Vector::from_owned(distribution, flat.read_new(run.rows.clone())?)?);
        }
        let mut vector = Vector::zeros(distribution);
        flat.read_runs(distribution, vector.owned_mut())?;
        Ok(vector)
    }

    /// Works like [`H5File::read_vector`], but reads into an existing vector. What it holds after an error is
    /// not specified.
    ///
    /// # Collective
    ///
    /// # Errors
    ///
    /// As [`H5File::read_vector`].
    pub fn read_vector_into<T: Entry>(&self, name: &str, vector: &mut Vector<T>) -> Result<()> {
        let layout = vector.layout().clone();
        self.flat_of(name, &layout)?.read_runs(&layout, vector.owned_mut())
    }

    /// Returns a dataset with as many entries as a distribution.
    fn flat_of(&self, name: &str, distribution: &Distribution) -> Result<Flat<'_>> {
        self.require_comm(name, distribution)?;
        let flat = Flat::new(self.dataset(name)?)?;
        if flat.len() == distribution.global_len() {
            return Ok(flat);
        }
        let (found, wanted) = (flat.len(), distribution.global_len());
        Err(self.dataset_error(name, format!("has {found} entries, expected {wanted}")))
    }

    /// Writes a multi-vector as a dataset of two dimensions, rows and columns.
    ///
    /// # Collective
    ///
    /// # Errors
    ///
    /// As [`H5File::write_vector`].
    pub fn write_multi_vector<T: Entry>(&self, name: &str, vectors: &MultiVector<T>, layout: &Layout) -> Result<()> {
        self.require_comm(name, vectors.layout())?;
        let (rows, columns) = (vectors.layout().global_len(), vectors.columns() as u64);
        let dataset = self.create_dataset::<T>(name, &[rows, columns], layout)?;
        let entry = |row: usize| (0..vectors.columns()).map(move |column| vectors.column(column)[row]);
        for run in vectors.layout().runs() {
            let by_rows: Vec<T> = run.positions.clone().flat_map(entry).collect();
            dataset.write_slab(&[run.rows.start, 0], &[run.positions.len() as u64, columns], &by_rows)?;
        }
        Ok(())
    }

    /// Reads a dataset of two dimensions, rows and columns, as a multi-vector.
    ///
    /// # Collective
    ///
    /// # Errors
    ///
    /// There is no such dataset, it has other dimensions or another number of rows than
    /// `distribution`, or its elements cannot be read as `T`.
    pub fn read_multi_vector<T: Entry>(&self, name: &str, distribution: &Distribution) -> Result<MultiVector<T>> {
        self.require_comm(name, distribution)?;
        let flat = Flat::new(self.dataset(name)?)?;
        let expected = distribution.global_len();
        let [rows, columns] = flat.shape[..] else {
            return Err(self.dataset_error(name, format!("expected 2 dimensions, found {}", flat.shape.len())));
        };
        if rows != expected {
            return Err(self.dataset_error(name, format!("has {rows} rows, expected {expected}")));
        }
        let mut by_rows: Vec<T> = Vec::new();
        for run in distribution.runs() {
            let read = flat.read_allocated::<T>(run.rows.start * columns..run.rows.end * columns)?;
            if by_rows.is_empty() {
                by_rows = read;
            } else {
                by_rows.extend(read);
            }
        }
        let columns = usize::try_from(columns).map_err(|_| "too many columns");
        let columns = self.comm().agree(columns)?;
        let mut vectors = MultiVector::zeros(distribution, columns);
        for column in 0..columns {
            let entries = by_rows.iter().skip(column).step_by(columns);
            vectors.column_mut(column).iter_mut().zip(entries).for_each(|(slot, &entry)| *slot = entry);
        }
        Ok(vectors)
    }

    /// Distributions that are not of the file's ranks are refused alike on all of them.
    pub(super) fn require_comm(&self, name: &str, distribution: &Distribution) -> Result<()> {
        if distribution.comm() == self.comm() {
            return Ok(());
        }
        Err(Error::Argument {
            path: self.path().to_owned(),
            what: format!("{name} is laid out on another communicator than the file was opened with"),
        })
    }
}

/// A dataset as a list of entries in row-major order.
pub(super) struct Flat<'file> {
    dataset: Dataset<'file>,
    /// Without a last dimension for the parts of complex numbers.
    shape: Vec<u64>,
    /// True if complex numbers are pairs in a last dimension.
    pairs: bool,
    /// True if the elements are real numbers.
    real: bool,
    /// True if they are booleans, which are read as 1 and 0.
    boolean: bool,
}

/// The slab of a dataset that holds the entries of a range.
struct Part {
    start: Vec<u64>,
    count: Vec<u64>,
    /// Position of the range's first entry in the slab.
    first: u64,
    /// True if the slab holds no other entries.
    is_exact: bool,
}

impl<'file> Flat<'file> {
    pub(super) fn new(dataset: Dataset<'file>) -> Result<Self> {
        let real = matches!(dataset.element_type(), ElementType::Float { .. } | ElementType::Integer { .. });
        let mut shape = dataset.shape().to_vec();
        let mut pairs = false;
        if real && shape.len() > 1 && shape.last() == Some(&2) {
            let complex = dataset.file().attribute(dataset.name(), "complex")?;
            pairs = complex == Some(Attribute::Integer(1));
            shape.truncate(shape.len() - usize::from(pairs));
        }
        let boolean = *dataset.element_type() == ElementType::Boolean;
        Ok(Self { dataset, shape, pairs, real, boolean })
    }

    /// Returns the number of entries; 2^64 - 1 if they are more than that.
    pub(super) fn len(&self) -> u64 {
        if self.shape.contains(&0) {
            return 0;
        }
        self.shape.iter().fold(1, |product: u64, length| product.saturating_mul(*length))
    }

    /// Returns the entries of a range.
    ///
    /// # Collective
    pub(super) fn read_allocated<T: Entry>(&self, range: Range<u64>) -> Result<Vec<T>> {
        let length = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
        let stored = self.dataset.require_stored(length as u64, size_of::<T>());
        let room = stored.and_then(|()| {
            memory::try_zeros(length)
                .ok_or_else(|| self.dataset.error(format!("{length} entries do not fit into memory")))
        });
        let mut values = self.dataset.file().comm().agree(room)?;
        self.read(range, &mut values)?;
        Ok(values)
    }

    /// Reads the entries of a distribution into this rank's part of them.
    ///
    /// # Collective
    fn read_runs<T: Entry>(&self, distribution: &Distribution, owned: &mut [T]) -> Result<()> {
        let mut runs = distribution.runs().iter();
        runs.try_for_each(|run| self.read(run.rows.clone(), &mut owned[run.positions.clone()]))
    }

    /// Reads the entries of a range.
    ///
    /// # Collective
    fn read_new<T: Entry>(&self, range: Range<u64>) -> Result<Vec<T>> {
        let Part { start, count, is_exact, .. } = self.part(&range);
        // The ranks agree as often on either way.
        if is_exact && !self.pairs && !self.is_converted::<T>() {
            return self.dataset.read_slab(&start, &count);
        }
        let mut values = memory::zeros(usize::try_from(range.end - range.start).expect("invariant: a rank's rows"));
        self.read(range, &mut values)?;
        Ok(values)
    }

    /// Returns true if entries of another type are read.
    fn is_converted<T: Entry>(&self) -> bool {
        self.boolean || (self.real && !self.pairs && T::COMPLEX)
    }

    fn part(&self, range: &Range<u64>) -> Part {
        // The first dimension that is more than one; all entries of the others make a row.
        let outer = self.shape.iter().position(|length| *length != 1).unwrap_or(0);
        let width: u64 = self.shape.iter().skip(outer + 1).product();
        let rows = rows_around(range, width);
        let (mut start, mut count) = (vec![0; self.dataset.shape().len()], self.dataset.shape().to_vec());
        // Of a scalar there is no part: every rank reads it.
        if !self.shape.is_empty() {
            (start[outer], count[outer]) = (rows.start, rows.end - rows.start);
        }
        let is_exact = !self.shape.is_empty() && (rows.end - rows.start) * width == range.end - range.start;
        Part { start, count, first: range.start.saturating_sub(rows.start * width), is_exact }
    }

    /// Reads the entries of a range into as long a slice.
    ///
    /// # Collective
    pub(super) fn read<T: Entry>(&self, range: Range<u64>, values: &mut [T]) -> Result<()> {
        if self.pairs && !T::COMPLEX {
            return Err(self.dataset.error("holds complex numbers"));
        }
        let Part { start, count, first, is_exact } = self.part(&range);
        if is_exact && !self.is_converted::<T>() {
            if self.pairs {
                let parts = bytemuck::cast_slice_mut::<T, T::Real>(values);
                self.dataset.read_slab_into(&start, &count, parts)?;
            } else {
                self.dataset.read_slab_into(&start, &count, values)?;
            }
            return Ok(());
        }
        let read: Vec<T> = if self.pairs {
            bytemuck::pod_collect_to_vec(&self.dataset.read_slab::<T::Real>(&start, &count)?)
        } else if self.boolean {
            let read = self.dataset.read_slab::<i8>(&start, &count)?.into_iter();
            read.map(|value| T::from_parts(f64::from(value), 0.0)).collect()
        } else if self.real {
            self.dataset.read_slab::<T::Real>(&start, &count)?.into_iter().map(T::from_real).collect()
        } else {
            self.dataset.read_slab::<T>(&start, &count)?
        };
        if !values.is_empty() {
            let first = usize::try_from(first).expect("invariant: the slab is in memory");
            values.copy_from_slice(&read[first..first + values.len()]);
        }
        Ok(())
    }
}

/// Returns the rows of `width` entries that hold those of a range.
fn rows_around(range: &Range<u64>, width: u64) -> Range<u64> {
    if range.is_empty() {
        return 0..0;
    }
    range.start / width..range.end.div_ceil(width)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_cover_the_range() {
        assert_eq!(rows_around(&(0..7), 1), 0..7);
        assert_eq!(rows_around(&(4..7), 3), 1..3);
        assert_eq!(rows_around(&(3..6), 3), 1..2);
        assert_eq!(rows_around(&(5..5), 3), 0..0);
        let giant = 1 << 40;
        assert_eq!(rows_around(&(giant..giant + 1), 1 << 20), 1 << 20..(1 << 20) + 1);
    }
}
