//! Symmetric matrices of order one to three, one for each pixel, stored as upper triangles by
//! rows: `xx, xy, xz, yy, yz, zz`.
//!
//! LAPACK is the wrong tool at this size: the call costs more than the arithmetic.

/// Returns the entries of the upper triangle of a matrix of order `n`.
pub const fn packed_len(n: usize) -> usize {
    n * (n + 1) / 2
}

/// Returns the full matrix.
fn unpack<const N: usize>(packed: &[f64]) -> [[f64; N]; N] {
    let mut full = [[0.0; N]; N];
    let mut entries = packed.iter();
    for i in 0..N {
        for j in i..N {
            let entry = *entries.next().expect("invariant: packed_len(N) entries");
            full[i][j] = entry;
            full[j][i] = entry;
        }
    }
    full
}

/// Computes `outer(w, w)`, packed: the contribution of a sample with weights `w` to its pixel's block.
#[inline(always)]
pub fn outer<const N: usize>(w: [f64; N], mut add: impl FnMut(usize, f64)) {
    let mut position = 0;
    for i in 0..N {
        for j in i..N {
            add(position, w[i] * w[j]);
            position += 1;
        }
    }
}

/// Computes the smallest over largest eigenvalue; zero for a matrix that is not positive definite.
///
/// Cyclic Jacobi rotations (Golub and Van Loan, "Matrix Computations", 4th ed., 8.5), which find
/// small eigenvalues of a well-scaled positive definite matrix to full relative accuracy.
pub fn rcond<const N: usize>(packed: &[f64]) -> f64 {
    let mut a = unpack::<N>(packed);
    let scale = a.iter().flatten().fold(0.0f64, |max, entry| max.max(entry.abs()));
    if !(scale > 0.0 && scale.is_finite()) {
        return 0.0;
    }
    // Six sweeps are twice what a matrix of order three needs.
    for _ in 0..6 {
        let mut turned = false;
        for p in 0..N {
            for q in p + 1..N {
                turned |= rotate(&mut a, p, q);
            }
        }
        if !turned {
            break;
        }
    }
    let eigenvalues = (0..N).map(|i| a[i][i]);
    let (low, high) = eigenvalues.fold((f64::MAX, 0.0f64), |(low, high), v| (low.min(v), high.max(v)));
    if low > 0.0 { low / high } else { 0.0 }
}

/// Applies one Jacobi rotation, which makes `a[p][q]` zero; returns false if it is as good as zero for both of its
/// eigenvalues.
fn rotate<const N: usize>(a: &mut [[f64; N]; N], p: usize, q: usize) -> bool {
    if a[p][q] == 0.0 || a[p][q] * a[p][q] < 1e-36 * (a[p][p] * a[q][q]) {
        return false;
    }
    let tau = (a[q][q] - a[p][p]) / (2.0 * a[p][q]);
    let t = tau.signum() / (tau.abs() + (1.0 + tau * tau).sqrt());
    let c = 1.0 / (1.0 + t * t).sqrt();
    let s = t * c;
    for k in 0..N {
        let (kp, kq) = (a[k][p], a[k][q]);
        a[k][p] = c * kp - s * kq;
        a[k][q] = s * kp + c * kq;
    }
    for k in 0..N {
        let (pk, qk) = (a[p][k], a[q][k]);
        a[p][k] = c * pk - s * qk;
        a[q][k] = s * pk + c * qk;
    }
    true
}

