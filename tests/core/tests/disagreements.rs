//! Ranks that do not make the same calls: other sizes, settings, functions, or none at all. Nothing is
//! overwritten and nobody waits forever: it is an error on all ranks, or the job ends in a line.
//!
//! With `DOLMEN_PROGRAM` set this binary is one of the programs at the end of the file.

use std::process::ExitCode;
use std::time::Duration;

use dolmen_core::{
    Comm, CsrMatrix, Duplicates, Error, ExchangePlan, Identity, IndexMap, Layout, LinearOperator, MultiVector,
    Redistribute, Reduction, Result, Vector, dots, update_dots,
};
use dolmen_core_tests::fails;
use dolmen_tests::{Mpirun, Output, TestResult, case, serial};

const PROGRAM: &str = "DOLMEN_PROGRAM";

fn main() -> ExitCode {
    if let Ok(name) = std::env::var(PROGRAM) {
        return Comm::run(|comm| program(&name, comm));
    }
    const SEVERAL: &[usize] = &[2, 3, 4];
    dolmen_tests::main(&[
        case("other_numbers_of_columns", SEVERAL, other_numbers_of_columns),
        case("other_numbers_of_sums", SEVERAL, other_numbers_of_sums),
        case("reductions_of_any_length", &[1, 2, 3, 4, 7], reductions_of_any_length),
        serial("other_sizes_end_the_job", other_sizes_end_the_job),
        serial("checked_calls_differ", checked_calls_differ),
        serial("a_rank_that_has_finished_says_who_is_missing", a_rank_that_has_finished_says_who_is_missing),
        serial("checks_change_nothing", checks_change_nothing),
    ])
}

/// As many columns as the rank's number says.
fn columns(layout: &Layout) -> MultiVector<f64> {
    let entry = |row: u64, column: usize| (row % 7 + column as u64) as f64 + 1.0;
    MultiVector::from_fn(layout, 2 + layout.comm().rank(), entry)
}

