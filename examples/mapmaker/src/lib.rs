//! Placeholder.
pub mod healpix;
pub mod quaternion;
