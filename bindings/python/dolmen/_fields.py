"""Fields of a system, such as velocities and pressures, and preconditioners made of one for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _dolmen
from ._comm import count as _count
from ._layout import Layout, as_layout
from ._matrix import CsrMatrix
from ._operator import LinearOperator, aslinearoperator
from ._vector import Vector, native_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


class Fields(_dolmen.Owned):
    """A division of the rows of a system into fields; PETSc's `PCFIELDSPLIT`.

    Parameters
    ----------
    layout : Layout or int
        Distribution of the rows.
    labels : array_like of int
        The number of the field of each row that this rank owns.
    count : int
        Number of fields.

    Notes
    -----
    Collective, as is all that takes a matrix. The entries of a field stay on the ranks that own them.

    Examples
    --------
    >>> import dolmen as dm
    >>> A = dm.CsrMatrix.from_diagonals([-1, 4, -1], [-1, 0, 1], 60)
    >>> fields = dm.Fields(A.range, A.range.rows() % 2)
    >>> fields
    Fields(30, 30 rows)
    >>> inverse = dm.Preconditioner(fields.block(A, 0, 0), "jacobi")
    >>> complement = dm.Preconditioner(fields.schur_of_diagonal(A), "direct")
    >>> M = dm.SchurPreconditioner(A, fields, inverse, complement)
    >>> x, report = dm.solve(A, dm.ones(60), method="gmres", preconditioner=M)
    >>> report.iterations
    1
    """

    __slots__ = ("layout",)
    _native: _dolmen.Fields

    def __init__(self, layout: Layout | int, labels: ArrayLike, count: int = 2) -> None:
        self.layout = as_layout(layout)
        with self.layout.comm.agreeing():
            numbers = np.asarray(labels)
            rows = self.layout.local_size
            if (numbers.size and numbers.dtype.kind not in "biu") or numbers.shape != (rows,):
                found = f"{numbers.dtype} of shape {numbers.shape}"
                raise ValueError(f"labels: expected {rows} integers, one for each row of this rank, got {found}")
            if numbers.size and int(numbers.min()) < 0:
                raise ValueError(f"labels: {int(numbers.min())} is negative; fields are numbered from 0")
            number = _count(count, "count")
        self._native = _dolmen.Fields(self.layout._native, np.ascontiguousarray(numbers, dtype=np.uint64), number)

    def __len__(self) -> int:
        return self._native.count

    def layout_of(self, field: int) -> Layout:
        """Return the distribution of one field: its rows in their order, on the ranks that own them."""
        return Layout._wrap(self._native.layout_of(field))

    def rows_of(self, field: int) -> NDArray[np.uint64]:
        """Return this rank's global rows of one field."""
        return self._native.rows_of(field)

    def take(self, field: int, x: Vector) -> Vector:
        """Return one field of a vector."""
        return Vector._wrap(self._native.take(field, native_of(x, "x")))

    def put(self, field: int, part: Vector, x: Vector) -> None:
        """Copy `part` to one field of `x`; the others stay."""
        self._native.put(field, native_of(part, "part"), native_of(x, "x"))

    def block(self, A: CsrMatrix, row: int, column: int) -> CsrMatrix:
        """Return the block of a matrix with the rows of one field and the columns of another."""
        return CsrMatrix._wrap(self._native.block(self._matrix(A), row, column))

    def on_field(self, field: int, M: Any) -> LinearOperator:
        """Return an operator on one field as one on the whole system, which gives zeros in the other fields."""
        return LinearOperator._wrap(self._native.on_field(field, self._operator(field, M)))

    def schur_of_diagonal(self, A: CsrMatrix) -> CsrMatrix:
        """Return ``A11 - A10 diag(A00)^-1 A01``, a matrix near the Schur complement of two fields."""
        return CsrMatrix._wrap(self._native.schur_of_diagonal(self._matrix(A)))

    def product_of_couplings(self, A: CsrMatrix) -> CsrMatrix:
        """Return ``A10 A01``, of whose inverse `LeastSquaresCommutator` needs an approximation."""
        return CsrMatrix._wrap(self._native.product_of_couplings(self._matrix(A)))

    def _matrix(self, A: Any) -> _dolmen.Matrix:
        with self.layout.comm.agreeing():
            if not isinstance(A, CsrMatrix):
                raise TypeError(f"expected a CsrMatrix, got {type(A).__name__}")
        return A._matrix

    def _operator(self, field: int, M: Any) -> _dolmen.Operator:
        with self.layout.comm.agreeing():
            operator = M if isinstance(M, LinearOperator) else aslinearoperator(M, self.layout_of(field))
        return operator._native

    def __repr__(self) -> str:
        sizes = ", ".join(str(self.layout_of(field).size) for field in range(len(self)))
        return f"Fields({sizes} rows)"


