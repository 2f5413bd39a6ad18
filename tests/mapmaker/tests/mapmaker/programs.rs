//! The `mapmaker` program under the launcher: bad input, and a rank that dies.

use std::env;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use dolmen_tests::{Mpirun, Output, TestResult, binary};

const CONFIG: &str = "
    input.tod = 'tod.h5'
    map = { nside = 8 }
    destripe = { baseline = 20.0 }
    output.folder = 'out'
    simulate = { hours = 0.2, sample_rate = 5.0, interval = 0.1, sky_nside = 8 }";

fn mapmaker(ranks: usize, folder: &Path, args: &[&str]) -> TestResult<Output> {
    let job = Mpirun::new(ranks).program(binary("mapmaker")?).args(args).current_dir(folder);
    Ok(job.deadline(Duration::from_secs(60)).run()?)
}

/// Runs on one and on three ranks and checks for one and the same line with exit code 2, which
/// has all of `words` in it, and no output left behind.
fn refused(folder: &Path, args: &[&str], words: &[&str]) -> TestResult {
    let mut lines = Vec::new();
    for ranks in [1, 3] {
        let output = mapmaker(ranks, folder, args)?;
        assert_eq!(output.status.code(), Some(2), "{args:?} on {ranks} ranks: {}", output.stderr);
        let errors: Vec<String> =
            output.stderr.lines().filter(|line| line.starts_with("error: ")).map(str::to_owned).collect();
        assert_eq!(errors.len(), 1, "{args:?} on {ranks} ranks: {}", output.stderr);
        for word in words {
            assert!(errors[0].contains(word), "{:?} does not say {word:?}", errors[0]);
        }
        lines.extend(errors);
    }
    assert_eq!(lines[0], lines[1], "the same line on 1 and 3 ranks");
    let left: Vec<_> = fs::read_dir(folder.join("out")).into_iter().flatten().collect();
    assert!(left.is_empty(), "{args:?} left {left:?}");
    Ok(())
}

/// A copy of `from` in which Python has changed something of the open file `f`.
fn damage(from: &Path, name: &str, change: &str) -> TestResult {
    let path = from.with_file_name(name);
    fs::copy(from, &path)?;
    python(&format!("import h5py, sys\nwith h5py.File(sys.argv[1], 'r+') as f:\n    {change}"), &path)
}

