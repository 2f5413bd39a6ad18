//! Algebraic multigrid by smoothed aggregation (Vanek, Mandel and Brezina, Computing 56 (1996) 179), for Hermitian
//! positive definite or semidefinite matrices whose smooth errors are close to constant, such as those of diffusion, or to
//! combinations of other vectors that are known, such as the rigid-body modes of elasticity.
//!
//! Each level has a smoother, Chebyshev iteration, which removes what oscillates, and a prolongator from aggregates of its
//! unknowns, over which the rest is solved for on the next level. Aggregates, smoothers and sums know nothing of ranks:
//! hierarchy, iterations and solutions have the same bits on any number of them.
//!
//! A cycle costs, on each level, `2 degree` products with its matrix, one with the prolongator and one with its adjoint.

mod aggregation;
mod coarsest;
mod near_null_space;
mod noise;
mod orthonormal;
mod rigid_body_modes;
mod settings;
mod smoother;
mod strength;
mod tentative;
mod transfer;

use std::cell::RefCell;
use std::fmt;

use dolmen_core::{
    AdjointOperator, CsrMatrix, Layout, LinearOperator, MultiVector, Result as CoreResult, Scalar, Vector,
};

use crate::error::{Defect, Error, LevelFault, NoSpectrum, Result};
use crate::multigrid::coarsest::PseudoInverse;
use crate::multigrid::near_null_space::NearNullSpace;
use crate::multigrid::smoother::Smoother;
use crate::multigrid::transfer::Transfer;
use crate::precond::require_square;
use crate::settings::require;

pub use rigid_body_modes::rigid_body_modes;
pub use settings::{Cycle, MultigridSettings};

pub(super) const METHOD: &str = "multigrid";
/// Share of the rows that the next level may have; with more, a further level costs more than it gives.
const SLOWEST: f64 = 0.8;

/// A hierarchy of ever smaller matrices whose cycle approximates the inverse of the first.
///
/// ```no_run
/// # use dolmen_core::{CsrMatrix, Vector};
/// # use dolmen_solvers::{Cg, Multigrid, Result};
/// # fn f(a: &CsrMatrix<f64>, b: &Vector<f64>, x: &mut Vector<f64>) -> Result<()> {
/// let multigrid = Multigrid::new(a)?;
/// println!("{multigrid}");
/// let report = Cg::new().rtol(1e-8).preconditioner(&multigrid).solve(a, b, x)?;
/// # Ok(()) }
/// ```
///
/// The cycle is Hermitian and positive definite for Hermitian positive definite and semidefinite matrices, so it goes with
/// CG and MINRES. A singular matrix, such as a Laplacian without boundary values, is singular on coarse levels up to
/// rounding errors; those are told from the rest by the sizes of the numbers that canceled, and are not inverted.
///
/// Memory: the matrices of all levels take as much as the first one times the operator complexity that `Display` shows.
/// The prolongators take about half as much as the matrices. Each level has eight vectors, and the last one a dense
/// matrix.
pub struct Multigrid<T: Scalar> {
    levels: Vec<Level<T>>,
    /// The inverse of the last level; none if that is too large, or has nothing that could be aggregated.
    coarsest: Option<PseudoInverse<T>>,
    settings: MultigridSettings,
}

struct Level<T: Scalar> {
    a: CsrMatrix<T>,
    smoother: Smoother<T>,
    /// To the next level, if there is one.
    transfer: Option<Transfer<T>>,
    work: RefCell<Work<T>>,
}

struct Work<T> {
    residual: Vector<T>,
    step: Vector<T>,
    /// Right-hand side and solution of the next level.
    next: Option<[Vector<T>; 2]>,
}

impl<T: Scalar> Multigrid<T> {
    /// Sets up the hierarchy of a matrix with default settings.
    ///
    /// # Collective
    ///
    /// # Errors
    /// As [`Multigrid::with_settings`].
    pub fn new(a: &CsrMatrix<T>) -> Result<Multigrid<T>> {
        Multigrid::with_settings(a, MultigridSettings::default())
    }

