//! Krylov methods, one a file.

pub mod cg;
