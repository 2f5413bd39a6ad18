"""Several vectors of one layout, as columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _dolmen
from ._comm import Comm
from ._layout import Layout, as_layout
from ._dtypes import DTYPES, dtype_name
from ._vector import Vector, native_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike, NDArray


class MultiVector(_dolmen.Owned):
    """Several vectors of one layout, as the columns of a tall matrix.

    Parameters
    ----------
    layout : Layout or int
    columns : int
    dtype : {"f8", "f4", "c8", "c16"}

    Examples
    --------
    >>> import dolmen as dm
    >>> X = dm.MultiVector(5, 2)
    >>> X.local[:, 0] = 1
    >>> X.local[:, 1] = [0, 1, 2, 3, 4]
    >>> X.gram(X)
    array([[ 5., 10.],
           [10., 30.]])
    """

    __slots__ = ()
    _native: _dolmen.MultiVector

    def __init__(self, layout: Layout | int, columns: int, dtype: DTypeLike = "f8") -> None:
        self._native = _dolmen.MultiVector.zeros(as_layout(layout)._native, columns, dtype_name(dtype))

    @classmethod
    def _wrap(cls, native: _dolmen.MultiVector) -> MultiVector:
        self = cls.__new__(cls)
        self._native = native
        return self

    @classmethod
    def from_vectors(cls, vectors: Sequence[Vector]) -> MultiVector:
        """Copy vectors of one layout and one dtype into columns."""
        result = cls(vectors[0].layout, len(vectors), vectors[0].dtype)
        for column, vector in enumerate(vectors):
            result._native.set_column(column, vector._native)
        return result

    @property
    def layout(self) -> Layout:
        """The distribution of the rows over the ranks."""
        return Layout._wrap(self._native.layout)

    @property
    def comm(self) -> Comm:
        """The ranks that share the vectors."""
        return self.layout.comm

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the entries."""
        return DTYPES[self._native.dtype]

    @property
    def shape(self) -> tuple[int, int]:
        """The numbers of rows over all ranks, and of columns."""
        return (self._native.layout.global_len, self._native.columns)

    @property
    def local(self) -> NDArray[Any]:
        """The owned rows: a writable NumPy array on the memory of the vectors, column by column, without a copy."""
        return self._native.local

    @local.setter
    def local(self, values: ArrayLike) -> None:
        self._native.local[...] = values

    def copy(self) -> MultiVector:
        """Return a copy."""
        return MultiVector._wrap(self._native.copy())

    def __getitem__(self, column: int) -> Vector:
        """Return a copy of a column."""
        return Vector._wrap(self._native.column(self._column(column)))

    def __setitem__(self, column: int, vector: Vector) -> None:
        self._native.set_column(self._column(column), native_of(vector, "the column"))

    def _column(self, column: int) -> int:
        columns = self._native.columns
        if not -columns <= column < columns:
            raise IndexError(f"column {column} is outside of 0..{columns}")
        return column % columns

    def __len__(self) -> int:
        return self._native.columns

    def fill(self, value: complex) -> None:
        """Set all entries to a number."""
        self._native.fill(value)

    def scale(self, alpha: complex) -> None:
        """Multiply all entries by a number."""
        self._native.scale(alpha)

    def axpy(self, alpha: complex, x: MultiVector) -> None:
        """Add ``alpha * x``."""
        if x is self:
            self._native.scale(1 + alpha)
        else:
            self._native.axpy(alpha, x._native)

    def gram(self, other: MultiVector) -> NDArray[Any]:
        """Return ``self.H @ other``, the inner products of all columns. Collective."""
        return self._native.gram(other._native)

    def norms(self) -> NDArray[np.float64]:
        """Return the Euclidean norm of each column. Collective."""
        return np.array(self._native.norms())

    def qr(self) -> tuple[MultiVector, NDArray[Any]]:
        """Return orthonormal columns Q and an upper triangular R with ``self = Q R``. Collective."""
        q = self.copy()
        r = q._native.qr()
        return q, r

    #: Not a sequence of arrays for NumPy.
    __array_ufunc__ = None

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        if self._native.layout.comm.size > 1:
            raise TypeError("vectors spread over several ranks cannot become a NumPy array; use X.local or X.gather()")
        array = self.local if copy is False else self.local.copy()
        return array if dtype is None else array.astype(dtype, copy=False)

    def __copy__(self) -> MultiVector:
        return self.copy()

    def __deepcopy__(self, memo: Any) -> MultiVector:
        return self.copy()

    def __matmul__(self, coefficients: ArrayLike) -> MultiVector:
        """Return ``self @ coefficients`` for a small matrix, the same on all ranks."""
        if isinstance(coefficients, (Vector, MultiVector)):
            raise TypeError("X @ C takes a small matrix C that all ranks have; X.gram(Y) has inner products")
        given = np.asarray(coefficients)
        if given.ndim != 2 or given.shape[0] != len(self):
            raise ValueError(f"X @ C: expected {len(self)} rows and two dimensions, got an array of shape {given.shape}")
        if given.dtype.kind == "c" and self.dtype.kind != "c":
            raise TypeError(f"X @ C: the coefficients are complex, and X has dtype {self.dtype}; use a complex X")
        small = np.ascontiguousarray(given, dtype=self.dtype)
        result = MultiVector(self.layout, small.shape[1], self.dtype)
        result._native.multiply_add(self._native, small)
        return result

    def gather(self, root: int | None = None) -> NDArray[Any] | None:
        """Return all rows in global order as a NumPy array, on `root` alone or on all ranks. Collective."""
        columns = [self[column].gather(root) for column in range(len(self))]
        if any(column is None for column in columns):
            return None
        if not columns:
            return np.zeros((self.shape[0], 0), dtype=self.dtype)
        gathered: NDArray[Any] = np.stack([column for column in columns if column is not None], axis=1)
        return gathered

    def __repr__(self) -> str:
        layout = self._native.layout
        comm = layout.comm
        return (
            f"MultiVector({layout.global_len} x {self._native.columns}, {self.dtype}; "
            f"rank {comm.rank} of {comm.size} owns {layout.local_len} rows)"
        )
