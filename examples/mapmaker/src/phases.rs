//! Wall time of the phases of a run, and how even the ranks are.

use std::time::Instant;

use dolmen_core::Comm;

/// Times of this rank, in the order in which the phases ended.
#[derive(Default)]
pub struct Phases(Vec<(&'static str, f64)>);

/// A phase over all ranks, in s.
#[derive(Clone, Debug, PartialEq)]
pub struct PhaseTime {
    /// Its name.
    pub name: &'static str,
    /// The slowest rank's time.
    pub max: f64,
    /// The fastest rank's time.
    pub min: f64,
}

impl Phases {
    /// Runs and times a phase. Every rank goes through the same phases in the same order.
    pub fn time<R>(&mut self, name: &'static str, phase: impl FnOnce() -> R) -> R {
        let start = Instant::now();
        let result = phase();
        self.0.push((name, start.elapsed().as_secs_f64()));
        result
    }

    /// Gathers the times over all ranks.
    ///
    /// # Collective
    pub fn summary(&self, comm: &Comm) -> Vec<PhaseTime> {
        let mut max: Vec<f64> = self.0.iter().map(|(_, time)| *time).collect();
        let mut min = max.clone();
        comm.all_reduce_max(&mut max);
        comm.all_reduce_min(&mut min);
        let both = self.0.iter().zip(max.into_iter().zip(min));
        both.map(|(&(name, _), (max, min))| PhaseTime { name, max, min }).collect()
    }
}

/// Returns the largest resident memory of this process so far, in bytes; zero where the system does not say.
pub fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
