//! Writing what a run computed: FITS maps and the offsets, each whole or not at all.

use std::path::{Path, PathBuf};

use dolmen_core::Comm;
use dolmen_io::fits::{ColumnData, MapColumn, MapFile, MapHeader, PolarizationConvention};
use dolmen_io::hdf5::{H5File, Layout, TableColumn};
use dolmen_io::require_writable_folder;

use crate::config::{Config, Convention};
use crate::coverage::Coverage;
use crate::error::{Error, Result};
use crate::maps::Maps;
use crate::pixel_blocks::packed_len;
use crate::templates::{Group, TemplateAmplitudes};
use crate::tod::{Description, short_names};

/// Returns the names of the Stokes columns of a map with `width` of them, and their short forms.
pub fn stokes_names(width: usize) -> &'static [(&'static str, &'static str)] {
    const ALL: [(&str, &str); 3] = [("I_STOKES", "I"), ("Q_STOKES", "Q"), ("U_STOKES", "U")];
    match width {
        1 => &ALL[..1],
        2 => &ALL[1..],
        _ => &ALL,
    }
}

/// Names of the maps of a part.
const OF_PARTS: [&str; 4] = ["map_binned", "map_destriped", "hits", "covariance"];

/// Returns all files that a run with these parts may write to a folder, whatever its other settings.
pub fn products(folder: &Path, parts: &[String]) -> Vec<PathBuf> {
    let maps =
        ["map_binned", "map_destriped", "map_gls", "hits", "rcond", "covariance"].map(|name| format!("{name}.fits"));
    let stokes = ["binned", "destriped", "gls", "input", "residual_destriped", "residual_gls", "residual_binned"];
    let stokes = stokes.iter().flat_map(|name| stokes_names(3).iter().map(move |(_, s)| format!("{name}_{s}.png")));
    let others = ["hits.png", "rcond.png", "baselines.h5", "report.html"].map(str::to_owned);
    let of_parts = parts.iter().flat_map(|part| OF_PARTS.map(|map| format!("{map}_{part}.fits")));
    maps.into_iter().chain(stokes).chain(others).chain(of_parts).map(|name| folder.join(name)).collect()
}

/// Returns maps of parts that a run with other splits has left in a folder: files with such a name that a map-maker wrote.
/// Not collective.
pub fn former_parts(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let is_one = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".fits"));
        let of_part =
            |map: &str| name.and_then(|name| name.strip_prefix(map)).is_some_and(|rest| rest.starts_with('_'));
        let history = || MapFile::open(path).ok().and_then(|file| file.header().history.first().cloned());
        OF_PARTS.into_iter().any(of_part) && history().is_some_and(|line| line.starts_with(MAKER))
    };
    entries.map(|entry| entry.path()).filter(is_one).collect()
}

/// Beginning of the history of each map.
pub const MAKER: &str = "Dolmen map-maker ";

/// Creates the folder, removes what a run that was killed has left half-written of the products, and proves
/// that files can be made in it, before any work is done.
///
/// # Collective
///
/// # Errors
/// The folder cannot be created or written.
pub fn prepare_folder(comm: &Comm, folder: &Path, products: &[PathBuf]) -> Result<()> {
    let prepare = || -> std::io::Result<()> {
        if comm.rank() == 0 {
            std::fs::create_dir_all(folder)?;
            for product in products {
                match std::fs::remove_file(product.with_added_extension("tmp")) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                    _ => (),
                }
            }
        }
        Ok(())
    };
    let what = |error| Error::File { path: folder.to_owned(), what: format!("cannot be written: {error}") };
    comm.agree(prepare().map_err(what))?;
    Ok(require_writable_folder(comm, folder)?)
}

/// Writes a small text or picture file under a temporary name and renames it. Not collective.
///
/// # Errors
/// The file cannot be written.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let what = |error| Error::File { path: path.to_owned(), what: format!("cannot write: {error}") };
    dolmen_common::files::write(path, bytes).map_err(what)
}

