//! System calls that fail on one rank, chosen at random among those that programs make on their files.
//!
//! `DOLMEN_FAULTS` is how many; without it a sample that takes little time.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dolmen_tests::{Mpirun, Output, TestResult, binary};
use tempfile::tempdir;

use crate::places::rescued;
use crate::{DEADLINE, only_error, prepare};

const FAULTS: u64 = 40;
const RANKS: usize = 2;

/// A run of a program in a folder that has its inputs.
struct Run {
    program: &'static str,
    args: &'static [&'static str],
    /// Files that it replaces or makes, which are the same each time.
    outputs: &'static [&'static str],
    /// Words before the place of what could not be written, if it computes anything.
    rescued: Option<&'static str>,
}

const RUNS: [Run; 6] = [
    Run {
        program: "dolmen",
        args: &["solve", "a.mtx", "--output", "x.h5"],
        outputs: &["x.h5"],
        rescued: Some("; the solution is in "),
    },
    Run {
        program: "dolmen",
        args: &[
            "solve",
            "a.h5",
            "--output",
            "x.npy",
            "--max-iterations",
            "30",
            "--checkpoint",
            "saved",
            "--checkpoint-every",
            "0s",
        ],
        outputs: &["x.npy"],
        rescued: Some("; the solution is in "),
    },
    Run { program: "dolmen", args: &["convert", "a.h5", "y.h5"], outputs: &["y.h5"], rescued: None },
    Run { program: "dolmen", args: &["info", "a.h5"], outputs: &[], rescued: None },
    Run {
        program: "mapmaker",
        args: &["run", "case.toml"],
        outputs: &["out/map_binned.fits", "out/map_destriped.fits", "out/hits.fits", "out/baselines.h5"],
        rescued: Some("; the maps are in "),
    },
    Run {
        program: "mapmaker",
        args: &["simulate", "case.toml", "--output", "t.h5"],
        outputs: &["t.h5", "t_sky.fits"],
        rescued: None,
    },
];

/// Inputs of the programs.
const INPUTS: [&str; 4] = ["a.mtx", "a.h5", "case.toml", "tod.h5"];

/// Preloads the library on one rank.
const PRELOADED: &str = r#"
    rank=${OMPI_COMM_WORLD_RANK:-$PMI_RANK}
    [ "$rank" = "$INJECT_RANK" ] || exec "$@"
    export LD_PRELOAD="$INJECT_LIBRARY${LD_PRELOAD:+:$LD_PRELOAD}"
    exec "$@"
"#;

/// A fault: some of the calls of a kind, on a rank.
#[derive(Debug, Default)]
struct Fault {
    rank: usize,
    call: String,
    from: u64,
    count: u64,
    errno: i32,
}

struct Place {
    library: PathBuf,
    /// With the inputs as they are at first.
    inputs: PathBuf,
    /// Folder in which programs run.
    folder: PathBuf,
    /// For temporary files, away from what fails.
    elsewhere: PathBuf,
}

impl Place {
    fn new(temporary: &Path) -> TestResult<Place> {
        let inside = |name: &str| temporary.join(name);
        let place = Place {
            library: inside("inject.so"),
            inputs: inside("inputs"),
            folder: inside("folder"),
            elsewhere: inside("elsewhere"),
        };
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/inject.c");
        let compiler = env::var_os("CC").unwrap_or_else(|| "cc".into());
        let mut build = Command::new(compiler);
        build.args(["-O1", "-shared", "-fPIC", "-o"]).arg(&place.library).arg(source).arg("-ldl");
        assert!(build.status()?.success(), "the library of faults does not compile");
        fs::create_dir(&place.inputs)?;
        prepare(&place.inputs)?;
        Ok(place)
    }

