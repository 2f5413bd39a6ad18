//! Layout of a dataset in the file.

/// Layout of a dataset in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// In one piece: the fastest for slabs.
    #[default]
    Contiguous,
    /// In chunks of this shape.
    Chunked(Vec<u64>),
    /// In chunks, shuffled and deflated.
    Compressed {
        /// The shape of a chunk.
        chunk: Vec<u64>,
        /// Level of compression, 0 to 9.
        level: u8,
    },
}

impl Layout {
    pub(super) fn chunk(&self) -> Option<&[u64]> {
        match self {
            Self::Contiguous => None,
            Self::Chunked(chunk) | Self::Compressed { chunk, .. } => Some(chunk),
        }
    }
}
