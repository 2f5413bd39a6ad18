//! Import and export along plans: all types and widths, overlap, empty ranks, errors, many in
//! flight. Which rank has which ids is a pure function of a seed, so every rank knows what every
//! other one has to send and computes its expectation from the definition.

use std::fmt::Debug;
use std::process::ExitCode;

use bytemuck::Pod;
use dolmen_core::random::Philox;
use dolmen_core::{
    Combinable, Combine, Complex64, Error, ExchangePlan, Export, Import, IndexMap, Layout, Scalar, Vector, index,
};
use dolmen_tests::{Checksums, Comm, TestResult, case, same_bits};

fn main() -> ExitCode {
    const SOME: &[usize] = &[1, 2, 3, 4];
    const MANY: &[usize] = &[1, 2, 3, 4, 7];
    dolmen_tests::main(&[
        case("imports_of_all_types", MANY, imports_of_all_types),
        case("exports_of_all_types", MANY, exports_of_all_types),
        case("vectors_are_checked", SOME, vectors_are_checked),
        case("a_plan_knows_its_neighbors", SOME, a_plan_knows_its_neighbors),
        case("nothing_to_exchange", SOME, nothing_to_exchange),
        case("ids_without_an_owner", SOME, ids_without_an_owner),
        case("layouts_that_disagree", &[2, 3, 4], layouts_that_disagree),
        case("dropped_unfinished", SOME, dropped_unfinished),
        case("many_in_flight", MANY, many_in_flight),
        case("thousands_of_exchanges", SOME, thousands_of_exchanges),
        case("large_messages", SOME, large_messages),
        same_bits("imported_values", MANY, imported_values),
        same_bits("exported_integers", MANY, exported_integers),
    ])
}

/// Blocks and ids of all ranks, from a seed.
struct World {
    layout: Layout,
    /// The ids of each rank, sorted.
    maps: Vec<IndexMap>,
    plan: ExchangePlan,
}

impl World {
    /// About a third of the ranks own nothing, and about a third have no ids.
    fn random(comm: &Comm, seed: u64) -> TestResult<World> {
        let random = Philox::new(seed);
        let count = |stream, rank: usize, most: u64| match below(&random, stream, rank as u64, 3) {
            0 => 0,
            _ => below(&random, stream + 1, rank as u64, most),
        };
        let layout = Layout::from_local_len(comm, usize::try_from(count(1, comm.rank(), 40))?)?;
        let rows = layout.global_len();
        let maps: Result<Vec<_>, _> = (0..comm.size())
            .map(|rank| {
                let ids = if rows == 0 { 0 } else { count(3, rank, 60) };
                IndexMap::new((0..ids).map(|i| below(&random, 100 + rank as u64, i, rows)).collect())
            })
            .collect();
        let maps = maps?;
        let plan = ExchangePlan::new(&layout, &maps[comm.rank()])?;
        Ok(World { layout, maps, plan })
    }

    fn rank(&self) -> usize {
        self.layout.comm().rank()
    }

    /// The number of ranks that have a copy of a row.
    fn seen(&self, row: u64) -> i64 {
        self.maps.iter().map(|map| i64::from(map.global_to_local(row).is_some())).sum()
    }

    /// Owned values, `width` for each row.
    fn owned<T>(&self, width: usize, value: impl Fn(u64) -> T) -> Vec<T> {
        let range = self.layout.range();
        (range.start * width as u64..range.end * width as u64).map(value).collect()
    }

    /// Copies of a rank, `width` for each id.
    fn copies<T>(&self, rank: usize, width: usize, value: impl Fn(u64) -> T) -> Vec<T> {
        let entries = |&gid: &u64| gid * width as u64..(gid + 1) * width as u64;
        self.maps[rank].gids().iter().flat_map(entries).map(value).collect()
    }
}

/// A random number below `bound`.
fn below(random: &Philox, stream: u64, index: u64, bound: u64) -> u64 {
    (random.uniform(stream, index).to_bits() >> 8) % bound
}

