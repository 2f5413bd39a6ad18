//! Files of matrices and vectors: PETSc's binary format as its own viewers write and read it,
//! and MatrixMarket text beside SciPy's reader.

use std::path::Path;
use std::process::Command;

use dolmen_core::{CsrMatrix, Layout, LinearOperator, MultiVector};
use dolmen_io::petsc::{self, IndexWidth};
use dolmen_io::{Result, Symmetry, matrix_market};

use crate::hdf5::cases;
use crate::matrices::build;
use crate::measure::{Bench, Case};
use crate::problems::Problem;

/// Entries of the vector that is written, as in the peer's program.
const LEN: u64 = 100_000_000;

pub(crate) fn run(bench: &Bench) -> Result<()> {
    if !bench.wants_any("j.") {
        return Ok(());
    }
    let folder = bench.folder();
    vectors(bench, &folder.join("vector.petsc"))?;
    matrices(bench, &folder.join("matrix.petsc"))?;
    text(bench, &folder.join("matrix.mtx"))
}

fn vectors(bench: &Bench, path: &Path) -> Result<()> {
    if !bench.wants_any("j.vec_binary") {
        return Ok(());
    }
    let layout = Layout::uniform(&bench.comm, LEN);
    let vector = MultiVector::from_fn(&layout, 1, |row, _| 1.0 + (row % 1000) as f64 / 1000.0);
    let write = || petsc::write_vectors(path, &vector, IndexWidth::Bits32);
    let read = || petsc::read_vectors::<f64>(path, &layout).map(drop);
    cases(bench, "vec_binary", (LEN, 0, 8.0 * LEN as f64), || path.to_owned(), write, read)?;
    remove(bench, path);
    Ok(())
}

fn matrices(bench: &Bench, path: &Path) -> Result<()> {
    if !bench.wants_any("j.mat_binary") {
        return Ok(());
    }
    let a = build(bench, Problem::Seven, 128)?;
    let (n, entries) = (a.range().global_len(), a.global_entries());
    let write = || petsc::write_matrix(path, &a, IndexWidth::Bits32, 1);
    let read = || petsc::read_matrix::<f64>(&bench.comm, path).map(drop);
    let size = (n, entries, 12.0 * entries as f64 + 4.0 * n as f64);
    cases(bench, "mat_binary", size, || path.to_owned(), write, read)?;
    remove(bench, path);
    Ok(())
}

/// Numbers of 16 or 17 digits, as programs write them.
fn text(bench: &Bench, path: &Path) -> Result<()> {
    if !bench.wants_any("j.mtx") {
        return Ok(());
    }
    let rows = build(bench, Problem::Seven, 64)?;
    let a = CsrMatrix::from_rows(rows.range(), rows.domain(), |i, entries| {
        let row = rows.row(i).expect("an own row");
        row.entries().for_each(|(column, value)| entries.push(column, value / (3.0 + (i + column) as f64)));
    })?;
    let write = || matrix_market::write_matrix(path, &a, Symmetry::General);
    write()?;
    let bytes = path.metadata().map_or(0, |metadata| metadata.len()) as f64;
    let (n, entries) = (a.range().global_len(), a.global_entries());
    let read = || matrix_market::read_matrix::<f64>(&bench.comm, path).map(drop);
    cases(bench, "mtx", (n, entries, bytes), || path.to_owned(), write, read)?;
    let cached = Case { name: "j.mtx.read_cached", n, entries, bytes };
    if bench.wants(cached.name) {
        scipy(bench, &cached, path);
    }
    remove(bench, path);
    Ok(())
}

/// Times SciPy's reader on the same file, where there is one.
fn scipy(bench: &Bench, case: &Case<'_>, path: &Path) {
    const SCRIPT: &str = "import sys, time, scipy.io as io\n\
        start = time.perf_counter(); io.mmread(sys.argv[1]).tocsr(); print(time.perf_counter() - start)";
    if bench.comm.rank() == 0 {
        let output = Command::new("/usr/bin/python3").args(["-c", SCRIPT]).arg(path).output();
        let seconds = output.ok().and_then(|output| String::from_utf8_lossy(&output.stdout).trim().parse().ok());
        if let Some(seconds) = seconds {
            bench.print_peer("scipy", case, seconds);
        }
    }
    bench.comm.barrier();
}

fn remove(bench: &Bench, path: &Path) {
    bench.comm.barrier();
    if bench.comm.rank() == 0 {
        // A case that was not asked for has left nothing.
        let _ = std::fs::remove_file(path);
    }
}
