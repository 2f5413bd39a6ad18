"""Results, failures, order, windows, reductions and random streams."""

import functools
import itertools
import operator
import os
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

import farm_tasks
import pytest

from dolmen import farm
from dolmen.farm import _executors, _scheduler

ENGINES = [{"processes": 1}, {"processes": 2}]


@pytest.mark.parametrize("engine", ENGINES)
def test_results_are_in_order(engine):
    report = farm.map(farm_tasks.square, range(100), **engine)
    assert report.results == [x * x for x in range(100)]
    assert (report.done, report.resumed, report.ok, len(report)) == (100, 0, True, 100)
    assert list(report) == report[:] == report.succeeded()


def test_an_item_that_finishes_late_keeps_its_place():
    def wait(x):
        time.sleep(0.2 if x == 0 else 0)
        return x, threading.get_ident()

    with ThreadPoolExecutor(4) as executor:
        report = farm.map(wait, range(40), executor=executor, chunksize=1)
    assert [x for x, _ in report] == list(range(40))
    assert len({thread for _, thread in report}) > 1


@pytest.mark.parametrize("engine", ENGINES)
def test_a_failing_item_is_reported_and_the_rest_is_done(engine):
    report = farm.map(len, ["a", 5, "ccc", None], retries=0, **engine)
    assert report[0] == 1 and report[2] == 3
    assert [failure.index for failure in report.failures] == [1, 3]
    failure = report[1]
    assert failure is report.failures[0]
    assert (failure.kind, failure.attempts, failure.item) == ("raised", 1, "5")
    assert isinstance(failure.exception, TypeError)
    assert str(failure) == "item 1 (5): TypeError: object of type 'int' has no len() (1 attempt)"
    assert report.succeeded() == [1, 3]
    assert not report.ok and str(report).startswith("2 done, 0 from the journal, 2 failed in ")
    with pytest.raises(farm.ItemError, match="item 1"):
        report.raise_failures()


def test_the_traceback_shows_the_function_and_not_the_farm():
    report = farm.map(farm_tasks.hard, [1000], processes=2, retries=0)
    text = report.failures[0].traceback
    assert "in hard" in text and "_worker" not in text


def test_errors_raise_ends_the_run_with_the_cause():
    with pytest.raises(farm.ItemError, match=r"item 1000 \(1000\): ValueError: no square of 1000") as caught:
        farm.map(farm_tasks.hard, range(1100), processes=2, errors="raise", retries=0)
    assert isinstance(caught.value.__cause__, ValueError)
    error = caught.value
    assert "in hard" in "".join(traceback.format_exception(type(error), error, error.__traceback__))


def test_retries_are_further_attempts(tmp_path):
    report = farm.map(farm_tasks.count, [tmp_path / "a"], processes=1, retries=2)
    assert report.results == [3]
    report = farm.map(farm_tasks.count, [tmp_path / "b"], processes=1, retries=1)
    assert report.failures[0].attempts == 2 and "attempt 2" in report.failures[0].message


def test_sys_exit_in_a_function_is_a_failure():
    report = farm.map(lambda x: exit(x), [4], processes=1, retries=0)
    assert report.failures[0].message == "SystemExit: 4"


def test_starmap_unpacks_items():
    assert farm.starmap(farm_tasks.add, [(1, 2), ("a", "b")], processes=1).results == [3, "ab"]


def test_closures_and_lambdas_run_in_a_pool():
    offset = 7
    assert farm.map(lambda x: x + offset, range(5), processes=2).results == [7, 8, 9, 10, 11]


def test_imap_is_lazy_when_serial():
    calls = []
    stream = farm.imap(lambda x: calls.append(x) or x, itertools.count(), processes=1)
    assert [next(stream) for _ in range(3)] == [0, 1, 2]
    assert calls == [0, 1, 2]
    stream.close()
    assert list(stream) == []


@pytest.mark.parametrize("window", [1, 5, 40])
def test_no_more_items_than_the_window_are_under_way(window):
    taken, most = 0, 0

    def items():
        nonlocal taken
        for x in range(200):
            taken += 1
            yield x

    with farm.imap(farm_tasks.square, items(), processes=2, window=window) as stream:
        for passed, result in enumerate(stream):
            assert result == passed * passed
            most = max(most, taken - passed)
    assert most <= window + 1 and passed == 199
    assert stream.summary.done == 200


def test_the_window_of_imap_is_bounded_by_default_and_that_of_map_is_not():
    release = threading.Event()

    def wait(x):
        if x == 0:
            release.wait(20)
        return x

    taken = []
    items = (taken.append(x) or x for x in range(3000))
    with ThreadPoolExecutor(2) as executor, farm.imap(wait, items, executor=executor, chunksize=1) as stream:
        threading.Timer(0.5, release.set).start()
        assert next(stream) == 0
        assert len(taken) < 200


