"""The command ``python -m dolmen.farm``."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Any, NoReturn, Optional

from . import _api, _mpi
from ._identity import item_text
from ._report import FarmError, Report
from ._settings import EXECUTORS, ExecutorChoice, Settings

_EPILOG = """\
examples:
  python -m dolmen.farm convert.py:to_hdf5 data/*.fits --journal convert.jsonl
      Call to_hdf5(file) for each file on all cores. Run it again after an interruption to do the rest.
  mpirun -n 64 python -m dolmen.farm convert.py:to_hdf5 --items list.txt --journal convert.jsonl
      The same in a batch job, with 63 workers.
  python -m dolmen.farm simulate.py:simulate --items - --timeout 10m --retries 0 --seed 1
      Read the items from standard input, kill what takes longer than ten minutes.

exit codes:
  0  all items are done
  1  some items failed; standard error names them
  2  wrong arguments, or a journal of another run
  130  interrupted
"""


class _UsageError(Exception):
    pass


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _UsageError(message)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m dolmen.farm", usage="%(prog)s SCRIPT:FUNCTION FILES... [options]", epilog=_EPILOG,
        description="Apply a Python function to many files or other texts, each by itself.",
        formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False,
    )
    parser.add_argument("function", metavar="SCRIPT:FUNCTION", help="file or module, and the name of a function of one argument in it")
    parser.add_argument("files", metavar="FILES", nargs="*", help="items: the function is called with each as a text")
    parser.add_argument("--items", metavar="LIST", help="file with further items, one a line; - for standard input")
    parser.add_argument(
        "--executor", metavar="NAME", help=(
            "serial, processes, mpi, dask:ADDRESS, ipyparallel, ipyparallel:PROFILE, or MODULE:FUNCTION, a function that makes an "
            "executor (default: mpi in a job of several ranks, else processes)"))
    parser.add_argument("--processes", metavar="N", type=_count, help="number of worker processes (default: number of cores)")
    parser.add_argument("--journal", metavar="FILE", help="file to note finished items in, and to resume from")
    parser.add_argument("--timeout", metavar="TIME", type=_seconds, help="kill an item after this time: 90, 90s, 10m or 2h")
    parser.add_argument("--retries", metavar="N", type=int, default=1, help="further attempts of an item that failed (default: 1)")
    parser.add_argument("--seed", metavar="N", type=int, help="seed of the random streams, for a function with a parameter rng")
    parser.add_argument("--results", action="store_true", help="print each result on standard output, in the order of the items")
    parser.add_argument("--quiet", action="store_true", help="show no progress and no counts, only failures and errors")
    return parser


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not an integer of at least 1")
    return int(text)


def _seconds(text: str) -> float:
    units = {"s": 1.0, "m": 60.0, "h": 3600.0}
    number, unit = (text[:-1], units[text[-1]]) if text[-1:] in units else (text, 1.0)
    try:
        return float(number) * unit
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time; give 90, 90s, 10m or 2h") from None


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the command and return its exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        The arguments; by default those of the process.

    Returns
    -------
    int
        0 if all items are done, 1 if some failed, 2 for wrong arguments or a journal of another run, 130 after Ctrl-C.
    """
    try:
        options = _parser().parse_intermixed_args(arguments)
        executor = _executor(options.executor)
        function, items = _prepare(options, _mpi.world(Settings(executor, options.processes)))
        report = _api.map(
            function, items, executor=executor, processes=options.processes, journal=options.journal, timeout=options.timeout,
            retries=options.retries, seed=options.seed, progress=not options.quiet,
        )
    except _UsageError as error:
        return _complain(f"{error}; --help shows the usage")
    except (FarmError, ValueError, TypeError, OSError) as error:
        return _complain(str(error))
    except KeyboardInterrupt:
        print("farm: interrupted" + ("; run it again to do the rest" if options.journal else ""), file=sys.stderr)
        return 130
    if _is_first_rank():
        _show(report, options)
    return 0 if report.ok else 1


def _prepare(options: argparse.Namespace, comm: Optional[Any]) -> tuple[Callable[[str], Any], list[str]]:
    """Return the function and the items; the same on all ranks, or the same error."""
    problem: Optional[Exception] = None
    items: list[str] = []
    function: Optional[Callable[[str], Any]] = None
    try:
        function = _function(options.function)
        # Standard input is rank 0's.
        items = _items(options) if comm is None or comm.rank == 0 else []
    except (_UsageError, OSError) as error:
        problem = error
    if comm is not None:
        problem = next(filter(None, comm.allgather(problem)), None)
    if problem is not None:
        raise problem
    assert function is not None
    return function, items if comm is None else comm.bcast(items, root=0)


def _show(report: Report[Any], options: argparse.Namespace) -> None:
    if options.results:
        failed = {failure.index for failure in report.failures}
        for index, result in enumerate(report):
            if index not in failed:
                print(result)
        sys.stdout.flush()
    lines = [f"farm: {failure}" for failure in report.failures]
    if not options.quiet:
        resumed = f", {report.resumed} of them before" if report.resumed else ""
        counts = f"{report.done + report.resumed} of {len(report)} items done{resumed}, {len(report.failures)} failed"
        lines.append(f"farm: {counts}, in {report.seconds:.1f} s")
    if lines:
        print("\n".join(lines), file=sys.stderr)


def _complain(message: str) -> int:
    if _is_first_rank():
        print(f"farm: {message}", file=sys.stderr)
    return 2


def _is_first_rank() -> bool:
    mpi = sys.modules.get("mpi4py.MPI")
    return mpi is None or mpi.Is_finalized() or mpi.COMM_WORLD.rank == 0


def _items(options: argparse.Namespace) -> list[str]:
    items = list(options.files)
    if options.items == "-":
        items += sys.stdin.read().splitlines()
    elif options.items is not None:
        with open(options.items, encoding="utf-8") as lines:
            items += lines.read().splitlines()
    items = [item for item in items if item]
    if not items:
        raise _UsageError("there are no items; give files, or a list of them with --items")
    return items


def _function(text: str) -> Callable[[str], Any]:
    function = _named(text, "SCRIPT:FUNCTION")
    if not callable(function):
        raise _UsageError(f"{text} is a {type(function).__name__}, not a function")
    return function  # type: ignore[no-any-return]


def _named(text: str, form: str) -> Any:
    """Return the object that ``SCRIPT.py:NAME`` or ``MODULE:NAME`` names."""
    place, colon, name = text.rpartition(":")
    if not colon or not place or not name:
        raise _UsageError(f"{item_text(text)} does not have the form {form}")
    if place.endswith(".py"):
        if not os.path.isfile(place):
            raise _UsageError(f"there is no script {place}")
        folder, file = os.path.split(os.path.abspath(place))
        place = file[:-3]
        # Workers import the script under its own name, from the same folder.
        sys.path.insert(0, folder)
    try:
        module = importlib.import_module(place)
    except Exception as error:
        raise _UsageError(f"cannot import {place}: {type(error).__name__}: {error}") from None
    _send_by_value(module)
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            raise _UsageError(f"{getattr(module, '__file__', place)} has no {name}")
        found = getattr(found, part)
    return found


def _send_by_value(module: Any) -> None:
    """Let Dask and ipyparallel send the module's functions themselves: their workers may not find the script."""
    try:
        importlib.import_module("cloudpickle").register_pickle_by_value(module)
    except ImportError:
        pass


def _executor(text: Optional[str]) -> ExecutorChoice:
    if text is None or text in EXECUTORS:
        return text
    kind, _, where = text.partition(":")
    if kind == "dask" and where:
        return _dask(where)
    if kind == "ipyparallel":
        return _ipyparallel(where or None)
    if ":" not in text:
        raise _UsageError(f"--executor {text} is not one of serial, processes, mpi, dask:ADDRESS, ipyparallel, MODULE:FUNCTION")
    made = _named(text, "MODULE:FUNCTION")
    if not callable(made):
        raise _UsageError(f"--executor {text} is a {type(made).__name__}, not a function that makes an executor")
    return made  # type: ignore[no-any-return]


def _dask(address: str) -> Executor:
    try:
        client = importlib.import_module("distributed").Client(address, timeout="20s")
    except ImportError:
        raise _UsageError("--executor dask needs dask.distributed: pip install distributed") from None
    executor: Executor = client.get_executor()
    return executor


def _ipyparallel(profile: Optional[str]) -> Executor:
    try:
        client = importlib.import_module("ipyparallel").Client(profile=profile)
    except ImportError:
        raise _UsageError("--executor ipyparallel needs it: pip install ipyparallel") from None
    view = client.load_balanced_view()
    executor: Executor = view.executor
    return executor
