//! The trials of a test file, as they are listed and reported.

use std::sync::Arc;

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use crate::case::{Body, Case, Checksums};
use crate::session::Jobs;
use crate::shared;

/// The trials of all cases, under the names that `--list` shows.
///
/// # Panics
/// If two cases have the same name.
pub(crate) fn all(cases: &[Case], arguments: &Arguments) -> Vec<Trial> {
    for (at, case) in cases.iter().enumerate() {
        assert!(cases[..at].iter().all(|other| other.key() != case.key()), "two cases are called {}", case.key());
    }
    let jobs = Arc::new(Jobs::default());
    // A job ends with the thread that started it, and could not go from one thread to another.
    let is_one_thread = arguments.test_threads == Some(1);
    let mut all = Vec::new();
    for case in cases {
        let case = Case { alone: case.alone || !is_one_thread, ..case.clone() };
        for (trial, ranks) in trials(&case, &jobs) {
            if !case.alone && !arguments.is_filtered_out(&trial) {
                ranks.iter().for_each(|ranks| jobs.announce(*ranks));
            }
            all.push(trial);
        }
    }
    all
}

/// The trials of a case, with the numbers of ranks of each.
fn trials(case: &Case, jobs: &Arc<Jobs>) -> Vec<(Trial, Vec<usize>)> {
    let (case, jobs) = (case.clone(), Arc::clone(jobs));
    match case.body {
        Body::Ranks(_) => case
            .ranks
            .iter()
            .map(|&ranks| {
                let (case, jobs) = (case.clone(), Arc::clone(&jobs));
                let trial = Trial::ignorable_test(format!("{}::n{ranks}", case.name), move || {
                    completion(jobs.run(&case, ranks)?.skipped)
                });
                (trial, vec![ranks])
            })
            .collect(),
        Body::SameBits(_) => {
            let ranks = case.ranks.clone();
            vec![(Trial::ignorable_test(case.key(), move || compare(&case, &jobs)), ranks)]
        }
        Body::Serial(function) => {
            let trial = Trial::ignorable_test(case.name, move || {
                let result = function();
                let skipped = shared::take_reason();
                result.map_err(|error| Failed::from(error.to_string()))?;
                completion(skipped)
            });
            vec![(trial, Vec::new())]
        }
    }
}

fn completion(skipped: Option<String>) -> Result<Completion, Failed> {
    Ok(match skipped {
        Some(reason) => Completion::ignored_with(format!("skipped: {reason}")),
        None => Completion::Completed,
    })
}

/// Runs a `same_bits` case on all its numbers of ranks and compares what they report.
fn compare(case: &Case, jobs: &Jobs) -> Result<Completion, Failed> {
    let mut first = None;
    let mut to_come = case.ranks.iter();
    let mut outcome = Ok(None);
    while let (Ok(None), Some(&ranks)) = (&outcome, to_come.next()) {
        outcome = jobs.run(case, ranks).and_then(|passed| match passed.skipped {
            Some(reason) => Ok(Some(reason)),
            None => compare_with(&mut first, case, ranks, passed.checksums).map(|()| None),
        });
    }
    for &ranks in to_come.filter(|_| !case.alone) {
        let left = jobs.forgo(ranks);
        outcome = outcome.and_then(|skipped| left.map(|()| skipped));
    }
    completion(outcome?)
}

/// Compares the checksums on one number of ranks with the first ones, if there were any.
fn compare_with(
    first: &mut Option<(usize, Checksums)>,
    case: &Case,
    ranks: usize,
    checksums: Checksums,
) -> Result<(), Failed> {
    if checksums.is_empty() {
        return Err(format!("{} on {ranks} ranks reported no checksums", case.name).into());
    }
    let Some((reference, expected)) = first else {
        *first = Some((ranks, checksums));
        return Ok(());
    };
    let differences = differences(*reference, expected, ranks, &checksums);
    if differences.is_empty() { Ok(()) } else { Err(format!("{}: {}", case.name, differences.join("\n  ")).into()) }
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
