//! Parallel HDF5: files opened by all ranks together, of which each rank reads and
//! writes its own hyperslab.

mod attribute;
mod chunks;
mod creation;
mod dataset;
mod element;
mod encoding;
mod error;
mod ffi;
mod file;
mod filters;
mod guard;
mod layout;
mod matrix;
mod name;
mod objects;
mod open;
mod options;
mod outside;
mod raw;
mod sink;
mod slab;
mod space;
mod table;
mod vector;
mod whole;

pub use attribute::{Attribute, RawAttribute};
pub use dataset::{Dataset, Transfer};
pub use element::{ByteOrder, Element, ElementType, Member};
pub use file::H5File;
pub use layout::Layout;
pub use objects::{Link, Object, Stored};
pub(crate) use open::examine;
pub use options::{CreateOptions, InForce, OpenOptions};
pub use raw::RawValues;
pub use table::TableColumn;
pub use vector::Entry;

/// Returns the major, minor and patch version of the HDF5 library that is in use.
#[must_use]
pub fn library_version() -> (u8, u8, u8) {
    ::hdf5::library_version()
}
