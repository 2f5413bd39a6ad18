//! Random matrices: shapes, distributions and entries, the same on all ranks.

use dolmen_core::{Comm, CsrMatrix, Layout, Scalar};
use dolmen_core_tests::{Shares, layout_of_shares, shares};
use dolmen_tests::TestResult;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

use crate::dense::Dense;
use crate::findings::Findings;

/// Entries with small whole parts, so that sums and products of few are exact in any order.
#[derive(Clone, Debug)]
pub(crate) struct Entries {
    places: Vec<(u16, u16, i8, i8)>,
    /// Diagonals that are filled, for rows that are alike; their values repeat every so many rows.
    bands: u64,
    period: u64,
}

/// A square matrix and two that are as high, on uneven layouts of rows and columns.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) rows: u64,
    pub(crate) columns: u64,
    row_shares: Shares,
    column_shares: Shares,
    pub(crate) square: Entries,
    pub(crate) tall: Entries,
    pub(crate) other: Entries,
}

fn entries() -> impl Strategy<Value = Entries> {
    let part = -7i8..8;
    let places = prop::collection::vec((any::<u16>(), any::<u16>(), part.clone(), part), 0..60);
    (places, 0u64..4, 1u64..4).prop_map(|(places, bands, period)| Entries { places, bands, period })
}

fn samples() -> impl Strategy<Value = Sample> {
    // As often large enough for runs of alike rows.
    let sizes = (0u64..60, 0u64..50);
    (sizes, shares(), shares(), entries(), entries(), entries()).prop_map(
        |((rows, columns), row_shares, column_shares, square, tall, other)| Sample {
            rows,
            columns,
            row_shares,
            column_shares,
            square,
            tall,
            other,
        },
    )
}

/// Checks random samples. All ranks draw the same ones, do the same collective calls and agree on
/// the outcome before it is judged, so that shrinking stays in step too.
pub(crate) fn check(comm: &Comm, of: impl Fn(&Comm, &Sample, &mut Findings) -> TestResult) -> TestResult {
    let config = Config { cases: 40, failure_persistence: None, ..Config::default() };
    let seed = TestRng::from_seed(RngAlgorithm::ChaCha, &[23; 32]);
    TestRunner::new_with_rng(config, seed)
        .run(&samples(), |sample| {
            let mut findings = Findings::default();
            let done = of(comm, &sample, &mut findings).map_err(|error| error.to_string());
            comm.agree(done.and_then(|()| findings.outcome())).map_err(|error| TestCaseError::fail(error.to_string()))
        })
        .map_err(|error| error.to_string())?;
    Ok(())
}

impl Sample {
    /// The layouts of rows and of columns.
    pub(crate) fn layouts(&self, comm: &Comm) -> TestResult<(Layout, Layout)> {
        Ok((
            layout_of_shares(comm, self.rows, &self.row_shares)?,
            layout_of_shares(comm, self.columns, &self.column_shares)?,
        ))
    }
}

impl Entries {
    /// As a dense matrix; of several entries in one place the last counts.
    pub(crate) fn dense<T: Scalar>(&self, rows: u64, columns: u64) -> Dense<T> {
        let at = |index| usize::try_from(index).expect("a small matrix");
        let mut dense = Dense::empty(at(rows), at(columns));
        let number = |re: i8, im: i8| T::from_parts(f64::from(re), f64::from(im));
        for (row, band) in (0..rows).flat_map(|row| (0..self.bands).map(move |band| (row, band))) {
            let value = T::from_parts((row % self.period) as f64 - 1.0, band as f64);
            if (3..rows.max(8) - 4).contains(&row) && row + band < columns {
                dense.rows[at(row)][at(row + band)] = Some(value);
            }
        }
        for &(row, column, re, im) in self.places.iter().filter(|_| rows * columns > 0) {
            // Few rows, so that the bands keep runs of alike rows.
            let row = u64::from(row) % rows.div_ceil(2);
            dense.rows[at(row)][at(u64::from(column) % columns)] = Some(number(re, im));
        }
        dense
    }
}

/// The dense matrix, distributed.
pub(crate) fn matrix<T: Scalar>(range: &Layout, domain: &Layout, dense: &Dense<T>) -> TestResult<CsrMatrix<T>> {
    Ok(CsrMatrix::from_rows(range, domain, |row, entries| {
        let row = &dense.rows[usize::try_from(row).expect("a small matrix")];
        (0..).zip(row).filter_map(|(column, value)| Some((column, (*value)?))).for_each(|(j, v)| entries.push(j, v));
    })?)
}
