//! Pointwise operations and reductions of vectors.

use dolmen_core::random::Philox;
use dolmen_core::{Comm, Layout, Real, Reduction, Scalar, Vector, dots};
use dolmen_tests::TestResult;

use dolmen_core_tests::{
    all_scalars, close, dense, inner, layout, lengths, property, require, same_entries, value, vector,
};

const BOTH: [Reduction; 2] = [Reduction::Reproducible, Reduction::Fast];

pub(crate) fn operations(comm: &Comm) -> TestResult {
    property(comm, 24, (lengths(comm.size()), 0u64..1000), |(lengths, seed)| {
        let layout = layout(comm, lengths);
        all_scalars!(pointwise(&layout, *seed));
        all_scalars!(reductions(&layout, *seed));
        extremes::<f32>(&layout, *seed)?;
        extremes::<f64>(&layout, *seed)
    })
}

/// Applies `operation` to the vector of `seed` and compares with `oracle` of each entry.
fn check<T: Scalar>(
    what: &str,
    layout: &Layout,
    seed: u64,
    operation: impl Fn(&mut Vector<T>) -> dolmen_core::Result<()>,
    oracle: impl Fn(u64, T) -> T,
) -> TestResult {
    let mut y = vector(layout, seed);
    operation(&mut y)?;
    let expected: Vec<T> = (0..layout.global_len()).map(|row| oracle(row, value(seed, row))).collect();
    same_entries(what, &y, &expected);
    Ok(())
}

fn pointwise<T: Scalar>(layout: &Layout, seed: u64) -> TestResult {
    let x: Vector<T> = vector(layout, seed + 1);
    let z: Vector<T> = vector(layout, seed + 2);
    let [x_at, z_at] = [1, 2].map(|salt| move |row| value::<T>(seed + salt, row));
    let (alpha, beta) = (value::<T>(seed, 1 << 40), value::<T>(seed, 1 << 41));
    check("axpy", layout, seed, |y| y.axpy(alpha, &x), |row, y| y + alpha * x_at(row))?;
    check("axpby", layout, seed, |y| y.axpby(alpha, &x, beta), |row, y| alpha * x_at(row) + beta * y)?;
    check("waxpy", layout, seed, |y| y.waxpy(alpha, &x, &z), |row, _| alpha * x_at(row) + z_at(row))?;
    let many = |row, y| y + alpha * x_at(row) + beta * z_at(row);
    check("multi_axpy", layout, seed, |y| y.multi_axpy(&[alpha, beta], &[&x, &z]), many)?;
    let many = |row, y| beta * y + alpha * x_at(row) + beta * z_at(row);
    check("multi_axpby", layout, seed, |y| y.multi_axpby(&[alpha, beta], &[&x, &z], beta), many)?;
    let none: [&Vector<T>; 0] = [];
    check("multi_axpby of none", layout, seed, |y| y.multi_axpby(&[], &none, beta), |_, y| beta * y)?;
    check("multiply", layout, seed, |y| y.multiply(&x), |row, y| y * x_at(row))?;
    check("divide", layout, seed, |y| y.divide(&x), |row, y| y * x_at(row).conj() / T::from_real(x_at(row).abs_sqr()))?;
    check("map_with", layout, seed, |y| y.map_with(&x, |y, x| x - y), |row, y| x_at(row) - y)?;
    let infallible = |f: fn(&mut Vector<T>)| {
        move |y: &mut Vector<T>| {
            f(y);
            Ok(())
        }
    };
    check("reciprocal", layout, seed, infallible(Vector::reciprocal), |_, y| y.conj() / T::from_real(y.abs_sqr()))?;
    check("abs", layout, seed, infallible(Vector::abs), |_, y| T::from_real(y.abs_sqr().sqrt()))?;
    let conjugate = |_, y: T| T::from_parts(y.re().to_f64(), -y.im().to_f64());
    check("conj", layout, seed, infallible(Vector::conj), conjugate)?;
    let scaled = |y: &mut Vector<T>| {
        y.scale(alpha);
        y.shift(beta);
        Ok(())
    };
    check("scale and shift", layout, seed, scaled, |_, y| alpha * y + beta)?;
    let mut copy = Vector::zeros(layout);
    copy.fill(T::from_parts(f64::NAN, 0.0));
    copy.axpby(T::ONE, &x, T::ZERO)?;
    same_entries("axpby of NaN with zero", &copy, &dense(seed + 1, layout.global_len()));
    Ok(())
}

