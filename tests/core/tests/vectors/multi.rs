//! Columns on one layout.

use dolmen_core::ndarray::Array2;
use dolmen_core::{Comm, Error, Layout, MultiVector, Real, Reduction, Scalar, Vector};
use dolmen_tests::TestResult;

use dolmen_core_tests::{
    all_scalars, close, dense, inner, layout, lengths, multi_vector, property, require, value, vector, verdict,
};

const BOTH: [Reduction; 2] = [Reduction::Reproducible, Reduction::Fast];

pub(crate) fn operations(comm: &Comm) -> TestResult {
    let shapes = (0usize..5, 0usize..5);
    property(comm, 24, (lengths(comm.size()), shapes, 0u64..1000), |(lengths, (k, m), seed)| {
        let layout = layout(comm, lengths);
        all_scalars!(columns(&layout, *k, *seed));
        all_scalars!(block_products(&layout, *k, *m, *seed));
        Ok(())
    })
}

/// Compares this rank's rows with a function of row and column.
fn same_columns<T: Scalar>(what: &str, found: &MultiVector<T>, expected: impl Fn(u64, usize) -> T) {
    for ((row, column), &entry) in found.view().indexed_iter() {
        let global = found.layout().range().start + row as u64;
        close(what, entry, expected(global, column), 4.0);
    }
}

fn columns<T: Scalar>(layout: &Layout, k: usize, seed: u64) -> TestResult {
    let at = |salt: u64| move |row: u64, column: usize| value::<T>(seed + salt + column as u64, row);
    let (x, y) = (multi_vector::<T>(layout, k, seed), multi_vector::<T>(layout, k, seed + 10));
    let alphas: Vec<T> = (0..k as u64).map(|j| value(seed + 20, j)).collect();
    let alpha = value::<T>(seed + 21, 0);
    let mut z = MultiVector::zeros(layout, k);
    z.copy_from(&y)?;
    z.axpy(alpha, &x)?;
    same_columns("axpy", &z, |row, j| at(10)(row, j) + alpha * at(0)(row, j));
    z.copy_from(&y)?;
    z.axpy_columns(&alphas, &x)?;
    same_columns("axpy_columns", &z, |row, j| at(10)(row, j) + alphas[j] * at(0)(row, j));
    z.copy_from(&x)?;
    z.scale(alpha);
    z.scale_columns(&alphas)?;
    same_columns("scale", &z, |row, j| alphas[j] * (alpha * at(0)(row, j)));

    let vectors: Vec<Vector<T>> = (0..k as u64).map(|j| vector(layout, seed + j)).collect();
    let same = MultiVector::from_vectors(layout, &vectors.iter().collect::<Vec<_>>())?;
    require(same.owned() == x.owned(), || "from_vectors".to_owned());
    let mut back = Vector::zeros(layout);
    for (j, original) in vectors.iter().enumerate() {
        x.copy_column_to(j, &mut back)?;
        require(back.owned() == original.owned() && x.column(j) == original.owned(), || "copy_column_to".to_owned());
    }
    let size = 1.0 + layout.global_len() as f64;
    let (mut sums, mut norms) = (vec![T::Double::ZERO; k], vec![0.0; k]);
    for reduction in BOTH {
        x.column_dots(&y, reduction, &mut sums)?;
        x.column_norms(reduction, &mut norms)?;
        for (j, (&sum, &norm)) in sums.iter().zip(&norms).enumerate() {
            let [a, b] = [0, 10].map(|salt| dense::<T>(seed + salt + j as u64, layout.global_len()));
            close("column_dots", T::from_parts(sum.re(), sum.im()), inner(&a, &b), size);
            close("column_norms", T::Real::from_f64(norm), inner(&a, &a).re().sqrt(), size);
        }
    }
    Ok(())
}

