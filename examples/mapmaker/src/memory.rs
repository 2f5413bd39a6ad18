//! Check that the nodes have the memory that a run needs, before it is allocated.
//!
//! An allocation that fails ends a Rust program without a word about its cause, and Linux may
//! grant memory that it does not have and kill the program later. So sizes that come from the
//! input are compared with what the system says is available.

use dolmen_core::Comm;
use dolmen_io::budget::available;

use crate::config::{MapConfig, Stokes};
use crate::error::{Error, Result};
use crate::pixel_blocks::packed_len;

/// Refuses a run unless each node has memory available for the `bytes` of each of its ranks.
/// `what` says what needs it, and what to change; it must be the same on all ranks.
///
/// # Collective
///
/// # Errors
/// [`Error::Memory`], the same on all ranks. Never where the system does not tell.
pub fn require(comm: &Comm, bytes: f64, what: &str) -> Result<()> {
    let node = comm.split_shared();
    let mut needed = [bytes];
    node.all_reduce_sum(&mut needed);
    node.free();
    let enough = available().is_none_or(|available| needed[0] <= available as f64);
    let outcome = if enough { Ok(()) } else { Err(Error::Memory(what.to_owned())) };
    comm.agree(outcome)
}

/// Refuses a map whose pixels cannot be held: their hits, conditions, blocks and inverse blocks, and
/// five arrays of values (two maps, the true sky, and the sums they are made of, in fixed point), which
/// all ranks share; and the list of pages of each rank's numbering.
///
/// # Collective
///
/// # Errors
/// [`Error::Memory`] naming `map.nside`, the same on all ranks.
pub fn require_map(comm: &Comm, map: &MapConfig) -> Result<()> {
    let width = match map.stokes {
        Stokes::I => 1,
        Stokes::QU => 2,
        Stokes::IQU => 3,
    };
    let pixels = 12.0 * (map.nside as f64).powi(2);
    let whole = pixels * 8.0 * (2 + 2 * packed_len(width) + 5 * width) as f64;
    let pages = pixels * 8.0 / crate::pixels::PAGE as f64;
    let what = format!("map.nside = {} needs {} for the maps", map.nside, gigabytes(whole));
    require(comm, whole / comm.size() as f64 + pages, &what)
}

/// Formats a number of bytes as gigabytes.
pub fn gigabytes(bytes: f64) -> String {
    format!("{:.1} GB", bytes / 1e9)
}
