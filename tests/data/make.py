#!/usr/bin/env python3
"""Writes the small matrices of this folder, one or two in each format, and facts.json, which says what is in them.

    /usr/bin/python3 tests/data/make.py      (needs NumPy, SciPy and h5py)

All numbers are multiples of 1/4, so that the sums of facts.json are exact whatever their order.
"""

import json
from pathlib import Path

import h5py
import numpy as np
import scipy.sparse as sparse

FOLDER = Path(__file__).parent
WIDE, HIGH = 8, 6
ROWS = WIDE * HIGH


def stencil(center, west, east, south, north, dtype=float):
    """Five points on a grid, zero outside."""
    a = sparse.lil_matrix((ROWS, ROWS), dtype=dtype)
    for row in range(ROWS):
        x, y = row % WIDE, row // WIDE
        a[row, row] = center
        for inside, other, value in [
            (x > 0, row - 1, west),
            (x + 1 < WIDE, row + 1, east),
            (y > 0, row - WIDE, south),
            (y + 1 < HIGH, row + WIDE, north),
        ]:
            if inside:
                a[row, other] = value
    return a.tocsr()


def poisson():
    return stencil(4.0, -1.0, -1.0, -1.0, -1.0)


def convection():
    return stencil(4.25, -1.5, -0.5, -1.25, -0.75)


def helmholtz():
    return stencil(3.5 + 0.5j, -1.0, -1.0, -1.0 - 0.25j, -1.0 - 0.25j, complex)


def ring():
    """Each of seven points on a ring with two neighbors: invertible, since 1 + w + w^2 is not zero for w^7 = 1."""
    n = 7
    rows = np.repeat(np.arange(n), 3)
    columns = (rows + np.tile(np.arange(3), n)) % n
    return sparse.csr_matrix((np.ones(3 * n), (rows, columns)), shape=(n, n))


def full():
    """Six rows, all entries stored, the diagonal largest."""
    i, j = np.indices((6, 6))
    return sparse.csr_matrix(((i * 5 + j * 3) % 7) * 0.25 + 6.0 * (i == j) + 0.25)


def stored(values):
    """A dense array with all its entries, zeros too."""
    rows, columns = np.indices(values.shape)
    return sparse.coo_matrix((values.ravel(), (rows.ravel(), columns.ravel())), shape=values.shape)


def right_hand_sides(columns):
    i, j = np.indices((ROWS, columns))
    return ((i * 7 + j * 5) % 13) * 0.25 - 1.0


def matrix_market(name, banner, sizes, lines):
    text = [f"%%MatrixMarket matrix {banner}", "% made by tests/data/make.py", sizes, *lines]
    (FOLDER / name).write_text("\n".join(text) + "\n")


def coordinate(name, a, field, symmetry):
    triplets = sparse.coo_matrix(a if symmetry == "general" else sparse.tril(a))
    number = {
        "real": lambda v: f" {v.real:g}",
        "complex": lambda v: f" {v.real:g} {v.imag:g}",
        "pattern": lambda v: "",
    }[field]
    lines = [f"{i + 1} {j + 1}{number(v)}" for i, j, v in zip(triplets.row, triplets.col, triplets.data)]
    sizes = f"{a.shape[0]} {a.shape[1]} {triplets.nnz}"
    matrix_market(name, f"coordinate {field} {symmetry}", sizes, lines)


def array(name, a):
    matrix_market(name, "array real general", f"{a.shape[0]} {a.shape[1]}", [f"{v:g}" for v in a.T.ravel()])


def lines_of(values, text, count):
    words = [text(value) for value in values]
    return ["".join(words[at : at + count]) for at in range(0, len(words), count)]


