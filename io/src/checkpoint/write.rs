//! Writing one checkpoint.
//!
//! Rank 0 alone makes the HDF5 file, with all that is small and with room for the vectors, and closes
//! it. Then every rank writes its slabs into that room itself, at the offsets that HDF5 has given
//! them. So neither MPI-IO nor HDF5 moves data: a full disk or a dead
//! rank is an error of the operating system at the rank that met it, and never a wait (Open MPI 4.1
//! reports a full disk in a collective write as success, or hangs), and the rate is that of the disk.
//!
//! A slab goes piece by piece: the checksums are taken, the piece is written and sent on its way to
//! the disk, and one that has arrived there is read back and compared, which finds faults of memory and of
//! network file systems: a local one answers with what it still holds. While the disk works, nobody
//! waits for it but in turn; to write all, then sync, then read all takes half as long again. Then the system
//! may forget the piece, which nobody will read soon: the next ones find memory that is at hand, and
//! what else the system had cached stays.
//!
//! Slabs need neither MPI nor HDF5, so a thread of each rank can write them while the rank continues computing.

use super::checksums::{self, BLOCK, Part, cut, parts};
use super::content::{CHECKSUMS, Checkpoint, INTEGERS, REALS, Section, Slab, TEXTS, VECTORS};
use super::trailer;
use crate::error::{Error, Result};
use crate::fault::require_same;
use crate::hdf5::{Element, H5File, Layout};
use crate::regular_file::agree_on_sight;
use crate::staged::{StagedFile, await_writeback, forget, start_writeback, temporary_path};
use dolmen_core::text::shown;
use dolmen_core::{Comm, Complex32, Complex64, profile};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{SystemTime, UNIX_EPOCH};

/// The attribute `format` of a checkpoint's root.
pub const FORMAT: &str = "dolmen-checkpoint";
pub(super) const VERSION: i64 = 1;

/// A checkpoint that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Saved {
    /// Its number.
    pub generation: u64,
    /// Its file.
    pub path: PathBuf,
    /// Bytes of its vectors.
    pub bytes: u64,
}
/// Stands for the offset of a vector without entries.
const NOWHERE: u64 = u64::MAX;
/// Bytes of a vector that are written at once.
const PIECE: u64 = 8 * BLOCK;
/// Pieces on their way to the disk while the next is written.
const UNDER_WAY: usize = 8;

/// Who writes, and where.
pub(super) struct Place<'s> {
    pub(super) comm: &'s Comm,
    /// This rank on its own.
    pub(super) alone: &'s Comm,
    pub(super) path: &'s Path,
    pub(super) generation: u64,
}

/// A file that has everything but the entries of vectors, on rank 0.
#[derive(Debug)]
struct Framed {
    staged: StagedFile,
    offsets: Vec<u64>,
    /// Destination of their checksums.
    sums: Vec<u64>,
    /// The bytes of vectors, ascending.
    regions: Vec<Range<u64>>,
}

/// The checksums of the parts of each of this rank's slabs.
type Sums = Vec<Vec<Part>>;

/// Writes a checkpoint under its name, whole or not at all.
///
/// # Collective
pub(super) fn write(place: &Place<'_>, checkpoint: &Checkpoint<'_>) -> Result<Saved> {
    let prepared = Prepared::new(place, checkpoint)?;
    let slabs: Vec<&Slab<'_>> = checkpoint.vectors().map(|vector| &vector.slab).collect();
    let bytes: usize = slabs.iter().map(|slab| slab.bytes().len()).sum();
    let event = profile::event("CheckpointWrite").bytes(bytes as u64);
    let filled = fill(&prepared.file, &prepared.temporary, &slabs, &prepared.offsets);
    drop(event);
    prepared.publish(place.comm, place.alone, filled)
}

/// A checkpoint that has everything but its vectors.
#[derive(Debug)]
struct Prepared {
    saved: Saved,
    temporary: PathBuf,
    /// The temporary file, open for reading and writing.
    file: Arc<File>,
    /// Offsets of the vectors, in order.
    offsets: Vec<u64>,
    /// On rank 0.
    framed: Option<Framed>,
}

impl Prepared {
    /// # Collective
    fn new(place: &Place<'_>, checkpoint: &Checkpoint<'_>) -> Result<Self> {
        let (comm, path) = (place.comm, place.path.to_owned());
        comm.agree(checkpoint.check(&path))?;
        let framed = if comm.rank() == 0 { frame(place, checkpoint).map(Some) } else { Ok(None) };
        let framed = comm.agree(framed)?;
        let mut offsets = framed.as_ref().map_or(Vec::new(), |framed| framed.offsets.clone());
        comm.broadcast(0, &mut offsets);
        let bytes = checkpoint.vectors().map(|vector| vector.bytes).sum();
        let temporary = temporary_path(&path);
        let file = File::options().read(true).write(true).open(&temporary);
        let file = Arc::new(agree_on_sight(comm, file.map_err(|error| Error::io(&temporary, "open", error)))?);
        let length = file.metadata().map(|file| file.len());
        let length = comm.agree(length.map_err(|error| Error::io(&temporary, "examine", error)))?;
        require_same(comm, &temporary, &length)?;
        Ok(Self { saved: Saved { generation: place.generation, path, bytes }, temporary, file, offsets, framed })
    }

