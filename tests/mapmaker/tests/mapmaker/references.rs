//! Real and peer timelines against maps by dense algebra (the folder of reference data).

use std::path::Path;

use dolmen_core::Comm;
use dolmen_io::fits::{FitsFile, MapFile};
use dolmen_io::hdf5::{H5File, OpenOptions};
use dolmen_solvers::Progress;
use dolmen_tests::{TestResult, shared};
use mapmaker::config::{Config, Convention, Frame};
use mapmaker::healpix::{Healpix, Ordering};
use mapmaker::import::{Given, Request, import};
use mapmaker::maps::{Maps, make_maps};
use mapmaker::phases::Phases;

use crate::fixture::{Folder, Looks, Timeline, assert_close, map, whole};
use crate::importing::values;

const TOLERANCE: f64 = 1e-9;

/// The configuration of the reference maps of the Planck-like scan.
const PLANCK: &str = "
    input.tod = 'tod.h5'
    map = { nside = 16, ordering = 'ring', rcond_min = 1e-2, min_hits = 4 }
    destripe = { baseline = 60.0, tolerance = 1e-12 }";

/// The reference maps of one case.
struct Reference {
    pixels: Vec<i64>,
    hits: Vec<i64>,
    rcond: Vec<f64>,
    binned: Vec<f64>,
    destriped: Vec<f64>,
    /// Detector after detector.
    baselines: Vec<f64>,
}

impl Reference {
    fn read(comm: &Comm, path: &Path) -> TestResult<Reference> {
        let file = H5File::open(comm, path)?;
        let real = |name: &str| -> TestResult<Vec<f64>> {
            let dataset = file.dataset(name)?;
            let start = vec![0; dataset.shape().len()];
            Ok(dataset.read_slab(&start, dataset.shape())?)
        };
        let whole = |name: &str| -> TestResult<Vec<i64>> {
            let dataset = file.dataset(name)?;
            Ok(dataset.read_slab(&[0], dataset.shape())?)
        };
        Ok(Reference {
            pixels: whole("pixels")?,
            hits: whole("hits")?,
            rcond: real("rcond")?,
            binned: real("binned")?,
            destriped: real("destriped")?,
            baselines: real("baselines")?,
        })
    }

    /// Compares all arrays; `weighted` if detectors weigh differently, when the reference's
    /// condition numbers, which do not weigh, are others.
    fn compare(&self, comm: &Comm, maps: &Maps, weighted: bool) {
        let position = |pixel: &i64| usize::try_from(*pixel).expect("a pixel");
        let at = |values: &[f64], width: usize| -> Vec<f64> {
            self.pixels.iter().flat_map(|p| values[position(p) * width..][..width].to_vec()).collect()
        };
        let hits = whole(comm, &maps.hits);
        let found: Vec<i64> = self.pixels.iter().map(|pixel| hits[position(pixel)]).collect();
        assert_eq!(found, self.hits, "hits");
        let binned = whole(comm, &maps.binned);
        let solved = binned.iter().step_by(3).filter(|&&value| value > -1e30).count();
        assert_eq!(solved, self.pixels.len(), "number of solved pixels");
        if !weighted {
            assert_close("rcond", &at(&whole(comm, &maps.rcond), 1), &self.rcond, TOLERANCE);
        }
        assert_close("binned", &at(&binned, 3), &self.binned, TOLERANCE);
        let destriped = whole(comm, maps.destriped.as_ref().expect("destriping is on"));
        assert_close("destriped", &at(&destriped, 3), &self.destriped, TOLERANCE);
        let offsets = maps.offsets.as_ref().expect("destriping is on");
        assert_eq!(offsets.components, 1, "components");
        let amplitudes = whole(comm, offsets.amplitudes.owned());
        let detectors = maps.description.detectors.len();
        let by_detector = (0..detectors).flat_map(|d| amplitudes.iter().skip(d).step_by(detectors));
        let by_detector: Vec<f64> = by_detector.copied().collect();
        assert_close("baselines", &by_detector, &self.baselines, TOLERANCE);
    }
}

