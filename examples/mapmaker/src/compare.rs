//! `mapmaker compare`: how far two maps are from each other, over the whole sky and in parts of it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use dolmen_common::files::keep_inputs;
use dolmen_common::picture::Palette;
use dolmen_core::scaling::{exponent, scaled};
use dolmen_core::text::{escaped, shown};
use dolmen_core::{Comm, Layout};
use dolmen_io::fits::{ColumnData, MapColumn, MapHeader, UNSEEN, write_map};

use crate::error::{Error, Result};
use crate::gallery::{Gallery, Plate, labels};
use crate::output::prepare_folder;
use crate::picture::Style;
use crate::sky::SkyFile;
use crate::statistics::{mean, sum};

/// Request for a comparison.
pub struct Comparison {
    /// The map; its pixels, unit and convention are those of the differences.
    pub map: PathBuf,
    /// The map that is subtracted: of the same resolution, or a coarser one.
    pub reference: PathBuf,
    /// Maps that are not zero at the pixels of a region.
    pub masks: Vec<PathBuf>,
    /// Latitudes in degrees, each of which cuts the sky in two regions.
    pub latitudes: Vec<f64>,
    /// Folder for `difference.fits` and pictures.
    pub folder: Option<PathBuf>,
}

/// Differences of one column in one region.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Column of the map.
    pub column: String,
    /// Unit of the column.
    pub unit: String,
    /// The region.
    pub region: String,
    /// Pixels of the region that both maps have.
    pub pixels: u64,
    /// Mean difference.
    pub mean: f64,
    /// Root of the mean square difference.
    pub rms: f64,
    /// Root of the mean square difference from the mean.
    pub deviation: f64,
    /// Largest size of a difference.
    pub largest: f64,
    /// The first pixel that has it, in the ordering of the map; none without pixels.
    pub at: Option<u64>,
}

/// Result of a comparison.
pub struct Compared {
    /// Differences of each column in each region.
    pub rows: Vec<Row>,
    /// Files that were written.
    pub files: Vec<PathBuf>,
}

/// Names of files in the folder of a comparison.
const DIFFERENCE: &str = "difference.fits";

/// A part of the sky: its name, and true for each owned pixel in it.
struct Region {
    name: String,
    holds: Vec<bool>,
}

/// The difference of one column of two maps at owned pixels.
struct Difference {
    column: String,
    /// The columns that were subtracted, for the table.
    label: String,
    unit: String,
    values: Vec<f64>,
}

/// Compares two maps; writes the differences and their pictures if there is a folder for them.
///
/// # Collective
///
/// # Errors
/// A map cannot be read, the maps have no columns in common, or differ in frame or unit in a way that cannot be
/// converted, or the folder cannot be written; the same on all ranks.
pub fn compare(comm: &Comm, request: &Comparison) -> Result<Compared> {
    let map = SkyFile::open_alone(comm, &request.map)?;
    let layout = Layout::uniform(comm, map.grid().pixel_count());
    let reference = SkyFile::open(comm, &request.reference, map.grid(), 1)?;
    let whose = format!("{} is", shown(&request.map));
    if let Some(coordinates) = map.header().coordinates {
        reference.require_frame(coordinates, &whose)?;
    }
    let pairs = columns(&map, &reference, request)?;
    let names: Vec<&str> = pairs.iter().map(|(column, _)| map.column(*column).0).collect();
    if let Some(folder) = &request.folder {
        let inputs: Vec<&Path> =
            [&request.map, &request.reference].into_iter().chain(&request.masks).map(PathBuf::as_path).collect();
        let outputs = outputs(folder, &names);
        keep_inputs(comm, &inputs, &outputs)?;
        prepare_folder(comm, folder, &outputs)?;
    }
    let regions = regions(comm, request, &map, &layout)?;
    let (mut rows, mut differences) = (Vec::new(), Vec::new());
    for (column, other) in pairs {
        let difference = subtract(comm, &map, &reference, [column, other], &layout, &whose)?;
        rows.extend(regions.iter().map(|region| measure(&layout, &difference, region)));
        if request.folder.is_some() {
            differences.push(difference);
        }
    }
    let files = match &request.folder {
        Some(folder) => write(request, &map, &layout, &differences, folder)?,
        None => Vec::new(),
    };
    Ok(Compared { rows, files })
}

