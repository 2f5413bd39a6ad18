"""The executors of runs: opened, counted, made anew when they break."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing.process import BaseProcess
from typing import Any, Optional

from . import _child, _launcher, _worker
from ._report import ExecutorError
from ._settings import ExecutorChoice, Settings


# Time that workers have to end by themselves.
_GRACE_SECONDS = 2.0
# Time for which the ends of killed workers are awaited.
_KILLED_SECONDS = 30.0


class SerialExecutor(Executor):
    """An executor that runs each call at once, in the process that submits it."""

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        """Call the function and return a future that is done. Ctrl-C is raised here."""
        future: Future[Any] = Future()
        try:
            future.set_result(function(*arguments, **named))
        except Exception as error:
            future.set_exception(error)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the child process of items with a time limit, if there is one."""
        _child.close()


class _OwnPool(ProcessPoolExecutor):
    """The process pool that a run makes for itself."""


class Pool:
    """The executor of a run and what is known about it.

    Attributes
    ----------
    workers : int
        Number of workers, at least 1.
    serial : bool
        True if items run in this process, one after the other.
    inherits : bool
        True if workers see the memory of this process, so that functions need not be pickled for them.
    local : bool
        True if workers have the same ``__main__`` as this process.
    """

    def __init__(self, executor: Optional[Executor], factory: Optional[Callable[[], Executor]], processes: Optional[int]) -> None:
        self._factory = factory
        self._processes = processes
        self._executor = self._make() if executor is None else executor
        self.serial = isinstance(self._executor, SerialExecutor)
        in_process = self.serial or isinstance(self._executor, ThreadPoolExecutor)
        # A pool that was given may have forked its workers before the function was known.
        self.inherits = in_process or (factory is not None and isinstance(self._executor, _OwnPool) and _forks(self._executor))
        self.local = in_process or isinstance(self._executor, ProcessPoolExecutor) or _is_mpi(self._executor)
        self.workers = 1
        self.recount()

    def _make(self) -> Executor:
        assert self._factory is not None
        executor = self._factory()
        if not hasattr(executor, "submit"):
            raise TypeError(f"the function given as executor made a {type(executor).__name__}, which is no executor: it has no submit")
        return executor

    @property
    def can_remake(self) -> bool:
        """True if a broken executor can be replaced."""
        return self._factory is not None

    @property
    def count_varies(self) -> bool:
        """True if workers may come and go during the run."""
        return not self.local

    def submit(self, *arguments: Any) -> Future[Any]:
        """Submit a call."""
        return self._executor.submit(*arguments)

    def recount(self) -> None:
        """Count the workers again."""
        self.workers = max(1, _count(self._executor) or self._processes or default_processes())

    def remake(self) -> None:
        """Replace the executor, which has broken."""
        self._executor.shutdown(wait=False)
        self._executor = self._make()

    def close(self) -> None:
        """Shut the executor down if this run made it."""
        if self._factory is not None:
            self._executor.shutdown(wait=True)

    def kill(self) -> None:
        """Shut the executor down at once if this run made it, with the items that run."""
        if self._factory is None:
            return
        processes = list((getattr(self._executor, "_processes", None) or {}).values())
        self._executor.shutdown(wait=False, cancel_futures=True)
        # Their own end takes programs along; a worker in a loop of compiled code cannot.
        for end, seconds in (("terminate", _GRACE_SECONDS), ("kill", _KILLED_SECONDS)):
            for process in processes:
                with contextlib.suppress(OSError, ValueError):
                    getattr(process, end)()
            deadline = time.monotonic() + seconds
            for process in processes:
                with contextlib.suppress(OSError, ValueError, AssertionError):
                    _await_end(process, deadline)


def _await_end(process: BaseProcess, deadline: float) -> None:
    """Wait until the process has ended, at most until the deadline."""
    # The executor's thread may collect the process between the parts of a join, which then returns too early.
    while process.exitcode is None and (left := deadline - time.monotonic()) > 0.0:
        process.join(min(left, 0.05))


def default_processes() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def choose(settings: Settings) -> ExecutorChoice:
    """Return the executor of the settings, a name for None."""
    if settings.executor is not None:
        return settings.executor
    # A worker runs items of its own one after the other: the cores are taken.
    if settings.processes == 1 or _worker.in_worker():
        return "serial"
    return "mpi" if _launcher.job_size() > 1 else "processes"


def open_pool(settings: Settings) -> Pool:
    """Open the executor that the settings choose. An MPI job in which all ranks take part is opened by `_mpi`."""
    choice, processes = choose(settings), settings.processes
    if choice == "serial":
        return Pool(None, SerialExecutor, 1)
    if choice == "processes":
        count = processes or default_processes()
        return Pool(None, lambda: _OwnPool(count, initializer=_worker.begin_worker, initargs=(os.getpid(),)), count)
    if choice == "mpi":
        return Pool(None, lambda: mpi_pool(processes), processes)
    if hasattr(choice, "submit"):
        return Pool(choice, None, processes)  # type: ignore[arg-type]
    return Pool(None, choice, processes)  # type: ignore[arg-type]


def mpi_pool(processes: Optional[int]) -> Executor:
    """Return the pool of ``python -m mpi4py.futures``, or one whose workers are started by MPI."""
    executor: Executor = mpi_futures().MPIPoolExecutor(processes)
    return executor


def mpi_futures() -> Any:
    """Import mpi4py.futures."""
    try:
        import mpi4py.futures
    except ImportError as error:
        size = _launcher.job_size()
        where = f"this job has {size} ranks, and executor=None is" if size > 1 else "this is"
        raise ExecutorError(f'{where} executor="mpi", which needs mpi4py ({error}): pip install mpi4py') from None
    return mpi4py.futures


def _is_mpi(executor: Executor) -> bool:
    return type(executor).__module__.startswith("mpi4py.")


def _forks(executor: ProcessPoolExecutor) -> bool:
    context = getattr(executor, "_mp_context", None) or multiprocessing.get_context()
    return bool(context.get_start_method() == "fork")


def _count(executor: Any) -> Optional[int]:
    """Return the number of workers of an executor of the standard library, mpi4py, Dask or ipyparallel."""
    for name in ("num_workers", "_max_workers"):
        count = getattr(executor, name, None)
        if isinstance(count, int):
            return count
    client: Any = getattr(executor, "_client", None)
    if hasattr(client, "nthreads"):
        return int(sum(client.nthreads().values()))
    view: Any = getattr(executor, "view", None)
    if hasattr(view, "client"):
        return len(view.targets or view.client.ids)
    return None
