//! The same bits on any number of ranks.

use dolmen_core::ndarray::Array2;
use dolmen_core::random::Philox;
use dolmen_core::{Comm, Layout, MultiVector, Real, Reduction, Scalar, Vector, dots};
use dolmen_tests::{Checksums, TestResult};

use dolmen_core_tests::all_scalars;

const ROWS: u64 = 12_345;

/// Uneven blocks, some of them empty.
fn uneven(comm: &Comm, rows: u64) -> TestResult<Layout> {
    let weight = |rank: usize| (rank as u64 * 3 + 1) % 5;
    let total: u64 = (0..comm.size()).map(weight).sum();
    let before: u64 = (0..comm.rank()).map(weight).sum();
    let end = before + weight(comm.rank());
    let len = rows * end / total - rows * before / total;
    Ok(Layout::from_local_len(comm, usize::try_from(len)?)?)
}

fn record<T: Scalar, S: Scalar>(sums: &mut Checksums, what: &str, value: S) {
    sums.push((format!("{what} of {}", T::NAME), value.re().to_f64().to_bits()));
    sums.push((format!("imaginary {what} of {}", T::NAME), value.im().to_f64().to_bits()));
}

/// A hash of all entries in global order.
fn hash<T: Scalar>(entries: impl IntoIterator<Item = T>) -> u64 {
    let words = entries.into_iter().flat_map(|x| [x.re(), x.im()].map(|part| part.to_f64().to_bits()));
    words.fold(0xcbf2_9ce4_8422_2325, |hash, word| (hash ^ word).wrapping_mul(0x100_0000_01b3).rotate_left(17))
}

/// Random entries whose sizes span many orders of magnitude.
fn wild<T: Scalar>(layout: &Layout, stream: u64) -> Vector<T> {
    let mut x = Vector::zeros(layout);
    x.fill_normal(&Philox::new(9), stream);
    let size = |row: u64| T::from_parts(2f64.powi(i32::try_from(row % 40).expect("below 40") - 20), 0.0);
    let sizes = Vector::from_fn(layout, size);
    x.map_with(&sizes, |x, size| x * size).expect("the same layout");
    x
}

pub(crate) fn reductions(comm: &Comm) -> TestResult<Checksums> {
    let mut sums = Checksums::new();
    let layout = uneven(comm, ROWS)?;
    all_scalars!(reductions_of(&layout, &mut sums));
    Ok(sums)
}

fn reductions_of<T: Scalar>(layout: &Layout, sums: &mut Checksums) -> TestResult {
    let [x, y] = [0, 1].map(|stream| wild::<T>(layout, stream));
    record::<T, _>(sums, "dot", x.dot(&y)?);
    record::<T, _>(sums, "dotu", x.dotu(&y, Reduction::Reproducible)?);
    record::<T, _>(sums, "sum", x.sum(Reduction::Reproducible));
    record::<T, _>(sums, "norm1", x.norm1());
    record::<T, _>(sums, "norm2", x.norm2());
    record::<T, _>(sums, "norm_inf", x.norm_inf());
    let mut out = [T::Double::ZERO; 2];
    x.multi_dot(&[&x, &y], Reduction::Reproducible, &mut out)?;
    assert_eq!(out, [x.dot(&x)?, y.dot(&x)?], "several products have the bits of each by itself");
    record::<T, _>(sums, "multi_dot", out[1]);
    let out = dots([(&y, &x), (&y, &y)], Reduction::Reproducible)?;
    assert_eq!(out, [y.dot(&x)?, y.dot(&y)?]);
    record::<T, _>(sums, "dots", out[0]);
    let mut huge = x.clone();
    huge.scale(T::from_parts(if T::Real::EPSILON.to_f64() < 1e-10 { 1e300 } else { 1e30 }, 0.0));
    record::<T, _>(sums, "norm2 of huge entries", huge.norm2());
    let mut added = x.clone();
    let (me, ranks) = (layout.comm().rank() as u64, layout.comm().size() as u64);
    // The same contributions, dealt to the ranks in turn.
    let dealt: Vec<(u64, T)> = (me..2000).step_by(usize::try_from(ranks)?).map(|n| (n % 7, term(n))).collect();
    added.add_entries(&dealt)?;
    sums.push((format!("add_entries of {}", T::NAME), hash(added.gather_all())));
    Ok(())
}

fn term<T: Scalar>(n: u64) -> T {
    T::from_parts(1.0 / (n as f64 + 1.0), 1e-9 * n as f64)
}

pub(crate) fn random_and_redistributed(comm: &Comm) -> TestResult<Checksums> {
    let mut sums = Checksums::new();
    let layouts = [uneven(comm, ROWS)?, Layout::uniform(comm, ROWS), Layout::on_one_rank(comm, ROWS, comm.size() - 1)?];
    all_scalars!(random_entries(&layouts, &mut sums));
    Ok(sums)
}

fn random_entries<T: Scalar>(layouts: &[Layout; 3], sums: &mut Checksums) -> TestResult {
    let random = Philox::new(3);
    let mut x = Vector::<T>::zeros(&layouts[0]);
    x.fill_uniform(&random, 5);
    sums.push((format!("uniform {}", T::NAME), hash(x.gather_all())));
    x.fill_normal(&random, 5);
    let moved = x.redistributed(&layouts[1])?.redistributed(&layouts[2])?;
    sums.push((format!("normal {}", T::NAME), hash(moved.gather_all())));
    let mut columns = MultiVector::<T>::zeros(&layouts[0], 2);
    columns.fill_normal(&random, 4);
    columns.copy_column_to(1, &mut x)?;
    sums.push((format!("second column {}", T::NAME), hash(x.gather_all())));
    sums.push((format!("subvector {}", T::NAME), hash(x.subvector(100..9_000)?.gather_all())));
    Ok(())
}

pub(crate) fn blocks(comm: &Comm) -> TestResult<Checksums> {
    let mut sums = Checksums::new();
    let layout = uneven(comm, 4321)?;
    all_scalars!(block_products(&layout, &mut sums));
    Ok(sums)
}

fn block_products<T: Scalar>(layout: &Layout, sums: &mut Checksums) -> TestResult {
    let vectors: Vec<Vector<T>> = (0..37).map(|stream| wild(layout, stream)).collect();
    let mut x = MultiVector::from_vectors(layout, &vectors.iter().collect::<Vec<_>>())?;
    let gram = x.gram(&x, Reduction::Reproducible)?;
    sums.push((format!("gram {}", T::NAME), hash(gram.iter().copied())));
    let b = Array2::from_shape_fn((37, 3), |(l, j)| term::<T>(3 * l as u64 + j as u64));
    let mut product = MultiVector::zeros(layout, 3);
    product.multiply_add(T::ONE, &x, b.view(), T::ZERO, Reduction::Reproducible)?;
    let mut column = Vector::zeros(layout);
    product.copy_column_to(2, &mut column)?;
    sums.push((format!("product {}", T::NAME), hash(column.gather_all())));
    let r = x.cholesky_qr2()?;
    x.copy_column_to(3, &mut column)?;
    sums.push((format!("Q {}", T::NAME), hash(column.gather_all())));
    sums.push((format!("R {}", T::NAME), hash(r)));
    Ok(())
}
