//! Templates beside offsets: exact recovery, a dense solve, bits, resumed runs, and what cannot be told apart.

mod dense;

use std::f64::consts::PI;
use std::fs;

use dolmen_core::Comm;
use dolmen_core::random::Philox;
use dolmen_io::fits::UNSEEN;
use dolmen_io::hdf5::{H5File, TableColumn};
use dolmen_solvers::Progress;
use dolmen_tests::TestResult;
use mapmaker::config::Config;
use mapmaker::run::{Request, run};

use crate::bits::{Checksums, simulated};
use crate::checkpoints::{assert_undisturbed, prepare};
use crate::common::{mapmaker, only_error};
use crate::fixture::{Folder, Timeline, assert_close, map, whole};
use crate::oracle::{Sample, config, patch, random_timeline, samples};
use crate::prior::dense_prior;
use crate::splits::assert_sum;
use crate::undetermined::write_mask;
use dense::{Dense, Groups, IN_TIME};

/// Three polynomials, and a wave.
const TEMPLATES: &str = "
    templates = [{ kind = 'legendre', order = 3 }, { kind = 'fourier', harmonics = 1 }]";
const COLUMNS: usize = 5;

/// Intervals that ranks share, and gaps.
fn timeline(seed: u64) -> Timeline {
    let mut timeline = random_timeline(seed, 3, 500, patch);
    timeline.intervals = vec![[0, 60], [65, 200], [210, 500]];
    timeline.shared_flags = (0..500).map(|time| u8::from((90..122).contains(&time))).collect();
    timeline.efficiency = vec![0.9, 1.0, 0.75];
    timeline
}

/// Baselines of the timeline: 3, 6 and 12 of each detector.
const BASELINES: usize = 63;

/// The drift that a simulated timeline has, for each offset and amplitude; the offsets have no mean.
fn drifts(unknowns: usize) -> Vec<f64> {
    let random = Philox::new(7);
    let mut drifts: Vec<f64> = (0..unknowns).map(|i| 10.0 * random.uniform(1, i as u64) - 5.0).collect();
    let mean = drifts[..BASELINES].iter().sum::<f64>() / BASELINES as f64;
    drifts[..BASELINES].iter_mut().for_each(|offset| *offset -= mean);
    drifts
}

/// A sky and drifts without noise: all of them come back.
pub(crate) fn recovered(comm: &Comm) -> TestResult {
    for (stokes, width) in [("I", 1), ("QU", 2), ("IQU", 3)] {
        let mut timeline = timeline(21);
        timeline.shared_flags = Vec::new();
        let groups = Groups::of(&timeline);
        let all: Vec<Vec<usize>> = if width == 2 { Vec::new() } else { vec![(0..BASELINES).collect()] };
        let dense = Dense {
            groups: &groups,
            baselines: BASELINES,
            components: &all,
            prior: None,
            left_out: &[],
            columns: COLUMNS,
            template: IN_TIME,
        };
        let expected = drifts(dense.unknowns());
        let sky = |pixel: usize, stokes: usize| ((3 * pixel + 7 * stokes) as f64).sin();
        let per_detector = timeline.samples();
        for sample in samples(&timeline, width) {
            let seen: f64 = sample.weights.iter().enumerate().map(|(i, w)| w * sky(sample.pixel, i)).sum();
            timeline.signal[sample.detector * per_detector + sample.time] = seen + dense.drift(&sample, &expected);
        }
        let text = config(stokes, ", prior = false") + TEMPLATES;
        let maps = map(comm, &Folder::new(comm)?, &timeline, &text)?;
        let found = maps.offsets.as_ref().ok_or("destriping is on")?;
        let amplitudes = found.templates.as_ref().ok_or("there are templates")?;
        assert_close("offsets", &whole(comm, found.amplitudes.owned()), &expected[..BASELINES], 1e-9);
        assert_close("amplitudes", &whole(comm, amplitudes.values.owned()), &expected[BASELINES..], 1e-9);
        let destriped = whole(comm, maps.destriped.as_ref().ok_or("destriping is on")?);
        let mut seen = 0;
        for (at, &value) in destriped.iter().enumerate().filter(|(_, value)| **value != UNSEEN) {
            assert!((value - sky(at / width, at % width)).abs() < 1e-9, "{stokes}: {value} at {at}");
            seen += 1;
        }
        assert_eq!(seen, 12 * width);
        assert!(maps.notes.is_empty(), "{:?}", maps.notes);
    }
    Ok(())
}

