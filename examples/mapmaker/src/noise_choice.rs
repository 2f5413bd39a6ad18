//! The choice of whether offsets have a noise prior, from the configuration and from what the timelines say.

use crate::config::{Config, PriorChoice};
use crate::error::{Error, Result};
use crate::tod::{Description, Detector};

/// Range of the power of drifts, relative to white noise, in which what is made of it and its inverse stays far from
/// the ends of double precision.
const POWERS: std::ops::RangeInclusive<f64> = 1e-30..=1e30;

/// Returns true if the offsets are to have a prior.
///
/// # Errors
/// A prior is asked for, and the noise of a detector is not known.
pub(crate) fn has_prior(config: &Config, description: &Description) -> Result<bool> {
    match (config.destripe.prior, used(description).find_map(|(i, detector)| Some((i, fault(detector, description)?))))
    {
        (PriorChoice::Off, _) | (PriorChoice::Auto, Some(_)) => Ok(false),
        (_, None) => Ok(true),
        (PriorChoice::On, Some(found)) => Err(not_known(description, found, "drifts", "destripe.prior = true")),
    }
}

/// Refuses detectors whose noise is not known. Noise without drifts, whose fknee is zero, is.
///
/// # Errors
/// The noise of a detector is not known.
pub(crate) fn require_noise(description: &Description) -> Result<()> {
    let mut drifting = used(description).filter(|(_, detector)| detector.fknee != 0.0);
    let found = drifting.find_map(|(i, detector)| Some((i, fault(detector, description)?)));
    found.map_or(Ok(()), |found| Err(not_known(description, found, "noise", "gls.enabled = true")))
}

/// Returns the detectors with samples: one without noise level has none.
fn used(description: &Description) -> impl Iterator<Item = (usize, &Detector)> {
    description.detectors.iter().enumerate().filter(|(_, detector)| detector.net.is_finite())
}

fn not_known(description: &Description, (i, (column, is)): (usize, Fault), what: &str, key: &str) -> Error {
    let (path, place) = description.place_of(i, column);
    let name = &description.detectors[i].name;
    let what = format!("{is}, so nothing is known of the {what} of {name}; set it, or remove {key}");
    Error::Tod { path: path.to_owned(), place, what }
}

