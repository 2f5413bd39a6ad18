"""Items that loop, kill their workers or cannot be sent, executors that break, and pipelines that fail half-way."""

import json
import multiprocessing
import os
import signal
import time
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor

import farm_tasks
import pytest

from dolmen import farm
from dolmen.farm import _child, _executors


def test_of_3000_tasks_one_raises_one_loops_and_one_kills_its_worker(tmp_path):
    journal = tmp_path / "run.jsonl"
    report = farm.map(farm_tasks.hard, range(3000), processes=2, timeout=0.5, retries=0, journal=journal)
    assert report.done == 2997
    assert [(failure.index, failure.kind) for failure in report.failures] == [(1000, "raised"), (2000, "timeout"), (2999, "died")]
    assert "exceeded its time limit of 0.5 s" in report.failures[1].message
    assert "was killed by SIGKILL" in report.failures[2].message
    assert [result for result in report if not isinstance(result, farm.Failure)] == report.succeeded()
    again = farm.map(farm_tasks.mended, range(3000), processes=2, journal=journal, name="farm_tasks:hard")
    assert (again.done, again.resumed, again.ok) == (3, 2997, True)
    assert again.results == [x * x for x in range(3000)]


@pytest.mark.parametrize("is_closure", [False, True])
def test_a_broken_pool_is_made_anew_and_the_culprit_found(is_closure):
    function = farm_tasks.die
    if is_closure:
        pytest.importorskip("cloudpickle")
        function = lambda x: farm_tasks.die(x)  # noqa: E731
    report = farm.map(function, range(50), processes=2, chunksize=3)
    assert report.done == 49
    (failure,) = report.failures
    assert (failure.index, failure.kind, failure.attempts) == (3, "died", 2)
    assert failure.message == "its process exited with code 7"


def test_the_culprit_is_found_without_child_processes(monkeypatch):
    # Neither pickle nor cloudpickle: such items run alone after the pool broke.
    monkeypatch.setattr("dolmen.farm._run._pickled", lambda stages, pool: (None, False))
    report = farm.map(lambda x: farm_tasks.die(x), range(50), processes=2, chunksize=3)
    assert report.done == 49
    assert [(failure.index, failure.kind, failure.attempts) for failure in report.failures] == [(3, "died", 1)]


def test_an_executor_that_cannot_start_ends_the_run():
    def factory():
        return ProcessPoolExecutor(2, initializer=os._exit, initargs=(1,))

    begin = time.monotonic()
    with pytest.raises(farm.ExecutorError, match="the executor broke 10 times and no item finished in between"):
        farm.map(farm_tasks.square, range(50), executor=factory)
    assert time.monotonic() - begin < 20


def test_an_executor_that_is_given_is_not_replaced():
    with ProcessPoolExecutor(2) as executor:
        assert farm.map(farm_tasks.square, range(5), executor=executor).done == 5
        with pytest.raises(farm.ExecutorError, match="cannot be made anew; give a function that makes it"):
            farm.map(farm_tasks.die, range(50), executor=executor)
        with pytest.raises(farm.ExecutorError, match="cannot be made anew"):
            farm.map(farm_tasks.square, range(50), executor=executor)
    with pytest.raises(farm.ExecutorError, match="takes no work"):
        farm.map(farm_tasks.square, range(5), executor=ThreadPoolExecutorThatIsShutDown())


def ThreadPoolExecutorThatIsShutDown():
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    return executor


class BreaksOnSubmit(ThreadPoolExecutor):
    """Breaks at the third submit, as an executor does that found its workers dead."""

    broken = 0

    def submit(self, *arguments, **named):
        self.count = getattr(self, "count", 0) + 1
        if self.count > 3 and BreaksOnSubmit.broken < 4:
            BreaksOnSubmit.broken += 1
            raise BrokenExecutor("no workers")
        return super().submit(*arguments, **named)


def test_an_executor_that_breaks_at_submit_is_made_anew():
    report = farm.map(farm_tasks.square, range(30), executor=lambda: BreaksOnSubmit(1), chunksize=1)
    assert report.results == [x * x for x in range(30)] and BreaksOnSubmit.broken == 4


def test_an_executor_that_cancels_ends_the_run():
    class Cancels(Executor):
        def submit(self, *arguments, **named):
            future = Future()
            future.cancel()
            future.set_running_or_notify_cancel()
            return future

    with pytest.raises(farm.ExecutorError, match="shut down while items were waiting"):
        farm.map(farm_tasks.square, range(5), executor=Cancels())


@pytest.mark.parametrize("engine", [{"processes": 1}, {"processes": 2}])
def test_a_loop_is_killed(engine):
    begin = time.monotonic()
    report = farm.map(farm_tasks.loop, range(6), timeout=0.3, retries=1, **engine)
    assert report.done == 5
    assert [(failure.index, failure.kind, failure.attempts) for failure in report.failures] == [(3, "timeout", 2)]
    assert time.monotonic() - begin < 10


def test_a_time_limit_works_in_threads_and_for_closures():
    pytest.importorskip("cloudpickle")
    three = 3

    def loop(x):
        while x == three:
            pass
        return x

    with ThreadPoolExecutor(2) as executor:
        report = farm.map(loop, range(6), timeout=0.4, retries=0, executor=executor)
    assert (report.done, report.failures[0].index) == (5, 3)


