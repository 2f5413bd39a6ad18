//! Maps by generalized least squares against a dense solve, in which the covariance of the noise is written out.

use std::f64::consts::TAU;

use dolmen_core::Comm;
use dolmen_io::fits::UNSEEN;
use dolmen_solvers::Progress;
use dolmen_tests::TestResult;
use mapmaker::config::Config;
use mapmaker::maps::make_maps;
use mapmaker::phases::Phases;

use crate::fixture::{Folder, Timeline, assert_close, map, whole};
use crate::oracle::{Sample, Stopper, patch, random_timeline, samples, solve};
use crate::prior;

/// The pixel that few samples look at, and the first and the number of all.
const RARE: usize = 51;
const FIRST: usize = 40;
const PIXELS: usize = 12;

/// Covariance of samples `lag` seconds apart, one a second, on a period; that of the mean is any number.
fn covariance(net: f64, [f_knee, alpha, f_min]: [f64; 3], period: usize, lag: usize) -> f64 {
    let term = |k: usize| {
        let frequency = k.min(period - k).max(1) as f64 / period as f64;
        let drift = if f_knee == 0.0 { 0.0 } else { (f_knee / frequency.max(f_min)).powf(alpha) };
        net * net * (1.0 + drift) * (TAU * ((k * lag) % period) as f64 / period as f64).cos()
    };
    (0..period).map(term).sum::<f64>() / period as f64
}

/// The period of an interval: it is longer by `4 / fknee`, but at most twice as long, and a product of 2, 3 and 5.
fn period_of(samples: usize, f_knee: f64) -> usize {
    let is_behind = |more: &usize| *more as f64 >= 4.0 / f_knee;
    let behind = if f_knee == 0.0 { 0 } else { (0..samples).find(is_behind).unwrap_or(samples) };
    prior::period(samples + behind)
}

fn inverse(matrix: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let unit = |i: usize| (0..matrix.len()).map(|j| f64::from(u8::from(i == j))).collect();
    (0..matrix.len()).map(|i| solve(matrix.to_vec(), unit(i))).collect()
}

/// The weights of samples of one series: the inverse of their covariance, with a free mean.
fn weights(series: &[&Sample], net: f64, drift: [f64; 3], length: usize) -> Vec<Vec<f64>> {
    let period = period_of(length, drift[0]);
    let by_lag: Vec<f64> = (0..period).map(|lag| covariance(net, drift, period, lag)).collect();
    let row = |a: &&Sample| series.iter().map(|b| by_lag[a.time.abs_diff(b.time)]).collect::<Vec<_>>();
    let mut weights = inverse(&series.iter().map(row).collect::<Vec<_>>());
    let sums: Vec<f64> = weights.iter().map(|row| row.iter().sum()).collect();
    let all: f64 = sums.iter().sum();
    for (row, own) in weights.iter_mut().zip(&sums) {
        row.iter_mut().zip(&sums).for_each(|(weight, other)| *weight -= own * other / all);
    }
    weights
}

/// The map at the pixels that are solved, without the mean of its intensity.
fn dense_map(timeline: &Timeline, width: usize) -> Vec<f64> {
    let all = samples(timeline, width);
    let size = (PIXELS - 1) * width;
    let (mut a, mut b) = (vec![vec![0.0; size]; size], vec![0.0; size]);
    let place = |sample: &Sample, i: usize| (sample.pixel - FIRST) * width + i;
    for (detector, (&net, &drift)) in timeline.net.iter().zip(&timeline.drifts).enumerate() {
        for &[start, end] in &timeline.intervals {
            let interval = usize::try_from(start).expect("small")..usize::try_from(end).expect("small");
            let is_in = |s: &&Sample| s.detector == detector && s.pixel != RARE && interval.contains(&s.time);
            let series: Vec<&Sample> = all.iter().filter(is_in).collect();
            let weights = weights(&series, net, drift, interval.len());
            for (first, row) in series.iter().zip(&weights) {
                for (second, weight) in series.iter().zip(row) {
                    for i in 0..width {
                        b[place(first, i)] += first.weights[i] * weight * second.signal;
                        for j in 0..width {
                            a[place(first, i)][place(second, j)] += first.weights[i] * weight * second.weights[j];
                        }
                    }
                }
            }
        }
    }
    if width != 2 {
        // Selects the solution whose intensity has no mean.
        (0..size).step_by(width).for_each(|i| (0..size).step_by(width).for_each(|j| a[i][j] += 1.0));
    }
    solve(a, b)
}

