"""The same run on each engine: threads, mpi4py.futures, Dask and ipyparallel."""

import importlib
import json

import pytest
from farm_processes import start_python

from dolmen import farm

# Functions of a script, which the workers of a cluster cannot import, and items that fail in each way. Each line is one write, so
# that those of ranks do not mix.
SCRIPT = """
import json, os, sys
from dolmen import farm

def work(x):
    if x == 5:
        raise ValueError("no five")
    while x == 11:
        pass
    if x == 17:
        os._exit(3)
    return x * x

def draw(x, rng):
    return rng.standard_normal()

def show(engine):
    report = farm.map(work, range(40), timeout=1, retries=0, **engine)
    assert report.results[18:] == [x * x for x in range(18, 40)], report.results
    assert report.done == 37, report
    kinds = {str(failure.index): failure.kind for failure in report.failures}
    value, _ = farm.map_reduce(abs, max, range(-30, 20), **engine)
    streams = farm.map(draw, range(5), seed=3, **engine).results
    print(json.dumps([kinds, value, streams]) + "\\n", end="", flush=True)

if __name__ == "__main__":
    %s
"""


def expected():
    streams = farm.map(lambda x, rng: rng.standard_normal(), range(5), seed=3, processes=1).results
    return [{"5": "raised", "11": "timeout", "17": "died"}, 30, streams]


def printed(ended):
    assert ended.returncode == 0, ended.stderr
    return [json.loads(line) for line in ended.stdout.splitlines()]


def is_installed(module):
    try:
        importlib.import_module(module)
    except ImportError:
        return False
    return True


@pytest.fixture(scope="module", autouse=True)
def clusters(tmp_path_factory):
    """Start the scripts of clusters, which take seconds, beside the other tests."""
    started = {}
    for module, body in CLUSTERS.items():
        if is_installed(module):
            script = tmp_path_factory.mktemp("cluster") / "script.py"
            script.write_text(SCRIPT % body)
            started[module] = start_python(script.parent, script, wait=False)
    yield started
    for running in started.values():
        running.kill()
        running.wait()


def test_threads(python, script):
    body = "from concurrent.futures import ThreadPoolExecutor\n    show({'executor': lambda: ThreadPoolExecutor(2)})"
    assert printed(python(script(SCRIPT % body))) == [expected()]


def test_mpi_with_all_ranks_in_the_script(python, script):
    pytest.importorskip("mpi4py")
    # No executor is chosen: a job of several ranks is seen. All ranks have the results.
    body = "show({})\n    from mpi4py import MPI\n    MPI.COMM_WORLD.Barrier()"
    assert printed(python(script(SCRIPT % body), ranks=3)) == [expected()] * 3


def test_mpi_with_rank_0_in_the_script(python, script):
    pytest.importorskip("mpi4py")
    assert printed(python("-m", "mpi4py.futures", script(SCRIPT % "show({'executor': 'mpi'})"), ranks=3)) == [expected()]


def test_mpi_resumes_gives_one_error_on_all_ranks_and_iterates_on_rank_0(python, script):
    pytest.importorskip("mpi4py")
    program = script("""
from dolmen import farm

def work(x):
    if x == 7:
        raise ValueError("seven")
    return x

def other(x):
    return x

if __name__ == "__main__":
    from mpi4py import MPI
    rank = MPI.COMM_WORLD.rank
    first = farm.map(work, range(10), journal="run.jsonl", retries=0)
    second = farm.map(work, range(10), journal="run.jsonl", retries=0)
    seen = [len(first), first.done, second.resumed, second.done, len(second.failures)]
    try:
        farm.map(other, range(10), journal="run.jsonl")
    except farm.JournalError as error:
        seen.append("not of script:other" in str(error))
    try:
        farm.map(work, range(10), errors="raise")
    except farm.ItemError as error:
        seen.append(error.failure.index)
    with farm.imap(other, range(100)) as stream:
        for result in stream:
            if result == 3:
                break
    try:
        farm.map_reduce(other, lambda one, two: one // 0, range(10))
    except ZeroDivisionError:
        seen.append("divided")
    seen.append(result if rank == 0 else None)
    stream = farm.imap(other, range(5))
    seen.append([list(stream), stream.summary.done])
    print(f"{rank} {seen}\\n", end="", flush=True)
""")
    ended = python(program, ranks=2)
    assert ended.returncode == 0, ended.stderr
    lines = sorted(ended.stdout.splitlines())
    assert lines == [
        "0 [10, 9, 9, 0, 1, True, 7, 'divided', 3, [[0, 1, 2, 3, 4], 5]]",
        "1 [10, 9, 9, 0, 1, True, 7, 'divided', None, [[], 5]]",
    ]


KILLED = """
import os, signal, sys, time
from dolmen import farm

def work(x):
    if x == 250 and len(sys.argv) > 1:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.001)
    return x

if __name__ == "__main__":
    report = farm.map(work, range(300), journal="run.jsonl")
    print(f"{report.done} {report.resumed} {report.results == list(range(300))}\\n", end="", flush=True)
"""


def test_mpi_resumes_after_a_killed_rank_ended_the_job(tmp_path, python, script):
    pytest.importorskip("mpi4py")
    program = script(KILLED)
    assert python(program, "kill", ranks=3).returncode != 0
    finished = (tmp_path / "run.jsonl").read_text().count('"done"')
    assert 0 < finished < 300
    ended = python(program, ranks=3)
    assert ended.stdout.split() == [str(300 - finished), str(finished), "True"] * 3, ended.stderr


DASK = """from distributed import Client, LocalCluster
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        show({"executor": client.get_executor()})"""

IPYPARALLEL = """import ipyparallel
    with ipyparallel.Cluster(n=2, log_level=40) as client:
        show({"executor": client.load_balanced_view().executor})"""


# A folder of these tests is called distributed, as Dask's package is, but has no client.
CLUSTERS = {"distributed.client": DASK, "ipyparallel": IPYPARALLEL}


@pytest.mark.parametrize("module", CLUSTERS)
def test_clusters(clusters, module):
    pytest.importorskip(module)
    running = clusters[module]
    out, err = running.communicate(timeout=60)
    assert running.returncode == 0, err
    assert [json.loads(line) for line in out.splitlines()] == [expected()]
