//! Checkpoints: what comes back, on which ranks, and what damage does.

mod background;
mod content;
mod crafted;
mod damage;
mod disk;
#[path = "../common/problem.rs"]
mod problem;
mod resume;
mod stacked;

use std::process::ExitCode;
use std::time::Duration;

use dolmen_tests::{Comm, case};

fn main() -> ExitCode {
    dolmen_tests::main(&[
        case("everything_comes_back", &[1, 2, 4], content::everything_comes_back),
        case("h5py_reads_checkpoints", &[1, 3], content::h5py_reads_checkpoints),
        case("files_do_not_depend_on_the_ranks", &[4], content::files_do_not_depend_on_the_ranks),
        case("the_last_ones_are_kept", &[1, 2], content::the_last_ones_are_kept),
        case("the_moment_is_saved", &[1, 2, 4], background::keeps_the_moment),
        case("one_checkpoint_at_a_time", &[1, 3], background::one_at_a_time),
        case("a_failing_writer_is_told_everywhere", &[2, 3], background::failing_writer).alone(),
        case("one_run_at_a_time", &[1, 3], content::one_run_at_a_time),
        case("bad_requests_are_named", &[1, 3], content::bad_requests_are_named),
        case("claims_beyond_the_file_are_refused", &[1, 3], crafted::too_long),
        case("stray_names_do_no_harm", &[1, 2], crafted::stray_names),
        case("damage_is_found_and_skipped", &[3], damage::matrix).deadline(Duration::from_secs(120)),
        case("every_byte_counts", &[1], damage::every_byte_counts),
        case("a_full_disk_keeps_the_last_one", &[1, 3], disk::full).alone(),
        case("named_while_the_solve_goes_on", &[1, 2, 4], resume::named_meanwhile),
        case("a_full_disk_costs_no_result", &[1, 3], disk::full_at_the_end).alone(),
        case("stacked_vectors_are_resumed_on_any", &[4], stacked::to_any),
        case("stacked_vectors_are_saved_block_by_block", &[4], stacked::blocks_in_order),
        case("written_on_four_resumed_on_any", &[7], resume::four_to_any).deadline(Duration::from_secs(120)),
    ])
}

/// The first ranks as a communicator of their own.
///
/// # Collective
pub(crate) fn first_ranks(comm: &Comm, count: usize) -> dolmen_core::Result<Option<Comm>> {
    comm.split((comm.rank() < count).then_some(0), comm.rank())
}
