"""The commands refuse arguments that they cannot work with: one line of rank 0, and exit code 2 on all ranks."""

import os
import sys

import pytest

import dolmen as dm
from dolmen import check, iobench, stage

first = dm.world.rank == 0


@pytest.fixture
def folder(in_shared_folder):
    if first:
        with open("file", "w") as file:
            file.write("text")
        os.mkdir("empty")
    dm.world.barrier()


def require_refusal(code, capsys, name, text):
    shown = capsys.readouterr()
    assert code == 2 and shown.out == ""
    if first:
        assert shown.err.startswith(f"{name}: ") and text in shown.err and shown.err.count("\n") == 1, shown.err
    else:
        assert shown.err == ""


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("--megabytes 0", "'0' is not a number above 0"),
        ("--megabytes -1", "'-1' is not a number above 0"),
        ("--megabytes nan", "'nan' is not a number above 0"),
        ("--megabytes inf", "'inf' is not a number above 0"),
        ("--megabytes many", "'many' is not a number above 0"),
        ("--megabytes 1e15", "MB in ., of which"),
        ("--repeat 0", "'0' is not a whole number of at least 1"),
        ("--repeat 1.5", "'1.5' is not a whole number of at least 1"),
        ("--stripes", "--stripes: expected at least one argument"),
        ("--stripes 1 -2", "'-2' is not a whole number of at least 1"),
        ("--folder none", "--folder none: does not exist"),
        ("--folder file", "--folder file: is not a folder"),
        ("--folder /proc", "--folder /proc: cannot be written to"),
        ("--plot none/a.png", "the folder none: does not exist"),
        ("--megabyte 1", "unrecognized arguments: --megabyte 1"),
    ],
)
def test_iobench(folder, capsys, arguments, text):
    require_refusal(iobench.main(arguments.split()), capsys, "iobench", text)


def test_iobench_needs_memory(folder, capsys, monkeypatch):
    monkeypatch.setattr(iobench, "_available_memory", lambda: 3.0)
    require_refusal(iobench.main(["--megabytes", "1"]), capsys, "iobench", "needs 4 MB of memory on a node, of which 3 are available")


def test_iobench_needs_an_extension_that_it_can_draw(folder, capsys):
    pytest.importorskip("matplotlib")
    require_refusal(iobench.main(["--plot", "a.doc"]), capsys, "iobench", "extension")
    require_refusal(iobench.main(["--plot", "empty"]), capsys, "iobench", "is a folder")


@pytest.mark.parametrize("argument", ["--all", "folder"])
def test_check(capsys, monkeypatch, argument):
    monkeypatch.setattr(sys, "argv", ["check", argument])
    require_refusal(check.main(), capsys, "check", f"unrecognized arguments: {argument}")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("", "a script is missing"),
        ("--", "a script is missing"),
        ("none.py", "script none.py: does not exist"),
        ("empty", "script empty: is a folder without __main__.py"),
        ("--archive none.tar file", "none.tar: No such file or directory"),
        ("--archive file --into into file", "--archive file: is not an archive that --pack wrote"),
        ("--archive file --into /proc/none file", "/proc/none: "),
        ("--archive file --into file file", "file"),
        ("--pack none/a.tar", "none/a.tar.tmp: No such file or directory"),
        ("--pack", "--pack: expected one argument"),
        ("--unpack file", "unrecognized arguments: --unpack"),
    ],
)
def test_stage(folder, capsys, arguments, text):
    with pytest.raises(SystemExit) as ended:
        stage.main(arguments.split())
    require_refusal(ended.value.code, capsys, "stage", text)


def test_an_error_of_one_rank_alone_is_not_swallowed():
    from dolmen import _command

    if dm.world.size == 1:
        return

    def run():
        if first:
            raise OSError("of rank 0 alone")
        return 0

    if first:
        with pytest.raises(OSError, match="alone"):
            _command.complete("test", run)
    else:
        assert _command.complete("test", run) == 0
