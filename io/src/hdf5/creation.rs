//! Creation of datasets.

use super::dataset::Dataset;
use super::element::Element;
use super::error::reason;
use super::file::H5File;
use super::layout::Layout;
use super::options::CreateOptions;
use super::sink::Sink;
use super::space;
use crate::error::Result;
use hdf5::dataset::{AllocTime, FillTime};

impl H5File {
    /// Creates a dataset of elements of type `T`, with the groups above it. What is
    /// never written holds arbitrary bytes or zeros: space is not filled beforehand.
    ///
    /// # Collective
    ///
    /// # Errors
    ///
    /// There is something of this name already, the shape or the chunks are not
    /// possible, or the file is only read.
    pub fn create_dataset<T: Element>(&self, name: &str, shape: &[u64], layout: &Layout) -> Result<Dataset<'_>> {
        self.create_dataset_as(name, &T::descriptor(), shape, layout)
    }

    pub(crate) fn create_dataset_as(
        &self,
        name: &str,
        element: &hdf5::types::TypeDescriptor,
        shape: &[u64],
        layout: &Layout,
    ) -> Result<Dataset<'_>> {
        let planned = self.plan(name, element.size(), shape, layout);
        let (extents, chunk, bytes) = self.comm().agree(planned)?;
        self.reserve(bytes)?;
        let created = self.on_holders(|file| {
            // Early: what is written later then changes nothing but the data.
            let builder = file.new_dataset_builder().fill_time(FillTime::Never).alloc_time(Some(AllocTime::Early));
            let builder = builder.obj_track_times(false);
            let builder = match chunk {
                None => builder.no_chunk(),
                Some(chunk) => builder.chunk(chunk),
            };
            let builder = match layout {
                Layout::Compressed { level, .. } => builder.shuffle().deflate(*level),
                Layout::Contiguous | Layout::Chunked(_) => builder,
            };
            // Without gaps between the columns of a table, as what is written has none.
            let created = builder.packed(true).empty_as(element.clone()).shape(extents).create(name);
            created.map_err(|refused| self.dataset_error(name, reason(&refused)))
        })?;
        let sink =
            Sink::new(self.comm(), created, element, layout).map_err(|error| self.dataset_error(name, reason(&error)));
        let dataset = sink.and_then(|sink| Dataset::being_written(self, name, shape, sink));
        self.comm().agree(dataset)
    }

    /// Returns the extents of a new dataset and its chunks, and the bytes that it takes.
    fn plan(
        &self,
        name: &str,
        element_bytes: usize,
        shape: &[u64],
        layout: &Layout,
    ) -> Result<(Vec<usize>, Option<Vec<usize>>, u64)> {
        let error = |what: &str| self.dataset_error(name, what);
        let extents = to_usize(shape).ok_or_else(|| error("too large for this machine"))?;
        let chunk = match layout.chunk() {
            None => None,
            Some(chunk) => {
                if chunk.len() != shape.len() || chunk.contains(&0) {
                    return Err(error(&format!("chunks {chunk:?} do not suit the shape {shape:?}")));
                }
                Some(to_usize(chunk).ok_or_else(|| error("chunks too large"))?)
            }
        };
        if let Layout::Compressed { level: 10.., .. } = layout {
            return Err(error("the level of compression is 0 to 9"));
        }
        let bytes = space::data_bytes(element_bytes, shape, layout);
        let bytes = bytes.and_then(|bytes| bytes.checked_add(self.alignment_bytes(bytes, layout)));
        let bytes = bytes.and_then(|bytes| bytes.checked_add(self.object_bytes(name)));
        let bytes = bytes.ok_or_else(|| error("exceeds 2^64 bytes"))?;
        Ok((extents, chunk, bytes))
    }

    /// Returns the bytes that alignment may add to a dataset of `bytes` bytes.
    fn alignment_bytes(&self, bytes: u64, layout: &Layout) -> u64 {
        let CreateOptions { threshold, alignment, .. } = *self.create_options();
        let pieces = match layout {
            Layout::Contiguous => 1,
            // Each chunk may be aligned; chunks below the threshold are not, and so are not so many.
            Layout::Chunked(_) | Layout::Compressed { .. } => bytes / threshold.max(1) + 1,
        };
        if bytes < threshold { 0 } else { pieces.saturating_mul(alignment) }
    }
}

fn to_usize(lengths: &[u64]) -> Option<Vec<usize>> {
    lengths.iter().map(|length| usize::try_from(*length).ok()).collect()
}
