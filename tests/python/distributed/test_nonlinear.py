import numpy as np
import pytest
import scipy.optimize
from problems import dense_laplace, laplace, layouts, spread

import dolmen as dm

N = 40
METHODS = {"newton": dm.newton, "anderson": dm.anderson, "nonlinear_cg": dm.nonlinear_cg}


def cubic(x):
    """``(A + I / 2) x + x^3 = b`` for an array that all ranks have."""
    return dense_laplace(N, 0.5) @ x + x**3 - np.cos(np.arange(N))


def root():
    return scipy.optimize.root(cubic, np.zeros(N), jac=lambda x: dense_laplace(N, 0.5) + np.diag(3 * x**2), tol=1e-13).x


def problem(layout, dtype="f8"):
    A = laplace(N, layout, 0.5).astype(dtype)
    b = spread(np.cos(np.arange(N)), layout).astype(dtype)
    return A, lambda x: A @ x + x * x * x - b


def jacobian_of(A):
    def jacobian(x):
        J = A.copy()
        rows = x.layout.rows()
        J.add_entries(rows, rows, 3 * x.local**2)
        return J

    return jacobian


@pytest.mark.parametrize("options", [
    {},
    {"line_search": "backtracking", "preconditioner": "jacobi"},
    {"line_search": "full", "forcing": 1e-6, "linear": "cg, ic"},
    {"trust_region": True},
    {"trust_region": True, "radius": 0.1, "preconditioner": None},
    {"linear": "minres", "preconditioner": dm.LinearOperator.identity(N)},
    {"lag_jacobian": 2, "lag_preconditioner": 5, "max_linear_iterations": 50},
])
def test_newton_finds_the_root_of_scipy(options):
    expected = root()
    for layout in layouts(N):
        A, F = problem(layout)
        jacobians = {"matrix": jacobian_of(A), "colored": A}
        if not options.get("trust_region") and options.get("preconditioner", "auto") in ("auto", None) and "linear" not in options:
            jacobians |= {"free": None, "operator": lambda x: dm.LinearOperator(x.layout, lambda v, y=x.copy(): A @ v + 3 * y * y * v)}
        for kind, jacobian in jacobians.items():
            chosen = dict(options)
            if isinstance(chosen.get("preconditioner"), dm.LinearOperator):
                chosen["preconditioner"] = dm.LinearOperator.identity(layout)
            guess = dm.zeros(layout)
            x, report = dm.newton(F, guess, jacobian, rtol=1e-12, **chosen)
            assert report.converged, (kind, str(report))
            np.testing.assert_allclose(x.gather(), expected, rtol=1e-9, atol=1e-10, err_msg=kind)
            assert report.residual == dm.norm(F(x)) and len(report.history) == report.iterations + 1
            assert guess.norm() == 0
            assert (report.jacobians > 0) == (kind != "free"), (kind, str(report))


def test_a_matrix_for_preconditioners_alone():
    A, F = problem(dm.Layout(N))
    x, report = dm.newton(F, dm.zeros(N), approximation=A, linear="gmres, jacobi", rtol=1e-11)
    assert report.converged and report.preconditioners > 0 and report.jacobians == 0
    np.testing.assert_allclose(x.gather(), root(), rtol=1e-8)


@pytest.mark.parametrize("dtype", ["f4", "c8", "c16"])
def test_other_numbers(dtype):
    A, F = problem(dm.Layout(N), dtype)
    tolerance = 1e-5 if dtype in ("f4", "c8") else 1e-11
    x, report = dm.newton(F, dm.zeros(N, dtype), A, rtol=tolerance)
    assert report.converged and x.dtype == dtype
    np.testing.assert_allclose(x.gather(), root(), rtol=100 * tolerance, atol=100 * tolerance)


def test_methods_without_jacobians():
    A, F = problem(dm.Layout(N))
    x, report = dm.anderson(F, dm.zeros(N), damping=0.3, depth=8, rtol=1e-11)
    assert report.converged and report.evaluations == report.iterations + 2
    np.testing.assert_allclose(x.gather(), root(), rtol=1e-8, atol=1e-9)
    for preconditioner in (None, dm.Preconditioner(A, "jacobi")):
        x, report = dm.nonlinear_cg(F, dm.zeros(N), preconditioner=preconditioner, rtol=1e-10)
        assert report.converged
        np.testing.assert_allclose(x.gather(), root(), rtol=1e-7, atol=1e-9)


