//! Contents of a file: its groups and datasets, each once, and the links that lead to them by other names.

use super::attribute::{Attribute, read_all};
use super::element::ElementType;
use super::error::reason;
use super::ffi;
use super::file::H5File;
use super::filters::StoredFilter;
use super::{chunks, outside};
use crate::error::{Error, Result};
use crate::fault::require_same;
use hdf5::{Dataset, Group, LinkType, LocationInfo, LocationType};
use std::collections::HashMap;

/// Bytes of all names together that any file may have, besides [`TIMES`] its size: names are whole paths, which
/// grow with the depth of groups.
const NAMES: u64 = 32 << 20;
const TIMES: u64 = 4;

/// A group or a dataset of a file, or another name of one.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Object {
    /// Its path from the root, `/`.
    pub name: String,
    /// Storage, for a dataset.
    pub dataset: Option<Stored>,
    /// Its attributes, sorted by name; none of a link. The value is missing where its type or its size is not read.
    pub attributes: Vec<(String, Option<Attribute>)>,
    /// Target, if it is not listed under this name.
    pub link: Option<Link>,
    /// Which object of which file it is.
    identity: Option<Identity>,
}

/// Target of a name that is not the one under which an object is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Link {
    /// To the group or dataset that is listed by this name.
    Object(String),
    /// To another file, which this names and which is not followed, or has no such object.
    External(String),
    /// To no group or dataset of this file.
    Nowhere,
}

/// Storage of a dataset.
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
    /// The filters among them that the library does not have, with their numbers: `blosc (filter 32001)`. Chunks
    /// that went through these cannot be read.
    pub missing_filters: Vec<String>,
    /// The other files in which its data lie.
    pub outside: Vec<String>,
}

/// Identity of an object, among several files too.
type Identity = (u64, String);

fn identity(info: &LocationInfo) -> Identity {
    (info.fileno, format!("{:?}", info.token))
}

/// Traversal of a file.
pub(super) struct Walk {
    /// True if links to other files are followed.
    pub(super) allow_external: bool,
    /// True if the values of attributes are read.
    pub(super) values: bool,
    /// The size of the file.
    pub(super) length: u64,
}

impl Object {
    fn link(name: String, link: Link) -> Self {
        Self { name, dataset: None, attributes: Vec::new(), link: Some(link), identity: None }
    }

    /// Returns all that is the same on all ranks, to be compared.
    fn seen(&self) -> impl std::fmt::Debug + '_ {
        (&self.name, &self.dataset, &self.attributes, &self.link)
    }

    /// Returns whether it is a dataset whose data are in the file.
    pub(super) fn is_inside(&self) -> bool {
        self.dataset.as_ref().is_some_and(|stored| stored.outside.is_empty())
    }

    /// Returns the value of an attribute, if it is there and of a type that is read.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|(known, _)| known == name)?.1.as_ref()
    }

    /// Returns whether there is an attribute of a name.
    #[must_use]
    pub fn has_attribute(&self, name: &str) -> bool {
        self.attributes.iter().any(|(known, _)| known == name)
    }
}

impl H5File {
    /// Lists all groups and datasets of the file, those of a group after it and sorted by name. Of one that has
    /// several names the others are listed as links, with soft and external links.
    ///
    /// # Collective
    ///
    /// # Errors
    ///
    /// The file is damaged.
    pub fn objects(&self) -> Result<Vec<Object>> {
        self.require_complete()?;
        // Values of attributes are read by the rank whose child process has read them.
        let values = self.comm().rank() == 0;
        let length = self.comm().agree(self.length())?;
        let walk = Walk { allow_external: self.allows_external(), values, length };
        let listed = list(self.file(), &walk).map_err(|(name, what)| Error::Object {
            path: self.path().to_owned(),
            object: name,
            what: format!("cannot be examined: {what}"),
        });
        let mut objects = self.comm().agree(listed)?;
        let mut places: Vec<_> = objects.iter_mut().flat_map(|object| &mut object.attributes).collect();
        let mut values: Vec<Option<Attribute>> = places.iter_mut().map(|(_, value)| value.take()).collect();
        self.share(&mut values)?;
        places.into_iter().zip(values).for_each(|((_, place), value)| *place = value);
        // A link that one rank cannot follow is no error there. Files have other numbers in each process.
        require_same(self.comm(), self.path(), &objects.iter().map(Object::seen).collect::<Vec<_>>())?;
        Ok(objects)
    }

