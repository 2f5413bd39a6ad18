//! Unit quaternions, scalar last, as attitudes: `q v q*` turns detector axes into sky axes.
//!
//! A detector looks along its `z` axis and is sensitive to polarization along its `x` axis. Its
//! pointing `(theta, phi, psi)` are the Euler angles of the rotation
//! `Rz(phi) Ry(theta) Rz(psi)`: the local frame at `(theta, phi)` has `x` toward south and `y`
//! toward east, and `psi` turns `x` from south toward east. That is the COSMO convention of
//! HEALPix. In the IAU convention the angle runs from north through east,
//! `psi_iau = pi - psi_cosmo`: Q is the same and U changes its sign.
//!
//! Reading the Euler angles off half angles, with `atan2` alone, keeps full precision at the
//! poles, where `acos(z)` loses half of the digits and a division by `sin theta` all of them.

use std::f64::consts::{PI, TAU};
use std::ops::Mul;

/// A coordinate axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// The first axis.
    X,
    /// The second axis.
    Y,
    /// The third axis.
    Z,
}

/// A quaternion `x i + y j + z k + w`, scalar last; a rotation if its norm is 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quaternion {
    /// Coefficient of `i`.
    pub x: f64,
    /// Coefficient of `j`.
    pub y: f64,
    /// Coefficient of `k`.
    pub z: f64,
    /// The scalar part.
    pub w: f64,
}

impl Quaternion {
    /// The rotation that turns nothing.
    pub const IDENTITY: Self = Self { x: 0.0, y: 0.0, z: 0.0, w: 1.0 };

    /// Creates the rotation by `angle` radians about a coordinate axis, by the right-hand rule.
    #[must_use]
    pub fn about(axis: Axis, angle: f64) -> Self {
        let (sin, w) = (angle / 2.0).sin_cos();
        let turn = Self { w, ..Self::from([0.0; 4]) };
        match axis {
            Axis::X => Self { x: sin, ..turn },
            Axis::Y => Self { y: sin, ..turn },
            Axis::Z => Self { z: sin, ..turn },
        }
    }

    /// Computes the square of the norm; 1 for a rotation.
    #[must_use]
    pub fn norm_squared(self) -> f64 {
        self.x * self.x + self.y * self.y + self.z * self.z + self.w * self.w
    }

    /// Computes the vector `v` turned by this unit quaternion, `q v q*`.
    #[must_use]
    pub fn rotate(self, v: [f64; 3]) -> [f64; 3] {
        let u = [self.x, self.y, self.z];
        let t = cross(u, v).map(|component| 2.0 * component);
        let s = cross(u, t);
        [0, 1, 2].map(|i| v[i] + self.w * t[i] + s[i])
    }

    /// Returns the pointing `(theta, phi, psi)` of a detector with this attitude, in radians.
    ///
    /// `theta` in `[0, pi]` and `phi` in `[0, 2 pi)` are colatitude and longitude of the `z`
    /// axis; `psi` in `(-pi, pi]` is the angle of the `x` axis in the COSMO convention, from
    /// south toward east. At a pole, where only `psi + phi` or `psi - phi` means anything, `phi`
    /// is 0. A common factor of the four components does not matter.
    #[must_use]
    pub fn direction_and_angle(self) -> (f64, f64, f64) {
        let sin = (self.x * self.x + self.y * self.y).sqrt();
        let cos = (self.z * self.z + self.w * self.w).sqrt();
        let theta = 2.0 * sin.atan2(cos);
        if sin == 0.0 {
            return (theta, 0.0, half_open_turn(2.0 * self.z.atan2(self.w)));
        }
        if cos == 0.0 {
            return (theta, 0.0, half_open_turn(2.0 * self.x.atan2(self.y)));
        }
        let half_sum = self.z.atan2(self.w);
        let half_difference = self.x.atan2(self.y);
        (theta, positive_turn(half_sum - half_difference), half_open_turn(half_sum + half_difference))
    }
}

/// Returns `angle` in `[-2 pi, 2 pi]` moved to `[0, 2 pi)`.
fn positive_turn(angle: f64) -> f64 {
    let turned = if angle < 0.0 { angle + TAU } else { angle };
    if turned >= TAU { turned - TAU } else { turned }
}

/// Returns `angle` in `[-2 pi, 2 pi]` moved to `(-pi, pi]`.
fn half_open_turn(angle: f64) -> f64 {
    if angle > PI {
        angle - TAU
    } else if angle <= -PI {
        angle + TAU
    } else {
        angle
    }
}

/// `[x, y, z, w]`, the order of the components on disk.
impl From<[f64; 4]> for Quaternion {
    fn from([x, y, z, w]: [f64; 4]) -> Self {
        Self { x, y, z, w }
    }
}

impl From<Quaternion> for [f64; 4] {
    fn from(q: Quaternion) -> Self {
        [q.x, q.y, q.z, q.w]
    }
}

/// The Hamilton product: the rotation on the right acts first.
impl Mul for Quaternion {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        let (a, b) = (self, other);
        Self {
            x: a.w * b.x + a.x * b.w + a.y * b.z - a.z * b.y,
            y: a.w * b.y - a.x * b.z + a.y * b.w + a.z * b.x,
            z: a.w * b.z + a.x * b.y - a.y * b.x + a.z * b.w,
            w: a.w * b.w - a.x * b.x - a.y * b.y - a.z * b.z,
        }
    }
}

