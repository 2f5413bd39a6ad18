"""Journals: resuming, torn and damaged files, and journals of other runs."""

import errno
import json
import os
import signal
import time
from pathlib import Path

import farm_tasks
import pytest

from dolmen import farm
from dolmen.farm import _journal, _scheduler

ENGINES = [{"processes": 1}, {"processes": 2}]


def lines(path):
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def wrong_before(x):
    raise AssertionError(f"item {x} was run again")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_second_run_does_only_what_is_missing(tmp_path, engine):
    journal = tmp_path / "run.jsonl"
    first = farm.map(len, ["a", 5, "ccc"], journal=journal, retries=0, **engine)
    assert (first.done, len(first.failures)) == (2, 1)
    second = farm.map(len, ["a", 5, "ccc", "dddd"], journal=journal, retries=0, **engine)
    assert (second.done, second.resumed, len(second.failures)) == (1, 2, 1)
    assert second[0] == 1 and second[2] == 3 and second[3] == 4
    assert [record["item"] for record in lines(journal)[1:]].count("a") == 1


def test_imap_and_map_reduce_resume_too(tmp_path):
    journal = tmp_path / "run.jsonl"
    farm.map(farm_tasks.square, range(50), journal=journal, processes=1)
    with farm.imap(farm_tasks.square, iter(range(60)), journal=journal, processes=1, window=3) as stream:
        assert list(stream) == [x * x for x in range(60)]
    assert (stream.summary.resumed, stream.summary.done) == (50, 10)
    value, summary = farm.map_reduce(farm_tasks.square, farm_tasks.add, range(60), journal=journal, processes=2)
    assert value == sum(x * x for x in range(60)) and summary.resumed == 60


def test_results_of_any_kind_come_back(tmp_path):
    np = pytest.importorskip("numpy")
    values = [None, True, 3, 2.5, float("inf"), "ä\udc80", b"b", (1, "t"), [1, [2]], {"a": {"b": None}}, {3: 4}, {1, 2}, Path("p"), 1j]
    journal = tmp_path / "run.jsonl"
    first = farm.map(lambda k: values[k], range(len(values)), journal=journal, processes=1, name="f")
    second = farm.map(wrong_before, range(len(values)), journal=journal, processes=1, name="f")
    assert first.results == second.results == values
    assert [type(result) for result in second] == [type(value) for value in values]
    assert {"result", "pickle"} <= {name for record in lines(journal)[1:] for name in record}
    assert "Infinity" not in journal.read_text()
    arrays = farm.map(lambda k: np.arange(float(k)), range(4), journal=tmp_path / "arrays.jsonl", processes=1, name="f")
    again = farm.map(wrong_before, range(4), journal=tmp_path / "arrays.jsonl", processes=1, name="f")
    assert all(np.array_equal(one, two) for one, two in zip(arrays, again))


def test_large_results_go_to_files(tmp_path):
    journal = tmp_path / "run.jsonl"
    for function in (lambda x: bytes([x]) * 2_000_000, wrong_before):
        report = farm.map(function, range(2), journal=journal, processes=1, name="large")
        assert report.results == [bytes(2_000_000), b"\1" * 2_000_000]
    assert journal.stat().st_size < 1000
    (first, _) = sorted((tmp_path / "run.jsonl.results").iterdir())
    first.unlink()
    with pytest.raises(farm.JournalError, match=r"cannot be read: No such file.*; delete this item's line"):
        farm.map(wrong_before, range(2), journal=journal, processes=1, name="large")


def test_a_result_that_cannot_be_pickled_is_a_failure(tmp_path):
    report = farm.map(farm_tasks.lock, range(5), journal=tmp_path / "run.jsonl", processes=1)
    assert report.done == 4 and "cannot be pickled for the journal" in report.failures[0].message


@pytest.mark.parametrize("keep", [0, 1, 20, 60])
def test_a_torn_last_line_is_cut_off(tmp_path, keep):
    journal = tmp_path / "run.jsonl"
    farm.map(farm_tasks.square, range(5), journal=journal, processes=1)
    text = journal.read_bytes()
    start = text.rstrip(b"\n").rindex(b"\n") + 1
    journal.write_bytes(text[: start + keep])
    report = farm.map(farm_tasks.square, range(5), journal=journal, processes=1)
    assert (report.resumed, report.done) == (4, 1)
    assert len(lines(journal)) == 6


