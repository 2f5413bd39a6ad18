//! Options with which the library opens and lays out files, and their defaults here.
//!
//! Data that are written are never held back in the library's buffers, so that a failure to write is one of
//! the call that wrote; buffers are settings of reading only.

use hdf5::file::{FileBuilder, FileCloseDegree};

/// Options for a new file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateOptions {
    pub(super) threshold: u64,
    pub(super) alignment: u64,
    metadata_block: u64,
}

impl Default for CreateOptions {
    fn default() -> Self {
        Self { threshold: 1 << 20, alignment: 1 << 20, metadata_block: 1 << 16 }
    }
}

impl CreateOptions {
    /// Creates the default options: data of 1 MiB and more start at multiples of 1 MiB; metadata in blocks of 64 KiB.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Aligns data of at least `threshold` bytes to multiples of `alignment` bytes: the stripe of a
    /// parallel file system, or its block. What lies between is a hole.
    #[must_use]
    pub fn alignment(mut self, threshold: u64, alignment: u64) -> Self {
        (self.threshold, self.alignment) = (threshold, alignment.max(1));
        self
    }

    /// Sets the block size for metadata, in bytes, so that they lie together.
    #[must_use]
    pub fn metadata_block(mut self, bytes: u64) -> Self {
        self.metadata_block = bytes;
        self
    }

    pub(super) fn builder(&self) -> FileBuilder {
        let mut builder = local_builder();
        let list = builder.fapl();
        list.alignment(self.threshold, self.alignment).meta_block_size(self.metadata_block);
        list.sieve_buf_size(0).chunk_cache(1, 0, 0.0);
        builder
    }
}

/// Options for reading a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenOptions {
    chunk_cache: usize,
    sieve_buffer: usize,
    allow_external: bool,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self { chunk_cache: 16 << 20, sieve_buffer: 1 << 20, allow_external: false }
    }
}

impl OpenOptions {
    /// Creates the default options: a cache of 16 MiB for the chunks of each dataset, and a buffer of 1 MiB for
    /// scattered reads.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps this number of bytes of each dataset's chunks, uncompressed: at least one chunk, or slabs that
    /// share a chunk decompress it again.
    #[must_use]
    pub fn chunk_cache(mut self, bytes: usize) -> Self {
        self.chunk_cache = bytes;
        self
    }

    /// Reads at least this number of bytes at once where a slab lies scattered.
    #[must_use]
    pub fn sieve_buffer(mut self, bytes: usize) -> Self {
        self.sieve_buffer = bytes;
        self
    }

    /// Returns whether data are read that lie in other files: external raw storage, virtual datasets, and what external
    /// links lead to. A file can so name any file of the machine; none is followed unless this says so. Those
    /// files are not looked at beforehand, as the file itself is.
    #[must_use]
    pub fn allow_external(mut self, allow: bool) -> Self {
        self.allow_external = allow;
        self
    }

    /// Returns whether data are read that lie in other files.
    #[must_use]
    pub fn allows_external(&self) -> bool {
        self.allow_external
    }

    /// Bytes of chunks that are kept.
    pub(super) fn kept(&self) -> usize {
        self.chunk_cache
    }

    pub(super) fn builder(&self) -> FileBuilder {
        let mut builder = local_builder();
        // A prime, ten times the number of chunks of 64 KiB in the default cache.
        builder.fapl().sieve_buf_size(self.sieve_buffer).chunk_cache(2557, self.chunk_cache, 0.75);
        builder
    }
}

/// Settings in force for an open file, by the library.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InForce {
    /// Data of this number of bytes and more are aligned.
    pub threshold: u64,
    /// Alignment, in bytes.
    pub alignment: u64,
    /// The size of blocks of metadata.
    pub metadata_block: u64,
    /// The size of the cache for chunks.
    pub chunk_cache: usize,
    /// The size of the buffer for scattered reads.
    pub sieve_buffer: usize,
}

impl InForce {
    pub(super) fn of(file: &hdf5::File) -> hdf5::Result<Self> {
        let list = file.access_plist()?;
        let aligned = list.get_alignment()?;
        Ok(Self {
            threshold: aligned.threshold,
            alignment: aligned.alignment,
            metadata_block: list.get_meta_block_size()?,
            chunk_cache: list.get_chunk_cache()?.nbytes,
            sieve_buffer: list.get_sieve_buf_size()?,
        })
    }

    pub(super) fn words(&self) -> [u64; 5] {
        let Self { threshold, alignment, metadata_block, chunk_cache, sieve_buffer } = *self;
        [threshold, alignment, metadata_block, chunk_cache as u64, sieve_buffer as u64]
    }

    pub(super) fn from_words(words: [u64; 5]) -> Self {
        let [threshold, alignment, metadata_block, chunk_cache, sieve_buffer] = words;
        let [chunk_cache, sieve_buffer] =
            [chunk_cache, sieve_buffer].map(|bytes| usize::try_from(bytes).expect("invariant: a size in memory"));
        Self { threshold, alignment, metadata_block, chunk_cache, sieve_buffer }
    }
}

/// Closing such a file closes its datasets too. Rust sees to it that none of them is
/// used any more; but one may still be waiting to be dropped, which otherwise would
/// keep the file open, or the closing from succeeding.
fn local_builder() -> FileBuilder {
    let mut builder = FileBuilder::new();
    builder.fapl().fclose_degree(FileCloseDegree::Strong);
    builder
}
