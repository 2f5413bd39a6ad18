//! The side of a trial that watches: starts the ranks, judges how they ended, reports.

use std::env;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::{Duration, Instant};

use libtest_mimic::{Completion, Failed, Trial};

use crate::case::{Body, Case, Checksums};
use crate::mpirun::{Mpirun, Output};
use crate::rank;
use crate::shared;
use crate::status::{self, Event};

/// Time for the other ranks to continue after one has failed, so that they can report too.
const GRACE: Duration = Duration::from_secs(2);
/// Interval between readings of the ranks' records while they run.
const LOOK: Duration = Duration::from_millis(100);
/// Bytes of a rank's output that are shown: its end.
const SHOWN: u64 = 64 * 1024;

/// The trials of all cases, under the names that `--list` shows.
pub(crate) fn all(cases: &[Case]) -> Vec<Trial> {
    for (at, case) in cases.iter().enumerate() {
        assert!(cases[..at].iter().all(|other| other.key() != case.key()), "two cases are called {}", case.key());
    }
    cases.iter().flat_map(trials).collect()
}

fn trials(case: &Case) -> Vec<Trial> {
    let case = case.clone();
    match case.body {
        Body::Ranks(_) => case
            .ranks
            .iter()
            .map(|&ranks| {
                let case = case.clone();
                Trial::ignorable_test(format!("{}::n{ranks}", case.name), move || {
                    completion(run(&case, ranks)?.skipped)
                })
            })
            .collect(),
        Body::SameBits(_) => {
            vec![Trial::ignorable_test(case.key(), move || compare(&case))]
        }
        Body::Serial(function) => {
            vec![Trial::ignorable_test(case.name, move || {
                let result = function();
                let skipped = shared::take_reason();
                result.map_err(|error| Failed::from(error.to_string()))?;
                completion(skipped)
            })]
        }
    }
}

fn completion(skipped: Option<String>) -> Result<Completion, Failed> {
    Ok(match skipped {
        Some(reason) => Completion::ignored_with(format!("skipped: {reason}")),
        None => Completion::Completed,
    })
}

/// A run that ended well.
struct Passed {
    skipped: Option<String>,
    checksums: Checksums,
}

/// The factor on all deadlines: `DOLMEN_TEST_PATIENCE`, for slow machines.
fn patience() -> u32 {
    let asked = env::var("DOLMEN_TEST_PATIENCE").ok().and_then(|factor| factor.parse().ok());
    asked.unwrap_or(1)
}

/// Runs a case on one number of ranks.
fn run(case: &Case, ranks: usize) -> Result<Passed, Failed> {
    let folder = tempfile::Builder::new().prefix("dolmen-test-").tempdir()?;
    let folder = folder.path();
    let deadline = case.deadline * patience();
    let job = Mpirun::new(ranks)
        .program(env::current_exe()?)
        .env(rank::CASE, case.key())
        .env(rank::FOLDER, folder)
        .deadline(deadline)
        .spawn()?;
    let mut watch = Watch::new(folder, ranks);
    let output = job.wait_unless(|| watch.failure_is_final())?;
    let records: Vec<Vec<Event>> = (0..ranks).map(|rank| status::read(folder, rank)).collect();
    let complaints = judge(&records, &output, deadline);
    if !complaints.is_empty() {
        let title = format!("{} on {ranks} ranks: {}", case.name, complaints.join("\n  "));
        return Err(format!("{title}\n{}", logs(folder, ranks, &output)?).into());
    }
    let skipped = records.into_iter().flatten().find_map(|event| match event {
        Event::Skipped(reason) => Some(reason),
        _ => None,
    });
    let checksums = match case.body {
        Body::SameBits(_) => rank::read_checksums(folder).map_err(|error| Failed::from(error.to_string()))?,
        Body::Ranks(_) | Body::Serial(_) => Checksums::new(),
    };
    Ok(Passed { skipped, checksums })
}

/// Notices that a rank has failed and the others have had their time to follow.
struct Watch<'a> {
    folder: &'a Path,
    ranks: usize,
    looked: Instant,
    failed: Option<Instant>,
}

impl Watch<'_> {
    fn new(folder: &Path, ranks: usize) -> Watch<'_> {
        Watch { folder, ranks, looked: Instant::now(), failed: None }
    }

    fn failure_is_final(&mut self) -> bool {
        if let Some(failed) = self.failed {
            return failed.elapsed() > GRACE;
        }
        if self.looked.elapsed() > LOOK {
            self.looked = Instant::now();
            if (0..self.ranks).any(|rank| complaint(&status::read(self.folder, rank)).is_some()) {
                self.failed = Some(Instant::now());
            }
        }
        false
    }
}

