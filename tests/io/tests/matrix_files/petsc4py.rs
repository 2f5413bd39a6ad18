//! PETSc reads our files, and we read PETSc's, through petsc4py: with real and complex numbers, and
//! with indices of 32 and of 64 bits.

use std::path::Path;

use dolmen_core::{Complex64, CsrMatrix, Layout, MultiVector, Scalar};
use dolmen_io::describe;
use dolmen_io::hdf5::{Entry, H5File, Layout as Stored};
use dolmen_io::petsc::{self, IndexWidth};
use dolmen_tests::{Case, Comm, Folder, TestResult, case, python, skip};

use crate::support::{bits_of, made, require_same};

pub(crate) fn cases() -> Vec<Case> {
    vec![case("petsc4py_reads_and_writes", &[1, 2], reads_and_writes)]
}

/// Debian has a build of PETSc for each kind of numbers and indices, of which a process can load one;
/// elsewhere there is the one that is imported. Each reads our files of its kind, compares them with what
/// they should hold, and writes what it has read and what it has made itself.
const SCRIPT: &str = "
import glob, os, sys
for build in glob.glob('/usr/lib/petscdir/petsc*/*/lib/python3/dist-packages/petsc4py') or ['']:
    if os.fork() == 0:
        break
    if os.wait()[1] != 0:
        sys.exit('failed: ' + (build or 'petsc4py'))
else:
    sys.exit()
if build:
    sys.path.insert(0, os.path.dirname(build))
import numpy as np
from petsc4py import PETSc
is_complex = np.issubdtype(PETSc.ScalarType, np.complexfloating)
kind = ('complex' if is_complex else 'real') + str(8 * np.dtype(PETSc.IntType).itemsize)

def path(name):
    return f'{sys.argv[1]}/{name}-{kind}.petsc'

def load(name, *items):
    viewer = PETSc.Viewer().createBinary(path(name), 'r')
    for item in items:
        item.load(viewer)
    viewer.destroy()

def save(name, *items, form=PETSc.Viewer.Format.DEFAULT):
    viewer = PETSc.Viewer().createBinary(path(name + '-back'), 'w')
    viewer.pushFormat(form)
    for item in items:
        item.view(viewer)
    viewer.destroy()

def entry(row, column):
    return row * 100 + column + 0.25 - (1j * (column + 1) if is_complex else 0)

