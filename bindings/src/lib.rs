//! Native part of the Python module `dolmen`.
//!
//! Kept thin: names, defaults and documentation that Python users see live in the Python layer,
//! `python/dolmen`. A class here holds one object of the toolkit, of any of the four scalars ([`typed`]); a call
//! converts its arguments, releases the interpreter's lock ([`gil`]) and turns an error into an exception of the Python
//! layer, the same on all ranks ([`errors`]).
//!
//! Importing the module does not initialize MPI; [`comm::start`] does. Objects belong to the thread that did ([`owner`]),
//! and their destructors do not communicate. MPI ends after Python ([`session`]).

#[macro_use]
mod typed;
mod base;
mod callback;
mod checkpoint;
mod column_blocks;
mod comm;
mod eigen;
mod errors;
mod exchange;
mod fields;
mod files;
mod foreign;
mod gil;
mod grid;
mod hdf5;
mod layout;
mod map_making;
mod matrix;
mod monitor;
mod multi_vector;
mod nonlinear;
mod operator;
mod owner;
mod preconditioner;
mod profile;
mod raw;
mod report;
mod session;
mod solve;
mod vector;

use pyo3::prelude::*;

/// The module `dolmen._dolmen`.
#[pymodule]
mod _dolmen {
    use super::{Bound, PyModule, PyModuleMethods, PyResult};

    #[pymodule_export]
    use super::base::{MatrixBase, VectorBase};
    #[pymodule_export]
    use super::checkpoint::{CheckpointStore, Restored};
    #[pymodule_export]
    use super::column_blocks::column_blocks;
    #[pymodule_export]
    use super::comm::{Comm, environment, start};
    #[pymodule_export]
    use super::eigen::{automatic_eigen, general_eigen, hermitian_eigen, singular_values};
    #[pymodule_export]
    use super::exchange::{Exchange, IndexMap, Redistribute, Scatter};
    #[pymodule_export]
    use super::fields::{Fields, additive, multiplicative};
    #[pymodule_export]
    use super::files::{describe, read_matrix, read_vectors, write_matrix, write_vectors};
    #[pymodule_export]
    use super::grid::{Ghosted, Grid, Natural};
    #[pymodule_export]
    use super::hdf5::{Dataset, File};
    #[pymodule_export]
    use super::layout::Layout;
    #[pymodule_export]
    use super::map_making::{estimate_noise, import_timelines, make_maps, output_folder, read_map, simulate_timelines};
    #[pymodule_export]
    use super::matrix::{Matrix, RefillPlan};
    #[pymodule_export]
    use super::multi_vector::MultiVector;
    #[pymodule_export]
    use super::nonlinear::{NonlinearReport, anderson, newton, nonlinear_cg};
    #[pymodule_export]
    use super::operator::Operator;
    #[pymodule_export]
    use super::owner::{Owned, require_owner};
    #[pymodule_export]
    use super::preconditioner::{methods, multigrid, precondition, preconditioners, rigid_body_modes};
    #[pymodule_export]
    use super::profile::{Profile, start_profile};
    #[pymodule_export]
    use super::raw::{create_raw_dataset, raw_attribute, read_raw, write_raw, write_raw_attribute};
    #[pymodule_export]
    use super::report::{Progress, Report, Snapshot};
    #[pymodule_export]
    use super::session::{leave_failed, note_failure};
    #[pymodule_export]
    use super::solve::{automatic, solve};
    #[pymodule_export]
    use super::vector::Vector;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
