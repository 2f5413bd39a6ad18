//! Placeholder.
pub mod healpix;
pub mod picture;
pub mod quaternion;
pub mod report;
pub mod simulate;
