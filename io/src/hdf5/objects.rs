//! What is in a file: its groups and datasets, each once, whatever the links between them.

use super::element::ElementType;
use super::ffi;
use super::file::{H5File, reason};
use crate::error::{Error, Result};
use hdf5::filters::Filter;
use hdf5::{Group, LinkType, LocationType};

/// A group or a dataset of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Object {
    /// Its path from the root, `/`.
    pub name: String,
    /// What is stored, of a dataset.
    pub dataset: Option<Stored>,
    /// The names of its attributes, sorted.
    pub attributes: Vec<String>,
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
    /// Whether the library has all of these filters, without which the dataset cannot be read.
    pub has_filters: bool,
}

impl H5File {
    /// All groups and datasets of the file, those of a group after it and sorted by name. One that has
    /// several names is listed by the first; links that lead nowhere or to other files are left out.
    ///
    /// # Collective
    ///
    /// # Errors
    ///
    /// The file is damaged.
    pub fn objects(&self) -> Result<Vec<Object>> {
        let listed = list(self.file()).map_err(|(name, error)| Error::Object {
            path: self.path().to_owned(),
            object: name,
            what: format!("cannot be examined: {}", reason(&error)),
        });
        Ok(self.comm().agree(listed)?)
    }
}

/// Goes through all groups, or says which object is damaged.
fn list(file: &hdf5::File) -> std::result::Result<Vec<Object>, (String, hdf5::Error)> {
    let mut objects = Vec::new();
    let mut seen = Vec::new();
    let mut pending = vec!["/".to_owned()];
    while let Some(name) = pending.pop() {
        let at = |error| (name.clone(), error);
        let info = file.loc_info_by_name(&name).map_err(at)?;
        // Few files have more than some hundred objects.
        if seen.contains(&info.token) {
            continue;
        }
        seen.push(info.token);
        match info.loc_type {
            LocationType::Group => {
                let group = file.group(&name).map_err(at)?;
                let attributes = sorted(group.attr_names().map_err(at)?);
                let members = members(&group).map_err(at)?;
                let parent = name.trim_end_matches('/');
                pending.extend(members.iter().rev().map(|member| format!("{parent}/{member}")));
                objects.push(Object { name, dataset: None, attributes });
            }
            LocationType::Dataset => {
                let dataset = file.dataset(&name).map_err(at)?;
                let attributes = sorted(dataset.attr_names().map_err(at)?);
                let stored = stored(&dataset).map_err(at)?;
                objects.push(Object { name, dataset: Some(stored), attributes });
            }
            LocationType::NamedDatatype => {}
        }
    }
    Ok(objects)
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

/// The names in a group that lead to objects of this file.
fn members(group: &Group) -> hdf5::Result<Vec<String>> {
    let mut links = Vec::new();
    group.iter_visit_default(|name, link| {
        links.push((name.to_owned(), link.link_type));
        Ok(())
    })?;
    let leads_to_object = |(name, kind): &(String, LinkType)| match kind {
        LinkType::Hard => true,
        LinkType::Soft => group.loc_type_by_name(name).is_ok(),
        LinkType::External => false,
    };
    links.retain(leads_to_object);
    Ok(sorted(links.into_iter().map(|(name, _)| name).collect()))
}

fn stored(dataset: &hdf5::Dataset) -> hdf5::Result<Stored> {
    use hdf5::dataset::Layout;
    let lengths = |lengths: Vec<usize>| lengths.into_iter().map(|length| length as u64).collect::<Vec<u64>>();
    let filters = dataset.filters();
    // A null dataspace has no elements, of whatever type.
    let is_null = dataset.space()?.is_null();
    let nothing = ElementType::Other("nothing");
    Ok(Stored {
        has_filters: filters.iter().all(Filter::is_available),
        shape: if is_null { vec![0] } else { lengths(dataset.shape()) },
        element: if is_null { nothing } else { ffi::describe(&dataset.dtype()?)? },
        layout: match dataset.layout() {
            Layout::Compact => "compact",
            Layout::Contiguous => "contiguous",
            Layout::Chunked => "chunked",
            Layout::Virtual => "virtual",
        },
        chunk: dataset.chunk().map(lengths),
        filters: filters.iter().map(filter).collect(),
    })
}

fn filter(filter: &Filter) -> String {
    match filter {
        Filter::Deflate(level) => format!("deflate {level}"),
        Filter::Shuffle => "shuffle".to_owned(),
        Filter::Fletcher32 => "fletcher32".to_owned(),
        Filter::SZip(..) => "szip".to_owned(),
        Filter::NBit => "nbit".to_owned(),
        Filter::ScaleOffset(_) => "scale-offset".to_owned(),
        Filter::User(32_000, _) => "lzf".to_owned(),
        Filter::User(number, _) => format!("filter {number}"),
    }
}
