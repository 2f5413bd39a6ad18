//! Transposes and products of random matrices against the dense oracle, exactly: all numbers are
//! small whole ones.

use dolmen_core::{Comm, CsrMatrix, Layout, Result, Scalar};
use dolmen_tests::TestResult;

use crate::cases::{self, Sample, matrix};
use crate::dense::Dense;
use crate::findings::Findings;

pub(crate) fn agree<T: Scalar>(comm: &Comm) -> TestResult {
    cases::check(comm, |comm, sample, found| {
        transposes::<T>(comm, sample, found)?;
        products::<T>(comm, sample, found)?;
        triple_products::<T>(comm, sample, found)
    })
}

/// Other values for the same pattern.
fn doubled<T: Scalar>(value: T) -> T {
    value + value
}

/// The same matrix with other values, and the oracle's.
fn changed<T: Scalar>(a: &CsrMatrix<T>, dense: &Dense<T>) -> (CsrMatrix<T>, Dense<T>) {
    let mut changed = a.clone();
    changed.scale(T::ONE + T::ONE);
    (changed, dense.map(doubled))
}

fn transposes<T: Scalar>(comm: &Comm, sample: &Sample, found: &mut Findings) -> TestResult {
    let (range, domain) = sample.layouts(comm)?;
    let dense = sample.tall.dense::<T>(sample.rows, sample.columns);
    let a = matrix(&range, &domain, &dense)?;
    let mut transpose = a.transpose()?;
    found.matrix("A^T", &transpose, &dense.transposed());
    found.matrix("A^H", a.adjoint()?, &dense.map(T::conj).transposed());
    found.matrix("A^T^T", &transpose.transpose()?, &dense);
    let plan = transpose.plan_transpose(&a)?;
    let (a, dense) = changed(&a, &dense);
    transpose.refill_transpose(&plan, &a)?;
    found.matrix("refilled A^T", &transpose, &dense.transposed());
    Ok(())
}

fn products<T: Scalar>(comm: &Comm, sample: &Sample, found: &mut Findings) -> TestResult {
    let (range, domain) = sample.layouts(comm)?;
    let square = sample.square.dense::<T>(sample.rows, sample.rows);
    let tall = sample.tall.dense::<T>(sample.rows, sample.columns);
    let (a, b) = (matrix(&range, &range, &square)?, matrix(&range, &domain, &tall)?);
    let bt = b.transpose()?;
    let pairs = [
        ("A A", &a, &a, &square, &square),
        ("A B", &a, &b, &square, &tall),
        ("B^T A", &bt, &a, &tall.transposed(), &square),
        ("B B^T", &b, &bt, &tall, &tall.transposed()),
    ];
    for (what, left, right, dense_left, dense_right) in pairs {
        let mut product = left.multiply(right)?;
        found.matrix(what, &product, &dense_left.times(dense_right));
        let plan = product.plan_multiply(left, right)?;
        let (left, dense_left) = changed(left, dense_left);
        let (right, dense_right) = changed(right, dense_right);
        product.refill_multiply(&plan, &left, &right)?;
        found.matrix(what, &product, &dense_left.times(&dense_right));
    }
    larger_patterns(&a, &square, found)
}

/// A product refilled into a matrix that stores more than it needs.
fn larger_patterns<T: Scalar>(a: &CsrMatrix<T>, dense: &Dense<T>, found: &mut Findings) -> TestResult {
    use dolmen_core::LinearOperator;
    let layout = a.range();
    let all = dense.map(|_| T::ZERO);
    let product = dense.times(dense);
    // Every third place of the product's rows besides, which are zero.
    let mut larger = product.plus(&all.times(&all));
    for (i, row) in larger.rows.iter_mut().enumerate() {
        row.iter_mut().enumerate().filter(|(j, _)| (i + j) % 3 == 0).for_each(|(_, value)| {
            value.get_or_insert(T::ZERO);
        });
    }
    let mut result = matrix(layout, layout, &larger.map(|_| T::ONE))?;
    let plan = result.plan_multiply(a, a)?;
    result.refill_multiply(&plan, a, a)?;
    found.matrix("A A in a larger pattern", &result, &larger);
    Ok(())
}

