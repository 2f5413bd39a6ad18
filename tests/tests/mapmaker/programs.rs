//! The `mapmaker` program under the launcher: bad input, and a rank that dies.

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

/// Changes one sample of the signal to NaN, in the file: f32 of all detectors, one after the
/// other, at the end of the dataset that starts where the first detector's first value is found.
fn poison(path: &Path, from: &Path) -> TestResult {
    let script = "import h5py, sys\n\
        with h5py.File(sys.argv[1], 'r+') as f: f['observations/scan/signal'][2, 1234] = float('nan')";
    fs::copy(from, path)?;
    python(script, path)
}

fn python(script: &str, path: &Path) -> TestResult {
    let status = std::process::Command::new("/usr/bin/python3").arg("-c").arg(script).arg(path).status()?;
    assert!(status.success(), "python3 with h5py changes {}", path.display());
    Ok(())
}

pub fn bad_input() -> TestResult {
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

    poison(&folder.join("nan.h5"), &tod)?;
    let place = "observations/scan/signal[2, 1234]";
    refused(folder, &["run", "good.toml", "--tod", "nan.h5"], &["nan.h5", place, "NaN"])?;
    fs::copy(&tod, folder.join("lost.h5"))?;
    python(
        "import h5py, sys\nwith h5py.File(sys.argv[1], 'r+') as f: del f['observations/scan/signal']",
        &folder.join("lost.h5"),
    )?;
    refused(folder, &["run", "good.toml", "--tod", "lost.h5"], &["lost.h5", "observations/scan/signal", "exist"])?;
    fs::copy(&tod, folder.join("turn.h5"))?;
    python(
        "import h5py, sys\nwith h5py.File(sys.argv[1], 'r+') as f: f['observations/scan/boresight'][77] = 0.3",
        &folder.join("turn.h5"),
    )?;
    refused(folder, &["run", "good.toml", "--tod", "turn.h5"], &["boresight[77]", "unit quaternion"])?;

    config("nside.toml", &CONFIG.replace("nside = 8 }\n    destripe", "nside = 12 }\n    destripe"))?;
    refused(folder, &["run", "nside.toml"], &["nside.toml", "12", "power of two"])?;
    config("typo.toml", &CONFIG.replace("baseline", "baselin"))?;
    refused(folder, &["run", "typo.toml"], &["typo.toml:4", "baselin", "did you mean \"baseline\"?"])?;
    refused(folder, &["run", "missing.toml"], &["missing.toml", "No such file"])?;

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

/// Killing one rank ends all processes of the job soon.
pub fn killed_rank() -> TestResult {
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
    assert!(killed.elapsed() < Duration::from_secs(10), "ended after {:?}", killed.elapsed());
    assert!(!output.timed_out && !output.status.success());
    for process in processes {
        assert!(!Path::new(&format!("/proc/{process}/stat")).exists(), "process {process} is left");
    }
    assert!(!folder.path().join("tod.h5").exists(), "no half-written file under the final name");
    Ok(())
}
