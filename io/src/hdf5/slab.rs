//! Hyperslabs, and how a large one is split into transfers.

/// A box of a dataset: `count[d]` elements from `start[d]` in dimension d.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slab {
    pub(super) start: Vec<u64>,
    pub(super) count: Vec<u64>,
}

impl Slab {
    /// Creates a slab inside a dataset, or what is wrong with it.
    pub(super) fn new(shape: &[u64], start: &[u64], count: &[u64]) -> Result<Self, String> {
        for (name, given) in [("start", start), ("count", count)] {
            if given.len() != shape.len() {
                return Err(format!("expected {} dimensions in {name}, found {}", shape.len(), given.len()));
            }
        }
        for (dimension, ((start, count), length)) in start.iter().zip(count).zip(shape).enumerate() {
            if start.checked_add(*count).is_none_or(|end| end > *length) {
                return Err(format!(
                    "{count} elements from {start} asked for in dimension {dimension}, \
                     which has {length}"
                ));
            }
        }
        Ok(Self { start: start.to_vec(), count: count.to_vec() })
    }

    /// Creates the slab of nothing, for a rank that takes part in a collective transfer.
    pub(super) fn empty(dimensions: usize) -> Self {
        Self { start: vec![0; dimensions], count: vec![0; dimensions] }
    }

    /// Returns the number of elements; 2^64 - 1 if they are more than that.
    pub(super) fn elements(&self) -> u64 {
        if self.count.contains(&0) {
            return 0;
        }
        self.count.iter().fold(1, |product: u64, count| product.saturating_mul(*count))
    }

    /// Returns the pieces in which the slab lies in a dataset of a shape that is stored row by row: the position of
    /// each one's first element, and how many there are.
    pub(super) fn runs(&self, shape: &[u64]) -> impl Iterator<Item = (u64, u64)> {
        let dimensions = shape.len();
        let whole = (0..dimensions).rev().take_while(|&dimension| self.count[dimension] == shape[dimension]).count();
        // A run is some of this dimension and all of those behind it.
        let first = (dimensions - whole).saturating_sub(1);
        let (outer, inner) = self.count.split_at(first);
        let length: u64 = inner.iter().product();
        let runs = if length == 0 { 0 } else { outer.iter().product() };
        (0..runs).map(move |run| {
            let (mut rest, mut position, mut stride) = (run, 0, 1);
            for dimension in (0..dimensions).rev() {
                let mut index = self.start[dimension];
                if dimension < first {
                    index += rest % self.count[dimension];
                    rest /= self.count[dimension];
                }
                position += index * stride;
                stride *= shape[dimension];
            }
            (position, length)
        })
    }

    /// Splits the slab into parts of at most `limit` elements, which follow each
    /// other in memory (row-major). A slab without elements has no parts.
    pub(super) fn split(&self, limit: u64) -> Vec<Self> {
        let mut parts = Vec::new();
        if self.elements() > 0 {
            self.split_into(limit.max(1), &mut parts);
        }
        parts
    }

    fn split_into(&self, limit: u64, parts: &mut Vec<Self>) {
        let elements = self.elements();
        let outer = self.count.iter().position(|count| *count > 1);
        let (true, Some(outer)) = (elements > limit, outer) else {
            parts.push(self.clone());
            return;
        };
        let inner = elements / self.count[outer];
        let step = (limit / inner).max(1);
        let mut done = 0;
        while done < self.count[outer] {
            let mut part = self.clone();
            part.start[outer] += done;
            part.count[outer] = step.min(self.count[outer] - done);
            part.split_into(limit, parts);
            done += step;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Row-major positions of a slab's elements in a dataset of that shape.
    fn positions(slab: &Slab, shape: &[u64]) -> Vec<u64> {
        (0..slab.elements())
            .map(|element| {
                let mut rest = element;
                let mut stride = 1;
                let mut position = 0;
                for dimension in (0..shape.len()).rev() {
                    let index = slab.start[dimension] + rest % slab.count[dimension];
                    rest /= slab.count[dimension];
                    position += index * stride;
                    stride *= shape[dimension];
                }
                position
            })
            .collect()
    }

    #[test]
    fn parts_follow_each_other_and_keep_the_limit() {
        let shape = [4, 3, 5, 7];
        let slab = Slab::new(&shape, &[1, 0, 2, 1], &[3, 3, 2, 5]).unwrap();
        let whole = positions(&slab, &shape);
        for limit in 1..=100 {
            let parts = slab.split(limit);
            assert!(parts.iter().all(|part| part.elements() <= limit));
            let joined: Vec<u64> = parts.iter().flat_map(|p| positions(p, &shape)).collect();
            assert_eq!(joined, whole, "limit {limit}");
        }
    }

    #[test]
    fn runs_are_the_positions_in_order() {
        let shape = [4, 3, 5];
        let cases: [([u64; 3], [u64; 3], usize); 6] = [
            ([0, 0, 0], [4, 3, 5], 1),
            ([1, 0, 0], [2, 3, 5], 1),
            ([1, 1, 0], [2, 2, 5], 2),
            ([3, 2, 1], [1, 1, 3], 1),
            ([0, 1, 2], [4, 2, 2], 8),
            ([0, 0, 0], [4, 0, 5], 0),
        ];
        for (start, count, runs) in cases {
            let slab = Slab::new(&shape, &start, &count).unwrap();
            let found: Vec<(u64, u64)> = slab.runs(&shape).collect();
            assert_eq!(found.len(), runs, "{start:?} {count:?}");
            let found: Vec<u64> = found.into_iter().flat_map(|(first, length)| first..first + length).collect();
            assert_eq!(found, positions(&slab, &shape), "{start:?} {count:?}");
        }
        assert_eq!(Slab::new(&[], &[], &[]).unwrap().runs(&[]).collect::<Vec<_>>(), [(0, 1)]);
    }

    #[test]
    fn parts_are_as_few_as_rows_allow() {
        let rows = Slab::new(&[10, 100], &[0, 0], &[10, 100]).unwrap();
        assert_eq!(rows.split(1000).len(), 1);
        assert_eq!(rows.split(999).len(), 2);
        assert_eq!(rows.split(100).len(), 10);
        assert_eq!(rows.split(99).len(), 20);
    }

    #[test]
    fn slabs_above_2_gib_split_at_1_gib() {
        let slab = Slab::new(&[1 << 33], &[5], &[(1 << 32) + 3]).unwrap();
        let parts = slab.split((1 << 30) / 8);
        assert_eq!(parts.len(), 33);
        assert_eq!(parts[32].count, [3]);
        assert_eq!(parts[32].start, [(1 << 32) + 5]);
    }

    #[test]
    fn empty_and_scalar_slabs() {
        assert_eq!(Slab::new(&[4, 4], &[4, 0], &[0, 4]).unwrap().split(8), []);
        assert_eq!(Slab::new(&[], &[], &[]).unwrap().split(1).len(), 1);
    }

    #[test]
    fn what_is_outside_is_named() {
        let error = Slab::new(&[4, 5], &[0, 3], &[4, 3]).unwrap_err();
        assert!(error.contains("3 elements from 3") && error.contains("dimension 1"), "{error}");
        assert!(Slab::new(&[4], &[u64::MAX], &[2]).is_err());
        let error = Slab::new(&[4], &[0, 0], &[1, 1]).unwrap_err();
        assert!(error.contains("expected 1 dimensions in start, found 2"), "{error}");
    }
}
