//! A picture of a spectrum: real values over their number, complex ones in the plane, with limits at the sides. Values that
//! are not converged are hollow.

use dolmen_common::picture::{Align, Canvas, Font, INK, Range, Rgb, label};

use crate::spectrum::Found;

/// Points of the side of the box.
const WIDTH: usize = 720;
const HEIGHT: usize = 480;
const MARGIN: usize = 24;
/// Room for the numbers at the left.
const LEFT: usize = 120;
/// Half of the side of a mark.
const MARK: usize = 4;
const COLOR: Rgb = [31, 119, 180];
const ALL: Range = Range::Percentiles { lower: 0.0, upper: 100.0 };

/// Returns the picture as a PNG file.
pub(super) fn picture(found: &Found<'_>, name: &str) -> Vec<u8> {
    let (title, font) = (Font::at_most(24), Font::at_most(16));
    let top = MARGIN + title.height() + font.height();
    let mut canvas = Canvas::new(LEFT + WIDTH + MARGIN, top + HEIGHT + 2 * font.height() + MARGIN);
    let middle = LEFT + WIDTH / 2;
    canvas.text(middle, MARGIN / 2, Align::Center, title, INK, &found.matrix.to_string());
    let facts = format!("{} {name} by {}", found.values.len(), found.report.method);
    canvas.text(middle, MARGIN / 2 + title.height(), Align::Center, font, INK, &facts);
    canvas.fill([LEFT - 1, top - 1], [WIDTH + 2, HEIGHT + 2], |_| INK);
    canvas.fill([LEFT, top], [WIDTH, HEIGHT], |_| [255; 3]);
    let real = found.is_real();
    let across: Vec<f64> = match real {
        true => (1..=found.values.len()).map(|number| number as f64).collect(),
        false => found.values.iter().map(|value| value.re).collect(),
    };
    let up: Vec<f64> = found.values.iter().map(|value| if real { value.re } else { value.im }).collect();
    let (Some(columns), Some(rows)) = (ALL.limits(&across), ALL.limits(&up)) else {
        return canvas.into_png();
    };
    canvas.text(LEFT - MARGIN / 3, top, Align::Right, font, INK, &label(rows.max));
    canvas.text(LEFT - MARGIN / 3, top + HEIGHT - font.height(), Align::Right, font, INK, &label(rows.min));
    let below = top + HEIGHT + MARGIN / 4;
    canvas.text(LEFT, below, Align::Left, font, INK, &label(columns.min));
    canvas.text(LEFT + WIDTH, below, Align::Right, font, INK, &label(columns.max));
    let axes = if real { "number" } else { "real part; imaginary part upwards" };
    canvas.text(middle, below, Align::Center, font, INK, axes);
    for ((&x, &y), &converged) in across.iter().zip(&up).zip(&found.report.is_converged) {
        let place = |fraction: Option<f64>, length: usize| along(fraction.unwrap_or(0.5), length);
        let left = LEFT + place(columns.fraction(x), WIDTH);
        let from_top = top + HEIGHT - place(rows.fraction(y), HEIGHT);
        canvas.fill([left - MARK, from_top - MARK], [2 * MARK + 1; 2], |_| COLOR);
        if !converged {
            canvas.fill([left + 1 - MARK, from_top + 1 - MARK], [2 * MARK - 1; 2], |_| [255; 3]);
        }
    }
    canvas.into_png()
}

/// Returns a place along a side, away from its ends.
fn along(fraction: f64, length: usize) -> usize {
    let inner = (length - 4 * MARK) as f64 * fraction.clamp(0.0, 1.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between zero and the length")]
    let inner = inner.round() as usize;
    2 * MARK + inner
}
