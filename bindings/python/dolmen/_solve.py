"""`solve`: linear systems and least squares, one right-hand side or several."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from numbers import Real
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from . import _dolmen
from ._interrupt import delayed
from ._matrix import CsrMatrix
from ._multi_vector import MultiVector
from ._operator import LinearOperator, aslinearoperator
from ._preconditioner import Preconditioner
from ._report import Attempt, Snapshot, SolveReport, report_of
from ._vector import Vector, native_of, random

if TYPE_CHECKING:
    from ._checkpoint import CheckpointStore

#: Iterations of a method that was named, unless told otherwise.
_MAX_ITERATIONS = 10_000
#: Options that the automatic choice does not take, with their defaults.
_SPECIAL = {"dtol": 1e5, "norm": "true", "fast": False, "projection": None}
_SPOKEN = {"projection": "null_space"}


V = TypeVar("V", Vector, MultiVector)


def solve(
    A: Any,
    b: V,
    x0: V | None = None,
    *,
    method: str | None = None,
    preconditioner: Any = "auto",
    rtol: float = 1e-8,
    atol: float = 0.0,
    max_iterations: int | None = None,
    dtol: float = 1e5,
    norm: str = "true",
    null_space: str | Sequence[Vector] | None = None,
    weights: Vector | None = None,
    fast: bool = False,
    monitor: Callable[[_dolmen.Progress], Any] | None = None,
    snapshots: Callable[[Snapshot], None] | None = None,
    snapshot_every: int = 0,
    checkpoint: CheckpointStore | str | os.PathLike[str] | None = None,
    every: str | float = "10m",
    resume: bool | Snapshot = False,
    config: str = "",
) -> tuple[V, Any]:
    """Solve ``A x = b``, or minimize ``|b - A x|``. Collective.

    Parameters
    ----------
    A : CsrMatrix, LinearOperator, or what `aslinearoperator` takes
    b : Vector or MultiVector
        Right-hand side; several of them are solved together by block CG.
    x0 : Vector or MultiVector, optional
        Initial guess, zero by default. It is not changed.
    method : str, optional
        A name, with settings in parentheses: ``"cg"``, ``"gmres(restart=50)"``, ``"lsqr(damp=0.1)"`` for
        ``min |b - A x|^2 + damp^2 |x|^2``; `methods` lists them. If it is None, or the
        preconditioner ``"auto"``, that is chosen from the matrix. If the choice fails, others are tried; ``report.attempts``
        lists them.
    preconditioner : str or LinearOperator or callable
        ``"auto"``, ``"none"``, a text such as ``"ilu(2)"`` (see `Preconditioner`), or an operator that approximates the
        inverse. ``"auto"`` means none if A is an operator, or if `dtol`, `norm`, `fast` or `null_space` is set.
    rtol, atol : float
        Stop at ``|b - A x| <= max(rtol |b|, atol)``.
    max_iterations : int, optional
        10000 for a method that is named. The choice limits work instead.
    dtol : float
        Give up where the residual exceeds ``dtol max(|b|, |r0|)``.
    norm : {"true", "preconditioned", "natural"}
        The norm of residuals in all of these.
    null_space : "constants" or sequence of Vector, optional
        The null space of a singular A, which is projected out.
    weights : Vector, optional
        Weights of the equations, real and not negative: minimizes ``|W^(1/2) (b - A x)|``, of which all norms are then.
    fast : bool
        Sum inner products in the order of the hardware: the last bits then depend on the number of ranks.
    monitor : callable, optional
        ``monitor(progress)`` is called on all ranks with ``iteration``, ``residual``, ``target`` and ``limit``.
        It returns None to continue, True to stop, or ``"snapshot"`` for one.
    snapshots : callable, optional
        Takes the snapshots that the monitor or `snapshot_every` asks for.
    snapshot_every : int
        Iterations between two snapshots.
    checkpoint : CheckpointStore or path, optional
        A folder in which the state is saved, from which a later run resumes with ``resume=True``, on any number of ranks,
        with the bits of a run that was not interrupted.
    every : str or float
        Time between two checkpoints: seconds, or ``"30s"``, ``"10m"``, ``"2h"``.
    resume : bool or Snapshot
        Resume from the newest checkpoint, if there is one; or from a snapshot.
    config : str
        A text that has to be the same when a run resumes. So do the method, the tolerances, b, and A if it is a matrix, of
        which norms are compared; name an operator of functions here.

    Returns
    -------
    x : Vector or MultiVector
    report : SolveReport, or a list of them for several right-hand sides
        A solve that does not converge is no exception: see ``report.converged`` and ``report.require_converged()``.

    Examples
    --------
    >>> import dolmen as dm
    >>> A = dm.CsrMatrix.from_diagonals([-1, 2, -1], [-1, 0, 1], 100)
    >>> x, report = dm.solve(A, dm.ones(100), method="minres", preconditioner="none")
    >>> report.iterations
    50
    """
    operator = A if isinstance(A, LinearOperator) else aslinearoperator(A, b.layout)
    operator, b = _promoted(operator, b)
    if weights is not None:
        operator, b = _weighted(operator, b, weights)
    if not isinstance(resume, (bool, np.bool_, Snapshot)):
        raise TypeError(f"resume={resume!r}: expected True, False or a Snapshot")
    if snapshot_every and snapshots is None:
        raise ValueError("snapshot_every needs snapshots=FUNCTION, which takes them")
    for name, value in (("rtol", rtol), ("atol", atol), ("dtol", dtol)):
        if not isinstance(value, Real):
            raise TypeError(f"{name}={value!r}: expected a number")
    if norm not in ("true", "preconditioned", "natural"):
        raise ValueError(f"norm={norm!r} is not known; use \"true\", \"preconditioned\" or \"natural\"")
    x = _guess(operator, b, x0)
    options = {
        "rtol": rtol,
        "atol": atol,
        "dtol": dtol,
        "norm": norm,
        "fast": fast,
        "max_iterations": max_iterations,
        "snapshots": None if snapshots is None else lambda native: snapshots(Snapshot._wrap(native)),
        "snapshot_every": snapshot_every if snapshots is not None else 0,
        "resume": resume._native if isinstance(resume, Snapshot) else None,
        "checkpoint": _checkpoint(checkpoint, every, not isinstance(resume, Snapshot) and bool(resume)),
        "projection": projection_of(operator, null_space),
        "preconditioner": None,
    }
    if options["checkpoint"] is not None:
        of_call = {"method": method, "preconditioner": preconditioner if isinstance(preconditioner, str) else "operator"}
        options["checkpoint"]["config"] = _config(operator, b, {**of_call, "rtol": rtol, "atol": atol, "norm": norm}, config)
    python = monitor is not None or snapshots is not None or is_python(operator) or is_python(preconditioner)
    with delayed(monitor) if python and operator.comm.size > 1 else nullcontext(monitor) as options["monitor"]:
        x, report = _dispatch(operator, b, x, method, preconditioner, max_iterations, options)
    return (x, report) if weights is None else (x, replace(report, weighted=True))


def is_python(operator: Any) -> bool:
    """Return True if Python functions may be called for an operator or a preconditioner."""
    return not (operator is None or isinstance(operator, (str, CsrMatrix, Preconditioner)))


def _dispatch(
    operator: LinearOperator, b: Any, x: Any, method: str | None, preconditioner: Any, max_iterations: int | None, options: dict[str, Any]
) -> tuple[Any, Any]:
    """Solve by the choice from the matrix, or by the method that is named; `x` becomes the solution."""
    automatic = isinstance(preconditioner, str) and preconditioner == "auto"
    # The choice does not know these: a method that is named gets no preconditioner then.
    special = [name for name, default in _SPECIAL.items() if options[name] != default]
    if isinstance(operator, CsrMatrix) and isinstance(b, Vector) and isinstance(x, Vector) and (method is None or (automatic and not special)):
        if special:
            raise ValueError(f"{_SPOKEN.get(special[0], special[0])} needs a named method: method=\"cg\", \"gmres\", ...")
        return x, _choose(operator, b, x, method, None if automatic else preconditioner, options)
    if method is None:
        method = "cg" if isinstance(b, MultiVector) else _need_method(operator)
    options["max_iterations"] = _MAX_ITERATIONS if max_iterations is None else max_iterations
    made = preconditioner_of(operator, "none" if automatic else preconditioner)
    options["preconditioner"] = None if made is None else made._native
    native = _dolmen.solve(operator._native, b._native, x._native, method, options)
    return x, ([report_of(one) for one in native] if isinstance(b, MultiVector) else report_of(native))


def _choose(
    A: CsrMatrix, b: Vector, x: Vector, method: str | None, preconditioner: Any, options: dict[str, Any]
) -> SolveReport:
    """Solve by the automatic choice; `x` becomes the solution."""
    if preconditioner is not None and not isinstance(preconditioner, str):
        raise ValueError("an operator as preconditioner needs a named method: method=\"cg\", \"gmres\", ...")
    solution = _dolmen.automatic(A._matrix, b._native, x._native, method, preconditioner, options)
    keys = ("method", "preconditioner", "reason", "summary", "setup_time", "solved")
    attempts = tuple(Attempt(**{key: attempt[key] for key in keys}) for attempt in solution["attempts"])
    kept = solution["attempts"][solution["kept"]]
    if kept["report"] is None:
        from ._errors import make

        raise make("SettingError", kept["summary"], "NotMade", None, None)
    fields = {**kept["report"].fields(), "converged": kept["solved"]}
    return SolveReport(**fields, attempts=attempts, analysis=solution["analysis"])


def _promoted(operator: LinearOperator, b: Any) -> tuple[LinearOperator, Any]:
    """Return operator and right-hand side of one dtype."""
    if not isinstance(b, (Vector, MultiVector)):
        raise TypeError(f"the right-hand side is a Vector or a MultiVector, got {type(b).__name__}; dolmen.array makes one")
    if operator.dtype == b.dtype:
        return operator, b
    dtype = np.result_type(operator.dtype, b.dtype)
    if operator.dtype != dtype:
        if not isinstance(operator, CsrMatrix):
            raise TypeError(f"the operator has dtype {operator.dtype}, the right-hand side {b.dtype}; give b.astype({str(operator.dtype)!r})")
        operator = operator.astype(dtype)
    if b.dtype != dtype:
        if isinstance(b, MultiVector):
            raise TypeError(f"the operator has dtype {operator.dtype}, the right-hand sides {b.dtype}; give them with dtype {operator.dtype}")
        b = b.astype(dtype)
    return operator, b


def _weighted(operator: LinearOperator, b: Any, weights: Vector) -> tuple[LinearOperator, Any]:
    """Return operator and right-hand side times the square roots of the weights. Collective."""
    with operator.comm.agreeing():
        if not isinstance(b, Vector):
            raise TypeError("weights go with one right-hand side, not several; solve for them one by one")
        local = native_of(weights, "weights").local
        bad = np.flatnonzero(~((np.real(local) >= 0) & np.isfinite(local) & (np.imag(local) == 0)))
        if len(bad):
            raise ValueError(f"the weight of row {weights.layout.rows()[bad[0]]} is {local[bad[0]]}, expected a real number of 0 or more")
    roots = Vector(weights.layout, b.dtype)
    roots.local[:] = np.sqrt(np.real(local))
    if isinstance(operator, CsrMatrix):
        operator = operator.copy()
        operator.scale_rows(roots)
    else:
        operator = LinearOperator.diagonal_of(roots) @ operator
    return operator, b * roots


def _guess(operator: LinearOperator, b: Any, x0: Any) -> Any:
    if x0 is None:
        if isinstance(b, MultiVector):
            return MultiVector(operator.domain, len(b), b.dtype)
        return Vector(operator.domain, b.dtype)
    with operator.comm.agreeing():
        if type(x0) is not type(b):
            raise TypeError(f"x0 is a {type(x0).__name__}, expected a {type(b).__name__} as the right-hand side is")
        if x0.dtype.kind == "c" and b.dtype.kind != "c":
            raise TypeError(f"x0 is complex and the system is real; give x0.real, or b in {x0.dtype}")
    return x0.copy() if x0.dtype == b.dtype else x0.astype(b.dtype)


def preconditioner_of(operator: LinearOperator, given: Any) -> LinearOperator | None:
    """Return the preconditioner of an argument: a text, or an operator."""
    if given is None or given == "none":
        return None
    if isinstance(given, str):
        if not isinstance(operator, CsrMatrix):
            raise TypeError(f"preconditioner={given!r} needs a matrix, and A is an operator; give an operator as preconditioner too")
        return Preconditioner(operator, given)
    return aslinearoperator(given, operator.domain)


def projection_of(operator: LinearOperator, null_space: Any) -> Any:
    """Return the native projection onto the complement of a null space, if one is given. Collective."""
    if null_space is None:
        return None
    if isinstance(null_space, str):
        if null_space != "constants":
            raise ValueError(f"null_space={null_space!r} is not known; use \"constants\" or vectors")
        null_space = []
    elif not null_space:
        return None
    layout = operator.domain._native
    return _dolmen.Operator.without(layout, operator._native.dtype, [vector._native for vector in null_space])


def _need_method(operator: LinearOperator) -> str:
    rows, columns = operator.shape
    names = "\"cg\", \"minres\", \"gmres\", \"bicgstab\"" if rows == columns else "\"lsmr\", \"lsqr\", \"cgls\""
    raise ValueError(f"A is an operator, from which no method can be chosen; give method={names}")


def _checkpoint(checkpoint: Any, every: str | float, resume: bool) -> dict[str, Any] | None:
    if checkpoint is None:
        if resume:
            raise ValueError("resume=True needs checkpoint=FOLDER, where the state of the earlier run is")
        return None
    folder = getattr(checkpoint, "folder", checkpoint)
    return {"folder": os.fspath(folder), "every": seconds(every), "config": "", "resume": resume}


def _config(operator: LinearOperator, b: Vector | MultiVector, settings: dict[str, Any], more: str) -> str:
    """Return the settings and sums on which the bits of a solve depend, as lines of a text. Collective.

    The sums of matrix and right-hand side have the same bits on any number of ranks. Functions are not called: the bits of what
    they return may depend on that number.
    """
    facts = {"shape of A": operator.shape, "dtype": operator._native.dtype, **settings}
    lines = [f"{name}: {json.dumps(value)}" for name, value in facts.items()]
    if isinstance(operator, CsrMatrix):
        product = operator.matvec(random(operator.domain, 1, dtype=operator.dtype))
        lines.append(f"A: |A| = {operator.norm()}, |A r| = {product.norm()} (r is random)")
    probe = random(operator.range, 1, dtype=b.dtype)
    columns = [b] if isinstance(b, Vector) else [b[column] for column in range(len(b))]
    lines += [f"b: |b| = {column.norm()}, (r, b) = {probe.dot(column)} (r is random)" for column in columns]
    return "\n".join([*lines, f"config: {json.dumps(more)}"])


def seconds(duration: str | float) -> float:
    """Return a duration in seconds: a number, or a text such as ``"30s"``, ``"10m"``, ``"2h"``, ``"1d"``."""
    if isinstance(duration, Real):
        value = float(duration)
    else:
        match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]*)?)\s*([smhd]?)\s*", str(duration))
        if match is None:
            raise ValueError(f"{duration!r} is no duration; use seconds, or \"30s\", \"10m\", \"2h\", \"1d\"")
        value = float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]]
    if not value > 0:
        raise ValueError(f"a duration of {duration} is not positive")
    return value
