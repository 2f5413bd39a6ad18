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
from typing import Any

#: Bytes of one message.
_PIECE = 64 << 20
#: Name of the file in the archive that has the paths of the folders.
_LIST = "folders"
#: What is not needed to run.
_LEFT_OUT = ("test", "tests", "idlelib", "turtledemo", "ensurepip")


def main(arguments: list[str] | None = None) -> None:
    """Pack an environment, or run a script from one."""
    from . import _command

    options = argparse.Namespace(place="")
    # Registered before MPI starts: it runs after MPI has ended on all ranks.
    atexit.register(_remove, options)
    code = _command.complete("stage", lambda: _prepare(arguments, options))
    if code:
        sys.exit(code)
    if options.pack is not None:
        return
    sys.argv = [options.script, *options.arguments]
    sys.path.insert(0, os.path.dirname(os.path.abspath(options.script)))
    runpy.run_path(options.script, run_name="__main__")


def _prepare(arguments: list[str] | None, options: argparse.Namespace) -> int:
    """Parse the arguments; pack the installation, or import modules from the staged one from now on."""
    from . import _command

    parser = _command.Parser(prog="python -m dolmen.stage", usage="%(prog)s [options] [--] SCRIPT [ARGUMENTS]", allow_abbrev=False)
    parser.add_argument("--pack", metavar="FILE", help="write the archive of this installation and end")
    parser.add_argument("--archive", metavar="FILE", help="an archive that --pack wrote; made anew by default")
    parser.add_argument("--into", default="/dev/shm", metavar="FOLDER", help="folder of each node for it [default: %(default)s]")
    parser.add_argument("script", nargs="?")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    parser.parse_args(arguments, options)
    if options.script == "--":
        options.script, options.arguments = (options.arguments or [None])[0], options.arguments[1:]
    if options.pack is not None:
        _command.first(lambda: _pack(options.pack))
        return 0
    if options.script is None:
        parser.error("a script is missing")
    _command.first(lambda: _require_script(options.script))
    _import_from(_staged(options))
    return 0


def _remove(options: argparse.Namespace) -> None:
    """Remove what this rank unpacked."""
    if options.place:
        shutil.rmtree(options.place, ignore_errors=True)


def _require_script(script: str) -> None:
    from . import _command

    if not os.path.exists(script):
        raise _command.UsageError(f"script {script}: does not exist")
    if os.path.isdir(script) and not os.path.isfile(os.path.join(script, "__main__.py")):
        raise _command.UsageError(f"script {script}: is a folder without __main__.py; give a file")


def _pack(path: str) -> None:
    """Write the archive of the installation; a file of that name is replaced when all is written."""
    beside = f"{path}.tmp"
    with open(beside, "wb") as file:
        file.write(_archive())
    os.replace(beside, path)


def _folders() -> list[str]:
    """Return the folders from which modules are imported, without that of the script."""
    return [os.path.realpath(path) for path in sys.path if path and os.path.isdir(path)]


def _archive() -> bytes:
    """Return the archive: the folders of modules, by their numbers, and the list of their paths."""
    packed = io.BytesIO()
    folders = _folders()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        names = "\n".join(folders).encode()
        entry = tarfile.TarInfo(_LIST)
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
    import dolmen as dm

    world = dm.world
    node = world.split_shared()
    leaders = world.split(0 if node.rank == 0 else None)
    folder = world.broadcast(os.path.join(options.into, f"dolmen-{os.getuid()}-{os.getpid()}") if world.rank == 0 else None)
    # A failure of a leader is one of all ranks.
    with world.agreeing():
        if leaders is not None:
            options.place = folder
            _unpack(options.archive, folder, leaders)
    node.barrier()
    return str(folder)


def _unpack(path: str | None, folder: str, leaders: Any) -> None:
    """Read or make the archive on the first rank of `leaders`, and unpack it in a new folder on each."""
    from . import _command

    with leaders.agreeing():
        data = b""
        os.makedirs(folder)
        if leaders.rank == 0:
            if path is None:
                data = _archive()
            else:
                with open(path, "rb") as file:
                    data = file.read()
    count = leaders.broadcast(-(-len(data) // _PIECE))
    mine = _pieces(data)
    received = io.BytesIO()
    for _ in range(count):
        received.write(leaders._native.broadcast(0, next(mine) if leaders.rank == 0 else b""))
    received.seek(0)
    with leaders.agreeing():
        try:
            with tarfile.open(fileobj=received) as archive:
                archive.extractall(folder, numeric_owner=True)
            if not os.path.isfile(os.path.join(folder, _LIST)):
                raise tarfile.ReadError
        except tarfile.TarError:
            raise _command.UsageError(f"--archive {path}: is not an archive that --pack wrote; write it anew") from None


def _import_from(folder: str) -> None:
    """Let modules that are not loaded yet come from the unpacked archive."""
    with open(os.path.join(folder, _LIST)) as file:
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
