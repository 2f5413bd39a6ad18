//! Damaged files of timelines: each is refused in one line, or read; none crashes, hangs or takes memory that its
//! size does not explain.

use std::fs;

use dolmen_core::Comm;
use dolmen_io::hdf5::OpenOptions;
use dolmen_tests::{Random, TestResult, damage, fuzz};
use mapmaker::Result;
use mapmaker::config::{Config, Stokes};
use mapmaker::healpix::Healpix;
use mapmaker::import::{Given, Request, import};
use mapmaker::tod::Tod;

use crate::fixture::{Folder, Looks, Timeline};
use crate::importing::made;
use crate::{importing, toast};

/// Samples that are read.
const SAMPLES: u64 = 1000;

fn timeline(looks: Looks) -> Timeline {
    Timeline {
        sample_rate: 2.0,
        net: vec![1.0, 2.0],
        looks,
        psi: vec![0.1; 40],
        signal: vec![1.0; 40],
        flags: vec![0; 40],
        shared_flags: vec![0; 20],
        efficiency: Vec::new(),
        drifts: Vec::new(),
        intervals: vec![[0, 10], [12, 20]],
        psi_convention: "COSMO",
        angles: Vec::new(),
    }
}

/// Reads the first samples of each observation.
fn read(comm: &Comm, config: &Config) -> Result<()> {
    let tod = Tod::open(comm, &config.input, Stokes::I)?;
    let healpix = Healpix::new(config.map.nside, config.map.ordering).expect("validated");
    let mut outcome = Ok(());
    tod.for_each_observation(comm, |number, reader| {
        let observation = &tod.description().observations[number];
        let read = reader.read(&healpix, 0..observation.detectors.len(), 0..observation.samples.min(SAMPLES));
        outcome = std::mem::replace(&mut outcome, Ok(())).and(read.map(drop).map_err(|located| located.error));
        Ok(())
    })?;
    comm.agree(outcome)
}

pub(crate) fn timelines(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let path = folder.path.join("tod.h5");
    let config = Config::parse("[input]\ntod = 'tod.h5'\n[map]\nnside = 8\n", &folder.path.join("case.toml"))?;
    let mut seeds = Vec::new();
    let pixel = (0..40).collect();
    for looks in [Looks::Angles(vec![1.0; 40], vec![0.5; 40]), Looks::Pixels { nside: 8, ordering: "RING", pixel }] {
        timeline(looks).write(comm, &path)?;
        read(comm, &config)?;
        seeds.push(fs::read(&path)?);
    }
    let words: &[&[u8]] = &[b"GCOL", b"TREE", b"SNOD", b"HEAP", b"\xff\xff\xff\xff", b"\0\0\0\0", b"NESTED", b"IAU"];
    let make = |random: &mut Random| {
        let mut bytes = seeds[random.below(seeds.len())].clone();
        damage(&mut bytes, words, random);
        bytes
    };
    let counts = fuzz(comm, &path, 30, make, |_| read(comm, &config))?;
    assert!(counts[1] > 10, "{counts:?}");
    Ok(())
}

/// The same of files of other programs, which are imported.
pub(crate) fn imports(comm: &Comm) -> TestResult {
    let fits = format!("{}n = 40\nwrite('seed', table('D1', samples(1)), table('D2', samples(2)))", importing::HELPERS);
    let toast = "observation('seed', 1, detectors=ALL[:2], plate=True)";
    let toast = format!("{}n = 40\nnumpy.seterr(all='ignore')\n{toast}", toast::HELPERS.replace("[400]", "[4]"));
    let toast = toast.replace("[500]", "[5]").replace("[700]", "[7]");
    for (script, name, words) in [
        (fits, "seed", &[b"TFORM".as_slice(), b"TUNIT", b"NAXIS2", b"99999999", b"'1X", b"'D  ", b"G ", b"deg"][..]),
        (toast, "seed.h5", &[b"GCOL", b"TREE", b"SNOD", b"HEAP", b"\xff\xff\xff\xff", b"\0\0\0\0", b"K s", b"[\"D0"]),
    ] {
        let folder = made(comm, &script)?;
        let (path, output) = (folder.path.join(name), folder.path.join("tod.h5"));
        let read = || {
            let given = Given { intervals: (name == "seed.h5").then(|| "scanning".into()), ..Given::default() };
            let request =
                Request { files: vec![path.clone()], output: output.clone(), given, options: OpenOptions::new() };
            import(comm, &request).map(drop)
        };
        read()?;
        let seed = fs::read(&path)?;
        let make = |random: &mut Random| {
            let mut bytes = seed.clone();
            damage(&mut bytes, words, random);
            bytes
        };
        let counts = fuzz(comm, &path, 30, make, |_| read())?;
        assert!(counts[1] > 5, "{name}: {counts:?}");
        assert!(!folder.path.join("tod.h5.tmp").exists(), "{name}: an import that failed leaves tod.h5.tmp");
    }
    Ok(())
}
