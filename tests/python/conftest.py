"""Tests of the Python module.

The tests in `distributed` work on any number of ranks. `test_ranks.py` starts them under mpirun; without it they run here, on
one.
"""

import pathlib
import signal
import sys

import pytest

# Where the tests run in the background of a shell, Ctrl-C is ignored, also by the programs that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path.insert(0, str(pathlib.Path(__file__).parent))


@pytest.fixture
def in_folder(tmp_path, monkeypatch):
    """A folder of its own as the working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
