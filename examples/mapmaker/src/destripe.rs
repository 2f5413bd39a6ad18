//! Destriping: the offsets that explain what pixels disagree about.
//!
//! `F^T W Z F a = F^T W Z d` with `Z = I - P (P^T W P)^-1 P^T W` (Keihanen et al. 2005; Kurki-Suonio
//! et al. 2009, eq. 12). With `A = P^T W F`, a sparse matrix of blocks of Stokes parameters by one,
//! the left side is `(F^T W F - A^T (P^T W P)^-1 A) a`: no samples are needed. One application reads the pairs of pixels
//! and baselines twice, once on each side of an exchange of the map.
//!
//! With a prior, its inverse covariance `C_a^-1` is added to the left side ([`prior`](crate::prior)); with templates there
//! are more unknowns ([`templates`](crate::templates)).
//!
//! Samples of a baseline have one weight. `A` is stored without it, so that for intensity it holds
//! numbers of samples, which single precision keeps exactly.

use std::cell::{Cell, RefCell};

use dolmen_core::{AdjointOperator, Result as CoreResult};
use dolmen_core::{ColumnBlockMatrix, Diagonal, Layout, LinearOperator, Snapshot, Stored, Vector};
use dolmen_solvers::{Cg, Monitor, SolveReport};

use crate::baselines::Baselines;
use crate::components::{ComponentMeans, Meetings};
use crate::compressed::BaselineSums;
use crate::config::DestripeConfig;
use crate::error::Result;
use crate::marked_snapshots::Marked;
use crate::pairs::{Rows, Sorted};
use crate::pixel_blocks::{multiply_each, packed_len};
use crate::prior::Prior;
use crate::solved::{is_limited, outcome};
use crate::templates::{Coupled, Coupling, Extended, OffsetsOnly, TemplateAmplitudes, Templates};

/// The system for the offsets of a run with `N` Stokes parameters, whose pairs are stored as `S`.
pub(crate) struct Destriper<'a, const N: usize, S> {
    baselines: &'a Layout,
    /// Packed inverse blocks of owned pixels; zero where a pixel is not solved.
    inverse: &'a [f64],
    /// `P^T W F` in pixels that take part in the solve, without weights.
    pairs: ColumnBlockMatrix<S>,
    /// The same in the other pixels of the map.
    masked: ColumnBlockMatrix<S>,
    /// Weight of the samples of each baseline.
    weight: Vec<f64>,
    /// `F^T W F`: the weight of all samples of a baseline that take part.
    energy: Vec<f64>,
    /// Sum of the signal of these samples, without weight.
    signal: Vec<f64>,
    /// Sets of baselines that are linked.
    components: Option<ComponentMeans>,
    prior: Option<Prior>,
    templates: Option<Templates>,
    work: RefCell<Work>,
}

struct Work {
    weighted: Vector<f64>,
    map: Vector<f64>,
}

/// The outcome of a solve for offsets.
pub struct Offsets {
    /// One amplitude for each baseline.
    pub amplitudes: Vector<f64>,
    /// Amplitudes of the templates, if there are any.
    pub templates: Option<TemplateAmplitudes>,
    /// The solver's report.
    pub report: SolveReport,
    /// Dimension of the null space that was projected out.
    pub components: usize,
    /// True if the amplitudes have a noise prior.
    pub prior: bool,
    /// True for each baseline whose amplitude is determined; the others have zero.
    pub determined: Vec<bool>,
    /// True if the tolerance is below what rounding allows, and the residual is as small as it gets.
    pub limited: bool,
}

impl Offsets {
    /// Returns the outcome of the solve in words.
    pub fn outcome(&self) -> String {
        outcome(&self.report, self.limited, "destripe.tolerance")
    }
}

