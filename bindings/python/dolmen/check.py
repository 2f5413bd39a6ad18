"""``python -m dolmen.check``: does this installation work?

Prints what was found, one line each, and ``OK.`` or what to do. Under mpirun all ranks take part; on one process it starts two
ranks of its own if it finds a launcher.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import Any

import dolmen as dm
from dolmen import _command

#: What is to be done, line by line.
_advice: list[str] = []


def main() -> int:
    """Run all checks; return 0 if nothing is to be done."""
    return _command.complete("check", _run)


def _run() -> int:
    parser = _command.Parser(prog="python -m dolmen.check", description=(__doc__ or "").split("\n\n")[1], allow_abbrev=False)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    inside = parser.parse_args().inside
    comm = dm.world
    found = dm.environment()
    _say("dolmen", f"{dm.__version__}, Python {sys.version.split()[0]}")
    _say("MPI", f"{_line(found['mpi'])}; standard {'.'.join(map(str, found['mpi_standard']))}, {found['thread_level']}")
    _say("ranks", f"{comm.size} on {len(set(comm.all_gather(found['node'])))} node(s)")
    _say("BLAS", f"{_line(found['blas'])}, {found['blas_threads']} thread(s) a rank")
    _say("HDF5", ".".join(map(str, found["hdf5"])) + ", parallel, with the MPI above")
    _say("processor", ", ".join(found["cpu_features"]))
    _mpi4py()
    _try("HDF5 file on all ranks", _file)
    _try("locks of the file system", _lock)
    _stripes()
    _try("a solve", _solve)
    if not inside:
        _files_opened()
        if comm.size == 1:
            _two_ranks()
    if comm.rank == 0:
        print("\n".join(_advice) if _advice else "OK.")
    return 1 if _advice else 0


def _say(name: str, text: str) -> None:
    if dm.world.rank == 0:
        print(f"{name + ':':<26} {text}", flush=True)


def _line(text: str) -> str:
    return text.strip("\0").strip().splitlines()[0]


def _try(name: str, check: Callable[[], str]) -> None:
    try:
        _say(name, check())
    except Exception as error:
        _say(name, f"FAILED: {error}")
        _advice.append(f"{name}: {error}")


def _mpi4py() -> None:
    try:
        import mpi4py
    except ImportError:
        _say("mpi4py", "not installed; needed only to share communicators with it")
        return
    try:
        from mpi4py import MPI

        same = dm.Comm(MPI.COMM_WORLD).size == dm.world.size
        _say("mpi4py", f"{mpi4py.__version__}, the same MPI" if same else "another number of ranks")
    except Exception as error:
        _say("mpi4py", f"FAILED: {error}")
        _advice.append(f"mpi4py: {error}; one built for this MPI: pip install --force-reinstall --no-binary mpi4py mpi4py")


def _folder() -> str:
    folder: str = _command.first(lambda: tempfile.mkdtemp(dir="."))
    return folder


def _file() -> str:
    folder = _folder()
    path = os.path.join(folder, "check.h5")
    layout = dm.Layout(1000)
    x = dm.random(layout, 1)
    try:
        with dm.File(path, "w") as file:
            file["x"] = x
        with dm.File(path) as file:
            back = file["x"].read(layout)
        if dm.norm(back - x) != 0:
            raise RuntimeError("what was read differs from what was written")
    finally:
        _remove(folder)
    return "written and read in the working directory"


def _lock() -> str:
    folder = _folder()
    try:
        with dm.CheckpointStore(folder):
            try:
                dm.CheckpointStore(folder)
            except dm.FileError:
                return "work"
        raise RuntimeError("flock does nothing here: two programs must not share a folder of checkpoints")
    finally:
        _remove(folder)


def _remove(folder: str) -> None:
    dm.world.barrier()
    if dm.world.rank == 0:
        shutil.rmtree(folder, ignore_errors=True)


def _stripes() -> None:
    if dm.world.rank != 0:
        return
    try:
        found = subprocess.run(["lfs", "getstripe", "-c", "."], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        _say("Lustre", "not found")
        return
    count = found.stdout.strip()
    _say("Lustre", f"{count or 'unknown'} stripe(s) in the working directory")
    if count == "1" and dm.world.size > 8:
        _advice.append("Lustre: large files are faster on several stripes: lfs setstripe -c 8 FOLDER")


def _solve() -> str:
    A = dm.CsrMatrix.from_diagonals([-1, 2, -1], [-1, 0, 1], 1000)
    _, report = dm.solve(A, dm.ones(1000), method="cg", preconditioner="ic")
    return str(report.require_converged().outcome)


def _files_opened() -> None:
    """Count the files that ``import dolmen`` opens, by the system calls of a child."""
    if dm.world.rank != 0:
        return
    program = "import sys; before = set(sys.modules); import numpy; n = set(sys.modules); import dolmen; print(len(set(sys.modules) - n))"
    child = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=_without_launcher())
    if child.returncode == 0:
        _say("import dolmen", f"loads {child.stdout.strip()} modules beyond NumPy's")


def _two_ranks() -> None:
    # That of the environment first: it belongs to the MPI of the package mpich.
    beside = os.path.dirname(sys.executable) + os.pathsep + os.environ.get("PATH", os.defpath)
    launcher = next((found for name in ("mpiexec", "mpirun") if (found := shutil.which(name, path=beside))), None)
    if launcher is None:
        _say("two ranks", "no mpiexec or mpirun in PATH; start this check by your launcher")
        return
    command = [launcher, "-n", "2", sys.executable, "-m", "dolmen.check", "--inside"]
    environment = {**_without_launcher(), "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    environment.setdefault("OMPI_MCA_rmaps_base_oversubscribe", "1")
    try:
        child = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    except subprocess.TimeoutExpired:
        _say("two ranks", "FAILED: did not end within 60 s")
        _advice.append(f"two ranks: {' '.join(command)} hangs; is {launcher} the launcher of the MPI above?")
        return
    if child.returncode == 0 and re.search(r"ranks:\s+2 on", child.stdout):
        _say("two ranks", f"talk to each other, started by {launcher}")
        return
    _say("two ranks", "FAILED")
    lines = [line.strip() for line in (child.stderr or child.stdout).splitlines() if line.strip(" -=\n")]
    told = lines[0] if lines else "each rank is alone" if child.returncode == 0 else "no output"
    _advice.append(f"two ranks: {' '.join(command)} failed: {told}; use the launcher of the MPI above")


def _without_launcher() -> dict[str, Any]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("OMPI_", "PMIX_", "PMI_", "PRTE_"))}


if __name__ == "__main__":
    sys.exit(main())
