//! The pictures of a run. A picture fetches only the pixels under its points, and the ranks share
//! the pictures between them.

use std::path::{Path, PathBuf};

use dolmen_common::picture::{Palette, Range};
use dolmen_core::{Comm, ExchangePlan, IndexMap, Reduction, Vector, index::at};
use dolmen_io::fits::UNSEEN;

use crate::error::Result;
use crate::maps::Maps;
use crate::output::{stokes_names, write_file};
use crate::picture::{Mollweide, Style};
use crate::report::{Figure, FigureGroup};

/// Width of the pictures in points.
const WIDTH: u32 = 800;

/// The pictures of a run.
pub struct Drawn {
    /// PNG files.
    pub files: Vec<PathBuf>,
    /// The same pictures for the report, on rank 0.
    pub groups: Vec<FigureGroup>,
    /// Residuals against the true sky: name and rms over all solved pixels.
    pub residuals: Vec<(String, f64)>,
}

/// A picture to be drawn.
struct Plate {
    group: String,
    file: String,
    caption: String,
    title: String,
    palette: Palette,
    range: Range,
    unit: String,
    factor: f64,
    /// Values at the points of the picture, on the rank that draws it.
    values: Vec<f64>,
}

/// Draws the maps of a run, and their residuals if there is a sky to compare with.
///
/// # Collective
///
/// # Errors
/// A picture cannot be written; the same on all ranks.
pub fn draw(comm: &Comm, maps: &Maps, folder: &Path) -> Result<Drawn> {
    let mut artist = Artist::new(comm, maps)?;
    let finals = maps.destriped.as_ref().map(|map| ("destriped", "Destriped map", map));
    let binned = ("binned", "Binned map (no destriping)", &maps.binned);
    // Maps of the same thing share their colors, so that they can be compared by eye.
    let reference = maps.truth.as_ref().or(maps.destriped.as_ref()).unwrap_or(&maps.binned);
    let ranges = artist.ranges(reference);
    for (name, title, values) in finals.into_iter().chain([binned]) {
        artist.stokes(name, title, values, &ranges, &[]);
    }
    let mut residuals = Vec::new();
    if let Some(sky) = &maps.truth {
        artist.stokes("input", "Input sky", sky, &ranges, &[]);
        for (name, title, values) in finals.into_iter().chain([binned]) {
            let difference = subtract(maps, values, sky);
            let rms: Vec<f64> = (0..maps.width).map(|i| rms(maps, &difference, i)).collect();
            let letters = stokes_names(maps.width).iter().map(|(_, letter)| letter);
            let named = letters.zip(&rms).map(|(letter, &rms)| (format!("{name} - input sky, {letter}"), rms));
            residuals.extend(named);
            let own = artist.ranges(&difference);
            artist.stokes(&format!("residual_{name}"), &format!("{title} minus input sky"), &difference, &own, &rms);
        }
    }
    artist.coverage();
    artist.finish(folder, residuals)
}

/// Returns `map - sky` where the map is solved, less the mean difference of I, which destriping cannot
/// know.
fn subtract(maps: &Maps, map: &[f64], sky: &[f64]) -> Vec<f64> {
    let seen = |value: f64| value != UNSEEN;
    let both = map.iter().zip(sky);
    let mut difference: Vec<f64> = both.map(|(&m, &s)| if seen(m) && seen(s) { m - s } else { UNSEEN }).collect();
    if maps.width != 2 {
        let mean = moment(maps, &difference, 0, |value| value);
        difference.iter_mut().step_by(maps.width).filter(|value| seen(**value)).for_each(|value| *value -= mean);
    }
    difference
}

fn rms(maps: &Maps, values: &[f64], component: usize) -> f64 {
    moment(maps, values, component, |value| value * value).sqrt()
}

/// Returns the mean of a function of one component over the pixels that are seen, the same bits on any
/// number of ranks.
fn moment(maps: &Maps, values: &[f64], component: usize, f: impl Fn(f64) -> f64) -> f64 {
    let own = maps.component(values, maps.width, component);
    let sum = |value: &dyn Fn(f64) -> f64| {
        let mut terms = own.iter().map(|&entry| if entry == UNSEEN { 0.0 } else { value(entry) });
        let vector = Vector::from_fn(&maps.pixels.layout, |_| terms.next().expect("invariant: a value a pixel"));
        vector.sum(Reduction::Reproducible)
    };
    sum(&f) / sum(&|_| 1.0).max(1.0)
}

/// Collects plates, and draws them at the end, all ranks at once.
struct Artist<'a> {
    comm: &'a Comm,
    maps: &'a Maps,
    canvas: Mollweide,
    /// Sky pixel under each point of a picture.
    points: Vec<Option<u64>>,
    /// The pixels under the points, and the way to them.
    under: IndexMap,
    plan: ExchangePlan,
    plates: Vec<Plate>,
}

