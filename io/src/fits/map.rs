//! Reading HEALPix maps: binary tables as the HEALPix facility, healpy and the
//! Planck archive write them, of the full sky or of listed pixels.

use super::file::{FitsFile, Hdu};
use super::header::Header;
use crate::error::{Error, Result};
use std::ops::Range;
use std::path::Path;

/// The value of a pixel that was not observed (HEALPix convention).
pub const UNSEEN: f64 = -1.6375e30;

/// The order of a map's pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ordering {
    /// Along rings of constant latitude.
    Ring,
    /// Along a tree of quadrilaterals.
    Nested,
}

impl Ordering {
    pub(super) fn keyword(self) -> &'static str {
        match self {
            Self::Ring => "RING",
            Self::Nested => "NESTED",
        }
    }
}

/// The celestial coordinates of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coordinates {
    /// Right ascension and declination.
    Celestial,
    /// Galactic longitude and latitude.
    Galactic,
    /// Ecliptic longitude and latitude.
    Ecliptic,
}

impl Coordinates {
    pub(super) fn keyword(self) -> &'static str {
        match self {
            Self::Celestial => "C",
            Self::Galactic => "G",
            Self::Ecliptic => "E",
        }
    }

    /// Returns the frame that COORDSYS, or a word of other programs for it, names; the case of letters does not matter.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_uppercase().as_str() {
            "C" | "Q" | "CEL" | "CELESTIAL" | "CELESTIAL2000" | "EQU" | "EQUATORIAL" | "ICRS" | "FK5" | "J2000" => {
                Some(Self::Celestial)
            }
            "G" | "GAL" | "GALACTIC" => Some(Self::Galactic),
            "E" | "ECL" | "ECLIPTIC" => Some(Self::Ecliptic),
            _ => None,
        }
    }
}

/// The sign of U, and so the direction in which polarization angles grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolarizationConvention {
    /// From south over east, as HEALPix and CMB work have it.
    Cosmo,
    /// From north over east, as the International Astronomical Union has it.
    Iau,
}

impl PolarizationConvention {
    pub(super) fn keyword(self) -> &'static str {
        match self {
            Self::Cosmo => "COSMO",
            Self::Iau => "IAU",
        }
    }

    /// Returns the convention that POLCCONV names; the case of letters does not matter.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_uppercase().as_str() {
            "COSMO" => Some(Self::Cosmo),
            "IAU" => Some(Self::Iau),
            _ => None,
        }
    }
}

/// Keyword of the frame, and the one that older programs write.
const FRAME: [&str; 2] = ["COORDSYS", "COORD"];

/// Keyword of the polarization convention.
const CONVENTION: [&str; 1] = ["POLCCONV"];

/// Returns the keyword and the value of the first of these cards that is not blank.
fn said<'h>(header: &'h Header, keywords: &[&'static str]) -> Option<(&'static str, &'h str)> {
    let mut found = keywords.iter().filter_map(|&keyword| Some((keyword, header.text(keyword)?.trim())));
    found.find(|(_, value)| !value.is_empty())
}

/// Properties of all columns of a map, by its header.
#[derive(Clone, Debug, PartialEq)]
pub struct MapHeader {
    /// Resolution: the sphere has 12 nside² pixels.
    pub nside: u64,
    /// The order of the pixels.
    pub ordering: Ordering,
    /// COORDSYS, or COORD of older files; none if the file does not say, or not in words that are known
    /// ([`MapFile::require_known_words`]).
    pub coordinates: Option<Coordinates>,
    /// POLCCONV; none if the file does not say, or not in words that are known, or for maps without polarization.
    pub polarization: Option<PolarizationConvention>,
    /// HISTORY: provenance, one entry a line; longer entries are broken.
    pub history: Vec<String>,
}

impl MapHeader {
    /// Returns the number of pixels of the sphere, 12 nside².
    #[must_use]
    pub fn pixels(&self) -> u64 {
        12 * self.nside * self.nside
    }

