//! Problems whose eigenvalues are known in closed form, and what every result has to satisfy.

use std::f64::consts::PI;

use dolmen_core::{CsrMatrix, Layout, Real, Scalar};
use dolmen_solvers::Eigenpairs;
use dolmen_tests::TestResult;

pub(crate) type Row<T> = Vec<(u64, T)>;

/// A matrix of which any row can be computed.
pub(crate) fn matrix<T: Scalar>(layout: &Layout, row: impl Fn(u64) -> Row<T>) -> TestResult<CsrMatrix<T>> {
    rectangular(layout, layout, row)
}

pub(crate) fn rectangular<T: Scalar>(
    rows: &Layout,
    columns: &Layout,
    row: impl Fn(u64) -> Row<T>,
) -> TestResult<CsrMatrix<T>> {
    Ok(CsrMatrix::from_rows(rows, columns, |number, entries| {
        let mut row = row(number);
        row.sort_by_key(|(column, _)| *column);
        row.into_iter().for_each(|(column, value)| entries.push(column, value));
    })?)
}

/// Neighbors of a point of a grid.
fn neighbors(point: u64, lengths: &[u64]) -> Vec<u64> {
    let (mut found, mut stride) = (Vec::new(), 1);
    for length in lengths {
        let place = point / stride % length;
        found.extend((place > 0).then(|| point - stride));
        found.extend((place + 1 < *length).then(|| point + stride));
        stride *= length;
    }
    found
}

/// The finite-difference Laplacian of a grid, times `factor`; complex scalars turn the phase of each unknown, which
/// leaves the eigenvalues.
pub(crate) fn laplacian<T: Scalar>(layout: &Layout, lengths: &[u64], factor: f64) -> TestResult<CsrMatrix<T>> {
    matrix(layout, |point| {
        let turned = |other: u64| {
            let angle = 0.7 * (point as f64 - other as f64);
            if T::COMPLEX {
                T::from_parts(-factor * angle.cos(), -factor * angle.sin())
            } else {
                T::from_parts(-factor, 0.0)
            }
        };
        let diagonal = T::from_parts(2.0 * lengths.len() as f64 * factor, 0.0);
        neighbors(point, lengths).into_iter().map(|other| (other, turned(other))).chain([(point, diagonal)]).collect()
    })
}

/// All eigenvalues of [`laplacian`], ascending.
pub(crate) fn laplacian_values(lengths: &[u64]) -> Vec<f64> {
    let mut values = vec![0.0];
    for &length in lengths {
        let line: Vec<f64> = (1..=length).map(|j| 2.0 - 2.0 * (j as f64 * PI / (length + 1) as f64).cos()).collect();
        values = values.iter().flat_map(|sum| line.iter().map(move |value| sum + value)).collect();
    }
    values.sort_by(f64::total_cmp);
    values
}

/// Linear finite elements on a line: stiffness and mass matrix, and their eigenvalues.
pub(crate) fn elements<T: Scalar>(layout: &Layout, factor: f64) -> TestResult<(CsrMatrix<T>, CsrMatrix<T>, Vec<f64>)> {
    let n = layout.global_len();
    let h = 1.0 / (n + 1) as f64;
    let build = |diagonal: f64, beside: f64| {
        matrix(layout, |i| {
            let mut row = vec![(i, T::from_parts(diagonal * factor, 0.0))];
            let entry = |j: u64| {
                let sign = if j > i { 0.6 } else { -0.6 };
                if T::COMPLEX {
                    (j, T::from_parts(0.8 * beside * factor, sign * beside * factor))
                } else {
                    (j, T::from_parts(beside * factor, 0.0))
                }
            };
            row.extend((i > 0).then(|| entry(i - 1)));
            row.extend((i + 1 < n).then(|| entry(i + 1)));
            row
        })
    };
    let value = |j: u64| {
        let cosine = (j as f64 * PI * h).cos();
        6.0 / (h * h) * (1.0 - cosine) / (2.0 + cosine)
    };
    Ok((build(2.0 / h, -1.0 / h)?, build(4.0 * h / 6.0, h / 6.0)?, (1..=n).map(value).collect()))
}

/// Asserts what holds of every converged result: residuals computed here from gathered rows, orthonormal vectors, and the
/// expected values in their order.
pub(crate) fn audit<T: Scalar>(
    found: &Eigenpairs<T>,
    a: &CsrMatrix<T>,
    mass: Option<&CsrMatrix<T>>,
    expected: &[f64],
    exact: f64,
) -> TestResult {
    assert!(found.report.converged(), "{}", found.report);
    assert_eq!(found.values.len(), expected.len());
    let largest = expected.iter().fold(f64::MIN_POSITIVE, |largest, value| largest.max(value.abs()));
    for (&value, &expected) in found.values.iter().zip(expected) {
        let error = (value - expected).abs();
        assert!(error <= exact * expected.abs().max(1e-6 * largest), "{:?} is not {value} {expected:e}", found.values);
    }
    let largest = a.norm_inf();
    let (a, mass) = (a.gather_all()?, mass.map(CsrMatrix::gather_all).transpose()?);
    let vectors: Vec<Vec<T>> = gathered(&found.vectors)?;
    let times = |matrix: &dolmen_core::SerialCsr<T>, x: &[T]| -> Vec<T> {
        let row = |i: usize| {
            let (columns, values) = matrix.row(i);
            columns.iter().zip(values).map(|(&j, &value)| value * x[dolmen_core::index::at(j)]).sum()
        };
        (0..matrix.rows()).map(row).collect()
    };
    let eps = T::Real::EPSILON.to_f64();
    let norm = |x: &[T]| {
        let size = x.iter().map(|x| x.abs().to_f64()).fold(f64::MIN_POSITIVE, f64::max);
        x.iter().map(|x| (x.abs().to_f64() / size).powi(2)).sum::<f64>().sqrt() * size
    };
    for (i, (v, &value)) in vectors.iter().zip(&found.values).enumerate() {
        let massed = mass.as_ref().map_or_else(|| v.clone(), |mass| times(mass, v));
        for (j, other) in vectors.iter().enumerate() {
            let product: T = other.iter().zip(&massed).map(|(&a, &b)| a.conj() * b).sum();
            let error = (product - if i == j { T::ONE } else { T::ZERO }).abs().to_f64();
            assert!(error <= 4500.0 * eps, "vectors {i} and {j} have the product {product}");
        }
        let factor = T::from_parts(value, 0.0);
        let residual: Vec<T> = times(&a, v).iter().zip(&massed).map(|(&a, &m)| a - factor * m).collect();
        let size = value.abs() * norm(&massed);
        // A vector whose length with the mass matrix is one may be long.
        let bound = found.report.tolerance * size + 100.0 * eps * (largest * norm(v)).max(size);
        assert!(norm(&residual) <= bound, "pair {i}, {value:e}: residual {:e} of {size:e}", norm(&residual));
    }
    Ok(())
}

/// The columns, whole on every rank.
pub(crate) fn gathered<T: Scalar>(vectors: &dolmen_core::MultiVector<T>) -> TestResult<Vec<Vec<T>>> {
    let mut column = dolmen_core::Vector::zeros(vectors.layout());
    let mut all = Vec::new();
    for number in 0..vectors.columns() {
        vectors.copy_column_to(number, &mut column)?;
        all.push(column.gather_all());
    }
    Ok(all)
}
