//! The map-maker as functions, and HEALPix maps in FITS.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use dolmen::Checkpointer;
use dolmen::core::Comm as CoreComm;
use dolmen::io::fits::MapFile;
use dolmen::io::hdf5::OpenOptions;
use dolmen::solvers::{Monitor, Progress, Request as Wish};
use mapmaker::config::Config;
use mapmaker::import::{ByDetector, Given, OfDetectors, Request as ImportRequest, import};
use mapmaker::noise_estimate::{Request as NoiseRequest, Sky, estimate};
use mapmaker::run::{Outcome, Request, checkpoint_config, run};
use mapmaker::simulate::simulate;
use mapmaker::tod::resolve;
use numpy::PyArray1;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::comm::Comm;
use crate::errors::{agree, core_class, failed, local, solver_class};
use crate::gil::released;
use crate::monitor::Watch;
use crate::report::Report;
use crate::solve::Checkpoint;

/// A configuration as text, with the path relative to whose folder its paths are, and what replaces parts of it.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Job {
    text: String,
    path: PathBuf,
    tod: Option<Vec<PathBuf>>,
    folder: PathBuf,
    allow_external: bool,
    monitor: Option<Py<PyAny>>,
    checkpoint: Option<Checkpoint>,
}

/// The output folder that a configuration names, if it does.
#[pyfunction]
pub(crate) fn output_folder(py: Python<'_>, comm: &Comm, text: &str, path: PathBuf) -> PyResult<Option<PathBuf>> {
    let config = released(py, || comm.comm.agree(Config::parse(text, &path)));
    config.map(|config| config.output.folder).map_err(|error| raised(py, &error))
}

/// Makes maps and writes them to a folder.
#[pyfunction]
pub(crate) fn make_maps<'py>(py: Python<'py>, comm: &Comm, job: Job) -> PyResult<Bound<'py, PyDict>> {
    let comm = &comm.comm;
    let mut watch = Watch::new(job.monitor.as_ref(), None);
    let made = released(py, || job.run(comm, &mut watch));
    agree(py, comm, watch.result())?;
    described(py, made.map_err(|error| raised(py, &error))?)
}

impl Job {
    fn config(&self, comm: &CoreComm) -> mapmaker::Result<Config> {
        let mut config = comm.agree(Config::parse(&self.text, &self.path))?;
        config.input.tod = resolve(comm, &self.tod.clone().unwrap_or(config.input.tod))?;
        config.input.allow_external = self.allow_external;
        Ok(config)
    }

    fn run(&self, comm: &CoreComm, watch: &mut Watch<'_>) -> mapmaker::Result<Outcome> {
        let config = self.config(comm)?;
        let (text, path, folder) = (self.text.clone(), self.path.clone(), self.folder.clone());
        let request = Request { config, text, path, folder, resume: None };
        let Some(checkpoint) = &self.checkpoint else { return run(comm, &request, watch as &mut dyn Monitor<f64>) };
        let same = checkpoint_config(comm, &request.config)?;
        let mut ask = |progress: &Progress| -> Wish { watch.request(progress) };
        let mut keeper = Checkpointer::new(comm, &checkpoint.folder, checkpoint.interval(), &same)?.ask(&mut ask);
        let resumed = match checkpoint.resume {
            true => keeper.resume(&[])?,
            false => keeper.require_empty().map(|()| None)?,
        };
        let request = Request { resume: resumed.as_ref().map(|resumed| &resumed.snapshot), ..request };
        let outcome = run(comm, &request, &mut keeper)?;
        keeper.finish()?;
        Ok(outcome)
    }
}

/// A configuration of timelines whose noise is estimated.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct NoiseJob {
    text: String,
    path: PathBuf,
    tod: Option<Vec<PathBuf>>,
    allow_external: bool,
    sky: Option<PathBuf>,
    without_sky: bool,
    folder: Option<PathBuf>,
    write: Option<PathBuf>,
    plot: Option<PathBuf>,
}

