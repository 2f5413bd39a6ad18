//! Every kernel against a row-by-row sum written without any of them, to the bit.

#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, unsafe_code)]

use num_complex::Complex;

use super::scalar::{Vectors, multiply_rows};
use super::*;

/// Pseudo-random numbers (Knuth's MMIX generator); full 53-bit mantissas, so that a fused
/// or reordered sum shows in the last bit.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64 - 0.5
    }
    fn below(&mut self, end: usize) -> usize {
        (((self.next() + 0.5) * end as f64) as usize).min(end - 1)
    }
}

trait Sample: Scalar {
    fn sample(random: &mut Random) -> Self;
}
impl Sample for f64 {
    fn sample(random: &mut Random) -> Self {
        random.next()
    }
}
impl Sample for f32 {
    fn sample(random: &mut Random) -> Self {
        random.next() as f32
    }
}
impl<F> Sample for Complex<F>
where
    F: Sample,
    Complex<F>: Scalar,
{
    fn sample(random: &mut Random) -> Self {
        Complex::new(F::sample(random), F::sample(random))
    }
}

type Rows = Vec<Vec<u32>>;

fn grid(n: i64, full: bool) -> Rows {
    let steps = || (-1..=1i64).flat_map(|z| (-1..=1i64).flat_map(move |y| (-1..=1i64).map(move |x| (x, y, z))));
    let inside = |i: i64| (0..n).contains(&i);
    (0..n * n * n)
        .map(|i| {
            let (x, y, z) = (i % n, i / n % n, i / n / n);
            steps()
                .filter(|(dx, dy, dz)| full || dx.abs() + dy.abs() + dz.abs() <= 1)
                .filter(|(dx, dy, dz)| inside(x + dx) && inside(y + dy) && inside(z + dz))
                .map(|(dx, dy, dz)| u32::try_from(i + dx + n * (dy + n * dz)).unwrap())
                .collect()
        })
        .collect()
}

/// Runs of every length up to 40 and width up to 9, not in ascending columns, between general rows.
fn mixed(random: &mut Random, columns: usize) -> Rows {
    let mut rows = Rows::new();
    // Miri is slow and has one kernel: short runs do.
    for length in 0..if cfg!(miri) { 6 } else { 40 } {
        let width = random.below(10);
        let base: Vec<u32> = (0..width).map(|_| u32::try_from(random.below(columns - 40)).unwrap()).collect();
        rows.extend((0..length).map(|i| base.iter().map(|c| c + i).collect()));
        let width = random.below(6);
        rows.push((0..width).map(|_| u32::try_from(random.below(columns)).unwrap()).collect());
    }
    rows
}

/// Rows of different lengths, some empty, over several windows.
fn scattered(random: &mut Random, columns: usize) -> Rows {
    let rows = if cfg!(miri) { 140 } else { 2 * order::WINDOW + 40 };
    (0..rows).map(|_| (0..random.below(9)).map(|_| u32::try_from(random.below(columns)).unwrap()).collect()).collect()
}

fn arrays(rows: &Rows) -> (Vec<usize>, Vec<u32>) {
    let mut starts = vec![0];
    starts.extend(rows.iter().scan(0, |end, row| {
        *end += row.len();
        Some(*end)
    }));
    (starts, rows.concat())
}

fn vector<T: Sample>(random: &mut Random, len: usize) -> Vec<T> {
    (0..len).map(|_| T::sample(random)).collect()
}

fn assert_same_bits<T: Scalar>(a: &[T], b: &[T], what: &str) {
    let bytes = |v: &[T]| bytemuck::cast_slice::<T, u8>(v).to_vec();
    assert!(bytes(a) == bytes(b), "{what}: {a:?} is not {b:?}");
}

/// Returns `y + A x` or `A x` of one vector, from the definition.
fn expected<T: Scalar>(a: &LocalCsr<T>, x: &[T], y: &[T], update: Update) -> Vec<T> {
    (0..a.rows())
        .map(|i| {
            let (columns, values) = a.row(i);
            let sum = columns.iter().zip(values).fold(T::ZERO, |sum, (&c, &v)| sum + v * x[c as usize]);
            if update == Update::Add { y[i] + sum } else { sum }
        })
        .collect()
}