/// The low byte of a number.
fn byte(number: i64) -> u8 {
    number.to_le_bytes()[0]
}

/// Different for every position and rank, and small enough to add up in 44 bits.
fn number(rank: usize, position: u64) -> i64 {
    let mixed = (rank as u64 * 7919 + position + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> 24).cast_signed() - (1 << 39)
}

fn imports_of_all_types(comm: &Comm) -> TestResult {
    fn check<T: Pod + PartialEq + Debug>(world: &World, width: usize, value: impl Fn(u64) -> T) {
        let imported = world.plan.start_import(&world.owned(width, &value), width).finish();
        assert_eq!(*imported, world.copies(world.rank(), width, &value), "width {width}");
    }
    for seed in 0..12 {
        let world = World::random(comm, seed)?;
        assert_eq!(world.plan.copies_len(), world.maps[world.rank()].len());
        for width in 1..=4 {
            check(&world, width, |at| number(0, at));
            check(&world, width, |at| number(0, at) as f64 / 3.0);
            check(&world, width, |at| Complex64::new(number(0, at) as f64, -(at as f64)));
            check(&world, width, |at| byte(number(0, at)));
        }
    }
    Ok(())
}

const COMBINES: [Combine; 4] = [Combine::Add, Combine::Insert, Combine::Max, Combine::Min];

/// Exports one value of each copy and compares with the definition, rank after rank.
fn check_export<T: Combinable + Debug>(world: &World, width: usize, value: impl Fn(usize, u64) -> T) {
    let copies = world.copies(world.rank(), width, |at| value(world.rank() + 1, at));
    for combine in COMBINES {
        let mut found = world.owned(width, |at| value(0, at));
        world.plan.start_export(&copies, width).finish(combine, &mut found);
        let mut expected = world.owned(width, |at| value(0, at));
        let first = world.layout.range().start * width as u64;
        for (rank, map) in world.maps.iter().enumerate() {
            let owned = map.gids().iter().filter(|&&gid| world.layout.global_to_owned(gid).is_some());
            for at in owned.flat_map(|&gid| gid * width as u64..(gid + 1) * width as u64) {
                let new = value(rank + 1, at);
                let old = &mut expected[index::to_len("entry", at - first).expect("a small test")];
                *old = match combine {
                    Combine::Add => *old + new,
                    Combine::Insert => new,
                    Combine::Max if new > *old => new,
                    Combine::Min if new < *old => new,
                    _ => *old,
                };
            }
        }
        assert_eq!(found, expected, "{combine:?}, width {width}");
    }
}

fn exports_of_all_types(comm: &Comm) -> TestResult {
    for seed in 20..32 {
        let world = World::random(comm, seed)?;
        for width in 1..=4 {
            check_export(&world, width, number);
            // The order of the additions is defined, so rounding is too.
            check_export(&world, width, |rank, at| number(rank, at) as f64 / 3.0);
            check_export(&world, width, |rank, at| byte(number(rank, at)) & 0x1f);
        }
        complex_export(&world);
    }
    Ok(())
}

/// A complex array travels as its parts, two values an id.
fn complex_export(world: &World) {
    let complex = |rank: usize, at: u64| Complex64::new(number(rank, at) as f64, at as f64);
    let copies = world.copies(world.rank(), 1, |at| complex(world.rank() + 1, at));
    let mut sums = world.owned(1, |_| Complex64::ZERO);
    world.plan.start_export(Complex64::parts(&copies), 2).finish(Combine::Add, bytemuck::cast_slice_mut(&mut sums));
    let expected: Vec<Complex64> = world.owned(1, |row| {
        let ranks = (0..world.maps.len()).filter(|&rank| world.maps[rank].global_to_local(row).is_some());
        ranks.map(|rank| complex(rank + 1, row)).sum()
    });
    assert_eq!(sums, expected);
}

