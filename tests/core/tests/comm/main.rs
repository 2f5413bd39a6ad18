//! Communicators: agreement, splitting, collectives, sparse exchange, and how jobs end.
//!
//! With `DOLMEN_PROGRAM` set this binary is one of the programs of `endings`, which fail on purpose.

mod endings;

use std::fmt::Debug;
use std::process::ExitCode;
use std::time::Duration;

use bytemuck::{Pod, Zeroable};
use dolmen_core::random::Philox;
use dolmen_core::{BinnedSum, Blocks, Complex64, Error, Layout, Merge, Reducible, Vector};
use dolmen_tests::{Checksums, Comm, TestResult, case, same_bits, serial};

fn main() -> ExitCode {
    if let Ok(name) = std::env::var(endings::PROGRAM) {
        return endings::program(&name);
    }
    const ANY: &[usize] = &[1, 2, 3, 4];
    dolmen_tests::main(&[
        case("every_set_of_failing_ranks_agrees", ANY, every_set_of_failing_ranks_agrees),
        case("messages_of_any_text_agree", ANY, messages_of_any_text_agree),
        case("communicators_are_named", &[1, 3], communicators_are_named).alone(),
        case("errors_keep_their_fields", &[1, 2, 3, 4], errors_keep_their_fields),
        case("colors_split", &[1, 2, 3, 4, 7], colors_split),
        case("a_bad_split_is_an_error_on_all", ANY, a_bad_split_is_an_error_on_all),
        case("keys_order_the_ranks", ANY, keys_order_the_ranks),
        case("one_node_shares_memory", ANY, one_node_shares_memory),
        case("duplicates_are_apart", ANY, duplicates_are_apart),
        case("a_rank_alone", ANY, a_rank_alone),
        case("different_blocks_are_refused", &[2, 3, 4], different_blocks_are_refused),
        case("broadcasts_take_the_roots_length", ANY, broadcasts_take_the_roots_length),
        case("gathers_are_in_rank_order", ANY, gathers_are_in_rank_order),
        case("lists_are_merged_in_rank_order", &[1, 2, 3, 4, 7], lists_are_merged_in_rank_order),
        case("parts_follow_each_other", &[1, 2, 3, 4, 7], parts_follow_each_other),
        case("reductions_of_all_types", ANY, reductions_of_all_types),
        case("merges_are_reductions", &[1, 2, 3, 4, 7], merges_are_reductions),
        same_bits("merged_sums", &[1, 2, 3, 4, 7], merged_sums),
        case("sparse_exchanges_back_to_back", &[1, 2, 3, 4, 7], sparse_exchanges_back_to_back),
        case("sparse_messages_of_any_size", ANY, sparse_messages_of_any_size),
        serial("a_panic_ends_the_job", endings::a_panic_ends_the_job),
        serial("bugs_of_the_caller_end_the_job", endings::bugs_of_the_caller_end_the_job),
        serial("a_lone_error_ends_the_job", endings::a_lone_error_ends_the_job),
        serial("a_common_error_is_printed_once", endings::a_common_error_is_printed_once),
        serial("an_agreed_error_names_its_rank", endings::an_agreed_error_names_its_rank),
        serial("the_lowest_failing_rank_speaks", endings::the_lowest_failing_rank_speaks),
        serial("main_chooses_the_exit_code", endings::main_chooses_the_exit_code),
        serial("a_second_run_is_refused", endings::a_second_run_is_refused),
    ])
}

fn every_set_of_failing_ranks_agrees(comm: &Comm) -> TestResult {
    let all = (1usize << comm.size()) - 1;
    for failing in (0..=all).chain((0..=all).rev()) {
        let mine = if failing >> comm.rank() & 1 == 1 {
            Err(format!("set {failing:b}: rank {} fell", comm.rank()))
        } else {
            Ok(comm.rank())
        };
        let agreed = comm.agree(mine);
        if failing == 0 {
            assert_eq!(agreed, Ok(comm.rank()));
        } else {
            let rank = usize::try_from(failing.trailing_zeros())?;
            let message = format!("set {failing:b}: rank {rank} fell");
            assert_eq!(agreed, Err(Error::Agreed { rank, everywhere: failing == all, message }));
        }
    }
    Ok(())
}

