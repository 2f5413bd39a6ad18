//! Destriping: the offsets that explain what pixels disagree about.
//!
//! `F^T W Z F a = F^T W Z d` with `Z = I - P (P^T W P)^-1 P^T W` (Keihanen et al. 2005; Kurki-Suonio
//! et al. 2009, eq. 12). The matrix is never formed: it bins the offsets, scales by the inverse
//! pixel blocks, and sums what is left over each baseline. Two passes over the samples and one
//! export and import of the map for each application.

use std::cell::RefCell;

use dolmen_core::{Diagonal, Layout, LinearOperator, Snapshot, Vector, index::at};
use dolmen_solvers::{Cg, Monitor, SolveReport, StopReason};

use crate::binning::{Binning, Workspace, largest, weights};
use crate::components::ComponentMeans;
use crate::config::DestripeConfig;
use crate::error::{Error, Result};
use crate::marked_snapshots::Marked;
use crate::pixel_blocks::{multiply, packed_len};
use crate::pixels::Pixels;
use crate::samples::{Part, Samples};

/// The map-making operators of a run with `N` Stokes parameters.
pub struct Destriper<'a, const N: usize> {
    binning: Binning<'a>,
    baselines: &'a Layout,
    /// Packed inverse blocks of owned pixels; zero where a pixel is not solved.
    inverse: &'a [f64],
    work: RefCell<Work>,
}

#[derive(Default)]
struct Work {
    sums: Workspace,
    map: Vec<f64>,
}

/// The outcome of a solve for offsets.
pub struct Offsets {
    /// One amplitude for each baseline.
    pub amplitudes: Vector<f64>,
    /// The solver's report.
    pub report: SolveReport,
    /// Dimension of the null space that was projected out.
    pub components: usize,
}

impl<'a, const N: usize> Destriper<'a, N> {
    /// Creates the operator from the inverse blocks of the pixels that this rank owns.
    pub fn new(binning: Binning<'a>, baselines: &'a Layout, inverse: &'a [f64]) -> Destriper<'a, N> {
        Destriper { binning, baselines, inverse, work: RefCell::default() }
    }

    fn samples(&self) -> &'a Samples {
        self.binning.samples
    }

