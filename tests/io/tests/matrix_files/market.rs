//! MatrixMarket files of the tests' own making: what is accepted, what is refused, round trips.

use std::fs;

use dolmen_core::{Complex32, Complex64, CsrMatrix, Duplicates, Layout, MultiVector, Scalar};
use dolmen_io::{Matrix, Symmetry, Vectors, matrix_market};
use dolmen_tests::{Case, Checksums, Comm, Folder, TestResult, case, same_bits};

use crate::support::{bits_of, hard, made, packed, put, python, require_same};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("market_malformed_files_are_refused_alike", &[1, 2, 3], malformed_files_are_refused_alike),
        case("market_what_the_format_allows_is_read", &[1, 2, 3], what_the_format_allows_is_read),
        case("market_what_scipy_accepts_is_read", &[1, 2, 3], what_scipy_accepts_is_read),
        case("market_comments_are_of_any_length", &[1, 2, 3], comments_are_of_any_length),
        case("market_lines_are_cut_anywhere", &[1, 2, 3, 7], lines_are_cut_anywhere),
        case("market_large_files_are_read_in_pieces", &[1, 2, 3], large_files_are_read_in_pieces),
        case("market_matrices_round_trip", &[1, 2, 3], matrices_round_trip),
        case("market_vectors_round_trip", &[1, 2, 3], vectors_round_trip),
        case("market_scipy_reads_what_is_written", &[1, 3], scipy_reads_what_is_written),
        same_bits("market_files_do_not_depend_on_ranks", &[1, 2, 3, 4], files_do_not_depend_on_ranks),
    ]
}

/// The whole matrix on every rank, dense, from a text and from its gzip; both must be alike.
fn dense(comm: &Comm, folder: &Folder, text: &str) -> TestResult<Vec<Vec<Complex64>>> {
    let mut found = Vec::new();
    for (name, bytes) in [("a.mtx", text.as_bytes().to_vec()), ("a.mtx.gz", packed(text.as_bytes()))] {
        let path = folder.path().join(name);
        put(comm, &path, &bytes)?;
        let (matrix, _) = matrix_market::read_matrix::<Complex64>(comm, &path)?;
        found.push(matrix.gather_all()?.to_dense());
    }
    assert_eq!(found[0], found[1]);
    Ok(found[0].rows().into_iter().map(|row| row.to_vec()).collect())
}

