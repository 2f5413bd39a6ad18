//! Noise that is estimated from timelines, against the noise that was put in.

use std::fs;
use std::path::Path;

use dolmen_core::Comm;
use dolmen_io::hdf5::{H5File, TableColumn};
use dolmen_solvers::Progress;
use dolmen_tests::TestResult;
use mapmaker::config::{Config, InputConfig, Stokes};
use mapmaker::maps::make_maps;
use mapmaker::noise_estimate::{Fit, Request, Sky, estimate};
use mapmaker::phases::Phases;
use mapmaker::run;
use mapmaker::simulate::simulate;

use crate::bits::Checksums;
use crate::common::{CONFIG, mapmaker, only_error};
use crate::fixture::{Folder, whole};
use crate::inputs;
use crate::programs::python;
use crate::refusals::refused;

/// Noise in four intervals of a little under an hour; the sky is in `tod_sky.fits`.
const NOISE: &str = "
    input.tod = 'tod.h5'
    map = { nside = 8 }
    destripe = { baseline = 10.0 }
    output = { folder = 'out', pictures = false }
    simulate = { hours = 3.6, sample_rate = 10.0, interval = 0.9, sky_nside = 8, net = 1e-5, fknee = 0.2, alpha = 1.4, fmin = 1e-3 }";

/// The white noise of the simulation: less than the sky, so that it matters what is subtracted.
const NET: f64 = 1e-5;

