//! The choice of a method for eigenvalues and singular values of a matrix.

use std::cell::RefCell;
use std::time::Instant;

use dolmen_core::dense::{GeneralizedEigen, HermitianEigen, Schur, Svd};
use dolmen_core::ndarray::{Array2, Axis};
use dolmen_core::{
    Complex64, CsrMatrix, Layout, LinearOperator, MultiVector, Product, Real, Scalar, SerialCsr, Vector,
};

use crate::analysis::Analysis;
use crate::eigen::general::{General, GeneralEigenpairs, Pairs, to_complex, turned};
use crate::eigen::golub_kahan::{GolubKahan, Tall};
use crate::eigen::krylov_schur::KrylovSchur;
use crate::eigen::lanczos::Lanczos;
use crate::eigen::lobpcg::Lobpcg;
use crate::eigen::problem::{Pencil, require_count, require_fit};
use crate::eigen::region::{Region, ends_in_a_pair};
use crate::eigen::report::{EigenReport, Eigenpairs, SingularTriplets};
use crate::eigen::watch::ITERATIONS;
use crate::eigen::which::Which;
use crate::error::{Error, NoSpectrum, Result};
use crate::krylov::solver::forward;
use crate::monitor::Monitor;
use crate::multigrid::Multigrid;
use crate::precond::{Cholesky, Direct, Jacobi, Lu};
use crate::settings::Settings;
use crate::stop_reason::StopReason;

const METHOD: &str = "eigenvalues";
/// The name of LAPACK in reports.
const DENSE: &str = "dense";
/// Rows below which a dense matrix is the shortest way.
const SMALL: u64 = 400;
/// Rows up to which one is tried where many eigenvalues are wanted.
const DENSE_LIMIT: u64 = 4000;
/// Rows up to which a matrix is factored on one rank.
const DIRECT_LIMIT: u64 = 60_000;

/// Eigenvalues of a matrix, by a method that is chosen from the matrix and from what is wanted.
///
/// ```no_run
/// # use dolmen_core::CsrMatrix;
/// # use dolmen_solvers::{AutomaticEigen, Region, Result};
/// # fn f(a: &CsrMatrix<f64>) -> Result<()> {
/// let found = AutomaticEigen::new(10).region(Region::SmallestReal).solve(a)?;
/// println!("{}\n{:?}\n{}", found.why, found.values, found.report);
/// # Ok(()) }
/// ```
pub struct AutomaticEigen<'a, T: Scalar> {
    settings: Settings<'a, T>,
    count: usize,
    region: Region,
    mass: Option<&'a CsrMatrix<T>>,
    is_hermitian: bool,
}

/// Eigenvalues and eigenvectors, and how they were found.
#[derive(Debug)]
pub struct EigenSolution<T: Scalar> {
    /// The eigenvalues, most wanted first; real ones of Hermitian problems.
    pub values: Vec<Complex64>,
    /// The eigenvectors as columns: orthonormal ones of Hermitian problems, in the inner product of the mass matrix; else
    /// of length one, of a real matrix their real parts.
    pub vectors: MultiVector<T>,
    /// The imaginary parts of the eigenvectors of a real matrix that is not symmetric.
    pub imaginary: Option<MultiVector<T>>,
    /// True if the problem was taken as a Hermitian one.
    pub hermitian: bool,
    /// The method and the reason for it, in a sentence.
    pub why: String,
    /// Account of the search, with the residuals.
    pub report: EigenReport,
}

forward! { AutomaticEigen:
    rtol: f64, "Relative tolerance, 1e-8 by default: `|A v - w M v| <= rtol |w M v|`.";
    max_iterations: usize, "Maximum number of iterations or restarts, 1000 by default.";
    monitor: &'a mut dyn crate::monitor::Monitor<T>,
        "Called after each iteration; see [`Settings::monitor`](crate::Settings::monitor).";
}

impl<'a, T: Scalar> AutomaticEigen<'a, T> {
    /// Creates the search for this number of eigenvalues: the largest in magnitude, unless told otherwise.
    pub fn new(count: usize) -> Self {
        let settings = Settings::new().max_iterations(ITERATIONS);
        AutomaticEigen { settings, count, region: Region::LargestMagnitude, mass: None, is_hermitian: false }
    }

    /// Sets the part of the plane.
    #[must_use]
    pub fn region(mut self, region: Region) -> Self {
        self.region = region;
        self
    }

    /// Sets a mass matrix, Hermitian and positive semidefinite.
    #[must_use]
    pub fn mass(mut self, mass: &'a CsrMatrix<T>) -> Self {
        self.mass = Some(mass);
        self
    }

