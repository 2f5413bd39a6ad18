//! Scatters between index lists against their definition, entry by entry, on vectors of whole numbers.

use std::process::ExitCode;

use dolmen_core::random::Philox;
use dolmen_core::{Combine, Complex32, Complex64, Gid, Layout, Scalar, Scatter, Vector};
use dolmen_core_tests::{checksum, fails, uneven_layout, varying};
use dolmen_tests::{Checksums, Comm, TestResult, case, same_bits};

fn main() -> ExitCode {
    const RANKS: &[usize] = &[1, 2, 3, 4, 7];
    dolmen_tests::main(&[
        case("f32_scatters", RANKS, agrees::<f32>),
        case("f64_scatters", RANKS, agrees::<f64>),
        case("c32_scatters", RANKS, agrees::<Complex32>),
        case("c64_scatters", RANKS, agrees::<Complex64>),
        case("mistakes", &[1, 2, 3], mistakes),
        same_bits("f64_has_the_same_bits", RANKS, checksums::<f64>),
        same_bits("c32_has_the_same_bits", RANKS, checksums::<Complex32>),
    ])
}

const FROM: u64 = 31;
const TO: u64 = 17;
const PAIRS: u64 = 60;

/// All pairs; several have the same target.
fn pair(index: u64) -> (Gid, Gid) {
    let random = Philox::new(3);
    let below =
        |stream, end: u64| (0..end).rev().find(|&whole| whole as f64 <= random.uniform(stream, index) * end as f64);
    (below(0, FROM).unwrap_or(0), below(1, TO - 2).unwrap_or(0))
}

/// The pairs of each rank in its order; the second rank of three and more gives none.
fn given(ranks: usize, rank: usize) -> Vec<(Gid, Gid)> {
    let giver = |index: u64| match usize::try_from(index * 7 % 11).unwrap_or(0) % ranks {
        1 if ranks > 2 => 0,
        rank => rank,
    };
    (0..PAIRS).filter(|&index| giver(index) == rank).map(pair).collect()
}

fn plan(comm: &Comm, source: &Layout, target: &Layout) -> TestResult<Scatter> {
    let (from, to): (Vec<_>, Vec<_>) = given(comm.size(), comm.rank()).into_iter().unzip();
    Ok(Scatter::new(source, &from, target, &to)?)
}

fn whole<T: Scalar>(value: u64) -> T {
    let value = f64::from(u8::try_from(value * 13 % 19).unwrap_or(0));
    T::from_parts(value - 9.0, 4.0 - value)
}

/// Applies the definition, pair by pair in the order of the ranks.
fn expected<T: Scalar>(pairs: &[(Gid, Gid)], combine: Combine, old: impl Fn(Gid) -> T, x: impl Fn(Gid) -> T) -> Vec<T> {
    use dolmen_core::Real;
    let parts = |a: T, b: T, f: fn(f64, f64) -> f64| {
        T::from_parts(f(a.re().to_f64(), b.re().to_f64()), f(a.im().to_f64(), b.im().to_f64()))
    };
    let combined = |row: Gid| {
        pairs.iter().filter(|(_, to)| *to == row).fold(old(row), |y, &(from, _)| match combine {
            Combine::Add => y + x(from),
            Combine::Insert => x(from),
            Combine::Max => parts(y, x(from), f64::max),
            Combine::Min => parts(y, x(from), f64::min),
        })
    };
    let rows = pairs.iter().map(|(_, to)| *to).max().unwrap_or(0);
    (0..=rows).map(combined).collect()
}

