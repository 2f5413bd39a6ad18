"""Exceptions.

All ranks raise the same exception, but for `ThreadError` and `EndedError`, which are of one rank. Each class derives from the one that a Python program would catch, and every one from
`Error`. ``rank`` is the lowest rank on which the failure arose, or None if it did on all; ``kind`` is the name of the
error in the Rust documentation.
"""

from __future__ import annotations

import pickle
from typing import Any


class Error(Exception):
    """An error of the toolkit, the same on all ranks.

    Attributes
    ----------
    rank : int or None
        The lowest rank that failed; None if all did.
    kind : str
        The name of the error in the Rust documentation, such as ``"IndexOutOfRange"``.
    """

    rank: int | None = None
    kind: str = ""

    def __reduce__(self) -> Any:
        return (_restored, (type(self), self.args, {"rank": self.rank, "kind": self.kind}))


class LayoutError(Error, ValueError):
    """Operands that do not fit: other layouts, lengths, shapes or communicators."""


class GlobalIndexError(Error, IndexError):
    """A global row, column or rank that does not exist, or is not stored."""


class SettingError(Error, ValueError):
    """A setting, a name or a combination of methods that is not possible."""


class SingularError(Error, ArithmeticError):
    """A matrix that cannot be factored or inverted, or that is not what a method needs."""


class NotConvergedError(Error, ArithmeticError):
    """A solve that did not converge, where that was required."""


class RangeError(Error, OverflowError):
    """A result that the numbers of the vectors cannot hold."""


class RanksDisagreeError(Error, RuntimeError):
    """Ranks that make different calls, or the same with different sizes or settings."""


class TooLargeError(Error, MemoryError):
    """A size that one rank cannot count or hold."""


class ThreadError(Error, RuntimeError):
    """A call on another thread than the one that started MPI, which alone uses objects of the toolkit."""


class EndedError(Error, RuntimeError):
    """A call after MPI was finalized."""


class FileError(Error, OSError):
    """A file that cannot be read or written, or is not what it should be.

    Attributes
    ----------
    filename : str or None
        The file.
    """

    def __str__(self) -> str:
        return str(self.args[0])


_CLASSES = {
    cls.__name__: cls
    for cls in (
        EndedError,
        Error,
        FileError,
        GlobalIndexError,
        LayoutError,
        NotConvergedError,
        RangeError,
        RanksDisagreeError,
        SettingError,
        SingularError,
        ThreadError,
        TooLargeError,
    )
}


def _restored(cls: type[Error], args: tuple[Any, ...], fields: dict[str, Any]) -> Error:
    error = cls(*args)
    error.__dict__.update(fields)
    return error


#: Options of the commands, which the library's advice names, as arguments of functions.
_ARGUMENTS = {"add --resume": "give resume=True", "without --resume": "without resume=True", "another --checkpoint folder": "another checkpoint folder"}


def make(name: str, text: str, kind: str, rank: int | None, path: str | None) -> Error:
    """Return the exception of an error of the Rust library."""
    for option, argument in _ARGUMENTS.items():
        text = text.replace(option, argument)
    error = _CLASSES[name](text)
    error.rank = rank
    error.kind = kind
    error._dolmen_shared = True  # type: ignore[attr-defined]
    if isinstance(error, FileError):
        error.filename = path
    return error


def pack(error: BaseException, rank: int) -> bytes:
    """Return an exception of a Python function as bytes for the other ranks."""
    error._dolmen_shared = True  # type: ignore[attr-defined]
    if not hasattr(error, "rank"):
        error.rank = rank  # type: ignore[attr-defined]
    try:
        packed = pickle.dumps((error, rank))
        pickle.loads(packed)
    except Exception:
        packed = pickle.dumps((RuntimeError(f"{type(error).__name__}: {error}"), rank))
    return packed


def unpack(packed: bytes) -> BaseException:
    """Return the exception of another rank."""
    error, rank = pickle.loads(packed)
    error._dolmen_shared = True
    if not hasattr(error, "rank"):
        error.rank = rank
    if hasattr(error, "add_note"):
        error.add_note(f"raised on rank {rank}")
    return error  # type: ignore[no-any-return]
