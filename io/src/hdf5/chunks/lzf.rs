//! The filter lzf of h5py: LibLZF's format, a chunk at a time.
//!
//! The packed bytes are a list of pieces, each with a control byte in front. Below 32 it is followed by that many
//! bytes and one more, which stand for themselves. Otherwise its upper three bits are a length, to which the next byte
//! is added if they are 7, and its lower five bits with the byte after that are a distance: two bytes more than the
//! length are copied from one byte more than the distance before the end of what is unpacked.

/// Control bytes below this are in front of bytes that stand for themselves.
const COPIES: u8 = 32;
/// The length to which another byte is added.
const LONG: usize = 7;

/// Unpacks at most `most` bytes.
pub(super) fn unpack(packed: &[u8], most: usize) -> Result<Vec<u8>, String> {
    let mut data = Vec::new();
    data.try_reserve_exact(most).map_err(|_| format!("{most} bytes do not fit into the memory"))?;
    let mut rest = packed;
    while let Some((&control, after)) = rest.split_first() {
        let length = if control < COPIES {
            let plain = after.get(..usize::from(control) + 1).ok_or_else(|| cut(&data))?;
            require_room(&data, plain.len(), most)?;
            data.extend_from_slice(plain);
            plain.len()
        } else {
            copy(&mut data, control, after, most)?
        };
        rest = &after[length..];
    }
    Ok(data)
}

/// Copies what is unpacked already; returns how many bytes after the control byte said where it is.
fn copy(data: &mut Vec<u8>, control: u8, after: &[u8], most: usize) -> Result<usize, String> {
    let mut bytes = after.iter().map(|byte| usize::from(*byte));
    let mut next = || bytes.next();
    let short = usize::from(control >> 5);
    let added = if short == LONG { next() } else { Some(0) };
    let (Some(added), Some(low)) = (added, next()) else { return Err(cut(data)) };
    let (length, distance) = (short + added + 2, (usize::from(control & 31) << 8) + low + 1);
    require_room(data, length, most)?;
    let start = data.len().checked_sub(distance);
    let start = start.ok_or_else(|| format!("cannot be unpacked: byte {} lies before the start", data.len()))?;
    // What is copied may reach into itself.
    (start..start + length).for_each(|place| data.push(data[place]));
    Ok(if short == LONG { 2 } else { 1 })
}

fn require_room(data: &[u8], length: usize, most: usize) -> Result<(), String> {
    if length <= most - data.len() { Ok(()) } else { Err(format!("unpacks to more than {most} bytes")) }
}

fn cut(data: &[u8]) -> String {
    format!("cannot be unpacked: it ends after {} bytes", data.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_plain_or_copies() {
        assert_eq!(unpack(&[2, b'a', b'b', b'c'], 3), Ok(b"abc".to_vec()));
        // Three bytes from three back, then four from one back: "c" over and over.
        assert_eq!(unpack(&[2, b'a', b'b', b'c', 0x20, 2, 0x40, 0], 10), Ok(b"abcabccccc".to_vec()));
        // A long copy: 7 + 3 + 2 bytes.
        assert_eq!(unpack(&[0, b'x', 0xe0, 3, 0], 13), Ok(vec![b'x'; 13]));
        assert_eq!(unpack(&[], 4), Ok(vec![]));
        // A distance of 256 + 1.
        let far: Vec<u8> = (0..=255).collect();
        let plain = far.chunks(32).flat_map(|piece| [&[31][..], piece].concat());
        let packed: Vec<u8> = plain.chain([0, 7, 0x21, 0]).collect();
        assert_eq!(unpack(&packed, 260), Ok([&far[..], &[7, 0, 1, 2]].concat()));
    }

    #[test]
    fn damage_is_an_error() {
        for (packed, expected) in [
            (&[2, b'a'][..], "it ends after 0 bytes"),
            (&[0, b'a', 0x20], "it ends after 1 bytes"),
            (&[0, b'a', 0xe0, 1], "it ends after 1 bytes"),
            (&[0, b'a', 0x20, 1], "byte 1 lies before the start"),
            (&[0, b'a', 0xe0, 255, 0], "more than 100 bytes"),
        ] {
            assert!(unpack(packed, 100).unwrap_err().contains(expected), "{packed:?}");
        }
        assert!(unpack(&[2, b'a', b'b', b'c'], 2).unwrap_err().contains("more than 2 bytes"));
    }

    #[test]
    fn random_bytes_end() {
        let mut seed = 1_u64;
        for _ in 0..2000 {
            let packed: Vec<u8> = (0..64)
                .map(|_| {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    seed.to_le_bytes()[6]
                })
                .collect();
            let unpacked = unpack(&packed, 500);
            assert!(unpacked.is_err() || unpacked.is_ok_and(|data| data.len() <= 500));
        }
    }
}
