//! Orthonormal columns: `X = Q R`, with Q in the place of X and R, upper triangular with a real
//! diagonal that is not negative, on every rank. For independent columns Q and R are unique.
//!
//! [`MultiVector::tsqr`] is backward stable for any columns: Householder QR on each rank, then QR of
//! the stacked triangles on one rank (Demmel, Grigori, Hoemmen, Langou, "Communication-optimal
//! parallel and sequential QR and LU factorizations", SIAM J. Sci. Comput. 34 (2012) A206). It gives
//! the same bits every time on the same ranks, but on another number of ranks it factors other
//! blocks, so Q and R agree to rounding only.
//!
//! [`MultiVector::cholesky_qr2`] has the same bits on any number of ranks: the Gram matrix is summed
//! reproducibly, and everything else acts on small matrices or on rows, in one order. It needs
//! columns with a condition number below about `1 / sqrt(epsilon)`, and says so when they are not
//! (Yamamoto, Nakatsukasa, Yanagisawa, Fukaya, "Roundoff error analysis of the CholeskyQR2
//! algorithm", ETNA 44 (2015) 306).

use ndarray::{Array2, ArrayView2, ShapeBuilder};

use crate::blas::MAX_DIMENSION;
use crate::error::{Error, Result};
use crate::index::local;
use crate::layout::Layout;
use crate::multi_vector::MultiVector;
use crate::multi_vector::block::ROWS_AT_ONCE;
use crate::multi_vector::block::require_blas_size;
use crate::profile;
use crate::reduce::Reduction;
use crate::scalar::{Real, Scalar};
use crate::simd;

/// The rank that factors the stacked triangles; the others get its very bits.
const ROOT: usize = 0;

/// `2^-40`: columns with entries of at most this size, or at least its inverse, are scaled before
/// their squares are summed.
const SMALL: f64 = 1.0 / (1u64 << 40) as f64;

impl<T: Scalar> MultiVector<T> {
    /// Factors by Householder reflections, for any columns: `self` becomes Q, R is returned.
    ///
    /// # Collective
    /// The ranks compare their numbers of columns in a reduction. The triangles of all ranks are gathered on one,
    /// factored and broadcast: `ranks * columns^2` numbers, and `2 ranks * columns^3` operations there.
    ///
    /// # Errors
    /// [`Error::RanksDisagree`] if the ranks have different numbers of columns,
    /// [`Error::Shape`] if there are more columns than rows, or [`Error::TooLarge`] above 2^31 - 1
    /// rows on a rank or in the stack of triangles; on all ranks alike.
    pub fn tsqr(&mut self) -> Result<Array2<T>> {
        let _event = profile::operation("MVQR");
        self.require_same_columns("MultiVector::tsqr")?;
        require_tall(&self.layout, self.columns)?;
        require_blas_size(&self.layout)?;
        let columns = self.columns;
        if columns == 0 {
            return Ok(Array2::from_elem((0, 0).f(), T::ZERO));
        }
        let heights: Vec<usize> = (0..self.comm().size()).map(|rank| height(&self.layout, rank, columns)).collect();
        require_stack_size(&heights)?;
        let (mut local_q, triangle) = factor(self.layout.local_len(), columns, &self.owned);
        let mut second = match self.comm().gather(ROOT, &triangle) {
            Some(triangles) => factor_stack(&heights, columns, &triangles),
            None => Vec::new(),
        };
        self.comm().broadcast(ROOT, &mut second);
        let (r, blocks) = second.split_at(columns * columns);
        let start: usize = heights[..self.comm().rank()].iter().sum::<usize>() * columns;
        let mine = heights[self.comm().rank()];
        local_q.truncate(self.layout.local_len() * mine);
        let shape = [self.layout.local_len(), columns, mine];
        T::gemm(false, shape, T::ONE, &local_q, &blocks[start..][..mine * columns], T::ZERO, &mut self.owned);
        Ok(from_column_major(columns, r))
    }

    /// Factors by two Cholesky factorizations of Gram matrices: `self` becomes Q, R is returned. The same
    /// bits on any number of ranks.
    ///
    /// # Collective
    /// Two reductions of `columns^2` sums, one of as many as there are columns, and one that compares their
    /// number over the ranks.
    ///
    /// # Errors
    /// [`Error::RankDeficient`] if the columns are too close to dependent, [`Error::Shape`] if there are
    /// more columns than rows, or [`Error::RanksDisagree`] if not as many on each rank; on all ranks alike. After
    /// the first `self` may be half done.
    pub fn cholesky_qr2(&mut self) -> Result<Array2<T>> {
        let _event = profile::operation("MVQR");
        self.require_same_columns("MultiVector::cholesky_qr2")?;
        require_tall(&self.layout, self.columns)?;
        let scales = self.bring_near_one();
        let first = cholesky(self.gram(self, Reduction::Reproducible)?)?;
        self.divide_by_triangle(first.view());
        let second = cholesky(self.gram(self, Reduction::Reproducible)?)?;
        self.divide_by_triangle(second.view());
        let mut r = triangle_product(&second, &first);
        for (mut column, scale) in r.columns_mut().into_iter().zip(scales) {
            column.iter_mut().for_each(|entry| *entry = entry.scale(T::Real::ONE / scale));
        }
        Ok(r)
    }

