//! The bits of every output on several numbers of ranks.

use dolmen_core::Comm;
use dolmen_io::fits::MapFile;
use dolmen_io::hdf5::H5File;
use dolmen_solvers::Progress;
use dolmen_tests::TestResult;
use mapmaker::config::Config;
use mapmaker::output::products;
use mapmaker::run::{Request, run};
use mapmaker::simulate::simulate;
use mapmaker::tod::resolve;

use crate::fixture::{Folder, whole};

pub(crate) type Checksums = Vec<(String, u64)>;

const CONFIG: &str = "
    input.tod = 'tod.h5'
    map = { nside = 8, ordering = 'nested' }
    destripe = { baseline = 20.0 }
    gls = { enabled = true }
    output = { folder = 'out', compare = 'tod_sky.fits' }
    simulate = { hours = 0.5, sample_rate = 5.0, spin_period = 30.0, interval = 0.04, sky_nside = 8, fknee = 0.3 }";

/// FNV-1a of the bits.
pub(crate) fn checksum(bits: impl IntoIterator<Item = u64>) -> u64 {
    bits.into_iter()
        .flat_map(u64::to_le_bytes)
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Every column of the FITS maps and every dataset of the offsets, as read back, and the arrays in
/// memory.
pub(crate) fn outputs(comm: &Comm) -> TestResult<Checksums> {
    simulated(comm, CONFIG)
}

/// The same with free offsets, stored in double precision.
pub(crate) fn outputs_without_a_prior(comm: &Comm) -> TestResult<Checksums> {
    let free = CONFIG.replace("baseline = 20.0", "baseline = 20.0, prior = false, tolerance = 1e-9");
    simulated(comm, &free.replace("enabled = true", "enabled = true, tolerance = 1e-9"))
}

pub(crate) fn simulated(comm: &Comm, text: &str) -> TestResult<Checksums> {
    let folder = Folder::new(comm)?;
    let config = Config::parse(text, &folder.path.join("case.toml"))?;
    simulate(comm, &config.simulate, None, &config.input.tod[0])?;
    outputs_of(comm, &folder, text)
}

/// The outputs of a run on timelines in a folder.
pub(crate) fn outputs_of(comm: &Comm, folder: &Folder, text: &str) -> TestResult<Checksums> {
    let mut config = Config::parse(text, &folder.path.join("case.toml"))?;
    config.input.tod = resolve(comm, &config.input.tod)?;
    let request = Request {
        folder: folder.path.join("out"),
        config,
        text: String::new(),
        path: folder.path.join("case.toml"),
        resume: None,
    };
    let mut norms = Vec::new();
    let outcome = run(comm, &request, &mut |progress: &Progress| norms.push(progress.residual.to_bits()))?;
    let known = products(&folder.path.join("out"), &request.config.output.part_names());
    let unknown = outcome.files.iter().find(|path| !known.contains(path));
    assert_eq!(unknown, None, "the name of each product is known");
    let mut sums = vec![("residual history".to_owned(), checksum(norms))];
    for path in outcome.files.iter().filter(|path| path.extension().is_some_and(|e| e == "fits")) {
        let map = MapFile::open(path)?;
        for column in 0..map.columns().count() {
            let values = map.read(column, 0..map.header().pixels())?;
            let name = format!("{} column {column}", path.file_name().unwrap_or_default().display());
            sums.push((name, checksum(values.into_iter().map(f64::to_bits))));
        }
    }
    assert!(sums.len() >= 15, "maps, hits, rcond and covariance have {} columns", sums.len());
    let file = H5File::open(comm, request.folder.join("baselines.h5"))?;
    let mut names = file.children("/")?;
    names.retain(|name| !["detectors", "observations", "templates"].contains(&name.as_str()));
    if file.exists("templates") {
        let of_templates = file.children("templates")?.into_iter().filter(|name| name != "names");
        names.extend(of_templates.map(|name| format!("templates/{name}")));
    }
    for name in names {
        let dataset = file.dataset(&name)?;
        let values = dataset.read_slab::<f64>(&vec![0; dataset.shape().len()], dataset.shape())?;
        sums.push((format!("baselines.h5 {name}"), checksum(values.into_iter().map(f64::to_bits))));
    }
    let pictures = outcome.files.iter().filter(|path| path.extension().is_some_and(|e| e == "png"));
    for path in pictures.filter(|_| comm.rank() == 0) {
        let bytes = std::fs::read(path)?;
        sums.push((
            path.file_name().unwrap_or_default().display().to_string(),
            checksum(bytes.into_iter().map(u64::from)),
        ));
    }
    for (name, rms) in &outcome.residuals {
        sums.push((name.clone(), rms.to_bits()));
    }
    let solution = outcome.maps.offsets.as_ref().expect("destriping is on");
    let amplitudes = whole(comm, solution.amplitudes.owned());
    sums.push(("amplitudes".into(), checksum(amplitudes.into_iter().map(f64::to_bits))));
    // Rank 0 removes the folder that others may still read.
    comm.barrier();
    Ok(sums)
}

/// The simulated timelines and the sky beside them.
pub(crate) fn simulation(comm: &Comm) -> TestResult<Checksums> {
    let folder = Folder::new(comm)?;
    let config = Config::parse(CONFIG, &folder.path.join("case.toml"))?;
    let simulated = simulate(comm, &config.simulate, None, &config.input.tod[0])?;
    assert_eq!(simulated.samples, 4 * 9000);
    let file = H5File::open(comm, &config.input.tod[0])?;
    let mut sums = Vec::new();
    for name in ["boresight", "signal", "intervals"] {
        let dataset = file.dataset(&format!("observations/scan/{name}"))?;
        let values = dataset.read_slab::<f64>(&[0, 0], dataset.shape())?;
        sums.push((name.to_owned(), checksum(values.into_iter().map(f64::to_bits))));
    }
    let sky = MapFile::open(&simulated.sky)?;
    for column in 0..3 {
        let values = sky.read(column, 0..sky.header().pixels())?;
        sums.push((format!("sky {column}"), checksum(values.into_iter().map(f64::to_bits))));
    }
    comm.barrier();
    Ok(sums)
}
