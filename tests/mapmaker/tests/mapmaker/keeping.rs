//! The output of a run never replaces its input, whatever the names are; and names and keys of files
//! reach the terminal escaped.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use dolmen_tests::TestResult;

use crate::common::{CONFIG, mapmaker, only_error};

pub(crate) fn inputs() -> TestResult {
    let temporary = tempfile::tempdir()?;
    let folder = temporary.path();
    let compare =
        CONFIG.replace("output.folder = 'out'", "output = { folder = 'out', compare = 'out/map_destriped.fits' }");
    fs::write(folder.join("good.toml"), CONFIG)?;
    fs::write(folder.join("compare.toml"), compare)?;
    let made = mapmaker(1, folder, &["simulate", "good.toml"])?;
    assert!(made.status.success(), "{}", made.stderr);
    ["out", "saved"].into_iter().try_for_each(|name| fs::create_dir(folder.join(name)))?;
    let copies = [
        ("tod.h5", "out/baselines.h5"),
        ("tod.h5", "out/hits.fits.tmp"),
        ("tod.h5", "saved/checkpoint-00000007.h5"),
        ("tod_sky.fits", "out/map_destriped.fits"),
        ("tod_sky.fits", "made_sky.fits"),
        ("good.toml", "out/report.html"),
    ];
    copies.into_iter().try_for_each(|(from, to)| fs::copy(folder.join(from), folder.join(to)).map(drop))?;
    symlink("out/baselines.h5", folder.join("linked.h5"))?;
    let save = ["run", "good.toml", "--tod", "saved/checkpoint-00000007.h5", "--checkpoint", "saved", "--resume"];
    for (args, output, input) in [
        (&["run", "good.toml", "--tod", "out/baselines.h5"][..], "out/baselines.h5", "out/baselines.h5"),
        (&["run", "good.toml", "--tod", "linked.h5"], "out/baselines.h5", "linked.h5"),
        (&["run", "good.toml", "--tod", "out/hits.fits.tmp"], "out/hits.fits.tmp", "out/hits.fits.tmp"),
        (&["run", "compare.toml"], "out/map_destriped.fits", "out/map_destriped.fits"),
        (&["run", "out/report.html", "--tod", "tod.h5", "--output", "out"], "out/report.html", "out/report.html"),
        (&["simulate", "good.toml", "--output", "good.toml"], "good.toml", "good.toml"),
        (&["simulate", "good.toml", "--sky", "made_sky.fits", "--output", "made.h5"], "made_sky.fits", "made_sky.fits"),
        (&save, "saved/checkpoint-00000007.h5", "saved/checkpoint-00000007.h5"),
    ] {
        let error = only_error(&mapmaker(2, folder, args)?)?;
        let end = |path: &str| path.rsplit_once('/').map_or(path.to_owned(), |(_, name)| format!("/{name}"));
        assert!(error.contains(&format!("{}: is the input ", end(output))), "{args:?}: {error}");
        assert!(error.contains(&format!("{}, and would be overwritten", end(input))), "{args:?}: {error}");
        for (from, to) in copies {
            assert!(fs::read(folder.join(from))? == fs::read(folder.join(to))?, "{args:?} changes {to}");
        }
    }
    Ok(())
}

/// Links that lie where a run makes and removes files of its own lead it nowhere.
pub(crate) fn links() -> TestResult {
    let temporary = tempfile::tempdir()?;
    let folder = temporary.path();
    fs::write(folder.join("good.toml"), CONFIG)?;
    let made = mapmaker(1, folder, &["simulate", "good.toml"])?;
    assert!(made.status.success(), "{}", made.stderr);
    fs::create_dir(folder.join("out"))?;
    let victim = folder.join("victim");
    fs::write(&victim, "precious")?;
    for name in [".mapmaker-probe", "report.html.tmp", "hits.png.tmp", "hits.fits.tmp", "baselines.h5.tmp"] {
        symlink(&victim, folder.join("out").join(name))?;
    }
    let made = mapmaker(2, folder, &["run", "good.toml"])?;
    assert!(made.status.success(), "{}", made.stderr);
    assert_eq!(fs::read(&victim)?, b"precious");
    Ok(())
}

pub(crate) fn escapes() -> TestResult {
    let temporary = tempfile::tempdir()?;
    // A folder whose name is not UTF-8 and has a new line and an escape in it.
    let folder = temporary.path().join(OsStr::from_bytes(b"odd\n\x1b[31m\xff"));
    fs::create_dir(&folder)?;
    fs::write(folder.join("good.toml"), CONFIG)?;
    let good = folder.join("good.toml");
    let shown = "/odd\\n\\u{1b}[31m\\xff/";
    let output = dolmen_tests::Mpirun::new(1)
        .program(dolmen_tests::binary("mapmaker")?)
        .args([OsStr::new("run"), good.as_os_str(), OsStr::new("--tod"), folder.join("none.h5").as_os_str()])
        .current_dir(temporary.path())
        .run()?;
    let error = only_error(&output)?;
    assert!(error.contains(&format!("{shown}none.h5: cannot open")), "{error:?}");
    let key = temporary.path().join("key.toml");
    fs::write(&key, CONFIG.replace("baseline", "\"\\u001b[2Jbase\\nline\""))?;
    let error = only_error(&mapmaker(1, temporary.path(), &["run", "key.toml"])?)?;
    assert!(error.contains("unknown key \"\\u{1b}[2Jbase\\nline\""), "{error:?}");
    assert!(!output.stderr.contains('\u{1b}'), "{:?}", output.stderr);
    Ok(())
}
