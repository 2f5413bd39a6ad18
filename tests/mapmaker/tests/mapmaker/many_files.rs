//! Several files of timelines: the same maps as of one file, and what is refused.

use std::fs;
use std::path::PathBuf;

use dolmen_core::Comm;
use dolmen_io::fits::MapFile;
use dolmen_io::hdf5::{H5File, TableColumn};
use dolmen_solvers::Progress;
use dolmen_tests::TestResult;
use mapmaker::config::Config;
use mapmaker::info::describe_run;
use mapmaker::maps::{Maps, make_maps};
use mapmaker::phases::Phases;
use mapmaker::run::{Request, run};
use mapmaker::tod::resolve;

use crate::bits::{Checksums, outputs_of};
use crate::common::{CONFIG, mapmaker, only_error};
use crate::fixture::{Folder, assert_close, whole};
use crate::inputs::prepared;
use crate::programs::python;
use crate::refusals::refused;

/// Of the simulated timelines makes `all.h5`, of two observations of unequal length, and `part1.h5` and `part2.h5` with
/// one each. Of `all.h5` makes `flagged.h5`, in which two detectors of the first and one of the second observation are
/// flagged, and `few1.h5` and `few2.h5`, in which they are missing and the others stand in another order.
const SPLIT: &str = "
import h5py, numpy

def make(name, parts, change=None):
    with h5py.File(folder + 'tod.h5') as whole, h5py.File(folder + name + '.h5', 'w') as f:
        f.attrs.update(whole.attrs)
        table = whole['detectors'][()]
        rows = list(range(4))
        scan = whole['observations/scan']
        for group, (start, end, cuts, flagged) in parts.items():
            out = f.create_group('observations/' + group)
            out.attrs.update(scan.attrs)
            if change:
                rows = change
            out['signal'] = scan['signal'][()][rows][:, start:end]
            out['boresight'] = scan['boresight'][start:end]
            out['intervals'] = numpy.array(cuts)
            flags = numpy.zeros((4, end - start), 'u1')
            flags[:, 50:70] = 1
            flags[flagged] = 1
            out['detector_flags'] = flags[rows]
        f['detectors'] = table[rows]

first = lambda flagged: {'a': (0, 2000, [[0, 900], [905, 2000]], flagged)}
second = lambda flagged: {'b': (2000, 3600, [[0, 1600]], flagged)}
make('all', first([]) | second([]))
make('part1', first([]))
make('part2', second([]))
make('flagged', first([0, 3]) | second([1]))
make('few1', first([]), [2, 1])
make('few2', second([]), [0, 2, 3])
";

const GLS: &str = "\n    gls = { enabled = true }\n    map = { nside = 4 }";

/// Begins additions to a configuration whose solves have a low tolerance.
const EXACT: &str = "\n    # exact";

fn config(folder: &Folder, tod: &str, more: &str) -> TestResult<Config> {
    let mut text = CONFIG.replace("'tod.h5'", tod).replace("\n    map = { nside = 8 }", GLS) + more;
    if more.starts_with(EXACT) {
        text = text.replace("baseline = 20.0", "baseline = 20.0, tolerance = 1e-12");
        text = text.replace("enabled = true", "enabled = true, tolerance = 1e-12");
    }
    Ok(Config::parse(&text, &folder.path.join("case.toml"))?)
}

/// Maps of a list of files.
fn maps(comm: &Comm, folder: &Folder, tod: &str, more: &str) -> TestResult<mapmaker::Result<Maps>> {
    let mut config = config(folder, tod, more)?;
    config.input.tod = match resolve(comm, &config.input.tod) {
        Err(error) => return Ok(Err(error)),
        Ok(files) => files,
    };
    Ok(make_maps(comm, &config, &mut Phases::default(), &mut |_: &Progress| {}, None))
}

/// Bits of everything that is made of the timelines.
fn bits(comm: &Comm, maps: &Maps) -> TestResult<Vec<Vec<u64>>> {
    let (offsets, gls) = (maps.offsets.as_ref().ok_or("destriping")?, maps.gls.as_ref().ok_or("GLS")?);
    let destriped = maps.destriped.as_ref().ok_or("destriping")?;
    let hits = whole(comm, &maps.hits).into_iter().map(i64::cast_unsigned).collect();
    let arrays = [&maps.binned[..], &maps.covariance, destriped, offsets.amplitudes.owned(), &gls.map];
    let reals = arrays.map(|owned| whole(comm, owned).into_iter().map(f64::to_bits).collect());
    Ok(reals.into_iter().chain([hits]).collect())
}

