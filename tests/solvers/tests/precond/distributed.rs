//! Distributed preconditioners against dense computations of their definitions on each number of
//! ranks, some of them without rows.

use dolmen_core::{AdjointOperator, CsrMatrix, FnOperator, Layout, LinearOperator, Scalar, Vector};
use dolmen_solvers::{
    Additive, AdditiveSchwarz, BlockJacobi, ChebyshevPolynomial, Cholesky, Direct, Ic, Ilu, Jacobi, LocalSolver, Lu,
    Multiplicative, PointBlockJacobi, Schwarz,
};
use dolmen_tests::{Checksums, Comm, TestResult};

use crate::dense::{
    Dense, adjoint, assert_same, block, combined, filled, identity, incomplete_lu, inverse, of_operator, part, sample,
    times,
};

const N: usize = 19;

/// Uneven, and without rows on rank 1 where there are more than two ranks.
pub(crate) fn layout(comm: &Comm) -> TestResult<Layout> {
    let (rank, size) = (comm.rank(), comm.size());
    let share = |rank: usize| match (rank, size) {
        (_, 1) => N,
        (1, 3..) => 0,
        _ => 2,
    };
    let others: usize = (1..size).map(share).sum();
    Ok(Layout::from_local_len(comm, if rank == 0 { N - others } else { share(rank) })?)
}

pub(crate) fn matrix<T: Scalar>(layout: &Layout, dense: &Dense<T>) -> TestResult<CsrMatrix<T>> {
    Ok(CsrMatrix::from_rows(layout, layout, |row, entries| {
        let row = &dense[usize::try_from(row).expect("a small matrix")];
        let stored = (0..).zip(row).filter(|(_, value)| **value != T::ZERO);
        stored.for_each(|(column, &value)| entries.push(column, value));
    })?)
}

/// Rows of each rank, as positions.
fn owned(layout: &Layout) -> Vec<Vec<usize>> {
    let position = |row: u64| usize::try_from(row).expect("a small matrix");
    (0..layout.comm().size()).map(|rank| layout.blocks().range(rank).map(position).collect()).collect()
}

fn check<T: Scalar>(what: &str, m: &impl AdjointOperator<T>, expected: &Dense<T>) -> TestResult {
    assert_same(what, &of_operator(m, |x, y| m.apply(x, y))?, expected);
    let found = of_operator(m, |x, y| m.apply_adjoint(x, y))?;
    assert_same(&format!("adjoint of {what}"), &found, &adjoint(expected));
    Ok(())
}

/// Other values on the same pattern.
fn changed<T: Scalar>(a: &Dense<T>) -> Dense<T> {
    filled(a.len(), |i, j| if i == j { a[i][j] + a[i][j] } else { a[i][j] })
}

/// The sum over all ranks of what `local` makes of the block of its rows, put back at the `kept` ones.
fn summed<T: Scalar>(
    a: &Dense<T>,
    rows: &[Vec<usize>],
    kept: &[Vec<usize>],
    local: impl Fn(&Dense<T>) -> Dense<T>,
) -> Dense<T> {
    let mut sum = filled(a.len(), |_, _| T::ZERO);
    for (rows, kept) in rows.iter().zip(kept) {
        let m = local(&block(a, rows));
        for (i, &row) in rows.iter().enumerate().filter(|(_, row)| kept.contains(row)) {
            rows.iter().enumerate().for_each(|(j, &column)| sum[row][column] += m[i][j]);
        }
    }
    sum
}

pub(crate) fn jacobi<T: Scalar>(comm: &Comm) -> TestResult {
    let (layout, dense) = (layout(comm)?, sample::<T>(N, 21, false));
    let mut m = Jacobi::new(&matrix(&layout, &dense)?)?;
    let expected = |a: &Dense<T>| inverse(&part(a, |i, j| i == j));
    check("Jacobi", &m, &expected(&dense))?;
    m.refill(&matrix(&layout, &changed(&dense))?)?;
    check("refilled Jacobi", &m, &expected(&changed(&dense)))
}

pub(crate) fn point_block_jacobi<T: Scalar>(comm: &Comm) -> TestResult {
    let dense = sample::<T>(N - 1, 24, false);
    let share = match (comm.rank(), comm.size()) {
        (0, size) => N - 1 - (0..size).map(|rank| if rank > 1 { 3 } else { 0 }).sum::<usize>(),
        (1, _) => 0,
        _ => 3,
    };
    let layout = Layout::from_local_len(comm, share)?;
    let a = matrix(&layout, &dense)?;
    let expected = |a: &Dense<T>, order: usize| inverse(&part(a, |i, j| i / order == j / order));
    for order in [1, 3] {
        let mut m = PointBlockJacobi::new(&a, order)?;
        check(&format!("blocks of {order}"), &m, &expected(&dense, order))?;
        let other = changed(&dense);
        m.refill(&matrix(&layout, &other)?)?;
        check(&format!("refilled blocks of {order}"), &m, &expected(&other, order))?;
    }
    Ok(())
}

