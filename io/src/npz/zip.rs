//! The members of a zip file, by its central directory.

use crate::fault::Fault;
use crate::source::Source;
use dolmen_core::{Blocks, Comm};
use flate2::read::DeflateDecoder;
use std::io::{self, Read};
use std::ops::Range;

const END: [u8; 4] = *b"PK\x05\x06";
const END64_LOCATOR: [u8; 4] = *b"PK\x06\x07";
const END64: [u8; 4] = *b"PK\x06\x06";
const DIRECTORY_ENTRY: [u8; 4] = *b"PK\x01\x02";
const LOCAL_ENTRY: [u8; 4] = *b"PK\x03\x04";
/// Sizes of these records without what varies.
const END_BYTES: u64 = 22;
const LOCATOR_BYTES: u64 = 20;
const LOCAL_BYTES: u64 = 30;
/// A number that stands in a zip64 extension instead.
const ELSEWHERE: u64 = 0xffff_ffff;
/// The identifier of that extension.
const ZIP64: u64 = 1;
/// The longest comment at the end of a file.
const LONGEST_COMMENT: u64 = 0xffff;

/// Returns true if a file starts as a zip archive does, possibly an empty one.
pub(crate) fn is_zip(head: &[u8]) -> bool {
    head.starts_with(&LOCAL_ENTRY) || head.starts_with(&END)
}

/// A member of a zip file.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) packed: bool,
    /// The bytes as stored.
    stored: Range<u64>,
    /// Bytes when unpacked.
    pub(super) bytes: u64,
    /// None for a file that is no zip.
    crc: Option<u32>,
}

/// Numbers of a record, least byte first.
struct Record<'r>(&'r [u8]);

