//! Files of which a part is odd, ambiguous or under several names: the rest is read, nothing is read wrong.

use std::fs;
use std::process::Command;

use dolmen_tests::TestResult;
use serde_json::Value;
use tempfile::tempdir;

use crate::containers::python;
use crate::{dolmen, object, tridiagonal};

/// Runs a command that has to fail; its only error has to say so.
pub(crate) fn refused(folder: &std::path::Path, args: &[&str], expected: &str) -> TestResult {
    for ranks in [1, 3] {
        let output = dolmen(ranks, folder, args)?;
        assert_eq!(output.status.code(), Some(2), "{args:?}: {output:?}");
        let errors: Vec<&str> = output.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
        assert!(errors.len() == 1 && errors[0].contains(expected), "{args:?}: {errors:?}");
    }
    Ok(())
}

pub(crate) fn hdf5() -> TestResult {
    let temporary = tempdir()?;
    let folder = temporary.path();
    python(
        folder,
        "
import h5py, numpy, scipy.sparse
a = scipy.sparse.csr_matrix(numpy.array([[1., 2., 0.], [0., 0., 3.]]))
def put(g, m, **options):
    for name in ['data', 'indices', 'indptr']:
        g.create_dataset(name, data=getattr(m, name), **options)
    g.attrs['shape'] = m.shape
with h5py.File('odd.h5', 'w') as f:
    put(f.create_group('A'), a)
    put(f.create_group('square'), scipy.sparse.csr_matrix(numpy.eye(2)))
    put(f.create_group('lzf'), a, compression='lzf', shuffle=True, chunks=(2,))
    put(f.create_group('packed'), a)
    del f['packed/data']
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((3,))
    plist.set_filter(32001, h5py.h5z.FLAG_OPTIONAL, (2,))
    data = h5py.h5d.create(f['packed'].id, b'data', h5py.h5t.IEEE_F64LE, h5py.h5s.create_simple((3,)), plist)
    data.write_direct_chunk((0,), bytes(20))
    f['row'] = [[1., 2., 3.]]
    f['matlab'] = [[1., 2., 3.]]
    f['matlab'].attrs['MATLAB_class'] = numpy.bytes_('double')
    f['ids'] = numpy.array([2**60 + 1, 5])
    f['pairs'] = numpy.zeros(2, [('r', '<i8'), ('i', '<i8')])
    put(f.create_group('counts'), scipy.sparse.csr_matrix(numpy.array([[2**53 + 1, 1, 0], [0, 0, -3]])))
    put(f.create_group('compounds'), a)
    del f['compounds/data']
    f['compounds/data'] = numpy.zeros(3, [('r', '<i8'), ('i', '<i8')])
    f['soft'] = h5py.SoftLink('/A')
    f['z/hard'] = f['row']
    f['other'] = h5py.ExternalLink('gone.h5', '/x')
    g = f.create_group('linked')
    g.attrs['shape'] = a.shape
    for name in ['data', 'indices', 'indptr']:
        g[name] = h5py.SoftLink('/A/' + name)
",
    )?;
    let (told, code) = object(2, folder, &["info", "odd.h5"])?;
    assert_eq!(code, Some(0), "{told}");
    let objects = told["objects"].as_array().ok_or("no objects")?;
    let find = |name: &str| objects.iter().find(|object| object["name"] == name).cloned().unwrap_or_default();
    assert_eq!((&find("/soft")["kind"], &find("/soft")["target"]), (&"link".into(), &"/A".into()), "{told}");
    assert_eq!(find("/z/hard")["target"], "/row");
    assert_eq!((&find("/other")["kind"], &find("/other")["target"]), (&"link".into(), &Value::Null));
    assert!(find("/square")["not_read"].as_str().is_some_and(|fault| fault.contains("encoding-type")), "{told}");
    for (name, expected) in [
        ("/packed", "dataset /packed/data: is packed with blosc (filter 32001), which the HDF5 library here"),
        ("/packed/data", "its filter is not installed: blosc (filter 32001)"),
        ("/counts", "cannot be used as a matrix of f64: it holds 9007199254740993, beyond 2^53"),
        ("/ids", "cannot be used as vectors of f64: it holds 1152921504606846977, beyond 2^53"),
        ("/compounds", "/compounds/data holds a compound, dtype [('r', '<i8'), ('i', '<i8')]: no numbers"),
    ] {
        let fault = find(name)["not_read"].clone();
        assert!(fault.as_str().is_some_and(|fault| fault.contains(expected)), "{name}: {fault}");
    }
    assert_eq!(find("/pairs")["type"], "a compound, dtype [('r', '<i8'), ('i', '<i8')]");
    assert_eq!((&find("/row")["rows"], &find("/matlab")["rows"]), (&1.into(), &3.into()));
    for name in ["A", "soft", "linked", "lzf"] {
        let output = dolmen(2, folder, &["convert", &format!("odd.h5::{name}"), &format!("{name}.mtx")])?;
        assert!(output.status.success(), "{name}: {output:?}");
        assert_eq!(fs::read(folder.join(format!("{name}.mtx")))?, fs::read(folder.join("A.mtx"))?, "{name}");
    }
    for (name, said) in [("z/hard", "3 vectors of 1 entries"), ("matlab", "1 vectors of 3 entries")] {
        let output = dolmen(2, folder, &["convert", &format!("odd.h5::{name}"), "v.mtx"])?;
        assert!(output.status.success() && output.stdout.contains(said), "{name}: {output:?}");
    }
    refused(folder, &["convert", "odd.h5::square", "x.mtx"], "group /square: holds a square matrix and does not say")?;
    refused(folder, &["convert", "odd.h5::ids", "x.mtx"], "dataset /ids: holds 1152921504606846977, beyond 2^53")?;
    let link = "/other leads to another file, gone.h5, which is read only with --allow-external";
    refused(folder, &["convert", "odd.h5::other", "x.mtx"], link)?;
    refused(folder, &["convert", "odd.h5::packed", "x.mtx"], "dataset /packed/data: is packed with blosc")?;
    refused(folder, &["convert", "odd.h5::counts", "x.mtx"], "dataset /counts/data: holds 9007199254740993, beyond")?;
    let integers = "named /pairs; /pairs holds a compound, dtype [('r', '<i8'), ('i', '<i8')]: no numbers";
    refused(folder, &["convert", "odd.h5::pairs", "x.mtx"], integers)
}

