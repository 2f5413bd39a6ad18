//! LOBPCG (Knyazev, SIAM J. Sci. Comput. 23 (2001) 517) for the smallest or largest eigenvalues of `A v = w M v` with
//! any preconditioner, in the form of Hetmaniuk and Lehoucq (J. Comput. Phys. 218 (2006) 324) and Duersch, Shao, Yang and
//! Gu (SIAM J. Sci. Comput. 40 (2018) C655): the basis `[X, P, W]` is orthonormal before each Rayleigh-Ritz step, new
//! directions P are made orthonormal by their coefficients, and columns that depend on others are dropped.
//!
//! The block has some columns more than are wanted, so that copies of multiple eigenvalues are found together and the
//! last ones converge as fast as the first. What is converged stays in the block and takes no further products.
//!
//! An iteration of a block of `b` columns: `b` products with the matrices and the preconditioner, about `9 b^2` inner
//! products and `15 b^2` multiply-adds of vectors. Memory: `9 b` vectors, `12 b` with a mass matrix, of them `6 b` at rest.

use std::time::Instant;

use dolmen_core::ndarray::{Array2, s};
use dolmen_core::scaling::{exponent, scaled};
use dolmen_core::{Layout, LinearOperator, MultiVector, Real, Reduction, Scalar, Snapshot, profile};

use crate::eigen::block::{Block, eigen, orthonormalized, orthonormalizer, product, select};
use crate::eigen::problem::{Pencil, require_count, require_end, require_fit};
use crate::eigen::report::{EigenReport, Eigenpairs};
use crate::eigen::space::random_columns;
use crate::eigen::watch::{ITERATIONS, Watch};
use crate::eigen::which::Which;
use crate::error::{Error, NoSpectrum, Result};
use crate::krylov::powers::{column_norms, scale_entries};
use crate::krylov::problem::require_same;
use crate::krylov::solver::forward;
use crate::settings::Settings;
use crate::stop_reason::StopReason;

const METHOD: &str = "LOBPCG";
const SUMS: Reduction = Reduction::Reproducible;
/// Ends by the recurrences that the residuals computed afresh may contradict.
const PATIENCE: usize = 3;

/// LOBPCG for a few eigenvalues at an end of the spectrum, with any preconditioner.
///
/// ```no_run
/// # use dolmen_core::CsrMatrix;
/// # use dolmen_solvers::{Lobpcg, Multigrid, Result};
/// # fn f(a: &CsrMatrix<f64>) -> Result<()> {
/// let multigrid = Multigrid::new(a)?;
/// let smallest = Lobpcg::new(10).preconditioner(&multigrid).solve(a)?;
/// println!("{:?}\n{}", smallest.values, smallest.report);
/// # Ok(()) }
/// ```
pub struct Lobpcg<'a, T> {
    settings: Settings<'a, T>,
    count: usize,
    which: Which,
    extra: Option<usize>,
    mass: Option<&'a dyn LinearOperator<T>>,
    start: Option<&'a MultiVector<T>>,
}

forward! { Lobpcg:
    rtol: f64, "Relative tolerance, 1e-8 by default: `|A v - w M v| <= rtol |w M v|`.";
    max_iterations: usize, "Maximum number of iterations, 1000 by default.";
    preconditioner: &'a dyn LinearOperator<T>,
        "An operator that approximates the inverse of `A`, Hermitian and positive definite; for the largest eigenvalues there is little use in one.";
    monitor: &'a mut dyn crate::monitor::Monitor<T>,
        "Called after each iteration with the largest relative residual; see [`Settings::monitor`](crate::Settings::monitor).";
    snapshot_every: usize, "Hands a snapshot to the monitor at intervals of this number of iterations.";
    resume: &'a Snapshot<T>,
        "Goes on from the vectors of a snapshot. Search directions are not in it, so that some iterations are made again.";
}

