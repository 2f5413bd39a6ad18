//! What the programs of this workspace share: their command line, checkpoints, pictures, and small files.

pub mod checkpoints;
pub mod command_line;
pub mod files;
pub mod picture;
