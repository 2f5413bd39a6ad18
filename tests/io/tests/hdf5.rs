//! Parallel HDF5 files: our own on any number of ranks, h5py's, and those of others.

use std::fs;
use std::io::Read as _;
use std::process::ExitCode;

use dolmen_core::Layout as Distribution;
use dolmen_io::hdf5::{Attribute, ByteOrder, Element, ElementType, H5File, Layout, TableColumn, Transfer};
use dolmen_tests::{Comm, Folder, TestResult, case, python, shared};
use serde_json::Value;

fn main() -> ExitCode {
    dolmen_tests::main(&[
        case("slabs_come_back_on_other_ranks", &[1, 2, 3, 4], slabs_come_back_on_other_ranks),
        case("slabs_of_every_shape_are_written", &[1, 2, 4], slabs_of_every_shape_are_written),
        case("new_files_are_only_written", &[1, 2], new_files_are_only_written),
        case("attributes_and_groups_come_back", &[1, 3], attributes_and_groups_come_back),
        case("tables_come_back", &[1, 2], tables_come_back),
        case("files_of_others_have_their_values", &[1, 2], files_of_others_have_their_values),
        case("h5py_files_are_read", &[1, 2, 3], h5py_files_are_read),
        case("h5py_reads_ours", &[1, 2], h5py_reads_ours),
        case("bad_requests_are_named", &[1, 2, 3], bad_requests_are_named),
        case("bad_files_are_named", &[1, 2, 3], bad_files_are_named),
        case("only_closed_files_appear", &[1, 2], only_closed_files_appear),
    ])
}

/// Uneven rows of a matrix: rank r gets 2 r + 1 shares, but the last rank of several none.
fn rows_of(comm: &Comm, rows: u64) -> TestResult<(u64, u64)> {
    let last = comm.size() - 1;
    let share = |rank: usize| if rank == last && last > 0 { 0 } else { 2 * rank as u64 + 1 };
    let total: u64 = (0..comm.size()).map(share).sum();
    let mut lengths = comm.all_gather(rows * share(comm.rank()) / total);
    lengths[0] += rows - lengths.iter().sum::<u64>();
    let mine = Distribution::from_local_len(comm, usize::try_from(lengths[comm.rank()])?)?;
    Ok((mine.range().start, mine.range().end))
}

fn slabs_come_back_on_other_ranks(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    for layout in [Layout::Contiguous, Layout::Chunked(vec![7, 3])] {
        let path = folder.path().join("slabs.h5");
        let (rows, columns) = (101, 10);
        let value = |position: u64| position as f64 * 0.5 - 100.0;
        let file = H5File::create(comm, &path)?;
        let real = file.create_dataset::<f64>("group/inner/real", &[rows, columns], &layout)?;
        let whole = file.create_dataset::<i32>("whole", &[rows, columns], &layout)?;
        let (start, end) = rows_of(comm, rows)?;
        let positions = || start * columns..end * columns;
        let values: Vec<f64> = positions().map(value).collect();
        real.write_slab(&[start, 0], &[end - start, columns], &values)?;
        let values = positions().map(i32::try_from).collect::<Result<Vec<i32>, _>>()?;
        whole.write_slab(&[start, 0], &[end - start, columns], &values)?;
        file.close()?;

        // Read back by columns, so by other ranks than wrote.
        let file = H5File::open(comm, &path)?;
        let real = file.dataset("group/inner/real")?;
        assert_eq!(real.dimensions::<2>()?, [rows, columns]);
        let (start, end) = rows_of(comm, columns)?;
        let count = [rows, end - start];
        let expected: Vec<f64> =
            (0..rows).flat_map(|row| (start..end).map(move |c| value(row * columns + c))).collect();
        assert_eq!(real.read_slab::<f64>(&[0, start], &count)?, expected);
        let singles = real.read_slab::<f32>(&[0, start], &count)?;
        assert!(singles.iter().map(|single| f64::from(*single)).eq(expected.iter().copied()));
        // Integers widen, and become floats.
        let whole = file.dataset("whole")?;
        let wide = whole.read_slab::<i64>(&[0, start], &count)?;
        let floats = whole.read_slab::<f64>(&[0, start], &count)?;
        for ((wide, float), expected) in wide.iter().zip(floats).zip(expected) {
            assert_eq!((*wide as f64, float), ((expected + 100.0) * 2.0, (expected + 100.0) * 2.0));
        }
        // Each rank on its own, a different number of times.
        let alone = file.dataset("whole")?.with_transfer(Transfer::Independent);
        for row in 0..=comm.rank() as u64 {
            let values = alone.read_slab::<i32>(&[row, 1], &[1, 2])?;
            assert_eq!(values.iter().map(|v| i64::from(*v)).sum::<i64>(), 20 * i64::try_from(row)? + 3);
        }
        file.close()?;
    }
    folder.remove(comm);
    Ok(())
}

