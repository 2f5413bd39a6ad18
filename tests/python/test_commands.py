"""``python -m dolmen.check``, ``dolmen.iobench`` and ``dolmen.stage``."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from launch import clean_environment, mpirun


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
def site(tmp_path_factory):
    """A folder with NumPy and a package of a hundred modules, which stands for an installation on a shared file system."""
    folder = tmp_path_factory.mktemp("site")
    package = folder / "large"
    package.mkdir()
    (package / "__init__.py").write_text("".join(f"from . import part{i}\n" for i in range(100)))
    for i in range(100):
        (package / f"part{i}.py").write_text(f"value = {i}\n")
    shutil.copytree(pathlib.Path(np.__file__).parent, folder / "numpy", ignore=shutil.ignore_patterns("tests", "f2py", "include"))
    for libraries in pathlib.Path(np.__file__).parent.parent.glob("numpy.libs"):
        shutil.copytree(libraries, folder / "numpy.libs")
    return folder


SCRIPT = """
import os, sys
import large, numpy
import dolmen as dm
import dolmen.linalg
line = f"rank {dm.world.rank} {os.getpid()} {sys.argv[1:]} {large.__file__} {numpy.__file__} {dm.ones(10).sum()}\\n"
os.write(1, line.encode())
"""
OPENED = re.compile(r'openat\(AT_FDCWD, "([^"]*)", (?!.*O_DIRECTORY).*\) = \d')


def staged(ranks, site, folder, *arguments, under=()):
    """Run the script on staged modules; return the words of the line of each rank."""
    (folder / "script.py").write_text(SCRIPT)
    memory = folder / "memory"
    # Without the packages of this machine, which are many.
    command = ["-S", "-m", "dolmen.stage", *arguments, "--into", memory, "--", "script.py", "a", "b"]
    process = mpirun(ranks, *command, cwd=folder, environment=environment_of(site), under=under)
    assert process.returncode == 0, process.stdout
    lines = sorted(line.split() for line in process.stdout.splitlines() if "['a', 'b']" in line)
    assert [int(line[1]) for line in lines] == list(range(ranks)), process.stdout
    assert all(path.startswith(f"{memory}/") for line in lines for path in line[5:7]), process.stdout
    assert not list(memory.iterdir())
    return lines


def environment_of(site):
    paths = [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1"}


def test_ranks_start_from_an_archive(site, in_folder):
    pack = subprocess.run(
        [sys.executable, "-S", "-m", "dolmen.stage", "--pack", "environment.tar"], cwd=in_folder, env=clean_environment(**environment_of(site)),
        capture_output=True, text=True,
    )
    assert pack.returncode == 0, pack.stderr
    staged(2, site, in_folder, "--archive", "environment.tar")


def test_of_eight_ranks_one_opens_files_of_the_installation(site, in_folder):
    strace = shutil.which("strace") or pytest.skip("strace counts the files")
    lines = staged(8, site, in_folder, under=[strace, "-qq", "-ff", "-e", "trace=openat", "-o", in_folder / "opened"])
    counts = []
    for _, _, pid, *_ in lines:
        opened = OPENED.findall((in_folder / f"opened.{pid}").read_text())
        counts.append(sum(path.startswith(f"{site}/") for path in opened))
        assert sum(path.startswith(f"{in_folder}/memory/") for path in opened) > 150
    assert counts[0] > 300 and counts[1:] == [0] * 7, counts
