"""``python -m dolmen.check``, ``dolmen.iobench`` and ``dolmen.stage``."""

import os
import re
import subprocess
import sys

import pytest
from launch import mpirun


def test_check_finds_nothing_to_do(in_folder):
    process = mpirun(2, "-m", "dolmen.check", cwd=in_folder)
    assert process.returncode == 0 and "OK." in process.stdout.splitlines(), process.stdout
    assert re.search(r"ranks:\s+2 on 1 node", process.stdout) and "converged" in process.stdout
    assert not list(in_folder.iterdir())


def test_iobench_prints_a_table(in_folder):
    process = mpirun(2, "-m", "dolmen.iobench", "--megabytes", "1", "--repeat", "1", cwd=in_folder)
    assert process.returncode == 0, process.stdout
    assert process.stdout.count("timelines") == 3 and not list(in_folder.iterdir())
    process = mpirun(2, "-m", "dolmen.iobench", "--stripes", "2", cwd=in_folder)
    assert process.returncode == 2 and process.stdout.count("needs Lustre") == 1, process.stdout
    assert "Traceback" not in process.stdout and not list(in_folder.iterdir())


@pytest.fixture(scope="module")
def small_environment(tmp_path_factory):
    """A folder with a package of a hundred modules, which stands for a large installation."""
    folder = tmp_path_factory.mktemp("site")
    package = folder / "large"
    package.mkdir()
    (package / "__init__.py").write_text("".join(f"from . import part{i}\n" for i in range(100)))
    for i in range(100):
        (package / f"part{i}.py").write_text(f"value = {i}\n")
    return folder


def test_staged_ranks_do_not_read_the_installation(small_environment, in_folder):
    script = in_folder / "script.py"
    script.write_text(
        "import sys, large\n"
        "import dolmen as dm\n"
        "import dolmen.linalg\n"
        "print(dm.world.rank, sys.argv[1:], large.__file__, dm.ones(10).sum(), flush=True)\n"
    )
    packed = in_folder / "environment.tar"
    paths = [str(small_environment), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {"PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1"}
    pack = subprocess.run(
        [sys.executable, "-m", "dolmen.stage", "--pack", str(packed)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    assert pack.returncode == 0, pack.stderr
    process = mpirun(
        4, "-m", "dolmen.stage", "--archive", packed, "--into", in_folder / "memory", "--", script, "a", "b",
        cwd=in_folder, environment=environment,
    )
    assert process.returncode == 0, process.stdout
    lines = [line for line in process.stdout.splitlines() if "['a', 'b']" in line]
    assert len(lines) == 4 and all(f"{in_folder}/memory/" in line and "10.0" in line for line in lines), process.stdout
    assert not list((in_folder / "memory").iterdir())
