import ctypes

import numpy as np
import pytest
from problems import DTYPES, laplace, numbers, spread

import dolmen as dm


@pytest.mark.parametrize("dtype", DTYPES)
def test_functions_as_operators(dtype):
    u = numbers(11, dtype)
    x = spread(u)
    by_vector = dm.LinearOperator(x.layout, lambda v: v * 2, lambda v: v * 2, dtype=dtype)
    by_array = dm.LinearOperator(x.layout, lambda v: v.local * 2, dtype=dtype)

    def mult(x, y):
        y.local[:] = 2 * x.local

    by_mult = dm.LinearOperator(x.layout, mult=mult, dtype=dtype)
    for A in (by_vector, by_array, by_mult, by_vector.H):
        np.testing.assert_array_equal((A @ x).gather(), 2 * u)
    with pytest.raises(Exception, match="rmatvec"):
        by_array.H @ x


def test_algebra_of_operators():
    A = laplace(9)
    D = dm.LinearOperator.diagonal_of(spread(numbers(9)))
    I = dm.LinearOperator.identity(A.domain)
    u = numbers(9, seed=4)
    x = spread(u)
    dense, d = np.stack([(A @ spread(e)).gather() for e in np.eye(9)], axis=1), np.diag(numbers(9))
    for ours, theirs in [
        (D @ A, d @ dense),
        (D + A, d + dense),
        (D - I, d - np.eye(9)),
        (3 * D, 3 * d),
        (-(A @ D).H, -(dense @ d).T),
    ]:
        np.testing.assert_allclose((ours @ x).gather(), theirs @ u, rtol=1e-12, atol=1e-12)


def test_objects_with_the_methods_of_scipy_and_petsc4py():
    A = laplace(12)

    class Scipy:
        shape, dtype = (12, 12), np.dtype("f8")

        def matvec(self, x):
            return A @ x

    class Petsc:
        def mult(self, x, y):
            A.apply(x, y)

    b = dm.ones(12)
    for operator in (Scipy(), Petsc(), A.matvec):
        x, report = dm.solve(operator, b, method="cg")
        assert report.converged and dm.norm(A @ x - b) < 1e-6


def test_an_exception_comes_back_on_all_ranks():
    last = dm.world.size - 1

    class Odd(Exception):
        pass

    def fails(x):
        if dm.world.rank == last:
            raise KeyError("not here")
        return x

    A = dm.LinearOperator(5, fails)
    for call in (lambda: A @ dm.ones(5), lambda: dm.solve(A, dm.ones(5), method="gmres")):
        with pytest.raises(KeyError, match="not here") as raised:
            call()
        assert raised.value.rank == last
    wrong = dm.LinearOperator(5, lambda x: np.zeros(77))
    with pytest.raises(ValueError, match="shape"):
        wrong @ dm.ones(5)
    # The next call is not disturbed.
    assert (dm.LinearOperator(5, lambda x: x) @ dm.ones(5)).sum() == 5

    def odd(x):
        raise Odd("cannot be pickled")

    with pytest.raises((Odd, RuntimeError), match="cannot be pickled"):
        dm.LinearOperator(5, odd) @ dm.ones(5)


def test_c_functions():
    kind = ctypes.CFUNCTYPE(
        ctypes.c_int, ctypes.c_int64, ctypes.POINTER(ctypes.c_double), ctypes.c_int64, ctypes.POINTER(ctypes.c_double),
        ctypes.c_void_p,
    )

    def times_three(nx, x, ny, y, data):
        for i in range(nx):
            y[i] = 3 * x[i]
        return 0 if nx < 100 else 1

    function = kind(times_three)
    address = ctypes.cast(function, ctypes.c_void_p).value
    A = dm.LinearOperator.from_cfunc(8, address)
    assert (A @ dm.ones(8)).sum() == 24
    big = dm.LinearOperator.from_cfunc(100 * dm.world.size, address)
    with pytest.raises(dm.Error, match="returned 1"):
        big @ dm.ones(100 * dm.world.size)
    with pytest.raises(ValueError):
        dm.LinearOperator.from_cfunc(8, 0)


def test_arrays_that_a_function_keeps_stay():
    kept = []

    def keeps(x):
        kept.append(x.local)
        return x

    A = dm.LinearOperator(6, keeps)
    for _ in range(3):
        A @ dm.ones(6)
    del A
    assert all((array == 1).all() for array in kept)
