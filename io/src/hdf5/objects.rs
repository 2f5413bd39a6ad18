//! What is in a file: its groups and datasets, each once, and the links that lead to them by other names.

use super::element::ElementType;
use super::ffi;
use super::file::{H5File, reason};
use super::filters::{self, StoredFilter};
use crate::error::{Error, Result};
use crate::fault::require_same;
use hdf5::{Group, LinkType, LocationInfo, LocationToken, LocationType};

/// A group or a dataset of a file, or another name of one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Object {
    /// Its path from the root, `/`.
    pub name: String,
    /// What is stored, of a dataset.
    pub dataset: Option<Stored>,
    /// The names of its attributes, sorted; none of a link.
    pub attributes: Vec<String>,
    /// Where it leads, if it is not listed under this name.
    pub link: Option<Link>,
}

/// Where a name of a file leads that is not the one under which an object is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Link {
    /// To the group or dataset that is listed by this name.
    Object(String),
    /// To no group or dataset of this file.
    Nowhere,
}

/// How a dataset is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stored {
    /// Elements in each dimension; empty for a scalar.
    pub shape: Vec<u64>,
    /// The type of its elements.
    pub element: ElementType,
    /// `contiguous`, `chunked`, `compact` (in the header of the object) or `virtual` (in other datasets).
    pub layout: &'static str,
    /// The shape of a chunk, if it is chunked.
    pub chunk: Option<Vec<u64>>,
    /// The filters that chunks went through, such as `shuffle` and `deflate 4`, in their order.
    pub filters: Vec<String>,
    /// Those of these filters that the library does not have, with their numbers: `blosc (filter 32001)`. Chunks
    /// that went through them cannot be read.
    pub missing_filters: Vec<String>,
}

impl H5File {
    /// All groups and datasets of the file, those of a group after it and sorted by name. Of one that has
    /// several names the others are listed as links, with soft and external links.
    ///
    /// # Collective
    ///
    /// # Errors
    ///
    /// The file is damaged.
    pub fn objects(&self) -> Result<Vec<Object>> {
        self.require_complete()?;
        let listed = list(self.file()).map_err(|(name, error)| Error::Object {
            path: self.path().to_owned(),
            object: name,
            what: format!("cannot be examined: {}", reason(&error)),
        });
        let objects = self.comm().agree(listed)?;
        // A link that one rank cannot follow is no error there.
        require_same(self.comm(), self.path(), &objects)?;
        Ok(objects)
    }

    /// The name by which [`H5File::objects`] lists what a name leads to, through whatever links; none if that is
    /// not among these objects.
    ///
    /// # Collective
    #[must_use]
    pub fn listed_name(&self, objects: &[Object], name: &str) -> Option<String> {
        let identity = |name: &str| self.held()?.loc_info_by_name(name).ok().as_ref().map(identity);
        let wanted = identity(name);
        let is_it = |object: &Object| object.link.is_none() && identity(&object.name) == wanted;
        let found = wanted.as_ref().and_then(|_| objects.iter().position(is_it));
        // What any rank cannot find is not there for any.
        let mut place = [found.map_or(u64::MAX, |place| place as u64)];
        self.comm().all_reduce_max(&mut place);
        let object = usize::try_from(place[0]).ok().and_then(|place| objects.get(place));
        object.map(|object| object.name.clone())
    }
}

/// What tells objects apart, of several files too.
fn identity(info: &LocationInfo) -> (u64, LocationToken) {
    (info.fileno, info.token)
}

/// Goes through all groups, or says which object is damaged.
fn list(file: &hdf5::File) -> std::result::Result<Vec<Object>, (String, hdf5::Error)> {
    let mut objects = Vec::new();
    let mut seen = Vec::new();
    let mut pending = vec![("/".to_owned(), true)];
    while let Some((name, is_hard)) = pending.pop() {
        if !is_hard {
            objects.push(Object { name, dataset: None, attributes: Vec::new(), link: Some(Link::Nowhere) });
            continue;
        }
        let at = |error| (name.clone(), error);
        let info = file.loc_info_by_name(&name).map_err(at)?;
        // Few files have more than some hundred objects.
        let is_known = seen.iter().any(|(known, _)| *known == identity(&info));
        match info.loc_type {
            LocationType::Group | LocationType::Dataset if is_known => {
                objects.push(Object { name, dataset: None, attributes: Vec::new(), link: Some(Link::Nowhere) });
                continue;
            }
            LocationType::Group => {
                let group = file.group(&name).map_err(at)?;
                let attributes = sorted(group.attr_names().map_err(at)?);
                let members = members(&group).map_err(at)?;
                let parent = name.trim_end_matches('/');
                pending.extend(members.iter().rev().map(|(member, hard)| (format!("{parent}/{member}"), *hard)));
                objects.push(Object { name: name.clone(), dataset: None, attributes, link: None });
            }
            LocationType::Dataset => {
                let dataset = file.dataset(&name).map_err(at)?;
                let attributes = sorted(dataset.attr_names().map_err(at)?);
                let stored = stored(&dataset).map_err(at)?;
                objects.push(Object { name: name.clone(), dataset: Some(stored), attributes, link: None });
            }
            LocationType::NamedDatatype => continue,
        }
        seen.push((identity(&info), name));
    }
    // Where links lead is known only when all is seen.
    for object in objects.iter_mut().filter(|object| object.link.is_some()) {
        let target = file.loc_info_by_name(&object.name).ok();
        let target = target.and_then(|info| seen.iter().find(|(known, _)| *known == identity(&info)));
        object.link = Some(target.map_or(Link::Nowhere, |(_, name)| Link::Object(name.clone())));
    }
    Ok(objects)
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

/// The names in a group, sorted, and whether each is a hard link.
fn members(group: &Group) -> hdf5::Result<Vec<(String, bool)>> {
    let mut links = Vec::new();
    group.iter_visit_default(|name, link| {
        links.push((name.to_owned(), link.link_type == LinkType::Hard));
        Ok(())
    })?;
    links.sort();
    Ok(links)
}

fn stored(dataset: &hdf5::Dataset) -> hdf5::Result<Stored> {
    use hdf5::dataset::Layout;
    let lengths = |lengths: Vec<usize>| lengths.into_iter().map(|length| length as u64).collect::<Vec<u64>>();
    let filters = ffi::filters(dataset)?;
    // A null dataspace has no elements, of whatever type.
    let is_null = dataset.space()?.is_null();
    let nothing = ElementType::Other("nothing");
    Ok(Stored {
        missing_filters: filters::missing(&filters),
        shape: if is_null { vec![0] } else { lengths(dataset.shape()) },
        element: if is_null { nothing } else { ffi::describe(&dataset.dtype()?)? },
        layout: match dataset.layout() {
            Layout::Compact => "compact",
            Layout::Contiguous => "contiguous",
            Layout::Chunked => "chunked",
            Layout::Virtual => "virtual",
        },
        chunk: dataset.chunk().map(lengths),
        filters: filters.iter().map(StoredFilter::label).collect(),
    })
}
