//! Messages, reductions and memory of a rank grow with the logarithm of the number of ranks at most, but for the
//! offsets of layouts: on 2, 4 and 8 ranks, of a problem of a fixed size a rank. A rank has 1, 2 and 3 neighbors there.

use std::collections::HashMap;
use std::process::ExitCode;
use std::thread;

use dolmen_tests::{Mpirun, TestResult, serial};
use serde_json::Value;

fn main() -> ExitCode {
    dolmen_tests::main(&[serial("counts_grow_with_the_logarithm_of_the_ranks", growth)])
}

/// The largest count of a rank, by operation and what is counted.
type Counts = HashMap<(String, String), i64>;

fn counts(ranks: usize) -> Result<Counts, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let job = Mpirun::new(ranks)
        .program(env!("CARGO_BIN_EXE_dolmen-scaling"))
        .args(["--problem", "weak", "--dir"])
        .args([folder.path()]);
    let output = job.run().map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(format!("{ranks} ranks: {}{}", output.stdout, output.stderr));
    }
    let mut counts = Counts::new();
    for line in output.stdout.lines() {
        let line: Value = serde_json::from_str(line).map_err(|error| format!("{error}: {line}"))?;
        let case = line["case"].as_str().ok_or("a line without a case")?;
        for (what, count) in line.as_object().into_iter().flatten() {
            if let Some(largest) = count["max"].as_i64() {
                counts.insert((case.to_owned(), what.clone()), largest);
            }
        }
    }
    Ok(counts)
}

fn growth() -> TestResult {
    let jobs = [2, 4, 8].map(|ranks| thread::spawn(move || counts(ranks)));
    let mut all = Vec::new();
    for job in jobs {
        all.push(job.join().map_err(|_| "a thread has panicked")??);
    }
    let [on2, on4, on8] = &all[..] else { return Err("three jobs".into()) };
    assert_eq!(on8.len(), 7 * 11, "seven operations, eleven counts: {:?}", on8.keys());
    for ((case, what), &eight) in on8 {
        let key = (case.clone(), what.clone());
        let (two, four) = (on2[&key], on4[&key]);
        let found = format!("{case}, {what}: {two}, {four}, {eight} on 2, 4, 8 ranks");
        match (case.as_str(), what.as_str()) {
            // What is listed: the offsets, 8 bytes a rank, which are gathered.
            ("layout", "kept_bytes") => assert_eq!([four - two, eight - four], [16, 32], "{found}"),
            ("layout", _) => assert!(eight <= 4 * two, "{found}"),
            (_, "gatherings" | "gathered_bytes") => assert_eq!([two, four, eight], [0; 3], "{found}"),
            (_, "reductions" | "reduced_bytes" | "broadcasts_and_barriers") => {
                assert_eq!([four, eight], [two; 2], "{found}");
            }
            // Arrays grow by doubling, and entries at corners of the grid are less.
            ("assembly", "peak_bytes") => assert!(eight <= 3 * two, "{found}"),
            ("assembly" | "refill", "bytes" | "peak_bytes") => assert!(eight - four <= four - two + 64, "{found}"),
            // Linear in the logarithm: each doubling adds the same at most.
            _ => assert!(eight - four <= four - two, "{found}"),
        }
    }
    Ok(())
}
