//! Sparse matrices as groups of compressed rows or columns.
//!
//! A matrix is written as AnnData and SciPy have it: a group with the datasets `data`, `indices` and
//! `indptr`, its `shape` as an attribute and as a dataset, and the attributes `encoding-type` and
//! `encoding-version`. Indices are of 32 bits where they suffice.
//!
//! Read are compressed rows and columns of AnnData, of SciPy users, of the Cell Ranger files of 10x
//! Genomics (columns, `shape` as a dataset) and of MATLAB (columns; `data`, `ir`, `jc`; of a matrix without entries
//! `jc` alone).

use super::dataset::Dataset;
use super::element::{Element, ElementType};
use super::encoding::Encoding;
use super::file::H5File;
use super::layout::Layout;
use super::vector::{Entry, Flat};
use crate::error::Result;
use crate::files::{Storage, check_sizes};
use dolmen_core::{Blocks, CsrBuilder, CsrMatrix, Duplicates, Layout as Distribution, LinearOperator};
use std::ops::Range;

/// The entries of some compressed rows or columns, on one rank.
struct Part<T, I> {
    /// Which rows or columns.
    lines: Range<u64>,
    /// Start of each among `indices`, and the end of the last.
    starts: Vec<usize>,
    indices: Vec<I>,
    values: Vec<T>,
}

/// Type as which indices are read: their stored type if it is one of these, so that nothing has to
/// be converted.
trait Index: Element + TryInto<u64> + std::fmt::Debug {}

impl Index for i32 {}
impl Index for i64 {}
impl Index for u64 {}

impl H5File {
    /// Writes a sparse matrix as a group.
    ///
    /// # Collective
    ///
    /// # Errors
    ///
    /// The name is taken, the layout (of datasets of one dimension) does not suit, the matrix lives on
    /// another communicator than the file, or the disk is full.
    pub fn write_matrix<T: Entry>(&self, group: &str, matrix: &CsrMatrix<T>, layout: &Layout) -> Result<()> {
        self.require_comm(group, matrix.range())?;
        let shape = [matrix.range().global_len(), matrix.domain().global_len()];
        let fits = shape.map(i64::try_from);
        let [Ok(rows), Ok(columns)] = fits else {
            return Err(self.dataset_error(group, "has more than 2^63 rows or columns"));
        };
        self.create_group(group)?;
        self.write_attribute(group, "encoding-type", "csr_matrix")?;
        self.write_attribute(group, "encoding-version", "0.1.0")?;
        self.write_attribute(group, "shape", [rows, columns].as_slice())?;
        let dataset = self.create_dataset::<i64>(&format!("{group}/shape"), &[2], &Layout::Contiguous)?;
        let count = if self.comm().rank() == 0 { 2 } else { 0 };
        dataset.write_slab(&[0], &[count as u64], &[rows, columns][..count])?;
        if matrix.global_entries().max(shape[1]) <= i32::MAX.unsigned_abs().into() {
            self.write_entries::<T, i32>(group, matrix, layout)
        } else {
            self.write_entries::<T, i64>(group, matrix, layout)
        }
    }

    fn write_entries<T: Entry, I: Element + TryFrom<u64>>(
        &self,
        group: &str,
        matrix: &CsrMatrix<T>,
        layout: &Layout,
    ) -> Result<()> {
        let index = |value: u64| I::try_from(value).ok().expect("invariant: the type was chosen to fit");
        let (first, _) = self.comm().sum_below(matrix.local_entries() as u64);
        let entries = matrix.local_entries();
        let slab = (&[first], &[entries as u64]);
        let total = [matrix.global_entries()];
        // One array at a time: each is a copy.
        {
            let mut values: Vec<T> = Vec::with_capacity(entries);
            matrix.rows().for_each(|row| values.extend_from_slice(row.values()));
            let data = self.create_dataset::<T>(&format!("{group}/data"), &total, layout)?;
            data.write_slab(slab.0, slab.1, &values)?;
        }
        {
            let mut columns: Vec<I> = Vec::with_capacity(entries);
            matrix.rows().for_each(|row| columns.extend(row.columns().map(index)));
            let indices = self.create_dataset::<I>(&format!("{group}/indices"), &total, layout)?;
            indices.write_slab(slab.0, slab.1, &columns)?;
        }
        let mut ends = Vec::with_capacity(matrix.range().local_len() + 1);
        let mut end = first;
        let mut start = matrix.range().range().start;
        if self.comm().rank() == 0 {
            ends.push(index(0));
        } else {
            start += 1;
        }
        for row in matrix.rows() {
            end += row.values().len() as u64;
            ends.push(index(end));
        }
        let starts = [matrix.range().global_len() + 1];
        let indptr = self.create_dataset::<I>(&format!("{group}/indptr"), &starts, layout)?;
        indptr.write_slab(&[start], &[ends.len() as u64], &ends)?;
        Ok(())
    }

