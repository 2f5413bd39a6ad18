//! Saved states come back, and other programs can read them.

use std::fs;

use dolmen_core::random::Philox;
use dolmen_core::{Complex32, Complex64, Layout, Scalar, Snapshot, Vector};
use dolmen_io::checkpoint::{Checkpoint, CheckpointStore, Restored};
use dolmen_tests::{Comm, Folder, TestResult, python};

use crate::first_ranks;

/// More than two blocks of checksums for every scalar.
const LEN: u64 = 600_011;

pub(crate) fn vector<T: Scalar>(layout: &Layout, stream: u64) -> Vector<T> {
    let mut vector = Vector::zeros(layout);
    vector.fill_normal(&Philox::new(5), stream);
    vector
}

/// Most rows on the last rank, none on the first of several.
pub(crate) fn uneven(comm: &Comm, len: u64) -> TestResult<Layout> {
    let (rank, size) = (comm.rank() as u64, comm.size() as u64);
    let share = if size == 1 { len } else { len * 2 * rank / (size * (size - 1)) };
    let mut lengths = comm.all_gather(share);
    lengths[comm.size() - 1] += len - lengths.iter().sum::<u64>();
    Ok(Layout::from_local_len(comm, usize::try_from(lengths[comm.rank()])?)?)
}

fn same<T: Scalar>(restored: &mut Restored, name: &str, layout: &Layout, stream: u64) -> TestResult {
    let found: Vector<T> = restored.take_vector(name, layout)?.ok_or("no such vector")?;
    assert_eq!(found.layout(), layout);
    assert!(found.owned() == vector::<T>(layout, stream).owned(), "{name}");
    Ok(())
}

pub(crate) fn everything_comes_back(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let (layout, even) = (uneven(comm, LEN)?, Layout::uniform(comm, LEN));
    let (a, b) = (vector::<f64>(&layout, 0), vector::<f32>(&even, 1));
    let (c, d) = (vector::<Complex64>(&layout, 2), vector::<Complex32>(&even, 3));
    let empty = Vector::<f64>::zeros(&Layout::uniform(comm, 0));
    let mut snapshot = Snapshot::new("CG");
    snapshot.set_integer("iterations", 17);
    snapshot.set_reals("history", (0..20_000).map(f64::from).collect());
    snapshot.set_reals("none", Vec::new());
    snapshot.set_vector("x", vector::<f64>(&layout, 4));
    snapshot.set_vector("p 0", vector::<f64>(&Layout::uniform(comm, 7), 5));
    let odd = [-0.0, f64::NAN, f64::INFINITY, 5e-324];
    let mut store = CheckpointStore::open(comm, folder.path().join("new/folder"))?;
    assert!(store.load()?.is_none());
    let state = Checkpoint::new("süd = 1\nnorth = 2\n")
        .text("phase", "déjà vu")
        .integer("step", u64::MAX)
        .reals("odd", &odd)
        .vector("a", &a)
        .vector("b", &b)
        .vector("c", &c)
        .vector("d", &d)
        .vector("empty", &empty)
        .snapshot("solver", &snapshot);
    let saved = store.save(&state)?;
    assert_eq!((saved.generation, saved.bytes), (1, (8 + 4 + 16 + 8 + 8) * LEN + 56));

    let path = store.folder().to_owned();
    drop(store);
    let mut restored = CheckpointStore::open(comm, path)?.load()?.ok_or("no checkpoint")?;
    assert_eq!((restored.path(), restored.generation()), (saved.path.as_path(), 1));
    assert_eq!(restored.ranks(), comm.size() as u64);
    assert!(restored.time().elapsed()?.as_secs() < 60);
    restored.require_config("süd = 1\nnorth = 2")?;
    let error = restored.require_config("süd = 1\nnorth = 3").expect_err("another one").to_string();
    assert!(error.contains("it had \"north = 2\", now there is \"north = 3\""), "{error}");
    assert_eq!((restored.text("phase"), restored.integer("step")), (Some("déjà vu"), Some(u64::MAX)));
    let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    assert_eq!(restored.reals("odd").map(bits), Some(bits(&odd)));
    assert_eq!((restored.text("a"), restored.integer("a"), restored.reals("a")), (None, None, None));
    same::<f64>(&mut restored, "a", &even, 0)?;
    same::<f32>(&mut restored, "b", &layout, 1)?;
    same::<Complex64>(&mut restored, "c", &layout, 2)?;
    assert!(restored.take_vector::<f64>("c", &layout)?.is_none(), "taken once");
    let error = restored.take_vector::<Complex64>("d", &layout).expect_err("another type").to_string();
    assert!(error.contains("vector d has entries of type c32, expected c64"), "{error}");
    let error = restored.take_vector::<f64>("empty", &layout).expect_err("another length").to_string();
    assert!(error.contains("vector empty has 0 entries, expected 600011"), "{error}");

    let back: Snapshot<f64> = restored.take_snapshot("solver", &[&layout])?.ok_or("no snapshot")?;
    assert_eq!((back.method(), back.integer("iterations")), ("CG", Some(17)));
    assert_eq!(back.reals("history"), snapshot.reals("history"));
    assert_eq!(back.reals("none"), Some(&[] as &[f64]));
    for name in ["x", "p 0"] {
        let (found, expected) = (back.vector(name).ok_or("no x")?, snapshot.vector(name).ok_or("no x")?);
        assert_eq!(found.layout(), expected.layout());
        assert_eq!(found.owned(), expected.owned());
    }
    assert!(restored.take_snapshot::<f64>("solver", &[])?.is_none());
    folder.remove(comm);
    Ok(())
}

