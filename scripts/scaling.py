#!/usr/bin/env python3
"""Count how cost grows with ranks, and write docs/scaling.md: scripts/scaling.py [counts] [threads] [page]

counts   dolmen-scaling on RANKS (1 2 4 8 16 32 64), which writes out/scaling.jsonl. Counts do not depend on the load of
         the machine, nor on optimization, so this takes the program that `make test` builds.
threads  dolmen-bench with two threads on one rank beside one thread on two ranks, which writes out/threads.jsonl.
         Needs two cores that nothing else uses. ROUNDS (3) turns; the shortest time counts. BENCH names a program that
         is built already, with the feature `threads`.
page     docs/scaling.md from both files. Ends with 1 if anything grows that is not listed here.

Without arguments: all of them.
"""
import json
import math
import os
import pathlib
import platform
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
COUNTS, TIMES, PAGE = (ROOT / name for name in ("out/scaling.jsonl", "out/threads.jsonl", "docs/scaling.md"))
CASES = {
    "layout": "a layout from each rank's number of rows",
    "plan": "an exchange plan",
    "assembly": "assembly, every tenth entry given by another rank",
    "refill": "new values on the same pattern, every tenth from another rank",
    "product": "a product",
    "cg": "20 iterations of CG + Jacobi",
    "checkpoint": "a checkpoint of one vector",
}
WHAT = {
    "messages": "messages sent",
    "bytes": "bytes sent",
    "received": "messages received",
    "neighbors": "ranks to which something is sent",
    "reductions": "reductions",
    "reduced_bytes": "bytes given to reductions",
    "broadcasts_and_barriers": "broadcasts and barriers",
    "gatherings": "all-gathers",
    "gathered_bytes": "bytes that all-gathers bring",
    "peak_bytes": "memory at its peak",
    "kept_bytes": "memory of the result",
}
# What may grow with the number of ranks.
LISTED = {
    ("layout", "gathered_bytes"): "each rank learns the number of rows of each other one, in slots of 32 bytes",
    ("layout", "peak_bytes"): "the slots, and the offsets that are made of them",
    ("layout", "kept_bytes"): "the offsets, 8 bytes a rank: the owner of a row is then found without a message",
}
# Memory has steps where an array doubles or a buffer is filled to its bound, as growth with the ranks has not.
BOUNDED = {
    ("checkpoint", "peak_bytes"): "rank 0 reads the file in pieces of 1 MiB at most; it is smaller on few ranks",
}
# LogGP (Alexandrov, Ionescu, Schauser, Scheiman, SPAA 1995), in seconds.
NETWORK = {"latency": 3.7e-6, "overhead": 0.2e-6, "gap": 5e-9, "gap_per_byte": 0.04e-9}
FUTURE = [64, 1000, 10_000, 100_000]

INTRODUCTION = """# Growth with the number of ranks

Written by `make scaling` from what it measured on {machine}.

`dolmen-scaling` counts for each rank what it sends, receives and reduces, by MPI's profiling interface, so that
the count is of calls of MPI and not of what the toolkit says of itself; and the bytes that Rust allocates. What MPI
allocates, and the messages that it sends inside of collective operations, are not counted. The matrix is the
Laplacian with 7 points on a grid, cut into columns of full height: a rank has at most four neighbors, and from 16
ranks on there is a rank that has four. Until then counts grow because neighbors do. Each operation is done once
before it is counted. Tables show the rank with the largest count.

- weak: {weak} rows on each rank.
- strong: {strong} rows in all. Most shares begin inside of one of the blocks of 256 rows that reproducible sums are made
  of, so that an inner product sends the rows up to the next block to the owner of this one.

The tables leave out what is 0, and, but for messages and reductions, what is the same on all numbers of ranks above 1.
"""

