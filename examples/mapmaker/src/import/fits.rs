//! FITS files of timelines: a binary table for each detector, with the columns THETA, PHI, PSI, the signal and FLAG.
//!
//! A file is an observation, named after the file. A cell may have several samples, as many in each column.

use std::ops::Range;
use std::path::{Path, PathBuf};

use dolmen_core::Comm;
use dolmen_io::fits::{Column, ColumnType, Coordinates, FitsFile, Hdu, HduKind, Header, PolarizationConvention};
use dolmen_io::open_on_all_ranks;

use super::copy::{AT_ONCE, Flags, Reals, pieces};
use super::given::{
    ANGLE_UNIT, AngleUnit, COORDINATES, Given, Missing, PSI_CONVENTION, SAMPLE_RATE, Said, UNITS, refuse_options,
};
use super::scan::{Scan, describe, group_name};
use crate::config::{Convention, Frame};
use crate::error::{Error, Result};
use crate::memory::{amount, require};
use crate::quaternion::Quaternion;
use crate::tod::check::invalid;
use crate::tod::{Description, Detector, TodWriter, short_names};

/// Bytes of a sample in memory: as it is in the file, and one column of it in double precision and as it is written.
const BYTES: f64 = 64.0;

/// Columns of a table, beside that of the signal.
const ANGLES: [&str; 3] = ["THETA", "PHI", "PSI"];
/// Names by which the column of the signal is known, and that of flags.
const SIGNALS: [&str; 4] = ["TSKY", "SIGNAL", "TOD", "TEMP"];
const FLAGS: [&str; 2] = ["FLAG", "FLAGS"];

/// Keywords of a table or, if it has none of them, of the file's first unit.
const DETECTOR: &[&str] = &["DETNAM", "EXTNAME"];
const RATE: &[&str] = &["FSAMP", "SAMPRATE"];
const NET: &[&str] = &["NET"];
const FKNEE: &[&str] = &["FKNEE"];
const ALPHA: &[&str] = &["ALPHA"];
const FMIN: &[&str] = &["FMIN"];
const EFFICIENCY: &[&str] = &["POLEFF"];
const FRAME: &[&str] = &["COORDSYS", "COORD"];
const CONVENTION: &[&str] = &["POLCCONV"];
const UNIT: &[&str] = &["BUNIT"];

/// The samples of a detector.
struct Table {
    /// Number of the file.
    file: usize,
    /// Number of the unit in the file.
    hdu: usize,
    rows: u64,
    /// Samples in a row.
    repeat: u64,
    /// Names of the columns of theta, phi, psi and the signal.
    columns: [String; 4],
    /// True for those that are stored in single precision.
    single: [bool; 4],
    flags: Option<Flag>,
    angles: [AngleUnit; 3],
}

/// The column of flags.
struct Flag {
    name: String,
    is_real: bool,
    /// True if its values are between 0 and 255.
    is_byte: bool,
}

/// A table, with what it says of its timelines.
struct Found {
    table: Table,
    detector: Detector,
    frame: Frame,
    convention: Convention,
    units: String,
    sample_rate: f64,
    /// Its unit in the file, and the detector.
    place: String,
}

/// Imports FITS files.
///
/// # Collective
pub(super) fn import(comm: &Comm, files: &[PathBuf], output: &Path, given: &Given) -> Result<Description> {
    let only_toast = [("--boresight", given.boresight.is_some()), ("--intervals", given.intervals.is_some())];
    refuse_options(&files[0], &only_toast, "is of observations of TOAST only; FITS tables have none, leave it out")?;
    let names = match &given.observation {
        Some(name) => vec![group_name(name)],
        None => observation_names(files),
    };
    let (mut scans, mut tables): (Vec<Scan>, Vec<Vec<Table>>) = (Vec::new(), Vec::new());
    for (number, path) in files.iter().enumerate() {
        open_on_all_ranks(comm, path)?;
        let found = FitsFile::open(path).map_err(Error::from).and_then(|file| look(&file, number, given));
        let found = comm.agree(found)?;
        if scans.len() < names.len() {
            scans.push(begin(path, &names[scans.len()], &found[0]));
            tables.push(Vec::new());
        }
        let (scan, tables) = scans.last_mut().zip(tables.last_mut()).expect("invariant: one was begun");
        comm.agree(add(path, scan, tables, found))?;
    }
    comm.agree(require_matches(&files[0], given, &scans))?;
    let (description, orders) = comm.agree(describe(output, &scans))?;
    require_rows(comm, &tables)?;
    let writer = TodWriter::create(comm, output, &description)?;
    for (number, order) in orders.iter().enumerate() {
        let tables: Vec<&Table> = order.iter().map(|&place| &tables[number][place]).collect();
        copy(comm, files, &writer, &description, number, &tables)?;
    }
    writer.close()?;
    Ok(description)
}

