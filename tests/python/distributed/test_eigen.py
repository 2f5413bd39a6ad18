"""`eigsh`, `eigs` and `svds` against dense answers, on any number of ranks."""

import numpy as np
import pytest
from problems import DTYPES, dense_laplace, layouts, matrix_of, numbers, sparse

import dolmen as dm
from dolmen import linalg

several = pytest.mark.skipif(dm.world.size == 1, reason="needs a rank that does not fail")
#: Relative tolerances that the precision of each type allows.
RTOL = {"f4": 1e-4, "c8": 1e-4, "f8": 1e-9, "c16": 1e-9}


def hermitian(n, dtype="f8"):
    """Return a dense matrix with eigenvalues of both signs."""
    whole = sparse(n, n, dtype)
    return (whole + whole.conj().T).astype(dtype)


def definite(n, dtype="f8"):
    factor = sparse(n, n, dtype, seed=5, density=0.1)
    return (factor @ factor.conj().T + 3 * np.eye(n)).astype(dtype)


def operator_of(A, with_adjoint=False):
    """Return a matrix as an operator of Python functions."""
    return dm.LinearOperator(A.domain, lambda x: A @ x, (lambda x: A.H @ x) if with_adjoint else None, A.range, A.dtype)


def of_diagonal(entries):
    return dm.CsrMatrix.from_diagonals([np.asarray(entries)[dm.Layout(len(entries)).rows()]], [0], dm.Layout(len(entries)))


def wanted(values, which, k):
    """Return the first of some values in the order of `which`."""
    key = {"LM": -abs(values), "SM": abs(values), "LA": -values.real, "SA": values.real, "LR": -values.real, "SR": values.real}[which]
    return values[np.argsort(key, kind="stable")[:k]]


def require_pairs(A, w, V, rtol, M=None):
    """Check residuals with a dense matrix."""
    X = V.gather()
    right = X if M is None else M @ X
    residuals = np.linalg.norm(A @ X - right * w, axis=0)
    assert (residuals <= 10 * rtol * abs(w) * np.linalg.norm(right, axis=0) + 1e-5 * rtol).all(), residuals


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("which", ["LM", "SM", "LA", "SA"])
def test_hermitian_matrices(dtype, which):
    dense, rtol = hermitian(40, dtype), RTOL[dtype]
    for layout in layouts(40):
        w, V, report = dm.eigsh(matrix_of(dense, layout), 5, which=which, rtol=rtol)
        assert report.converged and "dense" in report.why and w.dtype == "f8" and V.layout == layout and V.dtype == dtype
        np.testing.assert_allclose(w, wanted(np.linalg.eigvalsh(dense), which, 5), rtol=10 * rtol, atol=10 * rtol)
        require_pairs(dense, w, V, rtol)
        np.testing.assert_allclose(V.gram(V), np.eye(5), atol=10 * rtol)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("which", ["LM", "LA", "SA"])
def test_hermitian_operators_of_python(dtype, which):
    dense, rtol = hermitian(40, dtype), RTOL[dtype]
    A = operator_of(matrix_of(dense))
    w, V, report = dm.eigsh(A, 4, which=which, rtol=rtol)
    assert report.converged and report.method == "Lanczos" and report.residuals.shape == (4,)
    np.testing.assert_allclose(w, wanted(np.linalg.eigvalsh(dense), which, 4), rtol=10 * rtol)
    require_pairs(dense, w, V, rtol)


def test_copies_of_multiple_eigenvalues():
    grid = np.add.outer(*[4 * np.sin(np.pi * np.arange(1, 8) / 16) ** 2] * 2).ravel()
    n = 7
    line = dense_laplace(n)
    A = matrix_of(np.kron(line, np.eye(n)) + np.kron(np.eye(n), line))
    for problem, more in [(A, {}), (A, {"method": "lanczos"}), (operator_of(A), {}), (A, {"preconditioner": "jacobi"})]:
        w, V, report = dm.eigsh(problem, 6, which="SA", rtol=1e-9, **more)
        assert report.converged, report
        np.testing.assert_allclose(w, np.sort(grid)[:6], rtol=1e-8)
        np.testing.assert_allclose(V.gram(V), np.eye(6), atol=1e-8)


