//! From triplets of any rank to sorted rows of their owners, and new values for a known pattern.
//!
//! [`triplets`] takes entries, [`routing`] sends those of other ranks' rows once, [`sorted_rows`] sorts rows and merges
//! repetitions, [`builder`] makes the matrix, [`refill`] repeats the numeric half.

pub(crate) mod builder;
pub(crate) mod refill;
pub(crate) mod routing;
pub(crate) mod sorted_rows;
pub(crate) mod triplets;
