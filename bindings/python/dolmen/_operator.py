"""Linear operators: anything that maps a distributed vector to another, linearly."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _dolmen
from ._comm import Comm
from ._layout import Layout, as_layout
from ._multi_vector import MultiVector
from ._dtypes import DTYPES, dtype_name
from ._vector import Vector, native_of

if TYPE_CHECKING:
    from numpy.typing import DTypeLike


class LinearOperator:
    """A linear operator made of Python functions.

    Parameters
    ----------
    layout : Layout or int
        Distribution of the vectors that the operator takes, and gives unless `range` says otherwise.
    matvec : callable
        ``matvec(x)`` returns ``A x`` for a `Vector`: a vector, or an array of its owned entries. It is called on all
        ranks together and may communicate.
    rmatvec : callable, optional
        ``rmatvec(x)`` returns the product with the adjoint; least squares need it.
    range : Layout, optional
        Distribution of the vectors that the operator gives.
    dtype : {"f8", "f4", "c8", "c16"}
    mult : callable, optional
        ``mult(x, y)`` fills `y` with ``A x``, instead of `matvec`.

    Notes
    -----
    An exception in a function on one rank is raised on all ranks, when all have ended their calls: a function that communicates
    must not raise before a message that others wait for. The function gets the same vector each time; copy what you keep of it.
    It must not change the right-hand side of a solve under way.

    Examples
    --------
    >>> import dolmen as dm
    >>> A = dm.LinearOperator(3, lambda x: 2 * x)
    >>> (A @ dm.ones(A.domain)).gather()
    array([2., 2., 2.])
    """

    # No slots: matrices have another base class, with a memory of its own.
    _operator: _dolmen.Operator
    #: Compiled functions, which must live as long as the operator.
    _kept: tuple[Any, ...]

    __array_priority__ = 1000
    __array_ufunc__ = None

    def __init__(
        self,
        layout: Layout | int,
        matvec: Callable[[Vector], Any] | None = None,
        rmatvec: Callable[[Vector], Any] | None = None,
        range: Layout | None = None,
        dtype: DTypeLike = "f8",
        mult: Callable[[Vector, Vector], None] | None = None,
    ) -> None:
        if (matvec is None) == (mult is None):
            raise TypeError("give either matvec or mult, and not both")
        forward = filled(matvec) if matvec is not None else _filling(mult)
        domain = as_layout(layout)
        self._operator = _dolmen.Operator.from_functions(
            domain._native,
            (domain if range is None else range)._native,
            dtype_name(dtype),
            forward,
            None if rmatvec is None else filled(rmatvec),
        )

    @classmethod
    def _wrap(cls, native: _dolmen.Operator) -> LinearOperator:
        self = LinearOperator.__new__(LinearOperator)
        self._operator = native
        return self

    @property
    def _native(self) -> _dolmen.Operator:
        _dolmen.require_owner()
        return self._operator

    @classmethod
    def from_cfunc(
        cls,
        layout: Layout | int,
        function: Any,
        adjoint: Any = None,
        range: Layout | None = None,
        dtype: DTypeLike = "f8",
        data: int = 0,
    ) -> LinearOperator:
        """Create an operator from a compiled function, which runs without the interpreter.

        Parameters
        ----------
        layout, range, dtype
            As for `LinearOperator`.
        function : int or object with ``address``
            Address of ``int f(int64_t nx, const T *x, int64_t ny, T *y, void *data)``, which computes the owned entries
            of y from those of x and returns 0: a ``cfunc`` of numba, a pointer of ctypes or cffi as an integer. The
            caller answers for its type and, of an integer, for keeping the function alive.
        adjoint : int or object with ``address``, optional
        data : int
            An address that the functions get as their last argument.
        """
        domain = as_layout(layout)
        native = _dolmen.Operator.from_address(
            domain._native,
            (domain if range is None else range)._native,
            dtype_name(dtype),
            _address(function),
            0 if adjoint is None else _address(adjoint),
            data,
        )
        operator = LinearOperator._wrap(native)
        operator._kept = (function, adjoint)
        return operator

    @classmethod
    def identity(cls, layout: Layout | int, dtype: DTypeLike = "f8") -> LinearOperator:
        """Return the identity."""
        return LinearOperator._wrap(_dolmen.Operator.identity(as_layout(layout)._native, dtype_name(dtype)))

    @classmethod
    def diagonal_of(cls, entries: Vector) -> LinearOperator:
        """Return the diagonal matrix of the entries of a vector."""
        return LinearOperator._wrap(_dolmen.Operator.diagonal(entries._native))

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the entries of vectors."""
        return DTYPES[self._native.dtype]

    @property
    def range(self) -> Layout:
        """The distribution of the vectors that the operator gives."""
        return Layout._wrap(self._native.range)

    @property
    def domain(self) -> Layout:
        """The distribution of the vectors that the operator takes."""
        return Layout._wrap(self._native.domain)

    @property
    def shape(self) -> tuple[int, int]:
        """The numbers of rows and columns."""
        native = self._native
        return (native.range.global_len, native.domain.global_len)

    @property
    def comm(self) -> Comm:
        """The ranks that share the vectors."""
        return self.range.comm

    def apply(self, x: Vector, y: Vector) -> None:
        """Compute ``y = A x`` into a vector that exists. Collective."""
        self._native.apply(native_of(x.copy() if x is y else x, "x"), native_of(y, "y"))

    def apply_adjoint(self, x: Vector, y: Vector) -> None:
        """Compute ``y = A.H x`` into a vector that exists. Collective."""
        self._native.apply_adjoint(native_of(x.copy() if x is y else x, "x"), native_of(y, "y"))

    def matvec(self, x: Vector) -> Vector:
        """Return ``A x``. Collective."""
        y = Vector(self.range, self.dtype)
        self.apply(_of_dtype(x, self.dtype), y)
        return y

    def rmatvec(self, x: Vector) -> Vector:
        """Return ``A.H x``. Collective."""
        y = Vector(self.domain, self.dtype)
        self.apply_adjoint(_of_dtype(x, self.dtype), y)
        return y

    def matmat(self, x: MultiVector) -> MultiVector:
        """Return ``A X`` for several vectors. Collective."""
        y = MultiVector(self.range, len(x), self.dtype)
        self._native.apply_many(x._native, y._native)
        return y

    def __matmul__(self, other: Any) -> Any:
        if isinstance(other, Vector):
            return self.matvec(other)
        if isinstance(other, MultiVector):
            return self.matmat(other)
        if isinstance(other, LinearOperator):
            return LinearOperator._wrap(self._native.product(other._native))
        return NotImplemented

    def __call__(self, x: Vector) -> Vector:
        return self.matvec(x)

    def adjoint(self) -> Any:
        """Return the adjoint, the conjugate transpose."""
        return Adjoint(self)

    @property
    def H(self) -> Any:
        """The adjoint, the conjugate transpose."""
        return self.adjoint()

    def with_diagonal(self, diagonal: Vector) -> LinearOperator:
        """Return the operator together with its diagonal, for preconditioners that ask for no more."""
        return LinearOperator._wrap(self._native.with_diagonal(diagonal._native))

    def __add__(self, other: Any) -> Any:
        return self._sum(other, 1.0)

    def __sub__(self, other: Any) -> Any:
        return self._sum(other, -1.0)

    def _sum(self, other: Any, beta: float) -> Any:
        if not isinstance(other, LinearOperator):
            return NotImplemented
        return LinearOperator._wrap(self._native.sum(1.0, other._native, beta))

    def __mul__(self, factor: complex) -> Any:
        if not isinstance(factor, (int, float, complex, np.number)):
            return NotImplemented
        return LinearOperator._wrap(self._native.scaled(factor))

    __rmul__ = __mul__

    def __neg__(self) -> Any:
        return self * -1.0

    def __repr__(self) -> str:
        rows, columns = self.shape
        return f"{type(self).__name__}({rows} x {columns}, {self.dtype})"