/// Refuses rows of more samples than the memory holds: a row is not divided.
fn require_rows(comm: &Comm, tables: &[Vec<Table>]) -> Result<()> {
    let longest = tables.iter().flatten().map(|table| table.repeat).max().unwrap_or(0);
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let needed = BYTES * longest.max(AT_ONCE) as f64;
    require(comm, needed, &format!("importing a row of {longest} samples needs {}", amount(needed)))
}

fn require_matches(path: &Path, given: &Given, scans: &[Scan]) -> Result<()> {
    let detectors = scans.iter().flat_map(|scan| &scan.detectors);
    let names: Vec<&str> = detectors.map(|detector| detector.name.as_str()).collect();
    given.require_matches(path, &names)
}

/// Returns the names of files without extensions; with those of their folders if the names alone do not differ.
fn observation_names(files: &[PathBuf]) -> Vec<String> {
    let names = |of: Vec<String>| of.iter().map(|name| group_name(without_extension(name))).collect::<Vec<_>>();
    let last = |file: &PathBuf| file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let short = names(files.iter().map(last).collect());
    let differ = short.iter().enumerate().all(|(number, name)| !short[..number].contains(name));
    if differ { short } else { names(short_names(files)) }
}

fn without_extension(name: &str) -> &str {
    let name = name.strip_suffix(".gz").unwrap_or(name);
    [".fits", ".fit", ".FITS"].into_iter().find_map(|extension| name.strip_suffix(extension)).unwrap_or(name)
}

fn begin(path: &Path, name: &str, first: &Found) -> Scan {
    let samples = first.table.rows * first.table.repeat;
    Scan {
        path: path.to_owned(),
        name: name.to_owned(),
        frame: first.frame,
        convention: first.convention,
        units: first.units.clone(),
        sample_rate: first.sample_rate,
        samples,
        intervals: std::iter::once(0..samples).collect(),
        detectors: Vec::new(),
    }
}

/// Adds the tables of a file to an observation.
fn add(path: &Path, scan: &mut Scan, tables: &mut Vec<Table>, found: Vec<Found>) -> Result<()> {
    for found in found {
        let words = [
            ("samples", scan.samples.to_string(), (found.table.rows * found.table.repeat).to_string()),
            ("sampling rate", scan.sample_rate.to_string(), found.sample_rate.to_string()),
            ("frame", format!("{:?}", scan.frame), format!("{:?}", found.frame)),
            ("convention of the angles", format!("{:?}", scan.convention), format!("{:?}", found.convention)),
            ("unit of the signal", scan.units.clone(), found.units.clone()),
        ];
        if let Some((what, expected, other)) = words.into_iter().find(|(_, expected, other)| expected != other) {
            let what = format!("has the {what} {other:?}, but the first table of the observation has {expected:?}");
            return Err(invalid(path, found.place, what));
        }
        if scan.detectors.iter().any(|detector| detector.name == found.detector.name) {
            let what = "is a detector that the observation has already; names of detectors have to differ, or their files have \
                        to be observations of their own (without --observation)";
            return Err(invalid(path, found.place, what));
        }
        scan.detectors.push(Detector { origin: (0, scan.detectors.len()), ..found.detector });
        tables.push(found.table);
    }
    Ok(())
}

