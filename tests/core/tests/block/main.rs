//! Block matrices, block-diagonal and banded operators against dense ones, and against themselves
//! on other numbers of ranks.

mod bits;
mod columns;
mod diagonal;
mod errors;
mod matrix;

use dolmen_core::{Complex32, Complex64};
use dolmen_tests::{case, same_bits};

const RANKS: &[usize] = &[1, 2, 3, 4, 7];

fn main() -> std::process::ExitCode {
    dolmen_tests::main(&[
        case("f32_matrix_agrees_with_dense", RANKS, matrix::agrees::<f32>),
        case("f64_matrix_agrees_with_dense", RANKS, matrix::agrees::<f64>),
        case("c32_matrix_agrees_with_dense", RANKS, matrix::agrees::<Complex32>),
        case("c64_matrix_agrees_with_dense", RANKS, matrix::agrees::<Complex64>),
        case("diagonal_operators_agree_with_dense", RANKS, diagonal::agree),
        same_bits("f32_has_the_same_bits", RANKS, bits::checksums::<f32>),
        same_bits("f64_has_the_same_bits", RANKS, bits::checksums::<f64>),
        same_bits("c32_has_the_same_bits", RANKS, bits::checksums::<Complex32>),
        same_bits("c64_has_the_same_bits", RANKS, bits::checksums::<Complex64>),
        case("blocks_by_columns_agree_with_plain_matrices", RANKS, columns::agrees),
        same_bits("blocks_by_columns_have_the_same_bits", RANKS, columns::checksums),
        case("odd_operands_of_blocks_by_columns", &[1, 2, 3], columns::odd_operands),
        case("bad_blocks_by_columns", &[1, 2, 3], columns::bad_blocks),
        case("blocks_by_columns_from_rows", RANKS, columns::from_rows),
        case("products_through_blocks_by_columns", RANKS, columns::through),
        case("bad_rows_of_blocks_by_columns", &[1, 2, 3], columns::bad_rows),
        case("bad_blocks", &[1, 2, 3], errors::bad_blocks),
        case("bad_operands", &[1, 2, 3], errors::bad_operands),
        case("failing_factorizations", &[1, 2, 3], errors::failing_factorizations),
    ])
}
