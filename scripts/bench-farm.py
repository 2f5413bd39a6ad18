#!/usr/bin/env python3
"""Time dolmen.farm beside the bare executor, with tasks of 1 ms: scripts/bench-farm.py [ENGINE...]

Engines: serial, processes, mpi, dask, ipyparallel; by default those that are installed. Each line has the time of one task in
milliseconds times the workers, the shortest of several rounds: the bare executor's map, farm.map, farm.map with a journal, and
the ratio of the second to the first. mpi starts this script again under mpirun with one rank more than workers.
In the environment: TASKS (2000), ROUNDS (5), WORKERS (2).
"""
import importlib.util
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor

from dolmen import farm

TASKS = int(os.environ.get("TASKS", "2000"))
ROUNDS = int(os.environ.get("ROUNDS", "5"))
WORKERS = int(os.environ.get("WORKERS", "2"))
MODULES = {"serial": "sys", "processes": "sys", "mpi": "mpi4py", "dask": "distributed", "ipyparallel": "ipyparallel"}


def busy(item):
    # Imported here: ipyparallel sends the function of a script without its globals.
    from time import perf_counter

    end = perf_counter() + 0.001
    while perf_counter() < end:
        pass
    return item


def timed(function):
    begin = time.perf_counter()
    results = function()
    passed = time.perf_counter() - begin
    assert list(results) == list(range(TASKS))
    return passed


def compare(name, workers, bare, **engine):
    """Print the line of an engine; ``bare`` maps without the farm."""
    times = {"bare": [], "farm": [], "journal": []}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(ROUNDS):
            times["bare"].append(timed(lambda: list(bare(busy, range(TASKS)))))
            times["farm"].append(timed(lambda: farm.map(busy, range(TASKS), progress=False, **engine)))
            journal = f"{folder}/{number}.jsonl"
            times["journal"].append(timed(lambda: farm.map(busy, range(TASKS), progress=False, journal=journal, **engine)))
    best = {kind: min(values) / TASKS * workers * 1e3 for kind, values in times.items()}
    print(f"{name:<12} {best['bare']:7.3f} {best['farm']:7.3f} {best['journal']:7.3f} {best['farm'] / best['bare']:7.3f}", flush=True)


def serial():
    compare("serial", 1, map, executor="serial")


def processes():
    with ProcessPoolExecutor(WORKERS) as pool:
        list(pool.map(busy, range(10)))
        compare("processes", WORKERS, pool.map, executor=pool)


def mpi():
    if "OMPI_COMM_WORLD_SIZE" in os.environ or "PMI_SIZE" in os.environ:
        from mpi4py.futures import MPIPoolExecutor

        with MPIPoolExecutor() as pool:
            compare("mpi", WORKERS, pool.map, executor=pool)
        return
    launcher = pathlib.Path(__file__).resolve().parent / "mpirun.sh"
    subprocess.run([launcher, "-n", str(WORKERS + 1), sys.executable, "-m", "mpi4py.futures", __file__, "mpi"], check=True)


def dask():
    from distributed import Client, LocalCluster

    with LocalCluster(n_workers=WORKERS, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        pool = client.get_executor()
        compare("dask", WORKERS, pool.map, executor=pool)


def ipyparallel():
    import ipyparallel

    with ipyparallel.Cluster(n=WORKERS, log_level=40) as client:
        pool = client.load_balanced_view().executor
        compare("ipyparallel", WORKERS, pool.map, executor=pool)


def main():
    wanted = sys.argv[1:] or [name for name, module in MODULES.items() if importlib.util.find_spec(module)]
    unknown = [name for name in wanted if name not in MODULES]
    if unknown:
        sys.exit(f"bench-farm: there is no engine {unknown[0]}; the engines are {', '.join(MODULES)}")
    if wanted != ["mpi"]:
        print(f"{'ms a task':<12} {'bare':>7} {'farm':>7} {'journal':>7} {'ratio':>7}", flush=True)
    for name in wanted:
        globals()[name]()


if __name__ == "__main__":
    main()