/// Free offsets, and offsets with a prior.
pub(crate) fn oracle(comm: &Comm) -> TestResult {
    let mut timeline = timeline(22);
    let all: Vec<Vec<usize>> = vec![(0..BASELINES).collect()];
    // All samples of this baseline of each detector are flagged: nothing links its offset without a prior.
    let unseen = |detector: usize| 3 * 4 + detector;
    let seen = vec![(0..BASELINES).filter(|baseline| !(12..15).contains(baseline)).collect()];
    assert_eq!((unseen(0), unseen(2)), (12, 14));
    let lost: Vec<Vec<f64>> = (0..BASELINES)
        .map(|i| (0..BASELINES).map(|j| f64::from(u8::from(i == j && (12..15).contains(&i)))).collect())
        .collect();
    for (stokes, width) in [("I", 1), ("QU", 2), ("IQU", 3)] {
        let groups = Groups::of(&timeline);
        timeline.drifts = Vec::new();
        let maps = map(comm, &Folder::new(comm)?, &timeline, &(config(stokes, "") + TEMPLATES))?;
        let components = if width == 2 { &[][..] } else { &seen };
        let free = Dense {
            groups: &groups,
            baselines: BASELINES,
            components,
            prior: Some(&lost),
            left_out: &[],
            columns: COLUMNS,
            template: IN_TIME,
        };
        free.compare(comm, &maps, &samples(&timeline, width), |_| true);

        timeline.drifts = vec![[0.02, 1.0, 1e-4], [0.03, 1.7, 1e-3], [0.01, 0.6, 0.0]];
        let prior = dense_prior(&timeline);
        let maps = map(comm, &Folder::new(comm)?, &timeline, &(config(stokes, ", prior = true") + TEMPLATES))?;
        let components = if width == 2 { &[][..] } else { &all };
        let with_prior = Dense { components, prior: Some(&prior), ..free };
        with_prior.compare(comm, &maps, &samples(&timeline, width), |_| true);
    }
    Ok(())
}

/// Amplitudes that are constant over an observation, of which four ranks cannot all have one.
pub(crate) fn whole_observations(comm: &Comm) -> TestResult {
    let mut timeline = timeline(23);
    timeline.shared_flags = Vec::new();
    let groups = Groups { detectors: 3, times: vec![[0, 500]] };
    let per = TEMPLATES.replace(" }", ", per = 'observation' }");
    let maps = map(comm, &Folder::new(comm)?, &timeline, &(config("IQU", "") + &per))?;
    let all = [(0..BASELINES).collect()];
    let dense = Dense {
        groups: &groups,
        baselines: BASELINES,
        components: &all,
        prior: None,
        left_out: &[],
        columns: COLUMNS,
        template: IN_TIME,
    };
    dense.compare(comm, &maps, &samples(&timeline, 3), |_| true);
    Ok(())
}

/// Samples under a mask take no part in the solve, and are in the map without their drifts.
pub(crate) fn masked(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    write_mask(comm, &folder, |pixel| (42..45).contains(&pixel))?;
    let mut timeline = timeline(24);
    timeline.shared_flags = Vec::new();
    let groups = Groups::of(&timeline);
    let all = [(0..BASELINES).collect()];
    let dense = Dense {
        groups: &groups,
        baselines: BASELINES,
        components: &all,
        prior: None,
        left_out: &[],
        columns: COLUMNS,
        template: IN_TIME,
    };
    let maps = map(comm, &folder, &timeline, &(config("IQU", ", mask = 'mask.fits'") + TEMPLATES))?;
    dense.compare(comm, &maps, &samples(&timeline, 3), |sample| !(42..45).contains(&sample.pixel));
    Ok(())
}

