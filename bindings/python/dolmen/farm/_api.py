"""The functions that users call."""

from __future__ import annotations

import functools
import os
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from typing import TYPE_CHECKING, Any, Optional, TypeVar, Union, cast

from ._mpi import portable
from ._programs import Finished, Program, split
from ._report import Failure, Report, Summary
from ._run import Run, Stream
from ._settings import ExecutorChoice, Settings

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._settings import Options

R = TypeVar("R")
V = TypeVar("V")


def map(
    function: Callable[..., R],
    items: Iterable[Any],
    *,
    executor: ExecutorChoice = None,
    processes: Optional[int] = None,
    journal: Union[None, str, os.PathLike[str]] = None,
    key: Optional[Callable[[Any], Any]] = None,
    name: Optional[str] = None,
    retries: int = 1,
    timeout: Optional[float] = None,
    errors: str = "report",
    progress: bool = True,
    window: Optional[int] = None,
    chunksize: Union[int, str] = "auto",
    seed: Optional[int] = None,
) -> Report[R]:
    """Apply a function to every item and return the results in order.

    An item that fails does not end the run: it is tried again, and then reported.

    Parameters
    ----------
    function : callable
        Called with one item. If it has a parameter ``rng`` after its first, it is given a `numpy.random.Generator` that depends on
        the seed and the item alone.
    items : iterable
        The items. An iterator is made a list first; `imap` takes one as it goes.
    executor : None, str, Executor or callable, optional
        ``"serial"``, ``"processes"``, ``"mpi"``, any executor in the sense of `concurrent.futures`, or a function that makes one. An
        executor that is given is not shut down. One that the function makes is, and it is made anew when it breaks. None is
        ``"mpi"`` in an MPI job of several ranks, ``"serial"`` for ``processes=1`` and inside a worker, else ``"processes"``.
    processes : int, optional
        Number of worker processes; by default the number of cores that this process may use.
    journal : path, optional
        File in which finished items are written. A second run with this journal takes their results from it and does the rest.
    key : callable, optional
        Function from an item to a value that identifies it in the journal, for items that cannot be pickled in a reproducible way.
    name : str, optional
        Name of the function in the journal; by default its file and name.
    retries : int, optional
        Number of further attempts of an item that failed.
    timeout : float, optional
        Time limit of an attempt in seconds. Items then run in child processes of the workers, which can be killed.
    errors : {"report", "raise"}, optional
        Report the items that failed, or raise `ItemError` for the first one and end the run.
    progress : bool, optional
        Show progress on standard error: a bar (with tqdm) on a terminal, a line a minute elsewhere.
    window : int, optional
        Largest number of items that are taken and whose results wait to be passed on. By default `imap` adapts it to the workers
        and chunks; the others have no limit.
    chunksize : int or "auto", optional
        Number of items that are sent to a worker at a time. ``"auto"`` makes chunks of about 10 ms.
    seed : int, optional
        Seed of the random streams. By default it is drawn; it is ``report.seed`` then, and kept in the journal.

    Returns
    -------
    Report
        The results, with a `Failure` in the place of each item that failed. In an MPI job all ranks get it.

    Raises
    ------
    ItemError
        An item failed and ``errors="raise"``.
    JournalError
        The journal is of another function, seed or set of items, or is damaged or in use.
    ExecutorError
        The executor broke and cannot be made anew, or the function cannot be sent to its workers.

    Examples
    --------
    >>> from dolmen import farm
    >>> report = farm.map(len, ["one", "three", 5], executor="serial", retries=0)
    >>> report[:2]
    [3, 5]
    >>> print(report.failures[0])
    item 2 (5): TypeError: object of type 'int' has no len() (1 attempt)
    """
    settings = Settings(executor, processes, journal, key, name, retries, timeout, errors, progress, window, chunksize, seed)
    return _report([function], items, settings)


def starmap(function: Callable[..., R], items: Iterable[Sequence[Any]], **options: Unpack[Options]) -> Report[R]:
    """Apply a function to every item, unpacked into arguments.

    Parameters
    ----------
    function : callable
        Called with the members of an item.
    items : iterable of sequences
        The items.
    **options
        The options of `map`.

    Returns
    -------
    Report
        The results in order.

    Examples
    --------
    >>> from dolmen import farm
    >>> farm.starmap(pow, [(2, 3), (10, 2)], processes=1).results
    [8, 100]
    """
    return _report([function], items, Settings(**options), star=True)


def imap(function: Callable[..., R], items: Iterable[Any], **options: Unpack[Options]) -> Stream[R]:
    """Apply a function to every item and return an iterator over the results in order.

    Memory is bounded: items are taken as they are needed, and no more than ``window`` items are under way. In an MPI job rank 0
    gets the results; the iterators of the other ranks work for it and yield nothing.

    Parameters
    ----------
    function : callable
        Called with one item.
    items : iterable
        The items, of any number. The items of an iterator cannot be compared with those in the journal before the run.
    **options
        The options of `map`.

    Returns
    -------
    Stream
        An iterator whose ``summary`` has the counts and failures.

    Examples
    --------
    >>> import itertools
    >>> from dolmen import farm
    >>> with farm.imap(float, itertools.count(), executor="serial") as results:
    ...     for result in results:
    ...         if result > 2:
    ...             break
    >>> result
    3.0
    """
    return Stream(Run([function], items, Settings(**options), bounded=True))


