//! HDF5 files, shared by all ranks.
//!
//! Datasets borrow their file, and Python decides when either goes: a dataset here keeps the file alive, and closing the file
//! takes the datasets away from the objects that still have them.
#![allow(unsafe_code)]

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::{Rc, Weak};

use dolmen::io::hdf5::Object;
use dolmen::io::hdf5::{CreateOptions, Dataset as CoreDataset, H5File, Layout as Storage, OpenOptions};
use numpy::{PyArray1, PyReadonlyArray1};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::comm::Comm;
use crate::errors::{agree, local};
use crate::gil::released;
use crate::layout::Layout;
use crate::matrix::Matrix;
use crate::multi_vector::MultiVector;
use crate::vector::Vector;

/// Runs `$body` with `$scalar` as the type of elements that NumPy's `$name` names.
macro_rules! for_element {
    ($name:expr, $scalar:ident => $body:expr) => {
        match $name {
            "i1" => { type $scalar = i8; $body }
            "i2" => { type $scalar = i16; $body }
            "i4" => { type $scalar = i32; $body }
            "i8" => { type $scalar = i64; $body }
            "u1" => { type $scalar = u8; $body }
            "u2" => { type $scalar = u16; $body }
            "u4" => { type $scalar = u32; $body }
            "u8" => { type $scalar = u64; $body }
            other => for_dtype!(other, $scalar => $body),
        }
    };
}

/// A dataset with the file that it borrows from.
pub(crate) struct Lent {
    // Dropped first.
    dataset: CoreDataset<'static>,
    file: Rc<H5File>,
}

impl Lent {
    pub(crate) fn new(
        file: &Rc<H5File>,
        open: impl FnOnce(&'static H5File) -> dolmen::io::Result<CoreDataset<'static>>,
    ) -> dolmen::io::Result<Lent> {
        // SAFETY: the file is on the heap and lives as long as `file` shares it; the fields drop in the order of their
        // declaration.
        let lent: &'static H5File = unsafe { &*Rc::as_ptr(file) };
        Ok(Lent { dataset: open(lent)?, file: Rc::clone(file) })
    }
}

type Slot = RefCell<Option<Lent>>;

/// An open file.
#[pyclass(unsendable, module = "dolmen._dolmen")]
pub(crate) struct File {
    file: Option<Rc<H5File>>,
    /// Datasets that Python has.
    lent: Vec<Weak<Slot>>,
}

fn closed() -> PyErr {
    PyValueError::new_err("the file is closed")
}

#[pymethods]
impl File {
    #[staticmethod]
    fn open(
        py: Python<'_>,
        comm: &Comm,
        path: PathBuf,
        allow_external: bool,
        chunk_cache: Option<usize>,
    ) -> PyResult<File> {
        let options = OpenOptions::new().allow_external(allow_external);
        let options = chunk_cache.into_iter().fold(options, OpenOptions::chunk_cache);
        let file = local(py, released(py, || H5File::open_with(&comm.comm, path, &options)))?;
        Ok(File { file: Some(Rc::new(file)), lent: Vec::new() })
    }

    #[staticmethod]
    fn create(py: Python<'_>, comm: &Comm, path: PathBuf, alignment: Option<(u64, u64)>) -> PyResult<File> {
        let options = CreateOptions::new();
        let options = alignment.into_iter().fold(options, |options, (least, to)| options.alignment(least, to));
        let file = local(py, released(py, || H5File::create_with(&comm.comm, path, &options)))?;
        Ok(File { file: Some(Rc::new(file)), lent: Vec::new() })
    }

    #[getter]
    fn is_open(&self) -> bool {
        self.file.is_some()
    }

    /// Closes the file; a new one gets its name if `keep` says so.
    fn close(&mut self, py: Python<'_>, keep: bool) -> PyResult<()> {
        for slot in self.lent.drain(..).filter_map(|slot| slot.upgrade()) {
            slot.borrow_mut().take();
        }
        match self.file.take().and_then(Rc::into_inner) {
            Some(file) if keep => local(py, released(py, || file.close())),
            _ => Ok(()),
        }
    }

