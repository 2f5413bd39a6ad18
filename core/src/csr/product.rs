//! Products of sparse matrices, row by row (Gustavson, ACM TOMS 4 (1978) 250).
//!
//! An entry of a product is summed over the inner index in ascending global order, starting from
//! zero, each product and each sum rounded: the same bits on any number of ranks. Rows of the right
//! factor that other ranks own come from them in one message, and no rank talks to others than the
//! neighbors of the left factor's own product with a vector.
//!
//! Most of the time of a general product goes into finding where each summand belongs. Two things
//! save it:
//!
//! - where the rows of both factors have the columns of the row above, moved by one (grids, bands;
//!   see [`LocalCsr`](super::local::LocalCsr)), so have those of the product: the places are found
//!   once for all of them ([`stencil`]), and if values repeat too, so do those of the product;
//! - a result that is made again for new values keeps its pattern and what the ranks have told each
//!   other about theirs.
//!
//! Summands of any other row are added up in an [`accumulator`] as wide as the local columns.

mod accumulator;
mod factor;
mod multiply;
mod stencil;
mod triple;

pub use multiply::MultiplyPlan;
pub use triple::TriplePlan;
