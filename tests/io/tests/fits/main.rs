//! FITS tables and maps against astropy's and healpy's readings of the same files.

mod maps;
mod reading;
mod tables;

use std::path::Path;
use std::process::{Command, ExitCode};

use dolmen_tests::{TestResult, case, same_bits, serial, skip};

fn main() -> ExitCode {
    dolmen_tests::main(&[
        serial("tables_have_the_values_astropy_sees", reading::tables_have_the_values_astropy_sees),
        serial("maps_have_the_values_healpy_sees", reading::maps_have_the_values_healpy_sees),
        serial("listed_pixels_are_placed", reading::listed_pixels_are_placed),
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

/// Debian's interpreter, which has healpy and h5py, unless the environment names another.
pub(crate) fn python(script: &str, arguments: &[&Path]) -> TestResult<bool> {
    let python = std::env::var("DOLMEN_PYTHON").unwrap_or_else(|_| "/usr/bin/python3".to_owned());
    let import = Command::new(&python).args(["-c", "import healpy"]).output();
    if !import.is_ok_and(|output| output.status.success()) {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{python} has no healpy");
        skip("no Python with healpy (DOLMEN_PYTHON names one)");
        return Ok(false);
    }
    let output = Command::new(&python).arg("-c").arg(script).args(arguments).output()?;
    let problem = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{problem}");
    Ok(true)
}
