"""Profiles of where the time goes."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Any

from . import _dolmen
from ._comm import as_comm


class Profile(_dolmen.Owned):
    """Records what the toolkit does in a block: times, calls, floating-point operations, bytes and messages.

    Parameters
    ----------
    comm : Comm, optional
        The ranks to record; all by default.
    trace : path, optional
        A file for the timeline of all ranks, which chrome://tracing and ui.perfetto.dev show.

    Notes
    -----
    Collective, at the start and at the end of the block. One profile records at a time.

    Examples
    --------
    >>> import dolmen as dm
    >>> with dm.Profile() as profile:
    ...     total = dm.ones(1000).sum()
    >>> profile.events[0]["name"]
    'total'
    """

    def __init__(self, comm: Any = None, trace: str | os.PathLike[str] | None = None) -> None:
        self._comm = as_comm(comm)
        self._trace = None if trace is None else os.fspath(trace)
        self._native = None
        #: The table, and its rows as dictionaries, after the block.
        self.table = ""
        self.events: list[dict[str, Any]] = []

    def __enter__(self) -> Profile:
        self._native = _dolmen.start_profile(self._comm._native)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        native, self._native = self._native, None
        # After an exception on one rank the others may never come here.
        if native is not None and kind is None:
            self.table, self.events = native.finish(self._trace)

    def __str__(self) -> str:
        return self.table
