//! Properties of a matrix, from its entries, by which a method is chosen.
//!
//! Everything is found in one pass over the rows of the matrix and those of its adjoint, which every
//! rank has for its own columns, and a few reductions.

use dolmen_core::scaling::{exponent, scaled};
use dolmen_core::{Comm, CsrMatrix, Gid, LinearOperator, MatrixRow, Real, Scalar};

use crate::error::Result;

/// Sizes, symmetries, dominance and norms of a matrix.
///
/// Symmetries hold to rounding: two entries count as equal if they differ by at most `eps^(3/4)` times the
/// largest entry of their rows and columns, taken for either of them alone. For rectangular matrices
/// they are false, and whatever concerns the diagonal is zero.
#[non_exhaustive]
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Analysis {
    /// Rows.
    pub rows: u64,
    /// Columns.
    pub columns: u64,
    /// Stored entries.
    pub entries: u64,
    /// Stored entries that are zero.
    pub stored_zeros: u64,
    /// Most stored entries of a row.
    pub longest_row: u64,
    /// The first row with an entry that is NaN or infinite.
    pub not_finite: Option<Gid>,
    /// Frobenius norm.
    pub norm_frobenius: f64,
    /// Largest sum of absolute values of a column.
    pub norm_one: f64,
    /// Largest sum of absolute values of a row.
    pub norm_inf: f64,
    /// Least sum of absolute values of a row that is not zero; infinite if there is none.
    pub smallest_row: f64,
    /// Least sum of absolute values of a column that is not zero; infinite if there is none.
    pub smallest_column: f64,
    /// True if entries are complex numbers.
    pub complex: bool,
    /// True if `A = A^H`; for real matrices the same as `symmetric`.
    pub hermitian: bool,
    /// True if `A = A^T`.
    pub symmetric: bool,
    /// True if `A = -A^T`.
    pub skew_symmetric: bool,
    /// True if for each stored entry the transposed one is stored too.
    pub symmetric_pattern: bool,
    /// Furthest stored entry below the diagonal, in places.
    pub lower_bandwidth: u64,
    /// Furthest stored entry above the diagonal, in places.
    pub upper_bandwidth: u64,
    /// Entries of the diagonal that are real and positive.
    pub positive_diagonal: u64,
    /// Entries of the diagonal that are real and negative.
    pub negative_diagonal: u64,
    /// Entries of the diagonal that are zero or not stored.
    pub zero_diagonal: u64,
    /// Rows whose diagonal entry is at least as large as the sum of all others, in absolute values.
    pub dominant_rows: u64,
    /// Least ratio, over the rows, of the diagonal entry to the sum of all others, in absolute values;
    /// infinite without others.
    pub dominance: f64,
    /// Rows without an entry that is not zero.
    pub zero_rows: u64,
    /// Columns without an entry that is not zero.
    pub zero_columns: u64,
    /// True if each row sums to zero, to rounding: constants are in the null space.
    pub zero_row_sums: bool,
    /// True if each column sums to zero, to rounding.
    pub zero_column_sums: bool,
}

impl Analysis {
    /// Looks at all entries, and at those of the adjoint of `a`, which is not kept.
    ///
    /// # Collective
    ///
    /// # Errors
    /// As [`CsrMatrix::adjoint`].
    pub fn new<T: Scalar>(a: &CsrMatrix<T>) -> Result<Analysis> {
        Ok(Analysis::with_adjoint(a, &*a.adjoint_once()?))
    }

    /// Looks at all entries of a matrix and its adjoint.
    ///
    /// # Collective
    pub(crate) fn with_adjoint<T: Scalar>(a: &CsrMatrix<T>, adjoint: &CsrMatrix<T>) -> Analysis {
        let (rows, columns) = (a.range().global_len(), a.domain().global_len());
        let mut tally = Tally::default();
        a.rows().for_each(|row| tally.row(&row));
        adjoint.rows().for_each(|column| tally.column(&column));
        if rows == columns && a.range() == a.domain() {
            a.rows().zip(adjoint.rows()).for_each(|(row, column)| tally.both(&row, &column));
        } else {
            (tally.differ, tally.dominance) = ([true; 4], 0.0);
        }
        let mut analysis = tally.total(a.range().comm());
        (analysis.rows, analysis.columns, analysis.entries) = (rows, columns, a.global_entries());
        analysis.norm_frobenius = a.norm_frobenius();
        analysis.norm_one = adjoint.norm_inf();
        analysis.norm_inf = a.norm_inf();
        analysis.complex = T::COMPLEX;
        analysis
    }