fn cross(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: &[f64], expected: &[f64]) {
        let far = found.iter().zip(expected).any(|(a, b)| (a - b).abs() > 1e-14);
        assert!(!far, "{found:?} instead of {expected:?}");
    }

    fn attitude(theta: f64, phi: f64, psi: f64) -> Quaternion {
        Quaternion::about(Axis::Z, phi) * Quaternion::about(Axis::Y, theta) * Quaternion::about(Axis::Z, psi)
    }

    #[test]
    fn quarter_turns() {
        let quarter = |axis| Quaternion::about(axis, PI / 2.0);
        near(&quarter(Axis::Z).rotate([1.0, 0.0, 0.0]), &[0.0, 1.0, 0.0]);
        near(&quarter(Axis::X).rotate([0.0, 1.0, 0.0]), &[0.0, 0.0, 1.0]);
        near(&quarter(Axis::Y).rotate([0.0, 0.0, 1.0]), &[1.0, 0.0, 0.0]);
    }

    #[test]
    fn products_of_units() {
        let [i, j, k] = [0, 1, 2].map(|at| {
            let mut components = [0.0; 4];
            components[at] = 1.0;
            Quaternion::from(components)
        });
        assert_eq!(i * j, k);
        assert_eq!(j * k, i);
        assert_eq!(k * i, j);
        assert_eq!(<[f64; 4]>::from(i * i), [0.0, 0.0, 0.0, -1.0]);
        assert_eq!(Quaternion::IDENTITY * j, j);
    }

    #[test]
    fn the_right_factor_turns_first() {
        let (a, b) = (attitude(0.3, 1.0, 2.0), attitude(1.2, -0.4, 0.7));
        let v = [0.1, -0.5, 0.8];
        near(&(a * b).rotate(v), &a.rotate(b.rotate(v)));
        assert!(((a * b).norm_squared() - 1.0).abs() < 1e-15);
    }

    /// On the equator at longitude 0, south is -z and east is +y.
    #[test]
    fn psi_runs_from_south_toward_east() {
        let on_equator = Quaternion::about(Axis::Y, PI / 2.0);
        near(&on_equator.rotate([1.0, 0.0, 0.0]), &[0.0, 0.0, -1.0]);
        let (theta, phi, psi) = on_equator.direction_and_angle();
        near(&[theta, phi, psi], &[PI / 2.0, 0.0, 0.0]);

        let turned = on_equator * Quaternion::about(Axis::Z, PI / 2.0);
        near(&turned.rotate([1.0, 0.0, 0.0]), &[0.0, 1.0, 0.0]);
        near(&[turned.direction_and_angle().2], &[PI / 2.0]);
    }

    /// The definition: psi = atan2(o . east, o . south) with o the polarization axis.
    #[test]
    fn angles_agree_with_the_vector_definition() {
        for step in 0..500 {
            let step = f64::from(step);
            let q = attitude(0.01 + 0.006 * step, 0.7 * step, 1.3 * step);
            let [x, y, z] = q.rotate([0.0, 0.0, 1.0]);
            let o = q.rotate([1.0, 0.0, 0.0]);
            let sin = x.hypot(y);
            let south = o[0] * z * x / sin + o[1] * z * y / sin - o[2] * sin;
            let east = (o[1] * x - o[0] * y) / sin;
            let (theta, phi, psi) = q.direction_and_angle();
            let vector = [theta.sin() * phi.cos(), theta.sin() * phi.sin(), theta.cos()];
            near(&vector, &[x, y, z]);
            let expected = east.atan2(south);
            near(&[psi.cos(), psi.sin()], &[expected.cos(), expected.sin()]);
            assert!((0.0..TAU).contains(&phi) && psi > -PI && psi <= PI);
        }
    }

    #[test]
    fn a_common_factor_does_not_matter() {
        let q = attitude(0.4, 1.5, -2.0);
        let longer = Quaternion::from(<[f64; 4]>::from(q).map(|component| -3.0 * component));
        let (a, b) = (q.direction_and_angle(), longer.direction_and_angle());
        near(&[a.0, a.1, a.2], &[b.0, b.1, b.2]);
    }

    #[test]
    fn poles_keep_the_orientation() {
        let north = attitude(0.0, 0.4, 0.5).direction_and_angle();
        near(&[north.0, north.1, north.2], &[0.0, 0.0, 0.9]);
        let south = Quaternion { x: 0.6, y: 0.8, z: 0.0, w: 0.0 };
        let (theta, phi, psi) = south.direction_and_angle();
        near(&[theta, phi], &[PI, 0.0]);
        let axis = south.rotate([1.0, 0.0, 0.0]);
        // At the south pole and longitude 0, south is -x and east is +y.
        near(&[psi.cos(), psi.sin()], &[-axis[0], axis[1]]);
    }

    #[test]
    fn full_precision_next_to_a_pole() {
        let (theta, phi, psi) = attitude(1e-12, 0.4, 0.5).direction_and_angle();
        assert!((theta / 1e-12 - 1.0).abs() < 1e-15);
        near(&[phi, psi], &[0.4, 0.5]);
    }
}