pub(crate) fn block_jacobi<T: Scalar>(comm: &Comm) -> TestResult {
    let (layout, dense) = (layout(comm)?, sample::<T>(N, 22, false));
    let rows = owned(&layout);
    let a = matrix(&layout, &dense)?;
    let ilu = |a: &Dense<T>| incomplete_lu(a, |i, j| a[i][j] != T::ZERO);
    let mut m = BlockJacobi::new(&a, |block| Ilu::new(block, 0))?;
    check("block Jacobi with ILU(0)", &m, &summed(&dense, &rows, &rows, ilu))?;
    let other = changed(&dense);
    m.refill(&matrix(&layout, &other)?)?;
    check("refilled block Jacobi", &m, &summed(&other, &rows, &rows, ilu))?;
    // A solver that is chosen at run time.
    let boxed = |exact: bool| {
        BlockJacobi::new(&a, move |block| {
            let solver: Box<dyn LocalSolver<T>> =
                if exact { Box::new(Lu::new(block)?) } else { Box::new(Ilu::new(block, 0)?) };
            Ok(solver)
        })
    };
    check("block Jacobi with LU", &boxed(true)?, &summed(&dense, &rows, &rows, inverse))?;
    check("block Jacobi with ILU(0)", &boxed(false)?, &summed(&dense, &rows, &rows, ilu))
}

pub(crate) fn schwarz<T: Scalar>(comm: &Comm) -> TestResult {
    let layout = layout(comm)?;
    let own = owned(&layout);
    let dense = sample::<T>(N, 23, false);
    let mut rows = own.clone();
    for levels in 0..3 {
        for form in [Schwarz::Symmetric, Schwarz::Restricted] {
            let kept = if form == Schwarz::Symmetric { &rows } else { &own };
            let mut m = AdditiveSchwarz::new(&matrix(&layout, &dense)?, levels, form, Lu::new)?;
            let what = format!("{form:?} Schwarz of overlap {levels}");
            check(&what, &m, &summed(&dense, &rows, kept, inverse))?;
            assert_eq!(m.rows().len(), rows[comm.rank()].len());
            let other = changed(&dense);
            m.refill(&matrix(&layout, &other)?)?;
            check(&format!("refilled {what}"), &m, &summed(&other, &rows, kept, inverse))?;
        }
        for rows in &mut rows {
            let near = |j: &usize| rows.iter().any(|i| dense[*i][*j] != T::ZERO);
            *rows = (0..N).filter(near).collect();
        }
    }
    Ok(())
}

pub(crate) fn chebyshev<T: Scalar>(comm: &Comm) -> TestResult {
    let (layout, dense) = (layout(comm)?, sample::<T>(N, 24, true));
    let a = matrix(&layout, &dense)?;
    let scaled = times(&inverse(&part(&dense, |i, j| i == j)), &dense);
    for degree in [1usize, 2, 5] {
        let [low, high] = [0.2, 2.1];
        // The error is divided by T_d of the interval's center (Saad, equation 12.8).
        let (theta, delta) = ((high + low) / 2.0, (high - low) / 2.0);
        let argument = combined(theta / delta, &identity(N), -1.0 / delta, &scaled);
        let (mut previous, mut current) = (identity::<T>(N), argument.clone());
        let (mut before, mut center) = (1.0, theta / delta);
        for _ in 1..degree {
            let next = combined(2.0, &times(&argument, &current), -1.0, &previous);
            (previous, current) = (current, next);
            (before, center) = (center, 2.0 * theta / delta * center - before);
        }
        let left = combined(1.0, &identity(N), -1.0 / center, &current);
        let m = ChebyshevPolynomial::on_interval(&a, degree, [low, high])?;
        check(&format!("Chebyshev of degree {degree}"), &m, &times(&left, &inverse(&dense)))?;
    }
    // The estimate of the largest eigenvalue, from below, is raised by a tenth.
    let [low, high] = ChebyshevPolynomial::new(&a, 3)?.interval();
    let mut power = scaled.clone();
    for _ in 0..9 {
        power = times(&power, &power);
        let size = power.iter().flatten().map(|v| dolmen_core::Real::to_f64(v.abs())).fold(0.0, f64::max);
        power = combined(1.0 / size, &power, 0.0, &power);
    }
    let image = times(&scaled, &power);
    let trace = |a: &Dense<T>| (0..N).map(|i| dolmen_core::Real::to_f64(a[i][i].re())).sum::<f64>();
    let largest = trace(&image) / trace(&power);
    assert!(high > 0.98 * largest && high < 1.1001 * largest, "{high} for {largest}");
    assert!((high / low - 33.0).abs() < 1e-3);
    Ok(())
}

