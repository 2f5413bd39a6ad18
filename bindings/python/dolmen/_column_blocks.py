"""Matrices of small blocks that lie where their columns are owned."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from . import _dolmen
from ._comm import indices
from ._layout import Layout, as_layout
from ._operator import LinearOperator

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class ColumnBlockMatrix(LinearOperator):
    """A sparse matrix of blocks of up to 6 by 6 numbers, each given by the owner of its columns.

    Made for matrices that sum up data where the data are, such as the pointing matrix of compressed timelines: a block of Stokes
    by one sums for each pixel that a baseline meets.

    Parameters
    ----------
    rows, columns : Layout or int
        Distributions of the block rows and block columns.
    row_ids, column_ids : array_like of int
        Global block row and block column of each block in the columns that this rank owns. Blocks at the same place add up.
    blocks : array_like
        The blocks, of shape ``(blocks, r, c)``, also on a rank that has none. In single precision (``f4``) they take half the memory; vectors are
        in double precision always.

    Notes
    -----
    Collective. Products and those with the adjoint, ``A.H``, have the same bits on any number of ranks. Vectors are on ``A.domain``
    and ``A.range``, the layouts `refined` by the columns and rows of a block.

    Examples
    --------
    >>> import dolmen as dm
    >>> A = dm.ColumnBlockMatrix(2, 3, [0, 1, 1], [0, 1, 2], [[[1.0], [2.0]], [[3.0], [4.0]], [[5.0], [6.0]]])
    >>> (A @ dm.ones(A.domain)).gather()
    array([ 1.,  2.,  8., 10.])
    >>> (A.H @ dm.ones(A.range)).gather()
    array([ 3.,  7., 11.])
    """

    __slots__ = ()

    def __init__(
        self, rows: Layout | int, columns: Layout | int, row_ids: ArrayLike, column_ids: ArrayLike, blocks: ArrayLike
    ) -> None:
        range_, domain = as_layout(rows), as_layout(columns)
        with range_.comm.agreeing():
            values = np.asarray(blocks)
            if values.dtype not in (np.dtype("f4"), np.dtype("f8")) or values.ndim != 3:
                found = f"{values.ndim} dimensions of {values.dtype}"
                raise ValueError(f"blocks: expected three dimensions of f4 or f8, got {found}")
            i, j = indices(row_ids, "row_ids"), indices(column_ids, "column_ids")
        self._operator = _dolmen.column_blocks(range_._native, domain._native, i, j, values)

