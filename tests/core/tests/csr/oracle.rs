//! Every operation on random matrices against the dense oracle, exactly: all numbers are small
//! whole ones.
//!
//! All ranks draw the same samples, do the same collective calls and agree on the outcome before
//! it is judged, so that shrinking stays in step too.

use dolmen_core::{
    AdjointOperator, Comm, CsrMatrix, Duplicates, Gid, Layout, LinearOperator, MultiVector, Real, Result as CoreResult,
    Scalar, Vector,
};
use dolmen_tests::TestResult;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

use crate::cases::{Sample, samples};
use crate::dense::Dense;

pub(crate) fn agrees<T: Scalar>(comm: &Comm) -> TestResult {
    let config = Config { cases: 40, failure_persistence: None, ..Config::default() };
    let seed = TestRng::from_seed(RngAlgorithm::ChaCha, &[17; 32]);
    TestRunner::new_with_rng(config, seed)
        .run(&samples(), |sample| {
            let mut found = Findings::default();
            let done = check::<T>(comm, &sample, &mut found).map_err(|error| error.to_string());
            let outcome = done.and_then(|()| if found.0.is_empty() { Ok(()) } else { Err(found.0.join("; ")) });
            comm.agree(outcome).map_err(|error| TestCaseError::fail(error.to_string()))
        })
        .map_err(|error| error.to_string())?;
    Ok(())
}

/// Findings of this rank. Nothing returns early, or the ranks would lose their step.
#[derive(Default)]
struct Findings(Vec<String>);

impl Findings {
    fn require<V: PartialEq + std::fmt::Debug>(&mut self, what: &str, found: V, expected: V) {
        if found != expected {
            self.0.push(format!("{what}: {found:?} instead of {expected:?}"));
        }
    }

    /// A vector against all entries of the oracle's.
    fn vector<T: Scalar>(&mut self, what: &str, found: &Vector<T>, expected: &[T]) {
        self.require(what, found.owned(), mine(found.layout(), expected));
    }

    /// Rows with their patterns and values.
    fn matrix<T: Scalar>(&mut self, what: &str, found: &CsrMatrix<T>, expected: &Dense<T>) {
        self.require(what, found.global_entries(), expected.stored());
        for (row, expected) in found.rows().zip(mine(found.range(), &expected.rows)) {
            let entries = (0..).zip(expected).filter_map(|(column, value)| Some((column, (*value)?)));
            self.require(what, row.entries().collect(), entries.collect::<Vec<(Gid, T)>>());
        }
    }

    fn close<R: Real>(&mut self, what: &str, found: R, expected: f64) {
        let error = (found.to_f64() - expected).abs();
        self.require(what, error <= 8.0 * R::EPSILON.to_f64() * expected, true);
    }
}

/// This rank's part of an array over all rows.
fn mine<'a, V>(layout: &Layout, all: &'a [V]) -> &'a [V] {
    let at = |index| usize::try_from(index).expect("a small matrix");
    &all[at(layout.range().start)..at(layout.range().end)]
}

/// A number from its index, small and whole.
fn number<T: Scalar>(index: usize) -> T {
    T::from_parts((index % 7) as f64 - 3.0, (index % 5) as f64 - 2.0)
}

fn numbers<T: Scalar>(len: u64) -> Vec<T> {
    (0..usize::try_from(len).expect("a small matrix")).map(number).collect()
}

fn vector<T: Scalar>(layout: &Layout, all: &[T]) -> CoreResult<Vector<T>> {
    Vector::from_owned(layout, mine(layout, all).to_vec())
}

