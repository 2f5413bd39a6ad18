"""`LinearOperator` with SciPy's signature, for distributed and for plain vectors."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .._operator import LinearOperator as DistributedOperator
from .._vector import Vector

if TYPE_CHECKING:
    from numpy.typing import DTypeLike


class LinearOperator:
    """A linear operator made of Python functions, with SciPy's arguments.

    The functions take and return what the operator is applied to: a `dolmen.Vector`, or an array. The distribution of
    the vectors comes from these, so that one operator serves one process and many.

    Parameters
    ----------
    shape : tuple of int
        The numbers of rows and columns, over all ranks.
    matvec : callable
        ``matvec(x)`` returns ``A x``. Called on all ranks together for a distributed `x`, it may communicate.
    rmatvec : callable, optional
        ``rmatvec(x)`` returns the product with the adjoint; least squares need it.
    matmat, rmatmat : callable, optional
        The same for the columns of an array; by default `matvec` and `rmatvec` are called for each.
    dtype : dtype, optional
        Type of the entries. Without it the solvers call `matvec` once to find it.

    Notes
    -----
    A subclass defines ``_matvec`` and, where it has them, ``_rmatvec``, ``_matmat`` and ``_rmatmat``. It calls
    ``super().__init__(dtype, shape)``, or sets `shape` and `dtype` itself.

    Examples
    --------
    >>> import dolmen as dm
    >>> import numpy as np
    >>> from dolmen.linalg import LinearOperator, cg
    >>> A = LinearOperator((4, 4), matvec=lambda x: 2 * x)
    >>> cg(A, dm.ones(4))[0].gather()
    array([0.5, 0.5, 0.5, 0.5])
    >>> (A + A.H @ A) @ np.ones(4)
    Traceback (most recent call last):
    NotImplementedError: the operator has no rmatvec, which its adjoint needs; give one
    """

    __array_ufunc__ = None

    shape: tuple[int, int]
    dtype: np.dtype[Any] | None = None

    def __init__(
        self,
        shape: Any,
        matvec: Any = None,
        rmatvec: Callable[[Any], Any] | None = None,
        matmat: Callable[[Any], Any] | None = None,
        dtype: DTypeLike | None = None,
        rmatmat: Callable[[Any], Any] | None = None,
    ) -> None:
        if isinstance(matvec, (tuple, list)):
            # SciPy's order in subclasses: dtype, shape.
            shape, matvec, dtype = matvec, None, shape
        rows, columns = (int(count) for count in shape)
        if rows < 0 or columns < 0:
            raise ValueError(f"shape={shape!r} of an operator; give two counts of 0 or more")
        if matvec is None and type(self)._matvec is LinearOperator._matvec:
            raise TypeError("an operator is made of a function matvec, or of a subclass that defines _matvec")
        self.shape = (rows, columns)
        self.dtype = None if dtype is None else np.dtype(dtype)
        self._functions = {"matvec": matvec, "rmatvec": rmatvec, "matmat": matmat, "rmatmat": rmatmat}

    # What a subclass may define.

    def _matvec(self, x: Any) -> Any:
        return self._functions["matvec"](x)

    def _rmatvec(self, x: Any) -> Any:
        function = self._function("rmatvec")
        if function is None:
            raise NotImplementedError("the operator has no rmatvec, which its adjoint needs; give one")
        return function(x)

    def _matmat(self, x: Any) -> Any:
        function = self._function("matmat")
        return _columns(self.matvec, x, self.shape[0]) if function is None else function(x)

    def _rmatmat(self, x: Any) -> Any:
        function = self._function("rmatmat")
        return _columns(self.rmatvec, x, self.shape[1]) if function is None else function(x)

    def _function(self, name: str) -> Callable[[Any], Any] | None:
        return getattr(self, "_functions", {}).get(name)

    # Products.

    def matvec(self, x: Any) -> Any:
        """Return ``A x`` for a vector: a `dolmen.Vector`, or an array of shape (n,) or (n, 1)."""
        return _applied(self._matvec, x, self.shape)

    def rmatvec(self, x: Any) -> Any:
        """Return ``A.H x`` for a vector: a `dolmen.Vector`, or an array of shape (m,) or (m, 1)."""
        return _applied(self._rmatvec, x, self.shape[::-1])

    def matmat(self, x: Any) -> Any:
        """Return ``A X`` for an array of shape (n, k)."""
        return self._matmat(_table(x, self.shape[1]))

    def rmatmat(self, x: Any) -> Any:
        """Return ``A.H X`` for an array of shape (m, k)."""
        return self._rmatmat(_table(x, self.shape[0]))

    def dot(self, x: Any) -> Any:
        """Return the product with a number, an operator, a vector or the columns of an array."""
        if _is_number(x):
            return self._scaled(x)
        if isinstance(x, (LinearOperator, DistributedOperator)):
            return _product(self, _wrapped(x))
        if isinstance(x, Vector):
            return self.matvec(x)
        x = np.asarray(x)
        if x.ndim == 2 and x.shape[1] != 1:
            return self.matmat(x)
        return self.matvec(x)

    def __call__(self, x: Any) -> Any:
        return self.dot(x)

    def __mul__(self, x: Any) -> Any:
        return self.dot(x)

    def __rmul__(self, factor: Any) -> Any:
        return self._scaled(factor) if _is_number(factor) else NotImplemented

    def __matmul__(self, x: Any) -> Any:
        if _is_number(x):
            raise ValueError("an operator @ a number is not defined; use *")
        return self.dot(x)

    def __truediv__(self, divisor: Any) -> Any:
        return self._scaled(1.0 / divisor) if _is_number(divisor) else NotImplemented

    # Other operators made of this one.

    def adjoint(self) -> LinearOperator:
        """Return the adjoint, the conjugate transpose."""
        return LinearOperator(
            self.shape[::-1], self.rmatvec, self.matvec, self.rmatmat, self.dtype, self.matmat
        )

    @property
    def H(self) -> LinearOperator:
        """The adjoint, the conjugate transpose."""
        return self.adjoint()

    def transpose(self) -> LinearOperator:
        """Return the transposed operator."""
        return LinearOperator(
            self.shape[::-1],
            lambda x: np.conj(self.rmatvec(np.conj(x))),
            lambda x: np.conj(self.matvec(np.conj(x))),
            lambda x: np.conj(self.rmatmat(np.conj(x))),
            self.dtype,
            lambda x: np.conj(self.matmat(np.conj(x))),
        )

    @property
    def T(self) -> LinearOperator:
        """The transposed operator."""
        return self.transpose()

    def _scaled(self, factor: Any) -> LinearOperator:
        conjugate = np.conj(factor)
        return LinearOperator(
            self.shape,
            lambda x: factor * self.matvec(x),
            lambda x: conjugate * self.rmatvec(x),
            lambda x: factor * self.matmat(x),
            None if self.dtype is None else np.result_type(self.dtype, type(factor)),
            lambda x: conjugate * self.rmatmat(x),
        )

    def __add__(self, other: Any) -> Any:
        other = _wrapped(other)
        if other.shape != self.shape:
            raise ValueError(f"operators of shapes {self.shape} and {other.shape} cannot be added; give equal shapes")
        return LinearOperator(
            self.shape,
            lambda x: self.matvec(x) + other.matvec(x),
            lambda x: self.rmatvec(x) + other.rmatvec(x),
            dtype=_common(self, other),
        )

    def __neg__(self) -> LinearOperator:
        return self._scaled(-1)

    def __sub__(self, other: Any) -> Any:
        return self + -_wrapped(other)

    def __pow__(self, power: int) -> LinearOperator:
        if self.shape[0] != self.shape[1] or not isinstance(power, int) or power < 0:
            raise ValueError(f"a power of an operator is an integer from 0 of a square one; got {self.shape} ** {power!r}")
        result = LinearOperator(self.shape, np.copy, np.copy, dtype=self.dtype)
        for _ in range(power):
            result = _product(self, result)
        return result

    def __repr__(self) -> str:
        rows, columns = self.shape
        return f"LinearOperator({rows} x {columns}, {'dtype not given' if self.dtype is None else self.dtype})"


def aslinearoperator(A: Any) -> Any:
    """Return an operator of dolmen as it is, and other objects with such products as operators.

    Parameters
    ----------
    A : operator, matrix or object with ``shape`` and ``matvec``
        An operator or matrix of dolmen, a sparse matrix of SciPy, an array of two dimensions, an operator of SciPy.

    Returns
    -------
    dolmen.LinearOperator or dolmen.linalg.LinearOperator

    Examples
    --------
    >>> import numpy as np
    >>> from dolmen.linalg import aslinearoperator
    >>> aslinearoperator(np.array([[1.0, 2.0]])) @ np.array([3.0, 4.0])
    array([11.])
    """
    if isinstance(A, (LinearOperator, DistributedOperator)):
        return A
    if is_sparse(A):
        return _of_matrix(A)
    if isinstance(A, np.ndarray):
        if A.ndim != 2:
            raise ValueError(f"an array of {A.ndim} dimensions is no operator; give one of two")
        return _of_matrix(np.asarray(A))
    if hasattr(A, "shape") and hasattr(A, "matvec"):
        names = ("rmatvec", "matmat", "dtype", "rmatmat")
        rmatvec, matmat, dtype, rmatmat = (getattr(A, name, None) for name in names)
        return LinearOperator(A.shape, A.matvec, rmatvec, matmat, dtype, rmatmat)
    raise TypeError(f"{type(A).__name__} is no operator: give a matrix, or an object with shape and matvec")


def is_sparse(A: Any) -> bool:
    """Return True for a sparse matrix or array of SciPy, which is not imported for the answer."""
    sparse = sys.modules.get("scipy.sparse")
    return sparse is not None and bool(sparse.issparse(A))


def _is_number(value: Any) -> bool:
    return bool(np.isscalar(value))


def _of_matrix(A: Any) -> LinearOperator:
    def adjoint_product(x: Any) -> Any:
        return A.T.conj() @ x if np.iscomplexobj(A) else A.T @ x

    return LinearOperator(A.shape, A.__matmul__, adjoint_product, A.__matmul__, A.dtype, adjoint_product)


def _wrapped(operator: Any) -> LinearOperator:
    """Return an operator with SciPy's methods, for an operator or a matrix of any kind."""
    made = aslinearoperator(operator)
    if isinstance(made, LinearOperator):
        return made
    return LinearOperator(made.shape, made.matvec, made.rmatvec, dtype=made.dtype)


