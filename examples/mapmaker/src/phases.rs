//! Wall and processor time of the phases of a run, and how even the ranks are.

use std::time::Instant;

use dolmen_core::Comm;

/// Times of this rank, in the order in which the phases ended.
#[derive(Default)]
pub struct Phases(Vec<(&'static str, f64, f64)>);

/// A phase over all ranks, in s.
#[derive(Clone, Debug, PartialEq)]
pub struct PhaseTime {
    /// Its name.
    pub name: &'static str,
    /// The slowest rank's time.
    pub max: f64,
    /// The fastest rank's time.
    pub min: f64,
    /// Processor time of all ranks together; zero where the system does not say.
    pub processor: f64,
}

impl Phases {
    /// Runs and times a phase. Every rank goes through the same phases in the same order.
    pub fn time<R>(&mut self, name: &'static str, phase: impl FnOnce() -> R) -> R {
        let (start, used) = (Instant::now(), processor_time());
        let result = phase();
        self.0.push((name, start.elapsed().as_secs_f64(), processor_time() - used));
        result
    }

    /// Gathers the times over all ranks.
    ///
    /// # Collective
    pub fn summary(&self, comm: &Comm) -> Vec<PhaseTime> {
        let mut max: Vec<f64> = self.0.iter().map(|(_, time, _)| *time).collect();
        let mut min = max.clone();
        comm.all_reduce_max(&mut max);
        comm.all_reduce_min(&mut min);
        let processor = |phase: usize| -> f64 { comm.all_gather(self.0[phase].2).into_iter().sum() };
        let phases = self.0.iter().enumerate();
        phases.map(|(i, &(name, ..))| PhaseTime { name, max: max[i], min: min[i], processor: processor(i) }).collect()
    }
}

/// Returns the time that this thread was on a processor so far, in s; zero where the system does not say.
fn processor_time() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text.split(' ').next().and_then(|first| first.parse::<f64>().ok());
    nanoseconds.unwrap_or(0.0) * 1e-9
}

/// Returns the largest resident memory of this process so far, in bytes; zero where the system does not say.
pub fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
