//! A preconditioner with its settings, as a value and as a text.

use std::borrow::Borrow;
use std::rc::Rc;

use dolmen_core::{AdjointOperator, CsrMatrix, Identity, LinearOperator, Scalar};

use crate::choice::fields::{self, Fields, Key, Named, text};
use crate::choice::local::{Factorization, LocalKind, LocalSettings};
use crate::choice::preconditioner::PreconditionerKind;
use crate::error::{Error, Result};
use crate::multigrid::{Cycle, Multigrid, MultigridSettings};
use crate::precond::{
    Additive, AdditiveSchwarz, BlockJacobi, ChebyshevPolynomial, ColumnScaling, Direct, Jacobi, Multiplicative,
    PointBlockJacobi, Schwarz, SinglePrecision, chebyshev, composite, point_block_jacobi,
};

/// A preconditioner with its settings.
///
/// As a text it is the name, with the settings that are not at their defaults: `schwarz(overlap=2, ilu(level=1))`. A
/// local solver of each rank's block may be named alone: `ilu(2)` is `block-jacobi(ilu(2))`.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq)]
pub enum PreconditionerSettings {
    /// No preconditioner.
    None,
    /// [`Jacobi`].
    Jacobi,
    /// [`PointBlockJacobi`].
    PointBlockJacobi {
        /// Rows and columns of a block.
        order: usize,
    },
    /// [`BlockJacobi`].
    BlockJacobi {
        /// The solver of each rank's block.
        local: LocalSettings,
    },
    /// [`AdditiveSchwarz`].
    Schwarz {
        /// Layers of rows around those of a rank.
        overlap: usize,
        /// The rows of others that are dropped or added.
        form: Schwarz,
        /// The solver of each rank's overlapping block.
        local: LocalSettings,
    },
    /// [`ChebyshevPolynomial`].
    Chebyshev {
        /// The degree of the polynomial plus one: applications of the diagonal.
        degree: usize,
        /// The interval of eigenvalues of `D^-1 A`, instead of an estimate.
        interval: Option<[f64; 2]>,
    },
    /// [`Multigrid`].
    Multigrid(MultigridSettings),
    /// [`Direct`].
    Direct {
        /// The factorization on rank 0.
        factorization: Factorization,
    },
    /// [`SinglePrecision`].
    Single(Box<PreconditionerSettings>),
    /// [`Additive`].
    Additive(Vec<PreconditionerSettings>),
    /// [`Multiplicative`].
    Multiplicative(Vec<PreconditionerSettings>),
    /// [`ColumnScaling`].
    ColumnScaling,
}

impl From<PreconditionerKind> for PreconditionerSettings {
    /// Returns the preconditioner with its settings at their defaults; those that are made of parts have none.
    fn from(kind: PreconditionerKind) -> PreconditionerSettings {
        let block = |local: LocalKind| PreconditionerSettings::BlockJacobi { local: local.into() };
        match kind {
            PreconditionerKind::None => PreconditionerSettings::None,
            PreconditionerKind::Jacobi => PreconditionerSettings::Jacobi,
            PreconditionerKind::PointBlockJacobi => PreconditionerSettings::PointBlockJacobi { order: 1 },
            PreconditionerKind::Sor => block(LocalKind::Sor),
            PreconditionerKind::Ssor => block(LocalKind::Ssor),
            PreconditionerKind::Ic => block(LocalKind::Ic),
            PreconditionerKind::Ilu => block(LocalKind::Ilu),
            PreconditionerKind::Ilut => block(LocalKind::Ilut),
            PreconditionerKind::BlockJacobi => block(LocalKind::Lu),
            PreconditionerKind::Schwarz => {
                PreconditionerSettings::Schwarz { overlap: 1, form: Schwarz::Restricted, local: LocalKind::Ilu.into() }
            }
            PreconditionerKind::Chebyshev => PreconditionerSettings::Chebyshev { degree: 4, interval: None },
            PreconditionerKind::Multigrid => PreconditionerSettings::Multigrid(MultigridSettings::default()),
            PreconditionerKind::Direct => PreconditionerSettings::Direct { factorization: Factorization::Lu },
            PreconditionerKind::Single => PreconditionerSettings::Single(Box::new(PreconditionerSettings::None)),
            PreconditionerKind::Additive => PreconditionerSettings::Additive(Vec::new()),
            PreconditionerKind::Multiplicative => PreconditionerSettings::Multiplicative(Vec::new()),
            PreconditionerKind::ColumnScaling => PreconditionerSettings::ColumnScaling,
        }
    }
}

