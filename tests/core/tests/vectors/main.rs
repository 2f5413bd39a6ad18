//! Vectors, multi-vectors, redistribution and operators against a serial dense oracle, for all four
//! scalars, on any distribution; and the same bits on any number of ranks.

mod bits;
mod errors;
mod multi;
mod operators;
mod stacked;
mod transfer;
mod update;
mod vector;

use dolmen_tests::{case, same_bits};

const RANKS: &[usize] = &[1, 2, 3, 4, 7];

fn main() -> std::process::ExitCode {
    dolmen_tests::main(&[
        case("vector_operations", RANKS, vector::operations),
        case("one_pass", RANKS, update::one_pass),
        case("mismatched_updates", &[2], update::mismatched),
        case("transfers", RANKS, transfer::transfers),
        case("entries", RANKS, transfer::entries),
        case("multi_vectors", RANKS, multi::operations),
        case("orthonormal_columns", RANKS, multi::orthonormal_columns),
        case("norms_of_columns_of_any_size", &[1, 2, 3, 4], multi::norms_of_columns_of_any_size),
        case("operators", RANKS, operators::compositions),
        case("block_operators", RANKS, operators::blocks),
        case("fallible_closures", RANKS, operators::fallible_closures),
        case("extreme_sizes", &[1, 3], vector::extreme_sizes),
        case("special_values", &[1, 3], vector::special_values),
        case("moments", &[2], vector::moments),
        case("sub_communicators", &[1, 4, 7], transfer::sub_communicators),
        case("stacked_layouts", RANKS, stacked::numbers),
        case("stacks_differ_from_rows_in_a_row", &[1, 3], stacked::equality),
        case("stacked_layouts_are_refused_by_name", &[1, 3], stacked::refusals),
        case("errors_are_agreed", RANKS, errors::agreed),
        same_bits("reductions", RANKS, bits::reductions),
        same_bits("random_and_redistributed", RANKS, bits::random_and_redistributed),
        same_bits("blocks", RANKS, bits::blocks),
        same_bits("stacked_reductions", RANKS, stacked::reductions),
    ])
}
