"""Eigenvalues by `dolmen.linalg` for arrays and matrices of this process, beside SciPy's."""

import warnings

import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg as theirs

from dolmen import SingularError, linalg

SIZE = 60


def line(n=SIZE):
    return scipy.sparse.diags([-np.ones(n - 1), 2 * np.ones(n), -np.ones(n - 1)], [-1, 0, 1], format="csr")


def random(rows, columns, dtype="f8"):
    draw = np.random.default_rng(4)
    dense = draw.standard_normal((rows, columns))
    if np.dtype(dtype).kind == "c":
        dense = dense + 1j * draw.standard_normal((rows, columns))
    return dense.astype(dtype)


@pytest.mark.parametrize("which", ["LM", "SM", "LA", "SA"])
@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "c16"])
def test_eigsh_returns_values_in_ascending_order(which, dtype):
    dense = random(SIZE, SIZE, dtype)
    dense = dense + dense.conj().T
    values = np.linalg.eigvalsh(dense.astype(np.result_type(dtype, "f8")))
    key = {"LM": -abs(values), "SM": abs(values), "LA": -values, "SA": values}[which]
    expected = values[np.argsort(key)[:4]]
    single = dtype in ("f4", "c8")
    for A in (dense, scipy.sparse.csr_matrix(dense), theirs.aslinearoperator(dense)):
        if which == "SM" and not isinstance(A, (np.ndarray, scipy.sparse.csr_matrix)):
            continue
        w, v = linalg.eigsh(A, 4, which=which)
        assert w.dtype == np.zeros(0, dtype).real.dtype and v.dtype == dtype and v.shape == (SIZE, 4)
        np.testing.assert_allclose(w, np.sort(expected), rtol=1e-4 if single else 1e-11)
        np.testing.assert_allclose(dense @ v, w * v, atol=1e-3 if single else 1e-11)
        np.testing.assert_array_equal(linalg.eigsh(A, 4, which=which, return_eigenvectors=False), w)


def test_integers_and_rounding_are_no_obstacle():
    w = linalg.eigsh(np.diag([3, 1, 2]), 2, return_eigenvectors=False)
    np.testing.assert_allclose(w, [2, 3])
    factor = random(SIZE, 20)
    gram = factor @ np.diag(np.arange(1.0, 21)) @ factor.T
    assert (gram != gram.T).any()
    np.testing.assert_allclose(linalg.eigsh(gram, 3)[0], np.linalg.eigvalsh(gram)[-3:])
    with pytest.raises(SingularError, match="not Hermitian"):
        linalg.eigsh(np.array([[0.0, 1.0], [2.0, 0.0]]), 1)


def test_shifts_and_mass_matrices():
    A, M = line(), scipy.sparse.diags([np.linspace(1, 2, SIZE)], [0], format="csr")
    inverse = theirs.splu((A - 0.5 * M).tocsc())
    solve = linalg.LinearOperator(A.shape, matvec=inverse.solve, dtype="f8")
    weigh = linalg.LinearOperator(A.shape, matvec=lambda x: x / np.linspace(1, 2, SIZE), dtype="f8")
    operator = theirs.aslinearoperator(A)
    expected = theirs.eigsh(A, 3, M, sigma=0.5)[0]
    for arguments in ({"A": A, "M": M}, {"A": A.toarray(), "M": M.toarray()}, {"A": operator, "M": M, "OPinv": solve},
                      {"A": operator, "M": theirs.aslinearoperator(M), "OPinv": solve, "ncv": 30}):
        w, v = linalg.eigsh(k=3, sigma=0.5, **arguments)
        np.testing.assert_allclose(w, expected)
        np.testing.assert_allclose(A @ v, M @ v * w, atol=1e-11)
    largest = theirs.eigsh(A, 3, M, which="LA")[0]
    np.testing.assert_allclose(linalg.eigsh(operator, 3, M, which="LA", Minv=weigh)[0], largest)
    np.testing.assert_allclose(linalg.eigsh(operator, 3, M, which="LA")[0], largest)
    np.testing.assert_allclose(linalg.eigs(A, 3, M, sigma=0.5)[0].real, expected[np.argsort(abs(expected - 0.5))])


