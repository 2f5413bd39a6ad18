"""Methods for square systems, with SciPy's arguments: `cg`, `bicgstab`, `minres`, `gmres`."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import _dolmen
from .._comm import Comm
from .._operator import LinearOperator as DistributedOperator
from .._report import Snapshot, SolveReport
from .._solve import solve
from .._vector import Vector
from ._system import System, require_finite, require_finite_operator, square_system, whole

#: Reasons to stop that SciPy's `bicgstab` reports as a breakdown, and its number for them.
_BREAKDOWN = -10


def cg(
    A: Any,
    b: Any,
    x0: Any = None,
    *,
    rtol: float = 1e-5,
    atol: float = 0.0,
    maxiter: int | None = None,
    M: Any = None,
    callback: Callable[[Any], Any] | None = None,
) -> tuple[Any, int]:
    """Solve ``A x = b`` by conjugate gradients, for a Hermitian positive definite A. Collective.

    Parameters
    ----------
    A : matrix or operator
        Distributed: a `dolmen.CsrMatrix`, an operator of dolmen, or an object with ``shape`` and ``matvec``.
        Plain: a sparse matrix of SciPy, an array, or an operator on arrays.
    b : Vector or array
        Right-hand side; an array has shape (n,) or (n, 1).
    x0 : Vector or array or "Mb", optional
        Initial guess, zero by default; ``"Mb"`` is the product of M and b. It is not changed.
    rtol, atol : float
        Stop at ``|b - A x| <= max(rtol |b|, atol)``.
    maxiter : int, optional
        Maximum number of iterations, ``10 n`` by default.
    M : matrix or operator, optional
        An approximation of the inverse of A, Hermitian positive definite.
    callback : callable, optional
        ``callback(xk)`` is called after each iteration with a copy of the solution so far.

    Returns
    -------
    x : Vector or array of shape (n,)
    info : int
        0 if the residual, computed afresh, meets the tolerance; otherwise the number of iterations, at least 1.

    Examples
    --------
    >>> import dolmen as dm
    >>> from dolmen.linalg import cg
    >>> A = dm.CsrMatrix.from_diagonals([-1, 2, -1], [-1, 0, 1], 100)
    >>> x, info = cg(A, dm.ones(100), rtol=1e-8, M=dm.Preconditioner(A, "jacobi"))
    >>> info
    0
    """
    system = square_system(A, b, M, x0)
    limit = _limit(maxiter, 10 * system.b.size)
    x, report = _iterate("cg", system, rtol, atol, limit, _each_iterate(system, callback))
    return system.give(x), _info(report)


def bicgstab(
    A: Any,
    b: Any,
    x0: Any = None,
    *,
    rtol: float = 1e-5,
    atol: float = 0.0,
    maxiter: int | None = None,
    M: Any = None,
    callback: Callable[[Any], Any] | None = None,
) -> tuple[Any, int]:
    """Solve ``A x = b`` by the stabilized biconjugate gradients, for any square A. Collective.

    Parameters
    ----------
    A, b, x0, rtol, atol, maxiter, M, callback
        As for `cg`, but A and M need not be Hermitian.

    Returns
    -------
    x : Vector or array of shape (n,)
    info : int
        0 if the residual, computed afresh, meets the tolerance; -10 if the method broke down and starting again did not
        help; otherwise the number of iterations, at least 1.

    Examples
    --------
    >>> import dolmen as dm
    >>> from dolmen.linalg import bicgstab
    >>> A = dm.CsrMatrix.from_diagonals([-1, 3, -0.5], [-1, 0, 1], 100)
    >>> bicgstab(A, dm.ones(100))[1]
    0
    """
    system = square_system(A, b, M, x0)
    limit = _limit(maxiter, 10 * system.b.size)
    x, report = _iterate("bicgstab", system, rtol, atol, limit, _each_iterate(system, callback))
    broke = report is not None and report.reason == "Breakdown"
    return system.give(x), _BREAKDOWN if broke else _info(report)


def minres(
    A: Any,
    b: Any,
    x0: Any = None,
    *,
    rtol: float = 1e-5,
    shift: float = 0.0,
    maxiter: int | None = None,
    M: Any = None,
    callback: Callable[[Any], Any] | None = None,
    show: bool = False,
    check: bool = False,
) -> tuple[Any, int]:
    """Solve ``(A - shift I) x = b`` by the minimum residual method, for a Hermitian A. Collective.

    Parameters
    ----------
    A, b, x0, M, callback
        As for `cg`, but A may be indefinite or singular.
    rtol : float
        Stop at ``|b - A x| <= rtol |b|``.
    shift : float
        A number that is subtracted from the diagonal of A.
    maxiter : int, optional
        Maximum number of iterations, ``5 n`` by default.
    show : bool
        Print the residual of each iteration on rank 0.
    check : bool
        Raise a `ValueError` if A or M is not Hermitian, by two products of each with random vectors.

    Returns
    -------
    x : Vector or array of shape (n,)
    info : int
        0 if the residual, computed afresh, meets the tolerance; otherwise the number of iterations, at least 1. SciPy's
        is 0 as well for a least-squares solution of a singular system without a solution.

    Examples
    --------
    >>> import dolmen as dm
    >>> from dolmen.linalg import minres
    >>> A = dm.CsrMatrix.from_diagonals([-1, 2, -1], [-1, 0, 1], 100)
    >>> minres(A, dm.ones(100), shift=0.5)[1]
    0
    """
    system = square_system(A, b, M, x0)
    if shift:
        eye = DistributedOperator.identity(system.operator.domain, system.b.dtype)
        system.operator = system.operator - eye * shift
    if check:
        _require_hermitian(system.operator, "A")
        if system.preconditioner is not None:
            _require_hermitian(system.preconditioner, "M")
    limit = _limit(maxiter, 5 * system.b.size)
    watch = _each_iterate(system, callback)
    if show:
        watch["monitor"] = shown("minres", "|b - A x|", system.b.comm)
    x, report = _iterate("minres", system, rtol, 0.0, limit, watch)
    if report is not None and report.reason in ("IndefinitePreconditioner", "PreconditionerNotHermitian", "NotHermitian"):
        what = "A is not Hermitian" if report.reason == "NotHermitian" else "M is not Hermitian positive definite"
        raise ValueError(f"minres stopped after {report.iterations} iterations: {what}, as the method needs it; use gmres")
    return system.give(x), _info(report)


def gmres(
    A: Any,
    b: Any,
    x0: Any = None,
    *,
    rtol: float = 1e-5,
    atol: float = 0.0,
    restart: int | None = None,
    maxiter: int | None = None,
    M: Any = None,
    callback: Callable[[Any], Any] | None = None,
    callback_type: str | None = None,
) -> tuple[Any, int]:
    """Solve ``A x = b`` by restarted GMRES, for any square A. Collective.

    The preconditioner stands on the right, so that the residual that is minimized is that of ``A x = b``.

    Parameters
    ----------
    A, b, x0, rtol, atol
        As for `cg`, but A need not be Hermitian.
    restart : int, optional
        Iterations of a cycle, for each of which a vector is kept; 20 by default.
    maxiter : int, optional
        Maximum number of cycles, ``10 n`` by default; with ``callback_type="legacy"`` of iterations.
    M : matrix or operator, optional
        An approximation of the inverse of A.
    callback : callable, optional
        Called as `callback_type` says.
    callback_type : {"x", "pr_norm", "legacy"}, optional
        ``"x"``: ``callback(xk)`` after each cycle. ``"pr_norm"``: ``callback(norm)`` after each iteration, with
        ``|b - A x| / |b|``. ``"legacy"``, the default: as ``"pr_norm"``, and `maxiter` counts iterations.

    Returns
    -------
    x : Vector or array of shape (n,)
    info : int
        0 if the residual, computed afresh, meets the tolerance; otherwise the number of cycles (of iterations with
        ``"legacy"``), at least 1.

    Examples
    --------
    >>> import dolmen as dm
    >>> from dolmen.linalg import gmres
    >>> A = dm.CsrMatrix.from_diagonals([-1, 3, -0.5], [-1, 0, 1], 100)
    >>> norms = []
    >>> x, info = gmres(A, dm.ones(100), callback=norms.append, callback_type="pr_norm")
    >>> info, norms[-1] <= 1e-5
    (0, True)
    """
    kind = _callback_type(callback, callback_type)
    system = square_system(A, b, M, x0)
    size = system.b.size
    cycle = max(1, min(20 if restart is None else whole(restart, "restart"), size))
    cycles = _limit(maxiter, 10 * size)
    legacy = kind == "legacy" and callback is not None
    watch: dict[str, Any] = {}
    last = 0

    def at_restart(snapshot: Snapshot) -> None:
        nonlocal last
        last = snapshot.integers["iterations"]
        _call(callback, system, snapshot)

    if callback is not None and kind == "x":
        watch = {"snapshots": at_restart, "snapshot_every": cycle}
    elif callback is not None:
        watch = {"monitor": _each_norm(callback, system.b.norm())}
    limit = cycles if legacy else cycles * cycle
    x, report = _iterate(f"gmres(restart={cycle})", system, rtol, atol, limit, watch)
    if "snapshots" in watch and callback is not None and report is not None and report.iterations > last:
        callback(system.give(x.copy()))
    info = _info(report)
    return system.give(x), info if legacy else -(-info // cycle)


def _callback_type(callback: Any, callback_type: str | None) -> str:
    if callback_type is None:
        if callback is not None:
            text = (
                "gmres was called without specifying `callback_type`: the callback gets norms, and maxiter counts "
                'iterations. Give callback_type="legacy" to keep that, or "pr_norm" or "x"'
            )
            warnings.warn(text, DeprecationWarning, stacklevel=3)
        return "legacy"
    if callback_type not in ("x", "pr_norm", "legacy"):
        raise ValueError(f'callback_type={callback_type!r} is not known; give "x", "pr_norm" or "legacy"')
    return callback_type


def _iterate(
    method: str, system: System, rtol: float, atol: float, limit: int, watch: dict[str, Any]
) -> tuple[Vector, SolveReport | None]:
    """Solve a system; without a report where no iteration is needed to meet the tolerance."""
    size = require_finite(system.b, "b")
    target = _target(size, rtol, atol)
    if system.x0 is not None:
        require_finite(system.x0, "x0")
    if size == 0.0:
        return Vector(system.operator.domain, system.b.dtype), None
    guess = system.guess()
    if math.isinf(target):
        return guess, None
    none: Any = "none"
    x, report = solve(
        system.operator,
        system.b,
        guess,
        method=method,
        preconditioner=none if system.preconditioner is None else system.preconditioner,
        rtol=0.0,
        atol=target,
        dtol=math.inf,
        max_iterations=limit,
        **watch,
    )
    if report.reason == "NotFinite" or not math.isfinite(report.true_residual):
        require_finite_operator(system.operator, "A")
        if system.preconditioner is not None:
            require_finite_operator(system.preconditioner, "M")
    return x, report


def _target(size: float, rtol: float, atol: Any) -> float:
    """Return the norm at or below which a residual is small enough."""
    for name, value in (("rtol", rtol), ("atol", atol)):
        # SciPy raises ValueError for texts and None too.
        if not isinstance(value, (int, float, np.number)) or not value >= 0:
            raise ValueError(f"{name}={value!r} is no tolerance; give a number of 0 or more")
    return max(float(rtol) * size if size else 0.0, float(atol))


def _limit(maxiter: int | None, default: int) -> int:
    return default if maxiter is None else max(0, whole(maxiter, "maxiter"))


def _info(report: SolveReport | None) -> int:
    return 0 if report is None or report.converged else max(1, report.iterations)


def _each_iterate(system: System, callback: Callable[[Any], Any] | None) -> dict[str, Any]:
    """Return the settings of a solve that calls a function with each iterate."""
    if callback is None:
        return {}
    return {"snapshots": lambda snapshot: _call(callback, system, snapshot), "snapshot_every": 1}


def _call(callback: Any, system: System, snapshot: Snapshot) -> None:
    x = snapshot._native.vector("x")
    if x is not None:
        callback(system.give(Vector._wrap(x)))


def _each_norm(callback: Callable[[np.float64], Any], size: float) -> Callable[[_dolmen.Progress], None]:
    def monitor(progress: _dolmen.Progress) -> None:
        if progress.iteration > 0:
            callback(np.float64(progress.residual / size))

    return monitor


def shown(name: str, residual: str, comm: Comm) -> Callable[[_dolmen.Progress], None]:
    """Return a monitor that prints on rank 0."""

    def monitor(progress: _dolmen.Progress) -> None:
        print(f"{name} {progress.iteration:6d}  {residual} = {progress.residual:.3e}, to be at most {progress.target:.3e}")

    return monitor if comm.rank == 0 else lambda progress: None


def _require_hermitian(operator: DistributedOperator, name: str) -> None:
    x, y = (Vector(operator.domain, operator.dtype) for _ in range(2))
    x.fill_random(5, 0, normal=True)
    y.fill_random(5, 1, normal=True)
    image_x, image_y = operator.matvec(x), operator.matvec(y)
    size = image_x.norm() * y.norm() + x.norm() * image_y.norm()
    if abs(image_x.dot(y) - x.dot(image_y)) > np.finfo(operator.dtype).eps ** 0.75 * size:
        raise ValueError(f"{name} is not Hermitian: <{name} u, v> and <u, {name} v> differ for random vectors; use gmres")
