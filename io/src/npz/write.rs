//! Writing `csr` matrices: stored members have their places before anything is written, so each
//! rank writes its own part of each array. Checksums of the parts are joined into those of the
//! members, and rank 0 writes what stands around them.

use crate::error::Result;
use crate::positioned::{PositionedWriter, parts, write_staged};
use dolmen_core::{CsrMatrix, LinearOperator, Scalar};
use std::io::{self, Write};
use std::path::Path;

/// The version of the format that has zip64, which is used throughout: sizes have one place to be.
const VERSION: u16 = 45;
/// 1 January 1980, the first day that the format can name: files do not differ by when they were made.
const DATE: u16 = 0x21;

/// A member of the file: what stands before the numbers, and all ranks' numbers.
struct Member {
    name: &'static str,
    header: Vec<u8>,
    /// This rank's part of the numbers: its place among all, and its length.
    part: (u64, u64),
    /// Bytes of all ranks' numbers.
    numbers: u64,
    /// Start of the member's entry in the file.
    start: u64,
    crc: u32,
}

impl Member {
    fn bytes(&self) -> u64 {
        self.header.len() as u64 + self.numbers
    }

    fn entry_bytes(&self) -> u64 {
        30 + self.name.len() as u64 + 20
    }

    fn data(&self) -> u64 {
        self.start + self.entry_bytes()
    }

    fn local_entry(&self) -> Vec<u8> {
        let mut entry = b"PK\x03\x04".to_vec();
        entry.extend(self.common());
        entry.extend(self.name.as_bytes());
        entry.extend([1_u16, 16].map(u16::to_le_bytes).as_flattened());
        entry.extend([self.bytes(); 2].map(u64::to_le_bytes).as_flattened());
        entry
    }

    /// Returns the common part of local and directory entries: from the version to the lengths.
    fn common(&self) -> Vec<u8> {
        let mut common = [VERSION, 0, 0, 0, DATE].map(u16::to_le_bytes).as_flattened().to_vec();
        common.extend([self.crc, u32::MAX, u32::MAX].map(u32::to_le_bytes).as_flattened());
        let name = u16::try_from(self.name.len()).expect("invariant: names are short");
        common.extend([name, 20].map(u16::to_le_bytes).as_flattened());
        common
    }

    fn directory_entry(&self) -> Vec<u8> {
        let mut entry = b"PK\x01\x02".to_vec();
        entry.extend(VERSION.to_le_bytes());
        let mut common = self.common();
        // The extension of the directory holds the place of the member too.
        let extension = common.len() - 2;
        common[extension..].copy_from_slice(&28_u16.to_le_bytes());
        entry.extend(common);
        entry.extend([0_u16; 3].map(u16::to_le_bytes).as_flattened());
        entry.extend([0, u32::MAX].map(u32::to_le_bytes).as_flattened());
        entry.extend(self.name.as_bytes());
        entry.extend([1_u16, 24].map(u16::to_le_bytes).as_flattened());
        entry.extend([self.bytes(), self.bytes(), self.start].map(u64::to_le_bytes).as_flattened());
        entry
    }
}

/// Returns the header of an array, which makes the numbers start at a multiple of 64 bytes.
pub(super) fn array_header(kind: &str, shape: &str) -> Vec<u8> {
    let mut text = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({shape}), }}");
    let padding = 64 - (10 + text.len() + 1) % 64;
    text.push_str(&" ".repeat(padding % 64));
    text.push('\n');
    let length = u16::try_from(text.len()).expect("invariant: headers are short");
    [b"\x93NUMPY\x01\x00", &length.to_le_bytes()[..], text.as_bytes()].concat()
}

/// Returns the file without the members: the directory and its end.
fn directory(members: &[Member], start: u64) -> Vec<u8> {
    let mut bytes: Vec<u8> = members.iter().flat_map(Member::directory_entry).collect();
    let (count, size) = (members.len() as u64, bytes.len() as u64);
    let end64 = start + size;
    bytes.extend(b"PK\x06\x06");
    bytes.extend(44_u64.to_le_bytes());
    bytes.extend([VERSION; 2].map(u16::to_le_bytes).as_flattened());
    bytes.extend([0_u32; 2].map(u32::to_le_bytes).as_flattened());
    bytes.extend([count, count, size, start].map(u64::to_le_bytes).as_flattened());
    bytes.extend(b"PK\x06\x07");
    bytes.extend(0_u32.to_le_bytes());
    bytes.extend(end64.to_le_bytes());
    bytes.extend(1_u32.to_le_bytes());
    bytes.extend(b"PK\x05\x06");
    bytes.extend([0_u16, 0, u16::MAX, u16::MAX].map(u16::to_le_bytes).as_flattened());
    bytes.extend([u32::MAX; 2].map(u32::to_le_bytes).as_flattened());
    bytes.extend(0_u16.to_le_bytes());
    bytes
}

