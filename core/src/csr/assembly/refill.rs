//! New values for a known pattern: the symbolic half once, the numeric half many times.
//!
//! A [`RefillPlan`] knows, for a sequence of places given on any rank, where each value goes: to
//! which rank, and to which stored entry there. Refilling then sends values only, searches
//! nothing and sorts nothing.

use std::rc::Rc;

use crate::csr::assembly::routing::{Place, Routing};
use crate::csr::assembly::sorted_rows::Duplicates;
use crate::csr::kernels::ENTRIES_AHEAD;
use crate::csr::matrix::{CsrMatrix, Shape};
use crate::error::{Error, Result};
use crate::index::Gid;
use crate::memory;
use crate::profile;
use crate::scalar::Scalar;
use crate::simd::prefetch;
use crate::threads;

/// Entries that are filled at once.
const AT_ONCE: usize = 8;

/// Destinations of a sequence of triplets in a matrix of one pattern; made by
/// [`CsrMatrix::plan_refill`] and [`BlockCsrMatrix::plan_refill`](crate::BlockCsrMatrix::plan_refill).
///
/// Memory: 8 bytes for each stored entry where each gets one triplet; else 8 bytes for each given or received
/// triplet and for each stored entry.
pub struct RefillPlan {
    shape: Rc<Shape>,
    routing: Routing,
    contributions: Contributions,
}

/// Which of the given and received values make each stored entry.
pub(crate) struct Contributions {
    duplicates: Duplicates,
    given: usize,
    /// Entry `slot` combines contributions `sources[starts[slot]..starts[slot + 1]]`, in order of
    /// the ranks that give them. Contributions are numbered: own ones, then received ones.
    sources: Box<[usize]>,
    /// Left out if each entry has one contribution.
    starts: Option<Box<[usize]>>,
}

impl RefillPlan {
    /// Plans for a pattern of which `slot` knows where this rank's `entries` are.
    ///
    /// # Collective
    pub(crate) fn new(
        shape: &Rc<Shape>,
        entries: usize,
        slot: impl Fn(Gid, Gid) -> Option<usize>,
        places: impl IntoIterator<Item = (Gid, Gid)>,
        duplicates: Duplicates,
    ) -> Result<RefillPlan> {
        let (range, comm) = (&shape.range, shape.range.comm());
        let mut slots = Vec::new();
        let (mut foreign, mut positions): (Vec<Place>, Vec<usize>) = (Vec::new(), Vec::new());
        let mut valid = Ok(());
        for (position, (row, column)) in places.into_iter().enumerate() {
            slots.push(None);
            if range.global_to_owned(row).is_none() {
                foreign.push([row, column]);
                positions.push(position);
            } else if let Some(slot) = slot(row, column) {
                slots[position] = Some(slot);
            } else if valid.is_ok() {
                valid = Err(Error::NotStored { row, column });
            }
        }
        comm.agree(valid)?;
        let routing = comm.agree(Routing::new(range.blocks(), &foreign, positions.iter().copied()))?;
        // Routed items are picked by position among all that are given.
        let mut at_position = vec![[0; 2]; slots.len()];
        positions.iter().zip(&foreign).for_each(|(&position, &place)| at_position[position] = place);
        let received = routing.send(comm, &at_position, 1);
        let slot = |&[row, column]: &Place| slot(row, column).ok_or(Error::NotStored { row, column });
        let slots_of = |places: &[Place]| places.iter().map(slot).collect::<Result<Vec<usize>>>();
        let found = received.iter().map(|(from, places)| Ok((*from, slots_of(places)?))).collect();
        let received: Vec<(usize, Vec<usize>)> = comm.agree::<_, Error>(found)?;
        let given = slots.len();
        let (starts, sources) = group(comm.rank(), &slots, &received, entries);
        let single = starts.windows(2).all(|bounds| bounds[1] - bounds[0] == 1);
        let starts = (!single).then_some(starts);
        let contributions = Contributions { duplicates, given, starts, sources };
        Ok(RefillPlan { shape: Rc::clone(shape), routing, contributions })
    }

    /// Sends values, `width` for each planned place, and returns what this rank receives.
    ///
    /// # Collective
    pub(crate) fn exchange<T: Scalar>(&self, shape: &Rc<Shape>, values: &[T], width: usize) -> Result<Vec<T>> {
        let comm = shape.range.comm();
        comm.agree(self.check(shape, values.len(), width))?;
        let received = self.routing.send(comm, values, width);
        Ok(received.into_iter().flat_map(|(_, values)| values).collect())
    }

    fn check(&self, shape: &Rc<Shape>, found: usize, width: usize) -> Result<()> {
        if !Rc::ptr_eq(shape, &self.shape) {
            return Err(Error::PatternMismatch { operation: "refill with a plan made for another matrix" });
        }
        let expected = self.contributions.given * width;
        if found == expected { Ok(()) } else { Err(Error::LocalLength { what: "values of a refill", expected, found }) }
    }

    /// Returns the contributions to the values of the entries.
    pub(crate) fn contributions(&self) -> &Contributions {
        &self.contributions
    }
}