    /// Gives the file its name, if all ranks have filled it.
    ///
    /// # Collective
    fn publish(self, comm: &Comm, alone: &Comm, filled: Result<Sums>) -> Result<Saved> {
        let mine = comm.agree(filled)?;
        let sums: Vec<Vec<u32>> = mine.iter().map(|parts| checksums::gather(comm, parts)).collect();
        comm.agree(self.framed.map_or(Ok(()), |framed| framed.publish(alone, &sums)))?;
        tracing::debug!(path = %shown(&self.saved.path), bytes = self.saved.bytes, "wrote a checkpoint");
        Ok(self.saved)
    }
}

/// A checkpoint that threads are writing. To drop it waits for this rank's and leaves nothing.
#[derive(Debug)]
pub(super) struct UnderWay {
    writer: Writer,
    prepared: Prepared,
}

/// A thread that fills a file.
#[derive(Debug)]
struct Writer(Option<JoinHandle<Result<Sums>>>);

impl UnderWay {
    /// Has a thread of each rank write a checkpoint.
    ///
    /// # Collective
    pub(super) fn begin(place: &Place<'_>, checkpoint: Checkpoint<'_>) -> Result<Self> {
        let prepared = Prepared::new(place, &checkpoint)?;
        let slabs: Vec<Slab<'static>> = checkpoint.into_slabs().map(Slab::into_static).collect();
        let (file, path, offsets) = (prepared.file.clone(), prepared.temporary.clone(), prepared.offsets.clone());
        let write = move || fill(&file, &path, &slabs.iter().collect::<Vec<_>>(), &offsets);
        let spawned = thread::Builder::new().name("checkpoint".to_owned()).spawn(write);
        let spawned = spawned.map(|thread| Writer(Some(thread)));
        let failed = |error| Error::io(&prepared.temporary, "start a thread to write", error);
        let writer = place.comm.agree(spawned.map_err(failed))?;
        Ok(UnderWay { writer, prepared })
    }

    /// Returns true if this rank's thread has ended.
    pub(super) fn is_written(&self) -> bool {
        self.writer.0.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Waits for all threads, and gives the file its name.
    ///
    /// # Collective
    pub(super) fn complete(mut self, comm: &Comm, alone: &Comm) -> Result<Saved> {
        let _event = profile::event("CheckpointWait");
        let filled = self.writer.join().expect("invariant: joined once");
        self.prepared.publish(comm, alone, filled)
    }
}

impl Writer {
    fn join(&mut self) -> Option<Result<Sums>> {
        let joined = self.0.take()?.join();
        Some(joined.unwrap_or_else(|panic| resume_unwind(panic)))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // What it has met is of no interest any more.
        let _ = self.0.take().map(JoinHandle::join);
    }
}

impl Framed {
    /// Adds the checksums, and gives the file its name.
    fn publish(self, alone: &Comm, sums: &[Vec<u32>]) -> Result<()> {
        let path = self.staged.temporary();
        let add = || {
            for (sums, at) in sums.iter().zip(&self.sums).filter(|(sums, _)| !sums.is_empty()) {
                self.staged.file().write_all_at(bytemuck::cast_slice(sums), *at)?;
            }
            trailer::append(path, &self.regions)
        };
        add().map_err(|error| Error::io(path, "write checksums to", error))?;
        self.staged.sync(alone)?;
        self.staged.publish(alone)
    }
}

/// Makes the file with everything but the entries of vectors and their checksums.
fn frame(place: &Place<'_>, checkpoint: &Checkpoint<'_>) -> Result<Framed> {
    let mut file = H5File::create(place.alone, place.path)?;
    file.write_attribute("/", "format", FORMAT)?;
    file.write_attribute("/", "version", VERSION)?;
    file.write_attribute("/", "program", concat!("dolmen-io ", env!("CARGO_PKG_VERSION")))?;
    file.write_attribute("/", "generation", place.generation.cast_signed())?;
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    file.write_attribute("/", "unix_time", time.as_secs_f64())?;
    file.write_attribute("/", "ranks", (place.comm.size() as u64).cast_signed())?;
    file.write_attribute("/", "config", checkpoint.config.as_str())?;
    let (mut offsets, mut sums, mut regions) = (Vec::new(), Vec::new(), Vec::new());
    for (group, section) in checkpoint.sections() {
        write_small(&file, &group, section)?;
        for (name, vector) in &section.vectors {
            let name = format!("{group}/{VECTORS}/{name}");
            let blocks = [vector.bytes.div_ceil(BLOCK)];
            let dataset = file.create_dataset::<u32>(&format!("{CHECKSUMS}/{name}"), &blocks, &Layout::Contiguous)?;
            sums.push(dataset.offset().unwrap_or(NOWHERE));
            let shape = [vector.global_len];
            let dataset = file.create_dataset_as(&name, &descriptor(vector.scalar), &shape, &Layout::Contiguous)?;
            let offset = dataset.offset();
            file.write_attribute(&name, "scalar", vector.scalar)?;
            regions.extend(offset.map(|offset| offset..offset + vector.bytes));
            offsets.push(offset.unwrap_or(NOWHERE));
        }
    }
    let staged = file.finish()?.expect("invariant: a new file");
    regions.sort_by_key(|region: &Range<u64>| region.start);
    Ok(Framed { staged, offsets, sums, regions })
}

fn write_small(file: &H5File, group: &str, section: &Section<'_>) -> Result<()> {
    let inside = |part: &str| format!("{group}/{part}");
    for part in [TEXTS, INTEGERS, REALS, VECTORS] {
        file.create_group(&inside(part))?;
    }
    if let Some(method) = &section.method {
        file.write_attribute(group, "method", method.as_str())?;
    }
    for (name, value) in &section.texts {
        file.write_attribute(&inside(TEXTS), name, value.as_str())?;
    }
    for (name, value) in &section.integers {
        file.write_attribute(&inside(INTEGERS), name, value.cast_signed())?;
    }
    for (name, values) in &section.reals {
        write_list(file, &format!("{group}/{REALS}/{name}"), values)?;
    }
    Ok(())
}

fn write_list<T: Element>(file: &H5File, name: &str, values: &[T]) -> Result<()> {
    let length = values.len() as u64;
    file.create_dataset::<T>(name, &[length], &Layout::Contiguous)?.write_slab(&[0], &[length], values)?;
    Ok(())
}

fn descriptor(scalar: &str) -> hdf5::types::TypeDescriptor {
    match scalar {
        "f32" => f32::descriptor(),
        "f64" => f64::descriptor(),
        "c32" => Complex32::descriptor(),
        "c64" => Complex64::descriptor(),
        other => unreachable!("invariant: there is no scalar {other}"),
    }
}

/// A part of a slab.
struct Piece<'s> {
    /// Which slab.
    slab: usize,
    bytes: &'s [u8],
    /// Its start in the vector, and in the file.
    first: u64,
    start: u64,
    /// Its checksums, once it is written.
    parts: Vec<Part>,
}