/// A column, and what it is.
type Fault = (&'static str, String);

/// Returns what is wrong with the drifts of a detector, if anything is.
fn fault(detector: &Detector, description: &Description) -> Option<Fault> {
    let Detector { fknee, alpha, fmin, .. } = *detector;
    let known = [
        ("fknee", fknee, fknee > 0.0 && fknee.is_finite()),
        ("alpha", alpha, alpha > 0.0 && alpha.is_finite()),
        ("fmin", fmin, fmin >= 0.0 && fmin.is_finite()),
    ];
    if let Some((column, value, _)) = known.into_iter().find(|(_, _, known)| !known) {
        return Some((column, format!("is {value:?}")));
    }
    let power = |frequency: f64| (fknee / frequency.max(fmin)).powf(alpha);
    let out = frequencies(description).into_iter().find(|&frequency| !POWERS.contains(&power(frequency)))?;
    let [least, most] = [POWERS.start(), POWERS.end()];
    let is = format!(
        "is {fknee:?}, with alpha {alpha:?} and fmin {fmin:?}: drifts have {:.0e} times the power of white noise at \
         {out:.1e} Hz, expected {least:e} to {most:e}",
        power(out)
    );
    Some(("fknee", is))
}

/// Returns the lowest and the highest frequency at which noise is computed, in Hz.
fn frequencies(description: &Description) -> [f64; 2] {
    let (mut low, mut high) = (f64::INFINITY, 0.0f64);
    for observation in &description.observations {
        let longest = observation.intervals.iter().map(|interval| interval.end - interval.start).max();
        #[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
        let longest = longest.unwrap_or(1) as f64;
        (low, high) = (low.min(observation.sample_rate / (4.0 * longest)), high.max(observation.sample_rate / 2.0));
    }
    [low.min(high), high]
}

/// Returns a warning if baselines without a prior are too short for the noise of a detector.
pub(crate) fn warning(config: &Config, description: &Description) -> Option<String> {
    let baseline = config.destripe.baseline;
    let known = || used(description).filter(|(_, detector)| fault(detector, description).is_none());
    let (_, slowest) = known().min_by(|(_, a), (_, b)| a.fknee.total_cmp(&b.fknee))?;
    let time = 1.0 / slowest.fknee;
    let all_known = known().count() == used(description).count();
    let advice = if all_known { "destripe.prior = true, or " } else { "" };
    (baseline <= time).then(|| {
        format!(
            "destripe.baseline = {baseline} s is not longer than 1 / fknee = {time} s of detector {}: without a prior, \
             offsets follow its white noise, and maps may be worse than without destriping; set \
             {advice}destripe.baseline = {} or more",
            slowest.name,
            6.0 * time
        )
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Convention, Frame};
    use crate::quaternion::Quaternion;
    use crate::tod::Observation;

    fn described(fknees: &[f64]) -> Description {
        let detector = |(i, &fknee): (usize, &f64)| Detector {
            name: format!("D{i}"),
            net: 1.0,
            fknee,
            alpha: 1.0,
            fmin: 0.0,
            quaternion: Quaternion::IDENTITY,
            efficiency: 1.0,
            origin: (0, i),
        };
        Description {
            files: vec!["tod.h5".into()],
            detectors: fknees.iter().enumerate().map(detector).collect(),
            observations: vec![Observation {
                name: "scan".into(),
                file: 0,
                detectors: (0..fknees.len()).collect(),
                sample_rate: 10.0,
                samples: 1000,
                intervals: std::iter::once(0..1000).collect(),
            }],
            convention: Convention::Cosmo,
            frame: Frame::G,
            units: String::new(),
        }
    }

    fn config(destripe: &str) -> Config {
        let text = format!("input.tod = 'tod.h5'\nmap.nside = 8\ndestripe = {{ {destripe} }}");
        Config::parse(&text, Path::new("case.toml")).unwrap()
    }

    #[test]
    fn a_prior_needs_known_noise() {
        let (known, unknown) = (described(&[0.1, 0.2]), described(&[0.1, 0.0]));
        for (prior, with_known, with_unknown) in [
            ("", true, Some(false)),
            ("prior = 'auto'", true, Some(false)),
            ("prior = false", false, Some(false)),
            ("prior = true", true, None),
        ] {
            let config = config(prior);
            assert_eq!(has_prior(&config, &known).ok(), Some(with_known), "{prior}");
            assert_eq!(has_prior(&config, &unknown).ok(), with_unknown, "{prior}");
        }
        for fknee in [1e-300, 1e300] {
            let extreme = described(&[0.1, fknee]);
            assert_eq!(has_prior(&config(""), &extreme).ok(), Some(false), "{fknee}");
            let error = require_noise(&extreme).unwrap_err().to_string();
            assert!(error.contains("times the power of white noise at"), "{error}");
        }
        assert!(require_noise(&unknown).is_ok(), "white noise");
        let error = has_prior(&config("prior = true"), &unknown).unwrap_err().to_string();
        assert!(
            error.starts_with("tod.h5: detectors[1].fknee: is 0.0, so nothing is known of the drifts of D1"),
            "{error}"
        );
    }

    #[test]
    fn short_baselines_are_warned_of() {
        let description = described(&[0.2, 0.1]);
        for baseline in [1.0, 5.0, 10.0] {
            let text = warning(&config(&format!("baseline = {baseline}, prior = false")), &description).unwrap();
            assert!(text.starts_with(&format!("destripe.baseline = {baseline} s")), "{text}");
            assert!(text.contains("10 s of detector D1") && text.contains("destripe.baseline = 60 or more"), "{text}");
        }
        let text = warning(&config("baseline = 1.0"), &described(&[0.1, f64::NAN])).unwrap();
        assert!(!text.contains("destripe.prior"), "{text}");
        assert_eq!(warning(&config("baseline = 60.0"), &description), None);
        assert_eq!(warning(&config("baseline = 1.0"), &described(&[0.0])), None);
    }
}