def test_a_time_limit_kills_what_the_item_started(tmp_path):
    script = f"import subprocess; subprocess.run(['sh', '-c', 'sleep 1; touch {tmp_path}/late'])"
    report = farm.map(exec, [script], timeout=0.4, retries=0, processes=1)
    assert report.failures[0].kind == "timeout"
    time.sleep(1)
    assert not (tmp_path / "late").exists()


def test_a_child_process_is_kept_from_item_to_item_and_ended_with_the_run():
    report = farm.map(farm_tasks.process, range(20), timeout=20, processes=1)
    (child,) = set(report)
    assert child != os.getpid()
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_a_child_process_that_ended_of_idleness_is_started_again(monkeypatch):
    task_items = [0, 1]

    def slow_items():
        for item in task_items:
            yield item
            child = _child._mine.child
            child._process.kill()
            child._process.wait()
            child._process.returncode = _child._IDLE_EXIT

    assert list(farm.imap(farm_tasks.square, slow_items(), timeout=20, processes=1, retries=0)) == [0, 1]


def test_results_that_cannot_be_pickled_are_failures():
    report = farm.map(farm_tasks.lock, range(30), processes=2, chunksize=5, retries=0)
    assert report.done == 29
    assert report.failures[0].index == 3 and "cannot pickle" in report.failures[0].message
    report = farm.map(farm_tasks.lock, range(5), processes=1, retries=0, timeout=20)
    assert report.failures[0].index == 3 and "the result cannot be pickled" in report.failures[0].message


def test_workers_of_a_spawned_pool_import_the_function():
    context = multiprocessing.get_context("spawn")
    report = farm.map(farm_tasks.die, range(9), executor=lambda: ProcessPoolExecutor(1, context), retries=0)
    assert (report.done, report.failures[0].message) == (8, "its process exited with code 7")


def test_a_script_without_a_guard_is_told_so(python, script):
    program = script(
        "from dolmen import farm\ndef f(x):\n    return x\n"
        "print(farm.map(f, range(3), processes=2, timeout=20).results)\n"
    )
    ended = python(program)
    assert ended.returncode == 1 and 'put it under `if __name__ == "__main__":`' in ended.stderr


def test_ctrl_c_ends_the_run_and_keeps_the_journal(tmp_path, python, script):
    # One worker is idle and the other busy when the signal reaches all of them.
    program = script(
        "import time\nfrom dolmen import farm\n"
        "def work(x):\n    if x == 50:\n        open('last', 'w')\n        time.sleep(30)\n    return x\n"
        "if __name__ == '__main__':\n    farm.map(work, range(51), processes=2, journal='run.jsonl', chunksize=1)\n"
    )
    running = python(program, wait=False, start_new_session=True)
    while not (tmp_path / "last").exists():
        time.sleep(0.01)
    time.sleep(0.2)
    os.killpg(running.pid, signal.SIGINT)
    _, printed = running.communicate(timeout=10)
    assert running.returncode == -signal.SIGINT and printed.count("KeyboardInterrupt") == 1, printed
    lines = (tmp_path / "run.jsonl").read_text().splitlines()
    assert [json.loads(line)["status"] for line in lines[1:]] == ["done"] * 50


def test_workers_leave_ctrl_c_to_the_driver():
    assert farm.map(lambda x: os.kill(os.getpid(), signal.SIGINT) or x, range(3), processes=2).results == [0, 1, 2]


def test_a_pipeline_goes_through_its_functions():
    report = farm.pipeline([farm_tasks.double, farm_tasks.square, str], range(5), processes=2)
    assert report.results == ["0", "4", "16", "36", "64"]
    with pytest.raises(ValueError, match="has no functions"):
        farm.pipeline([], range(5))


@pytest.mark.parametrize("limit", [None, 20])
def test_a_pipeline_resumes_at_the_function_that_failed(tmp_path, monkeypatch, limit):
    broken, noted, journal = tmp_path / "broken", tmp_path / "noted", tmp_path / "run.jsonl"
    broken.touch()
    monkeypatch.setenv("HALVE_BROKEN", str(broken))
    monkeypatch.setenv("NOTED", str(noted))
    stages = [farm_tasks.note_and_double, farm_tasks.halve]
    first = farm.pipeline(stages, range(3), processes=1, journal=journal, timeout=limit)
    assert [(failure.stage, failure.attempts) for failure in first.failures] == [(1, 2)] * 3
    broken.unlink()
    second = farm.pipeline(stages, range(3), processes=1, journal=journal, timeout=limit)
    assert second.results == [0.0, 1.0, 2.0]
    assert sorted(noted.read_text().split()) == ["0", "1", "2"]


def test_the_pool_of_an_abandoned_run_ends():
    stream = farm.imap(lambda x: (time.sleep(30 if x else 0), os.getpid())[1], range(10), processes=2)
    next(stream)
    assert multiprocessing.active_children()
    stream.close()
    assert not multiprocessing.active_children()


def test_a_worker_that_does_not_end_by_itself_is_killed(monkeypatch):
    monkeypatch.setattr(_executors, "_GRACE_SECONDS", 0.2)
    with farm.imap(farm_tasks.ignore_the_end, range(10), processes=2) as stream:
        next(stream)
    assert not multiprocessing.active_children()


def test_workers_are_counted():
    with ThreadPoolExecutor(3) as threads:
        assert _executors.Pool(threads, None, None).workers == 3
    assert _executors.Pool(None, _executors.SerialExecutor, 1).serial