impl<'a, T: Scalar> Lobpcg<'a, T> {
    /// Creates the method for this number of eigenvalues: the smallest, unless told otherwise.
    pub fn new(count: usize) -> Self {
        Self::with_settings(Settings::new().max_iterations(ITERATIONS), count)
    }

    pub(super) fn with_settings(settings: Settings<'a, T>, count: usize) -> Self {
        Lobpcg { settings, count, which: Which::Smallest, extra: None, mass: None, start: None }
    }

    /// Sets the end of the spectrum: [`Which::Smallest`] or [`Which::Largest`].
    #[must_use]
    pub fn which(mut self, which: Which) -> Self {
        self.which = which;
        self
    }

    /// Columns of the block beyond `count`, `2 + count / 8` by default.
    #[must_use]
    pub fn extra(mut self, columns: usize) -> Self {
        self.extra = Some(columns);
        self
    }

    /// Sets a Hermitian positive definite mass matrix.
    #[must_use]
    pub fn mass(mut self, mass: &'a dyn LinearOperator<T>) -> Self {
        self.mass = Some(mass);
        self
    }

    /// Sets vectors to start from. Further columns of the block are random.
    #[must_use]
    pub fn start(mut self, vectors: &'a MultiVector<T>) -> Self {
        self.start = Some(vectors);
        self
    }

    /// Finds eigenvalues and eigenvectors.
    ///
    /// # Collective
    /// All ranks have the same settings, which the first reduction compares.
    ///
    /// # Errors
    /// As [`Lanczos::solve`](crate::Lanczos::solve).
    pub fn solve(&self, a: &dyn LinearOperator<T>) -> Result<Eigenpairs<T>> {
        let start = Instant::now();
        let _event = profile::event(METHOD);
        let comm = a.domain().comm();
        self.settings.compare(METHOD, comm);
        let Lobpcg { count, which, extra, .. } = self;
        comm.compare(|| format!("count {count}\nwhich {which:?}\nextra {extra:?}"));
        let columns = comm.agree(self.accept(a))?;
        let pencil = Pencil::new(METHOD, a, self.mass)?;
        let x = match self.settings.resume {
            Some(snapshot) => comm.agree(self.saved(snapshot, &pencil, columns))?,
            None => self.first(pencil.layout(), columns),
        };
        let mut search = Search::new(self, &pencil, x)?;
        let reason = search.run()?;
        search.into_pairs(reason, start)
    }

    /// Refuses what this rank cannot do; returns the number of columns.
    fn accept(&self, a: &dyn LinearOperator<T>) -> Result<usize> {
        self.settings.check(METHOD)?;
        let preconditioner = self.settings.preconditioner.map(|one| ("preconditioner", one));
        require_fit(METHOD, a, preconditioner.into_iter().chain(self.mass.map(|mass| ("mass matrix", mass))))?;
        if let Some(start) = self.start {
            require_same(METHOD, "start", a.domain(), start.layout())?;
        }
        let rows = a.domain().global_len();
        require_count(METHOD, self.count, rows)?;
        require_end(METHOD, self.which)?;
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        Ok((self.count + self.extra.unwrap_or(2 + self.count / 8)).min(rows))
    }

    /// Returns the block to start from.
    fn first(&self, layout: &Layout, columns: usize) -> MultiVector<T> {
        let mut x = random_columns(layout, columns);
        if let Some(start) = self.start {
            for column in 0..start.columns().min(columns) {
                x.column_mut(column).copy_from_slice(start.column(column));
            }
        }
        x
    }

    /// Returns the block of a snapshot.
    fn saved(&self, snapshot: &Snapshot<T>, pencil: &Pencil<'_, T>, columns: usize) -> Result<MultiVector<T>> {
        if snapshot.method() != METHOD {
            return Err(Error::SnapshotMethod { method: METHOD, found: snapshot.method().to_owned() });
        }
        let mut x = MultiVector::zeros(pencil.layout(), columns);
        for column in 0..columns {
            let name = format!("vector {column}");
            let Some(vector) = snapshot.vector(&name) else {
                return Err(Error::Snapshot { method: METHOD.to_owned(), name });
            };
            x.set_column(column, &vector.redistributed(pencil.layout())?)?;
        }
        Ok(x)
    }
}