impl<'a, const N: usize, S: Stored> Destriper<'a, N, S> {
    /// Creates the system from sorted pairs and from the inverse blocks of the pixels that this rank owns.
    ///
    /// # Collective
    ///
    /// # Errors
    /// None in practice: pixels and baselines are those of the layouts.
    pub(crate) fn new(
        pixels: &Layout,
        baselines: &'a Baselines,
        sums: &[BaselineSums],
        sorted: Sorted<S>,
        inverse: &'a [f64],
        (prior, templates): (Option<Prior>, Option<Templates>),
    ) -> Result<Self> {
        let layout = baselines.layout();
        let Sorted { solve, map, hits, left_out } = sorted;
        let components = find_components::<N, S>(pixels, baselines, &solve, prior.is_some())?;
        let matrix = |Rows { ids, starts, columns, values }: Rows<S>| {
            ColumnBlockMatrix::from_rows(pixels, layout, [N, 1], ids, starts, columns, values)
        };
        let (pairs, masked) = (matrix(solve)?, matrix(map)?);
        #[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
        let energy = sums.iter().zip(hits).map(|(sum, hits)| sum.weight * hits as f64).collect();
        let signal = sums.iter().zip(left_out).map(|(sum, left_out)| sum.signal - left_out).collect();
        let work = Work { weighted: Vector::zeros(layout), map: Vector::zeros(pairs.range()) };
        let weight = sums.iter().map(|sum| sum.weight).collect();
        Ok(Destriper {
            baselines: layout,
            inverse,
            pairs,
            masked,
            weight,
            energy,
            signal,
            components,
            prior,
            templates,
            work: RefCell::new(work),
        })
    }

    /// Computes the map of the signal less what a solve found from the map of the signal. Of a part of the timelines,
    /// `binned` and the inverse blocks are those of the part, and `members` has the baselines that it has.
    ///
    /// # Collective
    ///
    /// # Errors
    /// None in practice: the layouts fit.
    pub(crate) fn destriped(
        &self,
        binned: &[f64],
        inverse: &[f64],
        found: &Offsets,
        members: Option<&[bool]>,
    ) -> Result<Vec<f64>> {
        let mut amplitudes = found.amplitudes.clone();
        if let Some(members) = members {
            let of_others = amplitudes.owned_mut().iter_mut().zip(members).filter(|(_, member)| !**member);
            of_others.for_each(|(amplitude, _)| *amplitude = 0.0);
        }
        let mut sum = Vector::zeros(self.pairs.range());
        {
            let Work { weighted, map } = &mut *self.work.borrow_mut();
            self.weigh(&amplitudes, weighted);
            for pairs in [&self.pairs, &self.masked] {
                pairs.apply(weighted, map)?;
                sum.axpy(1.0, map)?;
            }
        }
        if let (Some(templates), Some(found)) = (&self.templates, &found.templates) {
            templates.add_to(&templates.of_part(&found.values, members), true, &mut sum)?;
        }
        multiply_each::<N>(inverse, sum.owned_mut());
        Ok(binned.iter().zip(sum.owned()).map(|(signal, drift)| signal - drift).collect())
    }

    fn weigh(&self, x: &Vector<f64>, weighted: &mut Vector<f64>) {
        let entries = x.owned().iter().zip(&self.weight);
        weighted.owned_mut().iter_mut().zip(entries).for_each(|(weighted, (x, weight))| *weighted = x * weight);
    }

    /// Returns the text that tells of parts of the sky that no baseline connects, if there are several.
    ///
    /// # Collective
    pub(crate) fn note(&self) -> Option<String> {
        let parts = self.components.as_ref()?.count_with(|baseline| self.energy[baseline] > 0.0);
        (parts > 1).then(|| {
            format!(
                "no baseline connects {parts} parts of the sky, so the mean of I in each of them is arbitrary; make a map \
                 of each"
            )
        })
    }

    /// Computes `y = (F^T W F + C_a^-1) x - F^T W P m`, where `m` is the map of `P^T W F x` and of the other sums over pixels
    /// that are given, which it replaces.
    ///
    /// # Collective
    ///
    /// # Errors
    /// The vectors are on other layouts.
    pub(crate) fn compute_beside(
        &self,
        x: &Vector<f64>,
        sums: &mut Vector<f64>,
        y: &mut Vector<f64>,
    ) -> CoreResult<()> {
        let Work { weighted, map } = &mut *self.work.borrow_mut();
        self.weigh(x, weighted);
        let others = Cell::from_mut(sums.owned_mut()).as_slice_of_cells();
        let solve_pixel = |pixel: usize, stokes: &mut [f64]| {
            let others = &others[pixel * N..][..N];
            stokes.iter_mut().zip(others).for_each(|(sum, other)| *sum += other.get());
            self.solve_pixel(pixel, stokes);
            others.iter().zip(&*stokes).for_each(|(other, &value)| other.set(value));
        };
        self.pairs.multiply_through(weighted, solve_pixel, map, y)?;
        self.add_own(x, y);
        Ok(())
    }

