//! Differences of two maps, against NumPy and healpy; and the files that a run writes or leaves out.

use dolmen_core::Comm;
use dolmen_io::fits::MapFile;
use dolmen_solvers::Progress;
use dolmen_tests::TestResult;
use mapmaker::compare::{Comparison, compare};
use mapmaker::config::Config;
use mapmaker::run::{Request, run};
use mapmaker::simulate::simulate;

use crate::common::CONFIG;
use crate::fixture::Folder;
use crate::programs::python;

/// Writes `a.fits` (nside 8, rings, K, COSMO), `b.fits` (nside 4, nested, uK, IAU), `mask.fits`, and what is expected of
/// `a - b`: a line for each column and region.
const MAPS: &str = "
import sys, numpy, healpy
folder = sys.argv[1] + '/'
random = numpy.random.default_rng(3)
a, b = random.normal(0, 1e-4, (3, 768)), random.normal(0, 100.0, (3, 192))
mask = numpy.arange(192) % 3
a[:, 100:140] = healpy.UNSEEN
b[1, 17] = healpy.UNSEEN
names = ['I_STOKES', 'Q_STOKES', 'U_STOKES']
def write(name, m, nest, unit, convention):
    cards = [('POLCCONV', convention)] if convention else []
    healpy.write_map(folder + name, m, nest=nest, coord='G', column_units=unit, column_names=names if len(m) == 3 else ['MASK'],
                     dtype=numpy.float64, extra_header=cards)
write('a.fits', a, False, 'K_CMB', 'COSMO')
write('b.fits', b, True, 'uK_CMB', 'IAU')
write('mask.fits', [mask.astype(float)], True, None, None)
fine = healpy.ring2nest(8, numpy.arange(768)) // 4
latitude = 90 - numpy.degrees(healpy.pix2ang(8, numpy.arange(768))[0])
regions = [numpy.ones(768, bool), abs(latitude) < 32, abs(latitude) >= 32, mask[fine] != 0]
with open(folder + 'expected.txt', 'w') as f:
    for i in range(3):
        other = b[i][fine]
        seen = (a[i] != healpy.UNSEEN) & (other != healpy.UNSEEN)
        d = a[i] - (-1e-6 if i == 2 else 1e-6) * other
        for region in regions:
            v = d[seen & region]
            at = numpy.flatnonzero(seen & region)[numpy.argmax(abs(v))]
            print(len(v), v.mean(), numpy.sqrt((v**2).mean()), v.std(), abs(v).max(), at, file=f)
";

pub(crate) fn differences(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let path = |name: &str| folder.path.join(name);
    if comm.rank() == 0 {
        python(MAPS, &folder.path)?;
    }
    comm.barrier();
    let request = Comparison {
        map: path("a.fits"),
        reference: path("b.fits"),
        masks: vec![path("mask.fits")],
        latitudes: vec![32.0],
        folder: Some(path("out")),
    };
    let compared = compare(comm, &request)?;
    let expected = std::fs::read_to_string(path("expected.txt"))?;
    let expected: Vec<Vec<f64>> =
        expected.lines().map(|line| line.split(' ').map(str::parse).collect()).collect::<Result<_, _>>()?;
    assert_eq!(compared.rows.len(), 12);
    for (row, expected) in compared.rows.iter().zip(&expected) {
        let at = row.at.ok_or("no pixel")? as f64;
        let found = [row.pixels as f64, row.mean, row.rms, row.deviation, row.largest, at];
        for (found, expected) in found.iter().zip(expected) {
            let close = (found - expected).abs() <= 1e-13 * expected.abs().max(1e-4);
            assert!(close, "{} {}: {found} instead of {expected}", row.column, row.region);
        }
    }
    assert_eq!((compared.rows[4].column.as_str(), compared.rows[4].unit.as_str()), ("Q_STOKES", "K_CMB"));
    let names: Vec<String> =
        compared.files.iter().map(|file| file.file_name().unwrap_or_default().display().to_string()).collect();
    let picture = |name: &str| format!("difference_{name}_STOKES.png");
    assert_eq!(names, ["difference.fits".to_owned(), picture("I"), picture("Q"), picture("U")]);
    let map = MapFile::open(path("out/difference.fits"))?;
    let values = map.read(1, 0..768)?;
    assert_eq!(values.iter().filter(|&&value| value > -1e30).count() as f64, expected[4][0]);
    let table = compared.table();
    assert!(table.starts_with("I_STOKES [K_CMB]\n  region ") && table.contains("|lat| >= 32"), "{table}");

    let swapped =
        Comparison { map: path("b.fits"), reference: path("a.fits"), masks: vec![], latitudes: vec![], ..request };
    let error = compare(comm, &swapped).err().ok_or("compared")?.to_string();
    assert!(error.contains("a.fits: has nside 8, larger than the map's nside 4; degrade it first"), "{error}");
    let other = Comparison { map: path("a.fits"), reference: path("mask.fits"), ..swapped };
    let error = compare(comm, &other).err().ok_or("compared")?.to_string();
    assert!(error.contains("mask.fits: has 1 column(s), none with the name of a column of"), "{error}");
    comm.barrier();
    Ok(())
}