fn block_products<T: Scalar>(layout: &Layout, k: usize, m: usize, seed: u64) -> TestResult {
    let (x, y) = (multi_vector::<T>(layout, k, seed), multi_vector::<T>(layout, m, seed + 10));
    let (alpha, beta) = (value::<T>(seed + 21, 0), value::<T>(seed + 21, 1));
    let b = Array2::from_shape_fn((k, m), |(l, j)| value::<T>(seed + 30 + l as u64, j as u64));
    let product = |row, j| (0..k).map(|l| value::<T>(seed + l as u64, row) * b[(l, j)]).sum::<T>();
    let size = 1.0 + layout.global_len() as f64;
    for reduction in BOTH {
        let mut z = y.clone();
        z.multiply_add(alpha, &x, b.view(), beta, reduction)?;
        let old = |row, j: usize| value::<T>(seed + 10 + j as u64, row);
        same_columns("multiply_add", &z, |row, j| alpha * product(row, j) + beta * old(row, j));
        z.fill(T::from_parts(f64::NAN, 0.0));
        z.multiply_add(T::ONE, &x, b.view(), T::ZERO, reduction)?;
        same_columns("product", &z, product);
        for ((i, j), &entry) in x.gram(&y, reduction)?.indexed_iter() {
            let [a, b] = [i as u64, 10 + j as u64].map(|salt| dense::<T>(seed + salt, layout.global_len()));
            close("gram", entry, inner(&a, &b), size);
        }
    }
    Ok(())
}

pub(crate) fn orthonormal_columns(comm: &Comm) -> TestResult {
    property(comm, 24, (lengths(comm.size()), 0usize..6, 0u64..1000), |(lengths, k, seed)| {
        let layout = layout(comm, lengths);
        all_scalars!(both_methods(&layout, *k, *seed));
        Ok(())
    })?;
    all_scalars!(dependent_columns(comm));
    all_scalars!(columns_of_any_size(comm));
    Ok(verdict(comm)?)
}

fn both_methods<T: Scalar>(layout: &Layout, k: usize, seed: u64) -> TestResult {
    let x = multi_vector::<T>(layout, k, seed);
    let mut q = x.clone();
    if layout.global_len() < k as u64 {
        require(matches!(q.tsqr(), Err(Error::Shape { .. })), || "tsqr of a wide matrix".to_owned());
        require(matches!(q.cholesky_qr2(), Err(Error::Shape { .. })), || "cholesky_qr2 of a wide matrix".to_owned());
        return Ok(());
    }
    let r = q.tsqr()?;
    is_factorization(&x, &q, &r)?;
    // Square and nearly square random matrices may be too ill-conditioned for the second method.
    if layout.global_len() < 3 * k as u64 {
        return Ok(());
    }
    let mut q = x.clone();
    let other = q.cholesky_qr2()?;
    is_factorization(&x, &q, &other)?;
    for ((i, j), &entry) in r.indexed_iter() {
        close("R by both methods", other[(i, j)], entry, 1000.0);
    }
    Ok(())
}

/// Q is orthonormal, R upper triangular with a diagonal that is not negative, and Q R is X.
fn is_factorization<T: Scalar>(x: &MultiVector<T>, q: &MultiVector<T>, r: &Array2<T>) -> TestResult {
    for ((i, j), &entry) in q.gram(q, Reduction::Reproducible)?.indexed_iter() {
        close("Q^H Q", entry, if i == j { T::ONE } else { T::ZERO }, 10.0);
    }
    for ((i, j), &entry) in r.indexed_iter() {
        require(i <= j || entry == T::ZERO, || "R is upper triangular".to_owned());
        require(i != j || (entry.im() == T::Real::ZERO && entry.re() >= T::Real::ZERO), || {
            "its diagonal is positive".to_owned()
        });
    }
    let product = q.view().dot_in_order(r);
    for (found, &expected) in product.iter().zip(x.view()) {
        close("Q R", *found, expected, 10.0);
    }
    Ok(())
}

/// The plain triple loop.
trait DotInOrder<T> {
    fn dot_in_order(&self, r: &Array2<T>) -> Array2<T>;
}

impl<T: Scalar> DotInOrder<T> for dolmen_core::ndarray::ArrayView2<'_, T> {
    fn dot_in_order(&self, r: &Array2<T>) -> Array2<T> {
        let shape = (self.nrows(), r.ncols());
        Array2::from_shape_fn(shape, |(i, j)| (0..r.nrows()).map(|l| self[(i, l)] * r[(l, j)]).sum())
    }
}

