//! Storage of a sparse matrix in a group: compressed rows or columns, and the names of the arrays.
//!
//! AnnData and MATLAB say it by an attribute. Groups made by hand mostly have `data`, `indices`, `indptr`
//! and `shape` alone: then the length of `indptr` tells rows from columns. For a square matrix it does
//! not, and guessing would read half of them transposed, so that such a group is refused. The files of
//! 10x Genomics, always columns, are known by what else is in the group.

use super::attribute::Attribute;
use super::file::H5File;
use crate::error::{Error, Result};

/// Names that 10x Genomics puts beside the arrays of a matrix.
const TENX: [&str; 3] = ["barcodes", "features", "genes"];

/// Storage of a sparse matrix in a group.
#[derive(Debug)]
pub(super) struct Encoding {
    /// Compressed rows, else columns.
    pub(super) by_rows: bool,
    /// False if there are no entries, and so no datasets of them: MATLAB leaves them out.
    pub(super) has_entries: bool,
    pub(super) rows: u64,
    pub(super) columns: u64,
    pub(super) data: String,
    pub(super) indices: String,
    pub(super) starts: String,
}

impl H5File {
    /// # Collective
    pub(super) fn encoding(&self, group: &str) -> Result<Encoding> {
        let parent = group.trim_end_matches('/');
        let group = if parent.is_empty() { "/" } else { parent };
        let name = |part: &str| format!("{parent}/{part}");
        if let Some(rows) = self.attribute(group, "MATLAB_sparse")? {
            let columns = self.vector_len(&name("jc"))?.saturating_sub(1);
            let Attribute::Integer(rows) = rows else {
                return Err(self.group_error(group, "its attribute MATLAB_sparse is not a number of rows"));
            };
            let rows = rows.max(0).unsigned_abs();
            let (data, indices, starts) = (name("data"), name("ir"), name("jc"));
            let has_entries = self.exists(&data) || self.exists(&indices);
            return Ok(Encoding { by_rows: false, has_entries, rows, columns, data, indices, starts });
        }
        let says = self.attribute(group, "encoding-type")?;
        let shape = self.stored_shape(group, &name("shape"))?;
        let (data, indices, starts) = (name("data"), name("indices"), name("indptr"));
        let (by_rows, [rows, columns]) = match (says, shape) {
            (Some(Attribute::Text(kind)), Some(shape)) if kind == "csr_matrix" => (true, shape),
            (Some(Attribute::Text(kind)), Some(shape)) if kind == "csc_matrix" => (false, shape),
            (None, Some(shape)) => (self.is_by_rows(group, &starts, shape)?, shape),
            _ => {
                let what = "holds no sparse matrix: no attribute encoding-type says csr_matrix or csc_matrix, or \
                            there is no shape, nor an attribute MATLAB_sparse";
                return Err(self.group_error(group, what));
            }
        };
        Ok(Encoding { by_rows, has_entries: true, rows, columns, data, indices, starts })
    }

    /// Returns true if a group without an attribute holds rows.
    fn is_by_rows(&self, group: &str, starts: &str, [rows, columns]: [u64; 2]) -> Result<bool> {
        let parent = group.trim_end_matches('/');
        if TENX.iter().any(|mark| self.exists(&format!("{parent}/{mark}"))) {
            return Ok(false);
        }
        if rows == columns {
            let what = "holds a square matrix and does not say whether its rows or its columns are compressed; give \
                        it the attribute encoding-type = \"csr_matrix\" or \"csc_matrix\"";
            return Err(self.group_error(group, what));
        }
        let lines = self.vector_len(starts)?.checked_sub(1);
        if lines == Some(rows) || lines == Some(columns) {
            return Ok(lines == Some(rows));
        }
        let what = format!("its indptr has neither {rows} + 1 nor {columns} + 1 numbers, as rows or columns need");
        Err(self.group_error(group, what))
    }

    /// Returns the shape by an attribute or a dataset; none if there is neither.
    fn stored_shape(&self, group: &str, dataset: &str) -> Result<Option<[u64; 2]>> {
        let lengths = match self.attribute(group, "shape")? {
            Some(Attribute::Integers(lengths)) => lengths,
            None if !self.exists(dataset) => return Ok(None),
            None => {
                let dataset = self.dataset(dataset)?;
                dataset.read_slab::<i64>(&[0], &dataset.dimensions::<1>()?)?
            }
            Some(_) => Vec::new(),
        };
        match *lengths.as_slice() {
            [rows, columns] if rows.min(columns) >= 0 => Ok(Some([rows.unsigned_abs(), columns.unsigned_abs()])),
            _ => Err(self.group_error(group, format!("its shape is {lengths:?}, not two lengths"))),
        }
    }

    pub(super) fn group_error(&self, group: &str, what: impl Into<String>) -> Error {
        Error::Object {
            path: self.path().to_owned(),
            object: format!("group {}", if group.is_empty() { "/" } else { group }),
            what: what.into(),
        }
    }
}
