//! Block conjugate gradients (O'Leary, Linear Algebra Appl. 29 (1980) 293) for Hermitian positive
//! definite `A` and several right-hand sides: all columns search the directions of all.
//!
//! The block needs fewer iterations than each column by itself, most of all where a few eigenvalues
//! are far from the others, and reads the matrix once for several columns. Directions that are
//! dependent on others, of right-hand sides or residuals that are, sit out ([`Energies`] says how).
//!
//! Stops when `|r| <= max(rtol |b|, atol)` for every column, after computing all residuals afresh. The
//! bits are the same on any number of ranks, with reproducible sums and such an operator.
//!
//! Four reductions an iteration. Traffic beside operator and preconditioner, for `s` columns, in blocks
//! of `s` vectors: 16 reads and 4 writes, if the cache holds `s` times 512 entries; `6 s^2 n`
//! multiplications.

use dolmen_core::{LinearOperator, MultiVector, Scalar};

use crate::error::Result;
use crate::krylov::block_driver::{BlockDrive, BlockIteration};
use crate::krylov::energies::Energies;
use crate::krylov::solver::{common_setters, forward};
use crate::report::SolveReport;
use crate::settings::Settings;
use crate::stop_reason::StopReason;

/// Block conjugate gradients, for Hermitian positive definite operators and preconditioners and
/// several right-hand sides.
///
/// ```no_run
/// # use dolmen_core::{CsrMatrix, MultiVector};
/// # use dolmen_solvers::{BlockCg, Jacobi, Result};
/// # fn f(a: &CsrMatrix<f64>, m: &Jacobi<f64>, b: &MultiVector<f64>, x: &mut MultiVector<f64>) -> Result<()> {
/// for report in BlockCg::new().rtol(1e-8).preconditioner(m).solve(a, b, x)? {
///     report.require_converged()?;
/// }
/// # Ok(()) }
/// ```
pub struct BlockCg<'a, T> {
    settings: Settings<'a, T>,
}

const METHOD: &str = "block CG";

impl<'a, T: Scalar> From<Settings<'a, T>> for BlockCg<'a, T> {
    fn from(settings: Settings<'a, T>) -> Self {
        BlockCg { settings }
    }
}

common_setters!(BlockCg);
forward! { BlockCg:
    preconditioner: &'a dyn LinearOperator<T>, "An operator that approximates the inverse of `A`, for each column.";
    projection: &'a dyn LinearOperator<T>,
        "Projects out a null space; see [`Settings::projection`](crate::Settings::projection).";
}

impl<T: Scalar> BlockCg<'_, T> {
    /// Solves `A X = B`; `x` holds the initial guesses and becomes the solutions. A column of zeros in
    /// `b` becomes zero, whatever the guess. Gives a report for each column; a monitor is told of the
    /// column that is farthest from its target.
    ///
    /// # Collective
    /// All ranks have the same settings.
    ///
    /// # Errors
    /// Mismatched layouts or numbers of columns, a setting out of range, another norm than the true
    /// one, or a failure in an operator or a monitor; the same on all ranks. Not converging is not an
    /// error but a [`StopReason`](crate::StopReason).
    pub fn solve(
        &self,
        a: &dyn LinearOperator<T>,
        b: &MultiVector<T>,
        x: &mut MultiVector<T>,
    ) -> Result<Vec<SolveReport>> {
        BlockDrive::new(METHOD, &self.settings, a, b, x)?.run::<BlockCgSteps>(x)
    }
}

/// The recurrences; their state is the directions, which the driver keeps.
struct BlockCgSteps;

impl<T: Scalar> BlockIteration<T> for BlockCgSteps {
    fn start(drive: &mut BlockDrive<'_, '_, T>) -> Result<()> {
        drive.precondition()?;
        drive.measure()?;
        std::mem::swap(&mut drive.directions, &mut drive.z);
        Ok(())
    }

    fn step(drive: &mut BlockDrive<'_, '_, T>, x: &mut MultiVector<T>) -> Result<Option<StopReason>> {
        if drive.preconditioner_is_indefinite() {
            return Ok(Some(StopReason::IndefinitePreconditioner));
        }
        drive.apply()?;
        let reduction = drive.settings.reduction;
        let energies = drive.directions.gram(&drive.images, reduction)?;
        let energies = match Energies::new(&energies, |j| drive.columns[j].needs_energy::<T>()) {
            Ok(energies) if energies.rank() > 0 => energies,
            Ok(_) => return Ok(Some(StopReason::Stagnated)),
            Err(reason) => return Ok(Some(reason)),
        };
        let alpha = energies.solve(&drive.directions.gram(&drive.r, reduction)?);
        x.multiply_add(T::ONE, &drive.directions, alpha.view(), T::ONE, reduction)?;
        drive.r.multiply_add(-T::ONE, &drive.images, alpha.view(), T::ONE, reduction)?;
        drive.precondition()?;
        drive.measure()?;
        let beta = energies.solve(&drive.images.gram(&drive.z, reduction)?);
        drive.z.multiply_add(-T::ONE, &drive.directions, beta.view(), T::ONE, reduction)?;
        std::mem::swap(&mut drive.directions, &mut drive.z);
        Ok(None)
    }
}
