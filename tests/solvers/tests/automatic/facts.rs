//! The facts about a matrix, against those of the same matrix by other means.

use dolmen_core::profile::Profile;
use dolmen_core::{Complex64, CsrMatrix, Duplicates, Layout, LinearOperator, Vector};
use dolmen_solvers::{Analysis, Automatic, PreconditionerKind};
use dolmen_tests::{Comm, TestResult, manifest, read_matrix, shared};

fn analysis(comm: &Comm, n: [u64; 2], entries: &[(u64, u64, Complex64)]) -> TestResult<Analysis> {
    let range = Layout::uniform(comm, n[0]);
    let domain = if n[0] == n[1] { range.clone() } else { Layout::uniform(comm, n[1]) };
    let own = entries.iter().copied().filter(|(row, ..)| range.range().contains(row));
    Ok(Analysis::new(&CsrMatrix::from_triplets(&range, &domain, own, Duplicates::Add)?)?)
}

fn c(re: f64, im: f64) -> Complex64 {
    Complex64::new(re, im)
}

/// Counts the transposes made in `body`.
fn transposes(comm: &Comm, body: impl FnOnce() -> TestResult) -> TestResult<u64> {
    let profile = Profile::start(comm)?;
    body()?;
    let (summary, _) = profile.finish();
    let made = summary.events().iter().filter(|event| event.name == "MatTranspose");
    Ok(made.map(|event| event.count).sum())
}

/// The adjoint is made once, and a matrix that is not solved by least squares does not keep it.
pub(crate) fn adjoints(comm: &Comm) -> TestResult {
    let n = 30;
    let matrix = |columns: u64| -> TestResult<CsrMatrix<f64>> {
        let range = Layout::uniform(comm, n);
        let domain = if n == columns { range.clone() } else { Layout::uniform(comm, columns) };
        let own = range.range().map(|row| (row, row % columns, 2.0 + row as f64));
        Ok(CsrMatrix::from_triplets(&range, &domain, own, Duplicates::Add)?)
    };
    for (columns, solving, after) in [(n, 1, 1), (n - 5, 1, 0)] {
        let a = matrix(columns)?;
        let (b, mut x) = (Vector::from_fn(a.range(), |_| 1.0), Vector::zeros(a.domain()));
        let made = transposes(comm, || {
            Automatic::new()
                .preconditioner(PreconditionerKind::None)
                .solve(&a, &b, &mut x)
                .map(drop)
                .map_err(Into::into)
        })?;
        assert_eq!(made, solving, "{columns} columns");
        let again = transposes(comm, || a.adjoint().map(drop).map_err(Into::into))?;
        assert_eq!(again, after, "{columns} columns: not kept");
    }
    Ok(())
}

pub(crate) fn by_hand(comm: &Comm) -> TestResult {
    // [ 2  i  .]
    // [-i -1  .]
    // [ .  .  0]
    let entries =
        [(0, 0, c(2.0, 0.0)), (0, 1, c(0.0, 1.0)), (1, 0, c(0.0, -1.0)), (1, 1, c(-1.0, 0.0)), (2, 2, c(0.0, 0.0))];
    let found = analysis(comm, [3, 3], &entries)?;
    assert!(found.hermitian && !found.symmetric && !found.skew_symmetric && found.symmetric_pattern);
    assert_eq!((found.rows, found.columns, found.entries, found.stored_zeros, found.longest_row), (3, 3, 5, 1, 2));
    assert_eq!([found.positive_diagonal, found.negative_diagonal, found.zero_diagonal], [1, 1, 1]);
    assert_eq!((found.zero_rows, found.zero_columns, found.dominant_rows), (1, 1, 3));
    assert_eq!((found.lower_bandwidth, found.upper_bandwidth, found.not_finite), (1, 1, None));
    assert_eq!((found.dominance, found.norm_one, found.norm_inf, found.smallest_row), (1.0, 3.0, 3.0, 2.0));
    assert_eq!(found.smallest_column, 2.0);
    assert_eq!((found.symmetry(), found.zero_row_sums), ("Hermitian", false));
    let skew = analysis(comm, [3, 3], &[(0, 2, c(1.0, 2.0)), (2, 0, c(-1.0, -2.0))])?;
    assert!(skew.skew_symmetric && !skew.hermitian && !skew.symmetric);
    assert_eq!((skew.upper_bandwidth, skew.zero_diagonal, skew.dominance), (2, 3, 0.0));
    let sums = [(0, 0, c(1.0, 0.0)), (0, 1, c(-1.0, 0.0)), (1, 0, c(-1.0, 0.0)), (1, 1, c(1.0, 0.0))];
    let sums = analysis(comm, [2, 2], &sums)?;
    assert!(sums.zero_row_sums && sums.zero_column_sums && sums.symmetric && sums.hermitian);
    let wide = analysis(comm, [2, 3], &[(0, 2, c(f64::NAN, 0.0)), (1, 0, c(1.0, 0.0))])?;
    assert!(!wide.hermitian && !wide.symmetric_pattern && wide.not_finite == Some(0));
    assert_eq!((wide.zero_columns, wide.zero_diagonal, wide.dominant_rows), (1, 0, 0));
    Ok(())
}

/// Symmetry to rounding, and not a digit less.
pub(crate) fn nearly_symmetric(comm: &Comm) -> TestResult {
    for (difference, symmetric) in [(1e-13, true), (1e-10, false)] {
        let entries = [(0, 0, c(1.0, 0.0)), (0, 1, c(0.5, 0.0)), (1, 0, c(0.5 + difference, 0.0)), (1, 1, c(1e9, 0.0))];
        assert_eq!(analysis(comm, [2, 2], &entries)?.symmetric, symmetric, "{difference}");
    }
    Ok(())
}

pub(crate) fn reference_data(comm: &Comm) -> TestResult {
    let Some(folder) = shared() else { return Ok(()) };
    let manifest = manifest(&folder)?;
    for (name, entry) in manifest["matrices"].as_object().ok_or("no matrices")? {
        let facts = &entry["reference"];
        let matrix = read_matrix(&folder.join("data").join(entry["file"].as_str().ok_or("no file")?))?;
        let found = analysis(comm, [matrix.rows, matrix.columns], &matrix.entries)?;
        assert_eq!((Some(found.rows), Some(found.columns)), (facts["rows"].as_u64(), facts["cols"].as_u64()), "{name}");
        for (value, key) in
            [(found.norm_frobenius, "norm_fro"), (found.norm_one, "norm_1"), (found.norm_inf, "norm_inf")]
        {
            if let Some(known) = facts[key].as_f64() {
                assert!((value - known).abs() <= 1e-12 * known, "{name}: {key} is {value}, not {known}");
            }
        }
        for (value, key) in
            [(Some(found.hermitian), "numerically_hermitian"), (Some(found.symmetric), "numerically_symmetric")]
        {
            assert!(facts[key].is_null() || facts[key].as_bool() == value, "{name}: {key} is {value:?}");
        }
        for (value, key) in [
            (found.entries, "nnz_expanded"),
            (found.bandwidth(), "bandwidth"),
            (found.zero_diagonal, "zero_diagonals"),
            (found.longest_row, "max_row_nnz"),
        ] {
            assert!(facts[key].is_null() || facts[key].as_u64() == Some(value), "{name}: {key} is {value}");
        }
    }
    Ok(())
}
