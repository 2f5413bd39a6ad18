//! SciPy's matrices: all that SciPy writes, malformed files, and round trips through SciPy.

use std::fs;
use std::path::Path;

use dolmen_core::{Complex32, Complex64, Layout, LinearOperator, MultiVector, Scalar};
use dolmen_io::{Field, Format, Matrix, Storage, Vectors, describe, npz, write_vectors};
use dolmen_tests::{Case, Comm, Folder, TestResult, case};

use crate::support::{bits_of, hard, made, python, require_refused, require_same};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("npz_files_of_scipy_are_read", &[1, 2, 3], files_of_scipy_are_read),
        case("npz_files_of_pydata_sparse_are_read", &[1, 2, 3], files_of_pydata_sparse_are_read),
        case("npz_matrices_round_trip", &[1, 2, 3], matrices_round_trip),
        case("npz_malformed_files_are_refused_alike", &[1, 2, 3], malformed_files_are_refused_alike),
        case("npz_dense_arrays_are_vectors", &[1, 2, 3], dense_arrays_are_vectors),
        case("npy_written_arrays_are_numpys", &[1, 3], written_arrays_are_numpys),
    ]
}

/// Writes one matrix in every format and type, and the expected one as MatrixMarket.
const WRITE_ALL: &str = "
import sys, numpy as np, scipy.sparse as sp, scipy.io as io
folder = sys.argv[1]
rng = np.random.default_rng(5)
a = sp.random(60, 40, 0.1, random_state=5, format='csr') * 100
kinds = {'f8': a, 'f4': a.astype('f4'), 'be': sp.csr_matrix(a).astype('>f8'), 'i8': a.astype('i8'), 'i2': a.astype('i2'),
         'u1': a.astype('u1'), 'bool': a.astype(bool), 'c16': a * (1 + 2j), 'c8': (a * (1 + 2j)).astype('c8')}
for kind, m in kinds.items():
    io.mmwrite(f'{folder}/{kind}.mtx', (m.astype('f8') if kind == 'bool' else m).tocoo(), precision=17)
    for fmt in ('csr', 'csc', 'coo', 'bsr', 'dia'):
        s = sp.bsr_matrix(m, blocksize=(4, 5)) if fmt == 'bsr' else m.asformat(fmt)
        for packed in (False, True):
            sp.save_npz(f'{folder}/{kind}-{fmt}-{packed}.npz', s, compressed=packed)
";

fn compare(comm: &Comm, folder: &Path, name: &str, field: Field, storage: Storage) -> TestResult {
    let (expected, _) = Matrix::read(comm, folder.join(format!("{}.mtx", name.split('-').next().unwrap_or_default())))?;
    let path = folder.join(format!("{name}.npz"));
    let (found, description) = Matrix::read(comm, &path)?;
    assert_eq!((description.field, description.storage), (field, storage), "{name}");
    assert_eq!(describe(comm, &path)?, description);
    match (expected, found) {
        (Matrix::Real(expected), Matrix::Real(found)) => compare_values(&expected, &found),
        (Matrix::Complex(expected), Matrix::Complex(found)) => compare_values(&expected, &found),
        _ => return Err(format!("{name}: the field differs").into()),
    }
    Ok(())
}

/// The same but for zeros, which some formats store to fill their blocks.
fn compare_values<T: Scalar>(expected: &dolmen_core::CsrMatrix<T>, found: &dolmen_core::CsrMatrix<T>) {
    assert_eq!((expected.range(), expected.domain()), (found.range(), found.domain()));
    for (expected, found) in expected.rows().zip(found.rows()) {
        let stored = |entry: &(u64, T)| entry.1 != T::ZERO;
        assert!(expected.entries().filter(stored).eq(found.entries().filter(stored)), "row {}", expected.index());
    }
}