/// Looks at the tables of timelines in a file, which are those that have a column THETA.
fn look(file: &FitsFile, number: usize, given: &Given) -> Result<Vec<Found>> {
    let is_one = |hdu: &&Hdu| hdu.kind() == HduKind::BinaryTable && column(hdu, "THETA").is_some();
    let hdus: Vec<&Hdu> = file.hdus().iter().filter(is_one).collect();
    if hdus.is_empty() {
        let what = "no binary table has a column THETA; timelines have THETA, PHI, PSI, the signal and FLAG";
        return Err(invalid(file.path(), "file", what));
    }
    let alone = hdus.len() == 1;
    hdus.into_iter().map(|hdu| Look { file, hdu, given }.table(number, alone)).collect()
}

fn column<'h>(hdu: &'h Hdu, name: &str) -> Option<&'h Column> {
    let columns = hdu.columns();
    let exact = columns.iter().find(|column| column.name == name);
    exact.or_else(|| columns.iter().find(|column| column.name.eq_ignore_ascii_case(name)))
}

/// A look at a table.
struct Look<'f> {
    file: &'f FitsFile,
    hdu: &'f Hdu,
    given: &'f Given,
}

impl Look<'_> {
    fn refused(&self, place: &str, what: impl Into<String>) -> Error {
        invalid(self.file.path(), format!("HDU {}{place}", self.hdu.index()), what)
    }

    /// Returns what the header of the table has for one of the keywords or, if it has none, that of the file.
    fn find<T>(&self, keywords: &[&str], value: impl Fn(&Header, &str) -> Option<T>) -> Option<T> {
        let headers = [self.hdu.header(), self.file.hdus()[0].header()];
        headers.into_iter().find_map(|header| keywords.iter().find_map(|keyword| value(header, keyword)))
    }

    fn real(&self, keywords: &[&str]) -> Option<f64> {
        self.find(keywords, |header, keyword| header.real(keyword))
    }

    fn text(&self, keywords: &[&str]) -> Option<String> {
        let text = self.find(keywords, |header, keyword| header.text(keyword).map(str::to_owned));
        text.filter(|text| !text.is_empty())
    }

    fn table(&self, file: usize, alone: bool) -> Result<Found> {
        let (given, mut missing) = (self.given, Missing::default());
        let name = self.name(alone)?;
        let place = format!("HDU {} ({name})", self.hdu.index());
        let table = self.samples(file, &mut missing)?;
        let said = Said {
            net: self.real(NET),
            fknee: self.real(FKNEE),
            alpha: self.real(ALPHA),
            fmin: self.real(FMIN),
            efficiency: self.real(EFFICIENCY),
        };
        let unit = Some(self.signal()?.unit.trim().to_owned()).filter(|unit| !unit.is_empty());
        let found = Found {
            table,
            detector: given.detector(&name, Quaternion::IDENTITY, &said, 0, &mut missing),
            sample_rate: missing.require(given.sample_rate.or(self.real(RATE)), SAMPLE_RATE),
            frame: missing.require_or(self.frame()?, Frame::G, COORDINATES),
            convention: missing.require(self.convention()?, PSI_CONVENTION),
            units: missing.require(given.units.clone().or(unit).or_else(|| self.text(UNIT)), UNITS),
            place,
        };
        missing.require_none(self.file.path(), &found.place)?;
        Ok(found)
    }

    /// Looks at the columns.
    fn samples(&self, file: usize, missing: &mut Missing) -> Result<Table> {
        let mut columns = Vec::with_capacity(4);
        for name in ANGLES {
            let absent = || self.refused("", format!("has a column THETA, but no {name}"));
            columns.push(column(self.hdu, name).ok_or_else(absent)?);
        }
        columns.push(self.signal()?);
        let flags = FLAGS.into_iter().find_map(|name| column(self.hdu, name));
        let mut angles = [AngleUnit::Radian; 3];
        for (unit, column) in angles.iter_mut().zip(&columns) {
            *unit = missing.require_or(self.angle_unit(column)?, AngleUnit::Radian, ANGLE_UNIT);
        }
        let is_single = |position: usize| {
            let is_converted = self.is_scaled(columns[position]) || angles.get(position) == Some(&AngleUnit::Degree);
            columns[position].kind == ColumnType::Float32 && !is_converted
        };
        Ok(Table {
            file,
            hdu: self.hdu.index(),
            rows: self.hdu.rows(),
            repeat: self.repeat(&columns, flags)?,
            columns: [0, 1, 2, 3].map(|position| columns[position].name.clone()),
            single: [0, 1, 2, 3].map(is_single),
            flags: flags.map(|column| self.flag(column)),
            angles,
        })
    }

    /// Returns the name of the detector: that of the file if the only table has none.
    fn name(&self, alone: bool) -> Result<String> {
        let header = self.hdu.header();
        let names = DETECTOR.iter().filter_map(|keyword| header.text(keyword)).map(str::trim);
        if let Some(name) = names.into_iter().find(|name| !name.is_empty()) {
            return Ok(name.to_owned());
        }
        if alone {
            let file = self.file.path().file_name().unwrap_or_default().to_string_lossy();
            return Ok(without_extension(&file).to_owned());
        }
        Err(self.refused("", "has neither DETNAM nor EXTNAME, which name the detector; set one of them"))
    }

    fn signal(&self) -> Result<&Column> {
        let names = || self.hdu.columns().iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ");
        if let Some(name) = &self.given.signal {
            let missing =
                || self.refused("", format!("has no column {name}, which --signal names; there are: {}", names()));
            return column(self.hdu, name).ok_or_else(missing);
        }
        let known: Vec<&Column> = SIGNALS.into_iter().filter_map(|name| column(self.hdu, name)).collect();
        match known.as_slice() {
            [signal] => Ok(*signal),
            _ => {
                let many = if known.is_empty() { "no column is" } else { "several columns are" };
                let what = format!("{many} known as the signal by name; give --signal COLUMN (there are: {})", names());
                Err(self.refused("", what))
            }
        }
    }

    /// Returns the samples in a row, of which each column has as many.
    fn repeat(&self, columns: &[&Column], flags: Option<&Column>) -> Result<u64> {
        let repeat = columns[0].repeat;
        for column in columns.iter().copied().chain(flags) {
            let place = format!(", column {}", column.name);
            if column.repeat == 0 {
                return Err(self.refused(&place, "has cells of varying length, which are not imported"));
            }
            if column.repeat != repeat {
                let what = format!("has {} values a row, but {} has {repeat}", column.repeat, columns[0].name);
                return Err(self.refused(&place, what));
            }
        }
        Ok(repeat)
    }

    /// Returns true if values of a column are not what is stored.
    fn is_scaled(&self, column: &Column) -> bool {
        let position = self.hdu.columns().iter().position(|other| std::ptr::eq(other, column));
        let number = position.map_or(0, |position| position + 1);
        ["TSCAL", "TZERO"].iter().any(|root| self.hdu.header().get(&format!("{root}{number}")).is_some())
    }

    fn flag(&self, column: &Column) -> Flag {
        use ColumnType::{Bit, Byte, Float32, Float64, Logical};
        let is_real = matches!(column.kind, Float32 | Float64);
        let is_byte = is_real || (matches!(column.kind, Bit | Byte | Logical) && !self.is_scaled(column));
        Flag { name: column.name.clone(), is_real, is_byte }
    }

    fn angle_unit(&self, column: &Column) -> Result<Option<AngleUnit>> {
        if self.given.angle_unit.is_some() || column.unit.trim().is_empty() {
            return Ok(self.given.angle_unit);
        }
        column.unit.parse().map(Some).map_err(|what: String| {
            let what = format!("is in {:?}, {what}; or give {ANGLE_UNIT}", column.unit);
            self.refused(&format!(", column {}", column.name), what)
        })
    }

    fn frame(&self) -> Result<Option<Frame>> {
        let Some(text) = self.text(FRAME).filter(|_| self.given.coordinates.is_none()) else {
            return Ok(self.given.coordinates);
        };
        match Coordinates::parse(&text) {
            Some(Coordinates::Celestial) => Ok(Some(Frame::C)),
            Some(Coordinates::Galactic) => Ok(Some(Frame::G)),
            Some(Coordinates::Ecliptic) => Ok(Some(Frame::E)),
            None => Err(self.refused("", format!("COORDSYS is {text:?}, which is not known; give {COORDINATES}"))),
        }
    }

    fn convention(&self) -> Result<Option<Convention>> {
        let Some(text) = self.text(CONVENTION).filter(|_| self.given.psi_convention.is_none()) else {
            return Ok(self.given.psi_convention);
        };
        match PolarizationConvention::parse(&text) {
            Some(PolarizationConvention::Cosmo) => Ok(Some(Convention::Cosmo)),
            Some(PolarizationConvention::Iau) => Ok(Some(Convention::Iau)),
            None => Err(self.refused("", format!("POLCCONV is {text:?}, which is not known; give {PSI_CONVENTION}"))),
        }
    }
}

