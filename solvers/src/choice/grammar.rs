//! The text of settings: `name(value, key=value, name(...))`, with commas between several.
//!
//! ```text
//! list  = call { "," call }
//! call  = word [ "(" [ argument { "," argument } ] ")" ]
//! argument = [ word "=" ] call
//! ```
//!
//! A word is anything without blanks, parentheses, commas and equals signs: a name, a number, or a choice such as
//! `left`.

use std::fmt;

use crate::error::{Error, Result};

/// Parentheses in each other beyond which a text is refused.
const DEEPEST: usize = 16;

/// A word with its arguments.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Call {
    pub(super) word: String,
    pub(super) arguments: Vec<Argument>,
}

/// A value, which may have a key.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Argument {
    pub(super) key: Option<String>,
    pub(super) value: Call,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.word)?;
        for (argument, number) in self.arguments.iter().zip(0..) {
            let before = if number == 0 { "(" } else { ", " };
            write!(f, "{before}{argument}")?;
        }
        if self.arguments.is_empty() { Ok(()) } else { f.write_str(")") }
    }
}

impl fmt::Display for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            Some(key) => write!(f, "{key}={}", self.value),
            None => self.value.fmt(f),
        }
    }
}

/// Reads calls with commas between them, at least one.
pub(super) fn parse(text: &str) -> Result<Vec<Call>> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    let mut calls = vec![parser.call("a name")?];
    while parser.take(',') {
        calls.push(parser.call("a name")?);
    }
    if parser.rest().is_empty() { Ok(calls) } else { Err(parser.expected("a comma or the end")) }
}

/// Reads a single call.
pub(super) fn parse_one(text: &str) -> Result<Call> {
    let mut calls = parse(text)?;
    if calls.len() > 1 {
        let expected = "one name with its arguments in parentheses";
        return Err(Error::Syntax { text: text.to_owned(), position: 1, expected });
    }
    Ok(calls.remove(0))
}

struct Parser<'t> {
    text: &'t str,
    /// The byte that is read next.
    at: usize,
    /// Parentheses that are open.
    depth: usize,
}

impl<'t> Parser<'t> {
    /// Skips blanks, and returns what is not read yet.
    fn rest(&mut self) -> &'t str {
        let rest = &self.text[self.at..];
        self.at = self.text.len() - rest.trim_start().len();
        rest.trim_start()
    }

    fn take(&mut self, mark: char) -> bool {
        let is_next = self.rest().starts_with(mark);
        self.at += if is_next { mark.len_utf8() } else { 0 };
        is_next
    }

    fn expected(&mut self, expected: &'static str) -> Error {
        let text = self.text.to_owned();
        let position = text[..text.len() - self.rest().len()].chars().count() + 1;
        Error::Syntax { text, position, expected }
    }

    fn word(&mut self, expected: &'static str) -> Result<String> {
        let rest = self.rest();
        let end = rest.find(|letter: char| letter.is_whitespace() || "(),=".contains(letter)).unwrap_or(rest.len());
        if end == 0 {
            return Err(self.expected(expected));
        }
        self.at += end;
        Ok(rest[..end].to_owned())
    }

    fn call(&mut self, expected: &'static str) -> Result<Call> {
        let word = self.word(expected)?;
        let arguments = self.arguments()?;
        Ok(Call { word, arguments })
    }

    fn arguments(&mut self) -> Result<Vec<Argument>> {
        let mut arguments = Vec::new();
        if !self.take('(') {
            return Ok(arguments);
        }
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.expected("fewer parentheses in each other"));
        }
        if !self.take(')') {
            arguments.push(self.argument()?);
            while self.take(',') {
                arguments.push(self.argument()?);
            }
            if !self.take(')') {
                return Err(self.expected("a comma or a closing parenthesis"));
            }
        }
        self.depth -= 1;
        Ok(arguments)
    }

    fn argument(&mut self) -> Result<Argument> {
        let value = self.call("a value, or key=value")?;
        if !value.arguments.is_empty() || !self.take('=') {
            return Ok(Argument { key: None, value });
        }
        Ok(Argument { key: Some(value.word), value: self.call("a value")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_nested() {
        let calls = parse(" gmres ( restart = 50 ),schwarz(1, local=ilu(2), form=symmetric) ").unwrap();
        let texts: Vec<String> = calls.iter().map(Call::to_string).collect();
        assert_eq!(texts, ["gmres(restart=50)", "schwarz(1, local=ilu(2), form=symmetric)"]);
        assert_eq!(parse("cg()").unwrap(), parse("cg").unwrap());
    }

    #[test]
    fn a_bad_text_is_told_with_its_place() {
        for (text, position, expected) in [
            ("", 1, "a name"),
            ("gmres(", 7, "a value, or key=value"),
            ("gmres(restart=", 15, "a value"),
            ("gmres(restart=50", 17, "a comma or a closing parenthesis"),
            ("gmres(30))", 10, "a comma or the end"),
            ("gmres, ", 8, "a name"),
            ("\u{e9}(1 2)", 5, "a comma or a closing parenthesis"),
            ("ilu(restart(1)=2)", 15, "a comma or a closing parenthesis"),
        ] {
            let expected = Error::Syntax { text: text.to_owned(), position, expected };
            assert_eq!(parse(text), Err(expected), "{text}");
        }
        assert!(matches!(parse(&"a(".repeat(100_000)), Err(Error::Syntax { .. })));
        assert!(matches!(parse_one("ilu, ilu"), Err(Error::Syntax { position: 1, .. })));
    }
}
