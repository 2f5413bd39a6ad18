//! Vectors and multi-vectors.

use std::path::Path;

use dolmen_core::random::Philox;
use dolmen_core::{Complex32, Complex64, Layout as Distribution, MultiVector, Vector};
use dolmen_io::hdf5::{ElementType, Entry, H5File, Layout, Transfer};
use dolmen_tests::{Comm, Folder, TestResult, message, python, shared};

use crate::{PYTHON, on_other_ranks};

const LEN: u64 = 10_007;

fn layouts(dimensions: usize) -> [Layout; 3] {
    let chunk = [vec![1000], vec![500, 2]][dimensions - 1].clone();
    [Layout::Contiguous, Layout::Chunked(chunk.clone()), Layout::Compressed { chunk, level: 4 }]
}

fn filled<T: Entry>(distribution: &Distribution) -> (Vector<T>, MultiVector<T>) {
    let (mut x, mut xs) = (Vector::zeros(distribution), MultiVector::zeros(distribution, 3));
    x.fill_normal(&Philox::new(1), 0);
    xs.fill_normal(&Philox::new(1), 1);
    (x, xs)
}

/// Everything on the first rank's side of the communicator, most on the last.
fn uneven(comm: &Comm) -> TestResult<Distribution> {
    let last = comm.rank() + 1 == comm.size();
    let len = if last { LEN - 100 * (comm.size() as u64 - 1) } else { 100 };
    Ok(Distribution::from_local_len(comm, usize::try_from(len)?)?)
}

fn write<T: Entry>(comm: &Comm, path: &Path) -> TestResult {
    let file = H5File::create(comm, path)?;
    let (x, xs) = filled::<T>(&uneven(comm)?);
    for (number, (one, two)) in layouts(1).iter().zip(&layouts(2)).enumerate() {
        file.write_vector(&format!("group/x{number}"), &x, one)?;
        file.write_multi_vector(&format!("group/xs{number}"), &xs, two)?;
    }
    Ok(file.close()?)
}

fn read<T: Entry>(comm: &Comm, path: &Path) -> TestResult {
    let file = H5File::open(comm, path)?;
    let even = Distribution::uniform(comm, LEN);
    let (x, xs) = filled::<T>(&even);
    for number in 0..3 {
        let name = format!("group/x{number}");
        assert_eq!(file.vector_len(&name)?, LEN);
        assert!(file.read_vector::<T>(&name, &even)?.owned() == x.owned(), "{} {name}", T::NAME);
        let name = format!("group/xs{number}");
        let found = file.read_multi_vector::<T>(&name, &even)?;
        assert!(found.columns() == 3 && found.owned() == xs.owned(), "{} {name}", T::NAME);
        // Row by row, as one vector.
        let flat: Vector<T> = file.read_vector(&name, &Distribution::uniform(comm, 3 * LEN))?;
        let mut sums = [0.0; 2];
        sums[0] = flat.norm2();
        sums[1] = (0..3)
            .map(|j| Vector::from_owned(&even, xs.column(j).to_vec()).map(|x| x.norm2().powi(2)))
            .sum::<Result<f64, _>>()?
            .sqrt();
        assert!((sums[0] - sums[1]).abs() < 1e-5 * sums[1], "{sums:?}");
    }
    Ok(file.close()?)
}

pub(crate) fn come_back(comm: &Comm) -> TestResult {
    on_other_ranks(
        comm,
        &[
            (write::<f32>, read::<f32>),
            (write::<f64>, read::<f64>),
            (write::<Complex32>, read::<Complex32>),
            (write::<Complex64>, read::<Complex64>),
        ],
    )
}

/// Reads a vector evenly, and compares its entries.
fn compare(comm: &Comm, file: &H5File, name: &str, len: u64, entry: impl Fn(u64) -> f64) -> TestResult {
    let distribution = Distribution::uniform(comm, len);
    let expected = Vector::from_fn(&distribution, entry);
    assert!(file.read_vector::<f64>(name, &distribution)?.owned() == expected.owned(), "{name}");
    let complex = file.read_vector::<Complex64>(name, &distribution)?;
    assert!(complex.owned().iter().zip(expected.owned()).all(|(z, x)| z.re == *x && z.im == 0.0), "{name}");
    Ok(())
}

