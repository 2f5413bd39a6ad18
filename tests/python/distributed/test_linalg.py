"""`dolmen.linalg` on the vectors and matrices of all ranks, on any number of them."""

import numpy as np
import pytest
import scipy.sparse

import dolmen as dm
from dolmen import linalg

SQUARE = [linalg.cg, linalg.bicgstab, linalg.minres, linalg.gmres]


def spread(dense, domain=None):
    """Return a dense matrix, which all ranks have, as a distributed one."""
    layout = dm.Layout(dense.shape[0])
    rows = scipy.sparse.csr_matrix(dense[layout.range.start : layout.range.stop])
    return dm.CsrMatrix.from_scipy(rows, layout, domain)


def vector(entries, layout=None):
    """Return a vector of entries, which all ranks have."""
    layout = dm.Layout(len(entries)) if layout is None else layout
    return dm.array(np.asarray(entries)[layout.range.start : layout.range.stop], layout)


def poisson(n, shift=0.0):
    return (2 + shift) * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)


def rectangular(rows, columns):
    return np.random.default_rng(3).standard_normal((rows, columns))


@pytest.mark.parametrize("method", SQUARE, ids=lambda method: method.__name__)
@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "c16"])
def test_square_systems_are_solved(method, dtype):
    dense = poisson(31, 1.0).astype(dtype)
    right = np.arange(1, 32).astype(dtype)
    if np.dtype(dtype).kind == "c":
        dense += np.diag(1j * np.ones(30), 1) - np.diag(1j * np.ones(30), -1)
        right *= 1 - 2j
    rtol = 1e-4 if dtype in ("f4", "c8") else 1e-10
    x, info = method(spread(dense), vector(right), rtol=rtol)
    assert (info, x.dtype) == (0, dtype)
    assert np.linalg.norm(right - dense @ x.gather()) <= 1.01 * rtol * np.linalg.norm(right)


@pytest.mark.parametrize("method", SQUARE, ids=lambda method: method.__name__)
def test_all_ranks_together_find_the_bits_of_one(method):
    dense = poisson(40, 0.1)
    right = np.cos(np.arange(40.0))
    together, info = method(spread(dense), vector(right))
    alone, info_alone = method(scipy.sparse.csr_matrix(dense), right)
    assert info == info_alone == 0
    assert np.array_equal(together.gather(), alone)


def test_each_rank_solves_its_own_plain_system():
    n = 5 + dm.world.rank
    dense = poisson(n)
    for method in SQUARE:
        x, info = method(dense, np.ones(n), rtol=1e-10)
        assert isinstance(x, np.ndarray) and info == 0
        assert np.allclose(dense @ x, 1)
    if dm.world.rank == 0:
        x, info = linalg.cg(scipy.sparse.csr_matrix(dense), np.ones(n))
        assert info == 0 and np.allclose(linalg.spsolve(scipy.sparse.csc_matrix(dense), np.ones(n)), x)


@pytest.mark.parametrize("method", [linalg.lsqr, linalg.lsmr], ids=lambda method: method.__name__)
@pytest.mark.parametrize("shape", [(30, 12), (12, 30), (15, 15)])
@pytest.mark.parametrize("damp", [0.0, 0.7])
def test_least_squares_have_the_dense_answer(method, shape, damp):
    rows, columns = shape
    dense, right = rectangular(rows, columns), np.sin(np.arange(rows))
    domain = dm.Layout(columns)
    guess = vector(np.cos(np.arange(columns)), domain)
    A, b = spread(dense, domain), vector(right)
    limits = {"atol": 1e-12, "btol": 1e-12, "conlim": 0, "iter_lim" if method is linalg.lsqr else "maxiter": 60}
    x, stop, *rest = method(A, b, damp, x0=guess, **limits)
    moved = np.linalg.lstsq(
        np.vstack([dense, damp * np.eye(columns)]),
        np.concatenate([right - dense @ guess.gather(), np.zeros(columns)]),
        rcond=None,
    )[0]
    assert stop in (1, 2, 4, 5)
    assert np.allclose(x.gather(), guess.gather() + moved, atol=1e-8)
    residual = right - dense @ x.gather()
    size = np.hypot(np.linalg.norm(residual), damp * np.linalg.norm(moved))
    gradient = dense.T @ residual - damp**2 * moved
    norms = rest[2:3] + rest[5:6] if method is linalg.lsqr else rest[1:3]
    assert np.allclose(norms, [size, np.linalg.norm(gradient)], atol=1e-10)


def test_lsqr_tells_norms_condition_and_variances():
    dense = rectangular(40, 6)
    A, b = spread(dense, dm.Layout(6)), vector(np.ones(40))
    x, stop, iterations, r1, r2, norm, condition, gradient, size, variances = linalg.lsqr(
        A, b, atol=1e-14, btol=1e-14, calc_var=True, iter_lim=6
    )
    assert np.isclose(norm, np.linalg.norm(dense), rtol=0.2)
    assert 1 <= condition <= 20 * np.linalg.cond(dense)
    assert np.allclose(variances.gather(), np.diag(np.linalg.inv(dense.T @ dense)), rtol=1e-6)
    assert np.isclose(size, np.linalg.norm(x.gather())) and r1 == r2


