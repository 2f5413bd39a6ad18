"""`dolmen.linalg` on plain arguments, against dense answers and SciPy."""

import warnings

import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg as theirs

import dolmen as dm
from dolmen import linalg

SQUARE = [linalg.cg, linalg.bicgstab, linalg.minres, linalg.gmres]
KINDS = {
    "csr": scipy.sparse.csr_matrix,
    "coo": scipy.sparse.coo_matrix,
    "dense": np.asarray,
    "operator": theirs.aslinearoperator,
    "ours": linalg.aslinearoperator,
}


def poisson(n, shift=0.0):
    return (2 + shift) * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)


@pytest.mark.parametrize("method", SQUARE, ids=lambda method: method.__name__)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(20,), (20, 1)])
def test_every_kind_of_matrix_is_taken(method, kind, shape):
    right = np.arange(20).reshape(shape)
    guess = np.ones(shape)
    x, info = method(KINDS[kind](poisson(20)), right, x0=guess, rtol=1e-9)
    assert (info, x.shape, x.dtype, type(x)) == (0, (20,), np.float64, np.ndarray)
    assert np.array_equal(guess, np.ones(shape))
    assert np.linalg.norm(poisson(20) @ x - np.arange(20)) <= 1e-9 * np.linalg.norm(right)


@pytest.mark.parametrize("types", [("f4", "f4"), ("f4", "f8"), ("i8", "i4"), ("f8", "c8"), ("c16", "f4"), ("i2", "c8")])
def test_dtypes_are_those_of_scipy(types):
    matrix, right = poisson(8).astype(types[0]), np.ones(8, types[1])
    for form in (np.asarray, scipy.sparse.csr_matrix):
        ours, info = linalg.bicgstab(form(matrix), right)
        assert info == 0 and ours.dtype == theirs.bicgstab(form(matrix), right)[0].dtype


@pytest.mark.parametrize("name", ["cg", "bicgstab", "minres", "gmres"])
def test_iterates_are_those_of_scipy(name):
    matrix = poisson(25, 0.4)
    right = np.cos(np.arange(25.0))
    more = {"callback_type": "x", "restart": 3} if name == "gmres" else {}
    traces = [], []
    for trace, module in zip(traces, (linalg, theirs)):
        getattr(module, name)(matrix, right, maxiter=4, callback=lambda xk, to=trace: to.append(xk.copy()), **more)
    # Before version 1.14 SciPy's gmres begins with the guess.
    assert len(traces[0]) == 4 and all(type(xk) is np.ndarray for xk in traces[0])
    assert np.allclose(traces[0], traces[1][-4:], rtol=1e-10)


@pytest.mark.parametrize("name", ["lsqr", "lsmr"])
@pytest.mark.parametrize("damp", [0.0, 0.3])
@pytest.mark.parametrize("limit", [1, 4, None])
def test_least_squares_return_what_scipy_returns(name, damp, limit):
    matrix = np.random.default_rng(1).standard_normal((30, 10))
    right = np.arange(30.0)
    more = {"iter_lim" if name == "lsqr" else "maxiter": limit}
    ours = getattr(linalg, name)(matrix, right, damp, **more)
    expected = getattr(theirs, name)(matrix, right, damp, **more)
    assert len(ours) == len(expected) and ours[1:3] == expected[1:3]
    assert np.allclose(ours[0], expected[0])
    # Norms: close, for ours are computed and SciPy's estimated.
    tiny = 1e-5 * np.linalg.norm(matrix) * np.linalg.norm(right)
    assert np.allclose(ours[3:9], expected[3:9], rtol=1e-3, atol=tiny if limit is None else 1e-9)


def test_lsqr_variances_are_those_of_scipy():
    matrix = np.random.default_rng(1).standard_normal((30, 10)) + 1j
    ours = linalg.lsqr(matrix, np.ones(30), calc_var=True, iter_lim=3)
    assert ours[0].dtype == np.complex128 and ours[9].dtype == np.float64
    real = linalg.lsqr(matrix.real, np.ones(30), calc_var=True, iter_lim=3)[9]
    assert np.allclose(real, theirs.lsqr(matrix.real, np.ones(30), calc_var=True, iter_lim=3)[9])


def test_least_squares_stop_for_each_reason():
    matrix = np.diag([1.0, 2.0, 3.0])
    for method in (linalg.lsqr, linalg.lsmr):
        assert method(matrix, np.zeros(3))[1] == 0
        assert method(matrix, np.ones(3), x0=1 / np.array([1.0, 2.0, 3.0]))[1] == 0
        assert method(matrix, np.ones(3))[1] == 1
        assert method(np.vstack([matrix, matrix]), np.arange(6.0))[1] == 2
        assert method(matrix, np.ones(3), 1.0)[1] == 2
        assert method(matrix, np.ones(3), 0, 1e-6, 1e-6, 1e8, 0)[1:3] == (7, 0)
        assert method(poisson(50), np.ones(50), conlim=5)[1] == 3
        assert method(poisson(50), np.ones(50), 0, 1e-6, 1e-6, 1e8, 3)[1:3] == (7, 3)
        with pytest.raises(ValueError, match="atol=-1"):
            method(matrix, np.ones(3), atol=-1)


