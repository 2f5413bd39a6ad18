//! Settings of files, each seen to have its effect.

use dolmen_core::{Layout as Distribution, Vector};
use dolmen_io::hdf5::{CreateOptions, H5File, Layout, OpenOptions, Transfer};
use dolmen_tests::{Comm, Folder, TestResult, message, python};

use crate::PYTHON;

pub(crate) fn in_force(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let path = folder.path().join("file.h5");
    let default = H5File::create(comm, &path)?;
    let found = default.in_force()?;
    assert_eq!((found.threshold, found.alignment, found.metadata_block), (1 << 20, 1 << 20, 1 << 16));
    // Nothing that is written is held back.
    assert_eq!((found.sieve_buffer, found.chunk_cache), (0, 0));
    default.close()?;
    let options = CreateOptions::new().alignment(5000, 8192).metadata_block(4096);
    let file = H5File::create_with(comm, &path, &options)?;
    let found = file.in_force()?;
    assert_eq!((found.threshold, found.alignment, found.metadata_block), (5000, 8192, 4096));
    file.close()?;
    let file = H5File::open(comm, &path)?;
    assert_eq!((file.in_force()?.chunk_cache, file.in_force()?.sieve_buffer), (16 << 20, 1 << 20));
    file.close()?;
    let file = H5File::open_with(comm, &path, &OpenOptions::new().chunk_cache(12345).sieve_buffer(54321))?;
    assert_eq!((file.in_force()?.chunk_cache, file.in_force()?.sieve_buffer), (12345, 54321));
    file.close()?;
    folder.remove(comm);
    Ok(())
}

/// Positions of data and metadata, by the libraries of others.
pub(crate) fn seen_in_the_file(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let x = Vector::<f64>::zeros(&Distribution::uniform(comm, 1000));
    let places = "
import sys, h5py
with h5py.File(sys.argv[1], 'r') as f:
    data = [f['g%d/x' % k].id.get_offset() for k in range(20)]
    heads = [h5py.h5o.get_info(f['g%d' % k].id).addr for k in range(20)]
";
    for (alignment, block, check) in [
        (4096, 1 << 18, "assert all(d % 4096 == 0 for d in data), data\n    assert max(heads) < 2**18, heads"),
        (
            1,
            2048,
            "assert any(d % 4096 for d in data), data\n    assert min(data) < max(heads) and max(heads) > 2**15, heads",
        ),
    ] {
        let path = folder.path().join(format!("{alignment}.h5"));
        let options = CreateOptions::new().alignment(4000, alignment).metadata_block(block);
        let file = H5File::create_with(comm, &path, &options)?;
        for k in 0..20 {
            file.write_vector(&format!("g{k}/x"), &x, &Layout::Contiguous)?;
        }
        file.close()?;
        python(comm, PYTHON, &format!("{places}    {check}\n"), &path)?;
    }
    folder.remove(comm);
    Ok(())
}

pub(crate) fn compressed(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let path = folder.path().join("file.h5");
    let file = H5File::create(comm, &path)?;
    let distribution = Distribution::uniform(comm, 100_000);
    let x = Vector::<f64>::from_fn(&distribution, |row| (row / 1000) as f64);
    let layout = Layout::Compressed { chunk: vec![4096], level: 6 };
    file.write_vector("x", &x, &layout)?;
    let alone = file.create_dataset::<f64>("alone", &[1], &Layout::Chunked(vec![1]))?;
    let found = message(comm, file.write_vector("y", &x, &Layout::Compressed { chunk: vec![4096], level: 10 }))?;
    assert!(found.contains("the level of compression is 0 to 9"), "{found}");
    if comm.size() > 1 {
        let alone = alone.with_transfer(Transfer::Independent);
        let found = alone.write_slab(&[0], &[1], &[1.0]).expect_err("independent").to_string();
        assert!(found.contains("chunks of several ranks are written collectively only"), "{found}");
    }
    file.close()?;
    assert!(std::fs::metadata(&path)?.len() < 400_000, "800 kB in {}", std::fs::metadata(&path)?.len());
    let file = H5File::open(comm, &path)?;
    assert!(file.read_vector::<f64>("x", &distribution)?.owned() == x.owned());
    file.close()?;
    folder.remove(comm);
    Ok(())
}

pub(crate) fn later_schema(comm: &Comm) -> TestResult {
    let folder = Folder::new(comm)?;
    let path = folder.path().join("later.h5");
    let file = H5File::create(comm, &path)?;
    file.write_attribute("/", "dolmen_schema", 2)?;
    file.close()?;
    let found = message(comm, H5File::open(comm, &path))?;
    assert!(found.contains("later.h5: is of schema 2; this version of the library reads up to 1"), "{found}");
    folder.remove(comm);
    Ok(())
}