impl Record<'_> {
    fn number(&self, at: usize, bytes: usize) -> Option<u64> {
        let part = self.0.get(at..)?.get(..bytes)?;
        Some(part.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    fn short(&self, at: usize) -> Option<u64> {
        self.number(at, 2)
    }

    fn long(&self, at: usize) -> Option<u64> {
        self.number(at, 4)
    }
}

fn directory_fault(what: &str) -> Fault {
    Fault::new("zip directory", format!("{what}; the file is damaged or cut off"))
}

fn read(source: &Source, part: Range<u64>) -> Result<Vec<u8>, Fault> {
    if part.start > part.end || part.end > source.length() {
        return Err(directory_fault("points past the end of the file"));
    }
    source.read_part(part).map_err(|error| directory_fault(&error.to_string()))
}

/// Returns all members of a file.
pub(super) fn members(source: &Source) -> Result<Vec<Member>, Fault> {
    let (directory, count) = directory(source)?;
    let bytes = read(source, directory)?;
    let (mut rest, mut members) = (&bytes[..], Vec::new());
    for _ in 0..count {
        let (member, length) = entry(source, rest)?.ok_or_else(|| directory_fault("has a malformed entry"))?;
        members.push(member);
        rest = &rest[length..];
    }
    Ok(members)
}

/// Finds the directory, and the number of its members.
fn directory(source: &Source) -> Result<(Range<u64>, u64), Fault> {
    let start = source.length().saturating_sub(END_BYTES + LONGEST_COMMENT);
    let tail = read(source, start..source.length())?;
    let missing = || directory_fault("is missing");
    let at = tail.windows(END.len()).rposition(|window| window == END).ok_or_else(missing)?;
    let end = Record(&tail[at..]);
    let parts = (|| Some((end.short(10)?, end.long(12)?, end.long(16)?)))();
    let (count, size, offset) = parts.ok_or_else(missing)?;
    if count != 0xffff && size != ELSEWHERE && offset != ELSEWHERE {
        return Ok((offset..offset + size, count));
    }
    let end_at = start + at as u64;
    let locator = read(source, end_at.saturating_sub(LOCATOR_BYTES)..end_at)?;
    let end64_at = Record(&locator).number(8, 8).filter(|_| locator.starts_with(&END64_LOCATOR)).ok_or_else(missing)?;
    let end64 = read(source, end64_at..end64_at.saturating_add(56))?;
    let record = Record(&end64);
    let parts = (|| Some((record.number(32, 8)?, record.number(40, 8)?, record.number(48, 8)?)))();
    let (count, size, offset) = parts.filter(|_| end64.starts_with(&END64)).ok_or_else(missing)?;
    Ok((offset..offset.saturating_add(size), count))
}

/// Returns the member that the directory's next entry describes, and the bytes of the entry; `None` if the
/// entry is cut off.
fn entry(source: &Source, bytes: &[u8]) -> Result<Option<(Member, usize)>, Fault> {
    let Some(found) = parse_entry(bytes) else { return Ok(None) };
    let Parsed { name, flags, method, crc, packed_bytes, bytes, offset, length } = found;
    let fault = |what: String| Fault::new(format!("member {name}"), what);
    if flags & 1 != 0 {
        return Err(fault("is encrypted, which is not supported".into()));
    }
    if method != 0 && method != 8 {
        return Err(fault(format!("is packed by method {method}; only stored and deflated members are supported")));
    }
    let local = read(source, offset..offset.saturating_add(LOCAL_BYTES))?;
    let record = Record(&local);
    let lengths = record.short(26).zip(record.short(28)).filter(|_| local.starts_with(&LOCAL_ENTRY));
    let (names, extras) = lengths.ok_or_else(|| fault("is not where the directory says".into()))?;
    let start = offset + LOCAL_BYTES + names + extras;
    let end = start.checked_add(packed_bytes).filter(|end| *end <= source.length());
    let end = end.ok_or_else(|| fault(format!("has {packed_bytes} bytes, more than the file")))?;
    if method == 0 && packed_bytes != bytes {
        return Err(fault(format!("is stored in {packed_bytes} bytes, but should have {bytes}")));
    }
    let member = Member { name, packed: method == 8, stored: start..end, bytes, crc: Some(crc) };
    Ok(Some((member, length)))
}

struct Parsed {
    name: String,
    flags: u64,
    method: u64,
    crc: u32,
    packed_bytes: u64,
    bytes: u64,
    offset: u64,
    length: usize,
}

fn parse_entry(bytes: &[u8]) -> Option<Parsed> {
    let record = Record(bytes);
    let length = |at| usize::try_from(record.short(at)?).ok();
    let (name_length, extra_length, comment_length) = (length(28)?, length(30)?, length(32)?);
    let extra_start = 46 + name_length;
    let name = bytes.get(46..extra_start).filter(|_| bytes.starts_with(&DIRECTORY_ENTRY))?;
    let extra = bytes.get(extra_start..extra_start + extra_length)?;
    let length = extra_start + extra_length + comment_length;
    bytes.get(..length)?;
    let mut wide = zip64_numbers(extra);
    let mut number =
        |at| record.long(at).and_then(|number| if number == ELSEWHERE { wide.next() } else { Some(number) });
    // In this order the extension has those that it holds.
    let (size, packed_bytes, offset) = (number(24)?, number(20)?, number(42)?);
    Some(Parsed {
        name: String::from_utf8_lossy(name).into_owned(),
        flags: record.short(8)?,
        method: record.short(10)?,
        crc: u32::try_from(record.long(16)?).ok()?,
        packed_bytes,
        bytes: size,
        offset,
        length,
    })
}

fn zip64_numbers(extra: &[u8]) -> impl Iterator<Item = u64> {
    let mut rest = extra;
    let mut found: &[u8] = &[];
    while let (Some(kind), Some(length)) = (Record(rest).short(0), Record(rest).short(2)) {
        let end = usize::try_from(length).map_or(usize::MAX, |length| length + 4);
        let Some(field) = rest.get(4..end) else { break };
        if kind == ZIP64 {
            found = field;
        }
        rest = &rest[end..];
    }
    found.chunks_exact(8).map(|number| u64::from_le_bytes(number.try_into().expect("invariant: 8 bytes")))
}

impl Member {
    /// Returns a whole file that is no zip.
    pub(super) fn whole(source: &Source) -> Member {
        let bytes = source.length();
        Member { name: "array.npy".to_owned(), packed: false, stored: 0..bytes, bytes, crc: None }
    }

    pub(super) fn fault(&self, what: impl Into<String>) -> Fault {
        Fault::new(format!("member {}", self.name), what)
    }

    /// Gives bytes `part` of the unpacked member to `take`, piece by piece.
    pub(super) fn read(&self, source: &Source, part: Range<u64>, mut take: impl FnMut(&[u8])) -> Result<(), Fault> {
        if !self.packed {
            let stored = self.stored.start + part.start..self.stored.start + part.end;
            return source.read_pieces(stored, take).map_err(|error| self.fault(error.to_string()));
        }
        let mut reader = self.unpacked(source);
        let mut buffer = vec![0; 1 << 16];
        let mut position = 0;
        while position < part.end {
            let count = reader.read(&mut buffer).map_err(|error| self.fault(format!("cannot be unpacked: {error}")))?;
            if count == 0 {
                return Err(self.fault(format!("ends after {position} bytes, but should have {}", self.bytes)));
            }
            let end = position + count as u64;
            let within =
                |place: u64| usize::try_from(place.clamp(position, end) - position).expect("invariant: in the buffer");
            take(&buffer[within(part.start)..within(part.end)]);
            position = end;
        }
        Ok(())
    }

    fn unpacked<'s>(&self, source: &'s Source) -> impl Read + use<'s> {
        DeflateDecoder::new(source.stored(self.stored.start).take(self.stored.end - self.stored.start))
    }

    /// Verifies the length and the checksum: each rank looks at a share of a stored member, rank 0 at
    /// all of a packed one.
    ///
    /// # Collective
    pub(super) fn verify(&self, comm: &Comm, source: &Source) -> Result<(), Fault> {
        let Some(expected) = self.crc else { return Ok(()) };
        let mine = match self.packed {
            false => self.hash_stored(source, Blocks::uniform(self.bytes, comm.size()).range(comm.rank())),
            true if comm.rank() == 0 => self.hash_packed(source),
            true => Ok((0, 0)),
        };
        let (crc, bytes) = mine.as_ref().map_or((0, 0), |(crc, bytes)| (*crc, *bytes));
        let mut all = crc32fast::Hasher::new();
        for [crc, bytes] in comm.all_gather([u64::from(crc), bytes]) {
            let crc = u32::try_from(crc).expect("invariant: a checksum of 32 bits");
            all.combine(&crc32fast::Hasher::new_with_initial_len(crc, bytes));
        }
        let found = all.finalize();
        mine?;
        self.require_checksum(found, expected)
    }

    /// Works like [`Member::verify`], by this rank alone: for members of a few bytes.
    pub(super) fn verify_alone(&self, source: &Source) -> Result<(), Fault> {
        let Some(expected) = self.crc else { return Ok(()) };
        let found = if self.packed { self.hash_packed(source)? } else { self.hash_stored(source, 0..self.bytes)? };
        self.require_checksum(found.0, expected)
    }

    fn require_checksum(&self, found: u32, expected: u32) -> Result<(), Fault> {
        if found == expected {
            return Ok(());
        }
        Err(self.fault("does not match its checksum; it is damaged"))
    }

    fn hash_stored(&self, source: &Source, part: Range<u64>) -> Result<(u32, u64), Fault> {
        let mut hasher = crc32fast::Hasher::new();
        self.read(source, part.clone(), |bytes| hasher.update(bytes))?;
        Ok((hasher.finalize(), part.end - part.start))
    }

    fn hash_packed(&self, source: &Source) -> Result<(u32, u64), Fault> {
        let mut hasher = crc32fast::Hasher::new();
        let mut reader = self.unpacked(source).take(self.bytes.saturating_add(1));
        let mut buffer = vec![0; 1 << 16];
        let mut total = 0;
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => {
                    hasher.update(&buffer[..count]);
                    total += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.fault(format!("cannot be unpacked: {error}"))),
            }
        }
        if total == self.bytes {
            return Ok((hasher.finalize(), total));
        }
        let has = if total > self.bytes { "more".to_owned() } else { total.to_string() };
        Err(self.fault(format!("should have {} bytes unpacked, it has {has}", self.bytes)))
    }
}
