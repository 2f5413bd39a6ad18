//! Input as other programs write it: types of flags and names, detectors that are dead, frames and units of maps.

use dolmen_core::Comm;
use dolmen_io::fits::MapFile;
use dolmen_solvers::Progress;
use dolmen_tests::TestResult;
use mapmaker::config::Config;
use mapmaker::figures::residuals;
use mapmaker::maps::{Maps, make_maps};
use mapmaker::phases::Phases;
use mapmaker::simulate::simulate;

use crate::common::CONFIG;
use crate::fixture::{Folder, whole};
use crate::programs::python;

/// Beginning of a script that has the folder in `folder` and writes files of timelines: `tod(name)` is a copy of the
/// simulated ones, open, and `sky(name, unit, cards, value)` a map of which `value` makes the simulated sky's column.
const HELPERS: &str = "
import sys, shutil, numpy, h5py
from astropy.io import fits
folder = sys.argv[1] + '/'

def tod(name):
    shutil.copy(folder + 'tod.h5', folder + name + '.h5')
    return h5py.File(folder + name + '.h5', 'r+')

def sky(name, unit, cards, value):
    columns = fits.getdata(folder + 'tod_sky.fits')
    columns = [fits.Column(name=n, format='D', array=value(n, columns[n].ravel()), unit=unit) for n in columns.names]
    table = fits.BinTableHDU.from_columns(columns)
    table.header.update({'PIXTYPE': 'HEALPIX', 'ORDERING': 'RING', 'NSIDE': 8} | cards)
    table.writeto(folder + name + '.fits')
";

/// A folder with simulated timelines, and what a script makes of them.
pub(crate) fn prepared(comm: &Comm, script: &str) -> TestResult<Folder> {
    let folder = Folder::new(comm)?;
    let config = Config::parse(CONFIG, &folder.path.join("case.toml"))?;
    simulate(comm, &config.simulate, None, &config.input.tod[0])?;
    if comm.rank() == 0 {
        python(&format!("{HELPERS}{script}"), &folder.path)?;
    }
    comm.barrier();
    Ok(folder)
}

/// Maps with a part of the configuration replaced.
fn maps(comm: &Comm, folder: &Folder, from: &str, to: &str) -> TestResult<mapmaker::Result<Maps>> {
    assert!(CONFIG.contains(from), "{from}");
    let config = Config::parse(&CONFIG.replace(from, to), &folder.path.join("case.toml"))?;
    Ok(make_maps(comm, &config, &mut Phases::default(), &mut |_: &Progress| {}, None))
}

/// Checks that input is refused with all of these words.
fn refused(made: mapmaker::Result<Maps>, words: &[&str]) {
    let error = made.err().unwrap_or_else(|| panic!("{words:?}: the input is accepted")).to_string();
    for word in words {
        assert!(error.contains(word), "{error:?} does not say {word:?}");
    }
}

/// The bits of the destriped map that a file of timelines gives.
fn destriped(comm: &Comm, folder: &Folder, name: &str) -> TestResult<Vec<u64>> {
    let maps = maps(comm, folder, "tod.h5", &format!("{name}.h5"))??;
    let bits = maps.destriped.as_ref().ok_or("destriping is on")?.iter().map(|value| value.to_bits());
    Ok(whole(comm, &bits.collect::<Vec<_>>()))
}