def test_few_chunks_are_sent_for_short_tasks_and_single_items_for_long_ones(monkeypatch):
    sizes = []
    submit = _executors.Pool.submit

    def counted(self, function, task, isolate, calls):
        sizes.append(len(calls))
        return submit(self, function, task, isolate, calls)

    monkeypatch.setattr(_executors.Pool, "submit", counted)
    assert farm.map(farm_tasks.square, range(20000), processes=2).done == 20000
    assert max(sizes) > 100 and len(sizes) < 2000
    sizes.clear()
    farm.map(farm_tasks.slow_square, range(20), processes=2)
    assert set(sizes) == {1}
    sizes.clear()
    monkeypatch.setattr(_scheduler, "_CHUNKS_PER_SECOND", 4)
    farm.map(farm_tasks.slow_square, range(80), processes=2)
    assert 5 <= max(sizes) <= 20
    sizes.clear()
    farm.map(farm_tasks.square, range(21), processes=2, chunksize=10)
    assert sizes == [10, 10, 1]


def test_map_reduce_has_the_bits_of_a_serial_loop():
    values = [0.1 * k for k in range(2000)]
    expected = functools.reduce(operator.add, (x * x for x in values))
    for engine in ENGINES:
        value, summary = farm.map_reduce(farm_tasks.square, operator.add, values, **engine)
        assert value == expected and summary.done == 2000


def test_map_reduce_of_failing_or_no_items():
    with pytest.raises(farm.ItemError):
        farm.map_reduce(len, operator.add, ["a", 5], processes=1)
    value, summary = farm.map_reduce(len, operator.add, ["a", 5, "bb"], processes=1, errors="report")
    assert value == 3 and len(summary.failures) == 1
    with pytest.raises(ValueError, match="no result to reduce"):
        farm.map_reduce(len, operator.add, [], processes=1)
    with pytest.raises(ZeroDivisionError):
        farm.map_reduce(farm_tasks.square, lambda one, two: 1 // 0, range(9), processes=1)
    assert farm.map_reduce(len, operator.add, [], initial=0, processes=1)[0] == 0


def test_random_streams_depend_on_the_seed_and_the_item_alone():
    pytest.importorskip("numpy")
    one = farm.map(farm_tasks.draw, range(50), processes=1, seed=7).results
    assert len(set(one)) == 50
    assert farm.map(farm_tasks.draw, range(50), processes=2, seed=7).results == one
    assert farm.map(farm_tasks.draw, reversed(range(50)), processes=1, seed=7).results == one[::-1]
    assert farm.map(farm_tasks.draw, range(50), processes=1, seed=8).results != one
    assert farm.map(farm_tasks.draw, range(2), processes=1, seed=7, timeout=20).results == one[:2]


def test_equal_items_have_different_random_streams():
    pytest.importorskip("numpy")
    report = farm.map(farm_tasks.draw, [1] * 20, processes=1)
    assert len(set(report.results)) == 20
    assert farm.map(farm_tasks.draw, [1] * 20, processes=1, seed=report.seed).results == report.results


def test_a_farm_within_a_farm_is_serial():
    report = farm.map(lambda x: [os.getpid(), *farm.map(lambda y: os.getpid(), range(2))], range(4), processes=2)
    assert all(len(set(pids)) == 1 for pids in report)
    report = farm.map(farm_tasks.nested, range(2), processes=1, timeout=20)
    assert all(len(set(pids)) == 1 for pids in report)


def test_stragglers_are_told(monkeypatch, capfd):
    monkeypatch.setattr(_scheduler, "_STRAGGLER_SECONDS", 0.3)
    monkeypatch.setattr(_scheduler, "_TICK_SECONDS", 0.05)
    report = farm.map(lambda x: time.sleep(0.8 if x == 11 else 0.001), range(30), processes=2, chunksize=1)
    assert [straggler.index for straggler in report.stragglers] == [11]
    assert "farm: item 11 (11) has run for 0 s; the median is " in capfd.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"retries": -1}, "retries=-1 is not an integer of at least 0"),
        ({"processes": 0}, "processes=0 is not an integer of at least 1"),
        ({"window": 2.5}, "window=2.5"),
        ({"chunksize": "large"}, "chunksize='large'"),
        ({"timeout": 0}, "timeout=0 is not a positive number of seconds"),
        ({"errors": "ignore"}, "errors='ignore' is neither"),
        ({"executor": "threads"}, "executor='threads' is not one of serial, processes, mpi"),
        ({"seed": 3}, "no parameter rng"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        farm.map(len, ["a"], **options)


def test_wrong_functions_items_and_executors_are_refused():
    with pytest.raises(TypeError, match="one text"):
        farm.map(len, "a.fits")
    with pytest.raises(TypeError, match="not a function"):
        farm.map(3, ["a"])
    with pytest.raises(TypeError, match="executor has type int"):
        farm.map(len, ["a"], executor=3)
    with pytest.raises(TypeError, match="it has no submit"):
        farm.map(len, ["a"], executor=dict)
    with pytest.raises(TypeError, match="wrong"):
        farm.imap(len, ["a"], wrong=3)


def test_an_error_of_the_items_ends_the_run():
    def items():
        yield "a"
        raise OSError("no more")

    with pytest.raises(OSError, match="no more"):
        list(farm.imap(len, items(), processes=2))
