"""The loop of a run: takes items, keeps workers busy, retries, and yields results in order."""

from __future__ import annotations

import math
import queue
import statistics
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, Future
from dataclasses import dataclass
from typing import Any, Optional, Union

from . import _chunk
from ._executors import Pool
from ._identity import Keys, item_text
from ._journal import Journal
from ._progress import Progress
from ._report import ExecutorError, Failure, JournalError, Straggler, Summary, item_error
from ._settings import Settings
from ._worker import Call, Outcome, Task, Trouble

# Work in one chunk: long beside the cost of sending it, short beside the run, so that workers end together.
_CHUNK_SECONDS = 0.01
# Chunks that the driver can serve; with hundreds of workers they are longer.
_CHUNKS_PER_SECOND = 2000.0
_LARGEST_CHUNK = 1000
_TICK_SECONDS = 1.0
_RECOUNT_SECONDS = 5.0
# An item is a straggler when it has run for so long and for so many times the median.
_STRAGGLER_SECONDS = 30.0
_STRAGGLER_RATIO = 10.0
# An executor that breaks so many times while no item finishes cannot work at all.
_MOST_BREAKS = 10

# After its executor broke, an item runs in a child process, then with nothing beside it: one of the two finds the culprit.
_NORMAL, _ISOLATED, _ALONE = range(3)


@dataclass
class Entry:
    """An item that is taken and not yet yielded."""

    index: int
    item: Any
    key: bytes
    stage: int
    value: Any
    attempts: int = 0
    care: int = _NORMAL


@dataclass
class Flight:
    """A chunk that was submitted. ``started`` is the time at which a worker had room for it."""

    entries: list[Entry]
    future: Optional[Future[Any]] = None
    started: Optional[float] = None
    told: bool = False


@dataclass(frozen=True)
class Stored:
    """A result that is in the journal."""

    key: bytes


