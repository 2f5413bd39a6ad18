//! Damaged files: random damage, the same in every run, and the loop that reads what it leaves.
//!
//! A case reads damaged files for five seconds, or for `DOLMEN_FUZZ_SECONDS`; or it reads
//! `DOLMEN_FUZZ_INPUTS` of them, however long that takes.

use std::env;
use std::fmt::Display;
use std::fs;
use std::path::Path;
use std::str::FromStr;
use std::time::{Duration, Instant};

use dolmen_core::Comm;

use crate::case::TestResult;

/// The longest time for an input: a child that looks at a file gives up after 18 s of waiting for 3 s of a processor.
const LONGEST: Duration = Duration::from_secs(30);
/// The most memory that a process may take beyond what it has had before [KiB].
const RESIDENT: u64 = 200 << 10;
/// The deadline of a case, and what each input adds where their number is given.
const DEADLINE: Duration = Duration::from_secs(180);
const OF_EACH: Duration = Duration::from_secs(1);

fn asked<T: FromStr>(variable: &str) -> Option<T> {
    env::var(variable).ok()?.parse().ok()
}

/// Returns the deadline of a case that calls [`fuzz`].
pub fn fuzz_deadline() -> Duration {
    DEADLINE + OF_EACH * asked("DOLMEN_FUZZ_INPUTS").unwrap_or(0)
}

/// Returns whether all ranks go on with an input: until their time is over, but at least with the `fewest`.
///
/// # Collective
fn inputs(comm: &Comm, fewest: u64) -> impl FnMut(u64) -> bool {
    let most: Option<u64> = asked("DOLMEN_FUZZ_INPUTS");
    let end = Instant::now() + Duration::from_secs(asked("DOLMEN_FUZZ_SECONDS").unwrap_or(5));
    move |number| {
        let here = most.map_or_else(|| number < fewest || Instant::now() < end, |most| number < most);
        let mut more = [u64::from(comm.rank() == 0 && here)];
        comm.all_reduce_max(&mut more);
        more == [1]
    }
}

/// Writes what `make` makes of random numbers to `path` and reads it, again and again, at least `fewest` times.
/// Each file is read, or refused in one line that names it; none takes long, or memory that only grows. Returns
/// how many were read and how many refused.
///
/// # Collective
///
/// # Errors
/// A file that cannot be written.
///
/// # Panics
/// A file that takes more time or memory, or an error that does not name it in one line.
pub fn fuzz<E: Display>(
    comm: &Comm,
    path: &Path,
    fewest: u64,
    mut make: impl FnMut(&mut Random) -> Vec<u8>,
    mut read: impl FnMut(&[u8]) -> Result<(), E>,
) -> TestResult<[u64; 2]> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let before = most_resident();
    let (mut counts, mut slowest) = ([0; 2], Duration::ZERO);
    let mut more = inputs(comm, fewest);
    for number in 0.. {
        if !more(number) {
            break;
        }
        let bytes = make(&mut Random::new(number));
        comm.agree(if comm.rank() == 0 { fs::write(path, &bytes) } else { Ok(()) })?;
        // The last line that is printed names the input that a panic or a signal came from.
        println!("input {number}, {} bytes", bytes.len());
        let start = Instant::now();
        let result = read(&bytes);
        slowest = slowest.max(start.elapsed());
        assert!(slowest < LONGEST, "input {number}: {slowest:?}");
        let resident = most_resident();
        assert!(resident < before + RESIDENT, "input {number}: {resident} KiB, before {before}");
        if let Err(error) = &result {
            let text = error.to_string();
            assert!(text.contains(&*name) && !text.contains('\n'), "input {number}: {text}");
        }
        counts[usize::from(result.is_err())] += 1;
    }
    let grown = most_resident() - before;
    println!("{} accepted, {} refused, the slowest in {slowest:?}, {grown} KiB more", counts[0], counts[1]);
    Ok(counts)
}

/// The most memory that this process has held, by the system's account [KiB].
fn most_resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse().ok());
    line.unwrap_or(0)
}

/// Uniform random numbers (Knuth's linear congruential generator).
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// Numbers that are the same for the same seed.
    pub fn new(seed: u64) -> Random {
        let mut random = Random(seed);
        random.below(1);
        random
    }

    /// Returns the next number, below a bound.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("invariant: 31 bits") % bound.max(1)
    }
}

/// Changes, cuts, repeats and swaps parts of a file, and puts `words` into it.
pub fn damage(bytes: &mut Vec<u8>, words: &[&[u8]], random: &mut Random) {
    for _ in 0..=random.below(3) {
        let at = random.below(bytes.len());
        let end = (at + random.below(24)).min(bytes.len());
        match random.below(8) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
            1 if !bytes.is_empty() => bytes[at] = u8::try_from(random.below(256)).expect("invariant: a byte"),
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..end)),
            4 => {
                let part = bytes[at..end].to_vec();
                let to = random.below(bytes.len());
                bytes.splice(to..to, part);
            }
            5 if at + 8 <= bytes.len() => {
                let number = [u64::MAX, 1 << 31, 1 << 63, 0, 1 << 40, 255][random.below(6)];
                let bytes = &mut bytes[at..at + 8];
                bytes.copy_from_slice(&if random.below(2) == 0 { number.to_le_bytes() } else { number.to_be_bytes() });
            }
            _ => {
                let word = words[random.below(words.len())];
                let end = if random.below(2) == 0 { at } else { (at + word.len()).min(bytes.len()) };
                bytes.splice(at..end, word.iter().copied());
            }
        }
    }
}
