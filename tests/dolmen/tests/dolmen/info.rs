//! `dolmen info`.

use std::fs::File;
use std::io::BufReader;
use std::process::Command;

use dolmen_tests::{TestResult, binary, manifest, shared};
use serde_json::Value;
use tempfile::tempdir;

use crate::{dolmen, matrix, object, tridiagonal};

pub(crate) fn by_hand() -> TestResult {
    let folder = tempdir()?;
    tridiagonal(folder.path(), "a.mtx", 4, 2.0)?;
    for ranks in [1, 2, 3] {
        let (found, code) = object(ranks, folder.path(), &["info", "a.mtx"])?;
        assert_eq!(code, Some(0));
        let number = |key: &str| found[key].as_f64();
        assert_eq!([number("rows"), number("cols"), number("entries")], [Some(4.0), Some(4.0), Some(7.0)]);
        assert_eq!((&found["field"], &found["symmetry"]), (&"real".into(), &"symmetric".into()));
        assert_eq!([number("norm_1"), number("norm_inf"), number("bandwidth")], [Some(4.0), Some(4.0), Some(1.0)]);
        assert_eq!(number("entries_in_full"), Some(10.0));
        assert!(number("norm_fro").is_some_and(|norm| (norm - 22.0f64.sqrt()).abs() < 1e-14));
    }
    let output = dolmen(2, folder.path(), &["info", "a.mtx"])?;
    assert!(output.stdout.contains("bandwidth   1 below the diagonal, 1 above"), "{}", output.stdout);
    assert!(output.stdout.contains("symmetry    values symmetric, pattern symmetric"), "{}", output.stdout);
    Ok(())
}

/// Norms and sums whose squares, or the sums themselves, leave the range of numbers.
pub(crate) fn any_size() -> TestResult {
    let folder = tempdir()?;
    for size in [1e-160, 1e160] {
        matrix(folder.path(), "a.mtx", "general", [2, 2], &[(1, 1, 3.0 * size), (2, 2, 4.0 * size)])?;
        let (found, code) = object(2, folder.path(), &["info", "a.mtx"])?;
        let norm = found["norm_fro"].as_f64().ok_or("no norm")?;
        assert!(code == Some(0) && (norm - 5.0 * size).abs() < 1e-15 * norm, "{found}");
    }
    let entries = [(1, 1, 1e308), (1, 2, 1e308), (2, 1, 1e308), (2, 2, -1e308)];
    matrix(folder.path(), "large.mtx", "general", [2, 2], &entries)?;
    let output = dolmen(1, folder.path(), &["info", "large.mtx"])?;
    assert!(output.stdout.contains("dominance   in 2 of 2 rows; least |a_ii| / sum of others: 1.000"), "{output:?}");
    assert!(!output.stdout.contains("null space"), "{output:?}");
    Ok(())
}

/// All matrices of the reference data, on one rank without a launcher.
pub(crate) fn reference_matrices() -> TestResult {
    let Some(shared) = shared() else { return Ok(()) };
    let manifest = manifest(&shared)?;
    for (name, entry) in manifest["matrices"].as_object().ok_or("no matrices")? {
        let file = entry["file"].as_str().ok_or("no file")?;
        let output =
            Command::new(binary("dolmen")?).arg("info").arg(shared.join("data").join(file)).arg("--json").output()?;
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        let found: Value = serde_json::from_slice(&output.stdout)?;
        let known = &entry["reference"];
        for (key, theirs) in [("rows", "rows"), ("cols", "cols"), ("field", "field"), ("symmetry", "symmetry")] {
            assert_eq!(found[key], known[theirs], "{name}: {key}");
        }
        assert_eq!(found["entries"], known["stored_entries"], "{name}");
        for key in ["norm_fro", "norm_1", "norm_inf"] {
            if let (Some(value), Some(norm)) = (found[key].as_f64(), known[key].as_f64()) {
                assert!((value - norm).abs() <= 1e-12 * norm, "{name}: {key} is {value}, not {norm}");
            }
        }
    }
    Ok(())
}

/// The size of a PNG picture and its points, red, green and blue.
fn picture(path: &std::path::Path) -> TestResult<(usize, usize, Vec<[u8; 3]>)> {
    let mut reader = png::Decoder::new(BufReader::new(File::open(path)?)).read_info()?;
    let mut bytes = vec![0; reader.output_buffer_size().ok_or("a large picture")?];
    let frame = reader.next_frame(&mut bytes)?;
    Ok((frame.width as usize, frame.height as usize, bytes.as_chunks().0.to_vec()))
}

pub(crate) fn pictures() -> TestResult {
    const WHITE: [u8; 3] = [255; 3];
    let folder = tempdir()?;
    for (n, ranks) in [(4, 1), (4, 3), (3000, 2)] {
        tridiagonal(folder.path(), "a.mtx", n, 2.0)?;
        let output = dolmen(ranks, folder.path(), &["info", "a.mtx", "--plot", "a.png"])?;
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let (width, height, points) = picture(&folder.path().join("a.png"))?;
        assert!((600..=900).contains(&width) && (700..=1000).contains(&height), "{width} x {height}");
        // The map begins below the title, inside of a frame, and is as high as wide; on its diagonal are entries.
        let at = |x: usize, y: usize| points[y * width + x];
        let side = width - 2 * 24;
        let is_line = |y: &usize| (24..24 + side).all(|x| at(x, *y) == at(23, *y) && at(x, *y) != WHITE);
        let top = (0..height).find(is_line).ok_or("no frame")? + 1;
        let places = [0, side / 3, side / 2, side - 1];
        assert!(places.iter().all(|&place| at(24 + place, top + place) != WHITE), "{n}: no diagonal");
        assert!(at(24 + side / 8, top + 7 * side / 8) == WHITE && at(24 + 7 * side / 8, top + side / 8) == WHITE);
    }
    Ok(())
}
