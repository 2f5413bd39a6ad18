"""Checkpoints of a program's own state."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _dolmen
from ._comm import Comm, as_comm, count
from ._layout import Layout
from ._dtypes import dtype_name
from ._vector import Vector

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

#: Name of the text that holds the Python types of the values.
_TYPES = "dolmen.types"


class CheckpointStore(_dolmen.Owned):
    """A folder of checkpoints, of which the newest valid one is loaded on any number of ranks.

    A checkpoint is written under a temporary name, read back, brought to disk and renamed: a crash at any moment leaves the last good
    one. Only one program at a time has the folder.

    Parameters
    ----------
    folder : path
        Made if it does not exist.
    comm : Comm, optional
        The ranks that share the state; all by default.
    keep : int
        Number of checkpoints that are kept.

    Notes
    -----
    Collective, as are all methods. ``solve(..., checkpoint=FOLDER)`` writes checkpoints of its own, to another folder.

    Examples
    --------
    >>> import dolmen as dm
    >>> with dm.CheckpointStore("state") as store:
    ...     path = store.save({"step": 3, "time": 0.3, "u": dm.ones(10)}, config="dt=0.1")
    ...     restored = store.load(config="dt=0.1")
    >>> restored["step"], restored["time"], restored.vector("u", dm.Layout(10)).sum()
    (3, 0.3, 10.0)
    """

    _native: _dolmen.CheckpointStore

    def __init__(self, folder: str | os.PathLike[str], comm: Any = None, keep: int = 2) -> None:
        self.comm: Comm = as_comm(comm)
        self.folder = os.fspath(folder)
        if count(keep, "keep") == 0:
            raise ValueError("keep=0: give 1 or more, the number of checkpoints to keep")
        self._native = _dolmen.CheckpointStore(self.comm._native, self.folder, keep)

    def save(self, state: Mapping[str, Any], config: str = "") -> str:
        """Write a checkpoint; when this returns it is on disk.

        Parameters
        ----------
        state : mapping
            Values may be vectors, and anything of these that is equal on all ranks: str, int, float, complex, bool, None, and
            arrays or lists of numbers. Lists come back as arrays, numbers of NumPy as Python's, all others as they were.
        config : str
            A text that has to be the same when the state is loaded.

        Returns
        -------
        str
            The file.
        """
        parts = _Parts()
        with self.comm.agreeing():
            for name, value in state.items():
                parts.add(name, value)
            parts.texts.append((_TYPES, json.dumps(parts.types)))
        shared = [*parts.texts, *parts.integers, *parts.reals, *((name, vector.dtype) for name, vector in parts.vectors)]
        same = "\n".join([config, *(f"{name}: {value!r}" for name, value in shared)])
        self.comm.require_same(same.encode(), f"the state for {self.folder}, apart from entries of vectors,")
        _, path = self._native.save(config, parts.texts, parts.integers, parts.reals, parts.vectors)
        return os.fspath(path)

    def load(self, config: str | None = None) -> Restored | None:
        """Load the newest valid checkpoint; None if there is none.

        Parameters
        ----------
        config : str, optional
            Raise a `FileError` that names the first line that differs, unless the checkpoint was written with this text.
        """
        native = self._native.load()
        if native is None:
            return None
        if config is not None:
            native.require_config(config)
        return Restored(native, self.comm)

    def is_empty(self) -> bool:
        """Return True if the folder holds no checkpoint, valid or not."""
        return self._native.is_empty()

    def close(self) -> None:
        """Release the folder for other programs. Not collective."""
        self._native.close()

    def __enter__(self) -> CheckpointStore:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"CheckpointStore({self.folder!r})"


class _Parts:
    """The values of a state by their kind of storage, and the Python types that the store does not keep."""

    def __init__(self) -> None:
        self.texts: list[tuple[str, str]] = []
        self.integers: list[tuple[str, int]] = []
        self.reals: list[tuple[str, list[float]]] = []
        self.vectors: list[tuple[str, _dolmen.Vector]] = []
        self.types: dict[str, Any] = {}

    def add(self, name: str, value: Any) -> None:
        """Add a value under its name."""
        if not isinstance(name, str) or name == _TYPES:
            raise TypeError(f"the name of a value is {name!r}; give a string other than {_TYPES!r}")
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, Vector):
            self.vectors.append((name, value._native))
        elif value is None:
            self.types[name] = "None"
        elif isinstance(value, str):
            self.texts.append((name, value))
        elif isinstance(value, (bool, int)):
            self._add_integer(name, value)
        elif isinstance(value, float):
            self.reals.append((name, [value]))
            self.types[name] = "float"
        elif isinstance(value, complex):
            self.reals.append((name, [value.real, value.imag]))
            self.types[name] = "complex"
        else:
            self._add_array(name, value)

    def _add_integer(self, name: str, value: int) -> None:
        if 0 <= value < 1 << 64:
            self.integers.append((name, int(value)))
            if isinstance(value, bool):
                self.types[name] = "bool"
        else:
            self.texts.append((name, str(value)))
            self.types[name] = "int"

    def _add_array(self, name: str, value: Any) -> None:
        array = np.asarray(value) if isinstance(value, (np.ndarray, list, tuple)) else np.asarray(None)
        if array.dtype.kind not in "biufc":
            raise TypeError(f"{name}: expected a vector, a string, a number, None, or an array of numbers; got {value!r:.60}")
        wide = array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)
        if not np.array_equal(wide.astype(array.dtype), array, equal_nan=array.dtype.kind in "fc"):
            raise ValueError(f"{name}: {array.dtype} numbers that float64 cannot hold exactly; save each as an int or a str")
        self.reals.append((name, wide.reshape(-1).view(np.float64).tolist()))
        self.types[name] = [array.dtype.str, list(array.shape)]


class Restored(_dolmen.Owned):
    """The content of a checkpoint.

    ``restored[name]`` is a string, a number, None or an array, of the type that was saved; `vector` gives vectors.
    """

    _native: _dolmen.Restored

    def __init__(self, native: _dolmen.Restored, comm: Comm) -> None:
        self._native, self._comm = native, comm
        facts = native.facts()
        #: The file, its number, the time at which it was written (s since 1970), and the number of ranks that did.
        self.path: str = os.fspath(facts["path"])
        self.generation: int = facts["generation"]
        self.time: float = facts["time"]
        self.ranks: int = facts["ranks"]
        self.config: str = facts["config"]
        #: Later checkpoints that were damaged, with the reason.
        self.skipped: list[tuple[str, str]] = [(os.fspath(path), reason) for path, reason in facts["skipped"]]
        self._types: dict[str, Any] = json.loads(native.text(_TYPES) or "{}")

    def __getitem__(self, name: str) -> Any:
        kind = self._types.get(name)
        if kind == "None":
            return None
        text, integer, reals = self._native.text(name), self._native.integer(name), self._native.reals(name)
        if text is not None:
            return int(text) if kind == "int" else text
        if integer is not None:
            return bool(integer) if kind == "bool" else integer
        if reals is None:
            raise KeyError(f"{self.path} has no value {name!r}; read vectors with restored.vector({name!r}, layout)")
        if kind == "float":
            return reals[0]
        if kind == "complex":
            return complex(*reals)
        return np.array(reals) if kind is None else _array(reals, *kind)

    def vector(self, name: str, layout: Layout | int, dtype: DTypeLike = "f8") -> Vector:
        """Return a vector on a layout, and forget it: each is returned once. Collective."""
        where = layout if isinstance(layout, Layout) else Layout(layout, self._comm)
        native = self._native.take_vector(name, where._native, dtype_name(dtype))
        if native is None:
            raise KeyError(f"{self.path} has no vector {name!r}, or it was taken already")
        return Vector._wrap(native)

    def __repr__(self) -> str:
        return f"Restored({self.path!r}, written by {self.ranks} ranks)"


def _array(reals: list[float], dtype: str, shape: list[int]) -> np.ndarray[Any, Any]:
    """Return the array of this type and shape whose numbers, or their real and imaginary parts, are these."""
    wide = np.array(reals, np.float64)
    return (wide.view(np.complex128) if np.dtype(dtype).kind == "c" else wide).astype(dtype).reshape(shape)
