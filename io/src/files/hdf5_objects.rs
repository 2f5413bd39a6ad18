//! Matrices and vectors in HDF5 files: groups as AnnData, SciPy, 10x Genomics and MATLAB write them, and
//! datasets of numbers, as h5py and PETSc write them.

mod check;
mod describe;
mod listed;

use super::checks::{check_object_length, require_field};
use super::wanted::Wanted;
use super::{Description, Location};
use crate::checkpoint;
use crate::error::{Error, Result};
use crate::hdf5::{Attribute, Entry, H5File, Layout as Stored, Link, Object, OpenOptions};
pub use describe::Found;
use describe::{find, not_numbers};
use dolmen_core::{Comm, CsrMatrix, Layout, LinearOperator, MultiVector, Vector};
use listed::Listed;

/// The names of what is written where none is given.
const MATRIX: &str = "matrix";
const VECTORS: &str = "vectors";

/// All that an HDF5 file holds: its groups and datasets, and which of them are matrices and vectors.
#[derive(Debug)]
pub struct Hdf5Contents {
    file: H5File,
    listed: Listed,
    found: Vec<Found>,
    unread: Vec<(String, Error)>,
}

impl Hdf5Contents {
    /// Opens a file and looks at all that is in it, but not at data.
    ///
    /// # Collective
    ///
    /// # Errors
    /// The file cannot be opened, or is damaged.
    pub fn open(comm: &Comm, from: &Location) -> Result<Hdf5Contents> {
        let file = H5File::open_with(comm, &from.file, &OpenOptions::new().allow_external(from.allow_external))?;
        let listed = Listed::new(file.objects()?);
        let (found, unread) = find(&file, &listed);
        Ok(Hdf5Contents { file, listed, found, unread })
    }

    /// Works like [`Hdf5Contents::open`], but refuses a damaged checkpoint, which HDF5 alone would not find.
    ///
    /// # Collective
    ///
    /// # Errors
    /// As [`Hdf5Contents::open`]; the file is a checkpoint and has other checksums than it says.
    pub fn open_verified(comm: &Comm, from: &Location) -> Result<Hdf5Contents> {
        // Of the two signs of a checkpoint, the damage may have taken the other.
        let mut is_one = [u64::from(comm.rank() == 0 && checkpoint::ends_as_one(&from.file))];
        comm.all_reduce_max(&mut is_one);
        if is_one == [1] {
            checkpoint::verify(comm, &from.file)?;
        }
        let contents = Hdf5Contents::open(comm, from)?;
        let format = contents.file.attribute("/", "format")?;
        if is_one == [0] && format == Some(Attribute::Text(checkpoint::FORMAT.to_owned())) {
            checkpoint::verify(comm, &from.file)?;
        }
        Ok(contents)
    }

    /// Returns the groups and datasets, and the links that lead to them by other names.
    #[must_use]
    pub fn objects(&self) -> &[Object] {
        self.listed.objects()
    }

    /// Returns all matrices, and all vectors that are not part of one.
    #[must_use]
    pub fn found(&self) -> &[Found] {
        &self.found
    }

    /// Returns the names of groups and datasets that look like a matrix, and what keeps them from being read.
    #[must_use]
    pub fn unread(&self) -> &[(String, Error)] {
        &self.unread
    }

    /// Closes the file.
    ///
    /// # Collective
    ///
    /// # Errors
    /// The library cannot close it.
    pub fn close(self) -> Result<()> {
        self.file.close()
    }

