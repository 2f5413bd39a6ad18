//! `dolmen info` and `dolmen convert` on files of several objects, HDF5 and FITS, against h5py, SciPy,
//! astropy and healpy.

use std::fs;
use std::path::Path;

use dolmen_tests::{TestResult, interpreter, shared};
use serde_json::Value;
use tempfile::tempdir;

use crate::{dolmen, matrix, object};

/// Runs a script in a folder.
pub(crate) fn python(folder: &Path, script: &str) -> TestResult {
    let output = interpreter().arg("-c").arg(script).current_dir(folder).output()?;
    assert!(output.status.success(), "python3: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn convert(ranks: usize, folder: &Path, from: &str, to: &str) -> TestResult {
    let output = dolmen(ranks, folder, &["convert", from, to])?;
    assert!(output.status.success() && output.stdout.starts_with(to), "{from} to {to}: {output:?}");
    Ok(())
}

fn files(folder: &Path) -> TestResult {
    let entries = [(1, 1, 0.1), (1, 4, -2.5e-7), (2, 2, 3.0), (3, 1, 1.0 / 3.0), (5, 4, f64::MAX)];
    matrix(folder, "a.mtx", "general", [5, 4], &entries)?;
    fs::write(folder.join("v.mtx"), "%%MatrixMarket matrix array real general\n3 1\n0.1\n-2\n1e-300\n")?;
    fs::write(folder.join("z.mtx"), "%%MatrixMarket matrix array complex general\n2 2\n1 2\n3 4\n5 6\n7 8\n")?;
    Ok(())
}

fn same(folder: &Path, one: &str, other: &str) -> TestResult {
    assert!(fs::read(folder.join(one))? == fs::read(folder.join(other))?, "{one} and {other}");
    Ok(())
}

pub(crate) fn hdf5() -> TestResult {
    let temporary = tempdir()?;
    let folder = temporary.path();
    files(folder)?;
    for name in ["a", "v", "z"] {
        convert(3, folder, &format!("{name}.mtx"), &format!("{name}.h5"))?;
        convert(2, folder, &format!("{name}.h5"), &format!("{name}2.mtx"))?;
        convert(1, folder, &format!("{name}.mtx"), &format!("{name}1.mtx"))?;
        same(folder, &format!("{name}1.mtx"), &format!("{name}2.mtx"))?;
    }
    convert(2, folder, "a.mtx", "named.hdf5::deep/er")?;
    convert(2, folder, "named.hdf5::/deep/er", "a3.mtx")?;
    same(folder, "a1.mtx", "a3.mtx")?;
    python(
        folder,
        "
import h5py, numpy, scipy.io, scipy.sparse
with h5py.File('a.h5') as f:
    g = f['matrix']
    a = scipy.sparse.csr_matrix((g['data'], g['indices'], g['indptr']), shape=g.attrs['shape'])
    assert (a != scipy.io.mmread('a.mtx')).nnz == 0 and a.nnz == 5
with h5py.File('v.h5') as f:
    assert numpy.array_equal(f['vectors'], [0.1, -2, 1e-300])
with h5py.File('z.h5') as f:
    assert numpy.array_equal(f['vectors'], [[1 + 2j, 5 + 6j], [3 + 4j, 7 + 8j]])
",
    )
}

pub(crate) fn fits() -> TestResult {
    let temporary = tempdir()?;
    let folder = temporary.path();
    files(folder)?;
    for name in ["v", "z"] {
        convert(3, folder, &format!("{name}.mtx"), &format!("{name}.fits::COLUMN"))?;
    }
    convert(2, folder, "v.fits", "v2.mtx")?;
    convert(1, folder, "v.mtx", "v1.mtx")?;
    same(folder, "v1.mtx", "v2.mtx")?;
    convert(2, folder, "z.fits::COLUMN2", "z2.mtx")?;
    let text = fs::read_to_string(folder.join("z2.mtx"))?;
    assert!(text.contains("complex") && text.contains("\n2 1\n"), "{text}");
    python(
        folder,
        "
import numpy
from astropy.io import fits
assert numpy.array_equal(fits.getdata('v.fits', 1)['COLUMN'], [0.1, -2, 1e-300])
z = fits.getdata('z.fits', 1)
assert numpy.array_equal(z['COLUMN1'], [1 + 2j, 3 + 4j]) and numpy.array_equal(z['COLUMN2'], [5 + 6j, 7 + 8j])
",
    )
}

/// A file as h5py writes it: listed with what h5py says of it, and each object read.
pub(crate) fn hdf5_of_others() -> TestResult {
    let temporary = tempdir()?;
    let folder = temporary.path();
    python(
        folder,
        "
import h5py, numpy, scipy.sparse
a = scipy.sparse.random(40, 30, 0.1, format='csc', random_state=1)
with h5py.File('others.h5', 'w') as f:
    g = f.create_group('X')
    g.attrs['encoding-type'] = 'csc_matrix'
    g.attrs['shape'] = a.shape
    for name in ['data', 'indices', 'indptr']:
        g[name] = getattr(a, name)
    b = f.create_dataset('sub/b', data=numpy.arange(40, dtype='>f4'), chunks=(16,), shuffle=True, compression=4)
    b.attrs['unit'] = 'K'
    f['pairs'] = numpy.array([[1., 2.], [3., 4.], [5., 6.]])
    f['pairs'].attrs['complex'] = numpy.int32(1)
    f['words'] = ['a', 'b']
    f['loop'] = f['/']
    f['nowhere'] = h5py.SoftLink('/missing')
scipy.sparse.save_npz('expected.npz', a.tocsr())
",
    )?;
    let (told, code) = object(2, folder, &["info", "others.h5"])?;
    assert_eq!(code, Some(0), "{told}");
    let objects = told["objects"].as_array().ok_or("no objects")?;
    let find = |name: &str| objects.iter().find(|object| object["name"] == name).cloned().unwrap_or_default();
    assert_eq!(
        (&find("/X")["kind"], &find("/X")["rows"], &find("/X")["cols"]),
        (&"matrix".into(), &40.into(), &30.into())
    );
    let b = find("/sub/b");
    assert_eq!((&b["shape"][0], &b["layout"], &b["chunk"][0]), (&40.into(), &"chunked".into(), &16.into()), "{b}");
    assert_eq!((&b["filters"][1], &b["attributes"]["unit"]), (&"deflate 4".into(), &"K".into()), "{b}");
    assert_eq!(b["type"], "a 32-bit float");
    assert_eq!((&find("/pairs")["field"], &find("/pairs")["rows"]), (&"complex".into(), &3.into()));
    assert!(find("/words")["rows"].is_null() && find("/nowhere")["target"].is_null(), "{told}");
    assert_eq!((&find("/loop")["kind"], &find("/loop")["target"]), (&"link".into(), &"/".into()), "{told}");
    assert_eq!((&told["rows"], &told["cols"], &told["format"]), (&40.into(), &30.into(), &"HDF5".into()));
    convert(2, folder, "others.h5::X", "x.npz")?;
    convert(3, folder, "others.h5::/sub/b", "b.mtx")?;
    convert(2, folder, "others.h5::pairs", "pairs.mtx")?;
    python(
        folder,
        "
import numpy, scipy.io, scipy.sparse
assert (scipy.sparse.load_npz('x.npz') != scipy.sparse.load_npz('expected.npz')).nnz == 0
assert numpy.array_equal(scipy.io.mmread('b.mtx').ravel(), numpy.arange(40))
assert numpy.array_equal(scipy.io.mmread('pairs.mtx').ravel(), [1 + 2j, 3 + 4j, 5 + 6j])
",
    )?;
    // A system in one file.
    let (solved, code) =
        object(2, folder, &["solve", "others.h5::X", "--rhs", "others.h5::sub/b", "--output", "s.h5"])?;
    assert_eq!(
        (code, &solved["converged"], &solved["right_hand_side"]),
        (Some(0), &true.into(), &"others.h5::sub/b".into())
    );
    assert!(folder.join("s.h5").exists());
    Ok(())
}

/// Maps and tables as healpy and astropy write them.
pub(crate) fn fits_of_others() -> TestResult {
    let temporary = tempdir()?;
    let folder = temporary.path();
    python(
        folder,
        "
import healpy, numpy
from astropy.table import Table
values = numpy.arange(3 * 3072, dtype='f8').reshape(3, 3072)
healpy.write_map('map.fits.gz', values, nest=True, coord='G', column_units='K', dtype=numpy.float64)
Table({'time': numpy.arange(7.), 'name': ['a'] * 7}, units={'time': 's'}).write('table.fits')
",
    )?;
    let (told, code) = object(3, folder, &["info", "map.fits.gz"])?;
    assert_eq!((code, &told["format"]), (Some(0), &"FITS".into()), "{told}");
    let map = &told["hdus"][1];
    assert_eq!((&map["healpix"]["nside"], &map["healpix"]["ordering"]), (&16.into(), &"NESTED".into()), "{map}");
    assert_eq!((&map["columns"][0]["name"], &map["columns"][0]["unit"]), (&"TEMPERATURE".into(), &"K".into()), "{map}");
    assert_eq!((&map["columns"][2]["type"], &map["columns"][2]["repeat"]), (&"D".into(), &1024.into()), "{map}");
    let output = dolmen(2, folder, &["info", "table.fits"])?;
    assert!(output.stdout.contains("time [s]: 1 D a row") && output.stdout.contains("7 rows"), "{}", output.stdout);
    // Seven ranks, so that they share the rows of 1024 pixels.
    convert(7, folder, "map.fits.gz::Q_POLARISATION", "q.mtx")?;
    convert(2, folder, "table.fits::time", "t.mtx")?;
    python(
        folder,
        "
import numpy, scipy.io
assert numpy.array_equal(scipy.io.mmread('q.mtx').ravel(), 3072 + numpy.arange(3072))
assert numpy.array_equal(scipy.io.mmread('t.mtx').ravel(), numpy.arange(7))
",
    )
}

/// Every file of the reference data is whole, and so each is listed.
pub(crate) fn reference_data() -> TestResult {
    let Some(shared) = shared() else { return Ok(()) };
    let temporary = tempdir()?;
    let mut listed = 0;
    for part in ["data/hdf5", "data/fits", "data/cmb/maps"] {
        for entry in fs::read_dir(shared.join(part))? {
            let path = entry?.path();
            let name = path.to_str().ok_or("a strange path")?;
            if [".json", ".npz"].iter().any(|other| name.ends_with(other)) {
                continue;
            }
            let (told, code) = object(2, temporary.path(), &["info", name])?;
            assert_eq!(code, Some(0), "{name}: {told}");
            let parts = if told["format"] == "FITS" { &told["hdus"] } else { &told["objects"] };
            assert!(
                parts.as_array().is_some_and(|parts| !parts.is_empty()) || !told["rows"].is_null(),
                "{name}: {told}"
            );
            listed += 1;
        }
    }
    assert!(listed > 30, "{listed} files");
    Ok(())
}

pub(crate) fn refusals() -> TestResult {
    let temporary = tempdir()?;
    let folder = temporary.path();
    files(folder)?;
    python(
        folder,
        "
import h5py, numpy
from astropy.table import Table
with h5py.File('bad.h5', 'w') as f:
    g = f.create_group('A')
    g.attrs['encoding-type'] = 'csr_matrix'
    g.attrs['shape'] = (2, 2)
    g['data'], g['indices'], g['indptr'] = [1., 2.], [0, 7], [0, 1, 2]
with h5py.File('two.h5', 'w') as f:
    f['a'], f['b'], f['words'] = [1., 2.], [3.], ['x']
Table({'x': [1., 2.], 'y': [3., 4.], 'name': ['a', 'b']}).write('t.fits')
bytes = open('t.fits', 'rb').read()
open('short.fits', 'wb').write(bytes[:-2880])
",
    )?;
    for (args, expected) in [
        (&["info", "bad.h5"][..], "bad.h5: group /A: an index is 7, not in 0..2"),
        (&["info", "short.fits"], "short.fits: HDU 1"),
        (&["info", "none.h5"], "none.h5: cannot open"),
        (&["convert", "two.h5", "x.mtx"], "several objects; choose one with FILE::OBJECT; there are /a, /b"),
        (&["convert", "two.h5::c", "x.mtx"], "no vectors named /c; there are /a, /b"),
        (&["convert", "two.h5::words", "x.mtx"], "no vectors named /words"),
        (&["solve", "two.h5::a"], "two.h5: /a cannot be read as a sparse matrix"),
        (&["convert", "t.fits", "x.mtx"], "several columns; choose one with FILE::COLUMN; there are x, y, name"),
        (&["convert", "t.fits::name", "x.mtx"], "t.fits: HDU 1, column name: text is not a vector"),
        (&["convert", "t.fits::z", "x.mtx"], "has no column z; there are x, y, name"),
        (&["convert", "a.mtx::b", "x.mtx"], "a.mtx: has no objects"),
        (&["convert", "a.mtx", "a.fits"], "a.fits: FITS holds no sparse matrices"),
        (&["convert", "v.mtx", "v.fits.gz"], "v.fits.gz: FITS is written unpacked"),
        (&["solve", "t.fits::x"], "t.fits: is FITS, which holds no sparse matrices"),
        (&["info", "two.h5", "--plot", "p.png"], "choose one to draw"),
    ] {
        for ranks in [1, 3] {
            let output = dolmen(ranks, folder, args)?;
            assert_eq!(output.status.code(), Some(2), "{args:?}: {output:?}");
            let errors: Vec<&str> = output.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
            assert!(errors.len() == 1 && errors[0].contains(expected), "{args:?}: {errors:?}");
        }
    }
    let (told, _): (Value, _) = object(2, folder, &["info", "two.h5::a"])?;
    assert_eq!((&told["rows"], &told["norm_1"]), (&2.into(), &3.0.into()), "{told}");
    Ok(())
}
