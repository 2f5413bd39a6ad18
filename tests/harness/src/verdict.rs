//! Verdicts: whether a trial ended well by the records of its ranks, and the report if it did not.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use crate::mpirun::Output;
use crate::rank;
use crate::status::Event;

/// Bytes of a rank's output that are shown: its end.
const SHOWN: u64 = 64 * 1024;

/// Returns the failure of a rank by its own records. A panic or a signal is followed by an exit; the
/// first of them is the cause.
pub(crate) fn complaint(events: &[Event]) -> Option<String> {
    events.iter().find_map(|event| match event {
        Event::Failed(message) => Some(format!("failed: {message}")),
        Event::Panicked(message) => Some(format!("panicked: {message}")),
        Event::Signal(name) => Some(format!("died of {name}")),
        Event::Exited => Some("exited before the case was finished".to_owned()),
        Event::Skipped(_) | Event::Returned | Event::Finished => None,
    })
}

/// Everything that is wrong with the end of a job in a trial, the cause first; nothing if it was good.
pub(crate) fn judge(records: &[Vec<Event>], output: &Output, deadline: Duration) -> Vec<String> {
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
pub(crate) fn logs(folder: &Path, ranks: usize, output: &Output) -> io::Result<String> {
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
