//! The threads of a rank: how many, whether the node has room for them, and how they share work.

mod ffi;

use std::cell::Cell;
use std::env;
use std::ops::Range;

use rayon_core::{ThreadPoolBuilder, join};

use crate::comm::Comm;
use crate::error::{Error, Result};
use crate::threads::split::Split;
use ffi::{CpuSet, allowed_cpus};

/// Environment variables with the number of threads; the first that is set counts.
const VARIABLES: [&str; 2] = ["DOLMEN_NUM_THREADS", "RAYON_NUM_THREADS"];
const FORCE: &str = "DOLMEN_OVERSUBSCRIBE";

/// Threads of this rank, where they are decided on.
#[derive(Clone, Copy)]
struct Started {
    threads: usize,
    by_environment: bool,
}

// Only the thread that calls MPI has helpers, and only it has distributed objects.
thread_local!(static STARTED: Cell<Option<Started>> = const { Cell::new(None) });

/// Returns the number of threads of this rank, the one that calls MPI included.
pub fn count() -> usize {
    STARTED.get().map_or(1, |started| started.threads)
}

/// Gives each rank `threads` threads, once, before they are used. Where the environment says how
/// many, that counts, and this does nothing.
///
/// # Collective
/// Ranks may have different numbers.
///
/// # Errors
/// [`Error::Threads`], agreed over the ranks: no thread at all, another number than before, or more
/// threads of all ranks on a node than cores to run on.
pub fn start(comm: &Comm, threads: usize) -> Result<()> {
    let before = STARTED.get();
    let wanted = match before {
        Some(started) if started.by_environment || started.threads == threads => Ok(started.threads),
        Some(started) => Err(refusal(format!(
            "this rank has {} threads already; start them once, at the top of the program",
            started.threads
        ))),
        None if threads == 0 => Err(refusal("a rank needs at least one thread".to_owned())),
        None => Ok(threads),
    };
    let threads = comm.agree(wanted)?;
    start_checked(comm, before.is_none(), Started { threads, by_environment: false })
}

/// Starts the threads that the environment asks for.
///
/// # Collective
pub(crate) fn from_environment(comm: &Comm) -> Result<()> {
    let wanted = comm.agree(wanted_by_environment())?;
    let started = Started { threads: wanted.unwrap_or(1), by_environment: true };
    start_checked(comm, wanted.is_some(), started)
}

fn wanted_by_environment() -> Result<Option<usize>> {
    let set = VARIABLES.iter().find_map(|name| Some((name, env::var(name).ok().filter(|value| !value.is_empty())?)));
    let Some((name, value)) = set else {
        return Ok(None);
    };
    match value.trim().parse() {
        Ok(threads) if threads > 0 => Ok(Some(threads)),
        _ => Err(refusal(format!("{name}={value} is not a number of threads; give 1 or more"))),
    }
}

/// Starts threads where they are new, after all ranks have found room for them.
///
/// # Collective
fn start_checked(comm: &Comm, new: bool, started: Started) -> Result<()> {
    let forced = env::var(FORCE).as_deref() == Ok("1");
    let mut most = [if new { started.threads as u64 } else { 1 }, u64::from(forced)];
    comm.all_reduce_max(&mut most);
    if most[0] > 1 && most[1] == 0 {
        require_room(comm, started.threads)?;
    }
    if new {
        comm.agree(build(started.threads))?;
        STARTED.set(Some(started));
    } else {
        comm.agree::<_, Error>(Ok(()))?;
    }
    Ok(())
}

fn build(threads: usize) -> Result<()> {
    if threads > 1 {
        // The calling thread is the first of the pool: its work starts without being handed over.
        let pool = ThreadPoolBuilder::new().num_threads(threads).use_current_thread().build();
        let pool = pool.map_err(|error| refusal(format!("cannot start {threads} of them: {error}")))?;
        // They are there until the process ends.
        std::mem::forget(pool);
    }
    Ok(())
}

/// Checks that the ranks of each node have no more threads than cores.
///
/// # Collective
fn require_room(comm: &Comm, threads: usize) -> Result<()> {
    let node = comm.split_shared();
    let mine = allowed_cpus();
    let sets = node.all_gather(mine);
    let counts = node.all_gather(threads as u64);
    node.free();
    comm.agree(check_room(threads, &mine, &sets, &counts))
}

fn check_room(threads: usize, mine: &CpuSet, sets: &[CpuSet], counts: &[u64]) -> Result<()> {
    let advice = format!(
        "use fewer ranks or threads ({}), let the launcher bind ranks to more cores (mpirun --bind-to none), \
         or set {FORCE}=1 to continue anyway",
        VARIABLES[0]
    );
    let own = mine.count();
    if threads > own {
        return Err(refusal(format!("{threads} threads on a rank that may run on {own} of the cores; {advice}")));
    }
    let cores = sets.iter().copied().fold(CpuSet::default(), CpuSet::union).count();
    let all: u64 = counts.iter().sum();
    if all > cores as u64 {
        let ranks = sets.len();
        return Err(refusal(format!("{all} threads of {ranks} ranks on a node with {cores} cores; {advice}")));
    }
    Ok(())
}

/// Merges what `map(part, piece)` gives for these parts, each on a thread, in their order; `pieces`
/// begins with the first of them.
pub(super) fn reduce_range<S: Split, R: Send>(
    parts: Range<usize>,
    pieces: S,
    cut: &(impl Fn(usize) -> usize + Sync),
    map: &(impl Fn(usize, S) -> R + Sync),
    merge: &(impl Fn(R, R) -> R + Sync),
) -> R {
    if parts.len() == 1 {
        return map(parts.start, pieces);
    }
    let middle = parts.start.midpoint(parts.end);
    let (low, high) = pieces.split(cut(middle) - cut(parts.start));
    let (low, high) = join(
        || reduce_range(parts.start..middle, low, cut, map, merge),
        || reduce_range(middle..parts.end, high, cut, map, merge),
    );
    merge(low, high)
}

fn refusal(reason: String) -> Error {
    Error::Threads { reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_that_of_all_ranks_on_the_node() {
        let cpus = |list: &[usize]| list.iter().copied().collect::<CpuSet>();
        let check = |threads, mine: &CpuSet, sets: &[CpuSet], counts: &[u64]| {
            check_room(threads, mine, sets, counts).err().map(|error| error.to_string())
        };
        let four = cpus(&[0, 1, 64, 1000]);
        assert_eq!(check(2, &four, &[four, four], &[2, 2]), None);
        let message = check(2, &four, &[four; 3], &[2; 3]).unwrap();
        assert!(message.starts_with("threads: 6 threads of 3 ranks on a node with 4 cores; use fewer"), "{message}");
        assert!(message.contains("DOLMEN_OVERSUBSCRIBE=1"), "{message}");
        // Bound to different cores, of which one rank has too few.
        let (one, three) = (cpus(&[3]), cpus(&[0, 1, 2]));
        let message = check(2, &one, &[one, three], &[2, 1]).unwrap();
        assert!(message.starts_with("threads: 2 threads on a rank that may run on 1 of the cores"), "{message}");
        assert_eq!(check(1, &three, &[one, three], &[1, 3]), None);
    }

    #[test]
    fn this_process_may_run_somewhere() {
        let available = std::thread::available_parallelism().unwrap().get();
        assert!(allowed_cpus().count() >= available);
    }
}