/// Flags and names in the types that h5py users choose; a detector without noise level whose samples are all flagged.
pub(crate) fn types(comm: &Comm) -> TestResult {
    let folder = prepared(
        comm,
        "
shared = numpy.zeros(3600, 'u1'); shared[100:140] = 1
own = numpy.zeros((4, 3600), 'u1'); own[1] = 1; own[2, 7:9] = 1

def flags(f, shared, own):
    f['observations/scan/flags'], f['observations/scan/detector_flags'] = shared, own

def dead(f, net=numpy.nan):
    t = f['detectors'][()]
    t['net'][1] = net
    t['quaternion'][1] = t['fknee'][1] = t['pol_efficiency'][1] = numpy.nan
    f['detectors'][...] = t
    f['observations/scan/signal'][1] = numpy.nan

with tod('bytes') as f:
    flags(f, shared, own)
with tod('wide') as f:  # the lowest byte is zero
    flags(f, shared.astype('<i4') * 65536, own.astype('>i2') * 256)
with tod('long') as f:
    flags(f, shared.astype('u8') * 2**63, own * numpy.float32(0.5))
with tod('truth') as f:
    flags(f, shared.astype(bool), -own.astype('i1'))
with tod('names') as f:
    flags(f, shared, own)
    t = f['detectors'][()]
    del f['detectors']
    rest = [d for d in t.dtype.descr if d[0] != 'name']
    u = numpy.zeros(4, [('name', h5py.string_dtype())] + rest)
    for n, _, *_ in rest:
        u[n] = t[n]
    u['name'] = ['LFI-27M \u{3b1} ' + 'x' * 60, 'b', '', 'd']
    f['detectors'] = u
for name, net in [('dead', numpy.nan), ('zero', 0), ('tiny', 1e-200)]:
    with tod(name) as f:
        flags(f, shared, own)
        dead(f, net)
with tod('bits') as f:  # other bits mean nothing
    flags(f, (shared * 4 + numpy.arange(3600) % 4).astype('i8'), own * 2 + 5 * (numpy.arange(3600) % 2).astype('u1'))
with tod('alive') as f:
    own[1, 1234] = 0
    flags(f, shared, own)
    dead(f)
with tod('noise') as f:
    f['detectors'][...] = numpy.where(numpy.arange(4) == 1, numpy.zeros_like(f['detectors'][()]), f['detectors'][()])
    t = f['detectors'][()]
    t['quaternion'][1] = [0, 0, 0, 1]
    f['detectors'][...] = t
",
    )?;
    let expected = destriped(comm, &folder, "bytes")?;
    for name in ["wide", "long", "truth", "names", "dead", "zero", "tiny"] {
        assert!(destriped(comm, &folder, name)? == expected, "{name} gives another map");
    }
    let input = "input.tod = 'tod.h5'";
    let chosen = maps(comm, &folder, input, "input = { tod = 'bits.h5', flag_bits = 0b100, detector_flag_bits = 2 }")??;
    let bits = chosen.destriped.as_ref().ok_or("destriping is on")?.iter().map(|value| value.to_bits());
    assert!(whole(comm, &bits.collect::<Vec<_>>()) == expected, "other bits of flags count");
    let real = maps(comm, &folder, input, "input = { tod = 'long.h5', detector_flag_bits = 1 }")?;
    refused(real, &["scan/detector_flags: has real numbers", "remove input.detector_flag_bits"]);
    let with = |name: &str| maps(comm, &folder, "tod.h5", &format!("{name}.h5"));
    refused(with("alive")?, &["detectors[1].quaternion", "not a unit quaternion"]);
    refused(with("noise")?, &["detectors[1].net: is 0", "flag all samples of the detector"]);
    Ok(())
}

/// The file that the example of docs/tod-format.md writes: its circle is 60 degrees from the pole.
pub(crate) fn documented(comm: &Comm) -> TestResult {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/tod-format.md");
    let page = std::fs::read_to_string(page)?;
    let (_, rest) = page.split_once("```python\n").ok_or("no example")?;
    let (script, _) = rest.split_once("```").ok_or("no end of the example")?;
    let folder = Folder::new(comm)?;
    if comm.rank() == 0 {
        python(&format!("import os, sys\nos.chdir(sys.argv[1])\n{script}"), &folder.path)?;
    }
    comm.barrier();
    let text =
        "input.tod = 'tod.h5'\nmap = { nside = 8, stokes = 'I', ordering = 'RING' }\ndestripe = { baseline = 10.0 }";
    let config = Config::parse(text, &folder.path.join("case.toml"))?;
    let maps = make_maps(comm, &config, &mut Phases::default(), &mut |_: &Progress| {}, None)?;
    let hits = whole(comm, &maps.hits);
    assert_eq!(hits.iter().sum::<i64>(), 2 * 901);
    let theta = |pixel: usize| maps.pixels.healpix.direction(pixel as u64).expect("a pixel").0.to_degrees();
    let seen: Vec<usize> = (0..hits.len()).filter(|&pixel| hits[pixel] > 0).collect();
    assert!(seen.len() > 20 && seen.iter().all(|&pixel| (theta(pixel) - 60.0).abs() < 8.0), "{seen:?}");
    assert_eq!((maps.description.detectors[1].name.as_str(), maps.description.units.as_str()), ("143-1b", "K_CMB"));
    Ok(())
}

/// Pointing in single precision, of which pi lies above pi.
pub(crate) fn single_precision(comm: &Comm) -> TestResult {
    let folder = prepared(
        comm,
        "
pi = numpy.float32(numpy.pi)
for name, south in [('below', numpy.nextafter(pi, numpy.float32(0))), ('pole', pi), ('beyond', 3.1416)]:
    with tod(name) as f:
        g = f['observations/scan']
        del g['boresight']
        i = numpy.arange(4 * 3600)
        angles = {'theta': 0.01 + 2e-4 * i, 'phi': i * 0.37 % 6.28, 'psi': i * 1.1 % 3.14}
        angles['theta'][5::7] = south
        for n, values in angles.items():
            g[n] = values.reshape(4, 3600).astype('f4')
",
    )?;
    assert!(destriped(comm, &folder, "below")? == destriped(comm, &folder, "pole")?, "the same pixels");
    // The first such sample in time.
    let words = ["scan/theta[2, 1]: looks at theta 3.1415998", "between 0 and pi"];
    refused(maps(comm, &folder, "tod.h5", "beyond.h5")?, &words);
    Ok(())
}

