//! Norms of residuals.

/// The norm in which residuals are measured, estimated and checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Norm {
    /// `|r|`, the Euclidean norm of the residual itself.
    #[default]
    True,
    /// `|M r|`, of the preconditioned residual.
    Preconditioned,
    /// `(r* M r)^(1/2)`; the energy norm of the error if `M` were the inverse of `A`.
    Natural,
}

dolmen_core::portable!(Norm { True, Preconditioned, Natural });
