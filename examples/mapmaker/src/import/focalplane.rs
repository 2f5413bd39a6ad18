//! The focal plane of an observation that TOAST has saved: a table, the units of its columns, and a noise model.
//!
//! The table is one of astropy's: units are in a dataset beside it, in YAML, an entry a column:
//! `- {name: psd_net, unit: K s(1/2), datatype: float64}`.

use std::collections::HashMap;

use dolmen_io::hdf5::{H5File, RawValues, TableColumn};

use super::given::{AngleUnit, Said};
use crate::error::Result;
use crate::quaternion::Quaternion;
use crate::tod::check::invalid;
use crate::units::factor;

pub(super) const TABLE: &str = "instrument/focalplane";
const UNITS: &str = "instrument/focalplane.__table_column_meta__";
/// A noise model with the parameters of each detector: name, rate, fmin, fknee in Hz, alpha, NET in K sqrt(s).
const ANALYTIC: &str = "metadata/noise_model/analytic";

/// A detector of the focal plane.
pub(super) struct Pixel {
    /// From the boresight frame to the detector frame.
    pub(super) quaternion: Quaternion,
    /// Angle from the x axis of the focal plane to the polarization axis, in rad, if the table has it.
    pub(super) gamma: Option<f64>,
    pub(super) said: Said,
}

/// Reads what a file says of detectors, in their order. Noise is converted to `units`, those of the signal.
///
/// # Collective
///
/// # Errors
/// The table cannot be read, or lacks a detector or its attitude.
pub(super) fn read(file: &H5File, detectors: &[String], units: Option<&str>) -> Result<Vec<Pixel>> {
    let table = Table { columns: file.read_table_columns(TABLE, &COLUMNS)?, units: stored_units(file)? };
    let refused = |what: &str| Err(invalid(file.path(), TABLE, what));
    let Some(TableColumn::Text { values: names, .. }) = table.column("name") else {
        return refused("has no column name of strings");
    };
    let Some(TableColumn::Reals { length: 4, values: quaternions }) = table.column("quat") else {
        return refused("has no column quat of four numbers");
    };
    let rows: HashMap<&str, usize> = names.iter().map(String::as_str).zip(0..).collect();
    let analytic = analytic(file, units)?;
    let pixel = |name: &String| {
        let Some(&row) = rows.get(name.as_str()) else {
            return Err(invalid(file.path(), TABLE, format!("has no row for {name:?}, a detector of the observation")));
        };
        let noise = analytic.get(name).cloned().unwrap_or_else(|| table.noise(row, units));
        Ok(Pixel {
            quaternion: Quaternion::from([0, 1, 2, 3].map(|i| quaternions[4 * row + i])),
            gamma: table.angle("gamma", row),
            said: Said { efficiency: table.efficiency(row), ..noise },
        })
    };
    detectors.iter().map(pixel).collect()
}

/// Columns that are read.
const COLUMNS: [&str; 9] =
    ["name", "quat", "gamma", "pol_efficiency", "pol_leakage", "psd_net", "psd_fknee", "psd_alpha", "psd_fmin"];

struct Table {
    columns: Vec<(String, TableColumn)>,
    units: HashMap<String, String>,
}

impl Table {
    fn column(&self, name: &str) -> Option<&TableColumn> {
        self.columns.iter().find(|(column, _)| column == name).map(|(_, values)| values)
    }

    /// Returns the unit of a column, or nothing.
    fn unit(&self, name: &str) -> &str {
        self.units.get(name).map_or("", String::as_str)
    }

    fn real(&self, name: &str, row: usize) -> Option<f64> {
        match self.column(name)? {
            TableColumn::Real(values) => Some(values[row]),
            #[expect(
                clippy::cast_precision_loss,
                reason = "HDF5 rounds integers that are read as floats in the same way"
            )]
            TableColumn::Integer(values) => Some(values[row] as f64),
            _ => None,
        }
    }

    /// Returns an angle in rad, if its unit is known.
    fn angle(&self, name: &str, row: usize) -> Option<f64> {
        let unit: AngleUnit = self.unit(name).parse().ok()?;
        self.real(name, row).map(|angle| unit.radians(angle))
    }

    fn efficiency(&self, row: usize) -> Option<f64> {
        let leakage = self.real("pol_leakage", row);
        self.real("pol_efficiency", row).or(leakage.map(|epsilon| (1.0 - epsilon) / (1.0 + epsilon)))
    }

    /// Returns those parameters of the noise whose units are known.
    fn noise(&self, row: usize, units: Option<&str>) -> Said {
        let net = || Some(self.real("psd_net", row)? * factor(temperature(self.unit("psd_net"))?, units?)?);
        let frequency = |name: &str| Some(self.real(name, row)? * hertz(self.unit(name))?);
        Said {
            net: net(),
            fknee: frequency("psd_fknee"),
            alpha: self.real("psd_alpha", row),
            fmin: frequency("psd_fmin"),
            efficiency: None,
        }
    }
}

