"""Layouts: which rank owns which rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from . import _dolmen
from ._comm import Comm, as_comm, count

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Layout(_dolmen.Owned):
    """A distribution of global rows over the ranks, in contiguous blocks.

    Parameters
    ----------
    size : int
        The number of rows over all ranks, split as evenly as possible.
    comm : Comm or mpi4py.MPI.Comm, optional
        The ranks that share the rows; all by default.

    Notes
    -----
    Collective. Empty ranks and more ranks than rows are ordinary.

    Examples
    --------
    >>> import dolmen as dm
    >>> layout = dm.Layout(10)
    >>> layout.size, layout.range
    (10, range(0, 10))
    """

    __slots__ = ()
    _native: _dolmen.Layout

    def __init__(self, size: int, comm: Any = None) -> None:
        group = as_comm(comm)
        with group.agreeing():
            rows = count(size, "rows of a layout")
        self._native = _dolmen.Layout.uniform(group._native, rows)

    @classmethod
    def _wrap(cls, native: _dolmen.Layout) -> Layout:
        self = cls.__new__(cls)
        self._native = native
        return self

    @classmethod
    def from_local(cls, local_size: int, comm: Any = None) -> Layout:
        """Create a layout from each rank's own number of rows. Collective."""
        group = as_comm(comm)
        with group.agreeing():
            rows = count(local_size, "rows of a layout on one rank")
        return cls._wrap(_dolmen.Layout.from_local(group._native, rows))

    @classmethod
    def on_one_rank(cls, size: int, root: int = 0, comm: Any = None) -> Layout:
        """Create a layout with all rows on rank `root`. Collective."""
        group = as_comm(comm)
        with group.agreeing():
            rows, owner = count(size, "rows of a layout"), count(root, "root")
        return cls._wrap(_dolmen.Layout.on_one_rank(group._native, rows, owner))

    @classmethod
    def stacked(cls, blocks: Sequence[Layout]) -> Layout:
        """Stack layouts to one: all rows of the first, then all of the second, and so on."""
        return cls._wrap(_dolmen.Layout.stacked([block._native for block in blocks]))

    def restricted(self, rows: range) -> Layout:
        """Return the layout of a range of rows, numbered from 0: every rank keeps those that it owns."""
        if rows.step != 1:
            raise ValueError(f"expected a range with step 1, got step {rows.step}")
        return Layout._wrap(self._native.restricted(rows.start, rows.stop))

    def refined(self, factor: int) -> Layout:
        """Replace each row by `factor` rows that follow each other, with the same owner."""
        return Layout._wrap(self._native.refined(factor))

    @property
    def size(self) -> int:
        """The number of rows over all ranks."""
        return self._native.global_len

    def __len__(self) -> int:
        return self._native.global_len

    @property
    def local_size(self) -> int:
        """The number of rows that this rank owns."""
        return self._native.local_len

    @property
    def runs(self) -> list[range]:
        """The runs of consecutive global rows that this rank owns: one, or one for each block of a stack."""
        return [range(start, stop) for start, stop in self._native.runs]

    @property
    def range(self) -> range:
        """The global rows that this rank owns."""
        runs = self._native.runs
        if len(runs) != 1:
            raise ValueError("a stacked layout has no single range of rows on each rank; use layout.runs")
        return range(*runs[0])

    def rows(self) -> NDArray[np.int64]:
        """Return the global rows that this rank owns, in the order in which it stores them."""
        import numpy as np

        return np.concatenate([np.arange(start, stop, dtype=np.int64) for start, stop in self._native.runs])

    def owner(self, row: int) -> int:
        """Return the rank that owns a global row."""
        owner = self._native.owner(row) if row >= 0 else None
        if owner is None:
            raise IndexError(f"row {row} is outside of 0..{self.size}")
        return owner

    @property
    def comm(self) -> Comm:
        """The ranks that share the rows."""
        return Comm._wrap(self._native.comm)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Layout):
            return NotImplemented
        return self._native == other._native

    def __hash__(self) -> int:
        return hash((self.size, self.local_size))

    def __repr__(self) -> str:
        owned = ", ".join(f"{run.start}..{run.stop}" for run in self.runs)
        comm = self._native.comm
        return f"Layout({self.size} rows; rank {comm.rank} of {comm.size} owns {owned})"

    def __copy__(self) -> Layout:
        return self

    def __deepcopy__(self, memo: Any) -> Layout:
        return self

    def __reduce__(self) -> Any:
        raise TypeError("a layout cannot be pickled, because it belongs to a communicator; pickle its size")


def as_layout(layout: Layout | int, comm: Any = None) -> Layout:
    """Return a layout as it is, and the uniform layout for a number of rows."""
    return layout if isinstance(layout, Layout) else Layout(layout, comm)
