//! Large arrays in large pages.
//!
//! Assembly touches every byte of its arrays once, so with pages of 4 KiB the kernel's page faults
//! take more than half of its time; and a pass over two vectors waits a tenth to a fifth of its
//! time for address translation. The arrays of matrices and vectors therefore ask for huge pages
//! (2 MiB) where the system gives them on request, which is the default of most distributions.

mod ffi;

use bytemuck::Pod;

use crate::simd;

/// Arrays from this size on ask for huge pages.
const LARGE: usize = 4 << 20;

/// Appends to an array, which grows in large pages.
#[inline(always)]
pub(crate) fn push<T>(to: &mut Vec<T>, value: T) {
    if to.len() == to.capacity() {
        reserve(to, 1);
    }
    to.push(value);
}

/// Appends a copy of `values` to an array, which grows in large pages.
#[inline(always)]
pub(crate) fn extend<T: Copy>(to: &mut Vec<T>, values: &[T]) {
    if values.len() > to.capacity() - to.len() {
        reserve(to, values.len());
    }
    to.extend_from_slice(values);
}

/// Makes room for `additional` more elements.
#[inline(never)]
pub(crate) fn reserve<T>(to: &mut Vec<T>, additional: usize) {
    to.reserve(additional);
    advise(to);
}

/// Creates an empty array with room for `capacity` elements.
#[must_use]
pub fn with_capacity<T>(capacity: usize) -> Vec<T> {
    let array = Vec::with_capacity(capacity);
    advise(&array);
    array
}

/// Creates an empty array with room for `capacity` elements; returns `None` if there is no memory for them.
#[must_use]
pub fn try_with_capacity<T>(capacity: usize) -> Option<Vec<T>> {
    let mut array = Vec::new();
    array.try_reserve_exact(capacity).ok()?;
    advise(&array);
    Some(array)
}

/// Allocates `len` zeros, not touched yet; returns `None` if there is no memory for them.
#[must_use]
pub fn try_zeros<T: Pod>(len: usize) -> Option<Vec<T>> {
    let zeros = bytemuck::allocation::try_zeroed_vec(len).ok()?;
    advise(&zeros);
    Some(zeros)
}

/// Allocates `len` zeros, not touched yet.
#[must_use]
pub fn zeros<T: Pod>(len: usize) -> Vec<T> {
    let zeros = bytemuck::zeroed_vec(len);
    advise(&zeros);
    zeros
}

/// Returns the `len` elements that `elements` gives.
pub(crate) fn collected<T>(len: usize, elements: impl Iterator<Item = T>) -> Box<[T]> {
    let mut array = with_capacity(len);
    array.extend(elements);
    debug_assert_eq!(array.len(), len);
    array.into()
}

/// Returns a copy of an array.
pub(crate) fn copied<T: Copy>(from: &[T]) -> Box<[T]> {
    collected(from.len(), from.iter().copied())
}

/// Asks for huge pages for an array that is there already, if it is large; those that were touched
/// before change in the background.
pub(crate) fn advise<T>(array: &Vec<T>) {
    let bytes = array.capacity() * size_of::<T>();
    if bytes >= LARGE {
        ffi::advise_huge_pages(array.as_ptr().cast(), bytes);
    }
}

/// Asks for the cache line of an element that will be read soon, if there is one at this address; for loops over many
/// short pieces of an array, which the hardware reads ahead less well than it could.
#[inline(always)]
pub fn prefetch<E>(at: *const E) {
    simd::prefetch(at, 1, 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_arrays_hold_what_is_put_in() {
        let mut array = zeros::<u64>(LARGE / 8 + 3);
        assert!(array.iter().all(|&word| word == 0));
        let first = array.len() as u64;
        (first..2 * first).for_each(|word| push(&mut array, word));
        assert!(array[..LARGE / 8 + 3].iter().all(|&word| word == 0));
        assert!((first..).zip(&array[LARGE / 8 + 3..]).all(|(expected, &word)| word == expected));
        assert_eq!(*copied(&array), *array);
    }
}