/// Variant and fields of the first error that there is come to all ranks; its text names the rank.
fn errors_keep_their_fields(comm: &Comm) -> TestResult {
    let all = (1usize << comm.size()) - 1;
    for failing in 1..=all {
        let own = Error::IndexOutOfRange { what: "index map", index: 10 + comm.rank() as u64, bound: 10 };
        let error = comm.agree(if failing >> comm.rank() & 1 == 1 { Err(own) } else { Ok(()) }).unwrap_err();
        let rank = failing.trailing_zeros();
        let expected = 10 + u64::from(rank);
        assert!(
            matches!(error.cause(), Error::IndexOutOfRange { what: "index map", index, bound: 10 } if *index == expected)
        );
        let text = format!("index map: global index {expected} is outside 0..10");
        let suffix = if failing == all { String::new() } else { format!(" (rank {rank})") };
        assert_eq!((error.message(), error.to_string()), (text.clone(), text + &suffix));
        // What all ranks have is agreed on as it is.
        assert_eq!(comm.agree(Err::<(), _>(error.clone())), Err(error));
    }
    Ok(())
}

/// Operands on communicators of the same size: the error names these.
fn communicators_are_named(comm: &Comm) -> TestResult {
    let copy = comm.duplicate();
    let [here, there] = [comm, &copy].map(|comm| Layout::uniform(comm, 1000));
    let expected =
        Error::CommMismatch { operation: "dot", left: "all ranks".to_owned(), right: "a copy of all ranks".to_owned() };
    assert_eq!(Vector::<f64>::zeros(&here).dot(&Vector::zeros(&there)), Err(expected));
    let error = here.require_same(&there, "dot").unwrap_err().to_string();
    let text = "dot: the operands live on different communicators (all ranks, and a copy of all ranks); build both from \
                layouts of one Comm";
    assert_eq!(error, text);
    let half = comm.split(Some(u32::try_from(comm.rank() % 2)?), 0)?.ok_or("no part")?;
    assert_eq!((half.name(), comm.alone().name()), ("a part of all ranks", "one rank alone"));
    Ok(())
}

fn messages_of_any_text_agree(comm: &Comm) -> TestResult {
    let last = comm.size() - 1;
    for text in ["", "Größe ∞ — 石\nsecond line", &"long ".repeat(50_000)] {
        let mine = if comm.rank() == last { Err(text) } else { Ok(()) };
        let error = comm.agree(mine).unwrap_err();
        assert_eq!(error.message(), text);
        let suffix = if comm.size() == 1 { String::new() } else { format!(" (rank {last})") };
        assert_eq!(error.to_string(), format!("{text}{suffix}"));
    }
    Ok(())
}

fn colors_split(comm: &Comm) -> TestResult {
    // Ranks 2, 5, ... stay out.
    let color = |rank: usize| [Some(7), Some(0), None][rank % 3];
    let part = comm.split(color(comm.rank()), 0)?;
    let expected: Vec<_> = (0..comm.size()).filter(|&rank| color(rank) == color(comm.rank())).collect();
    match part {
        None => assert_eq!(comm.rank() % 3, 2),
        Some(part) => {
            assert_eq!(part.all_gather(comm.rank()), expected);
            assert_eq!(expected[part.rank()], comm.rank());
            part.free();
        }
    }
    comm.barrier();
    Ok(())
}

fn a_bad_split_is_an_error_on_all(comm: &Comm) -> TestResult {
    let last = comm.rank() + 1 == comm.size();
    let color = comm.split(Some(if last { u32::MAX } else { 1 }), 0).unwrap_err().message();
    assert_eq!(color, "split: the color is 4294967295; MPI takes 0 to 2147483647");
    let key = comm.split(Some(1), if last { 1 << 31 } else { 0 }).unwrap_err().message();
    assert_eq!(key, "split: the key is 2147483648; MPI takes 0 to 2147483647");
    Ok(())
}

fn keys_order_the_ranks(comm: &Comm) -> TestResult {
    let reversed = comm.split(Some(3), comm.size() - comm.rank())?.ok_or("no part")?;
    assert_eq!(reversed.rank(), comm.size() - 1 - comm.rank());
    let expected: Vec<_> = (0..comm.size()).rev().collect();
    assert_eq!(reversed.all_gather(comm.rank()), expected);
    reversed.free();
    Ok(())
}

