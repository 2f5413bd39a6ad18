//! Index types and their checked conversions.
//!
//! Global quantities are 64 bits wide everywhere; what one rank holds is counted in 32 bits where
//! memory traffic matters (column indices, pack lists) and in `usize` elsewhere. Truncating casts
//! are refused by clippy, so every narrowing goes through here.

use crate::error::{Error, Result};

/// A global index: a row, a pixel, a baseline, counted over all ranks.
pub type Gid = u64;

/// A local index: a position in what this rank holds.
pub type Lid = u32;

/// Converts a global count to a local length.
///
/// # Errors
/// [`Error::TooLarge`] where `usize` is narrower than the count.
pub fn to_len(what: &'static str, count: u64) -> Result<usize> {
    usize::try_from(count).map_err(|_| Error::TooLarge { what, size: count, limit: usize::MAX as u64 })
}

/// Converts a local position to a [`Lid`].
///
/// # Errors
/// [`Error::TooLarge`] above 2^32 - 1.
pub fn to_lid(what: &'static str, position: usize) -> Result<Lid> {
    Lid::try_from(position).map_err(|_| Error::TooLarge { what, size: position as u64, limit: u64::from(Lid::MAX) })
}

/// Converts a local index to an array position.
pub const fn at(lid: Lid) -> usize {
    lid as usize
}

/// Returns a difference of two global indices that is known to fit this rank's memory.
pub(crate) fn local(count: u64) -> usize {
    usize::try_from(count).expect("invariant: a rank's own block fits its address space")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lids_stop_at_32_bits() {
        assert_eq!(to_lid("column", 7), Ok(7));
        assert_eq!(to_lid("column", u32::MAX as usize), Ok(u32::MAX));
        let error = to_lid("column", 1usize << 32).unwrap_err();
        assert_eq!(error, Error::TooLarge { what: "column", size: 1 << 32, limit: u64::from(u32::MAX) });
    }
}
