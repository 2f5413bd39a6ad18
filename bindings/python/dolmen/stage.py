"""``python -m dolmen.stage -- SCRIPT``: start Python on many ranks without each of them reading the installation.

A thousand ranks that import NumPy open hundreds of thousands of files on the shared file system, which can take minutes. Here rank 0 reads
the installation once, as one archive; MPI brings it to the first rank of each node, which unpacks it in memory (``/dev/shm``), and all
ranks import from there. This is the idea of python-mpi-bcast (NERSC).

Every rank still opens what Python itself and this module need before MPI runs. To read one file instead of many on rank 0 too, pack
it beforehand::

    python -m dolmen.stage --pack environment.tar
    mpirun -n 1024 python -m dolmen.stage --archive environment.tar -- script.py ARGUMENTS
"""

from __future__ import annotations

import argparse
import atexit
import importlib
import io
import os
import runpy
import shutil
import sys
import tarfile
from collections.abc import Iterator

#: Bytes of one message.
_PIECE = 64 << 20
#: What is not needed to run.
_LEFT_OUT = ("test", "tests", "idlelib", "turtledemo", "ensurepip")


def main(arguments: list[str] | None = None) -> None:
    """Pack an environment, or run a script from one."""
    parser = argparse.ArgumentParser(prog="python -m dolmen.stage", usage="%(prog)s [options] [--] SCRIPT [ARGUMENTS]")
    parser.add_argument("--pack", metavar="FILE", help="write the archive of this installation and end")
    parser.add_argument("--archive", metavar="FILE", help="an archive that --pack wrote; made anew by default")
    parser.add_argument("--into", default="/dev/shm", metavar="FOLDER", help="folder of each node for it [default: %(default)s]")
    parser.add_argument("script", nargs="?")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    options = parser.parse_args(arguments)
    if options.pack:
        with open(options.pack, "wb") as file:
            file.write(_archive())
        return
    if options.script is None:
        parser.error("a script is missing")
    script, given = options.script, options.arguments
    if script == "--":
        script, given = given[0], given[1:]
    _import_from(_staged(options))
    sys.argv = [script, *given]
    sys.path.insert(0, os.path.dirname(os.path.abspath(script)))
    runpy.run_path(script, run_name="__main__")


def _folders() -> list[str]:
    """Return the folders from which modules are imported, without that of the script."""
    return [os.path.realpath(path) for path in sys.path if path and os.path.isdir(path)]


def _archive() -> bytes:
    """Return the archive: the folders of modules, by their numbers, and the list of their paths."""
    packed = io.BytesIO()
    folders = _folders()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        names = "\n".join(folders).encode()
        entry = tarfile.TarInfo("folders")
        entry.size = len(names)
        archive.addfile(entry, io.BytesIO(names))
        for number, folder in enumerate(folders):
            archive.add(folder, arcname=str(number), filter=lambda entry, folder=folder: _kept(entry, folder, folders))  # type: ignore[misc]
    return packed.getvalue()


def _kept(entry: tarfile.TarInfo, folder: str, folders: list[str]) -> tarfile.TarInfo | None:
    parts = entry.name.split("/")[1:]
    path = os.path.join(folder, *parts)
    # A folder of modules inside another one is packed once, as its own.
    if any(part in _LEFT_OUT for part in parts) or (parts and path in folders):
        return None
    return entry if entry.isdir() or entry.isfile() or entry.issym() else None


def _pieces(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), _PIECE):
        yield data[start : start + _PIECE]


def _staged(options: argparse.Namespace) -> str:
    """Bring the archive to every node and return the folder in which it was unpacked."""
    place = ""

    def remove() -> None:
        if place:
            shutil.rmtree(place, ignore_errors=True)

    # Before MPI starts, so that it runs after MPI has ended on all ranks.
    atexit.register(remove)
    import dolmen as dm

    world = dm.world
    node = world.split_shared()
    leaders = world.split(0 if node.rank == 0 else None)
    folder = world.broadcast(os.path.join(options.into, f"dolmen-{os.getuid()}-{os.getpid()}") if world.rank == 0 else None)
    if leaders is not None:
        with leaders.agreeing():
            data = b""
            if leaders.rank == 0:
                if options.archive:
                    with open(options.archive, "rb") as file:
                        data = file.read()
                else:
                    data = _archive()
            os.makedirs(folder)
            place = folder
        count = leaders.broadcast(-(-len(data) // _PIECE))
        mine = _pieces(data)
        received = io.BytesIO()
        for _ in range(count):
            received.write(leaders._native.broadcast(0, next(mine) if leaders.rank == 0 else b""))
        received.seek(0)
        with leaders.agreeing():
            with tarfile.open(fileobj=received) as archive:
                archive.extractall(folder)
    node.barrier()
    return str(folder)


def _import_from(folder: str) -> None:
    """Let modules that are not loaded yet come from the unpacked archive."""
    with open(os.path.join(folder, "folders")) as file:
        staged = {path: os.path.join(folder, str(number)) for number, path in enumerate(file.read().split("\n"))}

    def moved(path: str) -> str:
        real = os.path.realpath(path) if path else path
        for source in sorted(staged, key=len, reverse=True):
            if real == source or real.startswith(source + os.sep):
                return staged[source] + real[len(source) :]
        return path

    sys.path[:] = [moved(path) for path in sys.path]
    sys.dont_write_bytecode = True
    for module in list(sys.modules.values()):
        paths = getattr(module, "__path__", None)
        if isinstance(paths, list):
            module.__path__ = [moved(path) for path in paths]
    sys.path_importer_cache.clear()
    importlib.invalidate_caches()


if __name__ == "__main__":
    main()