/// Rows, columns and boxes, of the file's type and of one that is converted, together and each rank for itself.
fn slabs_of_every_shape_are_written(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let path = folder.path().join("slabs.h5");
    let shape = [6, 8, 5];
    let value = |position: u64| position as f64 * 0.25 - 3.0;
    for (axis, layout) in
        [0, 1, 2].into_iter().zip([Layout::Contiguous, Layout::Chunked(vec![4, 3, 5]), Layout::Contiguous])
    {
        let compressed = Layout::Compressed { chunk: vec![5, 2, 4], level: 3 };
        let (mut start, mut count) = ([0; 3], shape);
        let (first, end) = rows_of(comm, shape[axis])?;
        (start[axis], count[axis]) = (first, end - first);
        let positions = (0..shape.iter().product()).filter(|position| {
            let index = [position / 40, position / 5 % 8, position % 5][axis];
            (first..end).contains(&index)
        });
        let values: Vec<f64> = positions.map(value).collect();
        let file = H5File::create(comm, &path)?;
        file.create_dataset::<f64>("same", &shape, &layout)?.write_slab(&start, &count, &values)?;
        file.create_dataset::<f32>("converted", &shape, &layout)?.write_slab(&start, &count, &values)?;
        file.create_dataset::<f64>("compressed", &shape, &compressed)?.write_slab(&start, &count, &values)?;
        if layout == Layout::Contiguous {
            let alone = file.create_dataset::<f32>("alone", &shape, &layout)?.with_transfer(Transfer::Independent);
            alone.write_slab(&start, &count, &values)?;
        }
        file.close()?;
        let file = H5File::open(comm, &path)?;
        let all: Vec<f64> = (0..shape.iter().product()).map(value).collect();
        for name in file.children("/")? {
            assert_eq!(file.dataset(&name)?.read_slab::<f64>(&[0; 3], &shape)?, all, "{name} by axis {axis}");
        }
        file.close()?;
    }
    folder.remove(comm);
    Ok(())
}

fn new_files_are_only_written(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let file = H5File::create(comm, folder.path().join("new.h5"))?;
    let dataset = file.create_dataset::<f64>("group/data", &[4], &Layout::Contiguous)?;
    assert!(file.exists("group/data") && !file.exists("data"));
    for message in [
        message(comm, dataset.read_slab::<f64>(&[0], &[4]))?,
        message(comm, file.dataset("group/data"))?,
        message(comm, file.attribute("/", "x"))?,
        message(comm, file.children("/"))?,
        message(comm, file.objects())?,
    ] {
        assert!(message.contains("new.h5: ") && message.contains("is being written; close"), "{message}");
    }
    file.close()?;
    folder.remove(comm);
    Ok(())
}