    /// Makes the map of the sums in a pixel.
    fn solve_pixel(&self, pixel: usize, stokes: &mut [f64]) {
        multiply_each::<N>(&self.inverse[pixel * packed_len(N)..][..packed_len(N)], stokes);
    }

    /// Replaces `y`, the sums over the samples of baselines of a map `m` without their weight, by
    /// `(F^T W F + C_a^-1) x - F^T W P m`.
    fn add_own(&self, x: &Vector<f64>, y: &mut Vector<f64>) {
        let baselines = self.energy.iter().zip(&self.weight).zip(x.owned());
        for (y, ((energy, weight), x)) in y.owned_mut().iter_mut().zip(baselines) {
            *y = energy * x - weight * *y;
        }
        if let Some(prior) = &self.prior {
            prior.add(x, y);
        }
    }

    /// Returns `F^T W Z d`, from the map of the signal.
    fn right_hand_side(&self, map: &Vector<f64>) -> Result<Vector<f64>> {
        let mut rhs = Vector::zeros(self.baselines);
        self.pairs.apply_adjoint(map, &mut rhs)?;
        for (rhs, (signal, weight)) in rhs.owned_mut().iter_mut().zip(self.signal.iter().zip(&self.weight)) {
            *rhs = weight * (signal - *rhs);
        }
        Ok(rhs)
    }

    /// Returns the inverse of `diag(F^T W F)`; one for baselines without samples, whose offset is zero.
    fn diagonal(&self) -> Diagonal<f64> {
        let mut inverse = Vector::zeros(self.baselines);
        for (inverse, &energy) in inverse.owned_mut().iter_mut().zip(&self.energy) {
            *inverse = if energy > 0.0 { 1.0 / energy } else { 1.0 };
        }
        Diagonal::new(inverse)
    }

    /// Solves for the offsets by conjugate gradients, from the start or from a snapshot; `binned` is the map of the
    /// signal.
    ///
    /// # Collective
    ///
    /// # Errors
    /// The solve diverged, stalled, reached its iteration limit or was asked to stop; or the snapshot is
    /// one of another solve, or of other data.
    pub(crate) fn solve(
        &self,
        config: &DestripeConfig,
        binned: &[f64],
        monitor: &mut dyn Monitor<f64>,
        resume: Option<&Snapshot<f64>>,
    ) -> Result<Offsets> {
        let map = Vector::from_owned(self.pairs.range(), binned.to_vec())?;
        let rhs = self.right_hand_side(&map)?;
        let diagonal = self.diagonal();
        let band = self.prior.as_ref().map(|prior| prior.preconditioner(self.baselines, &self.energy)).transpose()?;
        let preconditioner: &dyn LinearOperator<f64> = match &band {
            Some(band) => band,
            None => &diagonal,
        };
        let means = self.components.as_ref().map(|means| means as &dyn LinearOperator<f64>);
        let Some(templates) = &self.templates else {
            let marked = Marked::new(monitor, &rhs, diagonal.entries())?;
            let system = System { operator: self, rhs: &rhs, preconditioner, means };
            let (amplitudes, report) = system.solve(config, marked, resume)?;
            return self.found(amplitudes, None, report);
        };
        let coupling = Coupling::new(templates, preconditioner, |x, y| self.add_own(x, y))?;
        let all = |offsets: &Vector<f64>, amplitudes: &[f64]| {
            let mut all = Vector::zeros(&templates.unknowns.layout);
            templates.unknowns.join(offsets.owned(), amplitudes, all.owned_mut());
            all
        };
        let rhs = all(&rhs, &templates.right_hand_side(&map, &coupling.determined)?);
        let marked = Marked::new(monitor, &rhs, &all(diagonal.entries(), &templates.energies()))?;
        let means = means.map(|means| OffsetsOnly::new(means, &templates.unknowns));
        let means = means.as_ref().map(|means| means as &dyn LinearOperator<f64>);
        let (operator, coupled) =
            (Extended::new(self, templates, &coupling), Coupled::new(templates, &coupling, preconditioner));
        let system = System { operator: &operator, rhs: &rhs, preconditioner: &coupled, means };
        let (unknowns, report) = system.solve(config, marked, resume)?;
        let (mut offsets, mut amplitudes) =
            (Vector::zeros(self.baselines), vec![0.0; templates.amplitudes().local_len()]);
        templates.unknowns.split(unknowns.owned(), offsets.owned_mut(), &mut amplitudes);
        self.found(offsets, Some(templates.found(amplitudes, coupling.determined.clone())?), report)
    }

