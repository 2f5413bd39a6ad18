#!/usr/bin/env python3
"""Solve every real matrix of the reference data by what `dolmen solve` chooses, and tabulate it.

    mpicc scripts/petsc-solve.c -o petsc-solve $(pkg-config --cflags --libs PETSc)
    scripts/matrix-table.py [--dolmen PATH] [--petsc ./petsc-solve] > docs/matrices.md

Every number comes from a run: ours from `dolmen solve --json`, the reference solutions and most numbers
of PETSc from the manifest of the data (DOLMEN_SHARED, or ../shared beside the checkout), where how
they were computed is written down; PETSc's on matrices for which the manifest has none from
`petsc-solve`. Needs NumPy and SciPy.
"""

import argparse
import gzip
import itertools
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import numpy
import scipy.io
import scipy.sparse

ROOT = pathlib.Path(__file__).resolve().parent.parent
SHARED = pathlib.Path(os.environ.get("DOLMEN_SHARED", ROOT.parent / "shared"))

INTRODUCTION = """# Real matrices

Every matrix of the reference data, all of them from real applications or files, solved by what `dolmen solve` chooses by itself (see
[dolmen.md](dolmen.md)), to a true residual of 1e-8. Written by `scripts/matrix-table.py`; no
number is entered by hand. All columns are of runs on one rank, but for "on 2 ranks": there
preconditioners are made of the blocks of the ranks, so iterations differ.

- Square systems have the right-hand side `A * ones`, so that the solution is known; the error is
  `|x - ones| / |ones|`. Where the matrix is singular to working precision there are other solutions,
  and the error is in brackets.
- Rectangular systems have the right-hand side `A * ones + ((37 i) mod 101) / 128 - 0.390625`, or
  that of the data. Their least-squares solution is compared to that of LAPACK's `gelsd`: the error
  is the difference of `|x|`, relative to it. What counts there is `|A^T r|`, not the residual.
- Attempts that failed before the method in the table are named after it, in their order.
- PETSc's best is the fewest iterations of the combinations that were run with PETSc 3.18 on one
  rank to the same residual: for symmetric positive definite matrices CG without preconditioner, with
  Jacobi, ICC, GAMG and hypre; for others GMRES with Jacobi and ILU, BiCGStab with ILU, and FGMRES
  with hypre. Multigrid (GAMG, hypre) has no counterpart here yet. Where the reference data has no runs of PETSc
  they were made by `scripts/petsc-solve.c` in the same way: with the combinations for others, CG with ICC
  and MINRES without preconditioner if the matrix is symmetric, and for rectangular matrices LSQR by its own
  test, at most 10 000 iterations. "None" is where all of them failed, or PETSc was built for real numbers only.

"""


def solve(dolmen, ranks, *arguments):
    """The object that dolmen prints, or None with a message on standard error."""
    command = [ROOT / "scripts/mpirun.sh", "-n", str(ranks), dolmen, "solve", *arguments, "--json"]
    run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if run.returncode not in (0, 1):
        error = next((line for line in run.stderr.splitlines() if line.startswith("error: ")), run.stderr)
        return None, error
    return json.loads(run.stdout), None


def petsc_runs(tools, folder, path, reference, rhs):
    """Runs of PETSc on a matrix for which the manifest has none, as the manifest would have them."""
    square = reference["rows"] == reference["cols"]
    general = [("gmres", "jacobi"), ("gmres", "ilu"), ("bcgs", "ilu"), ("fgmres", "hypre")]
    symmetric = [("cg", "icc"), ("minres", "none")] if reference.get("symmetric_exact") else []
    files = [folder / "petsc_a.petsc"]
    if ".mtx" in path.name and isinstance(matrix := scipy.io.mmread(str(path)), numpy.ndarray):
        # What is stored as an array would be converted to vectors.
        path = folder / "petsc_a.mtx"
        scipy.io.mmwrite(str(path), scipy.sparse.coo_matrix(matrix), precision=17)
    subprocess.run([tools.dolmen, "convert", path, files[0]], check=True, stdout=subprocess.DEVNULL)
    if rhs:
        files.append(folder / "petsc_b.petsc")
        subprocess.run([tools.dolmen, "convert", rhs, files[1]], check=True, stdout=subprocess.DEVNULL)
    runs = {}
    for method, preconditioner in general + symmetric if square else [("lsqr", "none")]:
        side = ["-ksp_pc_side", "right"] if method in ("gmres", "bcgs") else []
        # MINRES knows no other norm than the preconditioned one, here that of the residual; LSQR has a test of its own.
        side += ["-ksp_norm_type", "unpreconditioned"] if method not in ("minres", "lsqr") else []
        most = ["-ksp_max_it", "10000"] if method == "lsqr" else []
        command = [tools.petsc, *files, "-ksp_type", method, "-pc_type", preconditioner, *side, *most]
        run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        outcome = json.loads(run.stdout) if run.returncode == 0 else {"its": 0, "reason": -1, "relres": "inf"}
        if square and not float(outcome["relres"].rstrip(".")) <= 1.01e-8:
            outcome["reason"] = -1
        runs[f"{method}+{preconditioner}"] = outcome
    return runs


def peers(runs):
    """PETSc's combination with the fewest iterations, or what became of them."""
    good = {name: run["its"] for name, run in runs.items() if (run.get("reason") or 0) > 0}
    if not runs:
        return "not run"
    if not good:
        return "none"
    name = min(good, key=good.get)
    plain = {name: its for name, its in good.items() if not name.endswith(("gamg", "hypre"))}
    text = f"{name} {good[name]}"
    if plain and name not in plain:
        name = min(plain, key=plain.get)
        text += f"; {name} {plain[name]}"
    return text


