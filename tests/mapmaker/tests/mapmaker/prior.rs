//! Offsets with a noise prior against a dense solve, whose inverse covariance is written out here, and their use.

use std::f64::consts::{PI, TAU};

use dolmen_core::Comm;
use dolmen_io::fits::UNSEEN;
use dolmen_solvers::Progress;
use dolmen_tests::TestResult;
use mapmaker::config::Config;
use mapmaker::maps::make_maps;
use mapmaker::phases::Phases;
use mapmaker::simulate::simulate;

use crate::fixture::{Folder, Timeline, map, whole};
use crate::oracle::{LENGTH, compare_with, config, patch, random_timeline, samples};

/// Power spectrum of offsets at a frequency in Hz, for baselines of `LENGTH` s at one sample a second.
fn power(net: f64, [f_knee, alpha, f_min]: [f64; 3], frequency: f64) -> f64 {
    let duration = LENGTH as f64;
    let half = i32::try_from(LENGTH / 2).expect("small");
    let alias = |m: i32| {
        let f = frequency + f64::from(m) / duration;
        let x = PI * duration * f;
        net * net * (f_knee / f.abs().max(f_min)).powf(alpha) * (x.sin() / x).powi(2)
    };
    (-half..=half).map(alias).sum::<f64>() / duration
}

/// The least even number from `least` on whose only prime factors are 2, 3 and 5.
pub(crate) fn period(least: usize) -> usize {
    let is_smooth = |number: &usize| {
        let mut left = *number;
        [2, 3, 5].into_iter().for_each(|factor| {
            while left.is_multiple_of(factor) {
                left /= factor
            }
        });
        left == 1 && number.is_multiple_of(2)
    };
    (least..).find(is_smooth).expect("there is one")
}

/// The inverse covariance of `n` offsets in a row: the sum of cosines written out, means taken off rows and columns.
fn inverse_covariance(n: usize, power: impl Fn(f64) -> f64) -> Vec<Vec<f64>> {
    let period = period(2 * n);
    let inverse: Vec<f64> =
        (1..period).map(|k| 1.0 / power(k.min(period - k) as f64 / (period * LENGTH) as f64)).collect();
    let entry = |i: usize, j: usize| -> f64 {
        let wave = |k: usize| (TAU * ((k * i.abs_diff(j)) % period) as f64 / period as f64).cos();
        (1..period).map(|k| wave(k) * inverse[k - 1]).sum::<f64>() / period as f64
    };
    let mut matrix: Vec<Vec<f64>> = (0..n).map(|i| (0..n).map(|j| entry(i, j)).collect()).collect();
    let means: Vec<f64> = matrix.iter().map(|row| row.iter().sum::<f64>() / n as f64).collect();
    let mean = means.iter().sum::<f64>() / n as f64;
    for (i, row) in matrix.iter_mut().enumerate() {
        row.iter_mut().zip(&means).for_each(|(entry, other)| *entry += mean - means[i] - other);
    }
    matrix
}

/// The inverse covariance of all offsets of a timeline.
pub(crate) fn dense_prior(timeline: &Timeline) -> Vec<Vec<f64>> {
    let detectors = timeline.net.len();
    let lengths: Vec<usize> = timeline
        .intervals
        .iter()
        .map(|[start, end]| usize::try_from(end - start).expect("ascending").div_ceil(LENGTH))
        .collect();
    let all = lengths.iter().sum::<usize>() * detectors;
    let mut matrix = vec![vec![0.0; all]; all];
    for detector in 0..detectors {
        let mut first = 0;
        for &n in &lengths {
            let drift = timeline.drifts[detector];
            let block = inverse_covariance(n, |frequency| power(timeline.net[detector], drift, frequency));
            for (i, row) in block.iter().enumerate() {
                for (j, &entry) in row.iter().enumerate() {
                    matrix[(first + i) * detectors + detector][(first + j) * detectors + detector] = entry;
                }
            }
            first += n;
        }
    }
    matrix
}

