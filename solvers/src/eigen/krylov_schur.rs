//! Krylov-Schur (Stewart, SIAM J. Matrix Anal. Appl. 23 (2002) 601) for a few eigenvalues of general operators, also of
//! `(A - s M)^-1 M`, with full orthogonalization.
//!
//! `O V = V H + v b^T`. A restart keeps an invariant subspace of H: of a real operator a real basis of it, so that
//! arithmetic stays real and eigenvalues come in pairs of conjugates, which are kept and counted together. What is found
//! is looked at a second time from a random vector, as in [`lanczos`](super::lanczos), so that copies of eigenvalues
//! with several eigenvectors are not missed.

mod search;

use std::time::Instant;

use dolmen_core::{LinearOperator, Scalar, Snapshot, profile};

use crate::eigen::general::{General, GeneralEigenpairs, Pairs, to_complex};
use crate::eigen::krylov_schur::search::Search;
use crate::eigen::problem::{basis_size, no_inverse, require_count, require_fit};
use crate::eigen::region::Region;
use crate::eigen::report::EigenReport;
use crate::eigen::watch::ITERATIONS;
use crate::error::Result;
use crate::krylov::solver::forward;
use crate::settings::Settings;

const METHOD: &str = "Krylov-Schur";

/// Krylov-Schur for a few eigenvalues of any operator, beside a mass matrix if there is one.
///
/// ```no_run
/// # use dolmen_core::CsrMatrix;
/// # use dolmen_solvers::{KrylovSchur, Region, Result};
/// # fn f(a: &CsrMatrix<f64>) -> Result<()> {
/// let found = KrylovSchur::new(6).region(Region::LargestReal).solve(a)?;
/// println!("{:?}\n{}", found.values, found.report);
/// # Ok(()) }
/// ```
pub struct KrylovSchur<'a, T> {
    settings: Settings<'a, T>,
    count: usize,
    region: Region,
    basis: Option<usize>,
    mass: Option<&'a dyn LinearOperator<T>>,
    inverse: Option<(T, &'a dyn LinearOperator<T>)>,
}

forward! { KrylovSchur:
    rtol: f64, "Relative tolerance, 1e-8 by default: `|A v - w M v| <= rtol |w M v|`.";
    max_iterations: usize, "Maximum number of restarts, 1000 by default.";
    monitor: &'a mut dyn crate::monitor::Monitor<T>,
        "Called after each restart with the largest relative residual; see [`Settings::monitor`](crate::Settings::monitor).";
    snapshot_every: usize, "Hands a snapshot to the monitor at intervals of this number of restarts.";
    resume: &'a Snapshot<T>, "Resumes from a snapshot, with the bits of the run that was interrupted.";
}

impl<'a, T: Scalar> KrylovSchur<'a, T> {
    /// Creates the method for this number of eigenvalues: the largest in magnitude, unless told otherwise. Of a real
    /// operator one more is returned where the last one is the first of two conjugates.
    pub fn new(count: usize) -> Self {
        Self::with_settings(Settings::new().max_iterations(ITERATIONS), count)
    }

    pub(super) fn with_settings(settings: Settings<'a, T>, count: usize) -> Self {
        KrylovSchur { settings, count, region: Region::LargestMagnitude, basis: None, mass: None, inverse: None }
    }

    /// Sets the part of the plane.
    #[must_use]
    pub fn region(mut self, region: Region) -> Self {
        self.region = region;
        self
    }

    /// Vectors of the basis, `2 count + 20` by default.
    #[must_use]
    pub fn basis(mut self, vectors: usize) -> Self {
        self.basis = Some(vectors);
        self
    }

    /// Finds the eigenvalues nearest to `shift`, from an operator that is the inverse of `A - shift I`.
    #[must_use]
    pub fn shift_invert(mut self, shift: T, inverse: &'a dyn LinearOperator<T>) -> Self {
        self.region = Region::Nearest(to_complex(shift));
        self.inverse = Some((shift, inverse));
        self
    }

    /// Finds the eigenvalues nearest to `shift`, from an operator that is the inverse of `A - shift M`.
    #[must_use]
    pub fn shift_invert_mass(
        mut self,
        shift: T,
        mass: &'a dyn LinearOperator<T>,
        inverse: &'a dyn LinearOperator<T>,
    ) -> Self {
        self.mass = Some(mass);
        self.shift_invert(shift, inverse)
    }

    /// Finds eigenvalues and eigenvectors.
    ///
    /// # Collective
    /// All ranks have the same settings, which the first reduction compares.
    ///
    /// # Errors
    /// As [`Lanczos::solve`](crate::Lanczos::solve), but that nothing has to be Hermitian.
    pub fn solve(&self, a: &dyn LinearOperator<T>) -> Result<GeneralEigenpairs<T>> {
        let start = Instant::now();
        let _event = profile::event(METHOD);
        let comm = a.domain().comm();
        self.settings.compare(METHOD, comm);
        let KrylovSchur { count, region, basis, .. } = self;
        comm.compare(|| format!("count {count}\nregion {region:?}\nbasis {basis:?}"));
        let size = comm.agree(self.accept(a))?;
        let problem = General::new(METHOD, a, self.mass);
        let mut search = Search::new(self, &problem, size);
        let reason = search.run()?;
        let Pairs { values, vectors, imaginary } = search.pairs()?;
        search.watch.end()?;
        let report = problem.report(reason, &values, &vectors, imaginary.as_ref(), self.settings.rtol)?;
        let (iterations, time) = (search.watch.iterations(), start.elapsed());
        Ok(GeneralEigenpairs { values, vectors, imaginary, report: EigenReport { iterations, time, ..report } })
    }

    /// Refuses what this rank cannot do; returns the size of the basis.
    fn accept(&self, a: &dyn LinearOperator<T>) -> Result<usize> {
        self.settings.check(METHOD)?;
        let inverse = self.inverse.map(|(_, inverse)| ("inverse", inverse));
        require_fit(METHOD, a, inverse.into_iter().chain(self.mass.map(|mass| ("mass matrix", mass))))?;
        let rows = a.domain().global_len();
        require_count(METHOD, self.count, rows)?;
        if let (Region::Nearest(shift), None) = (self.region, self.inverse) {
            return Err(no_inverse(METHOD, shift.re));
        }
        basis_size(METHOD, self.basis, self.count, rows, (self.count + 2, "more than count + 2"))
    }
}
