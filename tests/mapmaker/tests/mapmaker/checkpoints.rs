//! Maps of runs that were stopped and went on.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dolmen_tests::{Job, Mpirun, TestResult, binary};

use crate::common::{CONFIG, mapmaker, only_error};

/// Exit code of a run that was stopped.
const STOPPED: i32 = 75;

/// Many short baselines, so that the solve takes a while.
const LONG: &str = "baseline = 2.0, tolerance = 1e-11, prior = false";
/// A few iterations, each of which can be saved.
const SHORT: &str = "baseline = 20.0, tolerance = 1e-6";

/// Simulates, and makes the maps that are compared with.
pub(crate) fn prepare(folder: &Path, destripe: &str) -> TestResult {
    fs::write(folder.join("case.toml"), CONFIG.replace("baseline = 20.0", destripe))?;
    let made = mapmaker(1, folder, &["simulate", "case.toml"])?;
    assert!(made.status.success(), "{}", made.stderr);
    let made = mapmaker(2, folder, &["run", "case.toml", "--output", "undisturbed"])?;
    assert!(made.status.success(), "{}", made.stderr);
    Ok(())
}

fn start(ranks: usize, folder: &Path, args: &[&str]) -> TestResult<Job> {
    let job = Mpirun::new(ranks).program(binary("mapmaker")?).args(["run", "case.toml"]).args(args);
    Ok(job.current_dir(folder).deadline(Duration::from_secs(60)).spawn()?)
}

fn checkpoints(folder: &Path) -> TestResult<Vec<PathBuf>> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<TestResult<_>>()?;
    found.retain(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("checkpoint-")));
    found.sort();
    Ok(found)
}

/// Every map and the offsets have the bytes of the undisturbed run.
pub(crate) fn assert_undisturbed(folder: &Path, output: &str) -> TestResult {
    for name in ["map_binned.fits", "map_destriped.fits", "hits.fits", "rcond.fits", "covariance.fits", "baselines.h5"]
    {
        let (found, expected) =
            (fs::read(folder.join(output).join(name))?, fs::read(folder.join("undisturbed").join(name))?);
        assert!(found == expected, "{output}/{name} has other bytes");
    }
    Ok(())
}

/// Stopped on three ranks by SIGTERM to one of them; goes on elsewhere.
pub(crate) fn stopped_and_resumed() -> TestResult {
    let temporary = tempfile::tempdir()?;
    let folder = temporary.path();
    prepare(folder, LONG)?;
    let args = ["--checkpoint", "saved", "--output", "stopped"];
    // Signals are heard from the moment at which the folder is there.
    let job = start(3, folder, &args)?;
    job.wait_for_file(&folder.join("saved"))?;
    job.signal_rank(0, libc::SIGTERM)?;
    let output = job.wait()?;
    assert_eq!(output.status.code(), Some(STOPPED), "{}{}", output.stdout, output.stderr);
    assert!(output.stdout.contains("stopped as requested") && output.stdout.contains("--resume"), "{}", output.stdout);
    assert!(!folder.join("stopped/map_destriped.fits").exists());
    assert_eq!(checkpoints(&folder.join("saved"))?.len(), 1);

    // Stopped again, after many checkpoints.
    let job = start(2, folder, &[&args[..], &["--resume", "--checkpoint-every", "0s"]].concat())?;
    job.wait_for_file(&folder.join("saved/checkpoint-00000005.h5"))?;
    job.signal_rank(1, libc::SIGTERM)?;
    let output = job.wait()?;
    assert_eq!(output.status.code(), Some(STOPPED), "{}{}", output.stdout, output.stderr);
    assert!(output.stdout.contains("resuming from saved/checkpoint-00000001.h5 after iteration"), "{}", output.stdout);
    let left = checkpoints(&folder.join("saved"))?;
    assert_eq!(left.len(), 2, "the last two are kept: {left:?}");

    // The newest is damaged: the one before serves as well.
    let mut bytes = fs::read(&left[1])?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&left[1], bytes)?;
    for (ranks, name) in [(1, "one"), (4, "four")] {
        let args = ["run", "case.toml", "--checkpoint", "saved", "--resume", "--output", name];
        let output = mapmaker(ranks, folder, &args)?;
        assert!(output.status.success(), "{}", output.stderr);
        let newest = left[1].file_name().unwrap_or_default().display().to_string();
        let older = left[0].file_name().unwrap_or_default().display().to_string();
        assert!(output.stdout.contains(&format!("skipped saved/{newest}, which is damaged")), "{}", output.stdout);
        assert!(output.stdout.contains(&format!("resuming from saved/{older}")), "{}", output.stdout);
        assert_undisturbed(folder, name)?;
    }
    Ok(())
}

