//! `dolmen solve` stopped, and gone on with.

use std::fs;
use std::path::Path;
use std::time::Duration;

use dolmen_tests::{Job, Mpirun, TestResult, binary};
use tempfile::tempdir;

use crate::{dolmen, object, tridiagonal};

/// Exit code of a solve that was stopped.
const STOPPED: i32 = 75;
/// Thousands of iterations, the same on any number of ranks.
const SOLVE: [&str; 7] = ["solve", "a.mtx", "--solver", "cg", "--preconditioner", "jacobi", "--rtol=1e-12"];
const SAVE: [&str; 4] = ["--checkpoint", "saved", "--checkpoint-every", "0s"];

fn start(ranks: usize, folder: &Path, args: &[&str]) -> TestResult<Job> {
    let job = Mpirun::new(ranks).program(binary("dolmen")?).args(args).current_dir(folder);
    Ok(job.deadline(Duration::from_secs(60)).spawn()?)
}

/// The signal that stops a run if its launcher receives it: SIGTERM for MPICH's, SIGUSR2 for Open MPI's.
fn signal_of_launcher(job: &Job) -> TestResult<i32> {
    let program = fs::read_link(format!("/proc/{}/exe", job.launcher()))?;
    let hydra = program.file_name().is_some_and(|name| name.to_string_lossy().contains("hydra"));
    Ok(if hydra { libc::SIGTERM } else { libc::SIGUSR2 })
}

/// The checkpoints in a folder, in order.
fn names(folder: &Path) -> TestResult<Vec<String>> {
    let entries = fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let mut names: Vec<String> = entries.collect::<TestResult<_>>()?;
    names.retain(|name| name.starts_with("checkpoint-"));
    names.sort();
    Ok(names)
}

pub(crate) fn stopped_and_resumed() -> TestResult {
    let temporary = tempdir()?;
    let folder = temporary.path();
    tridiagonal(folder, "a.mtx", 4000, 2.0)?;
    let undisturbed = dolmen(2, folder, &[&SOLVE[..], &["--output", "undisturbed.mtx"]].concat())?;
    assert!(undisturbed.status.success(), "{undisturbed:?}");
    let expected = fs::read(folder.join("undisturbed.mtx"))?;
    for (ranks, then) in [(1, 3), (4, 2)] {
        let _ = fs::remove_dir_all(folder.join("saved"));
        let job = start(ranks, folder, &[&SOLVE[..], &SAVE, &["--output", "stopped.mtx"]].concat())?;
        job.wait_for_file(&folder.join("saved/checkpoint-00000003.h5"))?;
        match ranks {
            1 => job.signal_rank(0, libc::SIGTERM)?,
            _ => job.signal_launcher(signal_of_launcher(&job)?)?,
        }
        let output = job.wait()?;
        assert_eq!(output.status.code(), Some(STOPPED), "{output:?}");
        assert!(
            output.stdout.contains("stopped as requested") && output.stdout.contains("--resume"),
            "{}",
            output.stdout
        );
        assert!(!folder.join("stopped.mtx").exists());
        let resume = ["--checkpoint", "saved", "--resume", "--output", "resumed.mtx"];
        let output = dolmen(then, folder, &[&SOLVE[..], &resume].concat())?;
        assert!(output.status.success(), "{output:?}");
        assert!(output.stdout.contains("resuming from saved/checkpoint-"), "{}", output.stdout);
        assert!(fs::read(folder.join("resumed.mtx"))? == expected, "{ranks} to {then} ranks: other bits");
    }
    let newest = names(&folder.join("saved"))?.pop().ok_or("no checkpoint")?;
    let info = dolmen(2, folder, &["info", &format!("saved/{newest}")])?;
    assert!(info.status.success(), "{info:?}");
    let good = fs::read(folder.join("saved").join(&newest))?;
    let format = b"dolmen-checkpoint";
    let named = good.windows(format.len()).position(|window| window == format).ok_or("no format")?;
    // A vector, the sign of a checkpoint at the beginning, and that at the end.
    for place in [good.len() / 2, named, good.len() - 1] {
        let mut bytes = good.clone();
        bytes[place] ^= 1;
        fs::write(folder.join("damaged.h5"), bytes)?;
        let info = dolmen(2, folder, &["info", "damaged.h5"])?;
        assert_eq!(info.status.code(), Some(2), "{place}: {info:?}");
        assert!(info.stderr.contains("damaged.h5: is ") || info.stderr.contains(" is damaged"), "{}", info.stderr);
    }
    Ok(())
}

/// A solve that ended at its limit can resume with a larger one.
pub(crate) fn ended_at_its_limit() -> TestResult {
    let temporary = tempdir()?;
    let folder = temporary.path();
    tridiagonal(folder, "a.mtx", 400, 2.0)?;
    let (expected, _) = object(2, folder, &[&SOLVE[..], &["--output", "undisturbed.mtx"]].concat())?;
    let short = dolmen(3, folder, &[&SOLVE[..], &["--checkpoint", "saved", "--max-iterations", "50"]].concat())?;
    assert_eq!(short.status.code(), Some(1), "{short:?}");
    let hint = "to continue from saved/checkpoint-00000001.h5, raise --max-iterations and add --resume";
    assert!(short.stdout.contains(hint), "{}", short.stdout);
    let resume = ["--checkpoint", "saved", "--resume", "--output", "resumed.mtx"];
    let output = dolmen(2, folder, &[&SOLVE[..], &resume].concat())?;
    assert!(output.stdout.contains("checkpoint-00000001.h5 after iteration 50"), "{}", output.stdout);
    let iterations = expected["iterations"].as_u64().ok_or("no iterations")?;
    assert!(iterations > 50 && output.stdout.contains(&format!("{iterations} iterations")), "{}", output.stdout);
    assert!(fs::read(folder.join("resumed.mtx"))? == fs::read(folder.join("undisturbed.mtx"))?, "other bits");
    Ok(())
}