    /// Multiplies columns whose squares could leave the range of the scalar by powers of two, which
    /// changes no digit; gives the factor of each column.
    ///
    /// # Collective
    /// One reduction.
    fn bring_near_one(&mut self) -> Vec<T::Real> {
        let part = |part: &T::Real| part.to_f64().abs();
        let largest = |column| T::parts(self.column(column)).iter().map(part).fold(0.0, f64::max);
        let mut sizes: Vec<f64> = (0..self.columns).map(largest).collect();
        self.comm().all_reduce_max(&mut sizes);
        let scales: Vec<T::Real> = sizes.into_iter().map(power_of_two).collect();
        for (column, &scale) in scales.iter().enumerate().filter(|(_, scale)| **scale != T::Real::ONE) {
            self.column_mut(column).iter_mut().for_each(|entry| *entry = entry.scale(scale));
        }
        scales
    }

    /// Computes `self = self r^-1`, row by row, in the order of the columns.
    fn divide_by_triangle(&mut self, r: ArrayView2<'_, T>) {
        let rows = self.layout.local_len();
        for start in (0..rows).step_by(ROWS_AT_ONCE) {
            let len = ROWS_AT_ONCE.min(rows - start);
            for column in 0..self.columns {
                let (done, rest) = self.owned.split_at_mut(column * rows);
                let xs = &mut rest[start..][..len];
                for (q, &factor) in done.chunks_exact(rows).zip(r.column(column)) {
                    simd::dispatch(|| xs.iter_mut().zip(&q[start..]).for_each(|(x, &q)| *x -= q * factor));
                }
                let pivot = r[(column, column)].re();
                let inverse = T::Real::ONE / pivot;
                simd::dispatch(|| xs.iter_mut().for_each(|x| *x = x.scale(inverse)));
            }
        }
    }
}

/// Returns one for columns of ordinary size, otherwise the power of two nearest to their inverse that leaves
/// room for its own inverse.
fn power_of_two<R: Real>(size: f64) -> R {
    if size == 0.0 || (SMALL..1.0 / SMALL).contains(&size) {
        return R::ONE;
    }
    let range = if R::EPSILON.to_f64() == f64::EPSILON { 1000.0 } else { 120.0 };
    R::from_f64((-size.log2().round().clamp(-range, range)).exp2())
}

/// Rows of the triangle of a rank.
fn height(layout: &Layout, rank: usize, columns: usize) -> usize {
    local(layout.len_of(rank)).min(columns)
}

/// Refuses triangles that LAPACK cannot count when they lie one above the other.
fn require_stack_size(heights: &[usize]) -> Result<()> {
    let size = heights.iter().map(|&height| height as u64).sum();
    if size <= MAX_DIMENSION {
        return Ok(());
    }
    Err(Error::TooLarge { what: "rows of the stacked triangles, columns times ranks", size, limit: MAX_DIMENSION })
}

fn require_tall(layout: &Layout, columns: usize) -> Result<()> {
    let (rows, columns) = (layout.global_len(), columns as u64);
    if rows >= columns {
        return Ok(());
    }
    Err(Error::Shape { operation: "QR of no more columns than rows", expected: (rows, rows), found: (rows, columns) })
}

/// Householder QR of a column-major matrix: Q, of `min(rows, columns)` columns, and R, of as many
/// rows, both column-major.
fn factor<T: Scalar>(rows: usize, columns: usize, a: &[T]) -> (Vec<T>, Vec<T>) {
    let height = rows.min(columns);
    let mut q = a.to_vec();
    let mut tau = vec![T::ZERO; height];
    T::geqrf(rows, columns, &mut q, &mut tau);
    let mut r = vec![T::ZERO; height * columns];
    for column in 0..columns {
        let top = height.min(column + 1);
        r[column * height..][..top].copy_from_slice(&q[column * rows..][..top]);
    }
    q.truncate(rows * height);
    T::ungqr(rows, &mut q, &tau);
    (q, r)
}

/// Factors the triangles of all ranks, one above the other. Gives R and then, rank by rank, what to
/// multiply its Q with, all column-major.
fn factor_stack<T: Scalar>(heights: &[usize], columns: usize, triangles: &[Vec<T>]) -> Vec<T> {
    let rows: usize = heights.iter().sum();
    let mut stack = Vec::with_capacity(rows * columns);
    for column in 0..columns {
        for (&height, triangle) in heights.iter().zip(triangles) {
            stack.extend_from_slice(&triangle[column * height..][..height]);
        }
    }
    let (mut q, mut r) = factor(rows, columns, &stack);
    make_diagonal_positive(columns, &mut q, &mut r);
    let mut start = 0;
    for &height in heights {
        for column in q.chunks_exact(rows) {
            r.extend_from_slice(&column[start..start + height]);
        }
        start += height;
    }
    r
}

