"""SciPy's own tests of its solvers hold for `dolmen.linalg`.

They are those of the interpreter's SciPy, or of that of the Python program ``DOLMEN_SCIPY_PYTHON``.
"""

import os
import subprocess
import sys

import pytest
from launch import ROOT

SUITE = ROOT / "tests" / "python" / "scipy_suite.py"
#: Exit code of the suite for a SciPy with other signatures.
TOO_OLD = 2


def test_scipys_own_tests():
    python = os.environ.get("DOLMEN_SCIPY_PYTHON", sys.executable)
    ended = subprocess.run([python, SUITE], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
    if ended.returncode == TOO_OLD:
        pytest.skip(f"{ended.stdout.strip()}, or name a Python program that has it in DOLMEN_SCIPY_PYTHON")
    assert ended.returncode == 0, ended.stdout
