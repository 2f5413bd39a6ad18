"""`newton`, `anderson` and `nonlinear_cg`: nonlinear systems ``F(x) = 0``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from . import _dolmen
from ._comm import count
from ._errors import NotConvergedError, make
from ._interrupt import delayed
from ._matrix import CsrMatrix
from ._operator import LinearOperator, aslinearoperator, filled
from ._report import table
from ._solve import projection_of
from ._vector import Vector, native_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: A function of a vector: it returns a `Vector`, or an array of the owned entries.
Function = Callable[[Vector], Any]
Monitor = Callable[[_dolmen.Progress], Any]


@dataclass(frozen=True, eq=False)
class NonlinearReport:
    """The outcome of a nonlinear solve. Only the time differs between the ranks.

    ``converged`` is true only if ``|F(x)|`` of the solution, computed afresh, meets the tolerance.
    """

    #: The method, and the reason why it stopped.
    method: str
    reason: str
    converged: bool
    iterations: int
    #: ``|F(x)|`` at the initial guess and after each iteration.
    history: NDArray[np.float64] = field(repr=False)
    #: The norm at or below which the solve was to stop.
    target: float
    #: ``|F(x)|`` of the solution, computed afresh at the end.
    residual: float
    #: The length of the last step.
    last_step: float
    #: Evaluations of the function, those for differences included.
    evaluations: int
    #: Jacobians computed, and preconditioners made of them.
    jacobians: int
    preconditioners: int
    #: Iterations of all linear solves, and solves that ended before their tolerance.
    linear_iterations: int
    linear_failures: int
    #: The error of a preconditioner that could not be made, which ended the solve.
    failure: str | None
    #: Wall time on this rank, in s.
    time: float
    #: The outcome in a line, and what to try.
    outcome: str = field(repr=False)
    explanation: str = field(repr=False)
    text: str = field(repr=False)

    def require_converged(self) -> NonlinearReport:
        """Return the report; raise `NotConvergedError` if the solve did not converge."""
        if not self.converged:
            raise make(NotConvergedError.__name__, self.outcome, "NotConverged", None, None)
        return self

    def __str__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return table(
            {
                "method": self.method,
                "outcome": self.outcome,
                "iterations": self.iterations,
                "|F(x)|": f"{self.residual:.3e}",
                "evaluations": self.evaluations,
                "time": f"{self.time:.3f} s",
            }
        )


def newton(
    F: Function,
    x0: Vector,
    jacobian: CsrMatrix | Callable[[Vector], Any] | None = None,
    *,
    approximation: CsrMatrix | Callable[[Vector], CsrMatrix] | None = None,
    linear: str = "gmres",
    preconditioner: Any = "auto",
    line_search: str = "cubic",
    trust_region: bool = False,
    radius: float | None = None,
    forcing: float | None = None,
    rtol: float = 1e-8,
    atol: float = 0.0,
    dtol: float = 1e5,
    max_iterations: int = 50,
    max_evaluations: int | None = None,
    max_linear_iterations: int = 1000,
    lag_jacobian: int = 1,
    lag_preconditioner: int = 1,
    null_space: str | Sequence[Vector] | None = None,
    monitor: Monitor | None = None,
) -> tuple[Vector, NonlinearReport]:
    """Solve ``F(x) = 0`` by Newton's method. Collective.

    Parameters
    ----------
    F : callable
        ``F(x)`` returns a `Vector`, or an array of its owned entries, on the layout of `x`. It is called on all ranks
        together and may communicate.
    x0 : Vector
        Initial guess. It is not changed.
    jacobian : callable or CsrMatrix, optional
        ``jacobian(x)`` returns the Jacobian at `x` as a `CsrMatrix` or a `LinearOperator`. A matrix in its place is the pattern
        of a Jacobian that is computed by differences, as many columns at once as have no row in common. Without it, products
        are differences of `F`: one evaluation each, and nothing is assembled.
    approximation : callable or CsrMatrix, optional
        A matrix for preconditioners, given as `jacobian` is, where that is an operator or None.
    linear : str
        The linear method, with settings in parentheses, and perhaps the preconditioner: ``"cg, multigrid"``.
    preconditioner : str or LinearOperator or callable
        A text, of which a preconditioner is made from each Jacobian, or an operator that serves for all. ``"auto"`` is
        what `linear` names, or else a complete factorization on one rank of a Jacobian that is a matrix, and none of others.
    line_search : {"cubic", "backtracking", "full"}
        How a part of each step is found that makes ``|F|`` smaller; ``"full"`` takes all of it.
    trust_region : bool
        Keep steps within a radius instead, on Powell's dogleg. The Jacobian has to be a matrix.
    radius : float, optional
        The first radius of the trust region; by default the length of the first Newton step.
    forcing : float, optional
        Relative tolerance of the linear solves; by default that of Eisenstat and Walker, which follows the progress.
    rtol, atol : float
        Stop at ``|F(x)| <= max(rtol |F(x0)|, atol)``.
    dtol : float
        Give up where ``|F(x)|`` exceeds ``dtol |F(x0)|``.
    max_iterations, max_linear_iterations : int
        Limits of the iterations, and of those of a linear solve.
    max_evaluations : int, optional
        Limit of the evaluations of `F`, those for differences included.
    lag_jacobian, lag_preconditioner : int
        Compute the Jacobian, or make the preconditioner, in every so many iterations only, and where a step fails.
    null_space : "constants" or sequence of Vector, optional
        The null space of the Jacobian, which is projected out.
    monitor : callable, optional
        ``monitor(progress)`` is called on all ranks with ``iteration``, ``residual``, ``target`` and ``limit``. It returns
        None to continue, True to stop.

    Returns
    -------
    x : Vector
        The solution, or the last point that was reached.
    report : NonlinearReport
        A solve that does not converge is no exception: see ``report.converged`` and ``report.require_converged()``.

    Notes
    -----
    An exception in a function on one rank is raised on all ranks, when all have ended their calls: a function that
    communicates must not raise before a message that others wait for. Functions get the same vector each time; copy what you
    keep of it.

    Examples
    --------
    >>> import dolmen as dm
    >>> A = dm.CsrMatrix.from_diagonals([-1, 2, -1], [-1, 0, 1], 100)
    >>> x, report = dm.newton(lambda x: A @ x + x**3 - 1, dm.zeros(100), A)
    >>> report.converged, report.jacobians == report.iterations
    (True, True)
    """
    guess = _guess(x0)
    if radius is not None and not trust_region:
        raise ValueError("radius goes with trust_region=True")
    _numbers({"max_linear_iterations": max_linear_iterations, "lag_jacobian": lag_jacobian, "lag_preconditioner": lag_preconditioner})
    fixed = preconditioner is not None and not isinstance(preconditioner, str)
    options = {
        "linear": linear,
        "settings": None if fixed or preconditioner == "auto" else ("none" if preconditioner is None else preconditioner),
        "line_search": line_search,
        "trust_region": bool(trust_region),
        "radius": radius,
        "forcing": forcing,
        "max_linear_iterations": max_linear_iterations,
        "lag_jacobian": lag_jacobian,
        "lag_preconditioner": lag_preconditioner,
        "projection": None if null_space is None else projection_of(LinearOperator.identity(x0.layout, x0.dtype), null_space),
    }
    limits = {"max_iterations": max_iterations, "max_evaluations": max_evaluations}
    with _common(x0, (rtol, atol, dtol), limits, preconditioner if fixed else None, monitor) as common:
        of_jacobian = _source(jacobian, x0)
        of_approximation = None if approximation is None else _source(approximation, x0)
        return _wrapped(*_dolmen.newton(filled(F), guess, of_jacobian, of_approximation, common, options))


def anderson(
    F: Function,
    x0: Vector,
    *,
    depth: int = 5,
    damping: float = 1.0,
    preconditioner: Any = None,
    rtol: float = 1e-8,
    atol: float = 0.0,
    dtol: float = 1e5,
    max_iterations: int = 1000,
    max_evaluations: int | None = None,
    monitor: Monitor | None = None,
) -> tuple[Vector, NonlinearReport]:
    """Solve ``F(x) = 0`` by Anderson mixing of ``x - damping M F(x)``. Collective.

    Parameters
    ----------
    F, x0, rtol, atol, dtol, max_iterations, max_evaluations, monitor
        As for `newton`. For a fixed point ``x = g(x)`` give ``F = lambda x: x - g(x)``.
    depth : int
        The number of earlier steps that are combined; 0 for the fixed-point iteration itself.
    damping : float
        Factor of each step.
    preconditioner : LinearOperator or callable, optional
        An operator `M` that approximates the inverse of the Jacobian.

    Returns
    -------
    x : Vector
    report : NonlinearReport

    Examples
    --------
    >>> import dolmen as dm
    >>> import numpy as np
    >>> x, report = dm.anderson(lambda x: x - np.cos(x), dm.ones(5))
    >>> report.converged, float(x.gather()[0].round(6))
    (True, 0.739085)
    """
    guess = _guess(x0)
    _numbers({"depth": depth})
    limits = {"max_iterations": max_iterations, "max_evaluations": max_evaluations}
    with _common(x0, (rtol, atol, dtol), limits, preconditioner, monitor) as common:
        return _wrapped(*_dolmen.anderson(filled(F), guess, common, depth, damping))


def nonlinear_cg(
    F: Function,
    x0: Vector,
    *,
    preconditioner: Any = None,
    rtol: float = 1e-8,
    atol: float = 0.0,
    dtol: float = 1e5,
    max_iterations: int = 10_000,
    max_evaluations: int | None = None,
    monitor: Monitor | None = None,
) -> tuple[Vector, NonlinearReport]:
    """Solve ``F(x) = 0``, where `F` is the gradient of a function with a minimum, by conjugate gradients. Collective.

    Parameters
    ----------
    F, x0, rtol, atol, dtol, max_iterations, max_evaluations, monitor
        As for `newton`.
    preconditioner : LinearOperator or callable, optional
        An operator that approximates the inverse of the Jacobian, Hermitian and positive definite.

    Returns
    -------
    x : Vector
    report : NonlinearReport

    Examples
    --------
    >>> import dolmen as dm
    >>> A = dm.CsrMatrix.from_diagonals([-1, 3, -1], [-1, 0, 1], 50)
    >>> x, report = dm.nonlinear_cg(lambda x: A @ x + x**3 - 1, dm.zeros(50))
    >>> report.converged, report.jacobians
    (True, 0)
    """
    guess = _guess(x0)
    limits = {"max_iterations": max_iterations, "max_evaluations": max_evaluations}
    with _common(x0, (rtol, atol, dtol), limits, preconditioner, monitor) as common:
        return _wrapped(*_dolmen.nonlinear_cg(filled(F), guess, common))


def _guess(x0: Any) -> _dolmen.Vector:
    return native_of(x0, "x0")


def _numbers(limits: dict[str, Any]) -> None:
    for name, value in limits.items():
        count(value, name)


@contextmanager
def _common(
    x0: Vector, tolerances: tuple[float, float, float], limits: dict[str, Any], preconditioner: Any, monitor: Monitor | None
) -> Iterator[dict[str, Any]]:
    """Yield the settings of all methods, while Ctrl-C is heard at the end of iterations."""
    _numbers({name: value for name, value in limits.items() if value is not None})
    given = None if preconditioner is None else aslinearoperator(preconditioner, x0.layout)
    common = {**dict(zip(("rtol", "atol", "dtol"), tolerances)), **limits, "preconditioner": None if given is None else given._native}
    if x0.comm.size == 1:
        yield {**common, "monitor": monitor}
        return
    with delayed(monitor) as heard:
        yield {**common, "monitor": heard}


def _source(jacobian: Any, x0: Vector) -> dict[str, Any]:
    """Return a Jacobian as the native functions take it. Collective: a function is called once, to see what it returns."""
    if jacobian is None:
        return {"kind": "free", "matrix": None, "function": None}
    if isinstance(jacobian, CsrMatrix):
        return {"kind": "colored", "matrix": jacobian._matrix, "function": None}
    with x0.comm.agreeing():
        if not callable(jacobian):
            raise TypeError(f"the Jacobian is a {type(jacobian).__name__}; expected a function of x, or a CsrMatrix for its pattern")
        first = _checked(jacobian(x0.copy()))
    # The first call of the solve is at the same point.
    kept = [first]

    def native(x: _dolmen.Vector) -> Any:
        made = kept.pop() if kept else _checked(jacobian(Vector._wrap(x)))
        if isinstance(first, CsrMatrix):
            if not isinstance(made, CsrMatrix):
                raise TypeError(f"the Jacobian was a CsrMatrix at x0, and is a {type(made).__name__} now; return the same each time")
            return made._matrix
        return made._native

    matrix = first._matrix if isinstance(first, CsrMatrix) else None
    return {"kind": "operator" if matrix is None else "matrix", "matrix": matrix, "function": native}


def _checked(jacobian: Any) -> LinearOperator:
    if not isinstance(jacobian, LinearOperator):
        raise TypeError(f"the function of the Jacobian returned a {type(jacobian).__name__}; expected a CsrMatrix or a LinearOperator")
    return jacobian


def _wrapped(x: _dolmen.Vector, report: _dolmen.NonlinearReport) -> tuple[Vector, NonlinearReport]:
    return Vector._wrap(x), NonlinearReport(**report.fields())