/// Moves the signs of the diagonal, which LAPACK leaves real, from R to Q.
fn make_diagonal_positive<T: Scalar>(columns: usize, q: &mut [T], r: &mut [T]) {
    let rows = q.len() / columns.max(1);
    for i in 0..columns {
        if r[i * columns + i].re() < T::Real::ZERO {
            r[i..].iter_mut().step_by(columns).for_each(|entry| *entry = -*entry);
            q[i * rows..][..rows].iter_mut().for_each(|entry| *entry = -*entry);
        }
    }
}

/// Computes the upper triangle R with `R^H R = gram`, by rows (Golub & Van Loan, Matrix Computations, 4th
/// ed., section 4.2).
fn cholesky<T: Scalar>(gram: Array2<T>) -> Result<Array2<T>> {
    let columns = gram.ncols();
    let mut r = Array2::from_elem((columns, columns).f(), T::ZERO);
    for i in 0..columns {
        let mut pivot = gram[(i, i)].re();
        for l in 0..i {
            pivot -= r[(l, i)].abs_sqr();
        }
        // What rounding leaves of a dependent column is of this size; NaN is caught as well.
        let noise = T::Real::EPSILON * T::Real::from_f64(columns as f64) * gram[(i, i)].re();
        if pivot.partial_cmp(&noise) != Some(std::cmp::Ordering::Greater) {
            return Err(Error::RankDeficient { operation: "CholeskyQR2", column: i });
        }
        let root = pivot.sqrt();
        r[(i, i)] = T::from_real(root);
        for j in i + 1..columns {
            let mut entry = gram[(i, j)];
            for l in 0..i {
                entry -= r[(l, i)].conj() * r[(l, j)];
            }
            r[(i, j)] = entry.scale(T::Real::ONE / root);
        }
    }
    Ok(r)
}

/// Returns the product of two upper triangles.
fn triangle_product<T: Scalar>(a: &Array2<T>, b: &Array2<T>) -> Array2<T> {
    Array2::from_shape_fn(a.raw_dim().f(), |(i, j)| (i..=j).map(|l| a[(i, l)] * b[(l, j)]).sum())
}

fn from_column_major<T: Scalar>(columns: usize, entries: &[T]) -> Array2<T> {
    Array2::from_shape_vec((columns, columns).f(), entries.to_vec()).expect("invariant: the entries fill the shape")
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn cholesky_by_hand() {
        let r = cholesky(array![[4.0, 2.0], [2.0, 10.0]]).unwrap();
        assert_eq!(r, array![[2.0, 1.0], [0.0, 3.0]]);
        let error = cholesky(array![[1.0, 1.0], [1.0, 1.0]]).unwrap_err();
        assert_eq!(error, Error::RankDeficient { operation: "CholeskyQR2", column: 1 });
        assert!(cholesky(array![[f64::NAN]]).is_err());
    }

    #[test]
    fn sizes_become_one() {
        for size in [1e-38, 1e-20, 1e-5, 1.0, 1e10, 1e20, 3e38] {
            let scaled = size * power_of_two::<f32>(size).to_f64();
            assert!((1e-12..1e12).contains(&scaled), "{size} becomes {scaled}");
        }
        for size in [1e-300, 1e300, f64::MAX] {
            let scaled = size * power_of_two::<f64>(size);
            assert!((1e-12..1e12).contains(&scaled), "{size} becomes {scaled}");
        }
        assert_eq!((power_of_two::<f64>(0.0), power_of_two::<f32>(7.0)), (1.0, 1.0));
    }

    #[test]
    fn the_stack_is_as_high_as_all_triangles() {
        assert_eq!(require_stack_size(&[1 << 30, (1 << 30) - 1]), Ok(()));
        let error = require_stack_size(&[1 << 30, 1 << 30]).unwrap_err();
        assert!(matches!(error, Error::TooLarge { size: 2_147_483_648, .. }), "{error}");
    }

    #[test]
    fn stacked_triangles_of_uneven_heights() {
        // Triangles of a rank with two rows, an empty one, and one with a single row.
        let triangles = [vec![3.0, 0.0, 1.0, 2.0], vec![], vec![4.0, 7.0]];
        let second = factor_stack(&[2, 0, 1], 2, &triangles);
        let (r, q) = second.split_at(4);
        // R^H R is the sum of the products of the triangles with themselves.
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-13, "{a} is not {b}");
        close(r[0], 5.0);
        close(r[1], 0.0);
        close(r[0] * r[2], 3.0 + 28.0);
        close(r[2] * r[2] + r[3] * r[3], 1.0 + 4.0 + 49.0);
        assert!(r[3] > 0.0);
        // The first column of Q times R is the first column of the stack.
        close(q[0] * r[0], 3.0);
        close(q[1] * r[0], 0.0);
        close(q[4] * r[0], 4.0);
    }
}
