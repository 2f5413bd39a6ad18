//! The reference matrices, whatever their format, against what SciPy read in them.

use std::fs;
use std::process::ExitCode;

use dolmen_core::{AdjointOperator, Complex64, CsrMatrix, Layout, LinearOperator, Real, Reduction, Scalar, Vector};
use dolmen_io::{Description, Matrix, Storage, Vectors, describe, read_matrix, read_vectors};
use dolmen_tests::{Comm, TestResult, case, shared};
use serde_json::Value;

fn main() -> ExitCode {
    dolmen_tests::main(&[
        case("matrices_have_the_facts_of_the_manifest", &[1, 2, 3], matrices_have_the_facts_of_the_manifest),
        case("right_hand_sides_are_vectors", &[1, 2, 3], right_hand_sides_are_vectors),
    ])
}

/// The probe vectors of the manifest.
fn probes<T: Scalar>(matrix: &CsrMatrix<T>) -> (Vector<T>, Vector<T>) {
    let probe = |row: u64, period: u64, sign: f64| T::from_parts(1.0 + sign * (row % period) as f64 / 16.0, 0.0);
    (
        Vector::from_fn(matrix.domain(), |row| probe(row, 13, 1.0)),
        Vector::from_fn(matrix.range(), |row| probe(row, 11, -1.0)),
    )
}

/// A number of the manifest: real, or a pair of parts.
fn number(value: &Value) -> TestResult<Complex64> {
    let part = |value: &Value| value.as_f64().ok_or(format!("{value} is no number"));
    match value {
        Value::Array(parts) => Ok(Complex64::new(part(&parts[0])?, part(&parts[1])?)),
        real => Ok(Complex64::new(part(real)?, 0.0)),
    }
}

fn require_near(what: &str, found: Complex64, expected: &Value, scale: f64) -> TestResult {
    let expected = number(expected)?;
    if (found - expected).norm() <= 1e-12 * scale.max(expected.norm()) {
        return Ok(());
    }
    Err(format!("{what} is {found}, not {expected}").into())
}

fn compare<T: Scalar>(matrix: &CsrMatrix<T>, facts: &Value) -> TestResult {
    let real = |value: f64| Complex64::new(value, 0.0);
    assert_eq!(Some(matrix.global_entries()), facts["nnz_expanded"].as_u64());
    let values = || matrix.rows().flat_map(|row| row.values());
    let mut counts = [
        values().filter(|value| **value == T::ZERO).count() as u64,
        values().filter(|value| !value.is_finite()).count() as u64,
    ];
    matrix.range().comm().all_reduce_sum(&mut counts);
    assert_eq!(Some(counts[0]), facts["explicit_zeros"].as_u64());
    assert_eq!(counts[1], facts["nonfinite_entries"].as_u64().unwrap_or(0));
    if facts["norm_fro"].is_null() {
        return Ok(());
    }
    let norm = matrix.norm_frobenius().to_f64();
    require_near("Frobenius norm", real(norm), &facts["norm_fro"], 0.0)?;
    require_near("1-norm", real(matrix.norm_one()?.to_f64()), &facts["norm_1"], 0.0)?;
    require_near("infinity norm", real(matrix.norm_inf().to_f64()), &facts["norm_inf"], 0.0)?;
    if facts["uTAv"].is_null() {
        return Ok(());
    }
    let (v, u) = probes(matrix);
    let (mut product, mut adjoint) = (Vector::zeros(matrix.range()), Vector::zeros(matrix.domain()));
    matrix.apply(&v, &mut product)?;
    matrix.apply_adjoint(&u, &mut adjoint)?;
    let form = u.dotu(&product, Reduction::Reproducible)?;
    let scale = norm * u.norm2() * v.norm2();
    require_near("u'Av", Complex64::new(form.re(), form.im()), &facts["uTAv"], scale)?;
    require_near("|Av|", real(product.norm2()), &facts["norm2_Av"], norm * v.norm2())?;
    // u is real, so the adjoint and the transpose give vectors of the same norm.
    require_near("|A'u|", real(adjoint.norm2()), &facts["norm2_ATu"], norm * u.norm2())
}

fn compare_description(found: &Description, facts: &Value) {
    let sizes = [found.rows, found.columns, found.entries].map(Some);
    assert_eq!(sizes, ["rows", "cols", "stored_entries"].map(|name| facts[name].as_u64()));
    assert_eq!(Some(found.field.to_string().as_str()), facts["field"].as_str());
    assert_eq!(Some(found.symmetry.to_string().to_lowercase().as_str()), facts["symmetry"].as_str());
    assert_eq!(found.storage == Storage::Array, facts["format"] == "array");
}

fn matrices_have_the_facts_of_the_manifest(comm: &Comm) -> TestResult {
    let Some(shared) = shared() else { return Ok(()) };
    let manifest: Value = serde_json::from_str(&fs::read_to_string(shared.join("data/MANIFEST.json"))?)?;
    let mut compared = 0;
    for (name, entry) in manifest["matrices"].as_object().ok_or("no matrices")? {
        let Some(file) = entry["file"].as_str() else { continue };
        let facts = &entry["reference"];
        let path = shared.join("data").join(file);
        let (matrix, description) = read_matrix(comm, &path)?;
        compare_description(&description, facts);
        assert_eq!(describe(comm, &path)?, description);
        let result = match matrix {
            Matrix::Real(matrix) => compare(&matrix, facts),
            Matrix::Complex(matrix) => compare(&matrix, facts),
        };
        result.map_err(|error| format!("{name}: {error}"))?;
        compared += 1;
    }
    assert!(compared >= 55, "only {compared} matrices compared");
    Ok(())
}

/// The same file as vectors and as a matrix of few columns has the same entries.
fn right_hand_sides_are_vectors(comm: &Comm) -> TestResult {
    let Some(shared) = shared() else { return Ok(()) };
    for name in ["resolve_spd01_b", "resolve_asym01_b", "illc1033_rhs1", "moon_array"] {
        let path = shared.join(format!("data/matrices/{name}.mtx.gz"));
        let (Matrix::Real(matrix), description) = read_matrix(comm, &path)? else { return Err("is real".into()) };
        // Any layout will do, also one that is not uniform.
        let rows = Layout::on_one_rank(comm, description.rows, comm.size() - 1)?;
        let (Vectors::Real(vectors), _) = read_vectors(&path, &rows)? else { return Err("is real".into()) };
        assert_eq!(vectors.columns() as u64, description.columns);
        let mut sum = [vectors.owned().iter().map(|value| value * value).sum::<f64>()];
        comm.all_reduce_sum(&mut sum);
        let norm = matrix.norm_frobenius();
        assert!((sum[0].sqrt() - norm).abs() <= 1e-13 * norm, "{name}");
        let whole = matrix.gather(comm.size() - 1)?;
        for column in 0..vectors.columns() {
            let rows = whole.iter().flat_map(|whole| (0..whole.rows()).map(|row| whole.row(row).1[column]));
            assert!(rows.eq(vectors.column(column).iter().copied()), "{name}");
        }
    }
    Ok(())
}
