//! Weight of a detector's samples.

/// Range of weights. Within it, sums of squares over as many samples as a file can hold stay far from the ends of
/// double precision.
const MIN_WEIGHT: f64 = 1e-60;
const MAX_WEIGHT: f64 = 1e60;

/// Returns the inverse noise variance of a detector's samples, or what is wrong with it.
///
/// # Errors
/// A weight out of the range in which sums over samples can be made.
pub fn weight(net: f64, sample_rate: f64) -> std::result::Result<f64, String> {
    let weight = 1.0 / (net * net * sample_rate);
    if (MIN_WEIGHT..=MAX_WEIGHT).contains(&weight) {
        Ok(weight)
    } else {
        Err(format!(
            "net {net:e} at {sample_rate} Hz gives samples the weight {weight:e}, \
             expected {MIN_WEIGHT:e} to {MAX_WEIGHT:e}; choose another unit"
        ))
    }
}