fn v(i: u64) -> f64 {
    1.0 + (i % 13) as f64 / 16.0
}

fn u(i: u64) -> f64 {
    1.0 - (i % 11) as f64 / 16.0
}

pub(crate) fn of_others(comm: &Comm) -> TestResult {
    let Some(shared) = shared() else { return Ok(()) };
    let petsc = H5File::open(comm, shared.join("data/petsc/petsc_vecs.h5"))?;
    compare(comm, &petsc, "vec_plain", 1000, v)?;
    compare(comm, &petsc, "vec_bs3", 999, u)?;
    compare(comm, &petsc, "grp/sub/inner", 50, |i| i as f64)?;
    compare(comm, &petsc, "in_time", 60, |i| ((i / 20 + 1) * (i % 20)) as f64)?;
    petsc.close()?;
    let h5py = H5File::open(comm, shared.join("data/hdf5/h5py_layouts.h5"))?;
    for name in ["contiguous", "chunked", "big_endian", "gzip9", "fletcher", "f32"] {
        compare(comm, &h5py, name, 5000, v)?;
    }
    let distribution = Distribution::uniform(comm, 100);
    let z = h5py.read_vector::<Complex64>("complex", &distribution)?;
    let expected = Vector::from_fn(&distribution, |i| Complex64::new(v(i), u(i)));
    assert_eq!(z.owned(), expected.owned());
    h5py.close()?;
    // A vector of MATLAB is a matrix of one row: the row sums of orsirr_2.
    let matlab = H5File::open(comm, shared.join("data/hdf5/matlab_style.h5"))?;
    assert_eq!(matlab.vector_len("b")?, 886);
    let b: Vector<f64> = matlab.read_vector("b", &Distribution::uniform(comm, 886))?;
    assert!((b.norm2() - 728.047_919_019_449_5).abs() < 1e-9);
    let rows = matlab.read_multi_vector::<f64>("b", &Distribution::uniform(comm, 1))?;
    assert_eq!(rows.columns(), 886);
    matlab.close()?;
    Ok(())
}

pub(crate) fn h5py(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let path = folder.path().join("h5py.h5");
    let script = "
import sys, numpy, h5py
n = numpy.arange(1001)
z = n - 2j * n
with h5py.File(sys.argv[1], 'w') as f:
    for kind in ['<c8', '>c8', '<c16', '>c16']:
        f[kind] = z.astype(kind)
        f.create_dataset('gzip/' + kind, data=z.astype(kind), chunks=(100,), compression='gzip', shuffle=True)
    f['pairs'] = numpy.stack([n, -2.0 * n], axis=1)
    f['pairs'].attrs['complex'] = numpy.int32(1)
    f['blocks'] = numpy.stack([n, -2.0 * n], axis=1).reshape(143, 7, 2)
    f['blocks'].attrs['complex'] = numpy.int32(1)
    f['scalar'] = 2.5
    f['ones'] = numpy.full((1, 1, 1), 2.5)
";
    let distribution = Distribution::uniform(comm, 1001);
    let x = Vector::from_fn(&distribution, |i| Complex64::new(i as f64, -2.0 * i as f64));
    if python(comm, PYTHON, script, &path)? {
        let file = H5File::open(comm, &path)?;
        for name in ["<c8", ">c8", "<c16", ">c16", "gzip/<c8", "gzip/>c8", "gzip/<c16", "gzip/>c16", "pairs", "blocks"]
        {
            assert_eq!(file.vector_len(name)?, 1001, "{name}");
            assert!(file.read_vector::<Complex64>(name, &distribution)?.owned() == x.owned(), "{name}");
            let singles = file.read_vector::<Complex32>(name, &distribution)?;
            assert!(singles.owned().iter().zip(x.owned()).all(|(z, x)| f64::from(z.im) == x.im), "{name}");
            let error = message(comm, file.read_vector::<f64>(name, &distribution))?;
            assert!(error.contains("complex numbers") || error.contains("cannot be read as a float"), "{error}");
        }
        for name in ["scalar", "ones"] {
            let one: Vector<f64> = file.read_vector(name, &Distribution::uniform(comm, 1))?;
            assert!(one.owned().iter().all(|value| *value == 2.5), "{name}");
        }
        file.close()?;
    }
    let ours = folder.path().join("ours.h5");
    let file = H5File::create(comm, &ours)?;
    for (number, layout) in layouts(1).iter().enumerate() {
        file.write_vector(&format!("z{number}"), &x, layout)?;
    }
    let xs = MultiVector::from_fn(&distribution, 4, |row, column| (row * 10) as f64 + column as f64);
    file.write_multi_vector("xs", &xs, &Layout::Contiguous)?;
    file.close()?;
    let script = "
import sys, numpy, h5py
n = numpy.arange(1001)
with h5py.File(sys.argv[1], 'r') as f:
    assert f.attrs['dolmen_schema'] == 1
    for k in range(3):
        d = f['z%d' % k]
        assert d.dtype == numpy.complex128 and numpy.array_equal(d[:], n - 2j * n)
        assert (d.chunks, d.compression, d.shuffle) == [(None, None, False), ((1000,), None, False), ((1000,), 'gzip', True)][k]
    assert numpy.array_equal(f['xs'][:], n[:, None] * 10 + numpy.arange(4))
";
    python(comm, PYTHON, script, &ours)?;
    folder.remove(comm);
    Ok(())
}

