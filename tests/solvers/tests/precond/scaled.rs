//! Matrices whose rows and columns are in other units: powers of two change no digit of a factorization,
//! and nothing that is solvable is refused for its scale.

use dolmen_core::random::Philox;
use dolmen_core::scaling::scaled;
use dolmen_core::{AdjointOperator, Layout, LinearOperator, Real, Scalar, SerialCsr, Vector};
use dolmen_solvers::{
    ChebyshevPolynomial, Cholesky, Direct, Equilibrated, Error, Ic, Ilu, Ilut, Jacobi, Ldlt, LocalSolver, Lu,
    PointBlockJacobi, Result, Sor, Sweep,
};
use dolmen_tests::{Comm, TestResult};

use crate::dense::{Dense, filled, identity, sample, serial};
use crate::distributed::{layout, matrix};

const N: usize = 19;

type Make<T> = fn(&SerialCsr<T>) -> Result<Box<dyn LocalSolver<T>>>;

/// The largest exponent for which entries stay normal numbers: 1e+-170, or 1e+-18.
fn range<T: Scalar>() -> i32 {
    if T::Real::EPSILON.to_f64() == f64::EPSILON { 560 } else { 60 }
}

/// Exponents that differ widely, the same for a seed.
fn powers(seed: u64, most: i32) -> Vec<i32> {
    let random = Philox::new(seed);
    #[expect(clippy::cast_possible_truncation, reason = "whole numbers of a few digits")]
    let power = |row: u64| (f64::from(most) * (2.0 * random.uniform(seed, row) - 1.0)).round() as i32;
    (0..N as u64).map(power).collect()
}

/// `R A C` of powers of two.
fn graded<T: Scalar>(a: &Dense<T>, rows: &[i32], columns: &[i32]) -> Dense<T> {
    filled(a.len(), |i, j| scaled(a[i][j], rows[i] + columns[j]))
}

fn right_hand_side<T: Scalar>() -> Vec<T> {
    let random = Philox::new(8);
    (0..N as u64).map(|row| T::from_parts(random.normal(0, row), random.normal(1, row))).collect()
}

fn multiplied<T: Scalar>(x: &[T], powers: &[i32]) -> Vec<T> {
    x.iter().zip(powers).map(|(&x, &power)| scaled(x, power)).collect()
}

/// `x` and the adjoint's, for the right-hand side in the units of the matrix, in ordinary units.
fn solutions<T: Scalar>(m: &dyn LocalSolver<T>, rows: &[i32], columns: &[i32]) -> [Vec<T>; 2] {
    let [mut x, mut y] = [multiplied(&right_hand_side(), rows), multiplied(&right_hand_side(), columns)];
    m.solve(&mut x);
    m.solve_adjoint(&mut y);
    [multiplied(&x, columns), multiplied(&y, rows)]
}

fn incomplete<T: Scalar>(hermitian: bool) -> Vec<(&'static str, Make<T>)> {
    let symmetric: Vec<(&'static str, Make<T>)> = vec![
        ("IC(0)", |a| Ok(Box::new(Ic::new(a)?))),
        ("ILU(0) of a Hermitian matrix", |a| Ok(Box::new(Ilu::new(a, 0)?))),
        ("SSOR", |a| Ok(Box::new(Sor::new(a, Sweep::Symmetric, 1.5, 2)?))),
    ];
    let general: Vec<(&'static str, Make<T>)> = vec![
        ("ILU(0)", |a| Ok(Box::new(Ilu::new(a, 0)?))),
        ("ILU(2)", |a| Ok(Box::new(Ilu::new(a, 2)?))),
        ("complete ILUT", |a| Ok(Box::new(Ilut::new(a, 0.0, N)?))),
        ("SOR", |a| Ok(Box::new(Sor::new(a, Sweep::Forward, 0.5, 1)?))),
    ];
    if hermitian { symmetric } else { general }
}