@pytest.mark.parametrize("name, limit", [("lsqr", "iter_lim"), ("lsmr", "maxiter")])
def test_a_tolerance_below_rounding_is_not_said_to_be_met(name, limit):
    # Rounding in x0 is larger than the tolerance, whatever the recurrence says.
    settings = {"x0": np.full(3, 1e12), "atol": 1e-12, "btol": 1e-12, "conlim": 0, limit: 100}
    matrix = np.diag([1.0, 2.0, 3.0])
    stops = []
    for A, right in [(matrix, np.ones(3)), (np.vstack([matrix, matrix]), np.arange(6.0))]:
        x, stop, iterations = getattr(linalg, name)(A, right, **settings)[:3]
        stops.append(stop)
        assert iterations < 100
    assert stops == [4, 5]


def test_a_complex_guess_makes_least_squares_complex():
    guess = np.array([1j, 0, 0])
    for method in (linalg.lsqr, linalg.lsmr):
        x = method(np.ones((1, 3)), np.array([3.0]), x0=guess)[0]
        assert np.allclose(x, guess + (3 - 1j) / 3)


def test_info_is_zero_only_if_the_true_residual_is_small():
    # SciPy's minres takes the least-squares solution of a singular system for one.
    singular = np.diag([1.0, 2.0, 0.0])
    x, info = linalg.minres(singular, np.ones(3))
    assert info > 0 and np.allclose(singular @ x, [1, 1, 0])
    # SciPy's cg does not look at the residual of its last iteration.
    x, info = linalg.cg(np.diag([1.0, 2.0]), np.ones(2), maxiter=2)
    assert info == 0 and np.allclose(x, [1, 0.5])
    x, info = linalg.gmres(poisson(30), np.ones(30), restart=4, maxiter=3)
    assert info == 3


def test_bicgstab_tells_a_breakdown():
    # The first product is orthogonal to the residual, again after each start.
    x, info = linalg.bicgstab(np.array([[0.0, 1.0], [-1.0, 0.0]]), np.array([1.0, 0.0]))
    assert info == -10


def test_a_tolerance_that_the_guess_meets_needs_no_iteration():
    guess = np.full(9, 7.0)
    for method in SQUARE:
        for more in ({"rtol": np.inf}, {"rtol": 1e3}):
            x, info = method(poisson(9), np.ones(9), guess, **more)
            assert info == 0 and np.array_equal(x, guess) and x is not guess
        x, info = method(poisson(9), np.zeros(9), guess)
        assert info == 0 and not x.any()
        assert method(poisson(9), np.ones(9), "Mb", M=np.linalg.inv(poisson(9)), maxiter=1)[1] == 0


@pytest.mark.parametrize("method", SQUARE, ids=lambda method: method.__name__)
def test_wrong_arguments_are_refused(method):
    square, right = poisson(4), np.ones(4)
    wrong = [
        ((np.ones((3, 4)), right), {}, "3 x 4"),
        ((square, np.ones(5)), {}, r"b \(5,\)"),
        ((square, np.ones((4, 2))), {}, r"b \(4, 2\)"),
        ((square, right, np.ones(3)), {}, r"x0 \(3,\)"),
        ((square, right, "Ax"), {}, "x0='Ax'"),
        ((square, right, np.ones(4) * 1j), {}, "x0 is complex"),
        ((square, right), {"M": np.eye(3)}, r"preconditioner \(3, 3\)"),
        ((square, right), {"rtol": -1.0}, "rtol=-1.0"),
        ((square, right), {"rtol": np.nan}, "rtol=nan"),
    ]
    for arguments, more, text in wrong:
        with pytest.raises(ValueError, match=text):
            method(*arguments, **more)
    for A in (lambda x: x, [[1.0]], None):
        with pytest.raises(TypeError, match="give a matrix"):
            method(A, right)
    with pytest.raises(TypeError):
        method(square, right, None, 1e-5)
    with pytest.raises(NotImplementedError, match="rmatvec"):
        linalg.lsqr(linalg.LinearOperator((4, 4), lambda x: x), right)


def test_minres_shifts_checks_and_shows(capsys):
    x, info = linalg.minres(poisson(12), np.ones(12), shift=0.5, rtol=1e-10, show=True)
    assert info == 0 and np.allclose(poisson(12, -0.5) @ x, 1)
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith("minres      0  |b - A x| = 3.464e+00, to be at most 3.464e-10")
    askew = poisson(12)
    askew[0, 5] = 1
    with pytest.raises(ValueError, match="A is not Hermitian"):
        linalg.minres(askew, np.ones(12), check=True)
    with pytest.raises(ValueError, match="M is not Hermitian"):
        linalg.minres(poisson(12), np.ones(12), M=askew, check=True)
    with pytest.raises(ValueError, match="M is not Hermitian positive definite"):
        linalg.minres(poisson(12), np.ones(12), M=-np.eye(12))
    linalg.lsmr(poisson(4), np.ones(4), show=True)
    assert "computed afresh: A x = b is solved" in capsys.readouterr().out


