//! Graphs against brute force on small ones, and against themselves on other numbers of ranks.

mod adjacency;
mod bits;
mod cases;
mod colorings;
mod errors;
mod meshes;
mod orderings;
mod partitions;
mod pattern;
mod renumberings;
mod sets;

use dolmen_core::Complex64;
use dolmen_tests::{case, same_bits};

const RANKS: &[usize] = &[1, 2, 3, 4, 7];

fn main() -> std::process::ExitCode {
    dolmen_tests::main(&[
        case("adjacency_of_edges_and_matrices", RANKS, adjacency::agrees),
        case("colorings_are_valid_and_greedy", RANKS, colorings::valid_and_greedy),
        case("independent_sets_are_independent_and_maximal", RANKS, sets::independent_and_maximal),
        case("orderings_follow_cuthill_and_mckee", RANKS, orderings::follow_the_definition),
        case("orderings_of_known_graphs", RANKS, orderings::known_graphs),
        case("partitions_cost_what_they_say", RANKS, partitions::costs),
        case("partitions_of_known_graphs", RANKS, partitions::known_graphs),
        case("f64_products_survive_renumbering", RANKS, renumberings::products::<f64>),
        case("c64_products_survive_renumbering", RANKS, renumberings::products::<Complex64>),
        same_bits("graphs_have_the_same_answers", RANKS, bits::checksums),
        case("bad_graphs", &[1, 2, 3], errors::bad_graphs),
        case("bad_partitions", &[1, 2, 3], errors::bad_partitions),
        case("bad_renumberings", &[1, 2, 3], errors::bad_renumberings),
        case("orderings_of_real_matrices", &[1, 3], meshes::orderings),
        case("partitions_of_real_matrices", &[2, 4, 7], meshes::partitions),
    ])
}