fn files_of_scipy_are_read(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    if !python(comm, WRITE_ALL, folder.path())? {
        return Ok(());
    }
    for (kind, field) in [
        ("f8", Field::Real),
        ("f4", Field::Real),
        ("be", Field::Real),
        ("i8", Field::Integer),
        ("i2", Field::Integer),
        ("u1", Field::Integer),
        ("bool", Field::Integer),
        ("c16", Field::Complex),
        ("c8", Field::Complex),
    ] {
        for (format, storage) in [
            ("csr", Storage::CompressedRows),
            ("csc", Storage::CompressedColumns),
            ("coo", Storage::Coordinate),
            ("bsr", Storage::BlockRows),
            ("dia", Storage::Diagonals),
        ] {
            for packed in ["False", "True"] {
                compare(comm, folder.path(), &format!("{kind}-{format}-{packed}"), field, storage)?;
            }
        }
    }
    folder.remove(comm);
    Ok(())
}

/// The members that pydata/sparse writes, by versions with and without a name of the format.
const WRITE_SPARSE: &str = "
import sys, numpy as np
folder = sys.argv[1]
# 2 at (0, 1), -1 at (2, 0), 5 at (2, 3)
shape, data = np.array([3, 4]), np.array([2., -1., 5.])
coo = dict(shape=shape, data=data, coords=np.array([[0, 2, 2], [1, 0, 3]], 'u1'))
rows = dict(shape=shape, data=data, indices=[1, 0, 3], indptr=[0, 1, 1, 3], compressed_axes=np.array([0]))
columns = dict(shape=shape, data=np.array([-1., 2., 5.]), indices=[2, 0, 2], indptr=[0, 1, 2, 2, 3], compressed_axes=[1])
for name, members in [('coo', coo), ('rows', rows), ('columns', columns)]:
    named = 'coo' if name == 'coo' else 'gcxs'
    np.savez(f'{folder}/{name}.npz', format=named, fill_value=np.float64(0), **members)
    np.savez_compressed(f'{folder}/{name}-old.npz', fill_value=np.float64(0), **members)
np.savez(f'{folder}/filled.npz', format='coo', fill_value=np.float64(2), **coo)
np.savez(f'{folder}/axes.npz', format='gcxs', fill_value=np.float64(0), **{**rows, 'compressed_axes': [0, 1]})
np.savez(f'{folder}/short.npz', format='coo', fill_value=np.float64(0), **{**coo, 'coords': np.zeros((2, 2), 'i8')})
";

fn files_of_pydata_sparse_are_read(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    if !python(comm, WRITE_SPARSE, folder.path())? {
        return Ok(());
    }
    for (name, storage) in
        [("coo", Storage::Coordinate), ("rows", Storage::CompressedRows), ("columns", Storage::CompressedColumns)]
    {
        for name in [format!("{name}.npz"), format!("{name}-old.npz")] {
            let (Matrix::Real(matrix), description) = Matrix::read(comm, folder.path().join(&name))? else {
                return Err("is real".into());
            };
            assert_eq!((description.storage, description.entries), (storage, 3), "{name}");
            let dense = matrix.gather_all()?.to_dense().into_raw_vec_and_offset().0;
            assert_eq!(dense, [0., 2., 0., 0., 0., 0., 0., 0., -1., 0., 0., 5.], "{name}");
        }
    }
    for (name, expected) in [
        ("filled.npz", "member fill_value.npy: is not zero"),
        ("axes.npz", "member compressed_axes.npy: is neither 0, for rows, nor 1, for columns"),
        ("short.npz", "member coords.npy: has shape [2, 2], not 2 by 3"),
    ] {
        let message = Matrix::read(comm, folder.path().join(name)).map(|_| ()).expect_err(name).to_string();
        assert!(message.contains(expected), "{message}");
    }
    folder.remove(comm);
    Ok(())
}

fn round_trip<T: Scalar>(comm: &Comm, folder: &Folder) -> TestResult {
    for (rows, columns) in [(50, 50), (7, 90), (90, 7), (0, 5), (1, 1)] {
        let matrix = made::<T>(comm, rows, columns)?;
        let path = folder.path().join(format!("{}-{rows}.npz", T::NAME));
        npz::write_matrix(&path, &matrix)?;
        require_same(&npz::read_matrix::<T>(comm, &path)?.0, &matrix);
    }
    Ok(())
}

