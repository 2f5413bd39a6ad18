//! Ranks that do not make the same calls: what they passed, in one error for all.

use std::fmt::Display;
use std::time::Duration;

use crate::comm::group::{Claim, Comm};
use crate::comm::report::{FAILURE, report};
use crate::comm::transfers::Misfit;
use crate::error::Error;
use crate::index::local;

/// Bytes of what a rank has to say; more is cut off.
const TEXT: usize = 1024;
/// Time that the other ranks leave the one that reports and ends the job.
const REPORTED: Duration = Duration::from_secs(5);

/// Ranks passed different things to a reduction. All of them know.
#[must_use = "all ranks have to tell what they passed"]
pub(crate) struct Disagreement {
    claim: Option<Claim>,
    /// The calls differ, or the sizes.
    calls: bool,
}

impl Disagreement {
    pub(super) fn new(claim: Option<Claim>, calls: bool) -> Disagreement {
        Disagreement { claim, calls }
    }

    /// Returns the error that lists the calls of all ranks; `call` is that of this one.
    ///
    /// # Collective
    pub(crate) fn error(self, comm: &Comm, call: &dyn Display) -> Error {
        let mine = match &self.claim {
            Some(claim) => claim.text.clone(),
            None => call.to_string(),
        };
        let texts = comm.texts(&mine);
        // What the calls sent beside the reduction is nobody's any more.
        let rounds = comm.all_gather(comm.rounds());
        comm.set_rounds(rounds.into_iter().max().unwrap_or(0) + 1);
        let settings = !self.calls && texts.iter().all(|text| text.lines().count() == mine.lines().count());
        Error::RanksDisagree { calls: if settings { differing_lines(&texts) } else { grouped(&texts) } }
    }

    /// Ends the job, as the call has no other way to fail.
    ///
    /// # Collective
    pub(crate) fn end(self, comm: &Comm, call: &dyn Display) -> ! {
        let error = self.error(comm, call);
        comm.end_together(&error)
    }
}

impl Comm {
    /// Compares settings over the ranks, without a message of its own: the next reduction on this
    /// communicator fails, or ends the job, where they differ, and the error shows those that do.
    /// `settings` gives a line for each, its name first.
    pub fn compare(&self, settings: impl FnOnce() -> String) {
        if self.size() > 1 {
            let mut text = self.take_claim().map_or_else(String::new, |claim| claim.text + "\n");
            text += &settings();
            let step = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
            let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325, step);
            self.claim(Claim { hash, text });
        }
    }

    /// Ends the job after an error that all ranks have; one of them prints it.
    pub(crate) fn end_together(&self, error: &dyn Display) -> ! {
        if self.rank() > 0 {
            std::thread::sleep(REPORTED);
        }
        report(error);
        self.abort(i32::from(FAILURE))
    }

    /// Ends the job after an error that only this rank can see.
    pub(crate) fn end_with(&self, error: &dyn Display) -> ! {
        report(error);
        self.abort(i32::from(FAILURE))
    }

    /// Ends the job if a message has not the length that this rank awaited, as another one passed other
    /// sizes: `call` says what a rank does that passes so many units, of so many bytes each in messages
    /// of that rank.
    pub(crate) fn require_fit(
        &self,
        result: Result<(), Misfit>,
        unit: impl FnOnce(usize) -> usize,
        call: impl Fn(&str) -> String,
    ) {
        let Err(Misfit { source, awaited, sent }) = result else { return };
        let unit = unit(source).max(1);
        let size = |bytes: usize| match bytes.is_multiple_of(unit) {
            true => (bytes / unit).to_string(),
            false => format!("{:.3}", bytes as f64 / unit as f64),
        };
        let mut calls = [(source, call(&size(sent))), (self.rank(), call(&size(awaited)))];
        calls.sort_unstable();
        // The other rank may see it too; one report will do.
        if self.rank() > source {
            std::thread::sleep(REPORTED / 10);
        }
        let calls = calls.map(|(rank, call)| format!("{call} (rank {rank})")).join(", ");
        self.end_with(&Error::RanksDisagree { calls })
    }

    /// Returns all ranks' texts, cut to a length that does not depend on them.
    ///
    /// # Collective
    pub(super) fn texts(&self, mine: &str) -> Vec<String> {
        let mut slot = [0; TEXT];
        let len = mine.len().min(TEXT - 8);
        slot[..8].copy_from_slice(&(len as u64).to_ne_bytes());
        slot[8..8 + len].copy_from_slice(&mine.as_bytes()[..len]);
        let mut all = vec![0; TEXT * self.size()];
        self.raw().all_gather(&slot, &mut all);
        let text = |slot: &[u8; TEXT]| {
            let (len, text) = slot.split_at(8);
            let len = local(bytemuck::pod_read_unaligned(len)).min(TEXT - 8);
            String::from_utf8_lossy(&text[..len]).into_owned()
        };
        all.as_chunks().0.iter().map(text).collect()
    }
}

/// Returns `rank 3`, or `ranks 1, 2`.
pub(super) fn listed(ranks: &[usize]) -> String {
    let numbers = ranks.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
    format!("rank{} {numbers}", if ranks.len() == 1 { "" } else { "s" })
}

/// Returns `first (rank 0), second (ranks 1, 2)`.
pub(super) fn grouped(texts: &[impl AsRef<str>]) -> String {
    let mut groups: Vec<(String, Vec<usize>)> = Vec::new();
    for (rank, text) in texts.iter().enumerate() {
        let text = text.as_ref().lines().collect::<Vec<_>>().join(", ");
        match groups.iter_mut().find(|(of, _)| *of == text) {
            Some((_, ranks)) => ranks.push(rank),
            None => groups.push((text, vec![rank])),
        }
    }
    let named = |(text, ranks): &(String, Vec<usize>)| format!("{text} ({})", listed(ranks));
    groups.iter().map(named).collect::<Vec<_>>().join(", ")
}

/// [`grouped`] for each line that is not the same everywhere; the texts have as many lines.
fn differing_lines(texts: &[String]) -> String {
    let lines: Vec<Vec<&str>> = texts.iter().map(|text| text.lines().collect()).collect();
    let line = |at: usize| lines.iter().map(|lines| lines[at]).collect::<Vec<_>>();
    let differs = |texts: &Vec<&str>| texts.iter().any(|text| *text != texts[0]);
    (0..lines[0].len()).map(line).filter(differs).map(|texts| grouped(&texts)).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_with_the_same_text_stand_together() {
        assert_eq!(grouped(&["a", "b", "a"]), "a (ranks 0, 2), b (rank 1)");
        let settings = ["CG\nrtol 1e-6\natol 0", "CG\nrtol 1e-8\natol 0", "CG\nrtol 1e-8\natol 1"].map(str::to_owned);
        let expected = "rtol 1e-6 (rank 0), rtol 1e-8 (ranks 1, 2); atol 0 (ranks 0, 1), atol 1 (rank 2)";
        assert_eq!(differing_lines(&settings), expected);
        assert_eq!(grouped(&settings[..2]), "CG, rtol 1e-6, atol 0 (rank 0), CG, rtol 1e-8, atol 0 (rank 1)");
    }
}
