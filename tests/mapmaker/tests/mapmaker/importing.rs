//! Timelines of FITS tables, converted to the format of the map-maker.

use std::fs;
use std::path::PathBuf;

use dolmen_core::Comm;
use dolmen_io::hdf5::OpenOptions;
use dolmen_tests::TestResult;
use mapmaker::config::{Convention, Frame};
use mapmaker::import::{AngleUnit, ByDetector, Given, Request, import};
use mapmaker::tod::{Description, resolve};

use crate::bits::Checksums;
use crate::common::{CONFIG, mapmaker};
use crate::fixture::Folder;
use crate::programs::python;
use crate::refusals::refused;

/// Beginning of a script that has the folder in `folder`: `samples(seed)` are random columns of a detector, `table` makes
/// a table of them, and `write` a file of tables.
pub(crate) const HELPERS: &str = "
import sys, numpy, h5py
from astropy.io import fits
folder = sys.argv[1] + '/'
n = 3000

def samples(seed, flags='u1'):
    r = numpy.random.default_rng(seed)
    reals = {'THETA': r.uniform(0.1, 3.0, n), 'PHI': r.uniform(0, 6.2, n), 'PSI': r.uniform(-3, 3, n), 'TSKY': r.normal(0, 1e-3, n)}
    return {name: values.astype('f4') for name, values in reals.items()} | {'FLAG': r.integers(0, 2, n).astype(flags)}

UNITS = {'THETA': 'rad', 'PHI': 'rad', 'PSI': 'rad', 'TSKY': 'K_CMB'}
FORMS = {'THETA': 'E', 'PHI': 'E', 'PSI': 'E', 'TSKY': 'E', 'FLAG': 'B'}
CARDS = {'FSAMP': 10.0, 'NET': 1e-3, 'FKNEE': 0.1, 'ALPHA': 1.5, 'FMIN': 1e-4, 'COORDSYS': 'G', 'POLCCONV': 'COSMO'}