    /// Sets up the hierarchy of a matrix whose smooth errors are close to constant, in each unknown of a node
    /// ([`MultigridSettings::block`]) apart from the others.
    ///
    /// # Collective
    ///
    /// # Errors
    /// [`Setting`](crate::Error::Setting); [`NotSquare`](crate::Error::NotSquare), or rows and columns on different
    /// layouts; [`Unfit`](crate::Error::Unfit) with the row of an entry that is not finite, or of a diagonal entry that
    /// is not positive; [`Level`](crate::Error::Level) if a coarse level shows that the matrix is not positive
    /// semidefinite; [`NoSpectrum`](crate::Error::NoSpectrum) if the matrix is seen not to be Hermitian. The same on all
    /// ranks.
    pub fn with_settings(a: &CsrMatrix<T>, settings: MultigridSettings) -> Result<Multigrid<T>> {
        require_agreed(a, &settings, None)?;
        let near = (settings.block > 1).then(|| NearNullSpace::constants(a.range(), settings.block));
        Multigrid::built(a, settings, near)
    }

    /// Sets up the hierarchy of a matrix whose smooth errors are close to combinations of given vectors, the columns of
    /// `vectors` on the rows of the matrix, such as [`rigid_body_modes`](crate::rigid_body_modes) for elasticity.
    ///
    /// Nodes have [`MultigridSettings::block`] unknowns, and on coarse levels as many as there are vectors. The vectors may
    /// depend on each other; their lengths are of no importance. [`Multigrid::refill`] keeps them.
    ///
    /// # Collective
    ///
    /// # Errors
    /// [`Layout`](crate::Error::Layout) if the vectors are not on the rows of the matrix;
    /// [`Setting`](crate::Error::Setting) also if there is no vector, or none but zeros;
    /// [`NotFinite`](crate::Error::NotFinite) with the vector and the row; and as [`Multigrid::with_settings`].
    pub fn with_near_null_space(
        a: &CsrMatrix<T>,
        settings: MultigridSettings,
        vectors: &MultiVector<T>,
    ) -> Result<Multigrid<T>> {
        require_agreed(a, &settings, Some(vectors.columns()))?;
        let near = NearNullSpace::new(a.range(), settings.block, vectors)?;
        Multigrid::built(a, settings, Some(near))
    }

    fn built(
        a: &CsrMatrix<T>,
        settings: MultigridSettings,
        mut near: Option<NearNullSpace<T>>,
    ) -> Result<Multigrid<T>> {
        let mut levels = Vec::new();
        let (mut a, mut scale) = (a.clone(), None);
        loop {
            let number = levels.len();
            let smoother = Smoother::new(&a, scale.as_ref()).map_err(|error| on_level(number, error))?;
            let rows = a.range().global_len();
            let is_last = rows <= settings.coarsest as u64 || number + 1 == settings.levels;
            let threshold = settings.threshold * 0.5f64.powi(i32::try_from(number).unwrap_or(i32::MAX));
            let coarsening = match is_last {
                true => None,
                false => Transfer::new(&a, scale.as_ref(), &smoother, threshold, near.as_ref())
                    .map_err(|error| on_level(number, error))?,
            };
            let is_smaller = |coarse: u64| coarse as f64 <= SLOWEST * rows as f64;
            let coarsening = coarsening.filter(|(transfer, _)| is_smaller(transfer.prolongator.domain().global_len()));
            let (transfer, next) = match coarsening {
                Some((transfer, next_near)) => {
                    near = next_near;
                    let next = transfer.coarse(&a, scale.as_ref())?;
                    (Some(transfer), Some(next))
                }
                None => (None, None),
            };
            let work = Work::new(&a, next.as_ref().map(|(next, _)| next));
            levels.push(Level { a, smoother, transfer, work: RefCell::new(work) });
            match next {
                Some((next, sums)) => (a, scale) = (next, Some(sums)),
                None => break,
            }
        }
        let coarsest = inverse_if_small(&levels, scale.as_ref(), settings.coarsest)?;
        Ok(Multigrid { levels, coarsest, settings })
    }

