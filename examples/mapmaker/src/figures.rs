//! The pictures of a run. Rank 0 draws; it fetches only the pixels under the picture's points.

use std::path::{Path, PathBuf};

use dolmen_core::Comm;
use dolmen_io::fits::UNSEEN;

use crate::config::Config;
use crate::error::{Error, Result};
use crate::maps::Maps;
use crate::output::{stokes_names, write_file};
use crate::picture::{Mollweide, Palette, Range, Style};
use crate::report::{Figure, FigureGroup};
use crate::sky::{fetch, read_sky};

/// Width of the pictures in points.
const WIDTH: u32 = 800;

/// The pictures of a run.
#[derive(Default)]
pub struct Drawn {
    /// PNG files.
    pub files: Vec<PathBuf>,
    /// The same pictures for the report.
    pub groups: Vec<FigureGroup>,
    /// Residuals against the true sky: name and rms over all solved pixels.
    pub residuals: Vec<(String, f64)>,
}

/// A picture to be drawn: values of owned pixels, and how.
struct Plate<'a> {
    file: String,
    caption: String,
    palette: Palette,
    range: Range,
    unit: &'a str,
    factor: f64,
    values: Vec<f64>,
}

/// Draws the maps of a run, and their residuals if there is a sky to compare with.
///
/// # Collective
///
/// # Errors
/// The sky to compare with cannot be read, or a picture cannot be written.
pub fn draw(comm: &Comm, config: &Config, maps: &Maps, folder: &Path) -> Result<Drawn> {
    let mut artist = Artist::new(comm, maps, folder);
    let truth = truth(comm, config, maps)?;
    let finals = maps.destriped.as_ref().map(|map| ("destriped", "Destriped map", map));
    let binned = ("binned", "Binned map (no destriping)", &maps.binned);
    for (name, title, values) in finals.into_iter().chain([binned]) {
        artist.group(title, artist.stokes(name, title, values))?;
    }
    if let Some(sky) = &truth {
        artist.group("Input sky", artist.stokes("input", "Input sky", sky))?;
        for (name, title, values) in finals.into_iter().chain([binned]) {
            let title = format!("{title} minus input sky");
            let difference = subtract(values, sky, maps.width, comm);
            for (i, (_, letter)) in stokes_names(maps.width).iter().enumerate() {
                let rms = rms(comm, &maps.component(&difference, maps.width, i));
                artist.drawn.residuals.push((format!("{name} - input sky, {letter}"), rms));
            }
            let plates = artist.stokes(&format!("residual_{name}"), &title, &difference);
            artist.group(&title, plates.into_iter().map(|p| Plate { palette: Palette::Diverging, ..p }).collect())?;
        }
    }
    artist.group("Coverage", artist.coverage())?;
    Ok(artist.drawn)
}

/// The true sky at owned pixels, interleaved, if the configuration names one.
fn truth(comm: &Comm, config: &Config, maps: &Maps) -> Result<Option<Vec<f64>>> {
    let Some(path) = &config.output.compare else {
        return Ok(None);
    };
    let wanted: Vec<u64> = maps.pixels.layout.range().collect();
    let mut sky = vec![0.0; wanted.len() * maps.width];
    // A polarisation map is compared with columns Q and U of an IQU sky.
    let first = usize::from(maps.width == 2);
    for component in 0..maps.width {
        let values = read_sky(comm, path, first + component, &maps.pixels.healpix, &wanted)?;
        for (slot, value) in sky.iter_mut().skip(component).step_by(maps.width).zip(values) {
            *slot = value;
        }
    }
    Ok(Some(sky))
}

/// `map - sky` where the map is solved, less the mean difference of I, which destriping cannot
/// know.
fn subtract(map: &[f64], sky: &[f64], width: usize, comm: &Comm) -> Vec<f64> {
    let seen = |value: f64| value != UNSEEN;
    let mut difference: Vec<f64> =
        map.iter().zip(sky).map(|(&m, &s)| if seen(m) && seen(s) { m - s } else { UNSEEN }).collect();
    if width != 2 {
        let mut sums = [0.0, 0.0];
        for &value in difference.iter().step_by(width).filter(|&&value| seen(value)) {
            sums[0] += value;
            sums[1] += 1.0;
        }
        comm.all_reduce_sum(&mut sums);
        let mean = sums[0] / sums[1].max(1.0);
        difference.iter_mut().step_by(width).filter(|value| seen(**value)).for_each(|value| *value -= mean);
    }
    difference
}

