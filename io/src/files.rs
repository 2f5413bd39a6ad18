//! Matrices and vectors in files of any format, told apart in one place.
//!
//! A [`Location`] names a file, or one of several objects in it: `FILE` or `FILE::OBJECT`. The contents of a file
//! tell its [`Format`]; of a file to write, the extension does. Every reader gives the same types, whatever the
//! format: a matrix in full, its symmetry expanded, on uniform layouts; vectors on the caller's layout; and a
//! [`Description`] of what the file stores.
//!
//! [`read_matrix`], [`read_vector`] and [`read_vectors`] read the type of numbers that the caller chooses;
//! [`Matrix::read`] and [`Vectors::read`] read real or complex numbers as the file has them.
//!
//! A file is believed only as far as it has the bytes: a matrix may have no more rows and columns than
//! a multiple of the length of the file, so that memory is bounded by the file.

mod checks;
mod contents;
mod description;
#[cfg_attr(not(feature = "fits"), path = "files/without_fits.rs")]
mod fits_columns;
mod format;
#[cfg_attr(not(feature = "hdf5"), path = "files/without_hdf5.rs")]
mod hdf5_objects;
mod location;
mod read;
mod recognition;
mod right_hand_side;
mod wanted;
mod write;

#[cfg(feature = "hdf5")]
pub use crate::hdf5::Entry;
pub(crate) use checks::{check_length, check_sizes, most_rows, require_field};
pub use contents::{Matrix, Vectors};
pub use description::{Description, Field, Storage, Symmetry};
pub use format::Format;
#[cfg(not(feature = "hdf5"))]
pub use hdf5_objects::Entry;
#[cfg(feature = "hdf5")]
pub use hdf5_objects::{Found, Hdf5Contents};
pub use location::Location;
pub use read::{describe, read_matrix, read_vector, read_vectors};
pub use right_hand_side::RightHandSide;
pub use write::{require_matrix_destination, require_vectors_destination, write_matrix, write_vector, write_vectors};
