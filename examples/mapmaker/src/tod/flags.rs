//! Flags in any type of numbers: a sample whose flag is not zero, or has one of the bits that count, is bad.

use std::path::Path;

use dolmen_io::Result;
use dolmen_io::hdf5::{Dataset, Element, ElementType};

use super::check::invalid;

/// All bits count: the flags need not be whole numbers.
pub(super) const ALL: u64 = u64::MAX;

/// Refuses a choice of bits of real numbers. `key` is the setting that chooses them.
///
/// # Errors
/// The flags are real numbers.
pub(super) fn require_bits(
    path: &Path,
    dataset: &Dataset<'_>,
    member: Option<&str>,
    bits: u64,
    key: &str,
) -> crate::Result<()> {
    if bits == ALL || !matches!(element(dataset, member), Some(ElementType::Float { .. })) {
        return Ok(());
    }
    let place = member.map_or(dataset.name().to_owned(), |member| format!("{}.{member}", dataset.name()));
    Err(invalid(path, place, format!("has real numbers, of which {key} cannot choose bits; remove {key}")))
}

fn element<'d>(dataset: &'d Dataset<'_>, member: Option<&str>) -> Option<&'d ElementType> {
    match (dataset.element_type(), member) {
        (ElementType::Compound { members, .. }, Some(name)) => {
            members.iter().find(|member| member.name == name).map(|member| &member.element)
        }
        (element, _) => Some(element),
    }
}

/// Reads a slab of a dataset, or of one member of a table: true where a bit that counts is set.
pub(super) fn read(
    dataset: &Dataset<'_>,
    member: Option<&str>,
    bits: u64,
    start: &[u64],
    count: &[u64],
) -> Result<Vec<bool>> {
    let slab = Slab { dataset, member, start, count };
    match element(dataset, member) {
        Some(ElementType::Boolean | ElementType::Integer { bytes: 1, signed: false, .. }) => {
            slab.flags(|flag: u8| u64::from(flag) & bits != 0)
        }
        Some(ElementType::Integer { signed: false, .. }) => slab.flags(|flag: u64| flag & bits != 0),
        Some(ElementType::Float { .. }) => slab.flags(|flag: f64| flag != 0.0),
        _ => slab.flags(|flag: i64| flag.cast_unsigned() & bits != 0),
    }
}

/// Part of a dataset, or of one member of a table.
struct Slab<'d> {
    dataset: &'d Dataset<'d>,
    member: Option<&'d str>,
    start: &'d [u64],
    count: &'d [u64],
}

impl Slab<'_> {
    fn flags<T: Element>(&self, is_bad: impl Fn(T) -> bool) -> Result<Vec<bool>> {
        let values = match self.member {
            Some(member) => self.dataset.read_member_slab::<T>(member, self.start, self.count)?,
            None => self.dataset.read_slab::<T>(self.start, self.count)?,
        };
        Ok(values.into_iter().map(is_bad).collect())
    }
}
