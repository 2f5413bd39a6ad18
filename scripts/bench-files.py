#!/usr/bin/env python3
"""Time dd and h5py, one process each, on the files of `make bench`: bench-files.py FOLDER

Writes 800 MB and syncs, reads them from disk and from memory; the best of three, as JSON lines.
"""
import json
import os
import subprocess
import sys
import time

BYTES = 800_000_000


def drop(path):
    """Let the system forget the pages of a file."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def best(prepare, work):
    times = []
    for _ in range(3):
        prepare()
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return sorted(times)


def report(system, path, write, read):
    remove = lambda: os.path.exists(path) and os.remove(path)
    for case, prepare, work in (("write_fsync", remove, write), ("read_cold", lambda: drop(path), read),
                                ("read_cached", lambda: None, read)):
        times = best(prepare, work)
        print(json.dumps({"system": system, "case": "j.file." + case, "ranks": 1, "n": BYTES // 8, "nnz": 0,
                          "seconds_min": times[0], "seconds_median": times[1], "bytes_model": BYTES,
                          "gbps": BYTES / times[0] / 1e9}), flush=True)
    remove()


def dd(folder):
    path = os.path.join(folder, "dd.dat")
    run = lambda *arguments: subprocess.run(["dd", "status=none", "bs=8000000", *arguments], check=True)
    report("dd", path, lambda: run("if=/dev/zero", "of=" + path, "count=100", "conv=fsync"),
           lambda: run("if=" + path, "of=/dev/null"))


def h5py(folder):
    import h5py
    import numpy

    path = os.path.join(folder, "h5py.h5")
    data = numpy.arange(BYTES // 8, dtype=float)

    def write():
        with h5py.File(path, "w") as file:
            file["x"] = data
        with open(path, "rb") as file:
            os.fsync(file.fileno())

    def read():
        with h5py.File(path, "r") as file:
            file["x"].read_direct(data)

    report("h5py", path, write, read)


if __name__ == "__main__":
    dd(sys.argv[1])
    h5py(sys.argv[1])
