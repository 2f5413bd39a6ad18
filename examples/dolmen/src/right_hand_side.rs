//! The right-hand side of a system: from a file, or one whose solution is known.

use dolmen_core::scaling::{exponent, largest, scaled};
use dolmen_core::{Complex64, CsrMatrix, LinearOperator, Real, Scalar, Vector};

use crate::error::Result;

/// The power of two of the entries of a solution with which no row sum overflows.
const SMALL: i32 = -64;

/// A right-hand side, and what is known of it.
pub(crate) struct RightHandSide<T> {
    pub(crate) vector: Vector<T>,
    /// The solution, or one of them, if it was chosen first.
    pub(crate) solution: Option<Vector<T>>,
    /// Origin, in words.
    pub(crate) origin: String,
}

impl<T: Scalar> RightHandSide<T> {
    /// Returns the right-hand side of a file.
    pub(crate) fn given(vector: Vector<T>, origin: String) -> RightHandSide<T> {
        RightHandSide { vector, solution: None, origin }
    }

    /// Returns `A * ones`; where rows sum to zero, `A` times a ramp that is orthogonal to ones. Where a row sum could
    /// overflow, `A` times a constant vector that is so small that none does. The known solution is zero in empty
    /// columns, where any number would do.
    ///
    /// # Collective
    pub(crate) fn of_known_solution(a: &CsrMatrix<T>) -> Result<RightHandSide<T>> {
        let mut vector = Vector::zeros(a.range());
        if !rows_sum_to_zero(a) {
            let (power, origin) = match a.norm_inf().is_infinite() {
                false => (0, "A * ones".to_owned()),
                true => (SMALL, format!("A * y with y = 2^{SMALL} in all places, since A * ones could overflow")),
            };
            let constant = with_empty_columns_zero(a, |_| scaled(T::ONE, power))?;
            a.apply(&constant, &mut vector)?;
            return Ok(RightHandSide { vector, solution: Some(constant), origin });
        }
        let last = a.domain().global_len().saturating_sub(1).max(1) as f64;
        let ramp = with_empty_columns_zero(a, |row| T::from_parts(2.0 * (row as f64 / last) - 1.0, 0.0))?;
        a.apply(&ramp, &mut vector)?;
        let origin = "A * y with y from -1 to 1 in equal steps, since A * ones is zero".to_owned();
        Ok(RightHandSide { vector, solution: Some(ramp), origin })
    }
}

/// Creates a vector with entries for the columns of a matrix, those of empty ones zero.
///
/// # Collective
fn with_empty_columns_zero<T: Scalar>(a: &CsrMatrix<T>, entry: impl Fn(u64) -> T) -> Result<Vector<T>> {
    let mut vector = Vector::zeros(a.domain());
    for (value, column) in vector.owned_mut().iter_mut().zip(a.adjoint()?.rows()) {
        let is_empty = column.values().iter().all(|entry| *entry == T::ZERO);
        *value = if is_empty { T::ZERO } else { entry(column.index()) };
    }
    Ok(vector)
}

/// Returns true if the entries of each row cancel to rounding, and there are some.
///
/// # Collective
fn rows_sum_to_zero<T: Scalar>(a: &CsrMatrix<T>) -> bool {
    let cancels = |values: &[T]| {
        // Near one, so that no sum overflows.
        let power = -exponent(largest(values));
        let sum: T = values.iter().map(|&value| scaled(value, power)).sum();
        let size: f64 = values.iter().map(|value| scaled(value.abs().to_f64(), power)).sum();
        sum.abs().to_f64() <= values.len() as f64 * T::Real::EPSILON.to_f64() * size
    };
    let mut holds = [u64::from(a.rows().all(|row| cancels(row.values())))];
    a.range().comm().all_reduce_min(&mut holds);
    holds == [1] && a.norm_inf() > 0.0
}

/// Returns a real matrix as one of complex numbers.
///
/// # Collective
pub(crate) fn complex(a: &CsrMatrix<f64>) -> Result<CsrMatrix<Complex64>> {
    let mut rows = a.rows();
    Ok(CsrMatrix::from_rows(a.range(), a.domain(), |_, entries| {
        let row = rows.next().expect("invariant: as many rows");
        row.entries().for_each(|(column, value)| entries.push(column, Complex64::new(value, 0.0)));
    })?)
}