/// A search under way.
struct Search<'s, 'a, T: Scalar> {
    count: usize,
    which: Which,
    watch: Watch<'s, 'a, T>,
    pencil: &'s Pencil<'s, T>,
    x: Block<T>,
    p: Option<Block<T>>,
    /// `P^H A P`.
    p_matrix: Array2<T>,
    /// Of each column of `x`.
    values: Vec<f64>,
    /// Relative residuals by the recurrences.
    residuals: Vec<f64>,
    preconditionings: usize,
    contradictions: usize,
}

impl<'s, 'a, T: Scalar> Search<'s, 'a, T> {
    fn new(method: &'s Lobpcg<'a, T>, pencil: &'s Pencil<'s, T>, x: MultiVector<T>) -> Result<Self> {
        let x = Block::new(pencil, orthonormalized(pencil, x, &[])?)?;
        if x.columns() < method.count {
            return Err(Error::FewEigenvalues { method: METHOD, wanted: method.count, found: x.columns() });
        }
        let (values, residuals, p_matrix) = (Vec::new(), Vec::new(), Array2::from_elem((0, 0), T::ZERO));
        let watch = Watch::new(METHOD, pencil.comm(), &method.settings);
        let mut search = Search {
            count: method.count,
            which: method.which,
            watch,
            pencil,
            x,
            p: None,
            p_matrix,
            values,
            residuals,
            preconditionings: 0,
            contradictions: 0,
        };
        search.rotate()?;
        Ok(search)
    }

    /// Makes the columns of X Ritz vectors of the space that they span.
    fn rotate(&mut self) -> Result<()> {
        let matrix = self.x.v.gram(&self.x.a, SUMS)?;
        let (values, vectors) = self.ordered(&matrix, self.x.columns())?;
        self.x = Block::combined(&[&self.x], &vectors)?;
        (self.values, self.p) = (values, None);
        Ok(())
    }

    /// Returns this many eigenpairs of a small matrix, most wanted first.
    fn ordered(&self, matrix: &Array2<T>, count: usize) -> Result<(Vec<f64>, Array2<T>)> {
        if matrix.iter().any(|entry| !entry.is_finite()) {
            return Err(Error::NoSpectrum { method: METHOD, reason: NoSpectrum::NotFinite });
        }
        let (values, vectors) = eigen(self.pencil.comm(), matrix.view())?;
        let order = &self.which.order(&values)[..count];
        let vectors = Array2::from_shape_fn((matrix.nrows(), count), |(i, j)| vectors[(i, order[j])]);
        Ok((order.iter().map(|&place| values[place]).collect(), vectors))
    }

    fn run(&mut self) -> Result<StopReason> {
        loop {
            let residual = self.residual()?;
            let active: Vec<usize> =
                (0..self.x.columns()).filter(|&j| self.residuals[j] > self.watch.settings.rtol).collect();
            if self.watch.iterations() > 0 || self.watch.settings.monitor.is_some() {
                self.tell()?;
            }
            if active.first().is_none_or(|&first| first >= self.count) {
                match self.confirm()? {
                    Some(reason) => return Ok(reason),
                    None => continue,
                }
            }
            if let Some(reason) = self.watch.verdict() {
                return Ok(reason);
            }
            if !self.step(&residual, &active)? {
                return Ok(self.confirm()?.unwrap_or(StopReason::Stagnated));
            }
            self.watch.count();
        }
    }