/// SIGUSR1 saves and changes nothing; nor do checkpoints at every iteration.
pub(crate) fn saved_on_the_way() -> TestResult {
    let temporary = tempfile::tempdir()?;
    let folder = temporary.path();
    prepare(folder, SHORT)?;
    let job = start(2, folder, &["--checkpoint", "saved", "--checkpoint-every", "2h", "--output", "signaled"])?;
    job.wait_for_file(&folder.join("saved"))?;
    job.signal_rank(0, libc::SIGUSR1)?;
    let output = job.wait()?;
    assert!(output.status.success(), "{}{}", output.stdout, output.stderr);
    assert_eq!(checkpoints(&folder.join("saved"))?.len(), 1, "once for one signal");
    assert_undisturbed(folder, "signaled")?;
    let args = ["--checkpoint", "often", "--checkpoint-every", "0s", "--resume", "--output", "often maps"];
    let output = start(3, folder, &args)?.wait()?;
    assert!(output.status.success(), "{}{}", output.stdout, output.stderr);
    assert!(output.stdout.contains("no checkpoint in often: starting from the beginning"), "{}", output.stdout);
    assert_undisturbed(folder, "often maps")?;
    assert_eq!(checkpoints(&folder.join("often"))?.len(), 2);
    Ok(())
}

/// A run that ended at its limit of iterations can resume with a larger one.
pub(crate) fn ended_at_its_limit() -> TestResult {
    let temporary = tempfile::tempdir()?;
    let folder = temporary.path();
    prepare(folder, SHORT)?;
    let config = fs::read_to_string(folder.join("case.toml"))?;
    fs::write(folder.join("short.toml"), config.replace("tolerance", "max_iterations = 3, tolerance"))?;
    let error = only_error(&mapmaker(2, folder, &["run", "short.toml", "--checkpoint", "saved"])?)?;
    let advice = "; to continue from saved/checkpoint-00000001.h5, raise destripe.max_iterations and add --resume";
    assert!(error.contains("3 iterations") && error.ends_with(advice), "{error}");
    let args = ["run", "case.toml", "--checkpoint", "saved", "--resume", "--output", "resumed"];
    let output = mapmaker(3, folder, &args)?;
    assert!(output.stdout.contains("checkpoint-00000001.h5 after iteration 3"), "{}{}", output.stdout, output.stderr);
    assert_undisturbed(folder, "resumed")
}

/// Checkpoints of other settings or input, and options that do not go together.
pub(crate) fn refused() -> TestResult {
    let temporary = tempfile::tempdir()?;
    let folder = temporary.path();
    prepare(folder, SHORT)?;
    let options = ["--checkpoint", "saved", "--resume", "--checkpoint-every", "0s"];
    let run = |config: &str| mapmaker(2, folder, &[&["run", config], &options[..]].concat());
    let first = run("case.toml")?;
    assert!(first.status.success(), "{}{}", first.stdout, first.stderr);
    let config = fs::read_to_string(folder.join("case.toml"))?;
    // Neither the folder of the results nor a higher limit decide about the bits.
    fs::write(folder.join("more.toml"), config.replace("tolerance", "max_iterations = 2000, tolerance"))?;
    assert!(run("more.toml")?.status.success());
    let error = only_error(&mapmaker(2, folder, &["run", "case.toml", "--checkpoint", "saved"])?)?;
    assert!(error.contains("saved: holds checkpoints of an earlier run; add --resume"), "{error}");
    fs::write(folder.join("other.toml"), config.replace("1e-6", "1e-5"))?;
    let error = only_error(&run("other.toml")?)?;
    assert!(error.contains("checkpoint-") && error.contains("another configuration"), "{error}");
    assert!(error.contains("tolerance: 1e-6") && error.contains("tolerance: 1e-5"), "{error}");
    let made = mapmaker(1, folder, &["simulate", "case.toml", "--output", "other.h5"])?;
    assert!(made.status.success(), "{}", made.stderr);
    fs::write(folder.join("noisier.toml"), config.replace("hours = 0.2", "hours = 0.2, net = 200e-6"))?;
    let made = mapmaker(1, folder, &["simulate", "noisier.toml"])?;
    assert!(made.status.success(), "{}", made.stderr);
    let error = only_error(&run("case.toml")?)?;
    assert!(error.contains("timelines CRC32"), "{error}");
    for file in checkpoints(&folder.join("saved"))? {
        fs::write(file, "no checkpoint")?;
    }
    let error = only_error(&run("case.toml")?)?;
    assert!(error.contains("saved: no checkpoint is valid: checkpoint-"), "{error}");
    for (args, expected) in [
        (&["--resume"][..], "--checkpoint <DIR>"),
        (&["--checkpoint-every", "5m"], "--checkpoint <DIR>"),
        (&["--checkpoint", "saved", "--checkpoint-every", "5"], "expected a number followed by s, m or h"),
    ] {
        let output = mapmaker(1, folder, &[&["run", "case.toml"], args].concat())?;
        assert_eq!(output.status.code(), Some(2));
        assert!(output.stderr.contains(expected), "{}", output.stderr);
    }
    Ok(())
}
