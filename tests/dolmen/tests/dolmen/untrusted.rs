//! Files that somebody else has made, with bad luck or in bad faith.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use dolmen_tests::TestResult;
use tempfile::tempdir;

use crate::containers::python;
use crate::odd_files::refused;
use crate::{dolmen, object};

pub(crate) fn data_in_other_files() -> TestResult {
    let temporary = tempdir()?;
    let folder = temporary.path();
    python(
        folder,
        "
import h5py, numpy, os
numpy.arange(4.).tofile('secret')
with h5py.File('other.h5', 'w') as f:
    f['x'] = numpy.arange(4.)
with h5py.File('outer.h5', 'w') as f:
    f['own'] = [1., 2., 3., 4.]
    f.create_dataset('raw', (4,), 'f8', external=[(os.path.abspath('secret'), 0, 32)])
    f.create_dataset('gone', (4,), 'f8', external=[(os.path.abspath('gone'), 0, 32)])
    virtual = h5py.VirtualLayout((4,), 'f8')
    virtual[:] = h5py.VirtualSource('other.h5', 'x', (4,))
    f.create_virtual_dataset('virtual', virtual)
    f['link'] = h5py.ExternalLink('other.h5', '/x')
    f['folder'] = h5py.ExternalLink('other.h5', '/')
    inside = h5py.VirtualLayout((4,), 'f8')
    inside[:] = h5py.VirtualSource('.', 'own', (4,))
    f.create_virtual_dataset('inside', inside)
",
    )?;
    let advice = "--allow-external";
    for (name, file) in [("raw", "secret"), ("virtual", "other.h5")] {
        let expected = format!("dataset /{name}: its data lie in another file, ");
        refused(folder, &["convert", &format!("outer.h5::{name}"), "x.mtx"], &expected)?;
        refused(folder, &["convert", &format!("outer.h5::{name}"), "x.mtx"], &format!("{file}; such files are read"))?;
        refused(folder, &["solve", &format!("outer.h5::{name}")], "cannot be read as a sparse matrix")?;
    }
    for name in ["link", "folder/x"] {
        refused(
            folder,
            &["convert", &format!("outer.h5::{name}"), "x.mtx"],
            "leads to another file, other.h5, which is",
        )?;
        refused(folder, &["convert", &format!("outer.h5::{name}"), "x.mtx"], advice)?;
    }
    for ranks in [1, 2] {
        for name in ["raw", "virtual", "link", "folder/x", "inside"] {
            let args = ["convert", &format!("outer.h5::{name}"), "x.mtx", advice];
            let output = dolmen(ranks, folder, &args)?;
            assert!(output.status.success(), "{name}: {output:?}");
            let text = fs::read_to_string(folder.join("x.mtx"))?;
            let last: f64 = text.lines().last().unwrap_or_default().parse()?;
            assert_eq!(last, if name == "inside" { 4.0 } else { 3.0 }, "{name}");
        }
        // All is listed, whatever is out of reach.
        for (options, raw) in [(&[][..], "such files are read only with"), (&[advice][..], "gone")] {
            let (told, code) = object(ranks, folder, &[&["info", "outer.h5"], options].concat())?;
            assert_eq!(code, Some(0), "{told}");
            let find = |name: &str| told["objects"].as_array()?.iter().find(|object| object["name"] == name);
            let gone = find("/gone").ok_or("not listed")?;
            assert!(gone["not_read"].as_str().is_some_and(|fault| fault.contains(raw)), "{gone}");
            assert_eq!(find("/own").ok_or("not listed")?["rows"], 4);
            let link = find("/link").ok_or("not listed")?;
            assert_eq!(link["kind"], if options.is_empty() { "link" } else { "dataset" }, "{link}");
        }
    }
    Ok(())
}

/// A group in a group, and so on; each with an attribute.
pub(crate) fn nested_groups() -> TestResult {
    let temporary = tempdir()?;
    let folder = temporary.path();
    python(
        folder,
        "
import h5py
with h5py.File('deep.h5', 'w') as f:
    group = f
    for depth in range(2000):
        group = group.create_group('g')
        group.attrs['depth'] = depth
    group['x'] = [1., 2.]
",
    )?;
    let start = Instant::now();
    let (told, code) = object(1, folder, &["info", "deep.h5"])?;
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    assert_eq!((code, told["objects"].as_array().map(Vec::len)), (Some(0), Some(2002)));
    Ok(())
}