fn matrices_round_trip(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    round_trip::<f64>(comm, &folder)?;
    round_trip::<f32>(comm, &folder)?;
    round_trip::<Complex64>(comm, &folder)?;
    round_trip::<Complex32>(comm, &folder)?;
    let script = "
import sys, glob, zipfile, scipy.sparse as sp
for name in glob.glob(sys.argv[1] + '/*-*.npz'):
    assert zipfile.ZipFile(name).testzip() is None
    a = sp.load_npz(name)
    a.check_format()
    sp.save_npz(name.replace('.npz', '.back.npz'), a)
";
    if python(comm, script, folder.path())? {
        let back = npz::read_matrix::<Complex64>(comm, folder.path().join("c64-90.back.npz"))?.0;
        require_same(&back, &made::<Complex64>(comm, 90, 7)?);
    }
    folder.remove(comm);
    Ok(())
}

fn malformed_files_are_refused_alike(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let path = folder.path().join("good.npz");
    npz::write_matrix(&path, &made::<f64>(comm, 20, 9)?)?;
    let good = fs::read(&path)?;
    let refused = |bytes: &[u8], expected: &str| require_refused(comm, &folder, "bad.npz", bytes, expected);
    refused(&good[..good.len() - 30], "zip directory: is missing; the file is damaged or cut off")?;
    refused(&good[..good.len() / 2], "zip directory: is missing")?;
    let replaced = |from: &[u8], to: &[u8]| -> TestResult<Vec<u8>> {
        let at = good.windows(from.len()).position(|window| window == from).ok_or("not there")?;
        Ok([&good[..at], to, &good[at + from.len()..]].concat())
    };
    refused(&replaced(b"<f8", b"<f2")?, "member data.npy: has numbers of type '<f2', which is not supported")?;
    refused(&replaced(b"<f8", b"<i4")?, "member data.npy: does not have the size of an array of shape")?;
    refused(
        &replaced(b"'fortran_order': False, 'shape': (2,)", b"'fortran_order': False, 'shape': (1,)")?,
        "member shape.npy: does not have the size",
    )?;
    // A value that is damaged is found by its checksum alone.
    let directory = good.windows(4).position(|window| window == b"PK\x01\x02").ok_or("no directory")?;
    let mut flipped = good.clone();
    flipped[directory - 60] ^= 1;
    refused(&flipped, "member data.npy: does not match its checksum; it is damaged")?;
    // So are sizes and the name of a format, which the other arrays may not contradict.
    let shape = [20_i64, 9].map(i64::to_le_bytes).concat();
    let longer = [20_i64, 10].map(i64::to_le_bytes).concat();
    refused(&replaced(&shape, &longer)?, "member shape.npy: does not match its checksum")?;
    let at = good.windows(3).rposition(|window| window == b"csr").ok_or("no format")?;
    let other = [&good[..at], b"csc", &good[at + 3..]].concat();
    refused(&other, "member format.npy: does not match its checksum")?;
    // Sizes and indices that lie, with checksums that are right: SciPy writes the arrays as they are.
    let script = "
import sys, numpy as np
f = sys.argv[1] + '/'
def save(name, **arrays):
    np.savez(f + name, **arrays); np.savez_compressed(f + 'packed-' + name, **arrays)
csr = dict(format=b'csr', shape=[3, 4], data=[1., 2.], indices=np.array([0, 3]), indptr=np.array([0, 1, 1, 2]))
save('good.npz', **csr)
save('no-format.npz', **{k: v for k, v in csr.items() if k != 'format'})
save('odd-format.npz', **{**csr, 'format': b'lil'})
save('shape.npz', **{**csr, 'shape': [3, -4]})
save('three.npz', **{**csr, 'shape': [3, 4, 5]})
save('huge.npz', **{**csr, 'format': b'coo', 'shape': [10**15, 4], 'row': [0, 1], 'col': [0, 1]})
save('starts.npz', **{**csr, 'indptr': np.array([0, 2, 1, 2])})
save('first.npz', **{**csr, 'indptr': np.array([1, 1, 1, 2])})
save('past.npz', **{**csr, 'indptr': np.array([0, 1, 1, 9])})
save('few.npz', **{**csr, 'indptr': np.array([0, 1, 2])})
save('column.npz', **{**csr, 'indices': np.array([0, 4])})
save('negative.npz', **{**csr, 'indices': np.array([0, -1])})
save('float.npz', **{**csr, 'indices': np.array([0., 1.])})
save('short.npz', **{**csr, 'indices': np.array([0])})
save('text.npz', **{**csr, 'data': np.array(['a', 'b'])})
save('large.npz', **{**csr, 'data': np.array([1, 2**53 + 1])})
save('block.npz', **{**csr, 'format': b'bsr', 'data': np.ones((2, 2, 2))})
save('dense.npz', **{'arr_0': np.ones((3, 3)), 'arr_1': np.ones(3)})
";
    if python(comm, script, folder.path())? {
        for (name, expected) in [
            ("no-format", "file: has no array format; it is not a sparse matrix as SciPy saves it"),
            ("odd-format", "member format.npy: is 'lil'; only csr, csc, coo, bsr, dia and gcxs are supported"),
            ("shape", "member shape.npy: does not hold the two sizes of a matrix"),
            ("three", "member shape.npy: does not hold the two sizes of a matrix"),
            ("huge", "member shape.npy: a matrix of 1000000000000000 by 4 is too large for a file of"),
            ("starts", "member indptr.npy: decreases after number 1"),
            ("first", "member indptr.npy: starts with 1, not with 0"),
            ("past", "member indptr.npy: number 3 is 9, outside 0 to 3 - 1"),
            ("few", "member indptr.npy: has 3 numbers, not 3 + 1"),
            ("column", "member indices.npy: number 1 is 4, outside 0 to 4 - 1"),
            ("negative", "member indices.npy: number 1 is -1, outside 0 to 4 - 1"),
            ("float", "member indices.npy: does not hold whole numbers"),
            ("short", "member indices.npy: has 1 indices for 2 values"),
            ("text", "member data.npy: holds text, not numbers"),
            ("large", "member data.npy: holds 9007199254740993, beyond 2^53"),
            ("block", "member data.npy: has blocks of 2 by 2, which do not tile 3 by 4"),
            ("dense", "file: has no array format"),
        ] {
            for name in [format!("{name}.npz"), format!("packed-{name}.npz")] {
                let bytes = fs::read(folder.path().join(&name))?;
                require_refused(comm, &folder, &name, &bytes, expected)?;
            }
        }
        Matrix::read(comm, folder.path().join("packed-good.npz"))?;
    }
    folder.remove(comm);
    Ok(())
}

