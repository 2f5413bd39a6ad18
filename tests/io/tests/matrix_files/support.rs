//! Common parts of the tests of all formats: files, made matrices, comparisons, Python.

use std::fs;
use std::io::Write;
use std::path::Path;

use dolmen_core::{CsrMatrix, Duplicates, Layout, LinearOperator, Real, Scalar};
use dolmen_io::Matrix;
use dolmen_tests::{Comm, Folder, TestResult};
use flate2::Compression;
use flate2::write::GzEncoder;

/// Writes a file on rank 0, for all, when none reads it any more.
pub(crate) fn put(comm: &Comm, path: &Path, bytes: &[u8]) -> TestResult {
    comm.barrier();
    let written = if comm.rank() == 0 { fs::write(path, bytes) } else { Ok(()) };
    Ok(comm.agree(written)?)
}

pub(crate) fn packed(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).and_then(|()| encoder.finish()).expect("memory takes all")
}

/// Puts a file, and requires that it is refused with a message that starts with its path and then
/// `expected`, and does not depend on ranks.
pub(crate) fn require_refused(comm: &Comm, folder: &Folder, name: &str, bytes: &[u8], expected: &str) -> TestResult {
    let path = folder.path().join(name);
    put(comm, &path, bytes)?;
    let message = match Matrix::read(comm, &path) {
        Ok(_) => return Err(format!("{name} is accepted; expected: {expected}").into()),
        Err(error) => error.to_string(),
    };
    let expected = format!("{}: {expected}", path.display());
    assert!(message.starts_with(&expected), "{message}, not {expected}");
    assert!(!message.contains("(rank"), "{message}");
    Ok(())
}

/// Runs a script on rank 0, with a path as its argument; false, and the case is skipped, where there
/// is no Python with SciPy.
pub(crate) fn python(comm: &Comm, script: &str, path: &Path) -> TestResult<bool> {
    dolmen_tests::python(comm, "scipy.io, scipy.sparse", script, path)
}

/// Values whose digits are hard: from random bits, all exponents, and special ones.
pub(crate) fn hard(place: u64) -> f64 {
    let special = [0.0, -0.0, f64::MIN_POSITIVE, 5e-324, f64::MAX, f64::INFINITY, f64::NEG_INFINITY, 0.1, 1.0, -1e22];
    let bits = (place + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    match usize::try_from(place % 16).ok().and_then(|index| special.get(index)) {
        Some(&value) => value,
        None => Some(f64::from_bits(bits)).filter(|value| value.is_finite()).unwrap_or(1.5),
    }
}

pub(crate) fn made<T: Scalar>(comm: &Comm, rows: u64, columns: u64) -> TestResult<CsrMatrix<T>> {
    let (range, domain) = (Layout::uniform(comm, rows), Layout::uniform(comm, columns));
    let value = |place: u64| T::from_parts(hard(place), hard(place + 3));
    let entries = range.range().flat_map(|row| (0..row % 5).map(move |k| (row, (row * 7 + k * 3) % columns)));
    let triplets = entries.map(|(row, column)| (row, column, value(row * columns + column)));
    Ok(CsrMatrix::from_triplets(&range, &domain, triplets, Duplicates::Insert)?)
}

pub(crate) fn require_same<T: Scalar>(one: &CsrMatrix<T>, other: &CsrMatrix<T>) {
    assert_eq!((one.range(), one.domain()), (other.range(), other.domain()));
    for (one, other) in one.rows().zip(other.rows()) {
        assert!(one.columns().eq(other.columns()), "row {}", one.index());

        assert_eq!(bits_of(one.values()), bits_of(other.values()), "row {}", one.index());
    }
}

/// Bits of numbers, so that -0 is not 0.
pub(crate) fn bits_of<T: Scalar>(values: &[T]) -> Vec<u64> {
    values.iter().flat_map(|value| [value.re().to_f64().to_bits(), value.im().to_f64().to_bits()]).collect()
}
