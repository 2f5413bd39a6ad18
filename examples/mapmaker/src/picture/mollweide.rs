//! The Mollweide projection and the painting of a map in it.
//!
//! An ellipse twice as wide as high shows the whole sphere, areas in true proportion (Snyder,
//! "Map projections: a working manual", USGS 1395, p. 251). With the ellipse's half axes as 2 and
//! 1, the point `(x, y)` has the auxiliary angle `t = asin y`, the latitude
//! `asin((2t + sin 2t) / pi)` and the longitude `-pi x / (2 cos t)`.

use std::f64::consts::{FRAC_PI_2, PI};

use dolmen_common::picture::{Align, Canvas, Font, INK, Limits, Rgb, byte, label};

use super::Style;
use crate::healpix::Healpix;

/// Samples along each side of a point of the picture: their colors are averaged, so that the
/// borders of pixels are smooth.
const SAMPLES: usize = 2;

const UNSEEN: Rgb = [196, 198, 202];

/// Reason for which there is no picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PictureError {
    /// Too small to be read or too large to be handled.
    #[error("a picture cannot be {width} points wide; choose a width from 200 to 10000")]
    Width {
        /// The requested width, in points.
        width: u32,
    },
}

/// A picture of the sky of a given width, with a title and a color bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mollweide {
    width: usize,
}

impl Mollweide {
    /// Pictures `width` points wide.
    ///
    /// # Errors
    ///
    /// [`PictureError::Width`] if the width is less than 200 or more than 10000 points.
    pub fn new(width: u32) -> Result<Self, PictureError> {
        let error = PictureError::Width { width };
        if !(200..=10_000).contains(&width) {
            return Err(error);
        }
        let width = usize::try_from(width).map_err(|_| error)?;
        Ok(Self { width })
    }

    /// Returns the sky pixel under each sample of the picture, `None` outside the ellipse.
    ///
    /// The samples are those of the map's rectangle, row by row from the upper left; each point
    /// of the picture has four.
    #[must_use]
    pub fn pixels(&self, sky: &Healpix) -> Vec<Option<u64>> {
        let columns = SAMPLES * self.map_width();
        let rows = columns / 2;
        let mut pixels = Vec::with_capacity(columns * rows);
        for row in 0..rows {
            pixels.extend((0..columns).map(|column| {
                let (theta, phi) = direction(position([column as f64, row as f64], columns))?;
                sky.pixel(theta, phi)
            }));
        }
        pixels
    }

    /// Draws the picture of `values`, one for each entry of [`pixels`](Self::pixels), as a PNG file.
    ///
    /// Values that are not finite are unseen and painted gray. Outside the ellipse they are
    /// ignored.
    ///
    /// # Panics
    ///
    /// If `values` has not the length of `pixels`.
    #[must_use]
    pub fn render(&self, values: &[f64], style: &Style) -> Vec<u8> {
        let expected = SAMPLES * SAMPLES * self.map_width() * self.map_width() / 2;
        assert_eq!(values.len(), expected, "invariant: one value for each sample of the picture");
        let limits = style.range.limits(values);
        let plan = self.plan();
        let mut canvas = Canvas::new(self.width, plan.height);
        let middle = self.width / 2;
        canvas.text(middle, plan.title_top, Align::Center, plan.title_font, INK, &style.title);
        self.paint_map(&mut canvas, &plan, values, |value| {
            limits.and_then(|limits| limits.fraction(value)).map_or(UNSEEN, |fraction| style.palette.color(fraction))
        });
        self.paint_outline(&mut canvas, &plan);
        match limits {
            Some(limits) => self.paint_bar(&mut canvas, &plan, limits, style),
            None => canvas.text(middle, plan.bar_top, Align::Center, plan.font, INK, "no data"),
        }
        canvas.into_png()
    }

    fn paint_map(&self, canvas: &mut Canvas, plan: &Plan, values: &[f64], color: impl Fn(f64) -> Rgb) {
        let width = self.map_width();
        for row in 0..width / 2 {
            for column in 0..width {
                if let Some((mean, share)) = self.mean_color(values, row, column, &color) {
                    canvas.blend(plan.margin + column, plan.map_top + row, mean, share);
                }
            }
        }
    }

