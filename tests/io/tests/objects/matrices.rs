//! Sparse matrices.

use std::path::Path;

use dolmen_core::random::Philox;
use dolmen_core::{Complex32, Complex64, CsrMatrix, Layout as Distribution, LinearOperator, Scalar, Vector};
use dolmen_io::Storage;
use dolmen_io::hdf5::{Entry, H5File, Layout};
use dolmen_tests::{Comm, Folder, TestResult, message, python, shared};

use crate::{PYTHON, on_other_ranks};

const ROWS: u64 = 401;
const COLUMNS: u64 = 350;

/// Rows of none to nine entries, in columns that depend on the row alone.
fn matrix<T: Entry>(range: &Distribution, domain: &Distribution) -> TestResult<CsrMatrix<T>> {
    let random = Philox::new(2);
    Ok(CsrMatrix::from_rows(range, domain, |row, entries| {
        for k in 0..row % 10 {
            let number = row * 10 + k;
            let column = (row * 7 + k * 31) % COLUMNS;
            entries.push(column, T::from_parts(random.normal(0, number), random.normal(1, number)));
        }
    })?)
}

fn triplets<T: Scalar>(matrix: &CsrMatrix<T>) -> Vec<(u64, u64, T)> {
    matrix.rows().flat_map(|row| row.entries().map(move |(column, value)| (row.index(), column, value))).collect()
}

fn layouts() -> [Layout; 3] {
    let chunk = vec![100];
    [Layout::Contiguous, Layout::Chunked(chunk.clone()), Layout::Compressed { chunk, level: 1 }]
}

fn write<T: Entry>(comm: &Comm, path: &Path) -> TestResult {
    let file = H5File::create(comm, path)?;
    let a = matrix::<T>(&Distribution::uniform(comm, ROWS), &Distribution::uniform(comm, COLUMNS))?;
    for (number, layout) in layouts().iter().enumerate() {
        file.write_matrix(&format!("group/a{number}"), &a, layout)?;
    }
    Ok(file.close()?)
}