/// Writes this rank's slabs to disk, each piece read back.
fn fill(file: &File, path: &Path, slabs: &[&Slab<'_>], offsets: &[u64]) -> Result<Sums> {
    let mut pieces: Vec<Piece<'_>> = Vec::new();
    for (number, (slab, offset)) in slabs.iter().zip(offsets).enumerate() {
        for (first, run) in slab.runs() {
            for (_, range) in cut(PIECE, first, run.len()) {
                let first = first + range.start as u64;
                let (bytes, start) = (&run[range], offset + first);
                pieces.push(Piece { slab: number, bytes, first, start, parts: Vec::new() });
            }
        }
    }
    let mut parts = vec![Vec::new(); slabs.len()];
    if pieces.is_empty() {
        return Ok(parts);
    }
    for step in 0..pieces.len() + UNDER_WAY {
        if let Some(piece) = pieces.get_mut(step) {
            let written = piece.write(file);
            written.map_err(|error| Error::io(path, format!("write {} bytes", piece.bytes.len()), error))?;
        }
        if let Some(piece) = step.checked_sub(UNDER_WAY).and_then(|done| pieces.get(done)) {
            piece.verify(file).map_err(|error| Error::io(path, "read back", error))?;
        }
    }
    file.sync_all().map_err(|error| Error::io(path, "sync", error))?;
    pieces.into_iter().for_each(|piece| parts[piece.slab].extend(piece.parts));
    Ok(parts)
}

impl Piece<'_> {
    fn in_file(&self) -> Range<u64> {
        self.start..self.start + self.bytes.len() as u64
    }

    fn write(&mut self, file: &File) -> io::Result<()> {
        self.parts = parts(self.first, self.bytes);
        file.write_all_at(self.bytes, self.start)?;
        start_writeback(file, self.in_file())
    }

    /// Waits until the piece is on its disk, and compares what is read with what was written.
    fn verify(&self, file: &File) -> io::Result<()> {
        await_writeback(file, self.in_file())?;
        let mut buffer = Vec::new();
        for ((_, range), part) in cut(BLOCK, self.first, self.bytes.len()).zip(&self.parts) {
            buffer.resize(range.len(), 0);
            let start = self.start + range.start as u64;
            file.read_exact_at(&mut buffer, start)?;
            if Part::of(self.first + range.start as u64, &buffer) != *part {
                let what =
                    format!("the {} bytes from byte {start} were read back and differ from those written", range.len());
                return Err(io::Error::other(what));
            }
        }
        forget(file, self.in_file());
        Ok(())
    }
}
