"""An operator and a preconditioner in Python: mpirun -n 3 python own_operator.py

The operator of a heat equation in one dimension, (1 + dt k) u(x) - dt k (u(x-h) + u(x+h)) / 2, is never assembled. Each rank needs one value
of its neighbors on either side: an exchange brings them.
"""

import numpy as np

import dolmen as dm

n, strength = 100_000, 50.0
layout = dm.Layout(n)
own = layout.range
sides = [own.start - 1, own.stop] if len(own) else []
ghosts = dm.Exchange(layout, [row for row in sides if 0 <= row < n])


def heat(u):
    """Returns the owned entries of the product; it is called on all ranks together."""
    around = np.zeros(len(own) + 2)
    around[1:-1] = u.local
    for row, value in zip(ghosts.map.gids, ghosts.import_(u)):
        around[0 if row < own.start else -1] = value
    return (1 + strength) * u.local - strength / 2 * (around[:-2] + around[2:])


class Jacobi:
    """Divides by the diagonal: what has ``matvec`` is an operator, as for SciPy."""

    def matvec(self, r):
        return r / (1 + strength)


A = dm.LinearOperator(layout, heat)
b = dm.random(layout, seed=1)
u, report = dm.solve(A, b, method="cg", preconditioner=Jacobi(), rtol=1e-10)
report.require_converged()

# The same with an assembled matrix, and another method.
M = dm.CsrMatrix.from_diagonals([-strength / 2, 1 + strength, -strength / 2], [-1, 0, 1], layout)
v, _ = dm.solve(M, b, method="minres", preconditioner="ic", rtol=1e-12)
difference = dm.norm(u - v) / dm.norm(v)
if dm.world.rank == 0:
    print(report)
    print(f"differs from the assembled matrix's solution by {difference:.1e}")
assert difference < 1e-8