/// The value that `single` takes, in words.
const INNER: &str = "a preconditioner, with its settings";

/// A preconditioner, its adjoint included.
type Made<'a, T> = Box<dyn AdjointOperator<T> + 'a>;

impl PreconditionerSettings {
    /// Returns the kind of preconditioner.
    pub const fn kind(&self) -> PreconditionerKind {
        match self {
            PreconditionerSettings::None => PreconditionerKind::None,
            PreconditionerSettings::Jacobi => PreconditionerKind::Jacobi,
            PreconditionerSettings::PointBlockJacobi { .. } => PreconditionerKind::PointBlockJacobi,
            PreconditionerSettings::BlockJacobi { local } => match local.kind() {
                LocalKind::Sor => PreconditionerKind::Sor,
                LocalKind::Ssor => PreconditionerKind::Ssor,
                LocalKind::Ic => PreconditionerKind::Ic,
                LocalKind::Ilu => PreconditionerKind::Ilu,
                LocalKind::Ilut => PreconditionerKind::Ilut,
                LocalKind::Lu | LocalKind::Cholesky | LocalKind::Ldlt => PreconditionerKind::BlockJacobi,
            },
            PreconditionerSettings::Schwarz { .. } => PreconditionerKind::Schwarz,
            PreconditionerSettings::Chebyshev { .. } => PreconditionerKind::Chebyshev,
            PreconditionerSettings::Multigrid(_) => PreconditionerKind::Multigrid,
            PreconditionerSettings::Direct { .. } => PreconditionerKind::Direct,
            PreconditionerSettings::Single(_) => PreconditionerKind::Single,
            PreconditionerSettings::Additive(_) => PreconditionerKind::Additive,
            PreconditionerSettings::Multiplicative(_) => PreconditionerKind::Multiplicative,
            PreconditionerSettings::ColumnScaling => PreconditionerKind::ColumnScaling,
        }
    }

    /// Returns the keys of its text, with their values.
    pub fn keys(&self) -> Vec<Key> {
        fields::list(self)
    }

    /// Returns whether it is the same, to the bit, on any number of ranks. The others are made of the ranks' blocks.
    pub fn is_same_on_any_ranks(&self) -> bool {
        match self {
            PreconditionerSettings::BlockJacobi { .. } | PreconditionerSettings::Schwarz { .. } => false,
            PreconditionerSettings::Single(inner) => inner.is_same_on_any_ranks(),
            PreconditionerSettings::Additive(parts) | PreconditionerSettings::Multiplicative(parts) => {
                parts.iter().all(PreconditionerSettings::is_same_on_any_ranks)
            }
            _ => true,
        }
    }

    /// Returns whether it is Hermitian where the matrix is, by its construction. What is rounded to single precision is
    /// not, to double precision.
    pub fn is_hermitian(&self) -> bool {
        match self {
            PreconditionerSettings::BlockJacobi { local } => local.is_hermitian(),
            PreconditionerSettings::Direct { factorization } => *factorization != Factorization::Lu,
            PreconditionerSettings::Schwarz { form, local, .. } => *form == Schwarz::Symmetric && local.is_hermitian(),
            PreconditionerSettings::Single(_) => false,
            PreconditionerSettings::Additive(parts) => parts.iter().all(PreconditionerSettings::is_hermitian),
            PreconditionerSettings::Multiplicative(parts) => {
                parts.iter().eq(parts.iter().rev()) && parts.iter().all(PreconditionerSettings::is_hermitian)
            }
            _ => true,
        }
    }