    /// Refuses matrices that are not Hermitian to rounding, with [`Error::NoSpectrum`].
    #[must_use]
    pub fn require_hermitian(mut self) -> Self {
        self.is_hermitian = true;
        self
    }

    /// Finds eigenvalues and eigenvectors.
    ///
    /// # Collective
    /// All ranks have the same settings.
    ///
    /// # Errors
    /// As [`Lanczos::solve`](crate::Lanczos::solve) and [`KrylovSchur::solve`](crate::KrylovSchur::solve);
    /// [`Error::Singular`] if the number that eigenvalues are to be near to is one; [`Error::NotSquare`].
    pub fn solve(mut self, a: &CsrMatrix<T>) -> Result<EigenSolution<T>> {
        let start = Instant::now();
        let comm = a.domain().comm();
        self.settings.compare(METHOD, comm);
        comm.compare(|| format!("count {}\nregion {:?}\nmass {}", self.count, self.region, self.mass.is_some()));
        comm.agree(self.accept(a))?;
        let analysis = Analysis::new(a)?;
        if let Some(row) = analysis.not_finite {
            let found = dolmen_core::Error::NotFinite { operation: METHOD, row, column: row };
            return Err(found.into());
        }
        let massive = self.mass.map(Analysis::new).transpose()?;
        let hermitian = analysis.hermitian && massive.as_ref().is_none_or(|mass| mass.hermitian);
        if self.is_hermitian && !hermitian {
            return Err(Error::NoSpectrum { method: METHOD, reason: NoSpectrum::NotHermitian });
        }
        if let (true, Some(which)) = (hermitian, hermitian_part(self.region)) {
            return self.hermitian(a, &analysis, which, start);
        }
        self.general(a, start)
    }

