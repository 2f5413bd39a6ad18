//! The fit of white and 1/f noise to averaged periodograms, of greatest Whittle likelihood.
//!
//! The mean `I` of a periodogram over `n` independent frequencies, whose expectation is `E`, has the log likelihood
//! `-n (ln E + I / E)` (Whittle 1953). Here `E` is the white level plus the drift level times the expectation of `f^-alpha`, which
//! is interpolated between several alphas. Fisher scoring finds the three parameters, and its matrix their errors.

use crate::pixel_blocks::invert;

/// Least and largest slope of drifts.
const ALPHAS: [f64; 2] = [0.2, 4.0];
/// Slopes for which expectations are computed.
pub(crate) const NODES: usize = 9;
/// Bins that a fit needs.
const FEWEST: usize = 6;
/// Twice the gain in log likelihood that drifts have to bring, to be there: 1 % of purely white series exceed it.
const GAIN: f64 = 9.21;
/// Steps of a fit at most.
const STEPS: usize = 200;

/// Returns the slopes for which expectations are computed: Chebyshev's nodes.
pub(crate) fn nodes() -> [f64; NODES] {
    let [low, high] = ALPHAS;
    std::array::from_fn(|i| {
        let cos = (std::f64::consts::PI * (i as f64 + 0.5) / NODES as f64).cos();
        0.5 * (low + high) - 0.5 * (high - low) * cos
    })
}

/// A bin of an averaged periodogram.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Mean {
    /// Number of the bin.
    pub(crate) number: i32,
    /// Independent frequencies.
    pub(crate) weight: f64,
    /// The periodogram.
    pub(crate) power: f64,
    /// Expectation for white noise of level one.
    pub(crate) white: f64,
    /// Expectations for drifts with the spectrum `f^-alpha`, f in Hz, at the nodes.
    pub(crate) drift: [f64; NODES],
}

/// Noise that was fitted, with standard errors.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Fit {
    /// White noise, in the unit of the signal times sqrt(s).
    pub net: f64,
    /// Standard error of `net`.
    pub net_error: f64,
    /// Knee frequency in Hz; zero if there are no drifts.
    pub fknee: f64,
    /// Standard error of `fknee`.
    pub fknee_error: f64,
    /// Slope; zero if there are no drifts.
    pub alpha: f64,
    /// Standard error of `alpha`.
    pub alpha_error: f64,
    /// Mean square deviation of the bins from the fit, in units of what is expected; near one for a good fit.
    pub chi_square: f64,
}

/// Logarithms of the white level and of the drift level at 1 Hz, and the slope.
type Parameters = [f64; 3];

/// Fits noise to means; none if there are too few.
pub(crate) fn fit(means: &[Mean]) -> Option<Fit> {
    if means.len() < FEWEST || means.iter().any(|mean| !(mean.power > 0.0 && mean.power.is_finite())) {
        return None;
    }
    let weight: f64 = means.iter().map(|mean| mean.weight).sum();
    let white = (means.iter().map(|mean| mean.weight * mean.power / mean.white).sum::<f64>() / weight).ln();
    let model = Model { means, slopes: means.iter().map(Slope::new).collect() };
    let alone = model.cost([white, f64::NEG_INFINITY, 1.0]);
    let starts = [0.7, 1.5, 2.5].map(|alpha| model.start(alpha));
    let best = starts.into_iter().map(|start| model.minimize(start)).min_by(|a, b| a.1.total_cmp(&b.1))?;
    let (parameters, cost) = best;
    if 2.0 * (alone - cost) < GAIN {
        let net = (0.5 * white).exp();
        let (chi_square, error) = (model.chi_square([white, f64::NEG_INFINITY, 1.0]), weight.sqrt().recip());
        return Some(Fit { net, net_error: 0.5 * net * error, chi_square, ..Fit::default() });
    }
    let [a, k, alpha] = parameters;
    let (_, information) = model.gradient(parameters);
    let covariance = invert::<3>(&information)?;
    let [aa, ak, aalpha, kk, kalpha, alphas] = covariance;
    let (net, fknee) = ((0.5 * a).exp(), ((k - a) / alpha).exp());
    // ln fknee = (k - a) / alpha.
    let by = [-1.0 / alpha, 1.0 / alpha, -(k - a) / (alpha * alpha)];
    let variance = by[0] * (by[0] * aa + 2.0 * by[1] * ak + 2.0 * by[2] * aalpha)
        + by[1] * (by[1] * kk + 2.0 * by[2] * kalpha)
        + by[2] * by[2] * alphas;
    Some(Fit {
        net,
        net_error: 0.5 * net * aa.sqrt(),
        fknee,
        fknee_error: fknee * variance.max(0.0).sqrt(),
        alpha,
        alpha_error: alphas.sqrt(),
        chi_square: model.chi_square(parameters),
    })
}

