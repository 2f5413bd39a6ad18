"""Tests of the Python module.

The tests in `distributed` work on any number of ranks. `test_ranks.py` starts them under mpirun; without it they run here, on
one.
"""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))


@pytest.fixture
def in_folder(tmp_path, monkeypatch):
    """A folder of its own as the working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
