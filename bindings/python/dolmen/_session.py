"""The start and the end of MPI in this process.

MPI starts when the first communicator is asked for. From then on an exception that nobody catches ends the whole job if
the other ranks do not end too: they would wait for this one forever.
"""

from __future__ import annotations

import atexit
import sys
import traceback
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn

from . import _dolmen

if TYPE_CHECKING:
    from ._comm import Comm

_world: Comm | None = None
_self: Comm | None = None
#: Reason why this rank ends before the others, if it does.
_failure: str | None = None


def world() -> Comm:
    """Return the communicator of all ranks; the first call initializes MPI.

    Collective over all processes of the job at its first call.
    """
    global _world
    if _world is None:
        from ._comm import Comm

        native = _dolmen.start()
        _world = Comm._wrap(native)
        atexit.register(_end)
        if native.size > 1:
            _hook_exits()
    return _world


def self_() -> Comm:
    """Return the communicator of this rank alone."""
    global _self
    if _self is None:
        from ._comm import Comm

        _self = Comm._wrap(world()._native.alone())
    return _self


def environment() -> dict[str, Any]:
    """Describe the libraries of this process: MPI, BLAS, HDF5, and vector instructions of the processor.

    Returns
    -------
    dict
        ``mpi`` (in the library's own words), ``mpi_standard``, ``thread_level``, ``node``, ``initialized_mpi``
        (False if another library, such as mpi4py, did), ``blas``, ``blas_core``, ``blas_threads``,
        ``cpu_features``, ``hdf5``.
    """
    world()
    return _dolmen.environment()


def _end() -> None:
    """Wait for the other ranks, and finalize MPI if it was initialized here."""
    if _dolmen.is_started():
        sys.stdout.flush()
        sys.stderr.flush()
        _dolmen.finish(_failure)


def _hook_exits() -> None:
    """Note uncaught exceptions and exit codes, of which `atexit` learns nothing."""
    show = sys.excepthook
    leave = sys.exit

    def excepthook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        global _failure
        _failure = f"uncaught {traceback.format_exception_only(kind, error)[-1].strip()}"
        # An error that all ranks have is told once.
        rank = getattr(error, "rank", None)
        if not hasattr(error, "_dolmen_shared") or _world is None or _world.rank == (rank or 0):
            show(kind, error, trace)

    def exit_with(code: Any = None) -> NoReturn:
        global _failure
        if code not in (None, 0, False):
            _failure = f"sys.exit({code!r})"
        leave(code)

    sys.excepthook = excepthook
    sys.exit = exit_with
