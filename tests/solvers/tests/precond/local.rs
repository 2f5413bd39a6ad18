//! Local solvers against dense computations of their definitions, one process.

use std::cmp::Ordering;

use dolmen_core::{Graph, Layout, Lid, Real, Scalar, SerialCsr};
use dolmen_solvers::{BlockJacobi, Cholesky, Ic, Ilu, Ilut, Ldlt, LocalSolver, Lu, Permuted, Result, Sor, Sweep};
use dolmen_tests::{Comm, TestResult};

use crate::dense::{
    Dense, adjoint, assert_same, combined, filled, identity, incomplete_cholesky, incomplete_lu, inverse, levels,
    of_solver, part, sample, serial, times,
};
use crate::distributed::matrix;

const N: usize = 21;

type Constructor<T> = fn(&SerialCsr<T>) -> Result<Box<dyn LocalSolver<T>>>;
type Oracle<T> = fn(&Dense<T>) -> Dense<T>;

/// Solver and adjoint against a dense matrix; then a refill against a solver of the new values.
fn check<T: Scalar, S: LocalSolver<T>>(
    what: &str,
    a: &Dense<T>,
    make: impl Fn(&SerialCsr<T>) -> Result<S>,
    expected: impl Fn(&Dense<T>) -> Dense<T>,
) -> TestResult {
    let mut solver = make(&serial(a)?)?;
    let [found, found_adjoint] = of_solver(a.len(), &solver);
    assert_same(what, &found, &expected(a));
    assert_same(&format!("adjoint of {what}"), &found_adjoint, &adjoint(&found));
    // The same pattern, other values, still Hermitian where they were and diagonally dominant.
    let changed = filled(a.len(), |i, j| a[i][j].scale(T::Real::from_f64(if i == j { 2.0 } else { 0.75 })));
    solver.refill(&serial(&changed)?)?;
    let fresh = make(&serial(&changed)?)?;
    assert_eq!(of_solver(a.len(), &solver), of_solver(a.len(), &fresh), "refill of {what}");
    assert_same(&format!("refilled {what}"), &of_solver(a.len(), &solver)[0], &expected(&changed));
    Ok(())
}

pub(crate) fn incomplete_factorizations<T: Scalar>() -> TestResult {
    let a = sample::<T>(N, 3, false);
    for level in [0, 1, 2, N] {
        let expected = |a: &Dense<T>| {
            let levels = levels(a);
            incomplete_lu(a, |i, j| levels[i][j] <= level)
        };
        check(&format!("ILU({level})"), &a, |a| Ilu::new(a, level), expected)?;
    }
    check("ILU of all levels", &a, |a| Ilu::new(a, N), inverse)?;
    let entries = |level| -> TestResult<usize> { Ok(Ilu::new(&serial(&a)?, level)?.entries()) };
    let stored = a.iter().flatten().filter(|value| **value != T::ZERO).count();
    assert_eq!(entries(0)?, stored);
    assert!(entries(0)? < entries(1)? && entries(1)? < entries(N)?);
    let hermitian = sample::<T>(N, 4, true);
    check("IC(0)", &hermitian, Ic::new, incomplete_cholesky)?;
    assert_eq!(Ic::new(&serial(&hermitian)?)?.shift(), 0.0);
    Ok(())
}

/// On the pattern of the matrix, the product of the factors of ILU(0) and IC(0) is the matrix.
pub(crate) fn products_of_factors<T: Scalar>() -> TestResult {
    let on_pattern = |a: &Dense<T>, product: &Dense<T>| part(product, |i, j| a[i][j] != T::ZERO);
    let a = sample::<T>(N, 5, false);
    let product = inverse(&of_solver(N, &Ilu::new(&serial(&a)?, 0)?)[0]);
    assert_same("L U on the pattern", &on_pattern(&a, &product), &a);
    let a = sample::<T>(N, 6, true);
    let product = inverse(&of_solver(N, &Ic::new(&serial(&a)?)?)[0]);
    assert_same("L L^H on the pattern", &on_pattern(&a, &product), &a);
    Ok(())
}

