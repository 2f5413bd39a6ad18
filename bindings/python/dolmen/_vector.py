"""Distributed vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from . import _dolmen
from ._comm import Comm, indices
from ._dtypes import DTYPES, NAMES, dtype_name
from ._layout import Layout, as_layout

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike, NDArray

#: NumPy, whose ufuncs call `Vector.__array_ufunc__`: type checkers know arrays only.
_ufuncs: Any = np


class Vector(_dolmen.VectorBase):
    """A distributed vector: each rank holds the entries that its layout says it owns.

    Parameters
    ----------
    layout : Layout or int
        Distribution of the entries, or their number, which is then split evenly over all ranks.
    dtype : {"f8", "f4", "c8", "c16"}
        Type of the entries, as NumPy names it.

    Notes
    -----
    Sums and norms have the same bits on any number of ranks. They are collective, as is what returns entries of
    other ranks; arithmetic is not.

    Functions of NumPy that work entry by entry give vectors; of the others those that have a meaning for a
    distributed vector are collective, and the rest raises a `TypeError`. `local` is for everything else.

    Examples
    --------
    >>> import dolmen as dm
    >>> import numpy as np
    >>> x = dm.Vector(4)
    >>> x.local[:] = [1, 2, 3, 4]
    >>> y = 2 * x + np.sqrt(x)
    >>> x.dot(x), dm.norm(y - x - np.sqrt(x))
    (30.0, 5.477225575051661)
    """

    __slots__ = ()

    #: Before those of ndarray, so that `array * vector` comes here.
    __array_priority__ = 1000

    def __new__(cls, layout: Layout | int, dtype: DTypeLike = "f8") -> Vector:
        return cls._wrap(_dolmen.Vector.zeros(as_layout(layout)._native, dtype_name(dtype)))

    @classmethod
    def _wrap(cls, native: _dolmen.Vector) -> Vector:
        return _dolmen.VectorBase.__new__(cls, native)

    # The vector.

    @property
    def layout(self) -> Layout:
        """The distribution of the entries over the ranks."""
        return Layout._wrap(self._native.layout)

    @property
    def comm(self) -> Comm:
        """The ranks that share the vector."""
        return self.layout.comm

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the entries."""
        return DTYPES[self._native.dtype]

    @property
    def size(self) -> int:
        """The number of entries over all ranks."""
        return self._native.layout.global_len

    @property
    def shape(self) -> tuple[int]:
        """The number of entries over all ranks, as a tuple."""
        return (self.size,)

    @property
    def ndim(self) -> int:
        """One."""
        return 1

    def __len__(self) -> int:
        return self.size

    def __repr__(self) -> str:
        layout = self._native.layout
        comm = layout.comm
        return (
            f"Vector({layout.global_len} entries, {self.dtype}; rank {comm.rank} of {comm.size} owns {layout.local_len}: "
            f"{np.array2string(self.local, threshold=6, edgeitems=2)})"
        )

    def _repr_html_(self) -> str:
        layout = self._native.layout
        comm = layout.comm
        entries = np.array2string(self.local, threshold=6, edgeitems=2)
        return (
            f"<table><tr><th>Vector</th><td>{layout.global_len} entries, {self.dtype}</td></tr>"
            f"<tr><th>rank {comm.rank} of {comm.size}</th><td>{layout.local_len} entries</td></tr>"
            f"<tr><th>local</th><td><code>{entries}</code></td></tr></table>"
        )

    def __reduce__(self) -> Any:
        if self._native.layout.comm.size > 1:
            raise TypeError(
                "a vector spread over several ranks cannot be pickled; pickle x.gather() or x.local, or write it to a file"
            )
        return (_restored, (self.local.copy(),))

    def copy(self) -> Vector:
        """Return a copy."""
        return Vector._wrap(self._native.copy())

    def astype(self, dtype: DTypeLike) -> Vector:
        """Return a copy with entries of another type; a real one keeps real parts only."""
        return Vector._wrap(self._native.astype(dtype_name(dtype)))

    def __copy__(self) -> Vector:
        return self.copy()

    def __deepcopy__(self, memo: Any) -> Vector:
        return self.copy()

    def __eq__(self, other: object) -> bool:
        raise TypeError("== and != of vectors are not defined; use numpy.array_equal(x, y), numpy.allclose(x, y), or x.local == y.local")

    __hash__ = object.__hash__

    def __bool__(self) -> bool:
        raise TypeError("a vector is neither true nor false; use x.local, or x.norm() != 0")

    def copy_from(self, x: Vector) -> None:
        """Replace all entries by those of `x`, on the same layout."""
        if x is not self:
            self._native.copy_from(native_of(x, "x"))

    # Entries, wherever they live.

    def get(self, rows: ArrayLike) -> NDArray[Any]:
        """Return the entries at any global rows, on each rank its own. Collective."""
        with self.comm.agreeing():
            wanted = indices(rows, "Vector.get")
        return self._native.get(wanted)

    def set(self, rows: ArrayLike, values: ArrayLike, add: bool = False) -> None:
        """Replace entries at any global rows, from any rank, or add to them. Collective.

        Of several values for one entry the last one of the highest rank stays. What is added to one entry has the same
        bits whatever the order and the ranks.
        """
        with self.comm.agreeing():
            places = indices(rows, "Vector.set")
            given = np.broadcast_to(np.asarray(values, dtype=self.dtype), places.shape)
        self._native.set(places, np.ascontiguousarray(given), add)

    def gather(self, root: int | None = None) -> NDArray[Any] | None:
        """Return all entries in global order as a NumPy array. Collective.

        Parameters
        ----------
        root : int, optional
            The only rank that gets them; the others get None. By default all ranks do.
        """
        if root is None:
            return self._native.gather_all()
        return self._native.gather(root)

    def redistributed(self, layout: Layout) -> Vector:
        """Return the vector on another layout. Collective."""
        return Vector._wrap(self._native.redistributed(layout._native))

    def __getitem__(self, rows: slice) -> Vector:
        """Return the entries of a range of global rows as a vector; every rank keeps those that it owns."""
        if not isinstance(rows, slice):
            raise TypeError("a vector is indexed by a slice; use x.get([...]) for single entries and x.local for owned ones")
        start, stop, step = rows.indices(self.size)
        if step != 1:
            raise ValueError(f"a slice of a vector must have step 1, got {step}")
        return Vector._wrap(self._native.subvector(start, max(start, stop)))

    def __setitem__(self, rows: slice, values: Any) -> None:
        part = self[rows]
        if isinstance(values, Vector):
            part = values.copy() if values is self else values
        else:
            part.fill(values)
        start, stop, _ = rows.indices(self.size)
        self._native.set_subvector(start, max(start, stop), part._native)

    # In place.

    def fill_random(self, seed: int, stream: int = 0, normal: bool = False) -> None:
        """Fill with random numbers that do not depend on the number of ranks.

        Uniform in [0, 1), or normally distributed with mean 0 and variance 1.
        """
        self._native.fill_random(seed, stream, normal)

    # Sums. Collective.

    def sum(self) -> Any:
        """Return the sum of all entries. Collective."""
        return self._native.sum()

    def mean(self) -> Any:
        """Return the mean of all entries. Collective."""
        return self._native.sum() / self.size

    def max(self) -> float:
        """Return the largest entry of a real vector. Collective."""
        return self._extreme(True)[1]

    def min(self) -> float:
        """Return the smallest entry of a real vector. Collective."""
        return self._extreme(False)[1]

    def argmax(self) -> int:
        """Return the global row of the largest entry, the first among equals. Collective."""
        return self._extreme(True)[0]

    def argmin(self) -> int:
        """Return the global row of the smallest entry, the first among equals. Collective."""
        return self._extreme(False)[0]

    def _extreme(self, largest: bool) -> tuple[int, float]:
        found = self._native.extreme(largest)
        if found is None:
            raise ValueError("an empty vector has no largest or smallest entry")
        return found

    # Arithmetic.

    @property
    def real(self) -> Vector:
        """The real parts, as a real vector."""
        return self.astype(self.local.real.dtype)

    @property
    def imag(self) -> Vector:
        """The imaginary parts, as a real vector."""
        result = Vector(self.layout, self.local.real.dtype)
        result.local[:] = self.local.imag
        return result

    def conj(self) -> Vector:
        """Return the vector with conjugated entries."""
        result = self.copy()
        result._native.conjugate()
        return result

    conjugate = conj

    def __neg__(self) -> Vector:
        return cast(Vector, _ufuncs.negative(self))

    def __pos__(self) -> Vector:
        return self.copy()

    def __abs__(self) -> Vector:
        return cast(Vector, _ufuncs.abs(self))

    def __add__(self, other: Any) -> Vector:
        return cast(Vector, _ufuncs.add(self, other))

    __radd__ = __add__

    def __sub__(self, other: Any) -> Vector:
        return cast(Vector, _ufuncs.subtract(self, other))

    def __rsub__(self, other: Any) -> Vector:
        return cast(Vector, _ufuncs.subtract(other, self))

    def __mul__(self, other: Any) -> Vector:
        return cast(Vector, _ufuncs.multiply(self, other))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Vector:
        return cast(Vector, _ufuncs.divide(self, other))

    def __rtruediv__(self, other: Any) -> Vector:
        return cast(Vector, _ufuncs.divide(other, self))

    def __pow__(self, other: Any) -> Vector:
        # As arrays do: a square is one product.
        return cast(Vector, _ufuncs.square(self) if other == 2 else _ufuncs.power(self, other))

    def __iadd__(self, other: Any) -> Vector:
        if isinstance(other, Vector) and other._native.dtype == self._native.dtype:
            self.axpy(1.0, other)
            return self
        return cast(Vector, _ufuncs.add(self, other, out=self))

    def __isub__(self, other: Any) -> Vector:
        if isinstance(other, Vector) and other._native.dtype == self._native.dtype:
            self.axpy(-1.0, other)
            return self
        return cast(Vector, _ufuncs.subtract(self, other, out=self))

    def __imul__(self, other: Any) -> Vector:
        return cast(Vector, _ufuncs.multiply(self, other, out=self))

    def __itruediv__(self, other: Any) -> Vector:
        return cast(Vector, _ufuncs.divide(self, other, out=self))

    def __matmul__(self, other: Any) -> Any:
        """Return ``sum(self * other)``, without conjugation, as NumPy does. Collective."""
        if not isinstance(other, Vector):
            return NotImplemented
        return self.conj().dot(other) if self.dtype.kind == "c" else self.dot(other)

    # NumPy's protocols.

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        if self._native.layout.comm.size > 1:
            raise TypeError(
                "a vector spread over several ranks cannot become a NumPy array; use x.local for the owned entries or "
                "x.gather() for all of them"
            )
        array = self.local if copy is False else self.local.copy()
        return array if dtype is None else array.astype(dtype, copy=False)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        from ._array_protocol import apply_ufunc

        return apply_ufunc(Vector, ufunc, method, inputs, kwargs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        from ._array_protocol import apply_function

        return apply_function(Vector, function, args, kwargs)

    def __dlpack__(self, **kwargs: Any) -> Any:
        """Return the owned entries as a DLPack capsule, without a copy."""
        return self.local.__dlpack__(**kwargs)

    def __dlpack_device__(self) -> Any:
        return self.local.__dlpack_device__()


def native_of(x: Any, what: str) -> _dolmen.Vector:
    """Return the native part of a vector."""
    if type(x) is Vector or isinstance(x, Vector):
        return x._native
    raise TypeError(f"{what} is a {type(x).__name__}, expected a dolmen.Vector; dolmen.array makes one of each rank's entries")


def _restored(values: NDArray[Any]) -> Vector:
    from ._comm import self_

    vector = Vector(Layout(len(values), self_()), values.dtype)
    vector.local[:] = values
    return vector


def zeros(layout: Layout | int, dtype: DTypeLike = "f8") -> Vector:
    """Return a vector of zeros."""
    return Vector(layout, dtype)


def ones(layout: Layout | int, dtype: DTypeLike = "f8") -> Vector:
    """Return a vector of ones."""
    return full(layout, 1.0, dtype)


def full(layout: Layout | int, value: complex, dtype: DTypeLike = "f8") -> Vector:
    """Return a vector with the same number in each entry."""
    vector = Vector(layout, dtype)
    vector.fill(value)
    return vector


def random(layout: Layout | int, seed: int, stream: int = 0, normal: bool = False, dtype: DTypeLike = "f8") -> Vector:
    """Return a vector of random numbers that do not depend on the number of ranks; see `Vector.fill_random`."""
    vector = Vector(layout, dtype)
    vector.fill_random(seed, stream, normal)
    return vector


def array(local: ArrayLike, layout: Layout | None = None, comm: Any = None) -> Vector:
    """Return a vector of each rank's own entries. Collective.

    Parameters
    ----------
    local : array_like
        This rank's entries, copied. Integers become float64.
    layout : Layout, optional
        Distribution of the entries; by default that of the lengths that the ranks give.
    """
    from ._comm import as_comm

    if layout is not None and not isinstance(layout, Layout):
        raise TypeError(f"layout is a {type(layout).__name__}, expected a dolmen.Layout")
    group = layout.comm if layout is not None else as_comm(comm)
    with group.agreeing():
        values = np.asarray(local)
        if values.ndim != 1:
            raise ValueError(f"entries of a vector have one dimension, got {values.ndim}")
        dtype = values.dtype if values.dtype in NAMES else np.result_type(values.dtype, np.float64)
        dtype_name(dtype)
        if layout is not None and len(values) != layout.local_size:
            raise ValueError(f"the layout has {layout.local_size} entries on this rank, got {len(values)}")
    # An empty list is float64 wherever it comes from: it does not decide, unless all are empty.
    kinds = [DTYPES[name] for name in group.all_gather(dtype_name(dtype) if len(values) else None) if name] if group.size > 1 else [dtype]
    widest = np.result_type(*kinds) if kinds else np.dtype("f8")
    where = layout if layout is not None else Layout.from_local(len(values), group)
    vector = Vector(where, widest)
    vector.local[:] = values
    return vector


def scatter(values: ArrayLike | None, layout: Layout, root: int = 0) -> Vector:
    """Spread all entries, which rank `root` gives in global order, over a layout. Collective."""
    comm = layout.comm
    with comm.agreeing():
        given, name = None, ""
        if comm.rank == root:
            given = np.ascontiguousarray(values)
            name = dtype_name(given.dtype if given.dtype in NAMES else "f8")
            given = given.astype(DTYPES[name], copy=False)
    name = comm.broadcast(name, root)
    return Vector._wrap(_dolmen.Vector.scatter(layout._native, root, name, given))


def norm(x: Any, ord: Any = None) -> float:
    """Return the norm of a vector (order 1, 2 or ``inf``) or of a matrix (``"fro"``, 1 or ``inf``). Collective."""
    return float(x.norm() if ord is None else x.norm(ord))


def vdot(x: Vector, y: Vector) -> Any:
    """Return ``sum(conj(x) * y)``. Collective."""
    return x.dot(y)