    /// Computes `A X - M X diag(w)` and the relative residuals.
    fn residual(&mut self) -> Result<MultiVector<T>> {
        let columns = self.x.columns();
        let mut residual = self.x.a.clone();
        let factors: Vec<T> = self.values.iter().map(|&value| T::from_parts(-value, 0.0)).collect();
        residual.axpy_columns(&factors, self.x.massed())?;
        let mut norms = [(); 3].map(|()| vec![0.0; columns]);
        for (of, norms) in [&residual, self.x.massed(), &self.x.v].into_iter().zip(&mut norms) {
            of.column_norms(SUMS, norms)?;
        }
        let [lengths, sizes, vectors] = norms;
        let relative = |j: usize| {
            let rounding = self.pencil.rounding(vectors[j]);
            if lengths[j] <= rounding { 0.0 } else { lengths[j] / (self.values[j].abs() * sizes[j]) }
        };
        self.residuals = (0..columns).map(relative).collect();
        if self.residuals.iter().any(|residual| residual.is_nan()) {
            return Err(Error::NoSpectrum { method: METHOD, reason: NoSpectrum::NotFinite });
        }
        Ok(residual)
    }

    /// Makes one iteration with the residuals of some columns. Returns false if they lie in the space that there is.
    fn step(&mut self, residual: &MultiVector<T>, active: &[usize]) -> Result<bool> {
        let w = self.preconditioned(&select(residual, active))?;
        let known: Vec<&Block<T>> = [Some(&self.x), self.p.as_ref()].into_iter().flatten().collect();
        let w = orthonormalized(self.pencil, w, &known)?;
        if w.columns() == 0 {
            return Ok(false);
        }
        let w = Block::new(self.pencil, w)?;
        let matrix = self.small_matrix(&known, &w)?;
        let (values, vectors) = self.ordered(&matrix, self.x.columns())?;
        let directions = self.directions(&vectors, active)?;
        let blocks: Vec<&Block<T>> = known.into_iter().chain([&w]).collect();
        let x = Block::combined(&blocks, &vectors)?;
        let p = (directions.ncols() > 0).then(|| Block::combined(&blocks, &directions)).transpose()?;
        self.p_matrix = product(true, &directions, &product(false, &matrix, &directions));
        (self.x, self.p, self.values) = (x, p, values);
        Ok(true)
    }

    /// Applies the preconditioner, and brings the columns to length one.
    fn preconditioned(&mut self, residual: &MultiVector<T>) -> Result<MultiVector<T>> {
        let mut w = residual.clone();
        normalize(&mut w)?;
        if let Some(preconditioner) = self.watch.settings.preconditioner {
            self.preconditionings += w.columns();
            let from = w.clone();
            preconditioner.apply_many(&from, &mut w)?;
            normalize(&mut w)?;
        }
        Ok(w)
    }

    /// Returns the matrix of `A` on the orthonormal basis `[X, P, W]`. On X it is diagonal, and P was made orthogonal to X
    /// in it too.
    fn small_matrix(&self, known: &[&Block<T>], w: &Block<T>) -> Result<Array2<T>> {
        let (of_x, of_p) = (self.x.columns(), self.p_matrix_size());
        let n = of_x + of_p + w.columns();
        let mut matrix = Array2::from_elem((n, n), T::ZERO);
        for (j, &value) in self.values.iter().enumerate() {
            matrix[(j, j)] = T::from_parts(value, 0.0);
        }
        if of_p > 0 {
            matrix.slice_mut(s![of_x..of_x + of_p, of_x..of_x + of_p]).assign(&self.p_matrix);
        }
        let mut row = 0;
        for block in known.iter().copied().chain([w]) {
            let part = block.v.gram(&w.a, SUMS)?;
            matrix.slice_mut(s![row..row + block.columns(), of_x + of_p..]).assign(&part);
            row += block.columns();
        }
        for i in 0..n {
            for j in 0..i {
                matrix[(i, j)] = matrix[(j, i)].conj();
            }
        }
        Ok(matrix)
    }