fn python(script: &str, path: &Path) -> TestResult {
    let python = std::env::var_os("DOLMEN_PYTHON").unwrap_or_else(|| "/usr/bin/python3".into());
    let output = std::process::Command::new(python).arg("-c").arg(script).arg(path).output()?;
    assert!(output.status.success(), "python3: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

pub(crate) fn bad_input() -> TestResult {
    let temporary = tempfile::tempdir()?;
    let folder = temporary.path();
    let config = |name: &str, text: &str| fs::write(folder.join(name), text);
    config("good.toml", CONFIG)?;
    let made = mapmaker(2, folder, &["simulate", "good.toml"])?;
    assert!(made.status.success(), "{}", made.stderr);
    let tod = folder.join("tod.h5");

    let bytes = fs::read(&tod)?;
    fs::write(folder.join("cut.h5"), &bytes[..bytes.len() / 2])?;
    refused(folder, &["run", "good.toml", "--tod", "cut.h5"], &["cut.h5", "truncated"])?;
    refused(folder, &["run", "good.toml", "--tod", "none.h5"], &["none.h5", "No such file"])?;
    fs::write(folder.join("text.h5"), "not HDF5")?;
    refused(folder, &["run", "good.toml", "--tod", "text.h5"], &["text.h5", "HDF5"])?;

    damage(&tod, "nan.h5", "f['observations/scan/signal'][2, 1234] = float('nan')")?;
    let place = "observations/scan/signal[2, 1234]";
    refused(folder, &["run", "good.toml", "--tod", "nan.h5"], &["nan.h5", place, "NaN"])?;
    damage(&tod, "lost.h5", "del f['observations/scan/signal']")?;
    refused(folder, &["run", "good.toml", "--tod", "lost.h5"], &["lost.h5", "observations/scan/signal", "exist"])?;
    damage(&tod, "column.h5", "t = f['detectors'][()]; del f['detectors']; f['detectors'] = t[['name', 'fknee']]")?;
    refused(folder, &["run", "good.toml", "--tod", "column.h5"], &["column.h5", "detectors", "no column"])?;
    damage(&tod, "turn.h5", "f['observations/scan/boresight'][77] = 0.3")?;
    refused(folder, &["run", "good.toml", "--tod", "turn.h5"], &["boresight[77]", "unit quaternion"])?;
    damage(&tod, "version.h5", "f.attrs['version'] = 99")?;
    refused(folder, &["run", "good.toml", "--tod", "version.h5"], &["version", "99"])?;
    damage(&tod, "shape.h5", "f['observations/scan/detector_flags'] = __import__('numpy').zeros((5, 3600), 'u1')")?;
    refused(folder, &["run", "good.toml", "--tod", "shape.h5"], &["detector_flags", "[5, 3600]", "[4, 3600]"])?;
    damage(&tod, "huge.h5", "f['observations/scan/signal'][0, 7] = float('inf')")?;
    refused(folder, &["run", "good.toml", "--tod", "huge.h5"], &["signal[0, 7]", "inf"])?;
    damage(&tod, "net.h5", "t = f['detectors'][()]; t['net'][1] = -1; f['detectors'][...] = t")?;
    refused(folder, &["run", "good.toml", "--tod", "net.h5"], &["detectors[1].net", "-1"])?;
    damage(&tod, "flagged.h5", "f['observations/scan/flags'] = __import__('numpy').ones(3600, 'u1')")?;
    refused(folder, &["run", "good.toml", "--tod", "flagged.h5"], &["flagged.h5", "every sample is flagged"])?;

    config("nside.toml", &CONFIG.replace("nside = 8 }\n    destripe", "nside = 12 }\n    destripe"))?;
    refused(folder, &["run", "nside.toml"], &["nside.toml", "12", "power of two"])?;
    config("typo.toml", &CONFIG.replace("baseline", "baselin"))?;
    refused(folder, &["run", "typo.toml"], &["typo.toml:4", "baselin", "did you mean \"baseline\"?"])?;
    refused(folder, &["run", "missing.toml"], &["missing.toml", "No such file"])?;

    config("angle.toml", &CONFIG.replace("hours = 0.2", "hours = 0.2, opening_angle = nan"))?;
    refused(folder, &["simulate", "angle.toml", "--output", "new.h5"], &["simulate.opening_angle", "NaN"])?;
    config("endless.toml", &CONFIG.replace("hours = 0.2", "hours = 1e300"))?;
    refused(folder, &["simulate", "endless.toml", "--output", "new.h5"], &["simulate.hours", "samples"])?;
    refused(folder, &["simulate", "good.toml", "--sky", "tod_sky.fits"], &["tod_sky.fits", "another name"])?;
    assert!(!folder.join("new.h5").exists() && !folder.join("new.h5.tmp").exists());

    config("flat", "a file where a folder is wanted")?;
    refused(folder, &["run", "good.toml", "--output", "flat"], &["flat", "cannot be written"])?;
    refused(folder, &["run", "good.toml", "--output", "flat/out"], &["flat/out", "cannot be written"])?;
    config(
        "impossible.toml",
        &CONFIG.replace("nside = 8 }\n    destripe", "nside = 8, min_hits = 1000000 }\n    destripe"),
    )?;
    refused(folder, &["run", "impossible.toml"], &["no pixel can be solved"])?;
    Ok(())
}

/// What looks odd and is fine: a baseline longer than the observation, attitudes that are missing
/// where all is flagged, more ranks than baselines.
pub(crate) fn odd_input() -> TestResult {
    let temporary = tempfile::tempdir()?;
    let folder = temporary.path();
    fs::write(folder.join("odd.toml"), CONFIG.replace("baseline = 20.0", "baseline = 1e30"))?;
    let made = mapmaker(1, folder, &["simulate", "odd.toml"])?;
    assert!(made.status.success(), "{}", made.stderr);
    let tod = folder.join("tod.h5");
    let change = "b = f['observations/scan/boresight']; b[50:60] = float('nan'); \
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
        assert!(made.stdout.contains("residual history") && made.stdout.contains("report.html"), "{}", made.stdout);
        python(COMPARE, &folder.join("out"))?;
    }
    // Without destriping, nothing of an earlier run stays that this one did not make.
    fs::write(folder.join("binned.toml"), CONFIG.replace("baseline = 20.0", "enabled = false"))?;
    let made = mapmaker(2, folder, &["run", "binned.toml"])?;
    assert!(made.status.success(), "{}", made.stderr);
    for gone in ["map_destriped.fits", "destriped_I.png", "baselines.h5"] {
        assert!(!folder.join("out").join(gone).exists(), "{gone} is of an earlier run");
    }
    Ok(())
}

/// Killing one rank ends all processes of the job soon.
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
    let start = Instant::now();
    while !folder.path().join("tod.h5.tmp").exists() {
        assert!(start.elapsed() < Duration::from_secs(30), "the simulation starts: {}", job.stderr()?);
        std::thread::sleep(Duration::from_millis(20));
    }
    let processes = job.processes();
    assert!(processes.len() >= 4, "launcher and ranks: {processes:?}");
    let killed = Instant::now();
    job.signal_rank(1, libc::SIGKILL)?;
    let output = job.wait()?;
    assert!(killed.elapsed() < Duration::from_secs(10), "the job ended after {:?}", killed.elapsed());
    assert!(!output.timed_out && !output.status.success());
    let left = || processes.iter().find(|process| Path::new(&format!("/proc/{process}/exe")).read_link().is_ok());
    while let Some(process) = left() {
        assert!(killed.elapsed() < Duration::from_secs(10), "process {process} is left");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(!folder.path().join("tod.h5").exists(), "no half-written file under the final name");
    Ok(())
}

pub(crate) fn is_beside() -> TestResult {
    let path = binary("mapmaker")?;
    assert!(path.is_file(), "{}", path.display());
    assert_eq!(path.parent(), env::current_exe()?.parent().and_then(Path::parent));
    Ok(())
}