def test_zeros_after_a_crash_of_the_machine_are_cut_off(tmp_path):
    journal = tmp_path / "run.jsonl"
    farm.map(farm_tasks.square, range(5), journal=journal, processes=1)
    journal.write_bytes(journal.read_bytes() + bytes(500) + b"\n" + bytes(30))
    assert farm.map(farm_tasks.square, range(5), journal=journal, processes=1).resumed == 5
    assert len(lines(journal)) == 6


def test_a_torn_header_is_written_again(tmp_path):
    journal = tmp_path / "run.jsonl"
    journal.write_bytes(b'{"dolmen.farm": 1, "fun')
    assert farm.map(farm_tasks.square, range(5), journal=journal, processes=1).done == 5
    assert lines(journal)[0]["function"] == "farm_tasks:square"


def test_a_damaged_line_in_the_middle_is_an_error(tmp_path):
    journal = tmp_path / "run.jsonl"
    farm.map(farm_tasks.square, range(5), journal=journal, processes=1)
    parts = journal.read_bytes().splitlines(keepends=True)
    parts[2] = parts[2][:20] + b"\n"
    journal.write_bytes(b"".join(parts))
    with pytest.raises(farm.JournalError, match=r"run.jsonl line 3 is damaged; delete this line"):
        farm.map(farm_tasks.square, range(5), journal=journal, processes=1)
    assert journal.read_bytes() == b"".join(parts)


def test_other_files_are_refused_and_left_alone(tmp_path):
    other = tmp_path / "notes.txt"
    for text in ("my notes", "my notes\n", "[1, 2]\n", '{"a": 1}\n{"b": 2}\n', '{"key": "00", "status": "done"}\n'):
        other.write_text(text)
        with pytest.raises(farm.JournalError, match="line 1 is not the header of a journal"):
            farm.map(farm_tasks.square, range(5), journal=other, processes=1)
        assert other.read_text() == text
    with pytest.raises(farm.JournalError, match=r"cannot open the journal .*: No such file or directory"):
        farm.map(farm_tasks.square, range(5), journal=tmp_path / "no" / "run.jsonl", processes=1)


def test_a_journal_of_another_function_is_refused(tmp_path):
    journal = tmp_path / "run.jsonl"
    farm.map(farm_tasks.square, range(5), journal=journal, processes=1)
    message = r"is the journal of farm_tasks:square, not of farm_tasks:double; give another journal, or name='farm_tasks:square'"
    with pytest.raises(farm.JournalError, match=message):
        farm.map(farm_tasks.double, range(5), journal=journal, processes=1)
    assert farm.map(farm_tasks.double, range(5), journal=journal, processes=1, name="farm_tasks:square").resumed == 5
    with pytest.raises(farm.JournalError, match="not of"):
        farm.starmap(farm_tasks.square, [(1,)], journal=journal, processes=1)


def test_a_journal_of_other_items_or_another_seed_is_refused(tmp_path):
    journal = tmp_path / "run.jsonl"
    farm.map(farm_tasks.square, range(5), journal=journal, processes=1)
    with pytest.raises(farm.JournalError, match=r"has 5 finished items \(0, ...\), none of which is an item of this run"):
        farm.map(farm_tasks.square, range(5, 10), journal=journal, processes=1)
    pytest.importorskip("numpy")
    first = farm.map(farm_tasks.draw, range(3), journal=tmp_path / "draw.jsonl", processes=1)
    second = farm.map(farm_tasks.draw, range(5), journal=tmp_path / "draw.jsonl", processes=1)
    assert second.seed == first.seed and second.resumed == 3
    with pytest.raises(farm.JournalError, match="was written with seed="):
        farm.map(farm_tasks.draw, range(3), journal=tmp_path / "draw.jsonl", processes=1, seed=1)


