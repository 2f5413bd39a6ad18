"""Code that runs in workers: calls of the function, random streams, and the watch over the parent process."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import os
import pickle
import signal
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Optional

from . import _launcher, _programs
from ._report import ExecutorError

_TRACEBACK_LENGTH = 8000


class Call(NamedTuple):
    """One item on its way to a worker: its key, the first stage to run and the value for this stage."""

    key: bytes
    stage: int
    value: Any


class Outcome(NamedTuple):
    """The end of one call: ``kind`` is ``"done"``, ``"raised"``, ``"timeout"`` or ``"died"``."""

    kind: str
    value: Any
    seconds: float


class Trouble(NamedTuple):
    """The value of an outcome that is not done. ``stage`` and ``partial`` tell where a pipeline can resume."""

    message: str
    traceback: str = ""
    exception: Optional[BaseException] = None
    stage: int = 0
    partial: Any = None


@dataclass(frozen=True)
class Task:
    """Function of a run, as it is sent with each chunk.

    ``data`` holds the pickled stages. It is None where workers inherit the driver's memory and find the stages by ``token``.
    ``isolable`` is true if a child process can load the stages.
    """

    token: bytes
    data: Optional[bytes]
    by_value: bool
    isolable: bool
    star: bool
    takes_rng: tuple[bool, ...]
    seed: Optional[int]
    timeout: Optional[float]

    def with_data(self, data: Optional[bytes]) -> Task:
        """Return a copy that carries the pickled stages."""
        return replace(self, data=data)


class Loaded(NamedTuple):
    """The stages of a task in this process, and their pickled form for child processes."""

    stages: tuple[Callable[..., Any], ...]
    data: Optional[bytes]


_loaded: dict[bytes, Loaded] = {}
_KEPT = 8
_state = threading.local()


def keep(token: bytes, loaded: Loaded) -> None:
    """Keep the stages of a task in this process, for this process and for those forked from it."""
    _loaded[token] = loaded


def forget(token: bytes) -> None:
    """Drop the stages of a task."""
    _loaded.pop(token, None)


def load(task: Task) -> Loaded:
    """Return the stages of a task, unpickled once in each process."""
    found = _loaded.get(task.token)
    if found is None:
        if task.data is None:
            raise ExecutorError("the function cannot be pickled; define it at the top level of a module")
        found = Loaded(pickle.loads(task.data), task.data)
        while len(_loaded) >= _KEPT:
            _loaded.pop(next(iter(_loaded)), None)
        _loaded[task.token] = found
    return found


def in_worker() -> bool:
    """Return true inside a call of an item's function."""
    return getattr(_state, "depth", 0) > 0


def run_call(task: Task, stages: Sequence[Callable[..., Any]], call: Call) -> Outcome:
    """Call the stages one after the other, from the call's first stage."""
    value, stage = call.value, call.stage
    depth = getattr(_state, "depth", 0)
    begin = time.perf_counter()
    try:
        _state.depth = depth + 1
        for stage in range(call.stage, len(stages)):
            named = {"rng": _stream(task.seed, call.key, stage)} if task.takes_rng[stage] else {}
            value = stages[stage](*value, **named) if task.star and stage == 0 else stages[stage](value, **named)
    except (Exception, SystemExit) as error:
        seconds = time.perf_counter() - begin
        trouble = Trouble(_one_line(error), _traceback(error), _portable(error), stage, value if stage else None)
        return Outcome("timeout" if isinstance(error, _programs.ProgramTimeout) else "raised", trouble, seconds)
    finally:
        _state.depth = depth
    return Outcome("done", value, time.perf_counter() - begin)


def takes_rng(function: Callable[..., Any]) -> bool:
    """Return true if the function has a parameter ``rng`` other than its first."""
    try:
        names = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return False
    return "rng" in names[1:]


def _stream(seed: Optional[int], key: bytes, stage: int) -> Any:
    import numpy as np

    words = tuple(int.from_bytes(key[start:start + 4], "little") for start in range(0, 16, 4))
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(*words, stage)))


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _traceback(error: BaseException) -> str:
    inner = error.__traceback__.tb_next if error.__traceback__ else None
    return "".join(traceback.format_exception(type(error), error, inner))[-_TRACEBACK_LENGTH:]


def _portable(error: BaseException) -> Optional[BaseException]:
    """Return the exception without its frames if it survives pickling."""
    try:
        copy = pickle.loads(pickle.dumps(error))
    except Exception:
        return None
    return copy if type(copy) is type(error) else None


def dumps(value: Any) -> bytes:
    """Pickle a value, with cloudpickle what pickle cannot."""
    try:
        return pickle.dumps(value, protocol=4)
    except Exception as error:
        try:
            return bytes(importlib.import_module("cloudpickle").dumps(value, protocol=4))
        except Exception:
            raise error from None


def begin_worker(driver: int) -> None:
    """Prepare a process of a pool: the driver alone handles Ctrl-C, and inside an MPI job it may start MPI by itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end)
    for name in os.environ.keys() - _launcher.clean_environment().keys():
        del os.environ[name]
    watch_parent(driver)


def watch_parent(driver: int) -> None:
    """Start a thread that ends this worker within a second after the driver is gone, with the programs that it runs."""
    parent = os.getppid()
    threading.Thread(target=_watch, args=(driver, parent), name="dolmen.farm watch", daemon=True).start()


def _watch(driver: int, parent: int) -> None:
    while os.getppid() == parent and _alive(driver):
        time.sleep(0.5)
    _end()


def _end(*signal_and_frame: object) -> None:
    """End this process with the programs that it runs."""
    _programs.kill_all()
    os._exit(1)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def kill_group(process: int) -> None:
    """Kill a process that leads a group, with its group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process, signal.SIGKILL)