fn attributes_and_groups_come_back(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let path = folder.path().join("attributes.h5");
    let file = H5File::create(comm, &path)?;
    file.create_group("observations/scan b")?;
    file.create_group("observations/scan a")?;
    file.create_dataset::<u8>("observations/flags", &[0], &Layout::Contiguous)?;
    file.write_attribute("/", "format", "dolmen-tod")?;
    file.write_attribute("/", "format", "déjà vu")?;
    file.write_attribute("observations/scan a", "sample_rate", 32.5)?;
    file.write_attribute("observations/flags", "bits", -7)?;
    file.write_attribute("observations", "axis", [1.0, 2.0, 3.0].as_slice())?;
    file.close()?;

    let file = H5File::open(comm, &path)?;
    assert_eq!(file.children("observations")?, ["flags", "scan a", "scan b"]);
    assert!(file.exists("observations/scan a") && !file.exists("observations/scan c/d"));
    assert_eq!(file.attribute_text("/", "format")?, "déjà vu");
    assert_eq!(file.attribute_f64("observations/scan a", "sample_rate")?, 32.5);
    assert_eq!(file.attribute_f64("observations/flags", "bits")?, -7.0);
    assert_eq!(file.attribute_i64("observations/flags", "bits")?, -7);
    assert_eq!(file.attribute("observations", "axis")?, Some(Attribute::Reals(vec![1.0, 2.0, 3.0])));
    assert_eq!(file.attribute("observations", "none")?, None);
    assert!(file.dataset("observations/flags")?.read_slab::<u8>(&[0], &[0])?.is_empty());
    for (result, expected) in [
        (file.attribute_f64("/", "format").err(), "attribute format of /: expected a number; found the string"),
        (file.attribute_text("/", "version").err(), "attribute version of /: expected a string; it is missing"),
        (file.attribute_i64("gone", "x").err(), "attribute x of gone: gone does not exist"),
        (file.children("gone").err(), "group gone: does not exist"),
    ] {
        let message = result.ok_or(expected)?.to_string();
        assert!(message.contains(expected), "{message}");
    }
    file.close()?;
    folder.remove(comm);
    Ok(())
}

fn tables_come_back(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let path = folder.path().join("table.h5");
    let columns = vec![
        ("name".to_owned(), TableColumn::Text { bytes: 16, values: vec!["143-5a".into(), "0123456789abcdef".into()] }),
        ("net".to_owned(), TableColumn::Real(vec![6.5e-5, 7.5e-5])),
        ("quaternion".to_owned(), TableColumn::Reals { length: 4, values: (0..8).map(f64::from).collect() }),
        ("order".to_owned(), TableColumn::Integer(vec![-1, i64::MAX])),
    ];
    let file = H5File::create(comm, &path)?;
    file.write_table("detectors", &columns)?;
    let long = [("name".to_owned(), TableColumn::Text { bytes: 2, values: vec!["abc".into()] })];
    let message = file.write_table("long", &long).expect_err("too long").to_string();
    assert!(message.contains("dataset long: column name: \"abc\" is not a string of 2 bytes"), "{message}");
    file.close()?;

    let file = H5File::open(comm, &path)?;
    assert_eq!(file.read_table("detectors")?, columns);
    let detectors = file.dataset("detectors")?;
    assert_eq!(detectors.read_member_slab::<f64>("net", &[1], &[1])?, [7.5e-5]);
    let quaternions = detectors.read_member_slab::<[f64; 4]>("quaternion", &[0], &[2])?;
    assert_eq!(quaternions[1], [4.0, 5.0, 6.0, 7.0]);
    file.close()?;
    folder.remove(comm);
    Ok(())
}