    fn exists(&self, py: Python<'_>, name: &str) -> PyResult<bool> {
        let file = self.file()?;
        Ok(released(py, || file.exists(name)))
    }

    fn children(&self, py: Python<'_>, group: &str) -> PyResult<Vec<String>> {
        let file = self.file()?;
        local(py, released(py, || file.children(group)))
    }

    fn create_group(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        let file = self.file()?;
        local(py, released(py, || file.create_group(name)))
    }

    /// All groups and datasets: name, shape and type of a dataset, its storage, and the target of a link.
    fn objects<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let file = self.file()?;
        let objects = local(py, released(py, || file.objects()))?;
        objects.iter().map(|object| described(py, object)).collect()
    }

    fn dataset(&mut self, py: Python<'_>, name: &str) -> PyResult<Dataset> {
        let file = self.file()?;
        let lent = local(py, released(py, || Lent::new(&file, |file| file.dataset(name))))?;
        Ok(self.keep(lent))
    }

    fn create_dataset(
        &mut self,
        py: Python<'_>,
        name: &str,
        shape: Vec<u64>,
        dtype: &str,
        chunk: Option<Vec<u64>>,
        level: Option<u8>,
    ) -> PyResult<Dataset> {
        let (file, storage) = (self.file()?, storage(chunk, level));
        let lent = for_element!(dtype, E => {
            let create = || Lent::new(&file, |file| file.create_dataset::<E>(name, &shape, &storage));
            local(py, released(py, create))
        })?;
        Ok(self.keep(lent))
    }

    fn write_vector(
        &self,
        py: Python<'_>,
        name: &str,
        vector: &Vector,
        chunk: Option<Vec<u64>>,
        level: Option<u8>,
    ) -> PyResult<()> {
        let (file, storage) = (self.file()?, storage(chunk, level));
        each!(&vector.any, x => local(py, released(py, || file.write_vector(name, x, &storage))))
    }

    fn write_vectors(
        &self,
        py: Python<'_>,
        name: &str,
        vectors: &MultiVector,
        chunk: Option<Vec<u64>>,
        level: Option<u8>,
    ) -> PyResult<()> {
        let (file, storage) = (self.file()?, storage(chunk, level));
        each!(&vectors.any, x => local(py, released(py, || file.write_multi_vector(name, x, &storage))))
    }

    fn read_vector(&self, py: Python<'_>, name: &str, layout: &Layout, dtype: &str) -> PyResult<Vector> {
        let file = self.file()?;
        for_dtype!(dtype, T => Ok(local(py, released(py, || file.read_vector::<T>(name, &layout.layout)))?.into()))
    }

    fn read_vectors(&self, py: Python<'_>, name: &str, layout: &Layout, dtype: &str) -> PyResult<MultiVector> {
        let file = self.file()?;
        for_dtype!(dtype, T => {
            Ok(local(py, released(py, || file.read_multi_vector::<T>(name, &layout.layout)))?.into())
        })
    }

    fn write_matrix(
        &self,
        py: Python<'_>,
        group: &str,
        matrix: &Matrix,
        chunk: Option<Vec<u64>>,
        level: Option<u8>,
    ) -> PyResult<()> {
        let (file, storage) = (self.file()?, storage(chunk, level));
        each!(&matrix.any, a => local(py, released(py, || file.write_matrix(group, a, &storage))))
    }

    fn matrix_shape(&self, py: Python<'_>, group: &str) -> PyResult<(u64, u64)> {
        let file = self.file()?;
        local(py, released(py, || file.matrix_shape(group)))
    }

    fn read_matrix(
        &self,
        py: Python<'_>,
        group: &str,
        range: &Layout,
        domain: &Layout,
        dtype: &str,
    ) -> PyResult<Matrix> {
        let file = self.file()?;
        for_dtype!(dtype, T => {
            let read = || file.read_matrix::<T>(group, &range.layout, &domain.layout);
            Ok(local(py, released(py, read))?.into())
        })
    }