/// Computes the interior rows as a processor without AVX2 does.
fn multiply_interior_portably<T: Scalar>(a: &LocalCsr<T>, x: &[T], y: &mut [T], update: Update) {
    let v = Vectors { x: [x.as_ptr()], y: [y.as_mut_ptr()], add: update == Update::Add };
    assert!(x.len() == a.owned && y.len() == a.rows());
    for run in &a.interior {
        // SAFETY: the invariants of the matrix, and the lengths just checked.
        unsafe { multiply_rows(a.table(), run, v) }
    }
}

fn check<T: Sample>(a: &LocalCsr<T>, random: &mut Random, what: &str) {
    let (n, owned) = (a.rows(), a.owned);
    // One element off the allocation's alignment, and no slack behind.
    let x: Vec<Vec<T>> = (0..3).map(|_| vector(random, owned + a.ghosts + 1)).collect();
    let before: Vec<Vec<T>> = (0..3).map(|_| vector(random, n)).collect();
    for update in [Update::Overwrite, Update::Add] {
        let want: Vec<Vec<T>> = (0..3).map(|k| expected(a, &x[k][1..], &before[k], update)).collect();
        let part = |k: usize| x[k][1..].split_at(owned);
        let mut y = before.clone();
        let [y0, y1, y2] = &mut y[..] else { unreachable!() };
        a.multiply_interior([part(0).0], [y0], update);
        a.multiply_boundary([part(0).0], [part(0).1], [y0], update);
        a.multiply_interior([part(1).0, part(2).0], [y1, y2], update);
        a.multiply_boundary([part(1).0, part(2).0], [part(1).1, part(2).1], [y1, y2], update);
        for k in 0..3 {
            assert_same_bits(&y[k], &want[k], &format!("{what}, {update:?}, vector {k}"));
        }
        let mut portable = before[0].clone();
        multiply_interior_portably(a, part(0).0, &mut portable, update);
        a.multiply_boundary([part(0).0], [part(0).1], [&mut portable], update);
        assert_same_bits(&portable, &want[0], &format!("{what}, {update:?}, without AVX2"));
    }
}

fn check_all<T: Sample>() {
    let random = &mut Random(7);
    let columns = if cfg!(miri) { 60 } else { 300 };
    let patterns = [
        ("7-point", grid(if cfg!(miri) { 2 } else { 6 }, false)),
        ("27-point", grid(if cfg!(miri) { 2 } else { 5 }, true)),
        ("mixed", mixed(random, columns)),
        ("scattered", scattered(random, columns)),
        ("empty", vec![vec![]; 50]),
    ];
    for (name, rows) in patterns {
        let (starts, entries) = arrays(&rows);
        let owned = columns.max(rows.len());
        let values = vector(random, entries.len());
        // The last columns as ghosts: boundary rows between interior ones.
        for ghosts in [0, 1, owned / 3] {
            let mut a = LocalCsr::<T>::new(owned - ghosts, ghosts, starts.clone(), entries.clone(), values.clone());
            for (row, bounds) in starts.windows(2).enumerate() {
                let given = bounds[0]..bounds[1];
                assert_eq!(a.row(row).0, &entries[given.clone()], "{name}, row {row}");
                assert_same_bits(a.row(row).1, &values[given], &format!("{name}, row {row}"));
            }
            assert!(a.in_order().is_none() || name != "scattered" || ghosts > 1, "rows are not sorted");
            check(&a, random, name);
            a.update_rows(|_, _, values| {
                let mut same = Random(99);
                values.fill_with(|| T::sample(&mut same));
            });
            assert!(a.interior.iter().all(|run| run.kind != Kind::Shifted), "{name}: equal rows not noticed");
            check(&a, random, &format!("{name}, uniform"));
            if let Some(run) = a.interior.iter().rfind(|run| run.kind == Kind::Uniform) {
                // One other value, in the last row of a run.
                let last = a.entries((run.first + run.rows - 1) as usize).end;
                if last > 0 {
                    a.update_values(|values| values[last - 1] = T::sample(&mut Random(5)));
                    check(&a, random, &format!("{name}, almost uniform"));
                }
            }
        }
    }
}

#[test]
fn f64_products_have_the_bits_of_row_sums() {
    check_all::<f64>();
}

#[test]
fn f32_products_have_the_bits_of_row_sums() {
    check_all::<f32>();
}

#[test]
fn complex_f64_products_have_the_bits_of_row_sums() {
    check_all::<Complex<f64>>();
}

