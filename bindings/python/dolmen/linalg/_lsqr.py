"""LSQR with SciPy's arguments (Paige and Saunders, ACM TOMS 8 (1982) 43)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .._vector import Vector
from ._bidiagonal import Problem, State, rotation
from ._system import whole


def lsqr(
    A: Any,
    b: Any,
    damp: float = 0.0,
    atol: float = 1e-6,
    btol: float = 1e-6,
    conlim: float = 1e8,
    iter_lim: int | None = None,
    show: bool = False,
    calc_var: bool = False,
    x0: Any = None,
) -> tuple[Any, int, int, float, float, float, float, float, float, Any]:
    """Minimize ``|b - A x|^2 + damp^2 |x - x0|^2`` by LSQR, for an A of any shape. Collective.

    Parameters
    ----------
    A : matrix or operator
        As for `cg`, of any shape; an operator has ``rmatvec`` or an adjoint.
    b : Vector or array of shape (m,) or (m, 1)
    damp : float
        Damping.
    atol, btol : float
        Stop at ``|r| <= btol |b| + atol |A| |x|``, with ``r = b - A x``, or at ``|A.H r| <= atol |A| |r|``.
    conlim : float
        Stop where the estimate of the condition number exceeds it; 0 for no limit.
    iter_lim : int, optional
        Maximum number of iterations, ``2 n`` by default.
    show : bool
        Print the norms of each iteration on rank 0.
    calc_var : bool
        Estimate the diagonal of the inverse of ``A.H A + damp^2 I``.
    x0 : Vector or array, optional
        Initial guess, zero by default. It is not changed.

    Returns
    -------
    x : Vector or array of shape (n,)
        In double precision.
    istop : int
        0: x0 is exact; 1: ``A x = b`` is solved; 2: the least-squares problem is solved; 3: `conlim` is exceeded; 4, 5:
        as 1, 2, as far as rounding allows; 6: A is too ill-conditioned; 7: the iteration limit was reached.
    itn : int
        Number of iterations.
    r1norm, r2norm : float
        ``|r|``, and ``(|r|^2 + damp^2 |x - x0|^2)^(1/2)``, computed afresh.
    anorm, acond : float
        Estimates of the Frobenius norm and the condition number of A with the damping.
    arnorm, xnorm : float
        ``|A.H r - damp^2 (x - x0)|`` and ``|x|``, computed afresh.
    var : Vector or array of shape (n,)
        Zeros without `calc_var`.

    Examples
    --------
    >>> import dolmen as dm
    >>> from dolmen.linalg import lsqr
    >>> A = dm.CsrMatrix.from_coo([0, 1, 1, 2], [0, 0, 1, 1], 1.0, layout=3, domain=2)
    >>> x, istop, itn = lsqr(A, dm.array([1.0, 0.01, -1.0]))[:3]
    >>> x.gather().round(4), istop
    (array([ 1.0033, -0.9967]), 2)
    """
    problem = Problem(A, b, x0, damp, "lsqr" if show else "")
    columns = problem.A.shape[1]
    tolerances = problem.tolerances(atol, btol, conlim, 2 * columns if iter_lim is None else whole(iter_lim, "iter_lim"))
    run = _Lsqr(problem, calc_var)
    state = run.state
    stop = 0
    if problem.alpha * problem.beta > 0:
        problem.tell(state)
        while stop == 0 and state.iteration < tolerances.limit:
            run.step()
            problem.tell(state)
            stop = tolerances.verdict(state)
        stop = stop or 7
    stop, size = problem.conclude(state, stop, tolerances)
    give = problem.system.give
    variances = run.variances if run.variances is not None else Vector(problem.A.domain)
    return (
        give(problem.x),
        stop,
        state.iteration,
        size,
        state.residual,
        state.operator,
        state.condition,
        state.gradient,
        state.solution,
        give(variances),
    )


class _Lsqr:
    """The recurrence of LSQR."""

    def __init__(self, problem: Problem, variances: bool) -> None:
        self.problem = problem
        self.w = problem.v.copy()
        self.rho_bar, self.phi_bar = problem.alpha, problem.beta
        #: Squares of the part of the residual that damping leaves behind, of A, and of the directions.
        self.left = self.frobenius = self.directions = 0.0
        self.variances = Vector(problem.A.domain) if variances else None
        self.state = State(residual=problem.beta, gradient=problem.alpha * problem.beta)

    def step(self) -> None:
        """Make one iteration."""
        problem, damp = self.problem, self.problem.damp
        before = problem.alpha
        problem.advance()
        alpha, beta = problem.alpha, problem.beta
        self.frobenius += before**2 + beta**2 + damp**2
        c, s, rho_bar = rotation(self.rho_bar, damp)
        self.left += (s * self.phi_bar) ** 2
        self.phi_bar *= c
        c, s, rho = rotation(rho_bar, beta)
        theta, self.rho_bar = s * alpha, -c * alpha
        phi = c * self.phi_bar
        self.phi_bar *= s
        problem.x.axpy(phi / rho, self.w)
        self.directions += (self.w.norm() / rho) ** 2
        if self.variances is not None:
            self.variances.local[:] += np.abs(self.w.local / rho) ** 2
        self.w.axpby(1.0, problem.v, -theta / rho)
        self._measure(alpha * abs(s * phi))

    def _measure(self, gradient: float) -> None:
        state = self.state
        state.iteration += 1
        state.residual = math.sqrt(self.phi_bar**2 + self.left)
        state.gradient = gradient
        state.operator = math.sqrt(self.frobenius)
        state.condition = state.operator * math.sqrt(self.directions)
        state.solution = self.problem.x.norm()
