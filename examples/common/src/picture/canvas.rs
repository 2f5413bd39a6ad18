//! A picture in memory: blended points, boxes and text, written as PNG.

use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};

use super::palette::{Rgb, byte};

/// Text that the font does not hold is shown as this.
const REPLACEMENT: char = '?';

/// The color of text and lines.
pub const INK: Rgb = [34, 34, 40];

/// A picture with 8-bit sRGB points, from the upper left corner, row by row.
pub struct Canvas {
    width: usize,
    height: usize,
    points: Vec<Rgb>,
}

/// Position of a text's reference point.
#[derive(Clone, Copy)]
pub enum Align {
    /// At its left end.
    Left,
    /// In its middle.
    Center,
    /// At its right end.
    Right,
}

/// A size of the font: a raster and how many points wide and high each of its points is drawn.
#[derive(Clone, Copy)]
pub struct Font {
    raster: RasterHeight,
    scale: usize,
}

impl Font {
    /// Returns the largest size that is at most `height` points high, or else the smallest.
    pub fn at_most(height: usize) -> Self {
        let largest = RasterHeight::Size32;
        let scale = (height / largest.val()).max(1);
        let sizes = [largest, RasterHeight::Size24, RasterHeight::Size20];
        let fitting = sizes.into_iter().find(|size| size.val() * scale <= height);
        Self { raster: fitting.unwrap_or(RasterHeight::Size16), scale }
    }

    /// Returns the height of a line, in points.
    pub fn height(self) -> usize {
        self.scale * self.raster.val()
    }

    /// Returns the width of `text`, in points.
    pub fn width(self, text: &str) -> usize {
        self.scale * text.chars().count() * get_raster_width(FontWeight::Regular, self.raster)
    }

    /// Returns the points of a character from the left, in rows from above: place and coverage.
    fn points(self, character: char) -> impl Iterator<Item = ([usize; 2], f64)> {
        let glyph = get_raster(character, FontWeight::Regular, self.raster)
            .or_else(|| get_raster(REPLACEMENT, FontWeight::Regular, self.raster))
            .expect("invariant: the font holds basic Latin");
        let scale = self.scale;
        (0..scale * glyph.height()).flat_map(move |y| {
            (0..scale * glyph.width()).filter_map(move |x| {
                let coverage = glyph.pixel(x / scale, y / scale)?;
                Some(([x, y], f64::from(coverage) / 255.0))
            })
        })
    }
}

impl Canvas {
    /// Creates a white picture.
    pub fn new(width: usize, height: usize) -> Self {
        Self { width, height, points: vec![[255; 3]; width * height] }
    }

    /// Covers the share `alpha` of a point with `color`; a point outside the picture is ignored.
    pub fn blend(&mut self, x: usize, y: usize, color: Rgb, alpha: f64) {
        if x < self.width && y < self.height {
            let point = &mut self.points[y * self.width + x];
            *point = mix(*point, color, alpha);
        }
    }

    /// Fills a box with the colors that `column` gives for each of its columns.
    pub fn fill(&mut self, [left, top]: [usize; 2], [width, height]: [usize; 2], column: impl Fn(usize) -> Rgb) {
        for x in 0..width {
            let color = column(x);
            for y in 0..height {
                self.blend(left + x, top + y, color, 1.0);
            }
        }
    }

    /// Writes `text` with its upper edge at `y` and its left end, center or right end at `x`.
    ///
    /// Text longer than the picture is cut at the right.
    pub fn text(&mut self, x: usize, y: usize, align: Align, font: Font, color: Rgb, text: &str) {
        let width = font.width(text);
        let mut left = match align {
            Align::Left => x,
            Align::Center => x.saturating_sub(width / 2),
            Align::Right => x.saturating_sub(width),
        };
        for character in text.chars() {
            for ([column, row], coverage) in font.points(character) {
                self.blend(left + column, y + row, color, coverage);
            }
            left += font.width(" ");
        }
    }

    /// Returns the picture as a PNG file.
    pub fn into_png(self) -> Vec<u8> {
        let mut file = Vec::new();
        let side = |length| u32::try_from(length).expect("invariant: a picture's width is checked");
        let mut encoder = png::Encoder::new(&mut file, side(self.width), side(self.height));
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::Balanced);
        encoder
            .write_header()
            .and_then(|mut writer| {
                writer.write_image_data(self.points.as_flattened())?;
                writer.finish()
            })
            .expect("invariant: writing to memory cannot fail and the sizes agree");
        file
    }
}

/// Returns `under` covered to the share `alpha` by `over`.
fn mix(under: Rgb, over: Rgb, alpha: f64) -> Rgb {
    [0, 1, 2].map(|i| {
        let (under, over) = (f64::from(under[i]), f64::from(over[i]));
        byte(under + alpha * (over - under))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLACK: Rgb = [0; 3];

    fn dark(canvas: &Canvas) -> Vec<(usize, usize)> {
        let at = canvas.points.iter().enumerate().filter(|(_, point)| point[0] < 128);
        at.map(|(at, _)| (at % canvas.width, at / canvas.width)).collect()
    }

    #[test]
    fn mixing_covers_in_proportion() {
        assert_eq!(mix([255; 3], BLACK, 0.0), [255; 3]);
        assert_eq!(mix([255; 3], BLACK, 1.0), BLACK);
        assert_eq!(mix([100, 0, 200], [200, 0, 100], 0.5), [150, 0, 150]);
    }

    #[test]
    fn text_lies_on_the_side_it_is_aligned_to() {
        let font = Font::at_most(16);
        for (align, range) in [(Align::Left, 50..100), (Align::Right, 0..50), (Align::Center, 30..70)] {
            let mut canvas = Canvas::new(100, 20);
            canvas.text(50, 2, align, font, BLACK, "HHH");
            let columns = dark(&canvas);
            assert!(columns.len() > 20);
            assert!(columns.iter().all(|(x, _)| range.contains(x)));
        }
    }

    #[test]
    fn the_font_has_a_micro_sign_and_unknown_signs_are_replaced() {
        let drawn = |text| {
            let mut canvas = Canvas::new(40, 40);
            canvas.text(0, 0, Align::Left, Font::at_most(32), BLACK, text);
            canvas.points
        };
        assert_ne!(drawn("\u{b5}"), drawn("?"));
        assert_eq!(drawn("\u{4e00}"), drawn("?"));
    }

    #[test]
    fn sizes_of_the_font() {
        assert_eq!(Font::at_most(5).height(), 16);
        assert_eq!(Font::at_most(23).height(), 20);
        assert_eq!(Font::at_most(63).height(), 32);
        assert_eq!(Font::at_most(100).height(), 96);
    }

    #[test]
    fn drawing_outside_is_ignored() {
        let mut canvas = Canvas::new(4, 4);
        canvas.fill([3, 3], [9, 9], |_| BLACK);
        canvas.text(2, 2, Align::Left, Font::at_most(16), [255; 3], "long");
        assert_eq!(dark(&canvas), [(3, 3)]);
    }

    #[test]
    fn a_png_holds_the_points() {
        let mut canvas = Canvas::new(3, 2);
        canvas.blend(2, 1, [10, 20, 30], 1.0);
        let file = canvas.into_png();
        let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().expect("a PNG");
        let mut points = vec![0; reader.output_buffer_size().expect("a small picture")];
        let frame = reader.next_frame(&mut points).expect("a picture");
        assert_eq!((frame.width, frame.height), (3, 2));
        assert_eq!(points[15..], [10, 20, 30]);
        assert!(points[..15].iter().all(|&part| part == 255));
    }
}