def test_two_runs_cannot_share_a_journal(tmp_path, python, script):
    journal = tmp_path / "run.jsonl"
    program = script(
        "import farm_tasks\nfrom dolmen import farm\n"
        "try:\n    farm.map(farm_tasks.square, range(5), journal='run.jsonl', processes=1)\n"
        "except farm.JournalError as error:\n    print(error)\n"
    )
    with farm.imap(farm_tasks.square, range(5), journal=journal, processes=2) as stream:
        next(stream)
        with pytest.raises(farm.JournalError, match="in use by another run of this process"):
            farm.map(farm_tasks.square, range(5), journal=journal, processes=1)
        assert "run.jsonl is in use by another run" in python(program).stdout
    assert farm.map(farm_tasks.square, range(5), journal=journal, processes=1).ok


def test_items_without_a_reproducible_key_need_one(tmp_path):
    class Endless:
        def __init__(self, number):
            self.number, self.self = number, self

    items = [Endless(number) for number in range(3)]
    with pytest.raises(TypeError, match=r"item 0 .* has no reproducible key: .*; give key="):
        farm.map(lambda item: item.number, items, journal=tmp_path / "run.jsonl", processes=1)
    options = {"journal": tmp_path / "keyed.jsonl", "processes": 1, "key": lambda item: item.number, "name": "f"}
    assert farm.map(lambda item: item.number, items, **options).done == 3
    assert farm.map(lambda item: item.number, items, **options).resumed == 3


def test_lines_reach_the_disk_in_batches(tmp_path, monkeypatch):
    now, synced = [100.0], []

    def fsync(file):
        synced.append(now[0])
        now[0] += 0.125

    monkeypatch.setattr(_journal.os, "fsync", fsync)
    monkeypatch.setattr(_journal.time, "monotonic", lambda: now[0])
    journal = _journal.Journal(str(tmp_path / "run.jsonl"), "f", None)
    for number in range(200):
        now[0] += 0.125
        journal.done(bytes([number]), number, "x", 0.1, 1, number)
        journal.sync()
    # A second after the start; then fsync, which takes 0.125 s here, has at most 2 % of the time.
    assert synced == [101.0, 107.375, 113.75, 120.125]
    journal.close()
    assert len(synced) == 5


def test_lines_reach_the_disk_during_a_run(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(_journal.os, "fsync", synced.append)
    monkeypatch.setattr(_scheduler, "_TICK_SECONDS", 0.05)
    farm.map(lambda x: time.sleep(0.25), range(6), journal=tmp_path / "run.jsonl", processes=1)
    assert 2 <= len(synced) <= 4


def test_a_full_disk_is_an_error_with_the_file(tmp_path, monkeypatch):
    def full(file, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(_journal.os, "write", full)
    with pytest.raises(farm.JournalError, match=r"cannot write the journal .*run.jsonl: No space left on device"):
        farm.map(farm_tasks.square, range(3), journal=tmp_path / "run.jsonl", processes=1)


def test_a_device_is_no_journal():
    with pytest.raises(farm.JournalError, match="cannot use /dev/zero as a journal: it is not a regular file"):
        farm.map(farm_tasks.square, range(3), journal="/dev/zero", processes=1)


def runs(process):
    """True if the process is there and not a zombie."""
    try:
        return "State:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except FileNotFoundError:
        return False


RUN = """
import functools, sys
import farm_tasks
from dolmen import farm

if __name__ == "__main__":
    report = farm.map(functools.partial(farm_tasks.traced, "calls"), range(400), processes=2, journal="run.jsonl", chunksize=4)
    print(report.done, report.resumed, report.results == list(range(400)))
"""


def test_a_run_that_is_killed_resumes_and_leaves_no_worker(tmp_path, python, script):
    program = script(RUN)
    calls = tmp_path / "calls"
    calls.mkdir()
    killed = python(program, wait=False)
    while len(list(calls.iterdir())) < 60:
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    workers = {int(path.name.split(".")[1]) for path in calls.iterdir()}
    deadline = time.monotonic() + 10
    while any(map(runs, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(runs, workers))
    finished = len(lines(tmp_path / "run.jsonl")) - 1
    assert 0 < finished < 400
    again = python(program)
    assert again.stdout.split() == [str(400 - finished), str(finished), "True"], again.stderr
    repeated = len(list(calls.iterdir())) - 400
    assert 0 <= repeated <= 40