    /// Takes a matrix of the same pattern with other values: aggregates and patterns are kept, all numbers are computed
    /// anew.
    ///
    /// # Collective
    ///
    /// # Errors
    /// [`LayoutMismatch`](dolmen_core::Error::LayoutMismatch), [`PatternMismatch`](dolmen_core::Error::PatternMismatch), and
    /// as [`Multigrid::with_settings`]. The hierarchy is of no use then until another refill succeeds.
    pub fn refill(&mut self, a: &CsrMatrix<T>) -> Result<()> {
        self.levels[0].a.range().require_same(a.range(), METHOD)?;
        self.levels[0].a.domain().require_same(a.domain(), METHOD)?;
        let (mut given, mut scale) = (Some(a.clone()), None);
        for number in 0..self.levels.len() {
            let (head, tail) = self.levels.split_at_mut(number + 1);
            let level = &mut head[number];
            if let Some(given) = given.take() {
                level.a = given;
            }
            level.smoother = Smoother::new(&level.a, scale.as_ref()).map_err(|error| on_level(number, error))?;
            if let (Some(transfer), Some(next)) = (&mut level.transfer, tail.first_mut()) {
                let sums = transfer.refill(&level.a, scale.as_ref(), &level.smoother, &mut next.a);
                scale = Some(sums.map_err(|error| on_level(number, error))?);
            }
        }
        self.coarsest = inverse_if_small(&self.levels, scale.as_ref(), self.settings.coarsest)?;
        Ok(())
    }

    /// Returns the number of levels, the given matrix included.
    pub fn levels(&self) -> usize {
        self.levels.len()
    }

    /// Returns the matrix of a level; level 0 is the given one.
    pub fn matrix(&self, level: usize) -> Option<&CsrMatrix<T>> {
        self.levels.get(level).map(|level| &level.a)
    }

    /// Returns the prolongator from the level after `level`, if there is one.
    pub fn prolongator(&self, level: usize) -> Option<&CsrMatrix<T>> {
        self.levels.get(level)?.transfer.as_ref().map(|transfer| &transfer.prolongator)
    }

    /// Returns the entries of the matrices of all levels, divided by those of the first.
    pub fn operator_complexity(&self) -> f64 {
        let all: u64 = self.levels.iter().map(|level| level.a.global_entries()).sum();
        all as f64 / self.levels[0].a.global_entries().max(1) as f64
    }

    /// Returns the rows of the matrices of all levels, divided by those of the first.
    pub fn grid_complexity(&self) -> f64 {
        let all: u64 = self.levels.iter().map(|level| level.a.range().global_len()).sum();
        all as f64 / self.levels[0].a.range().global_len().max(1) as f64
    }

    /// Improves a solution of a level's system, which is zero before if `from_zero` says so.
    fn cycle(&self, number: usize, b: &Vector<T>, x: &mut Vector<T>, from_zero: bool) -> CoreResult<()> {
        let level = &self.levels[number];
        let Work { residual, step, next } = &mut *level.work.borrow_mut();
        let smooth = |x: &mut Vector<T>, from_zero, work: [&mut Vector<T>; 2]| {
            level.smoother.smooth(&level.a, self.settings.degree, b, x, from_zero, work)
        };
        let (Some(transfer), Some([coarse_b, coarse_x])) = (&level.transfer, next) else {
            return match &self.coarsest {
                Some(inverse) => inverse.solve(b, x),
                None => smooth(x, from_zero, [residual, step]),
            };
        };
        smooth(x, from_zero, [residual, step])?;
        level.a.compute(x, residual)?;
        residual.axpby(T::ONE, b, -T::ONE)?;
        transfer.prolongator.compute_adjoint(residual, coarse_b)?;
        for visit in 0..self.settings.cycle.visits() {
            self.cycle(number + 1, coarse_b, coarse_x, visit == 0)?;
        }
        transfer.prolongator.compute(coarse_x, step)?;
        x.axpy(T::ONE, step)?;
        smooth(x, false, [residual, step])
    }
}

