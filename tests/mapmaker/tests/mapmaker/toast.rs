//! Observations of TOAST 3, converted to the format of the map-maker. The files are made after the layout of TOAST's
//! `save_hdf5`, versions 1 and 2.

use std::fs;

use dolmen_core::Comm;
use dolmen_tests::TestResult;
use mapmaker::import::Given;

use crate::bits::{Checksums, checksum};
use crate::common::{CONFIG, mapmaker};
use crate::fixture::Folder;
use crate::importing::{imported, made, refuse, values};
use crate::programs::python;

/// Beginning of a script that has the folder in `folder`: `observation` makes a file of random samples, and gives them back.
pub(crate) const HELPERS: &str = "
import sys, json, numpy, h5py
from astropy import units as u
from astropy.io.misc.hdf5 import write_table_hdf5
from astropy.table import QTable
folder = sys.argv[1] + '/'
n = 2000
ALL = ['D0', 'D1', 'D2']

def units(r, count):
    q = r.normal(size=(count, 4))
    return q / numpy.linalg.norm(q, axis=1)[:, None]

def focalplane(**more):
    r = numpy.random.default_rng(1)
    root = numpy.sqrt(1 * u.s)
    table = QTable({'name': ALL[::-1], 'quat': units(r, 3), 'pol_leakage': [0.0, 0.1, 0.2], 'gamma': [0.3, 0.2, 0.1] * u.rad,
                    'psd_net': [3e-6, 2e-6, 1e-6] * u.K * root, 'psd_fknee': [30, 20, 10] * u.mHz, 'psd_alpha': [1.0, 1.5, 2.0],
                    'psd_fmin': [1e-5, 1e-5, 1e-5] * u.Hz, 'is_dark': [False, False, True]})
    for name, values in more.items():
        table[name] = values
    return table

def observation(name, seed, version=2, detectors=ALL, table=focalplane(), unit='K', kind='f8', flags='u1', plate=False, noise=None, without=()):
    r = numpy.random.default_rng(seed)
    times = 1.7e9 + 1000 * seed + numpy.arange(n) / 20.0
    data = {'times': times, 'flags': r.integers(0, 8, n).astype('u1'), 'boresight_radec': units(r, n), 'hwp_angle': r.uniform(0, 7, n)}
    data |= {'signal': r.normal(size=(len(detectors), n)).astype(kind), 'det_flags': r.integers(0, 4, (len(detectors), n)).astype(flags)}
    spans = numpy.array([[times[0] - 5, times[400]], [times[400], times[500] + 0.01], [times[700] - 0.02, times[-1]]])
    data['spans'] = spans
    with h5py.File(folder + name + '.h5', 'w') as f:
        f.attrs.update({'toast_version': '3.0', 'toast_format_version': version, 'observation_name': name, 'observation_uid': seed})
        f.attrs.update({'observation_detectors': json.dumps(detectors), 'observation_samples': n})
        if version == 2:
            f.attrs['observation_detector_flags'] = json.dumps({'D0': 0, 'D1': 16, 'D2': 0})
        write_table_hdf5(table, f.create_group('instrument'), path='focalplane', serialize_meta=True)
        f.create_group('metadata/other')
        if noise is not None:
            f.create_group('metadata/noise_model')['analytic'] = numpy.array(noise, dtype='S8, f8, f8, f8, f8, f8')
        for group in ('shared', 'detdata', 'intervals'):
            f.create_group(group)
        for key in ('times', 'flags', 'boresight_radec') + (('hwp_angle',) if plate else ()):
            f['shared'][key] = data[key]
            f['shared'][key].attrs['comm_type'] = 'column'
        f['detdata']['signal'] = data['signal']
        f['detdata']['signal'].attrs['units'] = unit
        f['detdata']['flags'] = data['det_flags']
        f['detdata']['flags'].attrs['units'] = ''
        f['intervals'].attrs['times'] = 'times'
        f['intervals']['scanning'] = spans.T
        for key in without:
            del f[key]
    return data
";

