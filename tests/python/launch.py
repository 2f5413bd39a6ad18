"""Start Python programs on several ranks, for tests."""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def mpirun(ranks, *arguments, cwd=None, timeout=120, environment=None):
    """Run ``python ARGUMENTS`` on `ranks` ranks; return the finished process with its output as text."""
    command = [str(ROOT / "scripts" / "mpirun.sh"), "-n", str(ranks), sys.executable, *map(str, arguments)]
    # Not the environment of a launcher that this process itself may have been started by.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OMPI_", "PMIX_", "PMI_"))}
    inherited.update(environment or {})
    process = subprocess.Popen(
        command, cwd=cwd, env=inherited, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
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