@pytest.mark.parametrize("dtype", ["f8", "c16"])
def test_mass_matrices(dtype):
    dense, mass = hermitian(30, dtype), definite(30, dtype)
    values = np.linalg.eigvals(np.linalg.solve(mass, dense)).real
    A, M = matrix_of(dense), matrix_of(mass)
    solve = dm.Preconditioner(M, "direct")
    near = dm.Preconditioner(A - 0.3 * M, "direct")
    nearest = values[np.argsort(abs(values - 0.3))[:3]]
    cases = [
        ((A, {"mass": M}), wanted(values, "LM", 3)),
        ((operator_of(A), {"mass": M, "which": "LA"}), wanted(values, "LA", 3)),
        ((A, {"mass": operator_of(M), "mass_inverse": solve, "which": "SA"}), wanted(values, "SA", 3)),
        ((A, {"mass": M, "sigma": 0.3}), nearest),
        ((A, {"mass": M, "sigma": 0.3, "method": "lanczos"}), nearest),
        ((operator_of(A), {"mass": operator_of(M), "sigma": 0.3, "inverse": near}), nearest),
        ((A, {"mass": M, "method": "lobpcg", "which": "SA"}), wanted(values, "SA", 3)),
    ]
    for (problem, more), expected in cases:
        w, V, report = dm.eigsh(problem, 3, rtol=1e-9, **more)
        assert report.converged, (more, report)
        np.testing.assert_allclose(w, expected, rtol=1e-7)
        require_pairs(dense, w, V, 1e-9, mass)
        np.testing.assert_allclose(V.gram(M @ V), np.eye(3), atol=1e-7)


def test_a_number_to_be_near_to():
    A = of_diagonal(np.arange(1.0, 601))
    w, _, report = dm.eigsh(A, 4, sigma=100.3)
    np.testing.assert_allclose(w, [100, 101, 99, 102])
    assert "LU" in report.why
    solve = dm.Preconditioner(A, "direct")
    w, _, report = dm.eigsh(operator_of(A), 2, which="SM", inverse=solve)
    np.testing.assert_allclose(w, [1, 2])
    assert report.method == "Lanczos"
    w, _, report = dm.eigs(A, 3, sigma=7.4, method="krylov-schur")
    np.testing.assert_allclose(w, [7, 8, 6])
    assert report.applications > 0 and report.time > 0


@pytest.mark.parametrize("dtype", DTYPES)
def test_general_matrices_have_conjugate_values(dtype):
    dense, rtol = (sparse(30, 30, dtype) + np.diag(np.arange(30)) / 10).astype(dtype), RTOL[dtype]
    exact = np.linalg.eigvals(dense.astype("c16"))
    A = matrix_of(dense)
    for problem, method in ((A, "dense"), (operator_of(A), "Krylov-Schur")):
        w, V, report = dm.eigs(problem, 6, which="LM", rtol=rtol)
        assert report.converged and report.method == method and V.dtype.kind == "c"
        assert len(w) in ((6, 7) if np.dtype(dtype).kind == "f" else (6,))
        np.testing.assert_allclose(abs(w), abs(wanted(exact, "LM", len(w))), rtol=100 * rtol)
        assert all(abs(exact - value).min() < 100 * rtol * abs(value) for value in w)
        require_pairs(dense, w, V, 10 * rtol)
        np.testing.assert_allclose(V.norms(), 1, rtol=1e-5)
        if np.dtype(dtype).kind == "f":
            assert all(abs(w.conj() - value).min() < rtol for value in w)