    /// Reads the numbers of rows and columns of the sparse matrix in a group.
    ///
    /// # Collective
    ///
    /// # Errors
    ///
    /// There is no such group, it holds no sparse matrix, or does not say whether it is one of rows or
    /// of columns.
    pub fn matrix_shape(&self, group: &str) -> Result<(u64, u64)> {
        let encoding = self.encoding(group)?;
        Ok((encoding.rows, encoding.columns))
    }

    /// Finds out if the sparse matrix in a group is stored as compressed rows or columns.
    ///
    /// # Collective
    ///
    /// # Errors
    ///
    /// As [`H5File::matrix_shape`].
    pub fn matrix_storage(&self, group: &str) -> Result<Storage> {
        let by_rows = self.encoding(group)?.by_rows;
        Ok(if by_rows { Storage::CompressedRows } else { Storage::CompressedColumns })
    }

    /// Reads the sparse matrix in a group, of compressed rows or columns. Entries that are stored
    /// twice are summed.
    ///
    /// # Collective
    ///
    /// # Errors
    ///
    /// A layout is stacked; there is no such group, it holds no sparse matrix, the matrix has another shape
    /// than `range` and `domain`, its index arrays contradict each other, or its values cannot be read as `T`.
    pub fn read_matrix<T: Entry>(
        &self,
        group: &str,
        range: &Distribution,
        domain: &Distribution,
    ) -> Result<CsrMatrix<T>> {
        self.require_comm(group, range)?;
        self.require_comm(group, domain)?;
        range.require_contiguous("rows of a matrix")?;
        domain.require_contiguous("columns of a matrix")?;
        let encoding = self.encoding(group)?;
        let (found, expected) = ((encoding.rows, encoding.columns), (range.global_len(), domain.global_len()));
        if found != expected {
            let what = format!("is {} by {}, expected {} by {}", found.0, found.1, expected.0, expected.1);
            return Err(self.group_error(group, what));
        }
        if !encoding.has_entries {
            return self.read_empty(group, &encoding, range, domain);
        }
        self.require_worth(group, &encoding)?;
        match *self.dataset(&encoding.indices)?.element_type() {
            ElementType::Integer { bytes: 8, signed: false, .. } => {
                self.read_encoded::<T, u64>(group, &encoding, range, domain)
            }
            ElementType::Integer { bytes: 4, signed: true, .. } => {
                self.read_encoded::<T, i32>(group, &encoding, range, domain)
            }
            _ => self.read_encoded::<T, i64>(group, &encoding, range, domain),
        }
    }

    /// Returns the matrix of a group without entries, all starts of which are zero.
    fn read_empty<T: Entry>(
        &self,
        group: &str,
        encoding: &Encoding,
        range: &Distribution,
        domain: &Distribution,
    ) -> Result<CsrMatrix<T>> {
        let starts = self.dataset(&encoding.starts)?;
        check_sizes(encoding.rows, encoding.columns, starts.bytes()?).map_err(|what| self.group_error(group, what))?;
        let mine = Blocks::uniform(starts.dimensions::<1>()?[0], self.comm().size()).range(self.comm().rank());
        let starts = read_indices(&starts, mine.start, mine.end - mine.start)?;
        let is_empty = starts.iter().all(|start| *start == 0);
        let what = "has no entries (data and ir), but its starts (jc) are not zero";
        self.comm().agree(if is_empty { Ok(()) } else { Err(self.group_error(group, what)) })?;
        Ok(CsrBuilder::new(range, domain, Duplicates::Add).build()?)
    }

    /// Refuses a matrix of more rows and columns than the arrays of the group are worth.
    fn require_worth(&self, group: &str, encoding: &Encoding) -> Result<()> {
        let mut bytes = 0_u64;
        for name in [&encoding.data, &encoding.indices, &encoding.starts] {
            bytes = bytes.saturating_add(self.dataset(name)?.bytes()?);
        }
        check_sizes(encoding.rows, encoding.columns, bytes).map_err(|what| self.group_error(group, what))
    }