/// Reads the Planck-like scan: a FITS table for each detector.
fn planck_scan(path: &Path) -> TestResult<Timeline> {
    let file = FitsFile::open(path)?;
    let mut timeline = Timeline {
        sample_rate: 32.5,
        net: Vec::new(),
        looks: Looks::Angles(Vec::new(), Vec::new()),
        psi: Vec::new(),
        signal: Vec::new(),
        flags: Vec::new(),
        shared_flags: Vec::new(),
        efficiency: Vec::new(),
        drifts: Vec::new(),
        intervals: Vec::new(),
        psi_convention: "COSMO",
        angles: Vec::new(),
    };
    for hdu in &file.hdus()[1..] {
        let column = |name: &str| file.read_column_f64(hdu, name, 0..hdu.rows());
        let Looks::Angles(theta, phi) = &mut timeline.looks else { unreachable!("made above") };
        theta.extend(column("THETA")?);
        phi.extend(column("PHI")?);
        timeline.psi.extend(column("PSI")?);
        timeline.signal.extend(column("TSKY")?);
        timeline.flags.extend(column("FLAG")?.into_iter().map(|flag| u8::from(flag != 0.0)));
        timeline.net.push(1.0);
    }
    Ok(timeline)
}

fn planck(comm: &Comm, reference: &str, change: impl FnOnce(&mut Timeline, &Path) -> TestResult) -> TestResult {
    let Some(shared) = shared() else { return Ok(()) };
    let cmb = shared.join("data/cmb");
    let mut timeline = planck_scan(&cmb.join("sim_planck30_tod.fits.gz"))?;
    change(&mut timeline, &cmb)?;
    let maps = map(comm, &Folder::new(comm)?, &timeline, PLANCK)?;
    Reference::read(comm, &cmb.join(reference))?.compare(comm, &maps, false);
    Ok(())
}

/// The same scan, imported.
pub(crate) fn planck_imported(comm: &Comm) -> TestResult {
    let Some(shared) = shared() else { return Ok(()) };
    let cmb = shared.join("data/cmb");
    let folder = Folder::new(comm)?;
    let given = Given {
        net: values(&["1"]),
        fmin: values(&["1e-5"]),
        coordinates: Some(Frame::G),
        psi_convention: Some(Convention::Cosmo),
        ..Given::default()
    };
    let (files, output) = (vec![cmb.join("sim_planck30_tod.fits.gz")], folder.path.join("tod.h5"));
    let description = import(comm, &Request { files, output, given, options: OpenOptions::new() })?;
    let names: Vec<&str> = description.detectors.iter().map(|detector| detector.name.as_str()).collect();
    assert_eq!(names, ["LFI-27M", "LFI-27S", "LFI-28M", "LFI-28S"]);
    assert!(description.detectors.iter().all(|detector| (detector.fknee, detector.alpha) == (0.05, 1.7)));
    assert_eq!((description.units.as_str(), description.observations[0].sample_rate), ("mK", 32.5));
    let config = PLANCK.replace("baseline = 60.0", "baseline = 60.0, prior = false");
    let config = Config::parse(&config, &folder.path.join("case.toml"))?;
    let maps = make_maps(comm, &config, &mut Phases::default(), &mut |_: &Progress| {}, None)?;
    Reference::read(comm, &cmb.join("sim_planck30_ref_nside16_data.h5"))?.compare(comm, &maps, false);
    Ok(())
}

pub(crate) fn planck_data(comm: &Comm) -> TestResult {
    planck(comm, "sim_planck30_ref_nside16_data.h5", |_, _| Ok(()))
}