/// Every function that ranks with other numbers of columns can call: the same error on all of them,
/// and a reduction afterwards is right.
fn other_numbers_of_columns(comm: &Comm) -> TestResult {
    for rows in [3, 700, 100_000] {
        let layout = Layout::uniform(comm, rows);
        let other = Layout::from_local_len(comm, if comm.rank() == 0 { usize::try_from(rows)? } else { 0 })?;
        type Call = (&'static str, fn(&Layout, &Layout) -> Result<()>);
        let calls: [Call; 11] = [
            ("column_norms", |on, _| {
                let x = columns(on);
                x.column_norms(Reduction::Reproducible, &mut vec![0.0; x.columns()])
            }),
            ("column_norms", |on, _| {
                let x = columns(on);
                x.column_norms(Reduction::Fast, &mut vec![0.0; x.columns()])
            }),
            ("column_dots", |on, _| {
                let x = columns(on);
                x.column_dots(&x, Reduction::Reproducible, &mut vec![0.0; x.columns()])
            }),
            ("gram", |on, _| columns(on).gram(&columns(on), Reduction::Reproducible).map(drop)),
            ("gram", |on, _| columns(on).gram(&columns(on), Reduction::Fast).map(drop)),
            ("tsqr", |on, _| columns(on).tsqr().map(drop)),
            ("cholesky_qr2", |on, _| columns(on).cholesky_qr2().map(drop)),
            ("apply_columns", |on, to| {
                let mut y = columns(to);
                Redistribute::new(on, to)?.apply_columns(&columns(on), &mut y)
            }),
            ("apply_columns_reverse", |on, to| {
                let mut y = columns(to);
                Redistribute::new(to, on)?.apply_columns_reverse(&columns(on), &mut y)
            }),
            ("apply_many", |on, _| matrix(on)?.apply_many(&columns(on), &mut columns(on))),
            ("apply_many", |on, _| {
                let identity = Identity::new(on);
                LinearOperator::<f64>::apply_many(&identity, &columns(on), &mut columns(on))
            }),
        ];
        for (name, call) in calls {
            for result in [call(&layout, &other), call(&layout, &other)] {
                assert!(matches!(result, Err(Error::RanksDisagree { .. })), "{name}: {result:?}");
                fails(comm, result, &format!("{name} of "))?;
            }
            // Nothing of the failed calls is left on the way.
            let ones = Vector::<f64>::from_fn(&layout, |_| 1.0);
            assert_eq!(ones.dot(&ones)?, rows as f64, "{name}");
        }
        let error = columns(&layout).tsqr().unwrap_err().to_string();
        if comm.size() == 2 {
            let expected = "the ranks disagree: MultiVector::tsqr of 2 columns (rank 0), MultiVector::tsqr of 3 columns \
                            (rank 1); all ranks must make the same calls, with the same sizes and settings";
            assert_eq!(error, expected);
        }
    }
    Ok(())
}

/// Other numbers of vectors, pairs and riders.
fn other_numbers_of_sums(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 1000);
    let x = Vector::<f64>::from_fn(&layout, |row| row as f64);
    let mut y = x.clone();
    for most in [3, 40] {
        let count = if comm.rank() == 0 { most } else { 1 };
        for reduction in [Reduction::Reproducible, Reduction::Fast] {
            let (mut sums, mut riders) = (vec![0.0; count], vec![1.0; count]);
            fails(comm, x.multi_dot(&vec![&x; count], reduction, &mut sums), "multi_dot of 1 vectors")?;
            fails(comm, dots([(&x, &x)], reduction.with(&mut riders)), "1 pairs, 1 riders")?;
            let changed = update_dots([&mut y], [&x], reduction.with(&mut riders), |_, [x]| ([x], [(x, x)]));
            fails(comm, changed, "update_dots of 1 products, 1 riders")?;
        }
    }
    // Another kind of sum.
    let reduction = if comm.rank() == 0 { Reduction::Fast } else { Reduction::Reproducible };
    fails(comm, reduction.dot(&x, &x), "Vector::dot")?;
    // Agreement on one rank, a product on the others.
    let result = if comm.rank() == 0 { comm.agree(Ok::<_, Error>(())) } else { x.dot(&x).map(drop) };
    let last = comm.size() - 1;
    let others = if last == 1 { "rank 1".to_owned() } else { format!("ranks {}", ["", "", "1, 2", "1, 2, 3"][last]) };
    fails(comm, result, &format!("Comm::agree (rank 0), Vector::dot ({others})"))?;
    assert_eq!(x.dot(&x)?, 332_833_500.0);
    Ok(())
}

/// Packets grow and shrink with what is reduced; sums of all lengths are right, in any order of them.
fn reductions_of_any_length(comm: &Comm) -> TestResult {
    let size = comm.size() as u64;
    for round in 0..200 {
        let len =
            [1, 2, 27, 28, 1, 59, 60, 61, 1, 1, 1018, 1019, 1020, 5000][round % 14] * usize::from(round < 100).max(1);
        let mut sums: Vec<u64> = (0..len as u64).map(|i| i + comm.rank() as u64).collect();
        comm.all_reduce_sum(&mut sums);
        let expected: Vec<u64> = (0..len as u64).map(|i| i * size + size * (size - 1) / 2).collect();
        assert!(sums == expected, "round {round}, {len} values");
    }
    let mut none: [f64; 0] = [];
    comm.all_reduce_max(&mut none);
    Ok(())
}

// Programs whose ranks disagree.

fn matrix(layout: &Layout) -> Result<CsrMatrix<f64>> {
    let rows = layout.global_len();
    let entries = layout.range().flat_map(|row| [(row, row, 2.0), (row, (row + 1) % rows, -1.0)]);
    CsrMatrix::from_triplets(layout, layout, entries, Duplicates::Add)
}