/// Writes a matrix as `scipy.sparse.save_npz(..., compressed=False)` does.
///
/// Indices have 32 bits where that is enough, as in SciPy. The file appears under its name when it
/// is complete.
///
/// # Collective
///
/// # Errors
/// A file that cannot be written.
pub fn write_matrix<T: Scalar>(path: impl AsRef<Path>, matrix: &CsrMatrix<T>) -> Result<()> {
    let content = Content::new(matrix);
    let comm = matrix.range().comm();
    let (mut members, end) = content.members();
    for (number, member) in members.iter_mut().enumerate() {
        let mut hasher = Hasher(crc32fast::Hasher::new());
        content.write_part(number, &mut hasher).expect("invariant: hashing cannot fail");
        let mut all = crc32fast::Hasher::new();
        all.update(&member.header);
        for [crc, bytes] in comm.all_gather([u64::from(hasher.0.finalize()), member.part.1]) {
            let crc = u32::try_from(crc).expect("invariant: a checksum of 32 bits");
            all.combine(&crc32fast::Hasher::new_with_initial_len(crc, bytes));
        }
        member.crc = all.finalize();
    }
    let directory = directory(&members, end);
    write_staged(comm, path.as_ref(), end + directory.len() as u64, |file| {
        for (number, member) in members.iter().enumerate() {
            let mut writer = PositionedWriter::new(file, member.data() + member.header.len() as u64 + member.part.0);
            content.write_part(number, &mut writer)?;
            writer.flush()?;
            if comm.rank() == 0 {
                let mut writer = PositionedWriter::new(file, member.start);
                writer.write_all(&member.local_entry())?;
                writer.write_all(&member.header)?;
                writer.flush()?;
            }
        }
        let mut writer = PositionedWriter::new(file, end);
        if comm.rank() == 0 { writer.write_all(&directory).and_then(|()| writer.flush()) } else { Ok(()) }
    })
}

/// The arrays of a matrix.
struct Content<'m, T> {
    matrix: &'m CsrMatrix<T>,
    /// Entries of lower ranks, and of all.
    before: u64,
    entries: u64,
    /// True if indices have 64 bits.
    wide: bool,
}

impl<'m, T: Scalar> Content<'m, T> {
    fn new(matrix: &'m CsrMatrix<T>) -> Self {
        let (before, entries) = parts(matrix.range().comm(), 0, matrix.local_entries() as u64);
        let most = entries.max(matrix.range().global_len()).max(matrix.domain().global_len());
        Self { matrix, before, entries, wide: i32::try_from(most).is_err() }
    }

    /// Returns the members, in the order of [`Content::write_part`], and where the last one ends.
    fn members(&self) -> (Vec<Member>, u64) {
        let range = self.matrix.range();
        let integer = if self.wide { 8 } else { 4 };
        let index_kind = format!("<i{integer}");
        let value = size_of::<T>() as u64;
        let value_kind = format!("<{}{value}", if T::COMPLEX { "c" } else { "f" });
        let (comm, rows) = (range.comm(), range.range());
        let last = u64::from(comm.rank() + 1 == comm.size());
        let root = u64::from(comm.rank() == 0);
        let mine = self.matrix.local_entries() as u64;
        let parts = [
            (
                "indices.npy",
                index_kind.as_str(),
                format!("{},", self.entries),
                self.entries,
                integer,
                self.before,
                mine,
            ),
            (
                "indptr.npy",
                &index_kind,
                format!("{},", range.global_len() + 1),
                range.global_len() + 1,
                integer,
                rows.start,
                rows.end - rows.start + last,
            ),
            ("format.npy", "|S3", String::new(), 1, 3, 0, root),
            ("shape.npy", "<i8", "2,".to_owned(), 2, 8, 0, 2 * root),
            ("data.npy", &value_kind, format!("{},", self.entries), self.entries, value, self.before, mine),
        ];
        let mut end = 0;
        let members = parts.map(|(name, kind, shape, count, bytes, before, mine)| {
            let header = array_header(kind, &shape);
            let part = (before * bytes, mine * bytes);
            let member = Member { name, header, part, numbers: count * bytes, start: end, crc: 0 };
            end = member.data() + member.bytes();
            member
        });
        (members.into(), end)
    }

    /// Writes this rank's part of the numbers of a member.
    fn write_part(&self, member: usize, to: &mut impl Write) -> io::Result<()> {
        let (comm, mut rows) = (self.matrix.range().comm(), self.matrix.rows());
        match member {
            0 => rows.flat_map(|row| row.columns()).try_for_each(|column| self.index(to, column)),
            1 => {
                let mut start = self.before;
                for row in rows {
                    self.index(to, start)?;
                    start += row.values().len() as u64;
                }
                if comm.rank() + 1 == comm.size() { self.index(to, start) } else { Ok(()) }
            }
            2 | 3 if comm.rank() > 0 => Ok(()),
            2 => to.write_all(b"csr"),
            3 => {
                let shape = [self.matrix.range().global_len(), self.matrix.domain().global_len()];
                to.write_all(shape.map(u64::to_le_bytes).as_flattened())
            }
            _ => rows.try_for_each(|row| write_values(to, row.values())),
        }
    }

    fn index(&self, to: &mut impl Write, index: u64) -> io::Result<()> {
        let bytes = index.to_le_bytes();
        to.write_all(if self.wide { &bytes } else { &bytes[..4] })
    }
}

pub(super) fn write_values<T: Scalar>(to: &mut impl Write, values: &[T]) -> io::Result<()> {
    if cfg!(target_endian = "little") {
        return to.write_all(bytemuck::cast_slice(values));
    }
    let part = size_of::<T::Real>();
    bytemuck::cast_slice::<T, u8>(values).chunks_exact(part).try_for_each(|bytes| {
        let mut bytes = bytes.to_vec();
        bytes.reverse();
        to.write_all(&bytes)
    })
}

/// Hashes what is written.
struct Hasher(crc32fast::Hasher);

impl Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