@pytest.mark.parametrize("which", ["LM", "SM", "LR", "SR", "LI"])
@pytest.mark.parametrize("dtype", ["f8", "c16"])
def test_eigs_returns_the_wanted_first(which, dtype):
    dense = random(SIZE, SIZE, dtype)
    exact = np.linalg.eigvals(dense)
    key = {"LM": -abs(exact), "SM": abs(exact), "LR": -exact.real, "SR": exact.real,
           "LI": -exact.imag if dtype == "c16" else -abs(exact.imag)}[which]
    w, v = linalg.eigs(dense, 5, which=which)
    assert w.shape == (5,) and v.shape == (SIZE, 5) and w.dtype == v.dtype == np.complex128
    np.testing.assert_allclose(np.sort(key)[:5], [key[np.argmin(abs(exact - value))] for value in w], atol=1e-10)
    np.testing.assert_allclose(dense @ v, w * v, atol=1e-10)
    if which != "SM":
        operator = linalg.eigs(theirs.aslinearoperator(dense), 5, which=which, return_eigenvectors=False)
        np.testing.assert_allclose(operator, w, rtol=1e-9)


def test_a_complex_number_to_be_near_to_for_real_matrices():
    small, large = random(SIZE, SIZE), scipy.sparse.diags([np.ones(499), -np.ones(499), np.arange(500.0)], [1, -1, 0], format="csr")
    for A in (small, large):
        exact = np.linalg.eigvals(A if A is small else A.toarray())
        w, v = linalg.eigs(A, 2, sigma=2 + 1j)
        np.testing.assert_allclose(w, exact[np.argsort(abs(exact - 2 - 1j))[:2]], rtol=1e-9)
        np.testing.assert_allclose(A @ v, w * v, atol=1e-9)


@pytest.mark.parametrize("shape", [(40, 15), (15, 40)])
@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "c16"])
def test_svds_returns_what_scipy_does(shape, dtype):
    dense = random(*shape, dtype)
    single = dtype in ("f4", "c8")
    for A in (dense, scipy.sparse.csr_matrix(dense), theirs.aslinearoperator(dense)):
        for which in ("LM", "SM"):
            expected = theirs.svds(dense, 3, which=which)[1]
            u, s, vh = linalg.svds(A, 3, which=which)
            assert u.shape == (shape[0], 3) and vh.shape == (3, shape[1]) and u.dtype == dtype
            np.testing.assert_allclose(s, expected, rtol=1e-4 if single else 1e-10)
            np.testing.assert_allclose(dense @ vh.conj().T, u * s, atol=1e-4 if single else 1e-10)
    assert linalg.svds(dense, 2, return_singular_vectors="u")[2] is None
    assert linalg.svds(dense, 2, return_singular_vectors="vh")[0] is None
    np.testing.assert_array_equal(linalg.svds(dense, 3, return_singular_vectors=False), linalg.svds(dense, 3)[1])


@pytest.mark.parametrize("largest", [True, False])
def test_lobpcg_returns_what_scipy_does(largest, capsys):
    A, B = line(), scipy.sparse.diags([np.linspace(1, 2, SIZE)], [0], format="csr")
    X = random(SIZE, 3)
    M = theirs.splu(A.tocsc()).solve
    exact = scipy.linalg.eigh(A.toarray(), B.toarray(), eigvals_only=True)
    expected = exact[::-1][:3] if largest else exact[:3]
    for matrix in (A, A.toarray(), theirs.aslinearoperator(A), lambda x: A @ x):
        w, v = linalg.lobpcg(matrix, X, B, None if largest else M, tol=1e-9, maxiter=300, largest=largest)
        np.testing.assert_allclose(w, expected, rtol=1e-8)
        np.testing.assert_allclose(A @ v, B @ v * w, atol=1e-7)
    linalg.lobpcg(A, X, tol=1e-9, maxiter=300, largest=largest, verbosityLevel=1)
    assert "largest relative residual" in capsys.readouterr().out
    with pytest.warns(UserWarning, match="not converged"):
        linalg.lobpcg(A, X, maxiter=2, largest=largest)


