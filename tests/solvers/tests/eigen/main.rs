//! Eigenvalues and singular values against closed forms and dense computations, on several numbers of ranks.

mod general;
mod lanczos;
mod lobpcg;
mod problems;
mod singular;
mod stopper;

use std::process::ExitCode;

use dolmen_core::{Complex32, Complex64};
use dolmen_tests::{case, same_bits};

const RANKS: &[usize] = &[1, 2, 3, 4];

macro_rules! scalars {
    ($cases:ident: $($module:ident::$function:ident),*) => {$(
        $cases.push(case(concat!("f32_", stringify!($function)), RANKS, $module::$function::<f32>));
        $cases.push(case(concat!("f64_", stringify!($function)), RANKS, $module::$function::<f64>));
        $cases.push(case(concat!("c32_", stringify!($function)), RANKS, $module::$function::<Complex32>));
        $cases.push(case(concat!("c64_", stringify!($function)), RANKS, $module::$function::<Complex64>));
    )*};
}

fn main() -> ExitCode {
    let mut cases = vec![
        case("one_eigenvalue_many_times", RANKS, lanczos::one_eigenvalue_many_times),
        case("copies_at_a_loose_tolerance", RANKS, lanczos::copies_at_a_loose_tolerance),
        case("copies_on_single_unknowns", RANKS, lanczos::copies_on_single_unknowns),
        case("both_ends", RANKS, lanczos::both_ends),
        case("singular_mass", RANKS, lanczos::singular_mass),
        case("degenerate", RANKS, lanczos::degenerate),
        case("scales", RANKS, lanczos::scales),
        case("refusals", RANKS, lanczos::refusals),
        case("no_false_converged", RANKS, lanczos::no_false_converged),
        case("stop_and_resume", RANKS, lanczos::stop_and_resume),
        same_bits("bits", &[1, 2, 3, 4, 7], lanczos::bits),
        case("lobpcg_degenerate", RANKS, lobpcg::degenerate),
        case("lobpcg_scales", RANKS, lobpcg::scales),
        case("lobpcg_refusals", RANKS, lobpcg::refusals),
        case("lobpcg_stop_and_go_on", RANKS, lobpcg::stop_and_go_on),
        same_bits("lobpcg_bits", &[1, 2, 3, 4, 7], lobpcg::bits),
        case("conjugates", RANKS, general::conjugates),
        case("general_degenerate", RANKS, general::degenerate),
        case("general_scales", RANKS, general::scales),
        case("general_refusals", RANKS, general::refusals),
        case("general_stop_and_resume", RANKS, general::stop_and_resume),
        case("automatic", RANKS, general::automatic),
        same_bits("general_bits", &[1, 2, 3, 4, 7], general::bits),
        case("grcar", RANKS, singular::grcar),
        case("singular_degenerate", RANKS, singular::degenerate),
        case("singular_scales", RANKS, singular::scales),
        case("singular_refusals", RANKS, singular::refusals),
        case("singular_stop_and_resume", RANKS, singular::stop_and_resume),
        same_bits("singular_bits", &[1, 2, 3, 4, 7], singular::bits),
    ];
    scalars!(cases: lanczos::multiple_eigenvalues, lanczos::mass_matrices, lobpcg::laplacians, lobpcg::mass_matrix, singular::dense_values, general::regions);
    dolmen_tests::main(&cases)
}
