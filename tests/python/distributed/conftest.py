"""Each test runs on all ranks together; if it fails on one, it fails on all."""

import shutil
import tempfile

import pytest

import dolmen as dm


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    with dm.world.agreeing():
        pyfuncitem.obj(**arguments)
    return True


@pytest.fixture
def in_shared_folder(monkeypatch):
    """One folder for all ranks, as the working directory."""
    folder = dm.world.broadcast(tempfile.mkdtemp() if dm.world.rank == 0 else None)
    monkeypatch.chdir(folder)
    yield folder
    dm.world.barrier()
    if dm.world.rank == 0:
        shutil.rmtree(folder, ignore_errors=True)
