//! Reading chunked data: the library finds a chunk, the rest is done here.
//!
//! A chunk that the library unpacks itself takes what its bytes say: a megabyte of deflated zeros becomes a
//! gigabyte, and one that unpacks to less than a chunk is read beyond its end. Here sizes are compared before
//! memory is asked for, and a chunk unpacks to its own size or is an error. Chunks with other filters than
//! deflate, shuffle, fletcher32 and lzf are left to the library, after a child process has read them (`guard`).

mod ffi;
mod filter;
mod lzf;
mod runs;

use super::error::reason;
use super::ffi::{Buffer, describe, filters, transfer};
use super::filters::StoredFilter;
use super::slab::Slab;
use filter::Step;
use hdf5::Dataset;
use hdf5::dataset::Layout;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

/// Chunks are at most so much longer stored than they are: what filters add to data that do not pack.
const MOST_STORED: u64 = 2;
const OVERHEAD: u64 = 4096;

/// The chunks of a dataset, and those that were read last.
#[derive(Debug)]
pub(super) struct Chunks {
    chunk: Vec<u64>,
    file_type: hdf5::Datatype,
    steps: Vec<Step>,
    cache: Cache,
}

impl Chunks {
    /// Returns the chunks of a dataset, if it has any and they are read here; the last `kept` bytes of them are kept.
    pub(super) fn of(dataset: &Dataset, kept: usize) -> hdf5::Result<Option<Self>> {
        let Some(chunk) = dataset.chunk() else { return Ok(None) };
        let filters = filters(dataset)?;
        let steps: Option<Vec<Step>> = filters.iter().map(Step::of).collect();
        let Some(steps) = steps.filter(|_| !ffi::leaves_edges_alone(dataset).unwrap_or(true)) else { return Ok(None) };
        let lengths = |lengths: Vec<usize>| lengths.into_iter().map(|length| length as u64).collect::<Vec<u64>>();
        let (chunk, file_type) = (lengths(chunk), dataset.dtype()?);
        // What a chunk holds of strings of variable length only the library can follow.
        if describe(&file_type)?.has_variable_length() {
            return Ok(None);
        }
        Ok(Some(Self { chunk, file_type, steps, cache: Cache { kept, ..Cache::default() } }))
    }

    /// Bytes of a chunk, unpacked.
    fn bytes(&self) -> u64 {
        self.chunk.iter().fold(self.file_type.size() as u64, |product, length| product.saturating_mul(*length))
    }

    /// Reads a slab into `out`, which has its size in elements of the memory type.
    pub(super) fn read(
        &mut self,
        dataset: &Dataset,
        memory: &hdf5::Datatype,
        slab: &Slab,
        out: &mut [u8],
    ) -> Result<(), String> {
        let same = ffi::is_same(&self.file_type, memory);
        let failed = |error: hdf5::Error| format!("transfer failed: {}", reason(&error));
        let fill = ffi::fill_value(dataset, memory).map_err(failed)?;
        let mut converted = Vec::new();
        for place in runs::chunks(slab, &self.chunk) {
            let runs = runs::Runs::new(slab, &self.chunk, &place);
            let element = memory.size();
            let Some(stored) = self.chunk_at(dataset, &place)? else {
                runs.each(|_, to, length| {
                    out[to * element..(to + length) * element]
                        .chunks_exact_mut(element)
                        .for_each(|one| one.copy_from_slice(&fill));
                });
                continue;
            };
            if same {
                runs.each(|from, to, length| {
                    let values = &stored[from * element..(from + length) * element];
                    out[to * element..(to + length) * element].copy_from_slice(values);
                });
                continue;
            }
            let width = self.file_type.size();
            converted.clear();
            runs.each(|from, _, length| converted.extend_from_slice(&stored[from * width..(from + length) * width]));
            let count = converted.len() / width;
            ffi::convert(&self.file_type, memory, count, &mut converted).map_err(failed)?;
            let mut done = 0;
            runs.each(|_, to, length| {
                let values = &converted[done * element..(done + length) * element];
                out[to * element..(to + length) * element].copy_from_slice(values);
                done += length;
            });
        }
        Ok(())
    }

    /// Returns a chunk, unpacked; none if it was never written.
    fn chunk_at(&mut self, dataset: &Dataset, place: &[u64]) -> Result<Option<Rc<Vec<u8>>>, String> {
        let key = place.to_vec();
        if let Some(found) = self.cache.get(&key) {
            return Ok(Some(found));
        }
        let offset: Vec<u64> = place.iter().zip(&self.chunk).map(|(place, length)| place * length).collect();
        let wrong = |what: String| format!("chunk at {offset:?}: {what}");
        let failed = |error: hdf5::Error| wrong(format!("cannot be read: {}", reason(&error)));
        let Some(stored) = ffi::stored(dataset, &offset).map_err(failed)? else { return Ok(None) };
        let bytes = self.bytes();
        let steps: Vec<Step> =
            self.steps.iter().enumerate().filter(|(at, _)| !stored.skips(*at)).map(|(_, step)| *step).collect();
        let most = if steps.is_empty() { bytes } else { bytes.saturating_mul(MOST_STORED).saturating_add(OVERHEAD) };
        if stored.bytes > most || (steps.is_empty() && stored.bytes != bytes) {
            return Err(wrong(format!(
                "has {} bytes stored, too many or too few for {bytes} unpacked; it is damaged",
                stored.bytes
            )));
        }
        let too_large = || wrong(format!("{bytes} bytes do not fit into the memory"));
        let room = usize::try_from(stored.bytes).map_err(|_| too_large())?;
        let raw = dolmen_core::memory::try_zeros(room).ok_or_else(too_large)?;
        let raw = ffi::raw(dataset, &offset, raw).map_err(failed)?;
        let bytes = usize::try_from(bytes).map_err(|_| too_large())?;
        let chunk = Rc::new(filter::undo(&steps, raw, bytes).map_err(wrong)?);
        self.cache.put(key, &chunk);
        Ok(Some(chunk))
    }
}

