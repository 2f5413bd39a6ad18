import numpy as np
import pytest
from problems import DTYPES, dense_laplace, laplace, matrix_of, numbers, sparse, spread

import dolmen as dm

SQUARE = [name for name, method in dm.methods().items() if not method["least_squares"]]
LEAST_SQUARES = [name for name, method in dm.methods().items() if method["least_squares"]]


@pytest.mark.parametrize("method", SQUARE)
@pytest.mark.parametrize("dtype", ["f8", "c16"])
def test_methods_against_a_dense_solve(method, dtype):
    n = 24
    dense = dense_laplace(n, 0.5).astype(dtype)
    A, b = matrix_of(dense), spread(numbers(n, dtype))
    x, report = dm.solve(A, b, method=method, preconditioner="jacobi", rtol=1e-11)
    assert report.converged, report
    np.testing.assert_allclose(x.gather(), np.linalg.solve(dense, b.gather()), rtol=1e-8)
    assert len(report.history) == report.iterations + 1
    assert report.true_residual == pytest.approx(dm.norm(b - A @ x), abs=1e-12)


@pytest.mark.parametrize("method", LEAST_SQUARES)
def test_least_squares_against_numpy(method):
    dense = sparse(30, 8, density=0.7)
    A, b = matrix_of(dense), spread(numbers(30))
    x, report = dm.solve(A, b, method=method, preconditioner="none", rtol=1e-12)
    np.testing.assert_allclose(x.gather(), np.linalg.lstsq(dense, b.gather(), rcond=None)[0], rtol=1e-7)
    assert report.normal_residual is not None
    y, _ = dm.solve(A, b, rtol=1e-12)
    np.testing.assert_allclose(y.gather(), x.gather(), rtol=1e-6)


@pytest.mark.parametrize("kind", ["jacobi", "ssor", "ic", "ilu(1)", "ilut(drop=1e-3, fill=10)", "block-jacobi(cholesky)",
                                  "schwarz(overlap=1, ilu)", "chebyshev(degree=3)", "direct", "multigrid(coarsest=5)",
                                  "additive(jacobi, ic)"])
def test_preconditioners(kind):
    A, b = laplace(40, shift=0.01), dm.random(40, 1)
    by_text, first = dm.solve(A, b, method="gmres", preconditioner=kind, rtol=1e-11)
    M = dm.Preconditioner(A, kind)
    by_object, second = dm.solve(A, b, method="gmres", preconditioner=M, rtol=1e-11)
    np.testing.assert_array_equal(by_text.gather(), by_object.gather())
    np.testing.assert_allclose(by_text.gather(), np.linalg.solve(dense_laplace(40, 0.01), b.gather()), rtol=1e-7)
    assert first.converged and first.iterations == second.iterations


def test_settings_of_a_preconditioner_by_keyword():
    A = laplace(20)
    assert dm.Preconditioner(A, "ilut", drop=1e-4, fill=20).settings == "ilut(drop=0.0001, fill=20)"
    with pytest.raises(dm.SettingError, match="did you mean \"ilut\""):
        dm.Preconditioner(A, "ilutt")


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_choice(dtype):
    dense = dense_laplace(50).astype(dtype)
    A, b = matrix_of(dense), spread(numbers(50, dtype))
    x, report = dm.solve(A, b, rtol=1e-5)
    assert report.converged and report.attempts[0].solved and report.analysis["hermitian"]
    assert dm.norm(b - A @ x) <= 1.1e-5 * dm.norm(b)


def test_promotion():
    A, b = laplace(10), dm.ones(10, "c16") * (1 + 2j)
    x, _ = dm.solve(A, b, rtol=1e-12)
    np.testing.assert_allclose(x.gather(), np.linalg.solve(dense_laplace(10), np.full(10, 1 + 2j)))
    y, _ = dm.solve(A.astype("c16"), dm.ones(10), method="cg")
    assert y.dtype == np.complex128


def test_singular_systems():
    n = 20
    dense = dense_laplace(n)
    dense[0, 0] = dense[-1, -1] = 1
    A, b = matrix_of(dense), spread(numbers(n) - numbers(n).mean())
    x, report = dm.solve(A, b, method="cg", null_space="constants", rtol=1e-10)
    assert report.converged and abs(x.sum()) < 1e-8
    y, _ = dm.solve(A, b, method="cg", null_space=[dm.ones(n)], rtol=1e-10)
    np.testing.assert_allclose(x.gather(), y.gather(), atol=1e-8)