    fn paint_outline(&self, canvas: &mut Canvas, plan: &Plan) {
        let width = self.map_width();
        let line = (width as f64 / 1000.0).max(0.6);
        let beyond = plan.margin / 2;
        for row in 0..width / 2 + 2 * beyond {
            for column in 0..width + 2 * beyond {
                let cell = [column, row].map(|at| at as f64 - beyond as f64);
                let distance = distance_to_ellipse(position(cell, width)) * width as f64 / 4.0;
                let alpha = (line + 0.5 - distance.abs()).clamp(0.0, 1.0);
                let (x, y) = (plan.margin + column, plan.map_top + row);
                canvas.blend(x - beyond, y - beyond, INK, alpha);
            }
        }
    }

    /// Mean color of the samples of a point inside the ellipse, and their share.
    fn mean_color(&self, values: &[f64], row: usize, column: usize, color: impl Fn(f64) -> Rgb) -> Option<(Rgb, f64)> {
        let columns = SAMPLES * self.map_width();
        let mut sum = [0.0; 3];
        let mut inside = 0.0;
        for at_row in SAMPLES * row..SAMPLES * (row + 1) {
            for at_column in SAMPLES * column..SAMPLES * (column + 1) {
                if is_inside(position([at_column as f64, at_row as f64], columns)) {
                    let sample = color(values[at_row * columns + at_column]);
                    for (sum, part) in sum.iter_mut().zip(sample) {
                        *sum += f64::from(part);
                    }
                    inside += 1.0;
                }
            }
        }
        let all = (SAMPLES * SAMPLES) as f64;
        (inside > 0.0).then(|| (sum.map(|sum| byte(sum / inside)), inside / all))
    }

    fn paint_bar(&self, canvas: &mut Canvas, plan: &Plan, limits: Limits, style: &Style) {
        let (left, length) = (self.width / 4, self.width / 2);
        let frame = (self.width / 1000).max(1);
        canvas.fill([left - frame, plan.bar_top - frame], [length + 2 * frame, plan.bar_height + 2 * frame], |_| INK);
        canvas.fill([left, plan.bar_top], [length, plan.bar_height], |column| {
            style.palette.color(column as f64 / (length - 1) as f64)
        });
        let middle = plan.bar_top + plan.bar_height / 2;
        let top = middle.saturating_sub(plan.font.height() / 2);
        let gap = plan.margin;
        let [min, max] = [limits.min, limits.max].map(|value| label(value * style.factor));
        canvas.text(left - gap, top, Align::Right, plan.font, INK, &min);
        canvas.text(left + length + gap, top, Align::Left, plan.font, INK, &max);
        let unit = match (limits.logarithmic, style.unit.as_str()) {
            (false, unit) => unit.to_owned(),
            (true, "") => "logarithmic".to_owned(),
            (true, unit) => format!("{unit}, logarithmic"),
        };
        canvas.text(self.width / 2, plan.unit_top, Align::Center, plan.font, INK, &unit);
    }

    fn map_width(&self) -> usize {
        (self.width - 2 * margin(self.width)) / 2 * 2
    }

    fn plan(&self) -> Plan {
        let margin = margin(self.width);
        let title_font = Font::at_most(self.width / 24);
        let font = Font::at_most(self.width / 28);
        let title_top = margin * 3 / 4;
        let map_top = title_top + title_font.height() + margin / 2;
        let bar_top = map_top + self.map_width() / 2 + margin * 5 / 4;
        let bar_height = self.width / 36;
        let unit_top = bar_top + bar_height + margin * 2 / 5;
        Plan {
            margin,
            title_font,
            font,
            title_top,
            map_top,
            bar_top,
            bar_height,
            unit_top,
            height: unit_top + font.height() + margin / 2,
        }
    }
}

