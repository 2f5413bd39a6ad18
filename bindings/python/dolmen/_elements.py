"""Types of elements in HDF5 files, as NumPy and h5py have them, and values as the native part takes them."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Any, Union

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

#: A type for the native part: a name such as ``"f8"`` or ``"S3"``, or the members of a compound.
Spec = Union[str, list[tuple[str, Any]]]

#: Types of numbers that the native part converts.
NUMBERS = ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8", "c8", "c16")
#: Begins the native part's words for integers with names.
ENUMERATION = "enum "


class Empty:
    """The value of an attribute that has a type and no elements, as `h5py.Empty` is.

    Parameters
    ----------
    dtype : data-type
    """

    shape = None
    size = None

    def __init__(self, dtype: DTypeLike) -> None:
        self.dtype: np.dtype[Any] = np.dtype(dtype)

    def __eq__(self, other: object) -> bool:
        return is_empty(other) and self.dtype == other.dtype  # type: ignore[attr-defined]

    def __hash__(self) -> int:
        return hash(self.dtype)

    def __repr__(self) -> str:
        return f"Empty(dtype={self.dtype.str!r})"


def is_empty(value: object) -> bool:
    """Return True for an `Empty`, of dolmen or h5py."""
    return type(value).__name__ == "Empty" and hasattr(value, "dtype") and getattr(value, "shape", 0) is None


def number(dtype: DTypeLike) -> str | None:
    """Return the short name of a type of numbers that the native part converts; None for other types."""
    kind = np.dtype(dtype)
    name = f"{kind.kind}{kind.itemsize}"
    return name if name in NUMBERS else None


def dtype_of(text: str) -> np.dtype[Any]:
    """Return the dtype of elements that the native part describes; objects for strings of variable length."""
    if text == "str":
        return np.dtype(object)
    try:
        return _dtype(ast.literal_eval(text) if text.startswith("[") else text)
    except (SyntaxError, TypeError, ValueError):
        raise TypeError(f"elements of type {text} are not read") from None


def _dtype(description: Any) -> np.dtype[Any]:
    if isinstance(description, str):
        array = re.fullmatch(r"\(([0-9,]+)\)(.*)", description)
        if array is not None:
            return np.dtype((_dtype(array[2]), ast.literal_eval(f"({array[1]})")))
        return np.dtype(description.removeprefix(ENUMERATION))
    members = [(name, _dtype(member)) for name, member in description]
    if [name for name, _ in members] in (["r", "i"], ["real", "imag"]):
        parts = {part for _, part in members}
        if len(parts) == 1 and (part := parts.pop()).kind == "f" and part.itemsize in (4, 8):
            return np.dtype(f"{part.str[0]}c{2 * part.itemsize}")
    return np.dtype(members)


def spec_of(dtype: np.dtype[Any], where: str) -> Spec:
    """Return a dtype for the native part; one that is not stored is a `TypeError`."""
    if dtype.names is not None:
        return [(name, spec_of(dtype[name], f"{where}, column {name}")) for name in dtype.names]
    if dtype.subdtype is not None:
        inner = spec_of(dtype.subdtype[0], where)
        if len(dtype.shape) == 1 and isinstance(inner, str):
            return f"({dtype.shape[0]},){inner}"
    elif dtype.kind == "b":
        return "bool"
    elif dtype.kind == "c" and dtype.itemsize in (8, 16):
        part = f"f{dtype.itemsize // 2}"
        return [("r", part), ("i", part)]
    elif dtype.kind == "S":
        return f"S{max(1, dtype.itemsize)}"
    elif (name := number(dtype)) is not None:
        return name
    raise TypeError(f"{where}: the type {dtype} is not stored; use booleans, integers, floats of 4 or 8 bytes, complex numbers, or strings such as S16")


def packed(array: NDArray[Any]) -> bytes:
    """Return elements without gaps, in this machine's byte order."""
    return np.ascontiguousarray(array, _packed(array.dtype)).tobytes()


def _packed(dtype: np.dtype[Any]) -> np.dtype[Any]:
    if dtype.names is None:
        return np.dtype("S1") if dtype == np.dtype("S0") else dtype.newbyteorder("=")
    return np.dtype([(name, _packed(dtype[name])) for name in dtype.names])


def unpacked(data: bytes, text: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return the array of elements from the native part, in this machine's byte order."""
    dtype = dtype_of(text)
    return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="))


def texts(array: NDArray[Any], where: str) -> list[str] | None:
    """Return the strings of an array of them; None for an array of something else."""
    if array.dtype.kind == "U":
        found: list[Any] = array.reshape(-1).tolist()
    elif array.dtype.kind == "O" and array.size and all(isinstance(value, str) for value in array.flat):
        found = list(array.flat)
    else:
        return None
    for text in found:
        if "\0" in text:
            raise ValueError(f"{where}: the string {text!r:.60} has a zero character, which files cannot hold")
        if not _is_utf8(text):
            raise ValueError(f"{where}: the string {text!r:.60} has half of a surrogate pair, which UTF-8 does not have")
    return found


def _is_utf8(text: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def array_of(value: Any, where: str) -> NDArray[Any]:
    """Return the array of a value; lists of different lengths are a `ValueError`."""
    try:
        return np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def fixed(array: NDArray[Any], where: str) -> NDArray[Any] | None:
    """Return an array of strings in UTF-8 with a fixed number of bytes; None for an array of something else."""
    found = texts(array, where)
    return None if found is None else np.array([text.encode() for text in found], dtype="S").reshape(array.shape)


def encoded(value: Any, where: str) -> tuple[Spec, tuple[int, ...] | None, bytes | list[str]]:
    """Return type, shape and elements of the value of an attribute, for the native part."""
    if is_empty(value):
        dtype = np.dtype(value.dtype)
        return ("str" if dtype.kind in "OU" else spec_of(dtype, where)), None, b""
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**64:
        raise ValueError(f"{where}: the integer {value} has more than 64 bits; store it as a string")
    if not isinstance(value, (str, bytes, bool, int, float, complex, np.generic, np.ndarray, list, tuple)):
        raise TypeError(f"{where}: a {type(value).__name__} is not stored; give a string, a number or an array")
    array = array_of(value, where)
    found = texts(array, where)
    if found is not None:
        return "str", array.shape, found
    return spec_of(array.dtype, where), array.shape, packed(array)


def decoded(text: str, shape: tuple[int, ...] | None, values: bytes | list[str]) -> Any:
    """Return the value of an attribute: a number or a string of Python, an array, or an `Empty`."""
    if shape is None:
        return Empty(dtype_of(text))
    if isinstance(values, list):
        return values[0] if shape == () else np.array(values, dtype=object).reshape(shape)
    if text == "str":
        return np.zeros(shape, dtype=object)
    array = unpacked(values, text, shape)
    return array.item() if shape == () and array.dtype.kind in "biufc" else array[()]