/// A ring of one-row halos: known by hand.
fn a_plan_knows_its_neighbors(comm: &Comm) -> TestResult {
    let (rank, size) = (comm.rank() as u64, comm.size() as u64);
    let layout = Layout::uniform(comm, 5 * size);
    let ids = (0..7).map(|i| (5 * rank + 5 * size + i - 1) % (5 * size)).collect();
    let plan = ExchangePlan::new(&layout, &IndexMap::new(ids)?)?;
    let (neighbors, received, copies) = match size {
        1 => (0, 0, 5),
        2 => (1, 2, 7),
        _ => (2, 2, 7),
    };
    assert_eq!((plan.neighbors(), plan.received_len(), plan.copies_len()), (neighbors, received, copies));
    Ok(())
}

fn nothing_to_exchange(comm: &Comm) -> TestResult {
    let none = IndexMap::new(Vec::new())?;
    for layout in [Layout::uniform(comm, 0), Layout::uniform(comm, 17)] {
        let plan = ExchangePlan::new(&layout, &none)?;
        assert!(plan.start_import(&vec![1.5; layout.local_len()], 1).finish().is_empty());
        let mut owned = vec![7i64; 3 * layout.local_len()];
        plan.start_export(&[], 3).finish(Combine::Insert, &mut owned);
        assert!(owned.iter().all(|&value| value == 7));
    }
    // No values for an id are as good as no ids.
    let layout = Layout::uniform(comm, 9);
    let plan = ExchangePlan::new(&layout, &IndexMap::new((0..9).collect())?)?;
    assert!(plan.start_import::<f64>(&[], 0).finish().is_empty());
    plan.start_export::<f64>(&[], 0).finish(Combine::Add, &mut []);
    Ok(())
}

fn ids_without_an_owner(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 10);
    for failing in 0..comm.size() {
        let beyond = if comm.rank() >= failing { 10 + failing as u64 } else { 9 };
        let result = ExchangePlan::new(&layout, &IndexMap::new(vec![0, 5, beyond])?);
        let error = Error::IndexOutOfRange { what: "index map", index: 10 + failing as u64, bound: 10 };
        let on_rank = Error::OnRank { rank: failing, error: Box::new(error.clone()) };
        assert_eq!(result.err(), Some(if failing == 0 { error } else { on_rank }));
    }
    // The failed attempts have left no message behind.
    let plan = ExchangePlan::new(&layout, &IndexMap::new(vec![9, 0])?)?;
    let owned: Vec<_> = layout.range().collect();
    assert_eq!(*plan.start_import(&owned, 1).finish(), [0, 9]);
    Ok(())
}

/// Rank 0 has another idea of who owns row 11 than the others.
fn layouts_that_disagree(comm: &Comm) -> TestResult {
    // Rank 0 leaves out half of its rows.
    let rows = 12 * comm.size() as u64;
    let start = if comm.rank() == 0 { 6 } else { 0 };
    let layout = Layout::uniform(comm, rows).restricted(&(start..rows))?;
    let error = ExchangePlan::new(&layout, &IndexMap::new(vec![11])?).err().ok_or("planned")?;
    let Error::Offsets { reason: message } = error.cause() else { return Err(error.into()) };
    assert!(message.contains("rank 1 takes rank 0 for the owner of row 11"), "{message}");
    Ok(())
}