impl<'a> Artist<'a> {
    fn new(comm: &'a Comm, maps: &'a Maps) -> Result<Artist<'a>> {
        let canvas = Mollweide::new(WIDTH).expect("invariant: a legal width");
        let points = canvas.pixels(&maps.pixels.healpix);
        let under = comm.agree(IndexMap::new(points.iter().flatten().copied().collect()))?;
        let plan = ExchangePlan::new(&maps.pixels.layout, &under)?;
        Ok(Artist { comm, maps, canvas, points, under, plan, plates: Vec::new() })
    }

    /// Values of owned pixels at the points, NaN where there is none.
    fn at_points(&self, owned: &[f64]) -> Vec<f64> {
        let values = self.plan.start_import(owned, 1).finish();
        let value = |pixel| {
            let position = self.under.global_to_local(pixel).expect("invariant: the map holds all points");
            Some(values[at(position)]).filter(|&value| value != UNSEEN)
        };
        self.points.iter().map(|point| point.and_then(value).unwrap_or(f64::NAN)).collect()
    }

    /// Returns a symmetric range for each component of an interleaved map.
    fn ranges(&self, values: &[f64]) -> Vec<Range> {
        let range = |component| {
            let points = self.at_points(&self.maps.component(values, self.maps.width, component));
            let wanted = Range::Symmetric { percentile: 98.0 };
            wanted.limits(&points).map_or(wanted, |limits| Range::Fixed { min: limits.min, max: limits.max })
        };
        (0..self.maps.width).map(range).collect()
    }

    /// Adds a plate; the ranks take turns.
    fn add(&mut self, mut plate: Plate, owned: &[f64]) {
        let values = self.at_points(owned);
        if self.plates.len() % self.comm.size() == self.comm.rank() {
            plate.values = values;
        }
        self.plates.push(plate);
    }

    /// Draws one picture for each Stokes parameter of an interleaved map. `rms` goes into the captions.
    fn stokes(&mut self, file: &str, title: &str, values: &[f64], ranges: &[Range], rms: &[f64]) {
        let units = self.maps.description.units.clone();
        let (unit, factor) = if units.starts_with('K') { ("µK".to_owned(), 1e6) } else { (units, 1.0) };
        for (component, (_, letter)) in stokes_names(self.maps.width).iter().enumerate() {
            let caption = match rms.get(component) {
                Some(rms) => format!("{letter}: rms {:.3} {unit}", rms * factor),
                None => (*letter).to_owned(),
            };
            let plate = Plate {
                group: title.into(),
                file: format!("{file}_{letter}.png"),
                caption,
                title: format!("{title}: {letter}"),
                palette: if *letter == "I" && rms.is_empty() { Palette::Cmb } else { Palette::Diverging },
                range: ranges[component],
                unit: unit.clone(),
                factor,
                values: Vec::new(),
            };
            let owned = self.maps.component(values, self.maps.width, component);
            self.add(plate, &owned);
        }
    }

    fn coverage(&mut self) {
        #[expect(clippy::cast_precision_loss, reason = "for a picture")]
        let hits: Vec<f64> = self.maps.hits.iter().map(|&hits| if hits > 0 { hits as f64 } else { UNSEEN }).collect();
        let condition = Range::Fixed { min: 0.0, max: if self.maps.width == 1 { 1.0 } else { 0.5 } };
        let plate = |file: &str, title: &str, caption: &str, range| Plate {
            group: "Coverage".into(),
            file: file.into(),
            caption: caption.into(),
            title: title.into(),
            palette: Palette::Sequential,
            range,
            unit: String::new(),
            factor: 1.0,
            values: Vec::new(),
        };
        self.add(plate("hits.png", "Hits", "Samples in each pixel", Range::Logarithmic), &hits);
        let caption = "Reciprocal condition number of each pixel's block";
        self.add(plate("rcond.png", "Condition", caption, condition), &self.maps.rcond);
    }

    /// Draws and writes all plates.
    fn finish(self, folder: &Path, residuals: Vec<(String, f64)>) -> Result<Drawn> {
        let (rank, size) = (self.comm.rank(), self.comm.size());
        let mine = || self.plates.iter().enumerate().filter(|(i, _)| i % size == rank);
        let drawn: Vec<Vec<u8>> = mine().map(|(_, plate)| self.paint(plate)).collect();
        let written = mine().zip(&drawn).try_for_each(|((_, plate), png)| write_file(&folder.join(&plate.file), png));
        self.comm.agree(written)?;
        let lengths: Vec<u64> = drawn.iter().map(|png| png.len() as u64).collect();
        let lengths = self.comm.gather(0, &lengths).unwrap_or_default();
        let bytes = self.comm.gather(0, &drawn.concat()).unwrap_or_default();
        let mut rests: Vec<&[u8]> = bytes.iter().map(Vec::as_slice).collect();
        let mut groups: Vec<FigureGroup> = Vec::new();
        let mut files = Vec::new();
        for (i, plate) in self.plates.iter().enumerate() {
            files.push(folder.join(&plate.file));
            if rank != 0 {
                continue;
            }
            let len = usize::try_from(lengths[i % size][i / size]).expect("invariant: a length in memory");
            let (png, rest) = rests[i % size].split_at(len);
            rests[i % size] = rest;
            let figure = Figure { caption: plate.caption.clone(), png: png.to_vec() };
            match groups.last_mut() {
                Some(group) if group.title == plate.group => group.figures.push(figure),
                _ => groups.push(FigureGroup { title: plate.group.clone(), figures: vec![figure] }),
            }
        }
        Ok(Drawn { files, groups, residuals })
    }

    fn paint(&self, plate: &Plate) -> Vec<u8> {
        let style = Style {
            title: plate.title.clone(),
            unit: plate.unit.clone(),
            factor: plate.factor,
            palette: plate.palette,
            range: plate.range,
        };
        self.canvas.render(&plate.values, &style)
    }
}
