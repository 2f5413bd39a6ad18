"""Executables."""

import os
import signal
import sys
import time

import farm_tasks
import pytest

from dolmen import farm
from dolmen.farm import _launcher


def test_a_program_for_each_file(tmp_path):
    files = []
    for name in ("a b.txt", "c;d.txt"):
        (tmp_path / name).write_text(name)
        files.append(tmp_path / name)
    report = farm.run("cp {} {stem}.copy", files, output="{stem}.copy", cwd=tmp_path, processes=2)
    assert report.results == ["a b.copy", "c;d.copy"]
    assert (tmp_path / "a b.copy").read_text() == "a b.txt"
    report = farm.run(["cat", "{path}"], files, processes=1)
    assert [finished.output for finished in report] == ["a b.txt", "c;d.txt"]
    assert report[0].command == ("cat", str(files[0]))


def test_templates():
    report = farm.run("echo {name} {stem} {suffix} {parent} {{}} {}{}", ["x/y.tar.gz"], processes=1)
    assert report[0].output == "y.tar.gz y.tar .gz x {} x/y.tar.gzx/y.tar.gz\n"
    report = farm.run("echo {a:03d}", [{"a": 7}], processes=1)
    assert report[0].output == "007\n"
    report = farm.run("echo {sten}", ["a"], processes=1, retries=0)
    expected = "ProgramError: the template has {sten}, but an item has only {}, {path}, {name}, {stem}, {suffix}, {parent}"
    assert report.failures[0].message == expected
    with pytest.raises(ValueError, match="command is empty"):
        farm.run("", ["a"])


def test_failures_of_programs(tmp_path):
    shell = ["sh", "-c", "{}"]
    items = ["echo first; echo worst >&2; exit 3", "kill -9 $$", "true"]
    report = farm.run(shell, items, processes=2, retries=0)
    messages = [failure.message for failure in report.failures]
    assert messages == ["ProgramError: sh exited with code 3: worst", "ProgramError: sh was killed by SIGKILL"]
    assert report[2].output == ""
    report = farm.run("no-such-program", ["a"], processes=1, retries=0)
    assert report.failures[0].message == "ProgramError: cannot start no-such-program: No such file or directory"
    report = farm.run("true", ["a"], output="out/{}", cwd=tmp_path, processes=1, retries=0)
    assert report.failures[0].message == "ProgramError: true exited with code 0 but left no file out/a"
    report = farm.run(shell, ["echo no; exit 1"], log="logs/x.log", cwd=tmp_path, processes=1, retries=0)
    assert report.failures[0].message == "ProgramError: sh exited with code 1: no (its output is in logs/x.log)"
    assert (tmp_path / "logs/x.log").read_text() == "no\n"


def test_a_time_limit_kills_the_program_and_what_it_started(tmp_path):
    begin = time.monotonic()
    report = farm.run(["sh", "-c", "(sleep 1; touch late) & wait"], ["a"], timeout=0.3, cwd=tmp_path, processes=1, retries=0)
    assert (report.failures[0].kind, time.monotonic() - begin < 0.9) == ("timeout", True)
    assert "sh exceeded its time limit of 0.3 s" in report.failures[0].message
    time.sleep(1)
    assert not (tmp_path / "late").exists()


def test_the_end_of_a_long_output_is_kept_and_what_stays_behind_is_not_waited_for():
    begin = time.monotonic()
    report = farm.run(["sh", "-c", "seq 100000; sleep 20 &"], ["a"], processes=1)
    assert report[0].output.endswith("99999\n100000\n") and len(report[0].output) == 4000
    assert time.monotonic() - begin < 10


def test_programs_are_not_run_again(tmp_path):
    for done in (2, 0):
        report = farm.run("sh -c 'echo {} >> calls'", ["a", "b"], cwd=tmp_path, journal=tmp_path / "run.jsonl", processes=1)
        assert report.done == done and report.ok
    assert (tmp_path / "calls").read_text() == "a\nb\n"
    with pytest.raises(farm.JournalError, match="is the journal of program: sh -c"):
        farm.run("touch {}", ["a", "b"], journal=tmp_path / "run.jsonl", processes=1)


def test_the_variables_of_the_launcher_are_removed(monkeypatch):
    launchers = ["OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_FD", "OMPI_MCA_orte_hnp_uri", "HYDI_CONTROL_FD", "MPI_LOCALRANKID"]
    for name in launchers:
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("OMPI_MCA_pml", "ob1")
    report = farm.run("env", ["a"], processes=1, env={"ADDED": "yes"})
    names = {line.partition("=")[0] for line in report[0].output.splitlines()}
    assert not names.intersection(launchers) and {"PATH", "OMPI_MCA_pml", "ADDED"} <= names
    # Nor do workers and their child processes see them.
    for options in ({"processes": 1, "timeout": 20}, {"executor": "processes", "processes": 1}):
        (seen,) = farm.map(farm_tasks.environment, [0], **options)
        assert not set(seen).intersection(launchers) and "PATH" in seen


def test_the_size_of_a_job(monkeypatch):
    for name in (*_launcher._SIZES, "SLURM_PROCID", "SLURM_STEP_NUM_TASKS"):
        monkeypatch.delenv(name, raising=False)
    assert _launcher.job_size() == 1
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "8")
    assert _launcher.job_size() == 1
    monkeypatch.setenv("SLURM_PROCID", "0")
    assert _launcher.job_size() == 8
    monkeypatch.setenv("PMI_SIZE", "4")
    assert _launcher.job_size() == 4


MPI_IN_MPI = """
import sys
from dolmen import farm
if __name__ == "__main__":
    report = farm.run([sys.executable, "-c", "from mpi4py import MPI; print(MPI.COMM_WORLD.size)"], ["a"], retries=0)
    from mpi4py import MPI
    if MPI.COMM_WORLD.rank == 0:
        print(report[0].output if report.ok else report)
"""


def test_a_program_may_use_mpi_inside_an_mpi_job(python, script):
    pytest.importorskip("mpi4py")
    ended = python(script(MPI_IN_MPI), ranks=2)
    assert ended.stdout.split() == ["1"], ended.stdout + ended.stderr


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_ends_early_takes_its_programs_along(tmp_path, python, script, end):
    program = script(
        f"import sys\nfrom dolmen import farm\nif __name__ == '__main__':\n"
        f"    farm.run([{sys.executable!r}, '-c', 'import os, time; open(str(os.getpid()), \"w\"); time.sleep(30)'], [1, 2], processes=2)\n"
    )
    running = python(program, wait=False)
    while len(list(tmp_path.glob("[0-9]*"))) < 2:
        time.sleep(0.02)
    running.send_signal(end)
    running.communicate()
    deadline = time.monotonic() + 10
    pids = [path.name for path in tmp_path.glob("[0-9]*")]
    while any(os.path.exists(f"/proc/{pid}/exe") for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(os.path.exists(f"/proc/{pid}/exe") for pid in pids)
