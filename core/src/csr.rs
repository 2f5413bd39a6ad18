//! `CsrMatrix`: a sparse matrix whose rows are spread over the ranks.
//!
//! Rows belong to the owners of the range layout, columns are numbered by the domain layout. Two
//! rules hold throughout:
//!
//! - every row is stored, and summed, in ascending global column order, whatever the number of
//!   ranks, so that a product has the same bits on 1, 2, 3 or 400 of them;
//! - columns are 32-bit local numbers, owned ones first and ghosts behind them, so that rows
//!   without a ghost (the interior) read the operand where it lies. Nothing is copied but what
//!   other ranks send, and that arrives while the interior is multiplied.
//!
//! A number says nothing about the global order of a ghost and an owned column; [`columns`] does.
//!
//! [`assemble`] turns triplets from any rank into rows, by way of [`places`]; [`rows`] sorts them
//! and merges repetitions, [`local`] holds and multiplies the rows of one rank, [`matrix`] is the whole.

mod add;
mod apply;
mod assemble;
mod blocks;
pub(crate) mod columns;
mod gather;
pub(crate) mod local;
pub(crate) mod matrix;
mod norms;
pub(crate) mod places;
mod product;
mod refill;
mod renumber;
pub(crate) mod rows;
mod serial;
mod submatrix;
mod transfer;
mod transpose;
mod values;

pub use add::AddPlan;
pub use assemble::{CsrBuilder, RowBuilder};
pub use matrix::{CsrMatrix, MatrixRow};
pub use product::{MultiplyPlan, TriplePlan};
pub use refill::RefillPlan;
pub use rows::Duplicates;
pub use serial::SerialCsr;
pub use transpose::TransposePlan;