fn malformed_files_are_refused_alike(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let coordinate = |words: &str, body: &str| format!("%%MatrixMarket matrix coordinate {words}\n{body}");
    let array = |words: &str, body: &str| format!("%%MatrixMarket matrix array {words}\n{body}");
    let nan_text = coordinate("real general", "2 2 2\n1 1 1\n1 2 not-a-number\n");
    for (text, expected) in [
        ("%%MatrixMarket matrix".to_owned(), "line 1: the header ends before its format"),
        (coordinate("real general", ""), "line 1: the file ends before the line with the sizes"),
        (coordinate("real general", "2 2\n1 1 1\n"), "line 2: the sizes should be rows, columns and entries"),
        (coordinate("real general", "2 2 3\n1 1 1\n2 2 1\n"), "line 2: announces 3 entries, but the file holds 2"),
        (coordinate("real general", "2 2 1\n1 1 1\n2 2 1\n"), "line 2: announces 1 entries, but the file holds 2"),
        (coordinate("real general", "2 2 2\n0 1 1\n2 2 1\n"), "line 3: row 0 is outside 1 to 2"),
        (coordinate("real general", "2 2 2\n1 1 1\n2 3 1\n"), "line 4: column 3 is outside 1 to 2"),
        (coordinate("real general", "2 2 2\n1 1 1\n3 x 1\n"), "line 4: row 3 is outside 1 to 2"),
        (
            coordinate("real general", "2 2 1\n99999999999999999999 1 1\n"),
            "line 3: row 99999999999999999999 is outside",
        ),
        (coordinate("real general", "2 2 2\n1 1\n2 2 1\n"), "line 3: the line ends where a number is expected"),
        (coordinate("real general", "2 2 2\n1 1 1 1\n2 2 1\n"), "line 3: '1' follows the entry"),
        (coordinate("real general", "2 2 2\n1 1 1\n2 2 1e400\n"), "line 4: '1e400' is too large for 64 bits"),
        (nan_text, "line 4: 'not-a-number' is not a number"),
        (coordinate("real general", "2 2 2\n1 1 \u{fffd}\u{0}\n2 2 1\n"), "line 3: '\u{fffd}\\0' is not a number"),
        (coordinate("real general", "2 2 3\n1 1 1\n% ok\n\n2 2 1\n\n7 7 7\n9 9 9\n"), "line 8: row 7 is outside"),
        (coordinate("integer general", "2 2 1\n1 1 1.5\n"), "line 3: '1.5' is not a whole number"),
        (coordinate("integer general", "2 2 1\n1 1 9007199254740993\n"), "line 3: '9007199254740993' is beyond 2^53"),
        (coordinate("complex general", "2 2 1\n1 1 1\n"), "line 3: the line ends where a number is expected"),
        (coordinate("pattern general", "2 2 1\n1 1 1\n"), "line 3: '1' follows the entry"),
        (
            coordinate("real symmetric", "3 3 3\n3 2 1\n1 3 1\n1 2 1\n"),
            "entries (3, 2) and (1, 2): are on both sides of the diagonal; a symmetric file stores one side",
        ),
        (coordinate("real symmetric", "2 3 2\n1 1 1\n1 2 1\n"), "line 2: a symmetric matrix is square"),
        (coordinate("complex hermitian", "2 2 1\n1 1 1 1\n"), "line 3: entry (1, 1) is not real"),
        (
            coordinate("real general", "1000000000000 4 1\n1 1 1\n"),
            "line 2: a matrix of 1000000000000 by 4 is too large",
        ),
        (
            coordinate("real general", "4 1000000000000 1\n1 1 1\n"),
            "line 2: a matrix of 4 by 1000000000000 is too large",
        ),
        (
            coordinate("real general", "3 3 18446744073709551615\n1 1 1\n"),
            "line 2: announces 18446744073709551615 entries, but the file holds 1",
        ),
        (array("real general", "2 2\n1\n2\n3\n"), "line 2: announces 4 entries, but the file holds 3"),
        (array("real general", "2 2\n1\n2\n3 4\n5\n"), "line 5: '4' follows the entry"),
        (array("real general", "1000000000 1000000000\n1\n"), "line 2: announces 1000000000000000000 entries"),
        (array("complex hermitian", "2 2\n1 0\n1 1\n1 1\n"), "array: entry (2, 2) is not real"),
    ] {
        for (name, bytes) in [("bad.mtx", text.as_bytes().to_vec()), ("bad.mtx.gz", packed(text.as_bytes()))] {
            let path = folder.path().join(name);
            put(comm, &path, &bytes)?;
            let message = Matrix::read(comm, &path).map(|_| ()).expect_err(&text).to_string();
            let expected = format!("{}: {expected}", path.display());
            assert!(message.starts_with(&expected), "{text:?}: {message}, not {expected}");
            assert!(!message.contains("(rank"), "{message}");
        }
    }
    truncated_gzip_files_are_refused(comm, &folder)?;
    folder.remove(comm);
    Ok(())
}

fn truncated_gzip_files_are_refused(comm: &Comm, folder: &Folder) -> TestResult {
    let entries: String = (1..=20_000).map(|row| format!("{row} {row} {}.{:04}\n", row * 7919 % 10_007, row)).collect();
    let whole =
        packed(format!("%%MatrixMarket matrix coordinate real general\n20000 20000 20000\n{entries}").as_bytes());
    let path = folder.path().join("cut.mtx.gz");
    for length in [11, 40, 5_000, whole.len() / 2, whole.len() - 9, whole.len() - 1] {
        put(comm, &path, &whole[..length])?;
        let message = Matrix::read(comm, &path).map(|_| ()).expect_err("is cut").to_string();
        assert!(message.contains("cut.mtx.gz: "), "{message}");
        assert!(length < 100 || message.contains("the gzip data end early or are damaged"), "{length}: {message}");
    }
    let mut flipped = whole.clone();
    let last = flipped.len() - 6;
    flipped[last] ^= 1;
    put(comm, &path, &flipped)?;
    let message = Matrix::read(comm, &path).map(|_| ()).expect_err("a wrong checksum").to_string();
    assert!(message.contains("line 20003: here the gzip data end early or are damaged"), "{message}");
    Ok(())
}