def test_a_tolerance_of_zero_is_machine_precision():
    # Also where residuals cannot become smaller.
    scaled = scipy.sparse.diags([np.logspace(-3, 3, 500)], [0], format="csr")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        w, _ = linalg.eigsh(scaled, 3, which="LA")
        np.testing.assert_allclose(w, np.logspace(-3, 3, 500)[-3:], rtol=1e-14)
        w, _ = linalg.eigsh(theirs.aslinearoperator(scaled), 3)
        np.testing.assert_allclose(w, np.logspace(-3, 3, 500)[-3:], rtol=1e-14)
        np.testing.assert_allclose(linalg.svds(theirs.aslinearoperator(scaled), 3)[1], np.logspace(-3, 3, 500)[-3:], rtol=1e-14)


def test_the_error_has_what_is_converged():
    A = theirs.aslinearoperator(line(2000))
    with pytest.raises(linalg.ArpackNoConvergence) as caught:
        linalg.eigsh(A, 3, which="SA", maxiter=2)
    error = caught.value
    assert isinstance(error, RuntimeError) and error.eigenvalues.shape == (error.eigenvectors.shape[1],)
    assert error.eigenvectors.shape[0] == 2000 and len(error.eigenvalues) < 3 and "not converged" in str(error)


def test_arguments_that_cannot_be_searched_with():
    A, operator = line(10), theirs.aslinearoperator(line(10))
    nan = line(10).tolil()
    nan[3, 3] = np.nan
    for error, text, call in [
        (ValueError, "square matrix", lambda: linalg.eigsh(np.ones((3, 2)))),
        (ValueError, "which='XX' is not known", lambda: linalg.eigs(A, which="XX")),
        (ValueError, "which='BE' is not known", lambda: linalg.eigsh(A, 2, which="BE")),
        (ValueError, "mode='buckling'", lambda: linalg.eigsh(A, 2, sigma=1.0, mode="buckling")),
        (ValueError, "OPpart='i'", lambda: linalg.eigs(A, 2, sigma=1j, OPpart="i")),
        (ValueError, "OPinv", lambda: linalg.eigsh(operator, 2, sigma=1.0)),
        (ValueError, "give Minv", lambda: linalg.eigsh(operator, 2, operator)),
        (ValueError, r"A has shape \(10, 10\), M \(4, 4\)", lambda: linalg.eigsh(A, 2, line(4))),
        (ValueError, "M is complex, A is real", lambda: linalg.lobpcg(A, np.ones((10, 1)), M=np.eye(10) * 1j)),
        (ValueError, "vector to start from 4 entries; give 10", lambda: linalg.eigsh(A, 2, v0=np.ones(4))),
        (ValueError, "k=0", lambda: linalg.svds(A, 0)),
        (TypeError, "k=2.5", lambda: linalg.eigsh(A, 2.5)),
        (ValueError, "11 values", lambda: linalg.eigsh(A, 11)),
        (ValueError, "tol=-1", lambda: linalg.eigsh(A, 2, tol=-1)),
        (ValueError, "maxiter=0", lambda: linalg.eigs(A, 2, maxiter=0)),
        (ValueError, "solver='qr'", lambda: linalg.svds(A, 2, solver="qr")),
        (ValueError, "return_singular_vectors='w'", lambda: linalg.svds(A, 2, return_singular_vectors="w")),
        (ValueError, "Y is given", lambda: linalg.lobpcg(A, np.ones((10, 1)), Y=np.ones((10, 1)))),
        (ValueError, "no histories", lambda: linalg.lobpcg(A, np.ones((10, 1)), retLambdaHistory=True)),
        (ValueError, r"X is an array of shape \(10,\)", lambda: linalg.lobpcg(A, np.ones(10))),
        (ValueError, r"A\[3, 3\] is nan; give finite numbers", lambda: linalg.eigsh(nan.tocsr(), 2)),
        (TypeError, "A is str", lambda: linalg.svds("hi", 2)),
    ]:
        with pytest.raises(error, match=text):
            call()
