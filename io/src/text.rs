//! Text files read line by line, from their start.

use crate::fault::Fault;
use std::io::{self, BufRead, Read};

/// The longest line that is read.
pub(crate) const LONGEST_LINE: usize = 1 << 20;

pub(crate) fn too_long() -> String {
    format!("the line is longer than {LONGEST_LINE} bytes")
}

/// Lines of a text, counted.
pub(crate) struct Lines<R> {
    pub(crate) reader: R,
    line: Vec<u8>,
    /// The byte that comments start with, which may be of any length.
    comment: Option<u8>,
    /// Lines and bytes read so far.
    pub(crate) number: u64,
    pub(crate) bytes: u64,
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self { reader, line: Vec::new(), comment: None, number: 0, bytes: 0 }
    }

    /// Works like [`Lines::new`], of a text that may have comments, of which the start is given.
    pub(crate) fn with_comments(reader: R, comment: u8) -> Self {
        Self { comment: Some(comment), ..Self::new(reader) }
    }

    /// Returns the next line, with its end; `None` at the end of the text.
    pub(crate) fn next_line(&mut self) -> Result<Option<&[u8]>, Fault> {
        self.line.clear();
        let number = self.number + 1;
        let read = self.reader.by_ref().take(LONGEST_LINE as u64).read_until(b'\n', &mut self.line);
        let count = read.map_err(|error| Fault::line(number, format!("cannot be read: {error}")))?;
        if count == LONGEST_LINE && self.line.last() != Some(&b'\n') {
            let first = self.line.trim_ascii_start().first();
            if first != self.comment.as_ref() || first.is_none() {
                return Err(Fault::line(number, too_long()));
            }
            self.skip_line().map_err(|error| Fault::line(number, format!("cannot be read: {error}")))?;
        }
        self.number += u64::from(count > 0);
        self.bytes += count as u64;
        Ok((count > 0).then_some(&self.line))
    }

    /// Passes over the rest of a line.
    fn skip_line(&mut self) -> io::Result<()> {
        loop {
            let buffer = match self.reader.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                buffer => buffer?,
            };
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let count = end.map_or(buffer.len(), |end| end + 1);
            let is_last = end.is_some() || buffer.is_empty();
            self.reader.consume(count);
            self.bytes += count as u64;
            if is_last {
                return Ok(());
            }
        }
    }
}