/// Reads the noise of detectors from the observation's model, if it has one with parameters.
fn analytic(file: &H5File, units: Option<&str>) -> Result<HashMap<String, Said>> {
    let kelvin = units.and_then(|units| factor("K", units));
    let Some(kelvin) = kelvin.filter(|_| file.exists(ANALYTIC)) else { return Ok(HashMap::new()) };
    let columns = file.read_table(ANALYTIC)?;
    let column = |number: usize| columns.get(number).map(|(_, values)| values);
    let real = |number: usize| match column(number) {
        Some(TableColumn::Real(values)) => Ok(values),
        _ => Err(invalid(file.path(), ANALYTIC, format!("column {number} is not of real numbers"))),
    };
    let Some(TableColumn::Text { values: names, .. }) = column(0) else {
        return Err(invalid(file.path(), ANALYTIC, "column 0 is not of names"));
    };
    let (fmin, fknee, alpha, net) = (real(2)?, real(3)?, real(4)?, real(5)?);
    let said = |(row, name): (usize, &String)| {
        let said = Said {
            net: Some(net[row] * kelvin),
            fknee: Some(fknee[row]),
            alpha: Some(alpha[row]),
            fmin: Some(fmin[row]),
            efficiency: None,
        };
        (name.clone(), said)
    };
    Ok(names.iter().enumerate().map(said).collect())
}

/// Reads the units of the table's columns; none where they are not stored.
fn stored_units(file: &H5File) -> Result<HashMap<String, String>> {
    if !file.exists(UNITS) {
        return Ok(HashMap::new());
    }
    let dataset = file.dataset(UNITS)?;
    let [lines] = dataset.dimensions()?;
    let text = match dataset.read_raw(&[0], &[lines])? {
        RawValues::Texts(lines) => lines.join(" "),
        RawValues::Bytes(bytes) => {
            let width = bytes.len() / usize::try_from(lines).unwrap_or(usize::MAX).max(1);
            let line = |line: &[u8]| String::from_utf8_lossy(line).trim_end_matches('\0').to_owned();
            bytes.chunks(width.max(1)).map(line).collect::<Vec<_>>().join(" ")
        }
    };
    Ok(units_in(&text))
}

/// Returns the units in astropy's description of the columns of a table.
fn units_in(text: &str) -> HashMap<String, String> {
    let mut units = HashMap::new();
    for entry in text.split("- {name: ").skip(1) {
        let entry = entry.split('}').next().unwrap_or_default();
        let mut fields = entry.split(", ");
        let name = fields.next().unwrap_or_default();
        if let Some(unit) = fields.find_map(|field| field.trim().strip_prefix("unit: ")) {
            let plain =
                |text: &str| text.trim().trim_matches(['\'', '"']).split_whitespace().collect::<Vec<_>>().join(" ");
            units.insert(plain(name), plain(unit));
        }
    }
    units
}

/// Returns the temperature in a unit of white noise: `K` in `K s(1/2)` or `K / Hz(1/2)`.
fn temperature(unit: &str) -> Option<&str> {
    let root = |text: &str, of: &str| {
        ["(1/2)", "(0.5)", "^0.5", "**0.5", "0.5"].iter().any(|power| text == format!("{of}{power}"))
    };
    let of_hertz = |text: &str| text.strip_prefix('/').is_some_and(|text| root(text.trim(), "Hz"));
    if let Some((temperature, rest)) = unit.split_once(' ')
        && (root(rest.trim(), "s") || of_hertz(rest.trim()))
    {
        return Some(temperature);
    }
    let (first, temperature) = unit.split_once(' ')?;
    root(first, "s").then_some(temperature.trim())
}

/// Returns the hertz in one of a unit of frequencies.
fn hertz(unit: &str) -> Option<f64> {
    match unit {
        "Hz" | "1 / s" => Some(1.0),
        "mHz" => Some(1e-3),
        "kHz" => Some(1e3),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_of_columns_are_found() {
        let text = "%YAML 1.1 --- datatype: - {name: name, datatype: string} - {name: quat, datatype: string, subtype: \
                    'float64[4]'} - {name: psd_net, unit: K s(1/2), datatype: float64} - {name: psd_fknee, unit: Hz, \
                    datatype: float64, description: 'a, b'} - {name: 'y', unit: '1 / s', datatype: float64} meta: !!omap - \
                    {sample_rate: !astropy.units.Quantity {unit: &id001 !astropy.units.Unit {unit: Hz}, value: 10.0}}";
        let units = units_in(text);
        let found = |name: &str| units.get(name).map(String::as_str);
        assert_eq!(found("psd_net"), Some("K s(1/2)"));
        assert_eq!(found("psd_fknee"), Some("Hz"));
        assert_eq!(found("y"), Some("1 / s"));
        assert_eq!((found("name"), found("quat"), units.len()), (None, None, 3));
        assert!(units_in("nonsense - {name: ").is_empty());
    }

    #[test]
    fn units_of_noise_have_a_temperature() {
        for (unit, expected) in [
            ("K s(1/2)", Some("K")),
            ("uK / Hz(1/2)", Some("uK")),
            ("s(1/2) mK", Some("mK")),
            ("K s0.5", Some("K")),
            ("K s", None),
            ("K", None),
            ("", None),
            ("W / Hz(1/3)", None),
        ] {
            assert_eq!(temperature(unit), expected, "{unit}");
        }
        assert_eq!((hertz("mHz"), hertz("rad")), (Some(1e-3), None));
    }
}