def test_general_problems_with_mass_and_shift():
    dense, mass = sparse(24, 24) + np.diag(np.arange(24.0)), definite(24)
    exact = np.linalg.eigvals(np.linalg.solve(mass, dense))
    A, M = matrix_of(dense), matrix_of(mass)
    real = exact[abs(exact.imag) < 1e-9].real
    shift = float(np.sort(real)[len(real) // 2]) + 1e-3
    nearest = exact[np.argmin(abs(exact - shift))]
    for problem, more in (
        (A, {"mass": M, "sigma": shift}),
        (operator_of(A), {"mass": operator_of(M), "sigma": shift, "inverse": dm.Preconditioner(A - shift * M, "direct")}),
    ):
        w, V, report = dm.eigs(problem, 1, rtol=1e-9, **more)
        np.testing.assert_allclose(w[0], nearest, rtol=1e-7)
        require_pairs(dense, w, V, 1e-9, mass)
    for problem, more in ((A, {}), (operator_of(A), {"mass_inverse": dm.Preconditioner(M, "direct")})):
        w, _, report = dm.eigs(problem, 2, mass=M, **more)
        np.testing.assert_allclose(abs(w[0]), abs(exact).max(), rtol=1e-7)
    both = matrix_of(dense.astype("c16"))
    w, _, _ = dm.eigs(both, 1, sigma=2 + 1j, method="krylov-schur")
    plain = np.linalg.eigvals(dense)
    np.testing.assert_allclose(w[0], plain[np.argmin(abs(plain - 2 - 1j))], rtol=1e-7)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(40, 25), (25, 40)])
def test_singular_values(dtype, shape):
    dense, rtol = sparse(*shape, dtype), RTOL[dtype]
    A = matrix_of(dense)
    exact = np.linalg.svd(dense, compute_uv=False)
    for problem, which in ((A, "LM"), (A, "SM"), (operator_of(A, with_adjoint=True), "LM")):
        U, s, V, report = dm.svds(problem, 4, which=which, rtol=rtol)
        assert report.converged and report.method == ("dense" if problem is A else "Golub-Kahan")
        np.testing.assert_allclose(s, exact[:4] if which == "LM" else exact[::-1][:4], rtol=10 * rtol, atol=100 * rtol)
        np.testing.assert_allclose(dense @ V.gather(), U.gather() * s, atol=100 * rtol)
        np.testing.assert_allclose(U.gram(U), np.eye(4), atol=100 * rtol)


def test_the_bits_are_those_of_one_rank():
    n = 40
    dense = dense_laplace(n) + np.diag(np.arange(n) ** 2.0 + numbers(n))
    alone = dm.CsrMatrix.from_coo(*np.nonzero(dense), dense[np.nonzero(dense)], dm.Layout(n, dm.self_))
    together = matrix_of(dense)
    for find in (
        lambda A: dm.eigsh(A, 2, method="lanczos", which="LA", basis=12, rtol=1e-5)[:2],
        lambda A: dm.eigsh(A, 2, preconditioner="jacobi", which="SA", rtol=1e-5)[:2],
        lambda A: dm.eigs(A, 2, method="krylov-schur", basis=12, rtol=1e-5)[:2],
        lambda A: dm.svds(A, 2, method="golub-kahan", basis=12, rtol=1e-5)[1:3],
    ):
        (w, V), (w_alone, V_alone) = find(together), find(alone)
        np.testing.assert_array_equal(w, w_alone)
        np.testing.assert_array_equal(V.gather(), V_alone.local)


def test_not_converging_is_no_exception_unless_asked_for():
    A = of_diagonal(np.linspace(1, 2, 500))
    w, V, report = dm.eigsh(A, 4, which="LA", max_iterations=2, rtol=1e-12)
    assert not report.converged and report.reason == "IterationLimit" and report.iterations == 2
    assert not report.is_converged.all() and len(w) == len(V) == len(report.residuals) == 4
    with pytest.raises(dm.NotConvergedError, match="of 4 values converged"):
        report.require_converged()
    assert "<table>" in report._repr_html_() and "Lanczos" in str(report)


