//! Files of distributed data: parallel HDF5, checkpoints, and HEALPix maps in FITS.
//!
//! Everything that can fail on one rank is agreed over the ranks, and files
//! appear under their name only when they are complete.

pub mod checkpoint;
pub mod fits;
pub mod hdf5;

mod error;
mod staged;

pub use error::{Error, Result};
