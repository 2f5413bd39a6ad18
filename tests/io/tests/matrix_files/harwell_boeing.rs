//! Harwell-Boeing and Rutherford-Boeing files of the tests' own making. Files of the collections are
//! among the reference files.

use dolmen_core::{Complex64, Layout, MultiVector};
use dolmen_io::{Field, Format, Symmetry, Vectors, describe, harwell_boeing};
use dolmen_tests::{Case, Comm, Folder, TestResult, case};

use crate::support::{packed, put, require_refused};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("boeing_matrices_and_right_hand_sides_are_read", &[1, 2, 3], matrices_and_right_hand_sides_are_read),
        case("boeing_guesses_and_solutions_are_read", &[1, 3], guesses_and_solutions_are_read),
        case("boeing_formats_of_fortran_are_read", &[1, 3], formats_of_fortran_are_read),
        case("boeing_malformed_files_are_refused_alike", &[1, 2, 3], malformed_files_are_refused_alike),
    ]
}

/// A matrix of 3 by 2, columns (1, 0, 3) and (0, 2.5, 0), and two right-hand sides.
pub(crate) const GENERAL: &str = "\
Three by two                                                            TEST    
             5             1             1             1             2
RRA                        3             2             3             0
(8I4)           (8I4)           (4E12.4)            (3F8.2)             
F                          2             0
   1   3   4
   1   3   2
  1.0000E+00  3.0000D+00      2.5+00
    1.00    2.00    3.00
     400     500     600
";

/// A Hermitian matrix of 2 by 2, Rutherford-Boeing.
pub(crate) const HERMITIAN: &str = "\
Hermitian                                                               TEST    
             3             1             1             1
cha                        2             2             2             0
(8i4)           (8i4)           (4e12.4)
   1   3   3
   1   2
  1.0000E+00  0.0000E+00  2.0000E+00  3.0000E+00
";

fn matrices_and_right_hand_sides_are_read(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    for (name, pack) in [("a.rra", false), ("a.rra.gz", true)] {
        let path = folder.path().join(name);
        put(comm, &path, &if pack { packed(GENERAL.as_bytes()) } else { GENERAL.into() })?;
        let (matrix, description) = harwell_boeing::read_matrix::<f64>(comm, &path)?;
        assert_eq!((description.format, description.right_hand_sides), (Format::HarwellBoeing, 2));
        let dense = matrix.gather_all()?.to_dense();
        assert_eq!(dense.into_raw_vec_and_offset().0, [1.0, 0.0, 0.0, 2.5, 3.0, 0.0]);
        let rows = Layout::on_one_rank(comm, 3, 0)?;
        let (Vectors::Real(vectors), _) = Vectors::read(&path, &rows)? else { return Err("is real".into()) };
        assert_eq!(vectors.owned(), if comm.rank() == 0 { &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0][..] } else { &[] });
    }
    let path = folder.path().join("h.rb");
    put(comm, &path, HERMITIAN.as_bytes())?;
    let description = describe(comm, &path)?;
    let kind = (description.format, description.field, description.symmetry);
    assert_eq!(kind, (Format::RutherfordBoeing, Field::Complex, Symmetry::Hermitian));
    let (matrix, _) = harwell_boeing::read_matrix::<Complex64>(comm, &path)?;
    let c = Complex64::new;
    let dense = matrix.gather_all()?.to_dense();
    assert_eq!(dense.into_raw_vec_and_offset().0, [c(1.0, 0.0), c(2.0, -3.0), c(2.0, 3.0), c(0.0, 0.0)]);
    let message = Vectors::read(&path, &Layout::uniform(comm, 2)).map(|_| ()).unwrap_err().to_string();
    assert!(message.contains("has no right-hand sides"), "{message}");
    folder.remove(comm);
    Ok(())
}

/// Two right-hand sides of three entries, four numbers a line, with guesses and solutions of diag(1, 2, 4).
/// Each array is one list of numbers, or has each column on a line of its own.
pub(crate) fn systems(by_column: bool) -> String {
    let columns = [[1.0, 4.0, 12.0], [-1.0, 0.0, 2.0], [0.5; 3], [0.25; 3], [1.0, 2.0, 3.0], [-1.0, 0.0, 0.5]];
    let line = |values: &[f64]| values.iter().map(|value| format!("{value:8.2}")).collect::<String>() + "\n";
    let pairs = columns.chunks(2).map(<[_]>::concat);
    let data: String = match by_column {
        true => columns.iter().map(|column| line(column)).collect(),
        false => pairs.flat_map(|pair| pair.chunks(4).map(line).collect::<Vec<_>>()).collect(),
    };
    let counts = [9, 1, 1, 1, 6].map(|count: u64| format!("{count:14}")).concat();
    format!(
        "{:<72}TEST    \n{counts}\n{:<14}{:14}{:14}{:14}{:14}\n{:<16}{:<16}{:<20}{:<20}\n{:<14}{:14}{:14}\n\
         {:4}{:4}{:4}{:4}\n{:4}{:4}{:4}\n{:8.2}{:8.2}{:8.2}\n{data}",
        "Two systems",
        "RUA",
        3,
        3,
        3,
        0,
        "(8I4)",
        "(8I4)",
        "(4F8.2)",
        "(4F8.2)",
        "FGX",
        2,
        0,
        1,
        2,
        3,
        4,
        1,
        2,
        3,
        1.0,
        2.0,
        4.0,
    )
}

