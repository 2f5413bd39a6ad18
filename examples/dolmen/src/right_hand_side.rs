//! The right-hand side of a system: from a file, or one whose solution is known.

use std::io::{BufRead, BufReader};
use std::path::Path;

use dolmen_core::scaling::{exponent, largest, scaled};
use dolmen_core::{Complex64, CsrMatrix, Layout, LinearOperator, MultiVector, Real, Scalar, Vector};
use dolmen_io::Vectors;
use flate2::read::MultiGzDecoder;

use crate::error::Result;
use crate::input::read_vectors;
use crate::location::Location;

/// The power of two of the entries of a solution with which no row sum overflows.
const SMALL: i32 = -64;

/// The only vector of a file.
pub(crate) enum Column {
    Real(Vector<f64>),
    Complex(Vector<Complex64>),
}

/// A right-hand side, and what is known of it.
pub(crate) struct RightHandSide<T> {
    pub(crate) vector: Vector<T>,
    /// The solution, or one of them, if it was chosen first.
    pub(crate) solution: Option<Vector<T>>,
    /// Where it comes from.
    pub(crate) origin: String,
}

/// Reads the right-hand side from a file of one column.
///
/// # Collective
pub(crate) fn read(location: &Location, rows: &Layout) -> Result<Column> {
    let (vectors, _) = read_vectors(location, rows)?;
    Ok(match vectors {
        Vectors::Real(vectors) => Column::Real(only(location, &vectors)?),
        Vectors::Complex(vectors) => Column::Complex(only(location, &vectors)?),
    })
}

fn only<T: Scalar>(location: &Location, vectors: &MultiVector<T>) -> Result<Vector<T>> {
    if vectors.columns() != 1 {
        let what = format!("has {} columns; a right-hand side has one", vectors.columns());
        return Err(location.error(what));
    }
    let mut vector = Vector::zeros(vectors.layout());
    vectors.copy_column_to(0, &mut vector)?;
    require_finite(location, &vector)?;
    Ok(vector)
}

/// Refuses NaN and infinity, for which no system can be solved.
fn require_finite<T: Scalar>(location: &Location, vector: &Vector<T>) -> Result<()> {
    let comm = vector.layout().comm();
    let found = vector.range().zip(vector.owned()).find(|(_, value)| !value.is_finite());
    let mut first = [found.map_or(u64::MAX, |(row, _)| row)];
    comm.all_reduce_min(&mut first);
    if first == [u64::MAX] {
        return Ok(());
    }
    // One rank looks for the line.
    let refused = if comm.rank() > 0 {
        Ok(())
    } else {
        let place = line_not_finite(&location.file)
            .map_or(format!("entry {}, counted from 0,", first[0]), |line| format!("line {line}"));
        Err(location.error(format!("{place} is NaN or infinite; no x solves such a system")))
    };
    Ok(comm.agree(refused)?)
}

/// The first line of a MatrixMarket file with a value that is NaN or infinite, counted from 1.
fn line_not_finite(path: &Path) -> Option<usize> {
    let mut stored = BufReader::new(std::fs::File::open(path).ok()?);
    let is_packed = stored.fill_buf().ok()?.starts_with(&[0x1f, 0x8b]);
    let text: Box<dyn BufRead> =
        if is_packed { Box::new(BufReader::new(MultiGzDecoder::new(stored))) } else { Box::new(stored) };
    // It was read before: a line that is not text is none to look for.
    let mut lines = text.lines().map_while(Result::ok).zip(1..);
    let (first, _) = lines.next().filter(|(line, _)| line.starts_with("%%MatrixMarket"))?;
    let indices = if first.contains("coordinate") { 2 } else { 0 };
    let lines = lines.filter(|(line, _)| !line.starts_with('%') && !line.trim().is_empty());
    let is_bad = |word: &str| word.parse().is_ok_and(|value: f64| !value.is_finite());
    // The first of them has the sizes.
    lines.skip(1).find(|(line, _)| line.split_whitespace().skip(indices).any(is_bad)).map(|(_, number)| number)
}

impl Column {
    /// As complex numbers.
    pub(crate) fn complex(&self) -> Vector<Complex64> {
        match self {
            Column::Real(vector) => {
                let mut entries = vector.owned().iter();
                Vector::from_fn(vector.layout(), |_| {
                    Complex64::new(*entries.next().expect("invariant: as many entries"), 0.0)
                })
            }
            Column::Complex(vector) => vector.clone(),
        }
    }
}

impl<T: Scalar> RightHandSide<T> {
    /// The right-hand side of a file.
    pub(crate) fn given(vector: Vector<T>, location: &Location) -> RightHandSide<T> {
        RightHandSide { vector, solution: None, origin: location.to_string() }
    }

    /// `A * ones`; where rows sum to zero, `A` times a ramp that is orthogonal to ones. Where a row sum could
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

/// A vector with entries for the columns of a matrix, those of empty ones zero.
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

/// Whether the entries of each row cancel to rounding, and there are some.
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

/// A real matrix as one of complex numbers.
///
/// # Collective
pub(crate) fn complex(a: &CsrMatrix<f64>) -> Result<CsrMatrix<Complex64>> {
    let mut rows = a.rows();
    Ok(CsrMatrix::from_rows(a.range(), a.domain(), |_, entries| {
        let row = rows.next().expect("invariant: as many rows");
        row.entries().for_each(|(column, value)| entries.push(column, Complex64::new(value, 0.0)));
    })?)
}
