//! Damaged HDF5 files: with vectors and a matrix, and with all kinds of metadata that h5py can make.
//!
//! HDF5's C library does not survive every damage to metadata (several are known as vulnerabilities). A child
//! process looks at a file first, so that every input ends in an error of one line, or is read: nothing crashes,
//! hangs, or takes memory that the file's size does not explain.

use std::fs;
use std::path::Path;

use dolmen_core::{Complex64, CsrMatrix, Layout, LinearOperator, Vector};
use dolmen_io::Result;
use dolmen_io::hdf5::{self, CreateOptions, H5File};
use dolmen_tests::{Comm, Folder, Random, TestResult, damage, fuzz, python};

use crate::ffi::most_held;

/// Memory that any read may take, in bytes: data that were never written, and buffers.
const MEMORY: usize = 96 << 20;
/// Elements of a dataset that are read.
const ELEMENTS: u64 = 1 << 20;

fn seeds(comm: &Comm, folder: &Path) -> TestResult<Vec<Vec<u8>>> {
    let options = CreateOptions::new().metadata_block(1024);
    let layout = Layout::uniform(comm, 40);
    let mut seeds = Vec::new();
    let chunked = hdf5::Layout::Chunked(vec![7]);
    let packed = hdf5::Layout::Compressed { chunk: vec![16], level: 4 };
    for storage in [hdf5::Layout::Contiguous, chunked, packed] {
        let path = folder.join("seed.h5");
        let file = H5File::create_with(comm, &path, &options)?;
        let real = Vector::from_fn(&layout, |row| 0.5 + row as f64);
        file.write_vector("x", &real, &storage)?;
        file.write_vector("z", &Vector::from_fn(&layout, |row| Complex64::new(row as f64, 1.0)), &storage)?;
        let matrix = CsrMatrix::from_rows(&layout, &layout, |row, entries| {
            (0..row % 4).for_each(|k| entries.push((row * 7 + k * 3) % 40, row as f64));
        })?;
        file.write_matrix("A", &matrix, &storage)?;
        file.close()?;
        seeds.push(fs::read(path)?);
    }
    Ok(seeds)
}

/// Files with attributes in headers and heaps, indexes of chunks of each kind, groups of each kind and links.
const METADATA: &str = "
import sys, h5py, numpy
from h5py import h5z
for number, libver in enumerate(['earliest', 'latest']):
    with h5py.File(sys.argv[1] + str(number), 'w', libver=libver) as f:
        f['x'] = numpy.arange(40.)
        f.attrs['text'] = 'of variable length'
        f.attrs['fixed'] = numpy.bytes_('fixed')
        f.attrs['list'] = numpy.arange(12)
        f.attrs['many'] = ['one', 'two']
        many = f.create_group('many')
        for k in range(20):
            many.attrs['a%d' % k] = 'text %d' % k
            many['m%d' % k] = h5py.SoftLink('/x')
        for name, shape, chunk, most in [('btree', (40, 6), (7, 4), None), ('single', (40,), (40,), (40,)),
                                         ('fixed', (40,), (3,), (40,)), ('extensible', (40,), (3,), (None,)),
                                         ('btree2', (12, 12), (5, 5), (None, None))]:
            d = f.create_dataset(name, shape, 'f4', chunks=chunk, maxshape=most, compression='gzip', shuffle=True,
                                 fletcher32=name == 'fixed')
            d[...] = numpy.arange(d.size).reshape(shape)
            d.attrs['unit'] = 'K'
        f.create_dataset('plain', (40,), 'i8', chunks=(9,))[...] = 3
        f.create_dataset('scale', data=numpy.arange(40), chunks=(10,), scaleoffset=0)
        f.create_dataset('table', data=numpy.zeros(9, [('name', 'S8'), ('q', 'f8', 4), ('n', 'i4')]))
        f['link'] = h5py.ExternalLink('elsewhere.h5', '/x')
        f.create_dataset('raw', (4,), 'f8', external=[('/etc/passwd', 0, 32)])
        virtual = h5py.VirtualLayout((40,), 'f8')
        virtual[:] = h5py.VirtualSource('elsewhere.h5', 'x', (40,))
        f.create_virtual_dataset('virtual', virtual)
