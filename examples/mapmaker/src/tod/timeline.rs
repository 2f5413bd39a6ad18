//! Samples as they are in the file, and their pointing.

use std::path::Path;

use super::check::{Located, invalid, signal};
use super::piece::{Piece, Pointing};
use crate::error::Result;

/// Samples of one detector as they are in the file, over a stretch of time that starts at `start`.
pub(super) struct Timeline {
    pub(super) detector: usize,
    pub(super) start: u64,
    pub(super) signal: Vec<f64>,
    pub(super) flagged: Vec<bool>,
}

impl Timeline {
    /// Looks up where each unflagged sample points, and checks its signal. Both `look` and
    /// `place_of_signal` take the sample's position; the former's error is complete.
    pub(super) fn point(
        self,
        path: &Path,
        look: impl Fn(usize) -> Result<Pointing>,
        place_of_signal: impl Fn(usize) -> String,
    ) -> Result<Piece, Located> {
        let mut pointing = Vec::with_capacity(self.signal.len());
        for (i, (&value, &flagged)) in self.signal.iter().zip(&self.flagged).enumerate() {
            if flagged {
                pointing.push(Pointing { pixel: 0, psi: 0.0 });
                continue;
            }
            let checked = signal(value).map_err(|what| invalid(path, place_of_signal(i), what));
            let looked = look(i).and_then(|pointing| checked.map(|()| pointing));
            let located = |error| Located { time: self.start + i as u64, detector: self.detector, error };
            pointing.push(looked.map_err(located)?);
        }
        Ok(Piece { pointing, signal: self.signal, flagged: self.flagged })
    }
}

/// Returns the pieces of several detectors, or the earliest error among them.
pub(super) fn earliest(detectors: impl Iterator<Item = Result<Piece, Located>>) -> Result<Vec<Piece>, Located> {
    let mut pieces = Vec::new();
    let mut earliest: Option<Located> = None;
    for detector in detectors {
        match detector {
            Ok(piece) => pieces.push(piece),
            Err(located) => earliest = Some(located.or_earlier(earliest)),
        }
    }
    earliest.map_or(Ok(pieces), Err)
}
