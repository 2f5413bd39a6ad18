//! The reference matrices, whatever their format, against what SciPy read in them.

use dolmen_core::{
    AdjointOperator, Complex64, CsrMatrix, Layout, LinearOperator, MultiVector, Real, Reduction, Scalar, Vector,
};
use dolmen_io::{Description, Matrix, Storage, Vectors, describe};
use dolmen_tests::{Case, Comm, Folder, TestResult, case, manifest, shared};
use serde_json::Value;

use crate::support::{packed, put};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("matrices_have_the_facts_of_the_manifest", &[1, 2, 3], matrices_have_the_facts_of_the_manifest),
        case("petsc_files_have_the_facts_of_the_manifest", &[1, 2, 3], petsc_files_have_the_facts_of_the_manifest),
        case("right_hand_sides_are_vectors", &[1, 2, 3], right_hand_sides_are_vectors),
        case("files_that_are_no_files_are_refused", &[1, 2], files_that_are_no_files_are_refused),
    ]
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
    let norm = matrix.norm_frobenius();
    require_near("Frobenius norm", real(norm), &facts["norm_fro"], 0.0)?;
    require_near("1-norm", real(matrix.norm_one()?), &facts["norm_1"], 0.0)?;
    require_near("infinity norm", real(matrix.norm_inf()), &facts["norm_inf"], 0.0)?;
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
    let manifest = manifest(&shared)?;
    let mut compared = 0;
    for (name, entry) in manifest["matrices"].as_object().ok_or("no matrices")? {
        let Some(file) = entry["file"].as_str() else { continue };
        let facts = &entry["reference"];
        let path = shared.join("data").join(file);
        let (matrix, description) = Matrix::read(comm, &path)?;
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
        let (Matrix::Real(matrix), description) = Matrix::read(comm, &path)? else { return Err("is real".into()) };
        // Any layout will do, also one that is not uniform.
        let rows = Layout::on_one_rank(comm, description.rows, comm.size() - 1)?;
        let (Vectors::Real(vectors), _) = Vectors::read(&path, &rows)? else { return Err("is real".into()) };
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

fn petsc_files_have_the_facts_of_the_manifest(comm: &Comm) -> TestResult {
    let Some(shared) = shared() else { return Ok(()) };
    let manifest = manifest(&shared)?;
    let (mut matrices, mut vectors) = (0, 0);
    for (name, entry) in manifest["petsc"]["files"].as_object().ok_or("no files")? {
        let facts = &entry["ref"];
        let path = shared.join("data/petsc").join(name);
        let listed = facts["objects"].as_array().cloned().unwrap_or_default();
        let found = |kind: &str| listed.iter().find(|object| object["type"] == kind).cloned();
        let (matrix, vector) = match entry["kind"].as_str().unwrap_or_default() {
            kind if kind.starts_with("HDF5") => continue,
            "IS" => {
                let message = Matrix::read(comm, &path).map(|_| ()).expect_err(name).to_string();
                assert!(message.contains("holds neither a matrix nor a vector"), "{message}");
                continue;
            }
            "Mat then Vec" => (Some(facts["mat"].clone()), Some(facts["vec"].clone())),
            kind if kind.starts_with("Mat") => (Some(facts.clone()), None),
            kind if kind.starts_with("Vec") => (None, Some(facts.clone())),
            _ => (found("Mat"), found("Vec")),
        };
        let named = |error| format!("{name}: {error}");
        if let Some(facts) = matrix {
            match Matrix::read(comm, &path)?.0 {
                Matrix::Real(matrix) => compare_petsc(&matrix, &facts).map_err(named)?,
                Matrix::Complex(matrix) => compare_petsc(&matrix, &facts).map_err(named)?,
            }
            matrices += 1;
        }
        if let Some(facts) = vector {
            let rows = Layout::uniform(comm, facts["n"].as_u64().ok_or("no length")?);
            match Vectors::read(&path, &rows)?.0 {
                Vectors::Real(vectors) => compare_vector(&vectors, &facts).map_err(named)?,
                Vectors::Complex(vectors) => compare_vector(&vectors, &facts).map_err(named)?,
            }
            vectors += 1;
        }
    }
    assert!(matrices >= 14 && vectors >= 10, "only {matrices} matrices and {vectors} vectors compared");
    let block_size =
        |name: &str| Ok::<_, dolmen_io::Error>(describe(comm, shared.join("data/petsc").join(name))?.block_size);
    assert_eq!([block_size("baij2.petsc")?, block_size("block3.vec")?, block_size("fuego0.petsc")?], [2, 3, 1]);
    Ok(())
}

fn compare_petsc<T: Scalar>(matrix: &CsrMatrix<T>, facts: &Value) -> TestResult {
    let sizes = [matrix.range().global_len(), matrix.domain().global_len()];
    assert_eq!(sizes.map(Some), ["rows", "cols"].map(|name| facts[name].as_u64()));
    let stored = matrix.rows().flat_map(|row| row.values()).filter(|value| **value != T::ZERO).count();
    let mut counts = [stored as u64, matrix.global_entries()];
    matrix.range().comm().all_reduce_sum(&mut counts[..1]);
    // Of a dense matrix only entries that are not zero are counted there.
    assert!(counts.map(Some).contains(&facts["nnz"].as_u64()), "{counts:?}");
    let (v, u) = probes(matrix);
    let mut product = Vector::zeros(matrix.range());
    matrix.apply(&v, &mut product)?;
    let norm = matrix.norm_frobenius();
    require_near("Frobenius norm", Complex64::new(norm, 0.0), &facts["norm_fro"], 0.0)?;
    let form = u.dotu(&product, Reduction::Reproducible)?;
    require_near("u'Av", Complex64::new(form.re(), form.im()), &facts["uTAv"], norm * u.norm2() * v.norm2())
}

fn compare_vector<T: Scalar>(vectors: &MultiVector<T>, facts: &Value) -> TestResult {
    assert_eq!(vectors.columns(), 1);
    let mut vector = Vector::zeros(vectors.layout());
    vectors.copy_column_to(0, &mut vector)?;
    let norm = vector.norm2();
    require_near("norm", Complex64::new(norm, 0.0), &facts["norm2"], 0.0)?;
    let sum = vector.sum(Reduction::Reproducible);
    require_near("sum", Complex64::new(sum.re(), sum.im()), &facts["sum"], norm * (vector.global_len() as f64).sqrt())?;
    for (row, first) in (0..).zip(facts["first5"].as_array().ok_or("no first entries")?) {
        if let Some(value) = vector.get(row) {
            assert_eq!(Complex64::new(value.re().to_f64(), value.im().to_f64()), number(first)?);
        }
    }
    Ok(())
}

fn files_that_are_no_files_are_refused(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    put(comm, &folder.path().join("empty.mtx"), b"")?;
    put(comm, &folder.path().join("garbage.mtx"), b"\x00\x01\x02garbage")?;
    put(comm, &folder.path().join("petsc.gz"), &packed(&[0, 0x12, 0x7b, 0x50, 0, 0, 0, 0]))?;
    put(comm, &folder.path().join("garbage.mtx.gz"), b"\x1f\x8b\x08\x00garbage garbage garbage")?;
    for (name, expected) in [
        ("absent.mtx", "absent.mtx: cannot open: "),
        ("", ": is a folder; name a file"),
        ("empty.mtx", "empty.mtx: is empty"),
        ("garbage.mtx", "garbage.mtx: is not a file of a known format"),
        ("petsc.gz", "petsc.gz: is packed by gzip; unpack it first"),
        ("garbage.mtx.gz", "garbage.mtx.gz: is not a file of a known format"),
    ] {
        let path = folder.path().join(name);
        let message = Matrix::read(comm, &path).map(|_| ()).expect_err(name).to_string();
        assert!(message.contains(expected), "{message}");
    }
    folder.remove(comm);
    Ok(())
}