/// Arrays of NumPy are vectors: their columns, whichever order they are stored in.
fn dense_arrays_are_vectors(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let script = "
import sys, numpy as np
f = sys.argv[1] + '/'
a = np.arange(21).reshape(7, 3) * 0.5 - 4
kinds = {'c': a, 'fortran': np.asfortranarray(a), 'single': a.astype('f4'), 'big': a.astype('>f8'), 'complex': a * (1 + 2j)}
for name, array in kinds.items():
    np.save(f + name + '.npy', array); np.savez(f + name + '.npz', array); np.savez_compressed(f + name + '-packed.npz', x=array)
np.save(f + 'flat.npy', np.ones((0, 10**15))); np.save(f + 'one.npy', a[:, 1].copy()); np.save(f + 'three.npy', np.ones((2, 2, 2))); np.save(f + 'text.npy', np.array(['a']))
np.savez(f + 'two.npz', x=a, y=a)
";
    if !python(comm, script, folder.path())? {
        return Ok(());
    }
    let value = |row: u64, column: u64| (row * 3 + column) as f64 * 0.5 - 4.0;
    let rows = Layout::from_local_len(comm, if comm.rank() == 0 { 7 } else { 0 })?;
    for layout in [Layout::uniform(comm, 7), rows] {
        for name in ["c", "fortran", "single", "big"] {
            for end in [".npy", ".npz", "-packed.npz"] {
                let path = folder.path().join(format!("{name}{end}"));
                let (Vectors::Real(read), description) = Vectors::read(&path, &layout)? else {
                    return Err("is real".into());
                };
                assert_eq!((description.rows, description.columns, description.storage), (7, 3, Storage::Array));
                let expected = MultiVector::from_fn(&layout, 3, |row, column| value(row, column as u64));
                assert_eq!(read.owned(), expected.owned(), "{name}{end}");
                let (Matrix::Real(matrix), _) = Matrix::read(comm, &path)? else { return Err("is real".into()) };
                let same = |row: u64| matrix.row(row).is_none_or(|r| r.entries().all(|(c, v)| v == value(row, c)));
                assert!((0..7).all(same) && matrix.global_entries() == 21, "{name}{end}");
            }
        }
        let (complex, _) = npz_vectors(&folder, "complex.npy", &layout)?;
        let twice =
            MultiVector::from_fn(&layout, 3, |row, column| Complex64::new(1.0, 2.0) * value(row, column as u64));
        assert_eq!(complex.owned(), twice.owned());
    }
    let (one, description) = Vectors::read(folder.path().join("one.npy"), &Layout::uniform(comm, 7))?;
    assert!(matches!(one, Vectors::Real(one) if one.columns() == 1));
    assert_eq!(description.format, Format::NumpyNpy);
    for (name, expected) in [
        ("three.npy", "member array.npy: has 3 dimensions, not one or two"),
        ("text.npy", "member array.npy: holds text, not numbers"),
        ("two.npz", "file: has no array format"),
        ("flat.npy", "array: a matrix of 0 by 1000000000000000 is too large for a file of"),
    ] {
        require_refused(comm, &folder, name, &fs::read(folder.path().join(name))?, expected)?;
    }
    let flat =
        Vectors::read(folder.path().join("flat.npy"), &Layout::uniform(comm, 0)).map(drop).unwrap_err().to_string();
    assert!(flat.contains("is too large for a file"), "{flat}");
    folder.remove(comm);
    Ok(())
}

