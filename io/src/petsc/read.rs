//! Reading: each rank its own rows.

use super::objects::{Contents, Integer, Numbers, Object, read_integers};
use super::{IndexWidth, info_path};
use crate::dense;
use crate::error::{Error, Result};
use crate::fault::{Fault, require_same, settle};
use crate::files::{Description, Field, Format, Storage, Symmetry, check_length, check_sizes, require_field};
use crate::regular_file::open_regular;
use crate::source::Source;
use dolmen_core::{Comm, CsrMatrix, Layout, MultiVector, Scalar, memory};
use std::io::Read;
use std::mem;
use std::ops::Range;
use std::result::Result as StdResult;

/// A file whose objects are found.
pub(crate) struct PetscFile<'s> {
    comm: Comm,
    source: &'s Source,
    contents: Contents,
    block_size: u64,
}

impl<'s> PetscFile<'s> {
    /// # Collective
    pub(crate) fn open(comm: &Comm, source: &'s Source) -> Result<Self> {
        source.require_plain()?;
        let contents = settle(comm, source.path(), Contents::find(source))?;
        require_same(comm, source.path(), &contents)?;
        if contents.objects.is_empty() {
            return Err(Error::argument(source.path(), "holds neither a matrix nor a vector"));
        }
        let block_size = comm.agree(block_size(source))?;
        Ok(Self { comm: comm.clone(), source, contents, block_size })
    }

    fn first_matrix(&self) -> Option<&Object> {
        self.contents.objects.iter().find(|object| !matches!(object, Object::Vector { .. }))
    }

    /// Lengths of the vectors, where their values are and of what kind.
    fn all_vectors(&self) -> impl Iterator<Item = (u64, u64, Numbers)> {
        self.contents.objects.iter().filter_map(|object| match object {
            Object::Vector { length, values, numbers } => Some((*length, *values, *numbers)),
            _ => None,
        })
    }

    /// Returns the positions of the values of vectors of a length, and their kinds.
    fn vectors_of(&self, wanted: u64) -> Vec<(u64, Numbers)> {
        let fits = |(length, values, numbers)| (length == wanted).then_some((values, numbers));
        self.all_vectors().filter_map(fits).collect()
    }

    pub(crate) fn description(&self) -> Description {
        let vectors = |length: u64| self.vectors_of(length).len() as u64;
        // Numbers of entries fit into 64 bits, since the file holds them all.
        let (storage, rows, columns, entries, right_hand_sides) = match self.first_matrix() {
            Some(&Object::Sparse { rows, columns, entries, .. }) => {
                (Storage::CompressedRows, rows, columns, entries, vectors(rows))
            }
            Some(&Object::Dense { rows, columns, .. }) => {
                (Storage::Array, rows, columns, rows * columns, vectors(rows))
            }
            _ => {
                let length = self.all_vectors().next().map_or(0, |(length, ..)| length);
                (Storage::Array, length, vectors(length), length * vectors(length), 0)
            }
        };
        let field = if self.contents.numbers == Numbers::Complex64 { Field::Complex } else { Field::Real };
        let (format, symmetry, block_size) = (Format::PetscBinary, Symmetry::General, self.block_size);
        Description { format, storage, field, symmetry, rows, columns, entries, right_hand_sides, block_size }
    }

    /// # Collective
    pub(crate) fn matrix<T: Scalar>(self) -> Result<CsrMatrix<T>> {
        let path = self.source.path();
        require_field::<T>(path, self.description().field)?;
        let Some(matrix) = self.first_matrix() else {
            return Err(Error::argument(path, "holds vectors and no matrix; read them as vectors"));
        };
        let (Object::Sparse { rows, columns, .. } | Object::Dense { rows, columns, .. }) = *matrix else {
            unreachable!("invariant: a vector is no matrix");
        };
        check_sizes(rows, columns, self.source.length()).map_err(|what| Fault::new("header", what).of(path))?;
        let (range, domain) = (Layout::uniform(&self.comm, rows), Layout::uniform(&self.comm, columns));
        match (matrix, self.contents.width) {
            (Object::Dense { .. }, _) => self.dense(&range, &domain, matrix),
            (_, IndexWidth::Bits32) => self.sparse::<T, i32>(&range, &domain, matrix),
            (_, IndexWidth::Bits64) => self.sparse::<T, i64>(&range, &domain, matrix),
        }
    }

