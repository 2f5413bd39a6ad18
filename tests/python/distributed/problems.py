"""Matrices and vectors with dense twins."""

import numpy as np

import dolmen as dm

DTYPES = ["f4", "f8", "c8", "c16"]


def laplace(n, layout=None, shift=0.0):
    return dm.CsrMatrix.from_diagonals([-1.0, 2.0 + shift, -1.0], [-1, 0, 1], layout or dm.Layout(n))


def dense_laplace(n, shift=0.0):
    return np.diag(np.full(n, 2.0 + shift)) - np.diag(np.ones(n - 1), 1) - np.diag(np.ones(n - 1), -1)


def numbers(n, dtype="f8", seed=1):
    """The same on all ranks."""
    draw = np.random.default_rng(seed)
    values = draw.standard_normal(n)
    if np.dtype(dtype).kind == "c":
        values = values + 1j * draw.standard_normal(n)
    return values.astype(dtype)


def spread(values, layout=None):
    """A vector of values that all ranks have."""
    values = np.asarray(values)
    layout = layout or dm.Layout(len(values))
    vector = dm.Vector(layout, values.dtype)
    vector.local[:] = values[layout.rows()]
    return vector


def sparse(rows, columns, dtype="f8", seed=3, density=0.2):
    """A dense array with zeros, the same on all ranks."""
    draw = np.random.default_rng(seed)
    dense = draw.standard_normal((rows, columns)) * (draw.random((rows, columns)) < density)
    if np.dtype(dtype).kind == "c":
        dense = dense + 1j * draw.standard_normal((rows, columns)) * (dense != 0)
    return dense.astype(dtype)


def matrix_of(dense, layout=None, domain=None):
    """A matrix of a dense array that all ranks have; rank 0 gives all entries."""
    rows, columns = np.nonzero(dense)
    mine = slice(None) if dm.world.rank == 0 else slice(0, 0)
    layout = layout or dm.Layout(dense.shape[0])
    if domain is None:
        domain = layout if dense.shape[0] == dense.shape[1] else dm.Layout(dense.shape[1])
    return dm.CsrMatrix.from_coo(rows[mine], columns[mine], dense[rows, columns][mine], layout, domain)


def layouts(n):
    """An even layout, and one in which the first rank owns nothing."""
    size, rank = dm.world.size, dm.world.rank
    yield dm.Layout(n)
    if size > 1:
        share = n // (size - 1)
        counts = [0] + [share] * (size - 1)
        counts[-1] += n - sum(counts)
        yield dm.Layout.from_local(counts[rank])