    /// Puts together what a solve found.
    fn found(
        &self,
        amplitudes: Vector<f64>,
        templates: Option<TemplateAmplitudes>,
        report: SolveReport,
    ) -> Result<Offsets> {
        let limited = is_limited("destriping", &report)?;
        let components = self.components.as_ref().map_or(0, ComponentMeans::count);
        let determined = vec![true; amplitudes.owned().len()];
        Ok(Offsets { amplitudes, templates, report, components, prior: self.prior.is_some(), determined, limited })
    }
}

/// A system for offsets, or for offsets and amplitudes.
struct System<'s> {
    operator: &'s dyn LinearOperator<f64>,
    rhs: &'s Vector<f64>,
    preconditioner: &'s dyn LinearOperator<f64>,
    /// Projects out the null space.
    means: Option<&'s dyn LinearOperator<f64>>,
}

impl System<'_> {
    fn solve(
        &self,
        config: &DestripeConfig,
        mut marked: Marked<'_>,
        resume: Option<&Snapshot<f64>>,
    ) -> Result<(Vector<f64>, SolveReport)> {
        resume.map_or(Ok(()), |snapshot| marked.require(snapshot))?;
        let mut solution = Vector::zeros(self.rhs.layout());
        let mut cg = Cg::new()
            .rtol(config.tolerance)
            .max_iterations(config.max_iterations)
            .preconditioner(self.preconditioner)
            .monitor(&mut marked);
        if let Some(snapshot) = resume {
            cg = cg.resume(snapshot);
        }
        if let Some(means) = self.means {
            cg = cg.projection(means);
        }
        let report = cg.solve(self.operator, self.rhs, &mut solution)?;
        Ok((solution, report))
    }
}

/// Finds the baselines that are linked by pixels, and by series if there is a prior.
fn find_components<const N: usize, S>(
    pixels: &Layout,
    baselines: &Baselines,
    solve: &Rows<S>,
    prior: bool,
) -> Result<Option<ComponentMeans>> {
    // A constant is a sky of constant intensity; a map of Q and U alone cannot hold it.
    if N == 2 {
        return Ok(None);
    }
    let layout = baselines.layout();
    let (mut others, mut end) = (Vec::new(), pixels.global_len());
    if prior {
        for series in baselines.series() {
            others.push((end, series.among(&layout.range())));
            end += 1;
        }
        others.retain(|(_, baselines)| !baselines.is_empty());
    }
    let meetings = Meetings { pixels: &solve.ids, starts: &solve.starts, baselines: &solve.columns, others };
    Ok(Some(ComponentMeans::find(&Layout::uniform(layout.comm(), end), &meetings, layout)?))
}

impl<const N: usize, S: Stored> LinearOperator<f64> for Destriper<'_, N, S> {
    fn domain(&self) -> &Layout {
        self.baselines
    }

    fn range(&self) -> &Layout {
        self.baselines
    }

    fn compute(&self, x: &Vector<f64>, y: &mut Vector<f64>) -> CoreResult<()> {
        let Work { weighted, map } = &mut *self.work.borrow_mut();
        self.weigh(x, weighted);
        let solve_pixel = |pixel: usize, stokes: &mut [f64]| self.solve_pixel(pixel, stokes);
        self.pairs.multiply_through(weighted, solve_pixel, map, y)?;
        self.add_own(x, y);
        Ok(())
    }
}
