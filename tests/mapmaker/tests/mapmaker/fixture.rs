//! Small Dolmen TOD files with explicit pointing, made by the tests.

use std::path::{Path, PathBuf};

use dolmen_core::Comm;
use dolmen_io::hdf5::{Element, H5File, Layout, TableColumn};
use dolmen_solvers::Progress;
use dolmen_tests::TestResult;
use mapmaker::config::Config;
use mapmaker::maps::{Maps, make_maps};
use mapmaker::phases::Phases;

/// Pointing of samples.
pub(crate) enum Looks {
    /// Colatitude and longitude of each sample [rad], detector after detector.
    Angles(Vec<f64>, Vec<f64>),
    /// Pixels of a grid, detector after detector.
    Pixels { nside: i64, ordering: &'static str, pixel: Vec<i64> },
}

/// A timeline of several detectors.
pub(crate) struct Timeline {
    pub(crate) sample_rate: f64,
    /// Noise of each detector [K sqrt(s)].
    pub(crate) net: Vec<f64>,
    pub(crate) looks: Looks,
    pub(crate) psi: Vec<f64>,
    pub(crate) signal: Vec<f64>,
    /// Flags of each detector's samples.
    pub(crate) flags: Vec<u8>,
    /// Flags of all detectors' samples; none if empty.
    pub(crate) shared_flags: Vec<u8>,
    /// Polarization efficiency of each detector; one if empty.
    pub(crate) efficiency: Vec<f64>,
    /// Knee frequency, slope and lowest frequency of each detector's drifts; unknown if empty.
    pub(crate) drifts: Vec<[f64; 3]>,
    /// Stationary ranges, first and one past the last; one range if empty.
    pub(crate) intervals: Vec<[i64; 2]>,
    pub(crate) psi_convention: &'static str,
    /// Angles of all detectors, by the names of their datasets.
    pub(crate) angles: Vec<(&'static str, Vec<f64>)>,
}

/// A folder that all ranks know, made by rank 0 and removed when its handle is dropped.
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
    _owner: Option<tempfile::TempDir>,
}

impl Folder {
    /// # Collective
    pub(crate) fn new(comm: &Comm) -> TestResult<Folder> {
        let owner = if comm.rank() == 0 { Some(tempfile::tempdir()?) } else { None };
        let mut name = owner.as_ref().map(|f| f.path().to_string_lossy().into_owned().into_bytes()).unwrap_or_default();
        comm.broadcast(0, &mut name);
        Ok(Folder { path: PathBuf::from(String::from_utf8(name)?), _owner: owner })
    }
}

impl Timeline {
    pub(crate) fn samples(&self) -> usize {
        self.signal.len() / self.net.len()
    }

    /// Writes the file, from rank 0.
    ///
    /// # Collective
    pub(crate) fn write(&self, comm: &Comm, path: &Path) -> TestResult {
        let file = H5File::create(comm, path)?;
        let texts = [
            ("format", "dolmen-tod"),
            ("coordinates", "G"),
            ("psi_convention", self.psi_convention),
            ("units", "K_CMB"),
        ];
        for (name, value) in texts {
            file.write_attribute("/", name, value)?;
        }
        file.write_attribute("/", "version", 1)?;
        file.write_table("detectors", &self.detectors())?;
        let group = "observations/scan";
        file.create_group(group)?;
        file.write_attribute(group, "sample_rate", self.sample_rate)?;
        let shape = [self.net.len() as u64, self.samples() as u64];
        match &self.looks {
            Looks::Angles(theta, phi) => {
                put(&file, "theta", shape, theta)?;
                put(&file, "phi", shape, phi)?;
            }
            Looks::Pixels { nside, ordering, pixel } => {
                file.write_attribute(group, "nside", *nside)?;
                file.write_attribute(group, "ordering", *ordering)?;
                put(&file, "pixel", shape, pixel)?;
            }
        }
        put(&file, "psi", shape, &self.psi)?;
        put(&file, "signal", shape, &self.signal)?;
        put(&file, "detector_flags", shape, &self.flags)?;
        if !self.shared_flags.is_empty() {
            put(&file, "flags", [shape[1]], &self.shared_flags)?;
        }
        for (name, values) in &self.angles {
            put(&file, name, [values.len() as u64], values)?;
        }
        if !self.intervals.is_empty() {
            put(&file, "intervals", [self.intervals.len() as u64, 2], self.intervals.as_flattened())?;
        }
        file.close()?;
        Ok(())
    }

    fn detectors(&self) -> Vec<(String, TableColumn)> {
        let count = self.net.len();
        let names = (0..count).map(|i| format!("D{i}")).collect();
        let drift =
            |i: usize| TableColumn::Real((0..count).map(|d| self.drifts.get(d).map_or(0.0, |d| d[i])).collect());
        vec![
            ("name".into(), TableColumn::Text { bytes: 16, values: names }),
            ("net".into(), TableColumn::Real(self.net.clone())),
            ("fknee".into(), drift(0)),
            ("alpha".into(), drift(1)),
            ("fmin".into(), drift(2)),
            ("quaternion".into(), TableColumn::Reals { length: 4, values: [0.0, 0.0, 0.0, 1.0].repeat(count) }),
            (
                "pol_efficiency".into(),
                TableColumn::Real(if self.efficiency.is_empty() { vec![1.0; count] } else { self.efficiency.clone() }),
            ),
        ]
    }
}

fn put<T: Element, const N: usize>(file: &H5File, name: &str, shape: [u64; N], values: &[T]) -> TestResult {
    let dataset = file.create_dataset::<T>(&format!("observations/scan/{name}"), &shape, &Layout::Contiguous)?;
    if file.comm().rank() == 0 {
        dataset.write_slab(&[0; N], &shape, values)?;
    } else {
        dataset.write_slab(&[0; N], &[0; N], &[] as &[T])?;
    }
    Ok(())
}

/// Makes maps of a timeline with a configuration whose input is `tod.h5`.
///
/// # Collective
pub(crate) fn map(comm: &Comm, folder: &Folder, timeline: &Timeline, config: &str) -> TestResult<Maps> {
    timeline.write(comm, &folder.path.join("tod.h5"))?;
    let config = Config::parse(config, &folder.path.join("case.toml"))?;
    Ok(make_maps(comm, &config, &mut Phases::default(), &mut |_: &Progress| {}, None)?)
}

/// A distributed interleaved array, whole, on every rank.
///
/// # Collective
pub(crate) fn whole<T: bytemuck::Pod>(comm: &Comm, owned: &[T]) -> Vec<T> {
    let mut all: Vec<T> = comm.gather(0, owned).into_iter().flatten().flatten().collect();
    comm.broadcast(0, &mut all);
    all
}

/// Checks that `found` equals `expected` to `tolerance` relative to the largest value expected.
pub(crate) fn assert_close(what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}: number of values");
    let scale = expected.iter().fold(0.0f64, |max, value| max.max(value.abs()));
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        assert!((f - e).abs() <= tolerance * scale, "{what}[{i}]: {f} instead of {e} (scale {scale:e})");
    }
}
