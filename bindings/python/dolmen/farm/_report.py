"""Reports of runs: results, failures and stragglers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Optional, TypeVar, Union, overload

R = TypeVar("R")


class FarmError(RuntimeError):
    """Base class of the errors of `dolmen.farm`."""


class JournalError(FarmError):
    """A journal that cannot be used by this run."""


class ExecutorError(FarmError):
    """An executor that is missing, broken, or unable to run the function."""


class ItemError(FarmError):
    """The failure that ended a run with ``errors="raise"``.

    Attributes
    ----------
    failure : Failure
        The item and its error. The exception of the function, if any, is ``__cause__``.
    """

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.failure = failure


@dataclass(frozen=True)
class Straggler:
    """An item that took much longer than the others: 30 s at least, and ten times the median."""

    index: int
    item: str
    seconds: float


@dataclass(frozen=True)
class Failure:
    """An item that failed in all its attempts; it stands in the place of the result.

    Attributes
    ----------
    index : int
        Position of the item, from 0.
    item : str
        The item as text, shortened.
    kind : str
        ``"raised"`` (the function raised an exception), ``"timeout"`` or ``"died"`` (its process ended).
    message : str
        The error in one line.
    attempts : int
        Number of attempts.
    seconds : float
        Time of the last attempt.
    traceback : str
        Traceback of the function, if it raised.
    exception : BaseException or None
        The exception itself, if it could be sent back.
    stage : int
        Number of the function that failed in a pipeline, from 0.
    """

    index: int
    item: str
    kind: str
    message: str
    attempts: int
    seconds: float
    traceback: str = field(default="", repr=False)
    exception: Optional[BaseException] = field(default=None, repr=False, compare=False)
    stage: int = 0

    def __str__(self) -> str:
        times = "1 attempt" if self.attempts == 1 else f"{self.attempts} attempts"
        return f"item {self.index} ({self.item}): {self.message} ({times})"


@dataclass
class Summary:
    """Counts and failures of a run.

    Attributes
    ----------
    done : int
        Number of items that this run finished.
    resumed : int
        Number of items whose results came from the journal.
    failures : list of Failure
        The items that failed, in order.
    stragglers : list of Straggler
        Items that took much longer than the others.
    seconds : float
        Time of the run.
    seed : int or None
        Seed of the random streams, if the function takes ``rng``.
    """

    done: int = 0
    resumed: int = 0
    failures: list[Failure] = field(default_factory=list)
    stragglers: list[Straggler] = field(default_factory=list)
    seconds: float = 0.0
    seed: Optional[int] = None

    @property
    def ok(self) -> bool:
        """True if no item failed."""
        return not self.failures

    def raise_failures(self) -> None:
        """Raise `ItemError` for the first failure, if any."""
        if self.failures:
            raise item_error(self.failures[0])

    def __str__(self) -> str:
        counts = f"{self.done} done, {self.resumed} from the journal, {len(self.failures)} failed in {self.seconds:.1f} s"
        return "\n".join([counts, *(f"  {failure}" for failure in self.failures)])


@dataclass(eq=False)
class Report(Summary, Sequence[Union[R, Failure]], Generic[R]):
    """Results of a run in the order of the items, with counts and failures.

    A report is a sequence: ``report[i]`` is the result of item ``i``, or its `Failure`.

    Attributes
    ----------
    results : list
        The results in order, with a `Failure` in the place of each item that failed.
    """

    results: list[Union[R, Failure]] = field(default_factory=list)

    def succeeded(self) -> list[R]:
        """Return the results of the items that did not fail, in order."""
        failed = {failure.index for failure in self.failures}
        return [result for index, result in enumerate(self.results) if index not in failed]  # type: ignore[misc]

    @overload
    def __getitem__(self, index: int) -> Union[R, Failure]: ...

    @overload
    def __getitem__(self, index: slice) -> list[Union[R, Failure]]: ...

    def __getitem__(self, index: Any) -> Any:
        return self.results[index]

    def __len__(self) -> int:
        return len(self.results)

    def __iter__(self) -> Iterator[Union[R, Failure]]:
        return iter(self.results)

    def __repr__(self) -> str:
        return f"<Report: {self.done} done, {self.resumed} from the journal, {len(self.failures)} failed>"


class _RemoteTraceback(Exception):
    """Text of a traceback in another process."""

    def __str__(self) -> str:
        return "\n" + str(self.args[0])


def item_error(failure: Failure) -> ItemError:
    """Return the exception for a failure, chained to that of the function."""
    error = ItemError(failure)
    cause = failure.exception
    if cause is not None and cause.__traceback__ is None and failure.traceback:
        cause.__cause__ = _RemoteTraceback(failure.traceback)
    error.__cause__ = cause
    return error