const MADE: &str = "
first = observation('first', 1)
second = observation('second', 2, detectors=ALL[::-1], flags='i4')
noise = [(d, 20.0, 0.0, 0.5 + i, 1.0, 1e-6 * (i + 1)) for i, d in enumerate(ALL)]
old = observation('old', 3, version=1, unit='uK', kind='f4', noise=noise, without=['detdata/flags', 'shared/flags'])
plate = observation('plate', 4, plate=True)
";

const COMPARE: &str = "
def opened(name, group):
    f = h5py.File(folder + name)
    return f, f['observations'][group], f['detectors'][()]

same = numpy.testing.assert_array_equal
table = focalplane()
for group, made, order in (('first', first, [0, 1, 2]), ('second', second, [2, 1, 0])):
    f, scan, detectors = opened('both.h5', group)
    assert dict(f.attrs) | {'coordinates': 'C', 'psi_convention': 'COSMO', 'units': 'K', 'format': 'dolmen-tod', 'version': 1} == dict(f.attrs)
    same(scan['signal'], made['signal'][order])
    assert scan['signal'].dtype == 'f8' and scan['flags'].dtype == 'u1'
    same(scan['boresight'], made['boresight_radec'])
    same(scan['flags'], made['flags'])
    same(scan['detector_flags'], made['det_flags'][order] | numpy.array([[0], [16], [0]]))
    assert scan['detector_flags'].dtype == {'first': 'u1', 'second': 'i8'}[group]
    assert abs(scan.attrs['sample_rate'] / 20.0 - 1) < 1e-9
    inside = [(made['times'] >= start) & (made['times'] < stop) for start, stop in made['spans']]
    inside[-1][-1] = True
    same(scan['intervals'], [[numpy.flatnonzero(i)[0], numpy.flatnonzero(i)[-1] + 1] for i in inside])
assert detectors['name'].tolist() == [b'D0', b'D1', b'D2']
same(detectors['quaternion'], table['quat'][::-1])
for column, values in {'net': [1e-6, 2e-6, 3e-6], 'fknee': [0.01, 0.02, 0.03], 'alpha': [2.0, 1.5, 1.0], 'fmin': [1e-5] * 3,
                       'pol_efficiency': [0.8 / 1.2, 0.9 / 1.1, 1.0]}.items():
    numpy.testing.assert_allclose(detectors[column], values, rtol=1e-15)

f, scan, detectors = opened('old.h5', 'old')
same(scan['signal'], old['signal'])
assert scan['signal'].dtype == 'f4' and f.attrs['units'] == 'uK' and 'flags' not in scan and 'detector_flags' not in scan
same(scan['intervals'], [[0, n]])
numpy.testing.assert_allclose(detectors['net'], [1.0, 2.0, 3.0], rtol=1e-15)
same(detectors['fknee'], [0.5, 1.5, 2.5])

# Weights of Q and U of a detector behind a plate, by vectors: the meridian to the south, and the polarization axis.
f, scan, detectors = opened('plate.h5', 'plate')

def times(a, b):
    x, y, z, w = numpy.moveaxis(a, -1, 0)
    p, q, r, s = numpy.moveaxis(b, -1, 0)
    return numpy.stack([w*p + x*s + y*r - z*q, w*q - x*r + y*s + z*p, w*r + x*q - y*p + z*s, w*s - x*p - y*q - z*r], -1)

def turned(q, axis):
    return times(times(q, numpy.array(axis + [0.0])), q * [-1, -1, -1, 1])[..., :3]

for row in range(3):
    q = times(plate['boresight_radec'], table['quat'][2 - row])
    look, axis = turned(q, [0.0, 0.0, 1.0]), turned(q, [1.0, 0.0, 0.0])
    phi = numpy.arctan2(look[:, 1], look[:, 0])
    south = numpy.stack([look[:, 2] * numpy.cos(phi), look[:, 2] * numpy.sin(phi), -numpy.hypot(look[:, 0], look[:, 1])], -1)
    alpha = numpy.arctan2((look * numpy.cross(south, axis)).sum(1), (south * axis).sum(1))
    omega = alpha + plate['hwp_angle'] - table['gamma'][2 - row].value
    cos, sin = numpy.cos(2 * (alpha - 2 * omega)), -numpy.sin(2 * (alpha - 2 * omega))
    close = lambda a, b: numpy.testing.assert_allclose(a, b, atol=1e-12)
    psi = scan['psi'][row]
    close(numpy.cos(2 * psi), cos)
    close(numpy.sin(2 * psi), sin)
    close(numpy.cos(scan['theta'][row]), look[:, 2])
    close(numpy.cos(scan['phi'][row] - phi), 1)
