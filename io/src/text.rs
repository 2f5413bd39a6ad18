//! Text files read line by line, from their start.

use crate::fault::Fault;
use std::io::{BufRead, Read};

/// The longest line that is read.
pub(crate) const LONGEST_LINE: usize = 1 << 20;

pub(crate) fn too_long() -> String {
    format!("the line is longer than {LONGEST_LINE} bytes")
}

/// Lines of a text, counted.
pub(crate) struct Lines<R> {
    pub(crate) reader: R,
    line: Vec<u8>,
    /// Lines and bytes read so far.
    pub(crate) number: u64,
    pub(crate) bytes: u64,
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self { reader, line: Vec::new(), number: 0, bytes: 0 }
    }

    /// The next line, with its end; `None` at the end of the text.
    pub(crate) fn next_line(&mut self) -> Result<Option<&[u8]>, Fault> {
        self.line.clear();
        let number = self.number + 1;
        let read = self.reader.by_ref().take(LONGEST_LINE as u64).read_until(b'\n', &mut self.line);
        let count = read.map_err(|error| Fault::line(number, format!("cannot be read: {error}")))?;
        if count == LONGEST_LINE && self.line.last() != Some(&b'\n') {
            return Err(Fault::line(number, too_long()));
        }
        self.number += u64::from(count > 0);
        self.bytes += count as u64;
        Ok((count > 0).then_some(&self.line))
    }
}