/// More often than an MPI library has communicators to give.
fn a_rank_alone(comm: &Comm) -> TestResult {
    for round in 0..5000 {
        let alone = comm.alone();
        assert_eq!((alone.rank(), alone.size()), (0, 1));
        let mut values = [comm.rank() as u64 + round];
        alone.all_reduce_sum(&mut values);
        assert_eq!(values, [comm.rank() as u64 + round]);
        alone.free();
    }
    assert_eq!(comm.alone().all_gather(7), [7]);
    Ok(())
}

/// All ranks of these tests run on one node.
fn one_node_shares_memory(comm: &Comm) -> TestResult {
    let node = comm.split_shared();
    assert_eq!((node.rank(), node.size()), (comm.rank(), comm.size()));
    assert_ne!(&node, comm);
    node.free();
    Ok(())
}

fn duplicates_are_apart(comm: &Comm) -> TestResult {
    let other = comm.duplicate();
    assert_ne!(&other, comm);
    assert_eq!(&other.clone(), &other);
    // Messages of the same kind on the two communicators, one round after the other.
    let next = (comm.rank() + 1) % comm.size();
    let previous = (comm.rank() + comm.size() - 1) % comm.size();
    for round in 0..50u64 {
        let sums = [(comm, 1), (&other, 1000)].map(|(comm, factor)| {
            let received = comm.sparse_exchange(&[(next, vec![round * factor])]);
            assert_eq!(received, [(previous, vec![round * factor])]);
            let mut sum = [factor];
            comm.all_reduce_sum(&mut sum);
            sum[0]
        });
        assert_eq!(sums, [comm.size() as u64, 1000 * comm.size() as u64]);
    }
    other.free();
    Ok(())
}

fn different_blocks_are_refused(comm: &Comm) -> TestResult {
    let mut lengths = vec![3; comm.size()];
    assert!(Layout::from_blocks(comm, Blocks::from_lengths(&lengths)?).is_ok());
    lengths.push(1);
    let error = Layout::from_blocks(comm, Blocks::from_lengths(&lengths)?).unwrap_err().to_string();
    assert!(error.contains("blocks for"), "{error}");
    lengths.pop();
    lengths[0] = 3 + comm.rank() as u64;
    let error = Layout::from_blocks(comm, Blocks::from_lengths(&lengths)?).unwrap_err().to_string();
    assert!(error.contains("the ranks give different blocks"), "{error}");
    let error = Layout::on_one_rank(comm, 7, comm.rank()).unwrap_err().to_string();
    assert!(error.contains("the ranks give different lengths or roots"), "{error}");
    Ok(())
}

fn broadcasts_take_the_roots_length(comm: &Comm) -> TestResult {
    for root in 0..comm.size() {
        for len in [0, 1, 3, 70_000u64] {
            let roots: Vec<_> = (0..len).map(|i| [root as u64, i]).collect();
            let mut values = if comm.rank() == root { roots.clone() } else { vec![[9; 2]; comm.rank() * 5] };
            comm.broadcast(root, &mut values);
            assert_eq!(values, roots);
        }
    }
    Ok(())
}

fn gathers_are_in_rank_order(comm: &Comm) -> TestResult {
    let values = |rank: usize, root: usize| -> Vec<Complex64> {
        let len = if rank % 2 == 1 { 0 } else { 1000 * rank + root + 1 };
        (0..len).map(|i| Complex64::new(rank as f64, i as f64)).collect()
    };
    for root in 0..comm.size() {
        let gathered = comm.gather(root, &values(comm.rank(), root));
        assert_eq!(gathered.is_some(), comm.rank() == root);
        if let Some(gathered) = gathered {
            let expected: Vec<_> = (0..comm.size()).map(|rank| values(rank, root)).collect();
            assert_eq!(gathered, expected);
        }
        let bytes = u8::try_from(comm.rank())?;
        let expected: Vec<_> = (0..comm.size()).map(|rank| [rank as u64, root as u64]).collect();
        assert_eq!(comm.all_gather([comm.rank() as u64, root as u64]), expected);
        assert_eq!(comm.all_gather(bytes).last().copied(), Some(u8::try_from(comm.size() - 1)?));
    }
    Ok(())
}