/// `(L U)^-1` by the rules of SPARSKIT's ILUT, with dense rows.
fn dense_ilut<T: Scalar>(a: &Dense<T>, drop: f64, fill: usize) -> Dense<T> {
    let n = a.len();
    let (mut lower, mut upper) = (identity::<T>(n), filled(n, |_, _| T::ZERO));
    let keep = |row: &mut Vec<T>, places: std::ops::Range<usize>| {
        let mut sizes: Vec<(f64, usize)> = places.map(|j| (-row[j].abs().to_f64(), j)).collect();
        sizes.sort_by(|one, other| one.0.total_cmp(&other.0));
        sizes.iter().skip(fill).for_each(|&(_, j)| row[j] = T::ZERO);
    };
    for i in 0..n {
        let norm = a[i].iter().map(|value| value.abs_sqr().to_f64()).sum::<f64>().sqrt();
        let mut row = a[i].clone();
        for k in 0..i {
            row[k] /= upper[k][k];
            if row[k].abs().to_f64() < drop {
                row[k] = T::ZERO;
            }
            for j in k + 1..n {
                let change = row[k] * upper[k][j];
                row[j] -= change;
            }
        }
        for j in i + 1..n {
            if row[j].abs().to_f64() < drop * norm {
                row[j] = T::ZERO;
            }
        }
        keep(&mut row, 0..i);
        keep(&mut row, i + 1..n);
        (0..i).for_each(|j| lower[i][j] = row[j]);
        (i..n).for_each(|j| upper[i][j] = row[j]);
    }
    inverse(&times(&lower, &upper))
}

pub(crate) fn thresholds<T: Scalar>() -> TestResult {
    let a = sample::<T>(N, 7, false);
    check("complete ILUT", &a, |a| Ilut::new(a, 0.0, N), inverse)?;
    for (drop, fill) in [(0.03, N), (0.0, 2), (0.01, 3), (0.1, 0)] {
        let what = format!("ILUT({drop}, {fill})");
        check(&what, &a, |a| Ilut::new(a, drop, fill), |a| dense_ilut(a, drop, fill))?;
    }
    assert!(Ilut::new(&serial(&a)?, 0.0, 2)?.entries() <= 5 * N);
    Ok(())
}

/// Kershaw's positive definite matrix (J. Comput. Phys. 26, 1978), on which IC(0) breaks down.
pub(crate) fn shifts() -> TestResult {
    let a = vec![
        vec![3.0, -2.0, 0.0, 2.0],
        vec![-2.0, 3.0, -2.0, 0.0],
        vec![0.0, -2.0, 3.0, -2.0],
        vec![2.0, 0.0, -2.0, 3.0],
    ];
    let ic = Ic::new(&serial(&a)?)?;
    assert!(ic.shift() > 0.0 && ic.shift() < 1.0, "{}", ic.shift());
    let shifted = |shift: f64| filled(4, |i, j| if i == j { a[i][j] * (1.0 + shift) } else { a[i][j] });
    assert_same("shifted IC(0)", &of_solver(4, &ic)[0], &incomplete_cholesky(&shifted(ic.shift())));
    // The shift before it was too small.
    let before = incomplete_cholesky(&shifted(ic.shift() / 2.0));
    assert!(before.iter().flatten().any(|value| value.is_nan()));
    Ok(())
}

pub(crate) fn relaxations<T: Scalar>() -> TestResult {
    for (sweep, hermitian) in [(Sweep::Forward, false), (Sweep::Backward, false), (Sweep::Symmetric, true)] {
        let a = sample::<T>(N, 8, hermitian);
        for (omega, sweeps) in [(1.0, 1), (1.3, 1), (0.7, 3)] {
            let expected = |a: &Dense<T>| {
                let diagonal = part(a, |i, j| i == j);
                let lower = combined(1.0, &part(a, |i, j| i > j), 1.0 / omega, &diagonal);
                let upper = combined(1.0, &part(a, |i, j| i < j), 1.0 / omega, &diagonal);
                let once = match sweep {
                    Sweep::Forward => inverse(&lower),
                    Sweep::Backward => inverse(&upper),
                    Sweep::Symmetric => {
                        let middle = combined(2.0 / omega - 1.0, &diagonal, 0.0, &diagonal);
                        times(&inverse(&upper), &times(&middle, &inverse(&lower)))
                    }
                };
                // Errors shrink by I - M A in each sweep.
                let step = combined(1.0, &identity(N), -1.0, &times(&once, a));
                let left = (1..sweeps).fold(step.clone(), |left, _| times(&left, &step));
                times(&combined(1.0, &identity(N), -1.0, &left), &inverse(a))
            };
            check(&format!("{sweep:?} SOR({omega}, {sweeps})"), &a, |a| Sor::new(a, sweep, omega, sweeps), expected)?;
        }
    }
    Ok(())
}

