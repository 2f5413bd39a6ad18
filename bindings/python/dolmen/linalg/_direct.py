"""`spsolve` and `norm` with SciPy's arguments."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._matrix import CsrMatrix
from .._multi_vector import MultiVector
from .._preconditioner import Preconditioner
from .._vector import Vector
from .._vector import norm as distributed_norm
from ._operator import is_sparse
from ._system import require_finite, square_system

#: Names of SciPy's column orderings.
_ORDERINGS = (None, "NATURAL", "MMD_ATA", "MMD_AT_PLUS_A", "COLAMD")
#: Steps of refinement, at most.
_REFINEMENTS = 3


def spsolve(A: Any, b: Any, permc_spec: str | None = None, use_umfpack: bool = True) -> Any:
    """Solve ``A x = b`` by a complete factorization of A, with iterative refinement. Collective.

    A distributed matrix is gathered and factored on rank 0.

    Parameters
    ----------
    A : CsrMatrix, or a sparse matrix of SciPy
    b : Vector or MultiVector, or array of shape (n,) or (n, k), or sparse matrix
        Right-hand sides.
    permc_spec, use_umfpack
        Accepted for compatibility, without effect: the factorization orders the columns itself.

    Returns
    -------
    x : Vector or MultiVector, or array or sparse matrix
        As b; an array of shape (n, 1) gives one of shape (n,).

    Raises
    ------
    SingularError
        A is singular. SciPy's warns and returns NaN.

    Examples
    --------
    >>> import dolmen as dm
    >>> from dolmen.linalg import spsolve
    >>> A = dm.CsrMatrix.from_diagonals([-1, 2, -1], [-1, 0, 1], 3)
    >>> spsolve(A, dm.ones(3)).gather().round(12)
    array([1.5, 2. , 1.5])
    """
    if permc_spec not in _ORDERINGS:
        raise ValueError(f"permc_spec={permc_spec!r} is not known; give one of {_ORDERINGS}")
    if isinstance(A, CsrMatrix) and isinstance(b, MultiVector):
        factors = Preconditioner(A, "direct")
        return MultiVector.from_vectors([_refined(A, factors, b[column]) for column in range(len(b))])
    if not isinstance(A, CsrMatrix) and not is_sparse(A):
        raise TypeError(f"A is {type(A).__name__}; spsolve takes a CsrMatrix, or a sparse matrix of SciPy")
    if is_sparse(b) or (isinstance(b, np.ndarray) and b.ndim == 2 and b.shape[1] != 1):
        return _columns(A, b)
    system = square_system(A, b, None, None)
    require_finite(system.b, "b")
    return system.give(_refined(system.operator, Preconditioner(system.operator, "direct"), system.b))


def _columns(A: Any, b: Any) -> Any:
    """Return the solutions for the columns of a plain array or sparse matrix."""
    right = b.toarray() if is_sparse(b) else b
    if right.shape[0] != A.shape[0]:
        raise ValueError(f"A has shape {tuple(A.shape)}, b {right.shape}; give b {A.shape[0]} rows")
    solved = np.zeros((A.shape[1], right.shape[1]), dtype=np.result_type(A.dtype, right.dtype, np.float32))
    factors: Preconditioner | None = None
    for column in range(right.shape[1]):
        system = square_system(A, right[:, column], None, None)
        require_finite(system.b, f"column {column} of b: b")
        factors = Preconditioner(system.operator, "direct") if factors is None else factors
        solution = system.give(_refined(system.operator, factors, system.b))
        solved = solved.astype(np.result_type(solved, solution), copy=False)
        solved[:, column] = solution
    return type(b)(solved) if is_sparse(b) else solved


def _refined(A: Any, factors: Preconditioner, b: Vector) -> Vector:
    """Return the solution by the factors, improved while the residual halves."""
    x = factors.matvec(b)
    residual = b - A.matvec(x)
    size = residual.norm()
    for _ in range(_REFINEMENTS):
        if size == 0.0:
            break
        better = x + factors.matvec(residual)
        residual = b - A.matvec(better)
        now = residual.norm()
        if not now < size:
            break
        x, halved, size = better, now <= size / 2, now
        if not halved:
            break
    return x


def norm(x: Any, ord: Any = None, axis: int | None = None) -> Any:
    """Return the norm of a matrix or a distributed vector. Collective.

    Parameters
    ----------
    x : CsrMatrix or Vector, or a sparse matrix of SciPy
        A sparse matrix of SciPy is given to `scipy.sparse.linalg.norm`.
    ord : {None, "fro", 1, inf, 2}
        Of a matrix ``"fro"`` (the default), 1 or ``inf``. Of a vector 2 (the default), 1 or ``inf``.
    axis : int, optional
        For a matrix, return the norms of its columns (0) or its rows (1) as a vector; `ord` is then one of NumPy's for
        vectors.

    Returns
    -------
    float, or Vector for an `axis`

    Examples
    --------
    >>> import dolmen as dm
    >>> from dolmen.linalg import norm
    >>> A = dm.CsrMatrix.from_diagonals([1, -3], [0, 1], 3)
    >>> norm(A, 1), norm(A, axis=1).gather().round(3)
    (4.0, array([3.162, 3.162, 1.   ]))
    """
    if isinstance(x, Vector):
        return distributed_norm(x, ord)
    if not isinstance(x, CsrMatrix):
        import scipy.sparse.linalg

        return scipy.sparse.linalg.norm(x, ord, axis)
    if axis is None:
        return distributed_norm(x, ord)
    if axis not in (0, 1, -1, -2):
        raise ValueError(f"axis={axis} of a matrix is not known; give 0 or 1")
    return _norms_of_rows(x.T if axis in (0, -2) else x, ord)


def _norms_of_rows(A: CsrMatrix, ord: Any) -> Vector:
    import scipy.sparse.linalg

    with A.comm.agreeing():
        rows = A.to_scipy()
        entries = scipy.sparse.linalg.norm(rows, ord, axis=1) if rows.shape[0] else np.zeros(0)
    result = Vector(A.range, np.zeros(0, A.dtype).real.dtype)
    result.local[:] = entries
    return result
