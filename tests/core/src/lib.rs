//! Common parts of the tests: distributions, values, comparison, and property tests in step.
//!
//! A property test runs on all ranks at once, with the same random numbers on each, and whether a
//! case fails is agreed. So all ranks see the same cases and shrink in the same steps.

use std::cell::RefCell;

use dolmen_core::random::Philox;
use dolmen_core::{Blocks, Comm, Layout, MultiVector, Real, Result, Scalar, Vector};
use dolmen_tests::TestResult;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

thread_local!(static FAILURE: RefCell<Option<String>> = const { RefCell::new(None) });

/// Notes a failure. What one rank finds must not make it leave the operations that all of them make
/// together, so cases go on to their end, and [`verdict`] tells.
pub fn require(holds: bool, what: impl FnOnce() -> String) {
    if !holds {
        FAILURE.with_borrow_mut(|failure| {
            failure.get_or_insert_with(what);
        });
    }
}

/// The first failure of the case so far, agreed over the ranks.
///
/// # Errors
/// A failure noted on any rank.
pub fn verdict(comm: &Comm) -> Result<()> {
    comm.agree(FAILURE.take().map_or(Ok(()), Err))
}

/// Runs `test` on random cases, in step on all ranks, and shrinks what fails.
///
/// # Errors
/// The smallest failing case.
pub fn property<S: Strategy>(
    comm: &Comm,
    cases: u32,
    strategy: S,
    test: impl Fn(&S::Value) -> TestResult,
) -> TestResult {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let result = runner.run(&strategy, |case| {
        // An error of the toolkit is the same on all ranks.
        let outcome = test(&case);
        let verdict = verdict(comm);
        outcome
            .map_err(|error| error.to_string())
            .and(verdict.map_err(|error| error.to_string()))
            .map_err(TestCaseError::fail)
    });
    Ok(result.map_err(|error| error.to_string())?)
}

/// All ranks fail alike, with a message that contains `part`.
///
/// # Errors
/// Success, or messages that differ between the ranks.
///
/// # Panics
/// On a message without `part`.
pub fn fails<V>(comm: &Comm, result: Result<V>, part: &str) -> TestResult {
    let message = result.err().ok_or_else(|| format!("no error that says '{part}'"))?.to_string();
    assert!(message.contains(part), "'{message}' does not say '{part}'");
    let first = comm.gather(0, message.as_bytes());
    let same = first.is_none_or(|all| all.iter().all(|other| *other == all[0]));
    Ok(comm.agree(if same { Ok(()) } else { Err("the ranks say different things") })?)
}

/// Rows for each rank; often none.
pub fn lengths(ranks: usize) -> impl Strategy<Value = Vec<u64>> {
    let length = prop_oneof![2 => 0..9u64, 1 => Just(0), 1 => 20..40u64];
    prop_oneof![
        8 => prop::collection::vec(length, ranks),
        1 => Just(vec![0; ranks]),
        1 => (0u64..4).prop_map(move |len| (0..ranks as u64).map(|rank| u64::from(rank < len)).collect()),
    ]
}

/// Two distributions of the same rows.
pub fn two_lengths(ranks: usize) -> impl Strategy<Value = (Vec<u64>, Vec<u64>)> {
    lengths(ranks).prop_flat_map(move |first| {
        let len: u64 = first.iter().sum();
        let second = prop::collection::vec(0..=len, ranks - 1).prop_map(move |mut cuts| {
            cuts.sort_unstable();
            cuts.push(len);
            let starts = std::iter::once(0).chain(cuts.clone());
            cuts.iter().zip(starts).map(|(end, start)| end - start).collect()
        });
        (Just(first), second)
    })
}

/// The layout of these numbers of rows.
///
/// # Panics
/// If there is not one for each rank.
pub fn layout(comm: &Comm, lengths: &[u64]) -> Layout {
    Layout::from_blocks(comm, Blocks::from_lengths(lengths).expect("short")).expect("one length a rank")
}

/// Number of rows on each of up to seven ranks; zero for an empty rank.
pub type Shares = [u64; 7];

/// Random shares; a quarter of the ranks has none.
pub fn shares() -> impl Strategy<Value = Shares> {
    prop::array::uniform7(0..4u64)
}

/// Blocks in proportion to the shares; even ones if all shares are zero.
///
/// # Errors
/// Of [`Layout::from_blocks`].
pub fn layout_of_shares(comm: &Comm, len: u64, shares: &Shares) -> TestResult<Layout> {
    let shares = &shares[..comm.size()];
    let all: u64 = shares.iter().sum();
    if all == 0 {
        return Ok(Layout::uniform(comm, len));
    }
    let offsets: Vec<u64> = (0..=shares.len()).map(|rank| len * shares[..rank].iter().sum::<u64>() / all).collect();
    Ok(Layout::from_blocks(comm, Blocks::from_offsets(&offsets)?)?)
}