fn agrees<T: Scalar>(comm: &Comm) -> TestResult {
    let (source, target) = (uneven_layout(comm, FROM)?, Layout::uniform(comm, TO));
    let scatter = plan(comm, &source, &target)?;
    let reversed = scatter.reversed()?;
    let all: Vec<_> = (0..comm.size()).flat_map(|rank| given(comm.size(), rank)).collect();
    let back: Vec<_> = all.iter().map(|&(from, to)| (to, from)).collect();
    let x = Vector::from_fn(&source, whole::<T>);
    let old = |row: Gid| whole::<T>(row + 5);
    for combine in [Combine::Add, Combine::Insert, Combine::Max, Combine::Min] {
        // Twice, as a plan is made to be used.
        for _ in 0..2 {
            let mut y = Vector::from_fn(&target, old);
            scatter.apply(&x, combine, &mut y)?;
            let wanted = expected(&all, combine, old, whole);
            let wrong =
                y.range().zip(y.owned()).find(|(row, value)| wanted.get(at(*row)).map_or(old(*row), |w| *w) != **value);
            comm.agree(wrong.map_or(Ok(()), |(row, value)| Err(format!("{combine:?}: entry {row} is {value}"))))?;
        }
        if combine == Combine::Insert {
            continue;
        }
        let y = Vector::from_fn(&target, old);
        let mut z = x.clone();
        reversed.apply(&y, combine, &mut z)?;
        let wanted = expected(&back, combine, whole, old);
        let wrong =
            z.range().zip(z.owned()).find(|(row, value)| wanted.get(at(*row)).map_or(whole(*row), |w| *w) != **value);
        comm.agree(wrong.map_or(Ok(()), |(row, value)| Err(format!("back, {combine:?}: entry {row} is {value}"))))?;
    }
    Ok(())
}

fn at(row: Gid) -> usize {
    usize::try_from(row).expect("a small vector")
}

fn mistakes(comm: &Comm) -> TestResult {
    let (source, target) = (Layout::uniform(comm, 8), Layout::uniform(comm, 5));
    let last = comm.rank() + 1 == comm.size();
    let with = |from: &[Gid], to: &[Gid]| {
        if last { Scatter::new(&source, from, &target, to) } else { Scatter::new(&source, &[], &target, &[]) }
    };
    fails(comm, with(&[8], &[0]), "source of a scatter: global index 8 is outside 0..8")?;
    fails(comm, with(&[0], &[5]), "target of a scatter: global index 5 is outside 0..5")?;
    fails(
        comm,
        with(&[0, 1], &[0]),
        "target indices of a scatter (one for each source): expected 2 local entries, found 1",
    )?;
    let scatter = with(&[7], &[4])?;
    let x = Vector::from_fn(&source, |_| 1.0);
    let mut y = Vector::<f64>::zeros(&target);
    fails(comm, scatter.apply(&y.clone(), Combine::Add, &mut y), "different layouts")?;
    fails(comm, scatter.apply(&x, Combine::Add, &mut x.clone()), "scatter: the operands live on different layouts")?;
    let elsewhere = Layout::uniform(&comm.duplicate(), 5);
    fails(comm, Scatter::new(&source, &[], &elsewhere, &[]), "different communicators")?;
    scatter.apply(&x, Combine::Insert, &mut y)?;
    assert_eq!(y.gather_all(), [0.0, 0.0, 0.0, 0.0, 1.0]);
    Ok(())
}

/// Sums that depend on their order if they are taken one by one.
fn checksums<T: Scalar>(comm: &Comm) -> TestResult<Checksums> {
    let (source, target) = (uneven_layout(comm, FROM)?, Layout::uniform(comm, TO));
    let scatter = plan(comm, &source, &target)?;
    let x = Vector::from_fn(&source, |row| varying(4, row));
    let mut y: Vector<T> = Vector::from_fn(&target, |row| varying(5, row));
    scatter.apply(&x, Combine::Add, &mut y)?;
    let mut z: Vector<T> = Vector::zeros(&source);
    scatter.reversed()?.apply(&y, Combine::Add, &mut z)?;
    let sums = [("there", y.owned()), ("and back", z.owned())];
    Ok(sums.map(|(name, values)| (name.to_owned(), checksum(comm, values))).to_vec())
}
