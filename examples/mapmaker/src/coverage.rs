//! The pixels that map files hold: all of the sphere, or those with a sample where they are few.

use std::path::Path;

use dolmen_core::Layout;
use dolmen_io::fits::{MapColumn, MapHeader, write_map, write_partial_map};

use crate::error::Result;
use crate::maps::Maps;

/// The pixels of map files.
pub(crate) struct Coverage {
    /// As many rows on each rank as it writes pixels.
    layout: Layout,
    /// The pixels, and their positions among those that the rank owns; none if all are written.
    part: Option<(Vec<u64>, Vec<usize>)>,
}

impl Coverage {
    /// Takes the pixels with a sample, or all if these are more than a quarter of the sphere.
    ///
    /// # Collective
    ///
    /// # Errors
    /// None in practice: counts beyond the address space.
    pub(crate) fn of(maps: &Maps) -> Result<Coverage> {
        let all = &maps.pixels.layout;
        let positions: Vec<usize> = (0..maps.hits.len()).filter(|&position| maps.hits[position] > 0).collect();
        let seen = Layout::from_local_len(all.comm(), positions.len())?;
        if seen.global_len() > all.global_len() / 4 {
            return Ok(Coverage { layout: all.clone(), part: None });
        }
        let pixels = positions.iter().map(|&position| all.range().start + position as u64).collect();
        Ok(Coverage { layout: seen, part: Some((pixels, positions)) })
    }

    /// Returns one component of an interleaved array of owned pixels, at the pixels that are written.
    pub(crate) fn component<T: Copy>(&self, values: &[T], width: usize, component: usize) -> Vec<T> {
        match &self.part {
            Some((_, positions)) => positions.iter().map(|&position| values[position * width + component]).collect(),
            None => values.iter().skip(component).step_by(width).copied().collect(),
        }
    }

    /// Writes a map whose columns were made by [`Coverage::component`].
    ///
    /// # Collective
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn write(&self, path: &Path, header: &MapHeader, columns: &[MapColumn<'_>]) -> Result<()> {
        match &self.part {
            Some((pixels, _)) => write_partial_map(&self.layout, path, header, pixels, columns)?,
            None => write_map(&self.layout, path, header, columns)?,
        }
        Ok(())
    }
}
