"""Programs that the tests of the farm start."""

import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]


def start_python(folder, *arguments, ranks=None, wait=True, **options):
    """Start Python in a folder, with the test functions in its path, and wait for its end unless told otherwise."""
    launcher = [str(ROOT / "scripts/mpirun.sh"), "-n", str(ranks)] if ranks else []
    command = [*launcher, sys.executable, *map(str, arguments)]
    paths = [str(HERE), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    options = {"cwd": folder, "env": environment, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
    return subprocess.run(command, timeout=60, **options) if wait else subprocess.Popen(command, **options)
