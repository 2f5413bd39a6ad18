"""Each test runs on all ranks together; if it fails on one, it fails on all."""

import pathlib
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from launch import memory

import dolmen as dm


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    with dm.world.agreeing():
        pyfuncitem.obj(**arguments)
    return True


@pytest.fixture
def in_shared_folder(monkeypatch):
    """One folder for all ranks, as the working directory, in memory if that is large enough."""
    folder = dm.world.broadcast(tempfile.mkdtemp(dir=memory()) if dm.world.rank == 0 else None)
    monkeypatch.chdir(folder)
    yield folder
    dm.world.barrier()
    if dm.world.rank == 0:
        shutil.rmtree(folder, ignore_errors=True)
