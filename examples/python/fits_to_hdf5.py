#!/usr/bin/env python3
"""Convert FITS tables to HDF5, one file each, by the farm.

    python fits_to_hdf5.py                       # make 300 small tables and convert them
    python fits_to_hdf5.py FOLDER                # convert the tables in a folder
    mpirun -n 64 python -m mpi4py.futures fits_to_hdf5.py FOLDER    # the same in a batch job

Kill it at any moment and start it again: it converts what is missing, and at the end compares every column of every file.
The files go to FOLDER/hdf5, the journal is FOLDER/convert.jsonl.
"""
import argparse
import os
import pathlib
import sys

import h5py
import numpy as np
from astropy.io import fits

from dolmen import farm


def convert(path: pathlib.Path) -> str:
    """Convert the tables of a FITS file; return the name of the HDF5 file."""
    target = path.parent / "hdf5" / f"{path.stem}.h5"
    # Written under another name and renamed: a file with its own name is whole, even if this process is killed.
    part = target.with_suffix(f".part{os.getpid()}")
    with fits.open(path) as tables, h5py.File(part, "w") as file:
        for table in tables[1:]:
            group = file.create_group(table.name)
            for column in table.columns:
                data = np.asarray(table.data[column.name])
                # FITS is big-endian; HDF5 gets the order of this machine.
                dataset = group.create_dataset(column.name, data=data.astype(data.dtype.newbyteorder("=")))
                if column.unit:
                    dataset.attrs["units"] = column.unit
    part.rename(target)
    return str(target)


def make_tables(folder: pathlib.Path, count: int) -> None:
    """Write small FITS tables as a telescope might."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        path = folder / f"scan{number:04d}.fits"
        if path.exists():
            continue
        rng = np.random.default_rng(number)
        time = fits.Column(name="TIME", format="D", unit="s", array=np.arange(1000) / 50)
        signal = fits.Column(name="SIGNAL", format="E", unit="K", array=rng.standard_normal(1000))
        flag = fits.Column(name="FLAG", format="B", array=rng.integers(0, 2, 1000))
        part = path.with_suffix(".part")
        fits.BinTableHDU.from_columns([time, signal, flag], name="SCAN").writeto(part, overwrite=True)
        part.rename(path)


def is_same(path: pathlib.Path, target: str) -> bool:
    """Compare every column of two files."""
    with fits.open(path) as tables, h5py.File(target) as file:
        return all(
            np.array_equal(table.data[name], file[table.name][name][...]) for table in tables[1:] for name in table.columns.names)


def main() -> int:
    parser = argparse.ArgumentParser(description="Convert FITS tables to HDF5; resumes after an interruption.")
    parser.add_argument("folder", nargs="?", type=pathlib.Path, help="folder with *.fits (default: scans, filled with small tables)")
    parser.add_argument("--count", type=int, default=300, help="number of tables to make if no folder is given (default: 300)")
    options = parser.parse_args()
    folder = options.folder or pathlib.Path("scans")
    (folder / "hdf5").mkdir(parents=True, exist_ok=True)
    if options.folder is None:
        make_tables(folder, options.count)
    files = sorted(folder.glob("*.fits"))
    report = farm.map(convert, files, journal=folder / "convert.jsonl")
    print(report)
    converted = [(path, target) for path, target in zip(files, report) if not isinstance(target, farm.Failure)]
    wrong = [path for path, target in converted if not is_same(path, target)]
    for path in wrong:
        print(f"{path} differs from its HDF5 file; delete the journal and convert it again")
    if not report.ok or wrong:
        return 1
    print(f"OK: {len(files)} files have the same columns in FITS and HDF5")
    return 0


if __name__ == "__main__":
    sys.exit(main())
