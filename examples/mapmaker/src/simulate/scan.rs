//! A satellite's scan and focal plane, after Planck and the proposed successors.
//!
//! The satellite spins about an axis; its telescope looks at an angle of nearly 90 degrees from
//! that axis and so scans circles close to great circles. The axis follows the Sun once around
//! the ecliptic over the whole mission and rides on a cycloid about it, which covers the poles
//! and lets circles cross at many angles, as polarization and destriping need (Dupac & Tauber,
//! A&A 430, 363, 2005).
//!
//! The attitude is a pure function of the sample's index: any rank computes its own samples.

use std::f64::consts::{FRAC_PI_2, TAU};

use crate::quaternion::{Axis, Quaternion};

/// A spinning, precessing satellite that goes once around the Sun in `duration`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SatelliteScan {
    /// Samples a second, in Hz.
    pub sample_rate: f64,
    /// Time in which the spin axis goes once around, in seconds.
    pub duration: f64,
    /// Time of one rotation about the spin axis, in seconds.
    pub spin_period: f64,
    /// Angle from the spin axis to the line of sight, in radians.
    pub opening_angle: f64,
    /// Time of one turn of the spin axis on its cycloid, in seconds.
    pub precession_period: f64,
    /// Amplitude of the cycloid, in radians.
    pub precession_angle: f64,
}

impl SatelliteScan {
    /// Creates the Planck's geometry squeezed into `duration` seconds: one spin a minute, opening angle 85
    /// degrees, a cycloid of 7.5 degrees run through twice.
    #[must_use]
    pub fn planck_like(sample_rate: f64, duration: f64) -> Self {
        Self {
            sample_rate,
            duration,
            spin_period: 60.0,
            opening_angle: 85_f64.to_radians(),
            precession_period: duration / 2.0,
            precession_angle: 7.5_f64.to_radians(),
        }
    }

    /// Returns the time of sample `index`, in seconds from the start.
    #[must_use]
    pub fn time(&self, index: u64) -> f64 {
        index as f64 / self.sample_rate
    }

    /// Returns the attitude of the telescope at sample `index`: its `z` axis is the line of sight.
    #[must_use]
    pub fn boresight(&self, index: u64) -> Quaternion {
        let time = self.time(index);
        let (sin, cos) = turns(time, self.precession_period).sin_cos();
        let longitude = turns(time, self.duration) + self.precession_angle * cos;
        let latitude = self.precession_angle * sin;
        Quaternion::about(Axis::Z, longitude)
            * Quaternion::about(Axis::Y, FRAC_PI_2 - latitude)
            * Quaternion::about(Axis::Z, turns(time, self.spin_period))
            * Quaternion::about(Axis::Y, self.opening_angle)
    }
}

/// Phase at `time` of a motion of the given period; whole turns are dropped while still exact.
fn turns(time: f64, period: f64) -> f64 {
    TAU * (time / period).fract()
}

/// One detector of a focal plane.
#[derive(Clone, Debug, PartialEq)]
pub struct FocalPlaneDetector {
    /// Its name: the horn and the branch, M(ain) or S(ide) arm.
    pub name: String,
    /// Attitude relative to the boresight.
    pub quaternion: Quaternion,
}