/// Copies an observation, whose tables are in the order of the detectors.
///
/// # Collective
fn copy(
    comm: &Comm,
    files: &[PathBuf],
    writer: &TodWriter,
    description: &Description,
    observation: usize,
    tables: &[&Table],
) -> Result<()> {
    let name = &description.observations[observation].name;
    let shape = [tables.len() as u64, description.observations[observation].samples];
    let create = |position: usize, dataset: &str| {
        let is_single = tables.iter().all(|table| table.single[position]);
        Reals::create(writer, name, dataset, &shape, is_single)
    };
    let reals = [create(0, "theta")?, create(1, "phi")?, create(2, "psi")?, create(3, "signal")?];
    let flags = if tables.iter().any(|table| table.flags.is_some()) {
        let are_bytes = tables.iter().filter_map(|table| table.flags.as_ref()).all(|flag| flag.is_byte);
        Some(Flags::create(writer, name, "detector_flags", &shape, are_bytes)?)
    } else {
        None
    };
    let copied = || -> Result<()> {
        let mut open: Option<(usize, FitsFile)> = None;
        for (row, table) in tables.iter().enumerate() {
            for rows in pieces(comm, table.rows, AT_ONCE / table.repeat) {
                let file = match open.take() {
                    Some((number, file)) if number == table.file => file,
                    _ => FitsFile::open(&files[table.file])?,
                };
                table.copy(&file, rows, row, &reals, flags.as_ref())?;
                open = Some((table.file, file));
            }
        }
        Ok(())
    };
    comm.agree(copied())
}

