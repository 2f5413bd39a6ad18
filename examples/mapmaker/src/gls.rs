//! Maps by generalized least squares: `(P^T N^-1 P) m = P^T N^-1 d` (Tegmark 1997, the map of least variance).
//!
//! The noise of a detector is stationary in an interval, with the spectrum that the timelines say, and intervals are
//! independent. `N^-1` is applied by FFT on a period that is longer than the interval, so that its end does not join its
//! beginning. Samples that are not to count have values of their own to solve for: flagged ones, those in pixels that are
//! not solved, and those between the end of an interval and that of its period. The solution is the one without them, with
//! the exact inverse covariance of the others, and no sample is made up. The mean of each series is free.
//!
//! So the unknowns are a map and the values of the gaps, stacked. A rank has whole series, which it reads itself; sums
//! over pixels are made in fixed point ([`fixed_point`](crate::fixed_point)), with the same bits on any number of ranks.

mod timelines;

use std::cell::RefCell;

use dolmen_core::index::at;
use dolmen_core::{BlockLayout, Combine, Comm, Layout, LinearOperator, Result as CoreResult, Snapshot, Stored, Vector};
use dolmen_io::fits::UNSEEN;
use dolmen_solvers::{Cg, Monitor, SolveReport};
use realfft::num_complex::Complex64;

use crate::config::{Convention, GlsConfig};
use crate::error::Result;
use crate::fixed_point::Converter;
use crate::healpix::Healpix;
use crate::marked_snapshots::Marked;
use crate::merging::weights;
use crate::pixel_blocks::multiply_each;
use crate::pixels::Pixels;
use crate::solved::{is_limited, outcome};
use crate::statistics::mean;
use crate::tod::Tod;
use timelines::{GAP, Series, Timelines};

/// Digits of a sum over the samples of a pixel.
const DIGITS: usize = 2;

/// A map by generalized least squares.
pub struct GlsMap {
    /// The map at owned pixels, interleaved.
    pub map: Vec<f64>,
    /// The solver's report.
    pub report: SolveReport,
    /// True if the tolerance is below what rounding allows, and the residual is as small as it gets.
    pub limited: bool,
    /// Samples that were solved for, because they are flagged, in no solved pixel, or behind the end of an interval.
    pub gaps: u64,
}

impl GlsMap {
    /// Returns the outcome of the solve in words.
    pub fn outcome(&self) -> String {
        outcome(&self.report, self.limited, "gls.tolerance")
    }
}

/// Results of binning at the pixels that a rank owns.
#[derive(Clone, Copy)]
pub(crate) struct Binned<'b> {
    /// The binned map, interleaved.
    pub(crate) map: &'b [f64],
    /// Packed inverse blocks; zero where a pixel is not solved.
    pub(crate) covariance: &'b [f64],
    /// True for each pixel that is solved.
    pub(crate) solved: &'b [bool],
}

/// The system of a map of `N` Stokes parameters, whose samples are stored as `S`.
pub(crate) struct Gls<'b, const N: usize, S> {
    binned: Binned<'b>,
    pixels: Pixels,
    timelines: Timelines<N, S>,
    /// Pixels times Stokes parameters, then gaps.
    blocks: BlockLayout,
    /// Samples of all ranks.
    samples: u64,
    work: RefCell<Work>,
}

#[derive(Default)]
struct Work {
    values: Vec<f64>,
    spectrum: Vec<Complex64>,
    scratch: Vec<Complex64>,
    sums: Vec<i64>,
    owned: Vec<i64>,
}

impl<'b, const N: usize, S: Stored> Gls<'b, N, S> {
    /// Reads this rank's series of the timelines; returns with the system its right-hand side.
    ///
    /// # Collective
    ///
    /// # Errors
    /// A sample that cannot be read or is bad; more pixels than a rank can count; the same on all ranks.
    pub(crate) fn read(
        comm: &Comm,
        tod: &Tod,
        healpix: Healpix,
        convention: Convention,
        binned: Binned<'b>,
    ) -> Result<(Self, Vector<f64>)> {
        let (mut timelines, pixels) = Timelines::<N, S>::read(comm, tod, healpix, convention)?;
        let solved: Vec<u8> = binned.solved.iter().map(|&solved| u8::from(solved)).collect();
        timelines.leave_out_unsolved(&pixels.plan.start_import(&solved, 1).finish());
        let map = pixels.layout.refined(N)?;
        let gaps = Layout::from_local_len(comm, timelines.gaps())?;
        let blocks = BlockLayout::new(&[&map, &gaps])?;
        let signal = timelines.take_signal();
        let mut samples = [signal.len() as u64];
        comm.all_reduce_sum(&mut samples);
        let gls = Gls { binned, pixels, timelines, blocks, samples: samples[0], work: RefCell::default() };
        let rhs = gls.right_hand_side(&signal)?;
        Ok((gls, rhs))
    }

