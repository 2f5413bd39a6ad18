"""The types of numbers of vectors and matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

#: The dtypes of vectors and matrices, by their short names.
DTYPES: dict[str, np.dtype[Any]] = {"f4": np.dtype("f4"), "f8": np.dtype("f8"), "c8": np.dtype("c8"), "c16": np.dtype("c16")}
NAMES = {dtype: name for name, dtype in DTYPES.items()}


def dtype_name(dtype: DTypeLike) -> str:
    """Return the short name of a dtype, which has to be one of the four."""
    name = NAMES.get(np.dtype(dtype))
    if name is None:
        raise TypeError(f"dtype {np.dtype(dtype)} is not one of float32, float64, complex64, complex128")
    return name
