//! FITS headers: cards of 80 characters in blocks of 2880 bytes (FITS Standard
//! 4.0, section 4).
//!
//! Counts in a file are trusted only as far as the file reaches: a header grows card
//! by card as blocks are really there, never by a count that it claims.

use std::io::{self, Read};

/// Size of a FITS block, in bytes.
pub const BLOCK: usize = 2880;

const CARD: usize = 80;

/// Headers beyond this many blocks (12 MB) are taken for garbage, so that a file
/// without END is not read to its end.
const MAX_BLOCKS: usize = 4096;

/// The value of a header card.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `T` or `F`.
    Logical(bool),
    /// A whole number.
    Integer(i64),
    /// A number with a point or exponent.
    Real(f64),
    /// A character string, without trailing blanks.
    Text(String),
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Logical(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

/// One line of a header.
#[derive(Clone, Debug, PartialEq)]
pub struct Card {
    /// The keyword, in capitals, at most eight characters.
    pub keyword: String,
    /// The value; `None` for commentary and undefined values.
    pub value: Option<Value>,
    /// The comment, or the text of a HISTORY or COMMENT card.
    pub comment: String,
}

/// An ordered list of cards, without the END card.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Header {
    cards: Vec<Card>,
}

/// Reason for which a header could not be read.
#[derive(Debug)]
pub(crate) enum HeaderError {
    Io(io::Error),
    Malformed(String),
}

impl Header {
    /// Creates an empty header.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns all cards, in order.
    #[must_use]
    pub fn cards(&self) -> &[Card] {
        &self.cards
    }

    /// Returns the value of the first card with this keyword.
    #[must_use]
    pub fn get(&self, keyword: &str) -> Option<&Value> {
        self.cards.iter().find(|card| card.keyword == keyword).and_then(|card| card.value.as_ref())
    }

    /// Returns the value of a whole-number card.
    #[must_use]
    pub fn integer(&self, keyword: &str) -> Option<i64> {
        match self.get(keyword)? {
            Value::Integer(value) => Some(*value),
            _ => None,
        }
    }

    /// Returns the value of a card that holds a number of either kind.
    #[must_use]
    pub fn real(&self, keyword: &str) -> Option<f64> {
        match self.get(keyword)? {
            Value::Integer(value) => Some(*value as f64),
            Value::Real(value) => Some(*value),
            _ => None,
        }
    }

    /// Returns the value of a character-string card.
    #[must_use]
    pub fn text(&self, keyword: &str) -> Option<&str> {
        match self.get(keyword)? {
            Value::Text(value) => Some(value),
            _ => None,
        }
    }

    /// Returns the value of a card that holds a non-negative integer, or what is wrong with it.
    pub(super) fn size(&self, keyword: &str) -> std::result::Result<u64, String> {
        self.integer(keyword)
            .and_then(|value| u64::try_from(value).ok())
            .ok_or_else(|| format!("{keyword} is missing or not a non-negative integer"))
    }

    /// Returns the number of bytes of data, |BITPIX| / 8 * GCOUNT * (PCOUNT + NAXIS1 * NAXIS2 * ...).
    pub(super) fn data_length(&self) -> std::result::Result<u64, String> {
        let axes = self.size("NAXIS")?;
        if axes == 0 {
            return Ok(0);
        }
        if axes > 999 {
            return Err(format!("NAXIS = {axes} is more than 999"));
        }
        let mut elements = Some(1_u64);
        for number in 1..=axes {
            let length = self.size(&format!("NAXIS{number}"))?;
            elements = elements.and_then(|elements| elements.checked_mul(length));
        }
        let optional = |keyword: &str, default: u64| match self.get(keyword) {
            None => Ok(default),
            Some(_) => self.size(keyword),
        };
        let (parameters, groups) = (optional("PCOUNT", 0)?, optional("GCOUNT", 1)?);
        let bits = match self.integer("BITPIX") {
            Some(bits @ (8 | 16 | 32 | 64 | -32 | -64)) => bits.unsigned_abs(),
            _ => return Err("BITPIX is missing or not one of 8, 16, 32, 64, -32, -64".into()),
        };
        elements
            .and_then(|elements| elements.checked_add(parameters))
            .and_then(|elements| elements.checked_mul(groups))
            .and_then(|elements| elements.checked_mul(bits / 8))
            .ok_or_else(|| "the announced size of the data exceeds 2^64 bytes".into())
    }

    /// Returns the text of all HISTORY cards, in order.
    pub fn history(&self) -> impl Iterator<Item = &str> {
        self.cards.iter().filter(|card| card.keyword == "HISTORY").map(|card| card.comment.as_str())
    }