fn check<T: Scalar>(comm: &Comm, sample: &Sample, found: &mut Findings) -> TestResult {
    let (range, domain) = sample.layouts(comm)?;
    let dense = Dense::<T>::added(sample);
    let mut a = CsrMatrix::from_triplets(&range, &domain, sample.mine::<T>(comm), Duplicates::Add)?;
    found.matrix("added", &a, &dense);
    let inserted = CsrMatrix::from_triplets(&range, &domain, sample.mine::<T>(comm), Duplicates::Insert)?;
    found.matrix("inserted", &inserted, &Dense::inserted(sample, comm.size()));
    assembled_otherwise(&a, &dense, found)?;
    products(&a, &dense, found)?;
    sums(&a, &dense, found)?;
    norms(&a, &dense, found)?;
    changes(&mut a, &dense, found)?;
    refills(comm, sample, &mut a, found)
}

fn assembled_otherwise<T: Scalar>(a: &CsrMatrix<T>, dense: &Dense<T>, found: &mut Findings) -> TestResult {
    let by_rows = CsrMatrix::from_rows(a.range(), a.domain(), |row, entries| {
        let row = &dense.rows[usize::try_from(row).expect("a small matrix")];
        // Backwards, and each entry in two halves.
        let row = (0..).zip(row).collect::<Vec<(Gid, _)>>();
        for (column, value) in row.into_iter().rev().filter_map(|(column, value)| Some((column, (*value)?))) {
            entries.push(column, value.scale(T::Real::from_f64(0.5)));
            entries.push(column, value.scale(T::Real::from_f64(0.5)));
        }
    })?;
    found.matrix("by rows", &by_rows, dense);
    let (mut starts, mut columns, mut values) = (vec![0], Vec::new(), Vec::new());
    for row in a.rows() {
        columns.extend(row.columns());
        values.extend_from_slice(row.values());
        starts.push(columns.len());
    }
    let parts = CsrMatrix::from_local_parts(a.range(), a.domain(), starts, &columns, values)?;
    found.matrix("by parts", &parts, dense);
    for row in 0..a.range().global_len() {
        let owned = a.range().range().contains(&row);
        for column in (0..a.domain().global_len()).step_by(3) {
            let at = |index| usize::try_from(index).expect("a small matrix");
            found.require("get", a.get(row, column), dense.rows[at(row)][at(column)].filter(|_| owned));
        }
    }
    Ok(())
}

fn products<T: Scalar>(a: &CsrMatrix<T>, dense: &Dense<T>, found: &mut Findings) -> TestResult {
    let (all_x, all_u) = (numbers::<T>(a.domain().global_len()), numbers::<T>(a.range().global_len()));
    let (x, u) = (vector(a.domain(), &all_x)?, vector(a.range(), &all_u)?);
    let mut y = u.clone();
    let product = dense.times(&all_x);
    a.apply(&x, &mut y)?;
    found.vector("A x", &y, &product);
    a.apply_add(&x, &mut y)?;
    found.vector("A x + A x", &y, &product.iter().map(|&y| y + y).collect::<Vec<_>>());
    let mut z = x.clone();
    a.apply_transpose(&u, &mut z)?;
    found.vector("A^T u", &z, &dense.transposed().times(&all_u));
    a.apply_adjoint(&u, &mut z)?;
    found.vector("A^H u", &z, &dense.map(|_, _, value| value.conj()).transposed().times(&all_u));
    found.matrix("A^H", a.adjoint()?, &dense.map(|_, _, value| value.conj()).transposed());
    many_products(a, dense, found)
}

fn many_products<T: Scalar>(a: &CsrMatrix<T>, dense: &Dense<T>, found: &mut Findings) -> TestResult {
    let count = 6;
    let operand =
        |k: usize| -> Vec<T> { numbers::<T>(a.domain().global_len()).into_iter().map(|x| x + number(k)).collect() };
    let mut x = MultiVector::zeros(a.domain(), count);
    let mut y = MultiVector::zeros(a.range(), count);
    (0..count).for_each(|k| x.column_mut(k).copy_from_slice(mine(a.domain(), &operand(k))));
    a.apply_many(&x, &mut y)?;
    for k in 0..count {
        found.require("A X", y.column(k), mine(a.range(), &dense.times(&operand(k))));
    }
    Ok(())
}