    fn p_matrix_size(&self) -> usize {
        self.p.as_ref().map_or(0, Block::columns)
    }

    /// Returns coefficients of the new directions: the parts of the new X outside of the old one, orthonormal and
    /// orthogonal to the new X.
    fn directions(&self, vectors: &Array2<T>, active: &[usize]) -> Result<Array2<T>> {
        let of_x = self.x.columns();
        let outside = |(i, j): (usize, usize)| if i < of_x { T::ZERO } else { vectors[(i, active[j])] };
        let mut y = Array2::from_shape_fn((vectors.nrows(), active.len()), outside);
        for _ in 0..2 {
            let along = product(false, vectors, &product(true, vectors, &y));
            y.zip_mut_with(&along, |y, &along| *y -= along);
            let factor = orthonormalizer(self.pencil.comm(), &product(true, &y, &y))?;
            y = product(false, &y, &factor);
        }
        Ok(y)
    }

    /// Computes the residuals of the wanted pairs afresh. If they are larger than the recurrences say, goes on from images
    /// that are computed anew.
    fn confirm(&mut self) -> Result<Option<StopReason>> {
        let wanted: Vec<usize> = (0..self.count).collect();
        let vectors = select(&self.x.v, &wanted);
        let found = self.pencil.residuals(&self.values[..self.count], &vectors, self.watch.settings.rtol)?;
        if found.iter().all(|(_, good)| *good) {
            return Ok(Some(StopReason::Converged));
        }
        self.contradictions += 1;
        if self.contradictions >= PATIENCE {
            return Ok(Some(StopReason::Stagnated));
        }
        let x = std::mem::replace(&mut self.x.v, MultiVector::zeros(self.pencil.layout(), 0));
        self.x = Block::new(self.pencil, orthonormalized(self.pencil, x, &[])?)?;
        self.rotate()?;
        Ok(None)
    }

    /// Tells the monitor of the largest relative residual, and hands out a snapshot if it is time.
    fn tell(&mut self) -> Result<()> {
        let worst = self.residuals[..self.count].iter().fold(0.0f64, |worst, &residual| worst.max(residual));
        self.watch.tell(worst)?;
        let Some(mut snapshot) = self.watch.due_snapshot() else {
            return Ok(());
        };
        let mut column = dolmen_core::Vector::zeros(self.pencil.layout());
        for number in 0..self.x.columns() {
            self.x.v.copy_column_to(number, &mut column)?;
            snapshot.set_vector(&format!("vector {number}"), column.clone());
        }
        self.watch.deliver(snapshot)
    }

    fn into_pairs(self, reason: StopReason, start: Instant) -> Result<Eigenpairs<T>> {
        let wanted: Vec<usize> = (0..self.count).collect();
        let (values, vectors) = (self.values[..self.count].to_vec(), select(&self.x.v, &wanted));
        self.watch.end()?;
        let report = self.pencil.report(reason, &values, &vectors, self.watch.settings.rtol)?;
        let applications = report.applications + self.preconditionings;
        let (iterations, time) = (self.watch.iterations(), start.elapsed());
        let report = EigenReport { iterations, applications, time, ..report };
        Ok(Eigenpairs { values, vectors, report })
    }
}

/// Brings columns to length one; those of zeros stay.
fn normalize<T: Scalar>(w: &mut MultiVector<T>) -> Result<()> {
    for (column, norm) in column_norms(w)?.into_iter().enumerate().filter(|(_, norm)| *norm > 0.0 && norm.is_finite()) {
        // In two steps, so that the factor is a number too.
        let power = exponent(norm);
        let rest = T::Real::from_f64(1.0 / scaled(norm, -power));
        scale_entries(w.column_mut(column), -power);
        w.column_mut(column).iter_mut().for_each(|entry| *entry = entry.scale(rest));
    }
    Ok(())
}
