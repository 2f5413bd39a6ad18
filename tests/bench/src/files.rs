//! Files of matrices and vectors: PETSc's binary format as its own viewers write and read it,
//! and MatrixMarket text beside SciPy's reader.

use std::path::Path;
use std::process::Command;

use dolmen_core::{CsrMatrix, Layout, LinearOperator, MultiVector};
use dolmen_io::petsc::{self, IndexWidth};
use dolmen_io::{Result, Symmetry, matrix_market};

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
    let names = ["j.vec_binary.write_fsync", "j.vec_binary.read_cached"];
    if !names.iter().any(|name| bench.wants(name)) {
        return Ok(());
    }
    let layout = Layout::uniform(&bench.comm, LEN);
    let vector = MultiVector::from_fn(&layout, 1, |row, _| 1.0 + (row % 1000) as f64 / 1000.0);
    let write = || petsc::write_vectors(path, &vector, IndexWidth::Bits32).expect("the disk has room");
    write();
    let case = |name| Case { name, n: LEN, entries: 0, bytes: 8.0 * LEN as f64 };
    bench.case(&case(names[0]), write);
    bench.case(&case(names[1]), || drop(petsc::read_vectors::<f64>(path, &layout).expect("was written")));
    remove(bench, path);
    Ok(())
}

fn matrices(bench: &Bench, path: &Path) -> Result<()> {
    let names = ["j.mat_binary.write_fsync", "j.mat_binary.read_cached"];
    if !names.iter().any(|name| bench.wants(name)) {
        return Ok(());
    }
    let a = build(bench, Problem::Seven, 128)?;
    let write = || petsc::write_matrix(path, &a, IndexWidth::Bits32, 1).expect("the disk has room");
    write();
    let (n, entries) = (a.range().global_len(), a.global_entries());
    let case = |name| Case { name, n, entries, bytes: 12.0 * entries as f64 + 4.0 * n as f64 };
    bench.case(&case(names[0]), write);
    bench.case(&case(names[1]), || drop(petsc::read_matrix::<f64>(&bench.comm, path).expect("was written")));
    remove(bench, path);
    Ok(())
}

/// Numbers of 16 or 17 digits, as programs write them.
fn text(bench: &Bench, path: &Path) -> Result<()> {
    let names = ["j.mtx.write_fsync", "j.mtx.read_cached"];
    if !names.iter().any(|name| bench.wants(name)) {
        return Ok(());
    }
    let rows = build(bench, Problem::Seven, 64)?;
    let a = CsrMatrix::from_rows(rows.range(), rows.domain(), |i, entries| {
        let row = rows.row(i).expect("an own row");
        row.entries().for_each(|(column, value)| entries.push(column, value / (3.0 + (i + column) as f64)));
    })?;
    let write = || matrix_market::write_matrix(path, &a, Symmetry::General).expect("the disk has room");
    write();
    let bytes = path.metadata().map_or(0, |metadata| metadata.len()) as f64;
    let (n, entries) = (a.range().global_len(), a.global_entries());
    let case = |name| Case { name, n, entries, bytes };
    bench.case(&case(names[0]), write);
    bench.case(&case(names[1]), || drop(matrix_market::read_matrix::<f64>(&bench.comm, path).expect("was written")));
    if bench.wants(names[1]) {
        scipy(bench, &case(names[1]), path);
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
