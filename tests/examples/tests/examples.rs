//! Every example ends well on the number of ranks that it states, and on one and on four.

use std::time::Duration;

use dolmen_tests::{Mpirun, TestResult, example, serial};

fn main() -> std::process::ExitCode {
    dolmen_tests::main(&[
        serial("layouts_and_ghosts", || run("01_layouts_and_ghosts", 3, "all second differences of i^2 are 2")),
        serial("poisson", || run("02_poisson", 4, "relative error")),
        serial("matrix_free", || run("03_matrix_free", 2, "relative error")),
        serial("overlapping_maps", || run("04_overlapping_maps", 3, "the map is within")),
        serial("block_and_dense", || run("05_block_and_dense", 2, "relative difference from three banded solves")),
        serial("elasticity", || run("06_elasticity", 2, "the last level is solved exactly")),
        serial("stokes", || run("08_stokes", 2, "64 x 64 cells")),
        serial("bratu", || run("07_bratu", 2, "the hottest one is at")),
    ])
}

/// Runs `name`; what it prints has `words` in it.
fn run(name: &str, stated: usize, words: &str) -> TestResult {
    let mut numbers = vec![1, stated, 4];
    numbers.dedup();
    for ranks in numbers {
        let output = Mpirun::new(ranks).program(example(name)?).deadline(Duration::from_secs(60)).run()?;
        assert!(output.status.success(), "{name} on {ranks} ranks: {}", output.stderr);
        assert!(output.stdout.contains(words), "{name} on {ranks} ranks printed {:?}", output.stdout);
    }
    Ok(())
}
