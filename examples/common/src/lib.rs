//! Parts that the programs of this workspace share: command line, options, pictures, and small files.

pub mod checkpoint_args;
pub mod command_line;
pub mod file_args;
pub mod files;
pub mod picture;
pub mod progress;

/// Exit code of a program that stopped as requested and wrote a checkpoint: try again (`EX_TEMPFAIL`).
pub const STOPPED: u8 = 75;
