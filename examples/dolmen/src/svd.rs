//! `dolmen svd`: a few singular values of a matrix from a file.

use std::path::Path;
use std::process::ExitCode;

use dolmen_core::{Comm, Complex64, CsrMatrix, LinearOperator};
use dolmen_io::hdf5::Entry;
use dolmen_io::{Location, Matrix};
use dolmen_solvers::{GolubKahan, Which};

use crate::error::Result;
use crate::outcome;
use crate::spectrum::{Found, Search};

#[derive(clap::Args)]
pub(crate) struct Svd {
    /// File of the matrix; the format is recognized by its contents. FILE::OBJECT selects one of several in an HDF5
    /// file.
    matrix: Location,
    /// End of the spectrum: largest or smallest.
    #[arg(long, default_value = "largest", value_name = "END", value_parser = end)]
    which: Which,
    /// File for the left singular vectors as columns (.npy, .mtx, .h5, .hdf5, .petsc or .fits).
    #[arg(long, value_name = "FILE")]
    left: Option<Location>,
    /// File for the right singular vectors as columns.
    #[arg(long, value_name = "FILE")]
    right: Option<Location>,
    #[command(flatten)]
    search: Search,
}

impl Svd {
    pub(crate) fn run(&self, comm: &Comm) -> Result<ExitCode> {
        let inputs: [&Path; 1] = [&self.matrix.file];
        self.search.require(comm, &inputs, &self.left.iter().chain(&self.right).collect::<Vec<_>>())?;
        let (matrix, file) = self.search.read(comm, &self.matrix)?;
        let title = |title: String| self.search.say(comm, &format!("{}: {title}", self.matrix));
        match matrix {
            Matrix::Real(a) => {
                title(outcome::title(&file, &a));
                self.find(&a)
            }
            Matrix::Complex(a) => {
                title(outcome::title(&file, &a));
                self.find(&a)
            }
        }
    }

    /// Returns all places that are read or written.
    pub(crate) fn locations(&mut self) -> Vec<&mut Location> {
        std::iter::once(&mut self.matrix).chain(&mut self.left).chain(&mut self.right).collect()
    }

    fn find<T: Entry>(&self, a: &CsrMatrix<T>) -> Result<ExitCode> {
        let (search, comm) = (&self.search, a.range().comm());
        let mut monitor = search.shown(comm);
        let method = GolubKahan::new(search.count)
            .which(self.which)
            .rtol(search.rtol)
            .max_iterations(search.max_iterations)
            .monitor(&mut monitor);
        let (found, why) = method.solve_matrix(a)?;
        let values: Vec<Complex64> = found.values.iter().map(|&value| Complex64::new(value, 0.0)).collect();
        let told = Found { matrix: &self.matrix, values: &values, why: &why, report: &found.report };
        let code = search.tell(comm, "singular values", &told)?;
        self.left.iter().try_for_each(|to| search.write(comm, &found.u, to))?;
        self.right.iter().try_for_each(|to| search.write(comm, &found.v, to))?;
        Ok(code)
    }
}

/// Reads `--which`.
fn end(text: &str) -> Result<Which, String> {
    match text {
        "largest" => Ok(Which::Largest),
        "smallest" => Ok(Which::Smallest),
        _ => Err("expected largest or smallest".to_owned()),
    }
}
