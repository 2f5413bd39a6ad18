//! `dolmen convert`: from one file format to another, all ranks together.

use std::path::PathBuf;
use std::process::ExitCode;

use dolmen_common::command_line::say;
use dolmen_core::{Comm, Layout};
use dolmen_io::{Storage, describe, read_matrix, read_vectors, write_matrix, write_vectors};

use crate::error::Result;

#[derive(clap::Args)]
pub(crate) struct Convert {
    /// The matrix or the vectors, in any format; its contents tell which.
    from: PathBuf,
    /// The file to write; its extension names the format: .mtx, .mtx.gz, .npz or .petsc.
    to: PathBuf,
}

impl Convert {
    pub(crate) fn run(&self, comm: &Comm) -> Result<ExitCode> {
        let file = describe(comm, &self.from)?;
        let what = if file.storage == Storage::Array {
            let rows = Layout::uniform(comm, file.rows);
            write_vectors(&self.to, &read_vectors(&self.from, &rows)?.0)?;
            format!("{} vectors of {} entries", file.columns, file.rows)
        } else {
            let (matrix, _) = read_matrix(comm, &self.from)?;
            write_matrix(&self.to, &matrix)?;
            format!("{} by {} matrix, {} entries", file.rows, file.columns, matrix.global_entries())
        };
        say(comm, &format!("{}: {what}, from {}", self.to.display(), file.format));
        Ok(ExitCode::SUCCESS)
    }
}