fn program(name: &str, comm: &Comm) -> Result<ExitCode> {
    let rank = comm.rank();
    let layout = Layout::uniform(comm, 1000);
    let width = 2 + rank;
    let x = Vector::<f64>::from_fn(&layout, |row| row as f64);
    let neighbors = || {
        let ids = (layout.range().end..).take(3).map(|row| row % 1000).collect();
        ExchangePlan::new(&layout, &IndexMap::new(ids)?)
    };
    match name {
        "sums" => comm.all_reduce_sum(&mut vec![1.0; width]),
        "long sums" => comm.all_reduce_sum(&mut vec![1.0; 100_000 * width]),
        "kinds" if rank == 0 => comm.all_reduce_sum(&mut [1u64]),
        "kinds" => comm.all_reduce_max(&mut [1u64]),
        "norm" if rank == 0 => drop(x.norm2()),
        "norm" => drop(x.sum(Reduction::Reproducible)),
        "import" => {
            let plan = neighbors()?;
            drop(plan.start_import(&vec![1.0; layout.local_len() * width], width).finish());
        }
        "types" if rank == 0 => drop(neighbors()?.import(&x)?),
        "types" => drop(neighbors()?.import(&Vector::<f32>::zeros(&layout))?),
        "export" => {
            let plan = neighbors()?;
            let export = plan.start_export(&vec![1.0; 3 * width], width);
            export.finish(dolmen_core::Combine::Add, &mut vec![0.0; layout.local_len() * width]);
        }
        "gathered types" if rank == 0 => drop(comm.all_gather(1u8)),
        "gathered types" => drop(comm.all_gather([1u64; 9])),
        "gathering roots" => drop(comm.gather(rank.min(1), &[1u8])),
        "roots" => {
            comm.broadcast(rank.min(1), &mut vec![1u8]);
            comm.broadcast(0, &mut vec![1u8]);
        }
        "one rank only" if rank == 0 => comm.barrier(),
        "early end" if rank == 1 => return Ok(ExitCode::SUCCESS),
        "early end" => drop(x.norm2()),
        "other order" if rank == 0 => drop(comm.all_gather(x.norm2())),
        "other order" => drop(neighbors()?.import(&x)?),
        "other product" if rank == 0 => drop(x.dot(&x)?),
        "other product" => drop(x.norm2()),
        "part" => {
            let part = comm.split(Some(0), rank)?.expect("a color for each rank");
            if rank > 0 {
                part.barrier();
            }
        }
        "everything" => everything(comm, &layout, &x)?,
        "slow" if rank == 0 => std::thread::sleep(Duration::from_millis(1500)),
        _ => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// Calls that all ranks make alike.
fn everything(comm: &Comm, layout: &Layout, x: &Vector<f64>) -> Result<()> {
    let part = comm.split(Some(u32::from(comm.rank() > 0)), 0)?.expect("a color for each rank");
    part.barrier();
    comm.duplicate().free();
    let a = matrix(layout)?;
    let mut y = x.clone();
    a.apply(x, &mut y)?;
    let together = MultiVector::from_vectors(layout, &[x, &y])?;
    let gram = together.gram(&together, Reduction::Reproducible)?;
    assert_eq!(gram[(0, 0)], x.dot(x)?);
    comm.gather(0, &[comm.rank()]);
    part.free();
    Ok(())
}

fn run(name: &str, ranks: usize, check: &str) -> TestResult<Output> {
    let this = std::env::current_exe()?;
    let job = Mpirun::new(ranks).program(this).env(PROGRAM, name).env("DOLMEN_CHECK", check);
    let output = job.deadline(Duration::from_secs(40)).run()?;
    assert!(!output.timed_out, "{name} hangs\n{}", output.stderr);
    Ok(output)
}

/// Ends with exit code 2 and a line that says so.
fn ends_with(name: &str, ranks: usize, check: &str, message: &str) -> TestResult {
    let output = run(name, ranks, check)?;
    // MPICH's launcher may return what became of a rank that it killed.
    let expected = if output.stderr.contains("Abort(2) on node") { &[2, 9][..] } else { &[2] };
    assert!(output.status.code().is_some_and(|code| expected.contains(&code)), "{name}: {}", output.stderr);
    assert!(output.elapsed < Duration::from_secs(20), "{name} took {:?}", output.elapsed);
    let said =
        output.stderr.lines().any(|line| line.starts_with("error: the ranks disagree: ") && line.contains(message));
    assert!(said, "{name}: {message:?} is missing from\n{}", output.stderr);
    Ok(())
}

fn other_sizes_end_the_job() -> TestResult {
    for (name, ranks, message) in [
        ("sums", 2, "all_reduce_sum of 2 values (rank 0), Comm::all_reduce_sum of 3 values (rank 1)"),
        ("long sums", 3, "all_reduce_sum of 200000 values (rank 0)"),
        ("kinds", 3, "Comm::all_reduce_sum of 1 values (rank 0), Comm::all_reduce_max of 1 values (ranks 1, 2)"),
        ("import", 2, "import of 2 values of 8 bytes for each id (rank 0), import of 3 values of 8 bytes"),
        ("import", 3, "of 8 bytes for each id (rank 2)"),
        ("types", 2, "import of 1 values of"),
        ("export", 2, "export of 2 values of 8 bytes for each id (rank 0), export of 3 values of 8 bytes"),
        ("gathered types", 2, "all_gather of 1 bytes (rank 0), all_gather of 72 bytes (rank 1)"),
        ("gathering roots", 2, "gather to rank 0 of values of 1 bytes (rank 0), gather to rank 1"),
        ("roots", 2, "broadcast 0 of this communicator, from rank "),
    ] {
        ends_with(name, ranks, "", message)?;
    }
    Ok(())
}

fn checked_calls_differ() -> TestResult {
    for (name, ranks, message) in [
        ("one rank only", 2, "barrier at "),
        ("one rank only", 3, "the end of Comm::run (rank"),
        ("early end", 3, "the end of Comm::run (rank 1)"),
        ("other order", 2, "VecNorm > sum"),
        ("other product", 4, "VecDot > sum"),
        ("part", 2, "barrier at "),
        ("sums", 2, "all_reduce_sum of 2 values at "),
        ("import", 2, "start_import of 16 bytes for each id at "),
        ("roots", 2, "broadcast from rank 0 at "),
    ] {
        ends_with(name, ranks, "1", message)?;
    }
    let output = run("one rank only", 2, "yes")?;
    assert!(output.stderr.contains("error: DOLMEN_CHECK=yes: expected 0 or 1"), "{}", output.stderr);
    Ok(())
}

fn a_rank_that_has_finished_says_who_is_missing() -> TestResult {
    let this = std::env::current_exe()?;
    let job = Mpirun::new(3).program(this).env(PROGRAM, "one rank only").deadline(Duration::from_secs(9)).run()?;
    assert!(job.timed_out, "{}", job.stderr);
    let notes: Vec<&str> = job.stderr.lines().filter(|line| line.starts_with("note: ")).collect();
    assert_eq!(notes.len(), 1, "{}", job.stderr);
    assert!(notes[0].contains("ranks 1, 2 finished 6 s ago, rank 0 did not"), "{}", notes[0]);
    Ok(())
}

/// Programs whose ranks agree end as ever, whether they are checked or not, and say nothing.
fn checks_change_nothing() -> TestResult {
    for (ranks, check) in [(1, "1"), (2, "1"), (3, "1"), (4, "1"), (3, "0")] {
        for name in ["everything", "slow"] {
            let output = run(name, ranks, check)?;
            assert!(output.status.success() && output.stderr.is_empty(), "{name}: {}", output.stderr);
        }
    }
    Ok(())
}
