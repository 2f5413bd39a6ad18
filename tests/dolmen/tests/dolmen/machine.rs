//! `dolmen check` and `dolmen convert`.

use dolmen_tests::TestResult;

use crate::{dolmen, matrix};

pub(crate) fn check() -> TestResult {
    let folder = tempfile::tempdir()?;
    for ranks in [1, 2] {
        let output = dolmen(ranks, folder.path(), &["check"])?;
        assert!(output.status.success(), "{output:?}");
        let lines: Vec<&str> = output.stdout.lines().collect();
        assert_eq!(lines.last(), Some(&"OK."), "{output:?}");
        for name in ["ranks", "MPI", "HDF5", "BLAS", "vector instructions", "Python module"] {
            assert_eq!(lines.iter().filter(|line| line.starts_with(name)).count(), 1, "{name}: {output:?}");
        }
        assert!(output.stdout.contains("MPI_THREAD_"), "{output:?}");
        assert_eq!(std::fs::read_dir(folder.path())?.count(), 0, "a trial file is left");
    }
    // Problems are named, each with its way out, and the exit code says that there are some.
    let output = dolmen(2, folder.path(), &["check", "--folder", "missing"])?;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let last = output.stdout.lines().last().unwrap_or_default();
    assert!(last.starts_with("problem: HDF5: ") && last.contains("missing"), "{output:?}");
    Ok(())
}

pub(crate) fn convert() -> TestResult {
    let folder = tempfile::tempdir()?;
    let entries = [(1, 1, 0.1), (1, 4, -2.5e-7), (2, 2, 3.0), (3, 1, 1.0 / 3.0), (5, 4, f64::MAX)];
    matrix(folder.path(), "a.mtx", "general", [5, 4], &entries)?;
    std::fs::write(folder.path().join("v.mtx"), "%%MatrixMarket matrix array real general\n3 1\n0.1\n-2\n1e-300\n")?;
    // Through every format and back: the text that our own writer makes is the same in the end.
    for chain in [["a.mtx", "a.petsc", "b.npz", "c.mtx.gz", "d.mtx"], ["v.mtx", "v.petsc", "w.mtx", "w.petsc", "x.mtx"]]
    {
        for (ranks, pair) in [3, 1, 2, 3].into_iter().zip(chain.windows(2)) {
            let output = dolmen(ranks, folder.path(), &["convert", pair[0], pair[1]])?;
            assert!(output.status.success() && output.stdout.starts_with(pair[1]), "{output:?}");
        }
        let once = folder.path().join("once.mtx");
        let output = dolmen(1, folder.path(), &["convert", chain[0], "once.mtx"])?;
        assert!(output.status.success(), "{output:?}");
        assert_eq!(std::fs::read(once)?, std::fs::read(folder.path().join(chain[4]))?, "{chain:?}");
    }
    for (arguments, words) in [(["a.mtx", "a.xyz"], "no known extension"), (["v.mtx", "v.npz"], "hold sparse matrices")]
    {
        let output = dolmen(2, folder.path(), &[&["convert"], &arguments[..]].concat())?;
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(output.stderr.contains(words), "{output:?}");
        assert!(!folder.path().join(arguments[1]).exists());
    }
    Ok(())
}
