//! HEALPix pixels (Gorski et al., ApJ 622, 759, 2005), a safe layer over `cdshealpix`.
//!
//! `cdshealpix` works in longitude and latitude, panics off the sphere and keeps its layers by
//! depth; map-making speaks of colatitude, nside and two orderings. Both orderings come from the
//! nested pixel, so a direction on a pixel border falls into the same pixel in either.
//!
//! Away from borders the pixels are those of every other HEALPix library. A direction exactly on
//! a border belongs to any of its pixels, and libraries choose differently.

use std::f64::consts::{FRAC_PI_2, PI, TAU};

use cdshealpix::nested::{self, Layer};

/// Fault of a pixelization.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HealpixError {
    /// The resolution is not one of HEALPix.
    #[error("nside is {nside}, but must be a power of two from 1 to 2^29 = 536870912")]
    Nside {
        /// The requested resolution.
        nside: u64,
    },
}

pub use dolmen_io::fits::Ordering;

/// A pixelization of the sphere into `12 nside^2` pixels of equal area.
#[derive(Clone, Copy)]
pub struct Healpix {
    layer: &'static Layer,
    ordering: Ordering,
}

impl Healpix {
    /// Creates the pixelization of resolution `nside`.
    ///
    /// # Errors
    ///
    /// [`HealpixError::Nside`] unless `nside` is a power of two from 1 to 2^29.
    pub fn new(nside: u64, ordering: Ordering) -> Result<Self, HealpixError> {
        let depth = u8::try_from(nside.trailing_zeros())
            .ok()
            .filter(|&depth| nside.is_power_of_two() && depth <= 29)
            .ok_or(HealpixError::Nside { nside })?;
        Ok(Self { layer: nested::get(depth), ordering })
    }

    /// Returns the resolution: the number of pixels along the side of a base pixel.
    #[must_use]
    pub fn nside(&self) -> u64 {
        1 << self.layer.depth()
    }

    /// Returns the numbering of the pixels.
    #[must_use]
    pub fn ordering(&self) -> Ordering {
        self.ordering
    }

    /// Returns the number of pixels on the whole sphere, `12 nside^2`.
    #[must_use]
    pub fn pixel_count(&self) -> u64 {
        self.layer.n_hash()
    }

    /// Returns the pixel at colatitude `theta` and longitude `phi`, both in radians.
    ///
    /// `None` if `theta` lies outside `[0, pi]` or an angle is not finite; `phi` may be any real
    /// number.
    #[must_use]
    pub fn pixel(&self, theta: f64, phi: f64) -> Option<u64> {
        if !((0.0..=PI).contains(&theta) && phi.is_finite()) {
            return None;
        }
        let longitude = if (0.0..TAU).contains(&phi) { phi } else { phi.rem_euclid(TAU) };
        let pixel = self.layer.hash(longitude, FRAC_PI_2 - theta);
        Some(match self.ordering {
            Ordering::Nested => pixel,
            Ordering::Ring => self.layer.to_ring(pixel),
        })
    }

    /// Returns the colatitude in `[0, pi]` and longitude in `[0, 2 pi)` of the center of `pixel`, in radians.
    ///
    /// `None` if there is no such pixel.
    #[must_use]
    pub fn direction(&self, pixel: u64) -> Option<(f64, f64)> {
        let nested = match self.ordering {
            Ordering::Nested => self.in_range(pixel)?,
            Ordering::Ring => self.ring_to_nested(pixel)?,
        };
        let (longitude, latitude) = self.layer.center(nested);
        Some((FRAC_PI_2 - latitude, longitude.rem_euclid(TAU)))
    }

    /// Returns the nested number of a pixel given by its ring number; `None` if there is no such pixel.
    #[must_use]
    pub fn ring_to_nested(&self, pixel: u64) -> Option<u64> {
        self.in_range(pixel).map(|pixel| self.layer.from_ring(pixel))
    }

    /// Returns the ring number of a pixel given by its nested number; `None` if there is no such pixel.
    #[must_use]
    pub fn nested_to_ring(&self, pixel: u64) -> Option<u64> {
        self.in_range(pixel).map(|pixel| self.layer.to_ring(pixel))
    }

    /// Returns the pixel that holds `pixel` of a grid of the same or a higher resolution; `None` if there
    /// is no such pixel or the grid is coarser.
    #[must_use]
    pub fn from_finer(&self, grid: &Self, pixel: u64) -> Option<u64> {
        let levels = grid.layer.depth().checked_sub(self.layer.depth())?;
        let nested = match grid.ordering {
            Ordering::Nested => grid.in_range(pixel)?,
            Ordering::Ring => grid.ring_to_nested(pixel)?,
        };
        match self.ordering {
            Ordering::Nested => Some(nested >> (2 * levels)),
            Ordering::Ring => self.nested_to_ring(nested >> (2 * levels)),
        }
    }

