//! Transposes, sums, products and parts of distributed sparse matrices against dense ones, and
//! against themselves on other numbers of ranks.

mod bits;
mod cases;
mod dense;
mod errors;
mod findings;
mod matrices;
mod parts;
mod products;
mod transposes;

use dolmen_core::{Complex32, Complex64};
use dolmen_tests::{case, same_bits};

const RANKS: &[usize] = &[1, 2, 3, 4, 7];

fn main() -> std::process::ExitCode {
    dolmen_tests::main(&[
        case("f32_products_agree_with_dense", RANKS, products::agree::<f32>),
        case("f64_products_agree_with_dense", RANKS, products::agree::<f64>),
        case("c32_products_agree_with_dense", RANKS, products::agree::<Complex32>),
        case("c64_products_agree_with_dense", RANKS, products::agree::<Complex64>),
        case("f32_parts_agree_with_dense", RANKS, parts::agree::<f32>),
        case("f64_parts_agree_with_dense", RANKS, parts::agree::<f64>),
        case("c32_parts_agree_with_dense", RANKS, parts::agree::<Complex32>),
        case("c64_parts_agree_with_dense", RANKS, parts::agree::<Complex64>),
        same_bits("f32_has_the_same_bits", RANKS, bits::checksums::<f32>),
        same_bits("f64_has_the_same_bits", RANKS, bits::checksums::<f64>),
        same_bits("c32_has_the_same_bits", RANKS, bits::checksums::<Complex32>),
        same_bits("c64_has_the_same_bits", RANKS, bits::checksums::<Complex64>),
        case("products_of_other_layouts", &[1, 2, 3], errors::products).alone(),
        case("bad_indices", &[1, 2, 3], errors::indices),
        case("bad_shapes", &[1, 2, 3], errors::shapes),
        case("plans_of_other_patterns", &[1, 2, 3], errors::plans),
        case("plans_serve_rebuilt_matrices", &[1, 2, 3], products::rebuilt),
        case("transposes_of_all_small_patterns", &[1, 2, 3, 4], transposes::small),
        case("transposes_of_symmetric_patterns", &[1, 2, 3, 4], transposes::large),
        case("transposes_of_rows_that_end_late", &[1, 2], transposes::ends_of_rows),
        case("facts_of_real_squares", &[1, 3], matrices::facts::<f64>),
        case("facts_of_complex_squares", &[1, 2, 4], matrices::facts::<Complex64>),
    ])
}
