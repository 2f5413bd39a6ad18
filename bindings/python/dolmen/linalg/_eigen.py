"""Eigenvalues and singular values with SciPy's arguments: `eigsh`, `eigs`, `svds`, `lobpcg`."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from .. import _eigen
from .._errors import NotConvergedError
from .._matrix import CsrMatrix
from .._multi_vector import MultiVector
from .._operator import LinearOperator as DistributedOperator
from .._report import EigenReport
from ._krylov import shown
from ._operator import LinearOperator
from ._problem import Problem, problem_of
from ._system import floating, require_shape, whole

#: Iterations of `lobpcg`, unless told otherwise.
_LOBPCG_ITERATIONS = 20
#: Power of machine precision at or below which residuals that do not become smaller are small enough for a tolerance of 0.
_ROUNDED = 2 / 3


class ArpackNoConvergence(NotConvergedError, RuntimeError):
    """A search that ended before all eigenvalues had converged. The name is SciPy's.

    Attributes
    ----------
    eigenvalues : ndarray
        Those that are converged.
    eigenvectors : MultiVector or array
        Their eigenvectors.
    """

    kind = "NotConverged"

    def __init__(self, text: str, eigenvalues: Any = (), eigenvectors: Any = None) -> None:
        super().__init__(text)
        self.eigenvalues, self.eigenvectors = eigenvalues, eigenvectors


def eigsh(
    A: Any,
    k: int = 6,
    M: Any = None,
    sigma: float | None = None,
    which: str = "LM",
    v0: Any = None,
    ncv: int | None = None,
    maxiter: int | None = None,
    tol: float = 0,
    return_eigenvectors: bool = True,
    Minv: Any = None,
    OPinv: Any = None,
    mode: str = "normal",
    rng: Any = None,
) -> Any:
    """Find a few eigenvalues of a Hermitian problem, ``A v = w v`` or ``A v = w M v``. Collective.

    Parameters
    ----------
    A : matrix or operator
        Distributed: a `dolmen.CsrMatrix`, an operator of dolmen, or an object with ``shape`` and ``matvec``, of which `v0`
        tells the distribution. Plain: a sparse matrix of SciPy, an array, or an operator on arrays.
    k : int
        Number of eigenvalues.
    M : matrix or operator, optional
        Hermitian and positive semidefinite.
    sigma : float, optional
        Find the eigenvalues nearest to this number.
    which : {"LM", "SM", "LA", "SA"}
        Those of largest or smallest magnitude, or the largest or smallest ones.
    v0 : Vector or array, optional
        A `Vector` tells the distribution of the vectors. The search starts from random vectors, which are the same in each run.
    ncv : int, optional
        Vectors of the basis, where A is an operator.
    maxiter : int, optional
        Maximum number of restarts, ``10 n`` by default.
    tol : float
        Relative tolerance of residuals; 0 means as small as rounding allows.
    return_eigenvectors : bool
        Return the eigenvectors too.
    Minv : operator, optional
        Solves with M, where M is an operator and `sigma` is not given.
    OPinv : operator, optional
        Solves with ``A - sigma M``, where A is an operator.
    mode : {"normal"}
    rng : optional
        Accepted for compatibility, without effect.

    Returns
    -------
    w : ndarray of shape (k,)
        Eigenvalues, ascending.
    v : MultiVector, or array of shape (n, k)
        Orthonormal eigenvectors, in the inner product of M.

    Raises
    ------
    ArpackNoConvergence
        The search ended early. It has the eigenvalues and eigenvectors that are converged.
    SingularError
        A or M is not Hermitian.

    Examples
    --------
    >>> import dolmen as dm
    >>> from dolmen.linalg import eigsh
    >>> A = dm.CsrMatrix.from_diagonals([-1, 2, -1], [-1, 0, 1], 100)
    >>> w, v = eigsh(A, 3, which="LA")
    >>> w.round(3)
    array([3.991, 3.996, 3.999])
    """
    if mode != "normal":
        raise ValueError(f'mode={mode!r} is not known; give "normal"')
    problem = problem_of(A, M, v0)
    mass = problem.operator(M, "M")
    arguments = _arguments(problem, mass, k, sigma, which, ncv, maxiter, tol, Minv, OPinv)
    w, vectors, report = _eigen.eigsh(problem.A, **arguments)
    order = np.argsort(w, kind="stable")
    w = problem.real(w)
    _require_converged(problem, report, tol, order, w, vectors)
    return (w[order], problem.give(vectors, order)) if return_eigenvectors else w[order]


def eigs(
    A: Any,
    k: int = 6,
    M: Any = None,
    sigma: complex | None = None,
    which: str = "LM",
    v0: Any = None,
    ncv: int | None = None,
    maxiter: int | None = None,
    tol: float = 0,
    return_eigenvectors: bool = True,
    Minv: Any = None,
    OPinv: Any = None,
    OPpart: str | None = None,
    rng: Any = None,
) -> Any:
    """Find a few eigenvalues of any square problem, ``A v = w v`` or ``A v = w M v``. Collective.

    Parameters
    ----------
    A, k, v0, ncv, maxiter, tol, return_eigenvectors, Minv, OPinv, rng
        As for `eigsh`, but A need not be Hermitian.
    M : matrix or operator, optional
    sigma : complex, optional
        Find the eigenvalues nearest to this number.
    which : {"LM", "SM", "LR", "SR", "LI"}
        Those of largest or smallest magnitude, of largest or smallest real part, or of largest imaginary part; of a real A
        by its absolute value.
    OPpart : {None, "r"}

    Returns
    -------
    w : ndarray of k complex numbers
        Eigenvalues, the most wanted first.
    v : MultiVector, or array of shape (n, k)
        Eigenvectors of length one.

    Raises
    ------
    ArpackNoConvergence
        The search ended early. It has the eigenvalues and eigenvectors that are converged.

    Examples
    --------
    >>> import numpy as np
    >>> from dolmen.linalg import eigs
    >>> eigs(np.array([[0.0, 1.0], [-1.0, 0.0]]), 2)[0].round(12)
    array([0.+1.j, 0.-1.j])
    """
    if OPpart not in (None, "r"):
        raise ValueError(f"OPpart={OPpart!r} is not known; give None: the eigenvalues nearest to sigma are found")
    problem = problem_of(A, M, v0, None if sigma is None or np.imag(sigma) == 0 else complex)
    mass = problem.operator(M, "M")
    arguments = _arguments(problem, mass, k, sigma, which, ncv, maxiter, tol, Minv, OPinv)
    w, vectors, report = _eigen.eigs(problem.A, **arguments)
    order = np.arange(len(w))[: arguments["k"]]
    w = w.astype(vectors.dtype)
    _require_converged(problem, report, tol, order, w, vectors)
    return (w[order], problem.give(vectors, order)) if return_eigenvectors else w[order]


def svds(
    A: Any,
    k: int = 6,
    ncv: int | None = None,
    tol: float = 0,
    which: str = "LM",
    v0: Any = None,
    maxiter: int | None = None,
    return_singular_vectors: bool | str = True,
    solver: str = "arpack",
    rng: Any = None,
    options: dict[str, Any] | None = None,
    *,
    random_state: Any = None,
) -> Any:
    """Find a few singular values. Collective.

    Parameters
    ----------
    A, k, ncv, tol, rng
        As for `eigsh`, but A has any shape. An operator has an ``rmatvec``. A distributed one is an operator of dolmen.
    which : {"LM", "SM"}
        The largest or the smallest.
    v0
        Accepted for compatibility, without effect.
    maxiter : int, optional
        Maximum number of restarts, 10 times the smaller side by default.
    return_singular_vectors : {True, False, "u", "vh"}
        Return all vectors, none, or the left or right ones with None for the others.
    solver, options, random_state
        Accepted for compatibility, without effect: the method is Golub-Kahan, and LAPACK for small matrices.

    Returns
    -------
    u : MultiVector, or array of shape (m, k)
        Left singular vectors.
    s : ndarray of shape (k,)
        Singular values, ascending.
    vh : MultiVector, or array of shape (k, n)
        Right singular vectors, conjugated as rows of an array. The columns of a MultiVector are the vectors themselves.

    Raises
    ------
    ArpackNoConvergence
        The search ended early. Its ``eigenvalues`` are the singular values that are converged, its ``eigenvectors`` the
        right vectors.

    Examples
    --------
    >>> import numpy as np
    >>> from dolmen.linalg import svds
    >>> svds(np.diag([3.0, 1.0, 2.0]), 2)[1]
    array([2., 3.])
    """
    if solver not in ("arpack", "lobpcg", "propack"):
        raise ValueError(f'solver={solver!r} is not known; give "arpack", "lobpcg" or "propack"')
    if return_singular_vectors not in (True, False, "u", "vh"):
        raise ValueError(f'return_singular_vectors={return_singular_vectors!r} is not known; give True, False, "u" or "vh"')
    problem = problem_of(A, None, None, square=False)
    limit = 10 * min(problem.A.shape) if maxiter is None else _positive(maxiter, "maxiter")
    rtol, basis = _tolerance(tol, problem.A.dtype), _basis(ncv, problem, None)
    left, values, right, report = _eigen.svds(
        problem.A, _positive(k, "k"), which=which, basis=basis, rtol=rtol, max_iterations=limit
    )
    order = np.argsort(values, kind="stable")
    values = problem.real(values)
    _require_converged(problem, report, tol, order, values, right)
    if return_singular_vectors is False:
        return values[order]
    u = None if return_singular_vectors == "vh" else problem.give(left, order)
    v = None if return_singular_vectors == "u" else problem.give(right, order)
    return u, values[order], v.conj().T if problem.plain and v is not None else v


def lobpcg(
    A: Any,
    X: Any,
    B: Any = None,
    M: Any = None,
    Y: Any = None,
    tol: float | None = None,
    maxiter: int | None = None,
    largest: bool = True,
    verbosityLevel: int = 0,
    retLambdaHistory: bool = False,
    retResidualNormsHistory: bool = False,
    restartControl: int = 20,
) -> tuple[Any, Any]:
    """Find the largest or smallest eigenvalues of ``A v = w v`` or ``A v = w B v`` by LOBPCG. Collective.

    Parameters
    ----------
    A : matrix or operator, or callable
        Hermitian. As for `eigsh`; a callable takes and returns a `Vector`, or an array of shape (n, 1).
    X : MultiVector, or array of shape (n, k)
        Vectors to start from, as many as are wanted.
    B : matrix, operator or callable, optional
        Hermitian and positive definite.
    M : matrix, operator or callable, optional
        An approximation of the inverse of A.
    Y, retLambdaHistory, retResidualNormsHistory
        None and False: there are neither constraints nor histories.
    tol : float, optional
        Stop at ``|A v - w B v| <= tol |w B v|``; the root of machine precision by default.
    maxiter : int, optional
        Maximum number of iterations, 20 by default.
    largest : bool
        Find the largest eigenvalues, or else the smallest.
    verbosityLevel : int
        Print the iterations on rank 0, if it is not 0.
    restartControl : int
        Accepted for compatibility, without effect.

    Returns
    -------
    w : ndarray of shape (k,)
        Eigenvalues, the largest or the smallest first.
    v : MultiVector, or array of shape (n, k)

    Warns
    -----
    UserWarning
        The tolerance was not met.

    Examples
    --------
    >>> import dolmen as dm
    >>> from dolmen.linalg import lobpcg
    >>> A = dm.CsrMatrix.from_diagonals([-1, 2, -1], [-1, 0, 1], 100)
    >>> X = dm.MultiVector.from_vectors([dm.random(100, seed) for seed in (1, 2)])
    >>> w, v = lobpcg(A, X, M=dm.Preconditioner(A, "ic"), largest=False)
    >>> w.round(5)
    array([0.00097, 0.00387])
    """
    if Y is not None:
        raise ValueError("Y is given, and constraints are not supported; project them out of A, or ask for more eigenvalues")
    if retLambdaHistory or retResidualNormsHistory:
        raise ValueError("there are no histories to return; dolmen.eigsh(A, method=\"lobpcg\", monitor=FUNCTION) tells residuals")
    block = X if isinstance(X, MultiVector) else np.asarray(X)
    require_shape(block, "X")
    rows, columns = block.shape
    given = [_called(one, rows, block) for one in (A, B, M)]
    layout = block.layout if isinstance(block, MultiVector) else None
    problem = problem_of(given[0], given[1], layout, block.dtype)
    start = MultiVector(problem.A.domain, columns, problem.A.dtype)
    start.local[...] = block.local if isinstance(block, MultiVector) else block
    mass = problem.operator(given[1], "B")
    w, vectors, report = _eigen.eigsh(
        problem.A,
        columns,
        which="LA" if largest else "SA",
        mass=mass,
        preconditioner=problem.operator(given[2], "M"),
        start=start,
        method="lobpcg",
        rtol=float(np.sqrt(np.finfo(problem.A.dtype).eps)) if tol is None else _tolerance(tol, problem.A.dtype),
        max_iterations=_LOBPCG_ITERATIONS if maxiter is None else whole(maxiter, "maxiter"),
        monitor=shown("lobpcg", "largest relative residual", problem.A.comm) if verbosityLevel else None,
    )
    if not report.converged:
        warnings.warn(report.outcome, UserWarning, stacklevel=2)
    return problem.real(w), problem.give(vectors, np.arange(columns))


def _arguments(
    problem: Problem, mass: Any, k: Any, sigma: Any, which: str, ncv: Any, maxiter: Any, tol: Any, Minv: Any, OPinv: Any
) -> dict[str, Any]:
    """Return the arguments of `dolmen.eigsh` and `dolmen.eigs`."""
    is_matrix = isinstance(problem.A, CsrMatrix) and (mass is None or isinstance(mass, CsrMatrix))
    near = sigma is not None or which == "SM"
    if near and not is_matrix and OPinv is None:
        raise ValueError(f"the eigenvalues nearest to {sigma or 0} of an operator need sigma and OPinv, which solves with A - sigma M")
    if mass is not None and not isinstance(mass, CsrMatrix) and not near and Minv is None:
        raise ValueError("M is an operator; give Minv, which solves with it")
    return {
        "k": _positive(k, "k"),
        "which": which,
        "sigma": sigma,
        "mass": mass,
        "inverse": problem.operator(OPinv, "OPinv") if near else None,
        "mass_inverse": None if near else problem.operator(Minv, "Minv"),
        "rtol": _tolerance(tol, problem.A.dtype),
        "max_iterations": 10 * problem.A.shape[0] if maxiter is None else _positive(maxiter, "maxiter"),
        "basis": _basis(ncv, problem, mass),
    }


def _basis(ncv: Any, problem: Problem, mass: Any) -> int | None:
    """Return the number of vectors; none for matrices, whose methods choose it."""
    number = None if ncv is None else _positive(ncv, "ncv")
    return None if isinstance(problem.A, CsrMatrix) and (mass is None or isinstance(mass, CsrMatrix)) else number


def _positive(value: Any, name: str) -> int:
    number = whole(value, name)
    if number <= 0:
        raise ValueError(f"{name}={number}: expected a number of 1 or more")
    return number


def _tolerance(tol: Any, dtype: np.dtype[Any]) -> float:
    if not isinstance(tol, (int, float, np.number)) or not 0 <= tol < np.inf:
        raise ValueError(f"tol={tol!r} is no tolerance; give a number of 0 or more")
    return float(tol) or float(np.finfo(dtype).eps)


def _require_converged(problem: Problem, report: EigenReport, tol: Any, order: Any, values: Any, vectors: MultiVector) -> None:
    """Raise an exception unless all values are converged; with a tolerance of 0, where their residuals do not become smaller."""
    good = report.is_converged
    if float(tol) == 0.0 and report.reason == "Stagnated":
        good = good | (report.residuals <= np.finfo(problem.A.dtype).eps ** _ROUNDED)
    if not good[order].all():
        found = order[good[order]]
        error = ArpackNoConvergence(report.outcome, values[found], problem.give(vectors, found))
        if not problem.plain:
            error._dolmen_shared = True  # type: ignore[attr-defined]
        raise error


def _called(given: Any, rows: int, block: Any) -> Any:
    """Return an operator for a callable, and other arguments as they are."""
    if given is None or hasattr(given, "shape") or not callable(given):
        return given
    if isinstance(block, MultiVector):
        return DistributedOperator(block.layout, given, dtype=block.dtype)
    return LinearOperator((rows, rows), matvec=lambda x: given(np.reshape(x, (rows, 1))).reshape(-1), dtype=floating(block.dtype))