/// Types that MATLAB and AnnData write besides plain numbers.
pub(crate) fn matlab_and_anndata() -> TestResult {
    let temporary = tempdir()?;
    let folder = temporary.path();
    python(
        folder,
        "
import h5py, numpy
complex_type = numpy.dtype([('real', '<f8'), ('imag', '<f8')])
with h5py.File('zero.mat', 'w', userblock_size=512) as f:
    g = f.create_group('Z')
    g.attrs['MATLAB_class'] = numpy.bytes_('double')
    g.attrs['MATLAB_sparse'] = numpy.uint64(3)
    g['jc'] = numpy.zeros(5, 'u8')
with h5py.File('bad.mat', 'w') as f:
    g = f.create_group('Z')
    g.attrs['MATLAB_sparse'] = numpy.uint64(3)
    g['jc'] = numpy.arange(5, dtype='u8')
with h5py.File('complex.mat', 'w') as f:
    f['b'] = numpy.array([[(1, 2), (3, 4)]], complex_type)
    f['b'].attrs['MATLAB_class'] = numpy.bytes_('double')
    g = f.create_group('C')
    g.attrs['MATLAB_sparse'] = numpy.uint64(2)
    g['data'], g['ir'], g['jc'] = numpy.array([(1, -1), (0, 2)], complex_type), [0, 1], [0, 1, 2]
with h5py.File('mask.h5ad', 'w') as f:
    g = f.create_group('X')
    g.attrs['encoding-type'], g.attrs['shape'] = 'csr_matrix', (2, 3)
    g['data'], g['indices'], g['indptr'] = numpy.array([True, False, True]), [0, 1, 2], [0, 1, 3]
    f['mask'] = numpy.array([True, False])
",
    )?;
    let (told, code) = object(2, folder, &["info", "zero.mat"])?;
    let size = (&told["rows"], &told["cols"], &told["entries_in_full"]);
    assert_eq!((code, size), (Some(0), (&3.into(), &4.into(), &0.into())), "{told}");
    for ranks in [1, 3] {
        let numbers = |from: &str, to: &str| -> TestResult<Vec<f64>> {
            let output = dolmen(ranks, folder, &["convert", from, to])?;
            assert!(output.status.success(), "{output:?}");
            let text = fs::read_to_string(folder.join(to))?;
            let lines = text.lines().filter(|line| !line.starts_with('%'));
            Ok(lines.flat_map(str::split_whitespace).map(str::parse).collect::<Result<_, _>>()?)
        };
        assert_eq!(numbers("zero.mat", "z.mtx")?, [3., 4., 0.]);
        assert_eq!(numbers("complex.mat::b", "b.mtx")?, [2., 1., 1., 2., 3., 4.]);
        assert_eq!(numbers("complex.mat::C", "c.mtx")?, [2., 2., 2., 1., 1., 1., -1., 2., 2., 0., 2.]);
        assert_eq!(numbers("mask.h5ad", "x.mtx")?, [2., 3., 3., 1., 1., 1., 2., 2., 0., 2., 3., 1.]);
    }
    refused(folder, &["info", "bad.mat"], "group /Z: has no entries (data and ir), but its starts (jc) are not zero")?;
    let part = "mask.h5ad: /X/data is a part of the matrix /X, not a vector; name the matrix, FILE::/X";
    refused(folder, &["convert", "mask.h5ad::X/data", "v.mtx"], part)?;
    refused(folder, &["solve", "complex.mat::C", "--rhs", "zero.mat::Z/jc"], "/Z/jc is a part of the matrix /Z")
}

