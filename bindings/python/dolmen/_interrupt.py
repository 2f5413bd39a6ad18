"""Ctrl-C in a solve that calls Python functions on several ranks.

An exception of Ctrl-C inside a function that communicates would leave the other ranks waiting for its next message. In such a
solve Ctrl-C is noted where it arrives and takes effect at the end of the iteration, where all ranks stop together.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from . import _dolmen

Monitor = Callable[[_dolmen.Progress], Any]


@contextmanager
def delayed(monitor: Monitor | None) -> Iterator[Monitor | None]:
    """Delay Ctrl-C until the monitor is called; yield the monitor to use. A second Ctrl-C takes effect at once."""
    former = signal.getsignal(signal.SIGINT)
    # Only the main thread receives signals; one that is ignored, or handled outside of Python, stays as it is.
    if threading.current_thread() is not threading.main_thread() or not callable(former):
        yield monitor
        return
    handle: Callable[[int, FrameType | None], Any] = former
    noted = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal noted
        if noted:
            handle(number, frame)
        noted = True

    def watch(progress: _dolmen.Progress) -> Any:
        nonlocal noted
        if noted:
            noted = False
            handle(signal.SIGINT, None)
        return None if monitor is None else monitor(progress)

    signal.signal(signal.SIGINT, note)
    try:
        yield watch
    finally:
        signal.signal(signal.SIGINT, former)
    if noted:
        handle(signal.SIGINT, None)