    fn right_hand_side(&self, signal: &[S]) -> Result<Vector<f64>> {
        let good = signal.iter().zip(&self.timelines.numbers).filter(|(_, number)| **number != GAP);
        let largest = good.fold(0.0f64, |largest, (value, _)| largest.max(value.widened().abs()));
        let mut rhs = Vector::zeros(self.blocks.stacked());
        self.project(largest, &mut rhs, |series, values| {
            let samples = series.samples.clone();
            let both = values.iter_mut().zip(signal[samples.clone()].iter().zip(&self.timelines.numbers[samples]));
            both.for_each(|(slot, (value, &number))| *slot = if number == GAP { 0.0 } else { value.widened() });
        })?;
        Ok(rhs)
    }

    /// Solves for the map by conjugate gradients, from the binned map or from a snapshot.
    ///
    /// # Collective
    ///
    /// # Errors
    /// The solve diverged, stalled, reached its iteration limit or was asked to stop; or the snapshot is
    /// one of another solve, or of other data.
    pub(crate) fn solve(
        &self,
        config: &GlsConfig,
        rhs: &Vector<f64>,
        monitor: &mut dyn Monitor<f64>,
        resume: Option<&Snapshot<f64>>,
    ) -> Result<GlsMap> {
        let mut x = Vector::zeros(self.blocks.stacked());
        self.blocks.block_mut(&mut x, 0)?.copy_from_slice(self.binned.map);
        let preconditioner = self.preconditioner();
        let mut marked = Marked::new(monitor, rhs, &x)?;
        resume.map_or(Ok(()), |snapshot| marked.require(snapshot))?;
        let cg = Cg::new()
            .rtol(config.tolerance)
            .max_iterations(config.max_iterations)
            .preconditioner(&preconditioner)
            .monitor(&mut marked);
        let cg = if let Some(snapshot) = resume { cg.resume(snapshot) } else { cg };
        let report = cg.solve(self, rhs, &mut x)?;
        let limited = is_limited("GLS", &report)?;
        let mut map = self.blocks.block(&x, 0)?.to_vec();
        if N != 2 {
            self.set_mean(&mut map);
        }
        Ok(GlsMap { map, report, limited, gaps: self.blocks.blocks()[1].global_len() })
    }

    /// Gives the intensity the mean of the binned map, since a constant is in the null space.
    fn set_mean(&self, map: &mut [f64]) {
        let pixels = map.iter().step_by(N).zip(self.binned.map.iter().step_by(N)).zip(self.binned.solved);
        let difference = |((map, binned), &solved): ((&f64, &f64), &bool)| if solved { binned - map } else { UNSEEN };
        let differences: Vec<f64> = pixels.map(difference).collect();
        let shift = mean(&self.pixels.layout, &differences, |value| value);
        let intensities = map.iter_mut().step_by(N).zip(self.binned.solved);
        intensities.filter(|(_, solved)| **solved).for_each(|(value, _)| *value += shift);
    }

