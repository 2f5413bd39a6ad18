//! Written maps, full and partial.

use std::fs;
use std::path::Path;

use dolmen_core::Layout;
use dolmen_io::fits::{
    ColumnData, Coordinates, MapColumn, MapFile, MapHeader, Ordering, PolarizationConvention, UNSEEN, write_map,
    write_partial_map,
};
use dolmen_tests::{Checksums, Comm, Folder, TestResult};

use crate::python;

/// A value that tells pixels and columns apart; some pixels are not observed.
fn value(pixel: u64, column: u32) -> f64 {
    match pixel % 5 {
        3 => UNSEEN,
        _ => f64::from(column).mul_add(1e6, pixel as f64) + 0.125,
    }
}

fn header(nside: u64, ordering: Ordering) -> MapHeader {
    MapHeader {
        nside,
        ordering,
        coordinates: Some(Coordinates::Galactic),
        polarization: Some(PolarizationConvention::Cosmo),
        history: vec!["made by a test".into(), "line ".repeat(30)],
    }
}

/// Writes a map of four columns, one of each type, in uneven parts.
fn write_test_map(comm: &Comm, path: &Path, header: &MapHeader) -> TestResult {
    // The last rank has nothing, the others unequal parts that share table rows.
    let last = comm.size() as u64 - 1;
    let weights: Vec<u64> = (0..=last).map(|rank| if rank == last { 0 } else { rank + 1 }).collect();
    let total: u64 = weights.iter().sum::<u64>().max(1);
    let mine = header.pixels() * weights[comm.rank()] / total;
    let mut lengths = comm.all_gather(mine);
    lengths[0] += header.pixels() - lengths.iter().sum::<u64>();
    let layout = Layout::from_local_len(comm, usize::try_from(lengths[comm.rank()])?)?;
    let pixels = || layout.range();
    let double: Vec<f64> = pixels().map(|pixel| value(pixel, 0)).collect();
    #[expect(clippy::cast_possible_truncation, reason = "rounding is meant")]
    let single: Vec<f32> = pixels().map(|pixel| value(pixel, 1) as f32).collect();
    let long: Vec<i64> = pixels().map(|pixel| (pixel * 3_000_000_001).cast_signed()).collect();
    let short = pixels().map(i32::try_from).collect::<Result<Vec<i32>, _>>()?;
    let columns = [
        MapColumn { name: "I_STOKES", unit: "K_CMB", data: ColumnData::F64(&double) },
        MapColumn { name: "Q_STOKES", unit: "K_CMB", data: ColumnData::F32(&single) },
        MapColumn { name: "HITS", unit: "", data: ColumnData::I64(&long) },
        MapColumn { name: "PIXEL_NUMBER", unit: "", data: ColumnData::I32(&short) },
    ];
    write_map(&layout, path, header, &columns)?;
    Ok(())
}

pub(crate) fn written_maps_do_not_depend_on_ranks(comm: &Comm) -> TestResult<Checksums> {
    let folder = Folder::new(comm)?;
    let mut checksums = Vec::new();
    for (nside, ordering) in [(1, Ordering::Ring), (8, Ordering::Nested), (16, Ordering::Ring), (64, Ordering::Ring)] {
        let path = folder.path().join(format!("map{nside}.fits"));
        let header = header(nside, ordering);
        write_test_map(comm, &path, &header)?;
        let bytes = fs::read(&path)?;
        assert_eq!(bytes.len() % 2880, 0);
        let hash = bytes.iter().fold(0, |hash: u64, byte| hash.wrapping_mul(1_099_511_628_211) ^ u64::from(*byte));
        checksums.push((format!("nside {nside}"), hash));

        let map = MapFile::open(&path)?;
        assert_eq!(map.header().ordering, ordering);
        assert_eq!(map.header().coordinates, header.coordinates);
        assert_eq!(map.header().polarization, header.polarization);
        assert_eq!(map.header().history.concat(), header.history.concat().trim_end());
        let read = map.read(0, 0..header.pixels())?;
        assert!(read.iter().zip(0..).all(|(read, pixel)| *read == value(pixel, 0)));
        assert_eq!(map.columns().next(), Some(("I_STOKES", "K_CMB")));
        assert!(
            fs::read_dir(folder.path())?
                .all(|entry| entry.is_ok_and(|e| e.path().extension().is_some_and(|ending| ending == "fits")))
        );
    }
    folder.remove(comm);
    Ok(checksums)
}

pub(crate) fn healpy_reads_written_maps(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    for (nside, ordering) in [(2, Ordering::Nested), (32, Ordering::Ring)] {
        let path = folder.path().join("map.fits");
        write_test_map(comm, &path, &header(nside, ordering))?;
        let script = "
import sys, warnings
warnings.simplefilter('error')
import logging
class Fail(logging.Handler):
    def emit(self, record):
        raise RuntimeError(record.getMessage())
import numpy, healpy
from astropy.io import fits
log = logging.getLogger('healpy')
log.setLevel(logging.WARNING)
log.addHandler(Fail())
maps = [healpy.read_map(sys.argv[1], field=i, nest=None) for i in range(4)]
header = healpy.read_map(sys.argv[1], nest=None, h=True)[1]
p = numpy.arange(maps[0].size)
def value(c):
    return numpy.where(p % 5 == 3, healpy.UNSEEN, c * 1e6 + p + 0.125)
assert numpy.array_equal(maps[0], value(0))
assert maps[1].dtype == numpy.dtype('>f4')
seen = p % 5 != 3
assert numpy.array_equal(maps[1][seen], value(1).astype(numpy.float32)[seen])
assert numpy.all(maps[1][~seen] == numpy.float32(healpy.UNSEEN))
assert numpy.array_equal(maps[2], p * 3000000001)
assert numpy.array_equal(maps[3], p)
header = dict(header)
assert header['COORDSYS'] == 'G' and header['POLCCONV'] == 'COSMO' and header['TUNIT1'] == 'K_CMB'
with fits.open(sys.argv[1]) as f:
    f.verify('exception')
";
        if comm.rank() == 0 {
            python(script, &[&path])?;
        }
        comm.barrier();
    }
    folder.remove(comm);
    Ok(())
}

