//! Detectors and observations that are chosen by name or by pattern.

use dolmen_core::text::most_alike;
use glob::Pattern;

/// Names that an error lists.
const LISTED: usize = 12;

/// Returns true for each of the `known` names that one of the names or patterns in `wanted` chooses; all if nothing is
/// wanted. `key` is the setting, `what` its things ("detector").
///
/// # Errors
/// A name that is not known, with the nearest that is; a pattern that matches none.
pub(crate) fn choose(
    key: &str,
    what: &str,
    wanted: Option<&[String]>,
    known: &[&str],
) -> std::result::Result<Vec<bool>, String> {
    let Some(wanted) = wanted else { return Ok(vec![true; known.len()]) };
    let mut chosen = vec![false; known.len()];
    for name in wanted {
        // A name may have the form of a pattern.
        let exact = known.contains(&name.as_str());
        let pattern = Pattern::new(name).expect("invariant: checked with the configuration");
        let mut any = false;
        for (chosen, known) in chosen.iter_mut().zip(known) {
            if if exact { known == name } else { pattern.matches(known) } {
                (*chosen, any) = (true, true);
            }
        }
        if any {
            continue;
        }
        let mut list: Vec<&str> = known.to_vec();
        list.sort_unstable();
        list.dedup();
        let listed = list.iter().take(LISTED).copied().collect::<Vec<_>>().join(", ");
        let more = if list.len() > LISTED { format!(" and {} more", list.len() - LISTED) } else { String::new() };
        return Err(if name.contains(['*', '?', '[']) {
            format!("no {what} matches {name:?} of {key} (known: {listed}{more})")
        } else {
            let (nearest, _) = most_alike(name, list.iter().copied()).unwrap_or_default();
            format!("there is no {what} {name:?}, which {key} names; did you mean {nearest:?}? (known: {listed}{more})")
        });
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_patterns_choose() {
        let known = ["100-1a", "100-1b", "143-1a", "odd[1]"];
        let chosen = |wanted: &[&str]| {
            let wanted: Vec<String> = wanted.iter().map(|&name| name.to_owned()).collect();
            choose("input.detectors", "detector", Some(&wanted), &known)
        };
        assert_eq!(choose("input.detectors", "detector", None, &known), Ok(vec![true; 4]));
        assert_eq!(chosen(&["100-*"]), Ok(vec![true, true, false, false]));
        assert_eq!(chosen(&["143-1a", "odd[1]", "143-*"]), Ok(vec![false, false, true, true]));
        let text = chosen(&["143-1a", "143-1c"]).unwrap_err();
        let expected = "there is no detector \"143-1c\", which input.detectors names; did you mean \"143-1a\"? \
                        (known: 100-1a, 100-1b, 143-1a, odd[1])";
        assert_eq!(text, expected);
        assert!(chosen(&["217*"]).unwrap_err().starts_with("no detector matches \"217*\" of input.detectors (known: "));
    }
}
