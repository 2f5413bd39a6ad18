//! On which cores this process may run.
#![allow(unsafe_code)]

use bytemuck::{Pod, Zeroable};

/// Cores that can be told apart: as many as the C library's set holds.
const CORES: usize = 1024;

/// A set of cores.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
pub(super) struct CpuSet([u64; CORES / 64]);

impl CpuSet {
    pub(super) fn count(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    pub(super) fn union(mut self, other: CpuSet) -> CpuSet {
        self.0.iter_mut().zip(other.0).for_each(|(mine, theirs)| *mine |= theirs);
        self
    }
}

impl FromIterator<usize> for CpuSet {
    fn from_iter<I: IntoIterator<Item = usize>>(cores: I) -> CpuSet {
        let mut set = CpuSet::default();
        cores.into_iter().for_each(|core| set.0[core / 64] |= 1 << (core % 64));
        set
    }
}

/// Returns the cores that this thread is bound to, or all there are.
pub(super) fn allowed_cpus() -> CpuSet {
    #[cfg(target_os = "linux")]
    // SAFETY: an all-zero set is valid; the kernel fills in as many bytes as it is told.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        if libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) == 0 {
            return (0..CORES).filter(|&core| libc::CPU_ISSET(core, &set)).collect();
        }
    }
    let available = std::thread::available_parallelism().map_or(1, usize::from);
    (0..available.min(CORES)).collect()
}