/// Reads a dataset of numbers whole, every rank its rows, and sums over the ranks.
fn compare_dataset(comm: &Comm, file: &H5File, name: &str, fact: &Value) -> TestResult<bool> {
    let (Some(sum), Some(norm)) = (fact["sum"].as_f64(), fact["norm2"].as_f64()) else { return Ok(false) };
    let dataset = file.dataset(name)?;
    if !matches!(dataset.element_type(), ElementType::Float { .. } | ElementType::Integer { .. }) {
        return Ok(false);
    }
    let shape: Vec<u64> = dataset.shape().to_vec();
    let expected: Vec<Option<u64>> = shape.iter().map(|length| Some(*length)).collect();
    let facts: Vec<Option<u64>> = fact["shape"].as_array().ok_or("no shape")?.iter().map(Value::as_u64).collect();
    assert_eq!(expected, facts, "{name}");
    if fact["dtype"].as_str().is_some_and(|dtype| dtype.starts_with('>')) {
        let (ElementType::Float { order, .. } | ElementType::Integer { order, .. }) = dataset.element_type() else {
            return Err(format!("{name} is {}", dataset.element_type()).into());
        };
        assert_eq!(*order, ByteOrder::Big, "{name}");
    }
    let mut start = vec![0; shape.len()];
    let mut count = shape.clone();
    if let Some(rows) = shape.first() {
        let (first, end) = rows_of(comm, *rows)?;
        (start[0], count[0]) = (first, end - first);
    }
    let values = dataset.read_slab::<f64>(&start, &count)?;
    if comm.rank() == 0 {
        for (value, first) in values.iter().zip(fact["first"].as_array().ok_or("no first")?) {
            // JSON numbers are read to one ulp.
            let same = first.as_f64().is_none_or(|first| (first - value).abs() <= 3e-16 * first.abs());
            assert!(same, "{name}: {value}, expected {first}");
        }
    }
    let finite = || values.iter().filter(|value| value.is_finite());
    let mut sums = [finite().sum::<f64>(), finite().map(|value| value * value).sum::<f64>()];
    comm.all_reduce_sum(&mut sums);
    let floor = 1e-12 * norm * 1e3;
    assert!((sums[0] - sum).abs() <= floor, "{name}: sum {}, expected {sum}", sums[0]);
    assert!((sums[1].sqrt() - norm).abs() <= 1e-12 * norm, "{name}: norm {}, expected {norm}", sums[1].sqrt());
    Ok(true)
}

fn files_of_others_have_their_values(comm: &Comm) -> TestResult {
    let Some(shared) = shared() else { return Ok(()) };
    let folder = shared.join("data/hdf5");
    // Python writes what is not a number in a way that is not JSON.
    let facts = fs::read_to_string(folder.join("REFS.json"))?.replace("-Infinity", "null").replace("Infinity", "null");
    let facts: Value = serde_json::from_str(&facts.replace("NaN", "null"))?;
    let mut compared = 0;
    for (name, fact) in facts.as_object().ok_or("no files")? {
        let Some(objects) = fact["objects"].as_object() else { continue };
        let file = H5File::open(comm, folder.join(name))?;
        for (object, fact) in objects {
            // Filters of others, and types that are not numbers.
            let unusual = fact["filters"].as_array().is_some_and(|filters| filters.iter().any(|f| f == "lzf"));
            if !unusual && compare_dataset(comm, &file, object, fact).map_err(|error| format!("{name}: {error}"))? {
                compared += 1;
            }
        }
        file.close()?;
    }
    assert!(compared > 150, "only {compared} datasets compared");
    Ok(())
}