def harwell_boeing(name, a, kind, b=None):
    """Columns, of a symmetric matrix those of the lower triangle; Duff, Grimes, Lewis, User's Guide (1992)."""
    columns = sparse.csc_matrix(sparse.tril(a) if kind[1] == "S" else a)
    columns.sort_indices()
    whole, real = (lambda v: f"{v:10d}"), (lambda v: f"{v:16.8E}")
    blocks = [
        lines_of(columns.indptr + 1, whole, 8),
        lines_of(columns.indices + 1, whole, 8),
        lines_of(columns.data, real, 5),
        [] if b is None else lines_of(b.T.ravel(), real, 5),
    ]
    counts = [len(block) for block in blocks]
    head = [
        f"{'made by tests/data/make.py':72}{name:8.8}",
        "".join(f"{count:14d}" for count in [sum(counts), *counts]),
        f"{kind:14}{a.shape[0]:14d}{a.shape[1]:14d}{columns.nnz:14d}{0:14d}",
        f"{'(8I10)':16}{'(8I10)':16}{'(5E16.8)':20}{'(5E16.8)':20}",
    ]
    if b is not None:
        head.append(f"{'F':14}{b.shape[1]:14d}{0:14d}")
    (FOLDER / name).write_text("\n".join([*head, *sum(blocks, [])]) + "\n")


def petsc(name, a, b):
    """As MatView and VecView write it: big-endian, 32-bit integers, double precision."""
    a = sparse.csr_matrix(a)
    with open(FOLDER / name, "wb") as file:
        file.write(np.array([1211216, *a.shape, a.nnz], ">i4").tobytes())
        file.write(np.diff(a.indptr).astype(">i4").tobytes() + a.indices.astype(">i4").tobytes())
        file.write(a.data.astype(">f8").tobytes())
        file.write(np.array([1211214, len(b)], ">i4").tobytes() + b.astype(">f8").tobytes())


def hdf5(name, a, b):
    """As AnnData and SciPy users have it."""
    with h5py.File(FOLDER / name, "w", libver="latest") as file:
        group = file.create_group("A")
        group.attrs["encoding-type"] = "csr_matrix"
        group.attrs["shape"] = np.array(a.shape)
        for member in ["data", "indices", "indptr"]:
            group.create_dataset(member, data=getattr(a, member), track_times=False)
        file.create_dataset("b", data=b, track_times=False)


def parts(value):
    value = complex(value)
    return [value.real, value.imag]


def facts(a):
    """Sums over all entries, also the mirrored ones: of a_ij, of |a_ij|^2, and of (i + 1) (3 j + 2) a_ij."""
    a = sparse.coo_matrix(a)
    weights = (a.row + 1.0) * (3.0 * a.col + 2.0)
    return {
        "rows": a.shape[0],
        "columns": a.shape[1],
        "entries": a.nnz,
        "sum": parts(a.data.sum()),
        "sum_of_squares": float((np.abs(a.data.real) ** 2 + np.abs(a.data.imag) ** 2).sum()),
        "weighted_sum": parts((weights * a.data).sum()),
    }


def main():
    b = right_hand_sides(3)
    coordinate("poisson.mtx", poisson(), "real", "symmetric")
    coordinate("convection.mtx", convection(), "real", "general")
    coordinate("helmholtz.mtx", helmholtz(), "complex", "symmetric")
    coordinate("ring.mtx", ring(), "pattern", "general")
    array("full.mtx", full().toarray())
    array("b.mtx", b[:, :1])
    harwell_boeing("poisson.rsa", poisson(), "RSA")
    harwell_boeing("convection.rua", convection(), "RUA", b[:, :1])
    petsc("convection.petsc", convection(), b[:, 0])
    sparse.save_npz(FOLDER / "convection.npz", convection(), compressed=False)
    sparse.save_npz(FOLDER / "helmholtz.npz", sparse.csc_matrix(helmholtz()), compressed=True)
    np.save(FOLDER / "b.npy", b)
    hdf5("poisson.h5", poisson(), b[:, 0])

    matrices = {
        "poisson": ["poisson.mtx", "poisson.rsa", "poisson.h5::A"],
        "convection": ["convection.mtx", "convection.rua", "convection.petsc", "convection.npz"],
        "helmholtz": ["helmholtz.mtx", "helmholtz.npz"],
        "ring": ["ring.mtx"],
        "full": ["full.mtx"],
    }
    one = b[:, :1]
    vectors = {"b.mtx": one, "b.npy": b, "convection.rua": one, "convection.petsc": one, "poisson.h5::b": one}
    told = {
        "matrices": {file: facts(globals()[name]()) for name, files in matrices.items() for file in files},
        "vectors": {file: facts(stored(columns)) for file, columns in vectors.items()},
    }
    (FOLDER / "facts.json").write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
