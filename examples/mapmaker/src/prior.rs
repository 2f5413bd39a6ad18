//! The noise prior of baseline offsets: `C_a^-1`, for each detector and stationary interval.
//!
//! Short baselines follow drifts that long ones miss, but few samples also let them follow white noise. What is
//! known of the noise keeps them from it (Keihanen et al. 2010): the offsets of one detector in one interval, a
//! [series](Series), are a stationary process with the spectrum of [`Spectrum`]. Its inverse covariance is applied by FFT, to the
//! series padded with zeros to at least twice its length; the kernel is used whole.
//!
//! A series is taken less its mean, and so is the result: the mean stays free, as an interval of any length can
//! have any offset, and a large one would be pulled to zero otherwise. Constants of baselines that
//! are linked, by pixels or by a series, are still in the null space.
//!
//! A series is multiplied whole, by the rank that owns its middle: the bits do not depend on the number of ranks. Baselines
//! without samples belong to it too: the prior fills gaps.

mod series;
mod spectrum;

use std::cell::RefCell;
use std::rc::Rc;

use dolmen_core::dense::{BandedCholesky, HermitianBanded};
use dolmen_core::{Combine, Comm, ExchangePlan, IndexMap, Layout, LinearOperator, Result as CoreResult, Vector};
use realfft::num_complex::Complex64;

use crate::baselines::Baselines;
use crate::error::Result;
use crate::filter::Filter;
use crate::tod::Description;
pub(crate) use series::Series;
use spectrum::Filters;

/// Part of its kernel's power that the band of the preconditioner has at least, where the widest band has it.
const POWER: f64 = 0.99999;
/// Narrowest and widest band of the preconditioner, in baselines beside the diagonal.
const WIDTH: std::ops::RangeInclusive<usize> = 10..=100;

/// Series that are solved for together.
const BESIDE: usize = 8;

/// The inverse covariance of the offsets.
pub(crate) struct Prior {
    plan: ExchangePlan,
    series: Vec<(Series, Rc<Filter>)>,
    work: RefCell<Work>,
}

#[derive(Default)]
struct Work {
    /// Offsets of this rank's series, and what is computed from them.
    values: Vec<f64>,
    padded: Vec<f64>,
    beside: Vec<[f64; BESIDE]>,
    spectrum: Vec<Complex64>,
    scratch: Vec<Complex64>,
}

impl Prior {
    /// Creates the prior from the noise of the detectors.
    ///
    /// # Collective
    ///
    /// # Errors
    /// More baselines than a rank can count.
    pub(crate) fn new(comm: &Comm, description: &Description, baselines: &Baselines) -> Result<Prior> {
        let layout = baselines.layout();
        let mut filters = Filters::default();
        let mut mine = Vec::new();
        let mut ids = Vec::new();
        let is_used = |series: &Series| description.detectors[series.detector].net.is_finite();
        let is_mine = |series: &Series| layout.owner(series.middle()) == Some(comm.rank());
        for series in baselines.series().filter(|series| is_used(series) && is_mine(series)) {
            ids.extend(series.baselines());
            mine.push(series);
        }
        let map = comm.agree(IndexMap::new(ids))?;
        let located = |mut series: Series| {
            series.locate(&map);
            let filter = filters.get(&description.detectors[series.detector], &series);
            (series, filter)
        };
        let series = mine.into_iter().map(located).collect();
        Ok(Prior { plan: ExchangePlan::new(layout, &map)?, series, work: RefCell::default() })
    }

    /// Adds the product with the prior to a vector.
    ///
    /// # Collective
    pub(crate) fn add(&self, x: &Vector<f64>, y: &mut Vector<f64>) {
        let Work { values, padded, spectrum, scratch, .. } = &mut *self.work.borrow_mut();
        let x = self.plan.start_import(x.owned(), 1).finish();
        values.clear();
        values.resize(x.len(), 0.0);
        for (series, filter) in &self.series {
            padded.clear();
            padded.extend(series.positions().map(|position| x[position]));
            subtract_mean(padded);
            filter.apply(padded, spectrum, scratch);
            padded.truncate(series.len());
            subtract_mean(padded);
            series.positions().zip(&*padded).for_each(|(position, &value)| values[position] = value);
        }
        drop(x);
        self.plan.start_export(values, 1).finish(Combine::Add, y.owned_mut());
    }

