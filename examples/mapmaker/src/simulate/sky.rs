//! A synthetic sky that needs no map: a smooth function of direction.
//!
//! Intensity is a sum of plane waves `a cos(k . n + phase)` seen on the unit sphere; a wave
//! vector of length `l` puts its power near multipole `l`. Polarization is a sum of constant
//! tensors, each modulated by such a wave: the constant vector `p` projected on the sky gives
//! `Q + iU = (p . south + i p . east)^2`, which is smooth everywhere, the poles included. The
//! signs are those of the COSMO convention.

use std::f64::consts::TAU;

use dolmen_core::random::Philox;

/// Random components of the intensity, and as many of the polarization.
const WAVES: u64 = 32;
/// Range of lengths of the wave vectors, in multipoles.
const MULTIPOLES: [f64; 2] = [2.0, 24.0];
/// Root mean square of the intensity over all skies, in K.
const INTENSITY_RMS: f64 = 100e-6;
/// Root mean square of Q and of U over all skies, in K.
const POLARIZATION_RMS: f64 = 10e-6;
/// Stream of random numbers: detectors and intervals number theirs upwards from 0.
const STREAM: u64 = u64::MAX;

/// A random smooth sky with Stokes parameters I, Q and U in K.
#[derive(Clone, Debug)]
pub struct SyntheticSky {
    intensity: Vec<Wave>,
    polarization: Vec<(Wave, [f64; 3])>,
}

#[derive(Clone, Copy, Debug)]
struct Wave {
    amplitude: f64,
    vector: [f64; 3],
    phase: f64,
}

impl SyntheticSky {
    /// Creates the sky of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let random = Philox::new(seed);
        // <cos^2> = 1/2; <(p_s^2 - p_e^2)^2> = <(2 p_s p_e)^2> = 4/15 for a random p.
        let intensity = INTENSITY_RMS * (2.0 / WAVES as f64).sqrt();
        let polarization = POLARIZATION_RMS * (7.5 / WAVES as f64).sqrt();
        Self {
            intensity: (0..WAVES).map(|at| Wave::draw(&random, at, intensity)).collect(),
            polarization: (WAVES..2 * WAVES)
                .map(|at| {
                    let wave = Wave::draw(&random, at, polarization);
                    (wave, unit_vector(&random, at, 4))
                })
                .collect(),
        }
    }

    /// Stokes parameters `[I, Q, U]` at colatitude `theta` and longitude `phi`, in K, COSMO.
    #[must_use]
    pub fn stokes(&self, theta: f64, phi: f64) -> [f64; 3] {
        let (sin_theta, cos_theta) = theta.sin_cos();
        let (sin_phi, cos_phi) = phi.sin_cos();
        let direction = [sin_theta * cos_phi, sin_theta * sin_phi, cos_theta];
        let south = [cos_theta * cos_phi, cos_theta * sin_phi, -sin_theta];
        let east = [-sin_phi, cos_phi, 0.0];
        let mut stokes = [0.0; 3];
        for wave in &self.intensity {
            stokes[0] += wave.height(direction);
        }
        for (wave, vector) in &self.polarization {
            let height = wave.height(direction);
            let (s, e) = (dot(*vector, south), dot(*vector, east));
            stokes[1] += height * (s * s - e * e);
            stokes[2] += height * 2.0 * s * e;
        }
        stokes
    }
}

impl Wave {
    fn draw(random: &Philox, at: u64, scale: f64) -> Self {
        let [least, most] = MULTIPOLES;
        let length = least * (most / least).powf(random.uniform(STREAM, 8 * at));
        Self {
            amplitude: scale * random.normal(STREAM, at),
            vector: unit_vector(random, at, 2).map(|component| length * component),
            phase: TAU * random.uniform(STREAM, 8 * at + 1),
        }
    }

    fn height(&self, direction: [f64; 3]) -> f64 {
        self.amplitude * (dot(self.vector, direction) + self.phase).cos()
    }
}

/// Returns a direction uniform on the sphere, from two uniform numbers of component `at`.
fn unit_vector(random: &Philox, at: u64, first: u64) -> [f64; 3] {
    let z = 2.0 * random.uniform(STREAM, 8 * at + first) - 1.0;
    let (sin, cos) = (TAU * random.uniform(STREAM, 8 * at + first + 1)).sin_cos();
    let radius = (1.0 - z * z).sqrt();
    [radius * cos, radius * sin, z]
}

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_its_own_sky_again_and_again() {
        let sky = SyntheticSky::new(1).stokes(1.0, 2.0);
        assert_eq!(sky, SyntheticSky::new(1).stokes(1.0, 2.0));
        assert_ne!(sky, SyntheticSky::new(2).stokes(1.0, 2.0));
    }

    #[test]
    fn the_sky_is_periodic_in_longitude() {
        let sky = SyntheticSky::new(1);
        let (here, around) = (sky.stokes(1.0, 2.0), sky.stokes(1.0, 2.0 + TAU));
        for (a, b) in here.iter().zip(around) {
            assert!((a - b).abs() < 1e-18);
        }
    }

    /// At a pole, the frame turns with longitude and Q + iU with twice the angle.
    #[test]
    fn polarization_is_one_tensor_at_a_pole() {
        let sky = SyntheticSky::new(3);
        let [i0, q0, u0] = sky.stokes(0.0, 0.0);
        for phi in [0.3, 1.0, 2.5, 3.1] {
            let [i, q, u] = sky.stokes(0.0, phi);
            let (sin, cos) = (2.0 * phi).sin_cos();
            assert!((i - i0).abs() < 1e-18);
            assert!((q - (q0 * cos + u0 * sin)).abs() < 1e-18);
            assert!((u - (u0 * cos - q0 * sin)).abs() < 1e-18);
        }
    }

    /// Mean squares over many skies and directions, within a tenth.
    #[test]
    fn amplitudes_are_those_promised() {
        let random = Philox::new(99);
        let mut squares = [0.0; 3];
        let count = 4000;
        for index in 0..count {
            let theta = (2.0 * random.uniform(0, index) - 1.0).acos();
            let stokes = SyntheticSky::new(index).stokes(theta, TAU * random.uniform(1, index));
            for (sum, value) in squares.iter_mut().zip(stokes) {
                *sum += value * value / count as f64;
            }
        }
        let expected = [INTENSITY_RMS, POLARIZATION_RMS, POLARIZATION_RMS];
        for (square, rms) in squares.iter().zip(expected) {
            assert!((square.sqrt() / rms - 1.0).abs() < 0.1, "{squares:?}");
        }
    }
}
