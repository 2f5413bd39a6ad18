"""Attributes of objects in HDF5 files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np


class Attributes:
    """Attributes of an object of a file, by their names. Collective."""

    def __init__(self, file: Any, name: str) -> None:
        self._file, self._name = file, name

    def __call__(self, name: str) -> Attributes:
        """Return the attributes of a group or dataset of the file."""
        return Attributes(self._file, name)

    def keys(self) -> list[str]:
        """Return the names, sorted."""
        names: list[str] = self._file._native.attribute_names(self._name)
        return names

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.keys())

    def __contains__(self, name: str) -> bool:
        return name in self.keys()

    def __getitem__(self, name: str) -> Any:
        value = self._file._native.attribute(self._name, name)
        if value is None:
            raise KeyError(f"{self._file.filename}: {self._name} has no attribute {name}")
        return value

    def get(self, name: str, default: Any = None) -> Any:
        """Return an attribute, or a default."""
        value = self._file._native.attribute(self._name, name)
        return default if value is None else value

    def items(self) -> list[tuple[str, Any]]:
        """Return names and values."""
        return [(name, self[name]) for name in self.keys()]

    def __setitem__(self, name: str, value: Any) -> None:
        """Set an attribute of a file that is written: text, a number, or an array of numbers."""
        if isinstance(value, (np.integer, np.floating)):
            value = value.item()
        if isinstance(value, (np.ndarray, list, tuple)):
            array = np.asarray(value)
            value = np.ascontiguousarray(array, dtype=np.int64 if array.dtype.kind in "iub" else np.float64).reshape(-1)
        self._file._native.write_attribute(self._name, name, value)

    def update(self, values: Mapping[str, Any]) -> None:
        """Set several attributes."""
        for name, value in values.items():
            self[name] = value

    def __repr__(self) -> str:
        return f"Attributes({self._name!r} of {self._file.filename!r})"