def table(name, data, cards=CARDS, units={}, forms={}, repeat=1):
    columns = []
    for column, values in data.items():
        form, unit = (FORMS | forms).get(column), (UNITS | units).get(column)
        columns.append(fits.Column(name=column, format=f'{repeat}{form}', unit=unit, array=values.reshape(len(values) // repeat, -1) if repeat > 1 else values))
    hdu = fits.BinTableHDU.from_columns(columns, name=name)
    hdu.header.update(cards)
    return hdu

def write(name, *tables, cards={}):
    primary = fits.PrimaryHDU()
    primary.header.update(cards)
    fits.HDUList([primary, *tables]).writeto(folder + name)
";

/// Files of several forms: each a pair of detectors.
const FORMS: &str = "
write('first.fits', table('D1', samples(1)), table('D2', samples(2)))
swapped = [table('D2', samples(4)), table('D1', samples(3))]
write('second.fits', *swapped, table('other', {'X': numpy.zeros(3)}, forms={'X': 'D'}))

# Degrees, double precision, wide flags and none, several samples a row, keywords of the whole file, small letters.
degrees = {name: numpy.degrees(values.astype('f8')) if name in ('THETA', 'PHI', 'PSI') else values for name, values in samples(1, 'i4').items()}
degrees['FLAG'] = degrees['FLAG'] * 2**20
double = {name: 'D' for name in ('THETA', 'PHI', 'PSI')} | {'FLAG': 'J'}
unit = {name: 'deg' for name in ('THETA', 'PHI', 'PSI')}
without = {name.lower(): values for name, values in degrees.items() if name != 'FLAG'}
small = lambda d: {name.lower(): value for name, value in d.items()}
tables = [table('D1', degrees, {}, unit, double, repeat=15), table('D2', without, {'NET': 2e-3}, small(UNITS | unit), small(FORMS | double), repeat=15)]
write('forms.fits', *tables, cards=CARDS)

# A detector in each file, without name or units.
for seed in (1, 2):
    hdu = table('', samples(seed), {}, {name: None for name in UNITS})
    hdu.header.remove('EXTNAME', ignore_missing=True)
    write(f'lone{seed}.fits', hdu)

# Signed flags of a byte, and another column of the signal.
odd = samples(1) | {'DIFF': samples(7)['TSKY']}
odd['FLAG'] = odd['FLAG'] * 128
write('odd.fits', table('D1', odd, CARDS | {'XZERO5': -128}, {'DIFF': 'mK'}, {'DIFF': 'E'}))
odd['FLAG'] = odd['FLAG'] - 128.0
with open(folder + 'odd.fits', 'rb') as file:
    patched = file.read().replace(b'XZERO5  =', b'TZERO5  =')
with open(folder + 'odd.fits', 'wb') as file:
    file.write(patched)
";

/// Compares what was imported with the columns of the tables.
const COMPARE: &str = "
def compare(name, group, expected, kinds, flags=True):
    with h5py.File(folder + name) as f:
        scan = f['observations'][group]
        for dataset, column in {'theta': 'THETA', 'phi': 'PHI', 'psi': 'PSI', 'signal': 'TSKY', 'detector_flags': 'FLAG'}.items():
            if dataset == 'detector_flags' and not flags:
                assert dataset not in scan
                continue
            values = numpy.array([detector[column] for detector in expected])
            assert scan[dataset].dtype == kinds[dataset], (name, dataset, scan[dataset].dtype)
            assert scan[dataset].shape == values.shape and (scan[dataset][()] == values).all(), (name, group, dataset)
        return dict(f.attrs), dict(scan.attrs), f['detectors'][()], scan['intervals'][()]

single = {'theta': 'f4', 'phi': 'f4', 'psi': 'f4', 'signal': 'f4', 'detector_flags': 'u1'}
attributes, scan, detectors, intervals = compare('both.h5', 'first', [samples(1), samples(2)], single)
assert attributes['coordinates'] == 'G' and attributes['psi_convention'] == 'COSMO' and attributes['units'] == 'K_CMB'
assert scan['sample_rate'] == 10.0 and intervals.tolist() == [[0, n]]
assert detectors['name'].tolist() == [b'D1', b'D2'] and (detectors['quaternion'] == [0, 0, 0, 1]).all()
for column, value in {'net': 1e-3, 'fknee': 0.1, 'alpha': 1.5, 'fmin': 1e-4, 'pol_efficiency': 1.0}.items():
    assert (detectors[column] == value).all(), column
compare('both.h5', 'second', [samples(3), samples(4)], single)

turned = {name: numpy.radians(values) if name in ('THETA', 'PHI', 'PSI') else values for name, values in degrees.items()}
nothing = turned | {'FLAG': numpy.zeros(n)}
_, _, detectors, _ = compare('forms.h5', 'forms', [turned, nothing], single | {'theta': 'f8', 'phi': 'f8', 'psi': 'f8', 'detector_flags': 'i8'})
assert detectors['net'].tolist() == [1e-3, 2e-3]

attributes, scan, detectors, _ = compare('lone.h5', 'all_of_it', [samples(1), samples(2)], single)
assert attributes['coordinates'] == 'E' and attributes['psi_convention'] == 'IAU' and attributes['units'] == 'V'
assert detectors['name'].tolist() == [b'lone1', b'lone2'] and detectors['net'].tolist() == [5.0, 7.0]
assert numpy.isnan(detectors['fknee']).all() and numpy.isnan(detectors['alpha']).all() and scan['sample_rate'] == 12.5
assert detectors['pol_efficiency'].tolist() == [0.9, 0.9]

attributes, _, _, _ = compare('odd.h5', 'odd', [odd | {'TSKY': odd['DIFF']}], single | {'detector_flags': 'i8'})
assert attributes['units'] == 'mK'
";

pub(crate) fn values(texts: &[&str]) -> ByDetector {
    texts.iter().map(|text| text.parse().expect("a value")).collect::<Vec<_>>().into()
}

/// Imports files of a folder.
pub(crate) fn imported(
    comm: &Comm,
    folder: &Folder,
    files: &[&str],
    output: &str,
    given: Given,
) -> TestResult<Description> {
    let files: Vec<PathBuf> = files.iter().map(|file| folder.path.join(file)).collect();
    let (files, output) = (resolve(comm, &files)?, folder.path.join(output));
    Ok(import(comm, &Request { files, output, given, options: OpenOptions::new() })?)
}

/// A folder with what a script makes.
pub(crate) fn made(comm: &Comm, script: &str) -> TestResult<Folder> {
    let folder = Folder::new(comm)?;
    if comm.rank() == 0 {
        python(script, &folder.path)?;
    }
    comm.barrier();
    Ok(folder)
}

fn import_all(comm: &Comm, folder: &Folder) -> TestResult {
    imported(comm, folder, &["first.fits", "sec*.fits"], "both.h5", Given::default())?;
    imported(comm, folder, &["forms.fits"], "forms.h5", Given::default())?;
    let given = Given {
        net: values(&["5", "lone2=7"]),
        fknee: values(&["nan"]),
        pol_efficiency: values(&["0.9"]),
        sample_rate: Some(12.5),
        coordinates: Some(Frame::E),
        psi_convention: Some(Convention::Iau),
        units: Some("V".into()),
        angle_unit: Some(AngleUnit::Radian),
        observation: Some("all/of_it".into()),
        ..Given::default()
    };
    let description = imported(comm, folder, &["lone1.fits", "lone2.fits"], "lone.h5", given)?;
    assert_eq!((description.detectors.len(), description.observations.len()), (2, 1));
    let given = Given { signal: Some("DIFF".into()), ..Given::default() };
    imported(comm, folder, &["odd.fits"], "odd.h5", given)?;
    Ok(())
}

/// All that the tables hold is in the new files.
pub(crate) fn forms(comm: &Comm) -> TestResult {
    let folder = made(comm, &format!("{HELPERS}{FORMS}"))?;
    import_all(comm, &folder)?;
    if comm.rank() == 0 {
        // The tables are made again, elsewhere.
        let elsewhere = FORMS.replace("writeto(folder + name)", "info(output=False)");
        let helpers = HELPERS.replace("writeto(folder + name)", "info(output=False)");
        python(&format!("{helpers}{elsewhere}{COMPARE}"), &folder.path)?;
    }
    comm.barrier();
    Ok(())
}

/// The bytes of new files.
pub(crate) fn bits(comm: &Comm) -> TestResult<Checksums> {
    let folder = made(comm, &format!("{HELPERS}{FORMS}"))?;
    import_all(comm, &folder)?;
    let sum = |name: &str| -> TestResult<(String, u64)> {
        let bytes = fs::read(folder.path.join(name))?;
        Ok((name.to_owned(), crate::bits::checksum(bytes.into_iter().map(u64::from))))
    };
    let sums = ["both.h5", "forms.h5", "lone.h5", "odd.h5"].into_iter().map(sum).collect();
    // The folder is removed by its owner.
    comm.barrier();
    sums
}

/// Files that contradict each other or lack something, beside `FORMS`.
const BAD: &str = "
write('none.fits', table('D1', samples(1), {}, {'TSKY': None}), table('D2', samples(2), {}))
write('nophi.fits', table('D1', {name: values for name, values in samples(1).items() if name != 'PHI'}))
write('noname.fits', table('', samples(1)), table('D2', samples(2)))
write('arcmin.fits', table('D1', samples(1), units={'PSI': 'arcmin'}))
write('horizon.fits', table('D1', samples(1), CARDS | {'COORDSYS': 'HORIZON'}))
write('left.fits', table('D1', samples(1), CARDS | {'POLCCONV': 'LEFT'}))
write('twice.fits', table('D1', samples(1)), table('D1', samples(2)))
write('short.fits', table('D1', samples(1)), table('D2', {name: values[:-1] for name, values in samples(2).items()}))
write('rates.fits', table('D1', samples(1)), table('D2', samples(2), CARDS | {'FSAMP': 11.0}))
write('empty.fits', table('D1', {name: values[:0] for name, values in samples(1).items()}))
write('negative.fits', table('D1', samples(1), CARDS | {'NET': -1.0}))
write('third.fits', table('D1', samples(1)), table('D3', samples(2)))
write('noisy.fits', table('D1', samples(1)), table('D2', samples(2), CARDS | {'NET': 2e-3}))
write('milli.fits', table('D1', samples(1), units={'TSKY': 'mK'}), table('D2', samples(2), units={'TSKY': 'mK'}))
write('signals.fits', table('D1', samples(1) | {'SIGNAL': samples(1)['TSKY']}, forms={'SIGNAL': 'E'}))
write('image.fits')
h5py.File(folder + 'other.h5', 'w').close()
open(folder + 'text.txt', 'w').write('text')
open(folder + 'cut.fits', 'wb').write(open(folder + 'first.fits', 'rb').read()[:40000])
";

/// Returns files and options of a command line.
fn parsed(words: &str) -> TestResult<(Vec<&str>, Given)> {
    let (mut files, mut given) = (Vec::new(), Given::default());
    let mut words = words.split(' ');
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or("a value is missing");
        match word {
            "--net" => given.net = values(&[value()?]),
            "--fknee" => given.fknee = values(&[value()?]),
            "--pol-efficiency" => given.pol_efficiency = values(&[value()?]),
            "--sample-rate" => given.sample_rate = Some(value()?.parse()?),
            "--coordinates" => given.coordinates = Some(value()?.parse()?),
            "--signal" => given.signal = Some(value()?.into()),
            "--boresight" => given.boresight = Some(value()?.into()),
            "--intervals" => given.intervals = Some(value()?.into()),
            "--observation" => given.observation = Some(value()?.into()),
            file => files.push(file),
        }
    }
    Ok((files, given))
}

/// Checks for an error with all of the words, and for no file that is left.
pub(crate) fn refuse(comm: &Comm, folder: &Folder, command: &str, words: &[&str]) -> TestResult {
    let (files, given) = parsed(command)?;
    let error =
        imported(comm, folder, &files, "new.h5", given).err().ok_or(format!("{command} is accepted"))?.to_string();
    for word in words {
        assert!(error.contains(word), "{command}: {error:?} does not say {word:?}");
    }
    for left in ["new.h5", "new.h5.tmp"] {
        assert!(!folder.path.join(left).exists(), "{command} leaves {left}");
    }
    Ok(())
}

/// Files that cannot be imported are named, and leave no file.
pub(crate) fn bad(comm: &Comm) -> TestResult {
    let folder = made(comm, &format!("{HELPERS}{FORMS}{BAD}"))?;
    for (command, words) in [
        (
            "none.fits",
            &[
                "none.fits: HDU 1 (D1): does not say all that timelines need; add --net NET",
                "--fknee HZ",
                "--alpha ALPHA",
                "--fmin HZ",
                "--sample-rate HZ",
                "--coordinates FRAME",
                "--psi-convention CONVENTION",
                "--units UNIT",
            ][..],
        ),
        (
            "none.fits --net 1 --fknee 0 --sample-rate 1 --coordinates G",
            &[
                "timelines need; add --psi-convention CONVENTION (COSMO or IAU), --units UNIT (of the signal, such as K_CMB)",
            ],
        ),
        ("nophi.fits", &["nophi.fits: HDU 1: has a column THETA, but no PHI"]),
        ("noname.fits", &["HDU 1: has neither DETNAM nor EXTNAME"]),
        ("arcmin.fits", &["HDU 1, column PSI: is in \"arcmin\", expected rad or deg; or give --angle-unit"]),
        ("horizon.fits", &["COORDSYS is \"HORIZON\", which is not known; give --coordinates"]),
        ("left.fits", &["POLCCONV is \"LEFT\", which is not known; give --psi-convention"]),
        ("twice.fits", &["HDU 2 (D1): is a detector that the observation has already"]),
        ("short.fits", &["HDU 2 (D2): has the samples \"2999\", but the first table of the observation has \"3000\""]),
        ("rates.fits", &["HDU 2 (D2): has the sampling rate \"11\""]),
        ("empty.fits", &["empty.fits: empty: has no samples"]),
        ("negative.fits", &["detector D1: has the white noise -1.0, expected a positive number; give --net NET"]),
        (
            "first.fits third.fits",
            &["third.fits: detectors: are D1, D3, but D1, D2 in ", "first.fits", "--observation NAME"],
        ),
        ("first.fits noisy.fits", &["noisy.fits: detector D2: has net 0.002, but 0.001 in ", "give --net"]),
        ("first.fits milli.fits", &["milli.fits: unit of the signal: is \"mK\", but \"K_CMB\" in "]),
        ("signals.fits", &["several columns are known as the signal by name; give --signal COLUMN (there are: THETA"]),
        ("first.fits --signal X", &["has no column X, which --signal names; there are: THETA, PHI, PSI, TSKY, FLAG"]),
        ("first.fits --net E*=1", &["--net: no detector matches \"E*\" (there are: D1, D2)"]),
        ("first.fits --pol-efficiency 2", &["detector D1: has the polarization efficiency 2.0"]),
        ("first.fits --net 1e-200", &["net 1e-200 at 10.0 Hz gives samples the weight"]),
        ("first.fits --sample-rate 0", &["sampling rate: is 0.0, expected a positive rate"]),
        ("first.fits --boresight b", &["--boresight: is of observations of TOAST only"]),
        (
            "first.fits second.fits --observation a",
            &["second.fits: HDU 1 (D2): is a detector that the observation has already"],
        ),
        ("image.fits", &["no binary table has a column THETA"]),
        ("first.fits other.h5", &["other.h5: is of another kind than ", "import FITS and HDF5 files separately"]),
        ("text.txt", &["text.txt: is neither FITS nor HDF5"]),
        ("cut.fits", &["cut.fits: HDU 1: truncated"]),
        ("missing.fits", &["missing.fits: cannot open"]),
        ("first.fits first.fits", &["is the same file as "]),
        ("other.h5", &["other.h5: /: is no observation that TOAST 3 has saved"]),
    ] {
        refuse(comm, &folder, command, words)?;
    }
    Ok(())
}

/// The program imports files, in place of an older one, and makes maps of what it has imported.
pub(crate) fn program() -> TestResult {
    let temporary = tempfile::tempdir()?;
    let folder = temporary.path();
    python(&format!("{HELPERS}{FORMS}"), folder)?;
    fs::write(folder.join("tod.h5"), "old")?;
    let made = mapmaker(2, folder, &["import", "first.fits", "second.fits", "--output", "tod.h5", "--fknee", "0"])?;
    assert!(made.status.success(), "{}", made.stderr);
    let words = [
        "importing 2 files of timelines",
        "tod.h5: 12000 samples of 2 detector(s) in 2 observation(s)",
        "frame G, angles COSMO",
    ];
    for word in words {
        assert!(made.stdout.contains(word), "{} does not say {word}", made.stdout);
    }
    fs::write(folder.join("run.toml"), CONFIG.replace("nside = 8", "nside = 2"))?;
    let run = mapmaker(2, folder, &["run", "run.toml"])?;
    assert!(run.status.success(), "{}", run.stderr);
    assert!(folder.join("out/map_destriped.fits").exists());
    fs::remove_dir_all(folder.join("out"))?;
    let before = fs::read(folder.join("first.fits"))?;
    let replaced = ["is the input first.fits, and would be overwritten"];
    refused(folder, &["import", "first.fits", "--output", "first.fits"], &replaced)?;
    assert!(fs::read(folder.join("first.fits"))? == before, "the input is as it was");
    let advice = ["first.fits: is FITS; import its timelines: mapmaker import "];
    refused(folder, &["run", "run.toml", "--tod", "first.fits", "--output", "new"], &advice)?;
    let bad = mapmaker(1, folder, &["import", "first.fits", "--output", "tod.h5", "--coordinates", "H"])?;
    assert!(bad.status.code() == Some(2) && bad.stderr.contains("expected C, G or E"), "{}", bad.stderr);
    refused(folder, &["import", "first.fits", "--output", "none/tod.h5"], &["none/tod.h5"])?;
    Ok(())
}
