//! Settings common to all methods.
//!
//! [`Settings`] has the setters once; each method holds a `Settings` and forwards to it, by a macro,
//! so that `Gmres::new().rtol(1e-8)` and `Gmres::from(Settings::new().rtol(1e-8))` are the same.

use std::cell::RefCell;

use dolmen_core::{Comm, LinearOperator, Reduction, Scalar, Snapshot};

use crate::error::{Error, Result};
use crate::monitor::Monitor;
use crate::norm::Norm;

/// Tolerances, limits and helpers of a solve, common to all methods.
pub struct Settings<'a, T> {
    pub(crate) rtol: f64,
    pub(crate) atol: f64,
    pub(crate) dtol: f64,
    pub(crate) max_iterations: usize,
    pub(crate) norm: Norm,
    pub(crate) reduction: Reduction,
    pub(crate) preconditioner: Option<&'a dyn LinearOperator<T>>,
    pub(crate) projection: Option<&'a dyn LinearOperator<T>>,
    pub(crate) monitor: Option<RefCell<&'a mut dyn Monitor<T>>>,
    pub(crate) snapshot_every: usize,
    pub(crate) resume: Option<&'a Snapshot<T>>,
}

impl<T: Scalar> Default for Settings<'_, T> {
    fn default() -> Self {
        Settings {
            rtol: 1e-8,
            atol: 0.0,
            dtol: 1e5,
            max_iterations: 10_000,
            norm: Norm::True,
            reduction: Reduction::Reproducible,
            preconditioner: None,
            projection: None,
            monitor: None,
            snapshot_every: 0,
            resume: None,
        }
    }
}

/// Declares the setters: on [`Settings`] they set, on a method they forward.
macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident: $kind:ty => |$settings:ident| $assign:expr;)*) => {
        impl<'a, T: Scalar> Settings<'a, T> {
            /// Creates the default settings: relative tolerance 1e-8, no absolute one, divergence limit 1e5, at most
            /// 10 000 iterations, true norm, reproducible sums, no preconditioner.
            pub fn new() -> Self {
                Self::default()
            }

            $($(#[$doc])*
            #[must_use]
            pub fn $name(mut self, $name: $kind) -> Self {
                let $settings = &mut self;
                $assign;
                self
            })*
        }
    };
}

setters! {
    /// Relative tolerance: stop at `|r| <= rtol |b|`.
    rtol: f64 => |s| s.rtol = rtol;
    /// Absolute tolerance: stop at `|r| <= atol`.
    atol: f64 => |s| s.atol = atol;
    /// Divergence limit, 1e5 by default: give up at `|r| > dtol max(|b|, |r0|)`.
    dtol: f64 => |s| s.dtol = dtol;
    /// Maximum number of iterations.
    max_iterations: usize => |s| s.max_iterations = max_iterations;
    /// The norm of residuals and right-hand side in all of these inequalities.
    norm: Norm => |s| s.norm = norm;
    /// Algorithm of the sums of inner products over the ranks.
    reduction: Reduction => |s| s.reduction = reduction;
    /// An operator that approximates the inverse of `A`.
    preconditioner: &'a dyn LinearOperator<T> => |s| s.preconditioner = Some(preconditioner);
    /// For a singular `A`: the orthogonal projection onto the complement of its null space, which has
    /// to be that of `A^H` too. Right-hand side, residuals and preconditioned residuals are projected,
    /// so that an initial guess of zero leads to the least-squares solution without a null-space
    /// component. A null-space component of the initial guess stays as it is.
    /// [`NullSpace`](crate::NullSpace) makes one from vectors.
    projection: &'a dyn LinearOperator<T> => |s| s.projection = Some(projection);
    /// Called on every rank with the initial residual and after each iteration, before it is decided
    /// whether to continue.
    monitor: &'a mut dyn Monitor<T> => |s| s.monitor = Some(RefCell::new(monitor));
    /// Hands a [`Snapshot`] to the monitor at intervals of this number of iterations, beside those that it requests;
    /// zero for none.
    snapshot_every: usize => |s| s.snapshot_every = snapshot_every;
    /// Resumes from a snapshot of the same method with the same settings, instead of from an initial
    /// guess: with the bits of the run that was interrupted.
    resume: &'a Snapshot<T> => |s| s.resume = Some(resume);
}

impl<T: Scalar> Settings<'_, T> {
    /// Lets the next reduction compare the settings over the ranks.
    pub(crate) fn compare(&self, method: &'static str, comm: &Comm) {
        comm.compare(|| {
            let Settings { rtol, atol, dtol, max_iterations, norm, reduction, snapshot_every, .. } = self;
            let given = |given: bool| if given { "given" } else { "none" };
            let [preconditioner, projection] = [self.preconditioner, self.projection].map(|one| given(one.is_some()));
            let [monitor, resume] = [self.monitor.is_some(), self.resume.is_some()].map(given);
            format!(
                "method {method}\nrtol {rtol:?}\natol {atol:?}\ndtol {dtol:?}\nmax_iterations {max_iterations}\n\
                 norm {norm:?}\nreduction {reduction:?}\npreconditioner {preconditioner}\nprojection {projection}\n\
                 monitor {monitor}\nsnapshot_every {snapshot_every}\nresume {resume}"
            )
        });
    }

    /// Refuses values out of range.
    pub(crate) fn check(&self, method: &'static str) -> Result<()> {
        for (setting, value, least) in [("rtol", self.rtol, 0.0), ("atol", self.atol, 0.0), ("dtol", self.dtol, 1.0)] {
            // An infinite dtol is allowed (never declare divergence). An infinite rtol is an error: every residual would
            // satisfy it.
            let (expected, good) = match least > 0.0 {
                true => ("one or more", value >= least),
                false => ("zero or more, and finite", value >= least && value.is_finite()),
            };
            require(method, setting, value, good, expected)?;
        }
        Ok(())
    }
}

/// Refuses a value of a setting.
pub(crate) fn require(
    method: &'static str,
    setting: &'static str,
    value: f64,
    good: bool,
    expected: &'static str,
) -> Result<()> {
    if good { Ok(()) } else { Err(Error::Setting { method, setting, value, expected }) }
}
