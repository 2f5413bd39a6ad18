//! A dense solve for offsets and the amplitudes of templates.

use std::f64::consts::PI;

use dolmen_core::Comm;
use dolmen_io::fits::UNSEEN;
use mapmaker::maps::Maps;

use crate::fixture::{Timeline, assert_close, whole};
use crate::oracle::{PIXELS, Sample, bin, solve};

/// A template at a place between -1 and 1.
fn template(column: usize, x: f64) -> f64 {
    match column {
        0 => x,
        1 => (3.0 * x * x - 1.0) / 2.0,
        2 => (5.0 * x * x * x - 3.0 * x) / 2.0,
        3 => (PI * (x + 1.0)).cos(),
        _ => (PI * (x + 1.0)).sin(),
    }
}

/// Detectors and times over which amplitudes are constant.
pub(crate) struct Groups {
    pub(crate) detectors: usize,
    pub(crate) times: Vec<[usize; 2]>,
}

impl Groups {
    /// A group for each interval and detector.
    pub(crate) fn of(timeline: &Timeline) -> Groups {
        let bound = |bound: i64| usize::try_from(bound).expect("small");
        let times = timeline.intervals.iter().map(|interval| interval.map(bound)).collect();
        Groups { detectors: timeline.net.len(), times }
    }

    fn count(&self) -> usize {
        self.times.len() * self.detectors
    }

    /// The group of a sample, and its place in it.
    fn place(&self, sample: &Sample) -> (usize, f64) {
        let time = self.times.iter().position(|&[_, end]| sample.time < end).expect("in an interval");
        let [start, end] = self.times[time];
        (
            time * self.detectors + sample.detector,
            (2.0 * (sample.time - start) as f64 + 1.0) / (end - start) as f64 - 1.0,
        )
    }
}

/// A dense solve, but for its samples.
pub(crate) struct Dense<'d> {
    pub(crate) groups: &'d Groups,
    pub(crate) baselines: usize,
    /// Baselines of each constant in the null space.
    pub(crate) components: &'d [Vec<usize>],
    pub(crate) prior: Option<&'d [Vec<f64>]>,
    /// Amplitudes that are left out.
    pub(crate) left_out: &'d [usize],
    /// Templates of a group.
    pub(crate) columns: usize,
    /// A template of a sample at a place between -1 and 1.
    pub(crate) template: &'d dyn Fn(usize, &Sample, f64) -> f64,
}

/// Three polynomials and a wave, which depend on the place alone.
pub(crate) const IN_TIME: &dyn Fn(usize, &Sample, f64) -> f64 = &|column, _, x| template(column, x);

impl Dense<'_> {
    pub(crate) fn unknowns(&self) -> usize {
        self.baselines + self.groups.count() * self.columns
    }

    /// The unknowns that a sample has, each with its factor.
    fn row(&self, sample: &Sample) -> Vec<(usize, f64)> {
        let (group, x) = self.groups.place(sample);
        let of_template = |column| (group * self.columns + column, (self.template)(column, sample, x));
        let used = (0..self.columns).map(of_template).filter(|(amplitude, _)| !self.left_out.contains(amplitude));
        let shifted = used.map(|(amplitude, value)| (self.baselines + amplitude, value));
        std::iter::once((sample.baseline, 1.0)).chain(shifted).collect()
    }

    pub(crate) fn drift(&self, sample: &Sample, unknowns: &[f64]) -> f64 {
        self.row(sample).iter().map(|&(unknown, factor)| factor * unknowns[unknown]).sum()
    }

    /// Offsets and amplitudes: every column of the system is made by binning.
    fn solve(&self, samples: &[Sample]) -> Vec<f64> {
        let project = |value: &dyn Fn(&Sample) -> f64| -> Vec<f64> {
            let map = bin(samples, value);
            let mut sums = vec![0.0; self.unknowns()];
            for sample in samples {
                let sky: f64 = map[&sample.pixel].iter().zip(&sample.weights).map(|(m, w)| m * w).sum();
                let left = sample.weight * (value(sample) - sky);
                self.row(sample).iter().for_each(|&(unknown, factor)| sums[unknown] += factor * left);
            }
            sums
        };
        let of = |unknown: usize| {
            move |sample: &Sample| -> f64 {
                self.row(sample).iter().filter(|(other, _)| *other == unknown).map(|(_, factor)| factor).sum()
            }
        };
        let mut matrix: Vec<Vec<f64>> = (0..self.unknowns()).map(|unknown| project(&of(unknown))).collect();
        for (row, prior) in matrix.iter_mut().zip(self.prior.into_iter().flatten()) {
            row.iter_mut().zip(prior).for_each(|(entry, prior)| *entry += prior);
        }
        for component in self.components {
            component.iter().for_each(|&i| component.iter().for_each(|&j| matrix[i][j] += 1.0));
        }
        self.left_out
            .iter()
            .for_each(|&amplitude| matrix[self.baselines + amplitude][self.baselines + amplitude] += 1.0);
        solve(matrix, project(&|sample| sample.signal))
    }

    /// Compares maps, offsets and amplitudes with those of the dense solve, in which only `solving` samples take part.
    pub(crate) fn compare(&self, comm: &Comm, maps: &Maps, samples: &[Sample], solving: impl Fn(&Sample) -> bool) {
        let part: Vec<Sample> = samples.iter().filter(|sample| solving(sample)).map(Sample::copy).collect();
        let expected = self.solve(&part);
        let found = maps.offsets.as_ref().expect("destriping is on");
        let templates = found.templates.as_ref().expect("there are templates");
        assert_close("offsets", &whole(comm, found.amplitudes.owned()), &expected[..self.baselines], 1e-9);
        assert_close("amplitudes", &whole(comm, templates.values.owned()), &expected[self.baselines..], 1e-9);
        assert_eq!(found.components, self.components.len());
        let determined: Vec<u8> = templates.determined.iter().map(|&is| u8::from(is)).collect();
        for (amplitude, determined) in whole(comm, &determined).into_iter().enumerate() {
            assert_eq!(determined == 0, self.left_out.contains(&amplitude), "amplitude {amplitude}");
        }
        let width = samples[0].weights.len();
        let map = bin(samples, |sample| sample.signal - self.drift(sample, &expected));
        let expected: Vec<f64> =
            (0..PIXELS).flat_map(|p| map.get(&p).cloned().unwrap_or(vec![UNSEEN; width])).collect();
        let solved = |values: &[f64]| -> Vec<f64> {
            values.iter().zip(&expected).filter(|(_, e)| **e != UNSEEN).map(|(v, _)| *v).collect()
        };
        let destriped = whole(comm, maps.destriped.as_ref().expect("destriping is on"));
        assert_close("destriped", &solved(&destriped), &solved(&expected), 1e-9);
    }
}
