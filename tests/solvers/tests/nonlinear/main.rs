//! Nonlinear systems against known roots and dense Newton iterations, on several numbers of ranks and to the bit; how
//! solves end that cannot converge; and what is refused.

mod bits;
mod endings;
mod problems;
mod refusals;
mod roots;

use std::process::ExitCode;

use dolmen_core::{Complex32, Complex64};
use dolmen_tests::{case, same_bits};

fn main() -> ExitCode {
    const SOME: &[usize] = &[1, 2, 3, 4];
    const MANY: &[usize] = &[1, 2, 3, 4, 7];
    dolmen_tests::main(&[
        case("newton_finds_known_roots_f32", SOME, roots::newton::<f32>),
        case("newton_finds_known_roots_f64", SOME, roots::newton::<f64>),
        case("newton_finds_known_roots_c32", SOME, roots::newton::<Complex32>),
        case("newton_finds_known_roots_c64", SOME, roots::newton::<Complex64>),
        case("steps_are_those_of_a_dense_newton", SOME, roots::dense),
        case("steps_that_go_too_far", SOME, roots::globalized),
        case("colored_differences_are_the_jacobian_f64", SOME, roots::colored::<f64>),
        case("colored_differences_are_the_jacobian_c64", SOME, roots::colored::<Complex64>),
        case("lagged_jacobians", SOME, roots::lagged),
        case("fixed_points_f64", SOME, roots::anderson::<f64>),
        case("fixed_points_c32", SOME, roots::anderson::<Complex32>),
        case("fixed_points_c64", SOME, roots::anderson::<Complex64>),
        case("minima_f32", SOME, roots::minima::<f32>),
        case("minima_f64", SOME, roots::minima::<f64>),
        case("bratu_with_multigrid", &[1, 2, 3], roots::bratu),
        same_bits("newton_has_the_same_bits_f64", MANY, bits::newton::<f64>),
        same_bits("newton_has_the_same_bits_c64", MANY, bits::newton::<Complex64>),
        same_bits("others_have_the_same_bits_f64", MANY, bits::others::<f64>),
        same_bits("others_have_the_same_bits_f32", MANY, bits::others::<f32>),
        case("local_minima_are_told", SOME, endings::local_minima),
        case("reports_are_true", SOME, endings::reports),
        case("limits_and_monitors", SOME, endings::limits),
        case("no_numbers", SOME, endings::no_numbers),
        case("wrong_jacobians_and_directions", SOME, endings::wrong),
        case("nothing_to_do", SOME, endings::trivial),
        case("failures_of_one_rank", &[1, 2, 3], refusals::failures),
        case("settings", &[1, 2, 3], refusals::settings),
        case("ranks_that_disagree", &[2, 3], refusals::disagreements),
    ])
}
