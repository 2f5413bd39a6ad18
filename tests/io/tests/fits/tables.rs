//! Written tables of any columns.

use std::fs;
use std::path::Path;

use dolmen_core::{Complex32, Complex64, Layout};
use dolmen_io::fits::{ColumnData, FitsFile, Header, TableColumn, write_table};
use dolmen_tests::{Checksums, Comm, Folder, TestResult};

use crate::python;

const ROWS: u64 = 1300;

/// Writes a table with a column of each type, some of them several elements wide.
fn write_test_table(comm: &Comm, path: &Path) -> TestResult {
    // The second rank has nothing.
    let share = |rank: usize| if rank == 0 { ROWS - 200 * (comm.size() as u64).saturating_sub(2) } else { 200 };
    let mine = if comm.rank() == 1 { 0 } else { share(comm.rank()) };
    let rows = Layout::from_local_len(comm, usize::try_from(mine)?)?;
    let each = |repeat: u64| rows.range().flat_map(move |row| (0..repeat).map(move |part| (row, part)));
    let number = |(row, part): (u64, u64)| i32::try_from(row * 10 + part).expect("a small table");
    let real = |place| f64::from(number(place)) + 0.25;
    let flags: Vec<bool> = each(1).map(|(row, _)| row % 3 == 0).collect();
    let bytes = each(2).map(|(row, part)| u8::try_from((row + part) % 256)).collect::<Result<Vec<_>, _>>()?;
    let shorts = each(1).map(|(row, _)| i16::try_from(row)).collect::<Result<Vec<_>, _>>()?;
    let ints: Vec<i32> = each(3).map(number).collect();
    let longs: Vec<i64> = each(1).map(|place| i64::from(number(place)) * 3_000_000_001).collect();
    #[expect(clippy::cast_possible_truncation, reason = "rounding is meant")]
    let singles: Vec<f32> = each(1).map(|place| real(place) as f32).collect();
    let doubles: Vec<f64> = each(4).map(real).collect();
    let complex: Vec<Complex64> = each(1).map(|place| Complex64::new(real(place), -1.0)).collect();
    #[expect(clippy::cast_possible_truncation, reason = "rounding is meant")]
    let small: Vec<Complex32> = each(1).map(|place| Complex32::new(2.0, real(place) as f32)).collect();
    let names: Vec<String> = rows.range().map(|row| format!("row {row}")).collect();
    let texts: Vec<&str> = names.iter().map(String::as_str).collect();
    let column = |name, repeat, data| TableColumn { name, unit: if repeat == 4 { "K" } else { "" }, repeat, data };
    let mut cards = Header::new();
    cards.push("EXTNAME", "TIMELINE", "");
    cards.push("FSAMPLE", 32.5, "Hz");
    write_table(
        &rows,
        path,
        &cards,
        &[
            column("flag", 1, ColumnData::Logical(&flags)),
            column("byte", 2, ColumnData::U8(&bytes)),
            column("short", 1, ColumnData::I16(&shorts)),
            column("int", 3, ColumnData::I32(&ints)),
            column("long", 1, ColumnData::I64(&longs)),
            column("single", 1, ColumnData::F32(&singles)),
            column("double", 4, ColumnData::F64(&doubles)),
            column("complex", 1, ColumnData::Complex64(&complex)),
            column("small", 1, ColumnData::Complex32(&small)),
            column("text", 9, ColumnData::Text(&texts)),
        ],
    )?;
    Ok(())
}

pub(crate) fn written_tables_do_not_depend_on_ranks(comm: &Comm) -> TestResult<Checksums> {
    let folder = Folder::new(comm)?;
    let path = folder.path().join("table.fits");
    write_test_table(comm, &path)?;
    let bytes = fs::read(&path)?;
    assert_eq!(bytes.len() % 2880, 0);
    let hash = bytes.iter().fold(0, |hash: u64, byte| hash.wrapping_mul(1_099_511_628_211) ^ u64::from(*byte));
    let file = FitsFile::open(&path)?;
    let table = file.first_table()?;
    assert_eq!(table.header().real("FSAMPLE"), Some(32.5));
    assert_eq!(file.read_column_text(table, "text", 1298..1300)?, ["row 1298", "row 1299"]);
    assert_eq!(file.read_column_i64(table, "int", 7..8)?, [70, 71, 72]);
    assert_eq!(file.read_column_complex(table, "small", 9..10)?, [Complex64::new(2.0, 90.25)]);
    assert_eq!(file.read_column_lengths(table, "double", 0..2)?, [4, 4]);
    folder.remove(comm);
    Ok(vec![("table".to_owned(), hash)])
}

pub(crate) fn astropy_reads_written_tables(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let path = folder.path().join("table.fits");
    write_test_table(comm, &path)?;
    let script = "
import sys, warnings
warnings.simplefilter('error')
import numpy
from astropy.io import fits
with fits.open(sys.argv[1]) as f:
    f.verify('exception')
    assert f[1].name == 'TIMELINE' and f[1].header['FSAMPLE'] == 32.5 and f[1].header['TUNIT7'] == 'K'
    t = f[1].data
    r = numpy.arange(1300)
    many = lambda n: r[:, None] * 10 + numpy.arange(n)
    assert numpy.array_equal(t['flag'], r % 3 == 0)
    assert numpy.array_equal(t['byte'], (r[:, None] + numpy.arange(2)) % 256)
    assert numpy.array_equal(t['short'], r) and t['short'].dtype == '>i2'
    assert numpy.array_equal(t['int'], many(3))
    assert numpy.array_equal(t['long'], r * 10 * 3000000001)
    assert numpy.array_equal(t['single'], (r * 10 + 0.25).astype('f4')) and t['single'].dtype == '>f4'
    assert numpy.array_equal(t['double'], many(4) + 0.25)
    assert numpy.array_equal(t['complex'], r * 10 + 0.25 - 1j)
    assert numpy.array_equal(t['small'], 2 + 1j * (r * 10 + 0.25)) and t['small'].dtype == '>c8'
    assert list(t['text']) == [f'row {i}' for i in r]
";
    if comm.rank() == 0 {
        python(script, &[&path])?;
    }
    comm.barrier();
    folder.remove(comm);
    Ok(())
}

pub(crate) fn refused_tables_leave_nothing(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let path = folder.path().join("table.fits");
    let rows = Layout::uniform(comm, 6);
    let last = comm.rank() + 1 == comm.size();
    let long = vec![0.0; rows.local_len() * 2 + usize::from(last)];
    let texts = vec![if last { "Größe" } else { "size" }; rows.local_len()];
    let wide = vec![if last { "too wide" } else { "size" }; rows.local_len()];
    for (repeat, data, expected) in [
        (2, ColumnData::F64(&long), "column c: expected"),
        (9, ColumnData::Text(&texts), "printable ASCII"),
        (4, ColumnData::Text(&wide), "\"too wide\" is not of at most 4"),
    ] {
        let column = TableColumn { name: "c", unit: "", repeat, data };
        let message = write_table(&rows, &path, &Header::new(), &[column]).expect_err(expected).to_string();
        assert!(message.contains(expected), "{message}");
    }
    assert_eq!(fs::read_dir(folder.path())?.count(), 0);
    folder.remove(comm);
    Ok(())
}