class Adjoint(LinearOperator):
    """The adjoint of an operator.

    Parameters
    ----------
    operator : LinearOperator
    """

    __slots__ = ("of",)

    def __init__(self, operator: LinearOperator) -> None:
        self.of = operator
        self._operator = operator._native.adjoint()

    def adjoint(self) -> LinearOperator:
        """Return the operator itself."""
        return self.of


def aslinearoperator(operator: Any, layout: Layout | None = None) -> LinearOperator:
    """Return an operator of dolmen as it is, and other objects with such methods as operators.

    Parameters
    ----------
    operator : LinearOperator, or object with ``matvec`` or ``mult``, or callable
        ``matvec(x)`` and ``rmatvec(x)`` return products, as SciPy's operators; ``mult(x, y)`` fills `y`, as shell matrices
        of petsc4py; a callable is a ``matvec``.
    layout : Layout, optional
        Distribution of the vectors, needed unless the operator has ``domain`` and ``range``.
    """
    if isinstance(operator, LinearOperator):
        return operator
    domain = getattr(operator, "domain", None) or layout
    if domain is None:
        raise TypeError("aslinearoperator: give the layout of the vectors that the operator takes")
    range_ = getattr(operator, "range", None) or domain
    dtype = getattr(operator, "dtype", None) or "f8"
    rmatvec = getattr(operator, "rmatvec", None)
    if hasattr(operator, "matvec"):
        return LinearOperator(domain, operator.matvec, rmatvec, range_, dtype)
    if hasattr(operator, "mult"):
        return LinearOperator(domain, None, rmatvec, range_, dtype, mult=operator.mult)
    if callable(operator):
        return LinearOperator(domain, operator, None, range_, dtype)
    raise TypeError(f"{type(operator).__name__} is not an operator: it has neither matvec nor mult and cannot be called")


