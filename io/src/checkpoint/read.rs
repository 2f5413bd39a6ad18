//! Reading one checkpoint whole, on any number of ranks, with every checksum compared.

use super::checksums::{self, BLOCK, Part, cut};
use super::content::{CHECKSUMS, INTEGERS, REALS, SNAPSHOTS, STATE, TEXTS, VECTORS};
use super::restored::{Restored, Stored, StoredSection};
use super::trailer;
use super::write::{FORMAT, VERSION};
use crate::error::{Error, Result};
use crate::hdf5::{Attribute, ByteOrder, ElementType, H5File, OpenOptions, examine};
use crate::regular_file::open_on_all_ranks;
use dolmen_core::{Comm, Complex32, Complex64, Layout, Scalar, Vector, profile};
use std::any::Any;
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Position of a vector in the file.
struct Located {
    /// Its dataset.
    name: String,
    scalar: String,
    length: u64,
    offset: u64,
    /// The checksums of its blocks, on rank 0.
    sums: Vec<u32>,
}

impl Located {
    /// Refuses a vector that does not lie in a file of this number of bytes: nobody has checked what its dataset
    /// claims.
    fn require_inside(&self, size: u64, entry_bytes: u64) -> Result<(), String> {
        let Located { name, length, offset, .. } = self;
        let end = length.checked_mul(entry_bytes).and_then(|bytes| offset.checked_add(bytes));
        if end.is_some_and(|end| end <= size) {
            return Ok(());
        }
        Err(format!("{name} would have {length} entries from byte {offset} on, beyond the file's {size} bytes"))
    }
}

/// Reads a checkpoint, or says what is damaged, without its path.
///
/// # Collective
///
/// # Errors
///
/// It may be good, but cannot be read by this program on this machine.
pub(super) fn read(comm: &Comm, alone: &Comm, path: &Path) -> Result<Result<Restored, String>> {
    let file = open_on_all_ranks(comm, path)?;
    // Nothing is parsed by the library before one rank has seen that it is undamaged.
    if let Err(damage) = agree(comm, if comm.rank() == 0 { trailer::check(&file) } else { Ok(()) }) {
        return Ok(Err(damage));
    }
    // Checksums are those of whoever wrote it.
    comm.agree(if comm.rank() == 0 { examine(path, &OpenOptions::new()) } else { Ok(()) })?;
    let (restored, located) = comm.agree(describe(alone, path, comm.rank() == 0))?;
    Ok(load_all(comm, &file, restored, located))
}

/// Reads the vectors, or says which is damaged.
///
/// # Collective
fn load_all(comm: &Comm, file: &File, mut restored: Restored, located: Sections) -> Result<Restored, String> {
    for (section, name, vector) in located {
        let entries = match vector.scalar.as_str() {
            "f32" => load::<f32>(comm, file, &vector)?,
            "f64" => load::<f64>(comm, file, &vector)?,
            "c32" => load::<Complex32>(comm, file, &vector)?,
            "c64" => load::<Complex64>(comm, file, &vector)?,
            other => return Err(format!("{}: the type of numbers {other} is not known", vector.name)),
        };
        let stored = Stored { scalar: vector.scalar, length: vector.length, entries };
        restored.section(&section).vectors.insert(name, stored);
    }
    Ok(restored)
}

fn agree<T>(comm: &Comm, result: Result<T, String>) -> Result<T, String> {
    comm.agree(result).map_err(|error| error.message().to_owned())
}

type Sections = Vec<(String, String, Located)>;

/// Everything but the entries of vectors: each rank for itself, since it is little.
fn describe(alone: &Comm, path: &Path, with_sums: bool) -> Result<(Restored, Sections)> {
    let file = H5File::open_examined(alone, path, &OpenOptions::new())?;
    let wrong = |what: String| Error::File { path: path.to_owned(), what };
    let (format, version) = (file.attribute_text("/", "format")?, file.attribute_i64("/", "version")?);
    if format != FORMAT || version != VERSION {
        return Err(wrong(format!(
            "is {format} of version {version}; this program reads {FORMAT} of version {VERSION}"
        )));
    }
    let mut restored = Restored {
        path: path.to_owned(),
        generation: file.attribute_i64("/", "generation")?.cast_unsigned(),
        unix_time: file.attribute_f64("/", "unix_time")?,
        ranks: file.attribute_i64("/", "ranks")?.cast_unsigned(),
        config: file.attribute_text("/", "config")?,
        skipped: Vec::new(),
        own: StoredSection::default(),
        snapshots: BTreeMap::new(),
    };
    let mut located = Vec::new();
    let names = if file.exists(SNAPSHOTS) { file.children(SNAPSHOTS)? } else { Vec::new() };
    let groups = names.into_iter().map(|name| (format!("{SNAPSHOTS}/{name}"), name));
    for (group, section) in groups.chain([(STATE.to_owned(), String::new())]) {
        let stored = restored.section(&section);
        if let Some(Attribute::Text(method)) = file.attribute(&group, "method")? {
            stored.method = method;
        }
        read_small(&file, &group, stored)?;
        for name in file.children(&format!("{group}/{VECTORS}"))? {
            let vector = locate(&file, format!("{group}/{VECTORS}/{name}"), with_sums)?;
            located.push((section.clone(), name, vector));
        }
    }
    file.close()?;
    Ok((restored, located))
}