GROWTH = """## What grows

The law: a count of the weak problem is constant once ranks have all their neighbors, from 16 ranks on, or grows by the
same amount each time that the ranks double. `make scaling` fails where a count grows faster and is not listed here, and
the test `growth` compares 2, 4 and 8 ranks on each change. Listed are:

| operation | what | bytes a rank | on 100 000 ranks | reason |
| --- | --- | --- | --- | --- |
{listed}

By each doubling of the ranks grow:

| operation | what | a doubling |
| --- | --- | --- |
{doubling}

Bounded, whatever the number of ranks:

| operation | what | reason |
| --- | --- | --- |
{bounded}

These functions are not in the tables; they grow with the number of ranks, and are called seldom:

| function | grows | reason |
| --- | --- | --- |
| `Comm::all_gather`, `Comm::gather` | 32 bytes a rank everywhere; 8 bytes and a message a rank at the root | their result has a value for each rank |
| `Layout::uniform` and all other layouts | 8 bytes a rank | as above; a clone shares them |
| comparing two layouts made apart | a pass over the offsets | clones of one layout are compared by their address |
| `MultiVector::tsqr` | `columns^2` numbers a rank, on each rank | one factorization of all triangles; `cholesky_qr2` has reductions only |
| gathering a matrix or vector on one rank, direct solvers | the matrix | that is what was asked for |
| writing chunked HDF5 datasets | messages at rank 0 | chunks have no place in the file before HDF5 has packed them |
| reading MatrixMarket with symmetry, reading and writing `.npz` | 32 to 128 bytes a rank for the file | one all-gather a file |
| checksums of checkpoints | 4 bytes for each MiB of the file, on rank 0 | rank 0 writes them; they are joined on the way |
| an error that ranks have different calls | 1 KiB a rank | the message names each rank's call; the job ends or the call fails |
| the end of the program | 1 byte a rank | once; ranks that wait tell the 16 lowest ranks |
"""

MODEL = """## Prediction

LogGP with L = {latency:.1f} us, o = {overhead:.1f} us, g = {gap:.0f} ns, G = {byte:.2f} ns a byte: the size of
numbers with which simulations of a Slingshot network (25 GB/s a port) are run with ATLAHS (S. Shen and others, "ATLAHS: An
Application-centric Network Simulator Toolchain for AI, HPC, and Distributed Storage", SC 2025, arXiv:2505.08936). Nobody has measured
them here; measure your own network's and change them in `scripts/scaling.py`. The counts are those of the rank with the largest, measured on 16 to 64 ranks of the weak problem
and continued by the law that they follow. Nothing overlaps in the model, and no noise, no contention and no disk are in it:

- messages to neighbors: `o` for each that is sent and each that is received, `L`, and `G` for each byte; `g` is below `o`;
- a reduction, broadcast or barrier: `log2 P` rounds of `2 o + L`, and `G` for each byte in each round;
- an all-gather: `log2 P` rounds of `2 o + L`, and `G` for each byte that arrives.

Time of communication, in microseconds, for one operation:

| operation | {ranks} ranks |
| --- | {rules} |
{times}

An iteration of CG + Jacobi takes {iteration:.0f} us of communication on 100 000 ranks, {share:.0f} % of it in {reductions:.1f}
reductions, whose time grows with the logarithm of the ranks; a product takes {product:.1f} us on any number of ranks.
Pipelined CG hides reductions behind products. Memory that grows is a layout's: {layout:.1f} MB on each of 100 000 ranks.
"""

THREADS = """## Threads

One rank with two threads (feature `threads`) beside two ranks with one, on two cores: the shortest of at least {rounds}
turns of each, in milliseconds, and the longest behind it, which tells how quiet the machine was. The grid has 128^3 points, vectors
have 1e7 entries. The ratio is the shortest time of two threads divided by that of two ranks.

| case | 1 rank, 1 thread | 1 rank, 2 threads | 2 ranks, 1 thread | ratio | |
| --- | --- | --- | --- | --- | --- |
{rows}
"""

THREAD_CASES = {
    "c.spmv.7pt": "product",
    "b.axpy": "axpy",
    "b.dot.reproducible": "inner product, reproducible",
    "b.dot": "inner product, fast",
    "d.rows": "assembly from rows",
    "d.triplets": "assembly from triplets",
    "f.poisson.cg_jacobi": "CG + Jacobi",
}
# Reasons for ratios above 1.1.
SLOWER = {
    "d.rows": "the caller gives rows one after the other, on one thread; two threads sort and merge them",
    "d.triplets": "the caller gives triplets one after the other, on one thread; two threads sort and merge them",
}


def shell(command, **environment):
    script = f". scripts/flavour.sh && {command}"
    return subprocess.run(["bash", "-c", script], cwd=ROOT, env={**os.environ, **environment}, check=True,
                          stdout=subprocess.PIPE, text=True).stdout


