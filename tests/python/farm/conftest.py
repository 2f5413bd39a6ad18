"""What the tests of the farm share."""

import functools

import pytest
from farm_processes import start_python


@pytest.fixture
def python(tmp_path):
    """Start Python in the temporary folder."""
    return functools.partial(start_python, tmp_path)


@pytest.fixture
def script(tmp_path):
    """Write a script into the temporary folder."""

    def write(text, name="script.py"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write
