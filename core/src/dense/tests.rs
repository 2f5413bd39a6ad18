//! Factorizations against products: the factors multiply to the matrix, solutions satisfy their
//! equations; failures against answers worked by hand.

use ndarray::{Array2, array};

use super::*;
use crate::random::Philox;
use crate::scalar::{Complex32, Complex64, Real};

fn random<T: Scalar>(rows: usize, columns: usize, stream: u64) -> Array2<T> {
    let random = Philox::new(3);
    Array2::from_shape_fn((rows, columns), |(i, j)| {
        let at = 2 * (i * columns + j) as u64;
        T::from_parts(random.normal(stream, at), random.normal(stream, at + 1))
    })
}

fn adjoint<T: Scalar>(a: &Array2<T>) -> Array2<T> {
    Array2::from_shape_fn((a.ncols(), a.nrows()), |(i, j)| a[(j, i)].conj())
}

fn product<T: Scalar>(a: &Array2<T>, b: &Array2<T>) -> Array2<T> {
    let entry = |(i, j)| (0..a.ncols()).map(|k| a[(i, k)] * b[(k, j)]).sum();
    Array2::from_shape_fn((a.nrows(), b.ncols()), entry)
}

fn unit<T: Scalar>(n: usize) -> Array2<T> {
    matrix(n, n, identity(n))
}

/// Hermitian and positive definite.
fn definite<T: Scalar>(n: usize) -> Array2<T> {
    let a = random::<T>(n, n, 1);
    let gram = product(&adjoint(&a), &a);
    Array2::from_shape_fn((n, n), |(i, j)| gram[(i, j)] + if i == j { T::ONE } else { T::ZERO })
}

fn close<T: Scalar>(a: &Array2<T>, b: &Array2<T>) {
    assert_eq!(a.dim(), b.dim());
    let size = b.iter().map(|b| b.abs().to_f64()).fold(1.0, f64::max);
    for (&x, &y) in a.iter().zip(b) {
        let bound = 2000.0 * T::Real::EPSILON.to_f64() * size;
        assert!((x - y).abs().to_f64() <= bound, "{a:?}\nis not\n{b:?}");
    }
}

fn columns<T: Scalar>(a: &Array2<T>) -> Vec<T> {
    a.t().iter().copied().collect()
}

fn definite_solvers<T: Scalar>(n: usize) {
    let (a, x) = (definite::<T>(n), random::<T>(n, 3, 2));
    let b = columns(&product(&a, &x));
    let solved = |solve: &dyn Fn(&mut [T]) -> Result<()>| {
        let mut b = b.clone();
        solve(&mut b).unwrap();
        matrix(n, 3, b)
    };
    let cholesky = Cholesky::factor(a.view()).unwrap();
    close(&product(&cholesky.l(), &adjoint(&cholesky.l())), &a);
    close(&solved(&|b| cholesky.solve(b)), &x);
    close(&product(&cholesky.inverse(), &a), &unit(n));
    let lu = Lu::factor(a.view()).unwrap();
    close(&solved(&|b| lu.solve(b)), &x);
    close(&product(&lu.inverse(), &a), &unit(n));
    let eigen = HermitianEigen::factor(a.view()).unwrap();
    assert!(eigen.values().is_sorted_by(|a, b| a <= b));
    let scaled = Array2::from_shape_fn((n, n), |(i, j)| eigen.vectors()[(i, j)].scale(eigen.values()[j]));
    close(&product(&scaled, &adjoint(&eigen.vectors())), &a);
    close(&product(&adjoint(&eigen.vectors()), &eigen.vectors()), &unit(n));
    close(&matrix(n, 3, eigen.solve(&b).unwrap()), &x);
    // Three ways to the determinant.
    let (phase, log) = lu.determinant();
    let logs: f64 = eigen.values().iter().map(|value| value.to_f64().ln()).sum();
    for (found, expected) in [(log, logs), (cholesky.log_determinant(), logs), (phase.re().to_f64(), 1.0)] {
        assert!((found - expected).abs() < 1e3 * T::Real::EPSILON.to_f64() * expected.abs().max(1.0));
    }
}

