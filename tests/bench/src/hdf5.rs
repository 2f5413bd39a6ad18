//! Writing and reading files, to disk and back: a checkpoint, a vector and a matrix in HDF5, and the raw
//! rate of the same bytes. The peers' cases of the same names do the same work.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use dolmen_core::{CsrMatrix, Layout, LinearOperator, Snapshot, Vector};
use dolmen_io::checkpoint::{Checkpoint, CheckpointStore};
use dolmen_io::hdf5::{self, H5File};

use crate::matrices::build;
use crate::measure::{Bench, Case};
use crate::problems::Problem;

/// Entries of the vector: 800 MB.
const LEN: u64 = 100_000_000;
/// Bytes of one write or read of the raw cases.
const PIECE: usize = 8 << 20;

type Result<T = ()> = std::result::Result<T, dolmen_io::Error>;

pub(crate) fn run(bench: &Bench) -> Result {
    if !bench.wants_any("j.") {
        return Ok(());
    }
    let folder = bench.folder().join("dolmen");
    bench.comm.agree(fs::create_dir_all(&folder))?;
    let layout = Layout::uniform(&bench.comm, LEN);
    if ["j.raw", "j.checkpoint", "j.vec_hdf5"].iter().any(|group| bench.wants_any(group)) {
        let x = Vector::from_fn(&layout, |row| 1.0 + (row % 13) as f64 / 16.0);
        raw(bench, &folder.join("raw.dat"), &x)?;
        checkpoint(bench, &folder.join("checkpoints"), &x)?;
        vector(bench, &folder.join("vector.h5"), &x)?;
    }
    if bench.wants_any("j.mat_hdf5") {
        matrix(bench, &folder.join("matrix.h5"), &build(bench, Problem::Seven, 128)?)?;
    }
    bench.comm.barrier();
    let removed = if bench.comm.rank() == 0 { fs::remove_dir_all(&folder) } else { Ok(()) };
    bench.comm.agree(removed)?;
    Ok(())
}

/// The three cases of a kind of file: written and synced, read from disk, read from memory.
pub(crate) fn cases(
    bench: &Bench,
    kind: &str,
    size: (u64, u64, f64),
    file: impl Fn() -> PathBuf,
    mut write: impl FnMut() -> Result,
    mut read: impl FnMut() -> Result,
) -> Result {
    let (n, entries, bytes) = size;
    let names = ["write_fsync", "read_cold", "read_cached"].map(|work| format!("j.{kind}.{work}"));
    if !names.iter().any(|name| bench.wants(name)) {
        return Ok(());
    }
    let case = |name| Case { name, n, entries, bytes };
    bench.few(&case(&names[0]), || {}, || write().expect("room on the disk"));
    write()?;
    let drop_cache = || {
        bench.comm.barrier();
        drop_from_memory(&file()).expect("a file to be read");
    };
    bench.few(&case(&names[1]), drop_cache, || read().expect("the file that was written"));
    bench.few(&case(&names[2]), || {}, || read().expect("the file that was written"));
    Ok(())
}

/// Lets the system forget the pages of a file, so that it comes from disk.
fn drop_from_memory(path: &Path) -> std::io::Result<()> {
    // The standard library cannot ask for it; `dd` can.
    let input = format!("if={}", path.display());
    let status = std::process::Command::new("dd").args([&input, "iflag=nocache", "count=0", "status=none"]).status()?;
    if status.success() { Ok(()) } else { Err(std::io::Error::other("dd failed")) }
}