/// Returns the power that a fit expects in a bin of a periodogram.
pub(crate) fn expected(fit: &Fit, mean: &Mean) -> f64 {
    let white = fit.net * fit.net * mean.white;
    if fit.fknee == 0.0 {
        return white;
    }
    white + fit.net * fit.net * fit.fknee.powf(fit.alpha) * Slope::new(mean).at(fit.alpha).0
}

/// Expectation for drifts as a function of their slope: a polynomial through the logarithms at the nodes.
struct Slope {
    /// Newton's divided differences.
    differences: [f64; NODES],
}

impl Slope {
    fn new(mean: &Mean) -> Slope {
        let nodes = nodes();
        // Of steep drifts, rounding leaves nothing at the highest frequencies, where white noise is all.
        let largest = mean.drift.iter().fold(0.0f64, |largest, value| largest.max(*value));
        let mut differences = mean.drift.map(|value| value.max(1e-30 * largest).max(f64::MIN_POSITIVE).ln());
        for order in 1..NODES {
            for i in (order..NODES).rev() {
                differences[i] = (differences[i] - differences[i - 1]) / (nodes[i] - nodes[i - order]);
            }
        }
        Slope { differences }
    }

    /// Returns the expectation and the derivative of its logarithm.
    fn at(&self, alpha: f64) -> (f64, f64) {
        let (mut value, mut derivative) = (0.0, 0.0);
        for (difference, node) in self.differences.iter().zip(nodes()).rev() {
            derivative = derivative * (alpha - node) + value;
            value = value * (alpha - node) + difference;
        }
        (value.exp(), derivative)
    }
}

struct Model<'m> {
    means: &'m [Mean],
    slopes: Vec<Slope>,
}