#[test]
fn complex_f32_products_have_the_bits_of_row_sums() {
    check_all::<Complex<f32>>();
}

#[test]
fn negative_zeros_and_infinities_pass_through() {
    // A run of nine rows [x_i, x_{i+1}]: 1 * -0 + 1 * -0 is +0 when summed from zero.
    let rows: Rows = (0..9).map(|i| vec![i, i + 1]).collect();
    let (starts, entries) = arrays(&rows);
    let a = LocalCsr::new(10, 0, starts, entries, vec![1.0; 18]);
    let mut x = [-0.0; 10];
    x[9] = f64::INFINITY;
    let mut y = [1.0; 9];
    a.multiply_interior([&x], [&mut y], Update::Overwrite);
    assert_same_bits(&y[..8], &[0.0; 8], "sums of negative zeros");
    assert_eq!(y[8], f64::INFINITY);
}

#[test]
fn runs_of_a_line_of_a_grid() {
    // 1-d Laplacian on 12 points, the last one a ghost column.
    let rows: Rows = (0..12u32).map(|i| (i.saturating_sub(1)..=(i + 1).min(11)).collect()).collect();
    let (starts, entries) = arrays(&rows);
    let mut values = vec![-1.0; entries.len()];
    values[7] = 2.0;
    let a = LocalCsr::new(11, 1, starts, entries, values);
    let run = |first, rows, kind| Run { first, rows, kind };
    assert_eq!(a.interior, [run(0, 1, Kind::General), run(1, 9, Kind::Shifted)]);
    assert_eq!(a.boundary, [run(10, 2, Kind::General)]);
    // Two entries of 12 bytes and a start; 27 values, and three columns once; five entries and two starts.
    assert_eq!(a.bytes_read(), (2 * 12 + 8) + (27 * 8 + 3 * 4) + (5 * 12 + 2 * 8));
}

#[test]
fn rows_of_a_general_run_are_sorted_by_length() {
    // The last two rows of a window have one and three entries; three rows follow.
    let mut rows: Rows = (0..126).map(|i| vec![5 * (i % 2)]).collect();
    rows.extend([vec![9], vec![1, 4, 8], vec![0, 3], vec![2, 7], vec![]]);
    let (starts, entries) = arrays(&rows);
    let values = (0..entries.len()).map(|i| i as f64).collect();
    let a = LocalCsr::new(10, 0, starts, entries, values);
    let lens: Vec<usize> = a.pattern.starts.windows(2).map(|bounds| bounds[1] - bounds[0]).collect();
    // Longest first, then longest last.
    assert_eq!((lens[0], &lens[1..128], &lens[128..]), (3, &[1; 127][..], &[0, 2, 2][..]));
    assert_eq!(a.row(0), (&[0][..], &[0.0][..]));
    assert_eq!(a.row(127), (&[1, 4, 8][..], &[127.0, 128.0, 129.0][..]));
    assert_eq!(a.row(129), (&[2, 7][..], &[132.0, 133.0][..]));
    assert_eq!(a.row(130), (&[][..], &[][..]));
    // A byte a row says where it is.
    assert_eq!(a.bytes_read(), 12 * a.values().len() + 8 * 131 + 131);
}

fn small(starts: &[usize], columns: &[u32]) -> usize {
    LocalCsr::new(2, 1, starts.to_vec(), columns.to_vec(), vec![1.0; 2]).rows()
}

#[test]
fn malformed_arrays_are_refused() {
    assert_eq!(small(&[0, 1, 2], &[2, 0]), 2);
    let refused = |starts: &[usize], columns: &[u32]| std::panic::catch_unwind(|| small(starts, columns)).is_err();
    assert!(refused(&[0, 1, 2], &[2, 3]), "column 3 of 3");
    assert!(refused(&[0, 1, 2], &[2]), "a column is missing");
    for starts in [&[][..], &[0], &[1, 2], &[0, 2, 1, 2], &[0, 1], &[0, 3]] {
        assert!(refused(starts, &[0, 1]), "{starts:?}");
    }
}

#[test]
#[should_panic(expected = "x lies on the matrix's domain")]
fn short_operands_are_refused() {
    let a = LocalCsr::new(2, 0, vec![0, 1], vec![1], vec![1.0]);
    a.multiply_interior([&[1.0]], [&mut [0.0]], Update::Overwrite);
}