    /// Appends a card.
    pub fn push(&mut self, keyword: &str, value: impl Into<Value>, comment: &str) {
        self.cards.push(Card { keyword: keyword.to_owned(), value: Some(value.into()), comment: comment.to_owned() });
    }

    /// Appends HISTORY or COMMENT cards, split into lines of 72 characters.
    pub fn push_commentary(&mut self, keyword: &str, text: &str) {
        let text: Vec<char> = printable(text).chars().collect();
        for line in text.chunks(CARD - 8) {
            self.cards.push(Card { keyword: keyword.to_owned(), value: None, comment: line.iter().collect() });
        }
    }

    /// Returns these cards with others after them.
    pub(super) fn followed_by(mut self, others: &Header) -> Header {
        self.cards.extend_from_slice(&others.cards);
        self
    }

    /// Returns the header as bytes: all cards, END, blanks up to a whole block.
    ///
    /// # Errors
    ///
    /// Says which keyword has a text or keyword too long for its card, or a
    /// number that is not finite.
    pub(crate) fn to_bytes(&self) -> std::result::Result<Vec<u8>, String> {
        let mut bytes = Vec::with_capacity(BLOCK);
        for card in &self.cards {
            bytes.extend_from_slice(format_card(card)?.as_bytes());
        }
        bytes.extend_from_slice(format!("{:<CARD$}", "END").as_bytes());
        bytes.resize(bytes.len().next_multiple_of(BLOCK), b' ');
        Ok(bytes)
    }

    /// Reads a header up to and with its last block.
    pub(crate) fn read(reader: &mut impl Read) -> std::result::Result<Self, HeaderError> {
        let mut header = Self::new();
        let mut block = [0_u8; BLOCK];
        for _ in 0..MAX_BLOCKS {
            reader.read_exact(&mut block).map_err(|error| {
                if error.kind() == io::ErrorKind::UnexpectedEof {
                    HeaderError::Malformed("the file ends before the END card".into())
                } else {
                    HeaderError::Io(error)
                }
            })?;
            for card in block.chunks_exact(CARD) {
                if !card.iter().all(|byte| matches!(byte, b' '..=b'~')) {
                    let what = format!(
                        "card {} has bytes that are not printable ASCII: not a FITS header",
                        header.cards.len() + 1
                    );
                    return Err(HeaderError::Malformed(what));
                }
                let card = str::from_utf8(card).expect("invariant: checked to be ASCII");
                if card.trim_end() == "END" {
                    return Ok(header);
                }
                header.cards.push(parse_card(card));
            }
        }
        Err(HeaderError::Malformed(format!("no END card in {MAX_BLOCKS} blocks")))
    }
}

/// Replaces what a card cannot hold (anything but printable ASCII).
fn printable(text: &str) -> String {
    text.chars().map(|c| if matches!(c, ' '..='~') { c } else { '?' }).collect()
}

