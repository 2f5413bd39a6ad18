"""No hang: what one rank does alone ends the job, or is an exception on all, within ten seconds."""

import signal
import subprocess
import sys
import textwrap
import time

import pytest
from launch import mpirun

#: Seconds in which each of these ends; the machine may do other work.
LIMIT = 40


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


def test_an_exception_that_all_ranks_have_is_told_once():
    process = run(3, """
        import dolmen as dm
        dm.ones(10).dot(dm.ones(11))
    """)
    assert process.returncode != 0
    assert process.stdout.count("different layouts") == 1, process.stdout


@pytest.mark.parametrize("leave", ["sys.exit(3)", "exit(3)", "os._exit(3)"])
def test_a_rank_that_exits(leave):
    process = run(2, f"""
        import os, sys
        import dolmen as dm
        x = dm.ones(10)
        if dm.world.rank == 1:
            {leave}
        print(x.sum())
    """)
    assert process.returncode != 0


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


def test_mpi4py_may_come_first_or_later():
    for first, second in [("from mpi4py import MPI", "import dolmen as dm; dm.world"), ("import dolmen as dm; dm.world", "from mpi4py import MPI")]:
        pytest.importorskip("mpi4py")
        process = run(2, f"""
            {first}
            {second}
            assert dm.ones(8).sum() == 8 and MPI.COMM_WORLD.allreduce(1) == 2
            print("both")
        """)
        assert process.returncode == 0 and process.stdout.count("both") == 2, process.stdout


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


@pytest.mark.parametrize("ranks, presses", [([1], 1), ([0, 1, 2], 2)])
def test_ctrl_c_inside_a_python_operator(ranks, presses):
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
        try:
            dm.solve(dm.LinearOperator(1000, apply), dm.ones(1000), method="cg", rtol=1e-30, max_iterations=10**9, dtol=1e30)
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


def test_another_thread_gets_an_error_not_a_crash():
    process = run(1, """
        import threading
        import dolmen as dm
        x = dm.ones(5)
        def use():
            try:
                x.sum()
            except BaseException as error:
                print("refused", type(error).__name__)
        thread = threading.Thread(target=use)
        thread.start()
        thread.join()
        print(x.sum())
    """)
    assert process.returncode == 0 and "refused" in process.stdout and "5.0" in process.stdout, process.stdout