/// Templates that offsets and other templates can follow are left out, and counted.
pub(crate) fn dependent(comm: &Comm) -> TestResult {
    let mut timeline = random_timeline(25, 3, 500, patch);
    // Four samples have an offset and three templates.
    timeline.intervals = vec![[0, 60], [65, 69], [210, 500]];
    (65..69).for_each(|time| (0..3).for_each(|detector| timeline.flags[detector * 500 + time] = 0));
    let groups = Groups::of(&timeline);
    // 3, 1 and 12 baselines of each detector.
    let baselines = 48;
    let all = [(0..baselines).collect()];
    let left_out: Vec<usize> = (3..6).flat_map(|group| [group * COLUMNS + 3, group * COLUMNS + 4]).collect();
    let dense = Dense {
        groups: &groups,
        baselines,
        components: &all,
        prior: None,
        left_out: &left_out,
        columns: COLUMNS,
        template: IN_TIME,
    };
    let maps = map(comm, &Folder::new(comm)?, &timeline, &(config("IQU", "") + TEMPLATES))?;
    dense.compare(comm, &maps, &samples(&timeline, 3), |_| true);
    let note = maps.notes.last().ok_or("no note")?;
    assert!(note.starts_with("6 of 45 amplitudes of templates are not determined and are zero"), "{note}");

    // Baselines of one sample follow everything.
    let short = config("I", "").replace("25.0", "1.0");
    let maps = map(comm, &Folder::new(comm)?, &timeline, &(short.clone() + TEMPLATES))?;
    let templates = maps.offsets.as_ref().and_then(|found| found.templates.as_ref()).ok_or("no templates")?;
    assert!(templates.determined.iter().all(|determined| !determined));
    assert!(templates.values.owned().iter().all(|&amplitude| amplitude == 0.0));
    assert!(maps.notes.iter().any(|note| note.starts_with("45 of 45 amplitudes")), "{:?}", maps.notes);
    let without = map(comm, &Folder::new(comm)?, &timeline, &short)?;
    let [with, without] = [maps, without].map(|maps| whole(comm, &maps.destriped.expect("destriping is on")));
    assert_close("destriped", &with, &without, 1e-11);
    Ok(())
}

/// Baselines that are short beside the interval follow polynomials by steps, up to a small part: the solve still converges
/// soon.
pub(crate) fn nearly_dependent(comm: &Comm) -> TestResult {
    let mut timeline = random_timeline(26, 2, 4000, patch);
    timeline.intervals = vec![[0, 4000]];
    let text = config("I", "").replace("25.0", "4.0").replace("1e-13", "1e-8");
    let iterations = |templates: &str| -> TestResult<usize> {
        let maps = map(comm, &Folder::new(comm)?, &timeline, &(text.clone() + templates))?;
        assert!(maps.notes.is_empty(), "{:?}", maps.notes);
        Ok(maps.offsets.ok_or("destriping is on")?.report.iterations)
    };
    let (with, without) = (iterations(TEMPLATES)?, iterations("")?);
    assert!(with <= without + 5, "{with} iterations with templates, {without} without");
    Ok(())
}

/// Waves in the angle of a half-wave plate, and bins of the azimuth.
const OF_ANGLES: &str = "
    templates = [{ kind = 'legendre', order = 1 }, { kind = 'hwp', harmonics = 2 }, { kind = 'azimuth', bins = 6 }]";