fn guesses_and_solutions_are_read(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let path = folder.path().join("systems.rua");
    let rows = Layout::uniform(comm, 3);
    for by_column in [false, true] {
        put(comm, &path, systems(by_column).as_bytes())?;
        let (a, description) = harwell_boeing::read_matrix::<f64>(comm, &path)?;
        assert_eq!(description.right_hand_sides, 2);
        let (found, _) = harwell_boeing::read_system_vectors::<f64>(&path, &rows)?;
        let (guesses, solutions) = (found.guesses.ok_or("no guesses")?, found.solutions.ok_or("no solutions")?);
        assert!(guesses.column(0).iter().all(|value| *value == 0.5), "{by_column}");
        assert!(guesses.column(1).iter().all(|value| *value == 0.25), "{by_column}");
        let mut product = MultiVector::zeros(&rows, 2);
        a.apply_many(&solutions, &mut product)?;
        assert_eq!(product.owned(), found.right_hand_sides.owned(), "{by_column}");
        assert_eq!(harwell_boeing::read_vectors::<f64>(&path, &rows)?.0.owned(), product.owned());
    }
    let (alone, rows) = (GENERAL, Layout::uniform(comm, 3));
    put(comm, &path, alone.as_bytes())?;
    let (found, _) = harwell_boeing::read_system_vectors::<f64>(&path, &rows)?;
    assert!(found.right_hand_sides.columns() == 2 && found.guesses.is_none() && found.solutions.is_none());
    put(comm, &path, alone.replacen("F             ", "F X           ", 1).as_bytes())?;
    let message = harwell_boeing::read_system_vectors::<f64>(&path, &rows).map(|_| ()).unwrap_err().to_string();
    assert!(message.contains("of 3 by 2, which are of no known length; read its 2 right-hand sides"), "{message}");
    assert_eq!(harwell_boeing::read_vectors::<f64>(&path, &rows)?.0.columns(), 2);
    let whole = systems(false);
    for (bad, expected) in [
        (whole.replace("    0.25", "    0.x5"), "line 11: '    0.x5' is not a number"),
        (whole.replacen("    4.00\n", "    4.00\n    1.00    4.00\n", 1), "line 9: has 2 of the values of right-hand"),
        (whole.lines().take(13).map(|line| line.to_owned() + "\n").collect(), "line 13: the file ends after 4 of 6"),
    ] {
        require_refused(comm, &folder, "bad.rua", bad.as_bytes(), expected)?;
    }
    folder.remove(comm);
    Ok(())
}

/// The same matrix in formats that skip columns and lines, and with right-hand sides stored like the matrix.
fn formats_of_fortran_are_read(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let path = folder.path().join("a.rra");
    let old = "(8I4)           (8I4)           (4E12.4)";
    for (formats, pointers, indices) in [
        ("(1X,8I4)        (T3,8I4)        (4E12.4)", "*   1   3   4", "**   1   3   2"),
        ("(2I3/I5)        (I4/)           (4E12.4)", "  1  3\n    4", "   1\nskipped\n   3\n\n   2\n"),
        ("(1X,2(1X,I3))   (3(I2,1X))      (4E12.4)", "*   1   3\n   4", " 1* 3* 2"),
    ] {
        let text = GENERAL.replace(old, formats).replace("   1   3   4", pointers).replace("   1   3   2", indices);
        put(comm, &path, text.as_bytes())?;
        let (matrix, _) = harwell_boeing::read_matrix::<f64>(comm, &path)?;
        let dense = matrix.gather_all()?.to_dense();
        assert_eq!(dense.into_raw_vec_and_offset().0, [1.0, 0.0, 0.0, 2.5, 3.0, 0.0], "{formats}");
        let rows = Layout::uniform(comm, 3);
        let (vectors, _) = harwell_boeing::read_vectors::<f64>(&path, &rows)?;
        let first = rows.range().map(|row| row as f64 + 1.0);
        assert!(vectors.column(0).iter().copied().eq(first), "{formats}");
    }
    let sparse = GENERAL.replacen("F             ", "M             ", 1);
    put(comm, &path, sparse.as_bytes())?;
    let (matrix, description) = harwell_boeing::read_matrix::<f64>(comm, &path)?;
    assert_eq!((matrix.global_entries(), description.right_hand_sides), (3, 0));
    let message = Vectors::read(&path, &Layout::uniform(comm, 3)).map(|_| ()).unwrap_err().to_string();
    assert!(message.contains("right-hand sides are of type M, stored like the matrix, and are not read"), "{message}");
    folder.remove(comm);
    Ok(())
}