def _product(left: LinearOperator, right: LinearOperator) -> LinearOperator:
    if left.shape[1] != right.shape[0]:
        raise ValueError(f"operators of shapes {left.shape} and {right.shape} cannot be multiplied; the inner counts differ")
    return LinearOperator(
        (left.shape[0], right.shape[1]),
        lambda x: left.matvec(right.matvec(x)),
        lambda x: right.rmatvec(left.rmatvec(x)),
        lambda x: left.matmat(right.matmat(x)),
        _common(left, right),
        lambda x: right.rmatmat(left.rmatmat(x)),
    )


def _common(one: LinearOperator, other: LinearOperator) -> np.dtype[Any] | None:
    if one.dtype is None or other.dtype is None:
        return None
    return np.result_type(one.dtype, other.dtype)


def _applied(function: Callable[[Any], Any], x: Any, shape: tuple[int, int]) -> Any:
    """Return ``function(x)`` in the kind and the form of `x`."""
    rows, columns = shape
    if isinstance(x, Vector):
        if x.size != columns:
            raise ValueError(f"an operator of shape {shape} is applied to a vector of {x.size} entries")
        return _distributed(function(x), x, shape)
    x = np.asarray(x)
    if x.shape not in ((columns,), (columns, 1)):
        raise ValueError(f"an operator of shape {shape} is applied to an array of shape {x.shape}")
    return np.asarray(function(x)).reshape((rows, 1) if x.ndim == 2 else (rows,))


def _distributed(y: Any, x: Vector, shape: tuple[int, int]) -> Vector:
    """Return the result of a function of a distributed vector as one; it may be an array of the owned entries."""
    if isinstance(y, Vector):
        return y
    if shape[0] != shape[1]:
        raise TypeError(f"a function of an operator of shape {shape} returned {type(y).__name__}; expected a Vector")
    entries = np.asarray(y)
    result = Vector(x.layout, np.result_type(entries.dtype, x.dtype))
    result.local[:] = entries
    return result


def _table(x: Any, rows: int) -> Any:
    x = np.asarray(x)
    if x.ndim != 2 or x.shape[0] != rows:
        raise ValueError(f"expected an array of {rows} rows and some columns, got shape {x.shape}")
    return x


def _columns(function: Callable[[Any], Any], x: Any, rows: int) -> Any:
    """Return the results of a function of each column, as the columns of an array of `rows` rows."""
    return np.stack([function(column) for column in x.T], axis=1) if x.shape[1] else np.zeros((rows, 0))
