"""The files that the commands in the pages name: `make` writes them to a folder, small."""

import gzip
import os
import pathlib
import re
import shutil
import subprocess
import sys

import h5py
import numpy as np
import scipy.io
import scipy.sparse
from launch import ROOT, clean_environment

DATA = ROOT / "tests" / "data"
#: As the scripts choose it: scripts/flavour.sh.
PROGRAMS = ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "debug"
#: One process, or those of one machine, need no network, and to look for it takes half of their time: scripts/mpirun.sh.
WITHOUT_NETWORK = {"OMPI_MCA_pml": "ob1", "OMPI_MCA_btl": "self,vader", "OMPI_MCA_osc": "^ucx"}

CONVERT = """
import pathlib
import subprocess

def to_hdf5(path):
    subprocess.run(["dolmen", "convert", path, str(pathlib.Path(path).with_suffix(".h5"))], check=True)
"""


def program(name):
    """Return the path of a program of the test build."""
    path = PROGRAMS / name
    assert path.exists(), f"{path} is missing: cargo build --workspace --bin {name}"
    return path


def make_matrices(folder):
    shutil.copy(DATA / "poisson.mtx", folder / "A.mtx")
    rows = scipy.io.mminfo(folder / "A.mtx")[0]
    scipy.io.mmwrite(folder / "M.mtx", scipy.sparse.diags(np.linspace(1, 2, rows)), symmetry="symmetric")
    # Positive definite, and not diagonally dominant, as the stiffness of a plate is.
    plate = scipy.sparse.diags([1.0, -4.0, 6.0, -4.0, 1.0], [-2, -1, 0, 1, 2], shape=(50, 50))
    scipy.io.mmwrite(folder / "plate.mtx", plate, symmetry="symmetric")
    pack(folder / "plate.mtx", folder / "bcsstk09.mtx.gz")
    pack(DATA / "convection.mtx", folder / "fuego0.mtx.gz")
    shutil.copy(DATA / "poisson.h5", folder / "system.h5")
    with h5py.File(folder / "system.h5", "a") as file:
        file.attrs["dolmen_schema"] = 1


def make_long_solve(path):
    """Write a matrix for which CG without preconditioner takes most of a minute."""
    scipy.io.mmwrite(path, scipy.sparse.diags([-1.0, 2.0, -1.0], [-1, 0, 1], shape=(40_000, 40_000)), symmetry="symmetric")


def pack(path, packed):
    packed.write_bytes(gzip.compress(path.read_bytes()))


def environment(**more):
    return clean_environment(**WITHOUT_NETWORK, **more)


def start(folder, name, *arguments):
    subprocess.run([program(name), *arguments], cwd=folder, env=environment(), stdout=subprocess.DEVNULL, check=True)


def make_tables(folder):
    np.save(folder / "t.npy", np.linspace(0.0, 1.0, 12))
    (folder / "data").mkdir()
    for target in ("map.fits::TEMPERATURE", "data/1.fits", "data/2.fits"):
        start(folder, "dolmen", "convert", "t.npy", target)
    (folder / "convert.py").write_text(CONVERT)
    (folder / "list.txt").write_text("data/1.fits\ndata/2.fits\n")


def make_timelines(folder):
    """The demo's scan for a quarter of an hour, its sky and its maps; without pictures, which take most of the time."""
    text = (ROOT / "examples" / "mapmaker" / "demo.toml").read_text()
    for key, value in [("hours", "0.25"), ("nside", "4"), ("sky_nside", "4")]:
        text = re.sub(rf"^{key} = .*", f"{key} = {value}", text, flags=re.MULTILINE)
    text = text.replace("[output]", "[output]\npictures = false")
    demo = folder / "examples" / "mapmaker" / "demo.toml"
    demo.parent.mkdir(parents=True)
    demo.write_text(text)
    (folder / "config.toml").write_text(text.replace("../../out/demo/", "").replace("../../out/demo", "out"))
    start(folder, "mapmaker", "simulate", "config.toml")
    start(folder, "mapmaker", "run", "config.toml", "--quiet")
    shutil.copy(folder / "tod_sky.fits", folder / "sky.fits")
    (folder / "out" / "demo").mkdir()
    for name in ("tod.h5", "tod_sky.fits"):
        shutil.copy(folder / name, folder / "out" / "demo")


def make_tables_of_timelines(folder):
    """FITS tables of two days of two detectors, and an observation as TOAST saves it."""
    from astropy import units
    from astropy.io import fits
    from astropy.io.misc.hdf5 import write_table_hdf5
    from astropy.table import QTable

    random = np.random.default_rng(1)
    for name in ("day1.fits", "day2.fits"):
        tables = [fits.PrimaryHDU()]
        for detector in ("LFI-27M", "LFI-28M"):
            values = {"THETA": random.uniform(0, 3, 100), "PHI": random.uniform(0, 6, 100), "PSI": random.uniform(0, 3, 100), "TSKY": random.normal(size=100)}
            columns = [fits.Column(name=column, format="E", unit="mK" if column == "TSKY" else "rad", array=array) for column, array in values.items()]
            tables.append(fits.BinTableHDU.from_columns(columns, name=detector))
            tables[-1].header.update({"FSAMP": 32.5, "FKNEE": 0.05, "ALPHA": 1.7})
        fits.HDUList(tables).writeto(folder / name)
    (folder / "toast").mkdir()
    noise = {"psd_net": [1e-3] * units.K * units.s**0.5, "psd_fknee": [0.1] * units.Hz, "psd_fmin": [1e-5] * units.Hz, "psd_alpha": [1.0]}
    with h5py.File(folder / "toast" / "scan.h5", "w") as file:
        file.attrs.update({"toast_format_version": 2, "observation_name": "scan", "observation_detectors": '["D0"]'})
        table = QTable({"name": ["D0"], "quat": [[0.0, 0.0, 0.0, 1.0]], **noise})
        write_table_hdf5(table, file.create_group("instrument"), path="focalplane", serialize_meta=True)
        file["shared/times"] = np.arange(100) / 10.0
        file["shared/boresight_radec"] = np.tile([0.0, 0.0, 0.0, 1.0], (100, 1))
        file["detdata/signal"] = random.normal(size=(1, 100))
        file["detdata/signal"].attrs["units"] = "K"


def make_programs(folder):
    """The programs where the pages look for them: in `bin`, which is on PATH, and in the folders of builds."""
    for place in ("bin", "target/release"):
        (folder / place).mkdir(parents=True)
        for name in ("dolmen", "mapmaker"):
            (folder / place / name).symlink_to(program(name))
    for place in ("bin", "out/venv/bin"):
        (folder / place).mkdir(parents=True, exist_ok=True)
        python = folder / place / "python"
        # Not a link, from which Python would not find its packages.
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        python.chmod(0o755)
    for name in ("python", "dolmen"):
        (folder / "examples" / name).symlink_to(ROOT / "examples" / name)
    shutil.copy(ROOT / "examples" / "python" / "poisson.py", folder)


def make(folder: pathlib.Path):
    """Write all files that the pages name."""
    make_matrices(folder)
    make_tables(folder)
    make_timelines(folder)
    make_tables_of_timelines(folder)
    make_programs(folder)