fn malformed_files_are_refused_alike(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let no_sides = HERMITIAN;
    for (text, from, to, expected) in [
        (GENERAL, "RRA ", "RRE ", "line 3: type RRE: 'E' is an elemental matrix, which is not supported"),
        (GENERAL, "RRA ", "QRA ", "line 3: type QRA: 'Q' keeps its values in another file"),
        (
            GENERAL,
            "             3             2             3",
            "             x             2             3",
            "line 3: columns 15 to 28 should be the number of rows",
        ),
        (GENERAL, "(8I4)           (8I4)", "(8I4            (8I4)", "line 4: '(8I4' is not a format"),
        (
            GENERAL,
            "(8I4)           (8I4)",
            "(8F4.0)         (8I4)",
            "line 4: the format of pointers is not one of whole",
        ),
        (GENERAL, "F        ", "?        ", "line 5: '?' is not a type of right-hand sides"),
        (GENERAL, "   1   3   4", "   1   3   5", "line 6: the pointer of column 3 is 5; they ascend"),
        (GENERAL, "   1   3   4", "   1   3   3", "line 6: the last pointer is 3, but 3 entries are announced"),
        (GENERAL, "   1   3   4", "   2   3   4", "line 6: the pointer of column 1 is 2"),
        (GENERAL, "   1   3   4", "   1   0   4", "line 6: the pointer of column 2 is 0"),
        (GENERAL, "   1   3   4", "   1   3", "line 6: has 2 of the column pointers, not 3"),
        (GENERAL, "   1   3   2", "   1   4   2", "line 7: row 4 is outside 1 to 3"),
        (GENERAL, "   1   3   2", "   1   0   2", "line 7: row 0 is outside 1 to 3"),
        (GENERAL, "   1   3   2", "   1   x   2", "line 7: '   x' is not a whole number"),
        (GENERAL, "3.0000D+00", "3.0000X+00", "line 8: '  3.0000X+00' is not a number"),
        (GENERAL, "3.0000D+00", "3.00D+9999", "line 8: '3.00D+9999' is too large"),
        (no_sides, "cha ", "csx ", "line 3: type csx: 'X' is neither A"),
        (
            no_sides,
            "   1   3   3\n   1   2\n",
            "   1   2   3\n   2   1\n",
            "entries (2, 1) and (1, 2): are on both sides of the diagonal",
        ),
        (no_sides, "  0.0000E+00", "  0.5000E+00", "line 7: entry (1, 1) is not real"),
        (no_sides, "  2.0000E+00  3.0000E+00\n", "\n", "line 7: has 2 of the values, not 4"),
        (
            no_sides,
            "  1.0000E+00  0.0000E+00  2.0000E+00  3.0000E+00\n",
            "",
            "line 6: the file ends after 0 of 4 values",
        ),
        (no_sides, "3.0000E+00\n", "3.0000E+00\nmore\n", "line 8: follows the last number"),
        (
            no_sides,
            "cha                        2",
            "cha                        3",
            "line 3: a Hermitian matrix is square",
        ),
        (
            no_sides,
            "             3             1             1             1",
            "             3             1             1             0",
            "line 2: there are no lines of values",
        ),
    ] {
        assert!(text.contains(from), "{from}");
        let bad = text.replacen(from, to, 1);
        require_refused(comm, &folder, "bad.rb", bad.as_bytes(), expected)?;
        require_refused(comm, &folder, "bad.rb.gz", &packed(bad.as_bytes()), expected)?;
    }
    let huge = |rows: u64, columns: u64| {
        let counts = format!("{:14}{:14}{:14}{:14}", 2, 1, 1, 0);
        let kind = format!("pua{:11}{rows:14}{columns:14}{:14}{:14}", "", 2, 0);
        format!("A huge header\n{counts}\n{kind}\n(8i4)           (8i4)\n   1   2   3   3   3\n   1   2\n")
    };
    for (rows, columns, expected) in [
        (99_999_999_999_999, 4, "line 3: a matrix of 99999999999999 by 4 is too large for a file of"),
        (4, 99_999_999_999_999, "line 5: has 5 of the column pointers, not 8"),
    ] {
        require_refused(comm, &folder, "huge.rb", huge(rows, columns).as_bytes(), expected)?;
    }
    folder.remove(comm);
    Ok(())
}
