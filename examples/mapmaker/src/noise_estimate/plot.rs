//! A picture of spectra and their fits: a panel for each detector, with logarithmic axes.

use dolmen_common::picture::{Align, Canvas, Font, INK, Rgb};

use super::{Noise, Spectrum};
use crate::gallery::labels;

/// Detectors that are drawn; a picture of more could not be read.
const MOST: usize = 64;

const WIDTH: usize = 480;
const HEIGHT: usize = 320;
const LEFT: usize = 74;
const RIGHT: usize = 16;
const TOP: usize = 30;
const BOTTOM: usize = 46;
const COLUMNS: usize = 2;

const GRID: Rgb = [225, 227, 231];
const DATA: Rgb = [52, 101, 164];
const FIT: Rgb = [196, 60, 40];

/// Powers of ten that an axis spans, and its ends on the canvas.
struct Axis {
    low: i32,
    high: i32,
    from: f64,
    to: f64,
}

impl Axis {
    /// Spans positive values.
    #[expect(clippy::cast_possible_truncation, reason = "logarithms")]
    fn new(values: impl Iterator<Item = f64>, from: usize, to: usize) -> Option<Axis> {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.filter(|value| value.is_finite() && *value > 0.0) {
            (low, high) = (low.min(value.log10()), high.max(value.log10()));
        }
        let (first, last) = (low.floor() as i32, high.ceil() as i32);
        (low <= high).then(|| Axis { low: first, high: last.max(first + 1), from: from as f64, to: to as f64 })
    }

    fn place(&self, value: f64) -> f64 {
        let [low, high] = [self.low, self.high].map(f64::from);
        self.from + (self.to - self.from) * (value.log10() - low) / (high - low)
    }

    fn decades(&self, most: i32) -> impl Iterator<Item = i32> {
        let step = (self.high - self.low).div_euclid(most) + 1;
        (self.low..=self.high).filter(move |decade| (decade - self.low) % step == 0)
    }
}

impl Noise {
    /// Draws the spectra of the first 64 detectors, as a PNG file. Spectral densities are square roots, two-sided.
    pub(super) fn picture(&self) -> Vec<u8> {
        let count = self.spectra.len().clamp(1, MOST);
        let mut canvas = Canvas::new(COLUMNS * WIDTH, count.div_ceil(COLUMNS) * HEIGHT);
        let (unit, factor) = labels(&self.description.units);
        for (i, spectrum) in self.spectra.iter().take(MOST).enumerate() {
            let corner = [i % COLUMNS * WIDTH, i / COLUMNS * HEIGHT];
            let name = &self.description.detectors[i].name;
            panel(&mut canvas, corner, name, &format!("{unit} sqrt(s)"), factor, spectrum);
        }
        canvas.into_png()
    }
}

fn panel(canvas: &mut Canvas, [left, top]: [usize; 2], name: &str, unit: &str, factor: f64, spectrum: &Spectrum) {
    let font = Font::at_most(16);
    canvas.text(left + LEFT, top + 6, Align::Left, font, INK, &format!("{name} [{unit}]"));
    let root = |power: &f64| factor * power.sqrt();
    let (x0, x1, y0, y1) = (left + LEFT, left + WIDTH - RIGHT, top + HEIGHT - BOTTOM, top + TOP);
    let both = || spectrum.power.iter().chain(&spectrum.fit).map(root);
    let (Some(x), Some(y)) = (Axis::new(spectrum.frequency.iter().copied(), x0, x1), Axis::new(both(), y0, y1)) else {
        canvas.text(left + WIDTH / 2, top + HEIGHT / 2, Align::Center, font, INK, "too few good samples");
        return;
    };
    for decade in x.decades(6) {
        let place = x.place(10f64.powi(decade));
        line(canvas, [place, y.from], [place, y.to], GRID, 1.0);
        canvas.text(point(place), y0 + 6, Align::Center, font, INK, &power(decade));
    }
    for decade in y.decades(5) {
        let place = y.place(10f64.powi(decade));
        line(canvas, [x.from, place], [x.to, place], GRID, 1.0);
        canvas.text(x0 - 6, point(place).saturating_sub(8), Align::Right, font, INK, &power(decade));
    }
    for [from, to] in [[[x.from, y.from], [x.to, y.from]], [[x.from, y.from], [x.from, y.to]]] {
        line(canvas, from, to, INK, 1.0);
    }
    canvas.text(left + (LEFT + WIDTH - RIGHT) / 2, y0 + 24, Align::Center, font, INK, "frequency [Hz]");
    for (values, color, width) in [(&spectrum.power, DATA, 1.5), (&spectrum.fit, FIT, 2.0)] {
        let places = spectrum.frequency.iter().zip(values).filter(|(_, value)| value.is_finite() && **value > 0.0);
        let places: Vec<[f64; 2]> =
            places.map(|(frequency, value)| [x.place(*frequency), y.place(root(value))]).collect();
        places.windows(2).for_each(|pair| line(canvas, pair[0], pair[1], color, width));
    }
}

/// Returns a power of ten as text.
fn power(exponent: i32) -> String {
    if (-2..=3).contains(&exponent) { format!("{}", 10f64.powi(exponent)) } else { format!("1e{exponent}") }
}

/// Draws a straight line, smooth at its sides.
fn line(canvas: &mut Canvas, from: [f64; 2], to: [f64; 2], color: Rgb, width: f64) {
    let [dx, dy] = [to[0] - from[0], to[1] - from[1]];
    let length = dx.hypot(dy).max(1e-9);
    let around = |a: f64, b: f64| [point(a.min(b) - width - 1.0), point(a.max(b) + width + 1.0)];
    let ([left, right], [top, bottom]) = (around(from[0], to[0]), around(from[1], to[1]));
    for y in top..=bottom {
        for x in left..=right {
            let [px, py] = [x as f64 + 0.5 - from[0], y as f64 + 0.5 - from[1]];
            let along = ((px * dx + py * dy) / (length * length)).clamp(0.0, 1.0);
            let distance = (px - along * dx).hypot(py - along * dy);
            let alpha = (0.5 * width + 0.5 - distance).clamp(0.0, 1.0);
            if alpha > 0.0 {
                canvas.blend(x, y, color, alpha);
            }
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
fn point(place: f64) -> usize {
    place.round().max(0.0) as usize
}
