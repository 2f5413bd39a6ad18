"""Common parts of the commands: arguments, and errors as one line of rank 0 with exit code 2 on all ranks."""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import dolmen as dm


class UsageError(Exception):
    """An argument with which a command cannot run."""


class Parser(argparse.ArgumentParser):
    """A parser whose texts come from one rank."""

    def error(self, message: str) -> NoReturn:
        """Raise a `UsageError`."""
        raise UsageError(f"{message}; --help shows the usage")

    def _print_message(self, message: str, file: Any = None) -> None:
        if dm.world.rank == 0:
            super()._print_message(message, file)


def complete(name: str, run: Callable[[], int]) -> int:
    """Run a command and return its exit code.

    An error that all ranks have, of an argument or of what it names, is printed as one line by rank 0; the code is then 2. Others
    are raised.
    """
    try:
        return run()
    except (UsageError, OSError, MemoryError) as error:
        if dm.world.size > 1 and not (isinstance(error, UsageError) or hasattr(error, "_dolmen_shared")):
            raise
        if dm.world.rank == 0:
            print(f"{name}: {_line(error)}", file=sys.stderr)
        return 2


def _line(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{os.fspath(error.filename)}: {error.strerror}"
    return " ".join(str(error).split()) or "memory is exhausted"


def first(action: Callable[[], Any]) -> Any:
    """Return the result of a function of rank 0 on all ranks; its exception is raised on all. Collective."""
    with dm.world.agreeing():
        result = action() if dm.world.rank == 0 else None
    return dm.world.broadcast(result)


def positive(text: str) -> float:
    """Return a finite number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def count(text: str) -> int:
    """Return a whole number from 1 on."""
    if not (text.isascii() and text.isdigit()) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def require_folder(path: str, what: str) -> None:
    """Refuse a folder in which no file can be made. Call it on one rank."""
    import tempfile

    if not os.path.isdir(path):
        raise UsageError(f"{what} {path}: {'is not a folder' if os.path.exists(path) else 'does not exist'}; give an existing folder")
    try:
        os.rmdir(tempfile.mkdtemp(dir=path))
    except OSError as error:
        raise UsageError(f"{what} {path}: cannot be written to: {error.strerror}; give another folder") from None