pub(crate) fn compositions<T: Scalar>(comm: &Comm) -> TestResult {
    let (layout, dense) = (layout(comm)?, sample::<T>(N, 25, false));
    let a = matrix(&layout, &dense)?;
    let jacobi = Jacobi::new(&a)?;
    let blocks = BlockJacobi::new(&a, |block| Ilu::new(block, 0))?;
    // A shell: whatever a closure computes.
    let half = T::from_parts(0.5, 0.0);
    let scale = |x: &Vector<T>, y: &mut Vector<T>| y.axpby(half, x, T::ZERO);
    let shell = FnOperator::new(&layout, &layout, scale).with_adjoint(scale);
    let dense_of = |m: &dyn AdjointOperator<T>| of_operator(m, |x, y| m.apply(x, y));
    let parts: [&dyn AdjointOperator<T>; 3] = [&jacobi, &blocks, &shell];
    let each = parts.iter().map(|part| dense_of(*part)).collect::<TestResult<Vec<_>>>()?;
    let sum = each.iter().skip(1).fold(each[0].clone(), |sum, m| combined(1.0, &sum, 1.0, m));
    check("sum", &Additive::new(parts.to_vec())?, &sum)?;
    // Errors shrink by each part in turn.
    let shrink = |left: Dense<T>, m: &Dense<T>| times(&combined(1.0, &identity(N), -1.0, &times(m, &dense)), &left);
    let left = each.iter().fold(identity(N), shrink);
    let expected = times(&combined(1.0, &identity(N), -1.0, &left), &inverse(&dense));
    check("one after the other", &Multiplicative::new(&a, parts.to_vec())?, &expected)?;
    let none: Vec<&dyn LinearOperator<T>> = Vec::new();
    assert!(Additive::new(none).is_err_and(|error| error.to_string().contains("number of parts")));
    Ok(())
}

pub(crate) fn direct<T: Scalar>(comm: &Comm) -> TestResult {
    let (layout, dense) = (layout(comm)?, sample::<T>(N, 26, false));
    let mut m = Direct::factor(&matrix(&layout, &dense)?)?;
    check("direct solution", &m, &inverse(&dense))?;
    assert_eq!(m.solver().is_some(), comm.rank() == 0);
    let other = changed(&dense);
    m.refill(&matrix(&layout, &other)?)?;
    check("refilled direct solution", &m, &inverse(&other))?;
    let definite = sample::<T>(N, 27, true);
    let a = matrix(&layout, &definite)?;
    check("direct solution by Cholesky", &Direct::factor_with(&a, Cholesky::new)?, &inverse(&definite))
}

/// Preconditioners whose definition does not depend on the number of ranks have the same bits.
pub(crate) fn bits<T: Scalar>(comm: &Comm) -> TestResult<Checksums> {
    let (layout, dense) = (layout(comm)?, sample::<T>(N, 28, true));
    let a = matrix(&layout, &dense)?;
    let chebyshev = ChebyshevPolynomial::new(&a, 4)?;
    let preconditioners: [(&str, &dyn AdjointOperator<T>); 3] =
        [("Jacobi", &Jacobi::new(&a)?), ("Chebyshev", &chebyshev), ("direct", &Direct::factor(&a)?)];
    let mut checksums = vec![("interval".to_owned(), chebyshev.interval()[1].to_bits())];
    for (name, m) in preconditioners {
        for (k, column) in of_operator(m, |x, y| m.apply(x, y))?.iter().enumerate() {
            let digest = T::parts(column)
                .iter()
                .fold(0, |digest: u64, &value| digest.rotate_left(7) ^ dolmen_core::Real::to_f64(value).to_bits());
            checksums.push((format!("{name} {k}"), digest));
        }
    }
    Ok(checksums)
}

/// Incomplete Cholesky of blocks, on all ranks, and what the ranks say of their own.
pub(crate) fn shifts_of_blocks(comm: &Comm) -> TestResult {
    let (layout, dense) = (layout(comm)?, sample::<f64>(N, 29, true));
    let m = BlockJacobi::new(&matrix(&layout, &dense)?, Ic::new)?;
    assert_eq!(m.solver().shift(), 0.0);
    Ok(())
}
