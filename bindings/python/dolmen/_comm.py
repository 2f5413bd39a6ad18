"""Communicators."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from numbers import Integral, Real
from operator import index
from typing import Any, overload

from . import _dolmen, _session
from ._errors import make


class Comm(_dolmen.Owned):
    """A group of ranks that work together.

    ``dolmen.world`` has all ranks, ``dolmen.self_`` this one alone.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
        A communicator of mpi4py, which is duplicated. Collective over its ranks.

    Examples
    --------
    >>> import dolmen as dm
    >>> dm.world.rank, dm.world.size
    (0, 1)
    """

    __slots__ = ()
    _native: _dolmen.Comm

    def __init__(self, comm: Any) -> None:
        _session.start()
        if isinstance(comm, Comm):
            self._native = comm._native
            return
        if not hasattr(comm, "py2f"):
            raise TypeError(f"expected a communicator of mpi4py or dolmen, got {type(comm).__name__}")
        _require_same_mpi()
        self._native = _dolmen.Comm.from_fortran(comm.py2f())

    @classmethod
    def _wrap(cls, native: _dolmen.Comm) -> Comm:
        self = cls.__new__(cls)
        self._native = native
        return self

    @property
    def rank(self) -> int:
        """This process's number in the group, from 0."""
        return self._native.rank

    @property
    def size(self) -> int:
        """The number of ranks."""
        return self._native.size

    def __repr__(self) -> str:
        return f"Comm(rank {self.rank} of {self.size}, {self._native.name})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Comm):
            return NotImplemented
        return self._native == other._native

    def __hash__(self) -> int:
        return hash((self.size, self._native.name))

    def __reduce__(self) -> Any:
        raise TypeError("a communicator cannot be pickled; each process has its own")

    def to_mpi4py(self) -> Any:
        """Return a communicator of mpi4py with the same ranks.

        It stays owned by this object: do not free it. Collective operations of the two must come in the same order
        on all ranks; give mpi4py a ``Dup()`` if that is not certain.
        """
        from mpi4py import MPI

        _require_same_mpi()
        return MPI.Comm.f2py(self._native.to_fortran())

    def __copy__(self) -> Comm:
        return self

    def __deepcopy__(self, memo: Any) -> Comm:
        return self

    def duplicate(self) -> Comm:
        """Return a group of the same ranks with messages of its own. Collective."""
        return Comm._wrap(self._native.duplicate())

    def split(self, color: int | None, key: int = 0) -> Comm | None:
        """Split the group by color. Collective.

        Parameters
        ----------
        color : int or None
            Ranks with the same color form a group; a rank without one gets None.
        key : int
            Order of the ranks in their group; equal keys keep the order they have here.
        """
        with self.agreeing():
            chosen = None if color is None else count(color, "split: color")
            order = count(key, "split: key")
        part = self._native.split(chosen, order)
        return None if part is None else Comm._wrap(part)

    def split_shared(self) -> Comm:
        """Return the group of the ranks that share this rank's memory, one group for each node. Collective."""
        return Comm._wrap(self._native.split_shared())

    def barrier(self) -> None:
        """Wait until all ranks have arrived. Collective."""
        self._native.barrier()

    def broadcast(self, value: Any, root: int = 0) -> Any:
        """Return the value of rank `root`, pickled, on all ranks. Collective."""
        with self.agreeing():
            packed = pickle.dumps(value) if self.rank == root else b""
        return pickle.loads(self._native.broadcast(root, packed))

    def gather(self, value: Any, root: int = 0) -> list[Any] | None:
        """Return the values of all ranks, pickled, on rank `root`; None elsewhere. Collective."""
        with self.agreeing():
            packed = pickle.dumps(value)
        parts = self._native.gather(root, packed)
        return None if parts is None else [pickle.loads(part) for part in parts]

    def all_gather(self, value: Any) -> list[Any]:
        """Return the values of all ranks, pickled, on all ranks. Collective."""
        values: list[Any] = self.broadcast(self.gather(value))
        return values

    @overload
    def sum(self, value: int) -> int: ...
    @overload
    def sum(self, value: float) -> float: ...
    def sum(self, value: float) -> float:
        """Return the sum of a number over the ranks. Collective.

        Sums of integers are exact; those of other numbers depend on the number of ranks. Sums over vectors do not
        (`Vector.sum`). Where one rank gives an integer and another a float, all are floats.
        """
        if self._are_integers(value):
            # In halves, whose sums do not overflow.
            high, low = self._native.reduce_integers("sum", [int(value) >> 32, int(value) & 0xFFFFFFFF])
            return (high << 32) + low
        return self._native.reduce_reals("sum", [float(value)])[0]

    @overload
    def max(self, value: int) -> int: ...
    @overload
    def max(self, value: float) -> float: ...
    def max(self, value: float) -> float:
        """Return the largest of the ranks' numbers; NaN if one is. Collective."""
        return self._extreme("max", value)

    @overload
    def min(self, value: int) -> int: ...
    @overload
    def min(self, value: float) -> float: ...
    def min(self, value: float) -> float:
        """Return the smallest of the ranks' numbers; NaN if one is. Collective."""
        return self._extreme("min", value)

    def _extreme(self, operation: str, value: float) -> float:
        if self._are_integers(value):
            return self._native.reduce_integers(operation, [int(value)])[0]
        number = float(value)
        (missing,) = self._native.reduce_integers("max", [int(number != number)])
        return float("nan") if missing else self._native.reduce_reals(operation, [number])[0]

    def _are_integers(self, value: float) -> bool:
        """Return True if all ranks give an integer. Collective."""
        with self.agreeing():
            whole = isinstance(value, Integral)
            if whole and not -(1 << 62) <= int(value) < 1 << 62:
                raise OverflowError(f"{value} exceeds 2^62; convert it to float")
            if not isinstance(value, Real):
                raise TypeError(f"expected a number, got {type(value).__name__}")
        (fractions,) = self._native.reduce_integers("max", [int(not whole)])
        return fractions == 0

    def require_same(self, value: bytes, what: str) -> None:
        """Raise a `RanksDisagreeError` unless all ranks give the same bytes. Collective."""
        if self.size == 1:
            return
        digest = int.from_bytes(hashlib.blake2b(value, digest_size=7).digest(), "big")
        (largest,) = self._native.reduce_integers("max", [digest])
        (smallest,) = self._native.reduce_integers("min", [digest])
        if largest != smallest:
            raise make("RanksDisagreeError", f"{what} differs between the ranks; give the same on all of them", "RanksDisagree", None, None)

    @contextmanager
    def agreeing(self) -> Iterator[None]:
        """Make the ranks agree on whether a block raised an exception. Collective.

        If it did on any rank, all ranks raise that of the lowest one, so that none waits for a rank that failed. Do not
        call collective functions inside the block: if one rank fails before such a call, the others wait for it forever.

        Examples
        --------
        >>> import dolmen as dm
        >>> with dm.world.agreeing():
        ...     number = int("12")
        """
        try:
            yield
        except Exception as error:
            self._native.agree(error)
            raise
        else:
            self._native.agree(None)

    def abort(self, code: int = 1) -> None:
        """End all processes of the job at once with an exit code."""
        self._native.abort(code)