fn rectangular<T: Scalar>() {
    for (rows, count) in [(9, 4), (4, 4), (3, 7)] {
        let a = random::<T>(rows, count, 4);
        let svd = Svd::factor(a.view()).unwrap();
        assert!(svd.values().is_sorted_by(|a, b| a >= b) && svd.rank(1e-4) == rows.min(count));
        let us = Array2::from_shape_fn(svd.u().dim(), |(i, j)| svd.u()[(i, j)].scale(svd.values()[j]));
        close(&product(&us, &svd.vh()), &a);
        // The residual of least squares is orthogonal to the columns, the solution to the null space.
        let b = random::<T>(rows, 2, 5);
        let x = matrix(count, 2, svd.solve(&columns(&b), 1e-4).unwrap());
        let normal = product(&adjoint(&a), &product(&a, &x));
        close(&normal, &product(&adjoint(&a), &b));
        close(&product(&product(&adjoint(&svd.vh()), &svd.vh()), &x), &x);
        if count <= rows {
            let qr = Qr::factor(a.view()).unwrap();
            close(&product(&qr.q(), &qr.r()), &a);
            close(&product(&adjoint(&qr.q()), &qr.q()), &unit(count));
            close(&matrix(count, 2, qr.solve(&columns(&b)).unwrap()), &x);
        } else {
            assert!(matches!(Qr::factor(a.view()), Err(Error::Shape { .. })));
        }
    }
}

fn band<T: Scalar>() {
    for (n, width) in [(1, 0), (6, 0), (12, 3), (5, 4), (3, 6)] {
        let entry =
            |i: usize, j: usize| random::<T>(n, n, 6)[(i, j)] + T::from_parts(if i == j { 9.0 } else { 0.0 }, 0.0);
        let a = HermitianBanded::from_fn(n, width, entry);
        let full = Array2::from_shape_fn((n, n), |(i, j)| a.get(i, j));
        close(&full, &adjoint(&full));
        let x = random::<T>(n, 1, 7);
        let mut b = vec![T::ONE; n];
        a.multiply(&columns(&x), &mut b).unwrap();
        // Every row is summed in ascending columns, to the bit.
        for (i, &b) in b.iter().enumerate() {
            let near = i.saturating_sub(width)..n.min(i + width + 1);
            assert_eq!(b, near.fold(T::ZERO, |sum, j| sum + a.get(i, j) * x[(j, 0)]));
        }
        let factor = BandedCholesky::factor(&a).unwrap();
        let mut beside: Vec<[T; 2]> = b.iter().map(|&b| [b, -b]).collect();
        factor.solve_beside(&mut beside).unwrap();
        close(&matrix(n, 1, beside.iter().map(|row| row[0]).collect()), &x);
        assert!(beside.iter().all(|row| row[0] == -row[1]));
        assert!(matches!(factor.solve_beside::<2>(&mut beside[1..]), Err(Error::LocalLength { .. })));
        factor.solve(&mut b).unwrap();
        close(&matrix(n, 1, b), &x);
        let log = Cholesky::factor(full.view()).unwrap().log_determinant();
        assert!((factor.log_determinant() - log).abs() < 1e-4 * log.abs());
    }
}

fn generalized<T: Scalar>(n: usize) {
    let half = random::<T>(n, n, 5);
    let a = Array2::from_shape_fn((n, n), |(i, j)| half[(i, j)] + half[(j, i)].conj());
    let b = definite::<T>(n);
    let eigen = GeneralizedEigen::factor(a.view(), b.view()).unwrap();
    let vectors = eigen.vectors();
    close(&product(&adjoint(&vectors), &product(&b, &vectors)), &unit(n));
    let values: Vec<T> = eigen.values().iter().map(|&value| T::from_real(value)).collect();
    assert!(eigen.values().windows(2).all(|pair| pair[0] <= pair[1]));
    let scaled = product(&b, &Array2::from_shape_fn((n, n), |(i, j)| vectors[(i, j)] * values[j]));
    close(&product(&a, &vectors), &scaled);
}

