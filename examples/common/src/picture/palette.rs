//! Color maps.
//!
//! The diverging and the sequential one are built in Oklab (B. Ottosson, 2020), a space in which
//! equal distances look equally different: lightness is a straight line (sequential) or a
//! symmetric roof (diverging), so that no step in the data is exaggerated or hidden, in color, in
//! gray or to a color-blind reader.

/// A color, red, green and blue in sRGB.
pub type Rgb = [u8; 3];

/// A color map from `[0, 1]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Palette {
    /// Blue, cream, red: what the eye expects of a CMB intensity map.
    Cmb,
    /// Blue, white, red with symmetric lightness: polarization, residuals, differences.
    Diverging,
    /// Dark violet to yellow with even lightness: hits, condition numbers.
    Sequential,
}

/// Stops of the CMB map at equal distances.
const CMB: [[f64; 3]; 9] = [
    [0.0, 0.0, 255.0],
    [0.0, 92.0, 255.0],
    [0.0, 180.0, 255.0],
    [86.0, 223.0, 245.0],
    [255.0, 239.0, 219.0],
    [255.0, 194.0, 60.0],
    [255.0, 122.0, 0.0],
    [216.0, 40.0, 0.0],
    [110.0, 0.0, 4.0],
];

impl Palette {
    /// Returns the color at `fraction` of the way; outside `[0, 1]` that of the nearer end.
    #[must_use]
    pub fn color(self, fraction: f64) -> Rgb {
        let fraction = fraction.clamp(0.0, 1.0);
        match self {
            Self::Cmb => cmb(fraction),
            Self::Diverging => diverging(fraction),
            Self::Sequential => sequential(fraction),
        }
    }
}

fn cmb(fraction: f64) -> Rgb {
    let position = fraction * (CMB.len() - 1) as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the number of stops")]
    let left = (position as usize).min(CMB.len() - 2);
    let share = position - left as f64;
    [0, 1, 2].map(|i| byte(CMB[left][i] + share * (CMB[left + 1][i] - CMB[left][i])))
}

/// Blue to red through a near-white middle.
fn diverging(fraction: f64) -> Rgb {
    let side = 2.0 * fraction - 1.0;
    let hue: f64 = if side < 0.0 { 258.0 } else { 28.0 };
    let strength = side.abs();
    let lightness = 0.975 - 0.57 * strength;
    let chroma = 0.185 * (strength * (2.0 - strength)).powf(0.8) * (1.0 - 0.3 * strength);
    oklch(lightness, chroma, hue)
}

/// Lightness 0.24 to 0.93 while the hue turns from violet over blue and green to yellow.
fn sequential(fraction: f64) -> Rgb {
    let lightness = 0.24 + 0.69 * fraction;
    let hue = 305.0 - 200.0 * fraction.powf(1.1);
    let chroma = 0.095 + 0.085 * fraction.powi(3);
    oklch(lightness, chroma, hue)
}

/// Oklab's lightness, chroma and hue (degrees) in sRGB.
fn oklch(lightness: f64, chroma: f64, hue: f64) -> Rgb {
    linear_rgb(lightness, chroma, hue).map(|linear| byte(255.0 * gamma(linear.clamp(0.0, 1.0))))
}

fn linear_rgb(lightness: f64, chroma: f64, hue: f64) -> [f64; 3] {
    let (sin, cos) = hue.to_radians().sin_cos();
    let (a, b) = (chroma * cos, chroma * sin);
    let l = (lightness + 0.396_337_777_4 * a + 0.215_803_757_3 * b).powi(3);
    let m = (lightness - 0.105_561_345_8 * a - 0.063_854_172_8 * b).powi(3);
    let s = (lightness - 0.089_484_177_5 * a - 1.291_485_548_0 * b).powi(3);
    [
        4.076_741_662_1 * l - 3.307_711_591_3 * m + 0.230_969_929_2 * s,
        -1.268_438_004_6 * l + 2.609_757_401_1 * m - 0.341_319_396_5 * s,
        -0.004_196_086_3 * l - 0.703_418_614_7 * m + 1.707_614_701_0 * s,
    ]
}

/// Returns the transfer function of sRGB (IEC 61966-2-1).
fn gamma(linear: f64) -> f64 {
    if linear <= 0.003_130_8 { 12.92 * linear } else { 1.055 * linear.powf(1.0 / 2.4) - 0.055 }
}

/// Returns the nearest byte.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rounded and clamped to the range of a byte"
)]
pub fn byte(value: f64) -> u8 {
    value.round().clamp(0.0, 255.0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Palette; 3] = [Palette::Cmb, Palette::Diverging, Palette::Sequential];

    /// Relative luminance (IEC 61966-2-1) of a color.
    fn luminance(color: Rgb) -> f64 {
        let linear = color.map(|byte| {
            let value = f64::from(byte) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    }

    #[test]
    fn ends_and_middle() {
        assert_eq!(Palette::Cmb.color(0.0), [0, 0, 255]);
        assert_eq!(Palette::Cmb.color(0.5), [255, 239, 219]);
        assert_eq!(Palette::Cmb.color(1.0), [110, 0, 4]);
        let [blue, white, red] = [0.0, 0.5, 1.0].map(|at| Palette::Diverging.color(at));
        assert!(blue[2] > 2 * blue[0] && red[0] > 2 * red[2]);
        assert!(white.iter().all(|&part| part > 240));
        let [dark, light] = [0.0, 1.0].map(|at| Palette::Sequential.color(at));
        assert!(luminance(dark) < 0.03 && luminance(light) > 0.7);
    }

    #[test]
    fn beyond_the_ends_the_color_stays() {
        for palette in ALL {
            assert_eq!(palette.color(-3.0), palette.color(0.0));
            assert_eq!(palette.color(7.0), palette.color(1.0));
        }
    }

    #[test]
    fn stops_are_met_exactly_and_halves_are_between() {
        for (at, stop) in CMB.iter().enumerate() {
            assert_eq!(Palette::Cmb.color(at as f64 / 8.0), stop.map(byte));
        }
        assert_eq!(Palette::Cmb.color(1.0 / 16.0), [0, 46, 255]);
    }

    #[test]
    fn lightness_rises_evenly_or_is_a_symmetric_roof() {
        let steps = 64;
        let luminances = |palette: Palette| -> Vec<f64> {
            (0..=steps).map(|at| luminance(palette.color(f64::from(at) / f64::from(steps)))).collect()
        };
        assert!(luminances(Palette::Sequential).windows(2).all(|pair| pair[0] < pair[1]));
        let roof = luminances(Palette::Diverging);
        let (left, right) = roof.split_at(32);
        assert!(left.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(right.windows(2).all(|pair| pair[0] > pair[1]));
        for (a, b) in roof.iter().zip(roof.iter().rev()) {
            assert!((a - b).abs() < 0.06, "{a} {b}");
        }
    }

    /// Oklab's own example: white is lightness 1 without chroma.
    #[test]
    fn oklab_white_and_gray() {
        assert_eq!(oklch(1.0, 0.0, 0.0), [255, 255, 255]);
        let gray = oklch(0.6, 0.0, 100.0);
        assert!(gray[0] == gray[1] && gray[1] == gray[2]);
    }

    #[test]
    fn colors_lie_inside_srgb() {
        for at in 0..=20 {
            let t = f64::from(at) / 20.0;
            for palette in [Palette::Diverging, Palette::Sequential] {
                let color = palette.color(t);
                assert!(
                    color.iter().filter(|&&part| part == 0 || part == 255).count() <= 1,
                    "{palette:?} {t} {color:?}"
                );
            }
        }
    }
}
