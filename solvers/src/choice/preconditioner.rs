//! Preconditioners by name, and what each needs and promises.

use crate::choice::names::names;

names! {
    /// A preconditioner.
    PreconditionerKind:
    /// The identity.
    None = "none",
    /// Division by the diagonal: [`Jacobi`](crate::Jacobi).
    Jacobi = "jacobi",
    /// Division by small blocks on the diagonal: [`PointBlockJacobi`](crate::PointBlockJacobi).
    PointBlockJacobi = "point-block-jacobi",
    /// Sweeps of Gauss and Seidel over each rank's rows: [`Sor`](crate::Sor).
    Sor = "sor",
    /// Symmetric sweeps of Gauss and Seidel over each rank's rows: [`Sor`](crate::Sor).
    Ssor = "ssor",
    /// Incomplete Cholesky factorization of each rank's block: [`Ic`](crate::Ic).
    Ic = "ic",
    /// Incomplete LU factorization of each rank's block by level of fill: [`Ilu`](crate::Ilu).
    Ilu = "ilu",
    /// Incomplete LU factorization of each rank's block by threshold: [`Ilut`](crate::Ilut).
    Ilut = "ilut",
    /// A local solver of each rank's block: [`BlockJacobi`](crate::BlockJacobi).
    BlockJacobi = "block-jacobi",
    /// A local solver of overlapping blocks: [`AdditiveSchwarz`](crate::AdditiveSchwarz).
    Schwarz = "schwarz",
    /// A polynomial in the matrix: [`ChebyshevPolynomial`](crate::ChebyshevPolynomial).
    Chebyshev = "chebyshev",
    /// A hierarchy of ever smaller matrices: [`Multigrid`](crate::Multigrid).
    Multigrid = "multigrid",
    /// A complete factorization on one rank: [`Direct`](crate::Direct).
    Direct = "direct",
    /// Another one in single precision: [`SinglePrecision`](crate::SinglePrecision).
    Single = "single",
    /// The sum of several: [`Additive`](crate::Additive).
    Additive = "additive",
    /// Several, one after the other: [`Multiplicative`](crate::Multiplicative).
    Multiplicative = "multiplicative",
    /// Columns of least squares scaled to one length: [`ColumnScaling`](crate::ColumnScaling).
    ColumnScaling = "column-scaling",
}

impl PreconditionerKind {
    /// Returns whether it is for least squares only.
    pub const fn is_for_least_squares(self) -> bool {
        matches!(self, PreconditionerKind::ColumnScaling)
    }

    /// Returns whether the matrix must be square.
    pub const fn needs_square(self) -> bool {
        !matches!(self, PreconditionerKind::None | PreconditionerKind::ColumnScaling)
    }

    /// Returns whether the matrix must be Hermitian with a positive diagonal.
    pub const fn needs_hermitian(self) -> bool {
        matches!(self, PreconditionerKind::Ic | PreconditionerKind::Chebyshev | PreconditionerKind::Multigrid)
    }
}
