//! Krylov methods, one a file.

pub(crate) mod cg;