impl Contributions {
    /// Combines what was given and received to the values of the entries from number `first` on,
    /// `width` each.
    #[inline(always)]
    pub(crate) fn fill<T: Scalar>(&self, [given, received]: [&[T]; 2], width: usize, first: usize, entries: &mut [T]) {
        let contribution = |&source: &usize, part: usize| match source.checked_sub(self.given) {
            None => given[source * width + part],
            Some(position) => received[position * width + part],
        };
        let Some(starts) = &self.starts else {
            let groups = entries.chunks_mut(AT_ONCE * width).zip(self.sources[first..].chunks(AT_ONCE));
            for ((entries, sources), number) in groups.zip((first..).step_by(AT_ONCE)) {
                // Values come mostly in the order of the entries, but for rows that are moved.
                prefetch(given.as_ptr().wrapping_add((number + ENTRIES_AHEAD) * width), AT_ONCE * width, 0);
                for (entry, source) in entries.chunks_exact_mut(width).zip(sources) {
                    for (part, value) in entry.iter_mut().enumerate() {
                        *value = contribution(source, part);
                    }
                }
            }
            return;
        };
        let mut same = Vec::new();
        for (entry, bounds) in entries.chunks_exact_mut(width).zip(starts[first..].windows(2)) {
            let sources = &self.sources[bounds[0]..bounds[1]];
            for (part, value) in entry.iter_mut().enumerate() {
                *value = match sources {
                    [one] => contribution(one, part),
                    many => {
                        same.clear();
                        same.extend(many.iter().map(|source| contribution(source, part)));
                        self.duplicates.combine(&mut same)
                    }
                };
            }
        }
    }
}

impl<T: Scalar> CsrMatrix<T> {
    /// Plans to refill a matrix of this pattern from triplets at these places (global row, global
    /// column), given on any rank in the order in which the values will come.
    ///
    /// # Collective
    /// A sparse exchange of the places in other ranks' rows.
    ///
    /// # Errors
    /// A place, given on any rank, that is outside the matrix or not in its pattern.
    pub fn plan_refill(
        &self,
        places: impl IntoIterator<Item = (Gid, Gid)>,
        duplicates: Duplicates,
    ) -> Result<RefillPlan> {
        let _event = profile::operation("MatRefillPlan");
        let slot = |row, column| self.slot(row, column);
        RefillPlan::new(&self.shape, self.local_entries(), slot, places, duplicates)
    }

    /// Replaces all values by those of triplets whose places were planned, in the same order;
    /// entries that get none become zero.
    ///
    /// # Collective
    /// A sparse exchange of the values for other ranks' rows.
    ///
    /// # Errors
    /// A plan for another pattern, or not one value for each place, on any rank; the matrix is
    /// then unchanged.
    pub fn refill(&mut self, plan: &RefillPlan, values: &[T]) -> Result<()> {
        let _event = profile::operation("MatRefill");
        let received = plan.exchange(&self.shape, values, 1)?;
        let contributions = plan.contributions();
        let fill = |first: usize, entries: &mut [T]| contributions.fill([values, &received], 1, first, entries);
        self.local_mut().update_values(|entries| threads::for_entries(entries, &fill));
        Ok(())
    }

    /// Replaces all values by triplets (global row, global column, value) given on any rank, as
    /// [`CsrMatrix::from_triplets`] would assemble them; entries that get none become zero. For
    /// many refills at the same places [`CsrMatrix::plan_refill`] is faster.
    ///
    /// # Collective
    ///
    /// # Errors
    /// A triplet outside the matrix or not in its pattern; the matrix is then unchanged.
    pub fn refill_triplets(
        &mut self,
        triplets: impl IntoIterator<Item = (Gid, Gid, T)>,
        duplicates: Duplicates,
    ) -> Result<()> {
        let (places, values): (Vec<_>, Vec<T>) =
            triplets.into_iter().map(|(row, column, value)| ((row, column), value)).unzip();
        let plan = self.plan_refill(places, duplicates)?;
        self.refill(&plan, &values)
    }
}

/// Groups contributions by the entry they go to: a counting sort, in order of the giving ranks.
fn group(
    rank: usize,
    own: &[Option<usize>],
    received: &[(usize, Vec<usize>)],
    entries: usize,
) -> (Box<[usize]>, Box<[usize]>) {
    let lower = received.partition_point(|&(from, _)| from < rank);
    let first_received =
        |parts: &[(usize, Vec<usize>)]| own.len() + parts.iter().map(|(_, part)| part.len()).sum::<usize>();
    let numbered = |parts: &'_ [(usize, Vec<usize>)], first: usize| {
        (first..).zip(parts.iter().flat_map(|(_, part)| part.clone())).collect::<Vec<_>>()
    };
    let before = numbered(&received[..lower], own.len());
    let after = numbered(&received[lower..], first_received(&received[..lower]));
    let own = own.iter().enumerate().filter_map(|(source, slot)| Some((source, (*slot)?)));
    let all = || before.iter().copied().chain(own.clone()).chain(after.iter().copied());
    let mut starts = memory::zeros::<usize>(entries + 1);
    all().for_each(|(_, slot)| starts[slot + 1] += 1);
    (0..entries).for_each(|slot| starts[slot + 1] += starts[slot]);
    let mut next = starts.clone();
    let mut sources = memory::zeros::<usize>(starts[entries]);
    for (source, slot) in all() {
        sources[next[slot]] = source;
        next[slot] += 1;
    }
    (starts.into(), sources.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contributions_are_grouped_in_order_of_ranks() {
        // Rank 1 gives three values, the second of them to another rank; ranks 0 and 2 send two each.
        let own = [Some(2), None, Some(0)];
        let received = [(0, vec![0, 1]), (2, vec![0, 2])];
        let (starts, sources) = group(1, &own, &received, 4);
        assert_eq!(*starts, [0, 3, 4, 6, 6]);
        assert_eq!(*sources, [3, 2, 5, 4, 0, 6]);
    }
}
