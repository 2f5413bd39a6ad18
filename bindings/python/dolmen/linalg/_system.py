"""Arguments of the solvers, distributed or plain, as a system of distributed objects, and the way back."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from operator import index
from typing import Any

import numpy as np

from .._layout import Layout
from .._matrix import CsrMatrix
from .._operator import LinearOperator as DistributedOperator
from .._dtypes import DTYPES
from .._vector import Vector
from ._operator import LinearOperator, aslinearoperator, is_sparse


@dataclass
class System:
    """A linear system of one dtype.

    `plain` is True where the arguments were arrays and matrices of this process; the vectors then live on this rank alone,
    and results go back as arrays.
    """

    operator: DistributedOperator
    b: Vector
    x0: Vector | None
    preconditioner: DistributedOperator | None
    plain: bool

    def guess(self) -> Vector:
        """Return a copy of the initial guess."""
        return Vector(self.operator.domain, self.b.dtype) if self.x0 is None else self.x0.copy()

    def give(self, x: Vector) -> Any:
        """Return a vector in the caller's kind."""
        return x.local.copy() if self.plain else x


def require_finite(x: Vector, name: str) -> float:
    """Return the norm of a vector; refuse one with an entry that is NaN or infinite. Collective."""
    size = x.norm()
    if not math.isfinite(size):
        rows = x.layout.rows()[~np.isfinite(x.local)]
        first = x.comm.min(int(rows[0]) if len(rows) else x.size)
        # Without one the norm is too large for a number.
        if first < x.size:
            raise ValueError(f"{name}[{first}] is {x.get([first])[0]}; give finite numbers")
    return size


def require_finite_operator(A: DistributedOperator, name: str) -> None:
    """Refuse a matrix with an entry that is NaN or infinite, or an operator whose product with ones has one. Collective."""
    if not isinstance(A, CsrMatrix):
        ones = Vector(A.domain, A.dtype)
        ones.fill(1.0)
        require_finite(A.matvec(ones), f"({name} @ ones)")
    elif not math.isfinite(A.norm()):
        starts, columns, values = A._matrix.rows()
        bad = np.flatnonzero(~np.isfinite(values))[:1]
        rows = A.range.rows()[np.searchsorted(starts, bad, side="right") - 1]
        entries = [f"{name}[{i}, {j}] is {value}" for i, j, value in zip(rows, columns[bad], values[bad])]
        first = next((entry for entries in A.comm.all_gather(entries) for entry in entries), None)
        if first is not None:
            raise ValueError(f"{first}; give finite numbers")


def whole(value: Any, name: str) -> int:
    """Return a whole number; others are a `TypeError`."""
    try:
        return index(value)
    except TypeError:
        raise TypeError(f"{name}={value!r}: expected a whole number") from None


def square_system(A: Any, b: Any, M: Any, x0: Any) -> System:
    """Return the system ``A x = b`` with an approximation M of the inverse, in the common dtype of A and b."""
    require_shape(A)
    if A.shape[0] != A.shape[1]:
        raise ValueError(f"a square matrix is needed, got one of {A.shape[0]} x {A.shape[1]}; lsqr and lsmr take any shape")
    if M is not None and getattr(M, "shape", None) is not None and tuple(M.shape) != tuple(A.shape):
        raise ValueError(f"the matrix has shape {tuple(A.shape)}, the preconditioner {tuple(M.shape)}; give equal shapes")
    make = _plain if is_plain(A, b) else _distributed
    guess = None if isinstance(x0, str) else x0
    system = make(A, b, guess, None)
    dtype = system.b.dtype
    if M is not None:
        system.preconditioner = operator_of(M, system.operator.domain, system.operator.domain, system.plain, dtype, "M")
    if isinstance(x0, str):
        if x0 != "Mb":
            raise ValueError(f"x0={x0!r} is not known; give a vector, or \"Mb\" for the product of M and b")
        system.x0 = system.b.copy() if system.preconditioner is None else system.preconditioner.matvec(system.b)
    return system


def any_system(A: Any, b: Any, x0: Any) -> System:
    """Return the least-squares problem ``min |b - A x|`` in double precision."""
    require_shape(A)
    make = _plain if is_plain(A, b) else _distributed
    return make(A, b, x0, np.dtype("f8"))


def is_plain(A: Any, b: Any) -> bool:
    """Return True for arguments of this process alone, False for distributed ones; refuse a mixture."""
    if isinstance(b, Vector):
        if isinstance(A, np.ndarray) or is_sparse(A):
            raise TypeError(
                f"b is a distributed vector, A a {type(A).__name__} of this process; make A distributed with "
                "dolmen.CsrMatrix.from_scipy or from_coo"
            )
        return False
    if isinstance(A, DistributedOperator):
        raise TypeError(
            f"A is distributed, b is {type(b).__name__}; make b a vector with dolmen.array (each rank's own entries) or "
            "dolmen.scatter (all entries of one rank)"
        )
    return True


def require_shape(A: Any, name: str = "A") -> None:
    """Refuse what has no two dimensions."""
    shape = getattr(A, "shape", None)
    if isinstance(A, np.ndarray) and A.ndim != 2:
        raise ValueError(f"{name} is an array of shape {A.shape}; give one of two dimensions")
    if shape is None or len(shape) != 2:
        raise TypeError(f"{name} is {type(A).__name__}; give a matrix, or an operator with a shape of rows and columns")