impl Flag {
    /// Reads flags of rows: of real numbers only whether they are zero.
    fn read(&self, file: &FitsFile, hdu: &Hdu, rows: Range<u64>) -> Result<Vec<i64>> {
        if !self.is_real {
            return Ok(file.read_column_i64(hdu, &self.name, rows)?);
        }
        let flags = file.read_column_f64(hdu, &self.name, rows)?;
        Ok(flags.into_iter().map(|flag| i64::from(flag != 0.0)).collect())
    }
}

impl Table {
    /// Copies rows to the detector's row in the datasets.
    fn copy(
        &self,
        file: &FitsFile,
        rows: Range<u64>,
        row: usize,
        reals: &[Reals<'_>; 4],
        flags: Option<&Flags<'_>>,
    ) -> Result<()> {
        let hdu = &file.hdus()[self.hdu];
        let (start, samples) = (rows.start * self.repeat, (rows.end - rows.start) * self.repeat);
        for (position, dataset) in reals.iter().enumerate() {
            let mut values = file.read_column_f64(hdu, &self.columns[position], rows.clone())?;
            if let Some(unit) = self.angles.get(position) {
                values.iter_mut().for_each(|angle| *angle = unit.radians(*angle));
            }
            dataset.write(row, start, &values)?;
        }
        if let Some(dataset) = flags {
            let values = match &self.flags {
                Some(column) => column.read(file, hdu, rows)?,
                None => vec![0; usize::try_from(samples).expect("invariant: a piece is in memory")],
            };
            dataset.write(&[row as u64, start], &[1, samples], &values)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn observations_are_named_after_files() {
        let names = |files: &[&str]| observation_names(&files.iter().map(PathBuf::from).collect::<Vec<_>>());
        assert_eq!(names(&["/data/od91.fits.gz", "od92.fit"]), ["od91", "od92"]);
        assert_eq!(names(&["/data/a/tod.fits", "/data/b/tod.fits"]), ["a_tod", "b_tod"]);
        assert_eq!(names(&[".fits"]), ["observation"]);
    }
}
