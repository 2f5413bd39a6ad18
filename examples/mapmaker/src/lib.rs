//! Placeholder.
pub mod healpix;
pub mod quaternion;
pub mod simulate;
