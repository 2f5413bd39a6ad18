//! Damaged files of timelines: each is refused in one line, or read; none crashes, hangs or takes memory that its
//! size does not explain.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use dolmen_core::Comm;
use dolmen_tests::TestResult;
use mapmaker::Result;
use mapmaker::config::{Config, Stokes};
use mapmaker::healpix::Healpix;
use mapmaker::tod::Tod;

use crate::damage::{Random, damage, inputs};
use crate::fixture::{Folder, Looks, Timeline};

/// The longest time for an input: a child gives up after 18 s of waiting for 3 s of a processor.
const LONGEST: Duration = Duration::from_secs(30);
/// Samples that are read.
const SAMPLES: u64 = 1000;
/// What this process may have held more at most [KiB].
const RESIDENT: u64 = 200 << 10;

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
        intervals: vec![[0, 10], [12, 20]],
        psi_convention: "COSMO",
    }
}

/// Reads the first samples of each observation.
fn read(comm: &Comm, config: &Config) -> Result<()> {
    let tod = Tod::open(comm, &config.input, Stokes::I)?;
    let healpix = Healpix::new(config.map.nside, config.map.ordering).expect("validated");
    let mut outcome = Ok(());
    for (observation, description) in tod.description().observations.iter().enumerate() {
        let detectors = 0..tod.description().detectors.len();
        let read = tod.reader(observation)?.read(&healpix, detectors, 0..description.samples.min(SAMPLES));
        outcome = outcome.and(read.map(drop).map_err(|located| located.error));
    }
    tod.close()?;
    Ok(comm.agree(outcome)?)
}

/// The most memory that this process has held, by the system's account [KiB].
fn most_resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse().ok());
    line.unwrap_or(0)
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
    fuzz(comm, &path, &config, &seeds)
}

fn fuzz(comm: &Comm, path: &Path, config: &Config, seeds: &[Vec<u8>]) -> TestResult {
    let words: &[&[u8]] = &[b"GCOL", b"TREE", b"SNOD", b"HEAP", b"\xff\xff\xff\xff", b"\0\0\0\0", b"NESTED", b"IAU"];
    let before = most_resident();
    let (mut counts, mut slowest) = ([0_u64; 2], Duration::ZERO);
    let mut more = inputs(comm, 30);
    for number in 0.. {
        if !more(number) {
            break;
        }
        let mut random = Random::new(number);
        let mut bytes = seeds[random.below(seeds.len())].clone();
        damage(&mut bytes, words, &mut random);
        comm.agree(if comm.rank() == 0 { fs::write(path, &bytes) } else { Ok(()) })?;
        // The last line that is printed names the input that something came from.
        println!("input {number}");
        let start = Instant::now();
        let result = read(comm, config);
        slowest = slowest.max(start.elapsed());
        assert!(slowest < LONGEST, "input {number}: {slowest:?}");
        let resident = most_resident();
        assert!(resident < before + RESIDENT, "input {number}: {resident} KiB, before {before}");
        if let Err(error) = &result {
            let text = error.to_string();
            assert!(text.contains("tod.h5") && !text.contains('\n'), "input {number}: {text}");
        }
        counts[usize::from(result.is_err())] += 1;
    }
    println!("{} accepted, {} refused, the slowest in {slowest:?}", counts[0], counts[1]);
    assert!(counts[1] > 10, "{counts:?}");
    Ok(())
}
