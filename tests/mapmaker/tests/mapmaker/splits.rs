//! Maps of parts of the timelines.

use std::fs;

use dolmen_core::Comm;
use dolmen_io::fits::{MapFile, UNSEEN};
use dolmen_solvers::Progress;
use dolmen_tests::TestResult;
use mapmaker::config::Config;
use mapmaker::maps::Maps;
use mapmaker::parts::PartMaps;
use mapmaker::run::{Request, run};

use crate::bits::{Checksums, outputs_of};
use crate::common::{CONFIG, mapmaker};
use crate::fixture::{Folder, Timeline, assert_close, map, whole};
use crate::inputs::prepared;
use crate::oracle::{self, bin, config, patch, random_timeline, samples};
use crate::programs::python;
use crate::refusals::refused;

const ALL: &str = "
    output.splits = ['halves', 'odd-even', 'detectors', 'observations']
    output.detector_sets = { few = ['D0', 'D2'], one = ['D1'] }
    output.observation_sets = { all = ['*'] }";

/// Five intervals, the last of them shorter than a baseline.
fn timeline() -> Timeline {
    let mut timeline = random_timeline(5, 3, 400, patch);
    timeline.intervals = vec![[5, 68], [80, 170], [171, 220], [220, 390], [391, 400]];
    timeline
}

/// Binned and destriped maps of each part, from its samples and the offsets of all.
pub(crate) fn oracle(comm: &Comm) -> TestResult {
    let timeline = timeline();
    for (stokes, width) in [("I", 1), ("QU", 2), ("IQU", 3)] {
        let text = config(stokes, "").replace("rcond_min = 1e-9", "rcond_min = 1e-6") + ALL;
        let maps = map(comm, &Folder::new(comm)?, &timeline, &text)?;
        let offsets = maps.offsets.as_ref().ok_or("destriping is on")?;
        let offsets = whole(comm, offsets.amplitudes.owned());
        let interval = |time: usize| {
            timeline
                .intervals
                .iter()
                .position(|&[_, end]| i64::try_from(time).is_ok_and(|time| time < end))
                .expect("used")
        };
        let all = samples(&timeline, width);
        let names: Vec<&str> = maps.parts.iter().map(|part| part.name.as_str()).collect();
        assert_eq!(names, ["half1", "half2", "odd", "even", "few", "one", "all"]);
        let whole_map = whole(comm, &maps.binned);
        for part in &maps.parts {
            let is_in = |sample: &&oracle::Sample| match part.name.as_str() {
                "half1" => interval(sample.time) < 3,
                "half2" => interval(sample.time) >= 3,
                "odd" => interval(sample.time) % 2 == 0,
                "even" => interval(sample.time) % 2 == 1,
                "few" => sample.detector != 1,
                "one" => sample.detector == 1,
                _ => true,
            };
            let mine: Vec<oracle::Sample> = all.iter().filter(is_in).map(oracle::Sample::copy).collect();
            assert_eq!(part.counts(comm, width)[0], mine.len() as u64, "{}", part.name);
            let destriped = part.destriped.as_ref().ok_or("destriping is on")?;
            let found = [&part.binned, destriped].map(|map| whole(comm, map));
            let expected = [bin(&mine, |s| s.signal), bin(&mine, |s| s.signal - offsets[s.baseline])];
            for (found, expected) in found.iter().zip(expected) {
                let solved = found.chunks_exact(width).filter(|pixel| pixel[0] != UNSEEN).count();
                assert!(solved >= 9, "{}: {solved}", part.name);
                for (pixel, found) in found.chunks_exact(width).enumerate().filter(|(_, found)| found[0] != UNSEEN) {
                    assert!(whole_map[pixel * width] != UNSEEN);
                    assert_close(&format!("{} {pixel}", part.name), found, &expected[&pixel], 1e-8);
                }
            }
        }
    }
    Ok(())
}

/// The right-hand side of each pixel of a map: the map times the inverse of its covariance.
fn weighted(comm: &Comm, map: &[f64], covariance: &[f64]) -> Vec<Option<Vec<f64>>> {
    let (map, covariance) = (whole(comm, map), whole(comm, covariance));
    let sides = map.chunks_exact(3).zip(covariance.chunks_exact(6)).map(|(map, c)| {
        let matrix = vec![vec![c[0], c[1], c[2]], vec![c[1], c[3], c[4]], vec![c[2], c[4], c[5]]];
        (map[0] != UNSEEN).then(|| oracle::solve(matrix, map.to_vec()))
    });
    sides.collect()
}