    /// Returns the reason for which a link out of the file was not followed.
    #[must_use]
    pub fn not_followed(&self) -> &'static str {
        if self.file.allows_external() {
            "which cannot be opened or has no such object"
        } else {
            "which is read only with --allow-external"
        }
    }

    /// Says that a name leads through a link out of the file, if it does.
    fn link_out_of(&self, name: &str) -> Option<String> {
        let ends = name.match_indices('/').map(|(at, _)| at).filter(|at| *at > 0).chain([name.len()]);
        ends.filter_map(|end| self.listed.named(&name[..end])).find_map(|object| self.leads_out(object))
    }

    /// Says that an object is a link out of the file that was not followed, if it is.
    fn leads_out(&self, object: &Object) -> Option<String> {
        let Some(Link::External(file)) = &object.link else { return None };
        Some(format!("{} leads to another file, {file}, {}", object.name, self.not_followed()))
    }

    /// Returns the object that a location names, or the only one that is wanted.
    fn choose(&mut self, from: &Location, wanted: Wanted) -> Result<Found> {
        match &from.object {
            Some(object) => self.choose_named(from, object, wanted),
            None => self.choose_only(from, wanted),
        }
    }

    fn choose_named(&mut self, from: &Location, object: &str, wanted: Wanted) -> Result<Found> {
        let asked = format!("/{}", object.trim_matches('/'));
        let name = self.file.listed_name(self.objects(), &asked).unwrap_or_else(|| asked.clone());
        if let Some(link) = self.link_out_of(&name) {
            return Err(from.error(link));
        }
        if let Some(at) = self.unread.iter().position(|(unread, _)| *unread == name) {
            return Err(self.unread.swap_remove(at).1);
        }
        let Some(found) = self.found.iter().find(|found| found.name == name) else {
            let other = self.listed.dataset(&name).map(|other| format!("; {}", not_numbers(other))).unwrap_or_default();
            if let Some(matrix) = self.matrix_around(&name) {
                let what = format!("{name} is a part of the matrix {matrix}, not a vector; name the matrix");
                return Err(from.error(format!("{what}, FILE::{matrix}")));
            }
            let list = list(&self.found);
            return Err(from.error(format!("has no matrix and no vectors named {asked}{other}; {list}")));
        };
        if wanted.fits(&found.description) {
            Ok(found.clone())
        } else {
            Err(from.error(format!("{name} cannot be read as {}", wanted.name())))
        }
    }

    /// Returns the matrix of which an object is a part.
    fn matrix_around(&self, name: &str) -> Option<&str> {
        let (parent, _) = name.rsplit_once('/')?;
        let is_around = |found: &&Found| !found.description.is_vectors() && found.name.trim_end_matches('/') == parent;
        self.found.iter().find(is_around).map(|found| found.name.as_str())
    }

    fn choose_only(&mut self, from: &Location, wanted: Wanted) -> Result<Found> {
        let fitting: Vec<&Found> = self.found.iter().filter(|found| wanted.fits(&found.description)).collect();
        match fitting[..] {
            [only] => return Ok(only.clone()),
            [] => {}
            _ => {
                let list = list(fitting);
                return Err(from.error(format!("holds several objects; choose one with FILE::OBJECT; {list}")));
            }
        }
        // What is not understood may be what is wanted.
        if let Some((_, error)) = self.unread.pop() {
            return Err(error);
        }
        let other = self.objects().iter().find(|object| object.dataset.is_some() && self.found.is_empty());
        let other = other.map(|other| format!("; {}", not_numbers(other))).unwrap_or_default();
        let link = self.objects().iter().find_map(|object| self.leads_out(object));
        let link = link.map(|link| format!("; {link}")).unwrap_or_default();
        Err(from.error(format!("holds no object that can be read as {}{other}{link}", wanted.name())))
    }

    /// # Collective
    fn matrix<T: Entry>(&self, found: &Found) -> Result<CsrMatrix<T>> {
        let Description { rows, columns, field, .. } = found.description;
        require_field::<T>(self.file.path(), field)?;
        let range = Layout::uniform(self.file.comm(), rows);
        let domain = if rows == columns { range.clone() } else { Layout::uniform(self.file.comm(), columns) };
        self.file.read_matrix(found.name.trim_end_matches('/'), &range, &domain)
    }

    /// # Collective
    fn vectors<T: Entry>(&self, found: &Found, rows: &Layout) -> Result<MultiVector<T>> {
        require_field::<T>(self.file.path(), found.description.field)?;
        match found.description.columns {
            1 => Ok(MultiVector::from_vectors(rows, &[&self.file.read_vector(&found.name, rows)?])?),
            _ => self.file.read_multi_vector(&found.name, rows),
        }
    }
}

