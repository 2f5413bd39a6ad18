//! The groups and datasets of a file, found by their names.

use crate::hdf5::{Link, Object};
use std::collections::HashMap;

/// Groups, datasets and links of a file.
#[derive(Debug)]
pub(super) struct Listed {
    objects: Vec<Object>,
    places: HashMap<String, usize>,
}

impl Listed {
    pub(super) fn new(objects: Vec<Object>) -> Listed {
        let places = objects.iter().enumerate().map(|(place, object)| (object.name.clone(), place)).collect();
        Listed { objects, places }
    }

    pub(super) fn objects(&self) -> &[Object] {
        &self.objects
    }

    /// Returns the object or link of this name.
    pub(super) fn named(&self, name: &str) -> Option<&Object> {
        self.places.get(name).map(|place| &self.objects[*place])
    }

    /// Returns the dataset of this name, maybe through a link.
    pub(super) fn dataset(&self, name: &str) -> Option<&Object> {
        let found = self.named(name)?;
        let found = if let Some(Link::Object(target)) = &found.link { self.named(target)? } else { found };
        found.dataset.is_some().then_some(found)
    }
}