/// Columns whose squares are no numbers of their precision.
fn columns_of_any_size<T: Scalar>(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 400);
    let sizes = if T::Real::EPSILON.to_f64() == f64::EPSILON { [1e200, 1e-250, 1.0] } else { [1e20, 1e-25, 1.0] };
    let sized = |row, j: usize| value::<T>(j as u64, row).scale(T::Real::from_f64(sizes[j]));
    let x = MultiVector::from_fn(&layout, 3, sized);
    let mut q = x.clone();
    let r = q.cholesky_qr2()?;
    for ((i, j), &entry) in q.gram(&q, Reduction::Reproducible)?.indexed_iter() {
        close("Q^H Q of sized columns", entry, if i == j { T::ONE } else { T::ZERO }, 10.0);
    }
    // In these sizes the triangle is that of the columns without them.
    let mut plain = MultiVector::from_fn(&layout, 3, |row, j| value::<T>(j as u64, row));
    let expected = plain.tsqr()?;
    for ((i, j), &entry) in r.indexed_iter() {
        close("R of sized columns", entry.scale(T::Real::from_f64(1.0 / sizes[j])), expected[(i, j)], 1000.0);
    }
    if T::Real::EPSILON.to_f64() > f64::EPSILON {
        let mut norms = [0.0; 3];
        x.column_norms(Reduction::Reproducible, &mut norms)?;
        for (j, (norm, size)) in norms.into_iter().zip(sizes).enumerate() {
            let length = plain_length::<T>(j as u64);
            require((norm / size - length).abs() < 1e-5 * length, || format!("norm of size {size}: {norm}"));
        }
    }
    Ok(())
}

/// The length of the first 400 numbers of a seed.
fn plain_length<T: Scalar>(seed: u64) -> f64 {
    let square = |part: f64| part * part;
    dense::<T>(seed, 400).iter().map(|x| square(x.re().to_f64()) + square(x.im().to_f64())).sum::<f64>().sqrt()
}

/// The third column is the sum of the others: Householder copes, Cholesky says so.
fn dependent_columns<T: Scalar>(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 40);
    let entry =
        |row, column| if column < 2 { value::<T>(column, row) } else { value::<T>(0, row) + value::<T>(1, row) };
    let x = MultiVector::from_fn(&layout, 3, |row, column| entry(row, column as u64));
    let mut q = x.clone();
    let error = q.cholesky_qr2().err().ok_or("dependent columns have no Cholesky factor")?;
    require(error == Error::RankDeficient { operation: "CholeskyQR2", column: 2 }, || error.to_string());
    q.copy_from(&x)?;
    let r = q.tsqr()?;
    is_factorization(&x, &q, &r)?;
    Ok(())
}

/// Columns of any size have the norms of the vectors that they are, to the bit.
pub(crate) fn norms_of_columns_of_any_size(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 50);
    let sizes = [1.0, 1e-170, 0.0, 1e170, 1e-310, f64::INFINITY, f64::NAN, 1e300];
    let entry = |row: u64, column: usize| (1.0 + (row % 3) as f64) * sizes[column];
    let x = MultiVector::from_fn(&layout, sizes.len(), entry);
    for reduction in BOTH {
        let mut norms = [0.0; 8];
        x.column_norms(reduction, &mut norms)?;
        for (column, (&norm, size)) in norms.iter().zip(sizes).enumerate() {
            let expected = reduction.norm2(&Vector::from_fn(&layout, |row| entry(row, column)));
            let is_fast = reduction == Reduction::Fast;
            require(is_fast || norm.to_bits() == expected.to_bits() || norm.is_nan() && expected.is_nan(), || {
                format!("{reduction:?}, size {size:e}: {norm:e}, not {expected:e}")
            });
        }
        // 17 rows each of 1, 2 and 3, but for the last.
        let exact = (17.0 + 17.0 * 4.0 + 16.0 * 9.0f64).sqrt();
        for (column, tolerance) in [(0, 1e-15), (1, 1e-15), (3, 1e-15), (4, 1e-13), (7, 1e-15)] {
            let ratio = norms[column] / sizes[column] / exact;
            require((ratio - 1.0).abs() < tolerance, || format!("column {column}: {ratio}"));
        }
        require(norms[2] == 0.0 && norms[5] == f64::INFINITY && norms[6].is_nan(), || format!("{norms:?}"));
    }
    Ok(verdict(comm)?)
}
