//! Random small timelines against a dense solve written here: every matrix is formed.

use std::collections::BTreeMap;

use dolmen_core::random::Philox;
use dolmen_core::{Comm, Snapshot};
use dolmen_io::fits::{ColumnData, MapColumn, MapHeader, UNSEEN, write_map};
use dolmen_io::hdf5::{H5File, TableColumn};
use dolmen_solvers::{Monitor, Progress, Request};
use dolmen_tests::TestResult;
use mapmaker::config::Config;
use mapmaker::healpix::Ordering;
use mapmaker::maps::{Maps, make_maps};
use mapmaker::phases::Phases;

use crate::fixture::{Folder, Looks, Timeline, assert_close, map, whole};

const NSIDE: i64 = 8;
pub(crate) const PIXELS: usize = 768;
/// Samples of a baseline in all of these tests, at one a second.
pub(crate) const LENGTH: usize = 25;

/// One unflagged sample, as the oracle sees it.
pub(crate) struct Sample {
    pub(crate) pixel: usize,
    pub(crate) weights: Vec<f64>,
    pub(crate) detector: usize,
    pub(crate) time: usize,
    pub(crate) baseline: usize,
    pub(crate) weight: f64,
    pub(crate) signal: f64,
}

/// A timeline of `detectors` that visits `visited` random pixels of the sky.
pub(crate) fn random_timeline(
    seed: u64,
    detectors: usize,
    samples: usize,
    pixel: impl Fn(usize, f64) -> i64,
) -> Timeline {
    let random = Philox::new(seed);
    let total = detectors * samples;
    let draw = |stream: u64| (0..total).map(move |i| random.uniform(stream, i as u64));
    Timeline {
        sample_rate: 1.0,
        net: (0..detectors).map(|d| 1.0 + 0.3 * d as f64).collect(),
        looks: Looks::Pixels {
            nside: NSIDE,
            ordering: "RING",
            pixel: draw(1).enumerate().map(|(i, u)| pixel(i % samples, u)).collect(),
        },
        psi: draw(2).map(|u| std::f64::consts::PI * u).collect(),
        signal: draw(3)
            .zip(draw(4))
            .enumerate()
            .map(|(i, (u, v))| u - 0.5 + 3.0 * v * ((i / LENGTH) % 7) as f64)
            .collect(),
        flags: draw(5).map(|u| u8::from(u < 0.05)).collect(),
        shared_flags: Vec::new(),
        efficiency: Vec::new(),
        drifts: Vec::new(),
        intervals: Vec::new(),
        psi_convention: "COSMO",
        angles: Vec::new(),
    }
}

/// The samples of a timeline with `width` Stokes parameters; baselines in the map-maker's order.
pub(crate) fn samples(timeline: &Timeline, width: usize) -> Vec<Sample> {
    let Looks::Pixels { pixel, .. } = &timeline.looks else { unreachable!("pixels were drawn") };
    let (detectors, per_detector) = (timeline.net.len(), timeline.samples());
    let whole = [[0, i64::try_from(per_detector).expect("few")]];
    let intervals = if timeline.intervals.is_empty() { &whole[..] } else { &timeline.intervals };
    // Stretches of LENGTH samples that do not cross an interval, numbered in time.
    let stretch_of = |time: usize| -> Option<usize> {
        let mut first = 0;
        for &[start, end] in intervals {
            let (start, end) = (usize::try_from(start).ok()?, usize::try_from(end).ok()?);
            if (start..end).contains(&time) {
                return Some(first + (time - start) / LENGTH);
            }
            first += (end - start).div_ceil(LENGTH);
        }
        None
    };
    // Angles from north through east turn the other way: U has the other sign.
    let turn = if timeline.psi_convention == "IAU" { -1.0 } else { 1.0 };
    let mut samples = Vec::new();
    for i in 0..timeline.signal.len() {
        let (detector, time) = (i / per_detector, i % per_detector);
        let flagged = timeline.flags[i] != 0 || timeline.shared_flags.get(time).is_some_and(|&flag| flag != 0);
        let Some(stretch) = stretch_of(time).filter(|_| !flagged) else { continue };
        let efficiency = timeline.efficiency.get(detector).copied().unwrap_or(1.0);
        let (sin, cos) = (2.0 * timeline.psi[i]).sin_cos();
        let (cos, sin) = (efficiency * cos, efficiency * turn * sin);
        samples.push(Sample {
            pixel: usize::try_from(pixel[i]).expect("a pixel"),
            weights: match width {
                1 => vec![1.0],
                2 => vec![cos, sin],
                _ => vec![1.0, cos, sin],
            },
            detector,
            time,
            baseline: stretch * detectors + detector,
            weight: timeline.net[detector].powi(-2),
            signal: timeline.signal[i],
        });
    }
    samples
}

