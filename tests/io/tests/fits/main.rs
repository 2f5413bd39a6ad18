//! FITS tables and maps against astropy's and healpy's readings of the same files.

mod maps;
mod reading;
mod tables;

use std::path::Path;
use std::process::ExitCode;

use dolmen_tests::{TestResult, case, python_here, same_bits, serial};

fn main() -> ExitCode {
    dolmen_tests::main(&[
        serial("tables_have_the_values_astropy_sees", reading::tables_have_the_values_astropy_sees),
        serial("maps_have_the_values_healpy_sees", reading::maps_have_the_values_healpy_sees),
        serial("listed_pixels_are_placed", reading::listed_pixels_are_placed),
        serial("frames_and_conventions_have_many_names", reading::frames_and_conventions),
        same_bits("written_maps_do_not_depend_on_ranks", &[1, 2, 3, 4], maps::written_maps_do_not_depend_on_ranks),
        same_bits(
            "written_tables_do_not_depend_on_ranks",
            &[1, 2, 3, 4],
            tables::written_tables_do_not_depend_on_ranks,
        ),
        case("astropy_reads_written_tables", &[1, 3], tables::astropy_reads_written_tables),
        case("partial_maps_make_the_round_trip", &[1, 2, 3], maps::partial_maps_make_the_round_trip),
        case("refused_tables_leave_nothing", &[1, 2, 3], tables::refused_tables_leave_nothing),
        case("healpy_reads_written_maps_without_a_warning", &[1, 3], maps::healpy_reads_written_maps),
        case("a_refused_map_leaves_the_old_file", &[1, 2, 3], maps::a_refused_map_leaves_the_old_file),
    ])
}

/// Runs a script that needs healpy.
pub(crate) fn python(script: &str, arguments: &[&Path]) -> TestResult<bool> {
    python_here("healpy", script, arguments)
}
