//! Units of maps and timelines: kelvin with a prefix, and the temperature that is meant.

/// Temperature that a unit of kelvin measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Temperature {
    /// The text does not say.
    Unsaid,
    /// Thermodynamic, a difference from the blackbody of the CMB.
    Thermodynamic,
    /// Brightness by the law of Rayleigh and Jeans.
    Antenna,
}

/// A unit of kelvin: `uK_CMB` is 10^-6 thermodynamic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kelvin {
    exponent: i32,
    temperature: Temperature,
}

impl Kelvin {
    /// Understands `K`, `mK`, `uK_CMB`, `µK`, `mK,thermodynamic`, `K_RJ`, `microK` and the like.
    fn parse(unit: &str) -> Option<Kelvin> {
        let text = unit.trim();
        let (prefix, rest) = text.split_once('K')?;
        let exponent = match prefix {
            "" => 0,
            "m" | "milli" => -3,
            // The sign for micro, and the Greek letter.
            "u" | "\u{b5}" | "\u{3bc}" | "micro" => -6,
            "n" | "nano" => -9,
            "p" | "pico" => -12,
            _ => return None,
        };
        let rest = rest.strip_prefix("elvin").unwrap_or(rest);
        let kind: String = rest.chars().filter(char::is_ascii_alphanumeric).collect();
        let separators = rest.chars().all(|c| c.is_ascii_alphanumeric() || " _,()".contains(c));
        let temperature = match kind.to_ascii_lowercase().as_str() {
            "" => Temperature::Unsaid,
            "cmb" | "thermo" | "thermodynamic" => Temperature::Thermodynamic,
            "rj" | "antenna" => Temperature::Antenna,
            _ => return None,
        };
        separators.then_some(Kelvin { exponent, temperature })
    }
}

/// Returns the kelvins in one of `unit`; none if it is no unit of kelvin.
pub fn kelvins(unit: &str) -> Option<f64> {
    Kelvin::parse(unit).map(|unit| power_of_ten(unit.exponent))
}

/// Returns the factor that converts values in `from` to `to`; none if it is not known. A unit that is blank is taken
/// to be the other.
pub fn factor(from: &str, to: &str) -> Option<f64> {
    let (from, to) = (from.trim(), to.trim());
    if from.is_empty() || to.is_empty() || from == to {
        return Some(1.0);
    }
    let (from, to) = (Kelvin::parse(from)?, Kelvin::parse(to)?);
    let kinds = [from.temperature, to.temperature];
    let alike = kinds[0] == kinds[1] || kinds.contains(&Temperature::Unsaid);
    alike.then(|| power_of_ten(from.exponent - to.exponent))
}

/// Returns a power of ten, rounded once.
fn power_of_ten(exponent: i32) -> f64 {
    let power = 10f64.powi(exponent.abs());
    if exponent < 0 { power.recip() } else { power }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_between_units() {
        for (from, to, expected) in [
            ("K_CMB", "K_CMB", Some(1.0)),
            ("uK_CMB", "K_CMB", Some(1e-6)),
            ("K", "\u{b5}K_CMB", Some(1e6)),
            ("mK,thermodynamic", "Kcmb", Some(1e-3)),
            ("mK", "uK", Some(1e3)),
            ("nK (RJ)", "K_RJ", Some(1e-9)),
            ("", "K_CMB", Some(1.0)),
            ("uK", " ", Some(1.0)),
            ("counts", "counts", Some(1.0)),
            ("K_RJ", "K_CMB", None),
            ("MJy/sr", "K_CMB", None),
            ("K^2", "K", None),
            ("K/s", "K", None),
            ("xK", "K", None),
        ] {
            assert_eq!(factor(from, to), expected, "{from} to {to}");
        }
        assert_eq!(kelvins("mK"), Some(1e-3));
        assert_eq!(kelvins("microKelvin"), Some(1e-6));
        assert_eq!(kelvins(""), None);
    }
}