/// Maps of two complementary parts, weighted, have the sum of the whole map; hits too.
pub(crate) fn assert_sum(comm: &Comm, maps: &Maps, [first, second]: [&PartMaps; 2], least: usize) {
    let both = whole(comm, &first.hits).into_iter().zip(whole(comm, &second.hits));
    assert_eq!(both.map(|(a, b)| a + b).collect::<Vec<_>>(), whole(comm, &maps.hits));
    let destriped = |map: &Option<Vec<f64>>| map.clone().expect("destriping is on");
    let kinds = [
        [maps.binned.clone(), first.binned.clone(), second.binned.clone()],
        [destriped(&maps.destriped), destriped(&first.destriped), destriped(&second.destriped)],
    ];
    for [all, one, other] in kinds {
        let all = weighted(comm, &all, &maps.covariance);
        let (one, other) = (weighted(comm, &one, &first.covariance), weighted(comm, &other, &second.covariance));
        let mut count = 0;
        for (pixel, all) in all.iter().enumerate() {
            if let (Some(all), Some(one), Some(other)) = (all, &one[pixel], &other[pixel]) {
                let sum: Vec<f64> = one.iter().zip(other).map(|(a, b)| a + b).collect();
                assert_close(&format!("pixel {pixel}"), &sum, all, 1e-9);
                count += 1;
            }
        }
        assert!(count >= least, "{count} pixels");
    }
}

pub(crate) fn sums(comm: &Comm) -> TestResult {
    let text = config("IQU", "").replace("rcond_min = 1e-9", "rcond_min = 1e-4");
    let maps = map(comm, &Folder::new(comm)?, &timeline(), &(text + "\n    output.splits = ['halves', 'odd-even']"))?;
    let [half1, half2, odd, even] = &maps.parts[..] else { panic!("four parts") };
    assert_sum(comm, &maps, [half1, half2], 9);
    assert_sum(comm, &maps, [odd, even], 9);
    Ok(())
}

/// Samples that are left out of all maps, because nothing determines their offsets, are in no part.
pub(crate) fn left_out(comm: &Comm) -> TestResult {
    let folder = prepared(
        comm,
        "
signal = h5py.File(folder + 'tod.h5', 'r+')['observations/scan/signal']
signal[:, 400:700] += 5.0
mask = numpy.ones(768)
import healpy
with h5py.File(folder + 'tod.h5') as f:
    from_boresight = f['observations/scan/boresight'][400:500]
x, y, z, w = from_boresight.T
look = numpy.stack([2*(x*z + w*y), 2*(y*z - w*x), 1 - 2*(x*x + y*y)], axis=1)
for pixel in set(healpy.vec2pix(8, *look.T)):
    mask[healpy.query_disc(8, healpy.pix2vec(8, pixel), 0.25)] = 0
healpy.write_map(folder + 'mask.fits', mask, dtype=float, coord='G')
",
    )?;
    let text = CONFIG.replace("baseline = 20.0", "baseline = 20.0, prior = false, mask = 'mask.fits'")
        + "\n    output.splits = ['halves']";
    let config = Config::parse(&text, &folder.path.join("case.toml"))?;
    let made = mapmaker::maps::make_maps(
        comm,
        &config,
        &mut mapmaker::phases::Phases::default(),
        &mut |_: &Progress| {},
        None,
    )?;
    let mut left_out = [made.left_out];
    comm.all_reduce_sum(&mut left_out);
    assert!(left_out[0] > 0, "some baselines lie under the mask");
    assert_sum(comm, &made, [&made.parts[0], &made.parts[1]], 60);
    Ok(())
}