fn rms(comm: &Comm, values: &[f64]) -> f64 {
    let mut sums = [0.0, 0.0];
    for value in values.iter().filter(|&&value| value != UNSEEN) {
        sums[0] += value * value;
        sums[1] += 1.0;
    }
    comm.all_reduce_sum(&mut sums);
    (sums[0] / sums[1].max(1.0)).sqrt()
}

/// Draws plates and keeps what was drawn.
struct Artist<'a> {
    comm: &'a Comm,
    maps: &'a Maps,
    folder: &'a Path,
    canvas: Mollweide,
    /// Sky pixel under each point of the picture, on rank 0.
    points: Vec<Option<u64>>,
    drawn: Drawn,
}

impl<'a> Artist<'a> {
    fn new(comm: &'a Comm, maps: &'a Maps, folder: &'a Path) -> Artist<'a> {
        let canvas = Mollweide::new(WIDTH).expect("invariant: a legal width");
        let points = if comm.rank() == 0 { canvas.pixels(&maps.pixels.healpix) } else { Vec::new() };
        Artist { comm, maps, folder, canvas, points, drawn: Drawn::default() }
    }

    /// One plate for each Stokes parameter of an interleaved map.
    fn stokes(&self, file: &str, title: &str, values: &[f64]) -> Vec<Plate<'a>> {
        let units = self.maps.description.units.as_str();
        let (unit, factor) = if units.starts_with('K') { ("µK", 1e6) } else { (units, 1.0) };
        let plate = |(component, (_, letter)): (usize, &(&str, &'static str))| Plate {
            file: format!("{file}_{letter}.png"),
            caption: format!("{title}: {letter}"),
            palette: if *letter == "I" { Palette::Cmb } else { Palette::Diverging },
            range: Range::Symmetric { percentile: 98.0 },
            unit,
            factor,
            values: self.maps.component(values, self.maps.width, component),
        };
        stokes_names(self.maps.width).iter().enumerate().map(plate).collect()
    }

    fn coverage(&self) -> Vec<Plate<'a>> {
        #[expect(clippy::cast_precision_loss, reason = "for a picture")]
        let hits = self.maps.hits.iter().map(|&hits| if hits > 0 { hits as f64 } else { UNSEEN }).collect();
        let plate = |name: &str, caption: &str, range, values| Plate {
            file: format!("{name}.png"),
            caption: caption.into(),
            palette: Palette::Sequential,
            range,
            unit: "",
            factor: 1.0,
            values,
        };
        let condition = Range::Fixed { min: 0.0, max: if self.maps.width == 1 { 1.0 } else { 0.5 } };
        vec![
            plate("hits", "Hits: samples in each pixel", Range::Logarithmic, hits),
            plate("rcond", "Reciprocal condition number of each pixel", condition, self.maps.rcond.clone()),
        ]
    }

    fn group(&mut self, title: &str, plates: Vec<Plate<'_>>) -> Result<()> {
        let mut figures = Vec::new();
        for plate in plates {
            let wanted: Vec<u64> = self.points.iter().flatten().copied().collect();
            let fetched = fetch(&self.maps.pixels.layout, &plate.values, &wanted)?;
            let path = self.folder.join(&plate.file);
            let drawn = || -> Result<Vec<u8>> {
                if self.comm.rank() != 0 {
                    return Ok(Vec::new());
                }
                let png = self.paint(&plate, fetched);
                write_file(&path, &png)?;
                Ok(png)
            };
            let png = self.comm.agree(drawn()).map_err(Error::from)?;
            figures.push(Figure { caption: plate.caption, png });
            self.drawn.files.push(path);
        }
        self.drawn.groups.push(FigureGroup { title: title.into(), figures });
        Ok(())
    }

    fn paint(&self, plate: &Plate<'_>, fetched: Vec<f64>) -> Vec<u8> {
        let mut fetched = fetched.into_iter();
        let mut value = |point: &Option<u64>| match point {
            Some(_) => fetched.next().filter(|&value| value != UNSEEN).unwrap_or(f64::NAN),
            None => f64::NAN,
        };
        let values: Vec<f64> = self.points.iter().map(&mut value).collect();
        let style = Style {
            title: plate.caption.clone(),
            unit: plate.unit.into(),
            factor: plate.factor,
            palette: plate.palette,
            range: plate.range,
        };
        self.canvas.render(&values, &style)
    }
}
