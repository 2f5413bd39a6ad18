"""Notebooks run and are stored without outputs; engines of ipyparallel stay usable after an exception and an interrupt."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from launch import ROOT, clean_environment

sys.path.insert(0, str(ROOT / "scripts"))
from notebooks import configure_engines, stripped

NOTEBOOKS = sorted((ROOT / "examples" / "python").glob("*.ipynb"))
NEEDS = {"cmb": ["healpy", "matplotlib"], "parallel": ["ipyparallel", "matplotlib", "mpi4py"], "engines": ["ipyparallel", "mpi4py"]}
#: Seconds in which each of these ends on a busy machine.
LIMIT = 240


def run(*arguments, cwd, **environment):
    """Runs Python in a session of its own, which ends with it; returns what it prints."""
    process = subprocess.Popen(
        [sys.executable, *map(str, arguments)], cwd=cwd, env=clean_environment(**environment), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )
    try:
        output, _ = process.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        raise AssertionError(f"{arguments} did not end within {LIMIT} s:\n{output}") from None
    assert process.returncode == 0, output
    return output


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """All of these programs, which mostly wait for engines, run two at a time: folders and futures by their names."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        found = {}
        for notebook in NOTEBOOKS:
            if all(importlib.util.find_spec(module) for module in ["nbclient", "ipykernel", *NEEDS[notebook.stem]]):
                folder = tmp_path_factory.mktemp(notebook.stem)
                command = [ROOT / "scripts" / "notebooks.py", "run", notebook, "--output", folder]
                found[notebook.stem] = folder, pool.submit(run, *command, cwd=folder)
        if all(importlib.util.find_spec(module) for module in NEEDS["engines"]):
            folder = tmp_path_factory.mktemp("engines")
            environment = {"IPYTHONDIR": configure_engines(folder / "ipython")}
            found["engines"] = folder, pool.submit(run, "-c", ENGINES, cwd=folder, **environment)
        yield found


def finished(started, name):
    """Return the folder of a program that has ended well."""
    if name not in started:
        pytest.skip(f"{name} needs {', '.join(NEEDS[name])}")
    folder, future = started[name]
    future.result()
    return folder


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda notebook: notebook.stem)
def test_a_notebook_runs(notebook, started):
    folder = finished(started, notebook.stem)
    cells = json.loads((folder / notebook.name).read_text())["cells"]
    pictures = [output for cell in cells for output in cell.get("outputs", []) if "image/png" in output.get("data", {})]
    assert len(pictures) == sum("plt.show()" in "".join(cell["source"]) for cell in cells) > 0


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda notebook: notebook.stem)
def test_a_notebook_is_stored_without_outputs(notebook):
    text = notebook.read_text(encoding="utf-8")
    assert text == stripped(text), f"run scripts/notebooks.py strip {notebook.relative_to(ROOT)}"


ENGINES = """
import json, pathlib, time
import ipyparallel as ipp

SETUP = '''
import pathlib, time
import dolmen as dm
n, calls = 50_000, 0
A = dm.CsrMatrix.from_diagonals([-1, 2, -1], [-1, 0, 1], n)
def apply(x):
    global calls
    calls += 1
    if calls == 10 and dm.world.rank == 0:
        pathlib.Path("begun").touch()
    y = A @ x
    # The others wait for rank 0 in the next product when the signal arrives.
    if dm.world.rank == 0:
        time.sleep(0.05)
    return A @ y
'''
SOLVE = 'dm.solve(dm.LinearOperator(n, apply), dm.ones(n), method="cg", rtol=1e-30, max_iterations=10**9, dtol=1e30)'
FAIL = '''
with dm.world.agreeing():
    if dm.world.rank == 1:
        raise ValueError("only here")
'''

def exceptions(pending):
    try:
        return pending.get(timeout=30)
    except ipp.error.CompositeError as error:
        return [name for name, *_ in error.elist]

with ipp.Cluster(engines="mpi", n=3) as rc:
    view = rc[:]
    view.execute(SETUP, block=True)
    solving = view.execute(SOLVE)
    while not pathlib.Path("begun").exists():
        time.sleep(0.05)
    rc.send_signal("SIGINT", block=True)
    found = [exceptions(solving), exceptions(view.execute(FAIL))]
    view.execute("total = dm.ones(10).sum()", block=True)
    found.append(view["total"])
pathlib.Path("found").write_text(json.dumps(found))
"""


def test_engines_stay_usable(started):
    folder = finished(started, "engines")
    assert json.loads((folder / "found").read_text()) == [["KeyboardInterrupt"] * 3, ["ValueError"] * 3, [10.0] * 3]