#[test]
fn eigenvalues_of_two_matrices() {
    for n in [0, 1, 7] {
        generalized::<f32>(n);
        generalized::<f64>(n);
        generalized::<Complex32>(n);
        generalized::<Complex64>(n);
    }
    let refused =
        GeneralizedEigen::factor(array![[1.0, 0.0], [0.0, 1.0]].view(), array![[1.0, 2.0], [2.0, 1.0]].view());
    assert!(matches!(refused, Err(Error::NotPositiveDefinite { row: 1, .. })), "{refused:?}");
    let refused = GeneralizedEigen::factor(array![[1.0]].view(), unit::<f64>(2).view());
    assert!(matches!(refused, Err(Error::Shape { .. })), "{refused:?}");
}

#[test]
fn schur_forms() {
    let a = random::<Complex64>(9, 9, 6);
    let mut schur = Schur::factor(a.view()).unwrap();
    let chosen: Vec<bool> = schur.values().iter().map(|value| value.re > 0.0).collect();
    let count = chosen.iter().filter(|chosen| **chosen).count();
    assert!(count > 0 && count < 9);
    for reordered in [false, true] {
        if reordered {
            schur.bring_to_top(&chosen);
            assert!(schur.values().iter().enumerate().all(|(i, value)| (value.re > 0.0) == (i < count)));
        }
        let (q, t) = (schur.q(), schur.t());
        close(&product(&q, &adjoint(&q)), &unit(9));
        close(&product(&product(&q, &t), &adjoint(&q)), &a);
        for (place, &value) in schur.values().iter().enumerate() {
            let vector = matrix(9, 1, schur.vector(place));
            let image = product(&a, &vector);
            close(&image, &vector.mapv(|x| x * value));
        }
    }
    assert!(Schur::factor(Array2::from_elem((0, 0), Complex64::ZERO).view()).unwrap().values().is_empty());
}

fn batches<T: Scalar>() {
    for n in 1..7 {
        let count = 5;
        let definite: Vec<Array2<T>> =
            (0..count).map(|k| definite::<T>(n).mapv(|a| a * T::from_parts(1.0 + k as f64, 0.0))).collect();
        let any: Vec<Array2<T>> = (0..count).map(|k| random::<T>(n, n, 20 + k)).collect();
        let batch = |of: &[Array2<T>]| SmallBlocks::from_fn(n, 5, |k, i, j| of[k][(i, j)]);
        let x = random::<T>(5 * n, 1, 8).into_raw_vec_and_offset().0;
        let mut b = vec![T::ZERO; 5 * n];
        let hermitian = batch(&definite);
        hermitian.multiply(&x, &mut b).unwrap();
        let cholesky = hermitian.cholesky().unwrap();
        cholesky.solve(&mut b).unwrap();
        close(&matrix(5 * n, 1, b.clone()), &matrix(5 * n, 1, x.clone()));
        let general = batch(&any);
        let lu = general.lu().unwrap();
        general.multiply(&x, &mut b).unwrap();
        lu.solve(&mut b).unwrap();
        close(&matrix(5 * n, 1, b), &matrix(5 * n, 1, x));
        let rconds = [hermitian.hermitian_rcond(), general.rcond()];
        for k in 0..5 {
            let inverses = [(&definite[k], cholesky.inverse()), (&any[k], lu.inverse())];
            for (a, inverse) in &inverses {
                let inverse = matrix(n, n, inverse.block(k).to_vec());
                let error = product(&inverse, a) - unit::<T>(n);
                let noise = 1e4 * T::Real::EPSILON.to_f64() / rconds[1][k].to_f64().min(rconds[0][k].to_f64());
                assert!(error.iter().all(|error| error.abs().to_f64() < noise), "{error:?}");
            }
            let values = HermitianEigen::factor(definite[k].view()).unwrap();
            let expected = values.values()[0].to_f64() / values.values()[n - 1].to_f64();
            assert!((rconds[0][k].to_f64() - expected).abs() < 1e3 * T::Real::EPSILON.to_f64());
            let norm = |a: &Array2<T>| {
                a.columns().into_iter().map(|c| c.iter().map(|e| e.abs().to_f64()).sum()).fold(0.0, f64::max)
            };
            let expected = 1.0 / (norm(&any[k]) * norm(&Lu::factor(any[k].view()).unwrap().inverse()));
            assert!((rconds[1][k].to_f64() / expected - 1.0).abs() < 1e3 * T::Real::EPSILON.to_f64() / expected);
        }
    }
}