def _plain(A: Any, b: Any, x0: Any, least: np.dtype[Any] | None) -> System:
    from .._comm import self_

    rows, columns = A.shape
    right = np.asarray(b)
    if right.shape not in ((rows,), (rows, 1)) and not (right.ndim == 0 and rows == 1):
        raise ValueError(f"A has shape {tuple(A.shape)}, b {right.shape}; give b as ({rows},) or ({rows}, 1)")
    guess = None if x0 is None else np.asarray(x0)
    if guess is not None and guess.shape not in ((columns,), (columns, 1)):
        raise ValueError(f"A has shape {tuple(A.shape)}, x0 {guess.shape}; give x0 as ({columns},) or ({columns}, 1)")
    range_ = Layout(rows, self_())
    domain = range_ if rows == columns else Layout(columns, self_())
    of_guess = guess.dtype if guess is not None and least is not None else None
    dtype = _dtype(A, right, right.dtype, of_guess, least)
    return System(
        operator_of(A, domain, range_, True, dtype, "A"),
        _vector(right.reshape(-1), range_, dtype, "b"),
        None if guess is None else _vector(guess.reshape(-1), domain, dtype, "x0"),
        None,
        True,
    )


def _distributed(A: Any, b: Vector, x0: Any, least: np.dtype[Any] | None) -> System:
    rows, columns = A.shape
    if x0 is not None and not isinstance(x0, Vector):
        raise TypeError(f"b is a distributed vector, x0 is {type(x0).__name__}; give a Vector")
    for name, given, needed in (("b", b, rows), ("x0", x0, columns)):
        if given is not None and given.size != needed:
            raise ValueError(f"A has shape {tuple(A.shape)}, {name} {given.size} entries; give {needed}")
    if isinstance(A, DistributedOperator):
        domain, range_ = A.domain, A.range
    else:
        range_ = b.layout
        domain = getattr(A, "domain", None) or _domain(columns, rows, b, x0)
    of_guess = x0.dtype if x0 is not None and least is not None else None
    dtype = _dtype(A, b, b.dtype, of_guess, least)
    return System(
        operator_of(A, domain, range_, False, dtype, "A"),
        _converted(b, dtype, "b"),
        None if x0 is None else _converted(x0, dtype, "x0"),
        None,
        False,
    )


def _domain(columns: int, rows: int, b: Vector, x0: Vector | None) -> Layout:
    """Return the layout of solutions for an operator that has none: that of the guess, or of b, or an even one."""
    if x0 is not None:
        return x0.layout
    return b.layout if rows == columns else Layout(columns, b.comm)


def _dtype(A: Any, b: Any, of_b: Any, of_guess: Any, least: Any) -> np.dtype[Any]:
    """Return the common dtype of a matrix and a right-hand side: one of the four, float64 for integers."""
    of_A = getattr(A, "dtype", None)
    if of_A is None:
        of_A = aslinearoperator(A).matvec(b).dtype
    given = [floating(dtype) for dtype in (of_A, of_b, of_guess, least) if dtype is not None]
    return np.result_type(*given)


def floating(given: Any) -> np.dtype[Any]:
    """Return a dtype of the four for a given one."""
    dtype: np.dtype[Any] = np.dtype(given)
    if dtype in DTYPES.values():
        return dtype
    return np.dtype("c16") if dtype.kind == "c" else np.dtype("f8")


def _vector(entries: Any, layout: Layout, dtype: np.dtype[Any], name: str) -> Vector:
    _require_real(entries.dtype, dtype, name)
    vector = Vector(layout, dtype)
    vector.local[:] = entries
    return vector


def _converted(x: Vector, dtype: np.dtype[Any], name: str) -> Vector:
    _require_real(x.dtype, dtype, name)
    return x if x.dtype == dtype else x.astype(dtype)


def _require_real(given: np.dtype[Any], dtype: np.dtype[Any], name: str) -> None:
    if given.kind == "c" and dtype.kind != "c":
        raise ValueError(f"{name} is complex, A and b are real; give b as complex numbers")


def operator_of(
    A: Any, domain: Layout, range_: Layout, plain: bool, dtype: np.dtype[Any], name: str
) -> DistributedOperator:
    """Return an operator of this dtype, for a matrix or an operator of any kind."""
    if isinstance(A, DistributedOperator):
        if plain:
            raise TypeError(f"{name} is distributed, the right-hand side is not; make it a dolmen.Vector")
        _require_real(A.dtype, dtype, name)
        if A.dtype == dtype:
            return A
        return A.astype(dtype) if isinstance(A, CsrMatrix) else _cast(A, dtype)
    if not plain and (isinstance(A, np.ndarray) or is_sparse(A)):
        raise TypeError(f"the right-hand side is distributed, {name} a {type(A).__name__} of this process; give an operator")
    given = getattr(A, "dtype", None)
    if given is not None:
        _require_real(np.dtype(given), dtype, name)
    if is_sparse(A):
        return CsrMatrix.from_scipy(A.astype(dtype), range_, domain)
    wrapped: LinearOperator = aslinearoperator(A)
    forward: Callable[[Any], Any] = wrapped.matvec
    backward: Callable[[Any], Any] = wrapped.rmatvec
    if plain:
        return DistributedOperator(domain, lambda x: forward(x.local), lambda x: backward(x.local), range_, dtype)
    return DistributedOperator(domain, forward, backward, range_, dtype)


def _cast(A: DistributedOperator, dtype: np.dtype[Any]) -> DistributedOperator:
    """Return an operator for vectors of a wider dtype."""

    def through(product: Callable[[Vector], Vector]) -> Callable[[Vector], Vector]:
        def apply(x: Vector) -> Vector:
            if x.dtype.kind == "c" and A.dtype.kind != "c":
                parts = [product(part.astype(A.dtype)).astype(dtype) for part in (x.real, x.imag)]
                parts[0].axpy(1j, parts[1])
                return parts[0]
            return product(x.astype(A.dtype)).astype(dtype)

        return apply

    return DistributedOperator(A.domain, through(A.matvec), through(A.rmatvec), A.range, dtype)
