//! The four number types of the toolkit, behind one sealed trait.

use std::fmt::{Debug, Display};
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

use bytemuck::Pod;
use num_complex::Complex;

use crate::powers_of_two::{exponent, times};

/// Complex number of two `f32`.
pub type Complex32 = Complex<f32>;
/// Complex number of two `f64`.
pub type Complex64 = Complex<f64>;

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
    impl Sealed for super::Complex32 {}
    impl Sealed for super::Complex64 {}
}

/// An entry of a vector or a matrix: `f32`, `f64`, [`Complex32`] or [`Complex64`].
pub trait Scalar:
    sealed::Sealed
    + crate::blas::Blas
    + crate::lapack::Lapack
    + Pod
    + Default
    + PartialEq
    + Debug
    + Display
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
    + DivAssign
    + Sum
    + Send
    + Sync
    + 'static
{
    /// The real type of the same precision.
    type Real: Real;
    /// The same kind of number in double precision: what sums over vectors are given in.
    type Double: Scalar<Real = f64, Double = Self::Double, Single = Self::Single>;
    /// The same kind of number in single precision.
    type Single: Scalar<Real = f32, Double = Self::Double, Single = Self::Single>;
    /// The name used in files and messages: `f32`, `f64`, `c32`, `c64`.
    const NAME: &'static str;
    /// True if the type has an imaginary part.
    const COMPLEX: bool;
    /// The additive identity.
    const ZERO: Self;
    /// The multiplicative identity.
    const ONE: Self;

    /// Complex conjugate; the number itself when real.
    fn conj(self) -> Self;
    /// Real part.
    fn re(self) -> Self::Real;
    /// Imaginary part; zero when real.
    fn im(self) -> Self::Real;
    /// Returns the absolute value.
    fn abs(self) -> Self::Real;
    /// Square of the absolute value.
    fn abs_sqr(self) -> Self::Real;
    /// Creates a real number as this type.
    fn from_real(re: Self::Real) -> Self;
    /// Creates a number from its parts in double precision; `im` is dropped by real types.
    fn from_parts(re: f64, im: f64) -> Self;
    /// Creates a number rounded to this type.
    fn from_double(value: Self::Double) -> Self {
        Self::from_parts(value.re(), value.im())
    }
    /// Returns true if both parts are finite.
    fn is_finite(self) -> bool;
    /// Returns the real and imaginary parts of a slice, one after the other.
    fn parts(values: &[Self]) -> &[Self::Real] {
        bytemuck::cast_slice(values)
    }
    /// Returns `self / divisor`; complex numbers far from one are brought there first, since the formula squares
    /// the divisor.
    fn quotient(self, divisor: Self) -> Self {
        self / divisor
    }
    /// Multiplication by a real factor.
    fn scale(self, factor: Self::Real) -> Self {
        self * Self::from_real(factor)
    }
}

/// A real scalar: `f32` or `f64`.
pub trait Real: Scalar<Real = Self> + PartialOrd {
    /// Distance from one to the next larger number.
    const EPSILON: Self;
    /// Square root.
    fn sqrt(self) -> Self;
    /// Returns the number in double precision.
    fn to_f64(self) -> f64;
    /// Creates the nearest number of this type.
    fn from_f64(value: f64) -> Self;
}

macro_rules! real {
    ($t:ident, $name:literal) => {
        impl Scalar for $t {
            type Real = $t;
            type Double = f64;
            type Single = f32;
            const NAME: &'static str = $name;
            const COMPLEX: bool = false;
            const ZERO: $t = 0.0;
            const ONE: $t = 1.0;
            fn conj(self) -> $t {
                self
            }
            fn re(self) -> $t {
                self
            }
            fn im(self) -> $t {
                0.0
            }
            fn abs(self) -> $t {
                $t::abs(self)
            }
            fn abs_sqr(self) -> $t {
                self * self
            }
            fn from_real(re: $t) -> $t {
                re
            }
            fn from_parts(re: f64, _im: f64) -> $t {
                <$t as Real>::from_f64(re)
            }
            fn is_finite(self) -> bool {
                $t::is_finite(self)
            }
        }
    };
}
real!(f32, "f32");
real!(f64, "f64");

impl Real for f32 {
    const EPSILON: f32 = f32::EPSILON;
    fn sqrt(self) -> f32 {
        f32::sqrt(self)
    }
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
    #[expect(clippy::cast_possible_truncation, reason = "rounding to single precision is the purpose")]
    fn from_f64(value: f64) -> f32 {
        value as f32
    }
}

impl Real for f64 {
    const EPSILON: f64 = f64::EPSILON;
    fn sqrt(self) -> f64 {
        f64::sqrt(self)
    }
    fn to_f64(self) -> f64 {
        self
    }
    fn from_f64(value: f64) -> f64 {
        value
    }
}

macro_rules! complex {
    ($t:ident, $re:ident, $name:literal, $safe:expr) => {
        impl Scalar for $t {
            type Real = $re;
            type Double = Complex64;
            type Single = Complex32;
            const NAME: &'static str = $name;
            const COMPLEX: bool = true;
            const ZERO: $t = $t { re: 0.0, im: 0.0 };
            const ONE: $t = $t { re: 1.0, im: 0.0 };
            fn conj(self) -> $t {
                Complex::conj(&self)
            }
            fn re(self) -> $re {
                self.re
            }
            fn im(self) -> $re {
                self.im
            }
            fn abs(self) -> $re {
                self.re.hypot(self.im)
            }
            fn abs_sqr(self) -> $re {
                self.re * self.re + self.im * self.im
            }
            fn from_real(re: $re) -> $t {
                $t::new(re, 0.0)
            }
            fn from_parts(re: f64, im: f64) -> $t {
                $t::new(<$re as Real>::from_f64(re), <$re as Real>::from_f64(im))
            }
            fn is_finite(self) -> bool {
                self.re.is_finite() && self.im.is_finite()
            }
            fn quotient(self, divisor: $t) -> $t {
                let safe = |z: $t| $safe.contains(&z.re.abs().max(z.im.abs()));
                if safe(self) && safe(divisor) {
                    return self / divisor;
                }
                let parts = |z: $t| [z.re, z.im].map(Real::to_f64);
                let scaled = |z: $t, power| {
                    let [re, im] = parts(z).map(|part| times(part, power));
                    <$t as Scalar>::from_parts(re, im)
                };
                let size = |z| parts(z).map(f64::abs).into_iter().filter(|part| part.is_finite()).fold(0.0, f64::max);
                let [above, below] = [self, divisor].map(|z| exponent(size(z)));
                scaled(scaled(self, -above) / scaled(divisor, -below), above - below)
            }
        }
    };
}
complex!(Complex32, f32, "c32", (1e-9..1e9));
complex!(Complex64, f64, "c64", (1e-75..1e75));
