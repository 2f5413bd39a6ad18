//! Threads inside a rank: products, vector operations, sums and assembly share them.
//!
//! Not everything does. On the thread that calls MPI alone run: products of
//! [`BlockCsrMatrix`](crate::BlockCsrMatrix), of matrices with matrices, and the reproducible
//! [`multiply_add`](crate::MultiVector::multiply_add); [`map`](crate::Vector::map) and `map_with`, whose
//! closures may not be shared; `fill_uniform` and `fill_normal`; graphs and factorizations.
//!
//! Threads need the feature `threads`. One thread calls MPI; the others see slices. Work is cut into
//! one part a thread, entries and rows keep their own order of operations, and sums are added
//! exactly ([`crate::reduce`]), so results have the same bits with any number of threads, those of
//! [`Reduction::Fast`](crate::Reduction::Fast) excepted.
//!
//! A rank has one thread unless `DOLMEN_NUM_THREADS` or else `RAYON_NUM_THREADS` says otherwise, or
//! the program does (`threads::start`). More threads than cores make every wait a wait for the
//! scheduler, so all ranks of a node together may not have more than there are cores to run on,
//! unless `DOLMEN_OVERSUBSCRIBE=1` is set.
//!
//! The thread that calls MPI is one of the threads, so `mpirun -n 2` with two threads each fills four
//! cores. MPI launchers often bind a rank to one core; `--bind-to none`, or `--map-by slot:PE=2` of
//! Open MPI, gives it more.

#[cfg(feature = "threads")]
mod pool;
mod split;

use std::ops::Range;

pub(crate) use split::Split;

#[cfg(feature = "threads")]
pub(crate) use pool::from_environment;
#[cfg(feature = "threads")]
pub use pool::{count, start};

/// Entries of a vector or a matrix that are worth a thread: ten times what it takes to wake one.
const GRAIN: usize = 1 << 15;

/// Returns the number of threads of this rank: one without the feature `threads`.
#[cfg(not(feature = "threads"))]
pub fn count() -> usize {
    1
}

/// Warns if threads are requested from a build without them.
#[cfg(not(feature = "threads"))]
pub(crate) fn from_environment(_comm: &crate::Comm) -> crate::Result<()> {
    if std::env::var("DOLMEN_NUM_THREADS").is_ok_and(|wanted| !["", "1"].contains(&wanted.trim())) {
        tracing::warn!("DOLMEN_NUM_THREADS is set, but dolmen-core is built without the feature `threads`");
    }
    Ok(())
}

/// Returns the number of parts into which so many entries of work are split.
pub(crate) fn parts(work: usize) -> usize {
    (work / GRAIN).clamp(1, count())
}

/// Part `part` of `parts` equal ones of `0..len`, but for the last cut at multiples of `unit`.
pub(crate) fn equal_part(part: usize, parts: usize, len: usize, unit: usize) -> Range<usize> {
    let cut = |part: usize| if part == parts { len } else { len / unit * part / parts * unit };
    cut(part)..cut(part + 1)
}

/// Merges what `map(part, piece)` gives for all parts, each on a thread, in their order; part `p` of
/// `whole` begins at `cut(p)`.
#[cfg(feature = "threads")]
pub(crate) fn reduce_parts<S: Split, R: Send>(
    parts: usize,
    whole: S,
    cut: &(impl Fn(usize) -> usize + Sync),
    map: &(impl Fn(usize, S) -> R + Sync),
    merge: &(impl Fn(R, R) -> R + Sync),
) -> R {
    pool::reduce_range(0..parts, whole, cut, map, merge)
}

/// Merges what `map(part, piece)` gives for all parts in their order; part `p` of `whole` begins at
/// `cut(p)`.
#[cfg(not(feature = "threads"))]
pub(crate) fn reduce_parts<S: Split, R: Send>(
    parts: usize,
    whole: S,
    cut: &(impl Fn(usize) -> usize + Sync),
    map: &(impl Fn(usize, S) -> R + Sync),
    merge: &(impl Fn(R, R) -> R + Sync),
) -> R {
    let (mut rest, mut merged) = (whole, None);
    for part in 0..parts - 1 {
        let (piece, after) = rest.split(cut(part + 1) - cut(part));
        let value = map(part, piece);
        merged = Some(match merged {
            Some(merged) => merge(merged, value),
            None => value,
        });
        rest = after;
    }
    let last = map(parts - 1, rest);
    match merged {
        Some(merged) => merge(merged, last),
        None => last,
    }
}

/// Runs `run(part, piece)` for all parts, each on a thread; part `p` of `whole` begins at `cut(p)`.
pub(crate) fn for_parts<S: Split>(
    parts: usize,
    whole: S,
    cut: &(impl Fn(usize) -> usize + Sync),
    run: &(impl Fn(usize, S) + Sync),
) {
    reduce_parts(parts, whole, cut, run, &|(), ()| ());
}

/// Runs `run(start, piece)` on pieces of `entries`, each on a thread.
pub(crate) fn for_entries<T: Send>(entries: &mut [T], run: &(impl Fn(usize, &mut [T]) + Sync)) {
    let (len, parts) = (entries.len(), parts(entries.len()));
    // Pieces begin at whole cache lines, as far as the array does.
    let cut = |part| equal_part(part, parts, len, 64).start;
    for_parts(parts, entries, &cut, &|part, piece: &mut [T]| run(cut(part), piece));
}

/// Merges what `map` gives for pieces of `0..len`, each on a thread, in their order.
pub(crate) fn reduce<R: Send>(
    len: usize,
    map: &(impl Fn(Range<usize>) -> R + Sync),
    merge: &(impl Fn(R, R) -> R + Sync),
) -> R {
    let parts = parts(len);
    reduce_parts(parts, (), &|_| 0, &|part, ()| map(equal_part(part, parts, len, 64)), merge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_tile_the_whole() {
        for (len, unit) in [(0, 1), (10, 1), (1000, 64), (63, 64), (65, 64)] {
            for parts in 1..6 {
                let mut end = 0;
                for part in 0..parts {
                    let range = equal_part(part, parts, len, unit);
                    assert!(range.start == end && range.start.is_multiple_of(unit) && range.end >= range.start);
                    end = range.end;
                }
                assert_eq!(end, len);
            }
        }
        assert_eq!(equal_part(1, 3, 1000, 64), 320..640);
    }

    #[test]
    fn every_part_gets_its_piece() {
        let (mut ones, mut others) = (vec![0; 10], vec![0; 10]);
        let cuts = [0, 3, 3, 7];
        for_parts(4, (&mut ones[..], [&mut others[..]]), &|part| cuts[part], &|part, (ones, [others])| {
            assert_eq!(ones.len(), others.len());
            ones.fill(part);
            others.fill(10 * part);
        });
        assert_eq!(ones, [0, 0, 0, 2, 2, 2, 2, 3, 3, 3]);
        assert_eq!(others, [0, 0, 0, 20, 20, 20, 20, 30, 30, 30]);
    }
}
