//! Random systems, whose blocks and inverses are computed densely.

use dolmen_core::{Comm, CsrMatrix, Layout, LinearOperator, Real, Scalar, Vector, check_adjoint};
use dolmen_solvers::{
    Additive, Fields, Gmres, LeastSquaresCommutator, Multiplicative, OnField, SchurComplement, SchurForm,
    SchurPreconditioner,
};
use dolmen_tests::{TestResult, oracle};

/// Rows of the systems.
const N: usize = 23;

type Dense<T> = Vec<Vec<T>>;

/// Every third row is of the second field.
fn field(row: usize) -> usize {
    usize::from(row % 3 == 2)
}

/// A row as an index.
pub(crate) fn at(row: u64) -> usize {
    usize::try_from(row).expect("there are few rows")
}

/// A layout on which the first of several ranks owns nothing.
pub(crate) fn layout(comm: &Comm, rows: usize) -> TestResult<Layout> {
    let (rank, size) = (comm.rank(), comm.size());
    let own = match (rank, size) {
        (_, 1) => rows,
        (0, _) => 0,
        _ => rows * rank / (size - 1) - rows * (rank - 1) / (size - 1),
    };
    Ok(Layout::from_local_len(comm, own)?)
}

fn number(seed: u64) -> f64 {
    let mixed = (seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    ((mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 40) as f64 / f64::from(1 << 24) - 0.5
}

fn entry<T: Scalar>(i: usize, j: usize) -> T {
    let place = (i * N + j) as u64;
    let diagonal = if i == j { 12.0 } else { 0.0 };
    T::from_parts(number(place) + diagonal, if T::COMPLEX { number(place + 7777) } else { 0.0 })
}

fn system<T: Scalar>() -> Dense<T> {
    (0..N).map(|i| (0..N).map(|j| entry(i, j)).collect()).collect()
}

fn sparse<T: Scalar>(range: &Layout, domain: &Layout, dense: &Dense<T>) -> TestResult<CsrMatrix<T>> {
    Ok(CsrMatrix::from_rows(range, domain, |row, entries| {
        dense[at(row)].iter().enumerate().for_each(|(column, &value)| entries.push(column as u64, value));
    })?)
}

fn block<T: Scalar>(a: &Dense<T>, row: usize, column: usize) -> Dense<T> {
    let of = |wanted: usize| (0..N).filter(move |&i| field(i) == wanted);
    of(row).map(|i| of(column).map(|j| a[i][j]).collect()).collect()
}

fn product<T: Scalar>(a: &Dense<T>, b: &Dense<T>) -> Dense<T> {
    a.iter().map(|row| (0..b[0].len()).map(|j| row.iter().zip(b).map(|(&a, b)| a * b[j]).sum()).collect()).collect()
}

fn difference<T: Scalar>(a: &Dense<T>, b: &Dense<T>) -> Dense<T> {
    a.iter().zip(b).map(|(a, b)| a.iter().zip(b).map(|(&a, &b)| a - b).collect()).collect()
}

/// `A11 - A10 K A01`.
fn complement<T: Scalar>(a: &Dense<T>, inverse: &Dense<T>) -> Dense<T> {
    difference(&block(a, 1, 1), &product(&product(&block(a, 1, 0), inverse), &block(a, 0, 1)))
}

/// The system whose blocks are replaced, `None` by zeros.
fn replaced<T: Scalar>(blocks: [[Option<&Dense<T>>; 2]; 2]) -> Dense<T> {
    let place = |i: usize| (0..i).filter(|&before| field(before) == field(i)).count();
    let value = |i: usize, j: usize| blocks[field(i)][field(j)].map_or(T::ZERO, |block| block[place(i)][place(j)]);
    (0..N).map(|i| (0..N).map(|j| value(i, j)).collect()).collect()
}

fn tolerance<T: Scalar>() -> f64 {
    if T::NAME.ends_with("32") { 1e-4 } else { 1e-12 }
}

fn close<T: Scalar>(found: &[T], expected: &[T], what: &str) {
    let size = expected.iter().map(|x| x.abs().to_f64()).fold(0.0, f64::max);
    for (i, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        let error = (found - expected).abs().to_f64();
        assert!(error <= tolerance::<T>() * size, "{what}: entry {i} is {found:?}, expected {expected:?}");
    }
    assert_eq!(found.len(), expected.len(), "{what}");
}

/// Compares an operator to the inverse of a dense matrix, on a vector, and its adjoint to itself.
fn is_inverse<T: Scalar>(m: &impl dolmen_core::AdjointOperator<T>, of: &Dense<T>, what: &str) -> TestResult {
    let b: Vec<T> = (0..N).map(|i| T::from_parts(number(i as u64 + 31), 0.0)).collect();
    let x = Vector::from_fn(m.domain(), |row| b[at(row)]);
    let mut y = Vector::zeros(m.range());
    m.apply(&x, &mut y)?;
    close(&y.gather_all(), &oracle::solve(of.clone(), b), what);
    let error = check_adjoint(m, 5)?;
    assert!(error <= tolerance::<T>(), "{what}: the adjoint is off by {error}");
    Ok(())
}

/// A system, its fields, and the exact inverses of the first block and the complement.
struct Split<T: Scalar> {
    dense: Dense<T>,
    a: CsrMatrix<T>,
    fields: Fields,
    /// The dense complement.
    complement: Dense<T>,
    inverses: [CsrMatrix<T>; 2],
}

fn split<T: Scalar>(comm: &Comm, dense: Dense<T>) -> TestResult<Split<T>> {
    let layout = layout(comm, N)?;
    let a = sparse(&layout, &layout, &dense)?;
    let fields = Fields::new(&layout, 2, |row| field(at(row)))?;
    let inverse = oracle::inverse(&block(&dense, 0, 0));
    let complement = complement(&dense, &inverse);
    let [first, second] = [fields.layout_of(0), fields.layout_of(1)];
    let inverses = [sparse(first, first, &inverse)?, sparse(second, second, &oracle::inverse(&complement))?];
    Ok(Split { dense, a, fields, complement, inverses })
}

pub(crate) fn blocks(comm: &Comm) -> TestResult {
    let Split { dense, a, fields, .. } = split::<f64>(comm, system())?;
    assert_eq!((fields.count(), fields.layout_of(1).global_len()), (2, 7));
    assert!(fields.rows_of(1).iter().all(|row| row % 3 == 2));
    for (row, column) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let found = fields.block(&a, row, column)?.gather_all()?.to_dense();
        let expected = block(&dense, row, column).concat();
        assert!(found.iter().eq(&expected), "block {row}, {column}");
    }
    let x = Vector::from_fn(a.domain(), |row| row as f64);
    let mut part = Vector::zeros(fields.layout_of(1));
    fields.take(1, &x, &mut part)?;
    assert_eq!(part.gather_all(), [2.0, 5.0, 8.0, 11.0, 14.0, 17.0, 20.0]);
    part.fill(-1.0);
    let mut y = x.clone();
    fields.put(1, &part, &mut y)?;
    let expected = |row: usize| if field(row) == 1 { -1.0 } else { row as f64 };
    assert!(y.gather_all().into_iter().eq((0..N).map(expected)));
    // All rows may be of one field.
    let whole = Fields::new(a.range(), 1, |_| 0)?;
    assert!(whole.block(&a, 0, 0)?.gather_all()?.to_dense().iter().eq(&dense.concat()));
    Ok(())
}

pub(crate) fn schur_forms<T: Scalar>(comm: &Comm) -> TestResult {
    let Split { dense, a, fields, complement, inverses: [inverse, of_complement] } = split::<T>(comm, system())?;
    let [a00, a01, a10] = [block(&dense, 0, 0), block(&dense, 0, 1), block(&dense, 1, 0)];
    let (a00, a01, a10, s) = (Some(&a00), Some(&a01), Some(&a10), Some(&complement));
    for (form, expected) in [
        (SchurForm::Full, dense.clone()),
        (SchurForm::Lower, replaced([[a00, None], [a10, s]])),
        (SchurForm::Upper, replaced([[a00, a01], [None, s]])),
        (SchurForm::Diagonal, replaced([[a00, None], [None, s]])),
    ] {
        let m = SchurPreconditioner::new(&a, &fields, form, &inverse, &of_complement)?;
        is_inverse(&m, &expected, &format!("{form:?}"))?;
    }
    Ok(())
}

pub(crate) fn complements<T: Scalar>(comm: &Comm) -> TestResult {
    let Split { dense, a, fields, complement, inverses: [inverse, _] } = split::<T>(comm, system())?;
    let operator = SchurComplement::new(&a, &fields, &inverse)?;
    let x = Vector::from_fn(fields.layout_of(1), |row| T::from_parts(number(row + 3), 0.0));
    let column: Dense<T> = x.gather_all().iter().map(|&x| vec![x]).collect();
    let mut y = Vector::zeros(fields.layout_of(1));
    operator.apply(&x, &mut y)?;
    close(&y.gather_all(), &product(&complement, &column).concat(), "the complement");
    assert!(check_adjoint(&operator, 6)? <= tolerance::<T>());
    let diagonal: Dense<T> = block(&dense, 0, 0)
        .iter()
        .enumerate()
        .map(|(i, row)| (0..row.len()).map(|j| if i == j { T::ONE / row[i] } else { T::ZERO }).collect())
        .collect();
    let found = fields.schur_of_diagonal(&a)?.gather_all()?.to_dense();
    close(&found.iter().copied().collect::<Vec<_>>(), &self::complement(&dense, &diagonal).concat(), "of the diagonal");
    let couplings = product(&block(&dense, 1, 0), &block(&dense, 0, 1));
    let found = fields.product_of_couplings(&a)?.gather_all()?.to_dense();
    close(&found.iter().copied().collect::<Vec<_>>(), &couplings.concat(), "product of couplings");
    let second = fields.layout_of(1);
    let inner = oracle::inverse(&couplings);
    let commutator = LeastSquaresCommutator::new(&a, &fields, sparse(second, second, &inner)?)?;
    let middle = product(&product(&block(&dense, 1, 0), &block(&dense, 0, 0)), &block(&dense, 0, 1));
    let expected = product(&product(&inner, &middle), &product(&inner, &column));
    commutator.apply(&x, &mut y)?;
    close(&y.gather_all(), &expected.concat().iter().map(|&y| -y).collect::<Vec<_>>(), "commutator");
    assert!(check_adjoint(&commutator, 7)? <= tolerance::<T>());
    Ok(())
}

/// One for each field, added up and one after the other.
pub(crate) fn compositions<T: Scalar>(comm: &Comm) -> TestResult {
    let Split { dense, a, fields, inverses: [inverse, _], .. } = split::<T>(comm, system())?;
    let [a00, a01, a10, a11] = [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(i, j)| block(&dense, i, j));
    let second = fields.layout_of(1);
    let parts = [
        OnField::new(&fields, 0, inverse)?,
        OnField::new(&fields, 1, sparse(second, second, &oracle::inverse(&a11))?)?,
    ];
    let blocks = [[Some(&a00), None], [None, Some(&a11)]];
    is_inverse(&Additive::new(parts.iter().collect())?, &replaced(blocks), "additive")?;
    let lower = [[Some(&a00), None], [Some(&a10), Some(&a11)]];
    is_inverse(&Multiplicative::new(&a, parts.iter().collect())?, &replaced(lower), "multiplicative")?;
    let upper = [[Some(&a00), Some(&a01)], [None, Some(&a11)]];
    is_inverse(&Multiplicative::new(&a, parts.iter().rev().collect())?, &replaced(upper), "in reverse order")?;
    Ok(())
}

/// The numbers of distinct eigenvalues of preconditioned systems with exact blocks (Murphy, Golub and Wathen 2000).
pub(crate) fn few_iterations(comm: &Comm) -> TestResult {
    let mut dense = system::<f64>();
    for (i, j) in (0..N * N).map(|place| (place / N, place % N)).filter(|&(i, j)| field(i) + field(j) == 2) {
        dense[i][j] = 0.0;
    }
    let Split { a, fields, inverses: [inverse, of_complement], .. } = split(comm, dense)?;
    let b = Vector::from_fn(a.range(), |row| number(row + 99));
    for (form, most) in [(SchurForm::Full, 1), (SchurForm::Lower, 2), (SchurForm::Upper, 2), (SchurForm::Diagonal, 3)] {
        let m = SchurPreconditioner::new(&a, &fields, form, &inverse, &of_complement)?;
        let mut x = Vector::zeros(a.domain());
        let report = Gmres::new().rtol(1e-9).preconditioner(&m).solve(&a, &b, &mut x)?;
        assert!(report.converged() && report.iterations == most, "{form:?}: {}", report.outcome());
    }
    Ok(())
}