assert 'boresight' not in scan
same(scan['signal'], plate['signal'])
";

fn import_all(comm: &Comm, folder: &Folder) -> TestResult {
    let given = Given { intervals: Some("scanning".into()), ..Given::default() };
    let description = imported(comm, folder, &["first.h5", "second.h5"], "both.h5", given)?;
    assert_eq!(description.observations.len(), 2);
    imported(comm, folder, &["old.h5"], "new_old.h5", Given::default())?;
    imported(comm, folder, &["plate.h5"], "new_plate.h5", Given::default())?;
    Ok(())
}

/// All that the files hold is in the new files, also the angles behind a half-wave plate.
pub(crate) fn layouts(comm: &Comm) -> TestResult {
    let folder = made(comm, &format!("{HELPERS}{MADE}"))?;
    import_all(comm, &folder)?;
    if comm.rank() == 0 {
        let compare = COMPARE.replace("'old.h5'", "'new_old.h5'").replace("'plate.h5'", "'new_plate.h5'");
        // The files of TOAST are made again, which gives what they hold.
        python(&format!("{HELPERS}{MADE}{compare}"), &folder.path)?;
    }
    comm.barrier();
    Ok(())
}

/// The bytes of new files.
pub(crate) fn bits(comm: &Comm) -> TestResult<Checksums> {
    let folder = made(comm, &format!("{HELPERS}{MADE}"))?;
    import_all(comm, &folder)?;
    let sum = |name: &str| -> TestResult<(String, u64)> {
        Ok((name.to_owned(), checksum(fs::read(folder.path.join(name))?.into_iter().map(u64::from))))
    };
    let sums = ["both.h5", "new_old.h5", "new_plate.h5"].into_iter().map(sum).collect();
    comm.barrier();
    sums
}

const BAD: &str = "
def changed(name, change, **more):
    observation(name, 1, **more)
    with h5py.File(folder + name + '.h5', 'r+') as f:
        change(f)

def attribute(key, value):
    return lambda f: f.attrs.__setitem__(key, value)

def replace(key, value):
    def change(f):
        del f[key]
        f[key] = value
    return change

changed('version', attribute('toast_format_version', 3))
changed('json', attribute('observation_detectors', '[D0'))
observation('compressed', 1, without=['detdata/signal'])
with h5py.File(folder + 'compressed.h5', 'r+') as f:
    f['detdata/signal/stream_starts'] = numpy.zeros(3)
observation('nosignal', 1, without=['detdata/signal'])
observation('nolook', 1, without=['shared/boresight_radec'])
changed('rows', replace('detdata/signal', numpy.zeros((2, n))))
changed('times', replace('shared/times', numpy.zeros(7)))
observation('volt', 1, unit='')
observation('current', 1, unit='pA')
plain = focalplane()
plain['psd_net'] = plain['psd_net'].value
plain['psd_fknee'] = [1, 2, 3] * u.deg
observation('plain', 1, table=plain)
observation('unknown', 1, detectors=['D0', 'D9', 'D1'])
nogamma = focalplane()
del nogamma['gamma']
observation('nogamma', 1, table=nogamma, plate=True)
observation('alone', 1, without=['shared/times', 'intervals/scanning'])
observation('other', 2, table=focalplane(psd_net=[9e-6, 2e-6, 1e-6] * u.K * numpy.sqrt(1 * u.s)))
observation('few', 2, detectors=['D0', 'D1'])
changed('spans', replace('intervals/scanning', numpy.array([[5.0, 1.0], [6.0, 2.0]])))
changed('late', replace('intervals/scanning', numpy.array([[5.0, 7.0], [6.0, 8.0]])))
with h5py.File(folder + 'tod.h5', 'w') as f:
    f.attrs['format'] = 'dolmen-tod'