/// Files with an observation each give the bits of one file that has all of them.
pub(crate) fn as_one(comm: &Comm) -> TestResult {
    let folder = prepared(comm, SPLIT)?;
    let expected = bits(comm, &maps(comm, &folder, "'all.h5'", "")??)?;
    for tod in ["['part1.h5', 'part2.h5']", "'part?.h5'", "['part1.h5', 'p*[2].h5']"] {
        let found = maps(comm, &folder, tod, "")??;
        assert_eq!(bits(comm, &found)?, expected, "{tod}");
        assert_eq!(found.description.files.len(), 2);
    }
    let turned = maps(comm, &folder, "['part2.h5', 'part1.h5']", "")??;
    assert_eq!(turned.description.observations[0].name, "b", "in the order of the list");
    let alone = bits(comm, &maps(comm, &folder, "'part2.h5'", "")??)?;
    for (tod, names) in [("'all.h5'", "'b'"), ("'part*.h5'", "['b*', 'b']")] {
        let more = format!("\n    input.observations = {names}");
        assert_eq!(bits(comm, &maps(comm, &folder, tod, &more)??)?, alone, "{names} of {tod}");
    }
    Ok(())
}

/// Detectors that are missing in a file, or are not chosen, are as good as flagged there.
pub(crate) fn different_sets(comm: &Comm) -> TestResult {
    let folder = prepared(comm, SPLIT)?;
    let compare = |found: &Maps, expected: &Maps, what: &str| -> TestResult {
        assert_eq!(whole(comm, &found.hits), whole(comm, &expected.hits), "{what}");
        let close = |name: &str, found: &[f64], expected: &[f64], tolerance| {
            assert_close(&format!("{what}: {name}"), &whole(comm, found), &whole(comm, expected), tolerance);
        };
        close("binned", &found.binned, &expected.binned, 1e-14);
        let destriped = [found, expected].map(|maps| maps.destriped.as_deref().unwrap_or_default());
        let gls = [found, expected].map(|maps| maps.gls.as_ref().map(|gls| gls.map.clone()).unwrap_or_default());
        let seen = |map: &[f64]| map.iter().map(|&value| if value < -1e30 { 0.0 } else { value }).collect::<Vec<f64>>();
        close("destriped", &seen(destriped[0]), &seen(destriped[1]), 1e-8);
        close("GLS", &seen(&gls[0]), &seen(&gls[1]), 1e-8);
        Ok(())
    };
    let found = maps(comm, &folder, "'few?.h5'", EXACT)??;
    let expected = maps(comm, &folder, "'flagged.h5'", EXACT)??;
    compare(&found, &expected, "missing")?;
    let observations = &found.description.observations;
    assert_eq!((&observations[0].detectors[..], &observations[1].detectors[..]), (&[0, 1][..], &[2, 0, 3][..]));
    assert_eq!(found.baselines.samples(), 2 * 1995 + 3 * 1600);
    let names: Vec<&str> = expected.description.detectors.iter().map(|detector| detector.name.as_str()).collect();
    let more = format!("{EXACT}\n    input.detectors = ['{}', '{}']", names[0], names[3]);
    let chosen = maps(comm, &folder, "'few?.h5'", &more)??;
    assert_eq!((chosen.description.detectors.len(), chosen.description.observations.len()), (2, 1));
    assert_eq!(chosen.samples + chosen.left_out, 2 * share(comm, 1600) - if comm.rank() == 0 { 2 * 20 } else { 0 });
    Ok(())
}

/// This rank's part of samples that are dealt out by baselines of 20 s at 5 Hz.
fn share(comm: &Comm, samples: u64) -> u64 {
    let layout = dolmen_core::Layout::uniform(comm, 2 * samples / 100);
    layout.local_len() as u64 * 100 / 2
}

