//! Parallel HDF5 files: our own on any number of ranks, h5py's, and those of others.

mod content;
mod others;
mod refusals;
mod slabs;

use std::process::ExitCode;

use dolmen_core::Layout;
use dolmen_tests::{Comm, TestResult, case};

fn main() -> ExitCode {
    dolmen_tests::main(&[
        case("slabs_come_back_on_other_ranks", &[1, 2, 3, 4], slabs::slabs_come_back_on_other_ranks),
        case("slabs_of_every_shape_are_written", &[1, 2, 4], slabs::slabs_of_every_shape_are_written),
        case("new_files_are_only_written", &[1, 2], refusals::new_files_are_only_written),
        case("attributes_and_groups_come_back", &[1, 3], content::attributes_and_groups_come_back),
        case("tables_come_back", &[1, 2], content::tables_come_back),
        case("files_of_others_have_their_values", &[1, 2], others::files_of_others_have_their_values),
        case("h5py_files_are_read", &[1, 2, 3], others::h5py_files_are_read),
        case("h5py_reads_ours", &[1, 2], others::h5py_reads_ours),
        case("bad_requests_are_named", &[1, 2, 3], refusals::bad_requests_are_named),
        case("bad_files_are_named", &[1, 2, 3], refusals::bad_files_are_named),
        case("only_closed_files_appear", &[1, 2], refusals::only_closed_files_appear),
    ])
}

/// Uneven rows of a matrix: rank r gets 2 r + 1 shares, but the last rank of several none.
pub(crate) fn rows_of(comm: &Comm, rows: u64) -> TestResult<(u64, u64)> {
    let last = comm.size() - 1;
    let share = |rank: usize| if rank == last && last > 0 { 0 } else { 2 * rank as u64 + 1 };
    let total: u64 = (0..comm.size()).map(share).sum();
    let mut lengths = comm.all_gather(rows * share(comm.rank()) / total);
    lengths[0] += rows - lengths.iter().sum::<u64>();
    let mine = Layout::from_local_len(comm, usize::try_from(lengths[comm.rank()])?)?;
    Ok((mine.range().start, mine.range().end))
}