/// Computes the inverse of a positive definite matrix, packed into the first of six entries, through its Cholesky
/// factor; `None` if a pivot is not positive.
pub fn invert<const N: usize>(packed: &[f64]) -> Option<[f64; packed_len(3)]> {
    let a = unpack::<N>(packed);
    let mut l = [[0.0; N]; N];
    for j in 0..N {
        let pivot = a[j][j] - (0..j).map(|k| l[j][k] * l[j][k]).sum::<f64>();
        if !(pivot > 0.0 && pivot.is_finite()) {
            return None;
        }
        l[j][j] = pivot.sqrt();
        for i in j + 1..N {
            l[i][j] = (a[i][j] - (0..j).map(|k| l[i][k] * l[j][k]).sum::<f64>()) / l[j][j];
        }
    }
    // Columns of the inverse: L L^T x = e.
    let mut inverse = [[0.0; N]; N];
    for column in 0..N {
        let mut x = [0.0; N];
        for i in 0..N {
            let rhs = if i == column { 1.0 } else { 0.0 };
            x[i] = (rhs - (0..i).map(|k| l[i][k] * x[k]).sum::<f64>()) / l[i][i];
        }
        for i in (0..N).rev() {
            x[i] = (x[i] - (i + 1..N).map(|k| l[k][i] * x[k]).sum::<f64>()) / l[i][i];
        }
        for i in 0..N {
            inverse[i][column] = x[i];
        }
    }
    let mut packed = [0.0; packed_len(3)];
    let upper = (0..N).flat_map(|i| (i..N).map(move |j| (i, j)));
    packed.iter_mut().zip(upper).for_each(|(entry, (i, j))| *entry = 0.5 * (inverse[i][j] + inverse[j][i]));
    Some(packed)
}

/// Computes `A x` for a packed matrix.
#[inline(always)]
pub fn multiply<const N: usize>(packed: &[f64], x: [f64; N]) -> [f64; N] {
    let a = unpack::<N>(packed);
    std::array::from_fn(|i| {
        let mut sum = 0.0;
        for j in 0..N {
            sum += a[i][j] * x[j];
        }
        sum
    })
}

/// Replaces the values of each pixel, of which there are `N`, by the product of its packed matrix with them.
#[inline(always)]
pub fn multiply_each<const N: usize>(packed: &[f64], values: &mut [f64]) {
    let pixels = values.as_chunks_mut::<N>().0;
    for (x, block) in pixels.iter_mut().zip(packed.chunks_exact(packed_len(N))) {
        *x = multiply(block, *x);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worked_by_hand() {
        // Eigenvalues 1, 3 and 5: [[2, 1, 0], [1, 2, 0], [0, 0, 5]].
        let a = [2.0, 1.0, 0.0, 2.0, 0.0, 5.0];
        assert!((rcond::<3>(&a) - 0.2).abs() < 1e-15);
        let inverse = invert::<3>(&a).unwrap();
        for (found, expected) in inverse.iter().zip([2.0 / 3.0, -1.0 / 3.0, 0.0, 2.0 / 3.0, 0.0, 0.2]) {
            assert!((found - expected).abs() < 1e-15);
        }
        assert_eq!(multiply::<3>(&a, [1.0, 2.0, 3.0]), [4.0, 5.0, 15.0]);
        assert_eq!(rcond::<1>(&[7.0]), 1.0);
        assert_eq!(invert::<2>(&[4.0, 0.0, 16.0]).unwrap()[..3], [0.25, 0.0, 0.0625]);
    }

    #[test]
    fn singular_blocks_are_not_inverted() {
        assert_eq!(rcond::<3>(&[0.0; 6]), 0.0);
        assert_eq!(rcond::<2>(&[1.0, 2.0, 1.0]), 0.0);
        assert!(invert::<2>(&[1.0, 2.0, 1.0]).is_none());
        assert!(invert::<1>(&[f64::NAN]).is_none());
        // One direction seen at one angle only.
        let mut block = [0.0; 6];
        outer([1.0, 0.6, 0.8], |i, value| block[i] += value);
        assert!(rcond::<3>(&block) < 1e-15);
    }

    #[test]
    fn inverse_times_matrix_is_one() {
        let mut block = [0.0; 6];
        for k in 0..7 {
            let psi = 0.9 * f64::from(k);
            outer([1.0, psi.cos(), psi.sin()], |i, value| block[i] += value);
        }
        let inverse = invert::<3>(&block).unwrap();
        for i in 0..3 {
            let unit: [f64; 3] = std::array::from_fn(|j| if i == j { 1.0 } else { 0.0 });
            let product = multiply::<3>(&inverse, multiply::<3>(&block, unit));
            for j in 0..3 {
                assert!((product[j] - unit[j]).abs() < 1e-14);
            }
        }
    }
}
