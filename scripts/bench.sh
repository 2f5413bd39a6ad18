#!/usr/bin/env bash
# Benchmarks: Dolmen on 1 and 2 ranks, and PETSc, Tpetra and Belos on the same cases where they and the
# folder of their programs (DOLMEN_PEERS, or ../shared/peers) are installed. Files of a gigabyte are
# written in out/, or in the folder that DOLMEN_BENCH_FILES names; the rate of a disk changes from minute
# to minute, so all programs take turns at them. Prints one table and writes out/bench.json. RANKS, CASES,
# REPEATS and MAXSEC in the environment choose less or more, ROUNDS how many turns at files.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/flavour.sh

ranks=${RANKS:-1 2}
solves=f.poisson.cg_jacobi,f.poisson.cg_icc0,f.poisson.cg_ilu0,f.convdiff.bicgstab_ilu0,f.convdiff.gmres30_ilu0,k.cg.32
cases=${CASES:-a.triad,b.,c.,d.,e.,$solves,j.}
# All that we have, and not all that the peers have.
[ "$cases" != f. ] || cases=$solves
repeats=${REPEATS:-15}
rounds=${ROUNDS:-3}
seconds=${MAXSEC:-1.5}
peers=${DOLMEN_PEERS:-../shared/peers}
lines=out/bench.jsonl

mkdir -p out
files=$(mktemp -d "${DOLMEN_BENCH_FILES:-out}/files.XXXXXX")
trap 'rm -rf "$files"' EXIT
cargo build --release --quiet -p dolmen-bench
: >"$lines"

# The peers' programs are built in a copy: their folder may be read-only.
programs=()
if [ "$MPI" = openmpi ] && [ -e "$peers/Makefile" ]; then
    mkdir -p out/peers
    cp -u "$peers"/* out/peers/ 2>/dev/null || true
    chmod -R u+w out/peers
    for anchor in petsc_anchor tpetra_anchor belos_anchor; do
        if make -s -C out/peers "bin/$anchor" >"out/peers/$anchor.log" 2>&1; then
            programs+=("out/peers/bin/$anchor")
        else
            echo "bench: $anchor does not build here (out/peers/$anchor.log); left out" >&2
        fi
    done
else
    echo "bench: no peers at $peers; Dolmen alone" >&2
fi

# Runs cases on a number of ranks: all programs one after the other.
run() {
    local count=$1 cases=$2 program name
    for program in "$target_dir/release/dolmen-bench" "${programs[@]}"; do
        name=$(basename "$program")
        echo "bench: $name on $count rank(s): $cases" >&2
        if ! scripts/mpirun.sh -n "$count" "$program" --case "$cases" --repeats "$repeats" --maxsec "$seconds" \
            --dir "$files" 2>"out/$name.log" | grep '^{' >>"$lines"; then
            # A peer may have none of the cases.
            [ -s "out/$name.log" ] || continue
            echo "bench: $name failed; see out/$name.log" >&2
            [ "$name" != dolmen-bench ] || exit 1
        fi
    done
}

# The names in a list that are of files, or the others.
chosen() { tr , '\n' <<<"$cases" | grep "$@" | paste -sd , || true; }

. scripts/python.sh
# Spinning while waiting: yielding would cost milliseconds, and there is a core a rank.
export OMPI_MCA_mpi_yield_when_idle=0
others=$(chosen -v '^j\.') stored=$(chosen '^j\.')
for count in $ranks; do
    [ -z "$others" ] || run "$count" "$others"
done
[ -n "$stored" ] || rounds=0
for ((round = 1; round <= rounds; round++)); do
    for count in $ranks; do
        run "$count" "$stored"
        echo "bench: dd and h5py on $count rank(s)" >&2
        scripts/mpirun.sh -n "$count" "$python" scripts/bench-files.py "$files" >>"$lines" ||
            echo "bench: no dd or h5py; left out" >&2
    done
done
"$python" scripts/bench.py "$lines" out/bench.json
