//! Parts of a matrix: one rank's block, submatrices, the whole on one rank, other numberings.

mod diagonal_block;
mod gather;
mod renumber;
pub(crate) mod serial;
mod submatrix;