fn list<'f>(found: impl IntoIterator<Item = &'f Found>) -> String {
    let names: Vec<&str> = found.into_iter().map(|found| found.name.as_str()).collect();
    if names.is_empty() { "there are none".to_owned() } else { format!("there are {}", names.join(", ")) }
}

/// The matrix or the vectors that a location names, in an open file.
pub(super) struct Hdf5Object {
    contents: Hdf5Contents,
    found: Found,
}

impl Hdf5Object {
    /// # Collective
    pub(super) fn open(comm: &Comm, from: &Location, wanted: Wanted) -> Result<Hdf5Object> {
        let mut contents = Hdf5Contents::open(comm, from)?;
        let found = contents.choose(from, wanted)?;
        Ok(Hdf5Object { contents, found })
    }

    pub(super) fn description(&self) -> &Description {
        &self.found.description
    }

    /// # Collective
    pub(super) fn matrix<T: Entry>(self) -> Result<CsrMatrix<T>> {
        let matrix = self.contents.matrix(&self.found)?;
        self.contents.close()?;
        Ok(matrix)
    }

    /// # Collective
    pub(super) fn vectors<T: Entry>(self, rows: &Layout) -> Result<MultiVector<T>> {
        let (path, found) = (self.contents.file.path(), &self.found);
        check_object_length(path, Some(found.name.clone()), found.description.rows, rows)?;
        let vectors = self.contents.vectors(found, rows)?;
        self.contents.close()?;
        Ok(vectors)
    }
}

/// Writes a file of one matrix.
///
/// # Collective
pub(super) fn write_matrix<T: Entry>(matrix: &CsrMatrix<T>, to: &Location) -> Result<()> {
    let name = to.object.as_deref().unwrap_or(MATRIX).trim_matches('/');
    let file = H5File::create(matrix.range().comm(), &to.file)?;
    file.write_matrix(name, matrix, &Stored::Contiguous)?;
    file.close()
}

/// Writes a file of one dataset: of one dimension for one vector, of two for several.
///
/// # Collective
pub(super) fn write_vectors<T: Entry>(vectors: &MultiVector<T>, to: &Location) -> Result<()> {
    let name = to.object.as_deref().unwrap_or(VECTORS).trim_matches('/');
    let file = H5File::create(vectors.comm(), &to.file)?;
    if vectors.columns() == 1 {
        let mut vector = Vector::zeros(vectors.layout());
        vectors.copy_column_to(0, &mut vector)?;
        file.write_vector(name, &vector, &Stored::Contiguous)?;
    } else {
        file.write_multi_vector(name, vectors, &Stored::Contiguous)?;
    }
    file.close()
}

/// Names what an HDF5 file holds beside an object, the groups around it, and what is in it.
///
/// # Collective
pub(super) fn others(comm: &Comm, location: &Location, name: &str) -> Result<Vec<String>> {
    let file = H5File::open_with(comm, &location.file, &OpenOptions::new().allow_external(location.allow_external))?;
    let objects = file.objects()?;
    file.close()?;
    let own = format!("/{}", name.trim_matches('/'));
    let is_in = |inner: &str, outer: &str| {
        inner.strip_prefix(outer.trim_end_matches('/')).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let mut others: Vec<String> = objects.into_iter().map(|object| object.name).collect();
    others.retain(|other| !is_in(other, &own) && !is_in(&own, other));
    others.dedup_by(|later, group| is_in(later, group));
    Ok(others)
}
