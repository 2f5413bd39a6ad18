"""Preconditioners of two fields beside PETSc's on a flow, in one process, where petsc4py is installed."""

import textwrap

import pytest
from launch import mpirun
from test_hangs import PETSC, installed

PROGRAM = """
import numpy as np
import scipy.sparse as sp
import dolmen as dm
from petsc4py import PETSc

# Velocities on the sides of n by n cells, pressures in their middles; a compressible fluid, so that no row of the diagonal is zero.
n = 10
h = 1 / n
along = sp.diags([-1, 2, -1], [-1, 0, 1], shape=(n - 1, n - 1))
across = sp.diags([-1, np.r_[3, np.full(n - 2, 2), 3], -1], [-1, 0, 1], shape=(n, n))
step = sp.diags([-h, h], [0, 1], shape=(n - 1, n))
one, inner = sp.identity(n), sp.identity(n - 1)
u = sp.kron(one, along) + sp.kron(across, inner)
v = sp.kron(along, one) + sp.kron(inner, across)
G = sp.vstack([sp.kron(one, step), sp.kron(step, one)])
whole = sp.bmat([[sp.block_diag([u, v]), G], [G.T, -(h**2) * sp.identity(n * n)]]).tocsr()
size, velocities = whole.shape[0], 2 * n * (n - 1)
layout = dm.Layout(size)
own = layout.rows().astype(int)
local = whole[own].tocsr()
local.sort_indices()
A = dm.CsrMatrix.from_scipy(local, layout)
b = A @ dm.scatter(np.sin(np.arange(size)), layout)
fields = dm.Fields(layout, own >= velocities)
jacobi = [dm.Preconditioner(fields.block(A, field, field), "jacobi") for field in (0, 1)]
complement = dm.Preconditioner(fields.schur_of_diagonal(A), "jacobi")
parts = [fields.on_field(field, jacobi[field]) for field in (0, 1)]

P = PETSc.Mat().createAIJ(((len(own), size),) * 2, csr=(local.indptr.astype("i4"), local.indices.astype("i4"), local.data))
options = PETSc.Options()

def petsc(kind, form=None):
    prefix = f"{kind}_{form}_"
    ksp = PETSc.KSP().create()
    ksp.setOptionsPrefix(prefix)
    for name, value in {
        "ksp_type": "gmres", "ksp_gmres_restart": 400, "ksp_gmres_cgs_refinement_type": "refine_always", "ksp_pc_side": "right", "ksp_rtol": 1e-8, "ksp_max_it": 400,
        "pc_type": "fieldsplit", "pc_fieldsplit_type": kind, "pc_fieldsplit_schur_precondition": "selfp",
        "fieldsplit_u_ksp_type": "preonly", "fieldsplit_u_pc_type": "jacobi",
        "fieldsplit_p_ksp_type": "preonly", "fieldsplit_p_pc_type": "jacobi",
        **({"pc_fieldsplit_schur_fact_type": form} if form else {}),
    }.items():
        options[prefix + name] = value
    ksp.setOperators(P)
    ksp.setFromOptions()
    sets = [PETSc.IS().createGeneral(own[own < velocities].astype("i4")), PETSc.IS().createGeneral(own[own >= velocities].astype("i4"))]
    ksp.getPC().setFieldSplitIS(("u", sets[0]), ("p", sets[1]))
    x, rhs = P.createVecs()
    rhs.setArray(b.local)
    ksp.solve(rhs, x)
    assert ksp.getConvergedReason() > 0, ksp.getConvergedReason()
    return ksp.getIterationNumber()

def ours(M):
    x, report = dm.solve(A, b, method="gmres(restart=400)", preconditioner=M, rtol=1e-8)
    assert report.converged, report
    return report.iterations

counts = {
    ("schur", form): (ours(dm.SchurPreconditioner(A, fields, jacobi[0], complement, form=form)), petsc("schur", form))
    for form in ("full", "lower", "upper")
}
counts["additive"] = (ours(dm.Additive(parts)), petsc("additive"))
counts["multiplicative"] = (ours(dm.Multiplicative(A, parts)), petsc("multiplicative"))
counts["symmetric"] = (ours(dm.Multiplicative(A, [*parts, parts[0]])), petsc("symmetric_multiplicative"))
for name, (found, theirs) in counts.items():
    assert abs(found - theirs) <= 1, counts
print("as PETSc's", counts)
"""


@pytest.mark.parametrize("ranks", [1, 2])
def test_iterations_are_those_of_petsc(ranks):
    if not installed("petsc4py"):
        pytest.skip("petsc4py is not installed")
    process = mpirun(ranks, "-c", textwrap.dedent(PROGRAM), environment=PETSC)
    assert process.returncode == 0 and process.stdout.count("as PETSc's") == ranks, process.stdout
