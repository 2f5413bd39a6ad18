//! Damaged FITS tables and maps: each is refused, or read; none panics, hangs or takes memory that its size
//! does not explain.

use std::fs;

use dolmen_core::Layout;
use dolmen_io::Result;
use dolmen_io::fits::{
    ColumnData, FitsFile, Header, MapColumn, MapFile, MapHeader, Ordering, TableColumn, write_map, write_partial_map,
    write_table,
};
use dolmen_tests::{Comm, Folder, Random, TestResult, damage, fuzz};

use crate::ffi::most_held;

/// Memory that any read may take, in bytes: buffers, and rows that have no bytes.
const MEMORY: usize = 64 << 20;
/// Pixels that are asked for at once.
const PIXELS: u64 = 100_000;
/// Cards of the headers.
const CARDS: usize = 108;

fn seeds(comm: &Comm, folder: &Folder) -> TestResult<Vec<Vec<u8>>> {
    let path = folder.path().join("seed.fits");
    let mut seeds = Vec::new();
    let rows = Layout::uniform(comm, 20);
    let (reals, ints, flags) = ([1.5; 40], [7; 20], [true; 20]);
    let column = |name, repeat, data| TableColumn { name, unit: "K", repeat, data };
    let columns = [
        column("real", 2, ColumnData::F64(&reals)),
        column("whole", 1, ColumnData::I32(&ints)),
        column("flag", 1, ColumnData::Logical(&flags)),
        column("text", 8, ColumnData::Text(&["abc"; 20])),
    ];
    write_table(&rows, &path, &Header::new(), &columns)?;
    seeds.push(fs::read(&path)?);
    seeds.push(with_heap(&seeds[0]));
    let header = |ordering| MapHeader { nside: 2, ordering, coordinates: None, polarization: None, history: vec![] };
    let sky = Layout::uniform(comm, 48);
    let map = [MapColumn { name: "I", unit: "K", data: ColumnData::F64(&[0.5; 48]) }];
    write_map(&sky, &path, &header(Ordering::Ring), &map)?;
    seeds.push(fs::read(&path)?);
    let part = [MapColumn { name: "I", unit: "K", data: ColumnData::F32(&[0.5; 20]) }];
    let pixels: Vec<u64> = (0..20).map(|pixel| 2 * pixel).collect();
    write_partial_map(&rows, &path, &header(Ordering::Nested), &pixels, &part)?;
    seeds.push(fs::read(&path)?);
    Ok(seeds)
}

/// The same table, whose text column has become arrays in a heap: of none, so that they cannot be there.
fn with_heap(table: &[u8]) -> Vec<u8> {
    let (text, heap) = (b"'8A      '", b"'1PB(4)  '");
    let mut bytes = table.to_vec();
    let at = bytes.windows(text.len()).position(|part| part == text).expect("the format of the column");
    bytes[at..at + heap.len()].copy_from_slice(heap);
    bytes
}

/// Puts a word at the start of a card, or where a card has its value.
fn replace_card(bytes: &mut [u8], words: &[&[u8]], random: &mut Random) {
    let cards: Vec<usize> = (0..bytes.len().min(CARDS * 80) / 80).map(|card| card * 80).collect();
    let word = words[random.below(words.len())];
    // One of the same keyword, if there is one: a limit that is given twice is refused sooner.
    let same: Vec<usize> = cards.iter().copied().filter(|&card| bytes[card..].starts_with(&word[..8])).collect();
    let from = if same.is_empty() { &cards } else { &same };
    let card = from[random.below(from.len())];
    let at = if word.starts_with(b"'") { card + 10 } else { card };
    let end = (at + word.len()).min(bytes.len());
    bytes[at..end].copy_from_slice(&word[..end - at]);
}

/// Reads everything by every reader.
fn read(path: &std::path::Path) -> Result<u64> {
    let file = FitsFile::open(path)?;
    let mut columns = 0;
    for hdu in file.hdus() {
        for column in hdu.columns() {
            let rows = 0..hdu.rows();
            let read = [
                file.read_column_f64(hdu, &column.name, rows.clone()).map(drop),
                file.read_column_i64(hdu, &column.name, rows.clone()).map(drop),
                file.read_column_complex(hdu, &column.name, rows.clone()).map(drop),
                file.read_column_text(hdu, &column.name, rows.clone()).map(drop),
                file.read_column_lengths(hdu, &column.name, rows).map(drop),
            ];
            columns += u64::from(read.iter().any(Result::is_ok));
        }
    }
    let map = MapFile::open(path)?;
    let last = map.header().pixels();
    for column in 0..map.columns().count() {
        map.read(column, 0..last.min(PIXELS))?;
        map.read(column, last - last.min(PIXELS)..last)?;
    }
    Ok(columns)
}

pub(crate) fn damaged(comm: &Comm) -> TestResult {
    let words: &[&[u8]] = &[
        b"NAXIS1  =                    0",
        b"NAXIS2  =  9223372036854775807",
        b"NAXIS2  =                   -1",
        b"PCOUNT  =           4000000000",
        b"TFIELDS =                  999",
        b"'1PE(9)  '",
        b"'1QD(4000000000)'",
        b"'0D      '",
        b"'99999999999X'",
        b"THEAP   =                    1",
        b"TSCAL1  =                 1E99",
        b"TNULL1  =                    7",
        b"NSIDE   =            536870912",
        b"NSIDE   =                    3",
        b"'NESTED  '",
        b"'EXPLICIT'",
        b"OBS_NPIX=           9999999999",
        b"END     ",
    ];
    let folder = Folder::new(comm)?;
    let path = folder.path().join("fuzz.fits");
    let seeds = seeds(comm, &folder)?;
    for (number, seed) in seeds.iter().enumerate() {
        fs::write(&path, seed)?;
        let table = FitsFile::open(&path)?;
        assert!(number != 1 || table.first_table()?.columns()[3].name == "text", "the heap's column is read");
        assert_eq!(read(&path).is_ok(), number > 1, "seed {number}: only maps are maps");
    }
    let make = |random: &mut Random| {
        let mut bytes = seeds[random.below(seeds.len())].clone();
        if random.below(3) > 0 {
            replace_card(&mut bytes, words, random);
        }
        if random.below(2) == 0 {
            damage(&mut bytes, words, random);
        }
        bytes
    };
    let counts = fuzz(comm, &path, 100, make, |_| {
        let (result, most) = most_held(|| read(&path));
        assert!(most <= MEMORY, "{most} bytes");
        result.map(drop)
    })?;
    assert!(counts[1] > 50 && counts[0] > 0, "{counts:?}");
    folder.remove(comm);
    Ok(())
}
