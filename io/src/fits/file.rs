//! FITS files as a list of header-data units, plain or gzip-compressed.

use super::column::{Column, parse_columns};
use super::header::{BLOCK, Header, HeaderError};
use super::unpack::unpack;

use crate::error::{Error, Result};
use crate::regular_file::open_regular;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Rows without bytes that a table may have: their number is bounded by nothing in the file.
const MOST_EMPTY_ROWS: u64 = 1 << 20;

/// A FITS file opened for reading.
///
/// Nothing here is collective: each rank that needs the file opens it. A plain
/// file is read by position, so that a rank touches only the rows it asks for;
/// a gzip file has no positions and is decoded into memory as a whole, within the [budget](crate::budget).
#[derive(Debug)]
pub struct FitsFile {
    path: PathBuf,
    source: Source,
    hdus: Vec<Hdu>,
}

/// Kind of data of a header-data unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HduKind {
    /// An image, or the primary header without data.
    Image,
    /// A binary table.
    BinaryTable,
    /// Anything else, such as an ASCII table: its header can be read.
    Other,
}

/// A header-data unit.
#[derive(Clone, Debug)]
pub struct Hdu {
    pub(super) index: usize,
    pub(super) header: Header,
    pub(super) kind: HduKind,
    pub(super) data: Range<u64>,
    /// Bytes of arrays of varying length.
    pub(super) heap: Range<u64>,
    pub(super) columns: Vec<Column>,
    pub(super) row_bytes: u64,
    pub(super) rows: u64,
}

impl Hdu {
    /// Returns its position in the file; 0 is the primary unit.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// Returns the kind of its data.
    #[must_use]
    pub fn kind(&self) -> HduKind {
        self.kind
    }

    /// Returns its header.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Returns the columns of a binary table; none for other data.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Returns the number of rows of a binary table; 0 for other data.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }
}

#[derive(Debug)]
enum Source {
    Plain { file: File, length: u64 },
    Memory(Vec<u8>),
}

impl Source {
    fn open(path: &Path) -> Result<Self> {
        let failed = |error| Error::io(path, "open", error);
        let file = open_regular(path)?;
        let mut magic = [0; 2];
        if file.read_at(&mut magic, 0).map_err(failed)? == 2 && magic == [0x1f, 0x8b] {
            return Ok(Self::Memory(unpack(path, &file)?));
        }
        let length = file.metadata().map_err(failed)?.len();
        Ok(Self::Plain { file, length })
    }

    fn length(&self) -> u64 {
        match self {
            Self::Plain { length, .. } => *length,
            Self::Memory(bytes) => bytes.len() as u64,
        }
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        match self {
            Self::Plain { file, .. } => file.read_exact_at(buffer, offset),
            Self::Memory(bytes) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX);
                let end = start.saturating_add(buffer.len());
                let part = bytes.get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?;
                buffer.copy_from_slice(part);
                Ok(())
            }
        }
    }
}

/// Reads a source from a position on.
struct SourceReader<'a> {
    source: &'a Source,
    position: u64,
}

impl Read for SourceReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.source.length().saturating_sub(self.position);
        let count = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        self.source.read_exact_at(&mut buffer[..count], self.position)?;
        self.position += count as u64;
        Ok(count)
    }
}

impl FitsFile {
    /// Opens a plain or gzip-compressed FITS file and reads all its headers.
    ///
    /// # Errors
    ///
    /// The file cannot be read, is not FITS, or is shorter than its headers say.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let source = Source::open(path)?;
        let mut hdus = Vec::new();
        let mut position = 0;
        while let Some(hdu) = read_hdu(path, &source, position, hdus.len())? {
            position = hdu.data.end.next_multiple_of(BLOCK as u64);
            hdus.push(hdu);
        }
        Ok(Self { path: path.to_owned(), source, hdus })
    }

    /// Returns the path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns all header-data units, the primary one first.
    #[must_use]
    pub fn hdus(&self) -> &[Hdu] {
        &self.hdus
    }

    /// Finds the first binary table.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn first_table(&self) -> Result<&Hdu> {
        self.hdus
            .iter()
            .find(|hdu| hdu.kind == HduKind::BinaryTable)
            .ok_or_else(|| Error::fits(&self.path, "file", "has no binary table"))
    }

    pub(super) fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> Result<()> {
        self.source
            .read_exact_at(buffer, offset)
            .map_err(|error| Error::io(&self.path, format!("read at byte {offset}"), error))
    }
}