    /// Lends the settings to a method that lives shorter.
    fn lent(&mut self) -> Settings<'_, T> {
        let Settings { rtol, max_iterations, monitor, .. } = &mut self.settings;
        let monitor = monitor.as_mut().map(|monitor| RefCell::new(&mut **monitor.get_mut() as &mut dyn Monitor<T>));
        Settings { rtol: *rtol, max_iterations: *max_iterations, monitor, ..Settings::new() }
    }

    fn accept(&self, a: &CsrMatrix<T>) -> Result<()> {
        self.settings.check(METHOD)?;
        let [rows, columns] = [a.range(), a.domain()].map(Layout::global_len);
        if rows != columns {
            return Err(Error::NotSquare { method: METHOD, rows, columns });
        }
        require_fit(METHOD, a, self.mass.map(|mass| ("mass matrix", mass as &dyn LinearOperator<T>)))?;
        require_count(METHOD, self.count, rows)
    }

    /// Returns true if all eigenvalues of a dense copy are found sooner than a few of a sparse matrix.
    fn is_for_dense(&self, rows: u64) -> bool {
        rows <= SMALL || (rows <= DENSE_LIMIT && 4 * self.count as u64 >= rows)
    }

    fn hermitian(
        &mut self,
        a: &CsrMatrix<T>,
        analysis: &Analysis,
        which: Which,
        start: Instant,
    ) -> Result<EigenSolution<T>> {
        let rows = a.range().global_len();
        if self.is_for_dense(rows)
            && let Some(found) = self.dense_hermitian(a, which, start)?
        {
            return Ok(real(found, format!("dense (LAPACK): the matrix has {rows} rows")));
        }
        let definite = analysis.positive_diagonal == rows;
        match which {
            Which::Smallest if definite && rows <= DIRECT_LIMIT => match Direct::factor_with(a, Cholesky::new) {
                Ok(inverse) => {
                    let why = "Lanczos with solves by Cholesky: the smallest of a positive definite matrix, which fits on \
                               one rank";
                    self.nearest(a, 0.0, &inverse).map(|found| real(found, why.to_owned()))
                }
                Err(_) => self.smallest(a, definite),
            },
            Which::Smallest => self.smallest(a, definite),
            Which::Nearest(shift) => {
                let shifted = self.shifted(a, T::from_parts(shift, 0.0))?;
                let inverse = Direct::<T, Lu<T>>::factor(&shifted)?;
                let why = format!("Lanczos with solves by LU: eigenvalues nearest to {shift}");
                self.nearest(a, shift, &inverse).map(|found| real(found, why))
            }
            Which::Largest | Which::LargestMagnitude => self.largest(a, which),
        }
    }

    /// Solves by inverse iterations.
    fn nearest(&mut self, a: &CsrMatrix<T>, shift: f64, inverse: &dyn LinearOperator<T>) -> Result<Eigenpairs<T>> {
        let (count, mass) = (self.count, self.mass);
        let lanczos = Lanczos::with_settings(self.lent(), count);
        match mass {
            Some(mass) => lanczos.shift_invert_mass(shift, mass, inverse).solve(a),
            None => lanczos.shift_invert(shift, inverse).solve(a),
        }
    }

    /// Finds the smallest of a matrix that is too large to be factored, or not positive definite.
    fn smallest(&mut self, a: &CsrMatrix<T>, definite: bool) -> Result<EigenSolution<T>> {
        let multigrid = if definite { Multigrid::new(a).ok() } else { None };
        let jacobi = if definite && multigrid.is_none() { Jacobi::new(a).ok() } else { None };
        let (preconditioner, name): (Option<&dyn LinearOperator<T>>, _) = match (&multigrid, &jacobi) {
            (Some(multigrid), _) => (Some(multigrid), "LOBPCG with multigrid"),
            (None, Some(jacobi)) => (Some(jacobi), "LOBPCG with Jacobi"),
            (None, None) => (None, "LOBPCG"),
        };
        let why = format!("{name}: the smallest of a matrix that is not factored");
        let (count, mass) = (self.count, self.mass);
        let settings = Settings { preconditioner, ..self.lent() };
        let lobpcg = Lobpcg::with_settings(settings, count);
        let found = match mass {
            Some(mass) => lobpcg.mass(mass).solve(a),
            None => lobpcg.solve(a),
        };
        found.map(|found| real(found, why))
    }

    fn largest(&mut self, a: &CsrMatrix<T>, which: Which) -> Result<EigenSolution<T>> {
        let (count, mass) = (self.count, self.mass);
        let inverse = mass.map(|mass| Direct::factor_with(mass, Cholesky::new)).transpose()?;
        let lanczos = Lanczos::with_settings(self.lent(), count).which(which);
        let (found, why) = match mass.zip(inverse.as_ref()) {
            None => (lanczos.solve(a), format!("Lanczos: the {which} of a Hermitian matrix")),
            Some((mass, inverse)) => {
                let why = format!("Lanczos with solves by Cholesky of the mass matrix: the {which}");
                (lanczos.mass(mass, inverse).solve(a), why)
            }
        };
        found.map(|found| real(found, why))
    }

    /// Finds all eigenvalues of a dense copy; none if the mass matrix is singular.
    fn dense_hermitian(&self, a: &CsrMatrix<T>, which: Which, start: Instant) -> Result<Option<Eigenpairs<T>>> {
        let comm = a.domain().comm();
        let (whole, mass) = (a.gather(0)?, self.mass.map(|mass| mass.gather(0)).transpose()?.flatten());
        let (mut values, mut vectors) = (Vec::new(), Vec::new());
        let outcome = match (&whole, &mass) {
            (None, _) => Ok(()),
            (Some(a), mass) => dense_pairs(a, mass.as_ref()).map(|(found, all)| {
                vectors = columns(&all, &which.order(&found)[..self.count]);
                values = found;
            }),
        };
        let is_singular = matches!(outcome, Err(dolmen_core::Error::NotPositiveDefinite { .. }));
        let mut singular = [u64::from(is_singular)];
        comm.all_reduce_max(&mut singular);
        if singular == [1] {
            return Ok(None);
        }
        comm.agree(outcome)?;
        comm.broadcast(0, &mut values);
        let order = which.order(&values);
        let values: Vec<f64> = order[..self.count].iter().map(|&place| values[place]).collect();
        let vectors = spread(a.range(), vectors, self.count)?;
        let pencil = Pencil::new(DENSE, a, self.mass.map(|mass| mass as &dyn LinearOperator<T>))?;
        let report = pencil.report(StopReason::Converged, &values, &vectors, self.settings.rtol)?;
        Ok(Some(Eigenpairs { values, vectors, report: EigenReport { time: start.elapsed(), ..report } }))
    }

    /// Returns `A - s M`.
    fn shifted(&self, a: &CsrMatrix<T>, shift: T) -> Result<CsrMatrix<T>> {
        let identity;
        let mass = match self.mass {
            Some(mass) => mass,
            None => {
                identity = CsrMatrix::from_rows(a.range(), a.domain(), |row, entries| entries.push(row, T::ONE))?;
                &identity
            }
        };
        Ok(a.add(T::ONE, mass, -shift)?)
    }

    fn general(&mut self, a: &CsrMatrix<T>, start: Instant) -> Result<EigenSolution<T>> {
        let rows = a.range().global_len();
        if self.is_for_dense(rows) && self.mass.is_none() {
            return self.dense_general(a, start);
        }
        let shift = match self.region {
            Region::Nearest(shift) => Some(shift),
            Region::SmallestMagnitude => Some(Complex64::new(0.0, 0.0)),
            _ => None,
        };
        let Some(shift) = shift else {
            let why = format!("Krylov-Schur: the {} of a matrix that is not Hermitian", self.region);
            let (count, region, mass) = (self.count, self.region, self.mass);
            let method = KrylovSchur::with_settings(self.lent(), count).region(region);
            let found = match mass {
                Some(mass) => method.solve(&Product::new(Direct::<T, Lu<T>>::factor(mass)?, a)?)?,
                None => method.solve(a)?,
            };
            return Ok(complex(found, why));
        };
        if !T::COMPLEX && shift.im != 0.0 {
            let expected = "a real number, for a real matrix that is not small";
            return Err(Error::Setting {
                method: METHOD,
                setting: "imaginary part of the number to be near to",
                value: shift.im,
                expected,
            });
        }
        let shift = T::from_parts(shift.re, shift.im);
        let inverse = Direct::<T, Lu<T>>::factor(&self.shifted(a, shift)?)?;
        let why = format!("Krylov-Schur with solves by LU: the {} of a matrix that is not Hermitian", self.region);
        let (count, mass) = (self.count, self.mass);
        let method = KrylovSchur::with_settings(self.lent(), count);
        let found = match mass {
            Some(mass) => method.shift_invert_mass(shift, mass, &inverse).solve(a)?,
            None => method.shift_invert(shift, &inverse).solve(a)?,
        };
        Ok(complex(found, why))
    }

    /// Finds all eigenvalues of a dense copy.
    fn dense_general(&self, a: &CsrMatrix<T>, start: Instant) -> Result<EigenSolution<T>> {
        let comm = a.domain().comm();
        let rows = a.range().global_len();
        let (mut values, mut vectors) = (Vec::new(), Vec::new());
        let outcome = match a.gather(0)? {
            None => Ok(()),
            Some(whole) => {
                let n = whole.rows();
                let matrix = whole.to_dense().mapv(to_complex);
                let size = matrix.iter().fold(0.0f64, |largest, entry| largest.max(entry.norm()));
                Schur::factor(matrix.view()).map(|schur| {
                    let all = schur.values();
                    let noise = 1e3 * T::Real::EPSILON.to_f64() * size * (n as f64).sqrt();
                    let order = self.region.order(&all, !T::COMPLEX, noise);
                    let is_split = !T::COMPLEX && ends_in_a_pair(&all, &order, self.count, noise, noise);
                    let count = self.count + usize::from(is_split);
                    for &place in &order[..count] {
                        let is_real = !T::COMPLEX && all[place].im.abs() <= noise;
                        values.push(if is_real { Complex64::new(all[place].re, 0.0) } else { all[place] });
                        vectors.extend(turned(schur.vector(place), is_real));
                    }
                })
            }
        };
        comm.agree(outcome)?;
        comm.broadcast(0, &mut values);
        let count = values.len();
        let parts = |of: &dyn Fn(Complex64) -> T| spread(a.range(), vectors.iter().map(|&x| of(x)).collect(), count);
        let whole = parts(&|x| T::from_parts(x.re, x.im))?;
        let imaginary = if T::COMPLEX { None } else { Some(parts(&|x| T::from_parts(x.im, 0.0))?) };
        let mut pairs = Pairs { values, vectors: whole, imaginary };
        pairs.normalize()?;
        let Pairs { values, vectors, imaginary } = pairs;
        let problem = General::new(DENSE, a, None);
        let report =
            problem.report(StopReason::Converged, &values, &vectors, imaginary.as_ref(), self.settings.rtol)?;
        let why = format!("dense (LAPACK): the matrix has {rows} rows");
        let report = EigenReport { time: start.elapsed(), ..report };
        Ok(EigenSolution { values, vectors, imaginary, hermitian: false, why, report })
    }
}

