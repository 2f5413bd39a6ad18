//! Files of other programs, and ours in h5py.

use std::fs;

use dolmen_io::hdf5::{Attribute, ByteOrder, Element, ElementType, H5File, Layout, TableColumn};
use dolmen_tests::{Comm, Folder, TestResult, python, shared};
use serde_json::Value;

use crate::rows_of;

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

pub(crate) fn files_of_others_have_their_values(comm: &Comm) -> TestResult {
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
            if compare_dataset(comm, &file, object, fact).map_err(|error| format!("{name}: {error}"))? {
                compared += 1;
            }
        }
        file.close()?;
    }
    assert!(compared > 150, "only {compared} datasets compared");
    Ok(())
}

pub(crate) fn h5py_files_are_read(comm: &Comm) -> TestResult {
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
    text, ascii = h5py.string_dtype(), h5py.string_dtype('ascii')
    rows = [('süd', 1.5, b'x'), ('', 2.5, b''), ('a' * 40, 3.5, b'yz')]
    f['texts'] = numpy.array(rows, dtype=[('name', text), ('net', '<f8'), ('label', ascii)])
    f.create_dataset('chunked', data=f['texts'][...], chunks=(2,))
    f['only'] = numpy.array([('a',), ('b',)], dtype=[('name', text)])
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
        let texts =
            |bytes, values: &[&str]| TableColumn::Text { bytes, values: values.iter().map(|&v| v.into()).collect() };
        let long = "a".repeat(40);
        for name in ["texts", "chunked"] {
            let columns = file.read_table(name)?;
            assert_eq!(columns[0], ("name".into(), texts(40, &["süd", "", &long])), "{name}");
            assert_eq!(columns[1], ("net".into(), TableColumn::Real(vec![1.5, 2.5, 3.5])), "{name}");
            assert_eq!(columns[2], ("label".into(), texts(2, &["x", "", "yz"])), "{name}");
        }
        assert_eq!(file.read_table("only")?, [("name".into(), texts(1, &["a", "b"]))]);
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

pub(crate) fn h5py_reads_ours(comm: &Comm) -> TestResult {
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