/// Reads the header at a position; none if the file ends there, or goes on with
/// something that is no extension (allowed by section 3.5 of the standard).
fn read_hdu(path: &Path, source: &Source, position: u64, index: usize) -> Result<Option<Hdu>> {
    let mut reader = SourceReader { source, position };
    let place = || format!("header of HDU {index}");
    let mut start = [0; 8];
    let starts_like_fits = match reader.read_exact(&mut start) {
        Ok(()) => &start == if index == 0 { b"SIMPLE  " } else { b"XTENSION" },
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => false,
        Err(error) => return Err(Error::io(path, "read a header", error)),
    };
    match (starts_like_fits, index) {
        (true, _) => {}
        (false, 0) => return Err(Error::fits(path, "file", "is not a FITS file")),
        (false, _) => return Ok(None),
    }
    reader.position = position;
    let header = Header::read(&mut reader).map_err(|error| match error {
        HeaderError::Io(error) => Error::io(path, "read a header", error),
        HeaderError::Malformed(what) => Error::fits(path, place(), what),
    })?;
    let malformed = |what: String| Error::fits(path, place(), what);
    let length = header.data_length().map_err(malformed)?;
    let data_start = reader.position;
    let data_end = data_start.checked_add(length);
    let Some(data_end) = data_end.filter(|end| *end <= source.length()) else {
        let have = source.length() - data_start;
        let what = format!("truncated: {length} bytes of data announced, {have} present");
        return Err(Error::fits(path, format!("HDU {index}"), what));
    };
    let mut hdu = Hdu {
        index,
        kind: match header.text("XTENSION") {
            None | Some("IMAGE") => HduKind::Image,
            Some("BINTABLE") => HduKind::BinaryTable,
            Some(_) => HduKind::Other,
        },
        header,
        data: data_start..data_end,
        heap: data_end..data_end,
        columns: Vec::new(),
        row_bytes: 0,
        rows: 0,
    };
    if hdu.kind == HduKind::BinaryTable {
        hdu.row_bytes = hdu.header.size("NAXIS1").map_err(malformed)?;
        hdu.rows = hdu.header.size("NAXIS2").map_err(malformed)?;
        if hdu.row_bytes == 0 && hdu.rows > MOST_EMPTY_ROWS {
            return Err(malformed(format!(
                "{} rows without bytes are announced; at most {MOST_EMPTY_ROWS} are read",
                hdu.rows
            )));
        }
        hdu.columns = parse_columns(&hdu.header, hdu.row_bytes).map_err(malformed)?;
        hdu.heap.start = data_start + heap_offset(&hdu, length).map_err(malformed)?;
    }
    Ok(Some(hdu))
}

