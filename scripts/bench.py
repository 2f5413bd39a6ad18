#!/usr/bin/env python3
"""Join benchmark lines of Dolmen and its peers: bench.py LINES.jsonl OUT.json

Prints one table and writes a list of {case, ranks, n, seconds, gbps, stream_share, peer,
peer_seconds}: an entry for each of Dolmen's cases and each peer that ran the same, and one with
peer null where none did.
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
    "d.triplets": ["d.coo.prealloc"],
}
PEERS = ("petsc", "tpetra", "scipy")


def main(source, target):
    with open(source, encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    lines = [line for line in lines if "seconds_min" in line]
    for line in lines:
        if line["system"] == "petsc-io":
            line["system"] = "petsc"
    peer_seconds = {(line["system"], line["case"], line["ranks"]): line["seconds_min"] for line in lines}
    entries = []
    print(f"{'case':<24} ranks {'ms':>10} {'GB/s':>8} {'STREAM':>7}" + "".join(f" {p + ' ms':>12} {'ratio':>6}" for p in PEERS))
    for line in (line for line in lines if line["system"] == "dolmen"):
        case, ranks, seconds = line["case"], line["ranks"], line["seconds_min"]
        entry = {"case": case, "ranks": ranks, "n": line["n"], "seconds": seconds,
                 "gbps": line["gbps"], "stream_share": line["stream_share"]}
        number = lambda value, form: format(value, form) if value is not None else "-"
        text = f"{case:<24} {ranks:>5} {1e3*seconds:>10.3f} {number(entry['gbps'], '.2f'):>8} {number(entry['stream_share'], '.2f'):>7}"
        found = []
        for peer in PEERS:
            names = PEER_CASES.get(case, [case])
            times = [peer_seconds[peer, name, ranks] for name in names if (peer, name, ranks) in peer_seconds]
            if times:
                found.append({**entry, "peer": peer, "peer_seconds": times[0]})
                text += f" {1e3*times[0]:>12.3f} {times[0]/seconds:>6.2f}"
            else:
                text += f" {'-':>12} {'-':>6}"
        entries += found or [{**entry, "peer": None, "peer_seconds": None}]
        print(text)
    with open(target, "w", encoding="utf-8") as file:
        json.dump(entries, file, indent=1)
        file.write("\n")
    print(f"ratio: the peer's time over ours, above 1 we are faster. Written to {target}")


main(*sys.argv[1:])
