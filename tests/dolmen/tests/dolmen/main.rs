//! The command `dolmen` on files: what it prints, what it writes, and its exit code.

mod checkpoints;
mod containers;
mod escapes;
mod info;
mod machine;
mod odd_files;
mod own;
mod progress;
mod refusals;
mod solve;
mod spectrum;
mod untrusted;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use dolmen_tests::{Mpirun, Output, TestResult, binary, serial};
use serde_json::Value;

fn main() -> ExitCode {
    dolmen_tests::main(&[
        serial("systems_are_solved", solve::systems),
        serial("badly_scaled_systems_are_solved", solve::badly_scaled),
        serial("failures_are_told", solve::failures),
        serial("solutions_are_written", solve::written),
        serial("right_hand_sides", solve::right_hand_sides),
        serial("one_of_several_right_hand_sides", solve::columns),
        serial("systems_of_any_size_are_solved", solve::sizes),
        serial("monitor_and_profile", solve::monitor_and_profile),
        serial("reference_matrices_are_solved", solve::reference_matrices),
        serial("long_solves_have_a_bar_on_a_terminal", progress::terminal),
        serial("quiet_solves_tell_their_result_only", progress::quiet),
        serial("short_work_shows_no_progress_elsewhere", progress::elsewhere),
        serial("own_systems_are_solved_from_each_format", own::systems),
        serial("own_right_hand_sides_are_the_same_in_each_format", own::right_hand_sides),
        serial("stopped_and_resumed", checkpoints::stopped_and_resumed),
        serial("ended_at_its_limit_and_resumed", checkpoints::ended_at_its_limit),
        serial("a_later_attempt_is_resumed", checkpoints::later_attempt),
        serial("other_checkpoints_are_refused", checkpoints::refused),
        serial("matrices_are_described", info::by_hand),
        serial("norms_of_any_size_are_told", info::any_size),
        serial("reference_matrices_are_described", info::reference_matrices),
        serial("pictures", info::pictures),
        serial("machines_are_checked", machine::check),
        serial("files_are_converted", machine::convert),
        serial("hdf5_is_converted", containers::hdf5),
        serial("fits_is_converted", containers::fits),
        serial("hdf5_of_others_is_read", containers::hdf5_of_others),
        serial("fits_of_others_is_read", containers::fits_of_others),
        serial("reference_containers_are_listed", containers::reference_data),
        serial("containers_refuse_by_name", containers::refusals),
        serial("odd_hdf5_is_read_as_far_as_it_is_clear", odd_files::hdf5),
        serial("hdf5_of_matlab_and_anndata_is_read", odd_files::matlab_and_anndata),
        serial("odd_matrix_market_is_read_with_a_warning", odd_files::warned_of),
        serial("odd_fits_is_read_as_far_as_it_is_clear", odd_files::fits),
        serial("contents_tell_the_format_and_pipes_are_refused", odd_files::names_and_pipes),
        serial("right_hand_sides_behind_matrices_are_told", odd_files::right_hand_side),
        serial("data_in_other_files_are_refused", untrusted::data_in_other_files),
        serial("nested_groups_are_listed_soon", untrusted::nested_groups),
        serial("greedy_files_are_refused", untrusted::greedy_files),
        serial("a_damaged_heap_crashes_nothing", untrusted::damaged_heap),
        serial("eigenvalues_are_found", spectrum::eigenvalues),
        serial("spectra_are_printed_and_written", spectrum::output),
        serial("unfinished_searches_are_told", spectrum::failures),
        serial("own_matrices_have_spectra", spectrum::own),
        serial("bad_input_ends_in_one_line", refusals::bad_input),
        serial("right_hand_sides_of_a_wrong_length_are_told", refusals::right_hand_sides),
        serial("destinations_are_looked_at_first", refusals::destinations),
        serial("inputs_and_neighbors_are_kept", refusals::inputs_and_neighbors),
        serial("links_lead_nowhere", escapes::links),
        serial("text_of_files_is_shown_escaped", escapes::text),
        serial("names_in_any_encoding_are_accepted", escapes::names),
        serial("a_full_standard_output_is_told", refusals::full_output),
        serial("bad_arguments_are_named", refusals::bad_arguments),
        serial("warnings_of_libraries_are_shown", refusals::warnings),
    ])
}

/// Runs the command in a folder.
fn dolmen(ranks: usize, folder: &Path, args: &[&str]) -> TestResult<Output> {
    let job = Mpirun::new(ranks).program(binary("dolmen")?).args(args).current_dir(folder);
    Ok(job.deadline(Duration::from_secs(60)).run()?)
}

/// The one JSON object that the command prints, and its exit code.
fn object(ranks: usize, folder: &Path, args: &[&str]) -> TestResult<(Value, Option<i32>)> {
    let output = dolmen(ranks, folder, &[args, &["--json"]].concat())?;
    let object: Value = serde_json::from_str(&output.stdout).map_err(|error| format!("{error}: {output:?}"))?;
    assert!(object.is_object(), "{object}");
    Ok((object, output.status.code()))
}

/// Writes a MatrixMarket file of real numbers.
fn matrix(folder: &Path, name: &str, symmetry: &str, size: [u64; 2], entries: &[(u64, u64, f64)]) -> TestResult {
    let mut text =
        format!("%%MatrixMarket matrix coordinate real {symmetry}\n{} {} {}\n", size[0], size[1], entries.len());
    entries.iter().for_each(|(row, column, value)| text += &format!("{row} {column} {value:?}\n"));
    Ok(std::fs::write(folder.join(name), text)?)
}

/// The symmetric tridiagonal matrix with a diagonal, and -1 beside it.
fn tridiagonal(folder: &Path, name: &str, n: u64, diagonal: f64) -> TestResult {
    let mut entries: Vec<(u64, u64, f64)> = (1..=n).map(|i| (i, i, diagonal)).collect();
    entries.extend((2..=n).map(|i| (i, i - 1, -1.0)));
    matrix(folder, name, "symmetric", [n, n], &entries)
}