/// Solves a dense system by Gaussian elimination with partial pivoting.
pub(crate) fn solve(mut a: Vec<Vec<f64>>, mut b: Vec<f64>) -> Vec<f64> {
    let n = b.len();
    for k in 0..n {
        let pivot = (k..n).max_by(|&i, &j| a[i][k].abs().total_cmp(&a[j][k].abs())).expect("not empty");
        a.swap(k, pivot);
        b.swap(k, pivot);
        for i in k + 1..n {
            let factor = a[i][k] / a[k][k];
            for j in k..n {
                a[i][j] -= factor * a[k][j];
            }
            b[i] -= factor * b[k];
        }
    }
    for k in (0..n).rev() {
        for j in k + 1..n {
            b[k] -= a[k][j] * b[j];
        }
        b[k] /= a[k][k];
    }
    b
}

/// `(P^T W P)^-1 P^T W v` for each pixel with samples.
pub(crate) fn bin(samples: &[Sample], value: impl Fn(&Sample) -> f64) -> BTreeMap<usize, Vec<f64>> {
    let width = samples[0].weights.len();
    let mut systems: BTreeMap<usize, (Vec<Vec<f64>>, Vec<f64>)> = BTreeMap::new();
    for sample in samples {
        let empty = || (vec![vec![0.0; width]; width], vec![0.0; width]);
        let (block, rhs) = systems.entry(sample.pixel).or_insert_with(empty);
        for i in 0..width {
            rhs[i] += sample.weight * sample.weights[i] * value(sample);
            for j in 0..width {
                block[i][j] += sample.weight * sample.weights[i] * sample.weights[j];
            }
        }
    }
    systems.into_iter().map(|(pixel, (block, rhs))| (pixel, solve(block, rhs))).collect()
}

/// Offsets by dense algebra: column by column of `F^T W Z F`, the inverse covariance of a prior, if there is one, and the
/// constants of `components` (lists of baselines) added as penalties, which selects zero means.
fn offsets(samples: &[Sample], baselines: usize, components: &[Vec<usize>], prior: Option<&[Vec<f64>]>) -> Vec<f64> {
    let project = |value: &dyn Fn(&Sample) -> f64| -> Vec<f64> {
        let map = bin(samples, value);
        let mut sums = vec![0.0; baselines];
        for sample in samples {
            let sky: f64 = map[&sample.pixel].iter().zip(&sample.weights).map(|(m, w)| m * w).sum();
            sums[sample.baseline] += sample.weight * (value(sample) - sky);
        }
        sums
    };
    let mut a: Vec<Vec<f64>> = (0..baselines).map(|b| project(&|s| f64::from(u8::from(s.baseline == b)))).collect();
    for (row, prior) in a.iter_mut().zip(prior.into_iter().flatten()) {
        row.iter_mut().zip(prior).for_each(|(entry, prior)| *entry += prior);
    }
    for component in components {
        for &i in component {
            for &j in component {
                a[i][j] += 1.0;
            }
        }
    }
    solve(a, project(&|sample| sample.signal))
}

/// Compares maps without a prior with the oracle's; `solvable` says which samples take part in the solve.
fn compare(
    comm: &Comm,
    maps: &Maps,
    samples: &[Sample],
    components: &[Vec<usize>],
    solvable: impl Fn(&Sample) -> bool,
) {
    compare_with(comm, maps, samples, components, None, solvable);
}

/// Compares maps with the oracle's, whose offsets have the prior that is given.
pub(crate) fn compare_with(
    comm: &Comm,
    maps: &Maps,
    samples: &[Sample],
    components: &[Vec<usize>],
    prior: Option<&[Vec<f64>]>,
    solvable: impl Fn(&Sample) -> bool,
) {
    let width = samples[0].weights.len();
    let expand = |map: BTreeMap<usize, Vec<f64>>| -> Vec<f64> {
        (0..PIXELS).flat_map(|p| map.get(&p).cloned().unwrap_or(vec![0.0; width])).collect()
    };
    let found = |owned: &[f64]| -> Vec<f64> {
        whole(comm, owned).into_iter().map(|value| if value == UNSEEN { 0.0 } else { value }).collect()
    };
    assert_close("binned", &found(&maps.binned), &expand(bin(samples, |s| s.signal)), 1e-11);
    let solving: Vec<Sample> = samples.iter().filter(|s| solvable(s)).map(Sample::copy).collect();
    let count = usize::try_from(maps.baselines.layout().global_len()).expect("few");
    let expected = offsets(&solving, count, components, prior);
    let solution = maps.offsets.as_ref().expect("destriping is on");
    assert_eq!(solution.components, components.len(), "components");
    assert_close("offsets", &whole(comm, solution.amplitudes.owned()), &expected, 1e-10);
    let destriped = expand(bin(samples, |s| s.signal - expected[s.baseline]));
    assert_close("destriped", &found(maps.destriped.as_ref().expect("on")), &destriped, 1e-10);
}

