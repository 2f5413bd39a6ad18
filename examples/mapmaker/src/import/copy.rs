//! Copying of samples, piece by piece.

use std::ops::Range;

use dolmen_core::{Blocks, Comm};
use dolmen_io::hdf5::Dataset;

use crate::error::Result;
use crate::tod::TodWriter;

/// Samples of one detector that a rank holds at once.
pub(super) const AT_ONCE: u64 = 1 << 18;

/// Returns this rank's share of some rows, in pieces of at most `at_once`.
pub(super) fn pieces(comm: &Comm, rows: u64, at_once: u64) -> impl Iterator<Item = Range<u64>> + Clone {
    let mine = Blocks::uniform(rows, comm.size()).range(comm.rank());
    let step = usize::try_from(at_once.max(1)).expect("invariant: a piece is in memory");
    mine.clone().step_by(step).map(move |start| start..mine.end.min(start + at_once.max(1)))
}

/// A new dataset of reals, in the precision of those that are copied to it.
pub(super) enum Reals<'w> {
    Single(Dataset<'w>),
    Double(Dataset<'w>),
}

impl<'w> Reals<'w> {
    /// # Collective
    pub(super) fn create(
        writer: &'w TodWriter,
        observation: &str,
        name: &str,
        shape: &[u64],
        is_single: bool,
    ) -> Result<Reals<'w>> {
        Ok(match is_single {
            true => Reals::Single(writer.dataset::<f32>(observation, name, shape)?),
            false => Reals::Double(writer.dataset::<f64>(observation, name, shape)?),
        })
    }

    /// Writes samples of one detector from `start` on. Not collective.
    pub(super) fn write(&self, detector: usize, start: u64, values: &[f64]) -> Result<()> {
        let (start, count) = ([detector as u64, start], [1, values.len() as u64]);
        match self {
            Reals::Single(dataset) => {
                #[expect(clippy::cast_possible_truncation, reason = "the values are of single precision")]
                let values: Vec<f32> = values.iter().map(|&value| value as f32).collect();
                dataset.write_slab(&start, &count, &values)?;
            }
            Reals::Double(dataset) => dataset.write_slab(&start, &count, values)?,
        }
        Ok(())
    }
}

/// A new dataset of flags, with the bits that those have that are copied to it.
pub(super) enum Flags<'w> {
    Bytes(Dataset<'w>),
    Words(Dataset<'w>),
}

impl<'w> Flags<'w> {
    /// # Collective
    pub(super) fn create(
        writer: &'w TodWriter,
        observation: &str,
        name: &str,
        shape: &[u64],
        are_bytes: bool,
    ) -> Result<Flags<'w>> {
        Ok(match are_bytes {
            true => Flags::Bytes(writer.dataset::<u8>(observation, name, shape)?),
            false => Flags::Words(writer.dataset::<i64>(observation, name, shape)?),
        })
    }

    /// Writes a slab. Not collective.
    pub(super) fn write(&self, start: &[u64], count: &[u64], flags: &[i64]) -> Result<()> {
        match self {
            Flags::Bytes(dataset) => {
                let byte = |&flag: &i64| u8::try_from(flag).expect("invariant: flags that were bytes");
                let flags: Vec<u8> = flags.iter().map(byte).collect();
                dataset.write_slab(start, count, &flags)?;
            }
            Flags::Words(dataset) => dataset.write_slab(start, count, flags)?,
        }
        Ok(())
    }
}
