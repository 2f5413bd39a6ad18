//! Checksums of everything that threads share, on arrays large enough that they do.

use std::fmt::Write;

use dolmen_core::random::Philox;
use dolmen_core::{
    AdjointOperator, Blocks, Comm, Complex32, CsrMatrix, Duplicates, Gid, Layout, LinearOperator, MultiVector, Real,
    Reduction, Scalar, Vector, dots, update, update_dots,
};
use dolmen_tests::TestResult;

/// Entries of vectors.
const LEN: u64 = 400_009;
/// Rows of matrices: a grid of this many points a side.
const SIDE: u64 = 40;

/// Uneven blocks.
fn layout(comm: &Comm, len: u64) -> TestResult<Layout> {
    let size = comm.size() as u64;
    let offsets: Vec<Gid> = (0..=size).map(|rank| len * (rank * (rank + 5)) / (size * (size + 5))).collect();
    Ok(Layout::from_blocks(comm, Blocks::from_offsets(&offsets)?)?)
}

/// Named hashes, one a line.
struct Log(String);

impl Log {
    fn add<T: Scalar>(&mut self, what: &str, entries: impl IntoIterator<Item = T>) {
        let words = entries.into_iter().flat_map(|x| [x.re(), x.im()].map(|part| part.to_f64().to_bits()));
        let hash = words
            .fold(0xcbf2_9ce4_8422_2325u64, |hash, word| (hash ^ word).wrapping_mul(0x100_0000_01b3).rotate_left(17));
        let _ = writeln!(self.0, "{what} of {} {hash:x}", T::NAME);
    }

    fn vector<T: Scalar>(&mut self, what: &str, x: &Vector<T>) {
        self.add(what, x.gather_all());
    }
}

pub(crate) fn checksums(comm: &Comm) -> TestResult<String> {
    let mut log = Log(String::new());
    vectors::<f64>(comm, &mut log)?;
    vectors::<Complex32>(comm, &mut log)?;
    matrices::<f64>(comm, &mut log)?;
    matrices::<Complex32>(comm, &mut log)?;
    Ok(log.0)
}

/// Random entries whose sizes span many orders of magnitude.
fn wild<T: Scalar>(layout: &Layout, stream: u64) -> Vector<T> {
    let mut x = Vector::zeros(layout);
    x.fill_normal(&Philox::new(9), stream);
    let first = layout.range().start;
    for (row, x) in (first..).zip(x.owned_mut()) {
        *x *= T::from_parts(2f64.powi(i32::try_from(row % 20).unwrap_or(0) - 10), 0.0);
    }
    x
}

fn vectors<T: Scalar>(comm: &Comm, log: &mut Log) -> TestResult {
    let layout = layout(comm, LEN)?;
    let xs: Vec<Vector<T>> = (0..11).map(|stream| wild(&layout, stream)).collect();
    let (x, mut y) = (&xs[0], xs[1].clone());
    let alpha = T::from_parts(0.3, 0.7);
    y.axpy(alpha, x)?;
    log.vector("axpy", &y);
    y.axpby(alpha, x, T::from_parts(1.1, 0.0))?;
    log.vector("axpby", &y);
    y.multi_axpy(&[alpha; 11], &xs)?;
    log.vector("multi_axpy", &y);
    y.multi_axpby(&[alpha; 11], &xs, alpha)?;
    log.vector("multi_axpby", &y);
    y.multiply(&xs[2])?;
    y.divide(&xs[3])?;
    log.vector("pointwise", &y);
    y.waxpy(alpha, x, &xs[4])?;
    y.scale(alpha);
    y.shift(alpha);
    log.vector("waxpy", &y);
    let mut z = Vector::zeros(&layout);
    z.fill(alpha);
    log.vector("fill", &z);
    z.copy_from(&y)?;
    log.vector("copy", &z);
    log.add("dot", [x.dot(&y)?]);
    log.add("dotu", [x.dotu(&y, Reduction::Reproducible)?]);
    log.add("norms", [x.norm1(), x.norm2(), x.norm_inf().to_f64()]);
    log.add("sum", [x.sum(Reduction::Reproducible)]);
    let mut out = [Default::default(); 11];
    y.multi_dot(&xs, Reduction::Reproducible, &mut out)?;
    log.add("multi_dot", out);
    out[..2].copy_from_slice(&dots([(x, &y), (&y, x)], Reduction::Reproducible)?);
    log.add("dots", out);
    let sums = update_dots([&mut y, &mut z], [x, &xs[7]], Reduction::Reproducible, |[y, z], [x, w]| {
        let [y, z] = [y + alpha * x, w - alpha * z];
        ([y, z], [(y, z), (z, z)])
    })?;
    log.add("updated sums", sums);
    log.vector("updated", &y);
    update([&mut y], [&z], |[y], [z]| [z + alpha * y])?;
    log.vector("updated once more", &y);
    let mut columns = MultiVector::from_vectors(&layout, &[x, &y])?;
    columns.axpy_columns(&[alpha, T::ONE], &MultiVector::from_vectors(&layout, &[&xs[5], &xs[6]])?)?;
    columns.scale_columns(&[T::ONE, alpha])?;
    columns.axpy(alpha, &columns.clone())?;
    columns.scale(alpha);
    columns.copy_column_to(1, &mut z)?;
    log.vector("columns", &z);
    log.add("gram", columns.gram(&columns, Reduction::Reproducible)?);
    let parts = Vector::from_fn(&layout, |row| if row % 1000 == 7 { 2.0 } else { (row % 1000) as f64 * 1e-3 });
    log.add("extremes", [parts.max_at(), parts.min_at()].into_iter().flatten().flat_map(|(at, x)| [at as f64, x]));
    Ok(())
}

