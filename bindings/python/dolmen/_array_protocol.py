"""NumPy's functions on distributed vectors: entry by entry, or collective, or refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ._dtypes import DTYPES
from ._layout import Layout

#: `dolmen.Vector`, which imports this module and passes itself.
Vector = Any

#: Methods of vectors by the ufunc whose `reduce` they are.
_REDUCTIONS = {np.add: "sum", np.maximum: "max", np.minimum: "min"}


def apply_ufunc(kind: type[Any], ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return a ufunc of vectors, which are of this kind and on one layout, and numbers."""
    if method == "reduce" and ufunc in _REDUCTIONS and len(inputs) == 1 and not set(kwargs) - {"axis"} and kwargs.get("axis") in (None, 0):
        return getattr(inputs[0], _REDUCTIONS[ufunc])()
    if method != "__call__":
        raise TypeError(f"numpy.{ufunc.__name__}.{method} of a distributed vector is not defined; use x.local or x.gather()")
    if ufunc is np.matmul and all(isinstance(value, kind) for value in inputs):
        return inputs[0] @ inputs[1]
    outs = kwargs.pop("out", ())
    layout = _common_layout([value for value in (*inputs, *outs) if isinstance(value, kind)])
    if kwargs.get("where", True) is not True:
        raise TypeError("where= of a distributed vector is not defined; use x.local or x.gather()")
    for value in outs:
        if value is not None and not isinstance(value, kind):
            raise TypeError("out= must be a distributed vector, as an operand is one; for arrays use x.local")
    locals_ = [_local(kind, value) for value in inputs]
    if outs:
        ufunc(*locals_, out=tuple(None if out is None else out.local for out in outs), **kwargs)
        return outs[0] if len(outs) == 1 else outs
    results = ufunc(*locals_, **kwargs)
    if isinstance(results, tuple):
        return tuple(_vector(kind, result, layout, ufunc) for result in results)
    return _vector(kind, results, layout, ufunc)


def _common_layout(vectors: list[Vector]) -> Layout:
    first = vectors[0]
    for other in vectors[1:]:
        if other._native.layout != first._native.layout:
            # The error, with its advice, that copies between layouts give.
            first.copy().copy_from(other.astype(first.dtype))
    layout: Layout = first.layout
    return layout


def _local(kind: type[Any], value: Any) -> Any:
    if isinstance(value, kind):
        return value.local
    if isinstance(value, np.ndarray) and value.ndim > 0:
        raise TypeError(
            "an operand is an array, but a distributed vector is combined with vectors and numbers only; make the array a "
            "vector with dolmen.array(array, x.layout), or write x.local * array for the owned entries"
        )
    if not np.isscalar(value) and not isinstance(value, np.ndarray):
        raise TypeError(f"a distributed vector cannot be combined with {type(value).__name__}")
    return value


def _vector(kind: type[Any], local: Any, layout: Layout, ufunc: np.ufunc) -> Vector:
    if local.dtype not in DTYPES.values():
        raise TypeError(
            f"numpy.{ufunc.__name__} gives {local.dtype}, which distributed vectors cannot hold; use x.local"
        )
    vector = kind(layout, local.dtype)
    vector.local[:] = local
    return vector


def apply_function(kind: type[Any], function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return a function of NumPy that is not a ufunc."""
    implementation = _FUNCTIONS.get(function)
    if implementation is None:
        name = f"{function.__module__}.{function.__name__}"
        raise TypeError(f"{name} of a distributed vector is not defined; use x.local for the owned entries or x.gather() for all")
    if implementation in (_close, _equal):
        return implementation(kind, *args, **kwargs)
    return implementation(*args, **kwargs)


def _method(name: str) -> Callable[..., Any]:
    return lambda x, *args, **kwargs: getattr(x, name)(*args, **kwargs)


def _attribute(name: str) -> Callable[[Any], Any]:
    return lambda x: getattr(x, name)


def _norm(x: Vector, ord: Any = None) -> float:
    return float(x.norm(2 if ord is None else ord))


def _dot(x: Vector, y: Any) -> Any:
    return x @ y


def _like(value: complex) -> Callable[..., Vector]:
    return lambda x, dtype=None: _full_like(x, value, dtype)


def _full_like(x: Vector, fill_value: complex, dtype: Any = None) -> Vector:
    result = type(x)(x.layout, x.dtype if dtype is None else dtype)
    result.fill(fill_value)
    return result


def _close(kind: type[Any], x: Any, y: Any, rtol: float = 1e-5, atol: float = 1e-8) -> bool:
    return _all_ranks(kind, x, y, lambda a, b: np.allclose(a, b, rtol=rtol, atol=atol))


def _equal(kind: type[Any], x: Any, y: Any) -> bool:
    return _all_ranks(kind, x, y, np.array_equal)


def _all_ranks(kind: type[Any], x: Any, y: Any, agree: Callable[[Any, Any], bool]) -> bool:
    """Return True if owned entries agree on all ranks."""
    vectors = [value for value in (x, y) if isinstance(value, kind)]
    layout = _common_layout(vectors)
    return bool(layout.comm.min(int(agree(_local(kind, x), _local(kind, y)))))


_FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.linalg.norm: _norm,
    np.dot: _dot,
    np.vdot: _method("dot"),
    np.sum: _method("sum"),
    np.mean: _method("mean"),
    np.max: _method("max"),
    np.min: _method("min"),
    np.argmax: _method("argmax"),
    np.argmin: _method("argmin"),
    np.copy: _method("copy"),
    np.real: _attribute("real"),
    np.imag: _attribute("imag"),
    np.zeros_like: _like(0.0),
    np.ones_like: _like(1.0),
    np.empty_like: _like(0.0),
    np.full_like: _full_like,
    np.allclose: _close,
    np.array_equal: _equal,
    np.shape: _attribute("shape"),
    np.size: _attribute("size"),
    np.ndim: _attribute("ndim"),
}