/// Intervals of one, seven and twelve baselines, the last of them shorter than the others.
fn timeline(seed: u64) -> Timeline {
    let mut timeline = random_timeline(seed, 3, 500, patch);
    timeline.intervals = vec![[0, 20], [25, 200], [210, 500]];
    timeline.drifts = vec![[0.02, 1.0, 1e-4], [0.03, 1.7, 1e-3], [0.01, 0.6, 0.0]];
    // A baseline that nothing is seen in, and half of another.
    timeline.shared_flags = (0..500).map(|time| u8::from((50..88).contains(&time))).collect();
    timeline
}

pub(crate) fn oracle(comm: &Comm) -> TestResult {
    let timeline = timeline(11);
    let prior = dense_prior(&timeline);
    for (stokes, width) in [("I", 1), ("QU", 2), ("IQU", 3)] {
        let maps = map(comm, &Folder::new(comm)?, &timeline, &config(stokes, ", prior = true"))?;
        let all: Vec<Vec<usize>> = vec![(0..60).collect()];
        let components = if width == 2 { &[][..] } else { &all };
        compare_with(comm, &maps, &samples(&timeline, width), components, Some(&prior), |_| true);
    }
    Ok(())
}

/// Nothing is known of the mean of a series without samples: it is zero.
pub(crate) fn unseen_series(comm: &Comm) -> TestResult {
    let mut timeline = timeline(12);
    (0..200).for_each(|time| timeline.flags[500 + time] = 1);
    let prior = dense_prior(&timeline);
    let maps = map(comm, &Folder::new(comm)?, &timeline, &config("I", ""))?;
    // The single baseline of the first interval, and the seven of the second.
    let unseen = [vec![1], (1..8).map(|stretch| 3 * stretch + 1).collect()];
    let seen = (0..60).filter(|baseline| !unseen.iter().any(|series| series.contains(baseline))).collect();
    let [first, second] = unseen;
    compare_with(comm, &maps, &samples(&timeline, 1), &[seen, first, second], Some(&prior), |_| true);
    Ok(())
}

/// With a prior, baselines of 1 s leave less noise in the map than free ones of 60 s; without, more.
pub(crate) fn residuals(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let residual = |destripe: &str, simulated: bool| -> TestResult<f64> {
        let text = format!(
            "input.tod = 'tod.h5'
            map = {{ nside = 16, stokes = 'I' }}
            destripe = {{ {destripe} }}
            output.compare = 'tod_sky.fits'
            simulate = {{ hours = 4.0, sample_rate = 10.0, sky_nside = 16, fknee = 0.2, alpha = 1.0 }}"
        );
        let config = Config::parse(&text, &folder.path.join("case.toml"))?;
        if !simulated {
            simulate(comm, &config.simulate, None, &config.input.tod[0])?;
        }
        let maps = make_maps(comm, &config, &mut Phases::default(), &mut |_: &Progress| {}, None)?;
        let destriped = whole(comm, maps.destriped.as_ref().expect("destriping is on"));
        let truth = whole(comm, maps.truth.as_ref().expect("given"));
        let off: Vec<f64> =
            destriped.iter().zip(truth).filter(|(d, _)| **d != UNSEEN).map(|(d, truth)| d - truth).collect();
        let mean = off.iter().sum::<f64>() / off.len() as f64;
        Ok((off.iter().map(|off| (off - mean).powi(2)).sum::<f64>() / off.len() as f64).sqrt())
    };
    let long = residual("baseline = 60.0, prior = false", false)?;
    let free = residual("baseline = 1.0, prior = false", true)?;
    let short = residual("baseline = 1.0", true)?;
    comm.barrier();
    assert!(short < 0.97 * long && long < free, "{short:e} with a prior, {long:e} at 60 s, {free:e} without a prior");
    Ok(())
}
