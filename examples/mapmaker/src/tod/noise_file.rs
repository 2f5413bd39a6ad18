//! Noise of detectors from a file of its own, in place of that of the timelines.

use std::path::Path;

use dolmen_core::Comm;
use dolmen_core::text::shown;
use dolmen_io::hdf5::{H5File, TableColumn};

use super::check::invalid;
use super::description::Description;
use crate::error::Result;
use crate::weight::weight;

const TABLE: &str = "detectors";

/// Gives the detectors the noise that the table `/detectors` of a file has for them: `net`, `fknee`, `alpha`, `fmin` by `name`.
///
/// # Collective
///
/// # Errors
/// The file cannot be read, lacks a column or a detector, or has a noise level with which samples cannot be weighted.
pub(super) fn replace_noise(comm: &Comm, path: &Path, description: &mut Description) -> Result<()> {
    let file = H5File::open(comm, path)?;
    let columns = file.read_table(TABLE)?;
    file.close()?;
    let column = |name: &str| {
        let found = columns.iter().find(|(column, _)| column == name).map(|(_, values)| values);
        found.ok_or_else(|| invalid(path, TABLE, format!("has no column {name}")))
    };
    let reals = |name: &str| match column(name)? {
        TableColumn::Real(values) => Ok(values),
        _ => Err(invalid(path, format!("{TABLE}.{name}"), "is not a column of real numbers")),
    };
    let TableColumn::Text { values: names, .. } = column("name")? else {
        return Err(invalid(path, format!("{TABLE}.name"), "is not a column of strings"));
    };
    let (net, fknee, alpha, fmin) = (reals("net")?, reals("fknee")?, reals("alpha")?, reals("fmin")?);
    let Description { detectors, observations, files, .. } = description;
    for (number, detector) in detectors.iter_mut().enumerate() {
        // Of one that measures nothing, the noise does not matter.
        if !detector.net.is_finite() {
            continue;
        }
        let Some(row) = names.iter().position(|name| *name == detector.name) else {
            let what = format!("has no row for {}, a detector of {}", detector.name, shown(&files[detector.origin.0]));
            return Err(invalid(path, TABLE, what));
        };
        if net[row] <= 0.0 {
            let what =
                format!("is {:?}, expected a positive noise level, in the unit of the signal times sqrt(s)", net[row]);
            return Err(invalid(path, format!("{TABLE}[{row}].net"), what));
        }
        let rates = observations.iter().filter(|observation| observation.detectors.contains(&number));
        let mut weights = rates.map(|observation| weight(net[row], observation.sample_rate));
        if let Some(what) = weights.find_map(std::result::Result::err) {
            return Err(invalid(path, format!("{TABLE}[{row}].net"), what));
        }
        (detector.net, detector.fknee, detector.alpha, detector.fmin) = (net[row], fknee[row], alpha[row], fmin[row]);
    }
    Ok(())
}