def lines(text):
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def count():
    shell("cargo build --quiet --workspace --bin dolmen-scaling")
    found = []
    for ranks in os.environ.get("RANKS", "1 2 4 8 16 32 64").split():
        print(f"scaling: {ranks} ranks", file=sys.stderr)
        with tempfile.TemporaryDirectory() as folder:
            found += lines(shell(f'scripts/mpirun.sh -n {ranks} "$target_dir/debug/dolmen-scaling" --dir {folder}'))
    COUNTS.parent.mkdir(exist_ok=True)
    COUNTS.write_text("".join(json.dumps(line) + "\n" for line in found))


def time_threads():
    program = os.environ.get("BENCH")
    if not program:
        shell("cargo build --quiet --release -p dolmen-bench --bin dolmen-bench --features threads")
        program = '"$target_dir/release/dolmen-bench"'
    found = []
    for _ in range(int(os.environ.get("ROUNDS", "3"))):
        # A reproducible sum is timed with the fast one.
        for case in [case for case in THREAD_CASES if not case.endswith(".reproducible")]:
            for ranks, threads in ((1, 1), (1, 2), (2, 1)):
                command = f"scripts/mpirun.sh -n {ranks} {program} --case {case} --repeats 5 --maxsec 1"
                times = lines(shell(command, DOLMEN_NUM_THREADS=str(threads), OMPI_MCA_mpi_yield_when_idle="0"))
                found += [{**line, "threads": threads} for line in times if line["case"] in THREAD_CASES]
    TIMES.parent.mkdir(exist_ok=True)
    TIMES.write_text("".join(json.dumps(line) + "\n" for line in found))


def machine():
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    name = re.search(r"model name\s*:\s*(.*)", cpuinfo.read_text()) if cpuinfo.exists() else None
    return f"{name[1] if name else platform.machine()}, {os.cpu_count()} cores"


class Growth:
    """The largest counts of a rank, and the laws that those of the weak problem follow."""

    def __init__(self, measured):
        self.of = {(line["problem"], line["case"], line["ranks"]): line for line in measured}
        self.ranks = sorted({line["ranks"] for line in measured})
        missing = {16, 32, 64} - set(self.ranks)
        if missing:
            sys.exit(f"scaling: out/scaling.jsonl lacks {sorted(missing)} ranks; run scripts/scaling.py counts")

    def values(self, problem, case, what):
        return [self.of[problem, case, ranks][what]["max"] for ranks in self.ranks]

    def law(self, case, what):
        """Returns constant, logarithm, linear or bounded, and the growth by a doubling or a rank."""
        few, some, many = (self.of["weak", case, ranks][what]["max"] for ranks in (16, 32, 64))
        if (case, what) in BOUNDED:
            return "bounded", 0
        if few == some == many:
            return "constant", 0
        if many - some <= max(some - few, 0):
            return "logarithm", many - some
        return "linear", (many - some) / 32

    def at(self, case, what, ranks):
        law, slope = self.law(case, what)
        measured = self.of["weak", case, 64][what]["max"]
        return measured + {"logarithm": slope * math.log2(ranks / 64), "linear": slope * (ranks - 64)}.get(law, 0)

    def laws(self):
        return {(case, what): self.law(case, what) for case in CASES for what in WHAT}

    def time(self, case, ranks):
        """Communication of an operation by LogGP, in seconds."""
        n = {what: self.at(case, what, ranks) for what in WHAT}
        latency, overhead, per_byte = NETWORK["latency"], NETWORK["overhead"], NETWORK["gap_per_byte"]
        rounds = math.ceil(math.log2(ranks))
        step = 2 * overhead + latency
        # Messages to all neighbors are under way together; exchanges follow each other.
        exchanges = math.ceil(max(n["messages"], n["received"]) / max(n["neighbors"], 1))
        messages = (n["messages"] + n["received"]) * overhead + exchanges * latency + n["bytes"] * per_byte
        collectives = n["reductions"] + n["broadcasts_and_barriers"] + n["gatherings"]
        return {
            "messages": messages,
            "reductions": rounds * (n["reductions"] * step + n["reduced_bytes"] * per_byte),
            "all": messages + rounds * (collectives * step + n["reduced_bytes"] * per_byte) + n["gathered_bytes"] * per_byte,
        }


def tables(growth):
    head = f"| operation | what | {' | '.join(map(str, growth.ranks))} |\n| --- | --- |{' --- |' * len(growth.ranks)}"
    for problem in ("weak", "strong"):
        yield f"\n## Counts, {problem}\n\n{head}"
        for case, title in CASES.items():
            for what, name in WHAT.items():
                values = growth.values(problem, case, what)
                if len(set(values[1:])) > 1 or (values[-1] and what in ("messages", "reductions")):
                    yield f"| {title} | {name} | {' | '.join(map(str, values))} |"


