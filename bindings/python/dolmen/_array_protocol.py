"""NumPy's functions on distributed vectors: entry by entry, or collective, or refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ._vector import DTYPES, Vector

#: Reductions by the ufunc whose `reduce` they are.
_REDUCTIONS: dict[Any, Callable[[Vector], Any]] = {
    np.add: Vector.sum,
    np.maximum: Vector.max,
    np.minimum: Vector.min,
}


def apply_ufunc(ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return a ufunc of vectors on one layout, and numbers."""
    if method == "reduce" and ufunc in _REDUCTIONS and len(inputs) == 1 and not set(kwargs) - {"axis"}:
        return _REDUCTIONS[ufunc](inputs[0])
    if method != "__call__":
        raise TypeError(f"numpy.{ufunc.__name__}.{method} of a distributed vector is not defined; use x.local")
    if ufunc is np.matmul and all(isinstance(value, Vector) for value in inputs):
        return inputs[0] @ inputs[1]
    outs = kwargs.pop("out", ())
    layout = _common_layout([value for value in (*inputs, *outs) if isinstance(value, Vector)])
    if "where" in kwargs and isinstance(kwargs["where"], Vector):
        raise TypeError("where= of a distributed vector is not defined; use x.local")
    locals_ = [_local(value) for value in inputs]
    if outs:
        ufunc(*locals_, out=tuple(None if out is None else out.local for out in outs), **kwargs)
        return outs[0] if len(outs) == 1 else outs
    results = ufunc(*locals_, **kwargs)
    if isinstance(results, tuple):
        return tuple(_vector(result, layout, ufunc) for result in results)
    return _vector(results, layout, ufunc)


def _common_layout(vectors: list[Vector]) -> Any:
    layout = vectors[0]._native.layout
    for other in vectors[1:]:
        if other._native.layout != layout:
            # The same error, with its advice, as everywhere.
            vectors[0].copy()._native.copy_from(other.astype(vectors[0].dtype)._native)
    return layout


def _local(value: Any) -> Any:
    if isinstance(value, Vector):
        return value.local
    if isinstance(value, np.ndarray) and value.ndim > 0:
        raise TypeError(
            "a distributed vector is combined with vectors and numbers; for an array of the owned entries write "
            "x.local * array, or make it a vector with dolmen.array(array, x.layout)"
        )
    if not np.isscalar(value) and not isinstance(value, np.ndarray):
        raise TypeError(f"a distributed vector cannot be combined with {type(value).__name__}")
    return value


def _vector(local: Any, layout: Any, ufunc: np.ufunc) -> Vector:
    if local.dtype not in DTYPES.values():
        raise TypeError(
            f"numpy.{ufunc.__name__} gives {local.dtype}, which distributed vectors cannot hold; use x.local"
        )
    from ._layout import Layout

    vector = Vector(Layout._wrap(layout), local.dtype)
    vector.local[:] = local
    return vector


def apply_function(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return a function of NumPy that is not a ufunc."""
    implementation = _FUNCTIONS.get(function)
    if implementation is None:
        name = f"{function.__module__}.{function.__name__}"
        raise TypeError(f"{name} of a distributed vector is not defined; use x.local for the owned entries")
    return implementation(*args, **kwargs)


def _norm(x: Vector, ord: Any = None) -> float:
    return x.norm(2 if ord is None else ord)


def _dot(x: Vector, y: Any) -> Any:
    return x @ y


def _like(value: complex) -> Callable[..., Vector]:
    def make(x: Vector, dtype: Any = None) -> Vector:
        result = Vector(x.layout, x.dtype if dtype is None else dtype)
        result.fill(value)
        return result

    return make


def _full_like(x: Vector, fill_value: complex, dtype: Any = None) -> Vector:
    return _like(fill_value)(x, dtype)


def _close(x: Any, y: Any, rtol: float = 1e-5, atol: float = 1e-8) -> bool:
    vector = x if isinstance(x, Vector) else y
    _common_layout([value for value in (x, y) if isinstance(value, Vector)])
    near = bool(np.allclose(_local(x), _local(y), rtol=rtol, atol=atol))
    return bool(vector.comm.min(int(near)))


def _equal(x: Any, y: Any) -> bool:
    vector = x if isinstance(x, Vector) else y
    _common_layout([value for value in (x, y) if isinstance(value, Vector)])
    return bool(vector.comm.min(int(np.array_equal(_local(x), _local(y)))))


_FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.linalg.norm: _norm,
    np.dot: _dot,
    np.vdot: Vector.dot,
    np.sum: Vector.sum,
    np.mean: Vector.mean,
    np.max: Vector.max,
    np.min: Vector.min,
    np.argmax: Vector.argmax,
    np.argmin: Vector.argmin,
    np.copy: Vector.copy,
    np.real: lambda x: x.real,
    np.imag: lambda x: x.imag,
    np.zeros_like: _like(0.0),
    np.ones_like: _like(1.0),
    np.empty_like: _like(0.0),
    np.full_like: _full_like,
    np.allclose: _close,
    np.array_equal: _equal,
    np.shape: lambda x: x.shape,
    np.size: lambda x: x.size,
    np.ndim: lambda x: x.ndim,
}
