//! Weight of a detector's samples.

use crate::error::{Error, Result};
use crate::tod::Description;

/// Range of weights. Within it, sums of squares over as many samples as a file can hold stay far from the ends of
/// double precision.
const MIN_WEIGHT: f64 = 1e-60;
const MAX_WEIGHT: f64 = 1e60;

/// Largest ratio of weights: sums over a pixel hold that many digits less of the samples that weigh less.
const LARGEST_RATIO: f64 = 1e8;

/// Refuses detectors whose samples weigh so differently that sums which hold both lose those of the smaller weight.
///
/// # Errors
/// Weights differ by too much.
pub(crate) fn require_alike(description: &Description) -> Result<()> {
    let rates = description.observations.iter().map(|observation| observation.sample_rate);
    let detectors = || description.detectors.iter().enumerate().filter(|(_, detector)| detector.net.is_finite());
    let weights: Vec<(f64, usize)> = rates
        .flat_map(|rate| detectors().map(move |(i, detector)| (inverse_variance(detector.net, rate), i)))
        .collect();
    let by_weight = |a: &&(f64, usize), b: &&(f64, usize)| a.0.total_cmp(&b.0);
    let (Some((least, light)), Some((most, heavy))) =
        (weights.iter().min_by(by_weight), weights.iter().max_by(by_weight))
    else {
        return Ok(());
    };
    if most / least <= LARGEST_RATIO {
        return Ok(());
    }
    let (light, heavy) = (&description.detectors[*light].name, &description.detectors[*heavy].name);
    let what = format!(
        "samples of {heavy} weigh {:.0e} times those of {light}, more than sums over pixels hold ({LARGEST_RATIO:.0e}); \
         correct the column net, or make maps of these detectors one by one",
        most / least
    );
    Err(Error::Tod { path: description.files[0].clone(), place: "detectors.net".into(), what })
}

/// Returns the inverse noise variance of a detector's samples.
pub(crate) fn inverse_variance(net: f64, sample_rate: f64) -> f64 {
    1.0 / (net * net * sample_rate)
}

/// Returns the inverse noise variance of a detector's samples, or what is wrong with it.
///
/// # Errors
/// A weight out of the range in which sums over samples can be made.
pub fn weight(net: f64, sample_rate: f64) -> std::result::Result<f64, String> {
    let weight = inverse_variance(net, sample_rate);
    if (MIN_WEIGHT..=MAX_WEIGHT).contains(&weight) {
        Ok(weight)
    } else {
        Err(format!(
            "net {net:e} at {sample_rate:?} Hz gives samples the weight {weight:e}, \
             expected {MIN_WEIGHT:e} to {MAX_WEIGHT:e}; choose another unit"
        ))
    }
}