    /// Returns the name by which [`H5File::objects`] lists the object that a name leads to, through any links;
    /// `None` if that is not among these objects.
    ///
    /// # Collective
    #[must_use]
    pub fn listed_name(&self, objects: &[Object], name: &str) -> Option<String> {
        let info = self.open_object(name).and_then(|location| location.loc_info());
        let wanted = info.ok().as_ref().map(identity);
        let found =
            wanted.and_then(|wanted| objects.iter().position(|object| object.identity.as_ref() == Some(&wanted)));
        // What any rank cannot find is not there for any.
        let mut place = [found.map_or(u64::MAX, |place| place as u64)];
        self.comm().all_reduce_max(&mut place);
        let object = usize::try_from(place[0]).ok().and_then(|place| objects.get(place));
        object.map(|object| object.name.clone())
    }
}

/// A name in a group that has not been looked at.
struct Pending {
    parent: Group,
    /// The path of the group, without a slash at its end.
    path: String,
    name: String,
    kind: LinkType,
}

/// Goes through all groups, or says which object is damaged. Objects are opened from their group: from the root,
/// each would cost as much as it lies deep.
pub(super) fn list(file: &hdf5::File, walk: &Walk) -> std::result::Result<Vec<Object>, (String, String)> {
    let most_names = NAMES.saturating_add(TIMES.saturating_mul(walk.length));
    let mut listing =
        Listing { walk, objects: Vec::new(), seen: HashMap::new(), pending: Vec::new(), soft: Vec::new() };
    let root = |error: hdf5::Error| ("/".to_owned(), reason(&error));
    let group = file.group("/").map_err(root)?;
    listing.add_group("/".to_owned(), &group, identity(&group.loc_info().map_err(root)?)).map_err(root)?;
    let mut names = 0_u64;
    while let Some(next) = listing.pending.pop() {
        let name = format!("{}/{}", next.path, next.name);
        names += name.len() as u64;
        if names > most_names {
            return Err((name, format!("the names of objects take more than {most_names} bytes, in this file")));
        }
        listing.visit(next, &name).map_err(|error| (name, reason(&error)))?;
    }
    listing.resolve_links();
    Ok(listing.objects)
}

struct Listing<'w> {
    walk: &'w Walk,
    objects: Vec<Object>,
    /// The place of each object.
    seen: HashMap<Identity, usize>,
    pending: Vec<Pending>,
    /// The places of soft links, and where they start from.
    soft: Vec<(usize, Pending)>,
}