/// Estimates the noise of timelines; returns everything as JSON, a table, and the files that were written.
#[pyfunction]
pub(crate) fn estimate_noise(py: Python<'_>, comm: &Comm, job: NoiseJob) -> PyResult<(String, String, Vec<PathBuf>)> {
    let comm = &comm.comm;
    let noise = released(py, || {
        let config = comm.agree(Config::parse(&job.text, &job.path))?;
        let mut input = config.input;
        input.tod = resolve(comm, &job.tod.unwrap_or(input.tod))?;
        input.allow_external = job.allow_external;
        let folder = job.folder.or(config.output.folder);
        let sky = match job.sky {
            Some(map) => Sky::Map(map),
            None if job.without_sky => Sky::None,
            None => Sky::of_run(comm, &job.path, folder.as_deref())?,
        };
        let request = NoiseRequest {
            input,
            stokes: config.map.stokes,
            sky,
            inputs: vec![job.path],
            write: job.write,
            plot: job.plot,
        };
        estimate(comm, &request)
    });
    let noise = noise.map_err(|error| raised(py, &error))?;
    Ok((noise.json().to_string(), noise.table(), noise.files))
}

fn described(py: Python<'_>, outcome: Outcome) -> PyResult<Bound<'_, PyDict>> {
    let found = PyDict::new(py);
    let (solved, seen) = outcome.maps.pixel_counts();
    found.set_item("summary", outcome.summary())?;
    found.set_item("pixels_solved", solved)?;
    found.set_item("pixels_seen", seen)?;
    found.set_item("residuals", outcome.residuals.clone())?;
    found.set_item("units", &outcome.maps.description.units)?;
    found.set_item("files", &outcome.files)?;
    let object = |report| Py::new(py, Report { report });
    found.set_item("report", outcome.maps.offsets.map(|offsets| object(offsets.report)).transpose()?)?;
    found.set_item("gls_report", outcome.maps.gls.map(|gls| object(gls.report)).transpose()?)?;
    Ok(found)
}

/// Simulates timelines; returns the number of samples and the file of the sky that they saw.
#[pyfunction]
pub(crate) fn simulate_timelines(
    py: Python<'_>,
    comm: &Comm,
    text: &str,
    path: PathBuf,
    sky: Option<PathBuf>,
    output: PathBuf,
) -> PyResult<(u64, PathBuf)> {
    let comm = &comm.comm;
    let simulated = released(py, || -> mapmaker::Result<_> {
        let config = comm.agree(Config::parse(text, &path))?;
        simulate(comm, &config.simulate, sky.as_deref(), &output)
    });
    let simulated = simulated.map_err(|error| raised(py, &error))?;
    Ok((simulated.samples, simulated.sky))
}

/// Files of other programs, and values that they lack. Those of detectors are texts, as the command line has them.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct ImportJob {
    files: Vec<PathBuf>,
    output: PathBuf,
    net: Vec<String>,
    fknee: Vec<String>,
    alpha: Vec<String>,
    fmin: Vec<String>,
    pol_efficiency: Vec<String>,
    sample_rate: Option<f64>,
    coordinates: Option<String>,
    psi_convention: Option<String>,
    units: Option<String>,
    angle_unit: Option<String>,
    signal: Option<String>,
    observation: Option<String>,
    boresight: Option<String>,
    intervals: Option<String>,
    allow_external: bool,
}

