//! Preconditioners and factorizations against dense computations of their definitions, on several
//! numbers of ranks; iteration counts of other programs; and what cannot be preconditioned.

mod dense;
mod distributed;
mod elasticity;
mod local;
mod multigrid;
mod references;
mod refusals;
mod scaled;
mod single;

use std::process::ExitCode;
use std::time::Duration;

use dolmen_core::{Complex32, Complex64};
use dolmen_tests::{case, same_bits, serial};

const RANKS: &[usize] = &[1, 2, 3, 4, 7];

macro_rules! scalars {
    ($cases:ident, serial: $($module:ident::$function:ident),*) => {$(
        $cases.push(serial(concat!("f32_", stringify!($function)), $module::$function::<f32>));
        $cases.push(serial(concat!("f64_", stringify!($function)), $module::$function::<f64>));
        $cases.push(serial(concat!("c32_", stringify!($function)), $module::$function::<Complex32>));
        $cases.push(serial(concat!("c64_", stringify!($function)), $module::$function::<Complex64>));
    )*};
    ($cases:ident, $kind:ident: $($module:ident::$function:ident),*) => {$(
        $cases.push($kind(concat!("f32_", stringify!($function)), RANKS, $module::$function::<f32>));
        $cases.push($kind(concat!("f64_", stringify!($function)), RANKS, $module::$function::<f64>));
        $cases.push($kind(concat!("c32_", stringify!($function)), RANKS, $module::$function::<Complex32>));
        $cases.push($kind(concat!("c64_", stringify!($function)), RANKS, $module::$function::<Complex64>));
    )*};
}

fn main() -> ExitCode {
    const REFERENCES: &[usize] = &[1, 2, 4];
    let mut cases = vec![
        serial("shifts", local::shifts),
        serial("direct_with_supernodes", local::direct_with_supernodes),
        serial("conditions", local::conditions),
        serial("solvable_and_singular", scaled::solvable_and_singular),
        serial("pivots_beside_scaled_rows", scaled::pivots_beside_scaled_rows),
        case("chebyshev_intervals", &[1, 2, 3, 4], scaled::chebyshev_intervals),
        case("f64_distributed_scales", &[1, 2, 3, 4], scaled::distributed_scales::<f64>),
        case("c32_distributed_scales", &[1, 2, 3, 4], scaled::distributed_scales::<Complex32>),
        case("c64_distributed_scales", &[1, 3], scaled::distributed_scales::<Complex64>),
        case("f64_in_single_precision_solves", &[1, 2, 3, 4], single::solves::<f64>),
        case("c64_in_single_precision_solves", &[1, 3], single::solves::<Complex64>),
        case("f64_in_single_precision_agrees", RANKS, single::agrees::<f64>),
        case("c64_in_single_precision_agrees", &[1, 3], single::agrees::<Complex64>),
        case("f32_in_single_precision_agrees", &[1, 3], single::agrees::<f32>),
        case("single_by_its_text", &[1, 2, 3], single::settings),
        same_bits("f64_in_single_precision", RANKS, single::bits::<f64>),
        case("reordered_blocks", RANKS, local::reordered_blocks),
        case("shifts_of_blocks", RANKS, distributed::shifts_of_blocks),
        case("rows_are_named", RANKS, refusals::rows_are_named),
        case("rows_are_fields", RANKS, refusals::rows_are_fields),
        case("singular_matrices", RANKS, refusals::singular_matrices),
        case("shapes_and_patterns", RANKS, refusals::shapes_and_patterns),
        case("settings", RANKS, refusals::settings),
        case("spectra", RANKS, refusals::spectra),
        case("laplacian_a", REFERENCES, references::laplacian_a).deadline(Duration::from_secs(300)),
        case("stabilized", REFERENCES, references::stabilized).deadline(Duration::from_secs(300)),
        case("laplacian_b", REFERENCES, references::laplacian_b).deadline(Duration::from_secs(300)),
        case("convection_c", REFERENCES, references::convection_c).deadline(Duration::from_secs(300)),
        case("multigrid_is_flat", &[1, 2, 4], multigrid::flat).deadline(Duration::from_secs(300)),
        case("multigrid_of_singular_matrices", RANKS, multigrid::singular),
        case("multigrid_of_singular_parts", &[1, 2, 3, 4], multigrid::singular_parts),
        case("multigrid_with_a_large_last_level", &[1, 2], multigrid::large_coarsest).deadline(Duration::from_secs(12)),
        case("multigrid_refuses", &[1, 2, 3, 4], multigrid::refused),
        case("f64_multigrid_is_definite", &[1, 2, 3, 4], multigrid::definite::<f64>),
        case("c32_multigrid_is_definite", &[1, 3], multigrid::definite::<Complex32>),
        case("f32_multigrid_weakly_held", &[1, 2, 3, 4], multigrid::weakly_held::<f32>),
        case("c32_multigrid_weakly_held", &[1, 3], multigrid::weakly_held::<Complex32>),
        case("multigrid_is_refilled", RANKS, multigrid::refill),
        case("multigrid_at_any_scale", &[1, 2, 3, 4], multigrid::scales),
        case("multigrid_edges", RANKS, multigrid::edges),
        case("elasticity_is_flat", &[1, 3], elasticity::flat),
        case("f64_elasticity_against_dense", RANKS, elasticity::dense::<f64>),
        case("c32_elasticity_against_dense", &[1, 3], elasticity::dense::<Complex32>),
        case("f64_elasticity_keeps_modes", RANKS, elasticity::modes_are_kept::<f64>),
        case("c32_elasticity_keeps_modes", &[1, 3], elasticity::modes_are_kept::<Complex32>),
        case("elasticity_of_free_bodies", &[1, 2, 3, 4], elasticity::free),
        case("elasticity_with_dependent_vectors", &[1, 2, 3, 4], elasticity::dependent),
        case("elasticity_is_refilled", &[1, 2, 3, 4], elasticity::refill),
        case("elasticity_at_any_scale", &[1, 2, 3, 4], elasticity::scales),
        case("elasticity_refuses", &[1, 2, 3, 4], elasticity::refused),
        same_bits("f64_elasticity", RANKS, elasticity::bits::<f64>),
        same_bits("c32_elasticity", RANKS, elasticity::bits::<Complex32>),
        same_bits("polynomials", RANKS, references::polynomials).deadline(Duration::from_secs(300)),
    ];
    scalars!(cases, serial: local::incomplete_factorizations, local::products_of_factors, local::thresholds);
    scalars!(cases, serial: local::relaxations, local::complete_factorizations, local::permutations);
    scalars!(cases, serial: local::lower_triangles);
    scalars!(cases, serial: scaled::factors_to_the_bit, scaled::uniform_scales, scaled::graded_factorizations);
    scalars!(cases, serial: scaled::scaled_thresholds);
    scalars!(cases, case: distributed::jacobi, distributed::block_jacobi, distributed::schwarz);
    scalars!(cases, case: distributed::point_block_jacobi);
    scalars!(cases, case: distributed::chebyshev, distributed::compositions, distributed::direct);
    scalars!(cases, case: multigrid::two_levels);
    scalars!(cases, same_bits: distributed::bits, multigrid::hierarchies);
    dolmen_tests::main(&cases)
}
