//! The pixels of the map: who owns them, which of them a rank sees, and the way between.
//!
//! Owners hold contiguous blocks of pixel numbers in the map's ordering, ready to be written. A
//! rank numbers the pixels that its samples hit; no rank holds the whole sky unless it sees it.

use dolmen_core::index::at;
use dolmen_core::{Comm, ExchangePlan, IndexMap, Layout};

use crate::error::Result;
use crate::healpix::Healpix;

/// Pixels in one page of the numbering.
pub(crate) const PAGE: usize = 4096;

/// Numbers pixels in the order in which they are first seen. Memory grows with the sky that is
/// seen, in pages, not with the whole sky.
pub struct PixelNumbering {
    pages: Vec<Option<Box<[u32; PAGE]>>>,
    seen: Vec<u64>,
}

impl PixelNumbering {
    /// Creates a numbering for a sphere of `pixels` pixels.
    ///
    /// # Errors
    /// A sphere that does not fit the address space.
    pub fn new(pixels: u64) -> Result<PixelNumbering> {
        let pages = dolmen_core::index::to_len("pixels", pixels)?.div_ceil(PAGE);
        Ok(PixelNumbering { pages: vec![None; pages], seen: Vec::new() })
    }

    /// Returns the number of a pixel, a new one if it was not seen before.
    ///
    /// # Panics
    /// If a rank sees 2^32 pixels, the whole sky at nside 16384.
    pub fn number(&mut self, pixel: u64) -> u32 {
        let position = usize::try_from(pixel).expect("invariant: checked at construction");
        let page = self.pages[position / PAGE].get_or_insert_with(|| Box::new([u32::MAX; PAGE]));
        let number = &mut page[position % PAGE];
        if *number == u32::MAX {
            *number = u32::try_from(self.seen.len()).expect("fewer than 2^32 pixels on a rank");
            self.seen.push(pixel);
        }
        *number
    }
}

/// The distribution of the map's pixels.
pub struct Pixels {
    /// The pixelization.
    pub healpix: Healpix,
    /// Owners.
    pub layout: Layout,
    /// Pixels that this rank's samples hit.
    pub seen: IndexMap,
    /// Between the two.
    pub plan: ExchangePlan,
}

impl Pixels {
    /// Plans the exchange for the pixels that were seen; returns with it the number of each of them, by ascending
    /// pixels.
    ///
    /// # Collective
    ///
    /// # Errors
    /// None in practice: the pixels come from the pixelization.
    pub(crate) fn new(comm: &Comm, healpix: Healpix, numbering: PixelNumbering) -> Result<(Pixels, Vec<u32>)> {
        let layout = Layout::uniform(comm, healpix.pixel_count());
        let seen = numbering.seen;
        let mut order: Vec<u32> = (0..).take(seen.len()).collect();
        order.sort_unstable_by_key(|&number| seen[at(number)]);
        let seen = comm.agree(IndexMap::new(seen))?;
        let plan = ExchangePlan::new(&layout, &seen)?;
        Ok((Pixels { healpix, layout, seen, plan }, order))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_follow_first_sight() {
        let mut numbering = PixelNumbering::new(12 * 64 * 64).unwrap();
        let numbers: Vec<u32> = [40_000, 3, 40_000, 4, 3].map(|pixel| numbering.number(pixel)).into();
        assert_eq!(numbers, [0, 1, 0, 2, 1]);
        assert_eq!(numbering.seen, [40_000, 3, 4]);
    }
}
