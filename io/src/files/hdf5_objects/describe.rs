//! Matrices and vectors among groups and datasets, found by their names, types and attributes alone.

use super::listed::Listed;
use crate::error::{Error, Result};
use crate::files::{Description, Field, Format, Storage};
use crate::hdf5::{Attribute, ElementType, H5File, Object};
use std::collections::HashSet;

/// A matrix or vectors in an HDF5 file.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Found {
    /// Its path from the root, `/`.
    pub name: String,
    /// Its size and kind, as the file says them.
    pub description: Description,
}

/// Finds all matrices, and all vectors that are not part of one; and the names of what looks like a matrix, with what
/// keeps it from being read.
pub(super) fn find(file: &H5File, listed: &Listed) -> (Vec<Found>, Vec<(String, Error)>) {
    let (mut found, mut unread) = (Vec::new(), Vec::new());
    let mut groups: HashSet<&str> = HashSet::new();
    for object in listed.objects().iter().filter(|object| object.link.is_none()) {
        let name = object.name.clone();
        let is_part = object.name.rsplit_once('/').is_some_and(|(parent, _)| groups.contains(parent));
        let described = if is_matrix(listed, object) {
            groups.insert(object.name.trim_end_matches('/'));
            describe_matrix(file, listed, name.trim_end_matches('/')).map(Some)
        } else if is_part {
            Ok(None)
        } else {
            Ok(vectors(object))
        };
        match described {
            Ok(Some(description)) => found.push(Found { name, description }),
            Ok(None) => {}
            Err(error) => unread.push((name, error)),
        }
    }
    (found, unread)
}

/// Returns whether a group says to be a sparse matrix, or has the parts of one.
fn is_matrix(listed: &Listed, object: &Object) -> bool {
    let parent = object.name.trim_end_matches('/');
    let has = |part: &str| listed.dataset(&format!("{parent}/{part}")).is_some();
    // MATLAB leaves out the datasets of no entries.
    let is_matlab = object.has_attribute("MATLAB_sparse") && (has("data") || has("jc"));
    let has_starts = (has("indices") && has("indptr")) || (has("ir") && has("jc"));
    object.dataset.is_none() && (is_matlab || (has("data") && has_starts))
}

/// Describes a matrix without reading it.
fn describe_matrix(file: &H5File, listed: &Listed, group: &str) -> Result<Description> {
    let (rows, columns) = file.matrix_shape(group)?;
    let data = listed.dataset(&format!("{group}/data"));
    let values = data.and_then(numbers);
    if let (Some(data), None) = (data, &values) {
        return Err(Error::argument(file.path(), format!("group {group}: {}", not_numbers(data))));
    }
    let field = values.as_ref().map_or(Field::Real, |values| values.field);
    let full = Description::full(Format::Hdf5, file.matrix_storage(group)?, field, [rows, columns]);
    Ok(Description { entries: values.map_or(0, |values| values.entries), ..full })
}

/// Describes a dataset of numbers; `None` for any other, and for masks: true and false alone are no vector.
fn vectors(object: &Object) -> Option<Description> {
    let is_mask = object.dataset.as_ref().is_some_and(|stored| stored.element == ElementType::Boolean);
    numbers(object).filter(|_| !is_mask)
}

/// Describes a dataset of numbers, which may be true and false for 1 and 0.
fn numbers(object: &Object) -> Option<Description> {
    let stored = object.dataset.as_ref()?;
    let mut shape = stored.shape.clone();
    let is_complex = match &stored.element {
        ElementType::Float { .. } | ElementType::Integer { .. } => {
            let says = object.attribute("complex") == Some(&Attribute::Integer(1));
            let pairs = says && shape.len() > 1 && shape.last() == Some(&2);
            shape.truncate(shape.len() - usize::from(pairs));
            pairs
        }
        ElementType::Boolean => false,
        element => element.complex_parts().map(|_| true)?,
    };
    let size = match *shape {
        // MATLAB's vectors are matrices of one row.
        [rows, columns] if rows != 1 || !object.has_attribute("MATLAB_class") => [rows, columns],
        _ => [shape.iter().fold(1, |product: u64, length| product.saturating_mul(*length)), 1],
    };
    let field = if is_complex { Field::Complex } else { Field::Real };
    Some(Description::full(Format::Hdf5, Storage::Array, field, size))
}

/// Says that a dataset holds no numbers, and what it holds.
pub(super) fn not_numbers(object: &Object) -> String {
    let element = object.dataset.as_ref().map(|stored| stored.element.to_string()).unwrap_or_default();
    let complex = "complex ones, which are compounds of floats r and i, or real and imag";
    format!("{} holds {element}: no numbers, nor {complex}", object.name)
}
