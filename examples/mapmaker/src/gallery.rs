//! Pictures of distributed maps. A picture fetches only the pixels under its points, and the ranks share
//! the pictures between them.

use std::path::{Path, PathBuf};

use dolmen_common::picture::Range;
use dolmen_core::{Comm, ExchangePlan, IndexMap, Layout, index::at};
use dolmen_io::fits::UNSEEN;

use crate::error::Result;
use crate::healpix::Healpix;
use crate::output::write_file;
use crate::picture::{Mollweide, Style};
use crate::report::{Figure, FigureGroup};
use crate::units::kelvins;

/// Width of the pictures in points.
const WIDTH: u32 = 800;

/// A picture to be drawn.
pub(crate) struct Plate {
    /// Heading of the pictures that belong together.
    pub(crate) group: String,
    /// Name of the file.
    pub(crate) file: String,
    /// The text below it.
    pub(crate) caption: String,
    /// Labels and colors.
    pub(crate) style: Style,
}

/// Pictures that were drawn.
pub(crate) struct Pictures {
    /// PNG files.
    pub(crate) files: Vec<PathBuf>,
    /// The same pictures for a report, on rank 0.
    pub(crate) groups: Vec<FigureGroup>,
}

/// Collects plates, and draws them at the end, all ranks at once.
pub(crate) struct Gallery<'a> {
    comm: &'a Comm,
    canvas: Mollweide,
    /// Sky pixel under each point of a picture.
    points: Vec<Option<u64>>,
    /// The pixels under the points, and the way to them.
    under: IndexMap,
    plan: ExchangePlan,
    /// Each plate with its values at the points, on the rank that draws it.
    plates: Vec<(Plate, Vec<f64>)>,
}

impl<'a> Gallery<'a> {
    /// Plans pictures of maps whose pixels are distributed by a layout.
    ///
    /// # Collective
    ///
    /// # Errors
    /// None in practice: the points lie on the sphere.
    pub(crate) fn new(layout: &'a Layout, healpix: &Healpix) -> Result<Gallery<'a>> {
        let canvas = Mollweide::new(WIDTH).expect("invariant: a legal width");
        let points = canvas.pixels(healpix);
        let comm = layout.comm();
        let under = comm.agree(IndexMap::new(points.iter().flatten().copied().collect()))?;
        let plan = ExchangePlan::new(layout, &under)?;
        Ok(Gallery { comm, canvas, points, under, plan, plates: Vec::new() })
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

    /// Returns a symmetric range for the values of a map.
    ///
    /// # Collective
    pub(crate) fn range(&self, owned: &[f64]) -> Range {
        let wanted = Range::Symmetric { percentile: 98.0 };
        let limits = wanted.limits(&self.at_points(owned));
        limits.map_or(wanted, |limits| Range::Fixed { min: limits.min, max: limits.max })
    }

    /// Adds a plate of the values of owned pixels; the ranks take turns.
    ///
    /// # Collective
    pub(crate) fn add(&mut self, plate: Plate, owned: &[f64]) {
        let values = self.at_points(owned);
        let mine = self.plates.len() % self.comm.size() == self.comm.rank();
        self.plates.push((plate, if mine { values } else { Vec::new() }));
    }

    /// Draws and writes all plates.
    ///
    /// # Collective
    ///
    /// # Errors
    /// A picture cannot be written; the same on all ranks.
    pub(crate) fn finish(self, folder: &Path) -> Result<Pictures> {
        let (rank, size) = (self.comm.rank(), self.comm.size());
        let mine = || self.plates.iter().enumerate().filter(|(i, _)| i % size == rank).map(|(_, plate)| plate);
        let drawn: Vec<Vec<u8>> = mine().map(|(plate, values)| self.canvas.render(values, &plate.style)).collect();
        let written = mine().zip(&drawn).try_for_each(|((plate, _), png)| write_file(&folder.join(&plate.file), png));
        self.comm.agree(written)?;
        let lengths: Vec<u64> = drawn.iter().map(|png| png.len() as u64).collect();
        let lengths = self.comm.gather(0, &lengths).unwrap_or_default();
        let bytes = self.comm.gather(0, &drawn.concat()).unwrap_or_default();
        let mut rests: Vec<&[u8]> = bytes.iter().map(Vec::as_slice).collect();
        let mut groups: Vec<FigureGroup> = Vec::new();
        let mut files = Vec::new();
        for (i, (plate, _)) in self.plates.iter().enumerate() {
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
        Ok(Pictures { files, groups })
    }
}

/// Returns the unit of labels, and the factor that converts to it: microkelvin for maps in kelvin.
pub(crate) fn labels(units: &str) -> (String, f64) {
    if kelvins(units) == Some(1.0) { ("\u{b5}K".to_owned(), 1e6) } else { (units.to_owned(), 1.0) }
}
