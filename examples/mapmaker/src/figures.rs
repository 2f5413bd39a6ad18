//! The pictures of a run, and how far its maps are from the true sky.

use std::path::{Path, PathBuf};

use dolmen_common::picture::{Palette, Range};
use dolmen_io::fits::UNSEEN;

use crate::config::OutputConfig;
use crate::error::Result;
use crate::gallery::{Gallery, Pictures, Plate, labels};
use crate::maps::Maps;
use crate::output::stokes_names;
use crate::picture::Style;
use crate::report::FigureGroup;
use crate::statistics::mean;

/// The pictures of a run.
#[derive(Default)]
pub struct Drawn {
    /// PNG files.
    pub files: Vec<PathBuf>,
    /// The same pictures for the report, on rank 0.
    pub groups: Vec<FigureGroup>,
}

/// Draws the maps of a run, and their residuals if there is a sky to compare with; none where the configuration asks
/// for none.
///
/// # Collective
///
/// # Errors
/// A picture cannot be written; the same on all ranks.
pub fn draw(config: &OutputConfig, maps: &Maps, folder: &Path) -> Result<Drawn> {
    if !config.pictures {
        return Ok(Drawn::default());
    }
    let gallery = Gallery::new(&maps.pixels.layout, &maps.pixels.healpix)?;
    let mut artist = Artist { maps, gallery };
    // Maps of the same thing share their colors, so that they can be compared by eye.
    let reference = maps.truth.as_ref().unwrap_or_else(|| best(maps));
    let ranges = artist.ranges(reference);
    let finals = || finals(maps).filter(|(name, _)| config.binned || *name != "binned");
    let title = |name: &str| match name {
        "binned" => "Binned map (no destriping)",
        "gls" => "Map by generalized least squares",
        _ => "Destriped map",
    };
    for (name, values) in finals() {
        artist.stokes(name, title(name), values, &ranges, &[]);
    }
    if let Some(sky) = &maps.truth {
        artist.stokes("input", "Input sky", sky, &ranges, &[]);
        for (name, values) in finals() {
            let difference = subtract(maps, values, sky);
            let rms: Vec<f64> = (0..maps.width).map(|i| rms(maps, &difference, i)).collect();
            let own = artist.ranges(&difference);
            let heading = format!("{} minus input sky", title(name));
            artist.stokes(&format!("residual_{name}"), &heading, &difference, &own, &rms);
        }
    }
    artist.coverage();
    let Pictures { files, groups } = artist.gallery.finish(folder)?;
    Ok(Drawn { files, groups })
}

/// Returns the maps of a run with their names, that of least noise first.
fn finals(maps: &Maps) -> impl Iterator<Item = (&'static str, &Vec<f64>)> {
    let gls = maps.gls.iter().map(|gls| ("gls", &gls.map));
    gls.chain(maps.destriped.iter().map(|map| ("destriped", map))).chain([("binned", &maps.binned)])
}

/// Returns the map of least noise.
fn best(maps: &Maps) -> &Vec<f64> {
    finals(maps).next().map_or(&maps.binned, |(_, map)| map)
}

/// Computes the rms of each map less the true sky, over all solved pixels; nothing without a true sky.
///
/// # Collective
pub fn residuals(maps: &Maps) -> Vec<(String, f64)> {
    let mut residuals = Vec::new();
    for (sky, (name, map)) in maps.truth.iter().flat_map(|sky| finals(maps).map(move |named| (sky, named))) {
        let difference = subtract(maps, map, sky);
        for (i, (_, letter)) in stokes_names(maps.width).iter().enumerate() {
            residuals.push((format!("{name} - input sky, {letter}"), rms(maps, &difference, i)));
        }
    }
    residuals
}

/// Returns `map - sky` where the map is solved, less the mean difference of I, which destriping cannot
/// know.
fn subtract(maps: &Maps, map: &[f64], sky: &[f64]) -> Vec<f64> {
    let seen = |value: f64| value != UNSEEN;
    let both = map.iter().zip(sky);
    let mut difference: Vec<f64> = both.map(|(&m, &s)| if seen(m) && seen(s) { m - s } else { UNSEEN }).collect();
    if maps.width != 2 {
        let mean = mean(&maps.pixels.layout, &maps.component(&difference, maps.width, 0), |value| value);
        difference.iter_mut().step_by(maps.width).filter(|value| seen(**value)).for_each(|value| *value -= mean);
    }
    difference
}

/// Computes the rms of one component over the pixels that are seen.
fn rms(maps: &Maps, values: &[f64], component: usize) -> f64 {
    mean(&maps.pixels.layout, &maps.component(values, maps.width, component), |value| value * value).sqrt()
}

/// Makes the plates of a run.
struct Artist<'a> {
    maps: &'a Maps,
    gallery: Gallery<'a>,
}

impl Artist<'_> {
    /// Returns a symmetric range for each component of an interleaved map.
    fn ranges(&self, values: &[f64]) -> Vec<Range> {
        let component = |i| self.maps.component(values, self.maps.width, i);
        (0..self.maps.width).map(|i| self.gallery.range(&component(i))).collect()
    }

    /// Draws one picture for each Stokes parameter of an interleaved map. `rms` goes into the captions.
    fn stokes(&mut self, file: &str, title: &str, values: &[f64], ranges: &[Range], rms: &[f64]) {
        let (unit, factor) = labels(&self.maps.description.units);
        for (component, (_, letter)) in stokes_names(self.maps.width).iter().enumerate() {
            let caption = match rms.get(component) {
                Some(rms) => format!("{letter}: rms {:.3} {unit}", rms * factor),
                None => (*letter).to_owned(),
            };
            let style = Style {
                title: format!("{title}: {letter}"),
                unit: unit.clone(),
                factor,
                palette: if *letter == "I" && rms.is_empty() { Palette::Cmb } else { Palette::Diverging },
                range: ranges[component],
            };
            let plate = Plate { group: title.into(), file: format!("{file}_{letter}.png"), caption, style };
            let owned = self.maps.component(values, self.maps.width, component);
            self.gallery.add(plate, &owned);
        }
    }

    fn coverage(&mut self) {
        #[expect(clippy::cast_precision_loss, reason = "for a picture")]
        let hits: Vec<f64> = self.maps.hits.iter().map(|&hits| if hits > 0 { hits as f64 } else { UNSEEN }).collect();
        let condition = Range::Fixed { min: 0.0, max: if self.maps.width == 1 { 1.0 } else { 0.5 } };
        let plate = |file: &str, title: &str, caption: &str, range| {
            let (palette, unit) = (Palette::Sequential, String::new());
            let style = Style { title: title.into(), unit, factor: 1.0, palette, range };
            Plate { group: "Coverage".into(), file: file.into(), caption: caption.into(), style }
        };
        self.gallery.add(plate("hits.png", "Hits", "Samples in each pixel", Range::Logarithmic), &hits);
        let caption = "Reciprocal condition number of each pixel's block";
        self.gallery.add(plate("rcond.png", "Condition", caption, condition), &self.maps.rcond);
    }
}
