//! The choice of whether offsets have a noise prior, from the configuration and from what the timelines say.

use std::path::Path;

use crate::config::{Config, PriorChoice};
use crate::error::{Error, Result};
use crate::tod::{Description, Detector};

/// Returns true if the offsets are to have a prior.
///
/// # Errors
/// A prior is asked for, and the noise of a detector is not known.
pub(crate) fn has_prior(config: &Config, description: &Description) -> Result<bool> {
    // A detector without noise level has no sample.
    let used = description.detectors.iter().enumerate().filter(|(_, detector)| detector.net.is_finite());
    let unknown = used.into_iter().find_map(|(i, detector)| Some((i, unknown(detector)?)));
    match (config.destripe.prior, unknown) {
        (PriorChoice::Off, _) | (PriorChoice::Auto, Some(_)) => Ok(false),
        (_, None) => Ok(true),
        (PriorChoice::On, Some((i, (column, value)))) => {
            let what = format!(
                "is {value}, so the drifts of {} are not known; set it, or remove destripe.prior = true",
                description.detectors[i].name
            );
            Err(Error::Tod { path: config.input.tod.clone(), place: format!("detectors[{i}].{column}"), what })
        }
    }
}

/// Refuses detectors whose noise is not known. Noise without drifts, whose fknee is zero, is.
///
/// # Errors
/// The noise of a detector is not known.
pub(crate) fn require_noise(path: &Path, description: &Description) -> Result<()> {
    let used = description.detectors.iter().enumerate().filter(|(_, detector)| detector.net.is_finite());
    let bad =
        used.filter(|(_, detector)| detector.fknee != 0.0).find_map(|(i, detector)| Some((i, unknown(detector)?)));
    bad.map_or(Ok(()), |(i, (column, value))| {
        let what = format!(
            "is {value}, so the noise of {} is not known; set it, or remove gls.enabled = true",
            description.detectors[i].name
        );
        Err(Error::Tod { path: path.to_owned(), place: format!("detectors[{i}].{column}"), what })
    })
}

/// Returns the column and the value for which the drifts of a detector are not known, if there is one.
fn unknown(detector: &Detector) -> Option<(&'static str, f64)> {
    let Detector { fknee, alpha, fmin, .. } = *detector;
    let known = [
        ("fknee", fknee, fknee > 0.0 && fknee.is_finite()),
        ("alpha", alpha, alpha > 0.0 && alpha.is_finite()),
        ("fmin", fmin, fmin >= 0.0 && fmin.is_finite()),
    ];
    known.into_iter().find(|(_, _, known)| !known).map(|(column, value, _)| (column, value))
}

/// Returns a warning if baselines without a prior are too short for the noise of a detector.
pub(crate) fn warning(config: &Config, description: &Description) -> Option<String> {
    let baseline = config.destripe.baseline;
    let known = description.detectors.iter().filter(|detector| unknown(detector).is_none());
    let slowest = known.min_by(|a, b| a.fknee.total_cmp(&b.fknee))?;
    let time = 1.0 / slowest.fknee;
    (baseline <= time).then(|| {
        format!(
            "destripe.baseline = {baseline} s is not longer than 1 / fknee = {time} s of detector {}: without a prior, \
             offsets follow its white noise, and maps may be worse than without destriping; set destripe.prior = true, \
             or destripe.baseline = {} or more",
            slowest.name,
            6.0 * time
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Convention, Frame};
    use crate::quaternion::Quaternion;

    fn described(fknees: &[f64]) -> Description {
        let detector = |(i, &fknee): (usize, &f64)| Detector {
            name: format!("D{i}"),
            net: 1.0,
            fknee,
            alpha: 1.0,
            fmin: 0.0,
            quaternion: Quaternion::IDENTITY,
            efficiency: 1.0,
        };
        Description {
            detectors: fknees.iter().enumerate().map(detector).collect(),
            observations: Vec::new(),
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
        let error = has_prior(&config("prior = true"), &unknown).unwrap_err().to_string();
        assert!(error.starts_with("tod.h5: detectors[1].fknee: is 0, so the drifts of D1 are not known"), "{error}");
    }

    #[test]
    fn short_baselines_are_warned_of() {
        let description = described(&[0.2, 0.1]);
        for baseline in [1.0, 5.0, 10.0] {
            let text = warning(&config(&format!("baseline = {baseline}, prior = false")), &description).unwrap();
            assert!(text.starts_with(&format!("destripe.baseline = {baseline} s")), "{text}");
            assert!(text.contains("10 s of detector D1") && text.contains("destripe.baseline = 60 or more"), "{text}");
        }
        assert_eq!(warning(&config("baseline = 60.0"), &description), None);
        assert_eq!(warning(&config("baseline = 1.0"), &described(&[0.0])), None);
    }
}
