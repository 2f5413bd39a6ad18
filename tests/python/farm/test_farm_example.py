"""The example that converts FITS files, killed and resumed."""

import signal

import pytest
from farm_processes import ROOT

EXAMPLE = ROOT / "examples/python/fits_to_hdf5.py"


def test_the_conversion_is_killed_and_resumed(tmp_path, python):
    for module in ("astropy.io.fits", "h5py"):
        pytest.importorskip(module)
    journal = tmp_path / "scans/convert.jsonl"
    killed = python(EXAMPLE, "--count", 80, wait=False)
    while not journal.exists() or journal.read_bytes().count(b"\n") < 4:
        assert killed.poll() is None, killed.communicate()
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    finished = journal.read_bytes().count(b"\n") - 1
    assert 3 <= finished < 80
    resumed = python(EXAMPLE, "--count", 80)
    assert resumed.returncode == 0, resumed.stderr
    assert resumed.stdout.startswith(f"{80 - finished} done, {finished} from the journal, 0 failed in ")
    assert "OK: 80 files have the same columns in FITS and HDF5" in resumed.stdout


def test_the_example_finds_a_wrong_file(tmp_path, python):
    h5py = pytest.importorskip("h5py")
    pytest.importorskip("astropy.io.fits")
    assert python(EXAMPLE, "--count", 3).returncode == 0
    with h5py.File(tmp_path / "scans/hdf5/scan0001.h5", "r+") as file:
        file["SCAN/SIGNAL"][7] += 1
    ended = python(EXAMPLE, "--count", 3)
    assert ended.returncode == 1 and "scan0001.fits differs from its HDF5 file" in ended.stdout