fn npz_vectors(folder: &Folder, name: &str, layout: &Layout) -> TestResult<(MultiVector<Complex64>, Format)> {
    match Vectors::read(folder.path().join(name), layout)? {
        (Vectors::Complex(vectors), description) => Ok((vectors, description.format)),
        _ => Err("is complex".into()),
    }
}

fn written_arrays_are_numpys(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let layout = Layout::from_local_len(comm, 5000 * comm.rank() + 3)?;
    for columns in [1, 3] {
        let path = folder.path().join(format!("{columns}.npy"));
        let real = MultiVector::from_fn(&layout, columns, |row, column| hard(row * 31 + column as u64));
        write_vectors(&real, &path)?;
        let (Vectors::Real(read), _) = Vectors::read(&path, &layout)? else { return Err("is real".into()) };
        assert_eq!(bits_of(read.owned()), bits_of(real.owned()));
    }
    let path = folder.path().join("complex.npy");
    let complex = MultiVector::from_fn(&layout, 2, |row, column| Complex64::new(hard(row), column as f64));
    write_vectors(&complex, &path)?;
    assert_eq!(bits_of(npz_vectors(&folder, "complex.npy", &layout)?.0.owned()), bits_of(complex.owned()));
    let script = "
import sys, io, numpy as np
for name, dimensions in (('1', 1), ('3', 2), ('complex', 2)):
    path = f'{sys.argv[1]}/{name}.npy'
    array = np.load(path)
    again = io.BytesIO()
    np.save(again, array)
    assert array.ndim == dimensions and again.getvalue()[128:] == open(path, 'rb').read()[128:], name
";
    python(comm, script, folder.path())?;
    folder.remove(comm);
    Ok(())
}