impl Sample {
    pub(crate) fn copy(&self) -> Sample {
        Sample { weights: self.weights.clone(), ..*self }
    }
}

pub(crate) fn config(stokes: &str, more: &str) -> String {
    format!(
        "input.tod = 'tod.h5'
        map = {{ nside = {NSIDE}, stokes = '{stokes}', rcond_min = 1e-9 }}
        destripe = {{ baseline = {LENGTH}.0, tolerance = 1e-13{more} }}"
    )
}

/// Pixels of a part of the sky small enough that each is seen at many angles.
pub(crate) fn patch(_: usize, u: f64) -> i64 {
    (40..51).find(|&pixel| u * 12.0 < (pixel - 39) as f64).unwrap_or(51)
}

pub(crate) fn all_kinds(comm: &Comm) -> TestResult {
    // 21 baselines in the end, the last of each detector shorter than the others.
    let timeline = random_timeline(1, 3, 6 * LENGTH + 11, patch);
    for (stokes, width) in [("I", 1), ("QU", 2), ("IQU", 3)] {
        let maps = map(comm, &Folder::new(comm)?, &timeline, &config(stokes, ""))?;
        let all: Vec<Vec<usize>> = vec![(0..21).collect()];
        // Without intensity in the map, a constant is not a sky: nothing is in the null space.
        let components = if width == 2 { &[][..] } else { &all };
        compare(comm, &maps, &samples(&timeline, width), components, |_| true);
    }
    Ok(())
}

/// Gaps between intervals, shared flags, imperfect polarizers and angles by the IAU's convention.
pub(crate) fn imperfect(comm: &Comm) -> TestResult {
    let mut timeline = random_timeline(5, 3, 9 * LENGTH, patch);
    timeline.intervals = vec![[5, 68], [80, 170], [171, 220]];
    timeline.shared_flags = (0..9 * LENGTH).map(|time| u8::from((100..110).contains(&time))).collect();
    timeline.efficiency = vec![0.9, 1.0, 0.75];
    timeline.psi_convention = "IAU";
    // A gap may hold anything.
    timeline.signal[70] = f64::NAN;
    let maps = map(comm, &Folder::new(comm)?, &timeline, &config("IQU", ""))?;
    // 3 + 4 + 2 stretches of three detectors.
    compare(comm, &maps, &samples(&timeline, 3), &[(0..27).collect()], |_| true);
    Ok(())
}

pub(crate) fn masked(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let layout = dolmen_core::Layout::uniform(comm, PIXELS as u64);
    let keep = |pixel: u64| f64::from(u8::from(!(42..45).contains(&pixel)));
    let values: Vec<f64> = layout.range().map(keep).collect();
    let header = MapHeader {
        nside: NSIDE.unsigned_abs(),
        ordering: Ordering::Ring,
        coordinates: None,
        polarization: None,
        history: Vec::new(),
    };
    let column = MapColumn { name: "MASK", unit: "", data: ColumnData::F64(&values) };
    write_map(&layout, folder.path.join("mask.fits"), &header, &[column])?;
    let timeline = random_timeline(2, 2, 8 * LENGTH, patch);
    let maps = map(comm, &folder, &timeline, &config("IQU", ", mask = 'mask.fits'"))?;
    let unmasked = |sample: &Sample| !(42..45).contains(&sample.pixel);
    compare(comm, &maps, &samples(&timeline, 3), &[(0..16).collect()], unmasked);
    Ok(())
}

pub(crate) fn separate_patches(comm: &Comm) -> TestResult {
    // The second half of the time looks at another part of the sky.
    let half = 5 * LENGTH;
    let two = |time: usize, u: f64| if time < half { patch(time, u) } else { patch(time, u) + 60 };
    let timeline = random_timeline(3, 2, 2 * half, two);
    let maps = map(comm, &Folder::new(comm)?, &timeline, &config("IQU", ""))?;
    let components = [(0..10).collect(), (10..20).collect()];
    compare(comm, &maps, &samples(&timeline, 3), &components, |_| true);
    assert!(maps.notes[0].starts_with("no baseline connects 2 parts of the sky"), "{:?}", maps.notes);
    Ok(())
}

