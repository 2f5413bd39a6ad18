//! Distributed sparse matrices against dense ones, and against themselves on other numbers of ranks.

mod bits;
mod cases;
mod dense;
mod dirichlet;
mod errors;
mod matrices;
mod oracle;

use dolmen_core::{Complex32, Complex64};
use dolmen_tests::{case, same_bits};

const RANKS: &[usize] = &[1, 2, 3, 4, 7];

fn main() -> std::process::ExitCode {
    dolmen_tests::main(&[
        case("f32_agrees_with_dense", RANKS, oracle::agrees::<f32>),
        case("f64_agrees_with_dense", RANKS, oracle::agrees::<f64>),
        case("c32_agrees_with_dense", RANKS, oracle::agrees::<Complex32>),
        case("c64_agrees_with_dense", RANKS, oracle::agrees::<Complex64>),
        same_bits("f32_has_the_same_bits", RANKS, bits::checksums::<f32>),
        same_bits("f64_has_the_same_bits", RANKS, bits::checksums::<f64>),
        same_bits("c32_has_the_same_bits", RANKS, bits::checksums::<Complex32>),
        same_bits("c64_has_the_same_bits", RANKS, bits::checksums::<Complex64>),
        case("f32_dirichlet_rows", RANKS, dirichlet::agrees::<f32>),
        case("f64_dirichlet_rows", RANKS, dirichlet::agrees::<f64>),
        case("c32_dirichlet_rows", RANKS, dirichlet::agrees::<Complex32>),
        case("c64_dirichlet_rows", RANKS, dirichlet::agrees::<Complex64>),
        case("dirichlet_mistakes", &[1, 2, 3], dirichlet::mistakes),
        same_bits("f32_dirichlet_has_the_same_bits", RANKS, dirichlet::checksums::<f32>),
        same_bits("c64_dirichlet_has_the_same_bits", RANKS, dirichlet::checksums::<Complex64>),
        case("bad_triplets", &[1, 2, 3], errors::bad_triplets),
        case("bad_parts", &[1, 2, 3], errors::bad_parts),
        case("bad_operands", &[1, 2, 3], errors::bad_operands),
        case("failed_changes_change_nothing", &[1, 2, 3], errors::failed_changes),
        case("set_and_scale_are_seen_by_the_adjoint", &[1, 2, 3], errors::changes_are_seen),
        case("nan_is_a_value", &[1, 2], errors::nan_is_a_value),
        case("norms_of_any_size", &[1, 2, 3], errors::norms_of_any_size),
        case("facts_of_real_matrices", &[1, 3], matrices::facts::<f64>),
        case("facts_of_complex_matrices", &[1, 2, 4], matrices::facts::<Complex64>),
    ])
}