    /// Runs a program on the inputs, with files of an earlier run in the place of its outputs.
    fn run(&self, run: &Run, fault: &Fault, tally: &Path) -> TestResult<Output> {
        for folder in [&self.folder, &self.elsewhere] {
            if folder.exists() {
                fs::remove_dir_all(folder)?;
            }
            fs::create_dir(folder)?;
        }
        INPUTS.iter().try_for_each(|name| fs::copy(self.inputs.join(name), self.folder.join(name)).map(drop))?;
        for name in run.outputs {
            let path = self.folder.join(name);
            fs::create_dir_all(path.parent().ok_or("no folder")?)?;
            fs::write(path, EARLIER)?;
        }
        let job = Mpirun::new(RANKS).program("/bin/sh").args(["-c", PRELOADED, "sh"]);
        let job = job.args([binary(run.program)?]).args(run.args).current_dir(&self.folder).deadline(DEADLINE);
        let job = job.env("TMPDIR", &self.elsewhere).env("INJECT_LIBRARY", &self.library);
        let job = job.env("INJECT_FOLDER", &self.folder).env("INJECT_RANK", fault.rank.to_string());
        let job = job.env("INJECT_CALL", &fault.call).env("INJECT_FROM", fault.from.to_string());
        let job = job.env("INJECT_COUNT", fault.count.to_string()).env("INJECT_ERRNO", fault.errno.to_string());
        Ok(job.env("INJECT_TALLY", tally).run()?)
    }
}

const EARLIER: &[u8] = b"an earlier file";

/// A program's run without a fault.
struct Reference {
    /// The bytes of outputs.
    outputs: BTreeMap<&'static str, Vec<u8>>,
    /// The calls of each rank, by kind.
    calls: Vec<Vec<(String, u64)>>,
}

fn reference(place: &Place, run: &Run) -> TestResult<Reference> {
    let mut calls = Vec::new();
    for rank in 0..RANKS {
        let tally = place.inputs.join("tally");
        let output = place.run(run, &Fault { rank, ..Fault::default() }, &tally)?;
        assert_ne!(output.status.code(), Some(2), "{output:?}");
        let text = fs::read_to_string(&tally)?;
        let counted =
            text.lines().filter_map(|line| line.split_once(' ')).map(|(call, count)| (call.to_owned(), count));
        let counted = counted.map(|(call, count)| Ok((call, count.parse()?))).collect::<TestResult<Vec<_>>>()?;
        calls.push(counted.into_iter().filter(|(_, count)| *count > 0).collect());
    }
    let read = |name: &&'static str| Ok((*name, fs::read(place.folder.join(name))?));
    let outputs = run.outputs.iter().map(read).collect::<TestResult<_>>()?;
    Ok(Reference { outputs, calls })
}

/// Numbers that look random.
struct Random(u64);

impl Random {
    /// One below a bound.
    fn below(&mut self, bound: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    fn one_of<'l, T>(&mut self, list: &'l [T]) -> TestResult<&'l T> {
        let number = self.below(list.len() as u64);
        Ok(&list[usize::try_from(number)?])
    }

    fn fault(&mut self, reference: &Reference) -> TestResult<Fault> {
        let rank = usize::try_from(self.below(RANKS as u64))?;
        let (call, calls) = self.one_of(&reference.calls[rank])?.clone();
        let from = 1 + self.below(calls);
        let (count, errno) = (*self.one_of(&[1, u64::from(u32::MAX)])?, *self.one_of(&[libc::EIO, libc::ENOSPC])?);
        Ok(Fault { rank, call, from, count, errno })
    }
}

/// Rank 0 marks a file when its place is looked at and when it is made, and writes the headers of FITS before rows;
/// the other ranks write rows.
pub(crate) fn fits() -> TestResult {
    let temporary = tempdir()?;
    let place = Place::new(&temporary.path().canonicalize()?)?;
    let solve = |outputs: &'static [&'static str], args| Run { program: "dolmen", args, outputs, rescued: None };
    let tally = place.inputs.join("tally");
    let plain = place.run(&solve(&["x.npy"], &["solve", "a.mtx", "--output", "x.npy"]), &Fault::default(), &tally)?;
    assert!(plain.status.success(), "{plain:?}");
    let expected = fs::read(place.folder.join("x.npy"))?;
    let run = solve(&["x.fits"], &["solve", "a.mtx", "--output", "x.fits"]);
    for (rank, from, at) in [(0, 3, " at 0: "), (1, 1, " bytes at ")] {
        let fault = Fault { rank, call: "write".into(), from, count: 1, errno: libc::EIO };
        let output = place.run(&run, &fault, &tally)?;
        let error = only_error(&output)?;
        assert!(error.contains("x.fits") && error.contains(at) && error.contains("Input/output error"), "{error}");
        assert!(fs::read(place.folder.join("x.fits"))? == EARLIER, "the earlier file is kept");
        let solution = rescued(&error, "; the solution is in ")?;
        assert!(fs::read(place.folder.join(solution))? == expected, "{error}: another solution");
    }
    Ok(())
}