/// Files of MatrixMarket that SciPy reads although the format does not have them are read with a warning.
pub(crate) fn warned_of() -> TestResult {
    let temporary = tempdir()?;
    let folder = temporary.path();
    let banner = "%%MatrixMarket matrix coordinate real";
    for (text, expected) in [
        (format!("{banner} symmetric\n2 2 2\n1 1 1\n1 2 5\n"), "a.mtx: stores the upper triangle of a symmetric"),
        (format!("{banner} skew-symmetric\n2 2 2\n1 1 1\n2 1 5\n"), "a.mtx: entry (1, 1) is on the diagonal, where"),
        (format!("  {banner} general\n2 2 1\n1 1 1\n"), "a.mtx: has blanks before its first line"),
    ] {
        fs::write(folder.join("a.mtx"), text)?;
        let output = dolmen(3, folder, &["convert", "a.mtx", "b.mtx"])?;
        let warnings: Vec<&str> = output.stderr.lines().filter(|line| line.contains("WARN")).collect();
        assert!(output.status.success() && warnings.len() == 1 && warnings[0].contains(expected), "{output:?}");
    }
    Ok(())
}

pub(crate) fn fits() -> TestResult {
    let temporary = tempdir()?;
    let folder = temporary.path();
    python(
        folder,
        "
import numpy
from astropy.io import fits
table = lambda name, values: fits.BinTableHDU.from_columns([fits.Column('x', 'D', array=values)], name=name)
ids = fits.BinTableHDU.from_columns([fits.Column('id', 'K', array=numpy.array([1, -2**53 - 1]))])
fits.HDUList([fits.PrimaryHDU(), table('ONE', [1., 2.]), table('TWO', [3., 4.]), ids]).writeto('t.fits')
",
    )?;
    for (name, expected) in [("1/x", "1\n2\n"), ("2/x", "3\n4\n"), ("TWO/x", "3\n4\n")] {
        let output = dolmen(2, folder, &["convert", &format!("t.fits::{name}"), "x.mtx"])?;
        assert!(output.status.success(), "{name}: {output:?}");
        let text = fs::read_to_string(folder.join("x.mtx"))?;
        let values: Vec<f64> = text.lines().skip_while(|line| *line != "2 1").skip(1).flat_map(str::parse).collect();
        let expected: Vec<f64> = expected.lines().flat_map(str::parse).collect();
        assert_eq!(values, expected, "{name}");
    }
    let output = dolmen(2, folder, &["info", "t.fits"])?;
    assert!(output.status.success(), "{output:?}");
    refused(folder, &["convert", "t.fits::x", "y.mtx"], "FILE::HDU/COLUMN; there are 1/x, 2/x")?;
    refused(folder, &["convert", "t.fits::7/x", "y.mtx"], "has no column 7/x")?;
    refused(folder, &["convert", "t.fits::id", "y.mtx"], "HDU 3, column id: holds -9007199254740993, beyond 2^53")
}

pub(crate) fn names_and_pipes() -> TestResult {
    let temporary = tempdir()?;
    let folder = temporary.path();
    for name in ["a.h5", "a.fits", "a.npz"] {
        tridiagonal(folder, name, 4, 2.0)?;
        let (told, code) = object(2, folder, &["info", name])?;
        assert_eq!((code, &told["format"]), (Some(0), &"MatrixMarket".into()), "{name}: {told}");
    }
    for name in ["p.h5", "p.fits", "p.mtx"] {
        assert!(Command::new("mkfifo").arg(folder.join(name)).status()?.success());
        refused(folder, &["info", name], "is not a regular file")?;
    }
    Ok(())
}

/// A right-hand side behind the matrix is told, and read if it is asked for.
pub(crate) fn right_hand_side() -> TestResult {
    let temporary = tempdir()?;
    let folder = temporary.path();
    let title = "A right-hand side";
    let text = format!(
        "{title:<72}TEST    \n\
         {:14}{:14}{:14}{:14}{:14}\n\
         {:<14}{:14}{:14}{:14}{:14}\n\
         {:<16}{:<16}{:<20}{:<20}\n\
         {:<14}{:14}{:14}\n\
         {:4}{:4}{:4}\n{:4}{:4}\n{:12.4}{:12.4}\n{:8.2}{:8.2}\n",
        4,
        1,
        1,
        1,
        1,
        "RUA",
        2,
        2,
        2,
        0,
        "(8I4)",
        "(8I4)",
        "(4F12.4)",
        "(3F8.2)",
        "F",
        1,
        0,
        1,
        2,
        3,
        1,
        2,
        1.0,
        2.0,
        3.0,
        8.0
    );
    fs::write(folder.join("a.rua"), text)?;
    let (told, code) = object(2, folder, &["info", "a.rua"])?;
    assert_eq!((code, &told["right_hand_sides"]), (Some(0), &1.into()), "{told}");
    for command in ["info", "solve"] {
        let output = dolmen(2, folder, &[command, "a.rua"])?;
        assert!(output.stdout.contains("the file also has a right-hand side; use it with --rhs FILE"), "{output:?}");
    }
    let output = dolmen(2, folder, &["solve", "a.rua", "--rhs", "a.rua", "--output", "x.npy"])?;
    assert!(output.status.success(), "{output:?}");
    python(folder, "import numpy; assert numpy.allclose(numpy.load('x.npy').ravel(), [3, 4])")
}
