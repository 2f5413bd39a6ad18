//! The lines below the header, spread over the ranks.
//!
//! Of a plain file, each rank parses the lines that start in its share of the bytes. A gzip file is
//! decoded by rank 0, which hands out pieces of whole lines: one to each rank, as many rounds as it
//! takes. Either way the ranks together see the lines in the order of the file, and memory holds
//! pieces of text, not all of it.

use super::header::is_comment;
use crate::error::Result;
use crate::fault::{Fault, settle};
use crate::source::Source;
use crate::text::{LONGEST_LINE, too_long};
use dolmen_core::{Blocks, Comm};
use std::io::{self, Read};
use std::ops::Range;
use std::result::Result as StdResult;

/// Text of a plain file that a rank holds at once, besides the start of a line.
const PIECE: usize = 2 << 20;
/// Text of a gzip file that a rank gets at once.
const GZIP_PIECE: usize = 1 << 20;
/// The least that is read at once, to find the end of a line.
const LINE_END: usize = 4096;

/// Takes the entries of the body, a line each.
pub(super) trait Entries {
    /// Takes a line that is neither blank nor a comment; says what is wrong with it otherwise.
    fn take(&mut self, line: &[u8]) -> StdResult<(), String>;

    /// Entries taken so far on this rank.
    fn taken(&self) -> u64;

    /// Says that the entries taken since the last call have the numbers from `first` on in the file.
    fn place(&mut self, first: u64);
}

/// Start of the body.
#[derive(Clone, Copy)]
pub(super) struct Start {
    pub(super) bytes: u64,
    pub(super) lines: u64,
}

/// Counts over all ranks of what was read.
#[derive(Default)]
pub(super) struct Passed {
    pub(super) entries: u64,
    /// Bytes of the whole text, decoded.
    pub(super) bytes: u64,
}

/// Fault of a line, with its number among the counted ones.
type LineFault = (u64, String);

/// Counts lines and gives them to `entries`.
struct Lines<'e, E> {
    entries: &'e mut E,
    count: u64,
}

impl<E: Entries> Lines<'_, E> {
    /// Takes whole lines; the last one may lack its end.
    fn feed(&mut self, mut text: &[u8]) -> StdResult<(), LineFault> {
        while !text.is_empty() {
            let end = text.iter().position(|&byte| byte == b'\n').unwrap_or(text.len());
            let line = &text[..end];
            text = text.get(end + 1..).unwrap_or_default();
            self.count += 1;
            if line.len() >= LONGEST_LINE && !is_comment(line) {
                return Err((self.count, too_long()));
            }
            if !is_comment(line) {
                self.entries.take(line).map_err(|what| (self.count, what))?;
            }
        }
        Ok(())
    }
}

impl Passed {
    /// Adds the entries that all ranks have taken since this one had `before` of them.
    ///
    /// # Collective
    fn add(&mut self, comm: &Comm, entries: &mut impl Entries, before: u64) {
        let (below, all) = comm.sum_below(entries.taken() - before);
        entries.place(self.entries + below);
        self.entries += all;
    }
}

/// Reads the body of a plain file.
///
/// # Collective
pub(super) fn read_plain(comm: &Comm, source: &Source, start: Start, entries: &mut impl Entries) -> Result<Passed> {
    let share = Blocks::uniform(source.length() - start.bytes, comm.size()).range(comm.rank());
    let mut lines = Lines { entries, count: 0 };
    let parsed = comm.agree(read_share(source, start.bytes, share, &mut lines))?;
    // A rank that failed has not counted to its end, but its fault hides those of the ranks behind.
    let before = start.lines + comm.sum_below(lines.count).0;
    settle(comm, source.path(), parsed.map_err(|(line, what)| Fault::line(before + line, what)))?;
    let mut passed = Passed { entries: 0, bytes: source.length() };
    passed.add(comm, lines.entries, 0);
    Ok(passed)
}

/// Feeds the lines that start in a share of the bytes behind `start`.
fn read_share<E: Entries>(
    source: &Source,
    start: u64,
    share: Range<u64>,
    lines: &mut Lines<'_, E>,
) -> Result<StdResult<(), LineFault>> {
    let end = start + share.end;
    let mut buffer = vec![0; PIECE + LONGEST_LINE];
    let mut position = first_line(source, start, share.start, &mut buffer)?;
    let (mut held, mut in_comment) = (0, false);
    while position < end {
        let left = usize::try_from(end - position).unwrap_or(usize::MAX);
        let wanted = left.saturating_sub(held).clamp(LINE_END, PIECE);
        let read = source.read_at(&mut buffer[held..held + wanted], position + held as u64)?;
        let text = &buffer[..held + read];
        if in_comment {
            let line_end = text.iter().position(|&byte| byte == b'\n');
            if line_end.is_none() && read < wanted {
                break;
            }
            in_comment = line_end.is_none();
            position += line_end.map_or(read, |end| end + 1) as u64;
            continue;
        }
        // Up to the end of the line that holds the share's last byte, if that is here.
        let own = text.get(left - 1..).and_then(|text| text.iter().position(|&byte| byte == b'\n'));
        let cut = match own {
            Some(end) => left + end,
            None if read < wanted => text.len(),
            None => text.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1),
        };
        if let Err(fault) = lines.feed(&text[..cut]) {
            return Ok(Err(fault));
        }
        if read < wanted {
            break;
        }
        (held, position) = (held + read - cut, position + cut as u64);
        buffer.copy_within(cut..cut + held, 0);
        if held >= LONGEST_LINE {
            lines.count += 1;
            if !is_comment(&buffer[..held]) {
                return Ok(Err((lines.count, too_long())));
            }
            position += held as u64;
            (held, in_comment) = (0, true);
        }
    }
    Ok(Ok(()))
}