class SchurPreconditioner(LinearOperator):
    """The inverse by blocks of a system of two fields, with approximations of the inverses of ``A00`` and of the Schur complement.

    Parameters
    ----------
    A : CsrMatrix
    fields : Fields
    inverse : LinearOperator or callable
        Near the inverse of ``A00``.
    complement : LinearOperator or callable
        Near the inverse of ``S = A11 - A10 A00^-1 A01``.
    form : {"full", "lower", "upper", "diagonal"}
        Factors of the block factorization that are inverted. For ``"diagonal"`` and `minres`, give the inverse of ``-S``.

    Notes
    -----
    Collective. An inverse that iterates itself, with a tolerance of its own, varies: use ``method="fgmres"``.
    """

    __slots__ = ("form",)

    def __init__(
        self, A: CsrMatrix, fields: Fields, inverse: Any, complement: Any, form: str = "full"
    ) -> None:
        self.form = form
        parts = fields._operator(0, inverse), fields._operator(1, complement)
        self._operator = fields._native.preconditioner(fields._matrix(A), form, *parts)


class SchurComplement(LinearOperator):
    """The Schur complement ``A11 - A10 A00^-1 A01`` of two fields.

    Parameters
    ----------
    A : CsrMatrix
    fields : Fields
    inverse : LinearOperator or callable
        The inverse of ``A00``, or near it.

    Notes
    -----
    Collective.
    """

    __slots__ = ()

    def __init__(self, A: CsrMatrix, fields: Fields, inverse: Any) -> None:
        self._operator = fields._native.complement(fields._matrix(A), fields._operator(0, inverse))


class LeastSquaresCommutator(LinearOperator):
    """An approximation of the inverse of the Schur complement of a flow.

    It is ``-(A10 A01)^-1 A10 A00 A01 (A10 A01)^-1`` (Elman et al. 2006), which takes ``A11`` for zero.

    Parameters
    ----------
    A : CsrMatrix
    fields : Fields
    inverse : LinearOperator or callable
        Near the inverse of ``fields.product_of_couplings(A)``.

    Notes
    -----
    Collective.
    """

    __slots__ = ()

    def __init__(self, A: CsrMatrix, fields: Fields, inverse: Any) -> None:
        self._operator = fields._native.commutator(fields._matrix(A), fields._operator(1, inverse))


class Additive(LinearOperator):
    """The sum of preconditioners, applied to the same residual.

    Parameters
    ----------
    parts : sequence of LinearOperator
    """

    __slots__ = ()

    def __init__(self, parts: Sequence[LinearOperator]) -> None:
        self._operator = _dolmen.additive([part._native for part in parts])


class Multiplicative(LinearOperator):
    """Preconditioners one after the other, each on the residual that those before it leave.

    Parameters
    ----------
    A : LinearOperator
        The operator of the system.
    parts : sequence of LinearOperator
    """

    __slots__ = ()

    def __init__(self, A: LinearOperator, parts: Sequence[LinearOperator]) -> None:
        self._operator = _dolmen.multiplicative(A._native, [part._native for part in parts])