    /// # Collective
    fn sparse<T: Scalar, I: Integer>(&self, range: &Layout, domain: &Layout, matrix: &Object) -> Result<CsrMatrix<T>> {
        let Object::Sparse { columns, entries, lengths, indices, values, .. } = *matrix else {
            unreachable!("invariant: a sparse matrix")
        };
        let starts = self.row_starts::<I>(range, entries, lengths)?;
        let (first, last) = (starts[0], starts[starts.len() - 1]);
        let read = self.entries::<T, I>(columns, indices, values, first..last);
        let (columns, values) = settle(&self.comm, self.source.path(), self.comm.agree(read)?)?;
        let starts = starts.iter().map(|start| to_usize(start - first)).collect();
        Ok(CsrMatrix::from_local_parts(range, domain, starts, &columns, values)?)
    }

    /// Returns the start of each of this rank's rows among all entries, and the end of the last one.
    ///
    /// # Collective
    fn row_starts<I: Integer>(&self, range: &Layout, entries: u64, lengths: u64) -> Result<Vec<u64>> {
        let rows = range.range();
        let position = lengths + rows.start * self.contents.width.bytes();
        let read = read_integers::<I>(self.source, position, rows.end - rows.start, |_, _| {});
        let read = self.comm.agree(read)?;
        let mut starts: Vec<u64> = memory::with_capacity(read.len() + 1);
        starts.push(0);
        let counted = read.into_iter().map(Into::into).zip(rows).try_for_each(|(length, row): (i64, _)| {
            let end = u64::try_from(length).ok().and_then(|length| starts.last()?.checked_add(length));
            let end = end.filter(|end| *end <= entries).ok_or_else(|| {
                let what = format!("row {row} (from 0) has {length} entries, of {entries} in all");
                Fault::new(format!("byte {}", lengths + row * self.contents.width.bytes()), what)
            })?;
            starts.push(end);
            Ok(())
        });
        settle(&self.comm, self.source.path(), counted)?;
        let mine = starts[starts.len() - 1];
        // In halves, whose sums cannot overflow.
        let mut halves = [mine & u64::from(u32::MAX), mine >> 32];
        self.comm.all_reduce_sum(&mut halves);
        let total = u128::from(halves[0]) + (u128::from(halves[1]) << 32);
        if total != u128::from(entries) {
            let what = format!("{entries} entries are announced, but the rows have {total}");
            return Err(Fault::new(format!("byte {lengths}"), what).of(self.source.path()));
        }
        let (before, _) = self.comm.sum_below(mine);
        starts.iter_mut().for_each(|start| *start += before);
        Ok(starts)
    }

    /// Columns and values of some entries.
    #[expect(clippy::type_complexity, reason = "two failures, of the file system and of the file")]
    fn entries<T: Scalar, I: Integer>(
        &self,
        columns: u64,
        indices: u64,
        values: u64,
        part: Range<u64>,
    ) -> Result<StdResult<(Vec<I>, Vec<T>), Fault>> {
        let width = self.contents.width.bytes();
        // Negative ones become larger than any count.
        let is_outside = |column: &I| (*column).into().cast_unsigned() >= columns;
        let mut outside = None;
        let position = indices + part.start * width;
        let found = read_integers::<I>(self.source, position, part.end - part.start, |start, piece| {
            outside = outside.or_else(|| piece.iter().position(is_outside).map(|place| start + place));
        })?;
        let length = to_usize(part.end - part.start);
        let mut stored = memory::try_zeros(length).ok_or_else(|| self.too_large(length))?;
        self.values(values, self.contents.numbers, part.start, &mut stored)?;
        if let Some(place) = outside {
            let byte = position + place as u64 * width;
            let what = format!("column {} is outside 0 to {columns} - 1", found[place].into());
            return Ok(Err(Fault::new(format!("byte {byte}"), what)));
        }
        Ok(Ok((found, stored)))
    }