/// Imports and exports of vectors; what does not fit is an error on all ranks.
fn vectors_are_checked(comm: &Comm) -> TestResult {
    let World { layout, maps, plan } = World::random(comm, 61)?;
    let map = &maps[comm.rank()];
    assert_eq!(plan.layout(), &layout);
    let entry = |row: u64| Complex64::new(row as f64, -1.0);
    let mut x = Vector::from_fn(&layout, entry);
    let copies = plan.import(&x)?.to_vec();
    assert_eq!(copies, map.gids().iter().map(|&row| entry(row)).collect::<Vec<_>>());
    plan.export(&copies, Combine::Add, &mut x)?;
    for (row, &found) in layout.range().zip(x.owned()) {
        let times = 1.0 + maps.iter().filter(|map| map.global_to_local(row).is_some()).count() as f64;
        assert_eq!(found, entry(row).scale(times));
    }
    let elsewhere = Vector::<Complex64>::zeros(&Layout::uniform(comm, layout.global_len() + 1));
    assert!(matches!(plan.import(&elsewhere).map(drop), Err(Error::LayoutMismatch { .. })));
    let mut wrong = copies.clone();
    wrong.extend((comm.rank() + 1 == comm.size()).then_some(Complex64::ZERO));
    let error = plan.export(&wrong, Combine::Add, &mut x).unwrap_err().to_string();
    assert!(error.contains("export: expected"), "{error}");
    Ok(())
}

fn dropped_unfinished(comm: &Comm) -> TestResult {
    let world = World::random(comm, 40)?;
    for round in 0..500 {
        let owned = world.owned(2, |at| number(round, at));
        drop(world.plan.start_import(&owned, 2));
        let copies = world.copies(world.rank(), 2, |at| number(round, at));
        drop(world.plan.start_export(&copies, 2));
        if round % 50 == 0 {
            let imported = world.plan.start_import(&owned, 2).finish();
            assert_eq!(*imported, copies);
        }
    }
    Ok(())
}

