//! Input that nothing can be made of: the program says so in one line, the same on any number of ranks.

use std::fs;
use std::path::Path;

use dolmen_tests::TestResult;

use crate::common::{CONFIG, mapmaker, only_error};
use crate::programs::damage;

/// Runs on one and on three ranks and checks for one and the same line with exit code 2, which
/// has all of `words` in it, and no output left behind.
pub(crate) fn refused(folder: &Path, args: &[&str], words: &[&str]) -> TestResult {
    let [one, three] = [1, 3].map(|ranks| mapmaker(ranks, folder, args).and_then(|output| only_error(&output)));
    let (one, three) = (one?, three?);
    for word in words {
        assert!(one.contains(word), "{one:?} does not say {word:?}");
    }
    assert_eq!(one, three, "the same line on 1 and 3 ranks");
    let left: Vec<_> = fs::read_dir(folder.join("out")).into_iter().flatten().collect();
    assert!(left.is_empty(), "{args:?} left {left:?}");
    Ok(())
}

/// Files and folders that cannot be used.
pub(crate) fn bad_input() -> TestResult {
    let temporary = tempfile::tempdir()?;
    let folder = temporary.path();
    let config = |name: &str, text: &str| fs::write(folder.join(name), text);
    config("good.toml", CONFIG)?;
    let made = mapmaker(2, folder, &["simulate", "good.toml"])?;
    assert!(made.status.success(), "{}", made.stderr);
    let tod = folder.join("tod.h5");

    let bytes = fs::read(&tod)?;
    fs::write(folder.join("cut.h5"), &bytes[..bytes.len() / 2])?;
    refused(folder, &["run", "good.toml", "--tod", "cut.h5"], &["cut.h5", "truncated"])?;
    refused(folder, &["run", "good.toml", "--tod", "none.h5"], &["none.h5", "No such file"])?;
    fs::write(folder.join("text.h5"), "not HDF5")?;
    refused(folder, &["run", "good.toml", "--tod", "text.h5"], &["text.h5", "HDF5"])?;

    damage(&tod, "nan.h5", "f['observations/scan/signal'][2, 1234] = float('nan')")?;
    let place = "observations/scan/signal[2, 1234]";
    refused(folder, &["run", "good.toml", "--tod", "nan.h5"], &["nan.h5", place, "NaN"])?;
    damage(&tod, "lost.h5", "del f['observations/scan/signal']")?;
    refused(folder, &["run", "good.toml", "--tod", "lost.h5"], &["lost.h5", "observations/scan/signal", "exist"])?;
    damage(&tod, "column.h5", "t = f['detectors'][()]; del f['detectors']; f['detectors'] = t[['name', 'fknee']]")?;
    refused(folder, &["run", "good.toml", "--tod", "column.h5"], &["column.h5", "detectors", "no column"])?;
    damage(&tod, "turn.h5", "f['observations/scan/boresight'][77] = 0.3")?;
    refused(folder, &["run", "good.toml", "--tod", "turn.h5"], &["boresight[77]", "unit quaternion"])?;
    damage(&tod, "net.h5", "t = f['detectors'][()]; t['net'][1] = -1; f['detectors'][...] = t")?;
    refused(folder, &["run", "good.toml", "--tod", "net.h5"], &["detectors[1].net", "-1"])?;
    damage(&tod, "flagged.h5", "f['observations/scan/flags'] = __import__('numpy').ones(3600, 'u1')")?;
    refused(folder, &["run", "good.toml", "--tod", "flagged.h5"], &["flagged.h5", "all samples are flagged"])?;

    config("nside.toml", &CONFIG.replace("nside = 8 }\n    destripe", "nside = 12 }\n    destripe"))?;
    refused(folder, &["run", "nside.toml"], &["nside.toml", "12", "power of two"])?;
    config("typo.toml", &CONFIG.replace("baseline", "baselin"))?;
    refused(folder, &["run", "typo.toml"], &["typo.toml:4", "baselin", "did you mean \"baseline\"?"])?;
    refused(folder, &["run", "missing.toml"], &["missing.toml", "No such file"])?;

    config("flat", "a file where a folder is wanted")?;
    refused(folder, &["run", "good.toml", "--output", "flat"], &["flat", "cannot be written"])?;
    refused(folder, &["run", "good.toml", "--output", "flat/out"], &["flat/out", "cannot be written"])?;
    config(
        "impossible.toml",
        &CONFIG.replace("nside = 8 }\n    destripe", "nside = 8, min_hits = 1000000 }\n    destripe"),
    )?;
    refused(folder, &["run", "impossible.toml"], &["no pixel can be solved"])?;
    Ok(())
}

