"""Mistakes get one error on all ranks, and nothing is lost without a word."""

import copy

import numpy as np
import pytest
from problems import laplace, spread

import dolmen as dm

first = dm.world.rank == 0
several = pytest.mark.skipif(dm.world.size == 1, reason="needs ranks that can disagree")


def test_sums_of_integers_are_exact_and_kinds_are_agreed_on():
    size = dm.world.size
    assert dm.world.sum(2**61) == size * 2**61 and dm.world.sum(-3) == -3 * size
    assert dm.world.max(0 if first else 1.5) == (0 if size == 1 else 1.5)
    assert dm.world.sum(np.int64(4)) == 4 * size and isinstance(dm.world.sum(np.int64(4)), int)
    assert np.isnan(dm.world.max(float("nan") if first else 1.0))
    with pytest.raises(TypeError):
        dm.world.sum("a" if first else 1)
    with pytest.raises(OverflowError):
        dm.world.sum(2**63 if first else 1)


def test_sizes_are_whole_numbers_on_all_ranks():
    for wrong in (-1, 2.5, "3", None):
        with pytest.raises((ValueError, TypeError)):
            dm.Layout(wrong if first else 3)
        with pytest.raises((ValueError, TypeError)):
            dm.Layout.from_local(wrong if first else 3)
    with pytest.raises(ValueError):
        dm.world.split(-1 if first else 0)


def test_diagonals_fit_their_rows():
    layout = dm.Layout(6)
    stacked = dm.Vector(dm.Layout.stacked([dm.Layout(3), dm.Layout(3)]))
    with pytest.raises(dm.LayoutError):
        dm.CsrMatrix.from_diagonals([stacked], [0], layout)
    with pytest.raises(ValueError):
        dm.CsrMatrix.from_diagonals([], [], layout)
    with pytest.raises(ValueError):
        dm.CsrMatrix.from_diagonals([1, 2], [0] if first else [0, 1], layout)
    assert dm.CsrMatrix.from_diagonals([1j], [0], layout).dtype == np.complex128
    assert dm.CsrMatrix.from_diagonals([1], [0], layout).dtype == np.float64


def test_imaginary_parts_are_not_dropped():
    with pytest.raises(TypeError, match="c16"):
        dm.LinearOperator(3, lambda x: x * 1j) @ dm.ones(3)
    with pytest.raises(TypeError, match="c16"):
        dm.LinearOperator(3, lambda x: x.local * 1j) @ dm.ones(3)
    A = laplace(5)
    with pytest.raises(TypeError, match="complex"):
        dm.solve(A, dm.ones(5), dm.ones(5, "c16"))
    with pytest.raises(TypeError, match="x0"):
        dm.solve(A, dm.ones(5), np.ones(5) if first else dm.ones(5))
    with pytest.raises(TypeError, match="complex"):
        dm.MultiVector(5, 2) @ np.array([[1j], [0]])


def test_vectors_are_not_compared_or_true():
    x = dm.ones(3)
    for wrong in (lambda: x == x, lambda: bool(x), lambda: x in [dm.zeros(3)]):
        with pytest.raises(TypeError):
            wrong()
    assert len({x, x}) == 1


def test_copies_fit_their_originals():
    A, x = laplace(5), dm.ones(5)
    y = copy.deepcopy(x)
    y.fill(2)
    assert x.sum() == 5 and (copy.deepcopy(A) @ copy.copy(x)).size == 5
    X = dm.MultiVector(5, 2)
    Y = copy.copy(X)
    Y.fill(1)
    assert X.norms().sum() == 0 and copy.deepcopy(x.layout) == x.layout
    x.copy_from(x)
    x[0:5] = x
    assert x.sum() == 5


def test_multi_vectors_are_no_sequences_of_numpy():
    X = dm.MultiVector(10, 2)
    if dm.world.size == 1:
        assert np.asarray(X).shape == (10, 2)
    for wrong in (lambda: np.exp(X), lambda: X @ X, lambda: X @ np.ones(2), lambda: X @ np.ones((3, 1))):
        with pytest.raises((TypeError, ValueError)):
            wrong()


def test_arguments_of_numpy_that_have_no_meaning():
    x = dm.ones(4)
    for wrong in (lambda: np.add(x, 1, where=False), lambda: np.add.reduce(x, axis=1), lambda: np.add(x, 1, out=np.ones(4))):
        with pytest.raises(TypeError):
            wrong()
    assert np.add.reduce(x, axis=0) == 4
    with pytest.raises(TypeError, match="dolmen.array"):
        x.dot(np.ones(4))


