"""Algebraic multigrid, and the rigid-body modes that it needs for elasticity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from . import _dolmen
from ._comm import as_comm
from ._dtypes import dtype_name
from ._layout import Layout
from ._multi_vector import MultiVector
from ._preconditioner import Preconditioner

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike


class Multigrid(Preconditioner):
    """Algebraic multigrid by smoothed aggregation, for Hermitian positive definite or semidefinite matrices.

    Parameters
    ----------
    A : CsrMatrix
    near_null_space : MultiVector or array_like, optional
        The vectors that A nearly sends to zero, as columns: vectors on the rows of A, or an array of the rows that this
        rank owns. By default those that are constant in one unknown of each node and zero in the others. `rigid_body_modes`
        makes those of elasticity.
    block : int
        Unknowns of a node, in rows that follow each other.
    **settings
        Those of ``"multigrid"`` in `preconditioners`: ``degree=3``, ``cycle="w"``.

    Notes
    -----
    Collective. It keeps the values that the matrix has now; make a new one after a change. ``print(M)`` shows the levels.

    Examples
    --------
    >>> import dolmen as dm
    >>> A = dm.CsrMatrix.from_diagonals([-1, 2, -1], [-1, 0, 1], 2000)
    >>> M = dm.Multigrid(A, degree=3)
    >>> x, report = dm.solve(A, dm.ones(2000), method="cg", preconditioner=M)
    >>> report.converged
    True
    """

    __slots__ = ("_levels",)

    def __init__(self, A: Any, near_null_space: MultiVector | ArrayLike | None = None, block: int = 1, **settings: Any) -> None:
        from ._matrix import CsrMatrix

        if not isinstance(A, CsrMatrix):
            raise TypeError(f"multigrid is made of a CsrMatrix, got {type(A).__name__}")
        given = ", ".join(f"{name}={value}" for name, value in {**settings, "block": block}.items())
        self.settings = f"multigrid({given})"
        with A.comm.agreeing():
            vectors = None if near_null_space is None else _columns(near_null_space, A.range, A.dtype, "near_null_space")
        self._operator, self._levels = _dolmen.multigrid(A._matrix, self.settings, None if vectors is None else vectors._native)

    def __str__(self) -> str:
        return self._levels


def rigid_body_modes(coordinates: MultiVector | ArrayLike, dtype: DTypeLike = "f8", comm: Any = None) -> MultiVector:
    """Return the rigid-body modes of an elastic body: three in the plane, six in space. Collective.

    Parameters
    ----------
    coordinates : MultiVector or array_like
        Two or three coordinates of each node: vectors on a layout of nodes, or an array of the nodes that this rank owns.
    dtype : {"f8", "f4", "c8", "c16"}
        That of the matrix.
    comm : Comm or mpi4py.MPI.Comm, optional
        The ranks that share the nodes of an array; all by default.

    Returns
    -------
    MultiVector
        Displacements, those of one node after the other, on the layout of the nodes refined by the number of coordinates.
        The matrix has to be on this layout too.

    Examples
    --------
    >>> import dolmen as dm
    >>> dm.rigid_body_modes([[0.0, 0.0], [2.0, 0.0]]).gather()
    array([[ 1.,  0., -0.],
           [ 0.,  1., -1.],
           [ 1.,  0., -0.],
           [ 0.,  1.,  1.]])
    """
    group = coordinates.comm if isinstance(coordinates, MultiVector) else as_comm(comm)
    with group.agreeing():
        name = dtype_name(dtype)
        given = coordinates if isinstance(coordinates, MultiVector) else _rows(coordinates, "coordinates")
        if given.dtype.kind == "c":
            raise TypeError(f"coordinates are real numbers, got {given.dtype}")
    nodes = given.layout if isinstance(given, MultiVector) else Layout.from_local(len(given), group)
    points = _columns(given, nodes, np.dtype("f8"), "coordinates")
    return MultiVector._wrap(_dolmen.rigid_body_modes(points._native, name))


def _rows(given: ArrayLike, what: str) -> np.ndarray[Any, Any]:
    """Return a matrix of numbers."""
    array = np.asarray(given)
    if array.ndim != 2 or array.dtype.kind not in "biufc":
        raise ValueError(f"{what}: expected numbers in rows and columns, got {array.ndim} dimensions of {array.dtype}")
    return array


def _columns(given: Any, layout: Layout, dtype: np.dtype[Any], what: str) -> MultiVector:
    """Return vectors of this dtype; an array has the rows of `layout` that this rank owns. Does not communicate."""
    if isinstance(given, MultiVector):
        layout, values = given.layout, given.local
        if given.dtype == dtype:
            return given
    else:
        values = _rows(given, what)
    if len(values) != layout.local_size:
        raise ValueError(f"{what}: this rank owns {layout.local_size} rows, got {len(values)}")
    if values.dtype.kind == "c" and dtype.kind != "c":
        raise TypeError(f"{what}: the numbers are complex, expected {dtype}")
    vectors = MultiVector(layout, values.shape[1], dtype)
    vectors.local[:] = values
    return vectors
