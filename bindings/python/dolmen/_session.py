"""The start of MPI in this process, and what ends it early.

MPI starts when the first communicator is asked for, and ends after Python. An exception that nobody catches ends the whole
job if the other ranks do not end too: they would wait for this one forever. So does an exit with a code.
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


def start() -> _dolmen.Comm:
    """Initialize MPI, unless that was done, and return the communicator of all ranks.

    Collective over all processes of the job at its first call.
    """
    global _started
    if _started is None:
        _started = _dolmen.start()
        if _started.size > 1:
            _hook_exits()
    _dolmen.require_owner()
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


def _note_failure(reason: str, told: str = "") -> None:
    """Note that this rank fails, which the others learn before other packages wait for them at their ends."""
    _dolmen.note_failure(reason, told)
    # Registered last, it is called first.
    atexit.unregister(_dolmen.leave_failed)
    atexit.register(_dolmen.leave_failed)


def _hook_exits() -> None:
    """Note uncaught exceptions and exit codes while Python still tells them."""
    show = sys.excepthook
    leave = sys.exit

    def excepthook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        shared = hasattr(error, "_dolmen_shared")
        told = "".join(traceback.format_exception(kind, error, trace)) if shared else ""
        _note_failure(f"uncaught {traceback.format_exception_only(kind, error)[-1].strip()}", told)
        if not shared:
            show(kind, error, trace)

    def exit_with(code: Any = None) -> NoReturn:
        if code not in (None, 0, False):
            _note_failure(f"sys.exit({code!r})")
        leave(code)

    sys.excepthook = excepthook
    sys.exit = exit_with
    # Those of the interactive interpreter, which raise SystemExit themselves.
    for name in ("exit", "quit"):
        if hasattr(builtins, name):
            setattr(builtins, name, exit_with)