fn reductions<T: Scalar>(layout: &Layout, seed: u64) -> TestResult {
    let [x, y, z] = [0, 1, 2].map(|salt| vector::<T>(layout, seed + salt));
    // Entries are the same in single precision, so that sums have to be right in double precision.
    let [a, b, c] = [0, 1, 2].map(|salt| dense::<T::Double>(seed + salt, layout.global_len()));
    let size = 1.0 + a.len() as f64;
    let real = |found: f64, expected: f64, what| close(what, found, expected, size);
    for reduction in BOTH {
        close("dot", reduction.dot(&x, &y)?, inner(&a, &b), size);
        let unconjugated = a.iter().zip(&b).map(|(&a, &b)| a * b).sum();
        close("dotu", x.dotu(&y, reduction)?, unconjugated, size);
        let [first, second] = dots([(&x, &y), (&z, &z)], reduction)?;
        close("first of two dots", first, inner(&a, &b), size);
        close("second of two dots", second, inner(&c, &c), size);
        let mut out = dots([(&x, &z), (&y, &x), (&x, &x)], reduction)?;
        for (found, expected) in out.into_iter().zip([inner(&a, &c), inner(&b, &a), inner(&a, &a)]) {
            close("dots", found, expected, size);
        }
        x.multi_dot(&[&x, &y, &z], reduction, &mut out)?;
        for (found, basis) in out.into_iter().zip([&a, &b, &c]) {
            close("multi_dot", found, inner(basis, &a), size);
        }
        close("sum", x.sum(reduction), a.iter().copied().sum(), size);
        let sizes = a.iter().map(|a| a.re().hypot(a.im()));
        real(reduction.norm1(&x), sizes.clone().sum(), "norm1");
        real(reduction.norm2(&x), sizes.clone().map(|s| s * s).sum::<f64>().sqrt(), "norm2");
        close("norm_inf", x.norm_inf(), T::Real::from_f64(sizes.fold(0.0, f64::max)), size);
    }
    require(x.norm1() == Reduction::Reproducible.norm1(&x), || "norm1 is the reproducible one".to_owned());
    require(x.norm2() == Reduction::Reproducible.norm2(&x), || "norm2 is the reproducible one".to_owned());
    Ok(())
}

/// Few different values, so that there are ties.
fn extremes<T: Real>(layout: &Layout, seed: u64) -> TestResult {
    let coarse = |row| T::from_f64((value::<f64>(seed, row) * 3.0).round());
    let x = Vector::from_fn(layout, coarse);
    let all: Vec<(u64, T)> = (0..layout.global_len()).map(|row| (row, coarse(row))).collect();
    let first = |better: fn(&T, &T) -> bool| {
        all.iter().copied().reduce(|best, other| if better(&other.1, &best.1) { other } else { best })
    };
    require(x.max_at() == first(|a, b| a > b), || "max_at".to_owned());
    require(x.min_at() == first(|a, b| a < b), || "min_at".to_owned());
    Ok(())
}

/// Norms whose squares leave the range of numbers.
pub(crate) fn extreme_sizes(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 5);
    for reduction in BOTH {
        for size in [1e300, 1e-300, 1e-160, 1.0f64] {
            let x = Vector::from_fn(&layout, |row| if row < 4 { size } else { 0.0 });
            let norm = reduction.norm2(&x);
            assert!((norm / (2.0 * size) - 1.0).abs() < 1e-14, "{norm} for four entries of {size}");
        }
        let x = Vector::from_fn(&layout, |_| f64::MAX);
        assert_eq!(reduction.norm2(&x), f64::INFINITY);
        // Squares that leave the range of single precision.
        for size in [1e30f32, 1e-25] {
            let x = Vector::from_fn(&layout, |_| size);
            let norm = reduction.norm2(&x) / f64::from(size);
            assert!((norm - 5f64.sqrt()).abs() < 1e-14, "{norm} for five entries of one");
            let dot = reduction.dot(&x, &x)? / f64::from(size).powi(2);
            assert!((dot - 5.0).abs() < 1e-13, "{dot} for five products of one");
        }
    }
    Ok(())
}

pub(crate) fn special_values(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 9);
    let x = Vector::from_fn(&layout, |row| if row == 4 || row == 7 { f64::NAN } else { 100.0 });
    for found in [x.norm1(), x.norm2(), x.norm_inf(), x.sum(Reduction::Reproducible)] {
        assert!(found.is_nan());
    }
    for extreme in [x.max_at(), x.min_at()] {
        let (row, entry) = extreme.ok_or("there are entries")?;
        assert!(row == 4 && entry.is_nan());
    }
    let x = Vector::from_fn(&layout, |row| if row == 8 { f64::NEG_INFINITY } else { 1.0 });
    assert_eq!(x.norm2(), f64::INFINITY);
    assert_eq!(x.min_at(), Some((8, f64::NEG_INFINITY)));
    assert_eq!(Vector::<f64>::zeros(&Layout::uniform(comm, 0)).max_at(), None);
    Ok(())
}

/// Random entries have the moments they promise, each within five standard errors.
pub(crate) fn moments(comm: &Comm) -> TestResult {
    all_scalars!(moments_of(comm));
    Ok(())
}

fn moments_of<T: Scalar>(comm: &Comm) -> TestResult {
    let count: u32 = 40_000;
    let error = 5.0 / f64::from(count).sqrt();
    let layout = Layout::uniform(comm, u64::from(count));
    let mut x = Vector::<T>::zeros(&layout);
    let mean = |x: &Vector<T>| x.sum(Reduction::Reproducible) / T::Double::from_parts(f64::from(count), 0.0);
    x.fill_normal(&Philox::new(4), 0);
    let variance = x.norm2().powi(2) / f64::from(count);
    assert!(mean(&x).abs() < error * 2f64.sqrt(), "mean {}", mean(&x));
    assert!((variance - 1.0).abs() < error * 2f64.sqrt(), "variance {variance}");
    let squares = x.dotu(&x, Reduction::Reproducible)?.abs() / f64::from(count);
    assert_eq!(squares < 0.5, T::COMPLEX, "circular when complex");
    x.fill_uniform(&Philox::new(4), 0);
    assert!((mean(&x) - T::Double::from_parts(0.5, 0.5)).abs() < error, "mean {}", mean(&x));
    assert!(x.owned().iter().all(|x| [x.re(), x.im()].iter().all(|part| (0.0..1.0).contains(&part.to_f64()))));
    Ok(())
}