    /// Computes `y = [P G]^T N^-1 v` of timelines `v` whose samples are at most `largest`; `fill` gives those of a series
    /// over its period.
    ///
    /// # Collective
    fn project(&self, largest: f64, y: &mut Vector<f64>, mut fill: impl FnMut(&Series, &mut [f64])) -> CoreResult<()> {
        let comm = self.pixels.layout.comm();
        let mut bounds = [largest, self.timelines.gain];
        comm.all_reduce_max(&mut bounds);
        let converter = Converter::new(bounds[0] * bounds[1], self.samples);
        let Work { values, spectrum, scratch, sums, owned } = &mut *self.work.borrow_mut();
        sums.clear();
        sums.resize(self.pixels.seen.len() * N * DIGITS, 0);
        let mut gaps = self.blocks.block_mut(y, 1)?.iter_mut();
        for series in &self.timelines.series {
            values.clear();
            values.resize(series.filter.period(), 0.0);
            fill(series, values);
            series.filter.apply(values, spectrum, scratch);
            let (inside, behind) = values.split_at(series.samples.len());
            for (&value, sample) in inside.iter().zip(self.timelines.samples(series)) {
                if sample.number == GAP {
                    *gaps.next().expect("invariant: a gap for each sample without a pixel") = value;
                    continue;
                }
                let pixel = &mut sums[at(sample.number) * N * DIGITS..][..N * DIGITS];
                let weights = weights::<N>(sample.cos, sample.sin);
                for (sum, weight) in pixel.as_chunks_mut::<DIGITS>().0.iter_mut().zip(weights) {
                    converter.add(weight * value, sum);
                }
            }
            behind.iter().zip(&mut gaps).for_each(|(&value, gap)| *gap = value);
        }
        owned.clear();
        owned.resize(self.pixels.layout.local_len() * N * DIGITS, 0);
        self.pixels.plan.start_export(sums, N * DIGITS).finish(Combine::Add, owned);
        let map = self.blocks.block_mut(y, 0)?;
        map.iter_mut().zip(owned.as_chunks::<DIGITS>().0).for_each(|(value, sum)| *value = converter.value(sum));
        Ok(())
    }

    fn preconditioner(&self) -> Preconditioner<'_, N> {
        let series = self.timelines.series.iter();
        let variances = series.flat_map(|series| std::iter::repeat_n(series.variance, series.gaps)).collect();
        Preconditioner { blocks: &self.blocks, covariance: self.binned.covariance, variances }
    }
}

impl<const N: usize, S: Stored> LinearOperator<f64> for Gls<'_, N, S> {
    fn domain(&self) -> &Layout {
        self.blocks.stacked()
    }

    fn range(&self) -> &Layout {
        self.blocks.stacked()
    }

    fn compute(&self, x: &Vector<f64>, y: &mut Vector<f64>) -> CoreResult<()> {
        let (map, gaps) = (self.blocks.block(x, 0)?, self.blocks.block(x, 1)?);
        let size = |stokes: &[f64]| stokes.iter().map(|value| value.abs()).sum::<f64>();
        let largest = map.chunks_exact(N).map(size).chain(gaps.iter().map(|gap| gap.abs())).fold(0.0, f64::max);
        let seen = self.pixels.plan.start_import(map, N).finish();
        let mut gaps = gaps.iter();
        self.project(largest, y, |series, values| {
            let (inside, behind) = values.split_at_mut(series.samples.len());
            let mut gap = || *gaps.next().expect("invariant: a gap for each sample without a pixel");
            for (value, sample) in inside.iter_mut().zip(self.timelines.samples(series)) {
                if sample.number == GAP {
                    *value = gap();
                    continue;
                }
                let stokes = &seen[at(sample.number) * N..][..N];
                *value = weights::<N>(sample.cos, sample.sin).iter().zip(stokes).map(|(w, s)| w * s).sum();
            }
            behind.fill_with(gap);
        })
    }
}

/// The inverse of the system for white noise: the inverse blocks of the pixels, and the variance of each gap.
struct Preconditioner<'g, const N: usize> {
    blocks: &'g BlockLayout,
    covariance: &'g [f64],
    variances: Vec<f64>,
}

impl<const N: usize> LinearOperator<f64> for Preconditioner<'_, N> {
    fn domain(&self) -> &Layout {
        self.blocks.stacked()
    }

    fn range(&self) -> &Layout {
        self.blocks.stacked()
    }

    fn compute(&self, x: &Vector<f64>, y: &mut Vector<f64>) -> CoreResult<()> {
        y.copy_from(x)?;
        multiply_each::<N>(self.covariance, self.blocks.block_mut(y, 0)?);
        let gaps = self.blocks.block_mut(y, 1)?.iter_mut().zip(&self.variances);
        gaps.for_each(|(gap, variance)| *gap *= variance);
        Ok(())
    }
}
