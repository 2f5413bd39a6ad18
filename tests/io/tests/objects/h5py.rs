//! Contents by h5py that not every program can read: filters, large integers, compounds of them.

use dolmen_core::{Complex64, Layout as Distribution};
use dolmen_io::hdf5::{H5File, Transfer};
use dolmen_tests::{Comm, Folder, TestResult, message, python};

use crate::PYTHON;

/// Each rank's share of 100 numbers.
fn share(comm: &Comm) -> ([u64; 1], [u64; 1]) {
    let mine = Distribution::uniform(comm, 100).range();
    ([mine.start], [mine.end - mine.start])
}

pub(crate) fn filters(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let path = folder.path().join("filters.h5");
    let script = "
import sys, h5py, numpy
from h5py import h5d, h5p, h5s, h5t, h5z
values = numpy.arange(100.)
def put(name, number, packed=()):
    plist = h5p.create(h5p.DATASET_CREATE)
    plist.set_chunk((50,))
    plist.set_filter(number, h5z.FLAG_OPTIONAL, tuple(range(40)))
    dataset = h5d.create(f.id, name, h5t.IEEE_F64LE, h5s.create_simple((100,)), plist)
    dataset.write(h5s.ALL, h5s.ALL, values)
    for start in packed:
        dataset.write_direct_chunk((start,), bytes(70), filter_mask=0)
with h5py.File(sys.argv[1], 'w') as f:
    for name, options in [('gzip', {}), ('shuffle', {'shuffle': True}), ('fletcher', {'fletcher32': True})]:
        f.create_dataset(name, data=values, chunks=(7,), compression='gzip', **options)
    f.create_dataset('scale', data=numpy.arange(100), chunks=(50,), scaleoffset=0)
    f.create_dataset('lzf', data=values % 10, chunks=(50,), compression='lzf')
    f.create_dataset('lzf_shuffle', data=values, chunks=(50,), compression='lzf', shuffle=True, fletcher32=True)
    # What does not pack is stored as it is.
    f.create_dataset('lzf_random', data=numpy.random.default_rng(1).random(100), chunks=(50,), compression='lzf')
    f['random'] = f['lzf_random'][:]
    put(b'nbit', h5z.FILTER_NBIT)
    # A filter that was not there is skipped, and not needed.
    put(b'skipped', 40000)
    put(b'unknown', 40000, (0, 50))
    put(b'half', 32001, (50,))
    names = ['gzip', 'shuffle', 'fletcher', 'scale', 'nbit', 'skipped', 'lzf_shuffle']
    if h5z.get_filter_info(h5z.FILTER_SZIP) & h5z.FILTER_CONFIG_ENCODE_ENABLED:
        f.create_dataset('szip', data=values, chunks=(50,), compression='szip')
        names.append('szip')
    f.attrs['readable'] = ' '.join(names)
";
    if python(comm, PYTHON, script, &path)? {
        let file = H5File::open(comm, &path)?;
        let (start, count) = share(comm);
        for name in file.attribute_text("/", "readable")?.split(' ') {
            let found = file.dataset(name)?.read_slab::<f64>(&start, &count)?;
            assert!(found.iter().zip(start[0]..).all(|(value, row)| *value == row as f64), "{name}");
        }
        let lzf = file.dataset("lzf")?.read_slab::<f64>(&start, &count)?;
        assert!(lzf.iter().zip(start[0]..).all(|(value, row)| *value == (row % 10) as f64), "{lzf:?}");
        let random = |name: &str| file.dataset(name)?.read_slab::<f64>(&start, &count);
        assert_eq!(random("lzf_random")?, random("random")?);
        for (name, filter) in [("unknown", "with filter 40000,"), ("half", "blosc (filter 32001)")] {
            let found = message(comm, file.dataset(name)?.read_slab::<f64>(&start, &count))?;
            let named = found.contains(&format!("dataset {name}: is packed with ")) && found.contains(filter);
            assert!(named && found.contains("HDF5_PLUGIN_PATH") && found.contains("h5repack"), "{found}");
            assert!(!found.contains('\n'), "{found}");
        }
        let objects = file.objects()?;
        let missing = |name: &str| {
            let object = objects.iter().find(|object| object.name == name);
            object.and_then(|object| object.dataset.clone()).map(|stored| stored.missing_filters)
        };
        assert_eq!((missing("/gzip"), missing("/lzf")), (Some(vec![]), Some(vec![])));
        assert_eq!(missing("/half"), Some(vec!["blosc (filter 32001)".to_owned()]));
        file.close()?;
    }
    folder.remove(comm);
    Ok(())
}

