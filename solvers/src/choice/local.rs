//! Solvers of a rank for its part of a matrix, by name and settings.

use dolmen_core::{Scalar, SerialCsr};

use crate::choice::fields::{self, Fields, Key, Named, text};
use crate::choice::names::names;
use crate::error::Result;
use crate::precond::{Cholesky, Equilibrated, Ic, Ilu, Ilut, Ldlt, LocalSolver, Lu, Sor, Sweep, ilut, sor};

names! {
    /// A [`LocalSolver`] by name.
    LocalKind:
    /// Sweeps of Gauss and Seidel: [`Sor`].
    Sor = "sor",
    /// Symmetric sweeps of Gauss and Seidel: [`Sor`].
    Ssor = "ssor",
    /// Incomplete Cholesky factorization without fill: [`Ic`].
    Ic = "ic",
    /// Incomplete LU factorization by level of fill: [`Ilu`].
    Ilu = "ilu",
    /// Incomplete LU factorization by threshold: [`Ilut`].
    Ilut = "ilut",
    /// Complete factorization of any matrix: [`Lu`].
    Lu = "lu",
    /// Complete factorization of a positive definite matrix: [`Cholesky`].
    Cholesky = "cholesky",
    /// Complete factorization of a Hermitian matrix: [`Ldlt`].
    Ldlt = "ldlt",
}

/// A complete factorization.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Factorization {
    /// Of any matrix: [`Lu`].
    #[default]
    Lu,
    /// Of a Hermitian positive definite matrix: [`Cholesky`].
    Cholesky,
    /// Of a Hermitian matrix, without pivoting: [`Ldlt`].
    Ldlt,
}

impl Factorization {
    pub(super) const WORDS: [(&'static str, Factorization); 3] =
        [("lu", Factorization::Lu), ("cholesky", Factorization::Cholesky), ("ldlt", Factorization::Ldlt)];

    /// Returns the name that people use.
    pub const fn title(self) -> &'static str {
        match self {
            Factorization::Lu => "LU",
            Factorization::Cholesky => "Cholesky",
            Factorization::Ldlt => "LDL^H",
        }
    }

    /// Factors a matrix.
    ///
    /// # Errors
    /// As [`Lu::new`], [`Cholesky::new`] and [`Ldlt::new`].
    pub fn make<T: Scalar>(self, a: &SerialCsr<T>) -> Result<Box<dyn LocalSolver<T>>> {
        Ok(match self {
            Factorization::Lu => Box::new(Lu::new(a)?),
            Factorization::Cholesky => Box::new(Cholesky::new(a)?),
            Factorization::Ldlt => Box::new(Ldlt::new(a)?),
        })
    }
}

/// A [`LocalSolver`] with its settings.
///
/// As a text it is the name, with the settings that are not at their defaults: `ilu(level=2)`.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LocalSettings {
    /// [`Sor`]: `ssor` if its sweeps are symmetric, `sor` otherwise.
    Sor {
        /// The order in which a sweep visits the rows.
        sweep: Sweep,
        /// The factor of relaxation.
        omega: f64,
        /// The number of sweeps.
        sweeps: usize,
    },
    /// [`Ic`].
    Ic,
    /// [`Ilu`].
    Ilu {
        /// The level of fill.
        level: usize,
    },
    /// [`Ilut`].
    Ilut {
        /// The relative size below which numbers are dropped.
        drop: f64,
        /// The largest number of entries that a row keeps in each triangle.
        fill: usize,
        /// True if rows and columns are scaled first, by [`Equilibrated`].
        scaled: bool,
    },
    /// A complete factorization.
    Complete(Factorization),
}

impl From<LocalKind> for LocalSettings {
    /// Returns the solver with its settings at their defaults.
    fn from(kind: LocalKind) -> LocalSettings {
        let sor = |sweep| LocalSettings::Sor { sweep, omega: 1.0, sweeps: 1 };
        match kind {
            LocalKind::Sor => sor(Sweep::Forward),
            LocalKind::Ssor => sor(Sweep::Symmetric),
            LocalKind::Ic => LocalSettings::Ic,
            LocalKind::Ilu => LocalSettings::Ilu { level: 0 },
            LocalKind::Ilut => LocalSettings::Ilut { drop: 1e-3, fill: 10, scaled: true },
            LocalKind::Lu => LocalSettings::Complete(Factorization::Lu),
            LocalKind::Cholesky => LocalSettings::Complete(Factorization::Cholesky),
            LocalKind::Ldlt => LocalSettings::Complete(Factorization::Ldlt),
        }
    }
}

