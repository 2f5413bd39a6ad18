"""A child process of a worker, in which items run that may have to be killed.

The child is a fresh interpreter, not a fork: it can be started from a thread, from a daemon and from a rank of MPI. A worker
keeps its child from item to item. A child that waits for ten seconds in vain ends by itself.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from multiprocessing import connection, process, spawn
from multiprocessing.connection import Connection
from typing import Any, Optional

from . import _launcher, _worker
from ._report import ExecutorError
from ._worker import Call, Outcome, Task, Trouble

_IDLE_SECONDS = 10.0
_IDLE_EXIT = 77
# Time that an interpreter has to start and import the function, which is not part of the item's limit.
_START_SECONDS = 120.0
_BOOT = (
    "import sys, pickle; from multiprocessing.connection import Connection; c = Connection(int(sys.argv[1])); "
    "sys.path[:] = pickle.loads(c.recv_bytes()); from dolmen.farm import _child; _child.serve(c)"
)
_mine = threading.local()


class Child:
    """A running child process that has loaded the function of a task."""

    def __init__(self, task: Task) -> None:
        self.token = task.token
        self._pipe, theirs = connection.Pipe()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _BOOT, str(theirs.fileno())], pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL,
                env=_launcher.clean_environment(), start_new_session=True,
            )
        try:
            self._pipe.send_bytes(pickle.dumps(sys.path))
            self._pipe.send_bytes(pickle.dumps(_preparation(task)))
            self._pipe.send_bytes(pickle.dumps(task))
            self._await_ready()
        except (EOFError, OSError):
            self.close()
            raise ExecutorError(f"a child process for an item did not start: it {_ending(self._process)}") from None
        except BaseException:
            self.close()
            raise

    def _await_ready(self) -> None:
        if not self._pipe.poll(_START_SECONDS):
            raise ExecutorError(f"a child process did not import the function within {_START_SECONDS:.0f} s")
        problem = pickle.loads(self._pipe.recv_bytes())
        if problem is not None:
            raise ExecutorError(
                f"a child process cannot import the function, which has to be at the top level of its file: {problem}")

    def run(self, call: bytes, timeout: Optional[float]) -> Optional[Outcome]:
        """Run one pickled call; return None if the child had ended of idleness before."""
        begin = time.perf_counter()
        try:
            self._pipe.send_bytes(call)
            if not self._pipe.poll(timeout):
                self.close()
                message = f"it exceeded its time limit of {timeout:g} s"
                return Outcome("timeout", Trouble(message), time.perf_counter() - begin)
            outcome: Outcome = pickle.loads(self._pipe.recv_bytes())
            return outcome
        except (EOFError, OSError):
            code = self._process.wait()
            self.close()
            if code == _IDLE_EXIT:
                return None
            return Outcome("died", Trouble(f"its process {_ending(self._process)}"), time.perf_counter() - begin)

    def close(self) -> None:
        """Kill the child with all that it started."""
        _worker.kill_group(self._process.pid)
        self._process.wait()
        self._pipe.close()


def call(task: Task, call: Call) -> Outcome:
    """Run one call in the child of this thread, which is started if there is none."""
    try:
        data = _worker.dumps(call)
    except Exception as error:
        return Outcome("raised", Trouble(f"the item cannot be pickled: {error}"), 0.0)
    while True:
        child: Optional[Child] = getattr(_mine, "child", None)
        if child is not None and child.token != task.token:
            close()
            child = None
        if child is None:
            child = _mine.child = Child(task)
        try:
            outcome = child.run(data, task.timeout)
        except BaseException:
            close()
            raise
        if outcome is None or outcome.kind in ("timeout", "died"):
            _mine.child = None
        if outcome is not None:
            return outcome


def close() -> None:
    """End the child of this thread, if there is one."""
    child: Optional[Child] = getattr(_mine, "child", None)
    if child is not None:
        _mine.child = None
        child.close()


def _ending(ended: subprocess.Popen[bytes]) -> str:
    code = ended.wait()
    if code >= 0:
        return f"exited with code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"was killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")


def _preparation(task: Task) -> dict[str, Any]:
    """Return what the child needs to import the function as this process did, in the form of `multiprocessing.spawn`."""
    data: dict[str, Any] = {"sys_argv": sys.argv, "dir": os.getcwd(), "orig_dir": os.getcwd()}
    if task.by_value or task.data is None or b"__main__" not in task.data:
        return data
    main = sys.modules["__main__"]
    name = getattr(getattr(main, "__spec__", None), "name", None)
    path = getattr(main, "__file__", None)
    if name is not None:
        data["init_main_from_name"] = name
    elif path is not None:
        data["init_main_from_path"] = os.path.abspath(path)
    return data


def serve(pipe: Connection) -> None:
    """Run calls until the worker is gone or has been silent for ten seconds; the main function of the child."""
    os.set_inheritable(pipe.fileno(), False)
    _end_with_parent()
    # The worker may go at any moment.
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        task = _receive_task(pipe)
        while task is not None and pipe.poll(_IDLE_SECONDS):
            pipe.send_bytes(_answer(task, pipe.recv_bytes()))
        os._exit(_IDLE_EXIT)


def _receive_task(pipe: Connection) -> Optional[Task]:
    """Receive the task, load its function and tell the worker; None if it cannot be loaded."""
    preparation = pickle.loads(pipe.recv_bytes())
    data = pipe.recv_bytes()
    # As in a child of multiprocessing: a script without a guard is told so instead of starting itself again.
    current: Any = process.current_process()
    current._inheriting = True
    task: Optional[Task] = None
    problem = None
    try:
        spawn.prepare(preparation)
        task = pickle.loads(data)
        _worker.load(task)
    except Exception as error:
        task = None
        problem = " ".join(f"{type(error).__name__}: {error}".split())
    finally:
        del current._inheriting
    pipe.send_bytes(pickle.dumps(problem))
    return task


def _answer(task: Task, received: bytes) -> bytes:
    try:
        call: Call = pickle.loads(received)
    except Exception as error:
        return pickle.dumps(Outcome("raised", Trouble(f"the item cannot be unpickled in a child process: {error}"), 0.0))
    outcome = _worker.run_call(task, _worker.load(task).stages, call)
    try:
        return _worker.dumps(outcome)
    except Exception as error:
        return pickle.dumps(Outcome("raised", Trouble(f"the result cannot be pickled: {error}"), outcome.seconds))


def importing() -> bool:
    """Return true while a child process imports the script that holds the function."""
    return bool(getattr(process.current_process(), "_inheriting", False))


def _end_with_parent() -> None:
    """Let the system kill this process when its worker ends, even inside a loop of compiled code."""
    if sys.platform == "linux":
        import ctypes

        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
    _worker.watch_parent(os.getppid())