/// Files that contradict the first of a list, and names that are nowhere.
pub(crate) fn contradictions(comm: &Comm) -> TestResult {
    let folder = prepared(
        comm,
        &format!(
            "{SPLIT}
def other(name, change):
    shutil.copy(folder + 'part2.h5', folder + name + '.h5')
    with h5py.File(folder + name + '.h5', 'r+') as f:
        change(f)

def column(name, row, value):
    def change(f):
        t = f['detectors'][()]; t[name][row] = value; f['detectors'][...] = t
    return change

other('noisy', column('fknee', 2, 0.25))
other('twin', lambda f: column('name', 3, f['detectors']['name'][1])(f))
other('frame', lambda f: f.attrs.update(coordinates='E'))
other('unit', lambda f: f.attrs.update(units='uK'))
other('dead', lambda f: (column('net', 1, numpy.nan)(f), f['observations/b/detector_flags'].__setitem__(1, 1)))
"
        ),
    )?;
    let refused = |tod: &str, more: &str, words: &[&str]| -> TestResult {
        let error =
            maps(comm, &folder, tod, more)?.err().ok_or_else(|| format!("{tod} {more} is accepted"))?.to_string();
        words.iter().for_each(|word| assert!(error.contains(word), "{error:?} does not say {word:?}"));
        Ok(())
    };
    let both = |other: &str| format!("['part1.h5', '{other}.h5']");
    refused(&both("noisy"), "", &["noisy.h5: detectors[2].fknee: is 0.25 for ", "but 0.1 in ", "part1.h5"])?;
    refused(&both("twin"), "", &["twin.h5: detectors[3].name: is ", "the name of detectors[1] too"])?;
    refused(&both("frame"), "", &["frame.h5: /: attribute coordinates: is \"E\", but \"G\" in "])?;
    refused(&both("unit"), "", &["unit.h5: /: attribute units: is \"uK\", but \"K_CMB\" in "])?;
    refused(&both("none"), "", &["none.h5", "No such file"])?;
    refused("'part3*.h5'", "", &["part3*.h5: no file matches this pattern"])?;
    refused("['part*.h5', './part2.h5']", "", &["part2.h5: is the same file as ", "would count twice"])?;
    let known = maps(comm, &folder, "'part*.h5'", "")??;
    let name = known.description.detectors[1].name.clone();
    let wrong = format!("{}x", &name[..name.len() - 1]);
    let choice = |name: &str| format!("\n    input.detectors = ['{name}']");
    let words = format!("there is no detector \"{wrong}\", which input.detectors names; did you mean \"");
    refused("'part*.h5'", &choice(&wrong), &["part1.h5: detectors: ", &words])?;
    refused("'part*.h5'", &choice("nothing*"), &["no detector matches \"nothing*\" of input.detectors (known: "])?;
    refused("'part*.h5'", "\n    input.observations = 'c'", &["there is no observation \"c\"", "did you mean"])?;
    refused(
        "'few?.h5'",
        &format!("{}\n    input.observations = 'a'", choice(&known.description.detectors[3].name)),
        &["chooses none in which a detector"],
    )?;
    // A detector without noise level is flagged in one file, and good in the other.
    let dead = maps(comm, &folder, &both("dead"), "")??;
    assert!(dead.description.detectors[1].net.is_finite());
    let dead = maps(comm, &folder, "['dead.h5', 'part1.h5']", "")??;
    assert!(dead.description.detectors[1].net.is_finite());
    Ok(())
}

/// Several observations and sets of detectors, on any number of ranks; read back from the files.
pub(crate) fn outputs(comm: &Comm) -> TestResult<Checksums> {
    let folder = prepared(comm, SPLIT)?;
    let text = CONFIG.replace("'tod.h5'", "'few?.h5'").replace("\n    map = { nside = 8 }", GLS);
    outputs_of(comm, &folder, &text)
}

/// Names of files, observations and detectors in what is written and shown.
pub(crate) fn provenance(comm: &Comm) -> TestResult {
    let folder = prepared(comm, SPLIT)?;
    let mut config = config(&folder, "'few?.h5'", "\n    output.pictures = false")?;
    config.input.tod = resolve(comm, &config.input.tod)?;
    let text = describe_run(comm, &config)?;
    for words in ["2 files: 8800 samples of 4 detector(s) in 2 observation(s)", "detectors  file\n", "3  few2.h5\n"] {
        assert!(text.contains(words), "{words:?} is not in {text}");
    }
    let request =
        Request { folder: folder.path.join("out"), config, text, path: folder.path.join("case.toml"), resume: None };
    let outcome = run(comm, &request, &mut |_: &Progress| {})?;
    let map = MapFile::open(request.folder.join("map_destriped.fits"))?;
    let inputs: Vec<&String> = map.header().history.iter().filter(|line| line.starts_with("input ")).collect();
    assert!(inputs.len() == 2 && inputs[0].starts_with("input few1.h5 CRC32 "), "{inputs:?}");
    let report = fs::read_to_string(request.folder.join("report.html"))?;
    assert!(report.contains("<td class=\"text\"><code>") && report.contains("few2.h5</th>"));
    assert!(report.contains("Sky map of 2 files of timelines"));
    let file = H5File::open(comm, request.folder.join("baselines.h5"))?;
    let column = |table: &str, name: &str| -> TestResult<Vec<String>> {
        match file.read_table(table)?.into_iter().find(|(column, _)| column == name) {
            Some((_, TableColumn::Text { values, .. })) => Ok(values),
            other => Err(format!("{other:?}").into()),
        }
    };
    assert_eq!(column("observations", "name")?, ["a", "b"]);
    assert_eq!(column("observations", "file")?, ["few1.h5", "few2.h5"]);
    let names: Vec<String> = outcome.maps.description.detectors.iter().map(|d| d.name.clone()).collect();
    assert_eq!(column("detectors", "name")?, names);
    file.close()?;
    comm.barrier();
    Ok(())
}