macro_rules! for_scalars {
    ($($name:ident $t:ty),*) => {$(
        #[test]
        fn $name() {
            (1..9).for_each(definite_solvers::<$t>);
            definite_solvers::<$t>(40);
            rectangular::<$t>();
            band::<$t>();
            batches::<$t>();
        }
    )*};
}
for_scalars!(f32_factors f32, f64_factors f64, c32_factors Complex32, c64_factors Complex64);

#[test]
fn worked_by_hand() {
    // [4 2; 2 10] = L L^T with L = [2 0; 1 3].
    let a = array![[4.0, 2.0], [2.0, 10.0]];
    assert_eq!(Cholesky::factor(a.view()).unwrap().l(), array![[2.0, 0.0], [1.0, 3.0]]);
    assert_eq!(
        SmallBlocks::from_entries(2, columns(&a)).unwrap().cholesky().unwrap().inverse().entries(),
        [10.0 / 36.0, -2.0 / 36.0, -2.0 / 36.0, 4.0 / 36.0].map(|x: f64| (x * 36.0).round() / 36.0)
    );
    // A permutation of three rows, odd, times -2.
    let lu = Lu::factor(array![[0.0, -2.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]].view()).unwrap();
    assert_eq!(lu.determinant(), (1.0, 2f64.ln()));
    // Eigenvalues 1, 3 and 5.
    let a = [[2.0f64, 1.0, 0.0], [1.0, 2.0, 0.0], [0.0, 0.0, 5.0]];
    assert!((small::hermitian_rcond(a) - 0.2).abs() < 1e-15);
    let inverse = small::hermitian_inverse(a).unwrap();
    let expected = [[2.0 / 3.0, -1.0 / 3.0, 0.0], [-1.0 / 3.0, 2.0 / 3.0, 0.0], [0.0, 0.0, 0.2]];
    let pairs = inverse.as_flattened().iter().zip(expected.as_flattened());
    assert!(pairs.clone().all(|(found, expected)| f64::abs(found - expected) < 1e-15));
    // |A| = 4 and |A^-1| = 1/2 for columns (0, 4) and (2, 0).
    assert_eq!(small::rcond([[0.0, 4.0], [2.0, 0.0]]), 0.5);
    assert_eq!(small::inverse([[0.0, 4.0], [2.0, 0.0]]), Some([[0.0, 0.5], [0.25, 0.0]]));
    let toeplitz = HermitianBanded::toeplitz(3, &[2.0, -1.0]);
    assert_eq!([(0, 0), (1, 0), (0, 1), (2, 0)].map(|(i, j)| toeplitz.get(i, j)), [2.0, -1.0, -1.0, 0.0]);
    assert!((BandedCholesky::factor(&toeplitz).unwrap().log_determinant() - 4f64.ln()).abs() < 1e-15);
}

