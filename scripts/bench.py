#!/usr/bin/env python3
"""Join benchmark lines of Dolmen and its peers: bench.py LINES.jsonl OUT.json

Prints tables and writes a list of {case, matrix, ranks, date, n, seconds, median, gbps, stream_share, setup_seconds, setup_median,
iterations, skipped, peer, peer_seconds, peer_median, ...}: an entry for each of Dolmen's cases and each peer that ran the same, and
one with peer null where none did. Entries of other cases that OUT.json has from earlier runs stay, with their dates.
scripts/bench-page.py makes a page of it.
"""
import datetime
import json
import pathlib
import statistics
import sys

# The peers' names of the same work, where they differ.
PEER_CASES = {
    "b.dot.reproducible": ["b.dot"],
    "b.norm2.reproducible": ["b.norm2"],
    "b.mdot20.reproducible": ["b.mdot20"],
    "c.spmv.7pt": ["c.spmv.7pt.aij", "c.spmv.7pt.crs"],
    "c.spmv.27pt": ["c.spmv.27pt.aij", "c.spmv.27pt.crs"],
    "c.spmvT.7pt": ["c.spmvT.7pt.aij", "c.spmvT.7pt.crs"],
    "c.spmvT.27pt": ["c.spmvT.27pt.aij", "c.spmvT.27pt.crs"],
    "c.spmv.block3": ["c.spmv.block3.baij", "c.spmv.block3.bcrs"],
    # Other values on the same pattern: the peers' time does not depend on values.
    "c.spmv.jump": ["c.spmv.7pt.aij", "c.spmv.7pt.crs"],
    "c.spmvT.jump": ["c.spmvT.7pt.aij", "c.spmvT.7pt.crs"],
    # A list of triplets becomes a pattern and then values; a second list on the same pattern only values.
    "d.triplets": ["d.coo.prealloc+d.coo.values"],
    "d.refill": ["d.coo.values", "d.refill"],
    "f.poisson.cg_jacobi.fast": ["f.poisson.cg_jacobi"],
}
for work in ("write_fsync", "read_cold", "read_cached"):
    PEER_CASES["j.checkpoint." + work] = ["j.vec_hdf5." + work]
    # PETSc writes matrices in a format of its own.
    PEER_CASES["j.mat_hdf5." + work] = ["j.mat_binary." + work]
PEERS = ("petsc", "tpetra", "trilinos", "scipy")
# Programs that write and read the same bytes.
OF_BYTES = {"j.checkpoint.": ("dd", "h5py"), "j.vec_hdf5_coll.": ("dd", "h5py"), "j.vec_binary.": ("dd",), "j.raw.": ("dd",)}


def best_by_name(lines):
    """A line for each system, case and number of ranks: of several turns the one with the shortest time, and the median of medians."""
    turns = {}
    for line in lines:
        turns.setdefault((line["system"], line["case"], line["ranks"]), []).append(line)
    best = {}
    for key, group in turns.items():
        best[key] = dict(min(group, key=lambda line: line["seconds_min"]))
        for field in [name for name in best[key] if name.endswith("_median")]:
            best[key][field] = statistics.median_high(line[field] for line in group)
    return best


def print_solves(lines):
    """Solves with their setup, by time on a core, which other programs on the machine do not lengthen."""
    by_name = {key: line for key, line in lines.items() if "setup_seconds_min" in line}
    solves = by_name.values()
    if not solves:
        return
    total = lambda line: line["setup_cpu_seconds_min"] + line["cpu_seconds_min"]
    print(f"\n{'solve':<26} ranks {'system':<9} {'iterations':>10} {'setup ms':>10} {'solve ms':>10} {'cpu: setup':>10} {'solve':>10} {'ratio':>6}")
    for ours in (line for line in solves if line["system"] == "dolmen"):
        names = PEER_CASES.get(ours["case"], [ours["case"]])
        peers = [by_name[key] for key in ((peer, name, ours["ranks"]) for peer in PEERS for name in names) if key in by_name]
        for line in [ours, *peers]:
            times = [1e3 * line[key] for key in ("setup_seconds_min", "seconds_min", "setup_cpu_seconds_min", "cpu_seconds_min")]
            text = "".join(f" {time:>10.1f}" for time in times)
            print(f"{ours['case']:<26} {ours['ranks']:>5} {line['system']:<9} {line['iterations']:>10}{text} {total(line)/total(ours):>6.2f}")