    fn parse(header: &Header) -> std::result::Result<Self, String> {
        let nside = header.integer("NSIDE").and_then(|n| u64::try_from(n).ok());
        let nside =
            nside.filter(|nside| nside_is_legal(*nside)).ok_or("NSIDE is missing or not a power of two up to 2^29")?;
        let ordering = match header.text("ORDERING").map(str::to_ascii_uppercase) {
            Some(text) if text == "RING" => Ordering::Ring,
            Some(text) if text == "NESTED" || text == "NEST" => Ordering::Nested,
            _ => return Err("ORDERING is missing or neither RING nor NESTED".into()),
        };
        Ok(Self {
            nside,
            ordering,
            coordinates: said(header, &FRAME).and_then(|(_, text)| Coordinates::parse(text)),
            polarization: said(header, &CONVENTION).and_then(|(_, text)| PolarizationConvention::parse(text)),
            history: header.history().map(str::to_owned).collect(),
        })
    }
}

/// The largest nside whose pixel numbers HEALPix defines in 64 bits is 2^29.
pub(super) fn nside_is_legal(nside: u64) -> bool {
    nside.is_power_of_two() && nside <= 1 << 29
}

/// A HEALPix map opened for reading.
///
/// Nothing here is collective: each rank opens the file and reads its own pixels.
#[derive(Debug)]
pub struct MapFile {
    file: FitsFile,
    hdu: usize,
    header: MapHeader,
    /// The column of pixel numbers, if the map lists its pixels.
    listed: bool,
}

