//! Faults of rows, levels and spectra that errors of solvers name, in words.

use std::fmt;

/// Fault of a row of a matrix.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// There is no entry on the diagonal.
    MissingDiagonal,
    /// The entry on the diagonal is zero.
    ZeroDiagonal,
    /// The entry on the diagonal is so small that its reciprocal overflows.
    TinyDiagonal,
    /// The entry on the diagonal is zero or negative.
    DiagonalNotPositive,
    /// All entries are zero.
    ZeroRow,
    /// Elimination leaves nothing on the diagonal but rounding errors.
    ZeroPivot,
    /// The diagonal is not positive after elimination.
    NotPositive,
    /// An entry is NaN or infinite.
    NotFinite,
    /// An entry is outside of the pattern that the setup was made for.
    NotInPattern,
}

dolmen_core::portable!(Defect {
    MissingDiagonal,
    ZeroDiagonal,
    TinyDiagonal,
    DiagonalNotPositive,
    ZeroRow,
    ZeroPivot,
    NotPositive,
    NotFinite,
    NotInPattern,
});

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Defect::MissingDiagonal => "has no entry on the diagonal; store one, or use lu",
            Defect::ZeroDiagonal => "has a zero on the diagonal; reorder the equations, or use lu",
            Defect::TinyDiagonal => {
                "has a diagonal entry so small that its reciprocal overflows; multiply the matrix by a power of two"
            }
            Defect::DiagonalNotPositive => {
                "has a diagonal entry that is not positive: the matrix is not positive definite; use ilu or lu"
            }
            Defect::ZeroRow => "is zero, so the matrix is singular; remove the equation, or set its diagonal",
            Defect::ZeroPivot => "has a pivot of zero to working precision; reorder the equations, or use lu",
            Defect::NotPositive => {
                "has a pivot that is not positive: the matrix is not positive definite; use ilu or lu"
            }
            Defect::NotFinite => "has an entry that is NaN or infinite; check how the matrix was computed",
            Defect::NotInPattern => "has entries outside of the pattern of the setup; set up anew instead of refilling",
        })
    }
}

/// Fault of a level of a multigrid hierarchy.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LevelFault {
    /// The level has a direction of negative energy.
    NotSemidefinite,
    /// An entry is NaN or infinite, or its reciprocal is.
    NotFinite,
}

dolmen_core::portable!(LevelFault { NotSemidefinite, NotFinite });

impl fmt::Display for LevelFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LevelFault::NotSemidefinite => "is not positive semidefinite, so neither is the matrix; use ilu or lu",
            LevelFault::NotFinite => {
                "overflows: the matrix is not positive semidefinite, or its entries are near the largest or smallest \
                 numbers; multiply it by a power of two, or use ilu or lu"
            }
        })
    }
}

/// Reason for which there is no estimate of a spectrum.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoSpectrum {
    /// A NaN or an infinity turned up.
    NotFinite,
    /// The operator is not Hermitian.
    NotHermitian,
    /// The preconditioner is not Hermitian.
    PreconditionerNotHermitian,
    /// The preconditioner is Hermitian, but has a direction of negative energy.
    IndefinitePreconditioner,
    /// There are no rows, or projection or preconditioner leave nothing of a vector.
    Empty,
}

dolmen_core::portable!(NoSpectrum {
    NotFinite,
    NotHermitian,
    PreconditionerNotHermitian,
    IndefinitePreconditioner,
    Empty,
});

impl fmt::Display for NoSpectrum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NoSpectrum::NotFinite => "a NaN or infinity appeared in a product; check the matrix for such entries",
            NoSpectrum::NotHermitian => {
                "the operator is not Hermitian, so its spectrum has no ends; use a method for general matrices"
            }
            NoSpectrum::PreconditionerNotHermitian => {
                "the preconditioner is not Hermitian; use one that is, or a method for general matrices"
            }
            NoSpectrum::IndefinitePreconditioner => {
                "the preconditioner is not positive definite; check its signs, and that the diagonal is positive"
            }
            NoSpectrum::Empty => {
                "there are no rows, or projection and preconditioner leave nothing of a vector; give the interval"
            }
        })
    }
}