pub(crate) fn bad_requests(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let path = folder.path().join("x.h5");
    let file = H5File::create(comm, &path)?;
    let (ten, nine) = (Distribution::uniform(comm, 10), Distribution::uniform(comm, 9));
    let x = Vector::<f64>::zeros(&ten);
    file.write_vector("x", &x, &Layout::Contiguous)?;
    file.write_vector("z", &Vector::<Complex64>::zeros(&ten), &Layout::Contiguous)?;
    let elsewhere = Vector::<f64>::zeros(&Distribution::uniform(&comm.duplicate(), 10));
    for (found, expected) in [
        (message(comm, file.write_vector("x", &x, &Layout::Contiguous))?, "dataset x: "),
        (message(comm, file.write_vector("y", &x, &Layout::Chunked(vec![2, 2])))?, "chunks [2, 2] do not suit"),
        (message(comm, file.write_vector("y", &elsewhere, &Layout::Contiguous))?, "another communicator"),
    ] {
        assert!(found.contains(expected), "{found}");
    }
    file.close()?;
    let file = H5File::open(comm, &path)?;
    assert!(matches!(file.dataset("z")?.element_type(), ElementType::Compound { .. }));
    for (found, expected) in [
        (message(comm, file.read_vector::<f64>("x", &nine))?, "dataset x: has 10 entries, expected 9"),
        (message(comm, file.read_vector::<f64>("y", &nine))?, "dataset y: does not exist"),
        (message(comm, file.read_vector::<f64>("z", &ten))?, "cannot be read as a float without loss"),
        (message(comm, file.read_multi_vector::<f64>("x", &ten))?, "expected 2 dimensions, found 1"),
    ] {
        assert!(found.contains(expected), "{found}");
    }
    // Each rank on its own, where that is asked for.
    let alone = file.dataset("x")?.with_transfer(Transfer::Independent);
    for _ in 0..=comm.rank() {
        assert_eq!(alone.read_slab::<f64>(&[3], &[2])?, [0.0; 2]);
    }
    file.close()?;
    folder.remove(comm);
    Ok(())
}

/// More than 2 GiB and 2^31 bytes in one call of one rank: neither counts nor offsets may have 32 bits.
pub(crate) fn large(comm: &Comm) -> TestResult {
    const LARGE: u64 = (1 << 28) + 12_345;
    let folder = Folder::new(comm)?;
    let path = folder.path().join("large.h5");
    // The last rank has nearly all of it.
    let others = comm.size() as u64 - 1;
    let len = if comm.rank() as u64 == others { LARGE - 1000 * others } else { 1000 };
    let distribution = Distribution::from_local_len(comm, usize::try_from(len)?)?;
    let entry = |row: u64| (row % 65_537) as f64 - 3.0;
    let mut x = Vector::from_fn(&distribution, entry);
    let file = H5File::create(comm, &path)?;
    file.write_vector("x", &x, &Layout::Contiguous)?;
    file.close()?;
    x.fill(0.0);
    let file = H5File::open(comm, &path)?;
    file.read_vector_into("x", &mut x)?;
    file.close()?;
    assert!(x.range().zip(x.owned()).all(|(row, value)| *value == entry(row)));
    folder.remove(comm);
    Ok(())
}