fn what_the_format_allows_is_read(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let c = Complex64::new;
    let text = "%%matrixmarket MATRIX coordinate REAL general\r\n% c\r\n\r\n 2 3  4 \r\n1 1 1D1\r\n% c\r\n\t2  2 -.5E+1 \r\n\r\n1 3 +2.\r\n1 1 0.5";
    let expected = vec![vec![c(10.5, 0.0), c(0.0, 0.0), c(2.0, 0.0)], vec![c(0.0, 0.0), c(-5.0, 0.0), c(0.0, 0.0)]];
    assert_eq!(dense(comm, &folder, text)?, expected);
    let text = "%%MatrixMarket matrix coordinate complex hermitian\n2 2 3\n1 1 1 0\n2 1 3 4\n2 2 2 0\n";
    assert_eq!(dense(comm, &folder, text)?, [[c(1.0, 0.0), c(3.0, -4.0)], [c(3.0, 4.0), c(2.0, 0.0)]]);
    let text = "%%MatrixMarket matrix array integer skew-symmetric\n3 3\n1\n2\n3\n";
    let r = |re| c(re, 0.0);
    assert_eq!(dense(comm, &folder, text)?, [[r(0.), r(-1.), r(-2.)], [r(1.), r(0.), r(-3.)], [r(2.), r(3.), r(0.)]]);
    let text = "%%MatrixMarket matrix array real symmetric\n2 2\n1\n2\n3\n";
    assert_eq!(dense(comm, &folder, text)?, [[r(1.), r(2.)], [r(2.), r(3.)]]);
    let text = "%%MatrixMarket matrix coordinate pattern symmetric\n2 2 2\n1 1\n2 1\n";
    assert_eq!(dense(comm, &folder, text)?, [[r(1.), r(1.)], [r(1.), r(0.)]]);
    let text = "%%MatrixMarket matrix coordinate real skew-symmetric\n2 2 2\n1 1 0\n2 1 inf\n";
    assert_eq!(dense(comm, &folder, text)?, [[r(0.), -r(f64::INFINITY)], [r(0.) + f64::INFINITY, r(0.)]]);
    assert!(dense(comm, &folder, "%%MatrixMarket matrix coordinate real general\n0 0 0\n")?.is_empty());
    assert_eq!(dense(comm, &folder, "%%MatrixMarket matrix coordinate real general\n2 0 0")?, [[], []]);
    folder.remove(comm);
    Ok(())
}

/// Files beyond the format that SciPy reads without a warning: its answers, from SciPy 1.17.
fn what_scipy_accepts_is_read(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let (c, r) = (Complex64::new, |re| Complex64::new(re, 0.0));
    for (words, body, expected) in [
        ("real symmetric", "1 1 1\n1 2 5", [[r(1.), r(5.)], [r(5.), r(0.)]]),
        ("complex hermitian", "1 1 1 0\n1 2 5 1", [[r(1.), c(5., 1.)], [c(5., -1.), r(0.)]]),
        ("real skew-symmetric", "2 2 3\n1 2 5", [[r(0.), r(5.)], [r(-5.), r(3.)]]),
    ] {
        for blanks in ["", " \t"] {
            let text = format!("{blanks}%%MatrixMarket matrix coordinate {words}\n2 2 2\n{body}\n");
            assert_eq!(dense(comm, &folder, &text)?, expected, "{text}");
            // The contents tell the format.
            Matrix::read(comm, folder.path().join("a.mtx"))?;
        }
    }
    folder.remove(comm);
    Ok(())
}

/// Comments longer than lines may be, and than what is read at once, above and among the entries; lines are counted.
fn comments_are_of_any_length(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let comment = |length: usize| format!("%{}\n", "x".repeat(length));
    for lengths in [[1 << 20, 3 << 20, 5 << 20], [(1 << 20) - 2, (2 << 20) - 1, (3 << 20) + 7]] {
        let [above, among, below] = lengths.map(comment);
        let head = format!("%%MatrixMarket matrix coordinate real general\n{above}3 1 3\n");
        let text = |row: u64| format!("{head}1 1 1\n{among}{among}2 1 2\n{row} 1 3\n{below}");
        let column: Vec<_> = dense(comm, &folder, &text(3))?.into_iter().map(|row| row[0].re).collect();
        assert_eq!(column, [1.0, 2.0, 3.0], "{lengths:?}");
        for (name, bytes) in [("bad.mtx", text(4).into_bytes()), ("bad.mtx.gz", packed(text(4).as_bytes()))] {
            let path = folder.path().join(name);
            put(comm, &path, &bytes)?;
            let message = Matrix::read(comm, &path).map(|_| ()).expect_err("has a bad row").to_string();
            assert!(message.contains("line 8: row 4 is outside 1 to 3"), "{message}");
        }
    }
    folder.remove(comm);
    Ok(())
}

