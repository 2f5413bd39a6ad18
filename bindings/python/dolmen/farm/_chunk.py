"""The function that executors call: it runs a chunk of items in a worker."""

from __future__ import annotations

from collections.abc import Sequence

from . import _child, _worker
from ._worker import Call, Outcome, Task


def run(task: Task, isolate: bool, calls: Sequence[Call]) -> list[Outcome]:
    """Run the calls of a chunk one after the other, in a child process if they have a time limit or are to be isolated."""
    loaded = _worker.load(task)
    if task.timeout is not None or isolate:
        return [_child.call(task.with_data(loaded.data), call) for call in calls]
    return [_worker.run_call(task, loaded.stages, call) for call in calls]
