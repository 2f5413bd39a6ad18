//! One of several right-hand sides that a block method solves for.

use dolmen_core::scaling::scaled;
use dolmen_core::{Real, Scalar};

use crate::krylov::stopping::RESERVED;
use crate::norm::Norm;
use crate::report::SolveReport;
use crate::settings::Settings;
use crate::stop_reason::StopReason;

/// A right-hand side and how far its solution has come.
pub(crate) struct Column {
    pub(crate) report: SolveReport,
    /// The right-hand side of the solve is the user's times `2^-power`.
    pub(crate) power: i32,
    /// Estimate of the norm of its residual.
    pub(crate) residual: f64,
    /// The residual above which the solve has diverged.
    pub(crate) limit: f64,
    /// `r* M r`.
    pub(crate) energy: f64,
}

impl Column {
    /// Returns the right-hand side of a solve that begins.
    pub(crate) fn new<T>(method: &'static str, settings: &Settings<'_, T>, rhs_norm: f64, power: i32) -> Column {
        let atol = scaled(settings.atol, -power);
        let report = SolveReport {
            method,
            reason: StopReason::IterationLimit,
            iterations: 0,
            history: Vec::with_capacity(settings.max_iterations.min(RESERVED) + 1),
            norm: Norm::True,
            rhs_norm,
            target: (settings.rtol * rhs_norm).max(atol),
            true_residual: f64::INFINITY,
            normal_residual: None,
            damp: 0.0,
            weighted: false,
            applications: 0,
            preconditionings: 0,
            time: std::time::Duration::ZERO,
        };
        Column { report, power, residual: f64::INFINITY, limit: settings.dtol * rhs_norm, energy: 0.0 }
    }

    pub(crate) fn is_met(&self) -> bool {
        self.residual <= self.report.target
    }

    /// Returns true if an energy of zero is not due to rounding: the column has not converged, and its squares do
    /// not underflow.
    pub(crate) fn needs_energy<T: Scalar>(&self) -> bool {
        !self.is_met() && T::Real::from_f64(self.residual * self.residual) > T::Real::ZERO
    }

    /// Returns the residual beside the right-hand side.
    pub(crate) fn relative(&self) -> f64 {
        if self.report.rhs_norm > 0.0 { self.residual / self.report.rhs_norm } else { self.residual }
    }
}
