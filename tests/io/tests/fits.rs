//! FITS tables and maps against astropy's and healpy's readings of the same files.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use dolmen_core::Layout;
use dolmen_io::fits::{
    ColumnType, Coordinates, FitsFile, Hdu, HduKind, MapColumn, MapData, MapFile, MapHeader, Ordering,
    PolarisationConvention, UNSEEN, write_map,
};
use dolmen_tests::{Checksums, Comm, Folder, TestResult, case, same_bits, serial, shared, skip};
use serde_json::Value;

fn main() -> ExitCode {
    dolmen_tests::main(&[
        serial("tables_have_the_values_astropy_sees", tables_have_the_values_astropy_sees),
        serial("maps_have_the_values_healpy_sees", maps_have_the_values_healpy_sees),
        serial("listed_pixels_are_placed", listed_pixels_are_placed),
        same_bits("written_maps_do_not_depend_on_ranks", &[1, 2, 3, 4], written_maps_do_not_depend_on_ranks),
        case("healpy_reads_written_maps_without_a_warning", &[1, 3], healpy_reads_written_maps),
        case("a_refused_map_leaves_the_old_file", &[1, 2, 3], a_refused_map_leaves_the_old_file),
    ])
}

fn reference(folder: &Path) -> TestResult<serde_json::Map<String, Value>> {
    match serde_json::from_str(&fs::read_to_string(folder.join("REFS.json"))?)? {
        Value::Object(files) => Ok(files),
        _ => Err("REFS.json is not an object".into()),
    }
}

fn tables_have_the_values_astropy_sees() -> TestResult {
    let Some(shared) = shared() else { return Ok(()) };
    let mut compared = 0;
    for folder in [shared.join("data/fits"), shared.join("data/cmb/maps")] {
        let facts = reference(&folder)?;
        for (name, fact) in facts.iter().filter(|(name, _)| name.contains(".fits")) {
            // The compressed copy has the facts of the plain file.
            let hdus = fact["hdus"].as_array().or_else(|| facts[name.strip_suffix(".gz")?]["hdus"].as_array());
            let file = FitsFile::open(folder.join(name))?;
            for (index, expected) in hdus.ok_or("no facts")?.iter().enumerate() {
                if expected["type"] == "BinTableHDU" {
                    compared += compare_table(&file, &file.hdus()[index], expected)
                        .map_err(|error| format!("{name}, HDU {index}: {error}"))?;
                }
            }
        }
    }
    assert!(compared > 60, "only {compared} columns compared");
    Ok(())
}

/// Compares the columns of numbers; those of other types must be refused by name.
fn compare_table(file: &FitsFile, hdu: &Hdu, expected: &Value) -> Result<usize, Box<dyn Error>> {
    assert_eq!(hdu.kind(), HduKind::BinaryTable);
    assert_eq!(Some(hdu.rows()), expected["rows"].as_u64());
    assert_eq!(hdu.header().text("EXTNAME"), expected["extname"].as_str());
    let columns = expected["columns"].as_array().ok_or("no columns")?;
    assert_eq!(hdu.columns().len(), columns.len());
    let mut compared = 0;
    for (column, expected) in hdu.columns().iter().zip(columns) {
        assert_eq!(Some(column.name.as_str()), expected["name"].as_str());
        assert_eq!(column.unit, expected["unit"].as_str().unwrap_or_default());
        let values = file.read_column_f64(hdu, &column.name, 0..hdu.rows());
        if let ColumnType::Unsupported(letter) = column.kind {
            let message = values.expect_err("must be refused").to_string();
            assert!(message.contains(&format!("column {}: its type {letter}", column.name)), "{message}");
            continue;
        }
        let mut values = values?;
        if expected["null"].is_i64() {
            assert!(values.iter().any(|value| value.is_nan()));
            let stored = file.read_column_i64(hdu, &column.name, 0..hdu.rows())?;
            values = stored.into_iter().map(|value| value as f64).collect();
        }
        compare_values(&values, expected).map_err(|error| format!("column {}: {error}", column.name))?;
        compared += 1;
    }
    Ok(compared)
}