/// Names of files, what is left of a run with other splits, and the report.
pub(crate) fn files(comm: &Comm) -> TestResult {
    let folder = prepared(comm, "")?;
    let out = folder.path.join("out");
    let made = |more: &str| -> TestResult<Vec<String>> {
        let text = CONFIG.replace("output.folder = 'out'", &format!("output = {{ pictures = false, {more} }}"));
        let config = Config::parse(&text, &folder.path.join("case.toml"))?;
        let path = folder.path.join("case.toml");
        let request = Request { folder: out.clone(), config, text, path, resume: None };
        run(comm, &request, &mut |_: &Progress| {})?;
        comm.barrier();
        let listed = fs::read_dir(&out)?.map(|entry| Ok(entry?.file_name().display().to_string()));
        let mut names = listed.collect::<std::io::Result<Vec<_>>>()?;
        names.sort();
        comm.barrier();
        Ok(names)
    };
    let sets = "splits = ['detectors', 'halves'], detector_sets = { A = ['A_*'], B = ['B_M', 'B_S'] }";
    let names = made(sets)?;
    for part in ["A", "B", "half1", "half2"] {
        for name in ["map_binned", "map_destriped", "hits", "covariance"] {
            assert!(names.contains(&format!("{name}_{part}.fits")), "{name} {part}: {names:?}");
        }
    }
    assert_eq!(names.len(), 6 + 1 + 4 * 4, "{names:?}");
    let map = MapFile::open(out.join("map_destriped_A.fits"))?;
    assert!(map.columns().count() == 3 && map.columns().all(|(_, unit)| unit == "K_CMB"));
    let report = fs::read_to_string(out.join("report.html"))?;
    assert!(report.contains("<th scope=\"row\">half2</th><td>7\u{2009}200</td>"), "the report lists parts");
    comm.barrier();
    if comm.rank() == 0 {
        fs::copy(folder.path.join("tod_sky.fits"), out.join("hits_mine.fits"))?;
    }
    comm.barrier();
    let compared = format!(
        "{}, compare = 'out/map_binned_B.fits'",
        sets.replace("'detectors', 'halves'", "'detectors'").replace("A = ['A_*'], B", "C")
    );
    let names = made(&compared)?;
    let parts: Vec<&String> = names.iter().filter(|name| name.contains('_') && !name.starts_with("map_")).collect();
    assert_eq!(
        parts,
        ["covariance_C.fits", "hits_C.fits", "hits_mine.fits"],
        "a former part is removed, other files stay"
    );
    assert!(names.contains(&"map_binned_B.fits".to_owned()), "an input stays");
    Ok(())
}

pub(crate) fn outputs(comm: &Comm) -> TestResult<Checksums> {
    let folder = prepared(
        comm,
        "
scan = h5py.File(folder + 'tod.h5', 'r+')['observations/scan']
del scan['intervals']
scan['intervals'] = [[0, 700], [700, 1500], [1510, 3600]]
",
    )?;
    let sets = "splits = ['detectors', 'halves', 'odd-even'], detector_sets = { A = ['A_*'], B = ['B_M', 'A_M'] }";
    let text = CONFIG.replace("output.folder = 'out'", &format!("output = {{ folder = 'out', {sets} }}"));
    outputs_of(comm, &folder, &text)
}

/// One line for each split that cannot be made.
pub(crate) fn bad() -> TestResult {
    let temporary = tempfile::tempdir()?;
    let folder = temporary.path();
    fs::write(folder.join("good.toml"), CONFIG)?;
    let made = mapmaker(1, folder, &["simulate", "good.toml"])?;
    assert!(made.status.success(), "{}", made.stderr);
    python(
        "import h5py, sys
with h5py.File(sys.argv[1] + '/tod.h5', 'r+') as f:
    del f['observations/scan/intervals']",
        folder,
    )?;
    let sets = |sets: &str| format!("splits = ['detectors'], detector_sets = {{ {sets} }}");
    for (output, words) in [
        (
            "splits = ['halves']".to_owned(),
            &["tod.h5: observations: have one interval in all", "give the observations intervals"][..],
        ),
        ("splits = ['halfs']".to_owned(), &["unknown value \"halfs\"; did you mean \"halves\"?"]),
        (
            "splits = ['detectors']".to_owned(),
            &["output.splits has \"detectors\", but output.detector_sets has no set"],
        ),
        ("detector_sets = { a = ['A_M'] }".to_owned(), &["output.splits has no \"detectors\"; add it"]),
        (
            sets("half1 = ['A_M']").replace("['detectors']", "['detectors', 'halves']"),
            &["two parts of output.splits are called \"half1\""],
        ),
        (sets("'a/b' = ['A_M']"), &["the set \"a/b\" of output gives files their name"]),
        (sets("a = []"), &["output.detector_sets.a is an empty list"]),
        (sets("a = ['A_X']"), &["there is no detector \"A_X\", which output.detector_sets.a names; did you mean \"A_"]),
        (
            "splits = ['odd-even'], binned = false".to_owned(),
            &["output.splits are of the destriped and the binned map"],
        ),
    ] {
        let mut text = CONFIG.replace("output.folder = 'out'", &format!("output = {{ folder = 'out', {output} }}"));
        if output.contains("binned = false") {
            text = text.replace("baseline = 20.0 }", "enabled = false }\n    gls.enabled = true");
        }
        fs::write(folder.join("bad.toml"), text)?;
        refused(folder, &["run", "bad.toml"], words)?;
    }
    Ok(())
}