impl Model<'_> {
    /// Returns for each bin: its mean, what is expected, the share of drifts in it, and the derivative of the logarithm of
    /// drifts with the slope.
    fn terms(&self, [a, k, alpha]: Parameters) -> impl Iterator<Item = (&Mean, f64, f64, f64)> {
        self.means.iter().zip(&self.slopes).map(move |(mean, slope)| {
            let (shape, derivative) = slope.at(alpha);
            let drift = k.exp() * shape;
            let expected = a.exp() * mean.white + drift;
            (mean, expected, drift / expected, derivative)
        })
    }

    /// Computes minus the logarithm of the likelihood.
    fn cost(&self, parameters: Parameters) -> f64 {
        let terms = self.terms(parameters);
        terms.map(|(mean, expected, ..)| mean.weight * (expected.ln() + mean.power / expected)).sum()
    }

    /// Computes the derivatives of the likelihood's logarithm, and Fisher's matrix, packed.
    fn gradient(&self, parameters: Parameters) -> ([f64; 3], [f64; 6]) {
        let (mut gradient, mut information) = ([0.0; 3], [0.0; 6]);
        for (mean, expected, share, derivative) in self.terms(parameters) {
            let by = [1.0 - share, share, share * derivative];
            let mut packed = 0;
            for i in 0..3 {
                gradient[i] += mean.weight * (mean.power / expected - 1.0) * by[i];
                for j in i..3 {
                    information[packed] += mean.weight * by[i] * by[j];
                    packed += 1;
                }
            }
        }
        (gradient, information)
    }

    /// Returns where to start from for a slope: white noise from the highest quarter of the bins, drifts from the lowest.
    fn start(&self, alpha: f64) -> Parameters {
        let quarter = (self.means.len() / 4).max(1);
        let level = |means: &[Mean]| means.iter().map(|m| m.power / m.white).sum::<f64>() / means.len() as f64;
        let white = level(&self.means[self.means.len() - quarter..]);
        let low = self.means.iter().zip(&self.slopes).take(quarter);
        let drift =
            low.map(|(mean, slope)| (mean.power - white * mean.white).max(1e-3 * mean.power) / slope.at(alpha).0);
        [white.ln(), (drift.sum::<f64>() / quarter as f64).ln(), alpha]
    }

    /// Minimizes the cost by damped Fisher scoring; returns it with the parameters.
    fn minimize(&self, start: Parameters) -> (Parameters, f64) {
        let (mut parameters, mut cost, mut damping) = (start, self.cost(start), 1e-3);
        for _ in 0..STEPS {
            let (gradient, mut information) = self.gradient(parameters);
            for diagonal in [0, 3, 5] {
                information[diagonal] = information[diagonal] * (1.0 + damping) + 1e-12;
            }
            let Some(inverse) = invert::<3>(&information) else { break };
            let [aa, ak, aalpha, kk, kalpha, alphas] = inverse;
            let rows = [[aa, ak, aalpha], [ak, kk, kalpha], [aalpha, kalpha, alphas]];
            let step =
                rows.map(|row| row.iter().zip(gradient).map(|(entry, g)| entry * g).sum::<f64>().clamp(-2.0, 2.0));
            let mut next: Parameters = std::array::from_fn(|i| parameters[i] + step[i]);
            next[2] = next[2].clamp(ALPHAS[0], ALPHAS[1]);
            let reached = self.cost(next);
            let is_better = reached < cost;
            if !is_better {
                damping *= 10.0;
                if damping > 1e8 {
                    break;
                }
                continue;
            }
            let gained = cost - reached;
            (parameters, cost, damping) = (next, reached, (damping * 0.1).max(1e-9));
            if gained < 1e-9 {
                break;
            }
        }
        (parameters, cost)
    }

    fn chi_square(&self, parameters: Parameters) -> f64 {
        let terms = self.terms(parameters);
        terms.map(|(mean, expected, ..)| mean.weight * (mean.power / expected - 1.0).powi(2)).sum::<f64>()
            / self.means.len() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise_estimate::window::{bin_of, frequency};

    fn means(net: f64, fknee: f64, alpha: f64) -> Vec<Mean> {
        let shape = |f: f64, alpha: f64| f.max(1e-3).powf(-alpha);
        let bins = bin_of(1e-3)..bin_of(10.0);
        let mean = |number: i32| {
            let f = frequency(number);
            let power = net * net * (1.0 + fknee.powf(alpha) * shape(f, alpha));
            Mean { number, weight: 1e5 * f, power, white: 1.0, drift: nodes().map(|alpha| shape(f, alpha)) }
        };
        bins.map(mean).collect()
    }

    #[test]
    fn exact_spectra_are_found() {
        for (net, fknee, alpha) in [(2e-4, 0.1, 1.0), (1.0, 1.0, 2.7), (30.0, 0.02, 0.6)] {
            let found = fit(&means(net, fknee, alpha)).unwrap();
            for (found, expected) in [(found.net, net), (found.fknee, fknee), (found.alpha, alpha)] {
                assert!((found / expected - 1.0).abs() < 1e-4, "{found} instead of {expected}");
            }
            assert!(found.chi_square < 1e-6 && found.net_error > 0.0 && found.alpha_error > 0.0);
            let mean = &means(net, fknee, alpha)[3];
            assert!((expected(&found, mean) / mean.power - 1.0).abs() < 1e-3);
        }
    }

    #[test]
    fn white_noise_has_no_drifts() {
        let found = fit(&means(0.5, 0.0, 1.0)).unwrap();
        assert_eq!((found.fknee, found.alpha), (0.0, 0.0));
        assert!((found.net - 0.5).abs() < 1e-12);
        assert_eq!(fit(&means(0.5, 0.0, 1.0)[..3]), None);
    }
}