fn read<T: Entry>(comm: &Comm, path: &Path) -> TestResult {
    let file = H5File::open(comm, path)?;
    // Nothing on the first rank of several.
    let first = comm.rank() == 0 && comm.size() > 1;
    let share = if first { 0 } else { ROWS / (comm.size() as u64 - 1).max(1) };
    let mut lengths = comm.all_gather(share);
    lengths[comm.size() - 1] += ROWS - lengths.iter().sum::<u64>();
    let range = Distribution::from_local_len(comm, usize::try_from(lengths[comm.rank()])?)?;
    let domain = Distribution::uniform(comm, COLUMNS);
    let expected = triplets(&matrix::<T>(&range, &domain)?);
    for number in 0..3 {
        let name = format!("group/a{number}");
        assert_eq!(file.matrix_shape(&name)?, (ROWS, COLUMNS));
        assert!(triplets(&file.read_matrix::<T>(&name, &range, &domain)?) == expected, "{} {name}", T::NAME);
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

/// `u^T A v` with the probes of the reference data.
fn probe(a: &CsrMatrix<f64>) -> TestResult<f64> {
    let v = Vector::from_fn(a.domain(), |i| 1.0 + (i % 13) as f64 / 16.0);
    let u = Vector::from_fn(a.range(), |i| 1.0 - (i % 11) as f64 / 16.0);
    let mut product = Vector::zeros(a.range());
    a.apply(&v, &mut product)?;
    Ok(u.dot(&product)?)
}

pub(crate) fn of_others(comm: &Comm) -> TestResult {
    let Some(shared) = shared() else { return Ok(()) };
    // orsirr_2, by its facts in the manifest.
    for (name, group) in [("anndata_csr.h5", "X"), ("anndata_csr.h5", "Xc"), ("matlab_style.h5", "A")] {
        let file = H5File::open(comm, shared.join("data/hdf5").join(name))?;
        assert_eq!(file.matrix_shape(group)?, (886, 886), "{name}");
        let layout = Distribution::uniform(comm, 886);
        let a = file.read_matrix::<f64>(group, &layout, &layout)?;
        assert_eq!(a.global_entries(), 5970);
        let norm = 1_546_354.539_167_383_7;
        assert!((a.norm_frobenius() - norm).abs() < 1e-12 * norm, "{name} {group}");
        let scale = norm * 886.0;
        assert!((probe(&a)? - 60_034.639_108_665_34).abs() < 1e-12 * scale, "{name} {group}: {}", probe(&a)?);
        file.close()?;
    }
    let tenx = H5File::open(comm, shared.join("data/hdf5/tenx_v1.h5"))?;
    assert_eq!(tenx.matrix_shape("hg19_chr21")?, (343, 12));
    let (genes, cells) = (Distribution::uniform(comm, 343), Distribution::uniform(comm, 12));
    let a = tenx.read_matrix::<f32>("hg19_chr21", &genes, &cells)?;
    assert_eq!(a.global_entries(), 12);
    let mut sums = [a.rows().flat_map(|row| row.values()).map(|value| f64::from(*value)).sum::<f64>()];
    comm.all_reduce_sum(&mut sums);
    assert_eq!(sums, [12.0]);
    assert!(a.row(200).is_none_or(|row| row.columns().next() == Some(0)), "the first index of the first cell is 200");
    tenx.close()?;
    Ok(())
}

pub(crate) fn scipy_reads_ours(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let path = folder.path().join("ours.h5");
    let file = H5File::create(comm, &path)?;
    let layout = Distribution::uniform(comm, 50);
    let a = CsrMatrix::from_rows(&layout, &Distribution::uniform(comm, 60), |row, entries| {
        entries.push(row + 10, Complex64::new(row as f64, 1.0));
        entries.push(row, Complex64::new(-1.0, 0.0));
    })?;
    file.write_matrix("A", &a, &Layout::Contiguous)?;
    file.close()?;
    let script = "
import sys, numpy, h5py, scipy.sparse
with h5py.File(sys.argv[1], 'r') as f:
    g = f['A']
    assert g.attrs['encoding-type'] == 'csr_matrix' and g.attrs['encoding-version'] == '0.1.0'
    assert tuple(g.attrs['shape']) == tuple(g['shape'][:]) == (50, 60)
    assert g['indices'].dtype == g['indptr'].dtype == numpy.int32
    a = scipy.sparse.csr_matrix((g['data'][:], g['indices'][:], g['indptr'][:]), shape=g.attrs['shape'])
    assert a.has_canonical_format
    n = numpy.arange(50)
    b = scipy.sparse.coo_matrix((numpy.concatenate([n + 1j, -numpy.ones(50)]),
                                 (numpy.concatenate([n, n]), numpy.concatenate([n + 10, n]))), shape=(50, 60))
    assert (a != b.tocsr()).nnz == 0
";
    python(comm, PYTHON, script, &path)?;
    folder.remove(comm);
    Ok(())
}

pub(crate) fn bad(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let path = folder.path().join("bad.h5");
    let file = H5File::create(comm, &path)?;
    type Case = (&'static str, &'static [f64], [&'static [i64]; 3]);
    let cases: [Case; 7] = [
        ("good", &[1.0, 2.0], [&[1, 0], &[0, 1, 2], &[2, 3]]),
        ("falls", &[1.0, 2.0], [&[1, 0], &[0, 3, 2], &[2, 3]]),
        ("short", &[1.0, 2.0], [&[1, 0], &[0, 2], &[2, 3]]),
        ("lengths", &[1.0], [&[1, 0], &[0, 1, 2], &[2, 3]]),
        ("column", &[1.0, 2.0], [&[1, 3], &[0, 1, 2], &[2, 3]]),
        ("negative", &[1.0, 2.0], [&[1, -1], &[0, 1, 2], &[2, 3]]),
        ("shape", &[1.0, 2.0], [&[1, 0], &[0, 1, 2], &[-2, 3]]),
    ];
    for (group, data, [indices, starts, shape]) in cases {
        file.create_group(group)?;
        file.write_attribute(group, "encoding-type", "csr_matrix")?;
        file.write_attribute(group, "shape", shape)?;
        let first = comm.rank() == 0;
        let count = |len: usize| [if first { len as u64 } else { 0 }];
        let put = |name: &str, values: &[i64]| -> TestResult {
            let dataset =
                file.create_dataset::<i64>(&format!("{group}/{name}"), &[values.len() as u64], &Layout::Contiguous)?;
            dataset.write_slab(&[0], &count(values.len()), if first { values } else { &[] })?;
            Ok(())
        };
        put("indices", indices)?;
        put("indptr", starts)?;
        let dataset =
            file.create_dataset::<f64>(&format!("{group}/data"), &[data.len() as u64], &Layout::Contiguous)?;
        dataset.write_slab(&[0], &count(data.len()), if first { data } else { &[] })?;
    }
    file.create_group("empty")?;
    file.close()?;
    let file = H5File::open(comm, &path)?;
    let (rows, columns) = (Distribution::uniform(comm, 2), Distribution::uniform(comm, 3));
    assert_eq!(file.read_matrix::<f64>("good", &rows, &columns)?.global_entries(), 2);
    for (group, expected) in [
        ("falls", "group falls: row or column 1 ends before it starts"),
        ("short", "group short: 2 values, 2 indices and 2 starts do not make 2 rows or columns"),
        ("lengths", "group lengths: 1 values, 2 indices"),
        ("column", "group column: an index is 3, not in 0..3"),
        ("negative", "group negative: an index is -1, not in 0..3"),
        ("shape", "group shape: its shape is [-2, 3], not two lengths"),
        ("empty", "group empty: holds no sparse matrix"),
        ("gone", "gone"),
    ] {
        let found = message(comm, file.read_matrix::<f64>(group, &rows, &columns))?;
        // With a rank for each row, the rank that has the row before sees it end beyond the entries.
        assert!(found.contains(expected) || (group == "falls" && found.contains("its starts do not go")), "{found}");
    }
    let found = message(comm, file.read_matrix::<f64>("good", &columns, &rows))?;
    assert!(found.contains("group good: is 2 by 3, expected 3 by 2"), "{found}");
    file.close()?;
    folder.remove(comm);
    Ok(())
}

/// Groups made by hand, which do not say whether they hold rows or columns.
pub(crate) fn without_tag(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let path = folder.path().join("by hand.h5");
    let script = "
import sys, h5py, numpy, scipy.sparse
a = scipy.sparse.csr_matrix(numpy.array([[1., 2., 0.], [0., 0., 3.]]))
s = scipy.sparse.csr_matrix(numpy.array([[1., 2.], [0., 3.]]))
def put(g, m, as_attribute=False):
    g['data'], g['indices'], g['indptr'] = m.data, m.indices, m.indptr
    if as_attribute:
        g.attrs['shape'] = m.shape
    else:
        g['shape'] = m.shape
with h5py.File(sys.argv[1], 'w') as f:
    put(f, a)
    put(f.create_group('rows'), a)
    put(f.create_group('attribute'), a, True)
    put(f.create_group('columns'), a.tocsc())
    put(f.create_group('square'), s)
    tenx = f.create_group('tenx')
    put(tenx, s.tocsc())
    tenx['barcodes'] = [b'A', b'B']
    g = f.create_group('neither')
    put(g, a)
    del g['shape']
    g['shape'] = [7, 9]
";
    python(comm, PYTHON, script, &path)?;
    let file = H5File::open(comm, &path)?;
    let (two, three) = (Distribution::uniform(comm, 2), Distribution::uniform(comm, 3));
    for (group, storage) in [
        ("/", Storage::CompressedRows),
        ("rows", Storage::CompressedRows),
        ("attribute", Storage::CompressedRows),
        ("columns", Storage::CompressedColumns),
    ] {
        assert_eq!((file.matrix_shape(group)?, file.matrix_storage(group)?), ((2, 3), storage), "{group}");
        let expected =
            [(0, 0, 1.0), (0, 1, 2.0), (1, 2, 3.0)].into_iter().filter(|entry| two.range().contains(&entry.0));
        let found = triplets(&file.read_matrix::<f64>(group, &two, &three)?);
        assert_eq!(found, expected.collect::<Vec<_>>(), "{group}");
    }
    let a = file.read_matrix::<f64>("tenx", &two, &two)?;
    assert!(a.row(0).is_none_or(|row| row.values() == [1.0, 2.0]), "10x holds columns");
    let found = message(comm, file.read_matrix::<f64>("square", &two, &two))?;
    assert!(found.contains("group square: holds a square matrix") && found.contains("encoding-type"), "{found}");
    let found = message(comm, file.matrix_shape("neither"))?;
    assert!(found.contains("its indptr has neither 7 + 1 nor 9 + 1 numbers"), "{found}");
    file.close()?;
    folder.remove(comm);
    Ok(())
}
