//! Flags in any type of numbers: a sample whose flag is not zero is bad.

use dolmen_io::Result;
use dolmen_io::hdf5::{Dataset, Element, ElementType};

/// Reads a slab of a dataset, or of one member of a table: true where it is not zero.
pub(super) fn read(dataset: &Dataset<'_>, member: Option<&str>, start: &[u64], count: &[u64]) -> Result<Vec<bool>> {
    let element = match (dataset.element_type(), member) {
        (ElementType::Compound { members, .. }, Some(name)) => {
            members.iter().find(|member| member.name == name).map(|member| &member.element)
        }
        (element, _) => Some(element),
    };
    match element {
        Some(ElementType::Boolean | ElementType::Integer { bytes: 1, signed: false, .. }) => {
            nonzero::<u8>(dataset, member, start, count)
        }
        Some(ElementType::Integer { signed: false, .. }) => nonzero::<u64>(dataset, member, start, count),
        Some(ElementType::Float { .. }) => nonzero::<f64>(dataset, member, start, count),
        _ => nonzero::<i64>(dataset, member, start, count),
    }
}

fn nonzero<T: Element + Default + PartialEq>(
    dataset: &Dataset<'_>,
    member: Option<&str>,
    start: &[u64],
    count: &[u64],
) -> Result<Vec<bool>> {
    let values = match member {
        Some(member) => dataset.read_member_slab::<T>(member, start, count)?,
        None => dataset.read_slab::<T>(start, count)?,
    };
    Ok(values.into_iter().map(|value| value != T::default()).collect())
}
