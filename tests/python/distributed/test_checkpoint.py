"""What a program saves comes back as it was; a solve resumes with the system that it had."""

import math

import numpy as np
import pytest
from problems import laplace, numbers, spread

import dolmen as dm

first = dm.world.rank == 0
SCALARS = {
    "int": 7,
    "zero": 0,
    "negative": -3,
    "large": -(2**80),
    "float": 0.1,
    "whole": 2.0,
    "infinite": -math.inf,
    "complex": 1.5 - 2j,
    "true": True,
    "false": False,
    "text": "grüße\nzwei",
    "no text": "",
    "digits": "12",
    "none": None,
}
ARRAYS = {
    "reals": np.array([0.1, np.nan, -0.0]),
    "integers": np.arange(-2, 3, dtype="i4"),
    "single": np.array([0.5, 0.25], "f4"),
    "complex": np.array([1j, 2.0]),
    "bools": np.array([True, False]),
    "table": np.arange(6.0).reshape(2, 3),
    "empty": np.zeros((0, 2)),
    "point": np.array(2.5),
}


def test_scalars_come_back_as_they_were(in_shared_folder):
    with dm.CheckpointStore("state") as store:
        store.save(SCALARS)
        restored = store.load()
    for name, value in SCALARS.items():
        assert type(restored[name]) is type(value) and restored[name] == value, name
    with pytest.raises(KeyError, match="missing"):
        restored["missing"]


def test_numbers_of_numpy_come_back_as_pythons(in_shared_folder):
    given = {"i": np.int16(-5), "u": np.uint64(2**64 - 1), "f": np.float32(0.1), "c": np.complex64(1j), "b": np.bool_(True)}
    with dm.CheckpointStore("state") as store:
        store.save(given)
        restored = store.load()
    for name, value in given.items():
        assert type(restored[name]) is type(value.item()) and restored[name] == value, name


def test_arrays_keep_type_and_shape(in_shared_folder):
    with dm.CheckpointStore("state") as store:
        store.save({**ARRAYS, "list": [1, 2.5], "u": spread(numbers(9))})
        restored = store.load()
    for name, value in ARRAYS.items():
        assert restored[name].dtype == value.dtype and restored[name].shape == value.shape, name
        np.testing.assert_array_equal(restored[name], value)
    np.testing.assert_array_equal(restored["list"], [1, 2.5])
    np.testing.assert_array_equal(restored.vector("u", 9).gather(), numbers(9))


def test_values_that_cannot_be_stored(in_shared_folder):
    with dm.CheckpointStore("state") as store:
        for wrong in ({1, 2}, np.array(["a"]), dm.MultiVector(3, 1), object(), {"a": 1}):
            with pytest.raises(TypeError, match="step: expected a vector"):
                store.save({"step": wrong if first else 1})
        with pytest.raises(ValueError, match="int64 numbers that float64 cannot hold"):
            store.save({"step": np.array([2**60 + 1])})
        for name in (3, "dolmen.types"):
            with pytest.raises(TypeError, match="name"):
                store.save({name: 1})
        assert store.is_empty()


def interrupted(A, b, **more):
    """Leave the checkpoint of a solve that stopped at its third iteration."""
    dm.solve(A, b, method="cg", preconditioner="none", checkpoint="ck", max_iterations=3, **more)


def resumed(A, b, **more):
    return dm.solve(A, b, method="cg", preconditioner="none", checkpoint="ck", resume=True, **more)


def test_a_solve_resumes_only_with_its_own_system(in_shared_folder):
    n = 40
    A, b = laplace(n), spread(numbers(n))
    interrupted(A, b)
    reverse = spread(numbers(n)[::-1])
    permuted = dm.CsrMatrix.from_diagonals([-1.0, spread(2.0 + 1e-9 * np.arange(n)), -1.0], [-1, 0, 1], A.range)
    for wrong_A, wrong_b, text in [
        (laplace(n, shift=1e-12), b, r'it had "A: \|A\| = .*", now there is "A: \|A\| = '),
        (permuted, b, r'it had "A: '),
        (A, 2 * b, r'it had "b: \|b\| = .*", now there is "b: \|b\| = '),
        (A, reverse, r'it had "b: '),
    ]:
        with pytest.raises(dm.FileError, match=text) as raised:
            resumed(wrong_A, wrong_b)
        assert "\n" not in str(raised.value)
    for more, text in [({"rtol": 1e-3}, "rtol"), ({"norm": "natural"}, "norm"), ({"config": "other"}, "config")]:
        with pytest.raises(dm.FileError, match=f'it had "{text}: '):
            resumed(A, b, **more)
    with pytest.raises(dm.FileError, match="give resume=True, or choose another folder"):
        interrupted(A, b)
    x, report = resumed(A, b)
    whole, undisturbed = dm.solve(A, b, method="cg", preconditioner="none")
    assert report.converged and report.iterations == undisturbed.iterations
    np.testing.assert_array_equal(x.gather(), whole.gather())


def test_a_layout_does_not_change_what_is_compared(in_shared_folder):
    A, b = laplace(30), spread(numbers(30))
    interrupted(A, b)
    layout = dm.Layout.from_local(30 if dm.world.rank == dm.world.size - 1 else 0)
    x, report = resumed(laplace(30, layout), spread(numbers(30), layout))
    assert report.converged
    np.testing.assert_array_equal(x.gather(), dm.solve(A, b, method="cg", preconditioner="none")[0].gather())


def test_functions_are_compared_by_their_name(in_shared_folder):
    A, b = laplace(20), spread(numbers(20))
    calls = []
    operator = dm.LinearOperator(A.domain, lambda x: (calls.append(1), A @ x)[1])
    interrupted(operator, b, config="laplace")
    products = len(calls)
    with pytest.raises(dm.FileError, match="config"):
        resumed(operator, b, config="wave")
    assert len(calls) == products
    assert resumed(operator, b, config="laplace")[1].converged