fn read_small(file: &H5File, group: &str, section: &mut StoredSection) -> Result<()> {
    let inside = |part: &str| format!("{group}/{part}");
    for name in file.attribute_names(&inside(TEXTS))? {
        let value = file.attribute_text(&inside(TEXTS), &name)?;
        section.texts.insert(name, value);
    }
    for name in file.attribute_names(&inside(INTEGERS))? {
        let value = file.attribute_i64(&inside(INTEGERS), &name)?;
        section.integers.insert(name, value.cast_unsigned());
    }
    for name in file.children(&inside(REALS))? {
        let dataset = file.dataset(&format!("{group}/{REALS}/{name}"))?;
        let values = dataset.read_slab::<f64>(&[0], &dataset.dimensions::<1>()?)?;
        section.reals.insert(name, values);
    }
    Ok(())
}

fn locate(file: &H5File, name: String, with_sums: bool) -> Result<Located> {
    let dataset = file.dataset(&name)?;
    let [length] = dataset.dimensions::<1>()?;
    let scalar = file.attribute_text(&name, "scalar")?;
    let native = if cfg!(target_endian = "little") { ByteOrder::Little } else { ByteOrder::Big };
    let order = match dataset.element_type() {
        ElementType::Compound { members, .. } => members.first().map(|member| &member.element),
        element => Some(element),
    };
    if !matches!(order, Some(ElementType::Float { order, .. }) if *order == native) {
        let what = "was written on a machine with another byte order; resume it on such a machine".to_owned();
        return Err(Error::Dataset { path: file.path().to_owned(), dataset: name, what });
    }
    let sums = if with_sums {
        let sums = file.dataset(&format!("{CHECKSUMS}/{name}"))?;
        sums.read_slab::<u32>(&[0], &sums.dimensions::<1>()?)?
    } else {
        Vec::new()
    };
    // A vector without entries is nowhere.
    Ok(Located { offset: dataset.offset().unwrap_or(0), name, scalar, length, sums })
}

/// Reads a vector, evenly over the ranks, and compares its checksums.
///
/// # Collective
fn load<T: Scalar>(comm: &Comm, file: &File, located: &Located) -> Result<Box<dyn Any>, String> {
    let size = agree(comm, file.metadata().map_err(|error| format!("cannot be read: {error}")))?.len();
    agree(comm, located.require_inside(size, size_of::<T>() as u64))?;
    let mut vector = Vector::<T>::zeros(&Layout::uniform(comm, located.length));
    let first = vector.range().start * size_of::<T>() as u64;
    let bytes: &mut [u8] = bytemuck::cast_slice_mut(vector.owned_mut());
    let _event = profile::event("CheckpointRead").bytes(bytes.len() as u64);
    let mut parts = Vec::new();
    let mut read = || -> std::io::Result<()> {
        for (_, range) in cut(BLOCK, first, bytes.len()) {
            let first = first + range.start as u64;
            let piece = &mut bytes[range];
            file.read_exact_at(piece, located.offset + first)?;
            parts.push(Part::of(first, piece));
        }
        Ok(())
    };
    agree(comm, read().map_err(|error| format!("{}: cannot be read: {error}", located.name)))?;
    let sums = checksums::gather(comm, &parts);
    let compared = if comm.rank() == 0 { compare(located, &sums) } else { Ok(()) };
    agree(comm, compared)?;
    Ok(Box::new(vector))
}

fn compare(located: &Located, found: &[u32]) -> Result<(), String> {
    if *found == located.sums {
        return Ok(());
    }
    let block = found.iter().zip(&located.sums).position(|(found, stored)| found != stored).unwrap_or(0) as u64;
    let name = &located.name;
    Err(format!("{name} is damaged: its bytes {}..{} do not match their checksum", block * BLOCK, (block + 1) * BLOCK))
}