fn lists_are_merged_in_rank_order(comm: &Comm) -> TestResult {
    let list = |rank: usize| vec![[rank as u64; 3]; (rank + 2) % 3];
    for _ in 0..3 {
        let merged = comm.gather_merged(list(comm.rank()), |below, above| [below, above].concat());
        let expected = (comm.rank() == 0).then(|| (0..comm.size()).flat_map(list).collect::<Vec<_>>());
        assert_eq!(merged, expected);
        // Digits of one number, which is another one in another order.
        let digits = comm.gather_merged(vec![comm.rank() as u64], |mut below, above| {
            below[0] = below[0] * 8u64.pow(above[0].ilog(8) + 1) + above[0];
            below
        });
        let expected = (1..comm.size()).fold(0, |number, rank| number * 8 + rank as u64);
        assert_eq!(digits, (comm.rank() == 0).then(|| vec![expected]));
    }
    Ok(())
}

fn parts_follow_each_other(comm: &Comm) -> TestResult {
    let length = |rank: usize| if rank % 3 == 1 { 0 } else { (1 << 40) + rank as u64 };
    let sum = |ranks: std::ops::Range<usize>| ranks.map(length).sum::<u64>();
    for _ in 0..2 {
        assert_eq!(comm.sum_below(length(comm.rank())), (sum(0..comm.rank()), sum(0..comm.size())));
    }
    let large = if comm.rank() + 1 == comm.size() { u64::MAX } else { 0 };
    assert_eq!(comm.sum_below(large), (0, u64::MAX));
    Ok(())
}

/// Small whole numbers, so that sums are exact in every type.
fn reduce<T: Reducible + PartialEq + Debug>(comm: &Comm, number: impl Fn(u8) -> T) -> TestResult {
    let size = u8::try_from(comm.size())?;
    let rank = u8::try_from(comm.rank())?;
    let small = |len| (0..5u8).cycle().take(len);
    for len in [0, 1, 3, 1000] {
        let reduced = |operation: fn(&Comm, &mut [T])| {
            let mut values: Vec<_> = small(len).map(|i| number(i + rank)).collect();
            operation(comm, &mut values);
            values
        };
        let expected = |value: &dyn Fn(u8) -> u8| small(len).map(|i| number(value(i))).collect::<Vec<_>>();
        assert_eq!(reduced(Comm::all_reduce_sum), expected(&|i| size * i + size * (size - 1) / 2));
        assert_eq!(reduced(Comm::all_reduce_max), expected(&|i| i + size - 1));
        assert_eq!(reduced(Comm::all_reduce_min), expected(&|i| i));
    }
    Ok(())
}

fn reductions_of_all_types(comm: &Comm) -> TestResult {
    reduce(comm, f32::from)?;
    reduce(comm, f64::from)?;
    reduce(comm, i32::from)?;
    reduce(comm, i64::from)?;
    reduce(comm, u32::from)?;
    reduce(comm, u64::from)?;
    let mut signed = [-1 - i64::try_from(comm.rank())?, i64::MIN / 8];
    comm.all_reduce_sum(&mut signed);
    let size = i64::try_from(comm.size())?;
    assert_eq!(signed, [-size * (size + 1) / 2, i64::MIN / 8 * size]);
    let mut wide = [u64::MAX - comm.rank() as u64];
    comm.all_reduce_min(&mut wide);
    assert_eq!(wide[0], u64::MAX - (comm.size() as u64 - 1));
    Ok(())
}

/// The largest value and the lowest rank that has it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
struct Largest {
    value: i64,
    rank: u64,
}

impl Merge for Largest {
    fn merge(&mut self, other: &Largest) {
        if (other.value, self.rank) > (self.value, other.rank) {
            *self = *other;
        }
    }
}

