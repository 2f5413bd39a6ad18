//! Finding the processes of a job, wherever its launcher has put them.
//!
//! Launchers give their ranks process groups and sessions of their own, so a job is recognised by
//! a variable in the environment that all its processes inherit.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

/// Marks every process of a job in its environment.
pub(crate) const JOB: &str = "DOLMEN_JOB";

/// Where the launchers of Open MPI and MPICH tell a process its rank.
pub(crate) const RANK_VARIABLES: [&str; 2] = ["OMPI_COMM_WORLD_RANK", "PMI_RANK"];

/// The environments of the living processes of a job. Of a process that has ended and only waits
/// for its parent to notice, the environment is empty.
fn environments(job: &OsStr) -> Vec<(u32, Vec<u8>)> {
    let mark = [JOB.as_bytes(), b"=", job.as_bytes()].concat();
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let environment = fs::read(entry.path().join("environ")).ok()?;
            let marked = environment.split(|&byte| byte == 0).any(|variable| variable == mark);
            marked.then_some((pid, environment))
        })
        .collect()
}

/// All living processes of a job, the launcher included.
pub(crate) fn of_job(job: &OsStr) -> Vec<u32> {
    environments(job).into_iter().map(|(pid, _)| pid).collect()
}

/// The living ranks of a job, with their process ids.
pub(crate) fn ranks(job: &OsStr) -> BTreeMap<usize, u32> {
    environments(job).into_iter().filter_map(|(pid, environment)| Some((rank(&environment)?, pid))).collect()
}

fn rank(environment: &[u8]) -> Option<usize> {
    environment.split(|&byte| byte == 0).find_map(|variable| {
        let (name, value) = std::str::from_utf8(variable).ok()?.split_once('=')?;
        RANK_VARIABLES.contains(&name).then(|| value.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rank_is_read_from_either_launchers_environment() {
        assert_eq!(rank(b"HOME=/x\0OMPI_COMM_WORLD_RANK=3\0"), Some(3));
        assert_eq!(rank(b"PMI_RANK=0\0PMI_SIZE=2\0"), Some(0));
        assert_eq!(rank(b"OMPI_COMM_WORLD_SIZE=3\0\xff=1\0"), None);
    }
}
