//! The map-maker against exact answers, bad input and a killed rank.

mod bits;
mod checkpoints;
#[path = "../common/mod.rs"]
mod common;
mod comparing;
mod fixture;
mod fuzz;
mod gls;
mod importing;
mod inputs;
mod keeping;
mod many_files;
mod noise;
mod oracle;
mod prior;
mod programs;
mod references;
mod refusals;
mod roundtrip;
mod splits;
mod templates;
mod toast;
mod undetermined;
mod untrusted;

use std::time::Duration;

use dolmen_tests::{case, fuzz_deadline, same_bits, serial};

const RANKS: &[usize] = &[1, 2, 3, 4];

fn main() -> std::process::ExitCode {
    let minute = Duration::from_secs(120);
    dolmen_tests::main(&[
        case("planck_scan_equals_dense_reference", RANKS, references::planck_data).deadline(minute),
        case("planck_sky_alone_equals_dense_reference", RANKS, references::planck_sky_only).deadline(minute),
        case("imported_planck_scan_equals_dense_reference", RANKS, references::planck_imported).deadline(minute),
        case("midapack_timelines_equal_dense_reference", RANKS, references::midapack_data),
        case("midapack_signal_alone_equals_dense_reference", RANKS, references::midapack_signal_only),
        case("every_kind_of_map_equals_a_dense_solve", RANKS, oracle::all_kinds),
        case("imperfect_timelines_equal_a_dense_solve", RANKS, oracle::imperfect),
        case("a_scan_without_noise_gives_the_sky_back", &[1, 3], roundtrip::noiseless).deadline(minute),
        case("masked_pixels_stay_out_of_the_solve", RANKS, oracle::masked),
        case("separate_patches_have_separate_null_spaces", RANKS, oracle::separate_patches),
        case("dst_table_equals_a_dense_solve", RANKS, oracle::dst_table),
        case("offsets_with_a_prior_equal_a_dense_solve", RANKS, prior::oracle),
        case("maps_by_least_squares_equal_a_dense_solve", RANKS, gls::oracle),
        case("maps_by_least_squares_resume", RANKS, gls::resumed),
        case("maps_by_least_squares_need_known_noise", &[1, 3], gls::unknown_noise),
        case("unseen_series_have_a_null_space_of_their_own", RANKS, prior::unseen_series),
        case("a_prior_lets_short_baselines_help", &[2], prior::residuals),
        case("pixels_equal_healpy", &[1], references::healpix),
        case("fuzz_timelines", &[1, 2], fuzz::timelines).deadline(fuzz_deadline()).alone(),
        case("fuzz_imports", &[1, 2], fuzz::imports).deadline(fuzz_deadline()).alone(),
        same_bits("outputs", &[1, 2, 3, 4, 7], bits::outputs),
        same_bits("outputs_without_a_prior", &[1, 2, 3, 4, 7], bits::outputs_without_a_prior),
        same_bits("simulation", &[1, 2, 3, 4, 7], bits::simulation),
        serial("bad_input_ends_in_one_line", refusals::bad_input),
        serial("bad_timelines_are_named", refusals::bad_timelines),
        serial("bad_settings_are_named", refusals::bad_settings),
        serial("odd_input_is_mapped", programs::odd_input),
        case("flags_and_names_have_many_types", RANKS, inputs::types),
        case("samples_of_masked_baselines_are_left_out", RANKS, undetermined::baselines),
        case("samples_of_masked_detectors_are_left_out_of_maps_with_a_prior", &[1, 3], undetermined::detectors),
        case("what_a_solve_cannot_tell_is_said", &[1, 3], undetermined::said),
        case("sums_refuse_what_they_do_not_hold", RANKS, undetermined::ranges),
        case("differences_equal_those_of_numpy", RANKS, comparing::differences),
        case("a_part_of_the_sky_is_listed", RANKS, comparing::part_of_the_sky),
        case("timelines_and_runs_are_described", RANKS, comparing::information),
        case("outputs_are_left_out_on_request", &[2], comparing::switches),
        case("the_documented_example_is_mapped", &[1, 3], inputs::documented),
        case("pointing_may_be_in_single_precision", RANKS, inputs::single_precision),
        case("other_frames_are_refused", RANKS, inputs::frames),
        case("skies_are_converted_to_the_unit_of_the_timelines", RANKS, inputs::units),
        serial("healpy_reads_the_maps", programs::healpy),
        serial("the_program_is_built_beside_the_tests", programs::is_beside),
        case("snapshots_of_other_data_are_refused", &[1, 3], oracle::other_data),
        serial("stopped_runs_end_with_the_same_maps", checkpoints::stopped_and_resumed),
        serial("saving_on_the_way_changes_nothing", checkpoints::saved_on_the_way),
        serial("ended_at_its_limit_and_resumed", checkpoints::ended_at_its_limit),
        serial("checkpoints_of_other_runs_are_refused", checkpoints::refused),
        case("noise_is_found_again", RANKS, noise::recovered).deadline(minute),
        case("a_map_of_the_same_timelines_takes_noise", &[1, 2], noise::own_map).deadline(minute),
        same_bits("estimates_of_noise", &[1, 2, 3, 4, 7], noise::bits).deadline(minute),
        case("noise_may_come_from_a_file", &[1, 3], noise::from_file),
        serial("the_noise_of_timelines_is_shown", noise::command),
        case("maps_of_parts_equal_a_dense_solve", RANKS, splits::oracle),
        case("halves_add_up_to_the_whole", RANKS, splits::sums),
        case("samples_without_offsets_are_in_no_part", &[1, 3], splits::left_out),
        case("maps_of_parts_are_files", &[1, 3], splits::files),
        same_bits("outputs_of_parts", &[1, 2, 3, 4, 7], splits::outputs),
        serial("splits_that_are_not_possible_are_named", splits::bad),
        case("drifts_of_templates_come_back", RANKS, templates::recovered),
        case("templates_equal_a_dense_solve", RANKS, templates::oracle),
        case("templates_of_observations_equal_a_dense_solve", RANKS, templates::whole_observations),
        case("masked_samples_of_templates_equal_a_dense_solve", RANKS, templates::masked),
        case("dependent_templates_are_left_out", RANKS, templates::dependent),
        case("nearly_dependent_templates_are_no_trouble", &[1, 3], templates::nearly_dependent),
        case("templates_of_angles_equal_a_dense_solve", RANKS, templates::angles),
        case("maps_of_parts_are_without_templates", &[1, 3], templates::parts),
        case("amplitudes_of_templates_are_written", &[1, 3], templates::written),
        same_bits("outputs_with_templates", &[1, 2, 3, 4, 7], templates::outputs),
        same_bits("outputs_with_templates_without_a_prior", &[1, 2, 3, 4, 7], templates::outputs_without_a_prior),
        serial("runs_with_templates_resume", templates::resumed),
        case("several_files_are_as_one", RANKS, many_files::as_one),
        case("files_may_have_different_detectors", RANKS, many_files::different_sets),
        case("files_that_contradict_each_other_are_named", &[1, 3], many_files::contradictions),
        case("outputs_name_all_inputs", &[1, 3], many_files::provenance),
        same_bits("outputs_of_several_files", &[1, 2, 3, 4, 7], many_files::outputs),
        serial("several_files_are_one_input", many_files::programs),
        case("fits_tables_are_imported", RANKS, importing::forms),
        same_bits("imports_of_fits_tables", &[1, 2, 3, 4, 7], importing::bits),
        case("fits_tables_that_are_not_imported_are_named", &[1, 3], importing::bad),
        serial("imported_timelines_are_mapped", importing::program),
        case("observations_of_toast_are_imported", RANKS, toast::layouts),
        same_bits("imports_of_toast", &[1, 2, 3, 4, 7], toast::bits),
        serial("imported_observations_are_mapped", toast::program),
        case("observations_of_toast_that_are_not_imported_are_named", &[1, 3], toast::bad),
        serial("inputs_are_never_replaced", keeping::inputs),
        serial("timelines_in_other_files_are_refused", untrusted::timelines_in_other_files),
        serial("a_large_configuration_is_refused", untrusted::large_configuration),
        serial("links_lead_nowhere", keeping::links),
        serial("names_and_keys_are_shown_escaped", keeping::escapes),
        serial("a_killed_rank_ends_the_job", programs::killed_rank),
    ])
}
