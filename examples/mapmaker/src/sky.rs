//! Maps of other makers as input: a mask, or the sky that a result is compared with.
//!
//! Each rank reads its part of the file and gets from the others what it needs, so that no rank
//! holds the whole map, whatever the orderings.

use std::path::{Path, PathBuf};

use dolmen_core::{Comm, ExchangePlan, IndexMap, Layout, index::at};
use dolmen_io::fits::{Coordinates, MapFile, MapHeader, PolarizationConvention, UNSEEN};
use dolmen_io::open_on_all_ranks;

use crate::config::Convention;
use crate::error::{Error, Result};
use crate::healpix::Healpix;
use crate::units::factor;

/// An open HEALPix file.
pub struct SkyFile {
    path: PathBuf,
    file: MapFile,
    grid: Healpix,
}

impl SkyFile {
    /// Opens a map of any resolution.
    ///
    /// # Collective
    ///
    /// # Errors
    /// The file cannot be read, or has a frame or a convention that is not known; the same on all ranks.
    pub fn open_alone(comm: &Comm, path: &Path) -> Result<SkyFile> {
        open_on_all_ranks(comm, path)?;
        let open = || -> Result<SkyFile> {
            let file = MapFile::open(path)?;
            file.require_known_words()?;
            let header = file.header();
            let grid = Healpix::new(header.nside, header.ordering).expect("invariant: checked on opening");
            Ok(SkyFile { path: path.to_owned(), file, grid })
        };
        comm.agree(open())
    }

    /// Opens a map that has at least `columns` columns and is not finer than `healpix`.
    ///
    /// # Collective
    ///
    /// # Errors
    /// As [`SkyFile::open_alone`]; also if the file has fewer columns or is finer.
    pub fn open(comm: &Comm, path: &Path, healpix: &Healpix, columns: usize) -> Result<SkyFile> {
        let sky = SkyFile::open_alone(comm, path)?;
        let (fine, coarse) = (sky.grid.nside(), healpix.nside());
        if fine > coarse {
            return Err(
                sky.refused(format!("has nside {fine}, larger than the map's nside {coarse}; degrade it first"))
            );
        }
        if sky.columns() < columns {
            return Err(sky.refused(format!("has {} map columns, expected at least {columns}", sky.columns())));
        }
        Ok(sky)
    }

    fn refused(&self, what: String) -> Error {
        Error::File { path: self.path.clone(), what }
    }

    /// Returns the pixels of the file.
    pub fn grid(&self) -> &Healpix {
        &self.grid
    }

    /// Returns the header of the file.
    pub fn header(&self) -> &MapHeader {
        self.file.header()
    }

    /// Returns the number of columns with map values.
    pub fn columns(&self) -> usize {
        self.file.columns().count()
    }

    /// Returns the name and the unit of a column; both are empty if there is no such column.
    pub fn column(&self, column: usize) -> (&str, &str) {
        self.file.columns().nth(column).unwrap_or_default()
    }

    /// Checks that the file does not name another frame than that of `whose` ("the timelines are"). A file that names
    /// none is taken to have this one.
    ///
    /// # Errors
    /// It does.
    pub fn require_frame(&self, frame: Coordinates, whose: &str) -> Result<()> {
        let name = |coordinates| match coordinates {
            Coordinates::Celestial => "C (equatorial)",
            Coordinates::Galactic => "G (galactic)",
            Coordinates::Ecliptic => "E (ecliptic)",
        };
        match self.header().coordinates {
            Some(found) if found != frame => {
                let (found, expected) = (name(found), name(frame));
                Err(self.refused(format!("has COORDSYS {found}, but {whose} in {expected}; rotate it first")))
            }
            _ => Ok(()),
        }
    }

    /// Returns the factor that converts a column to the units of `whose` ("the timelines are"). A column that names no
    /// unit is taken to be in this one.
    ///
    /// # Errors
    /// The column has a unit that cannot be converted.
    pub fn factor_to(&self, units: &str, column: usize, whose: &str) -> Result<f64> {
        let (name, unit) = self.column(column);
        factor(unit, units).ok_or_else(|| {
            self.refused(format!("column {name} is in {unit:?}, but {whose} in {units:?}; convert it first"))
        })
    }

    /// Returns the convention of Q and U. A file that does not say is taken to be COSMO, as the HEALPix tools take it.
    pub fn convention(&self) -> Convention {
        match self.header().polarization {
            Some(PolarizationConvention::Iau) => Convention::Iau,
            Some(PolarizationConvention::Cosmo) | None => Convention::Cosmo,
        }
    }

    /// Returns the factor, 1 or -1, that converts U to `convention`.
    pub fn sign_of_u(&self, convention: Convention) -> f64 {
        if self.convention() == convention { 1.0 } else { -1.0 }
    }

    /// Reads a column at the owned pixels of `layout`, which are pixels of `healpix`. A coarser file is
    /// sampled at its pixel around each. [`UNSEEN`] where the file has no finite value.
    ///
    /// # Collective
    ///
    /// # Errors
    /// The file cannot be read; the same on all ranks.
    pub fn read(&self, comm: &Comm, healpix: &Healpix, layout: &Layout, column: usize) -> Result<Vec<f64>> {
        let in_file = Layout::uniform(comm, self.grid.pixel_count());
        let mut mine = comm.agree(self.file.read(column, in_file.range()))?;
        mine.iter_mut().filter(|value| !value.is_finite()).for_each(|value| *value = UNSEEN);
        let at_grid = |pixel| self.grid.from_finer(healpix, pixel).expect("invariant: a pixel of the map");
        fetch(&in_file, &mine, &layout.range().map(at_grid).collect::<Vec<_>>())
    }
}

/// Fetches the values at `wanted` global positions from their owners, in this order.
///
/// # Collective
/// Each rank may want different positions.
///
/// # Errors
/// A position past the end of the layout.
pub fn fetch(layout: &Layout, owned: &[f64], wanted: &[u64]) -> Result<Vec<f64>> {
    let map = layout.comm().agree(IndexMap::new(wanted.to_vec()))?;
    let plan = ExchangePlan::new(layout, &map)?;
    let values = plan.start_import(owned, 1).finish();
    let position = |&gid: &u64| at(map.global_to_local(gid).expect("invariant: the map holds what is wanted"));
    Ok(wanted.iter().map(|gid| values[position(gid)]).collect())
}