/// Lines of very different length, so that the ranks' shares end at every place in a line.
fn lines_are_cut_anywhere(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    for padding in 0..40 {
        let lines = (1..=9).map(|row| format!("{row} 1 {}{row}{}", " ".repeat(padding % 7), "\n".repeat(1 + row % 3)));
        let text = format!(
            "%%MatrixMarket matrix coordinate real general\n9 1 9\n%{}\n{}",
            "-".repeat(padding),
            lines.collect::<String>()
        );
        let column: Vec<_> = dense(comm, &folder, &text)?.into_iter().map(|row| row[0].re).collect();
        assert_eq!(column, (1..=9).map(f64::from).collect::<Vec<_>>(), "padding {padding}");
    }
    folder.remove(comm);
    Ok(())
}

/// More text than is held at once, and an error far down, behind a comment longer than a piece.
fn large_files_are_read_in_pieces(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let rows = 200_000_u32;
    let mut text = format!("%%MatrixMarket matrix coordinate real general\n{rows} 2 {rows}\n");
    for row in 1..=rows {
        text.push_str(&format!("{row} {} {:.17e}\n", 1 + row % 2, f64::from(row).sqrt()));
        if row == 100_000 {
            text.push_str(&format!("%{}\n", "x".repeat(1_000_000)));
        }
    }
    for (name, pack) in [("large.mtx", false), ("large.mtx.gz", true)] {
        let path = folder.path().join(name);
        let bytes = |text: &str| if pack { packed(text.as_bytes()) } else { text.as_bytes().to_vec() };
        put(comm, &path, &bytes(&text))?;
        let (matrix, _) = matrix_market::read_matrix::<f64>(comm, &path)?;
        for row in matrix.rows() {
            let number = u32::try_from(row.index() + 1)?;
            assert!(row.entries().eq([(u64::from(number % 2), f64::from(number).sqrt())]));
        }
        let bad = text.replacen("\n150000 ", "\n150000x ", 1).replacen("\n170000 ", "\n0 ", 1);
        put(comm, &path, &bytes(&bad))?;
        let message = Matrix::read(comm, &path).map(|_| ()).expect_err("is bad").to_string();
        assert!(message.contains("line 150003: '150000x' is not a row number"), "{message}");
        let long = text.replacen("\n100000 ", &format!("\n{}100000 ", " ".repeat(1 << 20)), 1);
        put(comm, &path, &bytes(&long))?;
        let message = Matrix::read(comm, &path).map(|_| ()).expect_err("has a long line").to_string();
        assert!(message.contains("line 100002: the line is longer than 1048576 bytes"), "{message}");
    }
    folder.remove(comm);
    Ok(())
}

fn round_trip<T: Scalar>(comm: &Comm, folder: &Folder) -> TestResult {
    for (rows, columns) in [(50, 50), (7, 90), (90, 7), (0, 5), (3, 0)] {
        let matrix = made::<T>(comm, rows, columns.max(1))?;
        for name in ["trip.mtx", "trip.mtx.gz"] {
            let path = folder.path().join(name);
            matrix_market::write_matrix(&path, &matrix, Symmetry::General)?;
            require_same(&matrix_market::read_matrix::<T>(comm, &path)?.0, &matrix);
        }
    }
    Ok(())
}

fn matrices_round_trip(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    round_trip::<f64>(comm, &folder)?;
    round_trip::<f32>(comm, &folder)?;
    round_trip::<Complex64>(comm, &folder)?;
    round_trip::<Complex32>(comm, &folder)?;
    let path = folder.path().join("symmetric.mtx");
    let c = Complex64::new;
    let layout = Layout::uniform(comm, 40);
    for symmetry in [Symmetry::Symmetric, Symmetry::SkewSymmetric, Symmetry::Hermitian] {
        let sign = if symmetry == Symmetry::SkewSymmetric { -1.0 } else { 1.0 };
        let lower = |row: u64| c(1.0 / (1.0 + row as f64), if row.is_multiple_of(2) { 0.3 } else { -0.0 });
        let upper = |row| if symmetry == Symmetry::Hermitian { lower(row).conj() } else { lower(row) * sign };
        let pairs = layout.range().filter(|row| row % 3 > 0);
        let entries = pairs.flat_map(|row| [(row, row - 1, lower(row)), (row - 1, row, upper(row))]);
        let matrix = CsrMatrix::from_triplets(&layout, &layout, entries, Duplicates::Add)?;
        matrix_market::write_matrix(&path, &matrix, symmetry)?;
        let (read, description) = matrix_market::read_matrix::<Complex64>(comm, &path)?;
        assert_eq!((description.symmetry, 2 * description.entries), (symmetry, matrix.global_entries()));
        require_same(&read, &matrix);
        let message = matrix_market::write_matrix(&path, &made::<f64>(comm, 9, 9)?, symmetry).unwrap_err().to_string();
        assert!(message.contains("write it as a general one"), "{message}");
    }
    folder.remove(comm);
    Ok(())
}

