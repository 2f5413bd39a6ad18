//! Finding out whether all columns of a file can be read, by reading them.

use super::column::{Column, ColumnType};
use super::file::{FitsFile, Hdu};
use super::map::MapFile;
use crate::error::Result;
use crate::regular_file::open_on_all_ranks;
use dolmen_core::{Blocks, Comm};
use std::ops::Range;
use std::path::Path;

/// Values that are read at once.
const VALUES: u64 = 1 << 20;

impl FitsFile {
    /// Opens a file on every rank.
    ///
    /// # Collective
    ///
    /// # Errors
    ///
    /// [`FitsFile::open`] fails on any rank, or the ranks see different files under this name.
    pub fn open_on_all_ranks(comm: &Comm, path: impl AsRef<Path>) -> Result<Self> {
        open_on_all_ranks(comm, &path)?;
        comm.agree(Self::open(&path))
    }

    /// Reads all columns, each rank its share of the rows, to see whether they are valid.
    ///
    /// # Collective
    ///
    /// # Errors
    ///
    /// A column is damaged, or the file says to be a HEALPix map and is none.
    pub fn check(&self, comm: &Comm) -> Result<()> {
        comm.agree(self.check_share(comm))
    }

    fn check_share(&self, comm: &Comm) -> Result<()> {
        if self.first_table().is_ok_and(|hdu| hdu.header().text("PIXTYPE") == Some("HEALPIX")) {
            MapFile::open(self.path())?;
        }
        for hdu in self.hdus() {
            let rows = Blocks::uniform(hdu.rows(), comm.size()).range(comm.rank());
            hdu.columns().iter().try_for_each(|column| self.check_column(hdu, column, rows.clone()))?;
        }
        Ok(())
    }

    /// Reads rows in pieces; what no one reads is not looked at.
    fn check_column(&self, hdu: &Hdu, column: &Column, rows: Range<u64>) -> Result<()> {
        let step = (VALUES / column.repeat.max(1)).max(1);
        let mut start = rows.start;
        while start < rows.end {
            let piece = start..rows.end.min(start.saturating_add(step));
            start = piece.end;
            match column.kind {
                ColumnType::Text => drop(self.read_column_text(hdu, &column.name, piece)?),
                ColumnType::Complex32 | ColumnType::Complex64 => {
                    drop(self.read_column_complex(hdu, &column.name, piece)?)
                }
                // Any 64 bits are valid, also where f64 does not hold the number.
                ColumnType::Int64 => drop(self.read_column_lengths(hdu, &column.name, piece)?),
                _ => drop(self.read_column_f64(hdu, &column.name, piece)?),
            }
        }
        Ok(())
    }
}