/// Rewrites the pointing of the open file `f` as pixels of nside 16 and angles.
const PIXELS: &str = "import numpy; g = f['observations/scan']; del g['boresight']; shape = g['signal'].shape; \
    g.attrs['nside'] = 16; g.attrs['ordering'] = 'RING'; \
    g['pixel'] = numpy.arange(shape[0] * shape[1]).reshape(shape) % 3072; g['psi'] = numpy.zeros(shape); ";
const ANGLES: &str = "import numpy; g = f['observations/scan']; del g['boresight']; shape = g['signal'].shape; \
    [g.create_dataset(name, data=numpy.ones(shape)) for name in ['theta', 'phi', 'psi']]; ";

/// Timelines whose samples or shapes are bad, each named.
pub(crate) fn bad_timelines() -> TestResult {
    let temporary = tempfile::tempdir()?;
    let folder = temporary.path();
    fs::write(folder.join("good.toml"), CONFIG)?;
    let made = mapmaker(2, folder, &["simulate", "good.toml"])?;
    assert!(made.status.success(), "{}", made.stderr);
    let tod = folder.join("tod.h5");
    let signal = "f['observations/scan/signal']";
    let boresight = "f['observations/scan/boresight']";
    let cases: &[(String, &[&str])] = &[
        (format!("{PIXELS} g['psi'][1, 1700] = float('nan')"), &["scan/psi[1, 1700]", "NaN"]),
        (format!("{PIXELS} g['psi'][1, 1700] = -1.6375e30"), &["scan/psi[1, 1700]", "-1.6375e30"]),
        (format!("{ANGLES} g['phi'][1, 1700] = -1.6375e30"), &["scan/theta[1, 1700]", "phi -1.6375e30"]),
        (
            format!("{signal}[1, 1700] = -1.6375e30"),
            &["scan/signal[1, 1700]", "HEALPix's value of pixels that are not"],
        ),
        (format!("{PIXELS} g['pixel'][3, 5] = 3072"), &["scan/pixel[3, 5]", "is 3072", "nside 16", "0 to 3071"]),
        (format!("{PIXELS} g['pixel'][3, 5] = -1"), &["scan/pixel[3, 5]", "is -1"]),
        (format!("{PIXELS} g.attrs['nside'] = 4"), &["scan/pixel", "nside 4", "coarser than map.nside = 8"]),
        (
            "s = f['observations/scan/signal'][()].astype('f8'); s[2, 40] = 1e151; g = f['observations/scan']; \
             del g['signal']; g['signal'] = s"
                .into(),
            &["scan/signal[2, 40]", "1e151"],
        ),
        ("t = f['detectors'][()]; t['net'][1] = 1e-200; f['detectors'][...] = t".into(), &["detector 1", "1e-200"]),
        ("t = f['detectors'][()]; t['net'][2] = 1e200; f['detectors'][...] = t".into(), &["detector 2", "1e200"]),
        ("f['observations/scan'].attrs['sample_rate'] = 1e-300".into(), &["observations/scan", "weight"]),
        ("f.attrs['version'] = 2".into(), &["version", "is 2"]),
        (
            "g = f['observations/scan']; del g['intervals']; \
             g.create_dataset('intervals', shape=(0, 2), dtype='i8')"
                .into(),
            &["scan/intervals", "no interval"],
        ),
        (format!("{ANGLES} del g['psi']; g['psi'] = numpy.ones((3, shape[1]))"), &["scan/psi", "[3, 3600]"]),
        (format!("{ANGLES} del g['phi']; g['phi'] = numpy.ones((4, 9))"), &["scan/phi", "[4, 9]"]),
        ("f['observations/scan/flags'] = __import__('numpy').zeros(9, 'u1')".into(), &["scan/flags", "[9]"]),
        (
            "f['observations/scan/detector_flags'] = __import__('numpy').zeros((5, 3600), 'u1')".into(),
            &["scan/detector_flags", "[5, 3600]"],
        ),
        // The earliest sample, of whatever kind and detector.
        (
            format!("{signal}[0, 900] = float('nan'); {signal}[3, 899] = float('inf'); {boresight}[2000] = 0"),
            &["scan/signal[3, 899]", "inf"],
        ),
        (format!("{signal}[0, 3000] = float('nan'); {boresight}[2000] = float('nan')"), &["scan/boresight[2000]"]),
        (format!("{signal}[3, 7] = float('nan'); {signal}[1, 7] = float('inf')"), &["scan/signal[1, 7]", "inf"]),
    ];
    for (change, words) in cases {
        damage(&tod, "bad.h5", change)?;
        refused(folder, &["run", "good.toml", "--tod", "bad.h5"], words)
            .map_err(|error| format!("{change}: {error}"))?;
    }
    Ok(())
}

