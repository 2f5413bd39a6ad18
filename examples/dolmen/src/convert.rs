//! `dolmen convert`: from one file format to another, all ranks together.

use std::process::ExitCode;

use dolmen_common::command_line::say;
use dolmen_core::{Comm, Layout};

use crate::destination;
use crate::error::Result;
use crate::input::{describe, read_matrix, read_vectors};
use crate::location::Location;

#[derive(clap::Args)]
pub(crate) struct Convert {
    /// The matrix or the vectors, in any format; its contents tell which. FILE::OBJECT is one of several in an
    /// HDF5 file, FILE::COLUMN a column of FITS.
    from: Location,
    /// The file to write; its extension names the format: .mtx, .mtx.gz, .npz, .npy, .petsc, .h5, .hdf5, or .fits for
    /// vectors. FILE::NAME names the object, or the column, that an .h5 or .fits file is to hold.
    to: Location,
}

impl Convert {
    pub(crate) fn run(&self, comm: &Comm) -> Result<ExitCode> {
        let file = describe(comm, &self.from)?;
        let (rows, columns) = (file.rows, file.columns);
        let what = if file.is_vectors {
            destination::check_vectors(comm, &self.to, &[&self.from])?;
            let layout = Layout::uniform(comm, rows);
            destination::write_vectors(&self.to, &read_vectors(&self.from, &layout)?.0)?;
            format!("{columns} vectors of {rows} entries")
        } else {
            destination::check_matrix(comm, &self.to, &[&self.from])?;
            let (matrix, _) = read_matrix(comm, &self.from)?;
            destination::write_matrix(&self.to, &matrix)?;
            format!("{rows} by {columns} matrix, {} entries", matrix.global_entries())
        };
        say(comm, &format!("{}: {what}, from {}", self.to, file.format));
        Ok(ExitCode::SUCCESS)
    }
}