pub(crate) fn sample() -> TestResult {
    let faults = env::var("DOLMEN_FAULTS").ok().and_then(|text| text.parse().ok()).unwrap_or(FAULTS);
    let temporary = tempdir()?;
    let place = Place::new(&temporary.path().canonicalize()?)?;
    let references: Vec<Reference> = RUNS.iter().map(|run| reference(&place, run)).collect::<TestResult<_>>()?;
    let mut random = Random(11);
    let (mut told, mut wrong) = (0, Vec::new());
    for number in 0..faults {
        let at = usize::try_from(number)? % RUNS.len();
        let (run, reference) = (&RUNS[at], &references[at]);
        let fault = random.fault(reference)?;
        let output = place.run(run, &fault, &place.inputs.join("tally"))?;
        told += u64::from(output.status.code() == Some(2));
        if let Err(error) = check(&place, run, reference, &output) {
            wrong.push(format!("{} {:?}, {fault:?}: {error}", run.program, run.args));
        }
    }
    assert!(wrong.is_empty(), "{} of {faults} faults:\n{}", wrong.len(), wrong.join("\n"));
    assert!(told >= faults / 3, "only {told} of {faults} faults were met");
    println!("{faults} faults, {told} told");
    Ok(())
}

fn check(place: &Place, run: &Run, reference: &Reference, output: &Output) -> TestResult {
    if output.timed_out {
        return Err(format!("hangs: {output:?}").into());
    }
    if output.stderr.contains("panicked") {
        return Err(output.stderr.clone().into());
    }
    for name in INPUTS {
        if fs::read(place.folder.join(name))? != fs::read(place.inputs.join(name))? {
            return Err(format!("{name} has changed").into());
        }
    }
    let mut is_written = true;
    for (name, expected) in &reference.outputs {
        let found = fs::read(place.folder.join(name))?;
        if found != *expected && found != EARLIER {
            return Err(format!("{name} is neither the earlier file nor the new one: {output:?}").into());
        }
        is_written &= found == *expected;
    }
    if output.status.code() != Some(2) {
        return if is_written { Ok(()) } else { Err(format!("has not written its outputs: {output:?}").into()) };
    }
    let error =
        std::panic::catch_unwind(|| only_error(output)).map_err(|_| format!("no single error: {output:?}"))??;
    let is_named = reference.outputs.keys().any(|name| error.contains(&format!("{name}: ")));
    let is_computed = if run.program == "dolmen" { output.stdout.contains("|r|") } else { is_named };
    if !is_written && run.rescued.is_some() && is_computed {
        kept(place, run, reference, &error)?;
    }
    Ok(())
}

/// The result is where the message says.
fn kept(place: &Place, run: &Run, reference: &Reference, error: &str) -> TestResult {
    let Some(words) = run.rescued else { return Ok(()) };
    let path = place.folder.join(rescued(error, words)?);
    if run.program == "mapmaker" {
        for (name, expected) in &reference.outputs {
            let name = Path::new(name).file_name().unwrap_or_default();
            if fs::read(path.join(name))? != *expected {
                return Err(format!("{} differs in {}", name.display(), path.display()).into());
            }
        }
        return Ok(());
    }
    let values = fs::read(&path)?;
    if let Some(expected) = reference.outputs.get("x.npy") {
        return if values == *expected { Ok(()) } else { Err(format!("{} differs", path.display()).into()) };
    }
    // An HDF5 file has the same numbers somewhere.
    let numbers = &values[128..];
    let has_them = reference.outputs["x.h5"].windows(numbers.len()).any(|window| window == numbers);
    if has_them { Ok(()) } else { Err(format!("{} differs", path.display()).into()) }
}
