//! Matrices and vectors in HDF5 files: groups as AnnData, SciPy, 10x Genomics and MATLAB write them, and
//! datasets of numbers, as h5py and PETSc write them.

use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;

use dolmen_core::{Comm, Layout, LinearOperator};
use dolmen_io::hdf5::{Attribute, ElementType, Entry, H5File, Layout as Stored, Link, Object, OpenOptions};
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

/// Options with which all files of this run are opened, from the command line.
static OPTIONS: OnceLock<OpenOptions> = OnceLock::new();

/// Sets how files are opened, before the first is.
pub(crate) fn open_with(options: OpenOptions) {
    // Set once, by the command line.
    let _ = OPTIONS.set(options);
}

/// Opens a file.
///
/// # Collective
pub(crate) fn open(comm: &Comm, path: &std::path::Path) -> Result<H5File> {
    Ok(H5File::open_with(comm, path, OPTIONS.get_or_init(OpenOptions::new))?)
}

/// The groups and datasets of a file, found by their names.
pub(crate) struct Objects {
    pub(crate) all: Vec<Object>,
    places: HashMap<String, usize>,
}

impl Objects {
    /// # Collective
    pub(crate) fn of(file: &H5File) -> Result<Objects> {
        let all = file.objects()?;
        let places = all.iter().enumerate().map(|(place, object)| (object.name.clone(), place)).collect();
        Ok(Objects { all, places })
    }

    fn named(&self, name: &str) -> Option<&Object> {
        self.places.get(name).map(|place| &self.all[*place])
    }

    /// The dataset of this name, maybe through a link.
    pub(crate) fn dataset(&self, name: &str) -> Option<&Object> {
        let found = self.named(name)?;
        let found = if let Some(Link::Object(target)) = &found.link { self.named(target)? } else { found };
        found.dataset.is_some().then_some(found)
    }

    /// Says that a name leads through a link out of the file, if it does.
    fn link_out_of(&self, name: &str) -> Option<String> {
        let ends = name.match_indices('/').map(|(at, _)| at).filter(|at| *at > 0).chain([name.len()]);
        ends.filter_map(|end| self.named(&name[..end])).find_map(leads_out)
    }

    /// Returns whether a group says to be a sparse matrix, or has the parts of one.
    fn is_matrix(&self, object: &Object) -> bool {
        let parent = object.name.trim_end_matches('/');
        let has = |part: &str| self.dataset(&format!("{parent}/{part}")).is_some();
        object.dataset.is_none()
            && has("data")
            && (object.has_attribute("MATLAB_sparse") || (has("indices") && has("indptr")) || (has("ir") && has("jc")))
    }
}

/// Says that an object is a link out of the file that was not followed, if it is.
fn leads_out(object: &Object) -> Option<String> {
    let Some(Link::External(file)) = &object.link else { return None };
    Some(format!("{} leads to another file, {file}, {}", object.name, not_followed()))
}

/// Why a link out of the file was not followed.
pub(crate) fn not_followed() -> &'static str {
    if OPTIONS.get().is_some_and(OpenOptions::allows_external) {
        "which cannot be opened or has no such object"
    } else {
        "which is read only with --allow-external"
    }
}

/// All matrices, and all vectors that are not part of one.
///
/// # Collective
pub(crate) fn find(file: &H5File, objects: &Objects) -> Contents {
    let mut contents = Contents::default();
    let mut groups: HashSet<&str> = HashSet::new();
    for object in objects.all.iter().filter(|object| object.link.is_none()) {
        let name = object.name.clone();
        let is_part = object.name.rsplit_once('/').is_some_and(|(parent, _)| groups.contains(parent));
        let described = if objects.is_matrix(object) {
            groups.insert(object.name.trim_end_matches('/'));
            matrix(file, name.trim_end_matches('/'), objects).map(Some)
        } else if is_part {
            Ok(None)
        } else {
            Ok(vectors(object))
        };
        match described {
            Ok(Some(description)) => contents.found.push(Found { name, description }),
            Ok(None) => {}
            Err(error) => contents.unread.push((name, error)),
        }
    }
    contents
}

/// What is known of a matrix without reading it.
fn matrix(file: &H5File, group: &str, objects: &Objects) -> Result<Description> {
    let (rows, columns) = file.matrix_shape(group)?;
    let data = objects.dataset(&format!("{group}/data"));
    let values = data.and_then(vectors);
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
fn vectors(object: &Object) -> Option<Description> {
    let stored = object.dataset.as_ref()?;
    let mut shape = stored.shape.clone();
    let is_complex = match &stored.element {
        ElementType::Float { .. } | ElementType::Integer { .. } => {
            let says = object.attribute("complex") == Some(&Attribute::Integer(1));
            let pairs = says && shape.len() > 1 && shape.last() == Some(&2);
            shape.truncate(shape.len() - usize::from(pairs));
            pairs
        }
        ElementType::Compound { members, .. } if is_complex(members) => true,
        _ => return None,
    };
    let size = match *shape {
        // MATLAB's vectors are matrices of one row.
        [rows, columns] if rows != 1 || !object.has_attribute("MATLAB_class") => [rows, columns],
        _ => [shape.iter().fold(1, |product: u64, length| product.saturating_mul(*length)), 1],
    };
    Some(Description::full(FORMAT, "array", is_complex, size))
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
    let objects = Objects::of(file)?;
    let Contents { mut found, mut unread } = find(file, &objects);
    if let Some(object) = &location.object {
        let asked = format!("/{}", object.trim_matches('/'));
        let name = file.listed_name(&objects.all, &asked).unwrap_or_else(|| asked.clone());
        if let Some(link) = objects.link_out_of(&name) {
            return Err(location.error(link));
        }
        if let Some(at) = unread.iter().position(|(unread, _)| *unread == name) {
            return Err(unread.swap_remove(at).1);
        }
        let Some(at) = found.iter().position(|found| found.name == name) else {
            let other = objects.dataset(&name).map(|other| format!("; {}", not_numbers(other))).unwrap_or_default();
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
            let other = objects.all.iter().find(|object| object.dataset.is_some());
            let other = other.filter(|_| has_none).map(|other| format!("; {}", not_numbers(other))).unwrap_or_default();
            let link = objects.all.iter().find_map(leads_out).map(|link| format!("; {link}")).unwrap_or_default();
            Err(location.error(format!("holds nothing that is {kind}{other}{link}")))
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
    let file = open(comm, &location.file)?;
    let found = choose(location, &file, |_| true, "a matrix or vectors")?;
    file.close()?;
    Ok(found.description)
}

/// # Collective
pub(crate) fn read_matrix(comm: &Comm, location: &Location) -> Result<(Matrix, Description)> {
    let file = open(comm, &location.file)?;
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
    let file = open(rows.comm(), &location.file)?;
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