def filled(function: Callable[[Vector], Any]) -> Callable[[_dolmen.Vector, _dolmen.Vector], None]:
    """Return a function that fills the second vector with what `function` returns."""

    def fill(native_x: _dolmen.Vector, native_y: _dolmen.Vector) -> None:
        y = function(Vector._wrap(native_x))
        if isinstance(y, Vector):
            _require_real(y.dtype, native_y)
            result = y if y._native.dtype == native_y.dtype else y.astype(DTYPES[native_y.dtype])
            native_y.copy_from(result._native)
            return
        entries = np.asarray(y)
        if entries.shape != (native_y.layout.local_len,):
            raise ValueError(
                f"the operator's function returned an array of shape {entries.shape}; expected a Vector, or the "
                f"{native_y.layout.local_len} owned entries"
            )
        _require_real(entries.dtype, native_y)
        native_y.local[:] = entries

    return fill


def _require_real(dtype: np.dtype[Any], native: _dolmen.Vector) -> None:
    """Refuse complex results of a real operator, whose imaginary parts would be lost."""
    if dtype.kind == "c" and native.dtype in ("f4", "f8"):
        raise TypeError(f"the operator's function returned {dtype}, but the operator is real; make it with dtype=\"c16\"")


def _filling(function: Any) -> Callable[[_dolmen.Vector, _dolmen.Vector], None]:
    """Return a function of native vectors that calls one of vectors."""

    def fill(native_x: _dolmen.Vector, native_y: _dolmen.Vector) -> None:
        function(Vector._wrap(native_x), Vector._wrap(native_y))

    return fill


def _of_dtype(x: Vector, dtype: np.dtype[Any]) -> Vector:
    if x.dtype == dtype:
        return x
    if x.dtype.kind == "c" and dtype.kind != "c":
        raise TypeError(f"a real operator of {dtype} is applied to a complex vector; apply it to x.real and x.imag")
    return x.astype(dtype)


def _address(function: Any) -> int:
    address = getattr(function, "address", function)
    if not isinstance(address, int) or isinstance(address, bool):
        raise TypeError(f"expected an address or an object with one, got {type(function).__name__}")
    return address