pub(crate) fn a_refused_map_leaves_the_old_file(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let path = folder.path().join("map.fits");
    if comm.rank() == 0 {
        fs::write(&path, "old")?;
    }
    comm.barrier();
    let layout = Layout::uniform(comm, 12);
    let values = vec![0.0; layout.local_len()];
    let long = vec![0.0; layout.local_len() + usize::from(comm.rank() + 1 == comm.size())];
    let column = |name, data| [MapColumn { name, unit: "", data: ColumnData::F64(data) }];
    let missing = folder.path().join("no/map.fits");
    let attempts = [
        (write_map(&layout, &path, &header(1, Ordering::Ring), &column("T", &long)), "column T: expected"),
        (write_map(&layout, &path, &header(2, Ordering::Ring), &column("T", &values)), "12 pixels, nside 2 has 48"),
        (write_map(&layout, &path, &header(3, Ordering::Ring), &column("T", &values)), "nside 3"),
        (write_map(&layout, &path, &header(1, Ordering::Ring), &[]), "at least one column"),
        (write_map(&layout, &path, &header(1, Ordering::Ring), &column(&"T".repeat(99), &values)), "TTYPE1"),
        (write_map(&layout, &missing, &header(1, Ordering::Ring), &column("T", &values)), "cannot create"),
        (write_map(&layout, folder.path(), &header(1, Ordering::Ring), &column("T", &values)), "is a folder"),
    ];
    for (attempt, expected) in attempts {
        let message = attempt.expect_err(expected).to_string();
        assert!(message.contains(expected), "{message}");
    }
    assert_eq!(fs::read_to_string(&path)?, "old");
    assert_eq!(fs::read_dir(folder.path())?.count(), 1);
    comm.barrier();
    folder.remove(comm);
    Ok(())
}

pub(crate) fn partial_maps_make_the_round_trip(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let path = folder.path().join("partial.fits");
    let header = header(8, Ordering::Nested);
    // Every third pixel; the last rank has none.
    let listed: Vec<u64> = (0..header.pixels()).filter(|pixel| pixel % 3 == 1).collect();
    let parts = comm.size().max(2) - 1;
    let from = |rank: usize| listed.len() * rank.min(parts) / parts;
    let own = &listed[from(comm.rank())..from(comm.rank() + 1)];
    let own = if comm.size() == 1 { &listed } else { own };
    let layout = Layout::from_local_len(comm, own.len())?;
    let values: Vec<f64> = own.iter().map(|pixel| value(*pixel, 0)).collect();
    let hits: Vec<i32> = own.iter().map(|pixel| i32::try_from(*pixel)).collect::<Result<_, _>>()?;
    let columns = [
        MapColumn { name: "I_STOKES", unit: "K_CMB", data: ColumnData::F64(&values) },
        MapColumn { name: "HITS", unit: "", data: ColumnData::I32(&hits) },
    ];
    write_partial_map(&layout, &path, &header, own, &columns)?;
    let map = MapFile::open(&path)?;
    assert_eq!(map.columns().collect::<Vec<_>>(), [("I_STOKES", "K_CMB"), ("HITS", "")]);
    for (pixel, read) in (0..).zip(map.read(0, 0..header.pixels())?) {
        assert_eq!(read, if pixel % 3 == 1 { value(pixel, 0) } else { UNSEEN }, "pixel {pixel}");
    }
    let script = "
import sys, warnings
warnings.simplefilter('error')
import numpy, healpy
m = healpy.read_map(sys.argv[1], partial=True, nest=True, field=1)
p = numpy.arange(768)
assert numpy.array_equal(m[p % 3 == 1], p[p % 3 == 1]) and numpy.all(m[p % 3 != 1] == healpy.UNSEEN)
";
    let twice = folder.path().join("twice.fits");
    let copy = "
import sys
from astropy.io import fits
with fits.open(sys.argv[1]) as file:
    file[1].data['PIXEL'][1] = file[1].data['PIXEL'][0]
    file.writeto(sys.argv[2])
";
    if comm.rank() == 0 {
        python(script, &[&path])?;
        python(copy, &[&path, &twice])?;
    }
    comm.barrier();
    let refusal = MapFile::open(&twice)?.read(0, 0..header.pixels()).expect_err("twice").to_string();
    assert!(refusal.ends_with("pixel 1 is listed twice"), "{refusal}");
    for (wrong, expected) in [(768, "off the sphere of nside 8"), (0, "they have to ascend")] {
        let mut pixels = own.to_vec();
        if comm.rank() == 0 {
            *pixels.last_mut().ok_or("no pixels")? = wrong;
        }
        let message = write_partial_map(&layout, &path, &header, &pixels, &columns).expect_err(expected).to_string();
        // Followed by another rank's pixels, one that is too large does not ascend.
        assert!(message.contains(expected) || (wrong > 0 && message.contains("they have to ascend")), "{message}");
    }
    assert!(MapFile::open(&path).is_ok());
    folder.remove(comm);
    Ok(())
}