impl<T: Scalar> GolubKahan<'_, T> {
    /// Finds singular values and vectors of a stored matrix: of a small one by LAPACK from a dense copy. Also returns the
    /// method and the reason for it, in a sentence.
    ///
    /// # Collective
    ///
    /// # Errors
    /// As [`GolubKahan::solve`].
    pub fn solve_matrix(&self, a: &CsrMatrix<T>) -> Result<(SingularTriplets<T>, String)> {
        let start = Instant::now();
        let comm = a.domain().comm();
        let (rows, width) = (a.range().global_len(), a.domain().global_len());
        let side = rows.min(width);
        let is_small = rows.max(width) <= DENSE_LIMIT && (side <= SMALL || 4 * self.count() as u64 >= side);
        if !is_small {
            let why = format!("Golub-Kahan: the {} of a matrix of {rows} rows and {width} columns", self.end());
            return Ok((self.solve(a)?, why));
        }
        self.compare(comm);
        comm.agree(self.accept(a))?;
        let (count, which) = (self.count(), self.end());
        let mut values: Vec<f64> = Vec::new();
        let (mut left, mut right) = (Vec::new(), Vec::new());
        let outcome = match a.gather(0)? {
            None => Ok(()),
            Some(whole) => Svd::factor(whole.to_dense().view()).map(|svd| {
                values = svd.values().iter().map(|value| value.to_f64()).collect();
                let order = &which.order(&values)[..count];
                left = columns(&svd.u(), order);
                right = columns(&svd.vh().mapv(Scalar::conj).reversed_axes(), order);
            }),
        };
        comm.agree(outcome.map_err(not_finite))?;
        comm.broadcast(0, &mut values);
        let values: Vec<f64> = which.order(&values)[..count].iter().map(|&place| values[place]).collect();
        let (u, v) = (spread(a.range(), left, count)?, spread(a.domain(), right, count)?);
        let report = Tall::straight(a).report(StopReason::Converged, &values, &u, &v, self.tolerance())?;
        let report = EigenReport { method: DENSE, time: start.elapsed(), ..report };
        let why = format!("dense (LAPACK): the matrix has {rows} rows and {width} columns");
        Ok((SingularTriplets { values, u, v, report }, why))
    }
}