fn vectors_round_trip(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    for columns in [0, 1, 4] {
        let rows = Layout::from_local_len(comm, 5 + 4 * comm.rank())?;
        let vectors = MultiVector::from_fn(&rows, columns, |row, column| hard(row * 31 + column as u64));
        for name in ["v.mtx", "v.mtx.gz"] {
            let path = folder.path().join(name);
            matrix_market::write_vectors(&path, &vectors)?;
            let (read, _) = matrix_market::read_vectors::<f64>(&path, &rows)?;
            assert_eq!(bits_of(read.owned()), bits_of(vectors.owned()));
        }
    }
    // Columns stored as a sparse matrix are vectors too.
    let path = folder.path().join("sparse.mtx");
    put(comm, &path, b"%%MatrixMarket matrix coordinate complex general\n6 2 2\n6 1 1 2\n1 2 3 4\n")?;
    let rows = Layout::on_one_rank(comm, 6, 0)?;
    let (read, _) = matrix_market::read_vectors::<Complex64>(&path, &rows)?;
    let expected = |row, column| match (row, column) {
        (5, 0) => Complex64::new(1.0, 2.0),
        (0, 1) => Complex64::new(3.0, 4.0),
        _ => Complex64::ZERO,
    };
    assert_eq!(read.owned(), MultiVector::from_fn(&rows, 2, expected).owned());
    let message = Vectors::read(&path, &Layout::uniform(comm, 5)).map(|_| ()).unwrap_err().to_string();
    assert!(message.contains("its vectors have 6 entries, but the layout they are read into has 5"), "{message}");
    let message = matrix_market::read_vectors::<f64>(&path, &rows).map(|_| ()).unwrap_err().to_string();
    assert!(message.contains("holds complex numbers, which f64 cannot"), "{message}");
    folder.remove(comm);
    Ok(())
}

fn scipy_reads_what_is_written(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let matrix = made::<Complex64>(comm, 60, 40)?;
    matrix_market::write_matrix(folder.path().join("a.mtx"), &matrix, Symmetry::General)?;
    matrix_market::write_matrix(folder.path().join("a.mtx.gz"), &matrix, Symmetry::General)?;
    let vectors = MultiVector::from_fn(&Layout::uniform(comm, 30), 2, |row, column| hard(row + 100 * column as u64));
    matrix_market::write_vectors(folder.path().join("v.mtx"), &vectors)?;
    let script = "import sys, scipy.io as io\nfolder = sys.argv[1]\n\
        a, b, v = (io.mmread(f'{folder}/{n}') for n in ('a.mtx', 'a.mtx.gz', 'v.mtx'))\n\
        assert a.shape == (60, 40) and v.shape == (30, 2)\n\
        assert (a.tocsr() != b.tocsr()).nnz == 0\n\
        io.mmwrite(f'{folder}/back.mtx', a, precision=17)\n\
        io.mmwrite(f'{folder}/backv.mtx', v, precision=17)\n";
    if !python(comm, script, folder.path())? {
        return Ok(());
    }
    require_same(&matrix_market::read_matrix::<Complex64>(comm, folder.path().join("back.mtx"))?.0, &matrix);
    let (back, _) = matrix_market::read_vectors::<f64>(folder.path().join("backv.mtx"), vectors.layout())?;
    assert_eq!(bits_of(back.owned()), bits_of(vectors.owned()));
    folder.remove(comm);
    Ok(())
}

fn files_do_not_depend_on_ranks(comm: &Comm) -> TestResult<Checksums> {
    let folder = Folder::new(comm)?;
    let path = folder.path().join("a.mtx");
    matrix_market::write_matrix(&path, &made::<f64>(comm, 300, 200)?, Symmetry::General)?;
    let bytes = fs::read(&path)?;
    let hash = bytes.iter().fold(0, |hash: u64, byte| hash.wrapping_mul(1_099_511_628_211) ^ u64::from(*byte));
    folder.remove(comm);
    Ok(vec![("bytes of the file".to_owned(), hash)])
}