def world() -> Comm:
    """Return the communicator of all ranks; the first call initializes MPI."""
    return Comm._wrap(_session.start())


@cache
def self_() -> Comm:
    """Return the communicator of this rank alone, the same one each time: layouts of others would not fit together."""
    return Comm._wrap(_session.start().alone())


def _require_same_mpi() -> None:
    """Refuse two MPI libraries in one process, whose handles mean nothing to each other."""
    from mpi4py import MPI

    ours = _dolmen.environment()["mpi"].strip("\0").strip()
    theirs = MPI.Get_library_version().strip("\0").strip()
    if ours != theirs:
        raise RuntimeError(
            f"mpi4py uses another MPI library ({_first_line(theirs)}) than dolmen ({_first_line(ours)}); "
            "build mpi4py with the MPI library of dolmen: pip install --no-binary=mpi4py --force-reinstall mpi4py"
        )


def _first_line(text: str) -> str:
    return text.splitlines()[0].strip() if text else "unknown"


def as_comm(comm: Any) -> Comm:
    """Return the communicator of an argument: None for all ranks, or one of dolmen or mpi4py."""
    if comm is None:
        return world()
    return comm if isinstance(comm, Comm) else Comm(comm)


def indices(values: Sequence[int] | Any, what: str) -> Any:
    """Return an array of global indices; negative ones are an error."""
    import numpy as np

    array = np.asarray(values)
    if array.size == 0:
        return np.zeros(0, dtype=np.uint64)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{what}: global indices are integers, got {array.dtype}")
    if array.dtype.kind == "i" and array.min() < 0:
        raise IndexError(f"{what}: global index {array.min()} is negative")
    return np.ascontiguousarray(array.reshape(-1), dtype=np.uint64)


def count(value: Any, what: str) -> int:
    """Return a whole number from 0 on."""
    try:
        number = index(value)
    except TypeError:
        raise TypeError(f"{what}: expected a whole number, got {value!r}") from None
    if number < 0:
        raise ValueError(f"{what}: {number} is negative; give 0 or more")
    return number