def test_gmres_asks_for_the_type_of_a_callback():
    with pytest.warns(DeprecationWarning, match="called without specifying `callback_type`"):
        _, info = linalg.gmres(poisson(9), np.ones(9), maxiter=2, callback=lambda norm: None)
    assert info == 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        linalg.gmres(poisson(9), np.ones(9))
    iterates = []
    x, info = linalg.gmres(poisson(9), np.ones(9), restart=9, callback=iterates.append, callback_type="x")
    assert info == 0 and len(iterates) == 1 and np.array_equal(iterates[0], x) and iterates[0] is not x
    with pytest.raises(ValueError, match="callback_type='y'"):
        linalg.gmres(poisson(9), np.ones(9), callback=print, callback_type="y")


@pytest.mark.parametrize("dtype", ["f4", "f8", "c16"])
def test_spsolve_takes_vectors_columns_and_sparse_right_hand_sides(dtype):
    dense = (poisson(10) + np.eye(10, k=4)).astype(dtype)
    sparse = scipy.sparse.csc_matrix(dense)
    right = np.random.default_rng(2).standard_normal((10, 3))
    accuracy = 1e-5 if dtype == "f4" else 1e-12
    for b in (right[:, 0], right[:, :1], right):
        ours = linalg.spsolve(sparse, b.astype(dtype))
        expected = theirs.spsolve(sparse, b.astype(dtype))
        assert ours.shape == expected.shape and ours.dtype == expected.dtype
        assert np.allclose(ours, expected, rtol=accuracy, atol=accuracy)
    many = linalg.spsolve(sparse, scipy.sparse.csc_matrix(right))
    assert scipy.sparse.issparse(many)
    assert np.allclose(many.toarray(), np.linalg.solve(dense, right), rtol=accuracy, atol=accuracy)
    with pytest.raises(dm.SingularError):
        linalg.spsolve(scipy.sparse.csr_matrix(np.diag([1.0, 0.0])), np.ones(2))
    with pytest.raises(ValueError, match="permc_spec='RCM'"):
        linalg.spsolve(sparse, right[:, 0], permc_spec="RCM")


def test_spsolve_refines_its_solution():
    rng = np.random.default_rng(0)
    dense, right = rng.standard_normal((200, 200)), rng.standard_normal(200)
    x = linalg.spsolve(scipy.sparse.csr_matrix(dense), right)
    # The backward error, entry by entry; it is three times as large without refinement.
    assert np.max(abs(right - dense @ x) / (abs(dense) @ abs(x) + abs(right))) <= 2.3e-16


def test_norm_of_a_sparse_matrix_is_scipys():
    sparse = scipy.sparse.csr_matrix(poisson(5))
    for arguments in [(), (1,), ("fro",), (np.inf,), (None, 0), (1, 1)]:
        assert np.array_equal(linalg.norm(sparse, *arguments), theirs.norm(sparse, *arguments))


def test_operators_have_the_algebra_of_scipys():
    rng = np.random.default_rng(4)
    one, two = (rng.standard_normal((4, 4)) + 1j * rng.standard_normal((4, 4)) for _ in range(2))
    x, table = rng.standard_normal(4), rng.standard_normal((4, 3))
    made = {}
    for module in (linalg, theirs):
        A, B = module.aslinearoperator(one), module.aslinearoperator(two)
        made[module] = [A, A + B, A - B, A * B, A @ B, 2j * A, A * 3, -A, A.H, A.T, (2j * A).H, (A * B).H, A**3, A**0]
    for ours, expected in zip(made[linalg], made[theirs]):
        assert ours.shape == expected.shape
        assert np.allclose(ours @ x, expected @ x) and np.allclose(ours(x[:, None]), expected @ x[:, None])
        assert np.allclose(ours @ table, expected @ table)
    assert np.allclose((linalg.aslinearoperator(one) + two) @ x, (one + two) @ x)
    for ours, expected in zip(made[linalg][:3], made[theirs]):
        assert np.allclose(ours.rmatvec(x), expected.rmatvec(x))
        assert np.allclose(ours.rmatmat(table), expected.rmatmat(table))
        assert np.allclose((ours / 2) @ x, expected @ x / 2)


def test_scipy_takes_our_operator_and_ours_a_subclass():
    class Scaling(linalg.LinearOperator):
        def __init__(self, factor):
            self.factor = factor
            super().__init__(np.float64, (6, 6))

        def _matvec(self, x):
            return self.factor * x

        _rmatvec = _matvec

    ours = Scaling(4.0)
    assert ours.dtype == np.float64 and repr(ours) == "LinearOperator(6 x 6, float64)"
    assert np.array_equal(theirs.aslinearoperator(ours).matvec(np.ones(6)), np.full(6, 4.0))
    assert np.allclose(linalg.lsmr(ours, np.ones(6))[0], 0.25)
    assert np.array_equal(ours.matmat(np.ones((6, 2))), np.full((6, 2), 4.0))
    with pytest.raises(TypeError, match="function matvec"):
        linalg.LinearOperator((3, 3))
    with pytest.raises(ValueError, match=r"array of shape \(5,\)"):
        ours @ np.ones(5)
