"""Sparse matrices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _dolmen
from ._comm import Comm, count, indices
from ._layout import Layout, as_layout
from ._multi_vector import MultiVector
from ._operator import Adjoint, LinearOperator
from ._errors import make
from ._dtypes import DTYPES, NAMES, dtype_name
from ._vector import Vector, native_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike, NDArray


class CsrMatrix(_dolmen.MatrixBase, LinearOperator):
    """A sparse matrix, whose rows a layout distributes over the ranks.

    Made by `from_coo`, `from_scipy`, `from_rows`, `from_diagonals` or `dolmen.read_matrix`.

    Notes
    -----
    ``A @ x`` has the same bits on any number of ranks. Where a preconditioner or an operator was made from the matrix,
    a change of its values leaves that as it was.

    Examples
    --------
    >>> import dolmen as dm
    >>> layout = dm.Layout(3)
    >>> A = dm.CsrMatrix.from_coo([0, 1, 2, 2], [0, 1, 2, 0], [1.0, 2.0, 3.0, 4.0], layout)
    >>> (A @ dm.ones(layout)).gather()
    array([1., 2., 7.])
    """

    __slots__ = ()

    def __new__(cls) -> CsrMatrix:
        raise TypeError(
            "CsrMatrix is not called itself; make a matrix with CsrMatrix.from_coo, from_scipy, from_rows or from_diagonals, or with read_matrix"
        )

    @classmethod
    def _wrap(cls, native: _dolmen.Matrix) -> CsrMatrix:  # type: ignore[override]
        return _dolmen.MatrixBase.__new__(cls, native)

    @classmethod
    def from_coo(
        cls,
        rows: ArrayLike,
        columns: ArrayLike,
        values: ArrayLike,
        layout: Layout | int,
        domain: Layout | int | None = None,
        duplicates: str = "add",
    ) -> CsrMatrix:
        """Create a matrix from triplets, given on any rank. Collective.

        Parameters
        ----------
        rows, columns : array_like of int
            Global indices of the entries that this rank gives, in any order.
        values : array_like
            One value for each, or one for all.
        layout : Layout or int
            Distribution of the rows.
        domain : Layout or int, optional
            Distribution of the columns; that of the rows by default.
        duplicates : {"add", "insert"}
            Entries of one place are summed, with bits that do not depend on the ranks, or the last one of the highest
            rank counts.
        """
        range_ = as_layout(layout)
        domain_ = range_ if domain is None else as_layout(domain)
        with range_.comm.agreeing():
            i, j = indices(rows, "rows"), indices(columns, "columns")
            given = np.asarray(values)
            if given.ndim == 0:
                given = np.full(len(i), given)
            if not len(i) == len(j) == given.size:
                raise ValueError(f"{len(i)} rows, {len(j)} columns and {given.size} values; give equal numbers of them")
        dtype = _common_dtype(range_.comm, given)
        given = np.ascontiguousarray(given, dtype=dtype).reshape(-1)
        native = _dolmen.Matrix.from_coo(
            range_._native, domain_._native, (i, j, given), dtype_name(dtype), duplicates
        )
        return cls._wrap(native)

    @classmethod
    def from_scipy(cls, local_rows: Any, layout: Layout | int | None = None, domain: Layout | int | None = None) -> CsrMatrix:
        """Create a matrix from a sparse matrix of SciPy on each rank, which has this rank's rows. Collective.

        Parameters
        ----------
        local_rows : scipy.sparse matrix or array
            This rank's rows with all columns, numbered globally.
        layout : Layout or int, optional
            Distribution of the rows; by default that of the numbers of rows that the ranks give.
        domain : Layout or int, optional
            Distribution of the columns; by default that of the rows if there are as many, otherwise an even one.
        """
        from ._comm import world

        comm = layout.comm if isinstance(layout, Layout) else world()
        with comm.agreeing():
            csr = local_rows.tocsr()
            count, width = csr.shape
        range_ = Layout.from_local(count, comm) if layout is None else as_layout(layout)
        with comm.agreeing():
            if count != range_.local_size:
                raise ValueError(f"the layout has {range_.local_size} rows on this rank, local_rows has {count}")
        width = comm.max(width)
        if domain is None:
            domain_ = range_ if width == range_.size else Layout(width, comm)
        else:
            domain_ = as_layout(domain)
        dtype = _common_dtype(comm, csr.data)
        native = _dolmen.Matrix.from_csr(
            range_._native,
            domain_._native,
            np.ascontiguousarray(csr.indptr, dtype=np.uint64),
            np.ascontiguousarray(csr.indices, dtype=np.int64),
            np.ascontiguousarray(csr.data, dtype=dtype),
            dtype_name(dtype),
        )
        return cls._wrap(native)

    @classmethod
    def from_rows(
        cls,
        row: Callable[[int], tuple[Sequence[int], Sequence[complex]]],
        layout: Layout | int,
        domain: Layout | int | None = None,
        dtype: DTypeLike = "f8",
    ) -> CsrMatrix:
        """Create a matrix row by row: ``row(i)`` returns the columns and the values of global row `i`. Collective.

        Convenient, and slow for large matrices: the function is called for each row. `from_coo` takes arrays.
        """
        range_ = as_layout(layout)
        i: list[NDArray[Any]] = []
        j: list[NDArray[Any]] = []
        v: list[NDArray[Any]] = []
        with range_.comm.agreeing():
            for index in range_.range:
                columns, values = row(index)
                places = np.asarray(columns).reshape(-1)
                j.append(places if places.size else np.zeros(0, np.int64))
                v.append(np.asarray(values, dtype=dtype).reshape(-1))
                i.append(np.full(len(j[-1]), index))
        join: Callable[[list[NDArray[Any]], Any], NDArray[Any]] = lambda parts, kind: (
            np.concatenate(parts) if parts else np.zeros(0, kind)
        )
        return cls.from_coo(join(i, np.int64), join(j, np.int64), join(v, np.dtype(dtype)), range_, domain)

    @classmethod
    def from_diagonals(
        cls, values: Sequence[Any], offsets: Sequence[int], layout: Layout | int, dtype: DTypeLike | None = None
    ) -> CsrMatrix:
        """Create a square matrix from diagonals. Collective.

        Parameters
        ----------
        values : sequence of numbers or of Vector
            One for each diagonal: a constant, or a vector whose entry `i` is that of row `i`.
        offsets : sequence of int
            The column of each diagonal in row 0: ``0`` is the main diagonal, ``1`` the one above it.
        dtype : {"f8", "f4", "c8", "c16"}, optional
            By default what holds all values: of integers float64.
        """
        range_ = as_layout(layout)
        rows, columns, entries = [], [], []
        with range_.comm.agreeing():
            if len(values) != len(offsets):
                raise ValueError(f"{len(values)} diagonals and {len(offsets)} offsets; give equal numbers of them")
            if len(values) == 0:
                raise ValueError("no diagonals; give at least one offset and one value")
            own = range_.rows()
            for value, offset in zip(values, offsets):
                if isinstance(value, Vector) and value.layout != range_:
                    raise make("LayoutError", f"the diagonal {offset} is on another layout than the rows", "LayoutMismatch", None, None)
                inside = (own + offset >= 0) & (own + offset < range_.size)
                rows.append(own[inside])
                columns.append(own[inside] + offset)
                local = value.local if isinstance(value, Vector) else np.full(len(own), value)
                entries.append(local[inside] if dtype is None else local[inside].astype(dtype, casting="same_kind"))
        return cls.from_coo(np.concatenate(rows), np.concatenate(columns), np.concatenate(entries), range_)

    # The matrix.

    @property
    def _native(self) -> _dolmen.Operator:
        return self._matrix.operator()

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the entries."""
        return DTYPES[self._matrix.dtype]

    @property
    def range(self) -> Layout:
        """The distribution of the rows, and of the vectors that the matrix gives."""
        return Layout._wrap(self._matrix.range)

    @property
    def domain(self) -> Layout:
        """The distribution of the columns, and of the vectors that the matrix takes."""
        return Layout._wrap(self._matrix.domain)

    @property
    def shape(self) -> tuple[int, int]:
        """The numbers of rows and columns."""
        return (self._matrix.range.global_len, self._matrix.domain.global_len)

    @property
    def nnz(self) -> int:
        """The number of stored entries over all ranks."""
        return self._matrix.global_entries

    @property
    def local_nnz(self) -> int:
        """The number of stored entries of this rank's rows."""
        return self._matrix.local_entries

    @property
    def ghost_columns(self) -> NDArray[np.int64]:
        """The global columns of entries of this rank that other ranks own, ascending."""
        return self._matrix.ghost_columns.astype(np.int64)

    def __repr__(self) -> str:
        rows, columns = self.shape
        return f"CsrMatrix({rows} x {columns}, {self.nnz} entries, {self.dtype})"

    def __reduce__(self) -> Any:
        if self.comm.size > 1:
            raise TypeError("a matrix spread over several ranks cannot be pickled; write it to a file")
        return (_restored, (self.to_scipy(),))

    def to_scipy(self) -> Any:
        """Return this rank's rows, with all columns, as a `scipy.sparse.csr_array`."""
        import scipy.sparse

        starts, columns, values = self._matrix.rows()
        make = getattr(scipy.sparse, "csr_array", scipy.sparse.csr_matrix)
        shape = (len(starts) - 1, self.shape[1])
        return make((values, columns.astype(np.int64), starts.astype(np.int64)), shape=shape)

    def __copy__(self) -> CsrMatrix:
        return self.copy()

    def __deepcopy__(self, memo: Any) -> CsrMatrix:
        return self.copy()

    def copy(self) -> CsrMatrix:
        """Return a copy."""
        return CsrMatrix._wrap(self._matrix.copy())

    def astype(self, dtype: DTypeLike) -> CsrMatrix:
        """Return a copy with entries of another type; a real one keeps real parts only. Collective."""
        return CsrMatrix._wrap(self._matrix.astype(dtype_name(dtype)))

    # Products.

    def __matmul__(self, other: Any) -> Any:
        """Return the product with a vector, a multi-vector, a matrix or an operator. Collective."""
        if isinstance(other, Vector):
            product = self._product(other)
            return self._promoted(other) if product is None else Vector._wrap(product)
        if isinstance(other, CsrMatrix):
            return CsrMatrix._wrap(self._matrix.multiply(other._matrix))
        if isinstance(other, MultiVector):
            result_columns = MultiVector(self.range, len(other), self.dtype)
            self._matrix.apply_many(other._native, result_columns._native)
            return result_columns
        return super().__matmul__(other)

    def _promoted(self, x: Vector) -> Vector:
        dtype = np.result_type(self.dtype, x.dtype)
        matrix = self if dtype == self.dtype else self.astype(dtype)
        result: Vector = matrix @ x.astype(dtype)
        return result

    def transpose(self) -> CsrMatrix:
        """Return the transposed matrix. Collective."""
        return CsrMatrix._wrap(self._matrix.transpose())

    @property
    def T(self) -> CsrMatrix:
        """The transposed matrix, assembled. Collective."""
        return self.transpose()

    def adjoint(self) -> CsrMatrix:
        """Return the conjugate transpose. Collective."""
        return CsrMatrix._wrap(self._matrix.adjoint())

    @property
    def H(self) -> Any:
        """The adjoint, as an operator; nothing is assembled before its first product."""
        return Adjoint(self)

    def triple_product(self, p: CsrMatrix) -> CsrMatrix:
        """Return ``P^H A P``. Collective."""
        return CsrMatrix._wrap(self._matrix.triple_product(p._matrix))

    # Algebra.

    def __add__(self, other: Any) -> Any:
        if isinstance(other, CsrMatrix):
            return CsrMatrix._wrap(self._matrix.add(1.0, other._matrix, 1.0))
        return super().__add__(other)

    def __sub__(self, other: Any) -> Any:
        if isinstance(other, CsrMatrix):
            return CsrMatrix._wrap(self._matrix.add(1.0, other._matrix, -1.0))
        return super().__sub__(other)

    def __neg__(self) -> CsrMatrix:
        negative: CsrMatrix = self * -1.0
        return negative

    def __mul__(self, factor: Any) -> Any:
        if not np.isscalar(factor):
            return NotImplemented
        if isinstance(factor, complex) and self.dtype.kind != "c":
            result = self.astype(np.result_type(self.dtype, np.complex64))
        else:
            result = self.copy()
        result._matrix.scale(factor)
        return result

    __rmul__ = __mul__

    def __truediv__(self, divisor: complex) -> Any:
        return self * (1.0 / divisor)

    def scale_rows(self, factors: Vector) -> None:
        """Multiply each row by a number, in place."""
        self._matrix.scale_rows(factors._native)

    def scale_columns(self, factors: Vector) -> None:
        """Multiply each column by a number, in place. Collective."""
        self._matrix.scale_columns(factors._native)

    def submatrix(self, rows: ArrayLike, columns: ArrayLike) -> CsrMatrix:
        """Return the rows and columns that the ranks name, each rank its own rows and columns of the result. Collective."""
        with self.comm.agreeing():
            i, j = indices(rows, "rows"), indices(columns, "columns")
        return CsrMatrix._wrap(self._matrix.submatrix(i, j))

    # Values.

    def row(self, index: int) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """Return the columns, ascending, and the values of a row that this rank owns, by its global index.

        Examples
        --------
        >>> import dolmen as dm
        >>> A = dm.CsrMatrix.from_diagonals([-1, 2, -1], [-1, 0, 1], dm.Layout(4, dm.self_))
        >>> for column, value in zip(*A.row(3)):
        ...     print(column, value)
        2 -1.0
        3 2.0
        """
        found = self._matrix.row(count(index, "row"))
        if found is None:
            raise IndexError(f"row {index} of the matrix belongs to another rank, or there is none; this one owns {self.range.range}")
        columns, values = found
        return columns.astype(np.int64), values

    def zero_rows(
        self, rows: ArrayLike, diagonal: complex = 1.0, x: Vector | None = None, b: Vector | None = None
    ) -> None:
        """Replace rows by `diagonal` on the main diagonal and zeros beside it, in place. Collective.

        Parameters
        ----------
        rows : array_like of int
            Global rows; each rank names any, wherever they live and however often.
        diagonal : number
            If it is not zero, each of the rows has to store an entry on the diagonal.
        x, b : Vector, optional
            Known values and the right-hand side, whose entries become ``diagonal * x[i]`` in these rows, in place.

        Examples
        --------
        >>> import dolmen as dm
        >>> A = dm.CsrMatrix.from_diagonals([-1, 2, -1], [-1, 0, 1], 5)
        >>> x, b = dm.full(5, 3.0), dm.zeros(5)
        >>> A.zero_rows([0, 4], 1.0, x, b)
        >>> dm.solve(A, b, method="gmres")[0].gather().round(6)
        array([3., 3., 3., 3., 3.])
        """
        self._zero_rows(rows, False, diagonal, x, b)

    def zero_rows_columns(
        self, rows: ArrayLike, diagonal: complex = 1.0, x: Vector | None = None, b: Vector | None = None
    ) -> None:
        """Replace rows, and columns of the same numbers, by `diagonal` on the main diagonal, in place. Collective.

        A symmetric matrix stays symmetric. Parameters are those of `zero_rows`; what the known values contribute to the other
        equations is subtracted from `b`.
        """
        self._zero_rows(rows, True, diagonal, x, b)

    def _zero_rows(self, rows: ArrayLike, both: bool, diagonal: complex, x: Vector | None, b: Vector | None) -> None:
        with self.comm.agreeing():
            named = indices(rows, "rows")
            if (x is None) != (b is None):
                raise ValueError("x and b belong together: give the known values and the right-hand side, or neither")
            if x is not None and x is b:
                raise ValueError("x and b are one vector; give the known values in a vector of their own")
            boundary = None if x is None or b is None else (native_of(x, "x"), native_of(b, "b"))
        self._matrix.zero_rows(named, both, diagonal, boundary)

    def shift(self, sigma: complex) -> None:
        """Add `sigma` to each entry of the main diagonal, in place; all of them have to be stored. Collective."""
        self._matrix.shift(sigma)

    def add_entries(self, rows: ArrayLike, columns: ArrayLike, values: ArrayLike) -> None:
        """Add to stored entries, in place; each rank gives any, wherever they live. Collective.

        Several values for one entry are summed first, with bits that do not depend on the ranks.
        """
        with self.comm.agreeing():
            i, j = indices(rows, "rows"), indices(columns, "columns")
            given = np.asarray(values)
            given = np.full(len(i), given, dtype=self.dtype) if given.ndim == 0 else given.astype(self.dtype, casting="same_kind")
            if not len(i) == len(j) == given.size:
                raise ValueError(f"{len(i)} rows, {len(j)} columns and {given.size} values; give equal numbers of them")
        self._matrix.add_entries((i, j, np.ascontiguousarray(given).reshape(-1)))

    def diagonal(self) -> Vector:
        """Return the entries of the main diagonal of a square matrix. Collective."""
        diagonal = self._matrix.diagonal()
        if diagonal is None:
            raise ValueError(f"a matrix of {self.shape[0]} x {self.shape[1]} is not square and has no diagonal with a layout")
        return Vector._wrap(diagonal)

    def sum(self, axis: int) -> Vector:
        """Return the sums of the columns (axis 0) or of the rows (axis 1). Collective."""
        if axis in (1, -1):
            return Vector._wrap(self._matrix.row_sums())
        if axis == 0:
            return Vector._wrap(self._matrix.column_sums())
        raise ValueError(f"axis={axis} is not known; use 0 or 1")

    def norm(self, ord: Any = "fro") -> float:
        """Return the norm ``"fro"``, 1 or ``inf``. Collective."""
        return self._matrix.norm({np.inf: "inf", 1: "1"}.get(ord, str(ord)))

    def plan_refill(self, rows: ArrayLike, columns: ArrayLike, duplicates: str = "add") -> RefillPlan:
        """Plan to refill the matrix from triplets at these places, given on any rank. Collective."""
        with self.comm.agreeing():
            i, j = indices(rows, "rows"), indices(columns, "columns")
            if len(i) != len(j):
                raise ValueError(f"{len(i)} rows and {len(j)} columns; give equal numbers of them")
        return RefillPlan._wrap(self._matrix.plan_refill(i, j, duplicates))

    def refill(self, plan: RefillPlan, values: ArrayLike) -> None:
        """Replace all values by those of the planned triplets, in the same order; others become zero. Collective."""
        with self.comm.agreeing():
            given = np.ascontiguousarray(values, dtype=self.dtype).reshape(-1)
        self._matrix.refill(plan._native, given)


class RefillPlan(_dolmen.Owned):
    """Places of triplets in a matrix; see `CsrMatrix.plan_refill`."""

    __slots__ = ()
    _native: _dolmen.RefillPlan

    @classmethod
    def _wrap(cls, native: _dolmen.RefillPlan) -> RefillPlan:
        self = cls.__new__(cls)
        self._native = native
        return self


def _common_dtype(comm: Comm, values: NDArray[Any]) -> np.dtype[Any]:
    """Return the dtype that holds the values of all ranks; float64 for integers."""
    with comm.agreeing():
        dtype = values.dtype if values.dtype in NAMES else np.result_type(values.dtype, np.float64)
        dtype_name(dtype)
    if comm.size == 1:
        return dtype
    # Ranks without values do not decide, unless all are.
    kinds = [DTYPES[name] for name in comm.all_gather(dtype_name(dtype) if values.size else None) if name]
    return np.result_type(*kinds) if kinds else np.dtype("f8")


def _restored(rows: Any) -> CsrMatrix:
    from ._comm import self_

    return CsrMatrix.from_scipy(rows, Layout(rows.shape[0], self_()))