/// Sum, norm and first values; pixels that are not observed do not count.
fn compare_values(values: &[f64], expected: &Value) -> TestResult {
    let number = |key: &str| expected[key].as_f64().ok_or(format!("no {key}"));
    let (sum, norm) = (number("sum")?, number("norm2")?);
    for (value, first) in values.iter().zip(expected["first"].as_array().ok_or("no first")?) {
        let first = first.as_f64().ok_or("no number")?;
        // A map in single precision has UNSEEN rounded; JSON numbers are read to one ulp.
        let tolerance = if first.abs() > 1e30 { 1e-6 } else { 3e-16 };
        if (value - first).abs() > tolerance * first.abs() {
            return Err(format!("found {value}, expected {first}").into());
        }
    }
    let good: Vec<f64> = values.iter().copied().filter(|value| value.abs() < 1e30).collect();
    assert_eq!(Some(good.len() as u64), expected["good"].as_u64());
    let found_sum: f64 = good.iter().sum();
    let found_norm = good.iter().map(|value| value * value).sum::<f64>().sqrt();
    let floor = 1e-12 * norm * (good.len() as f64).sqrt();
    if (found_sum - sum).abs() > floor || (found_norm - norm).abs() > 1e-12 * norm {
        return Err(format!("sum {found_sum}, norm {found_norm}; expected {sum}, {norm}").into());
    }
    Ok(())
}

fn maps_have_the_values_healpy_sees() -> TestResult {
    let Some(shared) = shared() else { return Ok(()) };
    let folder = shared.join("data/cmb/maps");
    let mut maps = 0;
    for (name, fact) in reference(&folder)?.iter().filter(|(name, _)| name.contains(".fits")) {
        let opened = MapFile::open(folder.join(name));
        let table = &fact["hdus"][1];
        if table.is_null() {
            let message = opened.expect_err("a beam is no map").to_string();
            assert!(message.contains("no binary table"), "{message}");
            continue;
        }
        let map = opened?;
        assert_eq!(Some(map.header().nside), table["NSIDE"].as_u64());
        assert_eq!(map.header().ordering, Ordering::Ring);
        let celestial = table["COORDSYS"].is_string().then_some(Coordinates::Celestial);
        assert_eq!(map.header().coordinates, celestial);
        let pixels = map.header().pixels();
        for (index, expected) in table["columns"].as_array().ok_or("no columns")?.iter().enumerate() {
            let whole = map.read(index, 0..pixels)?;
            compare_values(&whole, expected).map_err(|error| format!("{name}, column {index}: {error}"))?;
            let (start, end) = (pixels / 7, pixels / 2 + 1);
            let part = map.read(index, start..end)?;
            assert_eq!(part, whole[usize::try_from(start)?..usize::try_from(end)?]);
            let unseen = whole.iter().filter(|value| **value == UNSEEN).count() as u64;
            assert_eq!(Some(pixels - unseen), expected["good"].as_u64());
        }
        maps += 1;
    }
    assert!(maps >= 9, "only {maps} maps");
    Ok(())
}

/// Debian's interpreter, which has healpy and h5py, unless the environment names another.
fn python(script: &str, arguments: &[&Path]) -> TestResult<bool> {
    let python = std::env::var("DOLMEN_PYTHON").unwrap_or_else(|_| "/usr/bin/python3".to_owned());
    let import = Command::new(&python).args(["-c", "import healpy"]).output();
    if !import.is_ok_and(|output| output.status.success()) {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{python} has no healpy");
        skip("no Python with healpy (DOLMEN_PYTHON names one)");
        return Ok(false);
    }
    let output = Command::new(&python).arg("-c").arg(script).args(arguments).output()?;
    let problem = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{problem}");
    Ok(true)
}