def blocks(row):
    return sorted(2 * block + k for block in {row // 2, (row // 2 * 3 + 1) % 30} for k in range(2))

def made(matrix):
    matrix.setUp()
    (rows, columns) = matrix.getSize()
    for row in range(rows):
        for column in range(row % 3, columns, 7):
            matrix.setValue(row, column, entry(row, column))
    matrix.assemble()
    return matrix

# Numbers whose digits are hard, and not in order.
A = PETSc.Mat()
load('A', A)
save('A', A)
for form in 'aij', 'baij':
    B = PETSc.Mat().create()
    B.setType(form)
    load('B', B)
    assert B.getType() == 'seq' + form and B.getSize() == (40, 60) and B.getBlockSize() == 2
    for row in range(40):
        columns, values = B.getRow(row)
        assert list(columns) == blocks(row) and list(values) == [entry(row, column) for column in columns], row
save('B', B)
x, y = PETSc.Vec(), PETSc.Vec()
load('x', x, y)
for number, vector in enumerate((x, y)):
    assert np.array_equal(vector.getArray(), [entry(row, number) for row in range(50)])
save('system', made(PETSc.Mat().createAIJ((50, 70))), x, y)
save('dense', made(PETSc.Mat().createDense((5, 9))), form=PETSc.Viewer.Format.NATIVE)

try:
    viewer = PETSc.Viewer().createHDF5(path('x') + '.h5', 'w')
except PETSc.Error:
    sys.exit()
x.setName('x')
x.view(viewer)
x.setBlockSize(5)
x.setName('blocks')
x.view(viewer)
viewer.destroy()
if not is_complex:
    viewer = PETSc.Viewer().createHDF5(sys.argv[1] + '/ours.h5', 'r')
    z = PETSc.Vec().createSeq(50)
    z.setName('x')
    z.load(viewer)
    viewer.destroy()
    assert np.array_equal(z.getArray(), x.getArray())
";

fn entry<T: Scalar>(row: u64, column: u64) -> T {
    T::from_parts((row * 100 + column) as f64 + 0.25, if T::COMPLEX { -((column + 1) as f64) } else { 0.0 })
}

/// Two blocks of 2 by 2 in each pair of rows.
fn blocks<T: Scalar>(comm: &Comm) -> TestResult<CsrMatrix<T>> {
    let (range, domain) = (Layout::uniform(comm, 40), Layout::uniform(comm, 60));
    Ok(CsrMatrix::from_rows(&range, &domain, |row, entries| {
        for block in [row / 2, (row / 2 * 3 + 1) % 30] {
            // The two may be one.
            (2 * block..2 * block + 2).for_each(|column| entries.push(column, entry(row, column)));
        }
    })?)
}

/// The matrices that the script makes.
fn of_petsc<T: Scalar>(comm: &Comm, rows: u64, columns: u64) -> TestResult<CsrMatrix<T>> {
    let (range, domain) = (Layout::uniform(comm, rows), Layout::uniform(comm, columns));
    Ok(CsrMatrix::from_rows(&range, &domain, |row, entries| {
        (row % 3..columns).step_by(7).for_each(|column| entries.push(column, entry(row, column)));
    })?)
}

fn vectors<T: Scalar>(comm: &Comm) -> MultiVector<T> {
    MultiVector::from_fn(&Layout::uniform(comm, 50), 2, |row, column| entry(row, column as u64))
}

fn write<T: Scalar>(comm: &Comm, folder: &Folder, kind: &str, width: IndexWidth) -> TestResult {
    let file = |name: &str| folder.path().join(format!("{name}-{kind}.petsc"));
    petsc::write_matrix(file("A"), &made::<T>(comm, 50, 50)?, width, 1)?;
    petsc::write_matrix(file("B"), &blocks::<T>(comm)?, width, 2)?;
    Ok(petsc::write_vectors(file("x"), &vectors::<T>(comm), width)?)
}

/// Reads what PETSc of one kind has written; skipped if there is no such PETSc.
fn read<T: Entry>(comm: &Comm, folder: &Folder, kind: &str) -> TestResult {
    let file = |name: &str| folder.path().join(format!("{name}-{kind}.petsc"));
    let is_ci = std::env::var("CI").as_deref() == Ok("true");
    if !file("A-back").exists() {
        assert!(!is_ci, "no PETSc of {kind}");
        skip(&format!("no PETSc of {kind}"));
        return Ok(());
    }
    require_same(&petsc::read_matrix::<T>(comm, file("A-back"))?.0, &made(comm, 50, 50)?);
    require_same(&petsc::read_matrix::<T>(comm, file("B-back"))?.0, &blocks(comm)?);
    assert_eq!(describe(comm, file("B-back"))?.block_size, 2);
    let x = vectors::<T>(comm);
    let (system, description) = petsc::read_matrix::<T>(comm, file("system-back"))?;
    require_same(&system, &of_petsc(comm, 50, 70)?);
    assert_eq!((description.right_hand_sides, description.block_size), (2, 1));
    let (back, _) = petsc::read_vectors::<T>(file("system-back"), x.layout())?;
    assert_eq!(bits_of(back.owned()), bits_of(x.owned()));
    let (dense, description) = petsc::read_matrix::<T>(comm, file("dense-back"))?;
    assert_eq!((description.rows, description.columns, dense.global_entries()), (5, 9, 45));
    for (found, made) in dense.rows().zip(of_petsc::<T>(comm, 5, 9)?.rows()) {
        let stored = |column| made.entries().find(|entry| entry.0 == column).map_or(T::ZERO, |entry| entry.1);
        assert!(found.entries().all(|(column, value)| value == stored(column)), "row {}", found.index());
    }
    let hdf5 = folder.path().join(format!("x-{kind}.petsc.h5"));
    assert!(hdf5.exists() || !is_ci, "PETSc of {kind} has no HDF5");
    if hdf5.exists() {
        let hdf5 = H5File::open(comm, hdf5)?;
        for name in ["x", "blocks"] {
            let found = hdf5.read_vector::<T>(name, x.layout())?;
            assert_eq!(bits_of(found.owned()), bits_of(x.column(0)), "{name}");
        }
        hdf5.close()?;
    }
    Ok(())
}

fn reads_and_writes(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    for (bits, width) in [(32, IndexWidth::Bits32), (64, IndexWidth::Bits64)] {
        write::<f64>(comm, &folder, &format!("real{bits}"), width)?;
        write::<Complex64>(comm, &folder, &format!("complex{bits}"), width)?;
    }
    let mut x = dolmen_core::Vector::zeros(&Layout::uniform(comm, 50));
    vectors::<f64>(comm).copy_column_to(0, &mut x)?;
    let ours = H5File::create(comm, folder.path().join("ours.h5"))?;
    ours.write_vector("x", &x, &Stored::Contiguous)?;
    ours.close()?;
    // Debian's builds are not on Python's path: the script finds them by itself.
    let modules = if Path::new("/usr/lib/petscdir").exists() { "numpy" } else { "petsc4py" };
    if python(comm, modules, SCRIPT, folder.path())? {
        for bits in [32, 64] {
            read::<f64>(comm, &folder, &format!("real{bits}"))?;
            read::<Complex64>(comm, &folder, &format!("complex{bits}"))?;
        }
    }
    folder.remove(comm);
    Ok(())
}
