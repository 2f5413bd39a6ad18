//! Pictures of sky maps: Mollweide projection, PNG.
//!
//! No rank needs the whole map for a picture. [`Mollweide::pixels`] says which pixel of the sky
//! lies under each sample of the picture, the caller fetches those values from their owners, and
//! [`Mollweide::render`] paints them. The cost is set by the size of the picture, not of the map.
//!
//! As on all maps of the sky, longitude grows to the left, and longitude 0 is in the center.

mod mollweide;

use dolmen_common::picture::{Palette, Range};
pub use mollweide::{Mollweide, PictureError};

/// Style and labels of a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Style {
    /// Heading.
    pub title: String,
    /// Unit of the labels, for instance `µK`; may be empty.
    pub unit: String,
    /// The labels show the map's values times this, for instance 1e6 for a map in K and labels
    /// in µK.
    pub factor: f64,
    /// Color map.
    pub palette: Palette,
    /// The values, in the map's own unit, at the ends of the color map.
    pub range: Range,
}
