"""Copies of other ranks' entries, and moves between layouts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from . import _dolmen
from ._comm import indices
from ._layout import Layout
from ._vector import Vector

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


class IndexMap:
    """Any set of global ids on this rank, with a local numbering.

    Parameters
    ----------
    gids : array_like of int
        Global ids in any order; repetitions count once. Other ranks may have the same.

    Examples
    --------
    >>> import dolmen as dm
    >>> pixels = dm.IndexMap([9, 2, 5, 2])
    >>> pixels.gids
    array([2, 5, 9])
    >>> pixels.local([5, 9, 7])
    array([ 1,  2, -1])
    """

    __slots__ = ("_native",)

    def __init__(self, gids: ArrayLike) -> None:
        self._native = _dolmen.IndexMap(indices(gids, "IndexMap"))

    def __len__(self) -> int:
        return len(self._native)

    @property
    def gids(self) -> NDArray[np.int64]:
        """The global ids in local order, which is ascending."""
        return self._native.gids.astype(np.int64)

    def local(self, gids: ArrayLike) -> NDArray[np.int64]:
        """Return the local position of each global id; -1 for those that are not here."""
        return self._native.local(indices(gids, "IndexMap.local"))

    def __repr__(self) -> str:
        return f"IndexMap({len(self)} ids on this rank)"


class Exchange(_dolmen.Owned):
    """A plan that moves values between the owners of a layout and the copies that an index map asks for.

    Trilinos calls it `Import` and `Export`, PETSc `Scatter`.

    Parameters
    ----------
    layout : Layout
        Owners of the ids.
    ids : IndexMap or array_like of int
        The ids of which this rank wants copies. Ranks may ask for the same.

    Notes
    -----
    Collective, as are all methods; they send messages to neighbors only.

    Examples
    --------
    >>> import dolmen as dm
    >>> layout = dm.Layout(6)
    >>> plan = dm.Exchange(layout, [1, 4])
    >>> x = dm.Vector(layout)
    >>> x.local[:] = layout.rows()
    >>> plan.import_(x)
    array([1., 4.])
    >>> plan.export([10.0, 20.0], x, combine="add")
    >>> x.gather()
    array([ 0., 11.,  2.,  3., 24.,  5.])
    """

    __slots__ = ("layout", "map")
    _native: _dolmen.Exchange

    def __init__(self, layout: Layout, ids: IndexMap | ArrayLike) -> None:
        self.layout = layout
        if isinstance(ids, IndexMap):
            self.map = ids
        else:
            with layout.comm.agreeing():
                self.map = IndexMap(ids)
        self._native = _dolmen.Exchange(layout._native, self.map._native)

    def import_(self, x: Vector) -> NDArray[Any]:
        """Return copies of the owners' entries of `x`, in the order of ``map.gids``."""
        return self._native.import_(x._native)

    def export(self, copies: ArrayLike, y: Vector, combine: str = "add") -> None:
        """Combine copies, one for each id, into their owners' entries of `y`.

        Parameters
        ----------
        copies : array_like
            One value for each of ``map.gids``.
        y : Vector
            Changed in place.
        combine : {"add", "insert", "max", "min"}
            ``"add"`` sums in the order of the ranks, so that the last bits depend on their number.
        """
        with self.layout.comm.agreeing():
            values = np.ascontiguousarray(copies, dtype=y.dtype).reshape(-1)
        self._native.export(values, combine, y._native)

    @property
    def neighbors(self) -> int:
        """The number of other ranks that take part in an exchange with this one."""
        return self._native.neighbors

    def __repr__(self) -> str:
        return f"Exchange({len(self.map)} copies from {self.neighbors} other ranks)"


class Redistribute(_dolmen.Owned):
    """A plan that moves vectors from one layout to another of the same length.

    Parameters
    ----------
    source, target : Layout

    Notes
    -----
    Collective, as are its methods.
    """

    __slots__ = ("source", "target")
    _native: _dolmen.Redistribute

    def __init__(self, source: Layout, target: Layout) -> None:
        self.source, self.target = source, target
        self._native = _dolmen.Redistribute(source._native, target._native)

    def apply(self, x: Vector) -> Vector:
        """Return `x`, of the source layout, on the target layout."""
        return Vector._wrap(self._native.apply(x._native))

    def apply_reverse(self, y: Vector) -> Vector:
        """Return `y`, of the target layout, on the source layout."""
        return Vector._wrap(self._native.apply_reverse(y._native))

    def __repr__(self) -> str:
        return f"Redistribute({self.source.size} rows)"


class Scatter(_dolmen.Owned):
    """A plan that moves entries ``x[from_[k]]`` to ``y[to[k]]``; PETSc's `Scatter` between two index sets.

    Parameters
    ----------
    source : Layout
        The layout of `x`.
    from_ : array_like of int
        Global indices in `x`. Each rank gives any, wherever the entries live and however often.
    target : Layout
        The layout of `y`.
    to : array_like of int
        Global indices in `y`, one for each of `from_`.

    Notes
    -----
    Collective, as are all methods.

    Examples
    --------
    >>> import dolmen as dm
    >>> layout, half = dm.Layout(6), dm.Layout(3)
    >>> x = dm.Vector(layout)
    >>> x.local[:] = layout.rows()
    >>> every_second = dm.Scatter(layout, 2 * half.rows(), half, half.rows())
    >>> y = dm.zeros(half)
    >>> every_second.apply(x, y)
    >>> y.gather()
    array([0., 2., 4.])
    """

    __slots__ = ()
    _native: _dolmen.Scatter

    def __init__(self, source: Layout, from_: ArrayLike, target: Layout, to: ArrayLike) -> None:
        with source.comm.agreeing():
            sources, targets = indices(from_, "from_"), indices(to, "to")
        self._native = _dolmen.Scatter(source._native, sources, target._native, targets)

    @classmethod
    def _wrap(cls, native: _dolmen.Scatter) -> Scatter:
        self = cls.__new__(cls)
        self._native = native
        return self

    @property
    def source(self) -> Layout:
        """The layout of the vectors that entries are taken from."""
        return Layout._wrap(self._native.source)

    @property
    def target(self) -> Layout:
        """The layout of the vectors that entries are moved to."""
        return Layout._wrap(self._native.target)

    def apply(self, x: Vector, y: Vector, combine: str = "insert") -> None:
        """Combine the entries of `x` into those of `y`, in place.

        Parameters
        ----------
        x, y : Vector
            Of one dtype.
        combine : {"insert", "add", "max", "min"}
            ``"insert"`` takes the last source of the highest rank that gave one, and ``"add"`` sums with bits that do not
            depend on the ranks.
        """
        self._native.apply(x._native, combine, y._native)

    def reversed(self) -> Scatter:
        """Return the plan in the other direction, along the same pairs."""
        return Scatter._wrap(self._native.reversed())

    def __repr__(self) -> str:
        return f"Scatter({self.source.size} entries to {self.target.size})"