    fn in_range(&self, pixel: u64) -> Option<u64> {
        (pixel < self.pixel_count()).then_some(pixel)
    }
}

impl std::fmt::Debug for Healpix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Healpix").field("nside", &self.nside()).field("ordering", &self.ordering).finish()
    }
}

impl PartialEq for Healpix {
    fn eq(&self, other: &Self) -> bool {
        self.nside() == other.nside() && self.ordering == other.ordering
    }
}

impl Eq for Healpix {}

#[cfg(test)]
mod tests {
    use super::*;

    fn sphere(nside: u64, ordering: Ordering) -> Healpix {
        Healpix::new(nside, ordering).expect("a power of two")
    }

    fn close(found: Option<(f64, f64)>, theta: f64, phi: f64) {
        let (t, p) = found.expect("a pixel of the sphere");
        assert!((t - theta).abs() < 1e-14 && (p - phi).abs() < 1e-14, "{t} {p} instead of {theta} {phi}");
    }

    #[test]
    fn nside_is_a_power_of_two_up_to_2_29() {
        for nside in [0, 3, 12, 1 << 30, u64::MAX] {
            let error = Healpix::new(nside, Ordering::Ring).expect_err("not a HEALPix nside");
            assert_eq!(error, HealpixError::Nside { nside });
            assert!(error.to_string().contains(&nside.to_string()));
        }
        let finest = sphere(1 << 29, Ordering::Nested);
        assert_eq!(finest.nside(), 1 << 29);
        assert_eq!(finest.pixel_count(), 12 << 58);
    }

    /// At nside 1 the centers are at z = 2/3, 0, -2/3, the middle row turned by 45 degrees.
    #[test]
    fn base_pixels() {
        for ordering in [Ordering::Ring, Ordering::Nested] {
            let sphere = sphere(1, ordering);
            close(sphere.direction(0), (2.0 / 3.0_f64).acos(), PI / 4.0);
            close(sphere.direction(4), FRAC_PI_2, 0.0);
            close(sphere.direction(7), FRAC_PI_2, 1.5 * PI);
            close(sphere.direction(11), (-2.0 / 3.0_f64).acos(), 1.75 * PI);
            assert_eq!(sphere.direction(12), None);
        }
    }

    /// Polar ring i has z = 1 - i^2 / (3 nside^2) and 4 i pixels (Gorski et al., eq. 4 and 5).
    #[test]
    fn polar_rings() {
        let ring = sphere(2, Ordering::Ring);
        close(ring.direction(0), (11.0 / 12.0_f64).acos(), PI / 4.0);
        close(ring.direction(4), (2.0 / 3.0_f64).acos(), PI / 8.0);
        let nested = sphere(2, Ordering::Nested);
        close(nested.direction(3), (11.0 / 12.0_f64).acos(), PI / 4.0);
    }

    /// Ring numbers 0 to 15 at nside 2, read off figure 4 of Gorski et al.
    #[test]
    fn ring_to_nested_at_nside_2() {
        let sphere = sphere(2, Ordering::Ring);
        let nested = [3, 7, 11, 15, 2, 1, 6, 5, 10, 9, 14, 13, 19, 0, 23, 4];
        for (ring, expected) in (0..).zip(nested) {
            assert_eq!(sphere.ring_to_nested(ring), Some(expected));
            assert_eq!(sphere.nested_to_ring(expected), Some(ring));
        }
        assert_eq!(sphere.ring_to_nested(48), None);
        assert_eq!(sphere.nested_to_ring(48), None);
    }

    #[test]
    fn centers_lie_in_their_pixels() {
        for ordering in [Ordering::Ring, Ordering::Nested] {
            for nside in [1, 2, 64] {
                let sphere = sphere(nside, ordering);
                for pixel in 0..sphere.pixel_count() {
                    let (theta, phi) = sphere.direction(pixel).expect("a pixel of the sphere");
                    assert_eq!(sphere.pixel(theta, phi), Some(pixel));
                    assert_eq!(sphere.pixel(theta, phi - 3.0 * TAU), Some(pixel));
                }
            }
        }
    }

    #[test]
    fn poles_are_on_the_sphere_and_beyond_them_is_nothing() {
        let sphere = sphere(8, Ordering::Ring);
        assert_eq!(sphere.pixel(0.0, 0.1), Some(0));
        assert_eq!(sphere.pixel(PI, 0.1), Some(sphere.pixel_count() - 4));
        for (theta, phi) in [(-1e-300, 0.0), (PI + 1e-15, 0.0), (f64::NAN, 0.0), (1.0, f64::NAN), (1.0, f64::INFINITY)]
        {
            assert_eq!(sphere.pixel(theta, phi), None, "{theta} {phi}");
        }
    }

    #[test]
    fn longitudes_just_below_zero_wrap() {
        let sphere = sphere(4, Ordering::Ring);
        assert_eq!(sphere.pixel(1.0, -1e-18), sphere.pixel(1.0, TAU - 1e-12));
    }
}