@pytest.mark.parametrize("method", ["lanczos", "krylov-schur", "golub-kahan", "lobpcg"])
def test_monitors_and_snapshots(method):
    A = of_diagonal(np.linspace(1, 2, 300) ** 3)
    seen, taken = [], []

    def find(**more):
        settings = {"method": method, "rtol": 1e-10, **more}
        if method == "golub-kahan":
            return dm.svds(A, 3, **settings)[1:]
        if method == "krylov-schur":
            return dm.eigs(A, 3, **settings)
        return dm.eigsh(A, 3, which="LA", **settings)

    def monitor(progress):
        seen.append(progress.residual)
        return "snapshot" if len(seen) == 3 else None

    w, V, report = find(monitor=monitor, snapshots=taken.append)
    assert report.converged and len(seen) >= report.iterations > 3 and len(taken) == 1
    before = len(seen)
    v, again, resumed = find(resume=taken[0], monitor=monitor)
    assert resumed.converged and len(seen) - before < before
    if method == "lobpcg":
        np.testing.assert_allclose(v, w, rtol=1e-9)
    else:
        np.testing.assert_array_equal(v, w)
        np.testing.assert_array_equal(again.gather(), V.gather())
    _, _, stopped = find(monitor=lambda progress: True)
    assert stopped.reason == "Requested"


def test_vectors_to_start_from():
    A = of_diagonal(np.arange(1.0, 301))
    w, V, first = dm.eigsh(A, 3, which="SA", method="lobpcg", preconditioner="jacobi")
    _, _, second = dm.eigsh(A, 3, which="SA", start=V, preconditioner="jacobi")
    assert first.converged and second.converged and second.iterations < first.iterations


def test_failures_of_functions_are_raised_on_all_ranks():
    calls = 0

    def product(x):
        nonlocal calls
        calls += 1
        if dm.world.rank == dm.world.size - 1 and calls > 5:
            raise KeyError("pixel 7")
        return x.local * np.arange(1.0, 51)[x.layout.rows()]

    A = dm.LinearOperator(50, product, product)
    for find in (dm.eigsh, dm.eigs, dm.svds):
        calls = 0
        with pytest.raises(KeyError, match="pixel 7"):
            find(A, 2)

    def monitor(progress):
        if dm.world.rank == 0:
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        dm.eigsh(of_diagonal(np.linspace(1, 2, 500)), 2, method="lanczos", monitor=monitor)


def test_mistakes_get_one_error():
    A, M = matrix_of(hermitian(12)), matrix_of(definite(12))
    f = operator_of(A)
    askew = matrix_of(sparse(12, 12))
    for error, text, call in [
        (dm.SingularError, "not Hermitian", lambda: dm.eigsh(askew, 2)),
        (dm.SingularError, "not Hermitian", lambda: dm.eigsh(operator_of(askew), 2)),
        (dm.SingularError, "not positive semidefinite", lambda: dm.eigsh(f, 2, mass=-1.0 * M, mass_inverse=M)),
        (dm.SettingError, "13 values are asked for", lambda: dm.eigsh(A, 13)),
        (dm.SettingError, "count", lambda: dm.eigs(A, 0)),
        (dm.SettingError, "rtol", lambda: dm.svds(A, 2, rtol=-1.0)),
        (dm.SettingError, "12 rows|square", lambda: dm.eigs(matrix_of(sparse(12, 9)), 2)),
        (ValueError, "which='XX' is not known; use LM, SM, LA, SA", lambda: dm.eigsh(A, 2, which="XX")),
        (ValueError, "exclude each other", lambda: dm.eigsh(A, 2, which="SA", sigma=1.0)),
        (TypeError, "real number", lambda: dm.eigsh(A, 2, sigma=1j)),
        (TypeError, "sigma=1j is complex", lambda: dm.eigs(f, 2, sigma=1j, inverse=f)),
        (ValueError, "need inverse=OPERATOR", lambda: dm.eigsh(f, 2, which="SM")),
        (ValueError, "inverse needs sigma", lambda: dm.eigsh(f, 2, inverse=f)),
        (ValueError, "mass_inverse=OPERATOR", lambda: dm.eigsh(f, 2, mass=operator_of(M))),
        (ValueError, 'which="SA" or "LA"', lambda: dm.eigsh(A, 2, preconditioner="jacobi")),
        (ValueError, "is for method", lambda: dm.eigsh(A, 2, which="SA", preconditioner="jacobi", basis=30)),
        (ValueError, "for method=\"lobpcg\"", lambda: dm.eigsh(A, 2, method="lanczos", preconditioner="jacobi")),
        (ValueError, "method='qr' is not known", lambda: dm.eigs(A, 2, method="qr")),
        (TypeError, "k=2.5", lambda: dm.svds(A, 2.5)),
        (ValueError, "snapshots=FUNCTION", lambda: dm.eigsh(A, 2, snapshot_every=3)),
        (TypeError, "expected a Snapshot", lambda: dm.eigsh(A, 2, resume=True)),
        (TypeError, "dtype", lambda: dm.eigsh(operator_of(matrix_of(hermitian(12, "f4"))), 2, mass=M)),
    ]:
        with pytest.raises(error, match=text):
            call()
    broken = matrix_of(np.diag([1.0, np.nan, 2.0]))
    for find in (dm.eigsh, dm.eigs, dm.svds):
        with pytest.raises(dm.SingularError):
            find(broken, 1)