/// Returns the filters that are not installed, with their numbers. If all filters are undone here, the library needs
/// none of them.
pub(super) fn missing(filters: &[StoredFilter]) -> Vec<String> {
    if filters.iter().all(|filter| Step::of(filter).is_some()) {
        return Vec::new();
    }
    filters.iter().filter(|filter| !filter.is_available).map(StoredFilter::with_number).collect()
}

/// Looks at the data of a dataset as far as the library is trusted with them, in a child process.
pub(super) fn examine(dataset: &Dataset, length: u64) -> Result<(), String> {
    let failed = |error: hdf5::Error| reason(&error);
    let space = dataset.space().map_err(failed)?;
    if space.is_null() {
        return Ok(());
    }
    let file_type = dataset.dtype().map_err(failed)?;
    if let Some(memory) = describe(&file_type).map_err(failed)?.memory_type() {
        let memory = hdf5::Datatype::from_descriptor(&memory).map_err(failed)?;
        // Types may be damaged too; what can be converted is seen by one element.
        let mut element = vec![0; file_type.size()];
        let _ = ffi::convert(&file_type, &memory, 1, &mut element);
    }
    let elements = dataset.shape().iter().fold(1, |product: u64, length| product.saturating_mul(*length as u64));
    let bytes = elements.saturating_mul(file_type.size() as u64);
    match dataset.layout() {
        Layout::Compact if dataset.storage_size() != bytes => {
            Err(format!("has {} bytes stored, but should have {bytes}", dataset.storage_size()))
        }
        Layout::Chunked => examine_chunks(dataset, &file_type, length),
        _ => Ok(()),
    }
}

fn examine_chunks(dataset: &Dataset, file_type: &hdf5::Datatype, length: u64) -> Result<(), String> {
    let failed = |error: hdf5::Error| reason(&error);
    // Goes through the whole index.
    let count = ffi::count(dataset).map_err(failed)?;
    let stored = dataset.storage_size();
    if stored > length {
        return Err(format!("has {stored} bytes stored in {count} chunks, more than the file has"));
    }
    if Chunks::of(dataset, 0).map_err(failed)?.is_some()
        || filters(dataset).map_err(failed)?.iter().any(|filter| !filter.is_available)
    {
        return Ok(());
    }
    let lengths = |lengths: Vec<usize>| lengths.into_iter().map(|length| length as u64).collect::<Vec<u64>>();
    let (shape, chunk) = (lengths(dataset.shape()), lengths(dataset.chunk().unwrap_or_default()));
    let whole = Slab { start: vec![0; shape.len()], count: shape.clone() };
    let mut buffer = Vec::new();
    for place in runs::chunks(&whole, &chunk) {
        let start: Vec<u64> = place.iter().zip(&chunk).map(|(place, length)| place * length).collect();
        if ffi::stored(dataset, &start).map_err(failed)?.is_some() {
            // One element has the library unpack the chunk.
            buffer.resize(file_type.size(), 0);
            let one = Slab { count: vec![1; start.len()], start };
            transfer(dataset, file_type, &one, Buffer::Read(&mut buffer)).map_err(failed)?;
        }
    }
    Ok(())
}

/// The chunks that were read last.
#[derive(Debug, Default)]
struct Cache {
    /// Bytes that are kept; one chunk always is.
    kept: usize,
    held: usize,
    clock: u64,
    chunks: HashMap<Vec<u64>, (u64, Rc<Vec<u8>>)>,
    by_age: BTreeMap<u64, Vec<u64>>,
}

impl Cache {
    fn get(&mut self, key: &Vec<u64>) -> Option<Rc<Vec<u8>>> {
        let (age, chunk) = self.chunks.get_mut(key)?;
        let name = self.by_age.remove(age).expect("invariant: each chunk has an age");
        self.clock += 1;
        *age = self.clock;
        self.by_age.insert(*age, name);
        Some(Rc::clone(chunk))
    }

    fn put(&mut self, key: Vec<u64>, chunk: &Rc<Vec<u8>>) {
        self.held += chunk.len();
        while self.held > self.kept
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            let dropped = self.chunks.remove(&oldest).map_or(0, |(_, chunk)| chunk.len());
            self.held -= dropped;
        }
        self.clock += 1;
        self.by_age.insert(self.clock, key.clone());
        self.chunks.insert(key, (self.clock, Rc::clone(chunk)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_drops_what_was_not_used_longest() {
        let mut cache = Cache { kept: 20, ..Cache::default() };
        let chunk = |value: u8| Rc::new(vec![value; 10]);
        cache.put(vec![0], &chunk(0));
        cache.put(vec![1], &chunk(1));
        assert_eq!(cache.get(&vec![0]), Some(chunk(0)));
        cache.put(vec![2], &chunk(2));
        assert_eq!((cache.get(&vec![1]), cache.get(&vec![0])), (None, Some(chunk(0))));
        let large = Rc::new(vec![3; 100]);
        cache.put(vec![3], &large);
        assert_eq!((cache.get(&vec![3]), cache.get(&vec![0]), cache.held), (Some(large), None, 100));
    }
}
