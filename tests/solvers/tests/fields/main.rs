//! Preconditioners of systems of several fields, against dense blocks and their inverses, and in a flow whose iterations
//! must not grow with the grid.

mod dense;
mod flow;
mod refusals;

use std::process::ExitCode;

use dolmen_core::{Complex32, Complex64};
use dolmen_tests::{case, same_bits};

fn main() -> ExitCode {
    const SOME: &[usize] = &[1, 2, 3, 4];
    dolmen_tests::main(&[
        case("blocks_are_those_of_the_matrix", SOME, dense::blocks),
        case("schur_forms_f32", SOME, dense::schur_forms::<f32>),
        case("schur_forms_f64", SOME, dense::schur_forms::<f64>),
        case("schur_forms_c32", SOME, dense::schur_forms::<Complex32>),
        case("schur_forms_c64", SOME, dense::schur_forms::<Complex64>),
        case("complements_f64", SOME, dense::complements::<f64>),
        case("complements_c64", SOME, dense::complements::<Complex64>),
        case("compositions_f64", SOME, dense::compositions::<f64>),
        case("compositions_c64", SOME, dense::compositions::<Complex64>),
        case("exact_blocks_need_few_iterations", SOME, dense::few_iterations),
        same_bits("iterations_of_a_flow", &[1, 2, 3], flow::iterations),
        same_bits("a_flow_has_the_same_bits", &[1, 2, 3, 4, 7], flow::bits),
        case("bad_fields_are_refused", &[1, 2, 3], refusals::fields),
        case("other_arguments_on_a_rank", &[2, 3], refusals::disagreements),
        case("stacked_vectors", &[1, 2, 3], refusals::stacked),
    ])
}
