"""A Python solve that is killed at random moments and resumed on other numbers of ranks has the bits of one that was not."""

import contextlib
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile

import pytest
from launch import ROOT, clean_environment, memory, mpirun

PROGRAM = """
import sys
import numpy as np
import dolmen as dm

n = 100_000
A = dm.CsrMatrix.from_diagonals([-1.0, 2.0002, -1.0], [-1, 0, 1], n)
x, report = dm.solve(
    A, dm.random(n, 1), method="cg", preconditioner="none", rtol=1e-11, checkpoint="ck", every=0.05, resume=True,
    snapshot_every=20, snapshots=lambda snapshot: None,
)
report.require_converged()
whole = x.gather(0)
if dm.world.rank == 0:
    np.save("x.npy", whole)
    print("iterations", report.iterations)
"""


def kill_ranks(script):
    """Kill the processes of Python that run a script."""
    wanted = f"{sys.executable}\0{script}\0".encode()
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "cmdline").read_bytes() == wanted:
                os.kill(int(process.name), signal.SIGKILL)


@pytest.fixture
def in_memory():
    """A folder in which a checkpoint does not wait for the disk: what is killed here is the program, not the machine."""
    with tempfile.TemporaryDirectory(dir=memory()) as folder:
        yield pathlib.Path(folder)


def test_killed_and_resumed_on_other_ranks(in_memory):
    draw = random.Random(7)
    kills = int(os.environ.get("DOLMEN_KILLS", "3"))
    (in_memory / "solve.py").write_text(PROGRAM)
    undisturbed = in_memory / "undisturbed"
    undisturbed.mkdir()
    assert mpirun(1, in_memory / "solve.py", cwd=undisturbed).returncode == 0
    killed = 0
    for attempt in range(20 * kills):
        ranks = draw.choice([1, 2, 3])
        command = [str(ROOT / "scripts" / "mpirun.sh"), "-n", str(ranks), sys.executable, str(in_memory / "solve.py")]
        process = subprocess.Popen(
            command, cwd=in_memory, env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )
        if killed < kills:
            try:
                process.wait(draw.uniform(0.6, 2.5))
            except subprocess.TimeoutExpired:
                # After the ranks the launcher ends.
                kill_ranks(in_memory / "solve.py")
                process.communicate(timeout=60)
                killed += 1
                continue
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0, output
        if killed >= kills:
            break
        # It converged before it could be killed: once more from the beginning.
        for path in (in_memory / "ck").iterdir():
            path.unlink()
    assert killed == kills
    assert (in_memory / "x.npy").read_bytes() == (undisturbed / "x.npy").read_bytes()