def test_iterates_have_the_same_bits_on_any_ranks():
    alone = dm.Layout(N, dm.self_)
    for name, more in (("newton", {"jacobian": None}), ("anderson", {"damping": 0.3}), ("nonlinear_cg", {})):
        solutions = [METHODS[name](problem(layout)[1], dm.zeros(layout), **more) for layout in (dm.Layout(N), alone)]
        (x, report), (y, other) = solutions
        np.testing.assert_array_equal(x.gather(), y.local)
        assert report.history.tolist() == other.history.tolist()


def test_failures_are_told():
    def F(x):
        return x * x + 1

    x, report = dm.newton(F, dm.full(N, 3.0))
    assert not report.converged and report.reason in ("LineSearchFailed", "LinearSolveFailed", "IterationLimit")
    with pytest.raises(dm.NotConvergedError, match="Newton with line search"):
        report.require_converged()
    x, report = dm.newton(F, dm.zeros(N), lambda x: dm.CsrMatrix.from_diagonals([2 * x], [0], x.layout))
    assert report.reason == "PreconditionerFailed" and "singular" in report.failure, report
    x, report = dm.nonlinear_cg(lambda x: -x, dm.ones(N))
    assert report.reason == "LineSearchFailed"
    stops = []

    def monitor(progress):
        stops.append(progress.residual)
        return progress.iteration == 1

    x, report = dm.newton(problem(dm.Layout(N))[1], dm.zeros(N), monitor=monitor)
    assert report.reason == "Requested" and stops == report.history.tolist()
    assert "|F(x)|" in report._repr_html_() and "1 iterations" in str(report)


class Lost(Exception):
    pass


def test_an_exception_on_one_rank_is_raised_on_all():
    last = dm.world.rank == dm.world.size - 1
    calls = []

    def F(x):
        calls.append(1)
        if last and len(calls) > 2:
            raise Lost("the table ends at 300 K")
        return x * x * x + x - 1

    for method in METHODS.values():
        calls.clear()
        with pytest.raises(Lost, match="300 K"):
            method(F, dm.ones(N))

    made = laplace(N)

    def jacobian(x):
        if last:
            raise Lost("no derivative")
        return made

    with pytest.raises(Lost, match="no derivative"):
        dm.newton(lambda x: x, dm.ones(N), jacobian)
    seen = []

    def later(x):
        seen.append(1)
        if last and len(seen) > 1:
            raise Lost("no second derivative")
        return made

    with pytest.raises(Lost, match="no second"):
        dm.newton(problem(dm.Layout(N))[1], dm.ones(N), later)


def test_mistakes():
    F, x0 = (lambda x: x), dm.ones(N)
    for wrong, error, text in [
        ({"line_search": "cubik"}, ValueError, "line_search"),
        ({"linear": "gmress"}, dm.SettingError, "gmres"),
        ({"preconditioner": "jacobi"}, dm.SettingError, "a matrix of the Jacobian is needed"),
        ({"trust_region": True}, dm.SettingError, "a matrix of the Jacobian is needed"),
        ({"radius": 1.0}, ValueError, "trust_region"),
        ({"jacobian": 3.0}, TypeError, "Jacobian is a float"),
        ({"jacobian": lambda x: 1.0}, TypeError, "returned a float"),
        ({"jacobian": laplace(N + 1)}, dm.LayoutError, "Jacobian"),
        ({"rtol": -1.0}, dm.SettingError, "rtol"),
        ({"lag_jacobian": 0}, dm.SettingError, "lag_jacobian"),
        ({"max_iterations": -1}, ValueError, "max_iterations"),
        ({"forcing": 2.0}, dm.SettingError, "forcing"),
        ({"monitor": lambda progress: "snapshot"}, ValueError, "snapshot"),
    ]:
        with pytest.raises(error, match=text):
            dm.newton(F, x0, **wrong)
    with pytest.raises(TypeError, match="x0 is a"):
        dm.newton(F, np.ones(N))
    with pytest.raises(ValueError, match="owned entries"):
        dm.newton(lambda x: np.ones(3 * N), x0)
    with pytest.raises(dm.SettingError, match="damping"):
        dm.anderson(F, x0, damping=0.0)
    if dm.world.size > 1:
        with pytest.raises(dm.RanksDisagreeError, match="rtol"):
            dm.newton(F, x0, rtol=1e-6 if dm.world.rank == 0 else 1e-8)
