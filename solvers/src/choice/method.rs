//! Iterative methods by name, and what each needs of a system.

use crate::choice::names::names;

names! {
    /// An iterative method for one right-hand side.
    Method:
    /// Conjugate gradients: [`Cg`](crate::Cg).
    Cg = "cg",
    /// Conjugate gradients with one reduction an iteration: [`PipelinedCg`](crate::PipelinedCg).
    PipelinedCg = "pipelined-cg",
    /// Conjugate gradients for a preconditioner that varies: [`FlexibleCg`](crate::FlexibleCg).
    FlexibleCg = "flexible-cg",
    /// Minimal residuals: [`Minres`](crate::Minres).
    Minres = "minres",
    /// [`Symmlq`](crate::Symmlq).
    Symmlq = "symmlq",
    /// Generalized minimal residuals: [`Gmres`](crate::Gmres).
    Gmres = "gmres",
    /// GMRES for a preconditioner that varies: [`Fgmres`](crate::Fgmres).
    Fgmres = "fgmres",
    /// Generalized conjugate residuals: [`Gcr`](crate::Gcr).
    Gcr = "gcr",
    /// Stabilized biconjugate gradients: [`BiCgStab`](crate::BiCgStab).
    BiCgStab = "bicgstab",
    /// Induced dimension reduction: [`Idr`](crate::Idr).
    Idr = "idr",
    /// Chebyshev's iteration: [`Chebyshev`](crate::Chebyshev).
    Chebyshev = "chebyshev",
    /// Richardson's iteration: [`Richardson`](crate::Richardson).
    Richardson = "richardson",
    /// Least squares: [`Lsqr`](crate::Lsqr).
    Lsqr = "lsqr",
    /// Least squares: [`Lsmr`](crate::Lsmr).
    Lsmr = "lsmr",
    /// Least squares: [`Cgls`](crate::Cgls).
    Cgls = "cgls",
}

impl Method {
    /// The methods for square systems.
    pub const SQUARE: &[Method] = &[
        Method::Cg,
        Method::PipelinedCg,
        Method::FlexibleCg,
        Method::Minres,
        Method::Symmlq,
        Method::Gmres,
        Method::Fgmres,
        Method::Gcr,
        Method::BiCgStab,
        Method::Idr,
        Method::Chebyshev,
        Method::Richardson,
    ];

    /// The methods for least squares.
    pub const LEAST_SQUARES: &[Method] = &[Method::Lsqr, Method::Lsmr, Method::Cgls];

    /// Returns the name in reports and snapshots.
    pub const fn title(self) -> &'static str {
        match self {
            Method::Cg => "CG",
            Method::PipelinedCg => "pipelined CG",
            Method::FlexibleCg => "flexible CG",
            Method::Minres => "MINRES",
            Method::Symmlq => "SYMMLQ",
            Method::Gmres => "GMRES",
            Method::Fgmres => "FGMRES",
            Method::Gcr => "GCR",
            Method::BiCgStab => "BiCGStab",
            Method::Idr => "IDR(s)",
            Method::Chebyshev => "Chebyshev",
            Method::Richardson => "Richardson",
            Method::Lsqr => "LSQR",
            Method::Lsmr => "LSMR",
            Method::Cgls => "CGLS",
        }
    }

    /// Returns the method of a [title](Method::title).
    pub fn from_title(title: &str) -> Option<Method> {
        Method::ALL.iter().copied().find(|method| method.title() == title)
    }

    /// Returns whether the method minimizes `|b - A x|`, for `A` of any shape.
    pub const fn is_least_squares(self) -> bool {
        matches!(self, Method::Lsqr | Method::Lsmr | Method::Cgls)
    }

    /// Returns whether the operator must be square. Least squares take any shape.
    pub const fn needs_square(self) -> bool {
        !self.is_least_squares()
    }

    /// Returns whether the operator and the preconditioner must have an adjoint.
    pub const fn needs_adjoint(self) -> bool {
        self.is_least_squares()
    }

    /// Returns whether the operator must be Hermitian.
    pub const fn needs_hermitian(self) -> bool {
        self.needs_positive_definite() || matches!(self, Method::Minres | Method::Symmlq)
    }

    /// Returns whether the operator must be positive definite; it may be semidefinite where the system has a solution.
    pub const fn needs_positive_definite(self) -> bool {
        matches!(self, Method::Cg | Method::PipelinedCg | Method::FlexibleCg | Method::Chebyshev)
    }

    /// Returns whether the preconditioner must be Hermitian and positive definite.
    pub const fn needs_definite_preconditioner(self) -> bool {
        self.needs_hermitian()
    }

    /// Returns whether the preconditioner may change from one iteration to the next.
    pub const fn takes_varying_preconditioner(self) -> bool {
        matches!(self, Method::FlexibleCg | Method::Fgmres | Method::Gcr)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_is_found_by_its_names() {
        for &method in Method::ALL {
            assert_eq!(method.name().parse(), Ok(method));
            assert_eq!(Method::from_title(method.title()), Some(method));
        }
        let both: Vec<Method> = Method::SQUARE.iter().chain(Method::LEAST_SQUARES).copied().collect();
        assert_eq!(both, Method::ALL);
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest() {
        let error = "gmress".parse::<Method>().unwrap_err().to_string();
        let expected = "there is no method named \"gmress\"; did you mean \"gmres\"? Known are cg, pipelined-cg, ";
        assert!(error.starts_with(expected), "{error}");
        let error = "xyz".parse::<Method>().unwrap_err().to_string();
        assert!(error.starts_with("there is no method named \"xyz\"; known are cg, "), "{error}");
    }
}