";

/// Reads all that is in a file: how many datasets.
fn read(comm: &Comm, path: &Path) -> Result<usize> {
    let file = H5File::open(comm, path)?;
    let mut count = 0;
    let objects = file.objects()?;
    for object in objects.iter().filter(|object| object.link.is_none()) {
        let Some(stored) = &object.dataset else {
            if file.matrix_shape(&object.name).is_ok() {
                check_matrix(&file, &object.name)?;
            }
            continue;
        };
        let elements = stored.shape.iter().fold(1, |product: u64, length| product.saturating_mul(*length));
        if elements > ELEMENTS {
            continue;
        }
        let start = vec![0; stored.shape.len()];
        let Ok(dataset) = file.dataset(&object.name) else { continue };
        let read = [
            dataset.read_slab::<f64>(&start, &stored.shape).is_ok(),
            dataset.read_slab::<i64>(&start, &stored.shape).is_ok(),
            file.read_table(&object.name).is_ok(),
            file.read_vector::<Complex64>(&object.name, &Layout::uniform(comm, elements)).is_ok(),
        ];
        count += usize::from(read.contains(&true));
    }
    file.close()?;
    Ok(count)
}

fn check_matrix(file: &H5File, name: &str) -> Result<()> {
    let (rows, columns) = file.matrix_shape(name)?;
    if rows.max(columns) > ELEMENTS {
        return Ok(());
    }
    let (range, domain) = (Layout::uniform(file.comm(), rows), Layout::uniform(file.comm(), columns));
    let matrix = file.read_matrix::<f64>(name, &range, &domain)?;
    for row in matrix.rows() {
        assert!(row.columns().is_sorted_by(|one, next| one < next), "columns of row {}", row.index());
        assert!(row.columns().all(|column| column < matrix.domain().global_len()));
    }
    Ok(())
}

pub(crate) fn damaged(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let seeds = seeds(comm, folder.path())?;
    assert_eq!(seeds.len(), 3);
    check(comm, &folder, &seeds, &[6, 6, 6], &[b"SNOD", b"HEAP", b"TREE", b"\x11\x20\x3f\0", b"csc_matrix"])?;
    folder.remove(comm);
    Ok(())
}

pub(crate) fn damaged_metadata(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    if python(comm, "h5py", METADATA, &folder.path().join("seed"))? {
        let seeds = ["seed0", "seed1"].map(|name| fs::read(folder.path().join(name)));
        let seeds = seeds.into_iter().collect::<std::io::Result<Vec<_>>>()?;
        let words: &[&[u8]] =
            &[b"GCOL", b"FRHP", b"FHDB", b"BTHD", b"FADB", b"EAHD", b"OCHK", b"\xff\xff", b"\0\0\0\0"];
        check(comm, &folder, &seeds, &[9, 9], words)?;
    }
    folder.remove(comm);
    Ok(())
}

/// Damages seeds, from which so many datasets are read if they are not, and reads them.
fn check(comm: &Comm, folder: &Folder, seeds: &[Vec<u8>], datasets: &[usize], words: &[&[u8]]) -> TestResult {
    let path = folder.path().join("fuzz.h5");
    for (seed, expected) in seeds.iter().zip(datasets) {
        comm.agree(if comm.rank() == 0 { fs::write(&path, seed) } else { Ok(()) })?;
        assert_eq!(read(comm, &path)?, *expected, "undamaged");
    }
    let make = |random: &mut Random| {
        let mut bytes = seeds[random.below(seeds.len())].clone();
        if random.below(2) == 0 {
            // One flipped bit, as of a disk.
            let at = random.below(bytes.len());
            bytes[at] ^= 1 << random.below(8);
        } else {
            damage(&mut bytes, words, random);
        }
        bytes
    };
    let counts = fuzz(comm, &path, 30, make, |_| {
        let (result, most) = most_held(|| read(comm, &path));
        assert!(most <= MEMORY, "{most} bytes");
        result.map(drop)
    })?;
    assert!(counts[1] > 10, "{counts:?}");
    Ok(())
}
