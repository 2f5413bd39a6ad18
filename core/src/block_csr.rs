//! `BlockCsrMatrix`: a sparse matrix of square blocks, whose block rows are spread over the ranks.
//!
//! Where several unknowns live in each point of a mesh, all entries between two points are stored
//! or none: one column number serves `order^2` values, and a product reads an operand's block once
//! for as many rows. The plumbing (columns, assembly, exchange, refill) is that of
//! [`CsrMatrix`](crate::CsrMatrix), with block rows for rows; only the local product is its own.
//!
//! Blocks are stored and summed in ascending global block column, and within a block by columns. So
//! every row is summed in ascending columns, and a product has the bits of the [`CsrMatrix`]
//! (crate::CsrMatrix) with the same entries, stored zeros included, on any number of ranks.
//!
//! A symmetric matrix is stored in full. Where only blocks on and above the diagonal are read, a
//! product still has the same bits on one rank (a row is first added to by those above it, in their
//! order), but the rows that other ranks' rows add to could not start before these had arrived, so
//! nothing would hide the communication; SYMMETRIC_NUMBERS

mod apply;
mod assemble;
mod convert;
mod local;
mod matrix;
mod refill;

pub use assemble::{BlockCsrBuilder, BlockRowBuilder};
pub use matrix::{BlockCsrMatrix, BlockRow};
