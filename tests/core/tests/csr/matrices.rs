//! Facts of real matrices, computed by SciPy: counts, norms, and products with probe vectors.
//!
//! Probes are `v[j] = 1 + (j mod 13) / 16` and `u[i] = 1 - (i mod 11) / 16`; transposes are plain.

use std::path::Path;

use dolmen_core::{Complex64, CsrMatrix, Duplicates, Gid, Layout, LinearOperator, Real, Scalar, Vector};
use dolmen_tests::{Comm, TestResult, Triplets, manifest, read_matrix, shared};
use serde_json::{Map, Value};

/// Checks all matrices of the reference data that are real, or all that are complex.
pub(crate) fn facts<T: Scalar>(comm: &Comm) -> TestResult {
    let Some(shared) = shared() else { return Ok(()) };
    let folder = shared.join("data");
    let manifest = manifest(&shared)?;
    let matrices = manifest["matrices"].as_object().ok_or("MANIFEST.json lists no matrices")?;
    let mut checked = 0;
    for (name, about) in matrices {
        let Some(facts) = about["reference"].as_object().filter(|facts| facts.contains_key("nnz_expanded")) else {
            continue;
        };
        if (facts["field"] == "complex") == T::COMPLEX {
            let file = about["file"].as_str().ok_or("a matrix without a file")?;
            check::<T>(comm, &folder.join(file), facts).map_err(|error| format!("{name}: {error}"))?;
            checked += 1;
        }
    }
    assert!(checked >= if T::COMPLEX { 3 } else { 50 }, "only {checked} matrices");
    Ok(())
}

fn check<T: Scalar>(comm: &Comm, file: &Path, facts: &Map<String, Value>) -> TestResult {
    let Triplets { rows, columns, entries } = read_matrix(file)?;
    let (range, domain) = (Layout::uniform(comm, rows), Layout::uniform(comm, columns));
    // Dealt to the ranks in turn, so that most triplets are for other ranks.
    let mine = entries.iter().skip(comm.rank()).step_by(comm.size());
    let triplets = mine.map(|&(row, column, value)| (row, column, T::from_parts(value.re, value.im)));
    let a = CsrMatrix::from_triplets(&range, &domain, triplets, Duplicates::Add)?;
    let count = |name: &str| facts[name].as_u64().ok_or_else(|| format!("no fact {name}"));
    assert_eq!((rows, columns, a.global_entries()), (count("rows")?, count("cols")?, count("nnz_expanded")?));
    if facts.contains_key("nonfinite_entries") {
        return Ok(());
    }
    let size = number(&facts["norm_fro"])?.re;
    let mut close = |name: &str, found: Complex64, scale: f64| -> TestResult {
        let Some(expected) = facts.get(name) else { return Ok(()) };
        let expected = number(expected)?;
        let error = (found - expected).norm();
        assert!(error <= 1e-12 * scale, "{name} of {}: {found} is not {expected}", file.display());
        Ok(())
    };
    norms(&a, size, &mut close)?;
    products(&a, size, &mut close)
}

type Close<'a> = dyn FnMut(&str, Complex64, f64) -> TestResult + 'a;

fn norms<T: Scalar>(a: &CsrMatrix<T>, size: f64, close: &mut Close<'_>) -> TestResult {
    close("norm_fro", real(a.norm_frobenius()), size)?;
    close("norm_inf", real(a.norm_inf()), size)?;
    close("norm_1", real(a.norm_one()?), size)?;
    if let Some(diagonal) = a.diagonal() {
        let ones = Vector::from_fn(a.range(), |_| T::ONE);
        close("trace", parts(ones.dot(&diagonal)?), size * (a.range().global_len() as f64).sqrt())?;
    }
    Ok(())
}

fn products<T: Scalar>(a: &CsrMatrix<T>, size: f64, close: &mut Close<'_>) -> TestResult {
    let v = Vector::from_fn(a.domain(), |j| T::from_parts(1.0 + probe(j, 13), 0.0));
    let u = Vector::from_fn(a.range(), |i| T::from_parts(1.0 - probe(i, 11), 0.0));
    let ones = Vector::from_fn(a.domain(), |_| T::ONE);
    let (length_v, length_u) = (real(v.norm2()).re, real(u.norm2()).re);
    let mut result = Vector::zeros(a.range());
    a.apply(&v, &mut result)?;
    close("norm2_Av", real(result.norm2()), size * length_v)?;
    // u is real, so that its conjugate in the inner product is itself.
    close("uTAv", parts(u.dot(&result)?), size * length_v * length_u)?;
    a.apply(&ones, &mut result)?;
    let all = (a.domain().global_len() as f64).sqrt();
    close("norm2_A1", real(result.norm2()), size * all)?;
    let sums = a.row_sums();
    assert_eq!(sums.owned(), result.owned(), "row sums are A 1");
    let one = Vector::from_fn(a.range(), |_| T::ONE);
    close("sum_A1", parts(one.dot(&result)?), size * all * (a.range().global_len() as f64).sqrt())?;
    let mut transposed = Vector::zeros(a.domain());
    a.apply_transpose(&u, &mut transposed)?;
    close("norm2_ATu", real(transposed.norm2()), size * length_u)
}

fn probe(index: Gid, period: u64) -> f64 {
    (index % period) as f64 / 16.0
}

fn real<R: Scalar>(value: R) -> Complex64 {
    parts(value)
}

fn parts<T: Scalar>(value: T) -> Complex64 {
    Complex64::new(value.re().to_f64(), value.im().to_f64())
}

/// A number of the reference data: a real one, or a list of real and imaginary part.
fn number(value: &Value) -> TestResult<Complex64> {
    let real = |value: &Value| value.as_f64().ok_or_else(|| format!("{value} is not a number"));
    Ok(match value.as_array() {
        Some(parts) => Complex64::new(real(&parts[0])?, real(&parts[1])?),
        None => Complex64::new(real(value)?, 0.0),
    })
}
