//! Bytes of a file that is read or written.
//!
//! The system counts the bytes that a process reads and writes, whichever library does it. A thread of rank 0 looks
//! at this count while its work goes on.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use dolmen_core::text::shown;
use dolmen_io::open_regular;
use indicatif::DecimalBytes;

use super::{Display, Meter};

/// Time between two looks at the count.
const LOOK: Duration = Duration::from_millis(100);

/// The way that bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From a file.
    Reading,
    /// To a file.
    Writing,
}

/// Shows how much of a file rank 0 has read or written, until it is dropped.
pub struct Transfer {
    /// The thread, and the channel whose end tells it to end.
    thread: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Transfer {
    /// Begins to watch the bytes of a file. Not collective: only the rank that shows something does something.
    pub fn start(display: Display, ranks: usize, direction: Direction, path: &Path) -> Transfer {
        let meter = display.meter();
        let Some(before) = Some(direction).filter(|_| !meter.is_silent()).and_then(count) else {
            return Transfer { thread: None };
        };
        let total = Some(path).filter(|_| direction == Direction::Reading).and_then(|path| share(path, ranks));
        let watched = Watched { meter, name: shown(path), direction, before, total };
        let (end, ended) = mpsc::channel();
        let thread = thread::spawn(move || {
            let mut watched = watched;
            while ended.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                watched.look();
            }
        });
        Transfer { thread: Some((end, thread)) }
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        if let Some((end, thread)) = self.thread.take() {
            drop(end);
            // A thread that panicked has told so; the work itself is not concerned.
            let _ = thread.join();
        }
    }
}

/// The state of the thread.
struct Watched {
    meter: Meter,
    name: String,
    direction: Direction,
    /// The count before the work.
    before: u64,
    /// Bytes of this rank, if they are known beforehand, and how many ranks share the file.
    total: Option<Total>,
}

impl Watched {
    fn look(&mut self) {
        let Some(bytes) = Some(self.direction).filter(|_| self.meter.is_due()).and_then(count) else { return };
        let (share, text) = self.tell(bytes.saturating_sub(self.before));
        self.meter.show(share, &text);
    }

    /// The share that is done, and its description.
    fn tell(&self, bytes: u64) -> (Option<f64>, String) {
        let (verb, name) = (if self.direction == Direction::Reading { "reading" } else { "writing" }, &self.name);
        match self.total {
            // A rank that reads more than its part reads the file in another way.
            Some(Total { bytes: all, ranks }) if bytes * ranks <= all => {
                let (done, all_bytes) = (DecimalBytes(bytes * ranks), DecimalBytes(all));
                (Some((bytes * ranks) as f64 / all as f64), format!("{verb} {name}, {done} of {all_bytes}"))
            }
            _ => (None, format!("{verb} {name}, {} so far", DecimalBytes(bytes))),
        }
    }
}

/// Bytes of a file, and the number of ranks that share the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Total {
    bytes: u64,
    ranks: u64,
}

/// Returns the size of a file that the ranks read together; none for a format with several objects, of which one is
/// read.
fn share(path: &Path, ranks: usize) -> Option<Total> {
    let mut head = [0; 8];
    let mut file = open_regular(path).ok()?;
    file.read_exact(&mut head).ok()?;
    let bytes = file.metadata().ok()?.len();
    let has_several = head.starts_with(b"\x89HDF") || head.starts_with(b"SIMPLE") || head.starts_with(b"PK");
    // Rank 0 unpacks all of a gzip file.
    let ranks = if head.starts_with(&[0x1f, 0x8b]) { 1 } else { ranks as u64 };
    (!has_several).then_some(Total { bytes, ranks })
}

/// The bytes that this process has read or written so far, if the system counts them.
fn count(direction: Direction) -> Option<u64> {
    let name = match direction {
        Direction::Reading => "rchar: ",
        Direction::Writing => "wchar: ",
    };
    let counts = fs::read_to_string("/proc/self/io").ok()?;
    counts.lines().find_map(|line| line.strip_prefix(name))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched(total: Option<Total>) -> Watched {
        Watched { meter: Meter::silent(), name: "a.mtx".into(), direction: Direction::Reading, before: 0, total }
    }

    #[test]
    fn ranks_share_plain_files() {
        let (share, text) = watched(Some(Total { bytes: 4_000_000, ranks: 4 })).tell(500_000);
        assert_eq!((share, text.as_str()), (Some(0.5), "reading a.mtx, 2.00 MB of 4.00 MB"));
    }

    #[test]
    fn more_than_a_share_is_told_without_a_whole() {
        let (share, text) = watched(Some(Total { bytes: 4_000_000, ranks: 4 })).tell(1_500_000);
        assert_eq!((share, text.as_str()), (None, "reading a.mtx, 1.50 MB so far"));
    }

    #[test]
    fn the_system_counts_what_is_read() {
        let Some(before) = count(Direction::Reading) else { return };
        let bytes = fs::read(std::env::current_exe().expect("a program")).expect("readable").len() as u64;
        assert!(count(Direction::Reading) >= Some(before + bytes));
    }
}
