//! Files that somebody else has made: timelines that lie in other files, and a configuration without end.

use std::fs;
use std::path::Path;

use dolmen_tests::{Mpirun, TestResult, binary, python_here};

use crate::common::{CONFIG, mapmaker, only_error};

/// Timelines whose signal lies elsewhere, in each way that HDF5 has; beside the good ones.
const OUTSIDE: &str = "
import h5py, os, shutil, sys
good = sys.argv[1]
folder = os.path.dirname(good)
for name in ['raw', 'virtual', 'link']:
    path = os.path.join(folder, name + '.h5')
    shutil.copy(good, path)
    with h5py.File(path, 'r+') as f:
        scan = f['observations/scan']
        signal = scan['signal'][()]
        del scan['signal']
        if name == 'raw':
            signal.tofile(os.path.join(folder, 'signal.raw'))
            raw = [(os.path.join(folder, 'signal.raw'), 0, signal.nbytes)]
            scan.create_dataset('signal', signal.shape, signal.dtype, external=raw)
        elif name == 'virtual':
            layout = h5py.VirtualLayout(signal.shape, signal.dtype)
            layout[:] = h5py.VirtualSource('tod.h5', 'observations/scan/signal', signal.shape)
            scan.create_virtual_dataset('signal', layout)
        else:
            del f['observations']
            f['observations'] = h5py.ExternalLink('tod.h5', '/observations')
";

/// A map without the lines that name its input; nothing if there is none.
fn cards(map: &Path) -> Vec<[u8; 80]> {
    let bytes = fs::read(map).unwrap_or_default();
    bytes.as_chunks().0.iter().filter(|card| !card.starts_with(b"HISTORY")).copied().collect()
}

pub(crate) fn timelines_in_other_files() -> TestResult {
    let temporary = tempfile::tempdir()?;
    let folder = temporary.path();
    fs::write(folder.join("good.toml"), CONFIG)?;
    let made = mapmaker(1, folder, &["simulate", "good.toml"])?;
    assert!(made.status.success(), "{}", made.stderr);
    if !python_here("h5py", OUTSIDE, &[&folder.join("tod.h5")])? {
        return Ok(());
    }
    let map = |ranks, tod: &str, options: &[&str]| {
        mapmaker(ranks, folder, &[&["run", "good.toml", "--tod", tod], options].concat())
    };
    let maps = || ["map_destriped.fits", "hits.fits"].map(|name| cards(&folder.join("out").join(name)));
    let made = map(2, "tod.h5", &[])?;
    assert!(made.status.success(), "{}", made.stderr);
    let expected = maps();
    assert!(expected.iter().all(|cards| cards.len() > 100));
    for (ranks, name, file) in [(1, "raw", "signal.raw"), (3, "virtual", "tod.h5"), (2, "link", "tod.h5")] {
        let tod = format!("{name}.h5");
        fs::remove_dir_all(folder.join("out"))?;
        let error = only_error(&map(ranks, &tod, &[])?)?;
        assert!(error.contains(&format!("{tod}: ")) && error.contains("another file, "), "{error}");
        assert!(error.contains(&format!("{file}; ")) && error.contains("--allow-external"), "{error}");
        assert!(maps().iter().all(Vec::is_empty), "{name}: maps of what was refused");
        let made = map(ranks, &tod, &["--allow-external"])?;
        assert!(made.status.success(), "{name}: {}", made.stderr);
        assert!(maps() == expected, "{name}: other maps");
    }
    // A checkpoint would not notice that the other file changes.
    let error = only_error(&map(2, "virtual.h5", &["--allow-external", "--checkpoint", "saved"])?)?;
    assert!(error.contains("lies in another file, whose changes a checkpoint would not notice"), "{error}");
    Ok(())
}

/// Runs with memory for a small map, which a file that is read whole would exceed.
fn with_little_memory(ranks: usize, folder: &Path, args: &[&str]) -> TestResult<String> {
    let limited = ["-c", "ulimit -v 2000000; exec \"$@\"", "sh"];
    let job = Mpirun::new(ranks).program("/bin/sh").args(limited).args([binary("mapmaker")?]).args(args);
    only_error(&job.current_dir(folder).run()?)
}

pub(crate) fn large_configuration() -> TestResult {
    let temporary = tempfile::tempdir()?;
    let folder = temporary.path();
    fs::write(folder.join("large.toml"), "x = [1, 2, 3, 4]\n".repeat((40 << 20) / 17))?;
    for (ranks, command, config, expected) in [
        (3, "run", "large.toml", "large.toml: is larger than 1048576 bytes"),
        (1, "simulate", "large.toml", "large.toml: is larger than 1048576 bytes"),
        (1, "run", "/dev/urandom", "/dev/urandom: is not a regular file"),
    ] {
        let error = with_little_memory(ranks, folder, &[command, config])?;
        assert!(error.contains(expected), "{error}");
    }
    Ok(())
}
