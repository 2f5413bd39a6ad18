"""Common parts of `lsqr` and `lsmr`: the bidiagonalization, the tests to stop, the norms at the end.

Both minimize ``|b - A x|^2 + damp^2 |x - x0|^2``. The residual of that problem is ``(r, -damp (x - x0))`` with
``r = b - A x``, and its gradient ``A.H r - damp^2 (x - x0)``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._operator import LinearOperator
from .._vector import Vector
from ._system import System, any_system, require_finite, require_finite_operator

#: Meaning of `istop`, in SciPy's numbers.
REASONS = (
    "x0 is the exact solution",
    "A x = b is solved, to atol and btol",
    "the least-squares problem is solved, to atol",
    "the estimate of the condition number exceeds conlim",
    "|b - A x| is as small as rounding allows",
    "the gradient is as small as rounding allows",
    "the condition number is too large for these numbers",
    "the iteration limit was reached",
)
#: The largest number t for which 1 + t is 1.
_ROUNDING = float(np.finfo(np.float64).eps) / 2


@dataclass
class Tolerances:
    """Tolerances of a least-squares solve, with the norm of the right-hand side; SciPy's tests, in SciPy's order."""

    atol: float
    btol: float
    conlim: float
    limit: int
    rhs: float

    def verdict(self, state: State) -> int:
        """Return SciPy's `istop` for norms after an iteration; 0 to continue."""
        condition = state.condition
        if self.is_solved(state):
            return 1
        if self.is_minimal(state):
            return 2
        if self.conlim > 0 and condition >= self.conlim:
            return 3
        if state.residual <= _ROUNDING * (self.rhs + state.operator * state.solution):
            return 4
        if state.gradient <= _ROUNDING * state.operator * state.residual:
            return 5
        if condition >= 1.0 / _ROUNDING:
            return 6
        return 7 if state.iteration >= self.limit else 0

    def is_solved(self, state: State) -> bool:
        """Return True if the residual is small beside A, x and b."""
        return state.residual <= self.btol * self.rhs + self.atol * state.operator * state.solution

    def is_minimal(self, state: State) -> bool:
        """Return True if the gradient is small beside A and the residual."""
        return state.gradient <= self.atol * state.operator * state.residual


@dataclass
class State:
    """Norms after an iteration: of the residual, the gradient, A and x; the condition number of A."""

    iteration: int = 0
    residual: float = 0.0
    gradient: float = 0.0
    operator: float = 0.0
    condition: float = 0.0
    solution: float = 0.0


class Problem:
    """A damped least-squares problem, with the bidiagonalization of A that starts from its residual.

    Golub and Kahan, SIAM J. Numer. Anal. 2 (1965) 205, in the form of Paige and Saunders, ACM TOMS 8 (1982) 43.
    """

    def __init__(self, A: Any, b: Any, x0: Any, damp: float, show: str) -> None:
        self.system: System = any_system(A, b, x0)
        self.A: LinearOperator = self.system.operator
        self.b = self.system.b
        self.x = self.system.guess()
        self.damp = _number(damp, "damp")
        self.rhs = require_finite(self.b, "b")
        if self.system.x0 is not None:
            require_finite(self.system.x0, "x0")
        self.show = show if self.b.comm.rank == 0 else ""
        self.u = self.b.copy()
        if self.system.x0 is not None:
            self.u -= self.A.matvec(self.x)
        self.beta = _normalize(self.u)
        self.v = Vector(self.A.domain, self.A.dtype)
        if self.beta > 0:
            self.A.apply_adjoint(self.u, self.v)
        self.alpha = _normalize(self.v)
        self._require_finite()
        self._image = Vector(self.A.range, self.A.dtype)
        self._back = Vector(self.A.domain, self.A.dtype)

    def tolerances(self, atol: Any, btol: Any, conlim: Any, limit: int) -> Tolerances:
        """Return the tolerances of a solve; None is SciPy's default."""
        values = [1e-6 if atol is None else atol, 1e-6 if btol is None else btol, 1e8 if conlim is None else conlim]
        for name, value in zip(("atol", "btol", "conlim"), values):
            if not _number(value, name) >= 0:
                raise ValueError(f"{name}={value!r} is no tolerance; give a number of 0 or more")
        return Tolerances(float(values[0]), float(values[1]), float(values[2]), limit, self.rhs)

    def advance(self) -> None:
        """Compute the next ``beta u = A v - alpha u`` and ``alpha v = A.H u - beta v``."""
        self.A.apply(self.v, self._image)
        self.u.axpby(1.0, self._image, -self.alpha)
        self.beta = _normalize(self.u)
        self.A.apply_adjoint(self.u, self._back)
        self.v.axpby(1.0, self._back, -self.beta)
        self.alpha = _normalize(self.v)
        self._require_finite()

    def _require_finite(self) -> None:
        if not math.isfinite(self.alpha + self.beta):
            require_finite_operator(self.A, "A")
            raise OverflowError("norms of the products of A exceed the largest float64; scale A and b")

    def tell(self, state: State) -> None:
        """Print the norms of an iteration on rank 0, if that is asked for."""
        if self.show:
            print(
                f"{self.show} {state.iteration:6d}  |r| = {state.residual:.3e}  |A.H r| = {state.gradient:.3e}  "
                f"|A| = {state.operator:.1e}  cond(A) = {state.condition:.1e}"
            )

    def conclude(self, state: State, stop: int, tolerances: Tolerances) -> tuple[int, float]:
        """Replace the estimates of the norms by the truth; return `istop`, and ``|b - A x|``.

        Where the truth does not meet the tolerance that the estimates met, rounding is the reason: 4 in place of 1, 5 in
        place of 2.
        """
        residual = self.b - self.A.matvec(self.x)
        size = residual.norm()
        gradient = self.A.rmatvec(residual)
        moved = 0.0
        if self.damp:
            step = self.x if self.system.x0 is None else self.x - self.system.x0
            gradient.axpy(-(self.damp**2), step)
            moved = step.norm()
        state.residual = math.hypot(size, self.damp * moved)
        state.gradient = gradient.norm()
        state.solution = self.x.norm()
        if stop == 1 and not tolerances.is_solved(state):
            stop = 4
        elif stop == 2 and not tolerances.is_minimal(state):
            stop = 5
        if self.show:
            print(f"{self.show} {state.iteration:6d}  |r| = {state.residual:.3e}, computed afresh: {REASONS[stop]}")
        return stop, size


def _number(value: Any, name: str) -> float:
    """Return a finite or infinite number."""
    if not isinstance(value, (int, float, np.number)):
        raise TypeError(f"{name}={value!r}: expected a number")
    if np.isnan(value):
        raise ValueError(f"{name} is NaN; give a number")
    return float(value)


def rotation(a: float, b: float) -> tuple[float, float, float]:
    """Return c, s and r of the plane rotation that takes (a, b) to (r, 0)."""
    r = math.hypot(a, b)
    return (a / r, b / r, r) if r > 0 else (0.0, 0.0, 0.0)


def _normalize(x: Vector) -> float:
    """Normalize a vector and return its former norm; leave zero unchanged."""
    size = x.norm()
    if size > 0:
        x.scale(1.0 / size)
    return size