fn h5py_files_are_read(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let path = folder.path().join("h5py.h5");
    let script = "
import sys, numpy, h5py
n = numpy.arange(1000)
with h5py.File(sys.argv[1], 'w') as f:
    for kind in ['f4', 'f8', 'i1', 'i2', 'i4', 'i8', 'u1', 'u2', 'u4', 'u8']:
        for order in '<>':
            data = (n % 120).astype(order + kind)
            f.create_dataset(order + kind, data=data)
            f.create_dataset('gzip/' + order + kind, data=data, chunks=(64,), compression='gzip', shuffle=True)
    row = '{0}f8 {0}f8 {0}f8 {0}f8 {0}i2 {0}f4 {0}f4 {0}f4'
    names = 'TIME PHI THETA PSI FLAG TEMP Q U'.split()
    for order in '<>':
        dst = numpy.zeros(1000, [(m, t) for m, t in zip(names, row.format(order).split())])
        for k, m in enumerate(names):
            dst[m] = n * (k + 1)
        f.create_dataset(order + 'dst', data=dst)
    f['bool'] = n % 2 == 0
    f['small'] = numpy.array([(b'a', 1.5)], dtype=[('name', 'S8'), ('net', '>f4')])
    f.attrs['vlen'] = 'text'
    f.attrs['fixed'] = numpy.bytes_('text')
    f.attrs['ascii'] = numpy.array('text'.encode(), dtype=h5py.string_dtype('ascii', 9))
    f.attrs['utf8'] = numpy.array('text'.encode(), dtype=h5py.string_dtype('utf-8', 9))
    f.attrs['be'] = numpy.array(2.5, dtype='>f4')
    f.attrs['list'] = numpy.array([1, 2], dtype='>i2')
";
    if python(comm, "h5py", script, &path)? {
        let file = H5File::open(comm, &path)?;
        let (start, end) = rows_of(comm, 1000)?;
        for group in ["", "gzip/"] {
            for order in ['<', '>'] {
                check_numbers::<f32>(&file, &format!("{group}{order}f4"), start, end)?;
                check_numbers::<f64>(&file, &format!("{group}{order}f8"), start, end)?;
                check_numbers::<i8>(&file, &format!("{group}{order}i1"), start, end)?;
                check_numbers::<i16>(&file, &format!("{group}{order}i2"), start, end)?;
                check_numbers::<i32>(&file, &format!("{group}{order}i4"), start, end)?;
                check_numbers::<i64>(&file, &format!("{group}{order}i8"), start, end)?;
                check_numbers::<u8>(&file, &format!("{group}{order}u1"), start, end)?;
                check_numbers::<u16>(&file, &format!("{group}{order}u2"), start, end)?;
                check_numbers::<u32>(&file, &format!("{group}{order}u4"), start, end)?;
                check_numbers::<u64>(&file, &format!("{group}{order}u8"), start, end)?;
            }
        }
        for name in ["<dst", ">dst"] {
            let table = file.dataset(name)?;
            let theta = table.read_member_slab::<f64>("THETA", &[start], &[end - start])?;
            assert!(theta.iter().zip(start..).all(|(value, row)| *value == 3.0 * row as f64));
            let flags = table.read_member_slab::<i16>("FLAG", &[start], &[end - start])?;
            assert!(flags.iter().zip(start..).all(|(value, row)| u64::try_from(*value) == Ok(5 * row)));
            let u = table.read_member_slab::<f32>("U", &[start], &[end - start])?;
            assert!(u.iter().zip(start..).all(|(value, row)| f64::from(*value) == 8.0 * row as f64));
        }
        let flags = file.dataset("bool")?.read_slab::<u8>(&[start], &[end - start])?;
        assert!(flags.iter().zip(start..).all(|(flag, row)| u64::from(*flag) == (row + 1) % 2));
        let small = file.read_table("small")?;
        assert_eq!(small[0].1, TableColumn::Text { bytes: 8, values: vec!["a".into()] });
        assert_eq!(small[1], ("net".into(), TableColumn::Real(vec![1.5])));
        for name in ["vlen", "fixed", "ascii", "utf8"] {
            assert_eq!(file.attribute_text("/", name)?, "text", "{name}");
        }
        assert_eq!(file.attribute_f64("/", "be")?, 2.5);
        assert_eq!(file.attribute("/", "list")?, Some(Attribute::Integers(vec![1, 2])));
        file.close()?;
    }
    folder.remove(comm);
    Ok(())
}

/// Compares rows of a dataset whose row i holds i mod 120.
fn check_numbers<T>(file: &H5File, name: &str, start: u64, end: u64) -> TestResult
where
    T: Element + PartialEq + TryFrom<u8>,
{
    let values = file.dataset(name)?.read_slab::<T>(&[start], &[end - start])?;
    for (value, row) in values.into_iter().zip(start..end) {
        let expected = T::try_from(u8::try_from(row % 120)?).map_err(|_| "no such number")?;
        assert!(value == expected, "{name}: row {row}");
    }
    Ok(())
}

