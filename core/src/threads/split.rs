//! Data that threads share piece by piece.

/// Data that can be split in two.
pub(crate) trait Split: Send + Sized {
    /// Returns the first `at` elements and the others.
    fn split(self, at: usize) -> (Self, Self);
}

impl Split for () {
    fn split(self, _at: usize) -> ((), ()) {
        ((), ())
    }
}

impl<T: Send> Split for &mut [T] {
    fn split(self, at: usize) -> (Self, Self) {
        self.split_at_mut(at)
    }
}

impl<T: Send, const K: usize> Split for [&mut [T]; K] {
    fn split(self, at: usize) -> (Self, Self) {
        let mut rest: [&mut [T]; K] = std::array::from_fn(|_| Default::default());
        let mut slices = self.into_iter();
        let first = std::array::from_fn(|k| {
            let (first, after) = slices.next().expect("invariant: K slices").split_at_mut(at);
            rest[k] = after;
            first
        });
        (first, rest)
    }
}

impl<A: Split, B: Split> Split for (A, B) {
    fn split(self, at: usize) -> (Self, Self) {
        let ((a, a_rest), (b, b_rest)) = (self.0.split(at), self.1.split(at));
        ((a, b), (a_rest, b_rest))
    }
}