    fn read_encoded<T: Entry, I: Index>(
        &self,
        group: &str,
        encoding: &Encoding,
        range: &Distribution,
        domain: &Distribution,
    ) -> Result<CsrMatrix<T>> {
        if encoding.by_rows {
            let part = self.read_part::<T, I>(group, encoding, range.range(), encoding.columns)?;
            return Ok(CsrMatrix::from_local_parts(range, domain, part.starts, &part.indices, part.values)?);
        }
        let blocks = Blocks::uniform(encoding.columns, self.comm().size());
        let part = self.read_part::<T, I>(group, encoding, blocks.range(self.comm().rank()), encoding.rows)?;
        let mut builder = CsrBuilder::new(range, domain, Duplicates::Add);
        builder.reserve(part.values.len());
        for (column, bounds) in part.lines.zip(part.starts.windows(2)) {
            let entries = bounds[0]..bounds[1];
            for (row, value) in part.indices[entries.clone()].iter().zip(&part.values[entries]) {
                builder.push(to_global(*row), column, *value);
            }
        }
        Ok(builder.build()?)
    }

    /// Reads some rows or columns; their indices have to be below `bound`.
    fn read_part<T: Entry, I: Index>(
        &self,
        group: &str,
        encoding: &Encoding,
        lines: Range<u64>,
        bound: u64,
    ) -> Result<Part<T, I>> {
        let total = if encoding.by_rows { encoding.rows } else { encoding.columns };
        let flat = Flat::new(self.dataset(&encoding.data)?)?;
        let starts = self.dataset(&encoding.starts)?;
        let indices = self.dataset(&encoding.indices)?;
        let (counts, lengths) = (starts.dimensions::<1>()?, indices.dimensions::<1>()?);
        if total.checked_add(1) != Some(counts[0]) || lengths[0] != flat.len() {
            let what = format!(
                "{} values, {} indices and {} starts do not make {total} rows or columns",
                flat.len(),
                lengths[0],
                counts[0]
            );
            return Err(self.group_error(group, what));
        }
        let count = if lines.is_empty() { 0 } else { lines.end - lines.start + 1 };
        let begin = if lines.is_empty() { 0 } else { lines.start };
        let bounds = read_indices(&starts, begin, count)?;
        let bounds = self.comm().agree(self.check_starts(group, &lines, bounds, total, flat.len()))?;
        let entries = bounds.first().copied().unwrap_or(0)..bounds.last().copied().unwrap_or(0);
        let indices = indices.read_slab::<I>(&[entries.start], &[entries.end - entries.start])?;
        let bad = indices.iter().find(|index| to_global(**index) >= bound);
        let checked =
            bad.map_or(Ok(()), |bad| Err(self.group_error(group, format!("an index is {bad:?}, not in 0..{bound}"))));
        self.comm().agree(checked)?;
        let values = flat.read_allocated::<T>(entries.clone())?;
        let position = |start: &u64| usize::try_from(start - entries.start).expect("invariant: in memory");
        let mut starts: Vec<usize> = bounds.iter().map(position).collect();
        if lines.is_empty() {
            starts.push(0);
        }
        Ok(Part { starts, lines, indices, values })
    }

    /// Starts of rows or columns: from zero to the number of entries, never falling.
    fn check_starts(
        &self,
        group: &str,
        lines: &Range<u64>,
        starts: Vec<u64>,
        total: u64,
        entries: u64,
    ) -> Result<Vec<u64>> {
        let falls = starts.windows(2).position(|pair| pair[0] > pair[1]);
        let first = lines.start == 0 && starts.first().is_some_and(|start| *start != 0);
        let last = lines.end == total && starts.last().is_some_and(|end| *end != entries);
        let beyond = starts.last().is_some_and(|end| *end > entries);
        match falls {
            Some(line) => {
                let line = lines.start + line as u64;
                Err(self.group_error(group, format!("row or column {line} ends before it starts")))
            }
            None if first || last || beyond => {
                Err(self.group_error(group, format!("its starts do not go from 0 to {entries}")))
            }
            None => Ok(starts),
        }
    }
}

/// Reads indices of any type of integer. Negative numbers become larger than any count.
fn read_indices(dataset: &Dataset<'_>, start: u64, count: u64) -> Result<Vec<u64>> {
    if let ElementType::Integer { bytes: 8, signed: false, .. } = dataset.element_type() {
        return dataset.read_slab::<u64>(&[start], &[count]);
    }
    Ok(dataset.read_slab::<i64>(&[start], &[count])?.into_iter().map(i64::cast_unsigned).collect())
}

/// Negative numbers become larger than any count.
fn to_global<I: Index>(index: I) -> u64 {
    index.try_into().unwrap_or(u64::MAX)
}
