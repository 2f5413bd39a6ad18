//! Tables and maps by other programs against astropy's and healpy's readings of them.

use std::error::Error;
use std::fs;
use std::path::Path;

use dolmen_core::Complex64;
use dolmen_io::fits::{
    Column, ColumnType, Coordinates, FitsFile, Hdu, HduKind, MapFile, Ordering, PolarizationConvention, UNSEEN,
};
use dolmen_tests::{TestResult, shared};
use serde_json::Value;

use crate::python;

fn reference(folder: &Path) -> TestResult<serde_json::Map<String, Value>> {
    match serde_json::from_str(&fs::read_to_string(folder.join("REFS.json"))?)? {
        Value::Object(files) => Ok(files),
        _ => Err("REFS.json is not an object".into()),
    }
}

pub(crate) fn tables_have_the_values_astropy_sees() -> TestResult {
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
    assert!(compared > 80, "only {compared} columns compared");
    Ok(())
}

/// Compares all columns; how many there are.
fn compare_table(file: &FitsFile, hdu: &Hdu, expected: &Value) -> Result<usize, Box<dyn Error>> {
    assert_eq!(hdu.kind(), HduKind::BinaryTable);
    assert_eq!(Some(hdu.rows()), expected["rows"].as_u64());
    assert_eq!(hdu.header().text("EXTNAME"), expected["extname"].as_str());
    let columns = expected["columns"].as_array().ok_or("no columns")?;
    assert_eq!(hdu.columns().len(), columns.len());
    for (column, expected) in hdu.columns().iter().zip(columns) {
        assert_eq!(Some(column.name.as_str()), expected["name"].as_str());
        assert_eq!(column.unit, expected["unit"].as_str().unwrap_or_default());
        compare_column(file, hdu, column, expected).map_err(|error| format!("column {}: {error}", column.name))?;
    }
    Ok(columns.len())
}

fn compare_column(file: &FitsFile, hdu: &Hdu, column: &Column, expected: &Value) -> TestResult {
    let (name, rows) = (&column.name, 0..hdu.rows());
    let refused = |message: String| assert!(message.contains(&format!("column {name}: its type ")), "{message}");
    match column.kind {
        ColumnType::Text => {
            let texts = file.read_column_text(hdu, name, rows.clone())?;
            let first = expected["first_strings"].as_array().ok_or("no strings")?;
            assert!(texts.iter().zip(first).all(|(text, first)| Some(text.as_str()) == first.as_str()), "{texts:?}");
            refused(file.read_column_f64(hdu, name, rows).expect_err("no numbers").to_string());
        }
        ColumnType::Complex32 | ColumnType::Complex64 => {
            let sum: Complex64 = file.read_column_complex(hdu, name, rows.clone())?.iter().sum();
            let [re, im] = [0, 1].map(|part| expected["sum"][part].as_f64());
            // The other program summed in the precision of the column.
            let expected = Complex64::new(re.ok_or("no sum")?, im.ok_or("no sum")?);
            assert!((sum - expected).norm() < 1e-5 * expected.norm(), "{sum}, not {expected}");
            refused(file.read_column_i64(hdu, name, rows).expect_err("no integers").to_string());
        }
        _ if expected["row_lengths"].is_array() => {
            let lengths = file.read_column_lengths(hdu, name, rows.clone())?;
            let first = expected["row_lengths"].as_array().ok_or("no lengths")?;
            assert!(first.iter().zip(&lengths).all(|(first, length)| first.as_u64() == Some(*length)), "{lengths:?}");
            let values = file.read_column_f64(hdu, name, rows)?;
            assert_eq!(values.len() as u64, lengths.iter().sum::<u64>());
            let (sum, expected) = (values.iter().sum::<f64>(), expected["sum"].as_f64().ok_or("no sum")?);
            assert!((sum - expected).abs() < 1e-12 * values.iter().map(|value| value.abs()).sum::<f64>(), "{sum}");
            // Any rows by themselves.
            let skip = usize::try_from(lengths[..7].iter().sum::<u64>())?;
            let some = file.read_column_f64(hdu, name, 7..hdu.rows())?;
            assert_eq!(some, values[skip..]);
        }
        _ => {
            let read = file.read_column_f64(hdu, name, rows.clone());
            if let (ColumnType::Int64, Err(error)) = (column.kind, &read) {
                // The other program rounds them.
                assert!(error.to_string().contains("beyond 2^53"), "{error}");
                return Ok(());
            }
            let mut values = read?;
            if expected["null"].is_i64() {
                assert!(values.iter().any(|value| value.is_nan()));
                values = file.read_column_i64(hdu, name, rows.clone())?.iter().map(|value| *value as f64).collect();
            }
            compare_values(&values, expected)?;
            refused(file.read_column_text(hdu, name, rows).expect_err("no text").to_string());
        }
    }
    Ok(())
}

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

pub(crate) fn maps_have_the_values_healpy_sees() -> TestResult {
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

pub(crate) fn listed_pixels_are_placed() -> TestResult {
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

/// Names of frames and conventions as other programs write them. What is not known is told apart from what is not said.
pub(crate) fn frames_and_conventions() -> TestResult {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("map.fits");
    let write = |cards: &str| -> TestResult<bool> {
        let script = format!(
            "
import sys, numpy
from astropy.io import fits
column = fits.Column(name='M', format='D', array=numpy.arange(12.0))
table = fits.BinTableHDU.from_columns([column])
table.header.update({{'PIXTYPE': 'HEALPIX', 'ORDERING': 'RING', 'NSIDE': 1}} | {cards})
table.writeto(sys.argv[1], overwrite=True)
"
        );
        python(&script, &[&path])
    };
    let (c, g, e) = (Coordinates::Celestial, Coordinates::Galactic, Coordinates::Ecliptic);
    let (cosmo, iau) = (PolarizationConvention::Cosmo, PolarizationConvention::Iau);
    for (cards, frame, convention) in [
        ("{'COORDSYS': 'EQU', 'POLCCONV': 'iau'}", Some(c), Some(iau)),
        ("{'COORDSYS': 'CEL', 'POLCCONV': 'Cosmo'}", Some(c), Some(cosmo)),
        ("{'COORDSYS': 'galactic'}", Some(g), None),
        ("{'COORD': 'E'}", Some(e), None),
        ("{'COORDSYS': ' ', 'COORD': 'C', 'POLCCONV': ''}", Some(c), None),
        ("{}", None, None),
    ] {
        if !write(cards)? {
            return Ok(());
        }
        let map = MapFile::open(&path)?;
        assert_eq!((map.header().coordinates, map.header().polarization), (frame, convention), "{cards}");
        map.require_known_words()?;
    }
    for (cards, words) in [
        ("{'COORDSYS': 'HORIZON'}", "COORDSYS is \"HORIZON\", which is not known; expected C (equatorial), G"),
        ("{'COORD': 'X'}", "COORD is \"X\", which is not known"),
        ("{'COORDSYS': 'G', 'POLCCONV': 'LEFT'}", "POLCCONV is \"LEFT\", which is not known; expected COSMO or IAU"),
    ] {
        write(cards)?;
        let error = MapFile::open(&path)?.require_known_words().expect_err("not known").to_string();
        assert!(error.contains(words), "{error}");
    }
    Ok(())
}
