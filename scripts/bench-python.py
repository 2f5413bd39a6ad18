#!/usr/bin/env python3
"""Time the Python module beside petsc4py, mpi4py and h5py in one run: scripts/bench-python.py [--cg POINTS] [--json FILE]

Under mpirun all ranks take part. Each figure is the best of several repetitions, of the slowest rank. Libraries that are not
installed are left out.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

import numpy as np

try:
    from petsc4py import PETSc
except ImportError:
    PETSc = None

import dolmen as dm


def best(action, repeat=5, number=1):
    """Returns seconds of a call."""
    times = []
    for _ in range(repeat):
        dm.world.barrier()
        start = time.perf_counter()
        for _ in range(number):
            action()
        times.append(dm.world.max((time.perf_counter() - start) / number))
    return min(times)


def tiny_calls():
    """Nanoseconds of calls on vectors of ten entries."""
    n, number = 10, 2000
    layout = dm.Layout(n)
    x, y = dm.ones(layout), dm.ones(layout)
    A = dm.CsrMatrix.from_diagonals([-1.0, 2.0, -1.0], [-1, 0, 1], layout)
    ours = {
        "dot": lambda: x.dot(y),
        "norm": lambda: x.norm(),
        "axpy": lambda: y.axpy(1e-9, x),
        "A @ x, new vector": lambda: A @ x,
        "A x into y": lambda: A.apply(x, y),
        "x.local": lambda: x.local,
    }
    theirs = {}
    if PETSc:
        u = PETSc.Vec().createMPI(n)
        v = u.duplicate()
        u.set(1.0)
        B = PETSc.Mat().createAIJ((n, n), nnz=3)
        first, last = B.getOwnershipRange()
        for row in range(first, last):
            for column, value in ((row - 1, -1.0), (row, 2.0), (row + 1, -1.0)):
                if 0 <= column < n:
                    B.setValue(row, column, value)
        B.assemble()
        theirs = {
            "dot": lambda: u.dot(v),
            "norm": lambda: u.norm(),
            "axpy": lambda: v.axpy(1e-9, u),
            "A @ x, new vector": lambda: B * u,
            "A x into y": lambda: B.mult(u, v),
            "x.local": lambda: u.getArray(),
        }
    return {
        name: {"dolmen_ns": 1e9 * best(call, 7, number), "petsc4py_ns": 1e9 * best(theirs[name], 7, number) if name in theirs else None}
        for name, call in ours.items()
    }


def grid(points):
    """The Laplacian on a cube of points."""
    layout = dm.Layout(points**3)
    row = layout.rows()
    i, j, k = row // points**2, row // points % points, row % points
    rows, columns, values = [row], [row], [np.full(len(row), 6.0)]
    for index, step in ((i, points**2), (j, points), (k, 1)):
        for inside, neighbor in ((index > 0, row - step), (index < points - 1, row + step)):
            rows.append(row[inside])
            columns.append(neighbor[inside])
            values.append(np.full(inside.sum(), -1.0))
    return dm.CsrMatrix.from_coo(np.concatenate(rows), np.concatenate(columns), np.concatenate(values), layout)


def large(points):
    """Seconds of a product and of 50 iterations of CG on a cube of points."""
    A = grid(points)
    x, y = dm.random(A.domain, 1), dm.Vector(A.range)

    def cg():
        dm.solve(A, x, method="cg", preconditioner="none", rtol=0.0, max_iterations=50)

    return {"product_s": best(lambda: A.apply(x, y), 10), "cg50_s": best(cg, 3), "points": points}


def files(megabytes):
    """MB/s of a vector in one shared file, written and read by dolmen and by h5py on MPI."""
    folder = dm.world.broadcast(tempfile.mkdtemp(dir=".") if dm.world.rank == 0 else None)
    path = os.path.join(folder, "x.h5")
    x = dm.random(int(megabytes * 1e6 / 8), 1)
    own = x.layout.range

    def write():
        with dm.File(path, "w") as f:
            f["x"] = x

    def read():
        with dm.File(path) as f:
            f["x"].read(x.layout)

    found = {"dolmen": [x.size * 8e-6 / best(action, 3) for action in (write, read)]}
    import h5py

    if h5py.get_config().mpi or dm.world.size == 1:
        options = {"driver": "mpio", "comm": dm.world.to_mpi4py()} if h5py.get_config().mpi else {}

        def h5py_write():
            with h5py.File(path, "w", **options) as f:
                f.create_dataset("x", (x.size,), "f8")[own.start : own.stop] = x.local
            os.sync()

        def h5py_read():
            with h5py.File(path, "r", **options) as f:
                f["x"][own.start : own.stop]

        found["h5py" + (" on MPI" if options else "")] = [x.size * 8e-6 / best(action, 3) for action in (h5py_write, h5py_read)]
    dm.world.barrier()
    if dm.world.rank == 0:
        shutil.rmtree(folder)
    return found


def imports():
    """Files that an import opens beyond those of NumPy, and its time, each in a process of its own."""
    if dm.world.size > 1 or shutil.which("strace") is None:
        return {}
    found = {}
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMPI_", "PMIX_"))}

    def opened(program):
        with tempfile.NamedTemporaryFile("r") as trace:
            command = ["strace", "-f", "-qq", "-e", "trace=openat", "-o", trace.name, sys.executable, "-c", program]
            if subprocess.run(command, env=environment, capture_output=True).returncode:
                return None
            lines = [line for line in trace.read().splitlines() if "ENOENT" not in line and "O_DIRECTORY" not in line]
        python = [line for line in lines if ".py" in line.split('"')[1]]
        return len(python), len([line for line in lines if ".so" in line.split('"')[1]])

    base = opened("import numpy")
    for name, program in [
        ("import dolmen", "import numpy, dolmen"),
        ("import dolmen, a vector", "import numpy, dolmen; dolmen.ones(5)"),
        ("from mpi4py import MPI", "import numpy; from mpi4py import MPI"),
        ("from petsc4py import PETSc", "import numpy; from petsc4py import PETSc"),
    ]:
        counted = opened(program)
        if counted is None:
            continue
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True)
        found[name] = {"python_files": counted[0] - base[0], "libraries": counted[1] - base[1], "seconds": time.perf_counter() - start}
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cg", type=int, default=128, help="points of the cube in each direction [default: %(default)s]")
    parser.add_argument("--megabytes", type=float, default=200, help="size of the file [default: %(default)s]")
    parser.add_argument("--json", help="file for the figures")
    options = parser.parse_args()
    figures = {"ranks": dm.world.size, "tiny": tiny_calls(), "large": large(options.cg), "files": files(options.megabytes), "imports": imports()}
    if dm.world.rank == 0:
        print(json.dumps(figures, indent=1))
        if options.json:
            with open(options.json, "w") as file:
                json.dump(figures, file, indent=1)


main()