def amount(what, value):
    return f"{value:.4g} bytes" if what.endswith("bytes") else f"{value:.4g}"


def growth_section(growth):
    rows = {"listed": [], "doubling": [], "bounded": []}
    for (case, what), (law, slope) in growth.laws().items():
        named = f"| {CASES[case]} | {WHAT[what]} |"
        if law == "linear":
            future = f"{growth.at(case, what, 100_000) / 1e6:.1f} MB"
            rows["listed"].append(f"{named} {slope:.0f} | {future} | {LISTED.get((case, what), 'NOT LISTED')} |")
        elif law == "logarithm":
            rows["doubling"].append(f"{named} {amount(what, slope)} |")
        elif law == "bounded":
            rows["bounded"].append(f"{named} {BOUNDED[case, what]} |")
    return GROWTH.format(**{name: "\n".join(table) for name, table in rows.items()})


def model_section(growth):
    cells = lambda case: " | ".join(f"{1e6 * growth.time(case, ranks)['all']:.1f}" for ranks in FUTURE)
    cg, iterations = growth.time("cg", FUTURE[-1]), 20
    return MODEL.format(
        latency=1e6 * NETWORK["latency"], overhead=1e6 * NETWORK["overhead"], gap=1e9 * NETWORK["gap"],
        byte=1e9 * NETWORK["gap_per_byte"], ranks=" ranks | ".join(f"{ranks:,}".replace(",", " ") for ranks in FUTURE),
        rules=" | ".join("---" for _ in FUTURE), times="\n".join(f"| {CASES[case]} | {cells(case)} |" for case in CASES),
        iteration=1e6 * cg["all"] / iterations, share=100 * cg["reductions"] / cg["all"],
        reductions=growth.at("cg", "reductions", FUTURE[-1]) / iterations,
        product=1e6 * growth.time("product", FUTURE[-1])["all"],
        layout=growth.at("layout", "kept_bytes", FUTURE[-1]) / 1e6)


def threads_section(times):
    turns = {}
    for line in times:
        turns.setdefault((line["case"], line["ranks"], line["threads"]), []).append(1e3 * line["seconds_min"])
    rows = []
    for case, name in THREAD_CASES.items():
        one, threads, ranks = (turns[case, *key] for key in ((1, 1), (1, 2), (2, 1)))
        ratio = min(threads) / min(ranks)
        remark = "" if ratio <= 1.1 else SLOWER.get(case, "above 1.1")
        shown = lambda time: f"{time:.3g}" if time < 100 else f"{time:.0f}"
        cells = " | ".join(f"{shown(min(turn))} ({shown(max(turn))})" for turn in (one, threads, ranks))
        rows.append(f"| {name} | {cells} | {ratio:.2f} | {remark} |")
    return THREADS.format(rows="\n".join(rows), rounds=min(map(len, turns.values())))


def write_page():
    for path, step in ((COUNTS, "counts"), (TIMES, "threads")):
        if not path.exists():
            sys.exit(f"scaling: there is no {path.relative_to(ROOT)}; run scripts/scaling.py {step}")
    growth = Growth(lines(COUNTS.read_text()))
    weak, strong = (growth.of[problem, "product", 1]["rows"] for problem in ("weak", "strong"))
    parts = [INTRODUCTION.format(machine=machine(), weak=weak, strong=strong).rstrip("\n"), *tables(growth), "",
             growth_section(growth), model_section(growth), threads_section(lines(TIMES.read_text()))]
    PAGE.write_text("\n".join(parts).rstrip("\n") + "\n")
    faster = [key for key, (law, _) in growth.laws().items() if law == "linear" and key not in LISTED]
    for case, what in faster:
        print(f"scaling: {CASES[case]}, {WHAT[what]}: {growth.values('weak', case, what)} grows faster than the "
              f"logarithm of the ranks; mend it, or list it with its reason", file=sys.stderr)
    return 1 if faster else 0


STEPS = {"counts": count, "threads": time_threads, "page": write_page}


def main():
    wanted = sys.argv[1:] or list(STEPS)
    unknown = [step for step in wanted if step not in STEPS]
    if unknown:
        sys.exit(f"scaling: unknown step {unknown[0]}; there are {', '.join(STEPS)}")
    return max(STEPS[step]() or 0 for step in wanted)


sys.exit(main())