/// The scan of the sky map alone, without noise: made here from the map.
pub(crate) fn planck_sky_only(comm: &Comm) -> TestResult {
    planck(comm, "sim_planck30_ref_nside16_sky_only.h5", |timeline, cmb| {
        let sky = MapFile::open(cmb.join("maps/healpy_wmap_band_iqumap_r9_7yr_V_v4_udgraded32.fits"))?;
        let grid = Healpix::new(32, Ordering::Ring)?;
        let stokes = [0, 1, 2].map(|column| sky.read(column, 0..grid.pixel_count()));
        let [i, q, u] = stokes.map(|values| values.expect("a full-sky column"));
        let Looks::Angles(theta, phi) = &timeline.looks else { unreachable!("angles were read") };
        for (sample, value) in timeline.signal.iter_mut().enumerate() {
            let pixel = usize::try_from(grid.pixel(theta[sample], phi[sample]).expect("on the sphere"))?;
            let (sin, cos) = (2.0 * timeline.psi[sample]).sin_cos();
            *value = i[pixel] + q[pixel] * cos + u[pixel] * sin;
        }
        Ok(())
    })
}

fn midapack(comm: &Comm, with_noise: bool, reference: &str) -> TestResult {
    let Some(shared) = shared() else { return Ok(()) };
    let cmb = shared.join("data/cmb");
    let file = H5File::open(comm, cmb.join("midapack_tod.h5"))?;
    let real = |name: &str| -> TestResult<Vec<f64>> {
        let dataset = file.dataset(name)?;
        Ok(dataset.read_slab(&[0], dataset.shape())?)
    };
    let pixels = file.dataset("pixel_nest_nside512")?;
    let mut signal = real("signal")?;
    if with_noise {
        for (value, noise) in signal.iter_mut().zip(real("noise")?) {
            *value += noise;
        }
    }
    // Two blocks of samples with a noise level each: as two detectors at one sample a second.
    let toeplitz = file.dataset("inv_noise_toeplitz")?.read_slab::<f64>(&[0, 0], &[2, 1])?;
    let timeline = Timeline {
        sample_rate: 1.0,
        net: toeplitz.iter().map(|weight| weight.sqrt().recip()).collect(),
        looks: Looks::Pixels { nside: 512, ordering: "NESTED", pixel: pixels.read_slab(&[0], pixels.shape())? },
        psi: real("two_psi")?.into_iter().map(|angle| angle / 2.0).collect(),
        flags: vec![0; signal.len()],
        signal,
        shared_flags: Vec::new(),
        efficiency: Vec::new(),
        drifts: Vec::new(),
        intervals: Vec::new(),
        psi_convention: "COSMO",
        angles: Vec::new(),
    };
    let config = "
        input.tod = 'tod.h5'
        map = { nside = 64, ordering = 'nested', rcond_min = 1e-2, min_hits = 4 }
        destripe = { baseline = 1000.0, tolerance = 1e-12 }";
    let maps = map(comm, &Folder::new(comm)?, &timeline, config)?;
    Reference::read(comm, &cmb.join(reference))?.compare(comm, &maps, true);
    Ok(())
}

pub(crate) fn midapack_data(comm: &Comm) -> TestResult {
    midapack(comm, true, "midapack_ref_nside64_data.h5")
}

pub(crate) fn midapack_signal_only(comm: &Comm) -> TestResult {
    midapack(comm, false, "midapack_ref_nside64_signal_only.h5")
}

/// Pixel numbers of healpy at a hundred thousand directions, in both orderings.
pub(crate) fn healpix(comm: &Comm) -> TestResult {
    let Some(shared) = shared() else { return Ok(()) };
    let file = H5File::open(comm, shared.join("data/cmb/healpix_refs.h5"))?;
    let real = |name: &str| -> TestResult<Vec<f64>> {
        let dataset = file.dataset(name)?;
        Ok(dataset.read_slab(&[0], dataset.shape())?)
    };
    let (theta, phi) = (real("theta")?, real("phi")?);
    for nside in [1, 4, 8, 128, 1024, 8192] {
        for (ordering, name) in [(Ordering::Ring, "ring"), (Ordering::Nested, "nest")] {
            let grid = Healpix::new(nside, ordering)?;
            let dataset = file.dataset(&format!("nside{nside}/{name}"))?;
            let expected = dataset.read_slab::<i64>(&[0], dataset.shape())?;
            for (i, pixel) in expected.into_iter().enumerate() {
                let found = grid.pixel(theta[i], phi[i]);
                assert_eq!(found, u64::try_from(pixel).ok(), "nside {nside} {name}, direction {i}");
            }
        }
    }
    Ok(())
}
