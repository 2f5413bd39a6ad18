"""Checkpoints of a program's own state."""

from __future__ import annotations

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


class CheckpointStore:
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
    ...     path = store.save({"step": 3, "u": dm.ones(10), "history": [1.0, 0.5]}, config="dt=0.1")
    ...     restored = store.load(config="dt=0.1")
    >>> restored["step"], restored.vector("u", dm.Layout(10)).sum()
    (3, 10.0)
    """

    def __init__(self, folder: str | os.PathLike[str], comm: Any = None, keep: int = 2) -> None:
        self.comm: Comm = as_comm(comm)
        self.folder = os.fspath(folder)
        if count(keep, "keep") == 0:
            raise ValueError("keep=0: a store keeps one checkpoint at least")
        self._native = _dolmen.CheckpointStore(self.comm._native, self.folder, keep)

    def save(self, state: Mapping[str, Any], config: str = "") -> str:
        """Write a checkpoint; when this returns it is on disk.

        Parameters
        ----------
        state : mapping
            Values may be vectors, strings, numbers, or one-dimensional real arrays. All values other than vectors must be equal on all
            ranks. Strings and whole numbers from 0 on come back as such, other numbers as arrays.
        config : str
            A text that has to be the same when the state is loaded.

        Returns
        -------
        str
            The file.
        """
        texts, integers, reals, vectors = [], [], [], []
        shared: list[str] = []
        with self.comm.agreeing():
            for name, value in state.items():
                if isinstance(value, Vector):
                    vectors.append((name, value._native))
                elif isinstance(value, str):
                    texts.append((name, value))
                elif isinstance(value, (int, np.integer)) and not isinstance(value, bool) and value >= 0:
                    integers.append((name, int(value)))
                else:
                    array = np.asarray(value)
                    if array.dtype.kind not in "biuf" or array.ndim > 1:
                        raise TypeError(f"{name}: expected a vector, a string, a number or a one-dimensional real array; got {value!r:.60}")
                    reals.append((name, array.astype(np.float64).reshape(-1).tolist()))
        for name, value in [*texts, *integers, *reals, *((name, vector.dtype) for name, vector in vectors)]:
            shared.append(f"{name}: {value!r}")
        self.comm.require_same("\n".join([config, *shared]).encode(), f"the state for {self.folder}, apart from entries of vectors,")
        _, path = self._native.save(config, texts, integers, reals, vectors)
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
        """Give the folder back to others. Not collective."""
        self._native.close()

    def __enter__(self) -> CheckpointStore:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"CheckpointStore({self.folder!r})"


class Restored:
    """The content of a checkpoint.

    ``restored[name]`` is a text, a whole number or an array of real numbers; `vector` gives vectors.
    """

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

    def __getitem__(self, name: str) -> Any:
        value: Any = self._native.text(name)
        if value is None:
            value = self._native.integer(name)
        if value is None:
            value = self._native.reals(name)
            if value is None:
                raise KeyError(f"{self.path} has no text, number or list {name!r}; read vectors with restored.vector({name!r}, layout)")
            return np.array(value)
        return value

    def vector(self, name: str, layout: Layout | int, dtype: DTypeLike = "f8") -> Vector:
        """Take a vector out, on a layout. Collective; each vector is given once."""
        where = layout if isinstance(layout, Layout) else Layout(layout, self._comm)
        native = self._native.take_vector(name, where._native, dtype_name(dtype))
        if native is None:
            raise KeyError(f"{self.path} has no vector {name!r}, or it was taken already")
        return Vector._wrap(native)

    def __repr__(self) -> str:
        return f"Restored({self.path!r}, written by {self.ranks} ranks)"