fn listed_pixels_are_placed() -> TestResult {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("partial.fits");
    let script = "
import sys, numpy, healpy
m = numpy.full(12 * 8 * 8, healpy.UNSEEN)
m[5:700:7] = numpy.arange(5, 700, 7)
healpy.write_map(sys.argv[1], [m, 2 * m], partial=True, nest=True, coord='G', dtype=numpy.float32)
";
    if !python(script, &[&path])? {
        return Ok(());
    }
    let map = MapFile::open(&path)?;
    assert_eq!(map.header().ordering, Ordering::Nested);
    assert_eq!(map.header().coordinates, Some(Coordinates::Galactic));
    assert_eq!(map.columns().count(), 2);
    for (pixel, value) in (100..600).zip(map.read(0, 100..600)?) {
        let expected = if pixel % 7 == 5 { f64::from(pixel) } else { UNSEEN };
        assert_eq!(value, expected, "pixel {pixel}");
    }
    Ok(())
}

/// A value that tells pixels and columns apart; some pixels are not observed.
fn value(pixel: u64, column: u32) -> f64 {
    match pixel % 5 {
        3 => UNSEEN,
        _ => f64::from(column).mul_add(1e6, pixel as f64) + 0.125,
    }
}

fn header(nside: u64, ordering: Ordering) -> MapHeader {
    MapHeader {
        nside,
        ordering,
        coordinates: Some(Coordinates::Galactic),
        polarisation: Some(PolarisationConvention::Cosmo),
        history: vec!["made by a test".into(), "line ".repeat(30)],
    }
}

/// Writes a map of four columns, one of each type, in uneven parts.
fn write_test_map(comm: &Comm, path: &Path, header: &MapHeader) -> TestResult {
    // The last rank has nothing, the others unequal parts that share table rows.
    let last = comm.size() as u64 - 1;
    let weights: Vec<u64> = (0..=last).map(|rank| if rank == last { 0 } else { rank + 1 }).collect();
    let total: u64 = weights.iter().sum::<u64>().max(1);
    let mine = header.pixels() * weights[comm.rank()] / total;
    let mut lengths = comm.all_gather(mine);
    lengths[0] += header.pixels() - lengths.iter().sum::<u64>();
    let layout = Layout::from_local_len(comm, usize::try_from(lengths[comm.rank()])?)?;
    let pixels = || layout.range();
    let double: Vec<f64> = pixels().map(|pixel| value(pixel, 0)).collect();
    #[expect(clippy::cast_possible_truncation, reason = "rounding is meant")]
    let single: Vec<f32> = pixels().map(|pixel| value(pixel, 1) as f32).collect();
    let long: Vec<i64> = pixels().map(|pixel| (pixel * 3_000_000_001).cast_signed()).collect();
    let short = pixels().map(i32::try_from).collect::<Result<Vec<i32>, _>>()?;
    let columns = [
        MapColumn { name: "I_STOKES", unit: "K_CMB", data: MapData::F64(&double) },
        MapColumn { name: "Q_STOKES", unit: "K_CMB", data: MapData::F32(&single) },
        MapColumn { name: "HITS", unit: "", data: MapData::I64(&long) },
        MapColumn { name: "PIXEL_NUMBER", unit: "", data: MapData::I32(&short) },
    ];
    write_map(&layout, path, header, &columns)?;
    Ok(())
}

fn written_maps_do_not_depend_on_ranks(comm: &Comm) -> TestResult<Checksums> {
    let folder = Folder::new(comm)?;
    let mut checksums = Vec::new();
    for (nside, ordering) in [(1, Ordering::Ring), (8, Ordering::Nested), (16, Ordering::Ring), (64, Ordering::Ring)] {
        let path = folder.path().join(format!("map{nside}.fits"));
        let header = header(nside, ordering);
        write_test_map(comm, &path, &header)?;
        let bytes = fs::read(&path)?;
        assert_eq!(bytes.len() % 2880, 0);
        let hash = bytes.iter().fold(0, |hash: u64, byte| hash.wrapping_mul(1_099_511_628_211) ^ u64::from(*byte));
        checksums.push((format!("nside {nside}"), hash));

        let map = MapFile::open(&path)?;
        assert_eq!(map.header().ordering, ordering);
        assert_eq!(map.header().coordinates, header.coordinates);
        assert_eq!(map.header().polarisation, header.polarisation);
        assert_eq!(map.header().history.concat(), header.history.concat().trim_end());
        let read = map.read(0, 0..header.pixels())?;
        assert!(read.iter().zip(0..).all(|(read, pixel)| *read == value(pixel, 0)));
        assert_eq!(map.columns().next(), Some(("I_STOKES", "K_CMB")));
        assert!(
            fs::read_dir(folder.path())?
                .all(|entry| entry.is_ok_and(|e| e.path().extension().is_some_and(|ending| ending == "fits")))
        );
    }
    folder.remove(comm);
    Ok(checksums)
}

