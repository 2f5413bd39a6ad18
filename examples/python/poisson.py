"""Solve -u_xx - u_yy = 1 on a square, with u = 0 at its border: mpirun -n 4 python poisson.py [POINTS]"""

import sys

import numpy as np

import dolmen as dm

n = int(sys.argv[1]) if len(sys.argv) > 1 else 200
layout = dm.Layout(n * n)  # the rows of this rank: layout.range
row = layout.rows()
i, j = row // n, row % n

rows, columns, values = [row], [row], [np.full(len(row), 4.0)]
for inside, neighbor in [(i > 0, row - n), (i < n - 1, row + n), (j > 0, row - 1), (j < n - 1, row + 1)]:
    rows.append(row[inside])
    columns.append(neighbor[inside])
    values.append(np.full(inside.sum(), -1.0))
A = dm.CsrMatrix.from_coo(np.concatenate(rows), np.concatenate(columns), np.concatenate(values), layout)

b = dm.full(layout, 1 / (n + 1) ** 2)
u, report = dm.solve(A, b, method="cg", preconditioner="ic", rtol=1e-10)
report.require_converged()
middle = u.get([n // 2 * n + n // 2])[0]
if dm.world.rank == 0:
    print(report)
    print(f"u in the middle is {middle:.5f}, of the continuous problem 0.07367")
assert abs(middle - 0.07367) < 0.2 / n