/// Names the spectrum in an error about entries that are not finite.
fn not_finite(error: dolmen_core::Error) -> Error {
    match error {
        dolmen_core::Error::NotFinite { .. } => Error::NoSpectrum { method: DENSE, reason: NoSpectrum::NotFinite },
        other => other.into(),
    }
}

/// Returns the part of the real line, if a Hermitian problem has it.
fn hermitian_part(region: Region) -> Option<Which> {
    match region {
        Region::LargestMagnitude => Some(Which::LargestMagnitude),
        Region::SmallestMagnitude => Some(Which::Nearest(0.0)),
        Region::LargestReal => Some(Which::Largest),
        Region::SmallestReal => Some(Which::Smallest),
        Region::Nearest(shift) if shift.im == 0.0 => Some(Which::Nearest(shift.re)),
        Region::Nearest(_) | Region::LargestImaginary => None,
    }
}

fn real<T: Scalar>(found: Eigenpairs<T>, why: String) -> EigenSolution<T> {
    let Eigenpairs { values, vectors, report } = found;
    let values = values.into_iter().map(|value| Complex64::new(value, 0.0)).collect();
    EigenSolution { values, vectors, imaginary: None, hermitian: true, why, report }
}

fn complex<T: Scalar>(found: GeneralEigenpairs<T>, why: String) -> EigenSolution<T> {
    let GeneralEigenpairs { values, vectors, imaginary, report } = found;
    EigenSolution { values, vectors, imaginary, hermitian: false, why, report }
}

/// Returns the eigenvalues, ascending, and eigenvectors of dense copies.
fn dense_pairs<T: Scalar>(a: &SerialCsr<T>, mass: Option<&SerialCsr<T>>) -> dolmen_core::Result<(Vec<f64>, Array2<T>)> {
    let doubles = |values: &[T::Real]| values.iter().map(|value| value.to_f64()).collect();
    Ok(match mass {
        None => {
            let eigen = HermitianEigen::factor(a.to_dense().view())?;
            (doubles(eigen.values()), eigen.vectors())
        }
        Some(mass) => {
            let eigen = GeneralizedEigen::factor(a.to_dense().view(), mass.to_dense().view())?;
            (doubles(eigen.values()), eigen.vectors())
        }
    })
}

/// Returns some columns, one after the other.
fn columns<T: Scalar>(matrix: &Array2<T>, chosen: &[usize]) -> Vec<T> {
    matrix.select(Axis(1), chosen).t().iter().copied().collect()
}

/// Spreads columns that rank 0 has over the ranks.
fn spread<T: Scalar>(layout: &Layout, columns: Vec<T>, count: usize) -> Result<MultiVector<T>> {
    let mut spread = MultiVector::zeros(layout, count);
    let rows = usize::try_from(layout.global_len()).unwrap_or(usize::MAX);
    for column in 0..count {
        let entries = columns.get(column * rows..(column + 1) * rows).unwrap_or(&[]);
        spread.set_column(column, &Vector::scatter(layout, 0, entries)?)?;
    }
    Ok(spread)
}