pub(crate) fn angles(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let mut timeline = timeline(29);
    timeline.shared_flags = Vec::new();
    let random = Philox::new(30);
    let plate: Vec<f64> = (0..500).map(|time| 1.7 * f64::from(time)).collect();
    let azimuth: Vec<f64> = (0..500).map(|time| 30.0 * random.uniform(1, time) - 15.0).collect();
    timeline.angles = vec![("hwp", plate.clone()), ("azimuth", azimuth.clone())];
    // An angle that nothing is seen at may be anything.
    (0..3).for_each(|detector| timeline.flags[detector * 500 + 300] = 1);
    timeline.angles[0].1[300] = f64::NAN;
    let template = |column: usize, sample: &Sample, x: f64| -> f64 {
        let (plate, azimuth) = (plate[sample.time], azimuth[sample.time]);
        match column {
            0 => x,
            1 => plate.cos(),
            2 => plate.sin(),
            3 => (2.0 * plate).cos(),
            4 => (2.0 * plate).sin(),
            bin => {
                let turns = azimuth / (2.0 * PI);
                f64::from(u8::from(
                    6.0 * (turns - turns.floor()) >= (bin - 5) as f64
                        && 6.0 * (turns - turns.floor()) < (bin - 4) as f64,
                ))
            }
        }
    };
    let groups = Groups::of(&timeline);
    // The last bin is one less all others.
    let left_out: Vec<usize> = (0..9).map(|group| 11 * group + 10).collect();
    for (stokes, width) in [("I", 1), ("QU", 2), ("IQU", 3)] {
        let all: Vec<Vec<usize>> = if width == 2 { Vec::new() } else { vec![(0..BASELINES).collect()] };
        let dense = Dense {
            groups: &groups,
            baselines: BASELINES,
            components: &all,
            prior: None,
            left_out: &left_out,
            columns: 11,
            template: &template,
        };
        let maps = map(comm, &folder, &timeline, &(config(stokes, "") + OF_ANGLES))?;
        dense.compare(comm, &maps, &samples(&timeline, width), |_| true);
        assert!(maps.notes.is_empty(), "{:?}", maps.notes);
    }
    let refused = |timeline: &Timeline| -> TestResult<String> {
        Ok(map(comm, &folder, timeline, &(config("I", "") + OF_ANGLES)).err().ok_or("mapped")?.to_string())
    };
    timeline.flags[500 + 300] = 0;
    let error = refused(&timeline)?;
    assert!(error.contains("tod.h5: observations/scan/hwp[300]: is NaN, expected an angle in rad"), "{error}");
    timeline.angles.truncate(1);
    let error = refused(&timeline)?;
    assert!(
        error.contains("observations/scan: has no dataset azimuth, which templates of kind \"azimuth\""),
        "{error}"
    );
    timeline.angles.push(("azimuth", azimuth[1..].to_vec()));
    let error = refused(&timeline)?;
    assert!(error.contains("observations/scan/azimuth: has shape [499], expected [500] as the signal has"), "{error}");
    map(comm, &folder, &timeline, &config("I", ""))?;
    timeline.angles = vec![("hwp", plate.clone()), ("azimuth", azimuth.clone())];
    timeline.angles[1].1[299] = 1e7;
    timeline.flags[299] = 0;
    let error = refused(&timeline)?;
    assert!(error.contains("observations/scan/azimuth[299]: is 10000000.0"), "{error}");
    Ok(())
}

/// Two halves, weighted, have the sum of the whole map.
pub(crate) fn parts(comm: &Comm) -> TestResult {
    let mut timeline = timeline(27);
    timeline.shared_flags = Vec::new();
    let text = config("IQU", "").replace("rcond_min = 1e-9", "rcond_min = 1e-4");
    let sets = "
    output.splits = ['halves', 'detectors']
    output.detector_sets = { one = ['D1'], others = ['D0', 'D2'] }";
    let maps = map(comm, &Folder::new(comm)?, &timeline, &(text + sets + TEMPLATES))?;
    let [half1, half2, one, others] = &maps.parts[..] else { panic!("four parts") };
    assert_sum(comm, &maps, [half1, half2], 9);
    assert_sum(comm, &maps, [one, others], 9);
    Ok(())
}

const BITS: &str = "
    input.tod = 'tod.h5'
    map = { nside = 8 }
    destripe = { baseline = 20.0 }
    output = { folder = 'out', compare = 'tod_sky.fits', splits = ['halves'] }
    simulate = { hours = 0.5, sample_rate = 5.0, spin_period = 30.0, interval = 0.08, sky_nside = 8, fknee = 0.3 }";

pub(crate) fn outputs(comm: &Comm) -> TestResult<Checksums> {
    simulated(comm, &(BITS.to_owned() + TEMPLATES))
}