    /// Returns what the preconditioner is, for people, unless its name says all.
    pub fn title(&self) -> Option<String> {
        Some(match self {
            PreconditionerSettings::Jacobi => "division by the diagonal".to_owned(),
            PreconditionerSettings::PointBlockJacobi { order } => {
                format!("division by diagonal blocks of order {order}")
            }
            PreconditionerSettings::BlockJacobi { local } => match local {
                LocalSettings::Sor { .. } => format!("{} on each rank's rows", local.title()),
                _ => format!("{} of each rank's block", local.title()),
            },
            PreconditionerSettings::Schwarz { overlap, form, local } => {
                let form = if *form == Schwarz::Restricted { "restricted" } else { "symmetric" };
                format!("{} of each rank's block with an overlap of {overlap}, {form}", local.title())
            }
            PreconditionerSettings::Chebyshev { degree, .. } => format!("Chebyshev polynomial of degree {degree}"),
            PreconditionerSettings::Multigrid(MultigridSettings { block, cycle, .. }) => {
                let nodes = if *block > 1 { format!(" of nodes of {block} unknowns") } else { String::new() };
                format!("smoothed aggregation{nodes}, {cycle:?} cycle")
            }
            PreconditionerSettings::Direct { factorization } => {
                format!("{} factorization of the whole matrix on one rank", factorization.title())
            }
            PreconditionerSettings::Single(inner) => {
                format!("{} in single precision", inner.title().unwrap_or_else(|| inner.to_string()))
            }
            _ => return None,
        })
    }

    /// Makes the preconditioner of a matrix; `None` for [`PreconditionerSettings::None`].
    ///
    /// # Collective
    /// All ranks have the same settings.
    ///
    /// # Errors
    /// As the constructor of the preconditioner: a setting out of range, a row that it cannot deal with; the same on
    /// all ranks.
    pub fn make<'a, T: Scalar>(&self, a: &'a CsrMatrix<T>) -> Result<Option<Made<'a, T>>> {
        self.make_of(a)
    }

    /// Works like [`PreconditionerSettings::make`], and shares the matrix where the preconditioner keeps it.
    ///
    /// # Collective
    /// All ranks have the same settings.
    ///
    /// # Errors
    /// As [`PreconditionerSettings::make`].
    pub fn make_shared<T: Scalar>(&self, a: &Rc<CsrMatrix<T>>) -> Result<Option<Made<'static, T>>> {
        self.make_of(Rc::clone(a))
    }

    fn make_of<'a, T, A>(&self, shared: A) -> Result<Option<Made<'a, T>>>
    where
        T: Scalar,
        A: AdjointOperator<T> + Borrow<CsrMatrix<T>> + Clone + 'a,
    {
        let a: &CsrMatrix<T> = shared.borrow();
        Ok(Some(match self {
            PreconditionerSettings::None => return Ok(None),
            PreconditionerSettings::Jacobi => Box::new(Jacobi::new(a)?),
            PreconditionerSettings::PointBlockJacobi { order } => Box::new(PointBlockJacobi::new(a, *order)?),
            PreconditionerSettings::BlockJacobi { local } => Box::new(BlockJacobi::new(a, |block| local.make(block))?),
            PreconditionerSettings::Schwarz { overlap, form, local } => {
                Box::new(AdditiveSchwarz::new(a, *overlap, *form, |block| local.make(block))?)
            }
            PreconditionerSettings::Chebyshev { degree, interval: None } => {
                Box::new(ChebyshevPolynomial::new(shared, *degree)?)
            }
            PreconditionerSettings::Chebyshev { degree, interval: Some(interval) } => {
                Box::new(ChebyshevPolynomial::on_interval(shared, *degree, *interval)?)
            }
            PreconditionerSettings::Multigrid(settings) => Box::new(Multigrid::with_settings(a, settings.clone())?),
            PreconditionerSettings::Direct { factorization } => {
                Box::new(Direct::factor_with(a, |whole| factorization.make(whole))?)
            }
            PreconditionerSettings::Single(inner) => Box::new(SinglePrecision::new(a, |single| {
                Ok(inner.make_of(Rc::clone(&single))?.unwrap_or_else(|| Box::new(Identity::new(single.domain()))))
            })?),
            PreconditionerSettings::Additive(parts) => Box::new(Additive::new(made(parts, &shared)?)?),
            PreconditionerSettings::Multiplicative(parts) => {
                let parts = made(parts, &shared)?;
                Box::new(Multiplicative::new(shared, parts)?)
            }
            PreconditionerSettings::ColumnScaling => Box::new(ColumnScaling::new(a)?),
        }))
    }
}

