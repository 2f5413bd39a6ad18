"""Runs in which all ranks of an MPI job take part: rank 0 drives, the others work."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from typing import Any, Optional

from . import _executors
from ._executors import Pool
from ._report import FarmError, Summary
from ._settings import Settings


def world(settings: Settings) -> Optional[Any]:
    """Return the communicator of a run in which all ranks take part, or None for any other run.

    Under ``python -m mpi4py.futures`` only rank 0 runs the script, so there is none.
    """
    if _executors.choose(settings) != "mpi":
        return None
    futures = _executors.mpi_futures()
    from mpi4py import MPI

    if getattr(futures._core, "SharedPool", None) is not None:
        return None
    return MPI.COMM_WORLD if MPI.COMM_WORLD.size > 1 else None


def on_rank_0(comm: Any, drive: Callable[[Pool], Iterator[Any]], summary: Summary) -> Iterator[Any]:
    """Yield the results on rank 0 while the others work; then all ranks have the summary, or raise the error of rank 0."""
    problem: Optional[BaseException] = None
    with _executors.mpi_futures().MPICommExecutor(comm, root=0) as executor:
        if executor is not None:
            try:
                yield from drive(Pool(executor, None, None))
            except GeneratorExit:
                pass
            except BaseException as error:
                problem = error
    shared = comm.bcast((portable(problem), vars(summary)) if comm.rank == 0 else None, root=0)
    vars(summary).update(shared[1])
    if comm.rank != 0:
        problem = shared[0]
    if problem is not None:
        raise problem


def portable(problem: Optional[BaseException]) -> Optional[BaseException]:
    try:
        pickle.loads(pickle.dumps(problem))
    except Exception:
        return FarmError(f"{type(problem).__name__}: {problem}")
    return problem
