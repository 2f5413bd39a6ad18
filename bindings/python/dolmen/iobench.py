"""``python -m dolmen.iobench``: how fast this file system is, and with which chunks and stripes.

Writes and reads a vector and a table of timelines in one shared HDF5 file, contiguous, chunked and compressed, over stripe counts
where ``lfs`` is there, and prints a table in MB/s. ``--plot FILE.png`` draws it.
"""

from __future__ import annotations

import argparse
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import dolmen as dm
from dolmen import _command


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark and print the table on rank 0."""
    return _command.complete("iobench", lambda: _run(arguments))


def _run(arguments: list[str] | None) -> int:
    positive, count = _command.positive, _command.count
    parser = _command.Parser(prog="python -m dolmen.iobench", description=(__doc__ or "").split("\n\n")[1], allow_abbrev=False)
    parser.add_argument("--megabytes", type=positive, default=64.0, help="size of each dataset, over all ranks [default: %(default)s]")
    parser.add_argument("--repeat", type=count, default=3, help="number of times, of which the best is shown [default: %(default)s]")
    parser.add_argument("--stripes", type=count, nargs="+", default=[], help="stripe counts to try on Lustre")
    parser.add_argument("--folder", default=".", help="folder on the file system to measure [default: %(default)s]")
    parser.add_argument("--plot", metavar="FILE", help="picture to draw (needs matplotlib)")
    options = parser.parse_args(arguments)
    _command.first(lambda: _require_places(options))
    _require_memory(options.megabytes)
    rows = [row for stripes in (options.stripes or [None]) for row in _measure(options, stripes)]
    if dm.world.rank == 0:
        print(f"{dm.world.size} rank(s), {options.megabytes:g} MB a dataset, best of {options.repeat}, MB/s")
        print(f"{'stripes':>8} {'layout':<24} {'write':>9} {'read':>9}")
        for stripes, name, write, read in rows:
            print(f"{stripes or '-':>8} {name:<24} {write:9.0f} {read:9.0f}")
        if options.plot:
            _plot(rows, options.plot)
    return 0


def _require_places(options: argparse.Namespace) -> None:
    """Refuse a folder or a picture that cannot be written, and a file system that is too full."""
    _command.require_folder(options.folder, "--folder")
    free = shutil.disk_usage(options.folder).free / 1e6
    # The file of the last turn stays until that of the next has its name.
    if free < 2 * options.megabytes:
        raise _command.UsageError(
            f"--megabytes {options.megabytes:g}: needs {2 * options.megabytes:.0f} MB in {options.folder}, of which {free:.0f} are free; give less"
        )
    if options.plot is not None:
        _command.require_folder(os.path.dirname(options.plot) or ".", "--plot: the folder")
        if os.path.isdir(options.plot):
            raise _command.UsageError(f"--plot {options.plot}: is a folder; give a file")
        try:
            from matplotlib.backends.backend_agg import FigureCanvasAgg
        except ImportError:
            raise _command.UsageError("--plot needs matplotlib: pip install matplotlib") from None
        known = FigureCanvasAgg.filetypes
        if os.path.splitext(options.plot)[1][1:].lower() not in known:
            raise _command.UsageError(f"--plot {options.plot}: the extension is not one of {', '.join(sorted(known))}")


def _require_memory(megabytes: float) -> None:
    """Refuse data that a node cannot hold. Collective."""
    # A vector and a table, each written and read.
    needed = 4 * megabytes * dm.world.split_shared().size / dm.world.size
    with dm.world.agreeing():
        available = _available_memory()
        if needed > available:
            raise _command.UsageError(
                f"--megabytes {megabytes:g}: needs {needed:.0f} MB of memory on a node, of which {available:.0f} are available; "
                "give less, or run on more nodes"
            )


def _available_memory() -> float:
    """Return the memory of this node that is available, in MB; infinity if the system does not tell."""
    try:
        with open("/proc/meminfo") as file:
            return next(float(line.split()[1]) * 1.024e-3 for line in file if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return math.inf


def _measure(options: argparse.Namespace, stripes: int | None) -> list[tuple[int | None, str, float, float]]:
    folder = _command.first(lambda: _new_folder(options.folder, stripes))
    length = max(1, int(options.megabytes * 1e6 / 8))
    vector = dm.random(length, 1)
    detectors = 8
    samples = max(1, length // detectors)
    layout = dm.Layout(samples)
    own = layout.range
    table = np.random.default_rng(dm.world.rank).standard_normal((detectors, len(own)))

    def write_vector(path: str, **storage: Any) -> None:
        with dm.File(path, "w") as file:
            file.write("x", vector, **storage)

    def read_vector(path: str) -> None:
        with dm.File(path) as file:
            file["x"].read(vector.layout)

    def write_table(path: str, **storage: Any) -> None:
        with dm.File(path, "w") as file:
            file.create_dataset("tod", (detectors, samples), **storage)[:, own.start : own.stop] = table

    def read_table(path: str) -> None:
        with dm.File(path) as file:
            file["tod"][:, own.start : own.stop]

    chunk = min(samples, 1 << 17)
    cases: list[tuple[str, Callable[..., None], Callable[[str], None], dict[str, Any]]] = [
        ("vector, contiguous", write_vector, read_vector, {}),
        ("vector, chunks", write_vector, read_vector, {"chunks": [min(length, 1 << 17)]}),
        ("timelines, contiguous", write_table, read_table, {}),
        ("timelines, chunks", write_table, read_table, {"chunks": [1, chunk]}),
        ("timelines, gzip 1", write_table, read_table, {"chunks": [1, chunk], "compression": 1}),
    ]
    rows = []
    for name, write, read, storage in cases:
        path = os.path.join(folder, "bench.h5")
        size = 8 * (length if name.startswith("vector") else detectors * samples) / 1e6
        written = size / _best(options.repeat, lambda: write(path, **storage))
        rows.append((stripes, name, written, size / _best(options.repeat, lambda: read(path))))
    dm.world.barrier()
    if dm.world.rank == 0:
        shutil.rmtree(folder)
    return rows


def _best(repeat: int, action: Callable[[], None]) -> float:
    """Return the shortest time of the slowest rank."""
    times = []
    for _ in range(repeat):
        dm.world.barrier()
        start = time.perf_counter()
        action()
        times.append(dm.world.max(time.perf_counter() - start))
    return min(times)


def _new_folder(parent: str, stripes: int | None) -> str:
    folder = tempfile.mkdtemp(prefix="iobench-", dir=parent)
    if stripes is not None:
        try:
            subprocess.run(["lfs", "setstripe", "-c", str(stripes), folder], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            shutil.rmtree(folder)
            raise _command.UsageError("--stripes needs Lustre and its command lfs; leave it out elsewhere") from None
    return folder


def _plot(rows: list[tuple[int | None, str, float, float]], path: str) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
    places = np.arange(len(rows))
    axes.barh(places - 0.2, [row[2] for row in rows], 0.4, label="write")
    axes.barh(places + 0.2, [row[3] for row in rows], 0.4, label="read")
    axes.set_yticks(places, [f"{name}" + (f", {stripes} stripes" if stripes else "") for stripes, name, _, _ in rows])
    axes.invert_yaxis()
    axes.set_xlabel("MB/s")
    axes.set_title(f"One shared HDF5 file, {dm.world.size} rank(s)")
    axes.legend()
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    sys.exit(main())