def map_reduce(
    function: Callable[..., R], reduce: Callable[[Any, R], V], items: Iterable[Any], *, initial: Any = None, **options: Unpack[Options],
) -> tuple[V, Summary]:
    """Apply a function to every item and combine the results in the order of the items.

    The value does not depend on the number of workers or on which item finishes first: it has the bits of a serial loop. Memory is
    bounded as by `imap`.

    Parameters
    ----------
    function : callable
        Called with one item.
    reduce : callable
        Called with the value up to now and the next result; returns the new value.
    items : iterable
        The items.
    initial : optional
        First value. Without it the first result is the first value.
    **options
        The options of `map`. ``errors`` is ``"raise"`` unless given: with ``"report"``, items that fail are left out of the value.

    Returns
    -------
    value
        The combined results; in an MPI job on all ranks.
    Summary
        The counts and failures.

    Raises
    ------
    ValueError
        There is no result and no ``initial``.

    Examples
    --------
    >>> import operator
    >>> from dolmen import farm
    >>> value, summary = farm.map_reduce(len, operator.add, ["one", "three"], processes=1)
    >>> value, summary.done
    (8, 2)
    """
    options.setdefault("errors", "raise")
    run = Run([function], items, Settings(**options), bounded=True)
    value, empty, problem = _fold(Stream(run), reduce, initial)
    if run.comm is not None:
        value, empty, problem = run.comm.bcast((value, empty, problem and portable(problem)), root=0)
    if problem is not None:
        raise problem
    if empty:
        raise ValueError("there is no result to reduce; give initial=, the value of no items")
    return cast(V, value), run.summary


def pipeline(functions: Sequence[Callable[..., Any]], items: Iterable[Any], **options: Unpack[Options]) -> Report[Any]:
    """Apply several functions one after the other to every item.

    Each function is given the result of the one before. An item stays on its worker, and items do not wait for each other between
    functions. When one of the functions fails, the next attempt begins with this function; with a journal so does the next run.

    Parameters
    ----------
    functions : sequence of callables
        The functions.
    items : iterable
        The items, which the first function is given.
    **options
        The options of `map`.

    Returns
    -------
    Report
        The results of the last function in order.

    Examples
    --------
    >>> from dolmen import farm
    >>> farm.pipeline([str.split, len], ["a b", "a b c"], processes=1).results
    [2, 3]
    """
    if not functions:
        raise ValueError("the pipeline has no functions; give at least one")
    return _report(list(functions), items, Settings(**options))


def run(
    command: Union[str, Sequence[str]],
    items: Iterable[Any],
    *,
    output: Optional[str] = None,
    log: Optional[str] = None,
    env: Optional[Mapping[str, str]] = None,
    cwd: Union[None, str, os.PathLike[str]] = None,
    **options: Unpack[Options],
) -> Report[Union[Finished, str]]:
    """Run a program for every item.

    No shell is involved: the command is split into words first, and an item is part of one word whatever characters it has. The
    program does not see the variables of the MPI launcher, so it may use MPI itself.

    Parameters
    ----------
    command : str or sequence of str
        The program and its arguments as templates. ``{}`` is the item; ``{path}``, ``{name}``, ``{stem}``, ``{suffix}`` and
        ``{parent}`` are the item as a path and its parts. An item that is a mapping gives its own fields.
    items : iterable
        The items, usually files.
    output : str, optional
        Template of the file that the program writes. It must exist at the end, and its name is the result.
    log : str, optional
        Template of the file to which the program prints. By default the end of the output is in the result.
    env : mapping, optional
        Variables to add to the environment.
    cwd : path, optional
        Folder in which the programs run.
    **options
        The options of `map`. ``timeout`` kills the program with all that it started.

    Returns
    -------
    Report
        For each item `Finished`, or the name of the output file. An exit code other than 0 is a failure.

    Examples
    --------
    >>> from dolmen import farm
    >>> report = farm.run("echo {stem}", ["data/a.fits", "data/b.fits"], processes=1)
    >>> [finished.output for finished in report]
    ['a\\n', 'b\\n']
    """
    words = split(command)
    timeout = options.pop("timeout", None)
    Settings(timeout=timeout)
    variables = None if env is None else tuple(sorted(env.items()))
    program = Program(words, output, log, variables, None if cwd is None else os.fspath(cwd), timeout)
    if options.get("name") is None:
        options["name"] = "program: " + shlex.join(words)
    return cast("Report[Union[Finished, str]]", _report([program], items, Settings(**options)))


def _fold(results: Stream[R], reduce: Callable[[Any, R], V], initial: Any) -> tuple[Any, bool, Optional[Exception]]:
    """Return the combined results, true if there is none, and the error of ``reduce``, which all ranks have to know."""
    value, empty = initial, initial is None
    with results:
        for result in results:
            if isinstance(result, Failure):
                continue
            try:
                value = result if empty else reduce(value, result)
            except Exception as error:
                return None, False, error
            empty = False
    return value, empty, None


def _report(stages: Sequence[Callable[..., Any]], items: Iterable[Any], settings: Settings, star: bool = False) -> Report[Any]:
    listed = items if isinstance(items, Sized) else list(items)
    job = Run(stages, cast("Iterable[Any]", listed), settings, star=star)
    results = list(job.results())
    if job.comm is not None:
        results = job.comm.bcast(results, root=0)
    return Report(**vars(job.summary), results=results)
