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
//! A number says nothing about the global order of a ghost and an owned column; [`ghost_columns`] does.
//!
//! [`assembly`] turns triplets from any rank into sorted rows, [`kernels`] holds and multiplies the rows of one rank,
//! [`parts`] takes matrices apart, [`matrix`] is the whole.

mod add;
mod apply;
pub(crate) mod assembly;
pub(crate) mod ghost_columns;
pub(crate) mod kernels;
pub(crate) mod matrix;
mod norms;
mod parts;
mod product;
mod transpose;
mod values;
mod zero_rows;

pub use add::AddPlan;
pub use assembly::builder::{CsrBuilder, RowBuilder};
pub use assembly::refill::RefillPlan;
pub use assembly::sorted_rows::Duplicates;
pub use matrix::{CsrMatrix, MatrixRow, RowEntries};
pub use parts::serial::SerialCsr;
pub use product::{MultiplyPlan, TriplePlan};
pub use transpose::TransposePlan;
