"""SciPy's solvers by their names, on distributed and on plain arguments.

A script for `scipy.sparse.linalg` changes its import and the lines that make its data:

>>> import dolmen as dm
>>> from dolmen.linalg import cg
>>> A = dm.CsrMatrix.from_diagonals([-1, 2, -1], [-1, 0, 1], 100)
>>> x, info = cg(A, dm.ones(100))
>>> info
0

With a `dolmen.Vector` or an operator of dolmen all ranks solve one system together. With sparse matrices of SciPy and
arrays of NumPy each rank solves its own, and results are arrays:

>>> import numpy as np
>>> cg(np.diag([1.0, 2.0]), np.array([3.0, 4.0]))
(array([3., 2.]), 0)

Signatures, defaults and return values are those of SciPy 1.17. ``info == 0`` is stricter: the residual ``b - A x`` was
computed afresh and meets the tolerance.
"""

from __future__ import annotations

from ._direct import norm, spsolve
from ._eigen import ArpackNoConvergence, eigs, eigsh, lobpcg, svds
from ._krylov import bicgstab, cg, gmres, minres
from ._lsmr import lsmr
from ._lsqr import lsqr
from ._operator import LinearOperator, aslinearoperator

__all__ = [
    "ArpackNoConvergence",
    "LinearOperator",
    "aslinearoperator",
    "bicgstab",
    "cg",
    "eigs",
    "eigsh",
    "gmres",
    "lobpcg",
    "lsmr",
    "lsqr",
    "minres",
    "norm",
    "spsolve",
    "svds",
]
