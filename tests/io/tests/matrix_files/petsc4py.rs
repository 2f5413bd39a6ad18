//! What PETSc itself makes of our files, and we of its. PETSc is no requirement, not even in CI: without petsc4py
//! this is skipped, and the reference files of its making have to do.

use dolmen_core::{Complex64, Layout, MultiVector};
use dolmen_io::hdf5::H5File;
use dolmen_io::petsc::{self, IndexWidth};
use dolmen_io::{Matrix, Vectors, read_matrix, read_vectors};
use dolmen_tests::{Case, Comm, Folder, TestResult, case};

use crate::support::{bits_of, made, python_with, require_same};

pub(crate) fn cases() -> Vec<Case> {
    vec![case("petsc4py_reads_and_writes", &[1, 2], reads_and_writes)]
}

const ROWS: u64 = 50;

/// Reads the files of its own kind of numbers and indices and writes what it has read.
const SCRIPT: &str = "
import os, sys, numpy as np
from petsc4py import PETSc
folder = sys.argv[1] + '/'
field = 'complex' if np.issubdtype(PETSc.ScalarType, np.complexfloating) else 'real'
kind = f'{field}{8 * np.dtype(PETSc.IntType).itemsize}'
A = PETSc.Mat().load(PETSc.Viewer().createBinary(f'{folder}A-{kind}.petsc', 'r'))
x = PETSc.Vec().load(PETSc.Viewer().createBinary(f'{folder}x-{kind}.petsc', 'r'))
assert A.getSize() == (50, 50) and x.getSize() == 50
for name, item in (('A', A), ('x', x)):
    viewer = PETSc.Viewer().createBinary(f'{folder}{name}-back.petsc', 'w')
    item.view(viewer)
    viewer.destroy()
try:
    viewer = PETSc.Viewer().createHDF5(f'{folder}x.h5', 'w')
except (AttributeError, PETSc.Error):
    sys.exit(0)
x.setName('x')
x.view(viewer)
viewer.destroy()
open(f'{folder}has-hdf5', 'w').close()
";

fn reads_and_writes(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let file = |name: &str| folder.path().join(name);
    let (real, complex) = (made::<f64>(comm, ROWS, ROWS)?, made::<Complex64>(comm, ROWS, ROWS)?);
    let layout = Layout::uniform(comm, ROWS);
    let x = MultiVector::from_fn(&layout, 1, |row, _| 0.5 + row as f64);
    let z = MultiVector::from_fn(&layout, 1, |row, _| Complex64::new(0.5 + row as f64, -1.0));
    for (bits, width) in [(32, IndexWidth::Bits32), (64, IndexWidth::Bits64)] {
        petsc::write_matrix(file(&format!("A-real{bits}.petsc")), &real, width, 1)?;
        petsc::write_matrix(file(&format!("A-complex{bits}.petsc")), &complex, width, 1)?;
        petsc::write_vectors(file(&format!("x-real{bits}.petsc")), &x, width)?;
        petsc::write_vectors(file(&format!("x-complex{bits}.petsc")), &z, width)?;
    }
    if !python_with(comm, "petsc4py", SCRIPT, folder.path())? {
        return Ok(());
    }
    match read_matrix(comm, file("A-back.petsc"))?.0 {
        Matrix::Real(back) => require_same(&back, &real),
        Matrix::Complex(back) => require_same(&back, &complex),
    }
    let back = read_vectors(file("x-back.petsc"), &layout)?.0;
    match &back {
        Vectors::Real(back) => assert_eq!(bits_of(back.owned()), bits_of(x.owned())),
        Vectors::Complex(back) => assert_eq!(bits_of(back.owned()), bits_of(z.owned())),
    }
    if file("has-hdf5").exists() {
        let hdf5 = H5File::open(comm, file("x.h5"))?;
        match &back {
            Vectors::Real(_) => assert_eq!(hdf5.read_vector::<f64>("x", &layout)?.owned(), x.owned()),
            Vectors::Complex(_) => assert_eq!(hdf5.read_vector::<Complex64>("x", &layout)?.owned(), z.owned()),
        }
        hdf5.close()?;
    }
    folder.remove(comm);
    Ok(())
}