def right_hand_side(folder, reference, name):
    """The file of the right-hand side that the least-squares reference has."""
    if reference["lsq"]["b"] == "rhs file":
        return SHARED / f"data/matrices/{name}_rhs1.mtx.gz"
    values = product_with_ones(name)
    values = values + ((37 * numpy.arange(len(values))) % 101) / 128 - 0.390625
    path = folder / f"{name}_b.mtx"
    scipy.io.mmwrite(str(path), values.reshape(-1, 1), precision=17)
    return path


def product_with_ones(name):
    """The row sums of a matrix from MatrixMarket, or from Harwell-Boeing without symmetry."""
    stored = SHARED / "data" / MANIFEST["matrices"][name]["file"]
    if ".mtx" in stored.name:
        matrix = scipy.io.mmread(str(stored))
        return numpy.asarray(matrix @ numpy.ones(matrix.shape[1])).ravel()
    with gzip.open(stored, "rt") if stored.suffix == ".gz" else open(stored) as text:
        lines = text.read().splitlines()
    _, pointers, indices, values, right_hand_sides = (int(lines[1][at : at + 14]) for at in range(0, 70, 14))
    lengths = [int(re.search(r"[IEDF](\d+)", part)[1]) for part in re.findall(r"\(([^)]*)\)", lines[3])]
    first = (5 if right_hand_sides else 4) + pointers

    reference = MANIFEST["matrices"][name]["reference"]

    def numbers(start, count, length):
        cut = (line[at : at + length] for line in lines[start : start + count] for at in range(0, len(line), length))
        # Last lines may hold remains of others beyond their numbers.
        return [part.replace("D", "E") for part in itertools.islice(cut, reference["stored_entries"])]

    rows = numpy.array(numbers(first, indices, lengths[1]), dtype=int) - 1
    entries = numpy.array(numbers(first + indices, values, lengths[2]), dtype=float)
    return numpy.bincount(rows, weights=entries, minlength=reference["rows"])


def row(tools, folder, name, entry):
    reference = entry["reference"]
    path = SHARED / "data" / entry["file"]
    square = reference["rows"] == reference["cols"]
    least_squares = reference.get("lsq")
    rhs = right_hand_side(folder, reference, name) if least_squares else None
    with_b = ["--rhs", rhs] if rhs else []
    output = folder / "x.mtx"
    system = [path, *with_b]
    found, error = solve(tools.dolmen, 1, *system, "--output", output)
    size = f"{reference['rows']} x {reference['cols']}"
    if found is None:
        reason = error.split(": ", 2)[-1].split(";")[0].strip()
        return [name, size, f"refused: {reason}", "", "", "", "", "", "none: the matrix is not finite"]
    runs = reference.get("petsc_ksp") or {}
    complex_numbers = reference["field"] == "complex"
    if not runs and tools.petsc and not complex_numbers:
        runs = petsc_runs(tools, folder, path, reference, rhs)
    twice, _ = solve(tools.dolmen, 2, *system)
    same = (twice["method"], twice["preconditioner"]) == (found["method"], found["preconditioner"])
    other = "" if same else f"{twice['method']} + {twice['preconditioner']} "
    on_two = f"{other}{twice['iterations']}{'' if twice['converged'] else ', **not solved**'}"
    method = f"{found['method']} + {found['preconditioner']}"
    failed = [f"{a['method']} + {a['preconditioner']}" for a in found["attempts"] if not a["converged"]]
    after = f" (after {', '.join(failed)})" if failed and found["converged"] else ""
    if least_squares:
        difference = abs(numpy.linalg.norm(scipy.io.mmread(str(output))) / least_squares["norm2_x"] - 1)
        # The reference of a matrix that lacks rank divides by a rounding error.
        full = least_squares["rank"] == reference.get("sv", {}).get("rank", least_squares["rank"])
        error = f"{difference:.1e}" if full else "no reference"
    elif not square:
        # A * ones has shorter solutions than ones.
        error = "no reference"
    else:
        error = f"{found['relative_error']:.1e}" if found["relative_error"] is not None else ""
        usable = (reference.get("direct") or {}).get("usable")
        if not usable or found["warnings"]:
            error = f"({error})"
    return [
        name,
        size,
        f"{method}{after}",
        "yes" if found["converged"] else "**no**",
        str(found["iterations"]),
        on_two,
        f"{found['true_relative_residual']:.1e}",
        error,
        "none: built for real numbers" if complex_numbers and not runs else peers(runs),
    ]


def main():
    global MANIFEST
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dolmen", default=str(ROOT / "target/release/dolmen"), help="the command")
    parser.add_argument("--petsc", help="scripts/petsc-solve.c, compiled")
    arguments = parser.parse_args()
    MANIFEST = json.loads((SHARED / "data/MANIFEST.json").read_text())
    header = ["matrix", "size", "method", "solved", "iterations", "on 2 ranks", "true residual", "error", "PETSc's best"]
    print(INTRODUCTION, end="")
    print("| " + " | ".join(header) + " |\n|" + " --- |" * len(header))
    with tempfile.TemporaryDirectory() as folder:
        for name, entry in sorted(MANIFEST["matrices"].items(), key=lambda item: item[0].lower()):
            reference = entry["reference"]
            if reference["cols"] == 1:
                continue
            cells = row(arguments, pathlib.Path(folder), name, entry)
            print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
