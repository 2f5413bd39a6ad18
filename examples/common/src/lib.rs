//! What the programs of this workspace share: their command line, pictures, and small files.

pub mod command_line;
pub mod files;
pub mod picture;
