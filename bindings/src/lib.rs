//! Native part of the Python module `dolmen`.
//!
//! Kept thin: names, defaults and documentation that Python users see live in the Python layer,
//! `python/dolmen`. Importing the module does not initialize MPI.

use pyo3::prelude::*;

/// The module `dolmen._dolmen`.
#[pymodule]
mod _dolmen {
    use super::{Bound, PyModule, PyModuleMethods, PyResult};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