/// A number between -1 and 1 that looks random.
fn number<T: Scalar>(seed: u64) -> T {
    let mixed = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let part = |bits: u64| (bits % 2_000_003) as f64 / 1_000_001.5 - 1.0;
    T::from_parts(part(mixed >> 20), part(mixed >> 9))
}

/// Triplets in no order, half of them twice.
fn triplets<T: Scalar>(comm: &Comm, rows: u64) -> impl Iterator<Item = (Gid, Gid, T)> {
    let mine = (comm.rank() as u64..4 * rows).step_by(comm.size());
    mine.map(move |t| {
        let row = t * 7919 % rows;
        (row, (row * 31 + t % 5 + t / rows % 2) % rows, number(t))
    })
}

fn matrices<T: Scalar>(comm: &Comm, log: &mut Log) -> TestResult {
    let rows = SIDE * SIDE * SIDE;
    let layout = layout(comm, rows)?;
    // Lines of a grid are runs; values are equal in its lower half only.
    let grid = CsrMatrix::from_rows(&layout, &layout, |row, entries| {
        let steps = [SIDE * SIDE, SIDE, 1];
        steps.iter().filter(|&&step| row >= step).for_each(|step| entries.push(row - step, T::from_parts(-1.0, 0.5)));
        entries.push(row, if row < rows / 2 { T::from_parts(6.0, 0.0) } else { number(row) });
        steps.iter().rev().filter(|&&step| row + step < rows).for_each(|step| entries.push(row + step, number(3)));
    })?;
    products("grid", &grid, log)?;
    let mut scattered = CsrMatrix::from_triplets(&layout, &layout, triplets::<T>(comm, rows), Duplicates::Add)?;
    products("scattered", &scattered, log)?;
    log.vector("adjoint of scattered", &{
        let mut y = Vector::zeros(&layout);
        scattered.apply_adjoint(&wild(&layout, 1), &mut y)?;
        y
    });
    // In other rows than those where they came from.
    scattered.refill_triplets(triplets(comm, rows).map(|(i, j, x): (_, _, T)| (i, j, x * x)), Duplicates::Add)?;
    products("refilled", &scattered, log)
}

fn products<T: Scalar>(what: &str, a: &CsrMatrix<T>, log: &mut Log) -> TestResult {
    let x = wild(a.domain(), 1);
    let mut y = wild(a.range(), 2);
    a.apply_add(&x, &mut y)?;
    log.vector(&format!("{what} added"), &y);
    a.apply(&x, &mut y)?;
    log.vector(&format!("{what} times x"), &y);
    let xs = MultiVector::from_fn(a.domain(), 5, |row, column| number(row * 5 + column as u64));
    let mut ys = MultiVector::zeros(a.range(), 5);
    a.apply_many(&xs, &mut ys)?;
    for column in [0, 3, 4] {
        ys.copy_column_to(column, &mut y)?;
        log.vector(&format!("{what} times column {column}"), &y);
    }
    let ones = Vector::from_fn(a.range(), |row| T::from_parts((1 + row % 3) as f64, 0.0));
    log.add(&format!("{what} form"), [ones.dot(&y)?]);
    Ok(())
}
