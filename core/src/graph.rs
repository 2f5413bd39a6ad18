//! Graphs of sparse matrices: orderings, colorings, independent sets, partitions.
//!
//! Everything works on the pattern of `A + A^T` without its diagonal and never on values. Two ways
//! of working are kept apart:
//!
//! - what is local by nature is distributed: adjacency with ghost vertices ([`adjacency`]), the
//!   graph of distances one and two ([`square`]), colorings ([`coloring`]) and independent sets
//!   ([`independent_set`]). They break ties by a hash of the global id ([`priority`]), so that the
//!   answer is that of a sequential algorithm which visits the vertices in the order of the hash;
//! - what is sequential by nature is done by one rank on the gathered graph ([`serial`]):
//!   reverse Cuthill-McKee ([`rcm`]) and METIS ([`partitioner`]).
//!
//! Either way the answer depends on the global numbering and not on the number of ranks. A
//! [`Renumbering`] turns an ordering or a [`Partition`] into a new distribution of matrices and
//! vectors.

mod adjacency;
mod assembly;
mod bandwidth;
mod coloring;
mod independent_set;
mod partition;
#[cfg(feature = "metis")]
mod partitioner;
mod priority;
mod rcm;
mod renumbering;
mod serial;
mod square;

pub use adjacency::Graph;
pub use coloring::Coloring;
pub use partition::{Balance, Partition};
#[cfg(feature = "metis")]
pub use partitioner::Partitioner;
pub use renumbering::Renumbering;
