"""Matrices and vectors in files of any format.

A place is ``FILE``, or ``FILE::OBJECT`` for one of several objects of an HDF5 or FITS file. The contents tell the format of a
file that is read, the extension that of one to write: ``.mtx``, ``.mtx.gz``, ``.h5``, ``.npz``, ``.npy``, ``.petsc``, ``.rb`` and others.
"""

from __future__ import annotations

import os
from typing import Any

from . import _dolmen
from ._comm import as_comm
from ._layout import Layout
from ._matrix import CsrMatrix
from ._multi_vector import MultiVector
from ._vector import Vector


def describe(file: str | os.PathLike[str], comm: Any = None, allow_external: bool = False) -> dict[str, Any]:
    """Return the format, the size and the kind of the matrix or the vectors in a file. Collective."""
    return _dolmen.describe(as_comm(comm)._native, os.fspath(file), allow_external)


def read_matrix(file: str | os.PathLike[str], comm: Any = None, allow_external: bool = False) -> CsrMatrix:
    """Read a sparse matrix, its rows split evenly over the ranks. Collective.

    Parameters
    ----------
    file : path
        A file of MatrixMarket, Harwell-Boeing, Rutherford-Boeing, SciPy's npz, PETSc's binary format, or HDF5 (of dolmen,
        MATLAB, AnnData, PETSc); ``FILE::GROUP`` names a group of an HDF5 file.
    comm : Comm, optional
        The ranks that share the matrix; all by default.
    allow_external : bool
        Read data that an HDF5 file names but that lie in other files.

    Returns
    -------
    CsrMatrix
        Of float64, or of complex128 if the file has complex numbers. Symmetry is expanded.
    """
    return CsrMatrix._wrap(_dolmen.read_matrix(as_comm(comm)._native, os.fspath(file), allow_external))


def read_vectors(file: str | os.PathLike[str], layout: Layout | None = None, allow_external: bool = False) -> MultiVector:
    """Read all vectors of a file, as columns. Collective.

    Parameters
    ----------
    layout : Layout, optional
        Distribution of the rows; even by default.
    """
    if layout is None:
        found = describe(file, allow_external=allow_external)
        if not found["is_vectors"] and found["right_hand_sides"] == 0:
            raise ValueError(f"{os.fspath(file)} holds a sparse matrix; read it with read_matrix")
        layout = Layout(found["shape"][0])
    return MultiVector._wrap(_dolmen.read_vectors(layout._native, os.fspath(file), allow_external))


def read_vector(
    file: str | os.PathLike[str], layout: Layout | None = None, column: int | None = None, allow_external: bool = False
) -> Vector:
    """Read a vector. Collective.

    Parameters
    ----------
    layout : Layout, optional
        Distribution of the entries; even by default.
    column : int, optional
        Which one of several vectors, from 0; needed only where there are several.
    """
    vectors = read_vectors(file, layout, allow_external)
    if column is None:
        if len(vectors) != 1:
            raise ValueError(f"{os.fspath(file)} holds {len(vectors)} vectors; choose one with column=0, 1, ...")
        column = 0
    return vectors[column]


def write_matrix(matrix: CsrMatrix, file: str | os.PathLike[str]) -> None:
    """Write a matrix in the format of the file's extension. Collective. A file of that name is replaced when all is written."""
    _dolmen.write_matrix(matrix._matrix, os.fspath(file))


def write_vectors(vectors: MultiVector, file: str | os.PathLike[str]) -> None:
    """Write vectors as columns in the format of the file's extension. Collective."""
    _dolmen.write_vectors(vectors._native, os.fspath(file))


def write_vector(vector: Vector, file: str | os.PathLike[str]) -> None:
    """Write a vector in the format of the file's extension. Collective."""
    write_vectors(MultiVector.from_vectors([vector]), file)
