"""No hang: what one rank does alone ends the job, or is an exception on all, within ten seconds."""

import functools
import glob
import os
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from launch import clean_environment, mpirun

#: Seconds in which each of these ends; the machine may do other work.
LIMIT = 40


#: Debian has petsc4py outside of the folders of Python.
PETSC = {"PYTHONPATH": os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), *sorted(glob.glob("/usr/lib/petscdir/petsc3*/*-real/lib/python3/dist-packages"))]))}


@functools.cache
def installed(package):
    """Return True if a package that uses MPI is there, made for the MPI of dolmen."""
    program = f"""
import dolmen, re
from {package} import {package.removesuffix("4py").upper().replace("PETSC", "PETSc")}
assert len(set(re.findall(r"/\\S*/libmpi(?:ch)?[.]so\\S*", open("/proc/self/maps").read()))) == 1
"""
    return subprocess.run([sys.executable, "-c", program], env=clean_environment(**PETSC), capture_output=True).returncode == 0


def run(ranks, program, *arguments, **options):
    start = time.monotonic()
    process = mpirun(ranks, "-c", textwrap.dedent(program), *arguments, timeout=LIMIT, **options)
    process.seconds = time.monotonic() - start
    return process


def test_an_uncaught_exception_on_one_rank():
    process = run(3, """
        import dolmen as dm
        x = dm.ones(10)
        if dm.world.rank == 1:
            raise KeyError("rank one is lost")
        print(x.sum())
    """)
    assert process.returncode != 0
    assert process.stdout.count("rank one is lost") >= 1 and "ended while others continued" in process.stdout


@pytest.mark.parametrize("call, text", [
    ("dm.ones(10).dot(dm.ones(11))", "different layouts"),
    ("dm.linalg.eigsh(dm.LinearOperator(500, lambda x: x.local * x.layout.rows()), 3, maxiter=1)", "0 of 3 values converged"),
])
def test_an_exception_that_all_ranks_have_is_told_once(call, text):
    process = run(3, f"""
        import dolmen as dm
        {call}
    """)
    assert process.returncode != 0
    assert process.stdout.count(text) == 1, process.stdout


#: Imports that come before the start of MPI, and a package that starts it first.
BEGINNINGS = {"": "", "petsc4py later": "import dolmen as dm; dm.world\nfrom petsc4py import PETSc", "mpi4py first": "from mpi4py import MPI"}
#: How one rank ends while the other waits for it.
ENDS = [
    ("", "sys.exit(3)"),
    ("", "exit(3)"),
    ("", "early(3)"),
    ("", "raise SystemExit(3)"),
    ("", "raise SystemExit('a reason')"),
    ("", "os._exit(3)"),
    ("petsc4py later", "sys.exit(3)"),
    ("petsc4py later", "raise KeyError('lost')"),
    ("mpi4py first", "sys.exit(3)"),
    ("mpi4py first", "raise KeyError('lost')"),
]


def test_a_rank_that_ends_alone():
    def end(beginning, leave):
        return run(2, f"""
import os, sys
from sys import exit as early
{BEGINNINGS[beginning]}
import dolmen as dm
x = dm.ones(10)
if dm.world.rank == 1:
    {leave}
print(x.sum())
""", environment=PETSC)

    # Each waits some seconds: all at once.
    ends = [(beginning, leave) for beginning, leave in ENDS if not beginning or installed(beginning.split()[0])]
    with ThreadPoolExecutor(len(ends)) as pool:
        for case, process in zip(ends, pool.map(end, *zip(*ends))):
            assert process.returncode != 0, (case, process.stdout)
            assert "_exit" in case[1] or "ended while others continued" in process.stdout, (case, process.stdout)


def test_a_rank_that_ends_early_without_a_failure():
    process = run(2, """
        import time
        import dolmen as dm
        if dm.world.rank == 1:
            raise SystemExit(0)
        try:
            raise SystemExit(3)
        except SystemExit:
            time.sleep(0.5)
        print("done")
    """)
    assert process.returncode == 0 and "done" in process.stdout, process.stdout


