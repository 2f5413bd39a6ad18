//! Attributes and elements of datasets of any type, as bytes or strings, which the Python layer makes arrays of.

use dolmen::io::hdf5::{ByteOrder, ElementType, Member, RawAttribute, RawValues};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::errors::local;
use crate::gil::released;
use crate::hdf5::{Dataset, File, Lent, storage};

/// A type of elements in NumPy's words: `f8`, `bool`, `S3`, `U3` for three bytes of UTF-8, `str`, `(4,)f8`, or the
/// members of a compound.
#[derive(FromPyObject)]
pub(crate) enum Spec {
    Name(String),
    Members(Vec<(String, Spec)>),
}

impl Spec {
    fn element(&self) -> PyResult<ElementType> {
        match self {
            Spec::Name(name) => {
                named(name).ok_or_else(|| PyTypeError::new_err(format!("the type {name} is not known")))
            }
            Spec::Members(members) => {
                let member =
                    |(name, spec): &(String, Spec)| Ok(Member { name: name.clone(), element: spec.element()? });
                let members = members.iter().map(member).collect::<PyResult<Vec<_>>>()?;
                // The size in a file that was read, which nothing asks for here.
                Ok(ElementType::Compound { bytes: 0, members })
            }
        }
    }
}

fn named(name: &str) -> Option<ElementType> {
    if let Some((length, element)) = name.strip_prefix('(').and_then(|rest| rest.split_once(",)")) {
        return Some(ElementType::Array { shape: vec![length.parse().ok()?], element: Box::new(named(element)?) });
    }
    match name {
        "bool" => return Some(ElementType::Boolean),
        "str" => return Some(ElementType::Text { bytes: None, utf8: true }),
        _ => {}
    }
    let (kind, size) = name.split_at_checked(1)?;
    let (bytes, order) = (size.parse().ok()?, ByteOrder::Little);
    Some(match kind {
        "f" => ElementType::Float { bytes, order },
        "i" => ElementType::Integer { bytes, signed: true, order },
        "u" => ElementType::Integer { bytes, signed: false, order },
        "S" => ElementType::Text { bytes: Some(bytes), utf8: false },
        "U" => ElementType::Text { bytes: Some(bytes), utf8: true },
        _ => return None,
    })
}

/// Elements as Python has them: `bytes`, or a list of strings.
#[derive(FromPyObject)]
pub(crate) enum Values {
    Bytes(Vec<u8>),
    Texts(Vec<String>),
}

fn to_python(py: Python<'_>, values: RawValues) -> PyResult<Py<PyAny>> {
    Ok(match values {
        RawValues::Bytes(bytes) => PyBytes::new(py, &bytes).into_any().unbind(),
        RawValues::Texts(texts) => texts.into_pyobject(py)?.into_any().unbind(),
    })
}

/// Type, shape and elements of an attribute, if it exists.
type Found = Option<(String, Option<Vec<usize>>, Py<PyAny>)>;

#[pyfunction]
pub(crate) fn raw_attribute(py: Python<'_>, file: PyRef<'_, File>, object: &str, name: &str) -> PyResult<Found> {
    let file = file.file()?;
    let found = local(py, released(py, || file.raw_attribute(object, name)))?;
    let told = |RawAttribute { dtype, shape, values }| Ok((dtype, shape, to_python(py, values)?));
    found.map(told).transpose()
}

#[pyfunction]
pub(crate) fn write_raw_attribute(
    py: Python<'_>,
    file: PyRef<'_, File>,
    object: &str,
    name: &str,
    spec: Spec,
    shape: Option<Vec<usize>>,
    values: Values,
) -> PyResult<()> {
    let (file, element) = (file.file()?, spec.element()?);
    let values = match values {
        Values::Bytes(bytes) => RawValues::Bytes(bytes),
        Values::Texts(texts) => RawValues::Texts(texts),
    };
    local(py, released(py, || file.write_raw_attribute(object, name, &element, shape.as_deref(), &values)))
}

#[pyfunction]
pub(crate) fn create_raw_dataset(
    py: Python<'_>,
    mut file: PyRefMut<'_, File>,
    name: &str,
    spec: Spec,
    shape: Vec<u64>,
    chunk: Option<Vec<u64>>,
    level: Option<u8>,
) -> PyResult<Dataset> {
    let (open, element, storage) = (file.file()?, spec.element()?, storage(chunk, level));
    let create = || Lent::new(&open, |file| file.create_dataset_of(name, &element, &shape, &storage));
    let lent = local(py, released(py, create))?;
    Ok(file.keep(lent))
}

/// This rank's slab, row by row.
#[pyfunction]
pub(crate) fn read_raw(
    py: Python<'_>,
    dataset: PyRef<'_, Dataset>,
    start: Vec<u64>,
    count: Vec<u64>,
) -> PyResult<Py<PyAny>> {
    let read = dataset.with(|dataset| released(py, || dataset.read_raw(&start, &count)))?;
    to_python(py, local(py, read)?)
}

/// Writes this rank's slab, given row by row.
#[pyfunction]
pub(crate) fn write_raw(
    py: Python<'_>,
    dataset: PyRef<'_, Dataset>,
    start: Vec<u64>,
    count: Vec<u64>,
    bytes: &[u8],
) -> PyResult<()> {
    let written = dataset.with(|dataset| released(py, || dataset.write_raw(&start, &count, bytes)))?;
    local(py, written)
}
