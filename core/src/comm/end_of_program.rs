//! The end of a program on all ranks: a vote in which each says whether it failed.
//!
//! A rank that has finished waits in the vote for the others. They may compute for long, or wait in a
//! collective function for a rank that has finished, and then the job never ends. So the waiting ranks
//! tell each other that they wait, and the lowest says in a line which ranks are missing.

mod ffi;

use std::cell::RefCell;
use std::fmt::Display;
use std::mem::ManuallyDrop;
use std::time::{Duration, Instant};

use crate::comm::disagreement::listed;
use crate::comm::ffi::{Pending, RawComm};
use crate::comm::group;
use crate::comm::report::{FAILURE, print, report};
use ffi::Notes;

/// Time that a rank whose `main` failed leaves the others to finish.
const GRACE: Duration = Duration::from_secs(5);
/// Waiting time after which a finished rank reports that it waits.
const PATIENCE: Duration = Duration::from_secs(5);
/// Time in which waiting ranks find out which of them is the lowest, which reports.
const LISTEN: Duration = Duration::from_secs(1);
/// Time between two such reports.
const AGAIN: Duration = Duration::from_secs(60);
/// Ranks that are told who has finished, and report it: if all told all, messages would grow with the square of the
/// number of ranks.
const LISTENERS: usize = 16;

// Not dropped with the thread: a Python interpreter ends its program after the memory of its main thread was.
thread_local!(static NOTES: ManuallyDrop<RefCell<Option<Notes>>> = const { ManuallyDrop::new(RefCell::new(None)) });

/// Begins to listen to ranks that have finished, which tell on this communicator.
pub(crate) fn listen(control: RawComm) {
    NOTES.with(|notes| notes.replace(Some(Notes::new(control))));
}

fn with_notes<R>(f: impl FnOnce(&mut Notes) -> R) -> R {
    NOTES.with(|notes| f(notes.borrow_mut().as_mut().expect("invariant: the program listens first")))
}

/// Returns whether a rank of the world has told that it finished.
pub(super) fn has_finished(rank: usize) -> bool {
    NOTES.with(|notes| notes.borrow_mut().as_mut().is_some_and(|notes| notes.received().contains(&rank)))
}

/// Votes that this rank has finished, and waits for the others.
///
/// # Collective
pub(crate) fn finish(control: RawComm) {
    let mut vote = Pending::minimum(control, u64::MAX);
    let start = Instant::now();
    let mut next = PATIENCE + LISTEN;
    let tell_at = if group::compares_calls() { Duration::ZERO } else { PATIENCE };
    let listeners = listeners(control);
    while vote.test().is_none() {
        let waited = start.elapsed();
        with_notes(|notes| {
            if waited >= tell_at {
                notes.tell(listeners);
            }
            if waited >= next && control.rank() < listeners {
                next = waited + AGAIN;
                say_who_is_missing(control, notes, waited);
            }
        });
        rest(waited);
    }
    drain(control);
}

/// Returns how many ranks are told who has finished: the lowest ones, or all where each of them compares its calls.
fn listeners(control: RawComm) -> usize {
    if group::compares_calls() { control.size() } else { control.size().min(LISTENERS) }
}

/// Votes that this rank failed. The first one calls `tell` with true. Ranks that never come to the vote would wait for
/// this one forever, so the job is ended after the grace, after `tell` with false.
///
/// # Collective
pub(crate) fn fail(control: RawComm, error: &dyn Display, tell: impl FnOnce(bool)) {
    let rank = control.rank();
    let mut vote = Pending::minimum(control, rank as u64);
    let start = Instant::now();
    loop {
        if let Some(first) = vote.test() {
            if first == rank as u64 {
                tell(true);
            }
            return drain(control);
        }
        if start.elapsed() > GRACE {
            tell(false);
            report(&format!("rank {rank} ended while others continued, so the job was ended: {error}"));
            control.abort(i32::from(FAILURE));
        }
        rest(start.elapsed());
    }
}

/// Ranks come to the end at nearly the same time, or much later.
fn rest(waited: Duration) {
    if waited < Duration::from_millis(1) {
        std::thread::yield_now();
    } else {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Prints a line on the lowest rank that waits.
fn say_who_is_missing(control: RawComm, notes: &mut Notes, waited: Duration) {
    let rank = control.rank();
    let finished = notes.received();
    if finished.iter().any(|other| *other < rank) {
        return;
    }
    let mut has_finished = vec![false; control.size()];
    finished.iter().chain([&rank]).for_each(|other| has_finished[*other] = true);
    let (done, missing): (Vec<usize>, Vec<usize>) = (0..control.size()).partition(|other| has_finished[*other]);
    let [done, missing] = [done, missing].map(|ranks| listed(&ranks));
    let seconds = waited.as_secs();
    let line = format!(
        "note: {done} finished {seconds} s ago, {missing} did not. If {missing} only computes, wait; if it waits for \
         {done} in a collective function, the job never ends: DOLMEN_CHECK=1 finds the function\n"
    );
    print(&line);
}

/// Receives messages of other ranks that nobody waited for.
///
/// # Collective
fn drain(control: RawComm) {
    with_notes(|notes| {
        let told = u8::from(notes.has_told());
        let mut tellers = vec![0; control.size()];
        control.all_gather(&[told], &mut tellers);
        let all = tellers.iter().filter(|told| **told == 1).count();
        let others = if control.rank() < listeners(control) { all - usize::from(told) } else { 0 };
        while notes.received().len() < others {
            std::thread::yield_now();
        }
        notes.finish();
    });
}
