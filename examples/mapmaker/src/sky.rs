//! Maps of other makers as input: a mask, or the sky that a result is compared with.
//!
//! Each rank reads its part of the file and gets from the others what it needs, so that no rank
//! holds the whole map, whatever the orderings.

use std::path::Path;

use dolmen_core::{Comm, ExchangePlan, IndexMap, Layout, index::at};
use dolmen_io::fits::MapFile;

use crate::error::{Error, Result};
use crate::healpix::Healpix;

/// Values of a column of a HEALPix file at `wanted` pixels of `healpix`. A file of lower
/// resolution is sampled at its pixel around each; one of higher resolution is refused.
///
/// # Collective
/// Each rank may want different pixels.
///
/// # Errors
/// The file cannot be read, has no such column, or a finer resolution; the same on all ranks.
pub fn read_sky(comm: &Comm, path: &Path, column: usize, healpix: &Healpix, wanted: &[u64]) -> Result<Vec<f64>> {
    let opened = || -> Result<(MapFile, Healpix)> {
        let file = MapFile::open(path)?;
        let grid = Healpix::new(file.header().nside, file.header().ordering).expect("invariant: checked on opening");
        if grid.nside() > healpix.nside() {
            let what =
                format!("has nside {}, finer than the map's {}; degrade it first", grid.nside(), healpix.nside());
            return Err(Error::File { path: path.to_owned(), what });
        }
        let columns = file.columns().count();
        if column >= columns {
            let what = format!("has {columns} map columns, but column {} is needed", column + 1);
            return Err(Error::File { path: path.to_owned(), what });
        }
        Ok((file, grid))
    };
    let (file, grid) = comm.agree(opened())?;
    let layout = Layout::uniform(comm, grid.pixel_count());
    let mine = comm.agree(file.read(column, layout.range()))?;
    let at_grid = |&pixel: &u64| grid.from_finer(healpix, pixel).expect("invariant: pixels of the map");
    fetch(&layout, &mine, &wanted.iter().map(at_grid).collect::<Vec<_>>())
}

/// Values at `wanted` global positions from their owners, in the order wanted.
///
/// # Collective
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