    fn attribute_names(&self, py: Python<'_>, object: &str) -> PyResult<Vec<String>> {
        let file = self.file()?;
        local(py, released(py, || file.attribute_names(object)))
    }
}

impl File {
    pub(crate) fn file(&self) -> PyResult<Rc<H5File>> {
        self.file.clone().ok_or_else(closed)
    }

    pub(crate) fn keep(&mut self, lent: Lent) -> Dataset {
        let slot = Rc::new(RefCell::new(Some(lent)));
        self.lent.retain(|slot| slot.strong_count() > 0);
        self.lent.push(Rc::downgrade(&slot));
        Dataset { slot }
    }
}

pub(crate) fn storage(chunk: Option<Vec<u64>>, level: Option<u8>) -> Storage {
    match (chunk, level) {
        (None, _) => Storage::Contiguous,
        (Some(chunk), None) => Storage::Chunked(chunk),
        (Some(chunk), Some(level)) => Storage::Compressed { chunk, level },
    }
}

fn described<'py>(py: Python<'py>, object: &Object) -> PyResult<Bound<'py, PyDict>> {
    let fields = PyDict::new(py);
    fields.set_item("name", &object.name)?;
    if let Some(stored) = &object.dataset {
        fields.set_item("shape", stored.shape.clone())?;
        fields.set_item("dtype", stored.element.dtype())?;
        fields.set_item("layout", stored.layout)?;
        fields.set_item("chunks", stored.chunk.clone())?;
        fields.set_item("filters", stored.filters.clone())?;
    }
    fields.set_item("link", object.link.as_ref().map(|link| format!("{link:?}")))?;
    Ok(fields)
}

/// A dataset of an open file.
#[pyclass(unsendable, frozen, module = "dolmen._dolmen")]
pub(crate) struct Dataset {
    slot: Rc<Slot>,
}

#[pymethods]
impl Dataset {
    #[getter]
    fn name(&self) -> PyResult<String> {
        self.with(|dataset| dataset.name().to_owned())
    }

    #[getter]
    fn shape(&self) -> PyResult<Vec<u64>> {
        self.with(|dataset| dataset.shape().to_vec())
    }

    /// The type of the elements in the file, in NumPy's words.
    #[getter]
    fn dtype(&self) -> PyResult<String> {
        self.with(|dataset| dataset.element_type().dtype())
    }

    /// This rank's slab, row by row; of a table, that of one of its columns.
    fn read<'py>(
        &self,
        py: Python<'py>,
        start: Vec<u64>,
        count: Vec<u64>,
        dtype: &str,
        member: Option<&str>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let slot = self.slot.borrow();
        let data = &slot.as_ref().ok_or_else(closed)?.dataset;
        for_element!(dtype, E => {
            let read = || match member {
                Some(member) => data.read_member_slab::<E>(member, &start, &count),
                None => data.read_slab::<E>(&start, &count),
            };
            Ok(PyArray1::from_vec(py, local(py, released(py, read))?).into_any())
        })
    }

    /// Writes this rank's slab, given row by row.
    fn write(
        &self,
        py: Python<'_>,
        start: Vec<u64>,
        count: Vec<u64>,
        dtype: &str,
        values: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let slot = self.slot.borrow();
        let lent = slot.as_ref().ok_or_else(closed)?;
        for_element!(dtype, E => {
            let values: PyReadonlyArray1<'_, E> = agree(py, lent.file.comm(), values.extract())?;
            let values = agree(py, lent.file.comm(), values.as_slice().map_err(PyErr::from))?;
            local(py, released(py, || lent.dataset.write_slab(&start, &count, values)))
        })
    }
}

impl Dataset {
    pub(crate) fn with<R>(&self, get: impl FnOnce(&CoreDataset<'static>) -> R) -> PyResult<R> {
        self.slot.borrow().as_ref().map(|lent| get(&lent.dataset)).ok_or_else(closed)
    }
}
