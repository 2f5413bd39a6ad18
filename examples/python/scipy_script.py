#!/usr/bin/env python3
"""A SciPy script that scales by its import: heat that spreads and is carried by wind, on a square.

    python scipy_script.py                     # dolmen, one process
    mpirun -n 4 python scipy_script.py         # dolmen, four processes: the same digits
    python scipy_script.py --scipy             # SciPy 1.12 or newer

`solve` was written for SciPy and is the same for both. What differs is the import, and the constructors of the matrix and
of the right-hand side, which get the rows of this rank.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import scipy.sparse

SIDE = 60
WIND = (40.0, -20.0)


def rows_of_matrix(first: int, stop: int) -> Any:
    """Return rows first..stop of the upwind discretization of ``-div grad u + wind . grad u``."""
    row = np.arange(first, stop)
    i, j = row // SIDE, row % SIDE
    h = 1.0 / (SIDE + 1)
    rows, columns = [row - first], [row]
    entries = [np.full(len(row), 4.0 / h**2 + (abs(WIND[0]) + abs(WIND[1])) / h)]
    for di, dj in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        inside = (0 <= i + di) & (i + di < SIDE) & (0 <= j + dj) & (j + dj < SIDE)
        upwind = max(0.0, -(di * WIND[0] + dj * WIND[1]))
        rows.append((row - first)[inside])
        columns.append((row + di * SIDE + dj)[inside])
        entries.append(np.full(len(rows[-1]), -1.0 / h**2 - upwind / h))
    places = (np.concatenate(rows), np.concatenate(columns))
    return scipy.sparse.csr_matrix((np.concatenate(entries), places), shape=(len(row), SIDE * SIDE))


def source(first: int, stop: int) -> Any:
    """Return rows first..stop of the right-hand side: a warm spot."""
    i, j = np.divmod(np.arange(first, stop), SIDE)
    return np.where((abs(i - SIDE // 3) < 5) & (abs(j - SIDE // 2) < 5), 1000.0, 0.0)


def solve(linalg: Any, A: Any, b: Any) -> str:
    """Solve the system, check the result and describe it."""
    diagonal = A.diagonal()
    M = linalg.LinearOperator(A.shape, matvec=lambda x: x / diagonal, dtype=b.dtype)
    norms: list[float] = []
    x, info = linalg.gmres(A, b, M=M, rtol=1e-8, restart=40, callback=norms.append, callback_type="pr_norm")
    residual = np.linalg.norm(b - A @ x) / np.linalg.norm(b)
    assert info == 0 and residual <= 1e-8, f"no convergence: info = {info}, relative residual {residual:.1e}"
    # Heat flows out of the spot and nowhere else: the discrete maximum principle.
    assert np.min(x) > -1e-8, "a place is colder than its surroundings"
    return f"{A.shape[0]} unknowns, {len(norms)} iterations, warmest {np.max(x):.6f}, mean {np.mean(x):.6f}"


def with_scipy() -> None:
    """Solve on this process alone."""
    import scipy.sparse.linalg as linalg

    print(solve(linalg, rows_of_matrix(0, SIDE * SIDE), source(0, SIDE * SIDE)))


def with_dolmen() -> None:
    """Solve on all ranks together."""
    import dolmen as dm
    from dolmen import linalg

    layout = dm.Layout(SIDE * SIDE)
    mine = layout.range
    A = dm.CsrMatrix.from_scipy(rows_of_matrix(mine.start, mine.stop), layout)
    text = solve(linalg, A, dm.array(source(mine.start, mine.stop), layout))
    if dm.world.rank == 0:
        print(text)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Solve a convection-diffusion problem with dolmen, or with SciPy.")
    parser.add_argument("--scipy", action="store_true", help="use SciPy, on this process alone")
    if parser.parse_args().scipy:
        with_scipy()
    else:
        with_dolmen()