fn format_card(card: &Card) -> std::result::Result<String, String> {
    let keyword = &card.keyword;
    let keyword_is_legal =
        keyword.len() <= 8 && (keyword.bytes()).all(|c| matches!(c, b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_'));
    if !keyword_is_legal {
        return Err(format!("keyword {keyword:?} is not of 1 to 8 characters A-Z, 0-9, - and _"));
    }
    let Some(value) = &card.value else {
        return Ok(format!("{keyword:<8}{:<72}", card.comment));
    };
    let value = match value {
        Value::Logical(value) => format!("{:>20}", if *value { "T" } else { "F" }),
        Value::Integer(value) => format!("{value:>20}"),
        Value::Real(value) if value.is_finite() => format!("{:>20}", format!("{value:?}").to_uppercase()),
        Value::Real(value) => return Err(format!("keyword {keyword}: {value} is not finite")),
        Value::Text(text) => {
            let quoted = format!("'{:<8}'", printable(text).replace('\'', "''"));
            format!("{quoted:<20}")
        }
    };
    if value.len() > CARD - 10 {
        return Err(format!("keyword {keyword}: the value is longer than a card holds (68 characters)"));
    }
    let mut line = format!("{keyword:<8}= {value}");
    if !card.comment.is_empty() {
        line = format!("{line} / {}", printable(&card.comment));
    }
    Ok(format!("{line:<CARD$.CARD$}"))
}

/// Reads a card of 80 ASCII characters. A value that makes no sense is left
/// undefined: files with one bad card are readable where it does not matter.
fn parse_card(card: &str) -> Card {
    let (keyword, rest) = card.split_at(8);
    let keyword = keyword.trim_end().to_owned();
    match rest.strip_prefix("= ") {
        Some(field) if keyword != "HISTORY" && keyword != "COMMENT" => {
            let (value, comment) = parse_value(field);
            Card { keyword, value, comment }
        }
        _ => Card { keyword, value: None, comment: rest.trim_end().to_owned() },
    }
}

fn parse_value(field: &str) -> (Option<Value>, String) {
    let field = field.trim();
    let after_slash = |rest: &str| match rest.split_once('/') {
        Some((_, comment)) => comment.trim().to_owned(),
        None => String::new(),
    };
    if let Some(quoted) = field.strip_prefix('\'') {
        return match parse_quoted(quoted) {
            Some((text, rest)) => (Some(Value::Text(text)), after_slash(rest)),
            None => (None, String::new()),
        };
    }
    let value = field.split('/').next().unwrap_or_default().trim();
    (parse_plain(value), after_slash(field))
}

/// Reads a quoted string from after its opening quote; doubled quotes stand for one.
fn parse_quoted(quoted: &str) -> Option<(String, &str)> {
    let mut text = String::new();
    let mut rest = quoted;
    loop {
        let (part, after) = rest.split_once('\'')?;
        text.push_str(part);
        match after.strip_prefix('\'') {
            Some(more) => {
                text.push('\'');
                rest = more;
            }
            None => return Some((text.trim_end().to_owned(), after)),
        }
    }
}

fn parse_plain(value: &str) -> Option<Value> {
    match value {
        "T" => Some(Value::Logical(true)),
        "F" => Some(Value::Logical(false)),
        _ => match value.parse::<i64>() {
            Ok(integer) => Some(Value::Integer(integer)),
            Err(_) => {
                let number = value.replace(['D', 'd'], "E").parse::<f64>().ok()?;
                number.is_finite().then_some(Value::Real(number))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(bytes: &[u8]) -> std::result::Result<Header, String> {
        Header::read(&mut &bytes[..]).map_err(|error| match error {
            HeaderError::Io(error) => error.to_string(),
            HeaderError::Malformed(what) => what,
        })
    }

    #[test]
    fn cards_have_the_fixed_format_of_the_standard() {
        let mut header = Header::new();
        header.push("SIMPLE", true, "conforms to FITS standard");
        header.push("NAXIS1", 4096, "");
        header.push("TTYPE1", "I", "");
        header.push("OBSERVER", "Sir D'Arcy", "who");
        header.push("BAD_DATA", -1.6375e30, "");
        let bytes = header.to_bytes().unwrap();
        assert_eq!(bytes.len(), BLOCK);
        let lines: Vec<&str> = bytes.chunks(CARD).map(|card| str::from_utf8(card).unwrap().trim_end()).collect();
        assert_eq!(lines[0], "SIMPLE  =                    T / conforms to FITS standard");
        assert_eq!(lines[1], "NAXIS1  =                 4096");
        assert_eq!(lines[2], "TTYPE1  = 'I       '");
        assert_eq!(lines[3], "OBSERVER= 'Sir D''Arcy'        / who");
        assert_eq!(lines[4], "BAD_DATA=           -1.6375E30");
        assert_eq!(lines[5], "END");
        assert_eq!(parse(&bytes).unwrap(), header);
    }

    #[test]
    fn history_is_split_into_lines() {
        let mut header = Header::new();
        header.push_commentary("HISTORY", &"x".repeat(100));
        let read = parse(&header.to_bytes().unwrap()).unwrap();
        let lengths: Vec<usize> = read.history().map(str::len).collect();
        assert_eq!(lengths, [72, 28]);
    }

    #[test]
    fn values_of_free_format_are_read() {
        for (field, expected) in [
            ("1.5D3 / a / b", Some(Value::Real(1500.0))),
            ("'it''s  '", Some(Value::Text("it's".into()))),
            ("'a / b' / c", Some(Value::Text("a / b".into()))),
            ("T", Some(Value::Logical(true))),
            ("-7", Some(Value::Integer(-7))),
            ("'unfinished", None),
            ("nonsense", None),
            ("inf", None),
            ("", None),
        ] {
            assert_eq!(parse_value(field).0, expected, "{field}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_and_garbage_is_named() {
        let mut header = Header::new();
        header.push("LONG", "x".repeat(69).as_str(), "");
        assert!(header.to_bytes().unwrap_err().contains("LONG"));
        let mut header = Header::new();
        header.push("BEAM", f64::NAN, "");
        assert!(header.to_bytes().unwrap_err().contains("BEAM"));

        assert!(parse(b"SIMPLE  = T").unwrap_err().contains("END"));
        assert!(parse(&[b' '; BLOCK]).unwrap_err().contains("END"));
        assert!(parse(&[0; BLOCK]).unwrap_err().contains("card 1"));
    }
}