def test_an_exception_in_an_operator_on_one_rank():
    process = run(3, """
        import dolmen as dm
        def apply(x):
            if dm.world.rank == 2:
                raise ValueError("no product here")
            return x
        try:
            dm.solve(dm.LinearOperator(10, apply), dm.ones(10), method="cg")
        except ValueError as error:
            print("caught", error)
    """)
    assert process.returncode == 0 and process.stdout.count("no product here") == 3, process.stdout


def test_garbage_collection_in_another_order_on_each_rank():
    process = run(3, """
        import gc, random
        import dolmen as dm
        random.seed(dm.world.rank)
        kept = []
        for step in range(200):
            layout = dm.Layout(20 + step % 7)
            A = dm.CsrMatrix.from_diagonals([-1, 2.5, -1], [-1, 0, 1], layout)
            plan = dm.Exchange(layout, [0, 5])
            M = dm.Preconditioner(A, "ilu")
            cycle = [A, plan, M, dm.world.duplicate() if step % 20 == 0 else None]
            cycle.append(cycle)
            kept.append(cycle)
            if random.random() < 0.3:
                random.shuffle(kept)
                del kept[: random.randrange(len(kept))]
                gc.collect()
            x, report = dm.solve(A, dm.ones(layout), method="cg", preconditioner=M)
            assert report.converged
        print("done")
    """)
    assert process.returncode == 0 and process.stdout.count("done") == 3, process.stdout


def test_objects_may_outlive_mpi():
    process = run(2, """
        import atexit
        kept = {}
        atexit.register(lambda: (kept.clear(), print("end")))
        import dolmen as dm
        layout = dm.Layout(10)
        kept["A"] = dm.CsrMatrix.from_diagonals([1.0], [0], layout)
        kept["plan"] = dm.Exchange(layout, [0, 9])
        kept["plan"].import_(dm.ones(layout))
        kept["x"] = dm.ones(layout)
    """)
    assert process.returncode == 0 and process.stdout.count("end") == 2, process.stdout


@pytest.mark.parametrize("package", ["mpi4py", "petsc4py"])
@pytest.mark.parametrize("later", [False, True])
def test_other_packages_may_come_first_or_later(package, later):
    if not installed(package):
        pytest.skip(f"{package} is not installed")
    # UCX below MPICH ends with an assertion where a window is left.
    use = {
        "mpi4py": """
from mpi4py import MPI
copy = MPI.COMM_WORLD.Dup()
copy.allreduce(1)
kept = [copy, MPI.Win.Allocate(8) if "Open MPI" in MPI.Get_library_version() else None]
""",
        "petsc4py": "from petsc4py import PETSc; kept = PETSc.Vec().createMPI(8); kept.set(1); kept.sum()",
    }[package]
    program = ["import dolmen as dm; x = dm.ones(8); x.sum()", use]
    process = run(2, """
import atexit
atexit.register(lambda: print("last", dm.ones(9).sum()))
{}
{}
print("both")
""".format(*(program if later else reversed(program))), environment=PETSC)
    assert process.returncode == 0 and process.stdout.count("both") == process.stdout.count("last 9.0") == 2, process.stdout


def test_calls_after_the_end_of_mpi():
    if not installed("mpi4py"):
        pytest.skip("mpi4py is not installed")
    process = run(2, """
        from mpi4py import MPI
        import dolmen as dm
        x = dm.ones(8)
        MPI.Finalize()
        for use in (x.sum, x.norm, lambda: x.local, lambda: dm.ones(4), lambda: dm.Layout(3), lambda: x.layout):
            try:
                use()
            except dm.EndedError as error:
                print("refused", error)
    """)
    assert process.returncode == 0 and process.stdout.count("refused dolmen has ended") == 12, process.stdout


def test_ctrl_c_stops_a_solve():
    program = textwrap.dedent("""
        import dolmen as dm
        A = dm.CsrMatrix.from_diagonals([-1, 2, -1], [-1, 0, 1], 200_000)
        print("begin", flush=True)
        try:
            dm.solve(A, dm.ones(200_000), method="cg", preconditioner="none", rtol=1e-30, max_iterations=10**9, dtol=1e30)
        except KeyboardInterrupt:
            print("interrupted", flush=True)
    """)
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "begin\n"
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=LIMIT)
    assert output == "interrupted\n" and process.returncode == 0


