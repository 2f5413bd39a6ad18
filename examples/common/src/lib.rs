//! What the programs of this workspace share: their command line, options, checkpoints, pictures, and small files.

pub mod checkpoints;
pub mod command_line;
pub mod file_args;
pub mod files;
pub mod picture;
