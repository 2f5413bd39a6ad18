"""One run: the function made ready for workers, the journal, the executor and the loop put together."""

from __future__ import annotations

import importlib
import os
import pickle
import secrets
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from typing import Any, Generic, Optional, TypeVar, Union

from . import _child, _executors, _mpi, _worker
from ._executors import Pool
from ._identity import Keys, function_name
from ._journal import Journal
from ._progress import open_progress
from ._report import ExecutorError, Failure, Summary
from ._scheduler import Scheduler
from ._settings import Settings
from ._worker import Loaded, Task

R = TypeVar("R")


class Run:
    """A function, or several one after the other, to be called for each item.

    Parameters
    ----------
    stages : sequence of callables
        The functions; each is given the value of the one before.
    items : iterable
        The items.
    settings : Settings
        The options.
    star : bool
        Unpack each item into arguments.
    bounded : bool
        Hold back new items while too many results wait to be taken.
    """

    def __init__(
        self, stages: Sequence[Callable[..., Any]], items: Iterable[Any], settings: Settings, star: bool = False, bounded: bool = False,
    ) -> None:
        if _child.importing():
            raise ExecutorError(
                'a run was started while a worker imported the script; put it under `if __name__ == "__main__":`')
        if isinstance(items, (str, bytes)):
            raise TypeError(f"items is one text, {items!r}; give a list of items")
        for stage in stages:
            if not callable(stage):
                raise TypeError(f"{stage!r} is not a function")
        self._stages, self._settings, self._star, self._bounded = tuple(stages), settings, star, bounded
        self._items = items
        self._takes_rng = tuple(_worker.takes_rng(stage) for stage in stages)
        if settings.seed is not None and not any(self._takes_rng):
            raise ValueError("seed was given, but the function has no parameter rng; add one, or leave out seed")
        self.summary = Summary()
        self.comm = _mpi.world(settings)

    def results(self) -> Iterator[Any]:
        """Yield the results in order; in an MPI job on rank 0, while the other ranks work and yield nothing."""
        if self.comm is not None:
            return _mpi.on_rank_0(self.comm, self._drive, self.summary)
        return self._drive(None)

    def _drive(self, given: Optional[Pool]) -> Iterator[Any]:
        begin = time.monotonic()
        total = len(self._items) if isinstance(self._items, Sized) else None
        token = secrets.token_bytes(8)
        journal = self._open_journal()
        pool: Optional[Pool] = None
        scheduler: Optional[Scheduler] = None
        progress = open_progress(self._settings.progress, total)
        try:
            pool = given or _executors.open_pool(self._settings)
            task = self._task(token, pool)
            keys = Keys(self._settings.key) if journal is not None or self.summary.seed is not None else None
            scheduler = Scheduler(
                task, iter(self._items), total, keys, self._settings, pool, journal, progress, self.summary, self._bounded)
            yield from scheduler.outcomes()
            pool.close()
        except BaseException:
            if scheduler is not None:
                scheduler.abandon()
            if pool is not None:
                pool.kill()
            raise
        finally:
            _worker.forget(token)
            self.summary.failures.sort(key=lambda failure: failure.index)
            self.summary.seconds = time.monotonic() - begin
            progress.close()
            if journal is not None:
                journal.close()

    def _open_journal(self) -> Optional[Journal]:
        settings = self._settings
        drawn = secrets.randbits(63) if any(self._takes_rng) else None
        if settings.journal is None:
            self.summary.seed = drawn if settings.seed is None else settings.seed
            return None
        journal = Journal(os.fspath(settings.journal), settings.name or self._name(), settings.seed, drawn)
        self.summary.seed = journal.seed
        try:
            if isinstance(self._items, Sized):
                keys = Keys(settings.key)
                journal.check_items(keys.of(index, item) for index, item in enumerate(self._items))
        except BaseException:
            journal.close()
            raise
        return journal

    def _name(self) -> str:
        try:
            name = " | ".join(map(function_name, self._stages))
        except (TypeError, RecursionError) as error:
            text = f"the journal cannot tell this function from others: it holds an object without a reproducible digest ({error})"
            raise TypeError(f"{text}; give name=") from None
        return f"*{name}" if self._star else name

    def _task(self, token: bytes, pool: Pool) -> Task:
        data, by_value = _pickled(self._stages, pool)
        if data is None and self._settings.timeout is not None:
            raise ExecutorError(
                "a time limit needs a function that can be pickled; define it at the top level of a module, or install cloudpickle")
        _worker.keep(token, Loaded(self._stages, data))
        return Task(
            token, None if pool.inherits else data, by_value, data is not None, self._star, self._takes_rng, self.summary.seed,
            self._settings.timeout,
        )


def _pickled(stages: tuple[Callable[..., Any], ...], pool: Pool) -> tuple[Optional[bytes], bool]:
    """Pickle the stages so that workers and child processes can load them; None if only this process and its forks can have them."""
    problem: Optional[Exception] = None
    if pool.local:
        try:
            data = pickle.dumps(stages, protocol=4)
            # An interpreter that was started anew finds the functions of a script, not those of a notebook.
            if b"__main__" not in data or hasattr(sys.modules["__main__"], "__file__"):
                return data, False
        except Exception as error:
            problem = error
    try:
        return importlib.import_module("cloudpickle").dumps(stages, protocol=4), True
    except ImportError:
        pass
    except Exception as error:
        problem = error
    if pool.inherits:
        return None, False
    if problem is None and not pool.local:
        data = pickle.dumps(stages, protocol=4)
        if b"__main__" not in data:
            return data, False
    why = f" ({problem})" if problem else ""
    raise ExecutorError(f"the function cannot be sent to the workers{why}; define it at the top level of a module, or install cloudpickle")


class Stream(Generic[R]):
    """Results of a run, one after the other and in order, while it runs.

    A `Failure` stands in the place of each item that failed. Leaving a ``with`` block, or `close`, ends the run early.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._results = run.results()

    @property
    def summary(self) -> Summary:
        """Counts and failures up to now."""
        return self._run.summary

    def __iter__(self) -> Iterator[Union[R, Failure]]:
        return self

    def __next__(self) -> Union[R, Failure]:
        result: Union[R, Failure] = next(self._results)
        return result

    def __enter__(self) -> Stream[R]:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the run: what no worker has begun is left undone."""
        close = getattr(self._results, "close", None)
        if close is not None:
            close()
