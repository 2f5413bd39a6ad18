//! Matrices and vectors in HDF5 files: groups as AnnData, SciPy, 10x Genomics and MATLAB write them, and
//! datasets of numbers, as h5py and PETSc write them.

use dolmen_core::{Comm, Layout, LinearOperator};
use dolmen_io::hdf5::{Attribute, ElementType, Entry, H5File, Layout as Stored, Link, Object};
use dolmen_io::{Matrix, Vectors};

use crate::error::{Error, Result};
use crate::input::{Description, layouts, require_length, single};
use crate::location::Location;

const FORMAT: &str = "HDF5";
/// The names of what is written where none is given.
const MATRIX: &str = "matrix";
const VECTORS: &str = "vectors";

/// A matrix or vectors in a file.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) name: String,
    pub(crate) description: Description,
}

/// What a file holds that can be read, and what cannot be understood.
#[derive(Default)]
pub(crate) struct Contents {
    pub(crate) found: Vec<Found>,
    /// The names of groups and datasets, and what is wrong with them.
    pub(crate) unread: Vec<(String, Error)>,
}

/// All matrices, and all vectors that are not part of one.
///
/// # Collective
pub(crate) fn find(file: &H5File, objects: &[Object]) -> Contents {
    let mut contents = Contents::default();
    let mut groups: Vec<String> = Vec::new();
    for object in objects.iter().filter(|object| object.link.is_none()) {
        let name = object.name.clone();
        let is_part = groups.iter().any(|group| name.rsplit_once('/').is_some_and(|(parent, _)| parent == group));
        let described = if is_matrix(object, objects) {
            groups.push(name.trim_end_matches('/').to_owned());
            matrix(file, name.trim_end_matches('/'), objects).map(Some)
        } else if is_part {
            Ok(None)
        } else {
            vectors(file, object)
        };
        match described {
            Ok(Some(description)) => contents.found.push(Found { name, description }),
            Ok(None) => {}
            Err(error) => contents.unread.push((name, error)),
        }
    }
    contents
}

/// The dataset of this name, maybe through a link.
pub(crate) fn dataset<'o>(objects: &'o [Object], name: &str) -> Option<&'o Object> {
    let named = |name: &str| objects.iter().find(|object| object.name == name);
    let found = named(name)?;
    let found = if let Some(Link::Object(target)) = &found.link { named(target)? } else { found };
    found.dataset.is_some().then_some(found)
}

/// Whether a group says to be a sparse matrix, or has the parts of one.
fn is_matrix(object: &Object, objects: &[Object]) -> bool {
    let parent = object.name.trim_end_matches('/');
    let has = |part: &str| dataset(objects, &format!("{parent}/{part}")).is_some();
    let says = |name: &str| object.attributes.iter().any(|attribute| attribute == name);
    object.dataset.is_none()
        && has("data")
        && (says("MATLAB_sparse") || (has("indices") && has("indptr")) || (has("ir") && has("jc")))
}

/// What is known of a matrix without reading it.
fn matrix(file: &H5File, group: &str, objects: &[Object]) -> Result<Description> {
    let (rows, columns) = file.matrix_shape(group)?;
    let data = dataset(objects, &format!("{group}/data"));
    let values = data.map(|data| vectors(file, data)).transpose()?.flatten();
    if let (Some(data), None) = (data, &values) {
        return Err(Error::File {
            path: file.path().to_owned(),
            what: format!("group {group}: {}", not_numbers(data)),
        });
    }
    let is_complex = values.as_ref().is_some_and(|values| values.field == "complex");
    let storage = file.matrix_storage(group)?;
    let full = Description::full(FORMAT, storage, is_complex, [rows, columns]);
    Ok(Description { entries: values.map_or(0, |values| values.entries), is_vectors: false, ..full })
}

/// What is known of a dataset of numbers; `None` of any other.
fn vectors(file: &H5File, object: &Object) -> Result<Option<Description>> {
    let Some(stored) = &object.dataset else { return Ok(None) };
    let mut shape = stored.shape.clone();
    let is_complex = match &stored.element {
        ElementType::Float { .. } | ElementType::Integer { .. } => {
            let says = object.attributes.iter().any(|name| name == "complex");
            let pairs = says && shape.len() > 1 && shape.last() == Some(&2);
            let pairs = pairs && file.attribute(&object.name, "complex")? == Some(Attribute::Integer(1));
            shape.truncate(shape.len() - usize::from(pairs));
            pairs
        }
        ElementType::Compound { members, .. } if is_complex(members) => true,
        _ => return Ok(None),
    };
    let size = match *shape {
        // MATLAB's vectors are matrices of one row.
        [rows, columns] if rows != 1 || !object.attributes.iter().any(|name| name == "MATLAB_class") => [rows, columns],
        _ => [shape.iter().product(), 1],
    };
    Ok(Some(Description::full(FORMAT, "array", is_complex, size)))
}

fn is_complex(members: &[dolmen_io::hdf5::Member]) -> bool {
    let names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
    names == ["r", "i"] && members.iter().all(|member| matches!(member.element, ElementType::Float { .. }))
}

/// What a dataset holds that is no vector.
fn not_numbers(object: &Object) -> String {
    let element = object.dataset.as_ref().map(|stored| stored.element.to_string()).unwrap_or_default();
    format!("{} holds {element}: no numbers, nor complex ones, which are compounds of floats r and i", object.name)
}