/// Positions of all parts, in points from the upper left.
struct Plan {
    margin: usize,
    title_font: Font,
    font: Font,
    title_top: usize,
    map_top: usize,
    bar_top: usize,
    bar_height: usize,
    unit_top: usize,
    height: usize,
}

fn margin(width: usize) -> usize {
    width / 40
}

/// Colatitude and longitude at `(x, y)` of an ellipse with half axes 2 and 1; `None` outside.
fn direction([x, y]: [f64; 2]) -> Option<(f64, f64)> {
    if !is_inside([x, y]) {
        return None;
    }
    let t = y.asin();
    let latitude = ((2.0 * t + (2.0 * t).sin()) / PI).clamp(-1.0, 1.0).asin();
    let cos = t.cos();
    let longitude = if cos > 0.0 { -FRAC_PI_2 * x / cos } else { 0.0 };
    Some(((FRAC_PI_2 - latitude).clamp(0.0, PI), longitude))
}

/// Place of a cell's center, the ellipse's half axes being 2 and 1, if the ellipse fills a grid
/// of cells `columns` wide and half as high.
fn position([column, row]: [f64; 2], columns: usize) -> [f64; 2] {
    let cells = columns as f64 / 4.0;
    [(column + 0.5) / cells - 2.0, 1.0 - (row + 0.5) / cells]
}

fn is_inside([x, y]: [f64; 2]) -> bool {
    x * x / 4.0 + y * y <= 1.0
}

/// Distance to the ellipse, to first order, in its shorter half axes; negative inside.
fn distance_to_ellipse([x, y]: [f64; 2]) -> f64 {
    let radius = (x * x / 4.0 + y * y).sqrt();
    let slope = (x * x / 16.0 + y * y).sqrt();
    (radius - 1.0) * radius / slope
}

#[cfg(test)]
mod tests {
    use dolmen_common::picture::{Palette, Range};

    use super::*;
    use crate::healpix::Ordering;

    /// Projects a direction, by Newton's method for `2t + sin 2t = pi sin(latitude)`.
    fn forwards(theta: f64, longitude: f64) -> [f64; 2] {
        let target = PI * theta.cos();
        let mut t = FRAC_PI_2 - theta;
        for _ in 0..50 {
            t -= (2.0 * t + (2.0 * t).sin() - target) / (2.0 + 2.0 * (2.0 * t).cos());
        }
        [-2.0 * longitude / PI * t.cos(), t.sin()]
    }

    fn style(range: Range) -> Style {
        Style { title: "Sky".to_owned(), unit: "\u{b5}K".to_owned(), factor: 1.0, palette: Palette::Cmb, range }
    }

    fn points(file: &[u8]) -> (usize, Vec<Rgb>) {
        let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().expect("a PNG");
        let mut bytes = vec![0; reader.output_buffer_size().expect("a small picture")];
        let frame = reader.next_frame(&mut bytes).expect("a picture");
        (frame.width.try_into().expect("a small picture"), bytes.as_chunks().0.to_vec())
    }

    #[test]
    fn the_inverse_undoes_the_projection() {
        for (theta, longitude) in [(0.3, -3.0), (1.0, 0.5), (FRAC_PI_2, 2.0), (2.7, 3.1)] {
            let (back, along) = direction(forwards(theta, longitude)).expect("inside");
            assert!((back - theta).abs() < 1e-9 && (along - longitude).abs() < 1e-9);
        }
    }

    #[test]
    fn center_poles_and_sides() {
        assert_eq!(direction([0.0, 0.0]), Some((FRAC_PI_2, -0.0)));
        assert_eq!(direction([0.0, 1.0]).map(|(theta, _)| theta), Some(0.0));
        assert_eq!(direction([0.0, -1.0]).map(|(theta, _)| theta), Some(PI));
        let (_, left) = direction([-2.0, 0.0]).expect("on the ellipse");
        assert!((left - PI).abs() < 1e-15, "longitude grows to the left");
        assert_eq!(direction([1.9, 0.9]), None);
        assert_eq!(direction([2.0 + 1e-9, 0.0]), None);
    }