/// Switches for pictures and for the map without destriping; files of an earlier run do not stay.
pub(crate) fn switches(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let made = |output: &str| -> TestResult<Vec<String>> {
        let text = CONFIG.replace("output.folder = 'out'", output);
        let config = Config::parse(&text, &folder.path.join("case.toml"))?;
        let path = folder.path.join("case.toml");
        let request = Request { folder: folder.path.join("out"), config, text, path, resume: None };
        let outcome = run(comm, &request, &mut |_: &Progress| {})?;
        assert!(!outcome.residuals.is_empty() || !output.contains("compare"));
        comm.barrier();
        let listed = std::fs::read_dir(&request.folder)?.map(|entry| Ok(entry?.file_name().display().to_string()));
        let mut names = listed.collect::<std::io::Result<Vec<_>>>()?;
        names.sort();
        comm.barrier();
        Ok(names)
    };
    let config = Config::parse(CONFIG, &folder.path.join("case.toml"))?;
    simulate(comm, &config.simulate, None, &config.input.tod[0])?;
    let pictures = |names: &[String]| names.iter().filter(|name| name.ends_with(".png")).count();
    let destriped = made("output = { compare = 'tod_sky.fits', binned = false }")?;
    assert!(!destriped.iter().any(|name| name.contains("binned")), "{destriped:?}");
    assert_eq!(pictures(&destriped), 11);
    let plain = made("output = { compare = 'tod_sky.fits', pictures = false, binned = false }")?;
    let expected = ["baselines.h5", "covariance.fits", "hits.fits", "map_destriped.fits", "rcond.fits", "report.html"];
    assert_eq!(plain, expected);
    Ok(())
}

/// A small part of the sky is written as a list of its pixels, which healpy and this program read as a map.
pub(crate) fn part_of_the_sky(comm: &Comm) -> TestResult {
    const CHECK: &str = "
import sys, numpy, healpy, warnings
warnings.simplefilter('error')
folder = sys.argv[1] + '/out/'
hits = healpy.read_map(folder + 'hits.fits', dtype=None)
seen = hits != healpy.UNSEEN
assert hits.size == 768 and seen.sum() == 12 and seen[40:52].all(), numpy.flatnonzero(seen)
i, q, u = healpy.read_map(folder + 'map_destriped.fits', field=(0, 1, 2))
assert (i[seen] != healpy.UNSEEN).all() and (i[~seen] == healpy.UNSEEN).all()
part = healpy.read_map(folder + 'map_destriped.fits', partial=True)
from astropy.io import fits
table = fits.open(folder + 'covariance.fits')[1]
assert table.header['INDXSCHM'] == 'EXPLICIT' and list(table.data['PIXEL']) == list(range(40, 52))
assert len(table.columns) == 7 and (table.data['II'] > 0).all()
";
    let folder = Folder::new(comm)?;
    let timeline = crate::oracle::random_timeline(1, 3, 150, crate::oracle::patch);
    timeline.write(comm, &folder.path.join("tod.h5"))?;
    let config = Config::parse(&crate::oracle::config("IQU", ""), &folder.path.join("case.toml"))?;
    let (path, text) = (folder.path.join("case.toml"), String::new());
    let request = Request { folder: folder.path.join("out"), config, text, path, resume: None };
    let outcome = run(comm, &request, &mut |_: &Progress| {})?;
    let map = MapFile::open(request.folder.join("map_destriped.fits"))?;
    let range = outcome.maps.pixels.layout.range();
    let destriped = outcome.maps.destriped.as_ref().ok_or("destriping is on")?;
    assert_eq!(map.read(1, range)?, outcome.maps.component(destriped, 3, 1));
    if comm.rank() == 0 {
        python(CHECK, &folder.path)?;
    }
    comm.barrier();
    Ok(())
}

/// Description of timelines, and of a run with them, by `mapmaker info`.
pub(crate) fn information(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let timeline = crate::oracle::random_timeline(1, 3, 5000, crate::oracle::patch);
    timeline.write(comm, &folder.path.join("tod.h5"))?;
    let config = Config::parse(&crate::oracle::config("IQU", ""), &folder.path.join("case.toml"))?;
    let text = mapmaker::info::describe_run(comm, &config)?;
    for words in [
        "tod.h5: 15000 samples of 3 detector(s) in 1 observation(s)",
        "frame G, angles COSMO, signal in K_CMB",
        "D2                       1.6000e0",
        "scan                         5000      1.000     1.39          1",
        "IQU at nside 8, 600 baselines of 25 s with free offsets",
        "about 12 pixels seen by a rank at most",
        " MB of memory a rank: ",
        "for 30 iterations",
    ] {
        assert!(text.contains(words), "{words} is not in {text}");
    }
    let fine = Config::parse(
        &crate::oracle::config("IQU", "").replace("nside = 8", "nside = 16"),
        &folder.path.join("case.toml"),
    )?;
    let text = mapmaker::info::describe_run(comm, &fine)?;
    assert!(text.contains("a run ends with an error: ") && text.contains("nside"), "{text}");
    let huge = crate::oracle::config("IQU", "").replace("nside = 8", "nside = 536870912");
    let huge = Config::parse(&huge, &folder.path.join("case.toml"))?;
    let error = mapmaker::info::describe_run(comm, &huge).err().ok_or("described")?.to_string();
    assert!(error.contains("map.nside = 536870912 needs"), "{error}");
    let long = Config::parse(&crate::oracle::config("IQU", "").replace("25.0", "1e9"), &folder.path.join("case.toml"))?;
    assert!(mapmaker::info::describe_run(comm, &long)?.contains("from 15000 samples"), "all of a short file");
    let alone = mapmaker::config::InputConfig::of(&[folder.path.join("tod.h5")]);
    let alone = mapmaker::info::describe_files(comm, &alone, mapmaker::config::Stokes::IQU)?;
    assert!(text.starts_with(&alone) && !alone.contains("nside"), "{alone}");
    Ok(())
}