/// A `dst` table: intensity from TEMP, and polarization from the channels Q and U.
pub(crate) fn dst_table(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let timeline = random_timeline(4, 2, 6 * LENGTH, patch);
    let samples_each = timeline.samples();
    let Looks::Pixels { pixel, .. } = &timeline.looks else { unreachable!("pixels were drawn") };
    let grid = mapmaker::healpix::Healpix::new(NSIDE.unsigned_abs(), Ordering::Ring)?;
    let look = |i: usize| grid.direction(pixel[i].unsigned_abs()).expect("a pixel");
    let column = |value: &dyn Fn(usize) -> f64| TableColumn::Real((0..samples_each).map(value).collect());
    let file = H5File::create(comm, folder.path.join("tod.h5"))?;
    file.write_table(
        "data",
        &[
            ("TIME".into(), column(&|i| i as f64)),
            ("PHI".into(), column(&|i| look(i).1)),
            ("THETA".into(), column(&|i| look(i).0)),
            ("PSI".into(), column(&|i| timeline.psi[i].to_degrees())),
            ("FLAG".into(), TableColumn::Integer((0..samples_each).map(|i| i64::from(timeline.flags[i])).collect())),
            ("TEMP".into(), column(&|i| timeline.signal[i])),
            ("Q".into(), column(&|i| timeline.signal[i])),
            ("U".into(), column(&|i| timeline.signal[samples_each + i])),
        ],
    )?;
    file.close()?;
    for (stokes, channels) in [("I", 1), ("QU", 2)] {
        let described = "sample_rate = 1.0, psi_convention = 'COSMO', coordinates = 'G'";
        let text =
            config(stokes, "").replace("input.tod = 'tod.h5'", &format!("input = {{ tod = 'tod.h5', {described} }}"));
        let config = Config::parse(&text, &folder.path.join("case.toml"))?;
        let maps = make_maps(comm, &config, &mut Phases::default(), &mut |_: &Progress| {}, None)?;
        // Both channels look at the same pixel; U is sensitive at 45 degrees to Q.
        let first = |values: &[f64]| values[..samples_each].to_vec();
        let twice = |values: &[f64]| [first(values), first(values)].concat();
        let quarter = std::f64::consts::FRAC_PI_4;
        let expected = Timeline {
            sample_rate: 1.0,
            net: vec![1.0; channels],
            looks: Looks::Pixels { nside: NSIDE, ordering: "RING", pixel: [&pixel[..samples_each]; 2].concat() },
            psi: twice(&timeline.psi)
                .iter()
                .enumerate()
                .map(|(i, p)| p + if i < samples_each { 0.0 } else { quarter })
                .collect(),
            signal: timeline.signal[..channels * samples_each].to_vec(),
            flags: [&timeline.flags[..samples_each]; 2].concat(),
            shared_flags: Vec::new(),
            efficiency: Vec::new(),
            drifts: Vec::new(),
            intervals: Vec::new(),
            psi_convention: "COSMO",
            angles: Vec::new(),
        };
        let components: Vec<Vec<usize>> = if channels == 1 { vec![(0..6).collect()] } else { Vec::new() };
        compare(comm, &maps, &samples(&expected, channels), &components, |_| true);
    }
    Ok(())
}

/// Keeps the snapshot of a solve that it stops.
pub(crate) struct Stopper(pub(crate) Option<Snapshot<f64>>);

impl Monitor<f64> for Stopper {
    fn progress(&mut self, progress: &Progress) -> Request {
        if progress.iteration == 2 { Request::Stop } else { Request::Continue }
    }

    fn snapshot(&mut self, snapshot: Snapshot<f64>) -> dolmen_solvers::Result<()> {
        self.0 = Some(snapshot);
        Ok(())
    }
}

/// A solve is not resumed with other timelines, wherever they come from.
pub(crate) fn other_data(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let text = "input.tod = 'tod.h5'\nmap = { nside = 4, stokes = 'I' }\ndestripe = { baseline = 25.0 }";
    let config = Config::parse(text, &folder.path.join("case.toml"))?;
    let mut timeline = random_timeline(3, 2, 500, |time, _| i64::try_from(time * 7 % 40).expect("small"));
    let solve = |monitor: &mut dyn Monitor<f64>, resume: Option<&Snapshot<f64>>| {
        make_maps(comm, &config, &mut Phases::default(), monitor, resume)
    };
    timeline.write(comm, &folder.path.join("tod.h5"))?;
    let mut stopper = Stopper(None);
    assert!(solve(&mut stopper, None).is_err(), "stopped");
    let snapshot = stopper.0.ok_or("no snapshot")?;
    assert!(solve(&mut |_: &Progress| {}, Some(&snapshot)).is_ok(), "the same data");
    let good = (0..timeline.signal.len()).find(|&i| timeline.flags[i] == 0).ok_or("no good sample")?;
    timeline.signal[good] += 1e-9;
    timeline.write(comm, &folder.path.join("tod.h5"))?;
    let error = solve(&mut |_: &Progress| {}, Some(&snapshot)).err().ok_or("resumed")?.to_string();
    assert!(error.contains("the checkpoint belongs to other timelines"), "{error}");
    Ok(())
}
