//! The `mapmaker` program under the launcher: odd input, its files as others read them, and a rank
//! that dies.

use std::env;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use dolmen_tests::{Mpirun, TestResult, binary, interpreter};

use crate::common::{CONFIG, mapmaker};

/// A copy of `from` in which Python has changed something of the open file `f`.
pub(crate) fn damage(from: &Path, name: &str, change: &str) -> TestResult {
    let path = from.with_file_name(name);
    fs::copy(from, &path)?;
    python(&format!("import h5py, sys\nwith h5py.File(sys.argv[1], 'r+') as f:\n    {change}"), &path)
}

pub(crate) fn python(script: &str, path: &Path) -> TestResult {
    let output = interpreter().arg("-c").arg(script).arg(path).output()?;
    assert!(output.status.success(), "python3: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Odd inputs that are accepted: a baseline longer than the observation, attitudes and signals that are
/// missing where all is flagged, more ranks than baselines.
pub(crate) fn odd_input() -> TestResult {
    let temporary = tempfile::tempdir()?;
    let folder = temporary.path();
    fs::write(folder.join("odd.toml"), CONFIG.replace("baseline = 20.0", "baseline = 1e30"))?;
    let made = mapmaker(1, folder, &["simulate", "odd.toml"])?;
    assert!(made.status.success(), "{}", made.stderr);
    let tod = folder.join("tod.h5");
    let change = "b = f['observations/scan/boresight']; b[50:60] = float('nan'); \
                  f['observations/scan/signal'][:, 50:60] = float('nan'); \
                  g = __import__('numpy').zeros(3600, 'u1'); g[50:60] = 1; f['observations/scan/flags'] = g";
    damage(&tod, "gap.h5", change)?;
    for ranks in [1, 10] {
        let output = mapmaker(ranks, folder, &["run", "odd.toml", "--tod", "gap.h5"])?;
        assert!(output.status.success(), "{ranks} ranks: {}", output.stderr);
    }
    Ok(())
}

/// Every column of every map as healpy and as astropy read it, in either ordering, any warning an
/// error.
pub(crate) fn healpy() -> TestResult {
    const COMPARE: &str = "
import sys, warnings, glob
warnings.simplefilter('error')
import healpy, numpy
from astropy.io import fits
paths = sorted(glob.glob(sys.argv[1] + '/*.fits'))
assert len(paths) == 5, paths
for path in paths:
    table = fits.open(path)[1]
    nest = table.header['ORDERING'] == 'NESTED'
    for i, name in enumerate(table.columns.names):
        read = healpy.read_map(path, field=i, nest=nest, dtype=None)
        assert numpy.array_equal(read, table.data[name].ravel()), (path, name)
        assert len(read) == 12*8**2 and numpy.isfinite(read).all()
binned = healpy.read_map(sys.argv[1] + '/map_binned.fits', field=(0, 1, 2))
assert (binned != healpy.UNSEEN).mean() > 0.5
assert fits.getheader(sys.argv[1] + '/map_binned.fits', 1)['POLCCONV'] == 'COSMO'
";
    let temporary = tempfile::tempdir()?;
    let folder = temporary.path();
    fs::write(folder.join("ring.toml"), CONFIG)?;
    fs::write(
        folder.join("nested.toml"),
        CONFIG.replace("nside = 8 }\n    destripe", "nside = 8, ordering = 'nested' }\n    destripe"),
    )?;
    let made = mapmaker(1, folder, &["simulate", "ring.toml"])?;
    assert!(made.status.success(), "{}", made.stderr);
    for config in ["ring.toml", "nested.toml"] {
        let made = mapmaker(2, folder, &["run", config])?;
        assert!(made.status.success(), "{}", made.stderr);
        assert!(made.stdout.contains("relative residual") && made.stdout.contains("report.html"), "{}", made.stdout);
        python(COMPARE, &folder.join("out"))?;
    }
    // Without destriping, nothing of an earlier run stays that this one did not make, nor of one that
    // was killed.
    let half_written = ["map_destriped.fits.tmp", "baselines.h5.tmp", "residual_binned_Q.png.tmp", "report.html.tmp"];
    for name in half_written {
        fs::write(folder.join("out").join(name), "half")?;
    }
    fs::write(folder.join("binned.toml"), CONFIG.replace("baseline = 20.0", "enabled = false"))?;
    let made = mapmaker(2, folder, &["run", "binned.toml"])?;
    assert!(made.status.success(), "{}", made.stderr);
    for gone in ["map_destriped.fits", "destriped_I.png", "baselines.h5"] {
        assert!(!folder.join("out").join(gone).exists(), "{gone} is of an earlier run");
    }
    for entry in fs::read_dir(folder.join("out"))? {
        let name = entry?.file_name();
        assert!(!name.to_string_lossy().ends_with(".tmp"), "{name:?} is left");
    }
    Ok(())
}

/// Killing one rank ends all processes of the job soon. What they leave is removed by the next.
pub(crate) fn killed_rank() -> TestResult {
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("long.toml"), CONFIG.replace("hours = 0.2", "hours = 2000"))?;
    let job = Mpirun::new(3)
        .program(binary("mapmaker")?)
        .args(["simulate", "long.toml"])
        .current_dir(folder.path())
        .deadline(Duration::from_secs(60))
        .spawn()?;
    job.wait_for_ranks()?;
    job.wait_for_file(&folder.path().join("tod.h5.tmp"))?;
    let processes = job.processes();
    assert!(processes.len() >= 4, "launcher and ranks: {processes:?}");
    let killed = Instant::now();
    job.signal_rank(1, libc::SIGKILL)?;
    let output = job.wait()?;
    assert!(killed.elapsed() < Duration::from_secs(45), "the job ended after {:?}", killed.elapsed());
    assert!(!output.timed_out && !output.status.success());
    let left = || processes.iter().find(|process| Path::new(&format!("/proc/{process}/exe")).read_link().is_ok());
    while let Some(process) = left() {
        assert!(killed.elapsed() < Duration::from_secs(45), "process {process} is left");
        std::thread::sleep(Duration::from_millis(20));
    }
    let exists = |name: &str| folder.path().join(name).exists();
    assert!(!exists("tod.h5") && exists("tod.h5.tmp"), "what is half-written has another name");
    fs::write(folder.path().join("short.toml"), CONFIG)?;
    let made = mapmaker(2, folder.path(), &["simulate", "short.toml"])?;
    assert!(made.status.success(), "{}", made.stderr);
    assert!(exists("tod.h5") && !exists("tod.h5.tmp"), "the next simulation replaces it");
    Ok(())
}

pub(crate) fn is_beside() -> TestResult {
    let path = binary("mapmaker")?;
    assert!(path.is_file(), "{}", path.display());
    assert_eq!(path.parent(), env::current_exe()?.parent().and_then(Path::parent));
    Ok(())
}
