//! Small dense matrices and the textbook definitions of what is tested, written for clearness.

use dolmen_core::random::Philox;
use dolmen_core::{Lid, LinearOperator, Real, Scalar, SerialCsr, Vector};
use dolmen_solvers::LocalSolver;
use dolmen_tests::{TestResult, oracle};

/// Rows of a matrix.
pub(crate) type Dense<T> = Vec<Vec<T>>;

pub(crate) fn filled<T: Scalar>(n: usize, entry: impl Fn(usize, usize) -> T) -> Dense<T> {
    (0..n).map(|i| (0..n).map(|j| entry(i, j)).collect()).collect()
}

pub(crate) fn identity<T: Scalar>(n: usize) -> Dense<T> {
    filled(n, |i, j| if i == j { T::ONE } else { T::ZERO })
}

pub(crate) fn times<T: Scalar>(a: &Dense<T>, b: &Dense<T>) -> Dense<T> {
    let sum = |row: &Vec<T>, j: usize| row.iter().zip(b).map(|(&a, b)| a * b[j]).sum();
    a.iter().map(|row| (0..b[0].len()).map(|j| sum(row, j)).collect()).collect()
}

pub(crate) fn adjoint<T: Scalar>(a: &Dense<T>) -> Dense<T> {
    (0..a[0].len()).map(|j| a.iter().map(|row| row[j].conj()).collect()).collect()
}

/// `alpha A + beta B`.
pub(crate) fn combined<T: Scalar>(alpha: f64, a: &Dense<T>, beta: f64, b: &Dense<T>) -> Dense<T> {
    let real = |value| T::from_parts(value, 0.0);
    filled(a.len(), |i, j| real(alpha) * a[i][j] + real(beta) * b[i][j])
}

/// Entries where `keep` says so, zero elsewhere.
pub(crate) fn part<T: Scalar>(a: &Dense<T>, keep: impl Fn(usize, usize) -> bool) -> Dense<T> {
    filled(a.len(), |i, j| if keep(i, j) { a[i][j] } else { T::ZERO })
}

/// Some rows and the same columns.
pub(crate) fn block<T: Scalar>(a: &Dense<T>, rows: &[usize]) -> Dense<T> {
    filled(rows.len(), |i, j| a[rows[i]][rows[j]])
}

pub(crate) fn inverse<T: Scalar>(a: &Dense<T>) -> Dense<T> {
    oracle::inverse(a)
}

/// Levels of fill (Saad, definition 10.5): 0 where stored, `least + 1` where elimination brings fill.
pub(crate) fn levels<T: Scalar>(a: &Dense<T>) -> Vec<Vec<usize>> {
    let n = a.len();
    let stored = |i: usize, j: usize| if i == j || a[i][j] != T::ZERO { 0 } else { n };
    let mut level: Vec<Vec<usize>> = (0..n).map(|i| (0..n).map(|j| stored(i, j)).collect()).collect();
    for i in 0..n {
        for k in 0..i {
            for j in k + 1..n {
                level[i][j] = level[i][j].min(level[i][k] + level[k][j] + 1);
            }
        }
    }
    level
}

/// `(L U)^-1` of Gaussian elimination without pivoting that keeps some places only.
pub(crate) fn incomplete_lu<T: Scalar>(a: &Dense<T>, keep: impl Fn(usize, usize) -> bool) -> Dense<T> {
    let n = a.len();
    let mut factors = part(a, &keep);
    for i in 0..n {
        for k in (0..i).filter(|k| keep(i, *k)) {
            factors[i][k] = factors[i][k] / factors[k][k];
            for j in (k + 1..n).filter(|j| keep(i, *j)) {
                let change = factors[i][k] * factors[k][j];
                factors[i][j] -= change;
            }
        }
    }
    let lower = filled(n, |i, j| if i == j { T::ONE } else { factors[i][j] });
    inverse(&times(&part(&lower, |i, j| i >= j), &part(&factors, |i, j| i <= j)))
}

/// `(L L^H)^-1` of Cholesky's factorization that keeps stored places only.
pub(crate) fn incomplete_cholesky<T: Scalar>(a: &Dense<T>) -> Dense<T> {
    let n = a.len();
    let mut l = filled(n, |_, _| T::ZERO);
    for j in 0..n {
        let known: f64 = (0..j).map(|k| l[j][k].abs_sqr().to_f64()).sum();
        l[j][j] = T::from_parts((a[j][j].re().to_f64() - known).sqrt(), 0.0);
        for i in (j + 1..n).filter(|i| a[*i][j] != T::ZERO) {
            let known: T = (0..j).map(|k| l[i][k] * l[j][k].conj()).sum();
            l[i][j] = (a[i][j] - known) / l[j][j];
        }
    }
    inverse(&times(&l, &adjoint(&l)))
}

