#!/usr/bin/env python3
"""Tabulate a run of the benchmarks: scripts/bench-page.py [out/bench.json] > docs/benchmarks.md

No number is entered by hand. Aims that were missed are marked as such.
"""
import json
import pathlib
import platform
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

INTRODUCTION = """# Benchmarks

{machine}. Written by `scripts/bench-page.py` from what `make bench` measured; run both on your own
machine, where other things may be slow.

- Times are the shortest of some repeats, in milliseconds, and of solves setup and iterations apart.
- GB/s counts the bytes that have to be moved at least; "STREAM" is their rate beside that of STREAM's
  triad in the same run, on as many ranks. Above 1 is possible: the triad writes a third of its bytes, and
  reading is cheaper; and a case may fit in the cache.
- Behind the time of a peer is how many times as long as ours it is. Above 1 we are faster.
- An aim is a ratio that was set before anything was measured, to the fastest peer of the row. "missed" says
  by how much.

The Laplacians have constant coefficients, which our storage recognizes: it keeps the few different rows
instead of all entries. "Jumping coefficients" have different values in every row and are the fair case for
a general matrix.
"""

# Group of cases: title, pattern, aim, what the cases are.
GROUPS = [
    ("Vectors", r"b\.", "1e7 entries, double precision. Twenty vectors of 1e6 are combined by maxpy, and multiplied "
     "with another one by mdot. \"Reproducible\" sums have the same bits on any number of ranks; they are the default."),
    ("Products", r"c\.", "`y = A x` of the Laplacian with 7 points on 128^3, with 27 on 96^3, and 3 by 3 blocks on 40^3; "
     "spmvT is the transposed product."),
    ("Assembly", r"d\.", "The Laplacian on 128^3: rows in order; triplets without preallocation (PETSc: its COO "
     "interface, pattern and values); triplets of which every tenth belongs to another rank; new values on a known "
     "pattern."),
    ("Algebra", r"e\.", "Of the 7-point Laplacian on n^3: `A A`, `P^T A P` with plain and smoothed aggregation, the "
     "transpose; \"reuse\" has new values on the same pattern."),
    ("Solves", r"[fk]\.", "On 128^3, to a relative residual of 1e-8; the factorizations are of the block of each rank. "
     "The last is a grid of 32^3, where latency counts."),
    ("Files", r"j\.", "Written with fsync, read from the cache or after the cache was emptied. All programs take turns, "
     "since the rate of the disk changes. dd and SciPy are one process on any number of ranks, h5py is built for MPI. "
     "`j.raw` is plain writes and reads by as many ranks; `j.checkpoint.begin` is how long a solve stands still that "
     "is saved in the background. Of MatrixMarket text (`j.mtx`) 0.15 GB/s a rank were aimed at. Reading a checkpoint "
     "is the only read that compares checksums."),
]

# The ratio to be reached, by the beginning of the case's name; the first that fits. The raw rate is no work of ours.
AIMS = [("b.", 1.0), ("c.spmv.27pt", 1.3), ("c.spmv.block3", 1.0), ("c.spmv.", 1.5), ("d.", 2.0),
        ("e.", 1.0), ("f.poisson.cg_jacobi", 1 / 0.75), ("f.", 1.0), ("k.", 1.0), ("j.raw.", None), ("j.", 1.0)]
# dd is the raw rate, of which 0.8 is aimed at.
RAW = {"dd": 0.8}


def machine():
    cpu = re.search(r"^model name\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.M)
    cores = subprocess.run(["nproc"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    return f"{cpu.group(1) if cpu else platform.machine()}, {cores} cores"


def total(entry, prefix=""):
    """Solves are compared by setup and iterations together."""
    return entry[prefix + "seconds"] + (entry.get(prefix + "setup_seconds") or 0.0)


def milliseconds(seconds):
    value = 1e3 * seconds
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def verdict(case, ratios):
    aim = next((aim for start, aim in AIMS if case.startswith(start)), None)
    if aim is None or not ratios:
        return ""
    peer, ratio = min(ratios.items(), key=lambda item: item[1] / RAW.get(item[0], aim))
    aim = RAW.get(peer, aim)
    return f"{aim:.2g}: met" if ratio >= aim else f"{aim:.2g}: missed, {ratio:.2f} of {peer}"


def table(cases, peers):
    solves = any(entry["setup_seconds"] is not None for entries in cases.values() for entry in entries)
    heads = ["case", "ranks", "setup + solve ms" if solves else "ms", "GB/s", "STREAM", *peers, "aim"]
    lines = ["| " + " | ".join(heads) + " |", "| --- " * len(heads) + "|"]
    for (case, ranks), entries in cases.items():
        ours = entries[0]
        cells, ratios = [], {}
        for peer in peers:
            entry = next((entry for entry in entries if entry["peer"] == peer), None)
            if entry is None:
                cells.append("")
                continue
            ratios[peer] = total(entry, "peer_") / total(ours)
            time = milliseconds(entry["peer_seconds"])
            if entry.get("peer_setup_seconds") is not None:
                time = f"{milliseconds(entry['peer_setup_seconds'])} + {time}"
            cells.append(f"{time} ({ratios[peer]:.2f})")
        time = milliseconds(ours["seconds"])
        if ours["setup_seconds"] is not None:
            time = f"{milliseconds(ours['setup_seconds'])} + {time}"
        number = lambda value: "" if value is None else f"{value:.2f}"
        lines.append("| " + " | ".join([case, str(ranks), time, number(ours["gbps"]), number(ours["stream_share"]),
                                         *cells, verdict(case, ratios)]) + " |")
    return "\n".join(lines)


def main(source):
    entries = json.loads(pathlib.Path(source).read_text(encoding="utf-8"))
    print(INTRODUCTION.format(machine=machine()))
    for title, pattern, text in GROUPS:
        cases = {}
        for entry in entries:
            if re.match(pattern, entry["case"]):
                cases.setdefault((entry["case"], entry["ranks"]), []).append(entry)
        if not cases:
            continue
        peers = list(dict.fromkeys(entry["peer"] for group in cases.values() for entry in group if entry["peer"]))
        print(f"## {title}\n\n{text}\n\n{table(dict(sorted(cases.items())), peers)}\n")


main(*(sys.argv[1:] or [ROOT / "out/bench.json"]))
