//! Writing full-sky HEALPix maps, every rank its own pixels.
//!
//! The layout is healpy's: one table, 1024 pixels of each column in a row (one
//! pixel a row below that), so offsets are known and nothing is gathered. Rank 0
//! writes the header; each rank writes its pixels by position.

use super::header::{BLOCK, Header};
use super::map::{MapHeader, UNSEEN, nside_is_legal};
use crate::error::{Error, Result};
use crate::staged::StagedFile;
use dolmen_core::{Layout, profile};
use std::fs::{File, OpenOptions};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Whole rows are collected up to about this many bytes before they are written.
const WRITE_BYTES: usize = 4 << 20;

/// A column of a map: this rank's pixels.
#[derive(Clone, Copy, Debug)]
pub struct MapColumn<'a> {
    /// TTYPE, for instance `I_STOKES`; the same on all ranks.
    pub name: &'a str,
    /// TUNIT, for instance `K_CMB`; empty for none; the same on all ranks.
    pub unit: &'a str,
    /// The values of this rank's pixels; the same type on all ranks.
    pub data: MapData<'a>,
}

/// The values of a map column, stored in the precision they come in.
#[derive(Clone, Copy, Debug)]
pub enum MapData<'a> {
    /// Stored as `D`.
    F64(&'a [f64]),
    /// Stored as `E`.
    F32(&'a [f32]),
    /// Stored as `K`.
    I64(&'a [i64]),
    /// Stored as `J`.
    I32(&'a [i32]),
}

impl MapData<'_> {
    fn len(&self) -> usize {
        match self {
            Self::F64(values) => values.len(),
            Self::F32(values) => values.len(),
            Self::I64(values) => values.len(),
            Self::I32(values) => values.len(),
        }
    }

    fn letter(&self) -> char {
        match self {
            Self::F64(_) => 'D',
            Self::F32(_) => 'E',
            Self::I64(_) => 'K',
            Self::I32(_) => 'J',
        }
    }

    fn element_bytes(&self) -> u64 {
        match self {
            Self::F64(_) | Self::I64(_) => 8,
            Self::F32(_) | Self::I32(_) => 4,
        }
    }

    fn append_bytes(&self, range: Range<usize>, bytes: &mut Vec<u8>) {
        match self {
            Self::F64(values) => bytes.extend(values[range].iter().flat_map(|v| v.to_be_bytes())),
            Self::F32(values) => bytes.extend(values[range].iter().flat_map(|v| v.to_be_bytes())),
            Self::I64(values) => bytes.extend(values[range].iter().flat_map(|v| v.to_be_bytes())),
            Self::I32(values) => bytes.extend(values[range].iter().flat_map(|v| v.to_be_bytes())),
        }
    }
}

/// Writes a full-sky map in FITS, the pixels distributed by a layout.
///
/// The layout's rows are the pixels of the sphere, in the ordering that the header
/// names. Pixels that were not observed must hold [`UNSEEN`]. The file appears
/// under its name when it is complete and on disk.
///
/// # Collective
///
/// All ranks of the layout, with the same path, header and columns (names, units,
/// types).
///
/// # Errors
///
/// The same on all ranks: the layout is not of the sphere's pixels, a column is not
/// of this rank's pixels, a name does not fit a header card, or the file cannot be
/// written. Then there is no new file, and an old one of that name is untouched.
pub fn write_map(layout: &Layout, path: impl AsRef<Path>, header: &MapHeader, columns: &[MapColumn<'_>]) -> Result<()> {
    let (path, comm) = (path.as_ref(), layout.comm());
    let plan = comm.agree(Plan::new(path, header, layout, columns))?;
    let pixel_bytes: u64 = columns.iter().map(|column| column.data.element_bytes()).sum();
    let _event = profile::event("FitsWrite").bytes(pixel_bytes * layout.local_len() as u64);
    let staged = StagedFile::create(comm, path)?;
    comm.agree(plan.write(staged.temporary(), columns, comm.rank() == 0))?;
    staged.publish(comm)
}

/// Where everything goes.
struct Plan {
    head: Vec<u8>,
    pixels: Range<u64>,
    pixels_per_row: u64,
    row_bytes: u64,
    file_bytes: u64,
}

impl Plan {
    fn new(path: &Path, header: &MapHeader, layout: &Layout, columns: &[MapColumn<'_>]) -> Result<Self> {
        if !nside_is_legal(header.nside) {
            let what = format!("nside {} is not a power of two up to 2^29", header.nside);
            return Err(Error::argument(path, what));
        }
        if layout.global_len() != header.pixels() {
            let (found, expected) = (layout.global_len(), header.pixels());
            let what = format!("the layout has {found} pixels, nside {} has {expected}", header.nside);
            return Err(Error::argument(path, what));
        }
        if columns.is_empty() {
            return Err(Error::argument(path, "a map needs at least one column"));
        }
        if let Some(column) = columns.iter().find(|column| column.data.len() != layout.local_len()) {
            let (found, expected) = (column.data.len(), layout.local_len());
            let what = format!("column {}: expected {expected} pixels on this rank, found {found}", column.name);
            return Err(Error::argument(path, what));
        }
        let pixels_per_row = if header.pixels() < 1024 { 1 } else { 1024 };
        let pixel_bytes: u64 = columns.iter().map(|c| c.data.element_bytes()).sum();
        let row_bytes = pixel_bytes * pixels_per_row;
        let head = head(header, columns, pixels_per_row, row_bytes).map_err(|what| Error::argument(path, what))?;
        let end = head.len() as u64 + pixel_bytes * header.pixels();
        Ok(Self {
            file_bytes: end.next_multiple_of(BLOCK as u64),
            head,
            pixels: layout.range(),
            pixels_per_row,
            row_bytes,
        })
    }

    /// Writes this rank's part of the file and syncs it.
    fn write(&self, path: &Path, columns: &[MapColumn<'_>], with_header: bool) -> Result<()> {
        let file = OpenOptions::new().write(true).open(path);
        let file = file.map_err(|error| Error::io(path, "open for writing", error))?;
        if with_header {
            write_at(&file, path, &self.head, 0)?;
            // What no rank writes, the padding, is then zero, as it has to be.
            file.set_len(self.file_bytes).map_err(|error| Error::io(path, "extend", error))?;
        }
        self.write_pixels(&file, path, columns)?;
        file.sync_all().map_err(|error| Error::io(path, "sync", error))
    }

    fn write_pixels(&self, file: &File, path: &Path, columns: &[MapColumn<'_>]) -> Result<()> {
        let mut bytes = Vec::new();
        let mut bytes_at = 0;
        let mut pixel = self.pixels.start;
        while pixel < self.pixels.end {
            let row = pixel / self.pixels_per_row;
            let row_end = (row + 1) * self.pixels_per_row;
            let part = pixel..row_end.min(self.pixels.end);
            let row_at = self.head.len() as u64 + row * self.row_bytes;
            if part.end - part.start == self.pixels_per_row {
                if bytes.is_empty() {
                    bytes_at = row_at;
                }
                for column in columns {
                    column.data.append_bytes(self.local(&part), &mut bytes);
                }
                if bytes.len() >= WRITE_BYTES {
                    write_at(file, path, &bytes, bytes_at)?;
                    bytes.clear();
                }
            } else {
                self.write_part_of_row(file, path, columns, &part, row_at)?;
            }
            pixel = part.end;
        }
        write_at(file, path, &bytes, bytes_at)
    }

    /// A row shared with another rank: one write for each column.
    fn write_part_of_row(
        &self,
        file: &File,
        path: &Path,
        columns: &[MapColumn<'_>],
        part: &Range<u64>,
        row_at: u64,
    ) -> Result<()> {
        let mut cell_at = row_at;
        for column in columns {
            let mut bytes = Vec::new();
            column.data.append_bytes(self.local(part), &mut bytes);
            let element_bytes = column.data.element_bytes();
            let skip = part.start % self.pixels_per_row * element_bytes;
            write_at(file, path, &bytes, cell_at + skip)?;
            cell_at += self.pixels_per_row * element_bytes;
        }
        Ok(())
    }

    fn local(&self, pixels: &Range<u64>) -> Range<usize> {
        let local =
            |pixel: u64| usize::try_from(pixel - self.pixels.start).expect("invariant: within this rank's slice");
        local(pixels.start)..local(pixels.end)
    }
}

fn write_at(file: &File, path: &Path, bytes: &[u8], offset: u64) -> Result<()> {
    file.write_all_at(bytes, offset).map_err(|error| {
        let action = format!("write {} bytes at {offset}", bytes.len());
        Error::io(path, action, error)
    })
}

/// The primary header and that of the table.
fn head(
    map: &MapHeader,
    columns: &[MapColumn<'_>],
    pixels_per_row: u64,
    row_bytes: u64,
) -> std::result::Result<Vec<u8>, String> {
    let integer = |value: u64| i64::try_from(value).map_err(|_| format!("{value} exceeds 2^63"));
    let mut primary = Header::new();
    primary.push("SIMPLE", true, "conforms to FITS standard");
    primary.push("BITPIX", 8, "array data type");
    primary.push("NAXIS", 0, "number of array dimensions");
    primary.push("EXTEND", true, "");

    let mut table = Header::new();
    table.push("XTENSION", "BINTABLE", "binary table extension");
    table.push("BITPIX", 8, "array data type");
    table.push("NAXIS", 2, "number of array dimensions");
    table.push("NAXIS1", integer(row_bytes)?, "bytes in a row");
    table.push("NAXIS2", integer(map.pixels() / pixels_per_row)?, "rows");
    table.push("PCOUNT", 0, "number of group parameters");
    table.push("GCOUNT", 1, "number of groups");
    table.push("TFIELDS", integer(columns.len() as u64)?, "number of columns");
    for (column, number) in columns.iter().zip(1..) {
        table.push(&format!("TTYPE{number}"), column.name, "");
        let form = match pixels_per_row {
            1 => column.data.letter().to_string(),
            repeat => format!("{repeat}{}", column.data.letter()),
        };
        table.push(&format!("TFORM{number}"), form.as_str(), "");
        if !column.unit.is_empty() {
            table.push(&format!("TUNIT{number}"), column.unit, "");
        }
    }
    push_map_cards(&mut table, map)?;
    let mut bytes = primary.to_bytes()?;
    bytes.extend(table.to_bytes()?);
    Ok(bytes)
}

fn push_map_cards(table: &mut Header, map: &MapHeader) -> std::result::Result<(), String> {
    let integer = |value: u64| i64::try_from(value).map_err(|_| format!("{value} exceeds 2^63"));
    table.push("EXTNAME", "FULL SKY MAP", "name of this table");
    table.push("PIXTYPE", "HEALPIX", "HEALPIX pixelisation");
    table.push("ORDERING", map.ordering.keyword(), "pixel ordering scheme, RING or NESTED");
    table.push("NSIDE", integer(map.nside)?, "resolution parameter of HEALPIX");
    table.push("FIRSTPIX", 0, "first pixel (0 based)");
    table.push("LASTPIX", integer(map.pixels() - 1)?, "last pixel (0 based)");
    table.push("INDXSCHM", "IMPLICIT", "indexing: IMPLICIT or EXPLICIT");
    table.push("OBJECT", "FULLSKY", "sky coverage, FULLSKY or PARTIAL");
    table.push("BAD_DATA", UNSEEN, "value of unobserved pixels");
    if let Some(coordinates) = map.coordinates {
        let comment = "C celestial, G galactic, E ecliptic";
        table.push("COORDSYS", coordinates.keyword(), comment);
    }
    if let Some(polarisation) = map.polarisation {
        let comment = "polarisation convention, COSMO or IAU";
        table.push("POLCCONV", polarisation.keyword(), comment);
    }
    for line in &map.history {
        table.push_commentary("HISTORY", line);
    }
    Ok(())
}
