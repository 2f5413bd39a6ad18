//! Environment of this process: the MPI and BLAS libraries that were found at run time, and the processor.

pub(crate) mod ffi;

use crate::blas;

/// Threads of a process that may call MPI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ThreadLevel {
    /// The process must have one thread only.
    Single,
    /// Only the thread that initialized MPI may call it. Enough for this toolkit.
    Funneled,
    /// One thread at a time.
    Serialized,
    /// Any threads at any time.
    Multiple,
}

impl ThreadLevel {
    /// Returns its name in the MPI standard.
    pub fn name(self) -> &'static str {
        match self {
            ThreadLevel::Single => "MPI_THREAD_SINGLE",
            ThreadLevel::Funneled => "MPI_THREAD_FUNNELED",
            ThreadLevel::Serialized => "MPI_THREAD_SERIALIZED",
            ThreadLevel::Multiple => "MPI_THREAD_MULTIPLE",
        }
    }
}

/// Description of the MPI library, by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MpiLibrary {
    /// Vendor and version, in the library's own words.
    pub description: String,
    /// Version and subversion of the MPI standard.
    pub standard: (i32, i32),
    /// Thread level with which MPI was initialized.
    pub thread_level: ThreadLevel,
    /// The name of this rank's node.
    pub node: String,
}

/// Description of OpenBLAS, by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlasLibrary {
    /// Version and options, in the library's own words.
    pub description: String,
    /// The processor whose kernels it chose (`OPENBLAS_CORETYPE` in the environment chooses others).
    pub core: String,
    /// Threads it uses in this rank.
    pub threads: usize,
}

/// Returns the MPI library of this process.
///
/// # Panics
/// Outside of [`Comm::run`](crate::Comm::run), where MPI is not initialized.
pub fn mpi_library() -> MpiLibrary {
    assert!(mpi::environment::is_initialized(), "invariant: MPI is asked within Comm::run");
    MpiLibrary {
        description: mpi::environment::library_version().unwrap_or_else(|_| "not in UTF-8".to_owned()),
        standard: mpi::environment::version(),
        thread_level: match mpi::environment::threading_support() {
            mpi::Threading::Single => ThreadLevel::Single,
            mpi::Threading::Funneled => ThreadLevel::Funneled,
            mpi::Threading::Serialized => ThreadLevel::Serialized,
            mpi::Threading::Multiple => ThreadLevel::Multiple,
        },
        node: mpi::environment::processor_name().unwrap_or_else(|_| "not in UTF-8".to_owned()),
    }
}

/// Returns the BLAS library of this process.
pub fn blas_library() -> BlasLibrary {
    let [description, core] = blas::descriptions();
    BlasLibrary { description, core, threads: usize::try_from(blas::num_threads()).unwrap_or_default() }
}

/// Returns the vector instructions of this processor that kernels here have variants for, and the wider ones.
pub fn cpu_features() -> Vec<&'static str> {
    #[cfg(target_arch = "x86_64")]
    let features = [
        ("sse4.2", is_x86_feature_detected!("sse4.2")),
        ("avx2", is_x86_feature_detected!("avx2")),
        ("fma", is_x86_feature_detected!("fma")),
        ("avx512f", is_x86_feature_detected!("avx512f")),
    ];
    #[cfg(not(target_arch = "x86_64"))]
    let features: [(&str, bool); 0] = [];
    features.into_iter().filter(|(_, present)| *present).map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openblas_describes_itself() {
        let blas = blas_library();
        assert!(blas.description.contains("OpenBLAS"), "{blas:?}");
        assert!(!blas.core.is_empty() && blas.threads > 0, "{blas:?}");
    }
}