def test_ctrl_c_on_one_rank_stops_all():
    process = run(3, """
        import os, signal, threading
        import dolmen as dm
        n = 50_000
        A = dm.CsrMatrix.from_diagonals([-1, 2, -1], [-1, 0, 1], n)
        if dm.world.rank == 1:
            threading.Timer(1.0, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        try:
            dm.solve(A, dm.ones(n), method="cg", preconditioner="none", rtol=1e-30, max_iterations=10**9, dtol=1e30)
        except KeyboardInterrupt:
            print("interrupted")
    """)
    assert process.returncode == 0 and process.stdout.count("interrupted") == 3, process.stdout


SOLVE = 'dm.solve(operator, dm.ones(1000), method="cg", rtol=1e-30, max_iterations=10**9, dtol=1e30)'
SEARCH = 'dm.eigsh(operator, 3, which="SA", rtol=1e-30, max_iterations=10**9)'


@pytest.mark.parametrize("ranks, presses, call", [([1], 1, SOLVE), ([0, 1, 2], 2, SOLVE), ([1], 1, SEARCH)])
def test_ctrl_c_inside_a_python_operator(ranks, presses, call):
    # After the first Ctrl-C a rank takes part in the rest of the iteration. The second one acts at once.
    process = run(3, f"""
        import os, signal
        import dolmen as dm
        A = dm.CsrMatrix.from_diagonals([-1, 2, -1], [-1, 0, 1], 1000)
        calls = products = 0
        def apply(x):
            global calls, products
            calls += 1
            if calls == 5 and dm.world.rank in {ranks}:
                for _ in range({presses}):
                    os.kill(os.getpid(), signal.SIGINT)
            y = A @ x
            products += 1
            return y
        operator = dm.LinearOperator(1000, apply)
        try:
            {call}
        except KeyboardInterrupt:
            print(f"<interrupted:{{calls - products}}:{{dm.ones(10).sum()}}>")
    """)
    assert process.returncode == 0 and process.stdout.count(f"<interrupted:{presses - 1}:10.0>") == 3, process.stdout


def test_other_threads_run_during_a_solve():
    process = run(1, """
        import threading, time
        import dolmen as dm
        ticks, stop = 0, False
        def tick():
            global ticks
            while not stop:
                ticks += 1
                time.sleep(0.001)
        n = 300_000
        A = dm.CsrMatrix.from_diagonals([-1, 2.001, -1], [-1, 0, 1], n)
        b = dm.random(n, 1)
        thread = threading.Thread(target=tick)
        thread.start()
        dm.solve(A, b, method="cg", preconditioner="none", rtol=1e-12)
        stop = True
        thread.join()
        print("ticks", ticks)
    """)
    assert process.returncode == 0, process.stdout
    assert int(process.stdout.split()[-1]) > 20


@pytest.mark.parametrize("ranks", [1, 2])
def test_another_thread_gets_an_error_not_a_crash(ranks):
    process = run(ranks, """
        import threading
        import dolmen as dm
        layout = dm.Layout(5)
        x, A, columns = dm.ones(layout), dm.CsrMatrix.from_diagonals([2.0], [0], layout), dm.MultiVector(layout, 2)
        operator, exchange = dm.LinearOperator(layout, lambda x: x), dm.Exchange(layout, [0])
        calls = [
            x.sum, x.norm, lambda: x.local, lambda: x + x, lambda: A @ x, lambda: A.apply(x, x), lambda: A.shape,
            lambda: operator @ x, lambda: columns.local, lambda: layout.size, lambda: dm.world.rank, lambda: dm.self_,
            lambda: exchange.import_(x), lambda: dm.solve(A, x), lambda: dm.ones(5), lambda: dm.File("x.h5", "w"),
        ]
        def use():
            for number, call in enumerate(calls):
                try:
                    call()
                except dm.ThreadError:
                    print("refused")
                except BaseException as error:
                    print("other", number, type(error), error)
        thread = threading.Thread(target=use)
        thread.start()
        thread.join()
        print(x.sum(), (A @ x).sum())
    """)
    assert process.returncode == 0 and process.stdout.count("refused") == 16 * ranks, process.stdout
    assert process.stdout.count("5.0 10.0") == ranks, process.stdout



