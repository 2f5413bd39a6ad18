//! Limits on the memory that the contents of files may take.
//!
//! Packed files are small for what they hold: a megabyte of gzip can be gigabytes of zeros. Before memory is asked
//! for, the size that a packed file claims is compared with a budget: what the machine has available, or what a
//! program was told, in equal parts for the ranks of a machine. Files that are not packed need none: what they may
//! take follows from their size.

use dolmen_core::Comm;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of a machine that may be taken; [`u64::MAX`] for what is available.
static MOST: AtomicU64 = AtomicU64::new(u64::MAX);
/// Ranks of this machine that share them.
static RANKS: AtomicU64 = AtomicU64::new(1);

/// The best that deflate does.
const BEST: u64 = 1032;

/// Bytes of an entry with its row and column.
const PLACED: u64 = 16;

/// Times its size that unpacked data take on their way into a matrix: as they are, as entries with their rows and
/// columns, and as the matrix.
const TIMES: u64 = 4;

/// Sets what packed files may take of the memory of each machine, in bytes: `most`, or, without it, what the
/// machine has available when it is asked for. The ranks of a machine get equal parts. Until this is called, a
/// rank may take all that is available.
///
/// # Collective
pub fn share(comm: &Comm, most: Option<u64>) {
    let machine = comm.split_shared();
    RANKS.store(machine.size() as u64, Ordering::Relaxed);
    machine.free();
    MOST.store(most.unwrap_or(u64::MAX), Ordering::Relaxed);
}

/// Returns the bytes that programs may still take on this machine, within the limits of their control group; `None`
/// where the system does not tell.
#[must_use]
pub fn available() -> Option<u64> {
    let machine = entry(&fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable:").map(|kibibytes| kibibytes * 1024);
    match (machine, group()) {
        (Some(machine), Some(group)) => Some(machine.min(group)),
        (machine, group) => machine.or(group),
    }
}

/// Refuses data of this number of bytes, unpacked, where they would take more than this rank's part; in words.
pub(crate) fn require(bytes: u64) -> Result<(), String> {
    let (needed, ranks) = (bytes.saturating_mul(TIMES), RANKS.load(Ordering::Relaxed).max(1));
    let told = Some(MOST.load(Ordering::Relaxed)).filter(|most| *most != u64::MAX);
    let Some(most) = told.or_else(available).map(|most| most / ranks).filter(|most| needed > *most) else {
        return Ok(());
    };
    let (bytes, needed, most) = (gigabytes(bytes), gigabytes(needed), gigabytes(most));
    let (why, advice) = if told.is_some() {
        ("--max-memory allows each rank", "raise --max-memory")
    } else {
        ("this machine has for each rank", "use more machines")
    };
    let what = format!("unpacks to {bytes}, for which {needed} of memory are needed; {why} {most}");
    Err(format!("{what}; {advice}, or start fewer ranks on each machine"))
}

/// Refuses this number of entries of a text, of which this rank gets one of `parts` parts, and which is packed in
/// `stored` bytes. More than can be in it are none to find memory for: the text ends before.
pub(crate) fn require_entries(entries: u64, parts: usize, stored: u64) -> Result<(), String> {
    let possible = entries.min(stored.saturating_mul(BEST));
    require(possible.div_ceil(parts as u64).saturating_mul(PLACED))
}

fn gigabytes(bytes: u64) -> String {
    format!("{:.2} GB", bytes as f64 / 1e9)
}

/// Returns the number behind a name.
fn entry(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok())
}

/// Returns the memory left by the limits of this process's control groups (version 2).
fn group() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    Path::new(path).ancestors().filter_map(|folder| left(&Path::new("/sys/fs/cgroup").join(folder))).min()
}

/// Returns the memory left by the limit of one group; pages that hold files can be dropped.
fn left(folder: &Path) -> Option<u64> {
    let read = |name: &str| fs::read_to_string(folder.join(name)).ok();
    let limit: u64 = read("memory.max")?.trim().parse().ok()?;
    let taken: u64 = read("memory.current")?.trim().parse().ok()?;
    let droppable = entry(&read("memory.stat")?, "inactive_file ").unwrap_or(0);
    Some(limit.saturating_sub(taken.saturating_sub(droppable)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_leave_what_they_do_not_hold() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        assert_eq!(left(folder.path()), None);
        put("memory.max", "1000\n");
        put("memory.current", "700\n");
        put("memory.stat", "anon 500\ninactive_file 150\n");
        assert_eq!(left(folder.path()), Some(450));
        put("memory.max", "max\n");
        assert_eq!(left(folder.path()), None);
        assert_eq!(entry("MemTotal: 5 kB\nMemAvailable:    77 kB\n", "MemAvailable:"), Some(77));
    }

    #[test]
    fn what_is_more_than_the_machine_has_is_refused() {
        assert_eq!(require(1 << 20), Ok(()));
        let refused = require(1 << 62).unwrap_err();
        assert!(refused.contains("unpacks to") && refused.contains("this machine has for each rank"), "{refused}");
    }
}
