//! `dolmen convert`: from one file format to another, all ranks together.

use std::process::ExitCode;

use dolmen_common::command_line::say;
use dolmen_common::files::keep_inputs;
use dolmen_common::progress::{Direction, ProgressArgs, Transfer};
use dolmen_core::{Comm, Layout};
use dolmen_io::files::{require_matrix_destination, require_vectors_destination};
use dolmen_io::{Location, Matrix, Vectors, describe};

use crate::error::Result;

#[derive(clap::Args)]
pub(crate) struct Convert {
    /// File of the matrix or the vectors; the format is recognized by its contents. FILE::OBJECT selects one of
    /// several in an HDF5 file, FILE::COLUMN a column of a FITS table.
    pub(crate) from: Location,
    /// File to write; its extension selects the format: .mtx, .mtx.gz, .npz, .npy, .petsc, .h5, .hdf5, or .fits for
    /// vectors. FILE::NAME sets the name of the object in an .h5 file, or of the column in a .fits file.
    pub(crate) to: Location,
    #[command(flatten)]
    progress: ProgressArgs,
}

impl Convert {
    pub(crate) fn run(&self, comm: &Comm) -> Result<ExitCode> {
        let file = describe(comm, &self.from)?;
        let (rows, columns) = (file.rows, file.columns);
        // Before anything is tried with the destination, which makes temporary files.
        keep_inputs(comm, &[self.from.file.as_path()], &self.to.written_files())?;
        let what = if file.is_vectors() {
            require_vectors_destination(comm, &self.to)?;
            let layout = Layout::uniform(comm, rows);
            let vectors = self.watch(comm, Direction::Reading, || Vectors::read(&self.from, &layout))?.0;
            self.watch(comm, Direction::Writing, || vectors.write(&self.to))?;
            format!("{columns} vectors of {rows} entries")
        } else {
            require_matrix_destination(comm, &self.to)?;
            let (matrix, _) = self.watch(comm, Direction::Reading, || Matrix::read(comm, &self.from))?;
            self.watch(comm, Direction::Writing, || matrix.write(&self.to))?;
            format!("{rows} by {columns} matrix, {} entries", matrix.global_entries())
        };
        if !self.progress.quiet {
            say(comm, &format!("{}: {what}, from {}", self.to, file.format));
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Shows the bytes that `work` reads or writes.
    fn watch<R>(&self, comm: &Comm, direction: Direction, work: impl FnOnce() -> R) -> R {
        let location = if direction == Direction::Reading { &self.from } else { &self.to };
        let display = self.progress.display(comm, false);
        let _shown = Transfer::start(display, comm.size(), direction, &location.file);
        work()
    }
}
