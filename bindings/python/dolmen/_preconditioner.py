"""Preconditioners by name, and the lists of methods and preconditioners."""

from __future__ import annotations

from typing import Any

from . import _dolmen
from ._operator import LinearOperator


class Preconditioner(LinearOperator):
    """An operator that approximates the inverse of a matrix.

    Parameters
    ----------
    A : CsrMatrix
    kind : str
        A name, or a text with settings: ``"ilu"``, ``"ilu(2)"``, ``"schwarz(overlap=1, ilu(2))"``.
        `preconditioners` lists them.
    **settings
        Settings of a name without parentheses: ``Preconditioner(A, "ilut", drop=1e-4, fill=20)``.

    Notes
    -----
    Collective. It keeps the values that the matrix has now; make a new one after a change.

    Examples
    --------
    >>> import dolmen as dm
    >>> A = dm.CsrMatrix.from_diagonals([-1, 2, -1], [-1, 0, 1], 50)
    >>> x, report = dm.solve(A, dm.ones(50), method="cg", preconditioner=dm.Preconditioner(A, "ic"))
    >>> report.iterations
    1
    """

    __slots__ = ("settings",)

    def __init__(self, A: Any, kind: str, **settings: Any) -> None:
        from ._matrix import CsrMatrix

        if not isinstance(A, CsrMatrix):
            raise TypeError(f"a preconditioner is made of a CsrMatrix, got {type(A).__name__}")
        given = ", ".join(f"{name}={value}" for name, value in settings.items())
        self.settings = f"{kind}({given})" if given else kind
        native = _dolmen.precondition(A._matrix, self.settings)
        self._operator = native if native is not None else _dolmen.Operator.identity(A._matrix.domain, A._matrix.dtype)

    def __repr__(self) -> str:
        return f"Preconditioner({self.settings!r}, {self.shape[0]} rows)"


def methods() -> dict[str, dict[str, Any]]:
    """Return the methods that `solve` knows.

    Returns
    -------
    dict
        For each name its ``title``, whether it is for ``least_squares``, and its ``settings``: for each the default and
        what it may be.

    Examples
    --------
    >>> import dolmen as dm
    >>> dm.methods()["gmres"]["settings"]["restart"][0]
    '30'
    """
    return {
        name: {"title": title, "least_squares": least_squares, "settings": _settings(keys)}
        for name, title, least_squares, keys in _dolmen.methods()
    }


def preconditioners() -> dict[str, dict[str, tuple[str, str]]]:
    """Return the preconditioners that `Preconditioner` knows, with their settings: for each the default and what it may be."""
    return {name: _settings(keys) for name, keys in _dolmen.preconditioners()}


def _settings(keys: list[tuple[str, str, str]]) -> dict[str, tuple[str, str]]:
    return {name: (value, expected) for name, value, expected in keys}
