"""Structured grids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _dolmen
from ._comm import as_comm, count
from ._layout import Layout
from ._matrix import CsrMatrix
from ._vector import Vector, native_of

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Grid(_dolmen.Owned):
    """A structured grid in one to three dimensions, whose nodes are spread over the ranks in boxes; PETSc's DMDA.

    Parameters
    ----------
    nodes : int or sequence of int
        Numbers of nodes along the axes.
    dofs : int
        Unknowns of a node.
    width : int
        Neighbors on each side that a stencil reads.
    stencil : {"star", "box"}
        Along the axes only, or with corners.
    periodic : bool or sequence of bool
        For each axis, whether the last node is beside the first.
    cut : {"slabs", "boxes"} or sequence of int
        Slabs along the last axis, boxes with the least surface, or numbers of boxes along the axes.
    comm : Comm, optional
        The ranks that share the grid; all by default.

    Notes
    -----
    Collective, as are `stencil_matrix`, `ghosted`, `to_natural` and `to_distributed`. Vectors of a grid are on its `layout`: the
    box of each rank, along the first axis first, with the unknowns of a node together. With slabs this is the natural order of
    the whole grid, and then products with matrices have the same bits on any number of ranks.

    Examples
    --------
    >>> import dolmen as dm
    >>> grid = dm.Grid((4, 3))
    >>> A = grid.stencil_matrix({(0, 0): 4.0, (-1, 0): -1.0, (1, 0): -1.0, (0, -1): -1.0, (0, 1): -1.0})
    >>> grid.to_natural(A @ dm.ones(grid.layout)).gather().reshape(3, 4)
    array([[2., 1., 1., 2.],
           [1., 0., 0., 1.],
           [2., 1., 1., 2.]])
    """

    __slots__ = ("nodes", "dofs", "layout", "_ghosted", "_natural")
    _native: _dolmen.Grid

    def __init__(
        self,
        nodes: int | Sequence[int],
        dofs: int = 1,
        *,
        width: int = 1,
        stencil: str = "star",
        periodic: bool | Sequence[bool] = False,
        cut: str | Sequence[int] = "slabs",
        comm: Any = None,
    ) -> None:
        group = as_comm(comm)
        with group.agreeing():
            self.nodes = tuple(count(extent, "nodes of a grid") for extent in np.atleast_1d(nodes).tolist())
            self.dofs = count(dofs, "dofs")
            axes = len(self.nodes)
            wraps = [bool(periodic)] * axes if np.ndim(periodic) == 0 else [bool(one) for one in np.asarray(periodic).tolist()]
            boxes = None if isinstance(cut, str) else [count(number, "cut") for number in cut]
            if len(wraps) != axes or (boxes is not None and len(boxes) != axes):
                raise ValueError(f"the grid has {axes} axes; give periodic and cut one value for each")
            options = {
                "dofs": self.dofs,
                "width": count(width, "width"),
                "stencil": stencil,
                "periodic": (wraps + [False] * 3)[:3],
                "cut": cut if isinstance(cut, str) else None,
                "processes": None if boxes is None else (boxes + [1] * 3)[:3],
            }
        self._native = _dolmen.Grid(group._native, list(self.nodes), options)
        self.layout = Layout._wrap(self._native.layout)
        self._ghosted: _dolmen.Ghosted | None = None
        self._natural: _dolmen.Natural | None = None

    @property
    def processes(self) -> tuple[int, ...]:
        """The numbers of boxes along the axes."""
        return tuple(self._native.processes[: len(self.nodes)])

    @property
    def ranges(self) -> tuple[range, ...]:
        """This rank's nodes along each axis."""
        return tuple(range(*ends) for ends in self._native.owned[: len(self.nodes)])

    def indices(self) -> tuple[NDArray[np.int64], ...]:
        """Return the indices of this rank's nodes along each axis, in the order of the layout."""
        grids = np.meshgrid(*[np.arange(r.start, r.stop) for r in self.ranges], indexing="ij")
        return tuple(one.reshape(-1, order="F") for one in grids)

    def rows(self, *places: Any, dof: int = 0) -> NDArray[np.int64]:
        """Return the global rows of an unknown at places, given along each axis; -1 where there is no node.

        Places may be outside of the grid along periodic axes.
        """
        if len(places) != len(self.nodes):
            raise ValueError(f"the grid has {len(self.nodes)} axes; give as many arrays of places, not {len(places)}")
        shaped = np.broadcast_arrays(*[np.asarray(place, dtype=np.int64) for place in places])
        flat = [np.ascontiguousarray(one).reshape(-1) for one in shaped]
        flat += [np.zeros(flat[0].size, np.int64)] * (3 - len(flat))
        return self._native.rows(flat, count(dof, "dof")).reshape(shaped[0].shape)

    def array(self, x: Vector) -> NDArray[Any]:
        """Return this rank's entries of `x` as an array of its nodes, without a copy: ``[i, j, k]``, and ``[..., dof]`` if a
        node has several unknowns."""
        return self._shaped(x.local, [len(r) for r in self.ranges])

    def ghosted(self, x: Vector) -> NDArray[Any]:
        """Return the entries at this rank's nodes and around them, as wide as the stencil, as `array` does. Collective.

        The frame ends at the edges of the grid, but along periodic axes; corners of a star are zero. `ghost_ranges` has the
        places.
        """
        values = self._plan().import_(native_of(x, "x"))
        return self._shaped(values, [len(r) for r in self.ghost_ranges])

    @property
    def ghost_ranges(self) -> tuple[range, ...]:
        """The places of `ghosted` along each axis. Collective at its first use."""
        return tuple(range(*ends) for ends in self._plan().ranges[: len(self.nodes)])

    def stencil_matrix(self, entries: Mapping[tuple[int, ...] | int, Any]) -> CsrMatrix:
        """Return the matrix of a stencil that is the same at all nodes. Collective.

        Parameters
        ----------
        entries : mapping
            For each offset, along all axes, a value; of nodes with several unknowns an array ``[dof, dof]``, or a number for the
            same coupling of each unknown with itself. Neighbors outside of the grid are left out.
        """
        i, j, v = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0)]
        with self.layout.comm.agreeing():
            own = self.indices()
            first = self.layout.range.start + self.dofs * np.arange(own[0].size)
            for offset, value in entries.items():
                steps = np.atleast_1d(offset)
                if len(steps) != len(self.nodes):
                    raise ValueError(f"the grid has {len(self.nodes)} axes, the offset {offset} {len(steps)}")
                coupling = np.asarray(value)
                coupling = coupling * np.eye(self.dofs) if coupling.ndim == 0 else coupling
                if coupling.shape != (self.dofs, self.dofs):
                    raise ValueError(f"the entries at {offset} have the shape {coupling.shape}, expected {(self.dofs, self.dofs)}")
                for row, column in zip(*np.nonzero(coupling)):
                    columns = self.rows(*[at + step for at, step in zip(own, steps)], dof=column)
                    inside = columns >= 0
                    i.append(first[inside] + row)
                    j.append(columns[inside])
                    v.append(np.full(int(inside.sum()), coupling[row, column]))
        return CsrMatrix.from_coo(np.concatenate(i), np.concatenate(j), np.concatenate(v), self.layout)

    def to_natural(self, x: Vector) -> Vector:
        """Return a vector of the grid in natural order, along the first axis first, on an even layout. Collective."""
        return Vector._wrap(self._order().to_natural(native_of(x, "x")))

    def to_distributed(self, natural: Vector) -> Vector:
        """Return a vector in natural order as one of the grid. Collective."""
        return Vector._wrap(self._order().to_distributed(native_of(natural, "natural")))

    def __repr__(self) -> str:
        return f"Grid({' x '.join(map(str, self.nodes))} nodes, {self.dofs} unknowns each, {' x '.join(map(str, self.processes))} boxes)"

    def _plan(self) -> _dolmen.Ghosted:
        if self._ghosted is None:
            self._ghosted = self._native.ghosted()
        return self._ghosted

    def _order(self) -> _dolmen.Natural:
        if self._natural is None:
            self._natural = self._native.natural_order()
        return self._natural

    def _shaped(self, values: NDArray[Any], extents: list[int]) -> NDArray[Any]:
        if self.dofs == 1:
            return values.reshape(extents, order="F")
        nodes = values.reshape([self.dofs, *extents], order="F")
        return np.moveaxis(nodes, 0, -1)