pub(crate) fn h5py_reads_checkpoints(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let layout = Layout::uniform(comm, LEN);
    let real = Vector::from_fn(&layout, |row| row as f64);
    let complex = Vector::from_fn(&layout, |row| Complex32::new(1.0, (row % 100) as f32));
    let mut store = CheckpointStore::open(comm, folder.path())?;
    let saved =
        store.save(&Checkpoint::new("key = 1").integer("step", 3).vector("real", &real).vector("z", &complex))?;
    let script = "
import sys, numpy, h5py
with h5py.File(sys.argv[1], 'r') as f:
    assert f.attrs['format'] == 'dolmen-checkpoint' and f.attrs['version'] == 1 and f.attrs['dolmen_schema'] == 1
    assert f.attrs['config'] == 'key = 1' and f['state/integers'].attrs['step'] == 3
    n = numpy.arange(600011)
    assert numpy.array_equal(f['state/vectors/real'][:], n)
    z = f['state/vectors/z'][:]
    assert z.dtype == numpy.complex64 and numpy.array_equal(z, 1 + 1j * (n % 100))
    assert f['checksums/state/vectors/real'].shape == (5,)
";
    python(comm, "h5py", script, &saved.path)?;
    folder.remove(comm);
    Ok(())
}

/// All bytes but the time and the number of ranks are the same.
pub(crate) fn files_do_not_depend_on_the_ranks(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let mut files = Vec::new();
    for ranks in 1..=4 {
        let path = folder.path().join(ranks.to_string());
        if let Some(part) = first_ranks(comm, ranks)? {
            let vector = vector::<f64>(&uneven(&part, LEN)?, 1);
            CheckpointStore::open(&part, &path)?.save(&Checkpoint::new("").vector("x", &vector))?;
        }
        comm.barrier();
        let script_free = fs::read(path.join("checkpoint-00000001.h5"))?;
        files.push(script_free);
    }
    for file in &files[1..] {
        let differing = file.iter().zip(&files[0]).filter(|(a, b)| a != b).count();
        // The time (8 bytes), the ranks (1) and the two checksums of the trailer (8).
        assert!(file.len() == files[0].len() && differing <= 17, "{differing} bytes differ");
    }
    folder.remove(comm);
    Ok(())
}

fn names(comm: &Comm, folder: &Folder) -> TestResult<Vec<String>> {
    comm.barrier();
    let mut names = Vec::new();
    for entry in fs::read_dir(folder.path())? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.retain(|name| name != ".lock");
    names.sort();
    comm.barrier();
    Ok(names)
}

pub(crate) fn the_last_ones_are_kept(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let others = ["notes.txt", "checkpoint-x.h5", "checkpoint-00000009.h5.tmp"];
    if comm.rank() == 0 {
        others.iter().try_for_each(|name| fs::write(folder.path().join(name), "else"))?;
    }
    comm.barrier();
    let mut store = CheckpointStore::open(comm, folder.path())?;
    let file = |generation: u64| format!("checkpoint-{generation:08}.h5");
    let kept = |generations: &[u64]| -> Vec<String> {
        let mut names: Vec<String> = generations.iter().map(|&generation| file(generation)).collect();
        names.extend(["checkpoint-x.h5".to_owned(), "notes.txt".to_owned()]);
        names
    };
    for step in 1..=4 {
        assert_eq!(store.save(&Checkpoint::new("").integer("step", step))?.generation, step);
        assert_eq!(names(comm, &folder)?, kept(&[step.saturating_sub(1), step][usize::from(step == 1)..]));
    }
    drop(store);
    let mut store = CheckpointStore::open(comm, folder.path())?.keep(3);
    assert_eq!(store.save(&Checkpoint::new("").integer("step", 5))?.generation, 5);
    assert_eq!(names(comm, &folder)?, kept(&[3, 4, 5]));
    assert_eq!(store.load()?.and_then(|restored| restored.integer("step")), Some(5));
    folder.remove(comm);
    Ok(())
}

/// While a store lives no other gets its folder, nor removes what it writes.
pub(crate) fn one_run_at_a_time(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let store = CheckpointStore::open(comm, folder.path())?;
    let half = "checkpoint-00000001.h5.tmp".to_owned();
    comm.agree(if comm.rank() == 0 { fs::write(folder.path().join(&half), "half") } else { Ok(()) })?;
    let error = CheckpointStore::open(comm, folder.path()).expect_err("another store has it").to_string();
    assert!(error.contains("another run is using it"), "{error}");
    assert_eq!(names(comm, &folder)?, [half]);
    drop(store);
    let mut store = CheckpointStore::open(comm, folder.path())?;
    assert_eq!(names(comm, &folder)?, [""; 0]);
    assert!(store.is_empty()?);
    store.save(&Checkpoint::new(""))?;
    assert!(!store.is_empty()?);
    folder.remove(comm);
    Ok(())
}

pub(crate) fn bad_requests_are_named(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let mut store = CheckpointStore::open(comm, folder.path())?;
    for name in ["", ".", "a/b", "a\0b"] {
        let error = store.save(&Checkpoint::new("").integer(name, 1)).expect_err("no name").to_string();
        assert!(error.contains(&format!("{name:?} cannot be the name of a saved object")), "{error}");
    }
    let file = folder.path().join("file");
    comm.agree(if comm.rank() == 0 { fs::write(&file, "") } else { Ok(()) })?;
    let error = CheckpointStore::open(comm, &file).expect_err("no folder").to_string();
    assert!(error.contains("file: cannot use as folder of checkpoints"), "{error}");
    folder.remove(comm);
    Ok(())
}
