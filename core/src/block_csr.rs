//! `BlockCsrMatrix`: a sparse matrix of square blocks, whose block rows are spread over the ranks.
//!
//! For several unknowns at each point of a mesh, all entries between two points are stored
//! or none: one column number serves `order^2` values, and a product reads an operand's block once
//! for as many rows. The plumbing (columns, assembly, exchange, refill) is that of
//! [`CsrMatrix`](crate::CsrMatrix), with block rows for rows; only the local product is its own.
//!
//! Blocks are stored and summed in ascending global block column, and within a block by columns. So
//! every row is summed in ascending columns, and a product has the bits of the
//! [`CsrMatrix`](crate::CsrMatrix) with the same entries, stored zeros included, on any number of ranks.
//!
//! A Hermitian matrix is stored in full. Blocks on and above the diagonal alone would give the same
//! bits on one rank, since a row is first added to by those above it, in their order, and faster:
//! 2.4 ms instead of 4.0 for 27 blocks of order 3 in each of 40^3 rows. On several ranks a row with a
//! ghost before its diagonal must be summed from that ghost on, so it has to be stored in full and
//! left out by the rows above: a second storage with rules of its own, for those matrices only that
//! are Hermitian to the last bit.

mod apply;
mod assemble;
mod convert;
mod local;
mod matrix;
mod refill;

pub use assemble::{BlockCsrBuilder, BlockRowBuilder};
pub use matrix::{BlockCsrMatrix, BlockRow};