/// Three intervals of three detectors, one of which has no drifts; flagged stretches, and a pixel with few samples.
fn timeline() -> Timeline {
    let look = |time: usize, u: f64| if u > 0.99 { 51 } else { patch(time, u * 11.0 / 12.0) };
    let mut timeline = random_timeline(21, 3, 330, look);
    timeline.intervals = vec![[0, 20], [25, 110], [115, 330]];
    timeline.drifts = vec![[0.05, 1.0, 1e-3], [0.0, 0.0, 0.0], [0.03, 1.7, 0.01]];
    timeline.shared_flags = (0..330).map(|time| u8::from((50..58).contains(&time) || time == 329)).collect();
    timeline
}

fn config(stokes: &str, more: &str) -> String {
    format!(
        "input.tod = 'tod.h5'
        map = {{ nside = 8, stokes = '{stokes}', rcond_min = 1e-9, min_hits = 20 }}
        destripe = {{ enabled = false }}
        gls = {{ enabled = true{more} }}"
    )
}

pub(crate) fn oracle(comm: &Comm) -> TestResult {
    let timeline = timeline();
    for (stokes, width) in [("I", 1), ("QU", 2), ("IQU", 3)] {
        let maps = map(comm, &Folder::new(comm)?, &timeline, &config(stokes, ", tolerance = 1e-12"))?;
        let gls = maps.gls.as_ref().ok_or("there is no map")?;
        let part = |map: Vec<f64>| map[FIRST * width..RARE * width].to_vec();
        let mut found = part(whole(comm, &gls.map));
        let binned = part(whole(comm, &maps.binned));
        assert!(whole(comm, &gls.map)[RARE * width..].iter().all(|&value| value == UNSEEN), "few samples");
        if width != 2 {
            let mean = |map: &[f64]| map.iter().step_by(width).sum::<f64>() / (PIXELS - 1) as f64;
            let own = mean(&found);
            assert!((own - mean(&binned)).abs() < 1e-10, "{own} {}", mean(&binned));
            found.iter_mut().step_by(width).for_each(|value| *value -= own);
        }
        assert_close(stokes, &found, &dense_map(&timeline, width), 1e-9);
    }
    Ok(())
}

/// A solve that was stopped ends with the same map, alone and after destriping, which has the checkpoint then.
pub(crate) fn resumed(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    timeline().write(comm, &folder.path.join("tod.h5"))?;
    for destripe in ["enabled = false", "baseline = 25.0, prior = false"] {
        let text = config("IQU", "").replace("enabled = false", destripe);
        let config = Config::parse(&text, &folder.path.join("case.toml"))?;
        let make = |monitor: &mut dyn dolmen_solvers::Monitor<f64>, resume: Option<&dolmen_core::Snapshot<f64>>| {
            make_maps(comm, &config, &mut Phases::default(), monitor, resume)
        };
        let whole_run = make(&mut |_: &Progress| {}, None)?;
        let mut stopper = Stopper(None);
        let error = make(&mut stopper, None).err().ok_or("not stopped")?.to_string();
        assert!(error.contains("stopped as requested"), "{error}");
        assert_eq!(error.starts_with("GLS"), destripe == "enabled = false", "{error}");
        let snapshot = stopper.0.ok_or("no snapshot")?;
        let resumed = make(&mut |_: &Progress| {}, Some(&snapshot))?;
        let bits = |maps: &mapmaker::maps::Maps| {
            maps.gls.as_ref().map(|gls| gls.map.iter().map(|value| value.to_bits()).collect::<Vec<_>>())
        };
        assert!(bits(&whole_run).is_some() && bits(&whole_run) == bits(&resumed), "{destripe}: other bits");
    }
    Ok(())
}

pub(crate) fn unknown_noise(comm: &Comm) -> TestResult {
    let mut timeline = timeline();
    timeline.drifts[2][1] = 0.0;
    let error = map(comm, &Folder::new(comm)?, &timeline, &config("I", "")).err().ok_or("mapped")?.to_string();
    assert!(error.contains("detectors[2].alpha: is 0.0, so nothing is known of the noise of D2"), "{error}");
    Ok(())
}
