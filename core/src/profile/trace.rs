//! The timeline as a file for a trace viewer.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use crate::comm::Comm;
use crate::error::Result;
use crate::record::{Interval, Record};
use crate::text::shown;

/// The rank that writes.
const WRITER: usize = 0;

/// This rank's part of the timeline.
pub struct Trace {
    comm: Comm,
    intervals: Vec<Interval>,
    dropped: u64,
}

impl Trace {
    pub(super) fn new(comm: &Comm, record: Record) -> Trace {
        Trace { comm: comm.clone(), intervals: record.intervals, dropped: record.dropped }
    }

    /// Writes the timeline of all ranks as one JSON file that Perfetto and `chrome://tracing` open:
    /// a process for each rank, in it its events in microseconds since the common start (Trace Event
    /// Format, complete events). A rank with events that had no room says how many.
    ///
    /// # Collective
    /// Rank 0 writes, and holds one other rank's part at a time.
    ///
    /// # Errors
    /// The file cannot be written, agreed over the ranks; a part of it may be there then.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        let (comm, path) = (&self.comm, path.as_ref());
        let mut file = (comm.rank() == WRITER).then(|| File::create(path)).transpose();
        let text = self.json();
        for rank in 0..comm.size() {
            let mine = if comm.rank() == rank { text.as_bytes() } else { &[] };
            let parts = comm.gather(WRITER, mine);
            if let (Ok(Some(open)), Some(parts)) = (&mut file, parts) {
                let before: &[u8] = if rank == 0 { b"{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n" } else { b",\n" };
                let after: &[u8] = if rank + 1 == comm.size() { b"\n]}\n" } else { b"" };
                let written: io::Result<()> =
                    [before, &parts[rank], after].iter().try_for_each(|part| open.write_all(part));
                if let Err(error) = written {
                    file = Err(error);
                }
            }
        }
        comm.agree(file.map_err(|error| format!("{}: cannot write the trace: {error}", shown(path))))?;
        Ok(())
    }

    /// Returns this rank's events, separated by commas: the rank, then the intervals.
    fn json(&self) -> String {
        let rank = self.comm.rank();
        let mut text = metadata(rank, "process_name", "name", &format!("rank {rank}"));
        if self.dropped > 0 {
            text.push_str(",\n");
            text.push_str(&metadata(rank, "process_labels", "labels", &format!("{} events left out", self.dropped)));
        }
        for Interval { name, start, duration } in &self.intervals {
            text.push_str(",\n{\"ph\":\"X\",\"pid\":");
            let _ = write!(text, "{rank},\"tid\":0,\"ts\":{},\"dur\":{}", Micro(*start), Micro(*duration));
            text.push_str(",\"name\":");
            push_quoted(&mut text, name);
            text.push('}');
        }
        text
    }
}

fn metadata(rank: usize, kind: &str, key: &str, value: &str) -> String {
    format!("{{\"ph\":\"M\",\"pid\":{rank},\"tid\":0,\"name\":\"{kind}\",\"args\":{{\"{key}\":\"{value}\"}}}}")
}

/// Nanoseconds, shown as microseconds without rounding, so that nested events stay nested.
struct Micro(u64);

impl std::fmt::Display for Micro {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1000, self.0 % 1000)
    }
}

/// Appends a JSON string.
fn push_quoted(text: &mut String, name: &str) {
    text.push('"');
    for letter in name.chars() {
        match letter {
            '"' | '\\' => text.extend(['\\', letter]),
            control if control < ' ' => {
                let _ = write!(text, "\\u{:04x}", u32::from(control));
            }
            other => text.push(other),
        }
    }
    text.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_names_are_exact() {
        assert_eq!(Micro(0).to_string(), "0.000");
        assert_eq!(Micro(1_234_005).to_string(), "1234.005");
        let mut text = String::new();
        push_quoted(&mut text, "a \"b\" \\ c\n\u{e9}");
        assert_eq!(text, "\"a \\\"b\\\" \\\\ c\\u000a\u{e9}\"");
    }
}
