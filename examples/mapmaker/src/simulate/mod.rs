//! Placeholder.
pub mod noise;
pub mod scan;
pub mod sky;
