"""Newton's method beside PETSc's on the Bratu problem, in one process, where petsc4py is installed."""

import textwrap

import pytest
from launch import mpirun
from test_hangs import PETSC, installed

PROGRAM = """
import numpy as np
import dolmen as dm

side, heat = 24, 5.0
layout = dm.Layout(side * side)
step = 1 / (side + 1)
row = layout.rows()
i, j = row // side, row % side
rows, columns, values = [row], [row], [np.full(len(row), 4.0)]
for inside, offset in ((i > 0, -side), (j > 0, -1), (j + 1 < side, 1), (i + 1 < side, side)):
    rows.append(row[inside])
    columns.append(row[inside] + offset)
    values.append(np.full(inside.sum(), -1.0))
A = dm.CsrMatrix.from_coo(np.concatenate(rows), np.concatenate(columns), np.concatenate(values), layout)

def F(u):
    return (A @ u).local - heat * step**2 * np.exp(u.local)

def jacobian(u):
    J = A.copy()
    J.add_entries(row, row, -heat * step**2 * np.exp(u.local))
    return J

from petsc4py import PETSc

local = A.to_scipy()
matrix = lambda a: PETSc.Mat().createAIJ(((len(row), side * side),) * 2, csr=(a.indptr.astype("i4"), a.indices.astype("i4"), a.data))
P = matrix(local)
x = P.createVecRight()

def vector(v):
    u = dm.Vector(layout)
    u.local[:] = v.getArray(readonly=True)
    return u

snes = PETSc.SNES().create()
snes.setFunction(lambda snes, v, f: f.setArray(F(vector(v))), x.duplicate())
def fill(snes, v, J, M):
    a = jacobian(vector(v)).to_scipy()
    M.setValuesCSR(a.indptr.astype("i4"), a.indices.astype("i4"), a.data)
    M.assemble()
snes.setJacobian(fill, P)
snes.setTolerances(rtol=1e-10, atol=0, stol=0)
snes.getKSP().setTolerances(rtol=1e-12)
snes.getKSP().setType("gmres")
snes.getKSP().getPC().setType("jacobi")
norms = []
snes.setMonitor(lambda snes, iteration, norm: norms.append(norm))
x.set(0)
snes.solve(None, x)
assert snes.getConvergedReason() > 0
u, report = dm.newton(F, dm.zeros(layout), jacobian, forcing=1e-12, linear="gmres, jacobi", rtol=1e-10)
assert report.converged, report
assert report.iterations == snes.getIterationNumber(), (report.iterations, snes.getIterationNumber())
np.testing.assert_allclose(report.history[:-1], norms[:-1], rtol=1e-6)
np.testing.assert_allclose(u.local, x.getArray(readonly=True), rtol=1e-9)
free, report = dm.newton(F, dm.zeros(layout), rtol=1e-10)
assert report.converged, report
np.testing.assert_allclose(free.local, x.getArray(readonly=True), rtol=1e-7)
print("as PETSc's")
"""


@pytest.mark.parametrize("ranks", [1, 2])
def test_the_iterates_of_newton_are_those_of_petsc(ranks):
    if not installed("petsc4py"):
        pytest.skip("petsc4py is not installed")
    process = mpirun(ranks, "-c", textwrap.dedent(PROGRAM), environment=PETSC)
    assert process.returncode == 0 and process.stdout.count("as PETSc's") == ranks, process.stdout
