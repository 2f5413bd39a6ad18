#!/usr/bin/env python3
"""Time dd and h5py on the files of `make bench`: mpirun -n RANKS bench-files.py FOLDER

Writes 800 MB and syncs, reads them from disk and from memory; the best of three, as JSON lines. dd is one
process on any number of ranks. h5py is left out on several ranks if it was not built for MPI.
"""
import json
import os
import subprocess
import sys
import time

import h5py
import numpy

LENGTH = 100_000_000

if h5py.get_config().mpi:
    from mpi4py import MPI

    WORLD = MPI.COMM_WORLD
    RANK, RANKS, barrier = WORLD.rank, WORLD.size, WORLD.barrier
    slowest = lambda seconds: WORLD.allreduce(seconds, MPI.MAX)
    PARALLEL = {"driver": "mpio", "comm": WORLD}
else:
    # One process does all, and the launcher's others nothing.
    of_launcher = lambda what, other: int(os.environ.get("OMPI_COMM_WORLD_" + what, os.environ.get("PMI_" + what, other)))
    RANK, RANKS, PARALLEL = of_launcher("RANK", 0), of_launcher("SIZE", 1), {}
    barrier = lambda: None
    slowest = lambda seconds: seconds


def drop(path):
    """Let the system forget the pages of a file."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def report(system, path, write, read):
    def remove():
        if RANK == 0 and os.path.exists(path):
            os.remove(path)

    for case, prepare, work in (("write_fsync", remove, write), ("read_cold", lambda: drop(path), read),
                                ("read_cached", lambda: None, read)):
        times = []
        for _ in range(3):
            prepare()
            barrier()
            start = time.perf_counter()
            work()
            times.append(slowest(time.perf_counter() - start))
        if RANK == 0:
            line = {"system": system, "case": "j.file." + case, "ranks": RANKS, "n": LENGTH, "nnz": 0,
                    "seconds_min": min(times)}
            print(json.dumps(line), flush=True)
    remove()


def dd(folder):
    path = os.path.join(folder, "dd.dat")

    def run(*arguments):
        if RANK == 0:
            subprocess.run(["dd", "status=none", "bs=8000000", *arguments], check=True)
        barrier()

    report("dd", path, lambda: run("if=/dev/zero", "of=" + path, "count=100", "conv=fsync"),
           lambda: run("if=" + path, "of=/dev/null"))


def by_h5py(folder):
    path = os.path.join(folder, "h5py.h5")
    begin, end = LENGTH * RANK // RANKS, LENGTH * (RANK + 1) // RANKS
    data = numpy.arange(begin, end, dtype=float)

    def write():
        with h5py.File(path, "w", **PARALLEL) as file:
            # Not filled with zeros before it is written.
            kept = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            kept.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
            space = h5py.h5s.create_simple((LENGTH,))
            dataset = h5py.Dataset(h5py.h5d.create(file.id, b"x", h5py.h5t.NATIVE_DOUBLE, space, dcpl=kept))
            dataset[begin:end] = data
        with open(path, "rb") as file:
            os.fsync(file.fileno())

    def read():
        with h5py.File(path, "r", **PARALLEL) as file:
            file["x"].read_direct(data, numpy.s_[begin:end])

    report("h5py", path, write, read)


if __name__ == "__main__" and (PARALLEL or RANK == 0):
    dd(sys.argv[1])
    if PARALLEL or RANKS == 1:
        by_h5py(sys.argv[1])
