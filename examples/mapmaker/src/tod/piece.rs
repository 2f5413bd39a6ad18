//! Samples that are read.

/// The pixel and polarization angle, in rad that a sample looks at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pointing {
    /// Pixel number.
    pub pixel: u64,
    /// Angle of the polarization axis, in the file's convention.
    pub psi: f64,
}

/// Samples of one detector over a stretch of time. A flagged sample has neither pointing nor
/// signal that mean anything.
pub struct Piece {
    /// Pointing of each sample.
    pub pointing: Vec<Pointing>,
    /// The signal.
    pub signal: Vec<f64>,
    /// True for each bad sample.
    pub flagged: Vec<bool>,
}