/// Refuses settings that are out of range or do not fit the matrix, and ranks that pass different ones.
///
/// # Collective
fn require_agreed<T: Scalar>(a: &CsrMatrix<T>, settings: &MultigridSettings, vectors: Option<usize>) -> Result<()> {
    let comm = a.range().comm();
    comm.agree(settings.check())?;
    require_square(METHOD, a)?;
    let divides = a.range().global_len().is_multiple_of(settings.block as u64);
    let whole = require(METHOD, "block", settings.block as f64, divides, "a divisor of the number of rows");
    comm.compare(|| format!("multigrid {settings:?}\nnear-null-space vectors {vectors:?}"));
    comm.agree(whole)
}

/// Inverts the last level, if it is small.
///
/// # Collective
fn inverse_if_small<T: Scalar>(
    levels: &[Level<T>],
    scale: Option<&Vector<T>>,
    most: usize,
) -> Result<Option<PseudoInverse<T>>> {
    let last = levels.len() - 1;
    PseudoInverse::new_if_small(&levels[last].a, scale, most).map_err(|error| on_level(last, error))
}

/// Names the level in an error about a row of it, unless that is one of the matrix that was given.
fn on_level(level: usize, error: Error) -> Error {
    let fault = match &error {
        Error::OnRank { rank, error } => {
            return Error::OnRank { rank: *rank, error: Box::new(on_level(level, (**error).clone())) };
        }
        Error::Unfit { defect: Defect::DiagonalNotPositive, .. } => LevelFault::NotSemidefinite,
        Error::Unfit { .. } | Error::NoSpectrum { reason: NoSpectrum::NotFinite, .. } => LevelFault::NotFinite,
        _ => return error,
    };
    if level == 0 { error } else { Error::Level { method: METHOD, level, fault } }
}

impl<T: Scalar> Work<T> {
    fn new(a: &CsrMatrix<T>, next: Option<&CsrMatrix<T>>) -> Work<T> {
        let zeros = |a: &CsrMatrix<T>| Vector::zeros(a.range());
        Work { residual: zeros(a), step: zeros(a), next: next.map(|next| [zeros(next), zeros(next)]) }
    }
}

impl<T: Scalar> LinearOperator<T> for Multigrid<T> {
    fn domain(&self) -> &Layout {
        self.levels[0].a.range()
    }

    fn range(&self) -> &Layout {
        self.levels[0].a.domain()
    }

    fn compute(&self, x: &Vector<T>, y: &mut Vector<T>) -> CoreResult<()> {
        self.cycle(0, x, y, true)
    }
}

/// The cycle is its own adjoint.
impl<T: Scalar> AdjointOperator<T> for Multigrid<T> {
    fn compute_adjoint(&self, x: &Vector<T>, y: &mut Vector<T>) -> CoreResult<()> {
        self.compute(x, y)
    }
}

/// The table of the levels.
impl<T: Scalar> fmt::Display for Multigrid<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "level          rows         entries   entries a row")?;
        for (number, level) in self.levels.iter().enumerate() {
            let (rows, entries) = (level.a.range().global_len(), level.a.global_entries());
            writeln!(f, "{number:5} {rows:13} {entries:15} {:15.1}", entries as f64 / rows.max(1) as f64)?;
        }
        let (grid, operator) = (self.grid_complexity(), self.operator_complexity());
        let last = if self.coarsest.is_some() { "solved exactly" } else { "smoothed" };
        write!(f, "grid complexity {grid:.2}, operator complexity {operator:.2}; the last level is {last}")
    }
}
