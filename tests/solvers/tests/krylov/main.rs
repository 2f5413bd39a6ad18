//! Krylov methods: iteration counts and norms of other programs, every method against a dense solve,
//! the same iterates on any number of ranks, stopping and going on, and an honest word about every way
//! to end.

mod bits;
mod block;
mod causes;
mod cg;
mod damped;
mod endings;
mod honesty;
mod meeting;
mod preconditioned;
mod references;
mod resume;
mod resume_preconditioned;
mod scaling;
mod settings;
mod stencil;
mod stopping;
mod table;

use std::process::ExitCode;
use std::time::Duration;

use dolmen_core::{Complex32, Complex64};
use dolmen_tests::{case, same_bits};

fn main() -> ExitCode {
    const SOME: &[usize] = &[1, 2, 3, 4];
    const RANKS: &[usize] = &[1, 2, 4];
    const MANY: &[usize] = &[1, 2, 3, 4, 7];
    dolmen_tests::main(&[
        case("poisson_in_two_dimensions", SOME, cg::poisson_in_two_dimensions),
        case("iterations_grow_with_the_grid", &[2], cg::iterations_grow_with_the_grid)
            .deadline(Duration::from_secs(300)),
        case("poisson_in_three_dimensions", SOME, cg::poisson_in_three_dimensions),
        case("neumann_with_a_projection", SOME, cg::neumann_with_a_projection),
        case("neumann_without_symmetry", &[1, 3], cg::neumann_without_symmetry),
        case("neumann_with_an_inconsistent_right_hand_side", &[1, 3], cg::neumann_inconsistent),
        same_bits("iterates", MANY, cg::iterates),
        case("laplacian_a", RANKS, references::laplacian_a),
        case("laplacian_b", RANKS, references::laplacian_b).deadline(Duration::from_secs(300)),
        case("convection_c", RANKS, references::convection_c),
        case("indefinite_d", RANKS, references::indefinite_d),
        case("least_squares_e", RANKS, references::least_squares_e),
        case("null_space_f", RANKS, references::null_space_f),
        case("no_false_converged", &[1, 2], references::no_false_converged).deadline(Duration::from_secs(300)),
        case("honest_methods", &[1, 2], honesty::square_methods).deadline(Duration::from_secs(300)),
        case("honest_least_squares", &[1, 2], honesty::least_squares_methods).deadline(Duration::from_secs(300)),
        case("square_methods_against_a_dense_solve", &[1, 2, 3], table::square_methods),
        case("least_squares_against_a_dense_solve", &[1, 2, 3], table::least_squares_methods),
        case("damped_and_weighted_f32", SOME, damped::agrees::<f32>),
        case("damped_and_weighted_f64", SOME, damped::agrees::<f64>),
        case("damped_and_weighted_c32", SOME, damped::agrees::<Complex32>),
        case("damped_and_weighted_c64", SOME, damped::agrees::<Complex64>),
        case("reports_of_damped_solves", &[1, 3], damped::reports),
        case("damped_solves_resume", &[1, 2, 3], damped::resumes),
        case("mistakes_in_damping", &[1, 2, 3], damped::mistakes),
        same_bits("damped_f64", MANY, damped::checksums::<f64>),
        same_bits("damped_c64", MANY, damped::checksums::<Complex64>),
        case("methods_with_preconditioners_f32", &[1, 2, 3], preconditioned::table::<f32>),
        case("methods_with_preconditioners_f64", &[1, 2, 3], preconditioned::table::<f64>),
        case("methods_with_preconditioners_c32", &[1, 2, 3], preconditioned::table::<Complex32>),
        case("methods_with_preconditioners_c64", &[1, 2, 3], preconditioned::table::<Complex64>),
        case("gmres_from_both_sides", &[1, 2], table::gmres_sides),
        case("gmres_with_a_split_preconditioner", SOME, table::gmres_split),
        case("norms", &[1, 2], table::norms),
        same_bits("methods", MANY, bits::methods).deadline(Duration::from_secs(300)),
        case("trivial_systems", &[1, 2, 3], endings::trivial_systems),
        case("values_that_are_not_finite", &[1, 2, 3], endings::not_finite),
        case("singular_systems", &[1, 2], endings::singular_systems),
        case("indefinite_systems", &[1, 2], endings::indefinite_systems),
        case("names_and_refusals", &[1], endings::names_and_refusals),
        case("other_settings_on_a_rank", &[2, 3, 4], settings::other_settings_on_a_rank),
        case("settings_out_of_range", &[1, 2, 3, 4], settings::settings_out_of_range),
        case("inconsistent_systems_f32", &[1, 3], causes::inconsistent::<f32>),
        case("inconsistent_systems_f64", &[1, 3], causes::inconsistent::<f64>),
        case("inconsistent_systems_c64", &[1, 3], causes::inconsistent::<Complex64>),
        case("nearly_singular_systems_f32", &[1, 3], causes::nearly_singular::<f32>),
        case("nearly_singular_systems_f64", &[1, 3], causes::nearly_singular::<f64>),
        case("systems_without_symmetry", &[1, 2, 3], causes::without_symmetry),
        case("slow_systems", &[1, 2], causes::slow),
        case("zero_operators", &[1, 2, 3], causes::zero_operator),
        case("stop_and_resume", &[1, 2, 3], resume::stop_and_resume).deadline(Duration::from_secs(300)),
        case("resume_with_preconditioners_f64", &[1, 3], resume_preconditioned::square::<f64>)
            .deadline(Duration::from_secs(300)),
        case("resume_with_preconditioners_c32", &[1, 3], resume_preconditioned::square::<Complex32>)
            .deadline(Duration::from_secs(300)),
        case("resume_with_column_scaling_f64", &[1, 3], resume_preconditioned::least_squares::<f64>),
        case("resume_with_column_scaling_c32", &[1, 3], resume_preconditioned::least_squares::<Complex32>),
        case("periodic_snapshots", &[1, 2], resume::periodic_snapshots),
        case("every_snapshot", &[1, 2], resume::every_snapshot),
        case("resume_with_a_larger_limit", &[1, 2], resume::larger_limit),
        case("one_snapshot_an_iteration", &[1, 2], resume::one_an_iteration),
        case("foreign_snapshots", &[1, 2], resume::foreign_snapshots),
        case("monitors_meet_when_all_want_to", &[1, 2, 3, 4], meeting::when_all_want_to),
        case("block_monitors_meet", &[1, 3], meeting::of_blocks),
        case("a_failed_meeting_ends_the_solve", &[1, 3], meeting::failed),
        case("blocks_against_dense_solves", SOME, block::dense_solves),
        case("blocks_that_converge_at_different_times", &[1, 3], block::different_times),
        case("blocks_that_do_not_converge", &[1, 2, 3], block::bad_ends),
        case("blocks_stop_and_resume", SOME, block::stop_and_resume),
        same_bits("block_iterates", MANY, block::iterates),
        case("complex_against_a_dense_solve", SOME, cg::complex_against_a_dense_solve),
        case("single_precision", SOME, stopping::single_precision),
        case("tiny_single_precision", SOME, stopping::tiny_single_precision),
        case("zero_right_hand_side", &[1, 2], stopping::zero_right_hand_side),
        case("initial_guess", &[1, 2], stopping::initial_guess),
        case("indefinite_operator", SOME, stopping::indefinite_operator),
        case("indefinite_preconditioner", &[1, 2], stopping::indefinite_preconditioner),
        case("not_finite", SOME, stopping::not_finite),
        case("divergence_limit", &[1, 2], stopping::divergence_limit),
        case("tolerance_below_rounding", &[1, 2], stopping::tolerance_below_rounding),
        case("a_restart_recovers_lost_digits", &[1, 2], stopping::a_restart_recovers_lost_digits),
        case("one_vain_restart_is_not_stagnation", &[1, 2], stopping::one_vain_restart_is_not_stagnation),
        case("iteration_limit", &[1, 2], stopping::iteration_limit),
        case("least_squares_restarts", &[1, 2], stopping::least_squares_restarts),
        case("fast_reductions", SOME, stopping::fast_reductions),
        case("scaled_square_systems_f32", SOME, scaling::square::<f32>),
        case("scaled_square_systems_f64", SOME, scaling::square::<f64>),
        case("scaled_square_systems_c32", &[1, 3], scaling::square::<Complex32>),
        case("scaled_square_systems_c64", &[1, 3], scaling::square::<Complex64>),
        case("scaled_least_squares_f32", SOME, scaling::least_squares::<f32>),
        case("scaled_least_squares_f64", SOME, scaling::least_squares::<f64>),
        case("scaled_least_squares_c32", &[1, 3], scaling::least_squares::<Complex32>),
        case("scaled_least_squares_c64", &[1, 3], scaling::least_squares::<Complex64>),
        case("scaled_blocks_f32", &[1, 3], scaling::blocks::<f32>),
        case("scaled_blocks_f64", SOME, scaling::blocks::<f64>),
        case("scaled_blocks_c64", &[1, 3], scaling::blocks::<Complex64>),
        case("scaled_norms", &[1, 3], scaling::norms),
        case("scaled_settings", &[1, 3], scaling::settings),
        case("scaled_monitors", SOME, scaling::monitors),
        case("scaled_block_monitors", &[1, 3], scaling::block_monitors),
        case("small_operators", &[1, 3], scaling::small_operators),
        case("scaled_systems_by_hand", SOME, scaling::by_hand),
        case("solutions_out_of_range", SOME, scaling::out_of_range),
        case("mismatched_layouts", &[1, 2, 3], stopping::mismatched_layouts),
        case("bad_settings", &[1, 2], stopping::bad_settings),
        case("a_failing_operator", SOME, stopping::a_failing_operator),
    ])
}