    /// Reads values from number `first` on, as many as `to` takes.
    fn values<T: Scalar>(&self, values: u64, numbers: Numbers, first: u64, to: &mut [T]) -> Result<()> {
        let start = values + first * numbers.bytes();
        let end = start + to.len() as u64 * numbers.bytes();
        let mut rest = to;
        // Slices of one length, over which the loops below are quick.
        self.source.read_pieces(start..end, |bytes| {
            let (piece, after) = mem::take(&mut rest).split_at_mut(bytes.len() / to_usize(numbers.bytes()));
            rest = after;
            match numbers {
                Numbers::F64 => bytes.as_chunks().0.iter().zip(piece).for_each(|(bytes, to)| {
                    *to = T::from_parts(f64::from_be_bytes(*bytes), 0.0);
                }),
                Numbers::F32 => bytes.as_chunks().0.iter().zip(piece).for_each(|(bytes, to)| {
                    *to = T::from_parts(f64::from(f32::from_be_bytes(*bytes)), 0.0);
                }),
                Numbers::Complex64 => bytes.as_chunks::<16>().0.iter().zip(piece).for_each(|(bytes, to)| {
                    let [re, im] = bytemuck::cast::<_, [[u8; 8]; 2]>(*bytes).map(f64::from_be_bytes);
                    *to = T::from_parts(re, im);
                }),
            }
        })
    }

    fn too_large(&self, length: usize) -> Error {
        Error::argument(self.source.path(), format!("{length} values do not fit into the memory"))
    }

    /// Returns all entries of a dense matrix, zeros too.
    ///
    /// # Collective
    fn dense<T: Scalar>(&self, range: &Layout, domain: &Layout, matrix: &Object) -> Result<CsrMatrix<T>> {
        let Object::Dense { columns, values, .. } = *matrix else { unreachable!("invariant: a dense matrix") };
        let rows = range.range();
        let length = to_usize((rows.end - rows.start) * columns);
        let room = memory::try_zeros(length).ok_or_else(|| self.too_large(length));
        let mut stored = self.comm.agree(room)?;
        self.comm.agree(self.values(values, self.contents.numbers, rows.start * columns, &mut stored))?;
        let starts = (0..=range.local_len()).map(|row| row * to_usize(columns)).collect();
        let indices: Vec<u64> = rows.flat_map(|_| 0..columns).collect();
        Ok(CsrMatrix::from_local_parts(range, domain, starts, &indices, stored)?)
    }

    /// # Collective
    pub(crate) fn vectors<T: Scalar>(self, rows: &Layout) -> Result<MultiVector<T>> {
        let path = self.source.path();
        require_field::<T>(path, self.description().field)?;
        if self.all_vectors().next().is_none() {
            check_length(path, self.description().rows, rows)?;
            let bytes = self.source.length();
            return dense::columns_of(path, &self.matrix()?, rows, bytes);
        }
        let found = self.vectors_of(rows.global_len());
        if found.is_empty() {
            let first = self.all_vectors().next().map_or(0, |(length, ..)| length);
            check_length(path, first, rows)?;
        }
        let mut vectors = MultiVector::zeros(rows, found.len());
        let read = found.iter().enumerate().try_for_each(|(column, &(values, numbers))| {
            let column = vectors.column_mut(column);
            let mut runs = rows.runs().iter();
            runs.try_for_each(|run| self.values(values, numbers, run.rows.start, &mut column[run.positions.clone()]))
        });
        self.comm.agree(read)?;
        Ok(vectors)
    }
}

fn to_usize(count: u64) -> usize {
    usize::try_from(count).expect("invariant: bounded by the length of the file")
}

/// Returns the block size in the file beside, 1 without it.
fn block_size(source: &Source) -> Result<u64> {
    /// More than PETSc writes into such a file.
    const LONGEST: u64 = 1 << 16;
    let path = info_path(source.path());
    if !path.exists() {
        return Ok(1);
    }
    let file = open_regular(&path)?;
    let mut text = Vec::new();
    file.take(LONGEST).read_to_end(&mut text).map_err(|error| Error::io(&path, "read", error))?;
    let text = String::from_utf8_lossy(&text);
    let mut words = text.split_ascii_whitespace();
    let named = words.find(|word| matches!(*word, "-matload_block_size" | "-vecload_block_size"));
    let Some(name) = named else { return Ok(1) };
    let size = words.next().and_then(|size| size.parse().ok()).filter(|size| *size > 0);
    size.ok_or_else(|| Fault::new(name, "is not followed by a block size").of(&path))
}
