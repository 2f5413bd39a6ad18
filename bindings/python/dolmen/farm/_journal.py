"""The journal of a run: one JSON line for each finished item.

The first line tells the function and the seed. A line is written when its item finishes, in one system call, and reaches the
disk about a second later. A run that was killed leaves at most a torn last line, which is cut off when the journal is opened.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import fcntl
import json
import math
import os
import pickle
import stat
import time
from collections.abc import Iterable
from typing import Any, Optional

from ._report import Failure, JournalError

_MARK = "dolmen.farm"
_VERSION = 1
# A larger result goes to a file beside the journal, so that the journal stays readable.
_LARGE = 1 << 20
# Journals that this process has open: a POSIX lock does not exclude its own process.
_open: set[str] = set()


class Journal:
    """An append-only file of finished items.

    A new journal takes ``drawn`` as its seed if ``seed`` is None; an old one then gives its own.

    Raises
    ------
    JournalError
        The file is no journal, is of another function or seed, is damaged, or is in use.
    """

    def __init__(self, path: str, function: str, seed: Optional[int], drawn: Optional[int] = None) -> None:
        self.path = path
        self.seed = seed
        self._drawn = drawn
        self._done: dict[bytes, tuple[int, int]] = {}
        self._partial: dict[bytes, tuple[int, int]] = {}
        self._identity = os.path.realpath(path)
        self._synced = time.monotonic()
        self._interval = 1.0
        self._dirty = False
        if self._identity in _open:
            raise JournalError(f"{path} is in use by another run of this process; give each run its own journal")
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        except OSError as error:
            raise JournalError(f"cannot open the journal {path}: {error.strerror}") from None
        _open.add(self._identity)
        try:
            if not stat.S_ISREG(os.fstat(self._file).st_mode):
                raise JournalError(f"cannot use {path} as a journal: it is not a regular file")
            self._lock()
            self._load(function)
        except BaseException:
            self._release()
            raise

    def _lock(self) -> None:
        # A POSIX lock, not flock: it is not inherited by workers that outlive a killed run.
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            # A file system without locks is used without.
            if error.errno in (errno.EACCES, errno.EAGAIN):
                raise JournalError(f"{self.path} is in use by another run; wait for its end, or give another journal") from None

    def _load(self, function: str) -> None:
        start, number, bad = 0, 0, None
        # The descriptor stays open: closing a second one would give up the lock.
        with open(self._file, "rb", closefd=False) as lines:
            for line in lines:
                number += 1
                record = _parse(line)
                if number == 1:
                    if not self._check_header(line, record, function):
                        break
                elif record is None:
                    bad = bad or (number, start)
                elif bad:
                    raise JournalError(f"{self.path} line {bad[0]} is damaged; delete this line to use the rest")
                else:
                    self._index(record, start, len(line))
                start = start if bad else start + len(line)
        if os.fstat(self._file).st_size > start:
            os.ftruncate(self._file, start)
        if start == 0:
            self.seed = self._drawn if self.seed is None else self.seed
            self._append({_MARK: _VERSION, "function": function, "seed": self.seed, "created": time.strftime("%Y-%m-%dT%H:%M:%S%z")})

    def _check_header(self, line: bytes, record: Optional[dict[str, Any]], function: str) -> bool:
        """Check the first line; false if it was torn and has to be written again."""
        if record is None and not line.endswith(b"\n") and b'{"dolmen.farm"'.startswith(line[:14]):
            return False
        if record is None or _MARK not in record:
            raise JournalError(f"{self.path} line 1 is not the header of a journal of dolmen.farm; give another file")
        if record[_MARK] != _VERSION:
            raise JournalError(f"{self.path} has version {record[_MARK]} of the format, this is {_VERSION}; give another journal")
        if record.get("function") != function:
            found = record.get("function")
            raise JournalError(f"{self.path} is the journal of {found}, not of {function}; give another journal, or name={found!r}")
        if self.seed is None:
            self.seed = record.get("seed")
        elif record.get("seed") != self.seed:
            raise JournalError(f"{self.path} was written with seed={record.get('seed')}, not {self.seed}; give another journal")
        return True

    def _index(self, record: dict[str, Any], start: int, length: int) -> None:
        key = bytes.fromhex(record["key"])
        if record["status"] == "done":
            self._done[key] = (start, length)
        elif record.get("stage"):
            self._partial[key] = (start, length)

    def check_items(self, keys: Iterable[bytes]) -> None:
        """Refuse a journal that has finished items of which none is among these.

        Raises
        ------
        JournalError
            The journal is of other items.
        """
        if self._done and not any(key in self._done for key in keys):
            start, length = next(iter(self._done.values()))
            first = self._record(start, length).get("item")
            text = f"{self.path} has {len(self._done)} finished items ({first}, ...), none of which is an item of this run"
            raise JournalError(f"{text}; give another journal")

    def has(self, key: bytes) -> bool:
        """Return true if the item is finished."""
        return key in self._done

    def result(self, key: bytes) -> Any:
        """Read the result of a finished item."""
        return self._decode(self._record(*self._done[key]))

    def stage(self, key: bytes) -> Optional[tuple[int, Any]]:
        """Return the stage at which a pipeline failed and the value that stage was given, if the journal has them."""
        place = self._partial.get(key)
        if place is None:
            return None
        record = self._record(*place)
        return record["stage"], self._decode(record)

    def _record(self, start: int, length: int) -> dict[str, Any]:
        record: dict[str, Any] = json.loads(os.pread(self._file, length, start))
        return record

    def done(self, key: bytes, index: int, item: str, seconds: float, attempts: int, value: Any) -> None:
        """Record a finished item. A value that cannot be pickled raises the error of pickle, and nothing is written."""
        record = {"item": item, "key": key.hex(), "index": index, "status": "done", "seconds": round(seconds, 6)}
        self._append({**record, "attempts": attempts, **self._encode(key, value)})

    def failed(self, key: bytes, failure: Failure, stage: int, value: Any) -> None:
        """Record an item that failed, and for a pipeline the value that its failing stage was given."""
        record = {"item": failure.item, "key": key.hex(), "index": failure.index, "status": "failed"}
        record.update(seconds=round(failure.seconds, 6), attempts=failure.attempts, kind=failure.kind, error=failure.message)
        if stage:
            # Without the value the next run begins at the first stage.
            with contextlib.suppress(Exception):
                record.update(stage=stage, **self._encode(key, value))
        self._append(record)

    def _encode(self, key: bytes, value: Any) -> dict[str, Any]:
        if _is_json(value):
            if len(json.dumps(value)) <= _LARGE:
                return {"result": value}
            data = pickle.dumps(value, protocol=4)
        else:
            data = pickle.dumps(value, protocol=4)
            if len(data) <= _LARGE:
                return {"pickle": base64.b64encode(data).decode()}
        folder = self.path + ".results"
        name = key.hex() + ".pickle"
        os.makedirs(folder, exist_ok=True)
        _write_whole(os.path.join(folder, name), data)
        return {"file": name}

    def _decode(self, record: dict[str, Any]) -> Any:
        if "pickle" in record:
            return pickle.loads(base64.b64decode(record["pickle"]))
        if "file" in record:
            path = os.path.join(self.path + ".results", record["file"])
            try:
                with open(path, "rb") as file:
                    return pickle.load(file)
            except OSError as error:
                text = f"{path}, the result of item {record.get('index')} ({record.get('item')}), cannot be read: {error.strerror}"
                raise JournalError(f"{text}; delete this item's line from {self.path} to compute it again") from None
        return record["result"]

    def _append(self, record: dict[str, Any]) -> None:
        line = json.dumps(record).encode() + b"\n"
        try:
            while line:
                line = line[os.write(self._file, line):]
        except OSError as error:
            raise JournalError(f"cannot write the journal {self.path}: {error.strerror}") from None
        self._dirty = True

    def sync(self, now: bool = False) -> None:
        """Bring the lines to the disk, at most once a second and in at most 2 % of the time, or now."""
        begin = time.monotonic()
        if self._dirty and (now or begin - self._synced >= self._interval):
            try:
                os.fsync(self._file)
            except OSError as error:
                raise JournalError(f"cannot write the journal {self.path}: {error.strerror}") from None
            self._synced = time.monotonic()
            self._interval = max(1.0, 50.0 * (self._synced - begin))
            self._dirty = False

    def close(self) -> None:
        """Bring the lines to the disk and close the file."""
        try:
            self.sync(now=True)
        finally:
            self._release()

    def _release(self) -> None:
        os.close(self._file)
        _open.discard(self._identity)


def _parse(line: bytes) -> Optional[dict[str, Any]]:
    """Return the record of a line, or None for a line that is torn or damaged."""
    if not line.endswith(b"\n"):
        return None
    try:
        record = json.loads(line)
    except ValueError:
        return None
    if not isinstance(record, dict) or not (_MARK in record or {"key", "status"} <= record.keys()):
        return None
    return record


def _is_json(value: Any) -> bool:
    """Return true if the value is the same after it was written as JSON and read again."""
    kind = type(value)
    if kind is float:
        return math.isfinite(value)
    if kind is list:
        return all(map(_is_json, value))
    if kind is dict:
        return all(type(name) is str for name in value) and all(map(_is_json, value.values()))
    return kind in (type(None), bool, int, str)


def _write_whole(path: str, data: bytes) -> None:
    """Write a file under another name and rename it, so that it is whole or absent."""
    try:
        with open(path + ".part", "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(path + ".part", path)
    except OSError as error:
        raise JournalError(f"cannot write {path}: {error.strerror}") from None