    /// Creates the preconditioner: the band of this prior plus the diagonal `F^T W F`.
    ///
    /// # Collective
    ///
    /// # Errors
    /// None in practice: a matrix that is not positive definite gets a larger diagonal.
    pub(crate) fn preconditioner<'p>(&'p self, layout: &'p Layout, energy: &[f64]) -> Result<BandPreconditioner<'p>> {
        let energy = self.plan.start_import(energy, 1).finish();
        let mut factors: Vec<Rc<Factor>> = Vec::new();
        for (series, filter) in &self.series {
            let diagonal: Vec<f64> = series.positions().map(|position| energy[position]).collect();
            // Intervals of one length seen by detectors of one noise have one matrix.
            let last = factors.iter().rev().take(8).find(|factor| factor.is_of(filter, &diagonal)).cloned();
            factors.push(last.unwrap_or_else(|| Rc::new(Factor::new(Rc::clone(filter), diagonal))));
        }
        Ok(BandPreconditioner { prior: self, layout, factors })
    }
}

fn subtract_mean(values: &mut [f64]) {
    #[expect(clippy::cast_precision_loss, reason = "fewer than 2^32 baselines")]
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    values.iter_mut().for_each(|value| *value -= mean);
}

/// The factored matrix of one series.
struct Factor {
    filter: Rc<Filter>,
    diagonal: Vec<f64>,
    cholesky: BandedCholesky<f64>,
}

impl Factor {
    fn new(filter: Rc<Filter>, diagonal: Vec<f64>) -> Factor {
        let band = filter.band(WIDTH, POWER, diagonal.len());
        let mut matrix = HermitianBanded::toeplitz(diagonal.len(), &band);
        matrix.add_to_diagonal(&diagonal).expect("invariant: a number for each baseline");
        // Without the rest of its kernel, and where no sample adds to its diagonal, a band need not be positive definite.
        let mut more = 1e-3 * band[0];
        loop {
            if let Ok(cholesky) = BandedCholesky::factor(&matrix) {
                return Factor { filter, diagonal, cholesky };
            }
            matrix.add_to_diagonal(&vec![more; diagonal.len()]).expect("invariant: a number for each baseline");
            more *= 2.0;
        }
    }

    fn is_of(&self, filter: &Rc<Filter>, diagonal: &[f64]) -> bool {
        Rc::ptr_eq(&self.filter, filter) && self.diagonal == diagonal
    }
}

/// The inverse of the prior's band plus the weights of the baselines, series by series.
pub(crate) struct BandPreconditioner<'p> {
    prior: &'p Prior,
    layout: &'p Layout,
    factors: Vec<Rc<Factor>>,
}

impl LinearOperator<f64> for BandPreconditioner<'_> {
    fn domain(&self) -> &Layout {
        self.layout
    }

    fn range(&self) -> &Layout {
        self.layout
    }

    fn compute(&self, x: &Vector<f64>, y: &mut Vector<f64>) -> CoreResult<()> {
        let Work { values, beside, .. } = &mut *self.prior.work.borrow_mut();
        let x = self.prior.plan.start_import(x.owned(), 1).finish();
        values.clear();
        values.resize(x.len(), 0.0);
        let mut next = 0;
        // Neighbors often have one matrix, and are solved for together.
        for factors in self.factors.chunk_by(Rc::ptr_eq) {
            for factors in factors.chunks(BESIDE) {
                let series = &self.prior.series[next..][..factors.len()];
                next += factors.len();
                beside.clear();
                beside.resize(series[0].0.len(), [0.0; BESIDE]);
                for (lane, (series, _)) in series.iter().enumerate() {
                    beside.iter_mut().zip(series.positions()).for_each(|(row, position)| row[lane] = x[position]);
                }
                factors[0].cholesky.solve_beside(beside).expect("invariant: a row for each baseline");
                for (lane, (series, _)) in series.iter().enumerate() {
                    beside.iter().zip(series.positions()).for_each(|(row, position)| values[position] = row[lane]);
                }
            }
        }
        drop(x);
        y.fill(0.0);
        self.prior.plan.start_export(values, 1).finish(Combine::Add, y.owned_mut());
        Ok(())
    }
}
