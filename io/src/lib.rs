//! Files of distributed data: parallel HDF5, checkpoints, matrices and vectors in the field's formats,
//! and HEALPix maps in FITS.
//!
//! Everything that can fail on one rank is agreed over the ranks, and files
//! appear under their name only when they are complete.

// Parts of what all formats share are used by HDF5 and FITS alone.
#![cfg_attr(not(all(feature = "hdf5", feature = "fits")), allow(dead_code, unused_imports))]

pub mod budget;
#[cfg(feature = "hdf5")]
pub mod checkpoint;
pub mod files;
#[cfg(feature = "fits")]
pub mod fits;
pub mod harwell_boeing;
#[cfg(feature = "hdf5")]
pub mod hdf5;
pub mod matrix_market;
pub mod npz;
pub mod petsc;

mod dense;
mod error;
mod fault;
mod positioned;
mod regular_file;
mod source;
mod staged;
mod symmetry;
mod text;

pub use error::{Error, Result};
pub use files::{
    Description, Field, Format, Location, Matrix, RightHandSide, Storage, Symmetry, Vectors, describe, read_matrix,
    read_vector, read_vectors, write_matrix, write_vector, write_vectors,
};
pub use regular_file::{open_on_all_ranks, open_regular};
pub use staged::{require_writable, require_writable_folder};

/// Whole numbers beyond this have neighbors that `f64` cannot tell apart.
const EXACT: u64 = 1 << 53;