/// CG fails at once, and the second attempt is the one that is stopped.
pub(crate) fn later_attempt() -> TestResult {
    let temporary = tempdir()?;
    let folder = temporary.path();
    tridiagonal(folder, "a.mtx", 300, 0.5)?;
    let solve = ["solve", "a.mtx", "--rtol=1e-15", "--max-iterations", "40"];
    let (expected, _) = object(2, folder, &[&solve[..], &["--output", "undisturbed.mtx"]].concat())?;
    let saved = dolmen(2, folder, &[&solve[..], &SAVE].concat())?;
    assert!(matches!(saved.status.code(), Some(0 | 1)), "{saved:?}");
    let resume = ["--checkpoint", "saved", "--resume", "--output", "resumed.mtx", "--monitor"];
    let (resumed, _) = object(2, folder, &[&solve[..], &resume].concat())?;
    let count = resumed["attempts"].as_array().map_or(0, Vec::len);
    assert!(count > 1, "{resumed}");
    let told = |outcome: &serde_json::Value| -> Vec<String> {
        let attempts = outcome["attempts"].as_array().into_iter().flatten();
        attempts.map(|attempt| format!("{} {}", attempt["outcome"], attempt["true_relative_residual"])).collect()
    };
    assert_eq!(told(&resumed), told(&expected));
    assert!(fs::read(folder.join("resumed.mtx"))? == fs::read(folder.join("undisturbed.mtx"))?, "other bits");
    let output = dolmen(2, folder, &[&solve[..], &resume].concat())?;
    assert!(output.stdout.contains(&format!("of attempt {count}")), "{}", output.stdout);
    let first = output.stdout.lines().find(|line| line.starts_with("attempt "));
    assert!(first.is_none_or(|line| line.starts_with(&format!("attempt {count} iteration"))), "{}", output.stdout);
    Ok(())
}

pub(crate) fn refused() -> TestResult {
    let temporary = tempdir()?;
    let folder = temporary.path();
    tridiagonal(folder, "a.mtx", 40, 2.0)?;
    tridiagonal(folder, "other.mtx", 40, 2.5)?;
    fs::write(folder.join("b.mtx"), format!("%%MatrixMarket matrix array real general\n40 1\n{}", "1\n".repeat(40)))?;
    let first = dolmen(2, folder, &[&SOLVE[..], &SAVE, &["--resume"]].concat())?;
    assert!(first.status.success(), "{first:?}");
    assert!(first.stdout.contains("no checkpoint in saved: starting from the beginning"), "{}", first.stdout);
    let resume = ["--checkpoint", "saved", "--resume"];
    let again = dolmen(3, folder, &[&SOLVE[..], &resume, &["--max-iterations", "99999"]].concat())?;
    assert!(again.status.success(), "a higher limit is no other solve: {again:?}");
    let others: [(&[&str], &str); 4] = [
        (&["solve", "other.mtx", "--solver", "cg", "--preconditioner", "jacobi", "--rtol=1e-12"], "matrix CRC32"),
        (&["solve", "a.mtx", "--solver", "cg", "--preconditioner", "jacobi", "--rtol=1e-9"], "rtol 1e-12"),
        (&["solve", "a.mtx", "--solver", "minres", "--preconditioner", "jacobi", "--rtol=1e-12"], "solver cg"),
        (&[&SOLVE[..], &["--rhs", "b.mtx"]].concat(), "right-hand side A * ones"),
    ];
    for (args, expected) in others {
        let output = dolmen(2, folder, &[args, &resume].concat())?;
        assert_eq!(output.status.code(), Some(2), "{args:?}: {output:?}");
        let error = output.stderr.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
        assert!(error.contains("saved/checkpoint-") && error.contains("another configuration"), "{error}");
        assert!(error.contains(expected), "{error}");
    }
    let before = names(&folder.join("saved"))?;
    let anew = dolmen(2, folder, &["solve", "other.mtx", "--checkpoint", "saved", "--checkpoint-every", "0s"])?;
    assert_eq!(anew.status.code(), Some(2), "{anew:?}");
    assert!(anew.stderr.contains("saved: holds checkpoints of an earlier run; add --resume"), "{}", anew.stderr);
    assert!(before == names(&folder.join("saved"))? && !before.is_empty(), "{before:?}");
    for (args, expected) in [
        (&["--resume"][..], "--checkpoint <DIR>"),
        (&["--checkpoint", "saved", "--checkpoint-every", "5"], "expected a number followed by s, m or h"),
        (&["--checkpoint", "a.mtx"], "a.mtx"),
    ] {
        let output = dolmen(1, folder, &[&SOLVE[..], args].concat())?;
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(output.stderr.contains(expected), "{}", output.stderr);
    }
    Ok(())
}
