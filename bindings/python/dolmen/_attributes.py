"""Attributes of objects in HDF5 files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from . import _dolmen
from ._elements import decoded, encoded


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
        """Return a string or a number of Python, or an array, with the type and the shape that are stored."""
        found = _dolmen.raw_attribute(self._file._native, self._name, name)
        if found is None:
            raise KeyError(f"{self._file.filename}: {self._name} has no attribute {name}")
        text, shape, values = found
        try:
            return decoded(text, None if shape is None else tuple(shape), values)
        except TypeError as error:
            raise TypeError(f"{self._where(name)}: {error}") from None

    def get(self, name: str, default: Any = None) -> Any:
        """Return an attribute, or a default."""
        return self[name] if name in self else default

    def items(self) -> list[tuple[str, Any]]:
        """Return names and values."""
        return [(name, self[name]) for name in self.keys()]

    def __setitem__(self, name: str, value: Any) -> None:
        """Set an attribute of a file that is written: a string, a number, an array of either, or an `Empty`.

        h5py reads the type and the shape that are given. All ranks give the same value.
        """
        comm = self._file.comm
        with comm.agreeing():
            spec, shape, values = encoded(value, self._where(name))
        comm.require_same(f"{self._name} {name} {spec} {shape} {values!r}".encode(), self._where(name))
        _dolmen.write_raw_attribute(self._file._native, self._name, name, spec, None if shape is None else list(shape), values)

    def _where(self, name: str) -> str:
        return f"{self._file.filename}: attribute {name} of {self._name}"

    def update(self, values: Mapping[str, Any]) -> None:
        """Set several attributes."""
        for name, value in values.items():
            self[name] = value

    def __repr__(self) -> str:
        return f"Attributes({self._name!r} of {self._file.filename!r})"
