//! Factorizations of matrices far from one, and of matrices whose rows and columns are in other units.

use ndarray::{Array2, array};

use super::*;
use crate::random::Philox;
use crate::scalar::{Complex32, Complex64, Real};
use crate::scaling::scaled;

const N: usize = 6;

fn random<T: Scalar>(stream: u64) -> Array2<T> {
    let random = Philox::new(9);
    Array2::from_shape_fn((N, N), |(i, j)| {
        let at = 2 * (i * N + j) as u64;
        T::from_parts(random.normal(stream, at), random.normal(stream, at + 1))
    })
}

fn definite<T: Scalar>() -> Array2<T> {
    let a = random::<T>(1);
    Array2::from_shape_fn((N, N), |(i, j)| {
        let product: T = (0..N).map(|k| a[(k, i)].conj() * a[(k, j)]).sum();
        if i == j { T::from_real(product.re() + T::Real::ONE) } else { product }
    })
}

fn columns<T: Scalar>(a: &Array2<T>) -> Vec<T> {
    a.t().iter().copied().collect()
}

fn times<T: Scalar>(values: &[T], power: i32) -> Vec<T> {
    values.iter().map(|&value| scaled(value, power)).collect()
}

fn close<T: Scalar>(what: &str, found: &[T], expected: &[T]) {
    let size = expected.iter().map(|x| x.abs().to_f64()).fold(0.0, f64::max);
    let error = found.iter().zip(expected).map(|(&x, &y)| (x - y).abs().to_f64() / size).fold(0.0, f64::max);
    assert!(error < 1e3 * T::Real::EPSILON.to_f64(), "{what}: {found:?} is not {expected:?}");
}

/// Solutions of `A x = b` by all factorizations.
fn solutions<T: Scalar>(a: &Array2<T>, b: &[T]) -> Vec<(&'static str, Vec<T>)> {
    let in_place = |solve: &dyn Fn(&mut [T]) -> Result<()>| {
        let mut x = b.to_vec();
        solve(&mut x).unwrap();
        x
    };
    let blocks = SmallBlocks::from_entries(N, columns(a)).unwrap();
    let cholesky = Cholesky::factor(a.view()).unwrap();
    let band = BandedCholesky::factor(&HermitianBanded::from_fn(N, N - 1, |i, j| a[(i, j)])).unwrap();
    let lu = Lu::factor(a.view()).unwrap();
    vec![
        ("Cholesky", in_place(&|x| cholesky.solve(x))),
        ("banded Cholesky", in_place(&|x| band.solve(x))),
        ("LU", in_place(&|x| lu.solve(x))),
        ("batched Cholesky", in_place(&|x| blocks.cholesky()?.solve(x))),
        ("batched LU", in_place(&|x| blocks.lu()?.solve(x))),
        ("QR", Qr::factor(a.view()).unwrap().solve(b).unwrap()),
        ("eigenvectors", HermitianEigen::factor(a.view()).unwrap().solve(b).unwrap()),
        ("SVD", Svd::factor(a.view()).unwrap().solve(b, 1e-6).unwrap()),
    ]
}

fn uniform<T: Scalar>(most: i32) {
    let (a, b) = (definite::<T>(), columns(&random::<T>(2))[..N].to_vec());
    let blocks = |a: &Array2<T>| SmallBlocks::from_entries(N, columns(a)).unwrap();
    let expected = solutions(&a, &b);
    let [rcond, hermitian_rcond] = [blocks(&a).rcond(), blocks(&a).hermitian_rcond()];
    let determinant = Lu::factor(a.view()).unwrap().determinant().1;
    for power in [-most, most] {
        let changed = Array2::from_shape_vec((N, N), times(&a.iter().copied().collect::<Vec<T>>(), power)).unwrap();
        for ((what, found), (_, expected)) in solutions(&changed, &times(&b, power)).iter().zip(&expected) {
            close(&format!("{what} of A * 2^{power}"), found, expected);
        }
        assert_eq!(
            [blocks(&changed).rcond(), blocks(&changed).hermitian_rcond()],
            [rcond.clone(), hermitian_rcond.clone()]
        );
        let log = Lu::factor(changed.view()).unwrap().determinant().1;
        let factors = f64::from(power) * std::f64::consts::LN_2 * N as f64;
        assert!((log - determinant - factors).abs() < 1e-4 * factors.abs(), "{log}");
        let qr = Qr::factor(changed.view()).unwrap();
        let r = times(&columns(&qr.r()), -power);
        close("R", &r, &columns(&Qr::factor(a.view()).unwrap().r()));
    }
}

#[test]
fn scales_change_nothing() {
    uniform::<f32>(60);
    uniform::<f64>(560);
    uniform::<Complex32>(60);
    uniform::<Complex64>(560);
}

/// Rows and columns that differ by up to 1e300.
fn graded<T: Scalar>(most: i32) {
    let (a, b) = (random::<T>(3), columns(&random::<T>(4))[..N].to_vec());
    let [rows, places] = [[3, -7, 9, 0, -9, 5], [-2, 8, -9, 9, 1, -6]].map(|powers| powers.map(|p| p * most / 9));
    let changed = Array2::from_shape_fn((N, N), |(i, j)| scaled(a[(i, j)], rows[i] + places[j]));
    let multiplied =
        |x: &[T], powers: &[i32]| -> Vec<T> { x.iter().zip(powers).map(|(&x, &power)| scaled(x, power)).collect() };
    let mut expected = b.clone();
    Lu::factor(a.view()).unwrap().solve(&mut expected).unwrap();
    let solved = |solve: &dyn Fn(&mut [T]) -> Result<()>| {
        let mut x = multiplied(&b, &rows);
        solve(&mut x).unwrap();
        multiplied(&x, &places)
    };
    let lu = Lu::factor(changed.view()).unwrap();
    close("LU", &solved(&|x| lu.solve(x)), &expected);
    let blocks = SmallBlocks::from_entries(N, columns(&changed)).unwrap();
    close("batched LU", &solved(&|x| blocks.lu()?.solve(x)), &expected);
}

#[test]
fn units_of_rows_and_columns_do_not_matter() {
    graded::<f32>(40);
    graded::<f64>(450);
    graded::<Complex32>(40);
    graded::<Complex64>(450);
}

#[test]
fn the_largest_numbers_are_factored() {
    let a = array![[1e308, 1e308], [1e308, -1e308]];
    let solved = |solve: &dyn Fn(&mut [f64]) -> Result<()>| {
        let mut x = vec![1e308, 0.0];
        solve(&mut x).unwrap();
        x
    };
    let blocks = SmallBlocks::from_entries(2, columns(&a)).unwrap();
    assert_eq!(solved(&|x| Lu::factor(a.view())?.solve(x)), [0.5, 0.5]);
    assert_eq!(solved(&|x| blocks.lu()?.solve(x)), [0.5, 0.5]);
    close("QR", &Qr::factor(a.view()).unwrap().solve(&[1e308, 0.0]).unwrap(), &[0.5, 0.5]);
    let a: [[f64; 2]; 2] = [[1e308, 1e308], [1e308, -1e308]];
    let [[one, two], [three, four]] = small::inverse(a).unwrap();
    [one, two, three, -four].iter().for_each(|entry| assert!((entry - 5e-309).abs() < 1e-323, "{entry}"));
    assert_eq!(small::rcond(a), 0.5);
    let definite: [[f64; 2]; 2] = [[1.5e308, 1e308], [1e308, 1.5e308]];
    assert!((small::hermitian_rcond(definite) - 0.2).abs() < 1e-15);
}