/// Masks and skies in another frame, or in one that is not known, are refused.
pub(crate) fn frames(comm: &Comm) -> TestResult {
    let folder = prepared(
        comm,
        "
for name, cards in {
    'equatorial': {'COORDSYS': 'EQU'},
    'old': {'COORD': 'CEL'},
    'horizon': {'COORDSYS': 'HORIZON'},
    'left': {'COORDSYS': 'G', 'POLCCONV': 'LEFT'},
    'galactic': {'COORD': 'galactic', 'POLCCONV': 'iau'},
    'silent': {},
}.items():
    sky(name, None, cards, lambda n, values: numpy.arange(768.0) % 9)
",
    )?;
    let masked = |name: &str| maps(comm, &folder, "baseline = 20.0", &format!("baseline = 20.0, mask = '{name}.fits'"));
    let other = ["C (equatorial)", "the timelines are in G (galactic)"];
    for (name, words) in [
        ("equatorial", &other[..]),
        ("old", &other),
        ("horizon", &["COORDSYS is \"HORIZON\", which is not known"]),
        ("left", &["POLCCONV is \"LEFT\", which is not known"]),
    ] {
        refused(masked(name)?, &[&[name], words].concat());
        refused(compared(comm, &folder, name)?, &[&[name], words].concat());
    }
    for name in ["galactic", "silent"] {
        assert!(masked(name)?.is_ok(), "{name}");
    }
    let config = Config::parse(CONFIG, &folder.path.join("case.toml"))?;
    let scan = simulate(comm, &config.simulate, Some(&folder.path.join("left.fits")), &folder.path.join("left.h5"));
    let error = scan.err().ok_or("scanned")?.to_string();
    assert!(error.contains("POLCCONV is \"LEFT\""), "{error}");
    Ok(())
}

/// Maps with a sky to compare with.
fn compared(comm: &Comm, folder: &Folder, name: &str) -> TestResult<mapmaker::Result<Maps>> {
    let output = format!("output = {{ folder = 'out', compare = '{name}.fits' }}");
    maps(comm, folder, "output.folder = 'out'", &output)
}

/// Skies are converted to the unit of the timelines, and U to the convention of the map.
pub(crate) fn units(comm: &Comm) -> TestResult {
    let folder = prepared(
        comm,
        "
sky('micro', 'uK_CMB', {'COORDSYS': 'G', 'POLCCONV': 'cosmo'}, lambda n, values: 1e6 * values)
sky('milli', 'mK,thermodynamic', {'COORDSYS': 'GAL'}, lambda n, values: 1e3 * values)
sky('silent', None, {}, lambda n, values: values)
sky('iau', 'K', {'POLCCONV': 'iau'}, lambda n, values: -values if n[0] == 'U' else values)
sky('dust', 'MJy/sr', {}, lambda n, values: values)
",
    )?;
    let rms = |name: &str| -> TestResult<Vec<f64>> {
        let maps = compared(comm, &folder, name)??;
        Ok(residuals(&maps).into_iter().map(|(_, rms)| rms).collect())
    };
    let expected = rms("tod_sky")?;
    for name in ["micro", "milli", "silent", "iau"] {
        for (found, expected) in rms(name)?.iter().zip(&expected) {
            assert!((found / expected - 1.0).abs() < 1e-12, "{name}: {found} instead of {expected}");
        }
    }
    refused(compared(comm, &folder, "dust")?, &["dust.fits", "column I_STOKES is in \"MJy/sr\"", "\"K_CMB\""]);

    // The unit of a sky that is scanned wins over that of the configuration.
    let text = CONFIG.replace("hours = 0.2", "hours = 0.2, sky_unit = 1e-3");
    let config = Config::parse(&text, &folder.path.join("case.toml"))?;
    let first = |path: &std::path::Path| -> TestResult<Vec<f64>> { Ok(MapFile::open(path)?.read(0, 0..768)?) };
    let scanned = |sky: &str| -> TestResult<Vec<f64>> {
        let sky = folder.path.join(format!("{sky}.fits"));
        let made = simulate(comm, &config.simulate, Some(&sky), &folder.path.join("again.h5"))?;
        let found = first(&made.sky);
        comm.barrier();
        found
    };
    let simulated = first(&folder.path.join("tod_sky.fits"))?;
    assert_eq!(scanned("iau")?, simulated);
    let milli: Vec<f64> = simulated.iter().map(|value| 1e-3 * value).collect();
    assert_eq!(scanned("silent")?, milli);
    Ok(())
}
