//! Random damage to files, the same in every run.

use std::time::{Duration, Instant};

/// How long a case goes on.
pub(crate) fn seconds() -> Duration {
    const SECONDS: u64 = 5;
    let seconds = std::env::var("DOLMEN_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(SECONDS))
}

/// Tells all ranks whether to go on with an input: until their time is over, but at least the `fewest`; or with
/// `DOLMEN_FUZZ_INPUTS` of them.
///
/// # Collective
pub(crate) fn inputs(comm: &dolmen_core::Comm, fewest: u64) -> impl FnMut(u64) -> bool + use<> {
    let most = std::env::var("DOLMEN_FUZZ_INPUTS").ok().and_then(|text| text.parse().ok());
    let (comm, end) = (comm.clone(), Instant::now() + seconds());
    move |number: u64| {
        let here = most.map_or_else(|| number < fewest || Instant::now() < end, |most: u64| number < most);
        let mut more = [u64::from(comm.rank() == 0 && here)];
        comm.all_reduce_max(&mut more);
        more == [1]
    }
}

/// Uniform random numbers (Knuth's linear congruential generator).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        let mut random = Random(seed);
        random.below(1);
        random
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % bound.max(1)
    }
}

/// Changes, cuts, repeats and swaps parts of a file.
pub(crate) fn damage(bytes: &mut Vec<u8>, words: &[&[u8]], random: &mut Random) {
    for _ in 0..=random.below(3) {
        let at = random.below(bytes.len());
        let end = (at + random.below(24)).min(bytes.len());
        match random.below(8) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
            1 if !bytes.is_empty() => bytes[at] = u8::try_from(random.below(256)).expect("a byte"),
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