class Scheduler:
    """Loop over the items of a task. `outcomes` is iterated once."""

    def __init__(
        self, task: Task, items: Iterator[Any], total: Optional[int], keys: Optional[Keys], settings: Settings, pool: Pool,
        journal: Optional[Journal], progress: Progress, summary: Summary, ordered_window: bool,
    ) -> None:
        self._task, self._items, self._keys, self._settings = task, items, keys, settings
        self._pool, self._journal, self._progress, self._summary = pool, journal, progress, summary
        self._total, self._ordered_window = total, ordered_window
        self._taken = self._yielded = self._flights = self._breaks = 0
        self._exhausted = self._broken = False
        self._again: deque[Entry] = deque()
        self._alone: deque[Entry] = deque()
        self._flight: dict[int, Flight] = {}
        self._landed: queue.SimpleQueue[tuple[int, Future[Any]]] = queue.SimpleQueue()
        self._finished: dict[int, Union[Any, Stored, Failure]] = {}
        self._mean: Optional[float] = None
        self._times: deque[float] = deque(maxlen=1001)
        self._ticked = self._counted = time.monotonic()

    def outcomes(self) -> Iterator[Any]:
        """Yield the result of each item in order, or its failure."""
        while True:
            self._fill()
            while self._yielded in self._finished:
                result = self._finished.pop(self._yielded)
                self._yielded += 1
                if isinstance(result, Stored):
                    assert self._journal is not None
                    result = self._journal.result(result.key)
                yield result
                self._fill()
            if not self._flight and not self._finished and self._exhausted:
                return
            self._collect()

    # Filling

    def _fill(self) -> None:
        while not self._broken and len(self._flight) < self._most_flights():
            chunk = self._next_chunk()
            if not chunk:
                return
            self._submit(chunk)

    def _most_flights(self) -> int:
        return 1 if self._pool.serial else 2 * self._pool.workers + 1

    def _window(self) -> float:
        if self._settings.window is not None:
            return self._settings.window
        if not self._ordered_window:
            return math.inf
        return 1 if self._pool.serial else max(64, 16 * self._pool.workers * self._chunksize())

    def _chunksize(self) -> int:
        if self._settings.chunksize != "auto":
            return int(self._settings.chunksize)
        if self._pool.serial or self._mean is None:
            return 1
        seconds = max(_CHUNK_SECONDS, self._pool.workers / _CHUNKS_PER_SECOND)
        size = min(_LARGEST_CHUNK, int(seconds / max(self._mean, 1e-6)))
        if self._total is not None:
            # Small chunks at the end, so that all workers end at about the same time.
            size = min(size, (self._total - self._taken) // (4 * self._pool.workers))
        if self._settings.window is not None:
            size = min(size, self._settings.window // self._most_flights())
        return max(1, size)

    def _next_chunk(self) -> list[Entry]:
        if self._alone:
            return [] if self._flight else [self._alone.popleft()]
        if any(flight.entries[0].care == _ALONE for flight in self._flight.values()):
            return []
        if self._again:
            return [self._again.popleft()]
        chunk: list[Entry] = []
        size, window = self._chunksize(), self._window()
        while len(chunk) < size and not self._exhausted and self._taken - self._yielded < window:
            entry = self._take()
            if entry is not None:
                chunk.append(entry)
        return chunk

    def _take(self) -> Optional[Entry]:
        """Take the next item; return None if there is none or its result is in the journal."""
        try:
            item = next(self._items)
        except StopIteration:
            self._exhausted = True
            return None
        index = self._taken
        key = self._keys.of(index, item) if self._keys else b""
        self._taken += 1
        if self._journal is not None:
            if self._journal.has(key):
                self._finished[index] = Stored(key)
                self._summary.resumed += 1
                self._show()
                return None
            stage, value = self._journal.stage(key) or (0, item)
            return Entry(index, item, key, stage, value)
        return Entry(index, item, key, 0, item)

    def _submit(self, chunk: list[Entry]) -> None:
        calls = [Call(entry.key, entry.stage, entry.value) for entry in chunk]
        number = self._flights
        self._flights += 1
        self._flight[number] = Flight(chunk)
        if self._pool.serial:
            self._flight[number].started = time.monotonic()
        try:
            future = self._pool.submit(_chunk.run, self._task, chunk[0].care == _ISOLATED, calls)
        except BrokenExecutor as error:
            # No worker has seen this chunk.
            del self._flight[number]
            self._again.extendleft(reversed(chunk))
            self._break(error)
            self._remake()
            return
        except RuntimeError as error:
            raise ExecutorError(f"the executor takes no work: {error}; run again with the journal") from error
        self._flight[number].future = future
        future.add_done_callback(lambda done: self._landed.put((number, done)))

    def abandon(self) -> None:
        """Cancel the chunks that no worker has begun."""
        for flight in self._flight.values():
            if flight.future is not None:
                flight.future.cancel()

    # Collecting

    def _collect(self) -> None:
        """Wait for a chunk to end, at most until the next tick."""
        try:
            number, future = self._landed.get(timeout=_TICK_SECONDS)
        except queue.Empty:
            self._tick()
            return
        flight = self._flight.pop(number)
        if future.cancelled():
            raise ExecutorError("the executor was shut down while items were waiting; run again with the journal")
        error = future.exception()
        if error is None:
            self._breaks = 0
            for entry, outcome in zip(flight.entries, future.result()):
                self._settle(entry, outcome)
        else:
            self._escalate(flight.entries, error)
        self._remake()
        if time.monotonic() - self._ticked >= _TICK_SECONDS:
            self._tick()

    def _settle(self, entry: Entry, outcome: Outcome) -> None:
        self._mean = outcome.seconds if self._mean is None else 0.9 * self._mean + 0.1 * outcome.seconds
        self._note_straggler(entry, outcome.seconds)
        self._times.append(outcome.seconds)
        if outcome.kind != "done":
            self._attempt_failed(entry, outcome.kind, outcome.value, outcome.seconds)
            return
        if self._journal is not None:
            try:
                self._journal.done(
                    entry.key, entry.index, item_text(entry.item), outcome.seconds, entry.attempts + 1, outcome.value)
            except JournalError:
                raise
            except Exception as error:
                trouble = Trouble(f"the result cannot be pickled for the journal: {error}", exception=error)
                self._attempt_failed(entry, "raised", trouble, outcome.seconds)
                return
        self._finished[entry.index] = outcome.value
        self._summary.done += 1
        self._show()

    def _attempt_failed(self, entry: Entry, kind: str, trouble: Trouble, seconds: float) -> None:
        entry.attempts += 1
        if trouble.stage > entry.stage:
            entry.stage, entry.value = trouble.stage, trouble.partial
        if entry.attempts <= self._settings.retries and entry.care != _ALONE:
            self._again.append(entry)
            return
        failure = Failure(
            entry.index, item_text(entry.item), kind, trouble.message, entry.attempts, seconds, trouble.traceback, trouble.exception,
            max(trouble.stage, entry.stage),
        )
        if self._journal is not None:
            self._journal.failed(entry.key, failure, entry.stage, entry.value)
        self._summary.failures.append(failure)
        if self._settings.errors == "raise":
            raise item_error(failure)
        self._finished[entry.index] = failure
        self._show()

    def _escalate(self, entries: list[Entry], error: BaseException) -> None:
        """Run the items of a chunk that came to nothing again, each by itself and with more care."""
        if isinstance(error, ExecutorError) or not isinstance(error, Exception):
            raise error
        broke = isinstance(error, BrokenExecutor)
        if broke:
            self._break(error)
        for entry in entries:
            if entry.care == _ALONE or (entry.care == _ISOLATED and not broke):
                entry.care = _ALONE
                message = f"{type(error).__name__}: {' '.join(str(error).split())}"
                self._attempt_failed(entry, "died" if broke else "raised", Trouble(message, exception=error), 0.0)
            elif entry.care == _NORMAL and self._task.isolable:
                entry.care = _ISOLATED
                self._again.append(entry)
            else:
                entry.care = _ALONE
                self._alone.append(entry)

    def _break(self, error: BaseException) -> None:
        if not self._pool.can_remake:
            text = f"the executor broke ({error}) and cannot be made anew; give a function that makes it, or run again with the journal"
            raise ExecutorError(text) from error
        if self._broken:
            return
        self._broken = True
        self._breaks += 1
        if self._breaks >= _MOST_BREAKS:
            raise ExecutorError(f"the executor broke {self._breaks} times and no item finished in between: {error}") from error

    def _remake(self) -> None:
        """Replace a broken executor when the last of its chunks has come back."""
        if self._broken and not self._flight:
            self._pool.remake()
            self._broken = False

    # Once a second

    def _tick(self) -> None:
        now = self._ticked = time.monotonic()
        if self._journal is not None:
            self._journal.sync()
        if self._pool.count_varies and now - self._counted >= _RECOUNT_SECONDS:
            self._counted = now
            self._pool.recount()
        self._tell_stragglers(now)
        self._show()

    def _straggler_limit(self) -> float:
        if len(self._times) < 10:
            return math.inf
        return max(_STRAGGLER_SECONDS, _STRAGGLER_RATIO * statistics.median(self._times))

    def _note_straggler(self, entry: Entry, seconds: float) -> None:
        if seconds >= _STRAGGLER_SECONDS and seconds >= self._straggler_limit():
            self._summary.stragglers.append(Straggler(entry.index, item_text(entry.item), seconds))

    def _tell_stragglers(self, now: float) -> None:
        limit = self._straggler_limit()
        # Workers take chunks in the order in which they were submitted: the oldest ones run, the others wait.
        for flight in list(self._flight.values())[: self._pool.workers]:
            if flight.started is None:
                flight.started = now
            seconds = now - flight.started
            if seconds >= limit and not flight.told:
                flight.told = True
                entry, others = flight.entries[0], len(flight.entries) - 1
                which = f"item {entry.index} ({item_text(entry.item)})" + (f" or one of the {others} after it" if others else "")
                self._progress.tell(f"{which} has run for {seconds:.0f} s; the median is {statistics.median(self._times):.3g} s")

    def _show(self) -> None:
        summary = self._summary
        self._progress.update(summary.done + summary.resumed + len(summary.failures), len(summary.failures))