/// Returns the failure of a rank by its own records. A panic or a signal is followed by an exit; the
/// first of them is the cause.
fn complaint(events: &[Event]) -> Option<String> {
    events.iter().find_map(|event| match event {
        Event::Failed(message) => Some(format!("failed: {message}")),
        Event::Panicked(message) => Some(format!("panicked: {message}")),
        Event::Signal(name) => Some(format!("died of {name}")),
        Event::Exited => Some("exited before the case was finished".to_owned()),
        Event::Skipped(_) | Event::Returned | Event::Finished => None,
    })
}

/// Everything that is wrong with a run, the cause first; nothing if it was good.
fn judge(records: &[Vec<Event>], output: &Output, deadline: Duration) -> Vec<String> {
    let mut complaints: Vec<String> = records
        .iter()
        .enumerate()
        .filter_map(|(rank, events)| Some(format!("rank {rank} {}", complaint(events)?)))
        .collect();
    let without = |wanted: &[Event]| -> Vec<usize> {
        (0..records.len())
            .filter(|&rank| complaint(&records[rank]).is_none() && !records[rank].iter().any(|e| wanted.contains(e)))
            .collect()
    };
    let in_case = without(&[Event::Returned]);
    let in_mpi = without(&[Event::Finished]);
    if output.timed_out {
        complaints.push(format!("no end within {deadline:?}"));
    }
    if !in_case.is_empty() {
        complaints.push(format!("{} had not finished", name_ranks(&in_case)));
    } else if !in_mpi.is_empty() {
        complaints.push(format!("{} returned from the case but did not leave MPI", name_ranks(&in_mpi)));
    }
    if complaints.is_empty() && !output.status.success() {
        complaints.push(format!("all ranks finished, but the launcher ended with {}", output.status));
    }
    complaints
}

fn name_ranks(ranks: &[usize]) -> String {
    let list: Vec<String> = ranks.iter().map(usize::to_string).collect();
    format!("{} {}", if ranks.len() == 1 { "rank" } else { "ranks" }, list.join(", "))
}

/// The output of all ranks, in rank order, then the launcher's.
fn logs(folder: &Path, ranks: usize, output: &Output) -> io::Result<String> {
    let mut text = String::new();
    let mut show = |who: &str, what: &str| {
        if !what.trim().is_empty() {
            text.push_str(&format!("--- {who} ---\n{}\n", what.trim_end()));
        }
    };
    for rank in 0..ranks {
        let path = rank::log_path(folder, rank);
        if path.exists() {
            show(&format!("rank {rank}"), &end_of(&path)?);
        }
    }
    show("launcher", &format!("{}{}", output.stdout, output.stderr));
    Ok(text)
}

fn end_of(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(SHOWN)))?;
    let mut bytes = Vec::new();
    file.take(SHOWN).read_to_end(&mut bytes)?;
    let left_out = if length > SHOWN { "(the beginning is left out) " } else { "" };
    Ok(format!("{left_out}{}", String::from_utf8_lossy(&bytes)))
}

/// Runs a `same_bits` case on all its numbers of ranks and compares what they report.
fn compare(case: &Case) -> Result<Completion, Failed> {
    let mut first: Option<(usize, Checksums)> = None;
    for &ranks in &case.ranks {
        let passed = run(case, ranks)?;
        if passed.skipped.is_some() {
            return completion(passed.skipped);
        }
        let checksums = passed.checksums;
        if checksums.is_empty() {
            return Err(format!("{} on {ranks} ranks reported no checksums", case.name).into());
        }
        match &first {
            None => first = Some((ranks, checksums)),
            Some((reference, expected)) => {
                let differences = differences(*reference, expected, ranks, &checksums);
                if !differences.is_empty() {
                    return Err(format!("{}: {}", case.name, differences.join("\n  ")).into());
                }
            }
        }
    }
    completion(None)
}

fn differences(reference: usize, expected: &Checksums, ranks: usize, found: &Checksums) -> Vec<String> {
    let names = |checksums: &Checksums| checksums.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    if names(expected) != names(found) {
        let (expected, found) = (names(expected).join(", "), names(found).join(", "));
        return vec![format!("{reference} ranks report {expected}; {ranks} ranks report {found}")];
    }
    expected
        .iter()
        .zip(found)
        .filter(|(one, other)| one != other)
        .map(|((name, one), (_, other))| {
            format!("{name} is {one:#018x} on {reference} ranks and {other:#018x} on {ranks}")
        })
        .collect()
}