/// Writes all FITS maps and the offsets of a run; returns the files.
///
/// # Collective
///
/// # Errors
/// A file cannot be written.
pub fn write_products(config: &Config, maps: &Maps, history: &[String], folder: &Path) -> Result<Vec<PathBuf>> {
    let polarized = maps.width > 1;
    let header = MapHeader {
        nside: maps.pixels.healpix.nside(),
        ordering: maps.pixels.healpix.ordering(),
        coordinates: Some(maps.description.frame.coordinates()),
        polarization: polarized.then_some(match config.map.polarization {
            Convention::Cosmo => PolarizationConvention::Cosmo,
            Convention::Iau => PolarizationConvention::Iau,
        }),
        history: history.to_vec(),
    };
    let mut files = Vec::new();
    let coverage = Coverage::of(maps)?;
    let mut write = |name: &str, columns: &[MapColumn<'_>]| -> Result<()> {
        let path = folder.join(name);
        coverage.write(&path, &header, columns)?;
        files.push(path);
        Ok(())
    };
    let units = maps.description.units.as_str();
    let stokes: Vec<&str> = stokes_names(maps.width).iter().map(|(name, _)| *name).collect();
    let pairs = covariance_names(maps.width);
    let pairs: Vec<&str> = pairs.iter().map(String::as_str).collect();
    let squared = if units.is_empty() { String::new() } else { format!("{units}^2") };
    let gls = maps.gls.as_ref().map(|gls| &gls.map);
    let whole = [(String::new(), &maps.binned, &maps.destriped, &maps.hits, &maps.covariance)];
    let parts = maps.parts.iter();
    let parts = parts.map(|p| (format!("_{}", p.name), &p.binned, &p.destriped, &p.hits, &p.covariance));
    for (part, binned, destriped, hits, covariance) in whole.into_iter().chain(parts) {
        let binned = config.output.binned.then_some(binned);
        let gls = gls.filter(|_| part.is_empty());
        for (name, values) in [("map_binned", binned), ("map_destriped", destriped.as_ref()), ("map_gls", gls)] {
            if let Some(values) = values {
                let columns = split(&coverage, values, maps.width);
                write(&format!("{name}{part}.fits"), &real_columns(&stokes, units, &columns))?;
            }
        }
        let hits = coverage.component(hits, 1, 0);
        write(&format!("hits{part}.fits"), &[MapColumn { name: "HITS", unit: "", data: ColumnData::I64(&hits) }])?;
        if part.is_empty() {
            let rcond = coverage.component(&maps.rcond, 1, 0);
            write("rcond.fits", &[MapColumn { name: "RCOND", unit: "", data: ColumnData::F64(&rcond) }])?;
        }
        let columns = split(&coverage, covariance, packed_len(maps.width));
        write(&format!("covariance{part}.fits"), &real_columns(&pairs, &squared, &columns))?;
    }
    if maps.offsets.is_some() {
        files.push(write_offsets(maps, history, folder)?);
    }
    Ok(files)
}

/// Writes all maps and the offsets of a run. Where its folder does not take them, they go to another, a new one in the
/// working folder or else in that of temporary files, and the error names it.
///
/// # Collective
///
/// # Errors
/// A file cannot be written.
pub fn write_or_rescue(config: &Config, maps: &Maps, history: &[String], folder: &Path) -> Result<Vec<PathBuf>> {
    let error = match write_products(config, maps, history, folder) {
        Err(error) => Box::new(error),
        written => return written,
    };
    let comm = maps.pixels.layout.comm();
    let mut number = vec![std::process::id()];
    comm.broadcast(0, &mut number);
    let mut reasons = Vec::new();
    // Relative to the working folder of each rank, which is one folder if it is to take them.
    for parent in [PathBuf::new(), std::env::temp_dir()] {
        let rescued = parent.join(format!("mapmaker-rescued-{}", number[0]));
        let written = prepare_folder(comm, &rescued, &products(&rescued, &config.output.part_names()))
            .and_then(|()| write_products(config, maps, history, &rescued));
        match written {
            Ok(_) => return Err(Error::Rescued { error, rescued }),
            Err(reason) => reasons.push(reason.to_string()),
        }
    }
    Err(Error::Lost { error, elsewhere: reasons.join("; ") })
}

/// Returns the components of an interleaved array at the pixels that are written.
fn split(coverage: &Coverage, values: &[f64], width: usize) -> Vec<Vec<f64>> {
    (0..width).map(|component| coverage.component(values, width, component)).collect()
}

fn real_columns<'a>(names: &[&'a str], unit: &'a str, parts: &'a [Vec<f64>]) -> Vec<MapColumn<'a>> {
    names.iter().zip(parts).map(|(name, values)| MapColumn { name, unit, data: ColumnData::F64(values) }).collect()
}

/// Returns `II`, `IQ`, ... in the order of a packed block.
fn covariance_names(width: usize) -> Vec<String> {
    let letters = stokes_names(width);
    let pairs = (0..width).flat_map(|i| (i..width).map(move |j| (i, j)));
    pairs.map(|(i, j)| format!("{}{}", letters[i].1, letters[j].1)).collect()
}