def test_array_takes_the_widest_type():
    x = dm.array(np.ones(2, "f8") if first else np.ones(2, "c8"))
    assert x.dtype == (np.float64 if dm.world.size == 1 else np.complex128)


def test_settings_that_would_be_ignored():
    A, b = laplace(5), dm.ones(5)
    for wrong in (dict(resume="yes"), dict(resume=1), dict(snapshot_every=3), dict(rtol=None), dict(checkpoint="x", every="1.2.3s")):
        with pytest.raises((TypeError, ValueError)):
            dm.solve(A, b, **wrong)
    with pytest.raises(ValueError, match="checkpoint"):
        dm.mapmaker.run({"map": {"nside": 8}}, resume=True)


def test_files_say_what_is_wrong(in_shared_folder):
    x = dm.ones(4)
    with dm.File("a.h5", "w") as f:
        f["g/x"] = x
        f.attrs["title"] = "run"
        for wrong in ("g/x", "", "g", "g/x/y"):
            with pytest.raises(ValueError):
                f[wrong] = x
        with pytest.raises(TypeError, match="attribute"):
            f["one"] = 1.0
        with pytest.raises(TypeError, match="chunks"):
            f.create_dataset("c", 4, chunks=True)
        with pytest.raises((TypeError, ValueError)):
            f.create_dataset("c", (2.5,))
        d = f.create_dataset("bytes", np.int64(4), "u1")
        own = dm.Layout(4).range
        for wrong in ([300] * len(own), [1.5] * len(own), [np.nan] * len(own)):
            with pytest.raises(ValueError, match="does not fit into uint8"):
                d.write(own, wrong if len(own) else [])
            if not len(own):
                break
        d.write(own, [7.0] * len(own))
        f.write("A", laplace(20), compression="gzip")
    with dm.File("a.h5") as f:
        assert f.attrs["title"] == "run" and (f["bytes"][:] == 7).all()
        assert (f["A"].read() - laplace(20)).norm() == 0
        with pytest.raises(ValueError, match="reading"):
            f["y"] = x


@several
def test_what_all_ranks_have_alike_is_compared(in_shared_folder):
    rank, x = dm.world.rank, dm.ones(3)
    with dm.File("b.h5", "w") as f:
        for wrong in (
            lambda: f.write("a", np.arange(3) * (rank + 1)),
            lambda: f.write("a", np.arange(3 + rank)),
            lambda: f.write("a" if first else "b", x),
            lambda: f.create_dataset("a", (3 + rank,)),
        ):
            with pytest.raises(dm.RanksDisagreeError):
                wrong()
    with dm.CheckpointStore("state") as store:
        for wrong in ({"a": rank}, {"a": np.arange(2.0) + rank}, {"a": 1, "x": x} if first else {"a": 1}):
            with pytest.raises(dm.RanksDisagreeError):
                store.save(wrong)
    with pytest.raises(dm.RanksDisagreeError):
        dm.mapmaker.run({"map": {"nside": 8 if first else 16}}, tod="none.h5", folder="x")


def test_a_store_keeps_a_checkpoint(in_shared_folder):
    with pytest.raises(ValueError):
        dm.CheckpointStore("other", keep=0)


def test_dictionaries_for_the_map_maker():
    for wrong in ({"map": 5}, {"map": {"nside": 8, "rcond_min": float("nan")}}, {"map": {"nside": None}}):
        with pytest.raises((TypeError, ValueError)):
            dm.mapmaker.run(wrong, folder="x")
    with pytest.raises(dm.Error, match="7"):
        dm.mapmaker.run({"map": {"nside": np.int64(7)}}, folder="x")


def test_what_does_not_fit_into_memory():
    with pytest.raises(MemoryError, match="memory"):
        dm.Vector(dm.Layout(2**62, dm.self_))
    with pytest.raises(MemoryError, match="memory"):
        dm.MultiVector(dm.Layout(10, dm.self_), 2**60)


def test_a_result_is_not_looked_at_while_it_is_written():
    y = dm.zeros(4)
    looks = dm.LinearOperator(4, lambda x: (y.local[0], x)[1])
    with pytest.raises(RuntimeError, match="given"):
        looks.apply(dm.ones(4), y)
    assert (looks @ dm.ones(4)).sum() == 4


def test_addresses_of_functions():
    with pytest.raises(TypeError):
        dm.LinearOperator.from_cfunc(3, True)


def test_spread_is_what_the_other_tests_think():
    np.testing.assert_array_equal(spread(np.arange(5.0)).gather(), np.arange(5.0))