/// Returns the position of the first line that starts at byte `offset` behind `start`, or later.
fn first_line(source: &Source, start: u64, offset: u64, buffer: &mut [u8]) -> Result<u64> {
    if offset == 0 {
        return Ok(start);
    }
    let mut position = start + offset - 1;
    loop {
        let read = source.read_at(&mut buffer[..LINE_END], position)?;
        match buffer[..read].iter().position(|&byte| byte == b'\n') {
            Some(end) => return Ok(position + end as u64 + 1),
            None if read < LINE_END => return Ok(position + read as u64),
            None => position += read as u64,
        }
    }
}

/// Reads the body of a gzip file, whose text rank 0 decodes from `text` on; no further than until there are more
/// entries than `announced`.
///
/// # Collective
pub(super) fn read_gzip(
    comm: &Comm,
    source: &Source,
    start: Start,
    text: &mut dyn Read,
    announced: u64,
    entries: &mut impl Entries,
) -> Result<Passed> {
    let mut pieces = Pieces { text, start, rest: Vec::new(), ended: None };
    let mut passed = Passed::default();
    let mut more = [1_u64];
    while more[0] > 0 && passed.entries <= announced {
        let before = entries.taken();
        let ranks = if comm.rank() == 0 { 0..comm.size() } else { 0..0 };
        let messages: Vec<_> = ranks.map_while(|rank| Some((rank, pieces.next_piece()?))).collect();
        let received = comm.sparse_exchange(&messages);
        let parsed = received.iter().try_for_each(|(_, piece)| feed_piece(piece, entries));
        settle(comm, source.path(), parsed)?;
        let failed = pieces.ended.take_if(|end| end.is_err()).unwrap_or(Ok(()));
        settle(comm, source.path(), failed)?;
        passed.add(comm, entries, before);
        more = [u64::from(comm.rank() == 0 && !(pieces.ended.is_some() && pieces.rest.is_empty()))];
        comm.all_reduce_max(&mut more);
    }
    let mut bytes = [if comm.rank() == 0 { pieces.start.bytes } else { 0 }];
    comm.all_reduce_max(&mut bytes);
    passed.bytes = bytes[0];
    Ok(passed)
}

fn feed_piece(piece: &[u8], entries: &mut impl Entries) -> StdResult<(), Fault> {
    let Some((number, text)) = piece.split_first_chunk() else { return Ok(()) };
    let mut lines = Lines { entries, count: u64::from_le_bytes(*number) };
    lines.feed(text).map_err(|(line, what)| Fault::line(line, what))
}

/// Text in pieces of whole lines.
struct Pieces<'t> {
    text: &'t mut dyn Read,
    /// Start of `rest`.
    start: Start,
    rest: Vec<u8>,
    /// Outcome of the end of the text, once it was reached.
    ended: Option<StdResult<(), Fault>>,
}

impl Pieces<'_> {
    /// Returns the number of lines before the piece, in 8 bytes, and its text.
    fn next_piece(&mut self) -> Option<Vec<u8>> {
        self.fill();
        while self.ended.is_none() && !self.rest.contains(&b'\n') && is_comment(&self.rest) {
            self.skip_comment();
            self.fill();
        }
        let line_end = self.rest.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        let cut = match (&self.ended, line_end) {
            // Without any line end there is one long line: whoever gets it refuses it.
            (Some(Ok(())), _) | (None, 0) => self.rest.len(),
            (_, line_end) => line_end,
        };
        if cut == 0 {
            return None;
        }
        let rest = self.rest.split_off(cut);
        let text = std::mem::replace(&mut self.rest, rest);
        let piece = [&self.start.lines.to_le_bytes()[..], &text].concat();
        self.start.lines += text.iter().filter(|&&byte| byte == b'\n').count() as u64;
        self.start.bytes += cut as u64;
        Some(piece)
    }

    /// Reads on until there is enough for a piece.
    fn fill(&mut self) {
        if self.ended.is_none() {
            let wanted = GZIP_PIECE + LONGEST_LINE - self.rest.len();
            let read = (&mut *self.text).take(wanted as u64).read_to_end(&mut self.rest);
            self.ended = match read {
                Ok(read) if read == wanted => None,
                Ok(_) => Some(Ok(())),
                Err(error) => Some(Err(self.damaged(&error))),
            };
        }
    }

    /// Passes over a comment that is longer than a piece.
    fn skip_comment(&mut self) {
        while self.ended.is_none() && !self.rest.contains(&b'\n') {
            self.start.bytes += self.rest.len() as u64;
            self.rest.clear();
            self.fill();
        }
        let line_end = self.rest.iter().position(|&byte| byte == b'\n').map_or(self.rest.len(), |end| end + 1);
        self.rest.drain(..line_end);
        self.start.bytes += line_end as u64;
        self.start.lines += 1;
    }

    fn damaged(&self, error: &io::Error) -> Fault {
        let lines = self.rest.iter().filter(|&&byte| byte == b'\n').count() as u64;
        let what = format!("here the gzip data end early or are damaged ({error}); compress the file again");
        Fault::line(self.start.lines + lines + 1, what)
    }
}