    #[test]
    fn corners_are_outside_and_the_share_inside_is_pi_over_4() {
        let sky = Healpix::new(4, Ordering::Ring).expect("a power of two");
        let picture = Mollweide::new(300).expect("a width in range");
        let pixels = picture.pixels(&sky);
        assert_eq!(pixels[0], None);
        assert_eq!(pixels[pixels.len() - 1], None);
        let share = pixels.iter().flatten().count() as f64 / pixels.len() as f64;
        assert!((share - PI / 4.0).abs() < 2e-3);
    }

    #[test]
    fn areas_are_true() {
        let sky = Healpix::new(2, Ordering::Nested).expect("a power of two");
        let pixels = Mollweide::new(1000).expect("a width in range").pixels(&sky);
        let mut counts = [0.0; 48];
        for pixel in pixels.iter().flatten() {
            counts[usize::try_from(*pixel).expect("a small pixel")] += 1.0;
        }
        let mean = counts.iter().sum::<f64>() / 48.0;
        for count in counts {
            assert!((count / mean - 1.0_f64).abs() < 0.02, "{count} {mean}");
        }
    }

    #[test]
    fn a_constant_map_has_one_color_inside() {
        let picture = Mollweide::new(240).expect("a width in range");
        let sky = Healpix::new(1, Ordering::Ring).expect("a power of two");
        let values = vec![0.5; picture.pixels(&sky).len()];
        let range = Range::Fixed { min: 0.0, max: 1.0 };
        let (width, points) = points(&picture.render(&values, &style(range)));
        let plan = picture.plan();
        let side = picture.map_width();
        for row in 0..side / 2 {
            for column in 0..side {
                let distance = distance_to_ellipse(position([column as f64, row as f64], side));
                let point = points[(plan.map_top + row) * width + plan.margin + column];
                if distance * side as f64 / 4.0 < -2.0 {
                    assert_eq!(point, Palette::Cmb.color(0.5));
                } else if distance * side as f64 / 4.0 > 2.0 {
                    assert_eq!(point, [255; 3]);
                }
            }
        }
    }

    #[test]
    fn west_is_right_and_the_unseen_is_gray() {
        let picture = Mollweide::new(400).expect("a width in range");
        let sky = Healpix::new(1, Ordering::Ring).expect("a power of two");
        // Base pixels 4, 5, 6, 7 of the equator have longitudes 0, 90, 180 and 270 degrees.
        let value = |pixel| match pixel {
            5 => 0.0,
            7 => 1.0,
            _ => f64::NAN,
        };
        let pixels = picture.pixels(&sky);
        let values: Vec<f64> = pixels.iter().map(|pixel| pixel.map_or(9.0, value)).collect();
        let range = Range::Fixed { min: 0.0, max: 1.0 };
        let (width, points) = points(&picture.render(&values, &style(range)));
        let side = picture.map_width();
        let row = picture.plan().map_top + side / 4;
        let at = |share: usize| points[row * width + picture.plan().margin + side * share / 4];
        assert_eq!(at(1), Palette::Cmb.color(0.0));
        assert_eq!(at(2), UNSEEN);
        assert_eq!(at(3), Palette::Cmb.color(1.0));
    }

    #[test]
    fn a_map_without_values_is_a_picture_too() {
        let picture = Mollweide::new(200).expect("a width in range");
        let sky = Healpix::new(1, Ordering::Ring).expect("a power of two");
        let values = vec![f64::NAN; picture.pixels(&sky).len()];
        let range = Range::Symmetric { percentile: 99.0 };
        let (width, points) = points(&picture.render(&values, &style(range)));
        let middle = picture.plan().map_top + picture.map_width() / 4;
        assert_eq!(points[middle * width + width / 2], UNSEEN);
    }

    #[test]
    fn widths_are_checked() {
        for width in [0, 199, 10_001] {
            let error = Mollweide::new(width).expect_err("out of range");
            assert_eq!(error, PictureError::Width { width });
        }
    }
}