/// Imports and exports of several plans in flight at once, finished in an order of each rank's own.
fn many_in_flight(comm: &Comm) -> TestResult {
    let worlds: Vec<_> = (50..54).map(|seed| World::random(comm, seed)).collect::<TestResult<_>>()?;
    let draw = Philox::new(comm.rank() as u64);
    for round in 0..60 {
        let mut imports: Vec<(usize, usize, Import<'_, i64>)> = Vec::new();
        let mut exports: Vec<(usize, Export<'_, i64>)> = Vec::new();
        for set in 0..8 {
            let world = &worlds[set % 4];
            // Sets of one plan have the same size, so that mixed messages would go unnoticed by MPI.
            let owned = world.owned(1, |at| number(set + 10 * round, at));
            imports.push((set, set % 4, world.plan.start_import(&owned, 1)));
            let copies = world.copies(world.rank(), 1, |at| number(set + 10 * round, at));
            exports.push((set, world.plan.start_export(&copies, 1)));
        }
        while !imports.is_empty() || !exports.is_empty() {
            let pick = |len: usize| (1..len).rev().find(|&i| draw.uniform(round as u64, i as u64) < 0.5).unwrap_or(0);
            if !imports.is_empty() {
                let (set, world, import) = imports.swap_remove(pick(imports.len()));
                let world = &worlds[world];
                assert_eq!(*import.finish(), world.copies(world.rank(), 1, |at| number(set + 10 * round, at)));
            }
            if !exports.is_empty() {
                let (set, export) = exports.swap_remove(pick(exports.len()));
                let world = &worlds[set % 4];
                let mut found = world.owned(1, |_| 0);
                export.finish(Combine::Add, &mut found);
                assert_eq!(found, world.owned(1, |row| world.seen(row) * number(set + 10 * round, row)));
            }
        }
    }
    Ok(())
}

/// Back and forth without a barrier: what comes back is multiplied by the number of copies.
fn thousands_of_exchanges(comm: &Comm) -> TestResult {
    let world = World::random(comm, 60)?;
    let copies = world.owned(1, |row| world.seen(row));
    let mut owned = world.owned(1, |row| number(1, row));
    let mut expected = owned.clone();
    for round in 0..4000 {
        let mut sums = vec![round; owned.len()];
        let imported = world.plan.start_import(&owned, 1).finish();
        world.plan.start_export(&imported, 1).finish(Combine::Add, &mut sums);
        for (value, copies) in expected.iter_mut().zip(&copies) {
            *value = (round + copies * *value) % 1_000_003;
        }
        owned = sums.iter().map(|value| value % 1_000_003).collect();
        assert_eq!(owned, expected, "round {round}");
    }
    Ok(())
}

/// Every rank takes all rows: messages far above what MPI sends unasked.
fn large_messages(comm: &Comm) -> TestResult {
    let layout = Layout::uniform(comm, 200_000);
    let plan = ExchangePlan::new(&layout, &IndexMap::new((0..200_000).collect())?)?;
    let owned: Vec<f64> = layout.range().flat_map(|row| [row as f64, -1.0 - row as f64]).collect();
    let first = plan.start_import(&owned, 2);
    let second = plan.start_import(&owned, 2);
    for imported in [second.finish(), first.finish()] {
        assert!(imported.chunks(2).zip(0u32..).all(|(pair, row)| pair == [f64::from(row), -1.0 - f64::from(row)]));
        assert_eq!(imported.len(), 400_000);
    }
    Ok(())
}

/// The same 3000 ids, dealt to the ranks in turn, and what each is given.
fn imported_values(comm: &Comm) -> TestResult<Checksums> {
    let random = Philox::new(70);
    let layout = Layout::uniform(comm, 500);
    let (rank, size) = (comm.rank() as u64, comm.size() as u64);
    let ids: Vec<_> = (0..3000).filter(|i| i % size == rank).map(|i| below(&random, 0, i, 500)).collect();
    let map = IndexMap::new(ids.clone())?;
    let plan = ExchangePlan::new(&layout, &map)?;
    let owned: Vec<f64> = layout.range().map(|row| random.normal(1, row)).collect();
    let imported = plan.start_import(&owned, 1).finish();
    let mine: Vec<u64> =
        ids.iter().map(|&id| map.global_to_local(id).map_or(0, |lid| imported[index::at(lid)].to_bits())).collect();
    let Some(all) = comm.gather(0, &mine) else { return Ok(Vec::new()) };
    let dealt = (0..3000).map(|i| all[i % comm.size()][i / comm.size()]);
    Ok(vec![("values".to_owned(), digest(dealt))])
}

/// The same 3000 contributions, dealt to the ranks in turn.
fn exported_integers(comm: &Comm) -> TestResult<Checksums> {
    let random = Philox::new(80);
    let layout = Layout::uniform(comm, 500);
    let (rank, size) = (comm.rank() as u64, comm.size() as u64);
    let contributions: Vec<_> =
        (0..3000).filter(|i| i % size == rank).map(|i| (below(&random, 0, i, 500), number(3, i))).collect();
    let map = IndexMap::new(contributions.iter().map(|(id, _)| *id).collect())?;
    let plan = ExchangePlan::new(&layout, &map)?;
    let mut checksums = Vec::new();
    for (combine, start) in [(Combine::Add, 0), (Combine::Max, i64::MIN), (Combine::Min, i64::MAX)] {
        let mut copies = vec![start; map.len()];
        for (id, value) in &contributions {
            let copy = &mut copies[index::at(map.global_to_local(*id).ok_or("an id was lost")?)];
            *copy = match combine {
                Combine::Max => value.max(copy).to_owned(),
                Combine::Min => value.min(copy).to_owned(),
                Combine::Add | Combine::Insert => *copy + value,
            };
        }
        let mut owned = vec![start; layout.local_len()];
        plan.start_export(&copies, 1).finish(combine, &mut owned);
        if let Some(all) = comm.gather(0, &owned) {
            let values = all.into_iter().flatten().map(i64::cast_unsigned);
            checksums.push((format!("{combine:?}"), digest(values)));
        }
    }
    Ok(checksums)
}

/// A number that changes with every bit and with the order.
fn digest(words: impl IntoIterator<Item = u64>) -> u64 {
    words
        .into_iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, word| (hash ^ word).wrapping_mul(0x100_0000_01b3).rotate_left(29))
}