fn triple_products<T: Scalar>(comm: &Comm, sample: &Sample, found: &mut Findings) -> TestResult {
    let (range, domain) = sample.layouts(comm)?;
    let square = sample.square.dense::<T>(sample.rows, sample.rows);
    // Aggregates are one entry a row, so that A P is not stored.
    let mut aggregates = Dense::<T>::empty(square.rows.len(), usize::try_from(sample.columns)?);
    for (i, row) in aggregates.rows.iter_mut().enumerate() {
        let place = i * 7 / 3 % row.len().max(1);
        row.iter_mut().skip(place).take(1).for_each(|value| *value = Some(T::from_parts(1.0, 2.0)));
    }
    let a = matrix(&range, &range, &square)?;
    for (what, dense) in [("aggregates", aggregates), ("P", sample.tall.dense(sample.rows, sample.columns))] {
        let p = matrix(&range, &domain, &dense)?;
        let expected = |a: &Dense<T>, p: &Dense<T>| p.map(T::conj).transposed().times(&a.times(p));
        let mut coarse = a.triple_product(&p)?;
        found.matrix(what, &coarse, &expected(&square, &dense));
        let plan = coarse.plan_triple_product(&a, &p)?;
        for (a, p, square, dense) in
            [(changed(&a, &square), (p.clone(), dense.clone())), (changed(&a, &square), changed(&p, &dense))]
                .map(|((a, square), (p, dense))| (a, p, square, dense))
        {
            coarse.refill_triple_product(&plan, &a, &p)?;
            found.matrix(what, &coarse, &expected(&square, &dense));
        }
    }
    Ok(())
}

/// Plans made for one set of matrices refill others that were assembled anew with the same patterns.
pub(crate) fn rebuilt(comm: &Comm) -> TestResult {
    let (fine, coarse) = (Layout::uniform(comm, 40), Layout::uniform(comm, 20));
    let a = |seed: u64| banded(&fine, &fine, seed, 1);
    let p = |seed: u64| banded(&fine, &coarse, seed, 2);
    let same = |what: &str, found: &CsrMatrix<f64>, expected: &CsrMatrix<f64>| {
        let entries =
            |a: &CsrMatrix<f64>| a.rows().flat_map(|row| row.entries().collect::<Vec<_>>()).collect::<Vec<_>>();
        assert_eq!(entries(found), entries(expected), "{what}");
    };
    let (a1, p1, a2, p2) = (a(1)?, p(1)?, a(2)?, p(2)?);
    let plan = a1.multiply(&p1)?.plan_multiply(&a1, &p1)?;
    let mut product = a1.multiply(&p1)?;
    product.refill_multiply(&plan, &a2, &p2)?;
    same("product", &product, &a2.multiply(&p2)?);
    let plan = a1.triple_product(&p1)?.plan_triple_product(&a1, &p1)?;
    let mut product = a1.triple_product(&p1)?;
    product.refill_triple_product(&plan, &a2, &p2)?;
    same("triple product", &product, &a2.triple_product(&p2)?);
    let plan = p1.transpose()?.plan_transpose(&p1)?;
    let mut transpose = p1.transpose()?;
    transpose.refill_transpose(&plan, &p2)?;
    same("transpose", &transpose, &p2.transpose()?);
    let plan = a1.add(1.0, &a2, 1.0)?.plan_add(&a1, &a1)?;
    let mut sum = a1.add(1.0, &a2, 1.0)?;
    sum.refill_add(&plan, 2.0, &a2, 3.0, &a1)?;
    same("sum", &sum, &a2.add(2.0, &a1, 3.0)?);
    Ok(())
}

/// Three entries a row around column `row / step`, with whole numbers from a seed.
fn banded(range: &Layout, domain: &Layout, seed: u64, step: u64) -> Result<CsrMatrix<f64>> {
    CsrMatrix::from_rows(range, domain, |row, entries| {
        for column in (row / step).saturating_sub(1)..(row / step + 2).min(domain.global_len()) {
            entries.push(column, (1 + (row * seed + column) % 5) as f64);
        }
    })
}
