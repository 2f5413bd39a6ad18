//! FITS files, as far as sky maps and tables of time-ordered data need them
//! (FITS Standard 4.0).
//!
//! The code is our own, for a binary table is a few lines of arithmetic: offsets
//! are known beforehand, so every rank writes and reads its own part of a map
//! with plain positioned I/O, which a FITS library would do through one rank or
//! not at all.

mod check;
mod column;
mod file;
mod header;
mod map;
mod map_writer;
mod table;
mod table_writer;
mod unpack;

pub use column::{Column, ColumnType};
pub use file::{FitsFile, Hdu, HduKind};
pub use header::{BLOCK, Card, Header, Value};
pub use map::{Coordinates, MapFile, MapHeader, Ordering, PolarizationConvention, UNSEEN};
pub use map_writer::{MapColumn, write_map, write_partial_map};
pub use table_writer::{ColumnData, TableColumn, write_table};
