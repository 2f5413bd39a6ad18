"""Parallel HDF5: files that all ranks share, without C."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _dolmen
from ._attributes import Attributes
from ._comm import Comm, as_comm, count
from ._elements import ENUMERATION, Spec, array_of, dtype_of, fixed, number, packed, spec_of, unpacked
from ._layout import Layout
from ._matrix import CsrMatrix
from ._multi_vector import MultiVector
from ._vector import Vector

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike, NDArray

#: Level of compression, as h5py has it.
_LEVEL = 4


class File(_dolmen.Owned):
    """An HDF5 file that all ranks of a communicator open together.

    Parameters
    ----------
    path : path
    mode : {"r", "w", "x"}
        Read a file; write a new one, which replaces one of that name when it is closed; or write one that must not exist.
    comm : Comm, optional
        The ranks that share the file; all by default.
    allow_external : bool
        Read data that the file names but that lie in other files.
    alignment : (int, int), optional
        Data of at least so many bytes start at multiples of so many bytes: the stripe of a parallel file system. 1 MiB each by
        default.
    chunk_cache : int, optional
        Bytes of uncompressed chunks that each dataset keeps, of a file that is read.

    Notes
    -----
    Collective, as are all methods, unless they say otherwise. A file that is written appears under its name when it is closed;
    after an exception in a ``with`` block nothing does.

    Examples
    --------
    >>> import dolmen as dm
    >>> x = dm.ones(6)
    >>> with dm.File("run.h5", "w") as f:
    ...     f["state/u"] = x
    ...     f.attrs("state/u")["units"] = "K"
    >>> with dm.File("run.h5") as f:
    ...     y = f["state/u"].read()
    ...     part = f["state/u"][2:4]
    >>> y.sum(), part
    (6.0, array([1., 1.]))
    """

    _native: _dolmen.File

    def __init__(
        self,
        path: str | os.PathLike[str],
        mode: str = "r",
        comm: Any = None,
        allow_external: bool = False,
        alignment: tuple[int, int] | None = None,
        chunk_cache: int | None = None,
    ) -> None:
        self.comm: Comm = as_comm(comm)
        self.filename = os.fspath(path)
        self.mode = mode
        self._written: set[str] = set()
        if mode == "r":
            self._native = _dolmen.File.open(self.comm._native, self.filename, allow_external, chunk_cache)
        elif mode in ("w", "x"):
            if mode == "x" and self.comm.broadcast(os.path.lexists(self.filename)):
                raise FileExistsError(f"{self.filename} exists; mode=\"w\" replaces it")
            self._native = _dolmen.File.create(self.comm._native, self.filename, alignment)
        else:
            raise ValueError(f"mode={mode!r} is not known; use \"r\", \"w\" or \"x\"; an existing file cannot be changed")

    def close(self) -> None:
        """Close the file; one that was written gets its name."""
        self._native.close(True)

    def __enter__(self) -> File:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        # What failed on one rank alone must not wait for the others; nothing gets its name.
        self._native.close(kind is None)

    def __repr__(self) -> str:
        state = f"mode {self.mode!r}" if self._native.is_open else "closed"
        return f"File({self.filename!r}, {state})"

    # Objects.

    def __contains__(self, name: str) -> bool:
        return self._native.exists(name)

    def keys(self, group: str = "/") -> list[str]:
        """Return the names of the groups and datasets directly in a group, sorted."""
        return self._native.children(group)

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def objects(self) -> list[dict[str, Any]]:
        """Return all groups and datasets, with ``name`` and, of datasets, ``shape``, ``dtype``, ``chunks`` and ``filters``."""
        return self._native.objects()

    def __getitem__(self, name: str) -> Any:
        """Open a `Dataset` or a `Group`."""
        from ._errors import FileError

        try:
            return Dataset(self, self._native.dataset(name))
        except FileError:
            if not self._native.exists(name):
                raise KeyError(f"{self.filename} has no {name}") from None
            if not self._is_group(name):
                raise
            return Group(self, name)

    def _is_group(self, name: str) -> bool:
        from ._errors import FileError

        try:
            self._native.children(name)
        except FileError:
            return False
        return True

    def __setitem__(self, name: str, value: Any) -> None:
        """Write a vector, a multi-vector, a matrix, or an array that all ranks have alike."""
        self.write(name, value)

    def write(
        self, name: str, value: Any, chunks: Sequence[int] | None = None, compression: str | int | None = None
    ) -> None:
        """Write a vector, a multi-vector, a matrix, or an array that all ranks have alike, as a new object.

        Parameters
        ----------
        chunks : sequence of int, optional
            The shape of a chunk.
        compression : "gzip" or int, optional
            Shuffle and compress, at level 4 or at this one, from 1 to 9.
        """
        if not isinstance(value, (Vector, MultiVector, CsrMatrix)):
            with self.comm.agreeing():
                array = array_of(value, name)
                if array.ndim == 0:
                    raise TypeError(f"{name}: a single value is an attribute, file.attrs[{name!r}] = value; arrays have dimensions")
                strings = fixed(array, name)
                array = array if strings is None else strings
                spec_of(array.dtype, name)
            self.comm.require_same(
                f"{array.dtype} {array.shape}".encode() + np.ascontiguousarray(array).tobytes(),
                f"the array for {name} (entries that differ by rank make a Vector, or slabs of a dataset)",
            )
            data = array if self.comm.rank == 0 else np.zeros((0, *array.shape[1:]), array.dtype)
            self._create(name, array.shape, array.dtype, chunks, compression, strings is not None)._write([0] * array.ndim, data)
            return
        shape: tuple[int, ...] = value.shape
        if isinstance(value, CsrMatrix):
            # Its arrays have one entry for each stored entry, and one for each row.
            shape = (min(value.nnz, value.shape[0]),)
            compression = compression if value.nnz else None
        chunk, level = _storage(chunks, compression, shape, self.comm.size)
        self._note(name)
        if isinstance(value, Vector):
            self._native.write_vector(name, value._native, chunk, level)
        elif isinstance(value, MultiVector):
            self._native.write_vectors(name, value._native, chunk, level)
        else:
            self._native.write_matrix(name, value._matrix, chunk, level)

    def _note(self, name: str) -> None:
        """Refuse the name of a new object that cannot be."""
        self.comm.require_same(name.encode(), "the name of the object")
        if self.mode == "r":
            raise ValueError(f"{self.filename} is open for reading; open a new file with mode=\"w\"")
        path = name.strip("/")
        if not path:
            raise ValueError("the name of an object is empty")
        parents = {path.rsplit("/", depth)[0] for depth in range(1, path.count("/") + 1)}
        if path in self._written or any(known.startswith(f"{path}/") for known in self._written) or parents & self._written:
            raise ValueError(f"{self.filename}: {path} exists already, or a dataset has its name or that of one of its groups; give another name")
        self._written.add(path)

    def create_dataset(
        self,
        name: str,
        shape: Sequence[int] | int,
        dtype: DTypeLike = "f8",
        chunks: Sequence[int] | None = None,
        compression: str | int | None = None,
        attrs: Mapping[str, Any] | None = None,
    ) -> Dataset:
        """Create a dataset, whose slabs the ranks write.

        Parameters
        ----------
        shape : sequence of int
        dtype : data-type
            Integers, floats of 4 or 8 bytes, complex numbers, booleans, strings of a fixed number of bytes such as ``"S16"``,
            or columns of these.
        chunks : sequence of int, optional
            The shape of a chunk; needed to compress.
        compression : "gzip" or int, optional
            Shuffle and compress, at level 4 or at this one, from 1 to 9.
        attrs : mapping, optional
            Attributes of the dataset.
        """
        dataset = self._create(name, shape, dtype, chunks, compression)
        dataset.attrs.update(attrs or {})
        return dataset

    def _create(
        self, name: str, shape: Sequence[int] | int, dtype: DTypeLike, chunks: Any, compression: Any, is_utf8: bool = False
    ) -> Dataset:
        with self.comm.agreeing():
            lengths = [shape] if isinstance(shape, (int, np.integer)) else list(shape)
            dimensions = [count(length, f"{name}: shape") for length in lengths]
            chunk, level = _storage(chunks, compression, dimensions, self.comm.size)
            kind = np.dtype(dtype)
            spec: Spec = spec_of(kind, name)
        self.comm.require_same(f"{name} {dimensions} {spec} {chunk} {level}".encode(), "the dataset to create")
        self._note(name)
        element = number(kind)
        if element is not None:
            return Dataset(self, self._native.create_dataset(name, dimensions, element, chunk, level))
        if is_utf8:
            spec = f"U{max(1, kind.itemsize)}"
        return Dataset(self, _dolmen.create_raw_dataset(self._native, name, spec, dimensions, chunk, level))

    def create_group(self, name: str) -> Group:
        """Create a group, and those above it that are missing."""
        self._native.create_group(name)
        return Group(self, name)

    @property
    def attrs(self) -> Attributes:
        """The attributes of the file; ``f.attrs(name)`` has those of a group or dataset."""
        return Attributes(self, "/")


def _storage(
    chunks: Any, compression: str | int | None, shape: Sequence[int], ranks: int
) -> tuple[list[int] | None, int | None]:
    """Return the shape of a chunk and the level of compression."""
    if isinstance(chunks, (bool, int)):
        raise TypeError(f"chunks={chunks!r}: give the shape of a chunk, or None")
    if compression is None:
        return (None if chunks is None else [int(length) for length in chunks]), None
    level = _LEVEL if compression == "gzip" else compression
    if not isinstance(level, int) or not 1 <= level <= 9:
        raise ValueError(f"compression={compression!r} is not known; use \"gzip\" or a level from 1 to 9")
    if chunks is not None:
        return [int(length) for length in chunks], level
    # About 1 MiB of numbers, along the first dimension, and at least one chunk for each rank.
    row = max(1, int(np.prod(shape[1:], dtype=np.int64)))
    first = max(1, min((1 << 17) // row, -(-int(shape[0]) // ranks)))
    return [first, *(max(1, int(length)) for length in shape[1:])], level


class Group:
    """A group of a file."""

    def __init__(self, file: File, name: str) -> None:
        self.file, self.name = file, name.strip("/")

    def _path(self, name: str) -> str:
        return f"{self.name}/{name}" if self.name else name

    def keys(self) -> list[str]:
        """Return the names of the groups and datasets directly in it, sorted. Collective."""
        return self.file.keys(self.name or "/")

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __contains__(self, name: str) -> bool:
        return self._path(name) in self.file

    def __getitem__(self, name: str) -> Any:
        return self.file[self._path(name)]

    def __setitem__(self, name: str, value: Any) -> None:
        self.file[self._path(name)] = value

    def create_dataset(self, name: str, *args: Any, **kwargs: Any) -> Dataset:
        """Create a dataset in the group; see `File.create_dataset`."""
        return self.file.create_dataset(self._path(name), *args, **kwargs)

    @property
    def attrs(self) -> Attributes:
        """The attributes of the group."""
        return Attributes(self.file, self.name or "/")

    def read(self, layout: Layout | None = None, domain: Layout | None = None, dtype: DTypeLike = "f8") -> CsrMatrix:
        """Read the sparse matrix that the group holds. Collective.

        Parameters
        ----------
        layout, domain : Layout, optional
            Distribution of rows and columns; even by default.
        """
        from ._dtypes import dtype_name

        rows, columns = self.file._native.matrix_shape(self.name)
        range_ = Layout(rows, self.file.comm) if layout is None else layout
        domain_ = domain or (range_ if rows == columns else Layout(columns, self.file.comm))
        native = self.file._native.read_matrix(self.name, range_._native, domain_._native, dtype_name(dtype))
        return CsrMatrix._wrap(native)

    def __repr__(self) -> str:
        return f"Group({self.name!r} of {self.file.filename!r})"


class Dataset(_dolmen.Owned):
    """A dataset of an open file; the ranks read and write slabs of it together.

    ``d[2:5, :]`` reads a slab as a NumPy array, and ``d[2:5, :] = values`` writes one. Slices may differ between the ranks, and be
    empty; the calls are collective.
    """

    _native: _dolmen.Dataset

    def __init__(self, file: File, native: _dolmen.Dataset) -> None:
        self.file = file
        self._native = native
        self.name = native.name
        self.shape = tuple(native.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the elements, as h5py has it: bool, complex for pairs of floats, structured for tables, object for strings."""
        try:
            return dtype_of(self._native.dtype)
        except TypeError as error:
            raise TypeError(f"{self.file.filename}: {self.name}: {error}") from None

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def attrs(self) -> Attributes:
        """The attributes of the dataset."""
        return Attributes(self.file, self.name)

    def read(self, layout: Layout | None = None, dtype: DTypeLike | None = None) -> Vector | MultiVector:
        """Read the dataset as a vector, or, with two dimensions, as a multi-vector. Collective.

        Parameters
        ----------
        layout : Layout, optional
            Distribution of the rows, on any number of ranks; even by default.
        dtype : {"f8", "f4", "c8", "c16"}, optional
            That of the dataset by default; float64 for integers.
        """
        from ._dtypes import NAMES, dtype_name

        found = self.dtype.newbyteorder("=")
        wanted = dtype_name(dtype if dtype is not None else found if found in NAMES else "f8")
        where = Layout(self.shape[0] if self.ndim else 1, self.file.comm) if layout is None else layout
        file = self.file._native
        if self.ndim == 2:
            return MultiVector._wrap(file.read_vectors(self.name, where._native, wanted))
        return Vector._wrap(file.read_vector(self.name, where._native, wanted))

    def read_slab(
        self, start: Sequence[int], count: Sequence[int], dtype: DTypeLike | None = None, field: str | None = None
    ) -> NDArray[Any]:
        """Read `count` elements from `start` on in each dimension; a rank that needs none gives a count of 0. Collective.

        Parameters
        ----------
        field : str, optional
            A column of a table, a dataset of compound type.
        """
        found = self.dtype
        if field is not None:
            if found.names is None or field not in found.names:
                raise KeyError(f"{self.name} has no column {field}; it has {', '.join(found.names or ()) or 'none'}")
            found = found[field]
        element = number(found.newbyteorder("=") if dtype is None else dtype)
        if element is None and found.kind == "f" and found.itemsize > 8:
            raise TypeError(f"{self.name}: elements of {found} are read as float64 only; give dtype=\"f8\"")
        if element is None or (self._native.dtype.startswith(ENUMERATION) and dtype in (None, found)):
            if dtype is not None and np.dtype(dtype) != found:
                raise TypeError(f"{self.name}: elements of {found} are not read as {np.dtype(dtype)}; leave dtype out")
            whole = self._read_raw(list(start), list(count))
            return whole if field is None else np.ascontiguousarray(whole[field])
        flat = self._native.read(list(start), list(count), element, field)
        return flat.reshape(tuple(count))

    def _read_raw(self, start: list[int], count: list[int]) -> NDArray[Any]:
        values = _dolmen.read_raw(self._native, start, count)
        if isinstance(values, list):
            return np.array(values, dtype=object).reshape(count)
        return unpacked(values, self._native.dtype, tuple(count))

    def write(self, rows: range, data: ArrayLike) -> None:
        """Write this rank's rows, whole in all other dimensions. Collective."""
        if rows.step != 1:
            raise ValueError(f"rows must be a range with step 1, got step {rows.step}")
        self._write([rows.start, *([0] * (self.ndim - 1))], data, (len(rows), *self.shape[1:]))

    def __getitem__(self, key: Any) -> NDArray[Any]:
        start, count, kept = self._slab(key)
        return self.read_slab(start, count).reshape(kept)

    def __setitem__(self, key: Any, values: ArrayLike) -> None:
        start, count, _ = self._slab(key)
        self._write(start, values, tuple(count))

    def _write(self, start: Sequence[int], values: ArrayLike, shape: tuple[int, ...] | None = None) -> None:
        kind = self.dtype.newbyteorder("=")
        element = number(kind)
        with self.file.comm.agreeing():
            array = self._converted(array_of(values, self.name), kind)
            if shape is not None:
                array = np.broadcast_to(array, shape) if array.size != np.prod(shape, dtype=np.int64) else array.reshape(shape)
        if element is None:
            _dolmen.write_raw(self._native, list(start), list(array.shape), packed(array))
        else:
            self._native.write(list(start), list(array.shape), element, np.ascontiguousarray(array).reshape(-1))

    def _converted(self, array: NDArray[Any], kind: np.dtype[Any]) -> NDArray[Any]:
        """Return values in the type of the dataset; refuse those that would change."""
        if kind.kind == "S":
            strings = fixed(array, self.name)
            array = array if strings is None else strings
            if array.dtype.kind != "S":
                raise TypeError(f"{self.name}: values of type {array.dtype} do not fit into a dataset of strings; give strings")
            if array.dtype.itemsize > kind.itemsize:
                raise ValueError(f"{self.name}: a string of {array.dtype.itemsize} bytes does not fit into a dataset of strings of {kind.itemsize} bytes")
        elif array.dtype.kind == "c" and kind.kind != "c":
            raise TypeError(f"{self.name}: complex numbers do not fit into a dataset of {self.dtype}; write their real parts, or create a complex dataset")
        elif kind.names is not None and array.dtype.names != kind.names:
            raise TypeError(f"{self.name}: an array with columns {array.dtype.names} does not fit into a table with columns {kind.names}")
        with np.errstate(invalid="ignore"):
            converted: NDArray[Any] = array.astype(kind, copy=False)
        if kind.kind in "iub" and array.dtype != kind and not np.array_equal(converted, array):
            raise ValueError(f"{self.name}: a value does not fit into {kind}; convert the values, or create a dataset of another type")
        return converted

    def _slab(self, key: Any) -> tuple[list[int], list[int], tuple[int, ...]]:
        """Return start, count and the shape without the dimensions of single indices, of what h5py takes as a simple slab."""
        with self.file.comm.agreeing():
            keys = list(key) if isinstance(key, tuple) else [key]
            if Ellipsis in keys:
                at = keys.index(Ellipsis)
                keys[at : at + 1] = [slice(None)] * (self.ndim - len(keys) + 1)
            keys += [slice(None)] * (self.ndim - len(keys))
            if len(keys) > self.ndim:
                raise IndexError(f"{self.name} has {self.ndim} dimensions, {len(keys)} indices are given")
            start, count, kept = [], [], []
            for one, length in zip(keys, self.shape):
                if isinstance(one, slice):
                    first, last, step = one.indices(length)
                    if step != 1:
                        raise IndexError(f"{self.name}: a slice must have step 1, got {step}")
                    start.append(first if last > first else 0)
                    count.append(max(0, last - first))
                    kept.append(count[-1])
                elif isinstance(one, (int, np.integer)):
                    if not -length <= one < length:
                        raise IndexError(f"{self.name}: index {one} is outside of 0..{length}")
                    start.append(int(one) % length)
                    count.append(1)
                else:
                    raise IndexError(f"{self.name}: expected integers and slices, got {type(one).__name__}")
        return start, count, tuple(kept)

    def __repr__(self) -> str:
        return f"Dataset({self.name!r}, shape {self.shape}, {self._native.dtype})"