    fn pixels(&self) -> &'a Pixels {
        self.binning.pixels
    }

    /// Computes the map `(P^T W P)^-1 P^T W v` of a timeline, `N` values for each owned pixel.
    ///
    /// # Collective
    fn bin(&self, part: Part, largest: f64, work: &mut Work, value: impl Fn(usize, usize) -> f64) {
        let Work { sums, map } = work;
        self.binning.sum_values::<N>(part, largest, value, sums, map);
        for (stokes, block) in map.as_chunks_mut::<N>().0.iter_mut().zip(self.inverse.chunks_exact(packed_len(N))) {
            *stokes = multiply(block, *stokes);
        }
    }

    /// Computes `F^T W (v - P m)`: what is left of a timeline, summed over each baseline in time order.
    fn sum_residuals(&self, map: &[f64], sums: &mut [f64], value: impl Fn(usize, usize) -> f64) {
        let map = self.pixels().plan.start_import(map, N).finish();
        let samples = self.samples();
        for (baseline, sum) in sums.iter_mut().enumerate() {
            let mut left = 0.0;
            for i in samples.range(baseline, Part::Solved) {
                let stokes = &map[at(samples.pixel[i]) * N..][..N];
                let mut sky = 0.0;
                for (m, w) in stokes.iter().zip(weights::<N>(samples.cos[i], samples.sin[i])) {
                    sky += m * w;
                }
                left += value(baseline, i) - sky;
            }
            *sum = samples.weight[baseline] * left;
        }
    }

    /// Computes the map of the signal less the offsets, from all good samples.
    ///
    /// # Collective
    pub fn map(&self, offsets: Option<&Vector<f64>>) -> Vec<f64> {
        let offset = |baseline: usize| offsets.map_or(0.0, |offsets| offsets.owned()[baseline]);
        let cleaned = |baseline: usize, i: usize| self.samples().signal[i] - offset(baseline);
        let each = (0..self.samples().baselines())
            .flat_map(|baseline| self.samples().range(baseline, Part::All).map(move |i| cleaned(baseline, i)));
        let largest = largest(self.pixels(), each);
        let mut work = Work::default();
        self.bin(Part::All, largest, &mut work, cleaned);
        work.map
    }

    /// Returns `F^T W Z d`.
    fn right_hand_side(&self) -> Vector<f64> {
        let signal = |_: usize, i: usize| self.samples().signal[i];
        let largest = largest(self.pixels(), self.samples().signal.iter().copied());
        let mut work = Work::default();
        self.bin(Part::Solved, largest, &mut work, signal);
        let mut rhs = Vector::zeros(self.baselines);
        self.sum_residuals(&work.map, rhs.owned_mut(), signal);
        rhs
    }

    /// Returns the inverse of `diag(F^T W F)`; one for baselines without samples, whose offset is zero.
    fn preconditioner(&self) -> Diagonal<f64> {
        let mut inverse = Vector::zeros(self.baselines);
        for (baseline, inverse) in inverse.owned_mut().iter_mut().enumerate() {
            let hits = self.samples().range(baseline, Part::Solved).len();
            #[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
            let energy = self.samples().weight[baseline] * hits as f64;
            *inverse = if hits > 0 { 1.0 / energy } else { 1.0 };
        }
        Diagonal::new(inverse)
    }

    /// Solves for the offsets by conjugate gradients, from the start or from a snapshot.
    ///
    /// # Collective
    ///
    /// # Errors
    /// The solve diverged, stalled, reached its iteration limit or was asked to stop; or the snapshot is
    /// one of another solve, or of other data.
    pub fn solve(
        &self,
        config: &DestripeConfig,
        monitor: &mut dyn Monitor<f64>,
        resume: Option<&Snapshot<f64>>,
    ) -> Result<Offsets> {
        let rhs = self.right_hand_side();
        let preconditioner = self.preconditioner();
        let mut amplitudes = Vector::zeros(self.baselines);
        let mut marked = Marked::new(monitor, &rhs, preconditioner.entries())?;
        resume.map_or(Ok(()), |snapshot| marked.require(snapshot))?;
        let mut cg = Cg::new()
            .rtol(config.tolerance)
            .max_iterations(config.max_iterations)
            .preconditioner(&preconditioner)
            .monitor(&mut marked);
        if let Some(snapshot) = resume {
            cg = cg.resume(snapshot);
        }
        // A constant is a sky of constant intensity; a map of Q and U alone cannot hold it.
        let has_intensity = N != 2;
        let means = has_intensity.then(|| ComponentMeans::find(self.pixels(), self.samples(), self.baselines));
        let report = match &means {
            Some(means) => cg.projection(means).solve(self, &rhs, &mut amplitudes)?,
            None => cg.solve(self, &rhs, &mut amplitudes)?,
        };
        if report.reason == StopReason::Requested {
            return Err(Error::Stopped { iterations: report.iterations });
        }
        if report.reason == StopReason::IterationLimit {
            return Err(Error::IterationLimit { outcome: report.outcome(), advice: String::new() });
        }
        if !report.converged() {
            return Err(Error::NotConverged(report.outcome()));
        }
        Ok(Offsets { amplitudes, report, components: means.map_or(0, |means| means.count()) })
    }
}

impl<const N: usize> LinearOperator<f64> for Destriper<'_, N> {
    fn domain(&self) -> &Layout {
        self.baselines
    }

    fn range(&self) -> &Layout {
        self.baselines
    }

    fn compute(&self, x: &Vector<f64>, y: &mut Vector<f64>) -> dolmen_core::Result<()> {
        let work = &mut *self.work.borrow_mut();
        let offset = |baseline: usize, _: usize| x.owned()[baseline];
        self.bin(Part::Solved, x.norm_inf(), work, offset);
        self.sum_residuals(&work.map, y.owned_mut(), offset);
        Ok(())
    }
}