/// Makes the parts of a preconditioner.
fn made<'a, T, A>(parts: &[PreconditionerSettings], a: &A) -> Result<Vec<Made<'a, T>>>
where
    T: Scalar,
    A: AdjointOperator<T> + Borrow<CsrMatrix<T>> + Clone + 'a,
{
    let identity = || -> Made<'a, T> { Box::new(Identity::new(a.domain())) };
    parts.iter().map(|part| Ok(part.make_of(a.clone())?.unwrap_or_else(identity))).collect()
}

impl Named for PreconditionerSettings {
    fn with_defaults(name: &str) -> Result<PreconditionerSettings> {
        Ok(name.parse::<PreconditionerKind>()?.into())
    }

    fn name(&self) -> &'static str {
        self.kind().name()
    }

    fn fields(&mut self, fields: &mut Fields) {
        let names = LocalKind::ALL.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ");
        let local_solver = format!("one of {names}, with its settings");
        match self {
            PreconditionerSettings::PointBlockJacobi { order } => fields.count("order", order),
            PreconditionerSettings::BlockJacobi { local: local @ LocalSettings::Complete(_) } => {
                fields.nested("local", local_solver, local);
            }
            PreconditionerSettings::BlockJacobi { local } => local.fields(fields),
            PreconditionerSettings::Schwarz { overlap, form, local } => {
                fields.count("overlap", overlap);
                fields.word("form", form, &[("restricted", Schwarz::Restricted), ("symmetric", Schwarz::Symmetric)]);
                fields.nested("local", local_solver, local);
            }
            PreconditionerSettings::Chebyshev { degree, interval } => {
                fields.count("degree", degree);
                fields.interval(["lower", "upper"], interval);
            }
            PreconditionerSettings::Multigrid(settings) => {
                fields.count("degree", &mut settings.degree);
                fields.real("threshold", &mut settings.threshold);
                fields.word("cycle", &mut settings.cycle, &[("v", Cycle::V), ("w", Cycle::W)]);
                fields.count("coarsest", &mut settings.coarsest);
                fields.count("levels", &mut settings.levels);
                fields.count("block", &mut settings.block);
            }
            PreconditionerSettings::Direct { factorization } => {
                fields.word("factorization", factorization, &Factorization::WORDS);
            }
            PreconditionerSettings::Single(inner) => {
                fields.nested("preconditioner", INNER.to_owned(), &mut **inner);
            }
            PreconditionerSettings::Additive(parts) | PreconditionerSettings::Multiplicative(parts) => {
                fields.parts("preconditioners, with their settings", parts);
            }
            PreconditionerSettings::None | PreconditionerSettings::Jacobi | PreconditionerSettings::ColumnScaling => {}
        }
    }

    fn check(&self) -> Result<()> {
        match self {
            PreconditionerSettings::PointBlockJacobi { order } => point_block_jacobi::require_order(*order),
            PreconditionerSettings::BlockJacobi { local } | PreconditionerSettings::Schwarz { local, .. } => {
                local.check()
            }
            PreconditionerSettings::Chebyshev { degree, interval } => {
                chebyshev::require_degree(*degree)?;
                interval.map_or(Ok(()), chebyshev::require_interval)
            }
            PreconditionerSettings::Multigrid(settings) => settings.check(),
            PreconditionerSettings::Single(inner) => match **inner {
                PreconditionerSettings::None => Err(Error::BadValue {
                    name: self.kind().name(),
                    key: "preconditioner".to_owned(),
                    value: inner.to_string(),
                    expected: INNER.to_owned(),
                }),
                _ => inner.check(),
            },
            PreconditionerSettings::Additive(parts) => composite::first_of(composite::ADDITIVE, parts).map(|_| ()),
            PreconditionerSettings::Multiplicative(parts) => {
                composite::first_of(composite::MULTIPLICATIVE, parts).map(|_| ())
            }
            _ => Ok(()),
        }
    }
}

text!(PreconditionerSettings);