impl MapFile {
    /// Opens the map in the first binary table of a FITS file, plain or gzip.
    ///
    /// # Errors
    ///
    /// The file is not FITS, is truncated, or its table is not a HEALPix map.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let file = FitsFile::open(path)?;
        let hdu = file.first_table()?;
        let malformed = |what: String| Error::fits(file.path(), format!("HDU {}", hdu.index), what);
        let header = MapHeader::parse(&hdu.header).map_err(malformed)?;
        let listed = hdu.header.text("INDXSCHM") == Some("EXPLICIT") || hdu.header.text("OBJECT") == Some("PARTIAL");
        if hdu.columns.len() <= usize::from(listed) {
            return Err(malformed("the table has no column of map values".into()));
        }
        for column in hdu.columns.iter().filter(|_| !listed) {
            if hdu.rows.checked_mul(column.repeat) != Some(header.pixels()) {
                let what = format!(
                    "column {} has {} rows of {} pixels, where NSIDE {} needs {} pixels",
                    column.name,
                    hdu.rows,
                    column.repeat,
                    header.nside,
                    header.pixels()
                );
                return Err(malformed(what));
            }
        }
        let hdu = hdu.index;
        Ok(Self { file, hdu, header, listed })
    }

    /// Returns the header of the map as a whole.
    #[must_use]
    pub fn header(&self) -> &MapHeader {
        &self.header
    }

    /// Refuses a file that names its frame or its polarization convention in words that are not known. A file that
    /// names neither passes.
    ///
    /// # Errors
    ///
    /// COORDSYS, COORD or POLCCONV has a value that is not known.
    pub fn require_known_words(&self) -> Result<()> {
        let refuse = |(keyword, value): (&str, &str), expected: &str| {
            let what = format!("{keyword} is {value:?}, which is not known; expected {expected}, or no such card");
            Err(Error::fits(self.file.path(), format!("HDU {}", self.hdu), what))
        };
        match (said(self.cards(), &FRAME), said(self.cards(), &CONVENTION)) {
            (Some(frame), _) if self.header.coordinates.is_none() => {
                refuse(frame, "C (equatorial), G (galactic) or E (ecliptic)")
            }
            (_, Some(convention)) if self.header.polarization.is_none() => refuse(convention, "COSMO or IAU"),
            _ => Ok(()),
        }
    }

    /// Returns all cards of the map's table.
    #[must_use]
    pub fn cards(&self) -> &Header {
        &self.table().header
    }

    /// Returns the names and units of the columns with map values, in order.
    pub fn columns(&self) -> impl Iterator<Item = (&str, &str)> {
        self.table().columns[usize::from(self.listed)..]
            .iter()
            .map(|column| (column.name.as_str(), column.unit.as_str()))
    }

    /// Reads the pixels `pixels` of a column, in the file's ordering.
    ///
    /// Columns count from 0 and without that of the pixel numbers, as in healpy.
    /// Pixels that the file marks as unobserved (also in single precision, or by not
    /// listing the pixel) have exactly [`UNSEEN`].
    ///
    /// # Errors
    ///
    /// There is no such column or pixel, the column is not numeric, a listed pixel
    /// is off the sphere or listed twice, or the file cannot be read.
    pub fn read(&self, column: usize, pixels: Range<u64>) -> Result<Vec<f64>> {
        let hdu = self.table();
        let index = column + usize::from(self.listed);
        let place = || format!("HDU {}", hdu.index);
        if index >= hdu.columns.len() {
            let what = format!("no map column {column}; there are {}", self.columns().count());
            return Err(Error::fits(self.file.path(), place(), what));
        }
        if pixels.start > pixels.end || pixels.end > self.header.pixels() {
            let what = format!("pixels {pixels:?} asked for, {} exist", self.header.pixels());
            return Err(Error::fits(self.file.path(), place(), what));
        }
        let mut values =
            if self.listed { self.read_listed(hdu, index, pixels)? } else { self.read_full_sky(hdu, index, pixels)? };
        for value in &mut values {
            if (*value - UNSEEN).abs() <= 1e-5 * UNSEEN.abs() {
                *value = UNSEEN;
            }
        }
        Ok(values)
    }

    fn table(&self) -> &Hdu {
        &self.file.hdus()[self.hdu]
    }

    fn read_full_sky(&self, hdu: &Hdu, index: usize, pixels: Range<u64>) -> Result<Vec<f64>> {
        let repeat = hdu.columns[index].repeat;
        let rows = pixels.start / repeat..pixels.end.div_ceil(repeat);
        let skip = pixels.start - rows.start * repeat;
        let mut values = self.file.read_f64(hdu, index, rows)?;
        let to_usize = |count: u64| usize::try_from(count).expect("invariant: fits the values");
        values.drain(..to_usize(skip));
        values.truncate(to_usize(pixels.end - pixels.start));
        Ok(values)
    }

    fn read_listed(&self, hdu: &Hdu, index: usize, pixels: Range<u64>) -> Result<Vec<f64>> {
        /// Listed pixels are looked through in blocks of this number of rows.
        const ROWS: u64 = 1 << 16;
        let error = |what: String| Error::fits(self.file.path(), format!("HDU {}", hdu.index), what);
        let count =
            usize::try_from(pixels.end - pixels.start).map_err(|_| error("too many pixels for the memory".into()))?;
        let mut map = vec![UNSEEN; count];
        let mut found = vec![false; count];
        let mut start = 0;
        while start < hdu.rows {
            let rows = start..hdu.rows.min(start + ROWS);
            let numbers = self.file.read_i64(hdu, 0, rows.clone())?;
            let values = self.file.read_f64(hdu, index, rows.clone())?;
            if numbers.len() != values.len() {
                return Err(error(format!(
                    "{} pixel numbers but {} values in rows {rows:?}",
                    numbers.len(),
                    values.len()
                )));
            }
            for (number, value) in numbers.into_iter().zip(values) {
                let pixel = u64::try_from(number).ok();
                let pixel = pixel
                    .filter(|pixel| *pixel < self.header.pixels())
                    .ok_or_else(|| error(format!("pixel {number} is off the sphere")))?;
                let place = pixel.checked_sub(pixels.start);
                let place = place.and_then(|place| usize::try_from(place).ok()).filter(|&place| place < count);
                if let Some(place) = place {
                    if std::mem::replace(&mut found[place], true) {
                        return Err(error(format!("pixel {number} is listed twice")));
                    }
                    map[place] = value;
                }
            }
            start = rows.end;
        }
        Ok(map)
    }
}