impl LocalSettings {
    /// Returns the kind of solver.
    pub const fn kind(&self) -> LocalKind {
        match self {
            LocalSettings::Sor { sweep: Sweep::Symmetric, .. } => LocalKind::Ssor,
            LocalSettings::Sor { .. } => LocalKind::Sor,
            LocalSettings::Ic => LocalKind::Ic,
            LocalSettings::Ilu { .. } => LocalKind::Ilu,
            LocalSettings::Ilut { .. } => LocalKind::Ilut,
            LocalSettings::Complete(Factorization::Lu) => LocalKind::Lu,
            LocalSettings::Complete(Factorization::Cholesky) => LocalKind::Cholesky,
            LocalSettings::Complete(Factorization::Ldlt) => LocalKind::Ldlt,
        }
    }

    /// Returns the keys of its text, with their values.
    pub fn keys(&self) -> Vec<Key> {
        fields::list(self)
    }

    /// Returns whether the solver is Hermitian where the matrix is, by its construction. That of LU is not, to
    /// rounding.
    pub const fn is_hermitian(&self) -> bool {
        matches!(self.kind(), LocalKind::Ssor | LocalKind::Ic | LocalKind::Cholesky | LocalKind::Ldlt)
    }

    /// Returns what the solver is, for people.
    pub fn title(&self) -> String {
        match self {
            LocalSettings::Sor { sweep, omega, sweeps } => {
                let symmetric = if *sweep == Sweep::Symmetric { "symmetric " } else { "" };
                let number =
                    if *sweeps == 1 { format!("a {symmetric}sweep") } else { format!("{sweeps} {symmetric}sweeps") };
                let relaxed =
                    if *omega == 1.0 { "Gauss and Seidel".to_owned() } else { format!("SOR with omega {omega}") };
                format!("{number} of {relaxed}")
            }
            LocalSettings::Ic => "IC(0)".to_owned(),
            LocalSettings::Ilu { level } => format!("ILU({level})"),
            LocalSettings::Ilut { drop, fill, scaled } => {
                let scaled = if *scaled { ", rows and columns scaled," } else { "" };
                format!("ILUT({drop:e}, {fill}){scaled}")
            }
            LocalSettings::Complete(factorization) => factorization.title().to_owned(),
        }
    }

    /// Makes the solver of a matrix.
    ///
    /// # Errors
    /// As its constructor: a setting out of range, or a row that it cannot deal with.
    pub fn make<T: Scalar>(&self, a: &SerialCsr<T>) -> Result<Box<dyn LocalSolver<T>>> {
        Ok(match *self {
            LocalSettings::Sor { sweep, omega, sweeps } => Box::new(Sor::new(a, sweep, omega, sweeps)?),
            LocalSettings::Ic => Box::new(Ic::new(a)?),
            LocalSettings::Ilu { level } => Box::new(Ilu::new(a, level)?),
            LocalSettings::Ilut { drop, fill, scaled: true } => {
                Box::new(Equilibrated::new(a, |scaled| Ilut::new(scaled, drop, fill))?)
            }
            LocalSettings::Ilut { drop, fill, scaled: false } => Box::new(Ilut::new(a, drop, fill)?),
            LocalSettings::Complete(factorization) => factorization.make(a)?,
        })
    }
}

impl Named for LocalSettings {
    fn with_defaults(name: &str) -> Result<LocalSettings> {
        Ok(name.parse::<LocalKind>()?.into())
    }

    fn name(&self) -> &'static str {
        self.kind().name()
    }

    fn fields(&mut self, fields: &mut Fields) {
        match self {
            LocalSettings::Sor { sweep, omega, sweeps } => {
                if *sweep != Sweep::Symmetric {
                    fields.word("sweep", sweep, &[("forward", Sweep::Forward), ("backward", Sweep::Backward)]);
                }
                fields.real("omega", omega);
                fields.count("sweeps", sweeps);
            }
            LocalSettings::Ilu { level } => fields.count("level", level),
            LocalSettings::Ilut { drop, fill, scaled } => {
                fields.real("drop", drop);
                fields.count("fill", fill);
                fields.word("scaled", scaled, &[("yes", true), ("no", false)]);
            }
            LocalSettings::Ic | LocalSettings::Complete(_) => {}
        }
    }

    fn check(&self) -> Result<()> {
        match *self {
            LocalSettings::Sor { omega, sweeps, .. } => sor::require(omega, sweeps),
            LocalSettings::Ilut { drop, .. } => ilut::require_drop(drop),
            LocalSettings::Ic | LocalSettings::Ilu { .. } | LocalSettings::Complete(_) => Ok(()),
        }
    }
}

text!(LocalSettings);
