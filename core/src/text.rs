//! Text that comes from outside, for people to read: from files, and the names of files.
//!
//! Such text may hold anything. Control characters can move a terminal's cursor, change its title or
//! forge lines of a log; characters that turn the direction of writing hide what a name is. All of them
//! are shown as Rust writes them in a string, `\u{1b}` for escape and `\n` for a new line; bytes that are
//! not UTF-8 are shown as `\xff`. Everything that a program prints goes through here: errors when they
//! become text, names where lines are made, and whole lines once more where they are printed.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;

/// Shows text on one line: what would control the terminal is escaped, line ends too. Text that was
/// escaped stays as it is.
pub fn escaped(text: &str) -> Cow<'_, str> {
    escape_where(text, controls, as_in_rust)
}

/// Shows text of several lines: as [`escaped`], but line ends stay.
pub fn escaped_lines(text: &str) -> Cow<'_, str> {
    escape_where(text, |letter| letter != '\n' && controls(letter), as_in_rust)
}

/// Shows JSON text on one line, in JSON's own escapes, so that what is read from it stays the same.
pub fn escaped_json(text: &str) -> Cow<'_, str> {
    escape_where(text, controls, |letter, shown| {
        letter.encode_utf16(&mut [0; 2]).iter().for_each(|unit| push(shown, format_args!("\\u{unit:04x}")));
    })
}

/// Shows the name of a file, in any encoding, on one line.
pub fn shown(name: &(impl AsRef<OsStr> + ?Sized)) -> String {
    let mut text = String::new();
    for chunk in name.as_ref().as_bytes().utf8_chunks() {
        text.push_str(&escaped(chunk.valid()));
        for byte in chunk.invalid() {
            push(&mut text, format_args!("\\x{byte:02x}"));
        }
    }
    text
}

/// Finds the known name that is most like a name that is not known, of several alike the last one. Returns it with
/// their likeness, from zero to one.
pub fn most_alike<'n>(unknown: &str, known: impl Iterator<Item = &'n str>) -> Option<(&'n str, f64)> {
    let likeness = known.map(|name| (name, strsim::jaro_winkler(name, unknown)));
    likeness.max_by(|(_, one), (_, other)| one.total_cmp(other))
}

fn escape_where(text: &str, which: impl Fn(char) -> bool, escape: impl Fn(char, &mut String)) -> Cow<'_, str> {
    if !text.contains(&which) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        if which(letter) {
            escape(letter, &mut shown);
        } else {
            shown.push(letter);
        }
    }
    Cow::Owned(shown)
}

fn as_in_rust(letter: char, shown: &mut String) {
    match letter {
        '\t' | '\r' | '\n' => shown.extend(letter.escape_default()),
        _ => shown.extend(letter.escape_unicode()),
    }
}

fn push(shown: &mut String, text: std::fmt::Arguments<'_>) {
    shown.write_fmt(text).expect("invariant: memory takes all that is written");
}

/// Returns whether a character acts on the terminal, or on how the text around it is read.
fn controls(letter: char) -> bool {
    let separates_lines = matches!(letter, '\u{2028}' | '\u{2029}');
    let turns_direction =
        matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    letter.is_control() || separates_lines || turns_direction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_controls_a_terminal_is_escaped() {
        assert_eq!(escaped("plain \u{e9}\u{4e2d} \\ text"), "plain \u{e9}\u{4e2d} \\ text");
        assert_eq!(escaped("\u{1b}[31mred\u{7}\r\n\t\u{9b}2J\u{7f}"), "\\u{1b}[31mred\\u{7}\\r\\n\\t\\u{9b}2J\\u{7f}");
        assert_eq!(escaped("a\u{202e}b\u{2028}"), "a\\u{202e}b\\u{2028}");
        assert_eq!(escaped_lines("one\u{1b}\ntwo\r\n"), "one\\u{1b}\ntwo\\r\n");
        assert_eq!(escaped_json("[\"\u{9b}\u{7f}\"]"), "[\"\\u009b\\u007f\"]");
        let once = escaped("\u{1b}\n").into_owned();
        assert_eq!(escaped(&once), once);
    }

    #[test]
    fn a_misspelt_name_is_most_like_the_one_that_was_meant() {
        let (name, likeness) = most_alike("gmress", ["cg", "gmres", "minres"].into_iter()).unwrap();
        assert!(name == "gmres" && likeness > 0.9 && likeness < 1.0, "{name} {likeness}");
        assert_eq!(most_alike("gmres", [].into_iter()), None);
    }

    #[test]
    fn names_in_any_encoding_are_shown() {
        assert_eq!(shown("map.fits"), "map.fits");
        assert_eq!(shown(OsStr::from_bytes(b"a\xff\n\xe9t\xc3\xa9")), "a\\xff\\n\\xe9t\u{e9}");
    }
}