fn h5py_reads_ours(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let path = folder.path().join("ours.h5");
    let file = H5File::create(comm, &path)?;
    let (start, end) = rows_of(comm, 50)?;
    let dataset = file.create_dataset::<f32>("scan/signal", &[2, 50], &Layout::Contiguous)?;
    let values: Vec<f32> = (0..2).flat_map(|row| (start..end).map(move |c| (row * 50 + c) as f32)).collect();
    dataset.write_slab(&[0, start], &[2, end - start], &values)?;
    file.write_attribute("scan", "name", "süd")?;
    file.write_attribute("scan", "rate", 12.5)?;
    let columns = [
        ("name".to_owned(), TableColumn::Text { bytes: 16, values: vec!["a".into(), "bc".into()] }),
        ("quaternion".to_owned(), TableColumn::Reals { length: 4, values: vec![0.5; 8] }),
    ];
    file.write_table("detectors", &columns)?;
    file.close()?;
    let script = "
import sys, numpy, h5py
with h5py.File(sys.argv[1], 'r') as f:
    s = f['scan/signal']
    assert s.dtype == numpy.float32 and s.chunks is None
    assert numpy.array_equal(s[:], numpy.arange(100).reshape(2, 50))
    assert f['scan'].attrs['name'] == 'süd' and f['scan'].attrs['rate'] == 12.5
    d = f['detectors']
    assert d.dtype['name'] == numpy.dtype('S16') and d['name'][1] == b'bc'
    assert numpy.array_equal(d['quaternion'], numpy.full((2, 4), 0.5))
";
    python(comm, "h5py", script, &path)?;
    folder.remove(comm);
    Ok(())
}

/// The message of an error that must be the same on all ranks.
fn message<T>(comm: &Comm, result: Result<T, dolmen_io::Error>) -> TestResult<String> {
    let Err(error) = result else { return Err("no error where one was due".into()) };
    let mut first = error.to_string().into_bytes();
    let mine = first.clone();
    comm.broadcast(0, &mut first);
    assert_eq!(mine, first, "ranks disagree");
    Ok(error.to_string())
}

fn bad_requests_are_named(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let path = folder.path().join("tod.h5");
    let file = H5File::create(comm, &path)?;
    let signal = file.create_dataset::<f64>("scan/signal", &[40], &Layout::Contiguous)?;
    let last = comm.rank() + 1 == comm.size();
    signal.write_slab(&[0], &[if last { 40 } else { 0 }], &vec![1.0; if last { 40 } else { 0 }])?;
    let flags = file.create_dataset::<i64>("flags", &[4], &Layout::Contiguous)?;
    let columns = [("net".to_owned(), TableColumn::Real(vec![1.0]))];
    file.write_table("detectors", &columns)?;
    for (message, expected) in [
        (message(comm, flags.write_slab::<f64>(&[0], &[0], &[]))?, "cannot be written from a float"),
        (message(comm, signal.write_slab::<f64>(&[0], &[2], &[1.0]))?, "a slab of 2 elements asked for, 1 given"),
        (message(comm, file.create_dataset::<u8>("flags", &[1], &Layout::Contiguous))?, "dataset flags: "),
        (message(comm, file.create_dataset::<u8>("x", &[1], &Layout::Chunked(vec![0])))?, "chunks [0]"),
        (message(comm, file.create_group("scan"))?, "group scan: "),
    ] {
        assert!(message.contains(expected), "{message}");
    }
    file.close()?;
    let file = H5File::open(comm, &path)?;
    let (signal, flags, detectors) = (file.dataset("scan/signal")?, file.dataset("flags")?, file.dataset("detectors")?);
    let beyond = if last { 41 } else { 1 };
    for (message, expected) in [
        (message(comm, signal.dimensions::<2>())?, "dataset scan/signal: expected 2 dimensions, found 1"),
        (message(comm, file.dataset("scan/noise"))?, "tod.h5: dataset scan/noise: does not exist"),
        (message(comm, file.dataset("scan"))?, "tod.h5: dataset scan: "),
        (
            message(comm, signal.read_slab::<f64>(&[0], &[beyond]))?,
            "41 elements from 0 asked for in dimension 0, which has 40",
        ),
        (
            message(comm, signal.read_slab::<i32>(&[0], &[1]))?,
            "holds a 64-bit float, which cannot be read as a 32-bit signed integer",
        ),
        (message(comm, flags.read_slab::<i32>(&[0], &[1]))?, "holds a 64-bit signed integer"),
        (message(comm, detectors.read_member_slab::<f64>("alpha", &[0], &[1]))?, "no column alpha; there are: net"),
        (message(comm, signal.read_member_slab::<f64>("net", &[0], &[1]))?, "not a table with a column net"),
        (message(comm, file.read_table("flags"))?, "dataset flags: expected a table"),
        (message(comm, flags.write_slab(&[0], &[1], &[1_i64]))?, "dataset flags: the file is open for reading only"),
        (message(comm, file.create_group("more"))?, "group more: "),
    ] {
        assert!(message.contains(expected), "{message}");
    }
    file.close()?;
    folder.remove(comm);
    Ok(())
}