/// Returns the position of the heap in the data of a table.
fn heap_offset(table: &Hdu, length: u64) -> std::result::Result<u64, String> {
    let rows = table.row_bytes.checked_mul(table.rows).filter(|rows| *rows <= length);
    let rows = rows.ok_or("a table has two axes, but NAXIS is another number")?;
    let offset = match table.header.get("THEAP") {
        None => rows,
        Some(_) => table.header.size("THEAP")?,
    };
    let end = format!("THEAP is not between the end of the rows ({rows}) and that of the data ({length})");
    (rows..=length).contains(&offset).then_some(offset).ok_or(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::fs;
    use std::io::Write;

    /// Returns the header of a table of two columns, up to them.
    fn table_header(row_bytes: i64, rows: i64, heap_bytes: i64) -> Header {
        let mut table = Header::new();
        table.push("XTENSION", "BINTABLE", "");
        table.push("BITPIX", 8, "");
        table.push("NAXIS", 2, "");
        table.push("NAXIS1", row_bytes, "");
        table.push("NAXIS2", rows, "");
        table.push("PCOUNT", heap_bytes, "");
        table.push("GCOUNT", 1, "");
        table.push("TFIELDS", 2, "");
        table
    }

    /// Returns a primary header and that of a table.
    fn heads(table: &Header) -> Vec<u8> {
        let mut primary = Header::new();
        primary.push("SIMPLE", true, "");
        primary.push("BITPIX", 8, "");
        primary.push("NAXIS", 0, "");
        [primary.to_bytes().unwrap(), table.to_bytes().unwrap()].concat()
    }

    /// Returns a primary header and a table of 300 rows: J, 2E.
    fn table_file() -> Vec<u8> {
        let mut table = table_header(12, 300, 0);
        table.push("TFORM1", "J", "");
        table.push("TTYPE1", "ROW", "");
        table.push("TFORM2", "2E", "");
        let mut bytes = heads(&table);
        for row in 0..300_i16 {
            bytes.extend(i32::from(row).to_be_bytes());
            bytes.extend(f32::from(row).to_be_bytes());
            bytes.extend(f32::from(-row).to_be_bytes());
        }
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        bytes
    }

    fn open(bytes: &[u8]) -> Result<FitsFile> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.fits");
        fs::write(&path, bytes).unwrap();
        FitsFile::open(path)
    }

    #[test]
    fn plain_and_compressed_files_read_alike() {
        let plain = table_file();
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&plain).unwrap();
        for bytes in [plain, encoder.finish().unwrap()] {
            let file = open(&bytes).unwrap();
            let table = file.first_table().unwrap();
            assert_eq!(file.read_column_i64(table, "row", 7..9).unwrap(), [7, 8]);
            assert_eq!(file.read_f64(table, 1, 298..300).unwrap(), [298.0, -298.0, 299.0, -299.0]);
            assert!(file.read_column_f64(table, "ROW", 0..301).is_err());
            assert!(file.read_column_i64(table, "", 0..1).unwrap_err().to_string().contains("does not hold integers"));
        }
    }

    #[test]
    fn every_truncation_is_an_error() {
        let bytes = table_file();
        let data_end = 2 * BLOCK + 12 * 300;
        for length in (0..data_end).step_by(79) {
            let message = match open(&bytes[..length]) {
                // Cut inside the second header's first card, it is a file without a table.
                Ok(file) => file.first_table().unwrap_err().to_string(),
                Err(error) => error.to_string(),
            };
            assert!(message.contains("test.fits"), "{message}");
        }
        assert!(open(&bytes[..data_end]).is_ok());
        let message = open(&bytes[..data_end - 1]).unwrap_err().to_string();
        assert!(message.contains("HDU 1: truncated: 3600 bytes of data announced, 3599 present"), "{message}");
    }

    #[test]
    fn sizes_that_lie_are_errors() {
        let good = table_file();
        for (card, lie) in [
            ("NAXIS1  =                   12", "NAXIS1  =  9223372036854775807"),
            ("NAXIS2  =                  300", "NAXIS2  =                   -1"),
            ("NAXIS2  =                  300", "NAXIS2  =      300000000000000"),
            ("NAXIS   =                    2", "NAXIS   =            999999999"),
            ("GCOUNT  =                    1", "GCOUNT  =  9223372036854775807"),
            ("TFIELDS =                    2", "TFIELDS =  9223372036854775807"),
            ("NAXIS   =                    2", "NAXIS   =                    1"),
            ("TFORM2  = '2E      '          ", "TFORM2  = '99999999999999999E'"),
            ("TFORM2  = '2E      '          ", "TFORM2  = '3E      '          "),
            ("BITPIX  =                    8", "BITPIX  =                    9"),
        ] {
            let text = good.windows(card.len()).rposition(|window| window == card.as_bytes());
            let mut bytes = good.clone();
            let start = text.expect("the card is there");
            bytes[start..start + lie.len()].copy_from_slice(lie.as_bytes());
            assert!(open(&bytes).is_err(), "{lie}");
        }
    }

    /// Returns a primary header and a table of two rows of bits and lists of numbers: 3X, PE(2).
    fn heap_file() -> Vec<u8> {
        let mut table = table_header(9, 2, 14);
        table.push("THEAP", 20, "");
        table.push("TFORM1", "3X", "");
        table.push("TTYPE1", "BITS", "");
        table.push("TFORM2", "1PE(2)", "");
        table.push("TTYPE2", "LIST", "");
        let mut bytes = heads(&table);
        bytes.extend([0b1010_0000, 0, 0, 0, 2, 0, 0, 0, 4]);
        bytes.extend([0b0110_0000, 0, 0, 0, 1, 0, 0, 0, 0]);
        bytes.extend([0, 0]);
        [3.0_f32, 1.0, 2.0].iter().for_each(|value| bytes.extend(value.to_be_bytes()));
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        bytes
    }

    #[test]
    fn bits_and_lists_are_read() {
        let file = open(&heap_file()).unwrap();
        let table = file.first_table().unwrap();
        assert_eq!(file.read_column_i64(table, "BITS", 0..2).unwrap(), [1, 0, 1, 0, 1, 1]);
        assert_eq!(file.read_column_lengths(table, "LIST", 0..2).unwrap(), [2, 1]);
        assert_eq!(file.read_column_f64(table, "LIST", 0..2).unwrap(), [1.0, 2.0, 3.0]);
        assert_eq!(file.read_column_f64(table, "LIST", 1..2).unwrap(), [3.0]);
    }

    #[test]
    fn lists_outside_of_the_heap_are_errors() {
        let row = 2 * BLOCK;
        for (place, bytes, expected) in [
            (row + 5, [0, 0, 0, 5], "2 elements at byte 5 of a heap of 12 bytes"),
            (row + 1, [0, 0, 0, 3], "3 elements at byte 4"),
            (row + 1, [255; 4], "-1 elements"),
            (row + 10, [0, 0, 0, 2], "overlap in the heap"),
        ] {
            let mut lie = heap_file();
            lie[place..place + 4].copy_from_slice(&bytes);
            let file = open(&lie).unwrap();
            let message = file.read_column_f64(file.first_table().unwrap(), "LIST", 0..2).unwrap_err().to_string();
            assert!(message.contains("column LIST") && message.contains(expected), "{message}");
        }
    }

    #[test]
    fn no_garbage_panics() {
        [table_file(), heap_file()].iter().for_each(|good| mutate(good));
    }

    fn mutate(good: &[u8]) {
        let mut state = 1_u64;
        let mut random = move |bound: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).unwrap() % bound
        };
        for _ in 0..2000 {
            let mut bytes = good.to_vec();
            for _ in 0..=random(4) {
                let position = random(2 * BLOCK + 40);
                bytes[position] = b" '=/0123456789TEPQ\0\xff"[random(20)];
            }
            if let Ok(file) = open(&bytes) {
                for hdu in file.hdus() {
                    for index in 0..hdu.columns.len() {
                        let _ = file.read_f64(hdu, index, 0..hdu.rows);
                        let _ = file.read_i64(hdu, index, 0..hdu.rows);
                        let name = &hdu.columns[index].name;
                        let _ = file.read_column_text(hdu, name, 0..hdu.rows);
                        let _ = file.read_column_complex(hdu, name, 0..hdu.rows);
                        let _ = file.read_column_lengths(hdu, name, 0..hdu.rows);
                    }
                }
            }
        }
    }
}
