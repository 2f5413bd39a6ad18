//! `DOLMEN_CHECK=1`: every collective function is compared over the ranks before it communicates.
//!
//! Each communicator has a twin for this, on which its ranks gather a hash of what they call: the
//! operations under way and the size that has to agree. Where hashes differ, all ranks know, and the job
//! ends with what each of them called. A rank that has finished calls nothing any more, so the job
//! ends too where another one waits for it.

mod ffi;

use std::backtrace::Backtrace;
use std::time::{Duration, Instant};

use crate::comm::disagreement::{grouped, listed};
use crate::comm::end_of_program;
use crate::comm::ffi::RawComm;
use crate::comm::group::{self, Comm, Twin};
use crate::comm::report::{FAILURE, print, report};
use crate::error::{Error, Result};
use crate::record;
use ffi::Words;

const VARIABLE: &str = "DOLMEN_CHECK";
/// Longest time that a message may be on its way after its sender has finished.
const GRACE: Duration = Duration::from_secs(2);
/// Waiting time after which a rank reports the call in which it waits.
const PATIENCE: Duration = Duration::from_secs(10);
/// Time between two such reports.
const AGAIN: Duration = Duration::from_secs(60);

/// Reads the environment.
///
/// # Collective
/// Enabled on all ranks where it is on one.
pub(crate) fn from_environment(comm: &Comm) -> Result<()> {
    let value = std::env::var(VARIABLE).unwrap_or_default();
    let wanted = match value.trim() {
        "" | "0" => Ok(false),
        "1" => Ok(true),
        other => Err(Error::Environment { variable: VARIABLE, value: other.to_owned(), expected: "0 or 1" }),
    };
    let mut any = [u64::from(comm.agree(wanted)?)];
    comm.all_reduce_max(&mut any);
    if any == [1] {
        group::compare_calls();
        record::name_operations();
    }
    Ok(())
}

impl Comm {
    /// Compares a call with those of the other ranks, if that is asked for: its name, the operations
    /// that it is part of, and details that have to agree.
    ///
    /// # Collective
    pub(crate) fn check(&self, name: &str, details: impl FnOnce() -> String) {
        if let Some(twin) = self.twin() {
            let call = format!("{} {}", record::operations(name), details());
            self.compare_calls(twin, call.trim_end());
        }
    }

    fn compare_calls(&self, twin: &Twin, call: &str) {
        let step = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        let hash = call.bytes().fold(0xcbf2_9ce4_8422_2325, step);
        let mut words = Words::start(twin.raw, hash);
        let start = Instant::now();
        let mut finished_since = None;
        let mut next = PATIENCE;
        loop {
            if let Some(words) = words.test() {
                if words.iter().any(|word| *word != hash) {
                    self.end_different(call);
                }
                return;
            }
            let waited = start.elapsed();
            if waited < Duration::from_millis(1) {
                std::thread::yield_now();
                continue;
            }
            std::thread::sleep(Duration::from_micros(200));
            let finished = twin.members.iter().find(|rank| end_of_program::has_finished(**rank));
            if let Some(&rank) = finished
                && finished_since.get_or_insert_with(Instant::now).elapsed() > GRACE
            {
                self.end_alone(rank, call);
            }
            if waited > next {
                next = waited + AGAIN;
                let (rank, seconds) = (RawComm::world().rank(), waited.as_secs());
                print(&format!("note: rank {rank} has waited {seconds} s for other ranks in {call}{}\n", place()));
            }
        }
    }

    /// Ends the job, as all ranks know that they call different functions.
    fn end_different(&self, call: &str) -> ! {
        let texts = self.texts(&format!("{call}{}", place()));
        self.end_together(&Error::RanksDisagree { calls: grouped(&texts) })
    }

    /// Ends the job, as a rank has finished that this one waits for.
    fn end_alone(&self, finished: usize, call: &str) -> ! {
        let me = RawComm::world().rank();
        // Several ranks may wait; one report will do.
        std::thread::sleep(Duration::from_millis(100 * me.min(20) as u64));
        let calls = format!("{call}{} ({}), the end of Comm::run ({})", place(), listed(&[me]), listed(&[finished]));
        report(&Error::RanksDisagree { calls });
        self.abort(i32::from(FAILURE))
    }
}

/// Returns the program's call of the toolkit, as ` at file:line` or ` in function`, as far as the executable tells.
fn place() -> String {
    place_in(&Backtrace::force_capture().to_string())
}

/// Returns the first function of a backtrace that is not the toolkit's. Names may lack their crates, so the files
/// count where they are known: the toolkit's are beside this one.
fn place_in(trace: &str) -> String {
    let names = ["dolmen", "core::", "std::", "alloc::", "<dolmen", "<core::", "<std::", "<alloc::"];
    let frames: Vec<(&str, Option<&str>)> = frames(trace).collect();
    let root = frames.iter().find_map(|(_, file)| file.as_ref()?.split_once(THIS_FILE)).map_or("", |(root, _)| root);
    let ours = |file: &str| {
        let inside = file.strip_prefix(root).unwrap_or("");
        file.starts_with("/rustc/") || ["core/src/", "solvers/src/", "io/src/"].iter().any(|at| inside.starts_with(at))
    };
    let theirs = frames.iter().find(|(function, file)| match file {
        Some(file) => !ours(file),
        None => !names.iter().any(|prefix| function.starts_with(prefix)),
    });
    match theirs {
        Some((_, Some(file))) => format!(" at {}", file.rsplit_once(':').map_or(*file, |(place, _column)| place)),
        Some((function, None)) => format!(" in {function}"),
        None => String::new(),
    }
}

/// The end of the path of this file.
const THIS_FILE: &str = "core/src/comm/compare_calls.rs:";

/// Functions of a backtrace and where they are, `file:line:column`.
fn frames(trace: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    let mut lines = trace.lines().map(str::trim).peekable();
    std::iter::from_fn(move || {
        loop {
            let (number, function) = match lines.next()?.split_once(": ") {
                Some(frame) => frame,
                None => continue,
            };
            if number.parse::<u32>().is_ok() {
                let file = lines.peek().and_then(|line| line.strip_prefix("at "));
                return Some((function, file));
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_where_the_program_calls() {
        let trace = "   0: place\n             at /tools/core/src/comm/compare_calls.rs:9:5\n   \
                     1: dot<f64>\n             at /tools/core/src/vector.rs:1:2\n   \
                     2: with<f64>\n             at /rustc/5980/library/std/src/thread.rs:1:2\n   \
                     3: solve\n             at /tools/solvers/src/krylov.rs:3:4\n   \
                     4: raise\n             at ./core/src/main.rs:12:9\n   5: std::rt::lang_start\n";
        assert_eq!(place_in(trace), " at ./core/src/main.rs:12");
        let names = "   0: dolmen_core::check\n   1: <dolmen_core::Vector<T>>::dot\n   2: stones::raise\n";
        assert_eq!(place_in(names), " in stones::raise");
        assert_eq!(place_in("disabled backtrace"), "");
    }
}
