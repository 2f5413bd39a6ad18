"""Arguments of searches for eigenvalues, distributed or plain, as a problem of distributed objects, and the way back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._layout import Layout
from .._matrix import CsrMatrix
from .._multi_vector import MultiVector
from .._operator import LinearOperator as DistributedOperator
from .._vector import Vector
from ._operator import aslinearoperator, is_sparse
from ._system import floating, operator_of, require_finite_operator, require_shape


@dataclass
class Problem:
    """A problem of one dtype, whose arguments were distributed, or those of this process alone."""

    A: DistributedOperator
    plain: bool

    def operator(self, given: Any, name: str) -> DistributedOperator | None:
        """Return a further operator in the dtype of the problem."""
        if given is None:
            return None
        require_shape(given, name)
        if tuple(given.shape) != self.A.shape[::-1]:
            raise ValueError(f"A has shape {self.A.shape}, {name} {tuple(given.shape)}; give equal shapes")
        return _operator(given, self.A.range, self.A.domain, self.plain, self.A.dtype, name)

    def real(self, values: Any) -> Any:
        """Return values as real numbers of the precision of the problem."""
        return values.astype(np.zeros(0, self.A.dtype).real.dtype)

    def give(self, vectors: MultiVector, order: Any) -> Any:
        """Return columns in this order, in the caller's kind."""
        if self.plain:
            return vectors.local[:, order].copy()
        ordered = MultiVector(vectors.layout, len(order), vectors.dtype)
        ordered.local[...] = vectors.local[:, order]
        return ordered


def problem_of(A: Any, M: Any, where: Any, least: Any = None, square: bool = True) -> Problem:
    """Return the problem of a matrix or an operator; `where` is a vector or a layout of distributed functions."""
    require_shape(A)
    rows, columns = A.shape
    if square and rows != columns:
        raise ValueError(f"a square matrix is needed, got one of {rows} x {columns}; svds takes any shape")
    plain = not isinstance(A, DistributedOperator) and not isinstance(where, (Vector, Layout))
    if isinstance(A, DistributedOperator):
        domain, range_ = A.domain, A.range
    else:
        domain, range_ = _layouts(rows, columns, where)
    size = where.size if isinstance(where, (Vector, Layout)) else np.size(where)
    if where is not None and size != columns:
        raise ValueError(f"A has {columns} columns, and a vector to start from {size} entries; give {columns}")
    probe = np.ones(columns) if plain else domain
    dtypes = [_dtype_of(one, probe) for one in (A, M) if one is not None] + ([] if least is None else [floating(least)])
    dtype = np.result_type(*dtypes)
    if least is complex:
        dtype = np.result_type(*dtypes[:-1], np.complex64)
    made = _operator(A, domain, range_, plain, dtype, "A")
    if isinstance(made, CsrMatrix):
        require_finite_operator(made, "A")
    return Problem(made, plain)


def _layouts(rows: int, columns: int, where: Any) -> tuple[Layout, Layout]:
    if isinstance(where, Vector):
        return where.layout, where.layout
    if isinstance(where, Layout):
        return where, where
    from .._comm import self_

    range_ = Layout(rows, self_())
    return (range_ if rows == columns else Layout(columns, self_())), range_


def _dtype_of(A: Any, probe: Any) -> np.dtype[Any]:
    given = getattr(A, "dtype", None)
    if given is None:
        vector = Vector(probe) if isinstance(probe, Layout) else probe
        given = aslinearoperator(A).matvec(vector).dtype
    return floating(given)


def _operator(A: Any, domain: Layout, range_: Layout, plain: bool, dtype: Any, name: str) -> DistributedOperator:
    """Return an operator; a matrix for an array."""
    given = getattr(A, "dtype", None)
    if given is not None and np.dtype(given).kind == "c" and dtype.kind != "c":
        raise ValueError(f"{name} is complex, A is real; give A as complex numbers")
    if plain and isinstance(A, DistributedOperator):
        raise TypeError(f"{name} is distributed, A is not; give both of one kind")
    if not plain and (isinstance(A, np.ndarray) or is_sparse(A)):
        raise TypeError(
            f"{name} is a {type(A).__name__} of this process, another argument is distributed; make {name} distributed with "
            "dolmen.CsrMatrix.from_scipy or from_coo"
        )
    if not isinstance(A, np.ndarray):
        return operator_of(A, domain, range_, plain, dtype, name)
    if A.ndim != 2:
        raise ValueError(f"{name} is an array of shape {A.shape}; give one of two dimensions")
    rows, columns = np.nonzero(A)
    return CsrMatrix.from_coo(rows, columns, np.asarray(A)[rows, columns].astype(dtype), range_, domain)
