"""Executables as the function of a run."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import string
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Optional, Union

from . import _launcher

_TAIL = 4000
_running: set[int] = set()


class ProgramError(RuntimeError):
    """A program that could not be started, exited with an error or left no output file."""


class ProgramTimeout(ProgramError):
    """A program that exceeded its time limit and was killed."""


@dataclass(frozen=True)
class Finished:
    """A program that exited with code 0.

    Attributes
    ----------
    command : tuple of str
        The program and its arguments.
    output : str
        The end of what it printed to standard output and standard error, at most 4000 characters; empty if this went to a file.
    seconds : float
        Time that it took.
    """

    command: tuple[str, ...]
    output: str
    seconds: float


@dataclass(frozen=True)
class Program:
    """A function that runs a program for an item. `dolmen.farm.run` makes it."""

    command: tuple[str, ...]
    output: Optional[str]
    log: Optional[str]
    env: Optional[tuple[tuple[str, str], ...]]
    cwd: Optional[str]
    timeout: Optional[float]

    def __call__(self, item: Any) -> Union[Finished, str]:
        fields = fields_of(item)
        command = tuple(fill(word, item, fields) for word in self.command)
        output = fill(self.output, item, fields) if self.output else None
        log = fill(self.log, item, fields) if self.log else None
        for path in filter(None, (output, log)):
            folder = os.path.dirname(self._inside(path))
            if folder:
                os.makedirs(folder, exist_ok=True)
        begin = time.perf_counter()
        text = self._run(command, log)
        if output is None:
            return Finished(command, text, time.perf_counter() - begin)
        if not os.path.exists(self._inside(output)):
            raise ProgramError(f"{command[0]} exited with code 0 but left no file {output}")
        return output

    def _inside(self, path: str) -> str:
        return os.path.join(self.cwd or "", path)

    def _run(self, command: tuple[str, ...], log: Optional[str]) -> str:
        """Run the program and return the end of what it printed."""
        environment = {**_launcher.clean_environment(), **dict(self.env or ())}
        # A file, not a pipe: memory is bounded, and a process that the program leaves behind is not waited for.
        with open(self._inside(log), "w+b") if log else tempfile.TemporaryFile() as sink:
            try:
                process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT, env=environment, cwd=self.cwd,
                    start_new_session=True,
                )
            except OSError as error:
                raise ProgramError(f"cannot start {command[0]}: {error.strerror}") from None
            code = self._wait(process, command[0])
            sink.seek(max(0, os.fstat(sink.fileno()).st_size - _TAIL))
            text = sink.read().decode(errors="replace")
        if code != 0:
            raise ProgramError(_failure(command[0], code, text, log))
        return "" if log else text

    def _wait(self, process: subprocess.Popen[bytes], program: str) -> int:
        _running.add(process.pid)
        try:
            return process.wait(timeout=self.timeout)
        except subprocess.TimeoutExpired:
            raise ProgramTimeout(f"{program} exceeded its time limit of {self.timeout:g} s") from None
        finally:
            if process.poll() is None:
                _kill(process.pid)
                process.wait()
            _running.discard(process.pid)


def _kill(process: int) -> None:
    """Kill a program with the processes of its group, which it may have started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process, signal.SIGKILL)


def _failure(program: str, code: int, text: str, log: Optional[str]) -> str:
    if code < 0:
        try:
            ending = f"was killed by {signal.Signals(-code).name}"
        except ValueError:
            ending = f"was killed by signal {-code}"
    else:
        ending = f"exited with code {code}"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    last = f": {lines[-1]}" if lines else ""
    return f"{program} {ending}{last}" + (f" (its output is in {log})" if log else "")


def kill_all() -> None:
    """Kill the programs that this process runs."""
    for process in list(_running):
        _kill(process)


def fields_of(item: Any) -> dict[str, Any]:
    """Return the fields that a template can name: of a mapping its own, else the parts of the item as a path."""
    if isinstance(item, Mapping):
        return dict(item)
    path = PurePath(str(item))
    return {"path": str(item), "name": path.name, "stem": path.stem, "suffix": path.suffix, "parent": str(path.parent)}


def fill(template: str, item: Any, fields: Mapping[str, Any]) -> str:
    """Fill a template: ``{}`` is the item, ``{stem}`` and so on its parts."""
    return _Formatter().vformat(template, (str(item),), fields)


class _Formatter(string.Formatter):
    def get_value(self, key: Union[int, str], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        if isinstance(key, int):
            return args[0]
        if key not in kwargs:
            known = ", ".join("{" + field + "}" for field in kwargs)
            raise ProgramError(f"the template has {{{key}}}, but an item has only {{}}, {known}")
        return kwargs[key]


def split(command: Union[str, Sequence[str]]) -> tuple[str, ...]:
    """Split a command into words as a shell does, without running a shell."""
    words = tuple(shlex.split(command)) if isinstance(command, str) else tuple(map(os.fspath, command))
    if not words:
        raise ValueError("the command is empty; give a program and its arguments")
    return words
