//! The clock of a deadline: it stands still while the machine does other work.
//!
//! A deadline by the wall clock ends good jobs on a busy machine. One by processor time never ends a
//! job whose ranks all sleep. This clock uses what the scheduler knows of each thread, the time for
//! which it ran and the time for which it waited for a core:
//!
//! - while all threads sleep, the clock runs as the wall clock does: a job that waits for a message
//!   that never comes reaches its deadline at once, however busy the machine is;
//! - while threads want to run, the clock runs by the part of the time for which they did, relative
//!   to what a machine without other work would have given them: a job that computes forever reaches
//!   its deadline too, later on a busy machine, and no clock runs faster than the wall clock.
//!
//! If the system keeps no such statistics, threads seem to sleep, and the wall clock decides.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::num::NonZero;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use crate::processes::Finder;

/// Interval between looks at the threads of a running job. The statistics of a process at its end
/// are not known, and it counts as if it had slept since the last look.
const LOOK: Duration = Duration::from_millis(100);
/// Interval between steps of the clock. A thread that waits has this in its statistics only when it runs again, so
/// a period has to be much longer than such a wait.
const PERIOD: Duration = Duration::from_secs(1);

/// The time that a job has had, as if the machine did nothing else.
#[derive(Debug)]
pub(crate) struct Stopwatch {
    counted: Duration,
    /// The start of the period that is not yet counted, and what the threads did since.
    start: Instant,
    recent: Usage,
    looked: Instant,
    cores: f64,
    finder: Finder,
    threads: HashMap<String, Usage>,
}

/// For how long threads ran, and for how long they waited to run.
#[derive(Clone, Copy, Debug, Default)]
struct Usage {
    ran: Duration,
    waited: Duration,
}

impl Stopwatch {
    /// Starts the clock of a job that starts now.
    pub(crate) fn start() -> Stopwatch {
        let now = Instant::now();
        Stopwatch {
            counted: Duration::ZERO,
            start: now,
            recent: Usage::default(),
            looked: now,
            cores: available_parallelism().map_or(1, NonZero::get) as f64,
            finder: Finder::default(),
            threads: HashMap::new(),
        }
    }

    /// Sets the clock to zero.
    pub(crate) fn restart(&mut self) {
        self.counted = Duration::ZERO;
        self.start = Instant::now();
        self.recent = Usage::default();
    }

    /// Returns the time on the clock.
    pub(crate) fn elapsed(&self) -> Duration {
        self.counted + self.recent.undisturbed(self.start.elapsed(), self.cores)
    }

    /// Returns whether more than `deadline` is on the clock of `job`. To be called often.
    pub(crate) fn is_past(&mut self, deadline: Duration, job: &OsStr) -> bool {
        if self.looked.elapsed() > LOOK {
            self.look(job);
        }
        if self.start.elapsed() > PERIOD {
            self.counted = self.elapsed();
            self.start = Instant::now();
            self.recent = Usage::default();
        }
        self.counted > deadline
    }

    fn look(&mut self, job: &OsStr) {
        let mut threads = HashMap::new();
        for (thread, usage) in self.finder.find(job).into_iter().flat_map(usages) {
            let before = self.threads.get(&thread).copied().unwrap_or_default();
            self.recent.ran += usage.ran.saturating_sub(before.ran);
            self.recent.waited += usage.waited.saturating_sub(before.waited);
            threads.insert(thread, usage);
        }
        self.looked = Instant::now();
        self.threads = threads;
    }
}

impl Usage {
    /// Returns the part of `period` after which threads with this usage would have been as far with all
    /// `cores` to themselves.
    fn undisturbed(self, period: Duration, cores: f64) -> Duration {
        if self.waited.is_zero() {
            return period;
        }
        let runnable = (self.ran + self.waited).as_secs_f64() / period.as_secs_f64();
        if runnable <= 1.0 {
            return period.saturating_sub(self.waited);
        }
        self.ran.div_f64(runnable.min(cores)).min(period)
    }
}

/// The threads of a process with their usages since they were started; none if it has ended.
fn usages(process: u32) -> Vec<(String, Usage)> {
    let Ok(entries) = fs::read_dir(format!("/proc/{process}/task")) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| {
            let usage = parse(&fs::read_to_string(entry.path().join("schedstat")).ok()?)?;
            Some((entry.file_name().into_string().ok()?, usage))
        })
        .collect()
}

/// Reads a `schedstat`: nanoseconds on a core, nanoseconds of waiting for one, number of time slices.
fn parse(line: &str) -> Option<Usage> {
    let mut numbers = line.split_whitespace().map(|word| word.parse().map(Duration::from_nanos));
    Some(Usage { ran: numbers.next()?.ok()?, waited: numbers.next()?.ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn undisturbed(ran: u64, waited: u64, cores: f64) -> u64 {
        let usage = Usage { ran: Duration::from_secs(ran), waited: Duration::from_secs(waited) };
        usage.undisturbed(Duration::from_secs(10), cores).as_secs()
    }

    #[test]
    fn sleeping_jobs_have_the_time_of_the_wall_clock() {
        assert_eq!(undisturbed(0, 0, 2.0), 10);
        assert_eq!(undisturbed(1, 0, 2.0), 10);
        assert_eq!(undisturbed(1, 1, 2.0), 9);
    }

    #[test]
    fn computing_jobs_have_the_time_that_they_got() {
        // One thread with half a core.
        assert_eq!(undisturbed(5, 5, 2.0), 5);
        // Two threads that have half of each core, and two that take turns on one core.
        assert_eq!(undisturbed(10, 10, 2.0), 5);
        assert_eq!(undisturbed(10, 10, 1.0), 10);
        // Seven threads that have two cores to themselves, and a fifth of them.
        assert_eq!(undisturbed(20, 50, 2.0), 10);
        assert_eq!(undisturbed(4, 66, 2.0), 2);
    }

    #[test]
    fn statistics_of_the_scheduler_are_read() {
        let usage = parse("544125000 1036092 2\n").unwrap();
        assert_eq!((usage.ran.as_millis(), usage.waited.as_micros()), (544, 1036));
        assert!(parse("").is_none() && parse("1 x 2").is_none());
    }
}
