"""Type checkers accept the module and the examples."""

import subprocess
import sys

import pytest
from launch import ROOT


@pytest.mark.parametrize("what", ["bindings/python/dolmen", "examples/python"])
def test_mypy_strict(what):
    pytest.importorskip("mypy")
    command = [sys.executable, "-m", "mypy", "--config-file", ROOT / "bindings" / "pyproject.toml", "--cache-dir", ROOT / "out" / "mypy"]
    # Examples are scripts: types of their own functions are theirs, those of the module are checked.
    loose = ["--allow-untyped-defs", "--allow-untyped-calls", "--explicit-package-bases"] if what.startswith("examples") else []
    checked = subprocess.run(
        [*command, *loose, ROOT / what], capture_output=True, text=True, env={"MYPYPATH": str(ROOT / "bindings" / "python"), "PATH": "/usr/bin:/bin"}
    )
    assert checked.returncode == 0, checked.stdout