pub(crate) fn complete_factorizations<T: Scalar>() -> TestResult {
    let general = sample::<T>(N, 9, false);
    check("LU", &general, Lu::new, inverse)?;
    // A permutation has no pivot on its diagonal.
    let cycle = filled(N, |i, j| if (i + 1) % N == j { T::from_parts(2.0, 1.0) } else { T::ZERO });
    check("LU of a cycle", &cycle, Lu::new, inverse)?;
    let definite = sample::<T>(N, 10, true);
    check("Cholesky", &definite, Cholesky::new, inverse)?;
    let indefinite = filled(N, |i, j| {
        let sign = if i == j && i % 3 == 0 { -1.0 } else { 1.0 };
        definite[i][j].scale(T::Real::from_f64(sign))
    });
    check("LDL^H", &indefinite, Ldlt::new, inverse)?;
    Ok(())
}

/// Whatever stands above the diagonal, or in its imaginary parts, Hermitian factorizations neither use
/// it nor stumble over it, in a refill neither; and rows that are zero below the diagonal are not zero.
pub(crate) fn lower_triangles<T: Scalar>() -> TestResult {
    let a = sample::<T>(N, 14, true);
    for garbage in [1e30, f64::NAN] {
        let spoilt = |a: &Dense<T>| {
            filled(N, |i, j| match i.cmp(&j) {
                Ordering::Less if (i + j) % 3 == 0 => T::from_parts(garbage, -garbage),
                Ordering::Less => T::ZERO,
                Ordering::Equal => a[i][j] + T::from_parts(0.0, 0.5),
                Ordering::Greater => a[i][j],
            })
        };
        let solvers: [(&str, Constructor<T>, Oracle<T>); 3] = [
            ("Cholesky", |a| Ok(Box::new(Cholesky::new(a)?)), inverse),
            ("LDL^H", |a| Ok(Box::new(Ldlt::new(a)?)), inverse),
            ("IC(0)", |a| Ok(Box::new(Ic::new(a)?)), incomplete_cholesky),
        ];
        for (name, make, expected) in solvers {
            let what = format!("{name} below {garbage}");
            let mut solver = make(&serial(&spoilt(&a))?)?;
            let same = |what: &str, solver: &dyn LocalSolver<T>, a: &Dense<T>| {
                assert_same(what, &of_solver(N, solver)[0], &expected(a));
            };
            same(&what, &*solver, &a);
            let doubled = combined(2.0, &a, 0.0, &a);
            solver.refill(&serial(&spoilt(&doubled))?)?;
            same(&format!("refilled {what}"), &*solver, &doubled);
            // The upper triangle may get another pattern.
            solver.refill(&serial(&a)?)?;
            same(&format!("clean {what}"), &*solver, &a);
        }
        let [spoilt, clean] = [Cholesky::new(&serial(&spoilt(&a))?)?, Cholesky::new(&serial(&a)?)?];
        assert_eq!(spoilt.condition(), clean.condition());
    }
    let coupled: Dense<T> = filled(2, |i, j| T::from_parts([[0.0, 9.0], [1.0, 3.0]][i][j], 0.0));
    let message = Cholesky::new(&serial(&coupled)?).err().map(|error| error.to_string());
    assert!(message.is_some_and(|message| message.contains("not positive")));
    Ok(())
}

