"""The command ``python -m dolmen.farm``."""

import doctest
import importlib

import pytest

from dolmen import farm
from dolmen.farm import _api, _command, _progress

WORK = """
import functools, time
from concurrent.futures import ThreadPoolExecutor

def work(name):
    if name == "bad":
        raise ValueError("it is bad")
    while name == "loop":
        pass
    return name.upper()

def other(name):
    return name

def threads():
    return ThreadPoolExecutor(1)

class Group:
    @staticmethod
    def inner(name):
        return name * 2

value = 3
"""


@pytest.fixture
def command(script, monkeypatch, tmp_path, capfd):
    script(WORK, "work.py")
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        code = _command.main([*map(str, arguments)])
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    return run


def test_exit_codes_results_and_failures(command):
    code, out, err = command("work.py:work", "a", "b", "--results")
    assert (code, out) == (0, "A\nB\n") and err.startswith("farm: 2 of 2 items done, 0 failed, in ")
    code, out, err = command("work.py:work", "a", "bad", "c", "--journal", "run.jsonl", "--retries", 0)
    assert (code, out) == (1, "")
    assert err.startswith("farm: item 1 (bad): ValueError: it is bad (1 attempt)\nfarm: 2 of 3 items done, 1 failed, in ")
    code, out, err = command("work.py:work", "--journal=run.jsonl", "--quiet", "a", "c")
    assert (code, out, err) == (0, "", "")
    code, out, err = command("work.py:work", "loop", "--timeout", "0.3s", "--retries", 0, "--processes", 1)
    assert code == 1 and "exceeded its time limit of 0.3 s" in err


def test_functions_of_modules_and_classes_and_factories(command, monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(tmp_path)
    assert command("work:Group.inner", "ab", "--executor", "work:threads", "--results")[1] == "abab\n"
    assert command("work.py:work", "ab", "--executor", "serial", "--results")[1] == "AB\n"


def test_items_come_from_a_list(command, tmp_path):
    (tmp_path / "list").write_text("x\n\ny z\n")
    assert command("work.py:work", "w", "--items", "list", "--results")[1] == "W\nX\nY Z\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["work.py:work"], "there are no items"),
        (["work.py", "a"], "work.py does not have the form SCRIPT:FUNCTION"),
        (["none.py:f", "a"], "there is no script none.py"),
        (["no_such_module:f", "a"], "cannot import no_such_module: ModuleNotFoundError"),
        (["work.py:nothing", "a"], "work.py has no nothing"),
        (["work.py:value", "a"], "work.py:value is a int, not a function"),
        (["work.py:work", "a", "--executor", "fast"], "--executor fast is not one of serial, processes, mpi"),
        (["work.py:work", "a", "--timeout", "soon"], "'soon' is not a time; give 90, 90s, 10m or 2h"),
        (["work.py:work", "a", "--timeout", "0"], "timeout=0.0 is not a positive number of seconds"),
        (["work.py:work", "a", "--retries", "-2"], "retries=-2 is not an integer"),
        (["work.py:work", "a", "--seed", "1"], "no parameter rng"),
        (["work.py:work", "a", "--items", "none.txt"], "No such file or directory: 'none.txt'"),
        (["work.py:work", "a", "--color"], "unrecognized arguments: --color"),
    ],
)
def test_wrong_arguments_are_exit_code_2_and_one_line(command, arguments, message):
    code, out, err = command(*arguments)
    assert (code, out) == (2, "") and err.startswith("farm: ") and message in err and err.count("\n") == 1


def test_a_journal_of_another_function_is_exit_code_2(command):
    command("work.py:work", "a", "--journal", "run.jsonl")
    code, _, err = command("work.py:other", "a", "--journal", "run.jsonl")
    assert code == 2 and "run.jsonl is the journal of work:work, not of work:other" in err


def test_help_and_the_module(python, script):
    script(WORK, "work.py")
    ended = python("-m", "dolmen.farm", "--help")
    assert ended.returncode == 0 and "exit codes:" in ended.stdout and max(map(len, ended.stdout.splitlines())) <= 110
    ended = python("-m", "dolmen.farm", "work.py:work", "a", "bad", "--results")
    assert (ended.returncode, ended.stdout) == (1, "A\n")


def test_ranks_share_the_items_of_standard_input_and_one_error(python, script):
    pytest.importorskip("mpi4py")
    script(WORK, "work.py")
    ended = python("-m", "dolmen.farm", "work.py:work", "--items", "-", "--results", ranks=2, input="a\nb\n")
    assert (ended.returncode, ended.stdout) == (0, "A\nB\n"), ended.stderr
    ended = python("-m", "dolmen.farm", "work.py:work", "--items", "-", ranks=2, input="")
    assert ended.returncode == 2 and ended.stderr.count("there are no items") == 1


def test_progress_lines(monkeypatch, capfd):
    now = [0.0]
    monkeypatch.setattr(_progress.time, "monotonic", lambda: now[0])
    lines = _progress.open_progress(True, 100)
    for second in range(0, 130, 10):
        now[0] = float(second)
        lines.update(second // 2, second // 100)
    lines.update(100, 1)
    lines.close()
    assert capfd.readouterr().err.splitlines() == [
        "farm: 30 of 100 done after 60 s, about 2 min left",
        "farm: 60 of 100 done, 1 failed after 2 min, about 80 s left",
        "farm: 100 of 100 done, 1 failed after 2 min",
    ]
    short = _progress.open_progress(True, 3)
    short.update(3, 0)
    short.close()
    _progress.open_progress(False, 3).tell("nothing")
    assert capfd.readouterr().err == ""
    assert [_progress.clock(seconds) for seconds in (3.4, 99, 600, 7000, 11000)] == ["3 s", "99 s", "10 min", "1 h 57 min", "3 h 3 min"]


def test_a_bar_on_a_terminal(monkeypatch, capfd):
    pytest.importorskip("tqdm")
    monkeypatch.setattr(_progress.sys.stderr, "isatty", lambda: True, raising=False)
    bar = _progress.open_progress(True, 4)
    bar.update(2, 1)
    bar.tell("a message")
    bar.close()
    printed = capfd.readouterr().err
    assert "2/4" in printed and "1 failed" in printed and "farm: a message\n" in printed


@pytest.mark.parametrize("module", [farm, _api])
def test_the_examples_of_the_documentation(module):
    tested = doctest.testmod(importlib.import_module(module.__name__))
    assert tested.attempted > 1 and tested.failed == 0


def test_importing_the_farm_imports_the_standard_library_alone(python):
    code = "import sys, dolmen; before = set(sys.modules); import dolmen.farm; print(*(m.split('.')[0] for m in set(sys.modules) - before))"
    modules = set(python("-c", code).stdout.split())
    for module in ("numpy", "tqdm", "mpi4py", "cloudpickle", "typing_extensions"):
        assert module not in modules
    assert "dolmen" in modules