/// The object that a location names, or the only one that `wanted` likes.
fn choose(location: &Location, file: &H5File, wanted: impl Fn(&Description) -> bool, kind: &str) -> Result<Found> {
    let objects = file.objects()?;
    let Contents { mut found, mut unread } = find(file, &objects);
    if let Some(object) = &location.object {
        let asked = format!("/{}", object.trim_matches('/'));
        let name = file.listed_name(&objects, &asked).unwrap_or_else(|| asked.clone());
        if let Some(at) = unread.iter().position(|(unread, _)| *unread == name) {
            return Err(unread.swap_remove(at).1);
        }
        let Some(at) = found.iter().position(|found| found.name == name) else {
            let other = dataset(&objects, &name).map(|other| format!("; {}", not_numbers(other))).unwrap_or_default();
            return Err(location.error(format!("has no matrix and no vectors named {asked}{other}; {}", list(&found))));
        };
        let chosen = found.swap_remove(at);
        return match wanted(&chosen.description) {
            true => Ok(chosen),
            false => Err(location.error(format!("{name} is not {kind}"))),
        };
    }
    let has_none = found.is_empty();
    found.retain(|found| wanted(&found.description));
    match (found.len(), unread.pop()) {
        (1, _) => Ok(found.swap_remove(0)),
        // What is not understood may be what is wanted.
        (0, Some((_, error))) => Err(error),
        (0, None) => {
            let other = objects.iter().find(|object| object.dataset.is_some());
            let other = other.filter(|_| has_none).map(|other| format!("; {}", not_numbers(other))).unwrap_or_default();
            Err(location.error(format!("holds nothing that is {kind}{other}")))
        }
        _ => Err(location.error(format!("holds several objects; choose one with FILE::OBJECT; {}", list(&found)))),
    }
}

fn list(found: &[Found]) -> String {
    let names: Vec<&str> = found.iter().map(|found| found.name.as_str()).collect();
    if names.is_empty() { "there are none".to_owned() } else { format!("there are {}", names.join(", ")) }
}

/// What is at a location.
///
/// # Collective
pub(crate) fn describe(comm: &Comm, location: &Location) -> Result<Description> {
    let file = H5File::open(comm, &location.file)?;
    let found = choose(location, &file, |_| true, "a matrix or vectors")?;
    file.close()?;
    Ok(found.description)
}

/// # Collective
pub(crate) fn read_matrix(comm: &Comm, location: &Location) -> Result<(Matrix, Description)> {
    let file = H5File::open(comm, &location.file)?;
    let found = choose(location, &file, |found| !found.is_vectors, "a sparse matrix")?;
    let matrix = matrix_of(&file, &found)?;
    file.close()?;
    Ok((matrix, found.description))
}

/// Reads a matrix.
///
/// # Collective
pub(crate) fn matrix_of(file: &H5File, found: &Found) -> Result<Matrix> {
    let Description { rows, columns, ref field, .. } = found.description;
    let [range, domain] = layouts(file.comm(), [rows, columns]);
    let group = found.name.trim_end_matches('/');
    Ok(match field.as_str() {
        "complex" => Matrix::Complex(file.read_matrix(group, &range, &domain)?),
        _ => Matrix::Real(file.read_matrix(group, &range, &domain)?),
    })
}

/// # Collective
pub(crate) fn read_vectors(location: &Location, rows: &Layout) -> Result<(Vectors, Description)> {
    let file = H5File::open(rows.comm(), &location.file)?;
    let found = choose(location, &file, |found| found.is_vectors, "vectors")?;
    require_length(location, &format!("{} ", found.name), found.description.rows, rows)?;
    let vectors = vectors_of(&file, &found, rows)?;
    file.close()?;
    Ok((vectors, found.description))
}

/// Reads vectors.
///
/// # Collective
pub(crate) fn vectors_of(file: &H5File, found: &Found, rows: &Layout) -> Result<Vectors> {
    fn read<T: Entry>(file: &H5File, found: &Found, rows: &Layout) -> Result<dolmen_core::MultiVector<T>> {
        match found.description.columns {
            1 => single(&file.read_vector::<T>(&found.name, rows)?),
            _ => Ok(file.read_multi_vector::<T>(&found.name, rows)?),
        }
    }
    Ok(match found.description.field.as_str() {
        "complex" => Vectors::Complex(read(file, found, rows)?),
        _ => Vectors::Real(read(file, found, rows)?),
    })
}

/// Writes a file of one matrix.
///
/// # Collective
pub(crate) fn write_matrix(location: &Location, matrix: &Matrix) -> Result<()> {
    fn write<T: Entry>(location: &Location, matrix: &dolmen_core::CsrMatrix<T>) -> Result<()> {
        let name = location.object.as_deref().unwrap_or(MATRIX).trim_matches('/');
        let file = H5File::create(matrix.range().comm(), &location.file)?;
        file.write_matrix(name, matrix, &Stored::Contiguous)?;
        Ok(file.close()?)
    }
    match matrix {
        Matrix::Real(matrix) => write(location, matrix),
        Matrix::Complex(matrix) => write(location, matrix),
    }
}

/// Writes a file of one dataset: of one dimension for one vector, of two for several.
///
/// # Collective
pub(crate) fn write_vectors(location: &Location, vectors: &Vectors) -> Result<()> {
    fn write<T: Entry>(location: &Location, vectors: &dolmen_core::MultiVector<T>) -> Result<()> {
        let name = location.object.as_deref().unwrap_or(VECTORS).trim_matches('/');
        let file = H5File::create(vectors.comm(), &location.file)?;
        if vectors.columns() == 1 {
            let mut vector = dolmen_core::Vector::zeros(vectors.layout());
            vectors.copy_column_to(0, &mut vector)?;
            file.write_vector(name, &vector, &Stored::Contiguous)?;
        } else {
            file.write_multi_vector(name, vectors, &Stored::Contiguous)?;
        }
        Ok(file.close()?)
    }
    match vectors {
        Vectors::Real(vectors) => write(location, vectors),
        Vectors::Complex(vectors) => write(location, vectors),
    }
}
