//! The small matrices of this repository, in each format, against sums that NumPy made of the same formulas.
//!
//! All entries are multiples of 1/4, so that the sums are exact in any order.

use dolmen_core::{CsrMatrix, Layout, LinearOperator, Real, Scalar};
use dolmen_io::{Matrix, RightHandSide};
use dolmen_tests::{Case, Comm, TestResult, case, data};
use serde_json::Value;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("own_matrices_have_their_sums", &[1, 2, 3, 4], own_matrices_have_their_sums),
        case("own_right_hand_sides_have_their_sums", &[1, 2, 3, 4], own_right_hand_sides_have_their_sums),
    ]
}

/// Sums of `a_ij` (both parts), of `|a_ij|^2`, and of `(i + 1) (3 j + 2) a_ij` (both parts).
type Sums = [f64; 5];

fn add<T: Scalar>(sums: &mut Sums, row: u64, column: u64, value: T) {
    let (re, im) = (value.re().to_f64(), value.im().to_f64());
    let weight = (row as f64 + 1.0) * (3.0 * column as f64 + 2.0);
    let terms = [re, im, re * re + im * im, weight * re, weight * im];
    sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
}

fn sums<T: Scalar>(a: &CsrMatrix<T>) -> Sums {
    let mut sums = [0.0; 5];
    for row in a.rows() {
        row.entries().for_each(|(column, value)| add(&mut sums, row.index(), column, value));
    }
    a.range().comm().all_reduce_sum(&mut sums);
    sums
}

fn expected(facts: &Value) -> TestResult<Sums> {
    let number = |value: &Value| value.as_f64().ok_or("facts.json has no such number");
    let (sum, weighted) = (&facts["sum"], &facts["weighted_sum"]);
    let numbers = [&sum[0], &sum[1], &facts["sum_of_squares"], &weighted[0], &weighted[1]];
    let mut sums = [0.0; 5];
    for (sum, value) in sums.iter_mut().zip(numbers) {
        *sum = number(value)?;
    }
    Ok(sums)
}

fn facts() -> TestResult<Value> {
    Ok(serde_json::from_str(&std::fs::read_to_string(data().join("facts.json"))?)?)
}

fn own_matrices_have_their_sums(comm: &Comm) -> TestResult {
    let facts = facts()?;
    let matrices = facts["matrices"].as_object().ok_or("no matrices")?;
    assert!(matrices.len() >= 11);
    for (name, facts) in matrices {
        let (matrix, description) = Matrix::read(comm, data().join(name))?;
        let (entries, found) = match &matrix {
            Matrix::Real(a) => (a.global_entries(), sums(a)),
            Matrix::Complex(a) => (a.global_entries(), sums(a)),
        };
        let sizes = [description.rows, description.columns, entries].map(Some);
        assert_eq!(sizes, ["rows", "columns", "entries"].map(|fact| facts[fact].as_u64()), "{name}");
        assert_eq!(found, expected(facts)?, "{name}");
    }
    Ok(())
}

fn own_right_hand_sides_have_their_sums(comm: &Comm) -> TestResult {
    let facts = facts()?;
    let vectors = facts["vectors"].as_object().ok_or("no vectors")?;
    assert!(vectors.len() >= 5);
    for (name, facts) in vectors {
        let (rows, columns) = (facts["rows"].as_u64(), facts["columns"].as_u64());
        let (rows, columns) = rows.zip(columns).ok_or("no sizes")?;
        let layout = Layout::uniform(comm, rows);
        let mut found = [0.0; 5];
        for column in 0..columns {
            let chosen = (columns > 1).then_some(usize::try_from(column)?);
            let RightHandSide::Real(b) = RightHandSide::read(data().join(name), &layout, chosen)? else {
                return Err(format!("{name}: is real").into());
            };
            b.range().zip(b.owned()).for_each(|(row, &value)| add(&mut found, row, column, value));
        }
        comm.all_reduce_sum(&mut found);
        assert_eq!(found, expected(facts)?, "{name}");
    }
    Ok(())
}
