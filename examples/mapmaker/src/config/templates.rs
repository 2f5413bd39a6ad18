//! The list [[templates]] of a configuration.

use serde::Deserialize;

/// Amplitudes of one detector in one interval at most: products of all templates are added up sample by sample, and a word
/// has a bit for each.
const MOST: usize = 64;

/// Shapes of drifts in time whose amplitudes are solved for beside the offsets.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum TemplateConfig {
    /// Legendre polynomials in time, of orders 1 to `order`; offsets are the one of order 0.
    Legendre {
        /// Highest order.
        order: usize,
        /// Time over which an amplitude is constant.
        #[serde(default)]
        per: Per,
    },
    /// Cosine and sine waves in time, of 1 to `harmonics` periods.
    Fourier {
        /// Number of waves of each kind.
        harmonics: usize,
        /// Time over which an amplitude is constant.
        #[serde(default)]
        per: Per,
    },
    /// Cosine and sine of 1 to `harmonics` times the angle of a half-wave plate.
    Hwp {
        /// Number of waves of each kind.
        harmonics: usize,
        /// Time over which an amplitude is constant.
        #[serde(default)]
        per: Per,
    },
    /// Signal of each azimuth: one in a bin, zero in the others.
    Azimuth {
        /// Number of bins around the horizon.
        bins: usize,
        /// Time over which an amplitude is constant.
        #[serde(default)]
        per: Per,
    },
}

/// Time over which the amplitudes of a detector's templates are constant.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Per {
    /// A stationary interval.
    #[default]
    Interval,
    /// A whole observation, from the start of its first interval to the end of its last.
    Observation,
}

impl Per {
    /// Returns the words for several of these times.
    pub(crate) fn of_a_detector(self) -> &'static str {
        match self {
            Per::Interval => "intervals of a detector",
            Per::Observation => "observations of a detector",
        }
    }
}

impl TemplateConfig {
    /// Returns the time over which amplitudes are constant.
    pub fn per(&self) -> Per {
        match self {
            TemplateConfig::Legendre { per, .. }
            | TemplateConfig::Fourier { per, .. }
            | TemplateConfig::Hwp { per, .. }
            | TemplateConfig::Azimuth { per, .. } => *per,
        }
    }

    /// Returns the number of amplitudes.
    pub fn amplitudes(&self) -> usize {
        match self {
            TemplateConfig::Legendre { order, .. } => *order,
            TemplateConfig::Fourier { harmonics, .. } | TemplateConfig::Hwp { harmonics, .. } => {
                harmonics.saturating_mul(2)
            }
            TemplateConfig::Azimuth { bins, .. } => *bins,
        }
    }

    /// Returns the name of the kind, and that of the setting that says how many templates there are, with its value.
    fn named(&self) -> (&'static str, &'static str, usize) {
        match self {
            TemplateConfig::Legendre { order, .. } => ("legendre", "order", *order),
            TemplateConfig::Fourier { harmonics, .. } => ("fourier", "harmonics", *harmonics),
            TemplateConfig::Hwp { harmonics, .. } => ("hwp", "harmonics", *harmonics),
            TemplateConfig::Azimuth { bins, .. } => ("azimuth", "bins", *bins),
        }
    }
}

/// Checks what the types of single values leave open.
pub(super) fn check(templates: &[TemplateConfig]) -> std::result::Result<(), String> {
    for (number, template) in templates.iter().enumerate() {
        let (kind, key, value) = template.named();
        if value == 0 {
            return Err(format!(
                "templates[{number}].{key} is 0, which leaves no template; expected 1 or more, or remove it"
            ));
        }
        if let Some(first) = templates[..number].iter().position(|other| other.named().0 == kind) {
            return Err(format!(
                "templates[{first}] and templates[{number}] are both of kind {kind:?}, and the templates of one are those of \
                 the other; keep the one with more"
            ));
        }
        if template.per() != templates[0].per() {
            return Err(format!(
                "templates[0].per and templates[{number}].per differ, which is not supported; give both the same, \
                 \"interval\" or \"observation\""
            ));
        }
    }
    let all = templates.iter().fold(0usize, |sum, template| sum.saturating_add(template.amplitudes()));
    if all > MOST {
        return Err(format!(
            "templates have {all} amplitudes for each detector and interval, expected at most {MOST}; lower order, \
             harmonics or bins, or use shorter baselines with a noise prior"
        ));
    }
    Ok(())
}