impl ImportJob {
    fn given(&self) -> Result<Given, String> {
        fn values(name: &str, texts: &[String]) -> Result<ByDetector, String> {
            let value = |text: &String| text.parse::<OfDetectors>().map_err(|what| format!("{name}={text:?}: {what}"));
            texts.iter().map(value).collect::<Result<Vec<_>, _>>().map(Into::into)
        }
        fn word<T: FromStr<Err = String>>(name: &str, text: Option<&String>) -> Result<Option<T>, String> {
            text.map(|text| text.parse().map_err(|what| format!("{name}={text:?}: {what}"))).transpose()
        }
        Ok(Given {
            net: values("net", &self.net)?,
            fknee: values("fknee", &self.fknee)?,
            alpha: values("alpha", &self.alpha)?,
            fmin: values("fmin", &self.fmin)?,
            pol_efficiency: values("pol_efficiency", &self.pol_efficiency)?,
            sample_rate: self.sample_rate,
            coordinates: word("coordinates", self.coordinates.as_ref())?,
            psi_convention: word("psi_convention", self.psi_convention.as_ref())?,
            units: self.units.clone(),
            angle_unit: word("angle_unit", self.angle_unit.as_ref())?,
            signal: self.signal.clone(),
            observation: self.observation.clone(),
            boresight: self.boresight.clone(),
            intervals: self.intervals.clone(),
        })
    }
}

/// Imports timelines of other programs; returns the number of samples.
#[pyfunction]
pub(crate) fn import_timelines(py: Python<'_>, comm: &Comm, job: ImportJob) -> PyResult<u64> {
    let comm = &comm.comm;
    let given = agree(py, comm, job.given().map_err(PyValueError::new_err))?;
    let imported = released(py, || {
        let files = resolve(comm, &job.files)?;
        let options = OpenOptions::new().allow_external(job.allow_external);
        import(comm, &ImportRequest { files, output: job.output, given, options })
    });
    let description = imported.map_err(|error| raised(py, &error))?;
    let samples = description.observations.iter().map(|observation| observation.samples);
    Ok(samples.sum::<u64>() * description.detectors.len() as u64)
}

/// Returns the exception of an error of the map-maker, which all ranks have.
fn raised(py: Python<'_>, error: &mapmaker::Error) -> PyErr {
    let (class, path): (_, Option<&Path>) = match error {
        mapmaker::Error::Config { path, .. } => ("SettingError", Some(path)),
        mapmaker::Error::Tod { path, .. } | mapmaker::Error::File { path, .. } => ("FileError", Some(path)),
        mapmaker::Error::Io(error) => ("FileError", error.path()),
        mapmaker::Error::Rescued { .. } | mapmaker::Error::Lost { .. } => ("FileError", None),
        mapmaker::Error::OtherData => ("FileError", None),
        mapmaker::Error::Memory(_) => ("TooLargeError", None),
        mapmaker::Error::Unbounded => ("SettingError", None),
        mapmaker::Error::NotConverged { .. }
        | mapmaker::Error::IterationLimit { .. }
        | mapmaker::Error::Stopped { .. } => ("NotConvergedError", None),
        mapmaker::Error::Core(error) => (core_class(error.cause()), None),
        mapmaker::Error::Solver(error) => (solver_class(error), None),
        _ => ("Error", None),
    };
    failed(py, class, error, path)
}

/// Reads all columns of a HEALPix map: header, and names, units and values. Not collective.
#[pyfunction]
pub(crate) fn read_map<'py>(py: Python<'py>, path: PathBuf) -> PyResult<Bound<'py, PyDict>> {
    let file = local(py, MapFile::open(&path))?;
    let header = file.header();
    let found = PyDict::new(py);
    found.set_item("nside", header.nside)?;
    found.set_item("ordering", format!("{:?}", header.ordering).to_uppercase())?;
    found.set_item("coordinates", header.coordinates.map(|frame| format!("{frame:?}")))?;
    found.set_item("polarization", header.polarization.map(|convention| format!("{convention:?}").to_uppercase()))?;
    found.set_item("history", &header.history)?;
    let columns = PyDict::new(py);
    let units = PyDict::new(py);
    for (number, (name, unit)) in file.columns().enumerate() {
        let values = local(py, released(py, || file.read(number, 0..header.pixels())))?;
        columns.set_item(name, PyArray1::from_vec(py, values))?;
        units.set_item(name, unit)?;
    }
    found.set_item("columns", columns)?;
    found.set_item("units", units)?;
    Ok(found)
}
