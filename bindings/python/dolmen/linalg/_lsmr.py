"""LSMR with SciPy's arguments (Fong and Saunders, SIAM J. Sci. Comput. 33 (2011) 2950)."""

from __future__ import annotations

import math
from typing import Any

from .._vector import Vector
from ._bidiagonal import Problem, State, rotation
from ._system import whole


def lsmr(
    A: Any,
    b: Any,
    damp: float = 0.0,
    atol: float = 1e-6,
    btol: float = 1e-6,
    conlim: float = 1e8,
    maxiter: int | None = None,
    show: bool = False,
    x0: Any = None,
) -> tuple[Any, int, int, float, float, float, float, float]:
    """Minimize ``|b - A x|^2 + damp^2 |x - x0|^2`` by LSMR, for an A of any shape. Collective.

    The gradient falls in each iteration, so that stopping early is safer than with `lsqr`.

    Parameters
    ----------
    A, b, damp, atol, btol, conlim, show, x0
        As for `lsqr`.
    maxiter : int, optional
        Maximum number of iterations, ``min(m, n)`` by default.

    Returns
    -------
    x : Vector or array of shape (n,)
        In double precision.
    istop, itn : int
        As for `lsqr`.
    normr : float
        ``(|r|^2 + damp^2 |x - x0|^2)^(1/2)`` with ``r = b - A x``, computed afresh.
    normar : float
        ``|A.H r - damp^2 (x - x0)|``, computed afresh.
    norma, conda : float
        Estimates of the Frobenius norm and the condition number of A.
    normx : float
        ``|x|``.

    Examples
    --------
    >>> import dolmen as dm
    >>> from dolmen.linalg import lsmr
    >>> A = dm.CsrMatrix.from_coo([0, 1, 1, 2], [0, 0, 1, 1], 1.0, layout=3, domain=2)
    >>> x, istop, itn = lsmr(A, dm.array([1.0, 0.01, -1.0]))[:3]
    >>> x.gather().round(4), istop
    (array([ 1.0033, -0.9967]), 2)
    """
    problem = Problem(A, b, x0, damp, "lsmr" if show else "")
    tolerances = problem.tolerances(atol, btol, conlim, min(problem.A.shape) if maxiter is None else whole(maxiter, "maxiter"))
    run = _Lsmr(problem)
    state = run.state
    stop = 0
    if tolerances.rhs == 0.0:
        problem.x.fill(0.0)
    elif problem.alpha * problem.beta > 0:
        problem.tell(state)
        while stop == 0 and state.iteration < tolerances.limit:
            run.step()
            problem.tell(state)
            stop = tolerances.verdict(state)
        stop = stop or 7
    stop, _ = problem.conclude(state, stop, tolerances)
    return (
        problem.system.give(problem.x),
        stop,
        state.iteration,
        state.residual,
        state.gradient,
        state.operator,
        state.condition,
        state.solution,
    )


class _Lsmr:
    """The recurrence of LSMR, with the names of the paper."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.h = problem.v.copy()
        self.h_bar = Vector(problem.A.domain, problem.A.dtype)
        self.alpha_bar = problem.alpha
        self.rho = self.rho_bar = self.c_bar = 1.0
        self.s_bar = self.zeta = 0.0
        self.zeta_bar = problem.alpha * problem.beta
        # For the norm of the residual.
        self.beta_dd, self.rho_d = problem.beta, 1.0
        self.beta_d = self.tau_tilde = self.theta_tilde = self.left = 0.0
        # For the norm and the condition number of A.
        self.frobenius = problem.alpha**2
        self.largest, self.smallest = 0.0, math.inf
        self.state = State(
            residual=problem.beta, gradient=self.zeta_bar, operator=problem.alpha, condition=1.0, solution=problem.x.norm()
        )

    def step(self) -> None:
        """Make one iteration."""
        problem = self.problem
        problem.advance()
        alpha, beta = problem.alpha, problem.beta
        c_hat, s_hat, alpha_hat = rotation(self.alpha_bar, problem.damp)
        rho_before, rho_bar_before, zeta_before = self.rho, self.rho_bar, self.zeta
        c, s, self.rho = rotation(alpha_hat, beta)
        theta, self.alpha_bar = s * alpha, c * alpha
        theta_bar, along = self.s_bar * self.rho, self.c_bar * self.rho
        self.c_bar, self.s_bar, self.rho_bar = rotation(along, theta)
        self.zeta = self.c_bar * self.zeta_bar
        self.zeta_bar *= -self.s_bar
        self.h_bar.axpby(1.0, self.h, -theta_bar * self.rho / (rho_before * rho_bar_before))
        problem.x.axpy(self.zeta / (self.rho * self.rho_bar), self.h_bar)
        self.h.axpby(1.0, problem.v, -theta / self.rho)
        self._measure_residual((c_hat, s_hat), (c, s), theta_bar, zeta_before)
        self._measure_operator(rho_bar_before, along)

    def _measure_residual(
        self, hat: tuple[float, float], plain: tuple[float, float], theta_bar: float, zeta_before: float
    ) -> None:
        """Compute the norm of the residual (section 5.1)."""
        self.left += (hat[1] * self.beta_dd) ** 2
        beta_acute = hat[0] * self.beta_dd
        beta_hat = plain[0] * beta_acute
        self.beta_dd = -plain[1] * beta_acute
        theta_tilde_before = self.theta_tilde
        c_tilde, s_tilde, rho_tilde = rotation(self.rho_d, theta_bar)
        self.theta_tilde = s_tilde * self.rho_bar
        self.rho_d = c_tilde * self.rho_bar
        self.beta_d = c_tilde * beta_hat - s_tilde * self.beta_d
        self.tau_tilde = (zeta_before - theta_tilde_before * self.tau_tilde) / rho_tilde
        tau_d = (self.zeta - self.theta_tilde * self.tau_tilde) / self.rho_d
        self.state.residual = math.sqrt(self.left + (self.beta_d - tau_d) ** 2 + self.beta_dd**2)

    def _measure_operator(self, rho_bar_before: float, along: float) -> None:
        """Estimate the norm and the condition number of A (section 5.3 and 5.4), and measure x."""
        state, problem = self.state, self.problem
        state.iteration += 1
        state.operator = math.sqrt(self.frobenius + problem.beta**2)
        self.frobenius += problem.beta**2 + problem.alpha**2
        self.largest = max(self.largest, rho_bar_before)
        if state.iteration > 1:
            self.smallest = min(self.smallest, rho_bar_before)
        least = min(self.smallest, along)
        state.condition = max(self.largest, along) / least if least > 0 else math.inf
        state.gradient = abs(self.zeta_bar)
        state.solution = problem.x.norm()