fn sums<T: Scalar>(a: &CsrMatrix<T>, dense: &Dense<T>, found: &mut Findings) -> TestResult {
    let ones = |len: u64| numbers::<T>(len).iter().map(|_| T::ONE).collect::<Vec<_>>();
    found.vector("row sums", &a.row_sums(), &dense.times(&ones(a.domain().global_len())));
    let columns = dense.transposed().times(&ones(a.range().global_len()));
    found.vector("column sums", &a.column_sums()?, &columns);
    if a.range() == a.domain() {
        let diagonal = dense.rows.iter().enumerate().map(|(i, row)| row[i].unwrap_or(T::ZERO));
        let found_diagonal = a.diagonal().ok_or("a matrix of equal layouts has a diagonal")?;
        found.vector("diagonal", &found_diagonal, &diagonal.collect::<Vec<_>>());
    } else {
        found.require("no diagonal", a.diagonal().is_none(), true);
    }
    Ok(())
}

fn norms<T: Scalar>(a: &CsrMatrix<T>, dense: &Dense<T>, found: &mut Findings) -> TestResult {
    let largest = |sizes: Vec<f64>| sizes.into_iter().fold(0.0, f64::max);
    found.close("infinity norm", a.norm_inf(), largest(dense.sizes()));
    found.close("1-norm", a.norm_one()?, largest(dense.transposed().sizes()));
    let squares: f64 = dense.rows.iter().flatten().flatten().map(|value| value.abs_sqr().to_f64()).sum();
    found.close("Frobenius norm", a.norm_frobenius(), squares.sqrt());
    Ok(())
}

/// Changes of values, and back; the adjoint has to follow.
fn changes<T: Scalar>(a: &mut CsrMatrix<T>, dense: &Dense<T>, found: &mut Findings) -> TestResult {
    let (range, domain) = (a.range().clone(), a.domain().clone());
    let mut b = a.clone();
    b.scale_rows(&vector(&range, &numbers(range.global_len()))?)?;
    let rows = dense.map(|i, _, value| value * number(i));
    found.matrix("rows scaled", &b, &rows);
    found.matrix("adjoint of rows scaled", b.adjoint()?, &rows.map(|_, _, value| value.conj()).transposed());
    b.scale_columns(&vector(&domain, &numbers(domain.global_len()))?)?;
    let both = rows.map(|_, j, value| value * number(j));
    found.matrix("rows and columns scaled", &b, &both);
    products(&b, &both, found)?;
    let original: Vec<_> =
        a.rows().flat_map(|row| row.entries().map(move |(j, value)| (row.index(), j, value))).collect();
    b.set(original)?;
    found.matrix("set", &b, dense);
    b.scale(number(1));
    found.matrix("scaled", &b, &dense.map(|_, _, value| value * number(1)));
    products(&b, &dense.map(|_, _, value| value * number(1)), found)
}

fn refills<T: Scalar>(comm: &Comm, sample: &Sample, a: &mut CsrMatrix<T>, found: &mut Findings) -> TestResult {
    let mut other = sample.clone();
    for (k, triplet) in other.triplets.iter_mut().enumerate() {
        triplet.re = i8::try_from(k % 5)? - 2;
        triplet.giver += k;
    }
    for (duplicates, dense) in
        [(Duplicates::Add, Dense::<T>::added(&other)), (Duplicates::Insert, Dense::inserted(&other, comm.size()))]
    {
        let triplets = other.mine::<T>(comm);
        let plan = a.plan_refill(triplets.iter().map(|&(row, column, _)| (row, column)), duplicates)?;
        let doubled: Vec<T> = triplets.iter().map(|&(.., value)| value + value).collect();
        a.refill(&plan, &doubled)?;
        found.matrix("refilled with a plan", a, &dense.map(|_, _, value| value + value));
        a.refill_triplets(triplets, duplicates)?;
        found.matrix("refilled", a, &dense);
        products(a, &dense, found)?;
    }
    a.refill_triplets([], Duplicates::Add)?;
    found.require("emptied", a.norm_inf(), 0.0);
    Ok(())
}
