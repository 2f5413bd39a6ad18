//! Pictures as PNG files: a canvas with text, color maps, and what their ends stand for.

mod canvas;
mod palette;
mod range;

pub use canvas::{Align, Canvas, Font, INK};
pub use palette::{Palette, Rgb, byte};
pub use range::{Limits, Range, label};
