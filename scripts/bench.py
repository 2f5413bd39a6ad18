#!/usr/bin/env python3
"""Join benchmark lines of Dolmen and its peers: bench.py LINES.jsonl OUT.json

Prints tables and writes a list of {case, ranks, n, seconds, gbps, stream_share, setup_seconds, iterations, peer,
peer_seconds, peer_setup_seconds}: an entry for each of Dolmen's cases and each peer that ran the same, and one
with peer null where none did. scripts/bench-page.py makes a page of it.
"""
import json
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
    """The line with the shortest time of each system, case and number of ranks."""
    best = {}
    for line in lines:
        key = (line["system"], line["case"], line["ranks"])
        if key not in best or line["seconds_min"] < best[key]["seconds_min"]:
            best[key] = line
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

    entries = []
    print(f"{'case':<24} ranks {'ms':>10} {'GB/s':>8} {'STREAM':>7}" + "".join(f" {p + ' ms':>12} {'ratio':>6}" for p in PEERS))
    for line in (line for line in by_name.values() if line["system"] == "dolmen"):
        case, ranks, seconds = line["case"], line["ranks"], line["seconds_min"]
        entry = {"case": case, "ranks": ranks, "n": line["n"], "seconds": seconds,
                 "gbps": line["gbps"], "stream_share": line["stream_share"],
                 "setup_seconds": line.get("setup_seconds_min"), "iterations": line.get("iterations")}
        number = lambda value, form: format(value, form) if value is not None else "-"
        text = f"{case:<24} {ranks:>5} {1e3*seconds:>10.3f} {number(entry['gbps'], '.2f'):>8} {number(entry['stream_share'], '.2f'):>7}"
        found = []
        for peer in PEERS:
            names = PEER_CASES.get(case, [case])
            time = peer_time(peer, names, ranks)
            if time is not None:
                setup = peer_time(peer, names, ranks, "setup_seconds_min")
                found.append({**entry, "peer": peer, "peer_seconds": time, "peer_setup_seconds": setup})
                text += f" {1e3*time:>12.3f} {time/seconds:>6.2f}"
            else:
                text += f" {'-':>12} {'-':>6}"
        for prefix, programs in OF_BYTES.items():
            for peer in programs if case.startswith(prefix) else ():
                time = peer_time(peer, ["j.file." + case.removeprefix(prefix)], ranks)
                if time is not None:
                    found.append({**entry, "peer": peer, "peer_seconds": time, "peer_setup_seconds": None})
                    text += f"   {peer} {1e3*time:.0f} ms, {time/seconds:.2f}"
        entries += found or [{**entry, "peer": None, "peer_seconds": None, "peer_setup_seconds": None}]
        print(text)
    print_solves(by_name)
    with open(target, "w", encoding="utf-8") as file:
        json.dump(entries, file, indent=1)
        file.write("\n")
    print(f"ratio: the peer's time over ours, above 1 we are faster. Written to {target}")


main(*sys.argv[1:])
