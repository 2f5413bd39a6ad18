"""The start and the end of MPI in this process.

MPI starts when the first communicator is asked for. From then on an exception that nobody catches ends the whole job if
the other ranks do not end too: they would wait for this one forever.
"""

from __future__ import annotations

import atexit
import builtins
import sys
import traceback
from types import TracebackType
from typing import Any, NoReturn

from . import _dolmen

#: The communicator of all ranks, since MPI was started.
_started: _dolmen.Comm | None = None
#: Reason why this rank ends before the others, if it does.
_failure: str | None = None
#: The traceback of an error that all ranks have, which one of them shows.
_told = ""


def start() -> _dolmen.Comm:
    """Initialize MPI, unless that was done, and return the communicator of all ranks.

    Collective over all processes of the job at its first call.
    """
    global _started
    if _started is None:
        _started = _dolmen.start()
        atexit.register(_end)
        if _started.size > 1:
            _hook_exits()
    return _started


def environment() -> dict[str, Any]:
    """Describe the libraries of this process: MPI, BLAS, HDF5, and vector instructions of the processor.

    Returns
    -------
    dict
        ``mpi`` (in the library's own words), ``mpi_standard``, ``thread_level``, ``node``, ``initialized_mpi``
        (False if another library, such as mpi4py, did), ``blas``, ``blas_core``, ``blas_threads``,
        ``cpu_features``, ``hdf5``.
    """
    start()
    return _dolmen.environment()


def _end() -> None:
    """Wait for the other ranks, and finalize MPI if it was initialized here."""
    if _dolmen.is_started():
        sys.stdout.flush()
        sys.stderr.flush()
        _dolmen.finish(_failure, _told)


def _hook_exits() -> None:
    """Note uncaught exceptions and exit codes, of which `atexit` learns nothing."""
    show = sys.excepthook
    leave = sys.exit

    def excepthook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        global _failure, _told
        _failure = f"uncaught {traceback.format_exception_only(kind, error)[-1].strip()}"
        if hasattr(error, "_dolmen_shared"):
            _told = "".join(traceback.format_exception(kind, error, trace))
        else:
            show(kind, error, trace)

    def exit_with(code: Any = None) -> NoReturn:
        global _failure
        if code not in (None, 0, False):
            _failure = f"sys.exit({code!r})"
        leave(code)

    sys.excepthook = excepthook
    sys.exit = exit_with
    # Those of the interactive interpreter, which raise SystemExit themselves.
    for name in ("exit", "quit"):
        if hasattr(builtins, name):
            setattr(builtins, name, exit_with)
