"""The table and the page of benchmarks, from lines as the programs print them."""

import json
import subprocess
import sys

import pytest
from launch import ROOT


def line(system, case, seconds, median, **more):
    return {"system": system, "case": case, "ranks": 1, "n": 10, "nnz": 30, "seconds_min": seconds, "seconds_median": median,
            "cpu_seconds_min": seconds, "gbps": None, "stream_share": None, **more}


def solve(system, seconds, setup, iterations):
    return line(system, "f.cg_jacobi.mesh2d", seconds, 2 * seconds, matrix="mesh2d", setup_seconds_min=setup, setup_seconds_median=setup,
                setup_cpu_seconds_min=setup, iterations=iterations)


def joined(folder, lines):
    """The entries that scripts/bench.py makes of lines and of what out.json had before."""
    (folder / "lines.jsonl").write_text("\n".join(map(json.dumps, lines)))
    subprocess.run([sys.executable, ROOT / "scripts" / "bench.py", folder / "lines.jsonl", folder / "out.json"], check=True, capture_output=True)
    return json.loads((folder / "out.json").read_text())


def page(folder):
    command = [sys.executable, ROOT / "scripts" / "bench-page.py", folder / "out.json"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_turns_give_the_shortest_time_and_the_median_of_medians(tmp_path):
    turns = [line("dolmen", "c.spmv.mesh2d", seconds, median, matrix="mesh2d") for seconds, median in ((3e-3, 9e-3), (2e-3, 4e-3), (4e-3, 5e-3))]
    (entry,) = joined(tmp_path, turns + [line("petsc", "c.spmv.mesh2d", 6e-3, 7e-3)])
    assert (entry["seconds"], entry["median"]) == (2e-3, 5e-3)
    assert (entry["peer"], entry["peer_seconds"], entry["peer_median"]) == ("petsc", 6e-3, 7e-3)
    assert "| c.spmv.mesh2d | 1 | 2, 5 | 6, 7 (3.00) | 1.5: met |" in page(tmp_path)


def test_solves_count_with_their_setup(tmp_path):
    joined(tmp_path, [solve("dolmen", 0.1, 0.02, 50), solve("petsc", 0.12, 0.01, 51)])
    assert "| f.cg_jacobi.mesh2d | 1 | 20 + 100, 220 | 50, 51 | 10 + 120, 250 (1.08) | 1.3: missed, 1.08 of petsc |" in page(tmp_path)


def test_cases_of_earlier_runs_stay_with_their_dates(tmp_path):
    earlier = joined(tmp_path, [line("dolmen", "b.axpy", 1e-3, 1e-3), line("dolmen", "b.dot", 1e-3, 1e-3)])
    (tmp_path / "out.json").write_text(json.dumps([{**entry, "date": "2020-02-02"} for entry in earlier]))
    entries = {entry["case"]: entry for entry in joined(tmp_path, [line("dolmen", "b.dot", 2e-3, 2e-3)])}
    assert entries["b.axpy"]["date"] == "2020-02-02" and entries["b.axpy"]["seconds"] == 1e-3
    assert entries["b.dot"]["date"] > "2020-02-02" and entries["b.dot"]["seconds"] == 2e-3
    assert "Measured on 2020-02-02 and " in page(tmp_path)


@pytest.mark.parametrize("system, shown", [("dolmen", "not symmetric"), ("petsc", "petsc: not symmetric")])
def test_cases_that_do_not_apply_are_named(tmp_path, system, shown):
    skipped = {"system": system, "case": "f.cg_icc0.add32", "matrix": "add32", "ranks": 1, "skipped": "not symmetric"}
    joined(tmp_path, [line("dolmen", "c.spmv.add32", 1e-3, 1e-3, matrix="add32"), skipped])
    text = page(tmp_path)
    assert f"- `f.cg_icc0.add32`: {shown}" in text
    assert "## Matrices from applications" in text and "## Unstructured meshes" not in text
