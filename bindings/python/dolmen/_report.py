"""Results of solves."""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from . import _dolmen
from ._errors import NotConvergedError, make
from ._vector import Vector

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Attempt:
    """One way that was tried to solve a system, where the method was chosen from the matrix."""

    #: Method and preconditioner, as texts that `solve` reads.
    method: str
    preconditioner: str
    #: Reason for which it was tried.
    reason: str
    #: Outcome in one line.
    summary: str
    #: Time to make the preconditioner, in s.
    setup_time: float
    #: True if the solution is as good as asked for.
    solved: bool


@dataclass(frozen=True, eq=False)
class SolveReport:
    """The outcome of a solve. Only the time differs between the ranks.

    ``converged`` is true only if the residual of the solution, computed afresh, meets the tolerance.
    """

    #: The method, and the reason why it stopped.
    method: str
    reason: str
    converged: bool
    iterations: int
    #: Residual norms: the initial one and one for each iteration.
    history: NDArray[np.float64] = field(repr=False)
    #: The norm of `history` and `target`.
    norm: str
    rhs_norm: float
    #: The residual norm at or below which the solve was to stop.
    target: float
    #: ``|b - A x|``, computed afresh at the end.
    true_residual: float
    #: ``|b - A x| / |b|``.
    relative_residual: float
    #: ``|A.H (b - A x)|``, in least squares.
    normal_residual: float | None
    #: In least squares, the damping: residuals are then ``(|b - A x|^2 + damp^2 |x|^2)^(1/2)``, and `normal_residual` is
    #: ``|A.H (b - A x) - damp^2 x|``. Zero otherwise.
    damp: float
    #: True if equations had weights: ``b - A x`` and ``b`` are then ``W^(1/2) (b - A x)`` and ``W^(1/2) b``.
    weighted: bool
    #: Products with the operator, and with the preconditioner.
    applications: int
    preconditionings: int
    #: Wall time on this rank, in s.
    time: float
    #: The outcome in a line, and what to try.
    outcome: str = field(repr=False)
    explanation: str = field(repr=False)
    text: str = field(repr=False)
    #: All attempts, where the method was chosen from the matrix, and what was found out about that.
    attempts: tuple[Attempt, ...] = ()
    analysis: dict[str, Any] = field(default_factory=dict, repr=False)

    def require_converged(self) -> SolveReport:
        """Return the report; raise `NotConvergedError` if the solve did not converge."""
        if not self.converged:
            raise make(NotConvergedError.__name__, self.outcome, "NotConverged", None, None)
        return self

    def __str__(self) -> str:
        lines = [f"{number}. {attempt.summary}" for number, attempt in enumerate(self.attempts, 1)]
        return "\n".join([*lines[:-1], self.text]) if len(lines) > 1 else self.text

    def _repr_html_(self) -> str:
        return table(
            {
                "method": self.method,
                "outcome": self.outcome,
                "iterations": self.iterations,
                "|b - Ax| / |b|": f"{self.relative_residual:.3e}",
                "time": f"{self.time:.3f} s",
            }
        )


@dataclass(frozen=True, eq=False)
class EigenReport:
    """The outcome of a search for eigenvalues or singular values. Only the time differs between the ranks.

    ``converged`` is true only if all residuals, computed afresh, meet the tolerance.
    """

    #: The method, and the reason why it stopped.
    method: str
    reason: str
    converged: bool
    #: Iterations, or restarts of methods that restart.
    iterations: int
    #: For each value ``|A v - w M v| / |w M v|``, computed afresh at the end; for singular values the length of
    #: ``(A v - s u, A.H u - s v)``, divided by ``s``.
    residuals: NDArray[np.float64]
    #: For each value whether its residual is at most `tolerance`, or as small as rounding allows.
    is_converged: NDArray[np.bool_]
    tolerance: float
    #: Products with the matrices and with what stands for their inverses.
    applications: int
    #: Wall time on this rank, in s.
    time: float
    #: The outcome in a line, and what to try.
    outcome: str = field(repr=False)
    explanation: str = field(repr=False)
    text: str = field(repr=False)
    #: The method and the reason for it.
    why: str

    def require_converged(self) -> EigenReport:
        """Return the report; raise `NotConvergedError` if not all values are converged."""
        if not self.converged:
            raise make(NotConvergedError.__name__, self.outcome, "NotConverged", None, None)
        return self

    def __str__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return table(
            {
                "method": self.why,
                "outcome": self.outcome,
                "iterations": self.iterations,
                "largest residual": f"{max(self.residuals, default=0.0):.3e}",
                "time": f"{self.time:.3f} s",
            }
        )


def table(rows: dict[str, Any]) -> str:
    """Return names and values as a table in HTML."""
    cells = "".join(f"<tr><th>{html.escape(name)}</th><td>{html.escape(str(value))}</td></tr>" for name, value in rows.items())
    return f"<table>{cells}</table>"


class Snapshot(_dolmen.Owned):
    """The state of a solver after an iteration, from which ``solve(..., resume=snapshot)`` resumes with the same bits."""

    __slots__ = ()
    _native: _dolmen.Snapshot

    @classmethod
    def _wrap(cls, native: _dolmen.Snapshot) -> Snapshot:
        self = cls.__new__(cls)
        self._native = native
        return self

    @property
    def method(self) -> str:
        """The method whose state this is."""
        return self._native.method

    @property
    def integers(self) -> dict[str, int]:
        """Counters, such as ``iterations``."""
        return dict(self._native.integers)

    @property
    def reals(self) -> dict[str, list[float]]:
        """Scalars of the method."""
        return dict(self._native.reals)

    @property
    def vectors(self) -> dict[str, Vector]:
        """Copies of the vectors of the method, among them ``x``."""
        natives = {name: self._native.vector(name) for name in self._native.vector_names}
        return {name: Vector._wrap(native) for name, native in natives.items() if native is not None}

    def __repr__(self) -> str:
        return f"Snapshot({self.method}, {self.integers.get('iterations', 0)} iterations)"


def report_of(native: _dolmen.Report, **more: Any) -> SolveReport:
    """Return the report of a solve."""
    return SolveReport(**native.fields(), **more)
