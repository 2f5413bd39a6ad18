//! Squares of real matrices: counts, norms and a bilinear form, computed by SciPy.
//!
//! Probes are `v[j] = 1 + (j mod 13) / 16` and `u[i] = 1 - (i mod 11) / 16`; the form is plain.

use std::path::Path;

use dolmen_core::{Complex64, CsrMatrix, Duplicates, Gid, Layout, LinearOperator, Real, Scalar, Vector};
use dolmen_tests::{Comm, TestResult, Triplets, manifest, read_matrix, shared};
use serde_json::Value;

/// Checks all matrices of the reference data that are real, or all that are complex.
pub(crate) fn facts<T: Scalar>(comm: &Comm) -> TestResult {
    let Some(shared) = shared() else { return Ok(()) };
    let folder = shared.join("data");
    let manifest = manifest(&shared)?;
    let matrices = manifest["matrices"].as_object().ok_or("MANIFEST.json lists no matrices")?;
    let mut checked = 0;
    for (name, about) in matrices {
        let facts = &about["reference"];
        if facts["spgemm"].is_object() && (facts["field"] == "complex") == T::COMPLEX {
            let file = about["file"].as_str().ok_or("a matrix without a file")?;
            check::<T>(comm, &folder.join(file), &facts["spgemm"]).map_err(|error| format!("{name}: {error}"))?;
            checked += 1;
        }
    }
    assert!(checked >= if T::COMPLEX { 2 } else { 40 }, "only {checked} matrices");
    Ok(())
}

fn check<T: Scalar>(comm: &Comm, file: &Path, facts: &Value) -> TestResult {
    let Triplets { rows, columns, entries } = read_matrix(file)?;
    let (range, domain) = (Layout::uniform(comm, rows), Layout::uniform(comm, columns));
    let mine = entries.iter().skip(comm.rank()).step_by(comm.size());
    let triplets = mine.map(|&(row, column, value)| (row, column, T::from_parts(value.re, value.im)));
    let a = CsrMatrix::from_triplets(&range, &domain, triplets, Duplicates::Add)?;
    let what = facts["what"].as_str().ok_or("a product without a name")?;
    let b = match what {
        "A*A" => a.multiply(&a)?,
        "A^T*A" => a.transpose()?.multiply(&a)?,
        _ => return Err(format!("unknown product {what}").into()),
    };
    assert_eq!(Some(b.global_entries()), facts["nnz_structural"].as_u64(), "entries of {what}");
    let size = a.norm_frobenius().powi(2);
    let close = |name: &str, found: Complex64, scale: f64| -> TestResult {
        let expected = number(&facts[name])?;
        let error = (found - expected).norm();
        assert!(error <= 1e-12 * scale, "{name} of {}: {found} is not {expected}", file.display());
        Ok(())
    };
    close("norm_fro", b.norm_frobenius().into(), size)?;
    let v = Vector::from_fn(b.domain(), |j| T::from_parts(1.0 + probe(j, 13), 0.0));
    let u = Vector::from_fn(b.range(), |i| T::from_parts(1.0 - probe(i, 11), 0.0));
    let mut product = Vector::zeros(b.range());
    b.apply(&v, &mut product)?;
    // u is real, so that its conjugate in the inner product is itself.
    let form = u.dot(&product)?;
    let lengths = u.norm2().to_f64() * v.norm2().to_f64();
    close("uTBv", Complex64::new(form.re().to_f64(), form.im().to_f64()), size * lengths)
}

fn probe(index: Gid, period: u64) -> f64 {
    (index % period) as f64 / 16.0
}

/// A number of the reference data: a real one, or a list of real and imaginary part.
fn number(value: &Value) -> TestResult<Complex64> {
    let real = |value: &Value| value.as_f64().ok_or_else(|| format!("{value} is not a number"));
    Ok(match value.as_array() {
        Some(parts) => Complex64::new(real(&parts[0])?, real(&parts[1])?),
        None => real(value)?.into(),
    })
}