fn merges_are_reductions(comm: &Comm) -> TestResult {
    let value = |i: usize, rank: usize| [0, -3, -6, -2, -5, -1, -4][(i + 4 * rank) % 7];
    for len in [1, 2, 500] {
        let mine: Vec<_> =
            (0..len).map(|i| Largest { value: value(i, comm.rank()), rank: comm.rank() as u64 }).collect();
        let mut found = vec![Largest { value: 0, rank: 99 }; len];
        comm.all_reduce_merge(&mine, &mut found);
        for (i, found) in found.into_iter().enumerate() {
            let largest = (0..comm.size()).map(|rank| value(i, rank)).max().ok_or("no ranks")?;
            let rank = (0..comm.size()).find(|&rank| value(i, rank) == largest).ok_or("no rank")?;
            assert_eq!(found, Largest { value: largest, rank: rank as u64 });
        }
    }
    Ok(())
}

/// Sums of the same 5000 numbers, dealt to the ranks in turn.
fn merged_sums(comm: &Comm) -> TestResult<Checksums> {
    let random = Philox::new(3);
    let mut total = [BinnedSum::default(); 4];
    let parts: Vec<_> = (0..4)
        .map(|stream| {
            let numbers: Vec<_> = (0..5000)
                .filter(|i| i % comm.size() as u64 == comm.rank() as u64)
                .map(|i| random.normal(stream, i) * 10f64.powi(i32::try_from(i % 30).unwrap_or(0)))
                .collect();
            let mut sum = BinnedSum::default();
            sum.add(&numbers);
            sum
        })
        .collect();
    comm.all_reduce_merge(&parts, &mut total);
    Ok(total.iter().enumerate().map(|(i, sum)| (format!("sum {i}"), sum.value().to_bits())).collect())
}

/// Who sends what to whom in each round is known to all, so every rank knows what to expect. There
/// is no barrier between the rounds, and ranks are slowed down at random.
fn sparse_exchanges_back_to_back(comm: &Comm) -> TestResult {
    let random = Philox::new(11);
    let pair = |from: usize, to: usize| (from * 100 + to) as u64;
    let message = |round: u64, from: usize, to: usize| -> Option<Vec<u64>> {
        // Dense, sparse and silent rounds; messages to oneself are not special.
        let density = match round % 3 {
            0 => 0.9,
            1 => 0.3,
            _ => 0.0,
        };
        let draw = |index| random.uniform(pair(from, to), 3 * round + index);
        // One in ten has no content.
        let len = if draw(0) < 0.1 { 0 } else { (round * 7 + pair(from, to)) % 60 };
        let sends = draw(1) < density;
        sends.then(|| (0..len).map(|i| (round << 32) + (pair(from, to) << 16) + i).collect())
    };
    for round in 0..600 {
        if random.uniform(9999, round * 8 + comm.rank() as u64) < 0.02 {
            std::thread::sleep(Duration::from_millis(2));
        }
        // In descending order of the target, for the answer must not depend on it.
        let messages: Vec<_> =
            (0..comm.size()).rev().filter_map(|to| Some((to, message(round, comm.rank(), to)?))).collect();
        let expected: Vec<_> =
            (0..comm.size()).filter_map(|from| Some((from, message(round, from, comm.rank())?))).collect();
        assert_eq!(comm.sparse_exchange(&messages), expected, "round {round}");
    }
    Ok(())
}

fn sparse_messages_of_any_size(comm: &Comm) -> TestResult {
    let next = (comm.rank() + 1) % comm.size();
    let previous = (comm.rank() + comm.size() - 1) % comm.size();
    // The last is far above what MPI sends without being asked for.
    for len in [0, 1, 1000, 400_000] {
        let values = |rank: usize| (0..len).map(|i| [rank as f64, i as f64]).collect::<Vec<_>>();
        assert_eq!(comm.sparse_exchange(&[(next, values(comm.rank()))]), [(previous, values(previous))]);
    }
    // Several to one rank arrive as one, in order.
    let several: Vec<_> = (0..20u16).map(|i| (next, vec![i; usize::from(i % 4)])).collect();
    let joined: Vec<_> = several.iter().flat_map(|(_, values)| values.clone()).collect();
    assert_eq!(comm.sparse_exchange(&several), [(previous, joined)]);
    assert_eq!(comm.sparse_exchange::<u64>(&[]), []);
    Ok(())
}
