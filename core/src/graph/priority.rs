//! Priorities that are a hash of the global id.
//!
//! Greedy algorithms on graphs depend on the order of visits. An order by a hash of the global id
//! is the same however the vertices are spread, every rank knows it for its ghosts without asking,
//! and it is random enough that chains of vertices that wait for each other stay short (Jones &
//! Plassmann, SIAM J. Sci. Comput. 14, 1993; Luby, SIAM J. Comput. 15, 1986).

use crate::index::Gid;

/// Returns the priority of a vertex: the output function of SplitMix64 (Steele, Lea & Flood, OOPSLA 2014).
/// It is a bijection of 64-bit words, so different vertices never have the same priority.
pub(super) fn priority(id: Gid) -> u64 {
    let mut word = id.wrapping_add(0x9E37_79B9_7F4A_7C15);
    word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first numbers of the authors' generator with seed 0.
    #[test]
    fn known_answers() {
        let step = 0x9E37_79B9_7F4A_7C15_u64;
        let found = [0, step, step.wrapping_mul(2)].map(priority);
        assert_eq!(found, [0xE220_A839_7B1D_CDAF, 0x6E78_9E6A_A1B9_65F4, 0x06C4_5D18_8009_454F]);
    }
}
