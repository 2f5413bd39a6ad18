//! The history of residuals as an SVG plot with a logarithmic axis.

use std::fmt::Write;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 66.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 50.0;
/// Greatest number of labels on an axis.
const LABELS: i32 = 10;

/// Scales of iterations and residuals in the plot.
struct Axes {
    last_iteration: usize,
    /// Powers of ten at the bottom and the top.
    decades: [i32; 2],
}

/// Draws the plot of `residuals`, the first one before any iteration, with a line at `tolerance`.
///
/// Residuals that are not positive and finite have no place on the axis and are left out.
pub(super) fn svg(residuals: &[f64], tolerance: f64) -> String {
    let on_axis = |value: &f64| *value > 0.0 && value.is_finite();
    let points: Vec<(usize, f64)> = residuals.iter().copied().enumerate().filter(|(_, value)| on_axis(value)).collect();
    if points.is_empty() {
        return "<p class=\"none\">No residuals.</p>\n".to_owned();
    }
    let tolerance = Some(tolerance).filter(on_axis);
    let values = points.iter().map(|&(_, value)| value).chain(tolerance);
    let axes = Axes { last_iteration: residuals.len().saturating_sub(1).max(1), decades: decades(values) };
    let mut svg = format!(
        "<svg class=\"plot\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
         aria-label=\"Relative residual after each iteration\">\n"
    );
    axes.draw_residual_axis(&mut svg);
    axes.draw_iteration_axis(&mut svg);
    if let Some(tolerance) = tolerance {
        axes.draw_tolerance(&mut svg, tolerance);
    }
    axes.draw_curve(&mut svg, &points);
    svg + "</svg>\n"
}

impl Axes {
    fn x(&self, iteration: usize) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * iteration as f64 / self.last_iteration as f64
    }

    fn y(&self, value: f64) -> f64 {
        let [low, high] = self.decades.map(f64::from);
        TOP + (HEIGHT - TOP - BOTTOM) * (high - value.log10()) / (high - low)
    }

    fn draw_residual_axis(&self, svg: &mut String) {
        let [low, high] = self.decades;
        let step = (high - low).div_euclid(LABELS) + 1;
        for decade in (low..=high).rev().filter(|decade| (high - decade) % step == 0) {
            let y = self.y(10_f64.powi(decade));
            let exponent = decade.to_string().replace('-', "−");
            draw(
                svg,
                format_args!(
                    "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{end:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text x=\"{label:.1}\" y=\"{base:.1}\" text-anchor=\"end\">10<tspan dy=\"-5\" \
                 font-size=\"10\">{exponent}</tspan></text>\n",
                    end = WIDTH - RIGHT,
                    label = LEFT - 8.0,
                    base = y + 5.0,
                ),
            );
        }
        let middle = (TOP + HEIGHT - BOTTOM) / 2.0;
        draw(
            svg,
            format_args!(
                "<text transform=\"translate(16 {middle}) rotate(-90)\" text-anchor=\"middle\">\
             Relative residual</text>\n"
            ),
        );
    }

    fn draw_iteration_axis(&self, svg: &mut String) {
        let bottom = HEIGHT - BOTTOM;
        draw(svg, format_args!("<path class=\"axis\" d=\"M{LEFT} {TOP}V{bottom}H{}\"/>\n", WIDTH - RIGHT));
        let step = tick_step(self.last_iteration);
        for iteration in (0..=self.last_iteration).step_by(step) {
            let x = self.x(iteration);
            draw(
                svg,
                format_args!(
                    "<path class=\"axis\" d=\"M{x:.1} {bottom}v5\"/><text x=\"{x:.1}\" y=\"{:.1}\" \
                 text-anchor=\"middle\">{iteration}</text>\n",
                    bottom + 20.0
                ),
            );
        }
        let (middle, base) = ((LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 8.0);
        draw(svg, format_args!("<text x=\"{middle}\" y=\"{base}\" text-anchor=\"middle\">Iteration</text>\n"));
    }

    fn draw_tolerance(&self, svg: &mut String, tolerance: f64) {
        let (y, end) = (self.y(tolerance), WIDTH - RIGHT);
        draw(
            svg,
            format_args!(
                "<line class=\"tolerance\" x1=\"{LEFT}\" x2=\"{end}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text class=\"tolerance\" x=\"{:.1}\" y=\"{:.1}\">tolerance</text>\n",
                LEFT + 8.0,
                y - 6.0
            ),
        );
    }

    fn draw_curve(&self, svg: &mut String, points: &[(usize, f64)]) {
        svg.push_str("<polyline class=\"curve\" points=\"");
        for &(iteration, value) in points {
            draw(svg, format_args!("{:.1},{:.1} ", self.x(iteration), self.y(value)));
        }
        svg.push_str("\"/>\n");
        if points.len() <= 100 {
            for &(iteration, value) in points {
                let (x, y) = (self.x(iteration), self.y(value));
                draw(svg, format_args!("<circle class=\"point\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.6\"/>"));
            }
            svg.push('\n');
        }
    }
}

/// Whole powers of ten around positive `values`, at least one apart.
fn decades(values: impl Iterator<Item = f64>) -> [i32; 2] {
    let (low, high) = values
        .map(f64::log10)
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the logarithm of a finite positive f64 lies between -324 and 309"
    )]
    let [low, high] = [low.floor() as i32, high.ceil() as i32];
    [low, high.max(low + 1)]
}

/// Distance of labels, 1, 2 or 5 times a power of ten, for about ten labels up to `last`.
fn tick_step(last: usize) -> usize {
    let steps =
        (0..).flat_map(|power| [1, 2, 5].map(|lead: usize| lead.saturating_mul(10_usize.saturating_pow(power))));
    steps.into_iter().find(|step| last / step <= 10).unwrap_or(last)
}

fn draw(svg: &mut String, element: std::fmt::Arguments<'_>) {
    svg.write_fmt(element).expect("invariant: writing to a string cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decades_enclose_the_values() {
        assert_eq!(decades([1.0, 3e-7].into_iter()), [-7, 0]);
        assert_eq!(decades([2.0, 0.5].into_iter()), [-1, 1]);
        assert_eq!(decades([1.0].into_iter()), [0, 1]);
        assert_eq!(decades([5e-324, f64::MAX].into_iter()), [-324, 309]);
    }

    #[test]
    fn steps_of_labels() {
        for (last, step) in [(1, 1), (10, 1), (11, 2), (21, 2), (22, 5), (54, 5), (400, 50)] {
            assert_eq!(tick_step(last), step, "{last}");
        }
    }

    #[test]
    fn axes_by_hand() {
        let axes = Axes { last_iteration: 4, decades: [-2, 0] };
        assert_eq!(axes.x(0), LEFT);
        assert_eq!(axes.x(4), WIDTH - RIGHT);
        assert_eq!(axes.y(1.0), TOP);
        assert_eq!(axes.y(0.01), HEIGHT - BOTTOM);
        assert_eq!(axes.y(0.1), (TOP + HEIGHT - BOTTOM) / 2.0);
    }

    #[test]
    fn every_positive_residual_is_a_point() {
        let plot = svg(&[1.0, 0.1, 0.0, f64::NAN, 0.001], 1e-3);
        assert_eq!(plot.matches("<circle").count(), 3);
        assert!(plot.contains("tolerance"));
        assert!(!plot.contains("NaN") && !plot.contains("inf"));
    }

    #[test]
    fn no_residuals_no_plot() {
        assert!(!svg(&[], 1e-6).contains("<svg"));
        assert!(svg(&[1.0], 0.0).contains("<svg"));
    }
}