#[test]
fn failures_name_their_place() {
    let not_definite = array![[1.0, 0.0, 0.0], [0.0, 1.0, 1.0], [0.0, 1.0, 1.0]];
    let operation = "Cholesky factorization";
    let error = Cholesky::factor(not_definite.view()).unwrap_err();
    assert_eq!(error, Error::NotPositiveDefinite { operation, row: 2 });
    let operation = "LU factorization";
    assert_eq!(Lu::factor(not_definite.view()).unwrap_err(), Error::Singular { operation, row: 2 });
    let operation = "least squares by QR";
    let qr = Qr::factor(not_definite.view()).unwrap();
    assert_eq!(qr.solve(&[1.0; 3]).unwrap_err(), Error::Singular { operation, row: 2 });
    let eigen = HermitianEigen::factor(not_definite.view()).unwrap();
    assert!(matches!(eigen.solve(&[1.0; 3]), Err(Error::ZeroEigenvalue { index: 0, .. })));
    let operation = "banded Cholesky factorization";
    let mut banded = HermitianBanded::toeplitz(4, &[1.0, 0.5]);
    banded.add_to_diagonal(&[0.0, 0.0, 0.0, -0.7]).unwrap();
    assert_eq!(BandedCholesky::factor(&banded).unwrap_err(), Error::NotPositiveDefinite { operation, row: 3 });
    banded.add_to_diagonal(&[0.0, f64::NAN, 0.0, 0.0]).unwrap();
    assert_eq!(BandedCholesky::factor(&banded).unwrap_err(), Error::NotFinite { operation, row: 1, column: 1 });
    assert!(matches!(banded.add_to_diagonal(&[1.0]), Err(Error::LocalLength { expected: 4, found: 1, .. })));
    // The third block of order two.
    let mut blocks = SmallBlocks::from_fn(2, 4, |_, i, j| if i == j { 1.0 } else { 0.0 });
    blocks.block_mut(2)[3] = 0.0;
    let row = 5;
    let operation = "batched Cholesky factorization";
    assert_eq!(blocks.cholesky().unwrap_err(), Error::NotPositiveDefinite { operation, row });
    assert_eq!(blocks.lu().unwrap_err(), Error::Singular { operation: "batched LU factorization", row });
    assert_eq!((blocks.hermitian_rcond(), blocks.rcond()), (vec![1.0, 1.0, 0.0, 1.0], vec![1.0, 1.0, 0.0, 1.0]));
    assert!(small::hermitian_inverse([[1.0, 2.0], [2.0, 1.0]]).is_none() && small::inverse([[0.0]]).is_none());
    assert_eq!(small::hermitian_rcond([[f64::NAN]]), 0.0);
}

#[test]
fn misfits_are_refused() {
    let wide: Array2<f64> = Array2::zeros((2, 3));
    for error in [Cholesky::factor(wide.view()).err(), Lu::factor(wide.view()).err()] {
        assert!(matches!(error, Some(Error::Shape { expected: (2, 2), found: (2, 3), .. })));
    }
    let nan = array![[1.0, 2.0, 3.0], [4.0, f64::NAN, 6.0], [7.0, 8.0, 9.0]];
    let place = |error: Error| matches!(error, Error::NotFinite { row: 1, column: 1, .. });
    assert!(place(HermitianEigen::factor(nan.view()).unwrap_err()) && place(Svd::factor(nan.view()).unwrap_err()));
    let square = Cholesky::factor(unit::<f64>(3).view()).unwrap();
    assert!(matches!(square.solve(&mut [1.0; 4]), Err(Error::Shape { expected: (3, 2), found: (4, 1), .. })));
    assert!(
        SmallBlocks::from_entries(2, vec![1.0; 6]).is_err()
            && SmallBlocks::<f64>::zeros(2, 2).multiply(&[0.0; 4], &mut [0.0; 3]).is_err()
    );
    // One number in all places takes no memory.
    let huge = ndarray::arr0(1.0f32);
    let huge = huge.broadcast((50_000, 50_000)).unwrap();
    assert!(matches!(HermitianEigen::factor(huge), Err(Error::TooLarge { limit: 32_766, .. })));
    assert!(matches!(Svd::factor(huge), Err(Error::TooLarge { limit: 23_169, .. })));
    // Nothing at all is a matrix too.
    let empty: Array2<f64> = Array2::zeros((0, 0));
    assert!(Cholesky::factor(empty.view()).unwrap().solve(&mut []).is_ok());
    assert_eq!(Lu::factor(empty.view()).unwrap().determinant(), (1.0, 0.0));
    assert!(HermitianEigen::factor(empty.view()).unwrap().values().is_empty());
    assert_eq!(Svd::factor(Array2::<f64>::zeros((0, 3)).view()).unwrap().solve(&[], 0.1).unwrap(), []);
    assert!(BandedCholesky::factor(&HermitianBanded::<f64>::toeplitz(0, &[])).unwrap().solve(&mut []).is_ok());
}