def test_not_converging_is_no_exception_unless_asked_for():
    A = laplace(100)
    x, report = dm.solve(A, dm.ones(100), method="cg", preconditioner="none", max_iterations=3)
    assert not report.converged and report.reason == "IterationLimit" and report.iterations == 3
    with pytest.raises(dm.NotConvergedError):
        report.require_converged()
    assert "<table>" in report._repr_html_()


def test_guesses_are_used_and_kept():
    A, b = laplace(60), dm.ones(60)
    x, first = dm.solve(A, b, method="cg", rtol=1e-10)
    guess = x.copy()
    y, second = dm.solve(A, b, guess, method="cg", rtol=1e-8)
    assert second.iterations == 0
    np.testing.assert_array_equal(guess.gather(), x.gather())


def test_monitor_and_snapshots():
    A, b = laplace(80, shift=0.01), dm.random(80, 3)
    seen, taken = [], []
    settings = dict(method="cg", preconditioner="none", rtol=1e-10)

    def monitor(progress):
        seen.append((progress.iteration, progress.residual))
        return "snapshot" if progress.iteration == 5 else None

    x, report = dm.solve(A, b, monitor=monitor, snapshots=taken.append, **settings)
    assert [iteration for iteration, _ in seen] == list(range(report.iterations + 1))
    np.testing.assert_array_equal([residual for _, residual in seen], report.history)
    (snapshot,) = taken
    assert snapshot.method == "CG" and snapshot.vectors["x"].size == 80
    y, resumed = dm.solve(A, b, resume=snapshot, **settings)
    np.testing.assert_array_equal(x.gather(), y.gather())
    assert resumed.iterations == report.iterations
    _, stopped = dm.solve(A, b, monitor=lambda progress: progress.iteration == 4, **settings)
    assert stopped.reason == "Requested" and stopped.iterations <= 5


def test_an_exception_in_a_monitor_on_one_rank():
    A, b = laplace(80), dm.ones(80)

    def monitor(progress):
        if progress.iteration == 2 and dm.world.rank == dm.world.size - 1:
            raise RuntimeError("stop here")

    with pytest.raises(RuntimeError, match="stop here"):
        dm.solve(A, b, method="cg", preconditioner="none", monitor=monitor)
    with pytest.raises(ValueError, match="monitor returned"):
        dm.solve(A, b, method="cg", monitor=lambda progress: "halt")


def test_checkpoints(in_shared_folder):
    A, b = laplace(200, shift=0.001), dm.random(200, 4)
    settings = dict(method="cg", preconditioner="none", rtol=1e-10)
    whole, report = dm.solve(A, b, **settings)
    assert report.iterations > 40
    dm.solve(A, b, checkpoint="ck", monitor=lambda progress: progress.iteration >= 20, **settings)
    with pytest.raises(dm.FileError, match="earlier run"):
        dm.solve(A, b, checkpoint="ck", **settings)
    with pytest.raises(dm.FileError, match="configuration"):
        dm.solve(A, b, checkpoint="ck", resume=True, config="other", **settings)
    x, resumed = dm.solve(A, b, checkpoint="ck", resume=True, **settings)
    np.testing.assert_array_equal(x.gather(), whole.gather())
    assert resumed.iterations == report.iterations


def test_wrong_settings_are_one_error():
    A, b = laplace(10), dm.ones(10)
    for wrong, kind in [
        (dict(method="gmress"), dm.SettingError),
        (dict(method="gmres(restart=0)"), dm.SettingError),
        (dict(method="cg", rtol=-1.0), dm.SettingError),
        (dict(method="cg", norm="other"), ValueError),
        (dict(method="cg", preconditioner="ilutt"), dm.SettingError),
        (dict(null_space="constants"), ValueError),
        (dict(resume=True), ValueError),
        (dict(checkpoint="x", every="soon"), ValueError),
    ]:
        with pytest.raises(kind):
            dm.solve(A, b, **wrong)
    with pytest.raises(dm.LayoutError):
        dm.solve(A, dm.ones(11))
    with pytest.raises(TypeError, match="dolmen.array"):
        dm.solve(A, np.ones(10))
    if dm.world.size > 1:
        with pytest.raises(dm.RanksDisagreeError):
            dm.solve(A, b, method="cg", preconditioner="none", rtol=1e-8 if dm.world.rank else 1e-6)


