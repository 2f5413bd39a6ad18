"""Start Python programs on several ranks, for tests."""

import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def memory():
    """Return a folder in memory that has a gigabyte to spare, for files that are synced often; None if there is none."""
    folder = "/dev/shm"
    return folder if os.access(folder, os.W_OK) and shutil.disk_usage(folder).free > 1 << 30 else None


def clean_environment(**more):
    """Return the environment without what a launcher, or MPI in this process, has put there.

    Nor with PYTHONUNBUFFERED, which writes each argument of a print by itself: the lines of ranks would run into each other.
    """
    left_out = ("OMPI_", "PMIX_", "PMI_", "PYTHONUNBUFFERED")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    return {**inherited, **more}


def mpirun(ranks, *arguments, cwd=None, timeout=120, environment=None, under=()):
    """Run ``python ARGUMENTS`` on `ranks` ranks, each by the program `under`; return the finished process with its output as text."""
    command = [str(ROOT / "scripts" / "mpirun.sh"), "-n", str(ranks), *map(str, [*under, sys.executable, *arguments])]
    process = subprocess.Popen(
        command, cwd=cwd, env=clean_environment(**(environment or {})), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )
    try:
        output, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 15)
        try:
            output, _ = process.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            output, _ = process.communicate()
        raise AssertionError(f"{command} did not end within {timeout} s:\n{output}") from None
    return subprocess.CompletedProcess(command, process.returncode, output)
