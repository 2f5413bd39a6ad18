//! Values of templates at samples.

use std::f64::consts::TAU;

use dolmen_core::Comm;

use crate::config::TemplateConfig;
use crate::error::Result;
use crate::tod::{Angle, Tod};

/// The templates of a configuration, as functions of the place of a sample among those of its group, and of angles.
#[derive(Clone, Debug)]
pub(crate) struct Basis {
    templates: Vec<TemplateConfig>,
    len: usize,
}

impl Basis {
    pub(crate) fn new(templates: &[TemplateConfig]) -> Basis {
        Basis { templates: templates.to_vec(), len: templates.iter().map(TemplateConfig::amplitudes).sum() }
    }

    /// Returns the number of templates.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Returns the names of the templates, in the order of their values.
    pub(crate) fn names(&self) -> Vec<String> {
        let of = |template: &TemplateConfig| -> Vec<String> {
            match template {
                TemplateConfig::Legendre { order, .. } => (1..=*order).map(|n| format!("legendre {n}")).collect(),
                TemplateConfig::Fourier { harmonics, .. } => {
                    (1..=*harmonics).flat_map(|n| [format!("cos {n}"), format!("sin {n}")]).collect()
                }
                TemplateConfig::Hwp { harmonics, .. } => {
                    (1..=*harmonics).flat_map(|n| [format!("hwp cos {n}"), format!("hwp sin {n}")]).collect()
                }
                TemplateConfig::Azimuth { bins, .. } => (1..=*bins).map(|n| format!("azimuth {n}")).collect(),
            }
        };
        self.templates.iter().flat_map(of).collect()
    }

    /// Returns the angles that the templates are functions of.
    pub(crate) fn angles(&self) -> Vec<Angle> {
        let of = |template: &TemplateConfig| match template {
            TemplateConfig::Legendre { .. } | TemplateConfig::Fourier { .. } => None,
            TemplateConfig::Hwp { .. } => Some(Angle::HalfWavePlate),
            TemplateConfig::Azimuth { .. } => Some(Angle::Azimuth),
        };
        self.templates.iter().filter_map(of).collect()
    }

    /// Refuses timelines without these angles.
    ///
    /// # Collective
    ///
    /// # Errors
    /// An observation has none, the same on all ranks.
    pub(crate) fn require_angles(&self, comm: &Comm, tod: &Tod) -> Result<()> {
        let angles = self.angles();
        if angles.is_empty() {
            return Ok(());
        }
        tod.for_each_observation(comm, |_, reader| angles.iter().try_for_each(|&angle| reader.require_angle(angle)))
    }

    /// Computes the values at the middle of a sample, between -1 and 1; `place` is its position among the `samples` of
    /// the group, and `angles` are those of [`Basis::angles`].
    #[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
    pub(crate) fn evaluate(&self, place: u64, samples: u64, angles: impl IntoIterator<Item = f64>, values: &mut [f64]) {
        let mut angles = angles.into_iter();
        let mut angle = || angles.next().expect("invariant: all angles are there");
        // Between 0 and 1, never at the ends.
        let time = (place as f64 + 0.5) / samples as f64;
        let mut rest = values;
        for template in &self.templates {
            let (of_this, others) = rest.split_at_mut(template.amplitudes());
            match template {
                TemplateConfig::Legendre { .. } => legendre(2.0 * time - 1.0, of_this),
                TemplateConfig::Fourier { .. } => waves(TAU * time, of_this),
                TemplateConfig::Hwp { .. } => waves(angle(), of_this),
                TemplateConfig::Azimuth { .. } => bins(angle(), of_this),
            }
            rest = others;
        }
    }
}

/// Computes the Legendre polynomials of orders 1, 2, ... at `x` by Bonnet's recurrence (DLMF 18.9.1), which is stable
/// between -1 and 1.
fn legendre(x: f64, values: &mut [f64]) {
    let (mut before, mut last) = (1.0, x);
    for (n, value) in (1u32..).map(f64::from).zip(values) {
        *value = last;
        (before, last) = (last, ((2.0 * n + 1.0) * x * last - n * before) / (n + 1.0));
    }
}

/// Computes cosine and sine of 1, 2, ... times an angle, by turning.
fn waves(angle: f64, values: &mut [f64]) {
    let (sin, cos) = angle.sin_cos();
    let (mut c, mut s) = (cos, sin);
    for wave in values.chunks_exact_mut(2) {
        wave.copy_from_slice(&[c, s]);
        (c, s) = (c * cos - s * sin, s * cos + c * sin);
    }
}

/// Puts a one into the bin of an angle, of bins that divide the circle from 0 on.
#[expect(clippy::cast_precision_loss, reason = "few bins")]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative, and saturates")]
fn bins(angle: f64, values: &mut [f64]) {
    values.fill(0.0);
    let bin = (angle.rem_euclid(TAU) / TAU * values.len() as f64) as usize;
    // Rounding can make a small negative angle a whole turn.
    let last = values.len() - 1;
    values[bin.min(last)] = 1.0;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Per;

    #[test]
    fn bins_divide_the_circle() {
        for (angle, expected) in
            [(0.0, 0), (1.5, 0), (1.6, 1), (-0.1, 3), (-1e-30, 3), (TAU, 0), (TAU * 1000.0 + 3.2, 2), (6.2, 3)]
        {
            let mut values = [7.0; 4];
            bins(angle, &mut values);
            let mut one = [0.0; 4];
            one[expected] = 1.0;
            assert_eq!(values, one, "{angle}");
        }
    }

    #[test]
    fn values_are_those_of_closed_forms() {
        let per = Per::Interval;
        let basis =
            Basis::new(&[TemplateConfig::Legendre { order: 4, per }, TemplateConfig::Fourier { harmonics: 5, per }]);
        assert_eq!(basis.len(), 14);
        assert_eq!(basis.names()[3..7], ["legendre 4", "cos 1", "sin 1", "cos 2"]);
        let mut values = [0.0; 14];
        for place in 0..10u8 {
            basis.evaluate(place.into(), 10, [], &mut values);
            let time = (f64::from(place) + 0.5) / 10.0;
            let x = 2.0 * time - 1.0;
            let polynomials = [
                x,
                (3.0 * x * x - 1.0) / 2.0,
                (5.0 * x.powi(3) - 3.0 * x) / 2.0,
                (35.0 * x.powi(4) - 30.0 * x * x + 3.0) / 8.0,
            ];
            let waves = (1..=5).flat_map(|n| [(TAU * f64::from(n) * time).cos(), (TAU * f64::from(n) * time).sin()]);
            for (found, expected) in values.iter().zip(polynomials.into_iter().chain(waves)) {
                assert!((found - expected).abs() < 1e-14, "{found} instead of {expected}");
            }
        }
    }

    #[test]
    fn polynomials_are_orthogonal_over_many_samples() {
        let basis = Basis::new(&[TemplateConfig::Legendre { order: 20, per: Per::Interval }]);
        let mut products = [[0.0; 20]; 20];
        let mut values = [0.0; 20];
        for place in 0..4000 {
            basis.evaluate(place, 4000, [], &mut values);
            for i in 0..20 {
                (0..20).for_each(|j| products[i][j] += values[i] * values[j] / 2000.0);
            }
        }
        for (i, row) in products.iter().enumerate() {
            for (j, product) in row.iter().enumerate() {
                let expected = if i == j { 2.0 / (2.0 * i as f64 + 3.0) } else { 0.0 };
                assert!((product - expected).abs() < 2e-3, "{i} {j}: {product} instead of {expected}");
            }
        }
    }
}