/// Returns the files that a comparison of these columns writes to a folder.
fn outputs(folder: &Path, columns: &[&str]) -> Vec<PathBuf> {
    let pictures = columns.iter().map(|column| picture(column));
    [DIFFERENCE.to_owned()].into_iter().chain(pictures).map(|name| folder.join(name)).collect()
}

/// Returns the name of the picture of a column.
fn picture(column: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    format!("difference_{}.png", column.chars().map(plain).collect::<String>())
}

/// Returns the columns that are compared: those of the same name, whatever their case, or by position if no name is in
/// both.
fn columns(map: &SkyFile, reference: &SkyFile, request: &Comparison) -> Result<Vec<(usize, usize)>> {
    let count = map.columns();
    let with_name =
        |name: &str| (0..reference.columns()).find(|&other| reference.column(other).0.eq_ignore_ascii_case(name));
    let pairs: Vec<_> = (0..count).filter_map(|i| Some((i, with_name(map.column(i).0)?))).collect();
    if !pairs.is_empty() {
        return Ok(pairs);
    }
    if count == reference.columns() {
        return Ok((0..count).map(|i| (i, i)).collect());
    }
    let what = format!(
        "has {} column(s), none with the name of a column of {}; compare maps of the same kind",
        reference.columns(),
        shown(&request.map)
    );
    Err(Error::File { path: request.reference.clone(), what })
}

/// Computes the difference of two columns, in the unit and the convention of the map.
fn subtract(
    comm: &Comm,
    map: &SkyFile,
    reference: &SkyFile,
    [column, other]: [usize; 2],
    layout: &Layout,
    whose: &str,
) -> Result<Difference> {
    let ((name, unit), (subtracted, other_unit)) = (map.column(column), reference.column(other));
    let unit = if unit.is_empty() { other_unit } else { unit };
    let factor = reference.factor_to(unit, other, whose)?;
    let sign = if changes_sign(name) { reference.sign_of_u(map.convention()) } else { 1.0 };
    let mut values = map.read(comm, map.grid(), layout, column)?;
    for (value, other) in values.iter_mut().zip(reference.read(comm, map.grid(), layout, other)?) {
        let seen = *value != UNSEEN && other != UNSEEN;
        *value = if seen { *value - sign * factor * other } else { UNSEEN };
    }
    let alike = subtracted.eq_ignore_ascii_case(name);
    let label = if alike { name.to_owned() } else { format!("{name} - {subtracted}") };
    Ok(Difference { column: name.to_owned(), label, unit: unit.to_owned(), values })
}

/// Returns true for columns that have the other sign in the other convention: `U_STOKES`, `STOKES_U`, `U_POLARISATION`
/// or `TU`, and covariances such as `QU`; in small letters too.
fn changes_sign(column: &str) -> bool {
    let column = column.to_ascii_uppercase();
    let mut words = column.split(['_', '-', ' ']).filter(|word| *word != "STOKES");
    let stokes = words.next().unwrap_or_default();
    stokes.chars().all(|letter| "TIQU".contains(letter)) && stokes.matches('U').count() % 2 == 1
}

/// Returns the whole sky, both sides of each latitude, and the region of each mask.
fn regions(comm: &Comm, request: &Comparison, map: &SkyFile, layout: &Layout) -> Result<Vec<Region>> {
    let mut regions = vec![Region { name: "all".into(), holds: vec![true; layout.local_len()] }];
    for &cut in &request.latitudes {
        let latitude = |pixel| {
            let (theta, _) = map.grid().direction(pixel).expect("invariant: a pixel of the grid");
            90.0 - theta.to_degrees()
        };
        let inside: Vec<bool> = layout.range().map(|pixel| latitude(pixel).abs() < cut).collect();
        let outside = inside.iter().map(|inside| !inside).collect();
        regions.push(Region { name: format!("|lat| < {cut}"), holds: inside });
        regions.push(Region { name: format!("|lat| >= {cut}"), holds: outside });
    }
    for path in &request.masks {
        let mask = SkyFile::open(comm, path, map.grid(), 1)?;
        if let Some(coordinates) = map.header().coordinates {
            mask.require_frame(coordinates, &format!("{} is", shown(&request.map)))?;
        }
        let values = mask.read(comm, map.grid(), layout, 0)?;
        let holds = values.into_iter().map(|value| value != 0.0 && value != UNSEEN).collect();
        regions.push(Region { name: shown(path), holds });
    }
    Ok(regions)
}