def test_settings_that_are_bad_on_one_rank():
    A, b, first = laplace(10, shift=0.1), dm.ones(10), dm.world.rank == 0
    for settings in ("multigrid(coarsest=0)", "multigird", "ilu("):
        with pytest.raises(dm.SettingError):
            dm.Preconditioner(A, settings if first else "multigrid")
        with pytest.raises(dm.SettingError):
            dm.solve(A, b, preconditioner=settings if first else "multigrid")
    for method in ("gmres(restart=0)", "gmers"):
        with pytest.raises(dm.SettingError):
            dm.solve(A, b, method=method if first else "gmres")
        with pytest.raises(dm.SettingError):
            dm.solve(A, b, method=method if first else "gmres", preconditioner=dm.Preconditioner(A, "jacobi"))


@pytest.mark.parametrize("power", [-560, 560])
def test_any_units(power):
    A, b = laplace(30, shift=0.1), dm.ones(30)
    x, first = dm.solve(A, b, method="cg", preconditioner="none", rtol=1e-10)
    y, second = dm.solve(A, b * 2.0**power, method="cg", preconditioner="none", rtol=1e-10)
    np.testing.assert_array_equal(y.gather(), x.gather() * 2.0**power)
    assert first.iterations == second.iterations


@pytest.mark.parametrize("method", LEAST_SQUARES)
@pytest.mark.parametrize("shape", [(30, 8), (9, 14), (12, 12)])
def test_damped_and_weighted_least_squares_against_numpy(method, shape):
    rows, columns = shape
    dense = sparse(rows, columns, density=0.7)
    A, b = matrix_of(dense), spread(numbers(rows))
    x, report = dm.solve(A, b, method=f"{method}(damp=0.5)", preconditioner="none", rtol=1e-12)
    stacked = np.vstack([dense, 0.5 * np.eye(columns)])
    exact = np.linalg.lstsq(stacked, np.append(b.gather(), np.zeros(columns)), rcond=None)[0]
    np.testing.assert_allclose(x.gather(), exact, rtol=1e-7, atol=1e-9)
    size = np.hypot(np.linalg.norm(b.gather() - dense @ exact), 0.5 * np.linalg.norm(exact))
    assert report.damp == 0.5 and report.true_residual == pytest.approx(size, rel=1e-9)
    assert report.converged and "damp^2 |x|^2" in report.outcome
    # The choice of the preconditioner does not take a damped solution for none.
    y, report = dm.solve(A, b, method=f"{method}(damp=0.5)", rtol=1e-12)
    assert report.converged and len(report.attempts) == 1
    np.testing.assert_allclose(y.gather(), exact, rtol=1e-6, atol=1e-8)
    if rows > columns:
        weights = np.arange(rows) % 4 + 0.5
        roots = np.sqrt(weights)[:, None]
        exact = np.linalg.lstsq(roots * dense, roots[:, 0] * b.gather(), rcond=None)[0]
        functions = dm.LinearOperator(A.domain, lambda x: A @ x, lambda x: A.H @ x, A.range)
        for operator, named in ((A, None), (A, method), (functions, method)):
            x, report = dm.solve(operator, b, method=named, weights=spread(weights), rtol=1e-12)
            np.testing.assert_allclose(x.gather(), exact, rtol=1e-6)
            assert report.weighted and report.converged


def test_bad_weights_are_the_same_error_everywhere():
    A, b = matrix_of(sparse(9, 5, density=0.7)), dm.ones(9)
    bad = dm.ones(9)
    if 8 in bad.layout.range:
        bad.local[8 - bad.layout.range.start] = -1.0
    with pytest.raises(ValueError, match="weight of row 8 is -1"):
        dm.solve(A, b, weights=bad)
    with pytest.raises(dm.LayoutError):
        dm.solve(A, b, weights=dm.ones(5))
    with pytest.raises(TypeError, match="weights is a"):
        dm.solve(A, b, weights=[1.0] * 9)
    with pytest.raises(dm.SettingError, match="damp"):
        dm.solve(A, b, method="lsqr(damp=-1)")


def test_preconditioners_in_single_precision():
    A, b = laplace(400, shift=1e-3), dm.random(400, 1)
    for text in ("single(multigrid)", "single(ilu(1))"):
        x, report = dm.solve(A, b, method="fgmres", preconditioner=text, rtol=1e-12)
        assert report.converged, report
        np.testing.assert_allclose(x.gather(), np.linalg.solve(dense_laplace(400, 1e-3), b.gather()), rtol=1e-6)
    assert dm.Preconditioner(A, "single(multigrid)").settings == "single(multigrid)"
    with pytest.raises(dm.SettingError, match="single"):
        dm.Preconditioner(A, "single")