/// The same with free offsets, stored in double precision.
pub(crate) fn outputs_without_a_prior(comm: &Comm) -> TestResult<Checksums> {
    let free = BITS.replace("baseline = 20.0", "baseline = 20.0, prior = false, tolerance = 1e-9");
    let per = TEMPLATES.replace(" }", ", per = 'observation' }");
    simulated(comm, &(free.replace("'halves'", "") + &per))
}

/// A run that ended at its limit of iterations resumes on other numbers of ranks.
pub(crate) fn resumed() -> TestResult {
    let temporary = tempfile::tempdir()?;
    let folder = temporary.path();
    prepare(folder, &format!("baseline = 5.0, tolerance = 1e-8, prior = false }}{TEMPLATES}\n#"))?;
    let text = fs::read_to_string(folder.join("case.toml"))?;
    fs::write(folder.join("short.toml"), text.replace("tolerance", "max_iterations = 3, tolerance"))?;
    let error = only_error(&mapmaker(2, folder, &["run", "short.toml", "--checkpoint", "saved"])?)?;
    assert!(error.contains("3 iterations"), "{error}");
    for (ranks, name) in [(1, "one"), (4, "four")] {
        let args = ["run", "case.toml", "--checkpoint", "saved", "--resume", "--output", name];
        let output = mapmaker(ranks, folder, &args)?;
        assert!(output.status.success(), "{}", output.stderr);
        assert!(output.stdout.contains("after iteration 3"), "{}", output.stdout);
        assert_undisturbed(folder, name)?;
    }
    fs::write(folder.join("other.toml"), text.replace("order = 3", "order = 2"))?;
    let error = only_error(&mapmaker(2, folder, &["run", "other.toml", "--checkpoint", "saved", "--resume"])?)?;
    assert!(error.contains("another configuration") && error.contains("order: 2"), "{error}");
    Ok(())
}

/// Amplitudes in the file of the offsets, the report, and what `info` says.
pub(crate) fn written(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let timeline = timeline(28);
    timeline.write(comm, &folder.path.join("tod.h5"))?;
    let text = config("IQU", "") + TEMPLATES;
    let path = folder.path.join("case.toml");
    let config = Config::parse(&text, &path)?;
    let described = mapmaker::info::describe_run(comm, &config)?;
    assert!(described.contains("5 amplitudes of templates for each of 9 intervals of a detector"), "{described}");
    let request = Request { folder: folder.path.join("out"), config, text, path, resume: None };
    let outcome = run(comm, &request, &mut |_: &Progress| {})?;
    let found = outcome.maps.offsets.as_ref().and_then(|found| found.templates.as_ref()).ok_or("no templates")?;
    let file = H5File::open(comm, request.folder.join("baselines.h5"))?;
    let read = |name: &str| -> TestResult<(Vec<u64>, Vec<f64>)> {
        let dataset = file.dataset(&format!("templates/{name}"))?;
        let shape = dataset.shape().to_vec();
        let values = dataset.read_slab::<f64>(&vec![0; shape.len()], &shape)?;
        Ok((shape, values))
    };
    assert_eq!(read("amplitude")?, (vec![9, 5], whole(comm, found.values.owned())));
    assert_eq!(read("determined")?, (vec![9, 5], vec![1.0; 45]));
    assert_eq!(read("observation")?.1, [0.0; 9]);
    assert_eq!(read("detector")?.1, [0.0, 1.0, 2.0].repeat(3));
    assert_eq!(read("first_sample")?.1, [0.0, 65.0, 210.0].map(|start| [start; 3]).concat());
    assert_eq!(read("samples")?.1, [60.0, 135.0, 290.0].map(|count| [count; 3]).concat());
    let names = match &file.read_table("templates/names")?[..] {
        [(name, TableColumn::Text { values, .. })] if name == "name" => values.clone(),
        other => return Err(format!("{other:?}").into()),
    };
    assert_eq!(names, ["legendre 1", "legendre 2", "legendre 3", "cos 1", "sin 1"]);
    file.close()?;
    let report = fs::read_to_string(request.folder.join("report.html"))?;
    assert!(report.contains("legendre 1, legendre 2, legendre 3, cos 1, sin 1, for each of 9 intervals of a detector"));
    comm.barrier();
    Ok(())
}