/// Computes the statistics of a difference in a region.
fn measure(layout: &Layout, difference: &Difference, region: &Region) -> Row {
    let within = difference.values.iter().zip(&region.holds);
    let values: Vec<f64> = within.map(|(&value, &holds)| if holds { value } else { UNSEEN }).collect();
    let center = mean(layout, &values, |value| value);
    let sizes = || values.iter().map(|&value| if value == UNSEEN { -1.0 } else { value.abs() });
    let mut largest = [sizes().fold(-1.0, f64::max)];
    layout.comm().all_reduce_max(&mut largest);
    // The squares of what is near one are numbers.
    let power = -exponent(largest[0].max(0.0));
    let root = |of: &dyn Fn(f64) -> f64| {
        scaled(mean(layout, &values, |value| scaled(of(value), power).powi(2)).sqrt(), -power)
    };
    let mut first =
        [layout.range().zip(sizes()).find(|&(_, size)| size == largest[0]).map_or(u64::MAX, |(pixel, _)| pixel)];
    layout.comm().all_reduce_min(&mut first);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of pixels, below 2^53")]
    let pixels = sum(layout, &values, |_| 1.0) as u64;
    Row {
        column: difference.label.clone(),
        unit: difference.unit.clone(),
        region: region.name.clone(),
        pixels,
        mean: center,
        rms: root(&|value| value),
        deviation: root(&|value| value - center),
        largest: largest[0].max(0.0),
        at: (pixels > 0).then_some(first[0]),
    }
}

/// Writes the differences as one map, and a picture of each.
fn write<'d>(
    request: &Comparison,
    map: &SkyFile,
    layout: &Layout,
    differences: &'d [Difference],
    folder: &Path,
) -> Result<Vec<PathBuf>> {
    let name = |path: &Path| shown(path.file_name().unwrap_or(path.as_os_str()));
    let (left, right) = (name(&request.map), name(&request.reference));
    let header = MapHeader { history: vec![format!("{left} minus {right}")], ..map.header().clone() };
    let column = |difference: &'d Difference| MapColumn {
        name: &difference.column,
        unit: &difference.unit,
        data: ColumnData::F64(&difference.values),
    };
    let columns: Vec<MapColumn<'_>> = differences.iter().map(column).collect();
    let path = folder.join(DIFFERENCE);
    write_map(layout, &path, &header, &columns)?;
    let mut gallery = Gallery::new(layout, map.grid())?;
    for Difference { column, unit, values, .. } in differences {
        let (unit, factor) = labels(unit);
        let (title, palette) = (format!("{left} minus {right}: {column}"), Palette::Diverging);
        let style = Style { title: title.clone(), unit, factor, palette, range: gallery.range(values) };
        gallery.add(Plate { group: "Differences".into(), file: picture(column), caption: title, style }, values);
    }
    let mut files = vec![path];
    files.extend(gallery.finish(folder)?.files);
    Ok(files)
}

impl Compared {
    /// Returns the table of differences. For one rank to print.
    pub fn table(&self) -> String {
        let width = self.rows.iter().map(|row| row.region.chars().count()).max().unwrap_or(0).max(6);
        let mut text = String::new();
        for (i, row) in self.rows.iter().enumerate() {
            if i == 0 || self.rows[i - 1].column != row.column {
                let unit = if row.unit.is_empty() { String::new() } else { format!(" [{}]", escaped(&row.unit)) };
                let heading = format!("{}{unit}", escaped(&row.column));
                let _ = writeln!(text, "{heading}");
                let _ = writeln!(
                    text,
                    "  {:<width$} {:>12} {:>12} {:>12} {:>12} {:>12}  at pixel",
                    "region", "pixels", "mean", "rms", "deviation", "largest"
                );
            }
            let at = row.at.map_or_else(|| "-".to_owned(), |pixel| pixel.to_string());
            let _ = writeln!(
                text,
                "  {:<width$} {:>12} {:>12.4e} {:>12.4e} {:>12.4e} {:>12.4e}  {at}",
                row.region, row.pixels, row.mean, row.rms, row.deviation, row.largest
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conventions_differ_in_the_sign_of_u() {
        assert!(
            ["U_STOKES", "U-STOKES", "U", "IU", "QU", "u_stokes", "STOKES_U", "U_POLARISATION", "TU"]
                .into_iter()
                .all(changes_sign)
        );
        assert!(!["I_STOKES", "STOKES_Q", "UU", "QQ", "UNIT", "HITS", "STOKES", ""].into_iter().any(changes_sign));
    }
}
