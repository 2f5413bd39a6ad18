//! Noise that was estimated: as text, as JSON, and as tables in HDF5.

use std::fmt::Write as _;
use std::path::Path;

use dolmen_core::Comm;
use dolmen_core::text::escaped;
use dolmen_io::hdf5::{H5File, TableColumn};
use serde_json::{Value, json};

use super::{Fit, Noise, Series};
use crate::tod::{Detector, detector_table, short_names};

impl Noise {
    /// Returns a table of the detectors and one of all intervals, with standard errors.
    pub fn table(&self) -> String {
        let description = &self.description;
        let units =
            if description.units.is_empty() { String::new() } else { format!("{} ", escaped(&description.units)) };
        let mut text = format!(
            "{:<28} {:>24} {:>22} {:>18} {:>6}\n",
            "detector",
            format!("net [{units}sqrt(s)]"),
            "fknee [Hz]",
            "alpha",
            "chi^2"
        );
        for (detector, fit) in description.detectors.iter().zip(&self.detectors) {
            line(&mut text, &escaped(&detector.name), fit.as_ref());
        }
        text.push_str("each interval: observation, interval, detector\n");
        for Series { observation, interval, detector, fit, .. } in &self.series {
            let name = &description.observations[*observation].name;
            let place = format!("{name} {interval} {}", description.detectors[*detector].name);
            line(&mut text, &escaped(&place), fit.as_ref());
        }
        text
    }

    /// Returns everything as JSON.
    pub fn json(&self) -> Value {
        let description = &self.description;
        let files = short_names(&description.files);
        let detectors: Vec<Value> = (description.detectors.iter().zip(&self.detectors).zip(&self.spectra))
            .map(|((detector, fit), spectrum)| {
                json!({
                    "name": detector.name,
                    "fmin": finite(detector.fmin),
                    "fit": fit.as_ref().map(json_fit),
                    "spectrum": {
                        "frequency": spectrum.frequency,
                        "power": spectrum.power,
                        "fit": spectrum.fit.iter().copied().map(finite).collect::<Vec<_>>(),
                    },
                })
            })
            .collect();
        let intervals: Vec<Value> = (self.series.iter())
            .map(|series| {
                let observation = &description.observations[series.observation];
                let time = &observation.intervals[series.interval];
                json!({
                    "file": files[observation.file],
                    "observation": observation.name,
                    "interval": series.interval,
                    "first_sample": time.start,
                    "samples": time.end - time.start,
                    "detector": description.detectors[series.detector].name,
                    "good_samples": series.samples,
                    "fit": series.fit.as_ref().map(json_fit),
                })
            })
            .collect();
        json!({ "units": description.units, "detectors": detectors, "intervals": intervals })
    }

    /// Writes the table of detectors with the fitted noise, and a table of all intervals.
    ///
    /// # Collective
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn write(&self, comm: &Comm, path: &Path) -> crate::Result<()> {
        let mut description = self.description.clone();
        for (detector, fit) in description.detectors.iter_mut().zip(&self.detectors) {
            if let Some(Fit { net, fknee, alpha, .. }) = *fit {
                *detector = Detector { net, fknee, alpha, ..detector.clone() };
            }
        }
        let file = H5File::create(comm, path)?;
        file.write_attribute("/", "format", "dolmen-noise")?;
        file.write_attribute("/", "version", 1)?;
        file.write_attribute("/", "units", description.units.as_str())?;
        file.write_table("detectors", &detector_table(&description))?;
        let files = short_names(&description.files);
        let observation = |series: &Series| &self.description.observations[series.observation];
        let time = |series: &Series| observation(series).intervals[series.interval].clone();
        let fit = |series: &Series| series.fit.unwrap_or(UNKNOWN);
        let columns = [
            ("file", self.texts(|series| &files[observation(series).file])),
            ("observation", self.texts(|series| &observation(series).name)),
            ("interval", self.integers(|series| series.interval as u64)),
            ("first_sample", self.integers(|series| time(series).start)),
            ("samples", self.integers(|series| time(series).end - time(series).start)),
            ("good_samples", self.integers(|series| series.samples)),
            ("detector", self.texts(|series| &self.description.detectors[series.detector].name)),
            ("net", self.reals(|series| fit(series).net)),
            ("net_error", self.reals(|series| fit(series).net_error)),
            ("fknee", self.reals(|series| fit(series).fknee)),
            ("fknee_error", self.reals(|series| fit(series).fknee_error)),
            ("alpha", self.reals(|series| fit(series).alpha)),
            ("alpha_error", self.reals(|series| fit(series).alpha_error)),
            ("chi_square", self.reals(|series| fit(series).chi_square)),
        ];
        file.write_table("intervals", &columns.map(|(name, column)| (name.to_owned(), column)))?;
        Ok(file.close()?)
    }

    fn texts<'a>(&'a self, value: impl Fn(&'a Series) -> &'a String) -> TableColumn {
        let values: Vec<String> = self.series.iter().map(|series| value(series).clone()).collect();
        let bytes = values.iter().map(String::len).max().unwrap_or(0).max(1);
        TableColumn::Text { bytes, values }
    }

    fn integers(&self, value: impl Fn(&Series) -> u64) -> TableColumn {
        TableColumn::Integer(self.series.iter().map(|series| value(series).cast_signed()).collect())
    }

    fn reals(&self, value: impl Fn(&Series) -> f64) -> TableColumn {
        TableColumn::Real(self.series.iter().map(value).collect())
    }
}

/// A fit that there is not.
const UNKNOWN: Fit = Fit {
    net: f64::NAN,
    net_error: f64::NAN,
    fknee: f64::NAN,
    fknee_error: f64::NAN,
    alpha: f64::NAN,
    alpha_error: f64::NAN,
    chi_square: f64::NAN,
};

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

fn json_fit(fit: &Fit) -> Value {
    json!({
        "net": fit.net,
        "net_error": fit.net_error,
        "fknee": fit.fknee,
        "fknee_error": fit.fknee_error,
        "alpha": fit.alpha,
        "alpha_error": fit.alpha_error,
        "chi_square": fit.chi_square,
    })
}

/// Adds a line of a table.
fn line(text: &mut String, name: &str, fit: Option<&Fit>) {
    let _ = match fit {
        None => writeln!(text, "{name:<28} {:>24}", "too few good samples"),
        Some(Fit { net, net_error, fknee: 0.0, chi_square, .. }) => {
            let net = format!("{net:.4e} +- {net_error:.1e}");
            writeln!(text, "{name:<28} {net:>24} {:>22} {:>18} {chi_square:>6.2}", "no drifts", "")
        }
        Some(fit) => {
            let net = format!("{:.4e} +- {:.1e}", fit.net, fit.net_error);
            let fknee = format!("{:.4} +- {:.4}", fit.fknee, fit.fknee_error);
            let alpha = format!("{:.3} +- {:.3}", fit.alpha, fit.alpha_error);
            writeln!(text, "{name:<28} {net:>24} {fknee:>22} {alpha:>18} {:>6.2}", fit.chi_square)
        }
    };
}
