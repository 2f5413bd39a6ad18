//! Test that the columns of a tall matrix are independent, so that its least-squares problem has one solution.
//!
//! Scaled columns lead to another solution than the shortest one where they are not. The iterations cannot
//! tell: they never see a null space. A Cholesky factorization of `A^H A`, of the columns scaled to one length,
//! can, for the price of its size: it is made for up to 2000 columns.

use dolmen_core::{CsrMatrix, LinearOperator, Real, Scalar};

use crate::analysis::Analysis;
use crate::error::{Error, Result};
use crate::precond::{Cholesky, ColumnScaling, Direct};

/// Columns up to which independence is looked at.
const COLUMNS: u64 = 2000;
/// Products of entries up to which `A^H A` is made.
const PRODUCTS: u64 = 10_000_000_000;

/// The linear independence of the columns of a matrix, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Independence {
    /// They are independent, clearly so beside rounding.
    Proven,
    /// They depend on each other, or nearly so.
    Doubtful,
    /// Not examined, as that would take too long.
    Unknown,
}

/// Looks at the columns of a matrix with more rows than columns; of others they are of no interest.
///
/// # Collective
pub(super) fn of_columns<T: Scalar>(a: &CsrMatrix<T>, facts: &Analysis) -> Result<Independence> {
    let products = facts.rows.saturating_mul(facts.longest_row.saturating_mul(facts.longest_row));
    if facts.rows <= facts.columns || facts.columns > COLUMNS || products > PRODUCTS {
        return Ok(Independence::Unknown);
    }
    if facts.zero_columns > 0 {
        return Ok(Independence::Doubtful);
    }
    let (mut scaled, mut adjoint) = (a.clone(), a.adjoint()?.clone());
    let scaling = ColumnScaling::new(a)?;
    let factors = scaling.as_diagonal().expect("invariant: a scaling is diagonal");
    scaled.scale_columns(factors)?;
    adjoint.scale_rows(factors)?;
    let gram = adjoint.multiply(&scaled)?;
    // Beyond this the smallest pivots may be rounding errors of products.
    let largest = T::Real::EPSILON.to_f64().powf(-0.75);
    let factored = Direct::factor_with(&gram, |whole| {
        let factored = Cholesky::new(whole)?;
        let condition = factored.condition();
        if condition <= largest { Ok(factored) } else { Err(Error::Singular { method: "Cholesky", condition }) }
    });
    Ok(if factored.is_ok() { Independence::Proven } else { Independence::Doubtful })
}
