//! Several operations in one pass against the same operations one after the other, to the bit.

use dolmen_core::random::Philox;
use dolmen_core::{Comm, Layout, Real, Reduction, Scalar, Vector, dots, update, update_dots};
use dolmen_tests::TestResult;

use dolmen_core_tests::all_scalars;

/// Blocks of a sum that ranks share, hold whole, and cut; some ranks without rows.
pub(crate) fn one_pass(comm: &Comm) -> TestResult {
    for rows in [0, 1, 255, 256, 1000, 20_011] {
        let lopsided = Layout::from_local_len(comm, usize::try_from(rows)? * (comm.rank() % 2))?;
        for layout in [Layout::uniform(comm, rows), lopsided] {
            all_scalars!(one_pass_of(&layout));
        }
    }
    Ok(())
}

fn random<T: Scalar, const N: usize>(layout: &Layout) -> [Vector<T>; N] {
    let mut stream = 0;
    std::array::from_fn(|_| {
        let mut x = Vector::zeros(layout);
        x.fill_normal(&Philox::new(7), stream);
        stream += 1;
        x
    })
}

fn bits<T: Scalar>(x: &Vector<T>) -> Vec<[u64; 2]> {
    x.owned().iter().map(|x| [x.re(), x.im()].map(|part| part.to_f64().to_bits())).collect()
}

fn one_pass_of<T: Scalar>(layout: &Layout) -> TestResult {
    let [alpha, beta] = [T::from_parts(0.3, 0.7), T::from_parts(-1.1, 0.2)];
    let [mut x, mut r, p, q, d] = random::<T, 5>(layout);
    let [mut new_x, mut new_r] = [x.clone(), r.clone()];
    x.axpy(alpha, &p)?;
    r.axpy(-beta, &q)?;
    let mut z = r.clone();
    z.multiply(&d)?;
    for reduction in [Reduction::Reproducible, Reduction::Fast] {
        let (mut riders, mut new_riders) = ([1.0, 0.25], [1.0, 0.25]);
        let [old_x, old_r] = random(layout);
        (new_x, new_r) = (old_x, old_r);
        let sums = dots([(&r, &z), (&r, &r), (&z, &x)], reduction.with(&mut riders))?;
        let found = update_dots(
            [&mut new_x, &mut new_r],
            [&p, &q, &d],
            reduction.with(&mut new_riders),
            |[x, r], [p, q, d]| {
                let [x, r] = [x + alpha * p, r - beta * q];
                ([x, r], [(r, r * d), (r, r), (r * d, x)])
            },
        )?;
        assert_eq!([bits(&new_x), bits(&new_r)], [bits(&x), bits(&r)], "{}", T::NAME);
        assert_eq!(
            (riders, new_riders),
            ([layout.comm().size() as f64 * 1.0, layout.comm().size() as f64 * 0.25], riders)
        );
        for (sum, found) in sums.into_iter().zip(found) {
            if reduction == Reduction::Reproducible {
                let parts = |z: T::Double| [z.re().to_bits(), z.im().to_bits()];
                assert_eq!(parts(sum), parts(found), "{} on {} rows", T::NAME, layout.global_len());
            } else {
                // Plain sums have another order with several threads.
                let scale = sums[1].re() + 1.0;
                assert!((sum - found).abs() <= 1e-12 * scale, "{sum:?} is not {found:?}");
            }
        }
    }
    update([&mut new_x], [&p, &q], |[x], [p, q]| [p + beta * (x - alpha * q)])?;
    x.axpy(-alpha, &q)?;
    x.scale(beta);
    x.axpy(T::ONE, &p)?;
    let [norm] = dots([(&x, &x)], Reduction::Reproducible)?;
    x.axpy(-T::ONE, &new_x)?;
    assert!(x.norm2() <= 1e2 * T::Real::EPSILON.to_f64() * norm.re().sqrt(), "{}", T::NAME);
    // Nothing but sums, and nothing at all.
    let [square] = update_dots([&mut new_r], [], Reduction::Reproducible, |[r], []| ([r], [(r, r)]))?;
    assert_eq!(square.re().to_bits(), r.dot(&r)?.re().to_bits());
    let none = update_dots([&mut new_r], [], Reduction::Reproducible, |[r], []| ([-r], []))?;
    r.scale(-T::ONE);
    assert!(none.is_empty() && new_r.owned() == r.owned());
    Ok(())
}

pub(crate) fn mismatched(comm: &Comm) -> TestResult {
    let [mut x, y] = [4, 5].map(|rows| Vector::<f64>::zeros(&Layout::uniform(comm, rows)));
    let refused = update([&mut x], [&y], |_, [y]| [y]).map_err(|error| error.to_string());
    assert!(refused.is_err_and(|text| text.starts_with("update: ")));
    let refused = update_dots([&mut x], [&y], Reduction::Fast, |[x], [y]| ([x], [(x, y)]));
    assert!(refused.is_err_and(|error| error.to_string().starts_with("update with products: ")));
    let refused = update_dots([], [&y], Reduction::Fast, |[], [y]| ([], [(y, y)]));
    assert!(refused.is_err_and(|error| error.to_string().starts_with("update with products: ")));
    Ok(())
}