";

/// Files that cannot be imported are named, and leave no file.
pub(crate) fn bad(comm: &Comm) -> TestResult {
    let folder = made(comm, &format!("{HELPERS}{MADE}{BAD}"))?;
    for (command, words) in [
        ("version.h5", &["version.h5: /: has version 3 of TOAST's layout, but 1 and 2 are read"][..]),
        ("json.h5", &["attribute observation_detectors: is not the expected JSON"]),
        ("compressed.h5", &["compressed.h5: detdata/signal: is compressed by FLAC", "save it uncompressed"]),
        ("nosignal.h5", &["detdata/signal: does not exist; give --signal NAME (there are: flags)"]),
        ("nolook.h5", &["shared/boresight_radec: does not exist; give --boresight NAME", "(there are: none)"]),
        ("first.h5 --boresight x", &["shared/x: does not exist", "(there are: boresight_radec)"]),
        ("rows.h5", &["detdata/signal: has shape (2, 2000), expected (3 detectors, samples)"]),
        ("times.h5", &["shared/times: has shape [7], expected [2000] as the signal has"]),
        ("volt.h5", &["volt.h5: volt: does not say all that timelines need; add --net NET", "--units UNIT"]),
        ("current.h5", &["add --net NET (white noise, in the unit of the signal times sqrt(s))"]),
        ("plain.h5", &["add --net NET", "--fknee HZ"]),
        ("unknown.h5", &["instrument/focalplane: has no row for \"D9\""]),
        ("nogamma.h5", &["shared/hwp_angle: turns the polarization of D0", "has no column gamma"]),
        ("alone.h5", &["add --sample-rate HZ"]),
        ("alone.h5 --sample-rate 20 --intervals scanning", &["intervals/scanning: does not exist"]),
        ("first.h5 --intervals throw", &["intervals/throw: does not exist; --intervals has the choice of: scanning"]),
        ("spans.h5 --intervals scanning", &["intervals/scanning: has the times 6 and 1 one after the other"]),
        ("late.h5 --intervals scanning", &["intervals/scanning: has no interval with samples"]),
        ("first.h5 other.h5", &["other.h5: detector D2: has net 9e-6, but 3e-6 in ", "first.h5", "give --net"]),
        ("first.h5 few.h5", &["few.h5: detectors: are D0, D1, but D0, D1, D2 in "]),
        ("first.h5 old.h5", &["old.h5: unit of the signal: is \"uK\", but \"K\" in "]),
        ("first.h5 --observation x", &["--observation: is of FITS tables only"]),
        ("tod.h5", &["tod.h5: /: has the format of the map-maker already; name it in input.tod"]),
    ] {
        refuse(comm, &folder, command, words)?;
    }
    let given = Given { net: values(&["1"]), units: Some("V".into()), ..Given::default() };
    assert_eq!(imported(comm, &folder, &["volt.h5"], "new.h5", given)?.units, "V");
    Ok(())
}

/// The program makes maps of what it has imported.
pub(crate) fn program() -> TestResult {
    let temporary = tempfile::tempdir()?;
    let folder = temporary.path();
    python(&format!("{HELPERS}{MADE}"), folder)?;
    let made = mapmaker(2, folder, &["import", "first.h5", "second.h5", "--output", "tod.h5"])?;
    assert!(made.status.success(), "{}", made.stderr);
    assert!(made.stdout.contains("frame C, angles COSMO, signal in K"), "{}", made.stdout);
    fs::write(folder.join("run.toml"), CONFIG.replace("nside = 8", "nside = 1"))?;
    let run = mapmaker(2, folder, &["run", "run.toml"])?;
    assert!(run.status.success(), "{}", run.stderr);
    let refused = mapmaker(1, folder, &["run", "run.toml", "--tod", "first.h5"])?;
    assert!(
        refused.stderr.contains("is an observation that TOAST has saved; import it: mapmaker import"),
        "{}",
        refused.stderr
    );
    Ok(())
}