/// Incomplete factors of `R A C` are those of `A`, scaled to the bit; `D A D` of Hermitian matrices.
pub(crate) fn factors_to_the_bit<T: Scalar>() -> TestResult {
    let most = range::<T>() / 4;
    for hermitian in [true, false] {
        let a = sample::<T>(N, 11, hermitian);
        let rows = powers(1, most);
        let columns = if hermitian { rows.clone() } else { powers(2, most) };
        let changed = graded(&a, &rows, &columns);
        for (what, make) in incomplete(hermitian) {
            let expected = solutions(&*make(&serial(&a)?)?, &[0; N], &[0; N]);
            let found = solutions(&*make(&serial(&changed)?)?, &rows, &columns);
            assert_eq!(found, expected, "{what}");
        }
    }
    Ok(())
}

/// Entries that ILUT drops depend on the units of rows and columns, unless these are removed.
pub(crate) fn scaled_thresholds<T: Scalar>() -> TestResult {
    let dense = sample::<T>(N, 15, false);
    let a = filled(N, |i, j| if i == j { T::from_parts(12.0, 0.0) } else { dense[i][j] });
    let exact = solutions(&Lu::new(&serial(&a)?)?, &[0; N], &[0; N]);
    let error = |found: &[Vec<T>; 2]| {
        let norm = |x: &mut dyn Iterator<Item = T>| x.map(|x| x.abs_sqr().to_f64()).sum::<f64>().sqrt();
        let differences = |at: usize| norm(&mut found[at].iter().zip(&exact[at]).map(|(&x, &y)| x - y));
        (0..2).map(|at| differences(at) / norm(&mut exact[at].iter().copied())).fold(0.0, f64::max)
    };
    let make = |a: &Dense<T>| Equilibrated::new(&serial(a).expect("a matrix"), |a| Ilut::new(a, 0.01, 4));
    let mut m = make(&a)?;
    let plain = solutions(&Ilut::new(&serial(&a)?, 0.01, 4)?, &[0; N], &[0; N]);
    assert_eq!(solutions(&m, &[0; N], &[0; N]), plain, "the diagonal is the largest of all rows and columns");
    let (rows, columns) = (powers(1, range::<T>() / 4), powers(2, range::<T>() / 4));
    let changed = graded(&a, &rows, &columns);
    let found = solutions(&make(&changed)?, &rows, &columns);
    let plain = solutions(&Ilut::new(&serial(&changed)?, 0.01, 4)?, &rows, &columns);
    assert!(error(&found) < 0.2 && error(&found) < error(&plain), "{} with, {} without", error(&found), error(&plain));
    m.refill(&serial(&changed)?)?;
    assert_eq!(solutions(&m, &rows, &columns), found);
    Ok(())
}

/// The same of `A` times a power of two, and what drops small entries too.
pub(crate) fn uniform_scales<T: Scalar>() -> TestResult {
    for hermitian in [true, false] {
        let a = sample::<T>(N, 12, hermitian);
        let mut makes = incomplete(hermitian);
        makes.push(("ILUT", |a| Ok(Box::new(Ilut::new(a, 0.02, 3)?))));
        makes.push(("LU", |a| Ok(Box::new(Lu::new(a)?))));
        if hermitian {
            makes.push(("Cholesky", |a| Ok(Box::new(Cholesky::new(a)?))));
            makes.push(("LDL^H", |a| Ok(Box::new(Ldlt::new(a)?))));
        }
        for (what, make) in makes {
            let expected = solutions(&*make(&serial(&a)?)?, &[0; N], &[0; N]);
            for power in [-range::<T>(), range::<T>()] {
                let m = make(&serial(&graded(&a, &[power; N], &[0; N]))?).map_err(|e| format!("2^{power}: {e}"))?;
                assert_eq!(solutions(&*m, &[power; N], &[0; N]), expected, "{what} of A * 2^{power}");
            }
        }
    }
    Ok(())
}

fn close<T: Scalar>(what: &str, found: &[T], expected: &[T]) {
    within(1e3, what, found, expected);
}

fn within<T: Scalar>(roundings: f64, what: &str, found: &[T], expected: &[T]) {
    let size = expected.iter().map(|x| x.abs().to_f64()).fold(0.0, f64::max);
    let error = found.iter().zip(expected).map(|(&x, &y)| (x - y).abs().to_f64() / size).fold(0.0, f64::max);
    assert!(error < roundings * T::Real::EPSILON.to_f64(), "{what}: a relative error of {error:.1e}");
}

