//! The section [simulate] of a configuration.

use serde::Deserialize;

use super::Frame;
use crate::simulate::scan::SatelliteScan;
use crate::weight::weight;

/// Samples of a detector that a simulation may have: ten years at 100 Hz.
const MOST_SAMPLES: f64 = 4e10;
/// Noise intervals that a simulation may have; every rank lists them all.
const MOST_INTERVALS: f64 = 1e6;

/// A simulated scan with noise.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SimulateConfig {
    /// Length of the scan, in h.
    pub hours: f64,
    /// Sampling rate, in Hz.
    pub sample_rate: f64,
    /// Rotation period of the satellite, in s.
    pub spin_period: f64,
    /// Angle between spin axis and line of sight, in deg.
    pub opening_angle: f64,
    /// Angle between the spin axis and the circle it follows, in deg.
    pub precession_angle: f64,
    /// White noise, in K sqrt(s).
    pub net: f64,
    /// Knee frequency of the 1/f noise, in Hz.
    pub fknee: f64,
    /// Slope of the 1/f noise.
    pub alpha: f64,
    /// The 1/f noise is flat below this frequency, in Hz.
    pub fmin: f64,
    /// Length of a stationary noise interval, in h.
    pub interval: f64,
    /// Kelvin in one unit of a sky map whose columns name no unit of kelvin (TUNIT).
    pub sky_unit: f64,
    /// Frame of the scan and the sky, unless the sky map names one.
    pub frame: Frame,
    /// HEALPix resolution of the synthetic sky, if no sky map is given.
    pub sky_nside: u64,
    /// Seed of the random numbers; it gives the same timelines on any number of ranks.
    pub seed: u64,
}

impl Default for SimulateConfig {
    fn default() -> Self {
        SimulateConfig {
            hours: 12.0,
            sample_rate: 20.0,
            spin_period: 60.0,
            opening_angle: 85.0,
            precession_angle: 7.5,
            net: 150e-6,
            fknee: 0.1,
            alpha: 1.0,
            fmin: 1e-5,
            interval: 1.0,
            sky_unit: 1.0,
            frame: Frame::G,
            sky_nside: 64,
            seed: 1,
        }
    }
}

impl SimulateConfig {
    /// Returns the scan of the satellite.
    pub fn scan(&self) -> SatelliteScan {
        SatelliteScan {
            spin_period: self.spin_period,
            opening_angle: self.opening_angle.to_radians(),
            precession_angle: self.precession_angle.to_radians(),
            ..SatelliteScan::planck_like(self.sample_rate, self.hours * 3600.0)
        }
    }

    /// Checks what the ranges of single values leave open.
    pub(super) fn check(&self) -> std::result::Result<(), String> {
        for (key, value, most) in
            [("opening_angle", self.opening_angle, 180.0), ("precession_angle", self.precession_angle, 90.0)]
        {
            if !(0.0..=most).contains(&value) {
                return Err(format!("simulate.{key} is {value}, expected 0 to {most} degrees"));
            }
        }
        weight(self.net, self.sample_rate).map_err(|what| format!("simulate.net: {what}"))?;
        let samples = self.hours * 3600.0 * self.sample_rate;
        if samples > MOST_SAMPLES {
            let (hours, rate) = (self.hours, self.sample_rate);
            return Err(format!(
                "simulate.hours = {hours:e} at simulate.sample_rate = {rate} gives {samples:e} samples, \
                 expected at most {MOST_SAMPLES:e}"
            ));
        }
        if self.spin_period * self.sample_rate < 1.0 {
            let (period, rate) = (self.spin_period, self.sample_rate);
            return Err(format!(
                "simulate.spin_period is {period:e} s, shorter than a sample at simulate.sample_rate = {rate}"
            ));
        }
        // An interval has at least one sample.
        let intervals = (self.hours / self.interval).min(samples);
        if intervals > MOST_INTERVALS {
            return Err(format!(
                "simulate.interval = {:e} cuts {:e} hours into {intervals:e} intervals, expected at most \
                 {MOST_INTERVALS:e}",
                self.interval, self.hours
            ));
        }
        Ok(())
    }
}