/// Enough fill for the kernels that work on blocks of columns.
pub(crate) fn direct_with_supernodes() -> TestResult {
    const SIDE: usize = 24;
    let place = |i: usize| ((i % SIDE) as f64, (i / SIDE) as f64);
    let near = |i: usize, j: usize| {
        let ((xi, yi), (xj, yj)) = (place(i), place(j));
        (xi - xj).abs().max((yi - yj).abs()) <= 1.0
    };
    let a = filled(SIDE * SIDE, |i, j| match (i == j, near(i, j)) {
        (true, _) => 8.5,
        (_, true) => -1.0,
        _ => 0.0,
    });
    let serial = serial(&a)?;
    let solvers: [Box<dyn LocalSolver<f64>>; 3] =
        [Box::new(Lu::new(&serial)?), Box::new(Cholesky::new(&serial)?), Box::new(Ldlt::new(&serial)?)];
    for solver in solvers {
        let x: Vec<f64> = (0..a.len()).map(|i| 1.0 + (i % 5) as f64).collect();
        let mut b: Vec<f64> = a.iter().map(|row| row.iter().zip(&x).map(|(a, x)| a * x).sum()).collect();
        solver.solve(&mut b);
        assert!(b.iter().zip(&x).all(|(b, x)| (b - x).abs() < 1e-10));
    }
    Ok(())
}

/// The condition number of a matrix whose inverse is known.
pub(crate) fn conditions() -> TestResult {
    // The largest entries of all rows and columns are on the diagonal, so scaling is by one number.
    let others = sample::<f64>(N, 11, false);
    let a = filled(N, |i, j| if i == j { 4.0 } else { others[i][j].clamp(-1.9, 1.9) });
    let norm = |a: &Dense<f64>| {
        let column = |j: usize| a.iter().map(|row| row[j].abs()).sum::<f64>();
        (0..a.len()).map(column).fold(0.0, f64::max)
    };
    let exact = norm(&a) * norm(&inverse(&a));
    let found = Lu::new(&serial(&a)?)?.condition();
    assert!(found <= exact * (1.0 + 1e-12) && found >= exact / 3.0, "{found}, not {exact}");
    // The last column of this one is long; the longest of its lower triangle is a ninth of that.
    let arrow = filled(101, |i, j| match (i, j) {
        (i, j) if i == j => 11.0,
        (100, _) | (_, 100) => 1.0,
        _ => 0.0,
    });
    let exact = 111.0 * norm(&inverse(&arrow));
    for found in [Cholesky::new(&serial(&arrow)?)?.condition(), Ldlt::new(&serial(&arrow)?)?.condition()] {
        assert!(found <= exact * (1.0 + 1e-12) && found >= exact / 3.0, "{found}, not {exact}");
    }
    Ok(())
}

pub(crate) fn permutations<T: Scalar>() -> TestResult {
    let a = sample::<T>(N, 12, false);
    let numbers: Vec<Lid> = (0..21).map(|i| (8 * i + 5) % 21).collect();
    let place = |i: usize| usize::try_from(numbers[i]).expect("small");
    let expected = |a: &Dense<T>| {
        let mut permuted = filled(N, |_, _| T::ZERO);
        (0..N).for_each(|i| (0..N).for_each(|j| permuted[place(i)][place(j)] = a[i][j]));
        let levels = levels(&permuted);
        let m = incomplete_lu(&permuted, |i, j| levels[i][j] == 0);
        filled(N, |i, j| m[place(i)][place(j)])
    };
    check("permuted ILU(0)", &a, |a| Permuted::new(a, &numbers, |a| Ilu::new(a, 0)), expected)?;
    let refused = |numbers: &[Lid]| -> TestResult<String> {
        let refused = Permuted::new(&serial(&a)?, numbers, |a| Ilu::new(a, 0));
        Ok(refused.err().ok_or("not a permutation, but taken")?.to_string())
    };
    assert!(refused(&numbers[1..])?.contains("not to one"));
    let twice: Vec<Lid> = numbers.iter().map(|&number| number.max(1)).collect();
    assert!(refused(&twice)?.contains("row 1 is given to 2 rows"));
    Ok(())
}

/// Reverse Cuthill-McKee numbers of this rank's block of a distributed matrix.
pub(crate) fn reordered_blocks(comm: &Comm) -> TestResult {
    let dense = sample::<f64>(N, 13, false);
    let layout = Layout::uniform(comm, N as u64);
    let a = matrix(&layout, &dense)?;
    let numbers = Graph::from_matrix(&a)?.local_reverse_cuthill_mckee();
    let m = BlockJacobi::new(&a, |block| Permuted::new(block, &numbers, Lu::new))?;
    let plain = BlockJacobi::new(&a, Lu::new)?;
    let [m, plain] = [of_solver(layout.local_len(), m.solver()), of_solver(layout.local_len(), plain.solver())];
    assert_same("reordered LU", &m[0], &plain[0]);
    Ok(())
}