/// Complete factorizations of `R A C` solve as well as those of `A`, though entries differ by 1e300.
pub(crate) fn graded_factorizations<T: Scalar>() -> TestResult {
    let most = if range::<T>() == 560 { 490 } else { 55 };
    let general: [(&str, Make<T>); 1] = [("LU", |a| Ok(Box::new(Lu::new(a)?)))];
    let definite: [(&str, Make<T>); 3] =
        [general[0], ("Cholesky", |a| Ok(Box::new(Cholesky::new(a)?))), ("LDL^H", |a| Ok(Box::new(Ldlt::new(a)?)))];
    for seed in 0..5 {
        for (hermitian, makes) in [(false, &general[..]), (true, &definite[..])] {
            let a = sample::<T>(N, 20 + seed, hermitian);
            let rows = powers(30 + seed, most);
            let columns = if hermitian { rows.clone() } else { powers(40 + seed, most) };
            let changed = serial(&graded(&a, &rows, &columns))?;
            for (what, make) in makes {
                let what = format!("{what} of matrix {seed}");
                let [x, y] = solutions(&*make(&serial(&a)?)?, &[0; N], &[0; N]);
                let m = make(&changed).map_err(|error| format!("{what}: {error}"))?;
                let [found, found_adjoint] = solutions(&*m, &rows, &columns);
                // Small parts of the scaled solution may be large ones in ordinary units, until it is refined.
                within(1e5, &what, &found, &x);
                within(1e5, &format!("adjoint of {what}"), &found_adjoint, &y);
                let mut refined = multiplied(&right_hand_side(), &rows);
                let error = m.solve_refined(&mut refined).ok_or("no error is known")?;
                assert!(error < 4.0 * T::Real::EPSILON.to_f64(), "{what}: a backward error of {error:.1e}");
                close(&what, &multiplied(&refined, &columns), &x);
            }
        }
    }
    Ok(())
}

pub(crate) fn solvable_and_singular() -> TestResult {
    let lu = |a: Dense<f64>| -> TestResult<Lu<f64>> { Ok(Lu::new(&serial(&a)?)?) };
    let solved = |a: Dense<f64>, mut b: Vec<f64>| -> TestResult<Vec<f64>> {
        lu(a)?.solve(&mut b);
        Ok(b)
    };
    assert_eq!(solved(vec![vec![1.0, 0.0], vec![0.0, 1e-17]], vec![1.0, 1e-17])?, [1.0, 1.0]);
    assert_eq!(solved(vec![vec![1e-170, 0.0], vec![0.0, 1e170]], vec![1e-170, 1e170])?, [1.0, 1.0]);
    assert_eq!(solved(vec![vec![1e308, 1e308], vec![1e308, -1e308]], vec![1e308, 0.0])?, [0.5, 0.5]);
    let m = lu(vec![vec![1.0, 0.0], vec![0.0, 1e-17]])?;
    assert!(m.condition() < 5.0 && m.backward_error() < 1e-15, "{}, {}", m.condition(), m.backward_error());
    // A graded matrix whose rows depend on each other, and one whose pattern alone makes it singular.
    let mut dependent = sample::<f64>(N, 3, false);
    dependent[4] = (0..N).map(|j| dependent[2][j] + dependent[7][j]).collect();
    let dependent = graded(&dependent, &powers(5, 300), &powers(6, 300));
    assert!(matches!(Lu::new(&serial(&dependent)?), Err(Error::Singular { .. })));
    let pattern = vec![vec![1.0, 0.0, 0.0], vec![2.0, 0.0, 0.0], vec![3.0, 4.0, 5.0]];
    assert!(matches!(Lu::new(&serial(&pattern)?), Err(Error::Singular { condition: f64::INFINITY, .. })));
    // No exponent of the diagonal makes this positive definite, though its factors would overflow first.
    let mut huge = identity::<f64>(N);
    (huge[9][9], huge[9][8], huge[8][9], huge[8][8]) = (1e-300, 1e300, 1e300, 1e-300);
    let error = Cholesky::new(&serial(&huge)?).err().ok_or("no error")?.to_string();
    assert!(error.contains("row 9 has a pivot that is not positive"), "{error}");
    Ok(())
}