pub(crate) fn integers(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let path = folder.path().join("integers.h5");
    let script = "
import sys, h5py, numpy
signed = numpy.arange(100) - 2**53
with h5py.File(sys.argv[1], 'w') as f:
    f['edge'], f['low'], f['high'] = signed, signed - 1, (numpy.arange(100, dtype='u8') + numpy.uint64(2**64 - 200)).astype('>u8')
    f.create_dataset('packed', data=signed, chunks=(7,), compression='gzip')
    table = numpy.zeros(100, [('q', '<i8', (2,)), ('id', '<i8'), ('n', '<i4')])
    table['q'] = signed[:, None]
    table['id'] = signed - 1
    table['n'] = 2**31 - 1
    f['table'] = table
    f['z'] = numpy.zeros(100, [('r', '<i8'), ('i', '<i8')])
";
    if python(comm, PYTHON, script, &path)? {
        let file = H5File::open(comm, &path)?;
        let (start, count) = share(comm);
        let expected: Vec<f64> = (start[0]..start[0] + count[0]).map(|row| row as f64 - 2_f64.powi(53)).collect();
        let distribution = Distribution::uniform(comm, 100);
        for name in ["edge", "packed"] {
            assert_eq!(file.dataset(name)?.read_slab::<f64>(&start, &count)?, expected, "{name}");
            assert_eq!(file.read_vector::<f64>(name, &distribution)?.owned(), expected, "{name}");
            let narrow = file.dataset(name)?.read_slab::<f32>(&start, &count)?;
            assert!(narrow.iter().all(|value| *value == -2_f32.powi(53)), "{name}");
        }
        let table = file.dataset("table")?;
        let arrays = table.read_member_slab::<[f64; 2]>("q", &start, &count)?;
        assert!(arrays.iter().zip(&expected).all(|(pair, value)| *pair == [*value; 2]));
        assert!(table.read_member_slab::<f64>("n", &start, &count)?.iter().all(|n| *n == 2_f64.powi(31) - 1.0));
        // The first rank has it, and all refuse.
        for (found, expected) in [
            (message(comm, file.dataset("low")?.read_slab::<f64>(&start, &count))?, "low: holds -9007199254740993, "),
            (message(comm, file.read_vector::<Complex64>("low", &distribution))?, "low: holds -9007199254740993, "),
            (message(comm, file.dataset("high")?.read_slab::<f32>(&start, &count))?, "high: holds 18446744073709551"),
            (message(comm, table.read_member_slab::<f64>("id", &start, &count))?, "table: holds -9007199254740993, "),
        ] {
            assert!(found.contains(expected) && found.contains("beyond 2^53"), "{found}");
        }
        let alone = file.dataset("low")?.with_transfer(Transfer::Independent);
        assert_eq!(alone.read_slab::<f64>(&[1], &[2])?[0], -2_f64.powi(53));
        assert!(alone.read_slab::<f64>(&[0], &[2]).is_err());
        let found = message(comm, file.read_vector::<Complex64>("z", &distribution))?;
        assert!(found.contains("dataset z: holds a compound, dtype [('r', '<i8'), ('i', '<i8')], which"), "{found}");
        file.close()?;
    }
    folder.remove(comm);
    Ok(())
}
