//! Writing HEALPix maps, every rank its own pixels.
//!
//! The layout of a full sky is healpy's: one table, 1024 pixels of each column in a row (one pixel a
//! row below that). A part of the sky is a table with a row for each pixel and its number first.

use super::header::Header;
use super::map::{MapHeader, UNSEEN, nside_is_legal};
use super::table_writer::{ColumnData, TableColumn, write_items, write_table};
use crate::error::{Error, Result};
use dolmen_core::Layout;
use std::path::Path;

/// A column of a map: this rank's pixels.
#[derive(Clone, Copy, Debug)]
pub struct MapColumn<'a> {
    /// TTYPE, for instance `I_STOKES`; the same on all ranks.
    pub name: &'a str,
    /// TUNIT, for instance `K_CMB`; empty for none; the same on all ranks.
    pub unit: &'a str,
    /// A value for each of this rank's pixels; the same type on all ranks.
    pub data: ColumnData<'a>,
}

impl<'a> MapColumn<'a> {
    fn in_table(&self) -> TableColumn<'a> {
        TableColumn { name: self.name, unit: self.unit, repeat: 1, data: self.data }
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
    let path = path.as_ref();
    require_header(path, header, columns)?;
    if layout.global_len() != header.pixels() {
        let (found, expected) = (layout.global_len(), header.pixels());
        let what = format!("the layout has {found} pixels, nside {} has {expected}", header.nside);
        return Err(Error::argument(path, what));
    }
    let cards = cards(header, true).map_err(|what| Error::argument(path, what))?;
    let columns: Vec<TableColumn<'_>> = columns.iter().map(MapColumn::in_table).collect();
    let pixels_per_row = if header.pixels() < 1024 { 1 } else { 1024 };
    write_items(layout, path, pixels_per_row, &cards, &columns)
}

/// Writes some pixels of a map in FITS, those of each rank in their order and rank after rank.
///
/// `pixels` has the numbers of this rank's pixels, in the ordering that the header names, and each
/// column a value for each of them. healpy reads such a file with `partial=True`.
///
/// # Collective
///
/// All ranks of `layout`, of which this rank has as many rows as pixels, with the same path, header
/// and columns (names, units, types).
///
/// # Errors
///
/// As [`write_map`]; also if the numbers, over all ranks, do not ascend, or leave the sphere.
pub fn write_partial_map(
    layout: &Layout,
    path: impl AsRef<Path>,
    header: &MapHeader,
    pixels: &[u64],
    columns: &[MapColumn<'_>],
) -> Result<()> {
    let (path, comm) = (path.as_ref(), layout.comm());
    require_header(path, header, columns)?;
    let firsts = comm.all_gather(pixels.first().copied().unwrap_or(u64::MAX));
    let next = firsts[comm.rank() + 1..].iter().find(|first| **first < u64::MAX).copied();
    let numbers = comm.agree(require_ascending(path, header, pixels, next))?;
    let number = TableColumn { name: "PIXEL", unit: "", repeat: 1, data: ColumnData::I64(&numbers) };
    let columns: Vec<TableColumn<'_>> = [number].into_iter().chain(columns.iter().map(MapColumn::in_table)).collect();
    let cards = cards(header, false).map_err(|what| Error::argument(path, what))?;
    write_table(layout, path, &cards, &columns)
}

/// Refuses what is wrong in the same way on all ranks.
fn require_header(path: &Path, header: &MapHeader, columns: &[MapColumn<'_>]) -> Result<()> {
    if !nside_is_legal(header.nside) {
        let what = format!("nside {} is not a power of two up to 2^29", header.nside);
        return Err(Error::argument(path, what));
    }
    if columns.is_empty() {
        return Err(Error::argument(path, "a map needs at least one column"));
    }
    Ok(())
}

/// The pixel numbers as they are stored, if they ascend up to `next`, the first of the ranks that follow.
fn require_ascending(path: &Path, header: &MapHeader, pixels: &[u64], next: Option<u64>) -> Result<Vec<i64>> {
    let followers = pixels.iter().skip(1).copied().chain([next.unwrap_or(u64::MAX)]);
    if let Some((pixel, follower)) = pixels.iter().zip(followers).find(|(pixel, follower)| *pixel >= follower) {
        return Err(Error::argument(path, format!("pixel {follower} follows pixel {pixel}; they have to ascend")));
    }
    match pixels.iter().find(|pixel| **pixel >= header.pixels()) {
        Some(pixel) => Err(Error::argument(path, format!("pixel {pixel} is off the sphere of nside {}", header.nside))),
        None => Ok(pixels.iter().map(|pixel| pixel.cast_signed()).collect()),
    }
}

fn cards(map: &MapHeader, full: bool) -> std::result::Result<Header, String> {
    let integer = |value: u64| i64::try_from(value).map_err(|_| format!("{value} exceeds 2^63"));
    let mut table = Header::new();
    let name = if full { "FULL SKY MAP" } else { "PARTIAL SKY MAP" };
    table.push("EXTNAME", name, "name of this table");
    table.push("PIXTYPE", "HEALPIX", "HEALPIX pixelisation");
    table.push("ORDERING", map.ordering.keyword(), "pixel ordering scheme, RING or NESTED");
    table.push("NSIDE", integer(map.nside)?, "resolution parameter of HEALPIX");
    if full {
        table.push("FIRSTPIX", 0, "first pixel (0 based)");
        table.push("LASTPIX", integer(map.pixels() - 1)?, "last pixel (0 based)");
    }
    table.push("INDXSCHM", if full { "IMPLICIT" } else { "EXPLICIT" }, "indexing: IMPLICIT or EXPLICIT");
    table.push("OBJECT", if full { "FULLSKY" } else { "PARTIAL" }, "sky coverage, FULLSKY or PARTIAL");
    table.push("BAD_DATA", UNSEEN, "value of unobserved pixels");
    if let Some(coordinates) = map.coordinates {
        let comment = "C celestial, G galactic, E ecliptic";
        table.push("COORDSYS", coordinates.keyword(), comment);
    }
    if let Some(polarization) = map.polarization {
        let comment = "polarisation convention, COSMO or IAU";
        table.push("POLCCONV", polarization.keyword(), comment);
    }
    for line in &map.history {
        table.push_commentary("HISTORY", line);
    }
    Ok(table)
}