/// Bad files are named in one line on any number of ranks; no file of the list is replaced; a checkpoint belongs to all
/// of them.
pub(crate) fn programs() -> TestResult {
    let temporary = tempfile::tempdir()?;
    let folder = temporary.path();
    fs::write(folder.join("good.toml"), CONFIG)?;
    let made = mapmaker(1, folder, &["simulate", "good.toml"])?;
    assert!(made.status.success(), "{}", made.stderr);
    let script = format!("import shutil, sys\nfolder = sys.argv[1] + '/'\n{SPLIT}");
    python(&script, folder)?;
    refused(folder, &["run", "good.toml", "--tod", "part1.h5", "--tod", "none*.h5"], &["none*.h5", "no file matches"])?;
    python(
        "import h5py, sys
with h5py.File(sys.argv[1] + '/part2.h5', 'r+') as f:
    f['observations/b/signal'][3, 1500] = float('nan')",
        folder,
    )?;
    refused(folder, &["run", "good.toml", "--tod", "part?.h5"], &["part2.h5: observations/b/signal[3, 1500]", "NaN"])?;
    python(&script, folder)?;

    fs::create_dir_all(folder.join("out"))?;
    fs::copy(folder.join("part2.h5"), folder.join("out/baselines.h5"))?;
    let args = ["run", "good.toml", "--tod", "part1.h5", "--tod", "out/*.h5"];
    let error = only_error(&mapmaker(2, folder, &args)?)?;
    assert!(error.contains("out/baselines.h5: is the input out/baselines.h5, and would be overwritten"), "{error}");
    assert!(fs::read(folder.join("part2.h5"))? == fs::read(folder.join("out/baselines.h5"))?);

    let save = ["run", "good.toml", "--tod", "part?.h5", "--output", "saved maps", "--checkpoint", "saved"];
    let first = mapmaker(2, folder, &[&save[..], &["--checkpoint-every", "0s"]].concat())?;
    assert!(first.status.success(), "{}", first.stderr);
    assert!(first.stdout.contains("mapping 2 files of timelines on 2 rank(s)"), "{}", first.stdout);
    let resumed = mapmaker(3, folder, &[&save[..], &["--resume"]].concat())?;
    assert!(resumed.status.success(), "{}", resumed.stderr);
    python(
        "import h5py, sys
with h5py.File(sys.argv[1] + '/part2.h5', 'r+') as f:
    f['observations/b/signal'][3, 1500] *= 2",
        folder,
    )?;
    let error = only_error(&mapmaker(2, folder, &[&save[..], &["--resume"]].concat())?)?;
    assert!(error.contains("another configuration") && error.contains("timelines CRC32"), "{error}");

    let shown = mapmaker(2, folder, &["info", "part1.h5", "part2.h5"])?;
    assert!(shown.stdout.contains("2 files: 14400 samples"), "{}{}", shown.stdout, shown.stderr);
    let error = only_error(&mapmaker(1, folder, &["info", "part1.h5", "good.toml"])?)?;
    assert!(error.contains("good.toml: is a configuration"), "{error}");
    fs::write(folder.join("list.toml"), CONFIG.replace("'tod.h5'", "['a.h5', 'b.h5']"))?;
    let error = only_error(&mapmaker(1, folder, &["simulate", "list.toml"])?)?;
    assert!(error.contains("input.tod names several files"), "{error}");
    let listed: Vec<PathBuf> = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<TestResult<_>>()?;
    assert!(!listed.iter().any(|path| path.ends_with("a.h5")), "{listed:?}");
    Ok(())
}
