//! `dolmen eigen`: a few eigenvalues of a matrix from a file, by a method that fits it.

use std::path::Path;
use std::process::ExitCode;

use dolmen_core::{Comm, Complex64, CsrMatrix, LinearOperator, MultiVector};
use dolmen_io::hdf5::Entry;
use dolmen_io::{Location, Matrix};
use dolmen_solvers::{AutomaticEigen, EigenSolution, Region};

use crate::error::Result;
use crate::outcome;
use crate::right_hand_side::complex;
use crate::spectrum::{Found, Search};

#[derive(clap::Args)]
pub(crate) struct Eigen {
    /// File of the matrix; the format is recognized by its contents. FILE::OBJECT selects one of several in an HDF5
    /// file.
    matrix: Location,
    /// File of a mass matrix M, Hermitian and positive semidefinite: A v = w M v.
    #[arg(long, value_name = "FILE")]
    mass: Option<Location>,
    /// Part of the spectrum: smallest, largest (by real part), magnitude, smallest-magnitude, imaginary, or
    /// nearest=NUMBER, for example nearest=1.5 or nearest=1.5+2i.
    #[arg(long, default_value = "magnitude", value_name = "PART", value_parser = region)]
    which: Region,
    /// File for the eigenvectors as columns (.npy, .mtx, .h5, .hdf5, .petsc or .fits), written even if not all are
    /// converged.
    #[arg(long, value_name = "FILE")]
    output: Option<Location>,
    #[command(flatten)]
    search: Search,
}

impl Eigen {
    pub(crate) fn run(&self, comm: &Comm) -> Result<ExitCode> {
        let inputs: Vec<&Path> =
            std::iter::once(&self.matrix).chain(&self.mass).map(|one| one.file.as_path()).collect();
        self.search.require(comm, &inputs, &self.output.iter().collect::<Vec<_>>())?;
        let (matrix, file) = self.search.read(comm, &self.matrix)?;
        let mass = self.mass.as_ref().map(|mass| self.search.read(comm, mass)).transpose()?.map(|(mass, _)| mass);
        let title = |a: &dyn Fn() -> String| self.search.say(comm, &format!("{}: {}", self.matrix, a()));
        match (matrix, mass) {
            (Matrix::Real(a), None) => {
                title(&|| outcome::title(&file, &a));
                self.real(&a, None)
            }
            (Matrix::Real(a), Some(Matrix::Real(mass))) => {
                title(&|| outcome::title(&file, &a));
                self.real(&a, Some(&mass))
            }
            (Matrix::Real(a), Some(Matrix::Complex(mass))) => self.complex(&complex(&a)?, Some(&mass)),
            (Matrix::Complex(a), mass) => {
                title(&|| outcome::title(&file, &a));
                let mass = mass.map(|mass| match mass {
                    Matrix::Real(mass) => complex(&mass),
                    Matrix::Complex(mass) => Ok(mass),
                });
                self.complex(&a, mass.transpose()?.as_ref())
            }
        }
    }

    /// Returns all places that are read or written.
    pub(crate) fn locations(&mut self) -> Vec<&mut Location> {
        std::iter::once(&mut self.matrix).chain(&mut self.mass).chain(&mut self.output).collect()
    }

    fn find<T: Entry>(&self, a: &CsrMatrix<T>, mass: Option<&CsrMatrix<T>>) -> Result<EigenSolution<T>> {
        let search = &self.search;
        let mut monitor = search.shown(a.range().comm());
        let automatic = AutomaticEigen::new(search.count)
            .region(self.which)
            .rtol(search.rtol)
            .max_iterations(search.max_iterations)
            .monitor(&mut monitor);
        Ok(mass.into_iter().fold(automatic, AutomaticEigen::mass).solve(a)?)
    }

    fn tell<T: Entry>(&self, comm: &Comm, found: &EigenSolution<T>) -> Result<ExitCode> {
        let EigenSolution { values, why, report, .. } = found;
        self.search.tell(comm, "eigenvalues", &Found { matrix: &self.matrix, values, why, report })
    }

    fn real(&self, a: &CsrMatrix<f64>, mass: Option<&CsrMatrix<f64>>) -> Result<ExitCode> {
        let comm = a.range().comm();
        let found = self.find(a, mass)?;
        let code = self.tell(comm, &found)?;
        match (&self.output, &found.imaginary) {
            (None, _) => {}
            (Some(output), None) => self.search.write(comm, &found.vectors, output)?,
            (Some(output), Some(imaginary)) => {
                let (re, im) = (found.vectors.owned(), imaginary.owned());
                let mut whole = MultiVector::zeros(found.vectors.layout(), found.vectors.columns());
                for ((entry, &re), &im) in whole.owned_mut().iter_mut().zip(re).zip(im) {
                    *entry = Complex64::new(re, im);
                }
                self.search.write(comm, &whole, output)?;
            }
        }
        Ok(code)
    }

    fn complex(&self, a: &CsrMatrix<Complex64>, mass: Option<&CsrMatrix<Complex64>>) -> Result<ExitCode> {
        let comm = a.range().comm();
        let found = self.find(a, mass)?;
        let code = self.tell(comm, &found)?;
        self.output.iter().try_for_each(|output| self.search.write(comm, &found.vectors, output))?;
        Ok(code)
    }
}

/// Reads `--which`.
fn region(text: &str) -> Result<Region, String> {
    match text {
        "smallest" => Ok(Region::SmallestReal),
        "largest" => Ok(Region::LargestReal),
        "magnitude" => Ok(Region::LargestMagnitude),
        "smallest-magnitude" => Ok(Region::SmallestMagnitude),
        "imaginary" => Ok(Region::LargestImaginary),
        _ => {
            let number = text
                .strip_prefix("nearest=")
                .ok_or("expected smallest, largest, magnitude, smallest-magnitude, imaginary, or nearest=NUMBER")?;
            let shift: Complex64 =
                number.parse().map_err(|_| format!("{number:?} is not a number, such as 1.5 or 1.5+2i"))?;
            if shift.is_finite() { Ok(Region::Nearest(shift)) } else { Err(format!("{number} is not finite")) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_the_spectrum() {
        assert_eq!(region("smallest"), Ok(Region::SmallestReal));
        assert_eq!(region("nearest=1.5"), Ok(Region::Nearest(Complex64::new(1.5, 0.0))));
        assert_eq!(region("nearest=-1.5-2i"), Ok(Region::Nearest(Complex64::new(-1.5, -2.0))));
        for refused in ["", "nearest", "nearest=", "nearest=x", "nearest=inf", "Largest"] {
            assert!(region(refused).is_err(), "{refused}");
        }
    }
}