/// Uneven blocks; from three ranks on the second of them is empty.
///
/// # Errors
/// Of [`Layout::from_blocks`].
pub fn uneven_layout(comm: &Comm, len: u64) -> TestResult<Layout> {
    let size = comm.size() as u64;
    let offset = |rank: u64| if rank == 2 && size > 2 { 1 } else { rank };
    let offsets: Vec<u64> = (0..=size).map(|rank| len * offset(rank).pow(2) / size.pow(2)).collect();
    Ok(Layout::from_blocks(comm, Blocks::from_offsets(&offsets)?)?)
}

/// FNV-1a over the bytes of all ranks' values in global order; of no bytes except on rank 0.
pub fn checksum<V: bytemuck::Pod>(comm: &Comm, mine: &[V]) -> u64 {
    let all = comm.gather(0, mine).into_iter().flatten().flatten();
    all.fold(0xCBF2_9CE4_8422_2325, |sum, value| {
        let bytes = bytemuck::bytes_of(&value);
        bytes.iter().fold(sum, |sum, &byte| (sum ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3))
    })
}

/// A number of full precision and varying size.
pub fn varying<T: Scalar>(stream: u64, index: u64) -> T {
    let random = Philox::new(5);
    let size = 2f64.powi(i32::from(u8::try_from(index % 40).unwrap_or(0)) - 20);
    T::from_parts(random.normal(stream, 2 * index) * size, random.normal(stream, 2 * index + 1) * size)
}

/// A number between -1 and 1 with both parts, from a seed and a row; never zero.
pub fn value<T: Scalar>(seed: u64, row: u64) -> T {
    let part = |salt: u64| {
        let mixed = (row + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (seed + salt).wrapping_mul(0xD6E8_FEB8_6659_FD93);
        let top = u32::try_from(mixed.wrapping_mul(0xFF51_AFD7_ED55_8CCD) >> 40).expect("24 bits");
        (f64::from(top) + 0.5) / f64::from(1 << 23) - 1.0
    };
    T::from_parts(part(0), part(1000))
}

/// All entries of the vector of a seed.
pub fn dense<T: Scalar>(seed: u64, len: u64) -> Vec<T> {
    (0..len).map(|row| value(seed, row)).collect()
}

/// The vector of a seed.
pub fn vector<T: Scalar>(layout: &Layout, seed: u64) -> Vector<T> {
    Vector::from_fn(layout, |row| value(seed, row))
}

/// Column `j` is the vector of seed `seed + j`.
pub fn multi_vector<T: Scalar>(layout: &Layout, columns: usize, seed: u64) -> MultiVector<T> {
    MultiVector::from_fn(layout, columns, |row, column| value(seed + column as u64, row))
}

/// Compares numbers to a few roundings of a size.
pub fn close<T: Scalar>(what: &str, found: T, expected: T, size: f64) {
    let error = (found - expected).abs().to_f64();
    let holds = error <= 32.0 * T::Real::EPSILON.to_f64() * size;
    require(holds, || format!("{what} of {}: {found} instead of {expected}", T::NAME));
}

/// Compares this rank's part of a vector with the whole.
pub fn same_entries<T: Scalar>(what: &str, found: &Vector<T>, expected: &[T]) {
    let right = found.global_len() == expected.len() as u64;
    require(right, || format!("{what}: {} entries instead of {}", found.global_len(), expected.len()));
    for (row, &entry) in found.range().zip(found.owned()) {
        let expected = usize::try_from(row).ok().and_then(|row| expected.get(row)).copied().unwrap_or_default();
        close(&format!("{what}, row {row}"), entry, expected, 1.0 + expected.abs().to_f64());
    }
}

/// The inner product, conjugating the first.
pub fn inner<T: Scalar>(a: &[T], b: &[T]) -> T {
    a.iter().zip(b).map(|(&a, &b)| a.conj() * b).sum()
}

/// Calls a generic function for all four scalars.
#[macro_export]
macro_rules! all_scalars {
    ($function:ident($($argument:expr),*)) => {{
        $function::<f32>($($argument),*)?;
        $function::<f64>($($argument),*)?;
        $function::<dolmen_core::Complex32>($($argument),*)?;
        $function::<dolmen_core::Complex64>($($argument),*)?;
    }};
}
