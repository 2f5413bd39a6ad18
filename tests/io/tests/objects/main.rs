//! Vectors and matrices in HDF5 files: ours on other ranks, others' here, ours elsewhere.

mod errors;
mod h5py;
mod matrices;
mod options;
mod stacked;
mod vectors;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use dolmen_tests::{Comm, Folder, TestResult, case};

/// Modules that the scripts here import.
const PYTHON: &str = "h5py, scipy.sparse";

fn main() -> ExitCode {
    dolmen_tests::main(&[
        case("vectors_come_back_on_other_ranks", &[4], vectors::come_back),
        case("stacked_vectors_come_back_on_other_ranks", &[4], stacked::come_back),
        case("stacked_layouts_are_refused_by_name", &[1, 3], stacked::refused),
        case("vectors_of_others_have_their_values", &[1, 3], vectors::of_others),
        case("vectors_above_two_gib", &[1, 2], vectors::large).deadline(Duration::from_secs(180)),
        case("bad_vectors_are_named", &[1, 3], vectors::bad_requests),
        case("matrices_come_back_on_other_ranks", &[4], matrices::come_back),
        case("matrices_of_others_have_their_values", &[1, 3], matrices::of_others),
        case("matrices_without_tag_are_rows_by_their_shape", &[1, 3], matrices::without_tag),
        case("bad_matrices_are_named", &[1, 3], matrices::bad),
        case("scipy_reads_ours", &[1, 3], matrices::scipy_reads_ours),
        case("h5py_vectors_are_read_and_ours_by_h5py", &[1, 3], vectors::h5py),
        case("filters_are_undone_or_named", &[1, 3], h5py::filters),
        case("large_integers_are_no_floats", &[1, 3], h5py::integers),
        case("errors_keep_their_fields", &[1, 2, 3, 4], errors::keep_their_fields),
        case("options_are_in_force", &[1, 2], options::in_force),
        case("alignment_and_blocks_are_seen_in_the_file", &[1, 2], options::seen_in_the_file),
        case("compressed_data_are_written_together", &[1, 3], options::compressed),
        case("files_of_later_schemas_are_refused", &[1, 2], options::later_schema),
    ])
}

/// Writes or reads something on some ranks.
type OnRanks = fn(&Comm, &Path) -> TestResult;

/// Writes on some ranks and reads on others, each pair of functions in a file of its own.
pub(crate) fn on_other_ranks(comm: &Comm, pairs: &[(OnRanks, OnRanks)]) -> TestResult {
    let folder = Folder::new(comm)?;
    for (number, (write, read)) in pairs.iter().enumerate() {
        for (before, after) in [(4, 1), (1, 4), (3, 2), (4, 4)] {
            let path = folder.path().join(format!("{number} {before} {after}.h5"));
            let some = |count: usize| comm.split((comm.rank() < count).then_some(0), comm.rank());
            let written = some(before)?.map_or(Ok(()), |writers| write(&writers, &path));
            comm.agree(written)?;
            let found = some(after)?.map_or(Ok(()), |readers| read(&readers, &path));
            comm.agree(found)?;
        }
    }
    folder.remove(comm);
    Ok(())
}
