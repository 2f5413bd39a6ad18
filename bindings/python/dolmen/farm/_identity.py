"""Names of functions and keys of items that are the same in every run."""

from __future__ import annotations

import functools
import hashlib
import os
import types
from collections.abc import Callable
from typing import Any, Optional

_DEEPEST = 200
_PLAIN = (type(None), bool, int, float, complex, str, bytes)
_NAMED = (types.FunctionType, types.BuiltinFunctionType, type)


class Keys:
    """Keys of items: the digest of the item, and a count that tells equal items apart."""

    def __init__(self, key: Optional[Callable[[Any], Any]]) -> None:
        self._key = key
        self._seen: dict[bytes, int] = {}

    def of(self, index: int, item: Any) -> bytes:
        """Return the key of an item, 16 bytes."""
        try:
            first = digest(item if self._key is None else self._key(item))
        except (TypeError, RecursionError) as error:
            text = f"item {index} ({item_text(item)}) has no reproducible key: {error}; give key=, a function from an item to a text"
            raise TypeError(text) from None
        count = self._seen.get(first, 0)
        self._seen[first] = count + 1
        return first if count == 0 else digest((first, count))


def digest(value: Any) -> bytes:
    """Return 16 bytes that depend on the value alone, not on the process or on the identity of objects."""
    state = hashlib.blake2b(digest_size=16)
    _feed(state, value, 0)
    return state.digest()


def _feed(state: Any, value: Any, depth: int) -> None:
    if depth > _DEEPEST:
        raise TypeError("it is nested too deeply")
    kind = type(value)
    if kind in _PLAIN:
        _tag(state, kind.__name__, value if kind is bytes else repr(value).encode())
    elif isinstance(value, os.PathLike):
        _feed(state, os.fspath(value), depth)
    elif kind in (tuple, list):
        _tag(state, kind.__name__, str(len(value)).encode())
        for member in value:
            _feed(state, member, depth + 1)
    elif kind is dict:
        _feed(state, ["dict", *sorted((digest(name), digest(member)) for name, member in value.items())], depth + 1)
    elif kind in (set, frozenset):
        _feed(state, ["set", *sorted(digest(member) for member in value)], depth + 1)
    elif kind is types.ModuleType:
        _tag(state, "module", value.__name__.encode())
    elif kind is functools.partial or isinstance(value, (*_NAMED, types.MethodType)):
        _tag(state, "function", function_name(value).encode())
    elif kind.__module__ == "numpy" and hasattr(value, "tobytes") and not value.dtype.hasobject:
        _feed(state, ["array", str(value.dtype.descr), value.shape, value.tobytes()], depth + 1)
    else:
        _feed(state, _reduced(value), depth + 1)


def _tag(state: Any, name: str, data: bytes) -> None:
    state.update(f"{name}:{len(data)}:".encode())
    state.update(data)


def _reduced(value: Any) -> list[Any]:
    """Return the parts of which pickle would make the object again."""
    parts = value.__reduce_ex__(4)
    if isinstance(parts, str):
        return ["global", type(value).__module__, parts]
    padded = [*parts, None, None, None][:5]
    maker, arguments, attributes, members, pairs = padded
    return ["object", maker, arguments, attributes, list(members or ()), dict(pairs or ())]


def function_name(function: Any) -> str:
    """Return a name by which a journal tells functions apart.

    The name does not depend on the code: a function that is mended keeps its journal. It is the same whether its file is
    a script or a module. What a partial, a method or an inner function carries is part of the name, as a digest.
    """
    if isinstance(function, functools.partial):
        return f"{function_name(function.func)}({_carried((function.args, function.keywords))})"
    if isinstance(function, types.MethodType):
        return f"{function_name(function.__func__)}({_carried(function.__self__)})"
    if isinstance(function, type):
        return f"{function.__module__}:{function.__qualname__}"
    if isinstance(function, types.BuiltinFunctionType):
        owner = function.__self__
        module = isinstance(owner, types.ModuleType) or owner is None
        return f"{function.__module__}:{function.__qualname__}" + ("" if module else f"({_carried(owner)})")
    if isinstance(function, types.FunctionType):
        return _plain_function_name(function)
    return f"{type(function).__module__}:{type(function).__qualname__}({_carried(function)})"


def _plain_function_name(function: types.FunctionType) -> str:
    code = function.__code__
    inside = code.co_filename.startswith("<") or "ipykernel" in code.co_filename
    module = "__main__" if inside else os.path.splitext(os.path.basename(code.co_filename))[0]
    name = f"{module}:{function.__qualname__}"
    carried: list[Any] = [cell.cell_contents for cell in function.__closure__ or ()]
    if code.co_name == "<lambda>":
        constants = [constant for constant in code.co_consts if not isinstance(constant, types.CodeType)]
        carried += [code.co_code, code.co_names, constants]
    return f"{name}({_carried(carried)})" if carried else name


def _carried(value: Any) -> str:
    return digest(value).hex()[:12]


def item_text(item: Any) -> str:
    """Return an item as a text for messages and journals, shortened to one line."""
    if isinstance(item, (str, os.PathLike)):
        text = str(item)
    elif type(item).__module__ == "numpy" and bool(getattr(item, "ndim", None)):
        text = f"array of shape {item.shape}"
    else:
        text = repr(item)
    text = " ".join(text.split()) if "\n" in text else text
    return text if len(text) <= 120 else text[:117] + "..."
