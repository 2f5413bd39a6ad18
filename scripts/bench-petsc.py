#!/usr/bin/env python3
"""Time PETSc on the matrix of a file: mpirun -n RANKS bench-petsc.py --matrix FILE.petsc [--name NAME] [--case PREFIXES]

The cases of dolmen-bench --matrix, one JSON line each with the same keys: products, assembly from the matrix's entries, transposition,
and solves from zero, whose solution has entries from 1 to 1.75. Needs petsc4py for real numbers.
"""
import argparse
import ctypes
import json
import pathlib
import statistics
import sys
import time

import numpy as np
import petsc4py

petsc4py.init(sys.argv[:1])
from petsc4py import PETSc

SOLVES = {
    "f.cg_jacobi": {"ksp_type": "cg", "pc_type": "jacobi", "ksp_norm_type": "unpreconditioned"},
    "f.cg_icc0": {"ksp_type": "cg", "pc_type": "bjacobi", "sub_pc_type": "icc", "ksp_norm_type": "unpreconditioned"},
    "f.cg_multigrid": {"ksp_type": "cg", "pc_type": "gamg", "ksp_norm_type": "unpreconditioned"},
    "f.gmres30_ilu0": {"ksp_type": "gmres", "ksp_gmres_restart": 30, "ksp_pc_side": "right", "pc_type": "bjacobi", "sub_pc_type": "ilu"},
}
SYMMETRIC = ("f.cg_jacobi", "f.cg_icc0", "f.cg_multigrid")
MAX_ITERATIONS = 1000
COMM = PETSc.COMM_WORLD


# Assembly from coordinates is not in petsc4py 3.18: it is called in the library that petsc4py has loaded.
LIBRARY = ctypes.CDLL(next(line.split()[-1] for line in open("/proc/self/maps", encoding="utf-8") if "/libpetsc" in line))


def native(function, matrix, *arguments):
    """Calls a function of PETSc whose first argument is a matrix."""
    error = LIBRARY[function](ctypes.c_void_p(matrix.handle), *arguments)
    if error:
        raise PETSc.Error(error)


def pointer(array):
    return ctypes.c_void_p(array.ctypes.data)