impl Listing<'_> {
    fn visit(&mut self, next: Pending, name: &str) -> hdf5::Result<()> {
        match next.kind {
            LinkType::Hard => self.visit_object(&next, name),
            LinkType::Soft => {
                self.soft.push((self.objects.len(), next));
                self.objects.push(Object::link(name.to_owned(), Link::Nowhere));
                Ok(())
            }
            LinkType::External => {
                let file = outside::external_link(&next.parent, &next.name);
                let followed = self.walk.allow_external && self.visit_object(&next, name).is_ok();
                if !followed {
                    let link = file.map_or(Link::Nowhere, Link::External);
                    self.objects.push(Object::link(name.to_owned(), link));
                }
                Ok(())
            }
        }
    }

    fn visit_object(&mut self, next: &Pending, name: &str) -> hdf5::Result<()> {
        let info = next.parent.loc_info_by_name(&next.name)?;
        let identity = identity(&info);
        match info.loc_type {
            LocationType::Group | LocationType::Dataset if self.seen.contains_key(&identity) => {
                self.objects.push(Object::link(name.to_owned(), self.target(Some(&identity))));
                Ok(())
            }
            LocationType::Group => self.add_group(name.to_owned(), &next.parent.group(&next.name)?, identity),
            LocationType::Dataset => {
                let dataset = next.parent.dataset(&next.name)?;
                let attributes = read_all(&dataset, self.walk.values)?;
                let stored = Some(stored(&dataset, self.walk.allow_external)?);
                self.add(Object {
                    name: name.to_owned(),
                    dataset: stored,
                    attributes,
                    link: None,
                    identity: Some(identity),
                });
                Ok(())
            }
            LocationType::NamedDatatype => Ok(()),
        }
    }

    fn add_group(&mut self, name: String, group: &Group, identity: Identity) -> hdf5::Result<()> {
        let attributes = read_all(group, self.walk.values)?;
        let path = name.trim_end_matches('/').to_owned();
        let members = members(group)?.into_iter().rev();
        self.pending.extend(members.map(|(name, kind)| Pending {
            parent: group.clone(),
            path: path.clone(),
            name,
            kind,
        }));
        self.add(Object { name, dataset: None, attributes, link: None, identity: Some(identity) });
        Ok(())
    }

    fn add(&mut self, object: Object) {
        self.seen.extend(object.identity.clone().map(|identity| (identity, self.objects.len())));
        self.objects.push(object);
    }

    fn target(&self, identity: Option<&Identity>) -> Link {
        let place = identity.and_then(|identity| self.seen.get(identity));
        place.map_or(Link::Nowhere, |place| Link::Object(self.objects[*place].name.clone()))
    }

    /// Resolves soft links, whose targets are known only after the traversal.
    fn resolve_links(&mut self) {
        for (place, link) in std::mem::take(&mut self.soft) {
            let target = outside::open(&link.parent, &link.name, self.walk.allow_external);
            let target = target.and_then(|target| target.loc_info()).ok();
            self.objects[place].link = Some(self.target(target.as_ref().map(identity).as_ref()));
        }
    }
}

/// Returns the names in a group, sorted, and the kind of each link.
fn members(group: &Group) -> hdf5::Result<Vec<(String, LinkType)>> {
    let mut links = Vec::new();
    group.iter_visit_default(|name, link| {
        links.push((name.to_owned(), link.link_type));
        Ok(())
    })?;
    links.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(links)
}

fn stored(dataset: &Dataset, allow_external: bool) -> hdf5::Result<Stored> {
    use hdf5::dataset::Layout;
    let lengths = |lengths: Vec<usize>| lengths.into_iter().map(|length| length as u64).collect::<Vec<u64>>();
    let filters = ffi::filters(dataset)?;
    let (outside, layout) = (outside::files(dataset)?, dataset.layout());
    let shape = if layout == Layout::Virtual && !outside.is_empty() && !allow_external {
        Some(outside::virtual_shape(dataset)?)
    } else {
        let space = dataset.space()?;
        (!space.is_null()).then(|| lengths(space.shape()))
    };
    // A null dataspace has no elements, of whatever type.
    let element = if shape.is_some() { ffi::describe(&dataset.dtype()?)? } else { ElementType::Other("nothing") };
    Ok(Stored {
        missing_filters: chunks::missing(&filters),
        shape: shape.unwrap_or_else(|| vec![0]),
        element,
        layout: match layout {
            Layout::Compact => "compact",
            Layout::Contiguous => "contiguous",
            Layout::Chunked => "chunked",
            Layout::Virtual => "virtual",
        },
        chunk: dataset.chunk().map(lengths),
        filters: filters.iter().map(StoredFilter::label).collect(),
        outside,
    })
}