fn raw(bench: &Bench, path: &Path, x: &Vector<f64>) -> Result {
    let io = |error| dolmen_io::Error::Io { path: path.to_owned(), action: "write or read".into(), source: error };
    let bytes: &[u8] = bytemuck::cast_slice(x.owned());
    let first = 8 * x.range().start;
    let write = || -> std::io::Result<()> {
        let file = File::options().create(true).truncate(false).write(true).open(path)?;
        for (number, piece) in bytes.chunks(PIECE).enumerate() {
            file.write_all_at(piece, first + (number * PIECE) as u64)?;
        }
        file.sync_all()
    };
    let mut buffer = vec![0; bytes.len()];
    let mut read = || -> std::io::Result<()> {
        let file = File::open(path)?;
        for (number, piece) in buffer.chunks_mut(PIECE).enumerate() {
            file.read_exact_at(piece, first + (number * PIECE) as u64)?;
        }
        Ok(())
    };
    let anew = || {
        bench.comm.barrier();
        if bench.comm.rank() == 0 {
            // Where it is not there yet, that is as good.
            let _ = fs::remove_file(path);
        }
        bench.comm.barrier();
        write().map_err(io)
    };
    cases(bench, "raw", (LEN, 0, 8.0 * LEN as f64), || path.to_owned(), anew, || read().map_err(io))
}

fn checkpoint(bench: &Bench, folder: &Path, x: &Vector<f64>) -> Result {
    let store = std::cell::RefCell::new(CheckpointStore::open(&bench.comm, folder)?.keep(1));
    let newest = std::cell::RefCell::new(PathBuf::new());
    let write = || -> Result {
        let saved = store.borrow_mut().save(&Checkpoint::new("bench").vector("x", x))?;
        *newest.borrow_mut() = saved.path;
        Ok(())
    };
    let read = || -> Result {
        let mut restored = store.borrow_mut().load()?.expect("a checkpoint was written");
        std::hint::black_box(restored.take_vector::<f64>("x", x.layout())?);
        Ok(())
    };
    let size = (LEN, 0, 8.0 * LEN as f64);
    cases(bench, "checkpoint", size, || newest.borrow().clone(), write, read)?;
    begin(bench, &mut store.borrow_mut(), x);
    Ok(())
}

/// Measures the time for which a solver waits if it is saved in the background.
fn begin(bench: &Bench, store: &mut CheckpointStore, x: &Vector<f64>) {
    let case = Case { name: "j.checkpoint.begin", n: LEN, entries: 0, bytes: 0.0 };
    let (store, given) = (std::cell::RefCell::new(store), std::cell::RefCell::new(None));
    let prepare = || {
        store.borrow_mut().complete().expect("room on the disk");
        let mut snapshot = Snapshot::new("bench");
        snapshot.set_vector("x", x.clone());
        *given.borrow_mut() = Some(snapshot);
    };
    let work = || {
        let snapshot = given.borrow_mut().take().expect("invariant: prepared");
        let checkpoint = Checkpoint::new("bench").give_snapshot("solver", snapshot);
        store.borrow_mut().begin(checkpoint).expect("room on the disk");
    };
    bench.few(&case, prepare, work);
    store.borrow_mut().complete().expect("room on the disk");
}

fn vector(bench: &Bench, path: &Path, x: &Vector<f64>) -> Result {
    let write = || -> Result {
        let file = H5File::create(&bench.comm, path)?;
        file.write_vector("x", x, &hdf5::Layout::Contiguous)?;
        file.close()
    };
    // The peers read into an array that is there, too.
    let mut to = Vector::<f64>::zeros(x.layout());
    let read = || -> Result {
        let file = H5File::open(&bench.comm, path)?;
        file.read_vector_into("x", &mut to)?;
        std::hint::black_box(&to);
        file.close()
    };
    cases(bench, "vec_hdf5_coll", (LEN, 0, 8.0 * LEN as f64), || path.to_owned(), write, read)
}

fn matrix(bench: &Bench, path: &Path, a: &CsrMatrix<f64>) -> Result {
    let write = || -> Result {
        let file = H5File::create(&bench.comm, path)?;
        file.write_matrix("A", a, &hdf5::Layout::Contiguous)?;
        file.close()
    };
    let read = || -> Result {
        let file = H5File::open(&bench.comm, path)?;
        std::hint::black_box(file.read_matrix::<f64>("A", a.range(), a.domain())?);
        file.close()
    };
    let (rows, entries) = (a.range().global_len(), a.global_entries());
    let bytes = 12.0 * entries as f64 + 4.0 * rows as f64;
    cases(bench, "mat_hdf5", (rows, entries, bytes), || path.to_owned(), write, read)
}
