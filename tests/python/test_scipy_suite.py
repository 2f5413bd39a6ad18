"""SciPy's own tests of its solvers hold for `dolmen.linalg`.

They are those of the SciPy of the Python program ``DOLMEN_SCIPY_PYTHON``; by default that of out/venv-scipy, which
`scripts/python-module.sh dev` makes, or of this interpreter.
"""

import os
import subprocess
import sys

import pytest
from launch import ROOT

SUITE = ROOT / "tests" / "python" / "scipy_suite.py"
#: Has a current SciPy, if Python is new enough for it.
CURRENT = ROOT / "out" / "venv-scipy" / "bin" / "python"
#: Exit code of the suite for a SciPy with other signatures.
TOO_OLD = 2


def test_scipys_own_tests():
    python = os.environ.get("DOLMEN_SCIPY_PYTHON") or (CURRENT if CURRENT.exists() else sys.executable)
    ended = subprocess.run([python, SUITE], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
    if ended.returncode == TOO_OLD:
        pytest.skip(f"{ended.stdout.strip()}, or name a Python program that has it in DOLMEN_SCIPY_PYTHON")
    assert ended.returncode == 0, ended.stdout
