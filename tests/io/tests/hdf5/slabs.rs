//! Parts of datasets, written and read on other ranks.

use dolmen_io::hdf5::{H5File, Layout, Transfer};
use dolmen_tests::{Comm, Folder, TestResult};

use crate::rows_of;

pub(crate) fn slabs_come_back_on_other_ranks(comm: &Comm) -> TestResult {
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
pub(crate) fn slabs_of_every_shape_are_written(comm: &Comm) -> TestResult {
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