/// Returns two horns half a degree apart, each with an orthogonal pair of polarized detectors.
///
/// Horn A has its pair at 0 and 90 degrees, horn B at 45 and 135: together they measure I, Q and
/// U in a single pass.
#[must_use]
pub fn focal_plane() -> Vec<FocalPlaneDetector> {
    [("A_M", 0.0, 0.0), ("A_S", 0.0, 90.0), ("B_M", 0.5, 45.0), ("B_S", 0.5, 135.0)]
        .into_iter()
        .map(|(name, offset, angle): (&str, f64, f64)| FocalPlaneDetector {
            name: name.to_owned(),
            quaternion: Quaternion::about(Axis::Y, offset.to_radians())
                * Quaternion::about(Axis::Z, angle.to_radians()),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE_OF_SIGHT: [f64; 3] = [0.0, 0.0, 1.0];

    fn angle_between(a: [f64; 3], b: [f64; 3]) -> f64 {
        let dot: f64 = a.iter().zip(b).map(|(x, y)| x * y).sum();
        dot.clamp(-1.0, 1.0).acos()
    }

    /// At time 0 the axis is in the ecliptic at the precession angle, and the telescope's
    /// opening angle leads from there to the south.
    #[test]
    fn first_sample_by_hand() {
        let scan = SatelliteScan::planck_like(40.0, 3600.0);
        let (theta, phi, psi) = scan.boresight(0).direction_and_angle();
        assert!((theta - 175_f64.to_radians()).abs() < 1e-14);
        assert!((phi - 7.5_f64.to_radians()).abs() < 1e-14);
        assert!(psi.abs() < 1e-13);
    }

    /// After an eighth of the mission, the axis has gone 45 degrees and is a quarter through
    /// its cycloid, at the greatest northern latitude.
    #[test]
    fn the_spin_axis_rides_on_a_cycloid() {
        let scan = SatelliteScan { opening_angle: 0.0, ..SatelliteScan::planck_like(10.0, 7200.0) };
        let (theta, phi, _) = scan.boresight(9000).direction_and_angle();
        assert!((theta.to_degrees() - 82.5).abs() < 1e-12);
        assert!((phi.to_degrees() - 45.0).abs() < 1e-12);
    }

    #[test]
    fn the_line_of_sight_keeps_its_angle_to_the_spin_axis() {
        let scan = SatelliteScan { precession_angle: 0.0, ..SatelliteScan::planck_like(10.0, 1e9) };
        // In ten minutes of a 30-year turn, the axis stays at +x to 1e-5.
        for index in 0..6000 {
            let sight = scan.boresight(index).rotate(LINE_OF_SIGHT);
            let angle = angle_between(sight, [1.0, 0.0, 0.0]);
            assert!((angle - scan.opening_angle).abs() < 1e-5);
        }
    }

    #[test]
    fn half_a_spin_later_the_telescope_looks_to_the_other_side() {
        let scan = SatelliteScan { precession_angle: 0.0, ..SatelliteScan::planck_like(1.0, 1e12) };
        let (now, later) = (scan.boresight(7), scan.boresight(37));
        let angle = angle_between(now.rotate(LINE_OF_SIGHT), later.rotate(LINE_OF_SIGHT));
        assert!((angle - 170_f64.to_radians()).abs() < 1e-9);
    }

    #[test]
    fn the_mission_ends_where_it_began() {
        let scan = SatelliteScan::planck_like(10.0, 7200.0);
        let (start, end) = (scan.boresight(0), scan.boresight(72_000));
        let angle = angle_between(start.rotate(LINE_OF_SIGHT), end.rotate(LINE_OF_SIGHT));
        assert!(angle < 1e-7, "{angle}");
    }

    #[test]
    fn pairs_are_orthogonal_and_horns_at_45_degrees() {
        let [a_m, a_s, b_m, b_s] = <[_; 4]>::try_from(focal_plane()).expect("four detectors");
        let across = |p: &FocalPlaneDetector, q: &FocalPlaneDetector, axis| {
            angle_between(p.quaternion.rotate(axis), q.quaternion.rotate(axis)).to_degrees()
        };
        let x = [1.0, 0.0, 0.0];
        assert!((across(&a_m, &a_s, x) - 90.0).abs() < 1e-12);
        assert!((across(&b_m, &b_s, x) - 90.0).abs() < 1e-12);
        assert!((across(&a_m, &b_m, x) - 45.0).abs() < 0.01);
        assert!((across(&a_m, &b_m, LINE_OF_SIGHT) - 0.5).abs() < 1e-9);
        assert!(across(&a_m, &a_s, LINE_OF_SIGHT) < 1e-6);
    }
}
