import h5py
import numpy as np
import pytest
import scipy.io
import scipy.sparse
from problems import DTYPES, layouts, matrix_of, numbers, sparse, spread

import dolmen as dm


def on_first(action):
    with dm.world.agreeing():
        if dm.world.rank == 0:
            action()


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_we_write_h5py_reads(in_shared_folder, dtype):
    u = numbers(23, dtype)
    dense = sparse(12, 12, dtype)
    X = dm.MultiVector(23, 2, dtype)
    X.local[:, 1] = u[X.layout.rows()]
    with dm.File("a.h5", "w") as f:
        f["g/u"] = spread(u)
        f["X"] = X
        f["A"] = matrix_of(dense)
        f.attrs("g/u").update({"units": "K", "n": 3, "x": 0.5, "list": [1.0, 2.0], "whole": np.array([1, 2])})
    if dm.world.rank == 0:
        with h5py.File("a.h5") as f:
            np.testing.assert_array_equal(f["g/u"][:], u)
            np.testing.assert_array_equal(f["X"][:, 1], u)
            assert f["g/u"].attrs["units"] == "K" and f["g/u"].attrs["n"] == 3 and list(f["g/u"].attrs["whole"]) == [1, 2]
    with dm.File("a.h5") as f:
        assert f.keys() == ["A", "X", "g"] and "g/u" in f and "nothing" not in f
        assert f["g/u"].dtype == np.dtype(dtype)
        for layout in layouts(23):
            np.testing.assert_array_equal(f["g/u"].read(layout).gather(), u)
        np.testing.assert_array_equal(f["X"].read().gather()[:, 1], u)
        A = f["A"].read(dtype=dtype)
        np.testing.assert_array_equal(A.to_scipy().toarray(), dense[A.range.rows()])
        assert dict(f["g/u"].attrs.items())["x"] == 0.5 and list(f["g/u"].attrs["list"]) == [1.0, 2.0]
        with pytest.raises(KeyError):
            f["nothing"]
        with pytest.raises(KeyError):
            f["g/u"].attrs["nothing"]


@pytest.mark.parametrize("dtype", ["i2", "i8", "u1", "f4", "f8", "c16", "bool"])
def test_what_h5py_writes_we_read(in_shared_folder, dtype):
    values = (np.arange(60).reshape(5, 4, 3) % 2).astype(dtype)

    def write():
        with h5py.File("b.h5", "w") as f:
            f.create_dataset("plain", data=values)
            f.create_dataset("packed", data=values, chunks=(2, 2, 3), compression="gzip", shuffle=True)

    on_first(write)
    with dm.File("b.h5") as f:
        for name in ("plain", "packed"):
            d = f[name]
            assert d.shape == (5, 4, 3) and d.ndim == 3 and d.size == 60 and len(d) == 5
            np.testing.assert_array_equal(d[...], values)
            np.testing.assert_array_equal(d[1:4, 2], values[1:4, 2])
            first = dm.world.rank % 5
            np.testing.assert_array_equal(d[first], values[first])
            np.testing.assert_array_equal(d[first:first], values[first:first])
            with pytest.raises(IndexError):
                d[7] if dm.world.rank == 0 else d[0]
            with pytest.raises(IndexError):
                d[::2]


def test_slabs_that_differ_by_rank(in_shared_folder):
    rank, size = dm.world.rank, dm.world.size
    layout = dm.Layout(10)
    with dm.File("c.h5", "w") as f:
        d = f.create_dataset("tod", (3, 10), "f4", chunks=(3, 4), compression="gzip", attrs={"units": "K"})
        own = layout.range
        d[:, own.start : own.stop] = np.arange(10.0)[layout.rows()] + np.arange(3)[:, None]
        e = f.create_dataset("rows", (size, 2), "i8")
        e.write(range(rank, rank + 1), [rank, -rank])
        f.write("once", np.eye(3), compression=5)
        with pytest.raises(TypeError, match="complex"):
            e.write(range(rank, rank + 1), [1j, 0])
    with dm.File("c.h5") as f:
        np.testing.assert_array_equal(f["tod"][:], (np.arange(10) + np.arange(3)[:, None]).astype("f4"))
        np.testing.assert_array_equal(f["rows"][:, 0], np.arange(size))
        np.testing.assert_array_equal(f["once"][:], np.eye(3))
        listed = {found["name"]: found for found in f.objects()}
        assert any("tod" in name for name in listed)


def test_a_failed_block_leaves_no_file(in_shared_folder):
    with pytest.raises(ZeroDivisionError):
        with dm.File("d.h5", "w") as f:
            f["x"] = dm.ones(3)
            1 / 0
    import os

    assert not os.path.exists("d.h5")
    d = None
    with dm.File("e.h5", "w") as f:
        f["x"] = dm.ones(3)
    with dm.File("e.h5") as f:
        d = f["x"]
    with pytest.raises(ValueError, match="closed"):
        d[:]
    with pytest.raises(FileExistsError):
        dm.File("e.h5", "x")
    with pytest.raises(ValueError, match="mode"):
        dm.File("e.h5", "a")
    with pytest.raises(OSError, match="none.h5") as raised:
        dm.File("none.h5")
    assert raised.value.filename == "none.h5"


def test_formats(in_shared_folder):
    dense = sparse(15, 15)
    A, b = matrix_of(dense), spread(numbers(15))
    for name in ("a.mtx", "a.mtx.gz", "a.h5", "a.npz"):
        dm.write_matrix(A, name)
        B = dm.read_matrix(name)
        assert (A - B).norm() == 0, name
        assert dm.describe(name)["shape"] == (15, 15)
    if dm.world.rank == 0:
        np.testing.assert_allclose(scipy.io.mmread("a.mtx").toarray(), dense)
        np.testing.assert_array_equal(scipy.sparse.load_npz("a.npz").toarray(), dense)
    for name in ("b.mtx", "b.npy", "b.h5::b"):
        try:
            dm.write_vector(b, name)
        except dm.FileError as error:
            assert "npy" in name, error
            continue
        np.testing.assert_array_equal(dm.read_vector(name).gather(), b.gather())
    with pytest.raises(ValueError, match="read_matrix"):
        dm.read_vector("a.mtx")
    with pytest.raises(dm.FileError):
        dm.read_matrix("missing.mtx")


def test_own_state_in_checkpoints(in_shared_folder):
    u, z = numbers(31), numbers(7, "c8")
    with dm.CheckpointStore("state") as store:
        assert store.is_empty() and store.load() is None
        for step in range(4):
            store.save({"step": step, "u": spread(u), "z": spread(z), "name": "run", "list": [0.5, 1]}, config="dt=1\nn=2")
        restored = store.load("dt=1\nn=2")
        assert restored["step"] == 3 and restored["name"] == "run" and list(restored["list"]) == [0.5, 1]
        for layout in list(layouts(31))[-1:]:
            np.testing.assert_array_equal(restored.vector("u", layout).gather(), u)
        np.testing.assert_array_equal(restored.vector("z", 7, "c8").gather(), z)
        with pytest.raises(KeyError):
            restored.vector("u", 31)
        with pytest.raises(KeyError):
            restored["nothing"]
        with pytest.raises(dm.FileError, match="n=2"):
            store.load("dt=1\nn=3")
        # It waits three seconds for the other program.
        if dm.world.size <= 2:
            with pytest.raises(dm.FileError):
                dm.CheckpointStore("state")
    import os

    assert len([name for name in os.listdir("state") if name.endswith(".h5")]) == 2