@several
def test_mistakes_of_one_rank_are_raised_on_all():
    A = matrix_of(hermitian(12))
    first = dm.world.rank == 0
    with pytest.raises(TypeError, match="k='2'"):
        dm.eigsh(A, "2" if first else 2)
    with pytest.raises(ValueError, match="which='XX'"):
        dm.eigs(A, 2, which="XX" if first else "LM")
    with pytest.raises(dm.RanksDisagreeError):
        dm.svds(A, 3 if first else 2)


def test_linalg_on_all_ranks_has_the_values_of_numpy():
    dense, mass = hermitian(30), definite(30)
    A, M = matrix_of(dense), matrix_of(mass)
    values = np.linalg.eigvalsh(dense)
    for which in ("LM", "SM", "LA", "SA"):
        w, v = linalg.eigsh(A, 4, which=which)
        np.testing.assert_allclose(w, np.sort(wanted(values, which, 4)), rtol=1e-10)
        require_pairs(dense, w, v, 1e-10)
    by_functions = linalg.LinearOperator((30, 30), matvec=lambda x: A @ x, dtype="f8")
    np.testing.assert_allclose(linalg.eigsh(by_functions, 4, v0=dm.ones(30), return_eigenvectors=False), np.sort(wanted(values, "LM", 4)), rtol=1e-10)
    pencil = np.sort(np.linalg.eigvals(np.linalg.solve(mass, dense)).real)
    np.testing.assert_allclose(linalg.eigsh(A, 3, M, which="LA", return_eigenvectors=False), pencil[-3:], rtol=1e-9)
    w, v = linalg.eigs(matrix_of(sparse(20, 20)), 4)
    assert len(w) == len(v) == 4
    require_pairs(sparse(20, 20), w, v, 1e-10)
    u, s, vh = linalg.svds(matrix_of(sparse(30, 12)), 3)
    np.testing.assert_allclose(s, np.linalg.svd(sparse(30, 12))[1][2::-1], rtol=1e-10)
    np.testing.assert_allclose(sparse(30, 12) @ vh.gather(), u.gather() * s, atol=1e-10)
    X = dm.MultiVector.from_vectors([dm.random(30, seed) for seed in (1, 2)])
    w, v = linalg.lobpcg(A, X, B=M, maxiter=200, tol=1e-9)
    np.testing.assert_allclose(w, pencil[::-1][:2], rtol=1e-8)
    slow = dm.CsrMatrix.from_diagonals([-1, 2, -1], [-1, 0, 1], 2000)
    function = dm.LinearOperator(slow.domain, lambda x: slow @ x)
    with pytest.raises(linalg.ArpackNoConvergence) as caught:
        linalg.eigsh(function, 3, maxiter=1, which="LA")
    assert len(caught.value.eigenvalues) == len(caught.value.eigenvectors) < 3 and isinstance(caught.value, dm.NotConvergedError)
    with pytest.raises(TypeError, match="dolmen.CsrMatrix.from_scipy"):
        linalg.eigsh(dense, 2, v0=dm.ones(30))
    with pytest.raises(TypeError, match="distributed"):
        linalg.eigsh(dense, 2, M)