/// A sparse matrix with a dominant diagonal; Hermitian, and then positive definite, if asked for.
pub(crate) fn sample<T: Scalar>(n: usize, seed: u64, hermitian: bool) -> Dense<T> {
    let random = Philox::new(seed);
    let value = |i: usize, j: usize| {
        let (i, j) = (i as u64, j as u64);
        let stored = random.uniform(i, j) < 0.15;
        let value = T::from_parts(random.normal(i, 2 * j), random.normal(i, 2 * j + 1));
        if stored { value } else { T::ZERO }
    };
    let off = filled(n, |i, j| match (hermitian, i.cmp(&j)) {
        (_, std::cmp::Ordering::Equal) => T::ZERO,
        (true, std::cmp::Ordering::Less) => value(j, i).conj(),
        _ => value(i, j),
    });
    let size = |i: usize| (0..n).map(|j| off[i][j].abs().to_f64() + off[j][i].abs().to_f64()).sum::<f64>();
    let diagonal = |i: usize| T::from_parts(1.0 + 0.6 * size(i), if hermitian { 0.0 } else { 0.5 });
    filled(n, |i, j| if i == j { diagonal(i) } else { off[i][j] })
}

pub(crate) fn serial<T: Scalar>(a: &Dense<T>) -> TestResult<SerialCsr<T>> {
    let (mut starts, mut columns, mut values) = (vec![0], Vec::new(), Vec::new());
    for row in a {
        for (column, &value) in row.iter().enumerate().filter(|(_, value)| **value != T::ZERO) {
            columns.push(Lid::try_from(column)?);
            values.push(value);
        }
        starts.push(columns.len());
    }
    Ok(SerialCsr::new(a.len(), starts, columns, values)?)
}

/// Computes the matrix of a solver, column by column, and that of its adjoint.
pub(crate) fn of_solver<T: Scalar>(n: usize, solver: &(impl LocalSolver<T> + ?Sized)) -> [Dense<T>; 2] {
    let unit = |k: usize| (0..n).map(|i| if i == k { T::ONE } else { T::ZERO }).collect::<Vec<T>>();
    let columns = |solve: &dyn Fn(&mut [T])| {
        let column = |k: usize| {
            let mut x = unit(k);
            solve(&mut x);
            x
        };
        let columns: Dense<T> = (0..n).map(column).collect();
        filled(n, |i, j| columns[j][i])
    };
    [columns(&|x| solver.solve(x)), columns(&|x| solver.solve_adjoint(x))]
}

/// A distributed operator as a dense matrix on every rank.
pub(crate) fn of_operator<T: Scalar>(
    a: &(impl LinearOperator<T> + ?Sized),
    apply: impl Fn(&Vector<T>, &mut Vector<T>) -> dolmen_core::Result<()>,
) -> TestResult<Dense<T>> {
    let n = usize::try_from(a.domain().global_len())?;
    let mut columns = Vec::new();
    for k in 0..n {
        let unit = Vector::from_fn(a.domain(), |i| if i == k as u64 { T::ONE } else { T::ZERO });
        let mut image = Vector::from_fn(a.range(), |_| T::from_parts(f64::NAN, 0.0));
        apply(&unit, &mut image)?;
        columns.push(image.gather_all());
    }
    Ok(filled(n, |i, j| columns[j][i]))
}

/// The same up to rounding.
pub(crate) fn assert_same<T: Scalar>(what: &str, found: &Dense<T>, expected: &Dense<T>) {
    let entries = |a: &Dense<T>| a.iter().flatten().map(|value| value.abs().to_f64()).fold(0.0, f64::max);
    let difference = combined(1.0, found, -1.0, expected);
    assert!(found.iter().flatten().all(|value| value.is_finite()), "{what}: not finite");
    let error = entries(&difference) / entries(expected).max(f64::MIN_POSITIVE);
    assert!(error < 2e3 * T::Real::EPSILON.to_f64(), "{what}: a relative error of {error:.1e}");
}