/// A pivot is small beside its row as it is scaled, not as it is given.
pub(crate) fn pivots_beside_scaled_rows() -> TestResult {
    let makes: [Make<f64>; 3] =
        [|a| Ok(Box::new(Ilu::new(a, 0)?)), |a| Ok(Box::new(Ilu::new(a, 1)?)), |a| Ok(Box::new(Ilut::new(a, 0.0, 2)?))];
    for make in makes {
        let m = make(&serial(&vec![vec![1.0, 1e20], vec![1e-20, 2.0]])?)?;
        let mut x = [3.0, 5e-20];
        m.solve(&mut x);
        assert!((x[0] - 1.0).abs() < 1e-12 && (x[1] - 2e-20).abs() < 1e-32, "{x:?}");
        for (rows, columns) in [([0, 0], [0, 0]), ([-300, 200], [0, 0])] {
            let tiny = graded(&vec![vec![1e-20, 1.0], vec![1.0, 1.0]], &rows, &columns);
            let error = make(&serial(&tiny)?).err().ok_or("no error")?.to_string();
            assert!(error.contains("row 0 has a pivot of zero"), "{error}");
        }
    }
    Ok(())
}

fn applied<T: Scalar>(m: &impl AdjointOperator<T>, layout: &Layout, power: i32) -> TestResult<Vec<T>> {
    let b = right_hand_side::<T>();
    let x = Vector::from_fn(layout, |row| scaled(b[usize::try_from(row).expect("a small matrix")], power));
    let mut y = Vector::zeros(layout);
    m.apply(&x, &mut y)?;
    Ok(y.gather_all())
}

/// Preconditioners of the distributed matrix times powers of two give the same bits.
pub(crate) fn distributed_scales<T: Scalar>(comm: &Comm) -> TestResult {
    let layout = layout(comm)?;
    let a = sample::<T>(N, 14, true);
    let b = right_hand_side::<T>();
    let known = Vector::from_fn(&layout, |row| b[usize::try_from(row).expect("a small matrix")]);
    let results = |power: i32| -> TestResult<Vec<Vec<T>>> {
        let a = matrix(&layout, &graded(&a, &[power; N], &[0; N]))?;
        let direct = Direct::factor(&a)?;
        let (mut image, mut x) = (Vector::zeros(&layout), Vector::zeros(&layout));
        a.apply(&known, &mut image)?;
        let error = direct.solve(&image, &mut x)?.ok_or("no error is known")?;
        assert!(error < 4.0 * T::Real::EPSILON.to_f64(), "2^{power}: a backward error of {error:.1e}");
        close(&format!("direct solution of A * 2^{power}"), &x.gather_all(), &known.gather_all());
        Ok(vec![
            x.gather_all(),
            applied(&direct, &layout, power)?,
            applied(&Jacobi::new(&a)?, &layout, power)?,
            applied(&PointBlockJacobi::new(&a, 1)?, &layout, power)?,
            applied(&ChebyshevPolynomial::new(&a, 3)?, &layout, power)?,
        ])
    };
    let expected = results(0)?;
    for power in [-range::<T>(), range::<T>()] {
        for (number, (found, expected)) in results(power)?.iter().zip(&expected).enumerate() {
            assert_eq!(found, expected, "operator {number} of A * 2^{power}");
        }
    }
    Ok(())
}

/// The interval of a polynomial does not depend on the units of the unknowns.
pub(crate) fn chebyshev_intervals(comm: &Comm) -> TestResult {
    let layout = layout(comm)?;
    let entry = |i: usize, j: usize| if i == j { 2.0 } else { f64::from(u8::from(i.abs_diff(j) == 1)) };
    let a = filled(N, entry);
    // 1 + cos(pi / 20) is the largest eigenvalue of D^-1 A.
    let largest = 1.0 + (std::f64::consts::PI / 20.0).cos();
    for most in [0, 3, 50, 250] {
        let rows = powers(7, most);
        let [low, high] = ChebyshevPolynomial::new(&matrix(&layout, &graded(&a, &rows, &rows))?, 3)?.interval();
        let estimate = high / 1.1;
        assert!(estimate > 0.9 * largest && estimate <= largest * (1.0 + 1e-12), "{most}: {estimate}");
        assert!((low - estimate / 30.0).abs() < 1e-12);
    }
    Ok(())
}