/// Writes `baselines.h5`: for each baseline its offset, 1 if it is determined, observation, detector, first sample and
/// length; tables of the names of observations, with their files, and of detectors; and the group of templates.
fn write_offsets(maps: &Maps, history: &[String], folder: &Path) -> Result<PathBuf> {
    let offsets = maps.offsets.as_ref().expect("invariant: checked by the caller");
    let path = folder.join("baselines.h5");
    let layout = maps.baselines.layout();
    let file = H5File::create(layout.comm(), &path)?;
    file.write_attribute("/", "format", "dolmen-baselines")?;
    file.write_attribute("/", "version", 1)?;
    file.write_attribute("/", "history", history.join("\n"))?;
    let (start, count) = ([layout.range().start], [layout.local_len() as u64]);
    let shape = [layout.global_len()];
    file.create_dataset::<f64>("amplitude", &shape, &Layout::Contiguous)?.write_slab(
        &start,
        &count,
        offsets.amplitudes.owned(),
    )?;
    let list: Vec<_> = layout.range().map(|number| maps.baselines.get(number)).collect();
    let columns: [(&str, Vec<u64>); 4] = [
        ("observation", list.iter().map(|baseline| baseline.observation as u64).collect()),
        ("detector", list.iter().map(|baseline| baseline.detector as u64).collect()),
        ("first_sample", list.iter().map(|baseline| baseline.time.start).collect()),
        ("samples", list.iter().map(|baseline| baseline.time.end - baseline.time.start).collect()),
    ];
    let determined: Vec<u8> = offsets.determined.iter().map(|&determined| u8::from(determined)).collect();
    file.create_dataset::<u8>("determined", &shape, &Layout::Contiguous)?.write_slab(&start, &count, &determined)?;
    let Description { files, detectors, observations, .. } = &maps.description;
    let text = |values: Vec<String>| {
        let bytes = values.iter().map(String::len).max().unwrap_or(0).max(1);
        TableColumn::Text { bytes, values }
    };
    let files = short_names(files);
    let of = observations.iter().map(|observation| files[observation.file].clone()).collect();
    let names = observations.iter().map(|observation| observation.name.clone()).collect();
    file.write_table("observations", &[("name".into(), text(names)), ("file".into(), text(of))])?;
    let names = detectors.iter().map(|detector| detector.name.clone()).collect();
    file.write_table("detectors", &[("name".into(), text(names))])?;
    for (name, values) in &columns {
        let dataset = file.create_dataset::<u64>(name, &shape, &Layout::Contiguous)?;
        dataset.write_slab(&start, &count, values)?;
    }
    if let Some(templates) = &offsets.templates {
        write_templates(&file, templates)?;
    }
    file.close()?;
    Ok(path)
}

/// Writes the group `templates`: for each detector and time the amplitude of each template, 1 if it is determined, the
/// observation, the detector, the first sample and the number of samples; and a table of the names of the templates.
fn write_templates(file: &H5File, templates: &TemplateAmplitudes) -> Result<()> {
    let TemplateAmplitudes { names, groups, values, determined } = templates;
    let (columns, layout) = (names.len() as u64, values.layout());
    let (first, len) = (layout.range().start / columns, groups.len() as u64);
    file.create_group("templates")?;
    let (shape, start, count) = ([layout.global_len() / columns, columns], [first, 0], [len, columns]);
    file.create_dataset::<f64>("templates/amplitude", &shape, &Layout::Contiguous)?.write_slab(
        &start,
        &count,
        values.owned(),
    )?;
    let determined: Vec<u8> = determined.iter().map(|&determined| u8::from(determined)).collect();
    let dataset = file.create_dataset::<u8>("templates/determined", &shape, &Layout::Contiguous)?;
    dataset.write_slab(&start, &count, &determined)?;
    let of_groups = |value: fn(&Group) -> u64| groups.iter().map(value).collect::<Vec<u64>>();
    let columns = [
        ("observation", of_groups(|group| group.observation as u64)),
        ("detector", of_groups(|group| group.detector as u64)),
        ("first_sample", of_groups(|group| group.samples.start)),
        ("samples", of_groups(|group| group.samples.end - group.samples.start)),
    ];
    for (name, values) in columns {
        let dataset = file.create_dataset::<u64>(&format!("templates/{name}"), &shape[..1], &Layout::Contiguous)?;
        dataset.write_slab(&start[..1], &count[..1], &values)?;
    }
    let bytes = names.iter().map(String::len).max().unwrap_or(1);
    let names = TableColumn::Text { bytes, values: names.clone() };
    Ok(file.write_table("templates/names", &[("name".into(), names)])?)
}