/// Flags single samples, an eighth of the samples in short gaps, a long gap, and all of
/// a detector in an interval.
const GAPS: &str = "
import sys, h5py, numpy
with h5py.File(sys.argv[1] + '/tod.h5', 'r+') as f:
    scan = f['observations/scan']
    n = scan['signal'].shape[1]
    flags = numpy.zeros((4, n), 'u1')
    flags[:, numpy.random.default_rng(1).random(n) < 0.02] = 1
    flags[1, (numpy.arange(n) // 25) % 8 == 3] = 1
    flags[2, 40000:46000] = 1
    flags[3, 32400:64800] = 1
    scan['detector_flags'] = flags
    signal = scan['signal'][()]
    signal[flags != 0] = 1e3
    scan['signal'][...] = signal
";

fn prepared(comm: &Comm) -> TestResult<Folder> {
    let folder = Folder::new(comm)?;
    let config = Config::parse(NOISE, &folder.path.join("case.toml"))?;
    simulate(comm, &config.simulate, None, &config.input.tod[0])?;
    if comm.rank() == 0 {
        python(GAPS, &folder.path)?;
    }
    comm.barrier();
    Ok(folder)
}

fn request(folder: &Path, sky: Sky) -> Request {
    let input = InputConfig::of(&[folder.join("tod.h5")]);
    Request { input, stokes: Stokes::IQU, sky, inputs: vec![], write: None, plot: None }
}

/// Checks that a fit is the noise of the simulation within `times` its standard errors.
fn check(what: &str, fit: &Fit, times: f64) {
    let all = [
        ("net", fit.net, fit.net_error, NET),
        ("fknee", fit.fknee, fit.fknee_error, 0.2),
        ("alpha", fit.alpha, fit.alpha_error, 1.4),
    ];
    for (name, found, error, expected) in all {
        assert!((found - expected).abs() < times * error, "{what}: {name} {found} +- {error}, expected {expected}");
    }
    assert!(
        fit.net_error < 0.05 * fit.net && fit.alpha_error < 0.6 && fit.fknee_error < 0.5 * fit.fknee,
        "{what}: {fit:?}"
    );
}

/// The noise of each detector and interval is found, within its errors.
pub(crate) fn recovered(comm: &Comm) -> TestResult {
    let folder = prepared(comm)?;
    let noise = estimate(comm, &request(&folder.path, Sky::Map(folder.path.join("tod_sky.fits"))))?;
    let mut squares = Vec::new();
    assert_eq!(noise.series.len(), 16);
    for series in &noise.series {
        let place = (series.interval, series.detector);
        let Some(fit) = &series.fit else {
            assert_eq!((place, series.samples), ((1, 3), 0), "only one series has no sample");
            continue;
        };
        check(&format!("{place:?}"), fit, 4.0);
        squares.push(((fit.net - NET) / fit.net_error).powi(2));
        squares.push(((fit.alpha - 1.4) / fit.alpha_error).powi(2));
        assert!((0.4..2.0).contains(&fit.chi_square), "{place:?}: {fit:?}");
    }
    // Errors are neither too small nor too large: of 30 squares, the mean has a standard error of 0.26.
    let mean = squares.iter().sum::<f64>() / squares.len() as f64;
    assert!((0.35..1.9).contains(&mean), "{mean}");
    for (detector, fit) in noise.detectors.iter().enumerate() {
        let fit = fit.as_ref().ok_or("a fit")?;
        check(&format!("detector {detector}"), fit, 4.0);
        let smaller = noise.series.iter().filter(|series| series.detector == detector).filter_map(|series| series.fit);
        smaller.for_each(|single| {
            assert!(fit.net_error < 0.8 * single.net_error && fit.alpha_error < 0.8 * single.alpha_error)
        });
    }
    comm.barrier();
    Ok(())
}

/// Noise less a map that was made of these timelines, which took a part of it; and with a sky that is not subtracted.
pub(crate) fn own_map(comm: &Comm) -> TestResult {
    let folder = prepared(comm)?;
    let mut text = NOISE.replace("nside = 8 }\n    destripe", "nside = 16 }\n    destripe");
    text = text.replace("baseline = 10.0", "baseline = 1.0");
    let config = Config::parse(&text, &folder.path.join("case.toml"))?;
    let out = folder.path.join("out");
    let made = run::Request { folder: out.clone(), config, text, path: folder.path.join("case.toml"), resume: None };
    run::run(comm, &made, &mut |_: &Progress| {})?;
    let own = estimate(comm, &request(&folder.path, Sky::of_run(comm, &made.path, Some(&out))?))?;
    let none = estimate(comm, &request(&folder.path, Sky::None))?;
    for (own, none) in own.detectors.iter().zip(&none.detectors) {
        let (own, none) = (own.ok_or("a fit")?, none.ok_or("a fit")?);
        // The map has taken some of the drifts, and little of the white noise.
        assert!((own.net / NET - 1.0).abs() < 0.01 && (0.75..1.05).contains(&(own.fknee / 0.2)), "{own:?}");
        assert!(own.chi_square < 2.0 && none.chi_square > 10.0, "{none:?} with the sky");
    }
    comm.barrier();
    Ok(())
}

pub(crate) fn bits(comm: &Comm) -> TestResult<Checksums> {
    let folder = prepared(comm)?;
    let out = [folder.path.join("noise.h5"), folder.path.join("noise.png")];
    let mut request = request(&folder.path, Sky::Map(folder.path.join("tod_sky.fits")));
    (request.write, request.plot) = (Some(out[0].clone()), Some(out[1].clone()));
    let noise = estimate(comm, &request)?;
    assert_eq!(noise.files, out);
    let mut sums = Vec::new();
    let fits = noise.detectors.iter().chain(noise.series.iter().map(|series| &series.fit));
    for (i, fit) in fits.enumerate() {
        let fit = fit.unwrap_or_default();
        let values = [fit.net, fit.net_error, fit.fknee, fit.fknee_error, fit.alpha, fit.alpha_error, fit.chi_square];
        sums.extend(values.map(|value| (format!("fit {i}"), value.to_bits())));
    }
    for spectrum in &noise.spectra {
        let all = spectrum.frequency.iter().chain(&spectrum.power).chain(&spectrum.fit);
        sums.extend(all.map(|value| ("spectrum".to_owned(), value.to_bits())));
    }
    let file = H5File::open(comm, &out[0])?;
    for (name, column) in file.read_table("intervals")?.into_iter().chain(file.read_table("detectors")?) {
        match column {
            TableColumn::Real(values) | TableColumn::Reals { values, .. } => {
                sums.extend(values.into_iter().map(|value| (name.clone(), value.to_bits())));
            }
            TableColumn::Integer(values) => {
                sums.extend(values.into_iter().map(|value| (name.clone(), value.cast_unsigned())))
            }
            _ => (),
        }
    }
    let picture = fs::read(&out[1])?;
    sums.push((
        "picture".into(),
        picture.iter().fold(7u64, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)),
    ));
    comm.barrier();
    Ok(sums)
}

/// Noise of a file of its own: maps as if the timelines had it.
pub(crate) fn from_file(comm: &Comm) -> TestResult {
    let folder = inputs::prepared(
        comm,
        "
with h5py.File(folder + 'tod.h5') as f:
    table = f['detectors'][()]
half = table.copy()
half['net'] *= [0.5, 0.4, 0.5, 0.6]
half['fknee'] = 0.3
def write(name, table):
    with h5py.File(folder + name + '.h5', 'w') as f:
        f['detectors'] = table
write('noise', half[::-1])
write('few', half[:3])
write('bare', half[['name', 'net', 'fknee', 'alpha']])
bad = half.copy()
bad['net'][2] = -1.0
write('bad', bad)
write('none', half['net'])
f = tod('other')
f['detectors'][...] = half
f.close()
",
    )?;
    let made = |tod: &str, noise: &str| -> TestResult<mapmaker::Result<Vec<Vec<f64>>>> {
        let text = CONFIG.replace("'tod.h5'", &format!("{tod}{noise}"));
        let config = Config::parse(&text, &folder.path.join("case.toml"))?;
        let maps = make_maps(comm, &config, &mut Phases::default(), &mut |_: &Progress| {}, None);
        Ok(maps.map(|maps| [&maps.covariance, maps.destriped.as_ref().expect("on")].map(|map| whole(comm, map)).into()))
    };
    let noise = |name: &str| format!("\n    input.noise = '{name}.h5'");
    let expected = made("'other.h5'", "")??;
    assert!(made("'tod.h5'", &noise("noise"))?? == expected, "the maps of timelines that have this noise");
    assert!(made("'tod.h5'", "")?? != expected);
    for (name, words) in [
        ("few", &["few.h5: detectors: has no row for B_S, a detector of ", "tod.h5"][..]),
        ("bare", &["bare.h5: detectors: has no column fmin"]),
        ("bad", &["bad.h5: detectors[2].net: is -1.0, expected a positive"]),
        ("none", &["none.h5", "detectors"]),
        ("missing", &["missing.h5", "No such file"]),
    ] {
        let error = made("'tod.h5'", &noise(name))?.err().ok_or_else(|| format!("{name} is accepted"))?.to_string();
        words.iter().for_each(|word| assert!(error.contains(word), "{error:?} does not say {word:?}"));
    }
    // Files that contradict each other about noise need not.
    let both = made("['tod.h5', 'other.h5']", "")?.err().ok_or("accepted")?.to_string();
    assert!(both.contains("other.h5: detectors[0].net: is "), "{both}");
    assert!(made("['tod.h5', 'other.h5']", &noise("noise"))?.is_ok());
    Ok(())
}

/// The command: what it prints and writes, and what it refuses.
pub(crate) fn command() -> TestResult {
    let temporary = tempfile::tempdir()?;
    let folder = temporary.path();
    let text = CONFIG.replace("output.folder = 'out'", "output = { folder = 'out', pictures = false }");
    fs::write(folder.join("good.toml"), text.replace("hours = 0.2", "hours = 1.0"))?;
    let made = mapmaker(1, folder, &["simulate", "good.toml"])?;
    assert!(made.status.success(), "{}", made.stderr);
    refused(
        folder,
        &["noise", "good.toml"],
        &["good.toml: there is no map of a run", "map_destriped.fits", "--sky FILE", "--no-sky"],
    )?;
    refused(folder, &["noise", "tod.h5"], &["tod.h5: ", "--sky FILE", "--no-sky"])?;
    let made = mapmaker(2, folder, &["run", "good.toml"])?;
    assert!(made.status.success(), "{}", made.stderr);
    let shown = mapmaker(2, folder, &["noise", "good.toml", "--write", "noise.h5", "--plot", "noise.png"])?;
    assert!(shown.status.success(), "{}", shown.stderr);
    for words in
        ["map_destriped.fits", "net [K_CMB sqrt(s)]", "A_M ", "scan 9 B_S", "wrote noise.h5", "wrote noise.png"]
    {
        assert!(shown.stdout.contains(words), "{words} is not in {}", shown.stdout);
    }
    python(
        "import h5py, sys, numpy, json, subprocess
new, old = [h5py.File(sys.argv[1] + '/' + name)['detectors'][()] for name in ('noise.h5', 'tod.h5')]
assert new.dtype.names == old.dtype.names and (new['name'] == old['name']).all()
assert (new['quaternion'] == old['quaternion']).all() and (new['fmin'] == old['fmin']).all()
assert (new['net'] != old['net']).all() and abs(new['net'] / old['net'] - 1).max() < 0.1",
        folder,
    )?;
    let json = mapmaker(1, folder, &["noise", "tod.h5", "--sky", "tod_sky.fits", "--json"])?;
    fs::write(folder.join("noise.json"), &json.stdout)?;
    python(
        "import json, sys
noise = json.load(open(sys.argv[1] + '/noise.json'))
assert [d['name'] for d in noise['detectors']] == ['A_M', 'A_S', 'B_M', 'B_S'] and noise['units'] == 'K_CMB'
assert len(noise['intervals']) == 40 and noise['intervals'][5]['interval'] == 1
assert abs(noise['detectors'][0]['fit']['net'] / 150e-6 - 1) < 0.1
assert len(noise['detectors'][0]['spectrum']['power']) > 20",
        folder,
    )?;
    let tod = fs::read(folder.join("tod.h5"))?;
    fs::copy(folder.join("tod_sky.fits"), folder.join("sky.fits"))?;
    for (args, words) in [
        (
            &["tod.h5", "--no-sky", "--write", "tod.h5"][..],
            &["tod.h5: is the input tod.h5, and would be overwritten"][..],
        ),
        (&["tod.h5", "--sky", "sky.fits", "--plot", "sky.fits"], &["sky.fits: is the input sky.fits"]),
        (&["good.toml", "--no-sky", "--write", "good.toml"], &["good.toml: is the input good.toml"]),
        (&["good.toml", "--write", "out/map_destriped.fits"], &["map_destriped.fits: is the input "]),
        (&["tod.h5", "--no-sky", "--write", "x", "--plot", "x"], &["x: cannot be both"]),
        (&["tod.h5", "--sky", "none.fits"], &["none.fits", "No such file"]),
        (&["tod.h5", "--sky", "tod.h5"], &["tod.h5"]),
        (&["none*.h5", "--no-sky"], &["no file matches this pattern"]),
        (&["tod.h5", "--no-sky", "--tod", "tod.h5"], &["--tod has no meaning"]),
    ] {
        let error = only_error(&mapmaker(2, folder, &[&["noise"], args].concat())?)?;
        words.iter().for_each(|word| assert!(error.contains(word), "{args:?}: {error}"));
    }
    assert!(fs::read(folder.join("tod.h5"))? == tod, "the timelines are as they were");
    Ok(())
}
