//! Maps of other makers as input: a mask, or the sky that a result is compared with.
//!
//! Each rank reads its part of the file and gets from the others what it needs, so that no rank
//! holds the whole map, whatever the orderings.

use std::path::{Path, PathBuf};

use dolmen_core::{Comm, ExchangePlan, IndexMap, Layout, index::at};
use dolmen_io::fits::{Coordinates, MapFile, PolarizationConvention, UNSEEN};
use dolmen_io::open_on_all_ranks;

use crate::config::{Convention, Frame};
use crate::error::{Error, Result};
use crate::healpix::Healpix;

/// An open HEALPix file of the same resolution as the map, or a lower one.
pub struct SkyFile {
    path: PathBuf,
    file: MapFile,
    grid: Healpix,
}

impl SkyFile {
    /// Opens a map that has at least `columns` columns.
    ///
    /// # Collective
    ///
    /// # Errors
    /// The file cannot be read, has fewer columns, or is finer than `healpix`; the same on all
    /// ranks.
    pub fn open(comm: &Comm, path: &Path, healpix: &Healpix, columns: usize) -> Result<SkyFile> {
        open_on_all_ranks(comm, path)?;
        let open = || -> Result<SkyFile> {
            let refuse = |what: String| Err(Error::File { path: path.to_owned(), what });
            let file = MapFile::open(path)?;
            let header = file.header();
            let grid = Healpix::new(header.nside, header.ordering).expect("invariant: checked on opening");
            if grid.nside() > healpix.nside() {
                let (fine, coarse) = (grid.nside(), healpix.nside());
                return refuse(format!("has nside {fine}, larger than map.nside = {coarse}; degrade it first"));
            }
            let found = file.columns().count();
            if found < columns {
                return refuse(format!("has {found} map columns, but this run needs {columns}"));
            }
            Ok(SkyFile { path: path.to_owned(), file, grid })
        };
        comm.agree(open())
    }

    /// Checks that the file does not name another frame.
    ///
    /// # Errors
    /// It does.
    pub fn require_frame(&self, frame: Frame) -> Result<()> {
        let name = |coordinates| match coordinates {
            Coordinates::Celestial => "C (equatorial)",
            Coordinates::Galactic => "G (galactic)",
            Coordinates::Ecliptic => "E (ecliptic)",
        };
        match self.file.header().coordinates {
            Some(found) if found != frame.coordinates() => {
                let (found, expected) = (name(found), name(frame.coordinates()));
                let what = format!("has COORDSYS {found}, but the timelines are in {expected}; rotate it first");
                Err(Error::File { path: self.path.clone(), what })
            }
            _ => Ok(()),
        }
    }

    /// Returns the factor, 1 or -1, that converts U to `convention`. A file that does not say is taken to be
    /// COSMO, as the HEALPix tools take it.
    pub fn sign_of_u(&self, convention: Convention) -> f64 {
        let iau = self.file.header().polarization == Some(PolarizationConvention::Iau);
        if iau == (convention == Convention::Iau) { 1.0 } else { -1.0 }
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