    /// Returns true if there are as many rows as columns.
    pub fn is_square(&self) -> bool {
        self.rows == self.columns
    }

    /// Returns the larger of both bandwidths.
    pub fn bandwidth(&self) -> u64 {
        self.lower_bandwidth.max(self.upper_bandwidth)
    }

    /// Returns the strongest symmetry: `symmetric`, `Hermitian`, `skew-symmetric` or `general`.
    pub fn symmetry(&self) -> &'static str {
        match self {
            Analysis { symmetric: true, .. } => "symmetric",
            Analysis { hermitian: true, .. } => "Hermitian",
            Analysis { skew_symmetric: true, .. } => "skew-symmetric",
            _ => "general",
        }
    }
}

/// Counts of one rank.
struct Tally {
    zeros: u64,
    longest: u64,
    first_bad: u64,
    /// Not Hermitian, symmetric, skew-symmetric, of symmetric pattern.
    differ: [bool; 4],
    bandwidths: [u64; 2],
    /// Positive, negative, zero.
    diagonal: [u64; 3],
    dominant: u64,
    dominance: f64,
    /// Of a row, of a column.
    smallest: [f64; 2],
    /// Zero rows, zero columns.
    empty: [u64; 2],
    /// A row, a column that does not sum to zero.
    sums: [bool; 2],
}

impl Default for Tally {
    fn default() -> Tally {
        Tally {
            zeros: 0,
            longest: 0,
            first_bad: u64::MAX,
            differ: [false; 4],
            bandwidths: [0; 2],
            diagonal: [0; 3],
            dominant: 0,
            dominance: f64::INFINITY,
            smallest: [f64::INFINITY; 2],
            empty: [0; 2],
            sums: [false; 2],
        }
    }
}

/// Returns the absolute values of a row: their largest and their sum.
fn sizes<T: Scalar>(row: &MatrixRow<'_, T>) -> (f64, f64) {
    let sizes = row.values().iter().map(|value| value.abs().to_f64());
    sizes.fold((0.0, 0.0), |(largest, sum), size| (size.max(largest), sum + size))
}

/// Returns the sum of the absolute values of a row whose largest is near one, and the power of two that all were
/// multiplied by, so that the sum does not overflow.
fn size_near_one<T: Scalar>(row: &MatrixRow<'_, T>) -> (f64, i32) {
    let power = -exponent(sizes(row).0);
    (row.values().iter().map(|value| scaled(value.abs().to_f64(), power)).sum(), power)
}

/// Returns true if the entries of a row cancel, to rounding.
fn sums_to_zero<T: Scalar>(row: &MatrixRow<'_, T>) -> bool {
    let (size, power) = size_near_one(row);
    let sum: T = row.values().iter().map(|&value| scaled(value, power)).sum();
    let rounding = row.values().len() as f64 * T::Real::EPSILON.to_f64();
    sum.is_finite() && sum.abs().to_f64() <= rounding * size
}

impl Tally {
    fn row<T: Scalar>(&mut self, row: &MatrixRow<'_, T>) {
        self.zeros += row.values().iter().filter(|value| **value == T::ZERO).count() as u64;
        self.longest = self.longest.max(row.values().len() as u64);
        if !row.values().iter().all(|value| value.is_finite()) {
            self.first_bad = self.first_bad.min(row.index());
        }
        for column in row.columns() {
            self.bandwidths[0] = self.bandwidths[0].max(row.index().saturating_sub(column));
            self.bandwidths[1] = self.bandwidths[1].max(column.saturating_sub(row.index()));
        }
        self.line(0, row);
    }

    fn column<T: Scalar>(&mut self, column: &MatrixRow<'_, T>) {
        self.line(1, column);
    }

