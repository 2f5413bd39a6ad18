"""Arguments of `dolmen.linalg` that cannot be solved with: SciPy's kinds of errors, which name the argument."""

import numpy as np
import pytest
import scipy.sparse

import dolmen as dm
from dolmen import linalg

SQUARE = [linalg.cg, linalg.bicgstab, linalg.minres, linalg.gmres]
LEAST = [linalg.lsqr, linalg.lsmr]
N = 7


def dense():
    return 2.5 * np.eye(N) - np.eye(N, k=1) - np.eye(N, k=-1)


def distributed(array):
    """A vector, or a matrix, of an array that all ranks have."""
    layout = dm.Layout(len(array))
    mine = array[layout.range.start : layout.range.stop]
    return dm.array(mine, layout) if array.ndim == 1 else dm.CsrMatrix.from_scipy(scipy.sparse.csr_matrix(mine), layout)


def plain(array):
    return scipy.sparse.csr_matrix(array) if array.ndim == 2 else array


@pytest.fixture(params=[plain, distributed], ids=lambda make: make.__name__)
def make(request):
    return request.param


@pytest.fixture(params=[*SQUARE, *LEAST], ids=lambda method: method.__name__)
def method(request):
    return request.param


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_entries_that_are_not_finite_are_named(make, method, value):
    A, b = dense(), np.ones(N)
    bad = b.copy()
    bad[[4, 5]] = value
    askew = A.copy()
    askew[3, 2] = askew[5, 5] = value
    with pytest.raises(ValueError, match=rf"^b\[4\] is {value}; give finite numbers$"):
        method(make(A), make(bad))
    with pytest.raises(ValueError, match=rf"^x0\[4\] is {value}; "):
        method(make(A), make(b), x0=make(bad))
    with pytest.raises(ValueError, match=rf"^A\[3, 2\] is {value}; "):
        method(make(askew), make(b))


def test_products_that_are_not_finite_are_named(make, method):
    b = make(np.ones(N))
    broken = linalg.LinearOperator((N, N), matvec=lambda x: x * np.nan, rmatvec=lambda x: x * np.nan, dtype="f8")
    with pytest.raises(ValueError, match=r"^\(A @ ones\)\[0\] is nan; "):
        method(broken, b)
    if method in SQUARE:
        with pytest.raises(ValueError, match=r"^\(M @ ones\)\[0\] is nan; "):
            method(make(dense()), b, M=broken)


def test_the_right_hand_side_of_spsolve_is_finite(make):
    with pytest.raises(ValueError, match=r"^b\[6\] is nan"):
        linalg.spsolve(make(dense()), make(np.array([1.0] * 6 + [np.nan])))


def test_norms_beyond_the_largest_number_are_no_mistake_of_an_entry(make):
    with pytest.raises(OverflowError, match="scale A and b"):
        linalg.lsqr(make(1e300 * dense()), make(np.full(N, 1e-5)), x0=make(np.full(N, 1e10)))


def test_shapes_that_do_not_fit(make, method):
    A, b = make(dense()), make(np.ones(N))
    with pytest.raises(ValueError, match="x0"):
        method(A, b, x0=make(np.ones(N + 1)))
    with pytest.raises(ValueError, match=r"b \(?8"):
        method(A, make(np.ones(N + 1)))
    if method in SQUARE:
        with pytest.raises(ValueError, match="the preconditioner"):
            method(A, b, M=make(np.eye(N - 1)))


def test_settings_of_the_wrong_kind(make, method):
    A, b = make(dense()), make(np.ones(N))
    limit = "iter_lim" if method is linalg.lsqr else "maxiter"
    tolerance = "atol" if method in LEAST else "rtol"
    with pytest.raises((TypeError, ValueError), match=f"{tolerance}='tight'"):
        method(A, b, **{tolerance: "tight"})
    for wrong in (
        {"tolerance": 1e-3},
        {limit: 2.5},
        {limit: "3"},
        {"damp": "x"} if method in LEAST else {"M": "jacobi"},
    ):
        with pytest.raises(TypeError):
            method(A, b, **wrong)
    for wrong in ({tolerance: -1}, {tolerance: np.nan}, {"damp": np.nan} if method in LEAST else {"x0": "Ab"}):
        with pytest.raises(ValueError):
            method(A, b, **wrong)
    with pytest.raises(TypeError):
        method(dense().tolist(), b)