class Bench:
    """The matrix, and times of work with it."""

    def __init__(self, options):
        self.options = options
        self.slowest = PETSc.Vec().createMPI((1, PETSc.DECIDE), comm=COMM)
        self.a = PETSc.Mat().create(COMM)
        self.a.setType("aij")
        self.a.load(PETSc.Viewer().createBinary(options.matrix, "r", comm=COMM))

    def wants(self, case):
        return any(f"{case}.{self.options.name}".startswith(prefix) for prefix in self.options.case.split(","))

    def print(self, case, **more):
        line = {"system": "petsc", "case": f"{case}.{self.options.name}", "matrix": self.options.name, "ranks": COMM.size, **more}
        if COMM.rank == 0:
            print(json.dumps(line), flush=True)

    def time(self, times, work):
        """Does work between barriers, and notes wall and core seconds of the slowest rank."""
        COMM.barrier()
        start, busy = time.perf_counter(), time.thread_time()
        value = work()
        for seconds, found in zip(times, (time.perf_counter() - start, time.thread_time() - busy)):
            self.slowest.set(found)
            seconds.append(self.slowest.max()[1])
        return value

    def wants_more(self, times):
        wall = times[0]
        return len(wall) < self.options.repeats and (len(wall) < 3 or sum(wall) < self.options.maxsec)

    def sizes(self):
        return {"n": self.a.size[0], "nnz": int(self.a.getInfo(PETSc.Mat.InfoType.GLOBAL_SUM)["nz_used"])}

    def case(self, case, work, prepare=lambda: None):
        """Times a case as dolmen-bench does: once outside the clock, then in repeats."""
        if not self.wants(case):
            return
        prepare()
        work()
        times = ([], [])
        while self.wants_more(times):
            prepare()
            self.time(times, work)
        self.print(case, **self.sizes(), **spread("", times))

    def products(self):
        """Products and the transpose."""
        a = self.a
        x, y = a.createVecs()
        fill(x)
        fill(y)
        result = y.duplicate()
        self.case("c.spmv", lambda: a.mult(x, result))
        result = x.duplicate()
        self.case("c.spmvT", lambda: a.multTranspose(y, result))
        self.case("e.transpose", lambda: a.transpose(PETSc.Mat()).destroy())

    def assembly(self):
        """The matrix from its own entries without preallocation, and new values on its pattern."""
        a = self.a
        starts, columns, values = csr(a)
        first, last = a.getOwnershipRange()
        rows = np.repeat(np.arange(first, last, dtype=columns.dtype), np.diff(starts))
        given = []

        def prepare():
            # PETSc changes the indices that it is given.
            given[:] = rows.copy(), columns.copy()

        def assemble():
            b = PETSc.Mat().create(COMM)
            b.setSizes(a.getSizes())
            b.setType("aij")
            native("MatSetPreallocationCOO", b, ctypes.c_ssize_t(len(values)), *map(pointer, given))
            native("MatSetValuesCOO", b, pointer(values), ctypes.c_int(PETSc.InsertMode.ADD_VALUES))
            return b

        self.case("d.assembly", lambda: assemble().destroy(), prepare)
        if self.wants("d.refill"):
            prepare()
            b = assemble()
            self.case("d.refill", lambda: native("MatSetValuesCOO", b, pointer(values), ctypes.c_int(PETSc.InsertMode.INSERT_VALUES)))

    def solves(self):
        """Solves, setup and iterations apart."""
        wanted = [case for case in SOLVES if self.wants(case)]
        if not wanted:
            return
        rows, columns = self.a.size
        symmetric = rows == columns and self.a.isSymmetric(1e-12 * self.a.norm())
        if symmetric:
            self.a.setOption(PETSc.Mat.Option.SPD, True)
        for case in wanted:
            if rows != columns:
                self.print(case, skipped="not square")
            elif case in SYMMETRIC and not symmetric:
                self.print(case, skipped="not symmetric")
            else:
                try:
                    self.solve(case)
                except PETSc.Error as error:
                    self.print(case, skipped=str(error).splitlines()[-1])

    def setup(self, settings):
        """A solver that is ready to iterate."""
        options = PETSc.Options()
        for name, value in settings.items():
            options[name] = value
        ksp = PETSc.KSP().create(COMM)
        ksp.setOperators(self.a)
        ksp.setFromOptions()
        ksp.setTolerances(rtol=1e-8, atol=1e-300, divtol=1e5, max_it=MAX_ITERATIONS)
        ksp.setUp()
        ksp.setUpOnBlocks()
        for name in settings:
            options.delValue(name)
        return ksp

    def solve(self, case):
        x, b = self.a.createVecs()
        fill(x)
        self.a.mult(x, b)
        setups, solves = ([], []), ([], [])
        while self.wants_more(solves):
            ksp = self.time(setups, lambda: self.setup(SOLVES[case]))
            x.set(0)
            self.time(solves, lambda: ksp.solve(b, x))
            reason, iterations = ksp.getConvergedReason(), ksp.getIterationNumber()
            ksp.destroy()
            if reason <= 0:
                self.print(case, skipped=f"does not converge: reason {reason} of PETSc after {iterations} iterations")
                return
        residual = b.duplicate()
        self.a.mult(x, residual)
        residual.aypx(-1, b)
        self.print(case, **self.sizes(), **spread("", solves), **spread("setup_", setups), iterations=iterations,
                   final_rel_residual=residual.norm() / b.norm())


def fill(vector):
    """Entries of thirteen kinds. Ones would not do for solves: the diagonal of a Laplacian turns the product with them into ones."""
    first, last = vector.getOwnershipRange()
    vector.setArray(1 + np.arange(first, last) % 13 / 16)


def spread(kind, times):
    """Least and median seconds, those on a core too."""
    wall, cpu = times
    return {f"{kind}seconds_min": min(wall), f"{kind}seconds_median": statistics.median_high(wall), f"{kind}cpu_seconds_min": min(cpu)}


def csr(a):
    """Row starts, global columns and values of a rank's rows."""
    starts, columns, values = a.getValuesCSR()
    return starts, columns.copy(), values.copy()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--matrix", required=True, help="file in PETSc's binary format")
    parser.add_argument("--name", help="the end of the names of the cases; by default the name of the file")
    parser.add_argument("--case", default="", help="prefixes of names, with commas; by default all")
    parser.add_argument("--repeats", type=int, default=10, help="of each case")
    parser.add_argument("--maxsec", type=float, default=2.0, help="seconds after which a case is not repeated")
    options = parser.parse_args()
    options.name = options.name or pathlib.Path(options.matrix).name.split(".")[0]
    bench = Bench(options)
    bench.products()
    bench.assembly()
    bench.solves()


main()