fn bad_files_are_named(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let good = folder.path().join("good.h5");
    let file = H5File::create(comm, &good)?;
    let dataset = file.create_dataset::<f64>("data", &[4096], &Layout::Contiguous)?;
    let (start, end) = rows_of(comm, 4096)?;
    dataset.write_slab(&[start], &[end - start], &vec![1.0; usize::try_from(end - start)?])?;
    file.close()?;
    let bytes = fs::read(&good)?;
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        let written = if comm.rank() == 0 { fs::write(&path, bytes) } else { Ok(()) };
        comm.agree(written).map(|()| path)
    };
    for (path, expected) in [
        (folder.path().join("missing.h5"), "missing.h5: cannot open: No such file"),
        (folder.path().to_owned(), "is a folder; name a file"),
        (write("text.h5", b"no HDF5 at all")?, "text.h5: is not an HDF5 file"),
        (write("empty.h5", b"")?, "empty.h5: is not an HDF5 file"),
        (write("half.h5", &bytes[..bytes.len() / 2])?, "half.h5: cannot be opened as HDF5: truncated file"),
        (write("head.h5", &bytes[..40])?, "head.h5: cannot be opened as HDF5: "),
    ] {
        let message = message(comm, H5File::open(comm, &path))?;
        assert!(message.contains(expected), "{message}");
    }
    folder.remove(comm);
    Ok(())
}

fn only_closed_files_appear(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let path = folder.path().join("new.h5");
    let entries = || fs::read_dir(folder.path()).map(Iterator::count);
    let file = H5File::create(comm, &path)?;
    file.create_dataset::<f64>("data", &[16], &Layout::Contiguous)?;
    assert!(!path.exists());
    assert_eq!(entries()?, 1);
    comm.barrier();
    drop(file);
    comm.barrier();
    assert_eq!(entries()?, 0);
    comm.barrier();
    // A program that was killed has left its file; one of its processes may still hold it open.
    let stale = folder.path().join("new.h5.tmp");
    let left = if comm.rank() == 0 {
        fs::write(&stale, "half").and_then(|()| fs::File::open(&stale)).map(Some)
    } else {
        Ok(None)
    };
    let left = comm.agree(left)?;
    let file = H5File::create(comm, &path)?;
    file.create_dataset::<f64>("data", &[16], &Layout::Contiguous)?;
    file.close()?;
    assert!(path.exists() && !stale.exists());
    if let Some(mut left) = left {
        let mut text = String::new();
        left.read_to_string(&mut text)?;
        assert_eq!(text, "half", "another program's file is its own");
    }
    for (path, expected) in [
        (folder.path().join("no/such/folder.h5"), "folder.h5.tmp: cannot create: No such file"),
        (folder.path().to_owned(), "is a folder; name a file"),
    ] {
        let message = message(comm, H5File::create(comm, &path))?;
        assert!(message.contains(expected), "{message}");
    }
    folder.remove(comm);
    Ok(())
}
