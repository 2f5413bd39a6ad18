"""Progress of a run on standard error: a bar on a terminal, a line a minute elsewhere."""

from __future__ import annotations

import importlib
import sys
import time
from typing import Any, Optional

_LINE_SECONDS = 60.0


class Progress:
    """Progress that is not shown; the base of the other classes."""

    def update(self, done: int, failed: int) -> None:
        """Show the number of items that are finished and of those that failed."""

    def tell(self, message: str) -> None:
        """Show a message."""

    def close(self) -> None:
        """Show the last state."""


class Lines(Progress):
    """Progress as a line a minute; a shorter run has none."""

    def __init__(self, total: Optional[int]) -> None:
        self._total = total
        self._begin = self._last = time.monotonic()
        self._begin_done: Optional[int] = None
        self._state = (0, 0)
        self._written = self._state

    def update(self, done: int, failed: int) -> None:
        """Write a line if the last one is a minute old."""
        self._state = (done, failed)
        if self._begin_done is None:
            self._begin_done = done
        if time.monotonic() - self._last >= _LINE_SECONDS:
            self._write()

    def tell(self, message: str) -> None:
        """Write a message."""
        print(f"farm: {message}", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Write the last state if the run had a line before."""
        if self._last != self._begin and self._written != self._state:
            self._write()

    def _write(self) -> None:
        self._last = time.monotonic()
        self._written = self._state
        done, failed = self._state
        passed = self._last - self._begin
        text = f"{done} done" if self._total is None else f"{done} of {self._total} done"
        text += f", {failed} failed" if failed else ""
        text += f" after {clock(passed)}"
        fresh = done - (self._begin_done or 0)
        if self._total is not None and 0 < fresh and done < self._total:
            text += f", about {clock(passed / fresh * (self._total - done))} left"
        self.tell(text)


class Bar(Progress):
    """Progress as a bar of tqdm."""

    def __init__(self, tqdm: Any, total: Optional[int]) -> None:
        # Without the thread of tqdm: a pool that is made anew forks this process.
        quiet = type("Bar", (tqdm,), {"monitor_interval": 0})
        self._bar = quiet(total=total, unit="item", file=sys.stderr, dynamic_ncols=True)
        self._failed = 0

    def update(self, done: int, failed: int) -> None:
        """Move the bar, or at least its clock."""
        if failed != self._failed:
            self._failed = failed
            self._bar.set_postfix_str(f"{failed} failed", refresh=False)
        if done == self._bar.n:
            self._bar.refresh()
        self._bar.update(done - self._bar.n)

    def tell(self, message: str) -> None:
        """Write a message above the bar."""
        self._bar.write(f"farm: {message}", file=sys.stderr)

    def close(self) -> None:
        """Leave the bar in its last state."""
        self._bar.close()


def open_progress(wanted: bool, total: Optional[int]) -> Progress:
    """Return the progress for the standard error of this process."""
    if not wanted:
        return Progress()
    if sys.stderr is not None and sys.stderr.isatty():
        try:
            return Bar(importlib.import_module("tqdm").tqdm, total)
        except ImportError:
            return Lines(total)
    return Lines(total)


def clock(seconds: float) -> str:
    """Return a time as a text: ``45 s``, ``12 min``, ``3 h 5 min``."""
    whole = round(seconds)
    if whole < 100:
        return f"{whole} s"
    minutes = round(whole / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