/// Settings that nothing can be made of, each named.
pub(crate) fn bad_settings() -> TestResult {
    let temporary = tempfile::tempdir()?;
    let folder = temporary.path();
    let case = |command: &str, from: &str, to: &str, words: &[&str]| -> TestResult {
        assert!(CONFIG.contains(from), "{from}");
        fs::write(folder.join("case.toml"), CONFIG.replace(from, to))?;
        refused(folder, &[command, "case.toml"], words)?;
        assert!(!folder.join("tod.h5").exists() && !folder.join("tod.h5.tmp").exists(), "{to} left timelines");
        assert!(!folder.join("tod_sky.fits").exists(), "{to} left a sky");
        Ok(())
    };
    let simulate =
        |to: &str, words: &[&str]| case("simulate", "hours = 0.2, sample_rate = 5.0, interval = 0.1", to, words);
    simulate("opening_angle = nan", &["simulate.opening_angle is NaN"])?;
    simulate("net = 0", &["simulate.net is 0"])?;
    simulate("hours = 1e300", &["simulate.hours", "samples"])?;
    simulate("hours = 1e5, sample_rate = 5.0, interval = 1e-9", &["simulate.interval", "intervals"])?;
    simulate("hours = 1e6, sample_rate = 5.0, interval = 1e6", &["simulate.interval = 1000000", "memory"])?;
    simulate("spin_period = 1e-320", &["simulate.spin_period is 1e-320 s"])?;
    simulate(
        "hours = 0.2, sample_rate = 5.0, interval = 0.1, alpha = 300",
        &["simulate", "alpha", "single precision"],
    )?;
    case("simulate", "sky_nside = 8", "sky_nside = 536870912", &["simulate.sky_nside = 536870912", "memory"])?;
    case(
        "run",
        "nside = 8 }\n    destripe",
        "nside = 536870912 }\n    destripe",
        &["map.nside = 536870912", "memory"],
    )?;
    for command in ["run", "simulate"] {
        case(command, "input.tod = 'tod.h5'", "input = {}", &["case.toml", "input.tod is missing"])?;
    }

    fs::write(folder.join("good.toml"), CONFIG)?;
    let made = mapmaker(2, folder, &["simulate", "good.toml"])?;
    assert!(made.status.success(), "{}", made.stderr);
    let sky = fs::read(folder.join("tod_sky.fits"))?;
    let again = ["simulate", "good.toml", "--sky", "tod_sky.fits", "--output"];
    for output in ["tod.h5", "../here/tod.h5", "tod_sky.fits"] {
        let here = folder.file_name().unwrap_or_default().to_string_lossy();
        let output = output.replace("here", &here);
        refused(folder, &[again.as_slice(), &[&output]].concat(), &["tod_sky.fits, and would be overwritten"])?;
    }
    assert_eq!(fs::read(folder.join("tod_sky.fits"))?, sky);
    fs::write(folder.join("bare.toml"), CONFIG.replace("input.tod = 'tod.h5'", "input = {}"))?;
    let made = mapmaker(1, folder, &["run", "bare.toml", "--tod", "tod.h5"])?;
    assert!(made.status.success(), "{}", made.stderr);
    Ok(())
}
