//! Finding the processes of a job, wherever its launcher has put them.
//!
//! Launchers give their ranks process groups and sessions of their own, so a job is recognized by
//! a variable in the environment that all its processes inherit.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

/// Marks every process of a job in its environment.
pub(crate) const JOB: &str = "DOLMEN_JOB";

/// Variables by which the launchers of Open MPI and MPICH tell a process its rank.
pub(crate) const RANK_VARIABLES: [&str; 2] = ["OMPI_COMM_WORLD_RANK", "PMI_RANK"];

/// The processes of the machine now.
fn all() -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The environment of a process. It is empty if the process has ended and only waits for its parent to
/// notice, or if it is of the system.
fn environment(pid: u32) -> Vec<u8> {
    fs::read(format!("/proc/{pid}/environ")).unwrap_or_default()
}

fn has_mark(environment: &[u8], job: &OsStr) -> bool {
    let mark = [JOB.as_bytes(), b"=", job.as_bytes()].concat();
    environment.split(|&byte| byte == 0).any(|variable| variable == mark)
}

/// The environments of the living processes of a job.
fn environments(job: &OsStr) -> Vec<(u32, Vec<u8>)> {
    let pairs = all().into_iter().map(|pid| (pid, environment(pid)));
    pairs.filter(|(_, environment)| has_mark(environment, job)).collect()
}

/// Finds the processes of one job again and again, and reads each environment of others once.
#[derive(Debug, Default)]
pub(crate) struct Finder {
    others: HashSet<u32>,
}

impl Finder {
    /// All living processes of the job, the launcher included.
    pub(crate) fn find(&mut self, job: &OsStr) -> Vec<u32> {
        let mut found = all();
        found.retain(|&pid| {
            let environment = if self.others.contains(&pid) { return false } else { environment(pid) };
            let ours = has_mark(&environment, job);
            if !ours && !environment.is_empty() {
                self.others.insert(pid);
            }
            ours
        });
        found
    }
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
    fn processes_are_found_again() {
        let job = OsStr::new("found-again");
        let mut finder = Finder::default();
        let mut children = Vec::new();
        for _ in 0..2 {
            children.push(std::process::Command::new("sleep").arg("60").env(JOB, job).spawn().unwrap());
            // A program that has just started has no environment yet.
            while finder.find(job).len() < children.len() {
                std::thread::yield_now();
            }
            assert!(children.iter().all(|child| finder.find(job).contains(&child.id())));
        }
        for child in &mut children {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        assert!(finder.find(job).is_empty());
    }

    #[test]
    fn the_rank_is_read_from_either_launchers_environment() {
        assert_eq!(rank(b"HOME=/x\0OMPI_COMM_WORLD_RANK=3\0"), Some(3));
        assert_eq!(rank(b"PMI_RANK=0\0PMI_SIZE=2\0"), Some(0));
        assert_eq!(rank(b"OMPI_COMM_WORLD_SIZE=3\0\xff=1\0"), None);
    }
}