fn healpy_reads_written_maps(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    for (nside, ordering) in [(2, Ordering::Nested), (32, Ordering::Ring)] {
        let path = folder.path().join("map.fits");
        write_test_map(comm, &path, &header(nside, ordering))?;
        let script = "
import sys, warnings
warnings.simplefilter('error')
import logging
class Fail(logging.Handler):
    def emit(self, record):
        raise RuntimeError(record.getMessage())
import numpy, healpy
from astropy.io import fits
log = logging.getLogger('healpy')
log.setLevel(logging.WARNING)
log.addHandler(Fail())
maps = [healpy.read_map(sys.argv[1], field=i, nest=None) for i in range(4)]
header = healpy.read_map(sys.argv[1], nest=None, h=True)[1]
p = numpy.arange(maps[0].size)
def value(c):
    return numpy.where(p % 5 == 3, healpy.UNSEEN, c * 1e6 + p + 0.125)
assert numpy.array_equal(maps[0], value(0))
assert maps[1].dtype == numpy.dtype('>f4')
seen = p % 5 != 3
assert numpy.array_equal(maps[1][seen], value(1).astype(numpy.float32)[seen])
assert numpy.all(maps[1][~seen] == numpy.float32(healpy.UNSEEN))
assert numpy.array_equal(maps[2], p * 3000000001)
assert numpy.array_equal(maps[3], p)
header = dict(header)
assert header['COORDSYS'] == 'G' and header['POLCCONV'] == 'COSMO' and header['TUNIT1'] == 'K_CMB'
with fits.open(sys.argv[1]) as f:
    f.verify('exception')
";
        if comm.rank() == 0 {
            python(script, &[&path])?;
        }
        comm.barrier();
    }
    folder.remove(comm);
    Ok(())
}

fn a_refused_map_leaves_the_old_file(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let path = folder.path().join("map.fits");
    if comm.rank() == 0 {
        fs::write(&path, "old")?;
    }
    comm.barrier();
    let layout = Layout::uniform(comm, 12);
    let values = vec![0.0; layout.local_len()];
    let long = vec![0.0; layout.local_len() + usize::from(comm.rank() + 1 == comm.size())];
    let column = |name, data| [MapColumn { name, unit: "", data: MapData::F64(data) }];
    let missing = folder.path().join("no/map.fits");
    let attempts = [
        (write_map(&layout, &path, &header(1, Ordering::Ring), &column("T", &long)), "column T: expected"),
        (write_map(&layout, &path, &header(2, Ordering::Ring), &column("T", &values)), "12 pixels, nside 2 has 48"),
        (write_map(&layout, &path, &header(3, Ordering::Ring), &column("T", &values)), "nside 3"),
        (write_map(&layout, &path, &header(1, Ordering::Ring), &[]), "at least one column"),
        (write_map(&layout, &path, &header(1, Ordering::Ring), &column(&"T".repeat(99), &values)), "TTYPE1"),
        (write_map(&layout, &missing, &header(1, Ordering::Ring), &column("T", &values)), "cannot create"),
        (write_map(&layout, folder.path(), &header(1, Ordering::Ring), &column("T", &values)), "is a folder"),
    ];
    for (attempt, expected) in attempts {
        let message = attempt.expect_err(expected).to_string();
        assert!(message.contains(expected), "{message}");
    }
    assert_eq!(fs::read_to_string(&path)?, "old");
    assert_eq!(fs::read_dir(folder.path())?.count(), 1);
    comm.barrier();
    folder.remove(comm);
    Ok(())
}
