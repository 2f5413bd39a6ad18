//! Intersections of a slab with the chunks of a dataset.

use crate::hdf5::slab::Slab;

/// Returns the chunks that a slab meets, each by its number in every dimension; the last runs fastest.
pub(super) fn chunks(slab: &Slab, chunk: &[u64]) -> impl Iterator<Item = Vec<u64>> + use<> {
    let ends = slab.start.iter().zip(&slab.count);
    let ranges: Vec<(u64, u64)> =
        ends.zip(chunk).map(|((start, count), length)| (start / length, (start + count).div_ceil(*length))).collect();
    let mut next = (slab.elements() > 0).then(|| ranges.iter().map(|range| range.0).collect::<Vec<u64>>());
    std::iter::from_fn(move || {
        let place = next.clone()?;
        next = step(&place, &ranges);
        Some(place)
    })
}

/// Returns the place after another.
fn step(place: &[u64], ranges: &[(u64, u64)]) -> Option<Vec<u64>> {
    let mut next = place.to_vec();
    for (at, (first, end)) in next.iter_mut().zip(ranges).rev() {
        *at += 1;
        if *at < *end {
            return Some(next);
        }
        *at = *first;
    }
    None
}

/// The elements of a chunk that are in a slab, as runs that lie in one piece in both.
pub(super) struct Runs {
    /// Elements of a run.
    length: usize,
    /// For each dimension outside of a run: how often, and the steps in the chunk and in the slab.
    outer: Vec<(usize, usize, usize)>,
    from: usize,
    to: usize,
}

impl Runs {
    /// The chunk is the one at `place`.
    ///
    /// # Panics
    /// If chunk or slab are not in memory, which both are.
    pub(super) fn new(slab: &Slab, chunk: &[u64], place: &[u64]) -> Self {
        let in_memory = |elements: u64| usize::try_from(elements).expect("invariant: part of what is in memory");
        let mut runs = Self { length: 1, outer: Vec::new(), from: 0, to: 0 };
        let (mut stride_from, mut stride_to, mut in_one_piece) = (1, 1, true);
        for at in (0..chunk.len()).rev() {
            let begin = place[at] * chunk[at];
            let first = begin.max(slab.start[at]);
            let end = (begin + chunk[at]).min(slab.start[at] + slab.count[at]);
            let count = end - first;
            runs.from += in_memory((first - begin) * stride_from);
            runs.to += in_memory((first - slab.start[at]) * stride_to);
            if in_one_piece {
                runs.length *= in_memory(count);
            } else {
                runs.outer.push((in_memory(count), in_memory(stride_from), in_memory(stride_to)));
            }
            in_one_piece &= count == chunk[at] && count == slab.count[at];
            stride_from *= chunk[at];
            stride_to *= slab.count[at];
        }
        runs.outer.reverse();
        runs
    }

    /// Gives each run to `take`: where it starts in the chunk and in the slab, and its elements.
    pub(super) fn each(&self, mut take: impl FnMut(usize, usize, usize)) {
        let mut at = vec![0; self.outer.len()];
        loop {
            let (mut from, mut to) = (self.from, self.to);
            for (number, (_, in_chunk, in_slab)) in at.iter().zip(&self.outer) {
                from += number * in_chunk;
                to += number * in_slab;
            }
            take(from, to, self.length);
            let next = at.iter().zip(&self.outer).rposition(|(number, (count, ..))| number + 1 < *count);
            let Some(next) = next else { return };
            at[next] += 1;
            at[next + 1..].fill(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the slab of an array of numbered elements, put together from its chunks.
    fn gathered(shape: &[u64], chunk: &[u64], slab: &Slab) -> Vec<u64> {
        let mut out = vec![u64::MAX; usize::try_from(slab.elements()).unwrap()];
        for place in chunks(slab, chunk) {
            let size: u64 = chunk.iter().product();
            let element = |index: u64| {
                let mut rest = index;
                let mut place_in: Vec<u64> = chunk
                    .iter()
                    .rev()
                    .map(|length| {
                        let within = rest % length;
                        rest /= length;
                        within
                    })
                    .collect();
                place_in.reverse();
                let at =
                    place_in.iter().zip(&place).zip(chunk).map(|((within, place), length)| place * length + within);
                at.zip(shape).fold(0, |number, (at, length)| number * length + at)
            };
            Runs::new(slab, chunk, &place).each(|from, to, length| {
                (0..length).for_each(|step| {
                    assert!(((from + step) as u64) < size, "outside of the chunk");
                    out[to + step] = element((from + step) as u64);
                });
            });
        }
        out
    }

    #[test]
    fn slabs_are_put_together_from_chunks() {
        let shape = [7, 5, 6];
        for chunk in [[3, 2, 4], [7, 5, 6], [1, 5, 6], [2, 1, 1], [10, 10, 10]] {
            for (start, count) in
                [([0, 0, 0], [7, 5, 6]), ([2, 1, 3], [4, 3, 2]), ([6, 4, 5], [1, 1, 1]), ([1, 0, 0], [5, 5, 6])]
            {
                let slab = Slab { start: start.to_vec(), count: count.to_vec() };
                let mut expected = Vec::new();
                for i in start[0]..start[0] + count[0] {
                    for j in start[1]..start[1] + count[1] {
                        (start[2]..start[2] + count[2]).for_each(|k| expected.push((i * 5 + j) * 6 + k));
                    }
                }
                assert_eq!(gathered(&shape, &chunk, &slab), expected, "{chunk:?} {slab:?}");
            }
        }
        assert_eq!(chunks(&Slab { start: vec![0], count: vec![0] }, &[4]).count(), 0);
    }
}