def main(source, target):
    with open(source, encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    skipped = {(line["system"], line["case"], line["ranks"]): line for line in lines if "skipped" in line}
    lines = [line for line in lines if "seconds_min" in line]
    for line in lines:
        line["system"] = line["system"].removesuffix("-io")
    by_name = best_by_name(lines)

    def peer_time(peer, names, ranks, field="seconds_min"):
        """Of the first of these names that the peer has, or of the sum of several joined by `+`."""
        for parts in (name.split("+") for name in names):
            found = [by_name[key][field] for key in ((peer, part, ranks) for part in parts) if field in by_name.get(key, {})]
            if len(found) == len(parts):
                return sum(found)
        return None

    today = datetime.date.today().isoformat()
    entries = [{**line, "date": today} for line in skipped.values()]
    print(f"{'case':<24} ranks {'ms':>10} {'GB/s':>8} {'STREAM':>7}" + "".join(f" {p + ' ms':>12} {'ratio':>6}" for p in PEERS))
    for line in (line for line in by_name.values() if line["system"] == "dolmen"):
        case, ranks, seconds = line["case"], line["ranks"], line["seconds_min"]
        entry = {"case": case, "matrix": line.get("matrix"), "ranks": ranks, "date": today, "n": line["n"], "nnz": line["nnz"],
                 "seconds": seconds, "median": line["seconds_median"], "gbps": line["gbps"], "stream_share": line["stream_share"],
                 "setup_seconds": line.get("setup_seconds_min"), "setup_median": line.get("setup_seconds_median"),
                 "iterations": line.get("iterations")}
        number = lambda value, form: format(value, form) if value is not None else "-"
        text = f"{case:<24} {ranks:>5} {1e3*seconds:>10.3f} {number(entry['gbps'], '.2f'):>8} {number(entry['stream_share'], '.2f'):>7}"
        found = []
        for peer in PEERS:
            names = PEER_CASES.get(case, [case])
            time = peer_time(peer, names, ranks)
            if time is not None:
                fields = {"median": "seconds_median", "setup_seconds": "setup_seconds_min",
                          "setup_median": "setup_seconds_median", "iterations": "iterations"}
                more = {"peer_" + name: peer_time(peer, names, ranks, field) for name, field in fields.items()}
                found.append({**entry, "peer": peer, "peer_seconds": time, **more})
                text += f" {1e3*time:>12.3f} {time/seconds:>6.2f}"
            else:
                text += f" {'-':>12} {'-':>6}"
        for prefix, programs in OF_BYTES.items():
            for peer in programs if case.startswith(prefix) else ():
                time = peer_time(peer, ["j.file." + case.removeprefix(prefix)], ranks)
                if time is not None:
                    found.append({**entry, "peer": peer, "peer_seconds": time})
                    text += f"   {peer} {1e3*time:.0f} ms, {time/seconds:.2f}"
        entries += found or [{**entry, "peer": None}]
        print(text)
    print_solves(by_name)
    for line in skipped.values():
        print(f"{line['case']}, {line['ranks']} rank(s), {line['system']}: {line['skipped']}")
    measured = {(entry["case"], entry["ranks"]) for entry in entries}
    if pathlib.Path(target).exists():
        earlier = json.loads(pathlib.Path(target).read_text(encoding="utf-8"))
        entries += [entry for entry in earlier if (entry["case"], entry["ranks"]) not in measured]
    with open(target, "w", encoding="utf-8") as file:
        json.dump(entries, file, indent=1)
        file.write("\n")
    print(f"ratio: the peer's time over ours, above 1 we are faster. Written to {target}")


main(*sys.argv[1:])
