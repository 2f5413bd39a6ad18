//! Writing one checkpoint.
//!
//! Rank 0 alone makes the HDF5 file, with all that is small and with room for the vectors, and closes
//! it. Then every rank writes its slabs into that room itself, at the offsets that HDF5 has given
//! them, syncs them and reads them back. So neither MPI-IO nor HDF5 moves data: a full disk or a dead
//! rank is an error of the operating system at the rank that met it, and never a wait (Open MPI 4.1
//! reports a full disk in a collective write as success, or hangs), and the rate is that of the disk.

use super::checksums::{self, Part, cut, parts};
use super::content::{CHECKSUMS, Checkpoint, Entries, INTEGERS, REALS, Section, TEXTS, VECTORS};
use super::trailer;
use crate::error::{Error, Result};
use crate::hdf5::{Element, H5File, Layout};
use crate::staged::{StagedFile, temporary_path};
use dolmen_core::{Comm, Complex32, Complex64, profile};
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// What the root of a checkpoint says.
pub(super) const FORMAT: &str = "dolmen-checkpoint";
pub(super) const VERSION: i64 = 1;
/// Stands for the offset of a vector without entries.
const NOWHERE: u64 = u64::MAX;

/// Who writes, and where.
pub(super) struct Place<'s> {
    pub(super) comm: &'s Comm,
    /// This rank on its own.
    pub(super) alone: &'s Comm,
    pub(super) path: &'s Path,
    pub(super) generation: u64,
}

/// Writes a checkpoint under its name, whole or not at all; the bytes of its vectors.
///
/// # Collective
pub(super) fn write(place: &Place<'_>, checkpoint: &Checkpoint<'_>) -> Result<u64> {
    let comm = place.comm;
    comm.agree(checkpoint.check(place.path))?;
    let vectors: Vec<&Entries<'_>> = checkpoint.vectors().collect();
    let mine: Vec<Vec<Part>> = vectors.iter().map(|vector| parts(vector.first(), vector.owned)).collect();
    let sums: Vec<Vec<u32>> = mine.iter().map(|parts| checksums::gather(comm, parts)).collect();
    let framed = if comm.rank() == 0 { frame(place, checkpoint, &sums).map(Some) } else { Ok(None) };
    let framed = comm.agree(framed)?;
    let (staged, mut offsets) = framed.map_or((None, Vec::new()), |(staged, offsets)| (Some(staged), offsets));
    comm.broadcast(0, &mut offsets);
    let slabs: Vec<Slab<'_>> = vectors
        .iter()
        .zip(&mine)
        .zip(offsets)
        .filter(|((vector, _), _)| !vector.owned.is_empty())
        .map(|((vector, parts), offset)| Slab { vector, parts, offset })
        .collect();
    comm.agree(fill(&temporary_path(place.path), &slabs))?;
    let published = staged.map_or(Ok(()), |staged| {
        staged.sync(place.alone)?;
        staged.publish(place.alone)
    });
    comm.agree(published)?;
    Ok(vectors.iter().map(|vector| vector.layout.global_len() * vector.entry_bytes as u64).sum())
}

/// Makes the file with everything but the entries of vectors; where those go, in order.
fn frame(place: &Place<'_>, checkpoint: &Checkpoint<'_>, sums: &[Vec<u32>]) -> Result<(StagedFile, Vec<u64>)> {
    let mut file = H5File::create(place.alone, place.path)?;
    file.write_attribute("/", "format", FORMAT)?;
    file.write_attribute("/", "version", VERSION)?;
    file.write_attribute("/", "program", concat!("dolmen-io ", env!("CARGO_PKG_VERSION")))?;
    file.write_attribute("/", "generation", place.generation.cast_signed())?;
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    file.write_attribute("/", "unix_time", time.as_secs_f64())?;
    file.write_attribute("/", "ranks", (place.comm.size() as u64).cast_signed())?;
    file.write_attribute("/", "config", checkpoint.config.as_str())?;
    let mut offsets = Vec::new();
    let mut regions = Vec::new();
    for (group, section) in checkpoint.sections() {
        write_small(&file, &group, section)?;
        for (name, vector) in &section.vectors {
            let name = format!("{group}/{VECTORS}/{name}");
            let sums = &sums[offsets.len()];
            write_list(&file, &format!("{CHECKSUMS}/{name}"), sums)?;
            let length = vector.layout.global_len();
            let dataset = file.create_dataset_as(&name, &descriptor(vector.scalar), &[length], &Layout::Contiguous)?;
            let offset = dataset.offset();
            file.write_attribute(&name, "scalar", vector.scalar)?;
            if let Some(offset) = offset {
                regions.push(offset..offset + length * vector.entry_bytes as u64);
            }
            offsets.push(offset.unwrap_or(NOWHERE));
        }
    }
    let staged = file.finish()?.expect("invariant: a new file");
    regions.sort_by_key(|region: &Range<u64>| region.start);
    let appended = trailer::append(staged.temporary(), &regions);
    appended.map_err(|error| Error::io(staged.temporary(), "append to", error))?;
    Ok((staged, offsets))
}

fn write_small(file: &H5File, group: &str, section: &Section<'_>) -> Result<()> {
    let inside = |part: &str| format!("{group}/{part}");
    for part in [TEXTS, INTEGERS, REALS, VECTORS] {
        file.create_group(&inside(part))?;
    }
    if let Some(method) = section.method {
        file.write_attribute(group, "method", method)?;
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

/// This rank's part of a vector.
struct Slab<'s> {
    vector: &'s Entries<'s>,
    parts: &'s [Part],
    /// Where the vector starts in the file.
    offset: u64,
}

/// Writes this rank's slabs to disk and reads them back.
fn fill(path: &Path, slabs: &[Slab<'_>]) -> Result<()> {
    if slabs.is_empty() {
        return Ok(());
    }
    let bytes: usize = slabs.iter().map(|slab| slab.vector.owned.len()).sum();
    let _event = profile::event("CheckpointWrite").bytes(bytes as u64);
    let file = File::options().read(true).write(true).open(path).map_err(|error| Error::io(path, "open", error))?;
    for Slab { vector, offset, .. } in slabs {
        let written = file.write_all_at(vector.owned, offset + vector.first());
        written.map_err(|error| Error::io(path, format!("write {} bytes", vector.owned.len()), error))?;
    }
    file.sync_all().map_err(|error| Error::io(path, "sync", error))?;
    let mut buffer = Vec::new();
    for slab in slabs {
        verify(&file, slab, &mut buffer).map_err(|error| Error::io(path, "read back", error))?;
    }
    Ok(())
}

fn verify(file: &File, slab: &Slab<'_>, buffer: &mut Vec<u8>) -> std::io::Result<()> {
    let first = slab.vector.first();
    for ((block, range), part) in cut(first, slab.vector.owned.len()).zip(slab.parts) {
        buffer.resize(range.len(), 0);
        let start = slab.offset + first + range.start as u64;
        file.read_exact_at(buffer, start)?;
        if Part::of(block, buffer) != *part {
            let what = format!("the {} bytes from {start} are not what was written", range.len());
            return Err(std::io::Error::other(what));
        }
    }
    Ok(())
}