    /// Counts of rows (0) and of columns (1).
    fn line<T: Scalar>(&mut self, kind: usize, line: &MatrixRow<'_, T>) {
        let sum = sizes(line).1;
        self.empty[kind] += u64::from(sum == 0.0);
        self.sums[kind] |= !sums_to_zero(line);
        self.smallest[kind] = self.smallest[kind].min(if sum > 0.0 { sum } else { f64::INFINITY });
    }

    /// Compares a row of a square matrix to the same row of its adjoint.
    fn both<T: Scalar>(&mut self, row: &MatrixRow<'_, T>, adjoint: &MatrixRow<'_, T>) {
        let equal = T::Real::EPSILON.to_f64().powf(0.75) * sizes(row).0.max(sizes(adjoint).0);
        let mut compare = |value: T, adjoint: T| {
            for (differs, other) in self.differ.iter_mut().zip([adjoint, adjoint.conj(), -adjoint.conj()]) {
                *differs |= (value - other).abs().to_f64() > equal;
            }
        };
        let (mut ours, mut theirs) = (row.entries().peekable(), adjoint.entries().peekable());
        let mut lonely = false;
        while let Some(column) = ours.peek().into_iter().chain(theirs.peek()).map(|(column, _)| *column).min() {
            let one = ours.next_if(|(own, _)| *own == column).map(|(_, value)| value);
            let other = theirs.next_if(|(own, _)| *own == column).map(|(_, value)| value);
            lonely |= one.is_none() || other.is_none();
            compare(one.unwrap_or(T::ZERO), other.unwrap_or(T::ZERO));
        }
        self.differ[3] |= lonely;
        self.diagonal(row, equal);
    }

    fn diagonal<T: Scalar>(&mut self, row: &MatrixRow<'_, T>, negligible: f64) {
        let diagonal = row.entries().find(|(column, _)| *column == row.index()).map_or(T::ZERO, |(_, value)| value);
        let (re, real) = (diagonal.re().to_f64(), diagonal.im().to_f64().abs() <= negligible);
        let kinds = [real && re > 0.0, real && re < 0.0, diagonal == T::ZERO];
        self.diagonal.iter_mut().zip(kinds).for_each(|(count, is)| *count += u64::from(is));
        let (sum, power) = size_near_one(row);
        let size = scaled(diagonal.abs().to_f64(), power);
        let rounding = row.values().len() as f64 * T::Real::EPSILON.to_f64() * sum;
        let others = sum - size;
        self.dominant += u64::from(size >= others - rounding);
        self.dominance = self.dominance.min(if others > rounding { size / others } else { f64::INFINITY });
    }

    /// Returns the facts from the counts of all ranks.
    fn total(&self, comm: &Comm) -> Analysis {
        let [positive, negative, zero] = self.diagonal;
        let mut sums = [self.zeros, positive, negative, zero, self.dominant, self.empty[0], self.empty[1]];
        let flags = self.differ.iter().chain(&self.sums).map(|&flag| u64::from(flag));
        let mut largest: Vec<u64> = self.bandwidths.into_iter().chain([self.longest]).chain(flags).collect();
        let (mut first, mut least) = ([self.first_bad], [self.dominance, self.smallest[0], self.smallest[1]]);
        comm.all_reduce_sum(&mut sums);
        comm.all_reduce_max(&mut largest);
        comm.all_reduce_min(&mut first);
        comm.all_reduce_min(&mut least);
        let holds = |at: usize| largest[at] == 0;
        Analysis {
            stored_zeros: sums[0],
            positive_diagonal: sums[1],
            negative_diagonal: sums[2],
            zero_diagonal: sums[3],
            dominant_rows: sums[4],
            zero_rows: sums[5],
            zero_columns: sums[6],
            lower_bandwidth: largest[0],
            upper_bandwidth: largest[1],
            longest_row: largest[2],
            hermitian: holds(3),
            symmetric: holds(4),
            skew_symmetric: holds(5),
            symmetric_pattern: holds(6),
            zero_row_sums: holds(7),
            zero_column_sums: holds(8),
            not_finite: (first[0] != u64::MAX).then_some(first[0]),
            dominance: least[0],
            smallest_row: least[1],
            smallest_column: least[2],
            ..Analysis::default()
        }
    }
}