/// Small files that claim or unpack to much more than they are.
pub(crate) fn greedy_files() -> TestResult {
    let temporary = tempdir()?;
    let folder = temporary.path();
    python(
        folder,
        "
import gzip, h5py, numpy, zipfile
n = 30_000_000
with h5py.File('wide.h5', 'w') as f:
    f.attrs['shape'], f.attrs['encoding-type'] = [1, 10**9], 'csr_matrix'
    f['data'], f['indices'], f['indptr'] = [1.], numpy.zeros(1, 'i4'), numpy.array([0, 1], 'i4')
with h5py.File('packed.h5', 'w') as f:
    f.create_dataset('x', (n,), 'f8', chunks=(1_000_000,), compression='gzip')[...] = 0
with h5py.File('attribute.h5', 'w', libver='latest') as f:
    f['x'] = [1.]
    f.attrs['long'] = numpy.zeros(3_000_000)
    f.attrs['list'] = numpy.zeros(2000)
with zipfile.ZipFile('zeros.npz', 'w', zipfile.ZIP_DEFLATED) as z, z.open('arr_0.npy', 'w') as member:
    numpy.lib.format.write_array_header_1_0(member, {'descr': '<f8', 'fortran_order': False, 'shape': (n,)})
    for _ in range(30):
        member.write(bytes(8_000_000))
with gzip.open('many.mtx.gz', 'wb') as f:
    f.write(b'%%MatrixMarket matrix coordinate pattern general\\n1 1 9000000\\n' + b'1 1\\n' * 9000000)
card = lambda text: text.ljust(80).encode()
with gzip.open('map.fits.gz', 'wb') as f:
    head = b''.join(map(card, ['SIMPLE  =                    T', 'BITPIX  =                    8',
        'NAXIS   =                    1', 'NAXIS1  =            300000000', 'END']))
    f.write(head.ljust(2880))
    f.write(bytes(300000000))
",
    )?;
    refused(folder, &["info", "wide.h5"], "a matrix of 1 by 1000000000 is too large for a file of")?;
    for name in ["packed.h5", "zeros.npz", "many.mtx.gz", "map.fits.gz"] {
        let expected = "of memory are needed; --max-memory allows each rank";
        refused(folder, &["info", name, "--max-memory", "300M"], expected)?;
    }
    let (told, code) = object(2, folder, &["info", "attribute.h5"])?;
    let attributes = &told["objects"][0]["attributes"];
    assert_eq!(
        (code, &attributes["long"], &attributes["list"]),
        (Some(0), &serde_json::Value::Null, &"2000 numbers".into())
    );
    Ok(())
}

/// A file that the library may not survive is read, or ends in one line.
pub(crate) fn damaged_heap() -> TestResult {
    let temporary = tempdir()?;
    let folder = temporary.path();
    python(
        folder,
        "
import h5py
with h5py.File('good.h5', 'w') as f:
    f['x'] = [1., 2.]
    f.attrs['text'] = 'some text of variable length'
",
    )?;
    let good = fs::read(folder.join("good.h5"))?;
    let heap = good.windows(4).position(|word| word == b"GCOL").ok_or("no heap")?;
    // The size of the first object in the heap, and of the heap.
    for (place, value) in [(heap + 24, u64::MAX >> 1), (heap + 24, 1 << 30), (heap + 8, 1 << 40), (heap + 24, 4090)] {
        let mut bytes = good.clone();
        bytes[place..place + 8].copy_from_slice(&value.to_le_bytes());
        fs::write(folder.join("bad.h5"), bytes)?;
        survived(folder, &["info", "bad.h5"])?;
    }
    Ok(())
}

/// Runs a command that reads a file, or ends in one line of error with exit code 2.
fn survived(folder: &Path, args: &[&str]) -> TestResult {
    for ranks in [1, 2] {
        let output = dolmen(ranks, folder, args)?;
        let errors: Vec<&str> = output.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
        match output.status.code() {
            Some(0) => assert!(errors.is_empty(), "{output:?}"),
            code => assert!(code == Some(2) && errors.len() == 1 && errors[0].contains("bad.h5"), "{output:?}"),
        }
        assert!(!output.stderr.contains("signal received") && !output.stderr.contains("backtrace"), "{output:?}");
    }
    Ok(())
}
