//! Solves with checkpoints: where a solver and the files of its state meet.
//!
//! [`CheckpointArgs`] are the options `--checkpoint DIR --checkpoint-every 10m --resume` of a command
//! line; [`Checkpointer`] is the monitor of a solve that carries them out, together with the
//! signals SIGTERM, SIGUSR1 and SIGUSR2.

mod args;
mod checkpointer;

pub use args::CheckpointArgs;
pub use checkpointer::{Checkpointer, Resumed};

/// Exit code of a program that was asked to stop and has left a checkpoint: try again (`EX_TEMPFAIL`).
pub const STOPPED: u8 = 75;