def test_operators_take_the_distribution_from_the_vector():
    dense = poisson(20, 0.5)
    A = spread(dense)
    b = dm.ones(20)
    by_functions = linalg.LinearOperator((20, 20), matvec=lambda x: A @ x, rmatvec=lambda x: A.H @ x)
    of_dolmen = dm.LinearOperator(A.domain, lambda x: A @ x, lambda x: A.H @ x)
    expected = np.linalg.solve(dense, np.ones(20))
    for operator in (by_functions, of_dolmen, linalg.aslinearoperator(A), 0.5 * (by_functions + by_functions)):
        x, info = linalg.cg(operator, b, rtol=1e-12)
        assert info == 0 and np.allclose(x.gather(), expected)
        assert np.allclose(linalg.lsmr(operator, b, atol=1e-13, btol=1e-13)[0].gather(), expected)
    complex_, info = linalg.gmres(of_dolmen, b * 1j, rtol=1e-12)
    assert info == 0 and np.allclose(complex_.gather(), 1j * expected)


def test_a_rectangular_operator_of_functions_has_an_even_domain():
    dense = rectangular(9, 4)
    A = spread(dense, dm.Layout(4))
    operator = linalg.LinearOperator(dense.shape, matvec=lambda x: A @ x, rmatvec=lambda x: A.H @ x, dtype="f8")
    x = linalg.lsqr(operator, dm.ones(9), atol=1e-13, btol=1e-13)[0]
    assert np.allclose(x.gather(), np.linalg.lstsq(dense, np.ones(9), rcond=None)[0])


def test_preconditioners_approximate_the_inverse():
    dense = np.diag(np.arange(1.0, 61)) + 0.1 * poisson(60)
    A, b = spread(dense), dm.ones(60)
    scale = linalg.LinearOperator(A.shape, matvec=lambda x: x / A.diagonal(), dtype="f8")
    for method in SQUARE:
        counts = []
        for M in (None, dm.Preconditioner(A, "jacobi"), scale):
            seen = []
            more = {"callback_type": "pr_norm"} if method is linalg.gmres else {}
            x, info = method(A, b, M=M, rtol=1e-10, callback=seen.append, **more)
            assert info == 0 and np.allclose(dense @ x.gather(), 1)
            counts.append(len(seen))
        assert counts[1] == counts[2] < counts[0]


def test_callbacks_get_iterates_and_norms():
    A, b = spread(poisson(30)), dm.ones(30)
    residuals = []
    x, info = linalg.cg(A, b, maxiter=5, callback=lambda xk: residuals.append((b - A @ xk).norm()))
    assert (info, len(residuals)) == (5, 5)
    assert residuals[-1] == pytest.approx((b - A @ x).norm())
    norms, restarts = [], []
    both = {"restart": 10, "maxiter": 2, "rtol": 1e-12}
    x, info = linalg.gmres(A, b, callback=norms.append, callback_type="pr_norm", **both)
    _, again = linalg.gmres(A, b, callback=restarts.append, callback_type="x", **both)
    assert (info, again, len(norms), len(restarts)) == (2, 2, 20, 2)
    assert norms[-1] == pytest.approx((b - A @ x).norm() / b.norm())
    assert np.array_equal(restarts[-1].gather(), x.gather())


def test_a_failure_on_one_rank_is_raised_on_all():
    last = dm.world.size - 1

    def matvec(x):
        if dm.world.rank == last:
            raise KeyError("pixel 7")
        return x

    A = linalg.LinearOperator((12, 12), matvec=matvec, rmatvec=matvec, dtype="f8")
    for method in (*SQUARE, linalg.lsqr, linalg.lsmr):
        with pytest.raises(KeyError, match="pixel 7"):
            method(A, dm.ones(12))


def test_a_failing_callback_is_raised_on_all():
    def callback(_):
        if dm.world.rank == 0:
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        linalg.cg(spread(poisson(20)), dm.ones(20), callback=callback)


def test_plain_and_distributed_arguments_do_not_mix():
    A, b = spread(poisson(6)), dm.ones(6)
    for arguments, text in [
        ((A, np.ones(6)), "make b a vector with dolmen.array"),
        ((poisson(6), b), "make A distributed"),
        ((scipy.sparse.csr_matrix(poisson(6)), b), "make A distributed"),
        ((A, b, np.ones(6)), "x0 is ndarray; give a Vector"),
    ]:
        with pytest.raises(TypeError, match=text):
            linalg.cg(*arguments)
    with pytest.raises(TypeError, match="distributed"):
        linalg.cg(A, b, M=np.eye(6))
    with pytest.raises(ValueError, match="b 7 entries; give 6"):
        linalg.cg(A, dm.ones(7))


def test_spsolve_factors_a_distributed_matrix():
    dense = poisson(17, 0.2) + np.diag(np.ones(12), 5)
    A = spread(dense)
    right = np.stack([np.ones(17), np.arange(17.0)], axis=1)
    x = linalg.spsolve(A, vector(right[:, 0]))
    assert np.allclose(x.gather(), np.linalg.solve(dense, right[:, 0]), rtol=1e-13)
    both = linalg.spsolve(A, dm.MultiVector.from_vectors([vector(column) for column in right.T]))
    assert np.allclose(both.gather(), np.linalg.solve(dense, right), rtol=1e-13)
    with pytest.raises(dm.SingularError):
        linalg.spsolve(spread(np.diag([1.0, 0.0, 2.0])), dm.ones(3))


def test_norms_are_those_of_the_dense_matrix():
    dense = rectangular(11, 5)
    A = spread(dense, dm.Layout(5))
    for order in (None, "fro", 1, np.inf):
        assert linalg.norm(A, order) == pytest.approx(np.linalg.norm(dense, order))
    for axis in (0, 1):
        for order in (None, 1, np.inf):
            assert np.allclose(linalg.norm(A, order, axis).gather(), np.linalg.norm(dense, order, axis))
    assert linalg.norm(dm.ones(9)) == 3.0
