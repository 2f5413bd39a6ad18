#!/usr/bin/env bash
# Benchmarks: Dolmen on 1 and 2 ranks, and PETSc, Tpetra and Belos on the same cases where they and the
# folder of their programs (DOLMEN_PEERS, or ../shared/peers) are installed; then the cases of a matrix on
# two unstructured meshes and on matrices of DOLMEN_SHARED (../shared) that are repeated to size. Files of a
# gigabyte are written in out/, or in the folder that DOLMEN_BENCH_FILES names; the rate of a disk changes
# from minute to minute, so all programs take turns at them. Prints one table and writes out/bench.json.
# RANKS, CASES, MATRICES, REPEATS and MAXSEC in the environment choose less or more, ROUNDS how many turns at
# files and matrices.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/flavour.sh

ranks=${RANKS:-1 2}
solves=f.poisson.cg_jacobi,f.poisson.cg_icc0,f.poisson.cg_ilu0,f.convdiff.bicgstab_ilu0,f.convdiff.gmres30_ilu0,k.cg.32
solves+=,f.poisson.cg_multigrid,f.cg_jacobi,f.cg_icc0,f.cg_multigrid,f.gmres30_ilu0
matrices=${MATRICES-mesh2d mesh3d bcsstk09 add32 fuego0 pushpull orsirr_2}
cases=${CASES:-a.triad,b.,c.,d.,e.,$solves,j.}
# All that we have, and not all that the peers have.
[ "$cases" != f. ] || cases=$solves
repeats=${REPEATS:-15}
rounds=${ROUNDS:-3}
seconds=${MAXSEC:-1.5}
peers=${DOLMEN_PEERS:-../shared/peers}
data=${DOLMEN_SHARED:-../shared}/data/matrices
lines=out/bench.jsonl

mkdir -p out
files=$(mktemp -d "${DOLMEN_BENCH_FILES:-out}/files.XXXXXX")
trap 'rm -rf "$files"' EXIT
cargo build --release --quiet -p dolmen-bench -p dolmen-command
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

# Makes out/peers/NAME.petsc: an unstructured mesh, or copies of a matrix from an application.
matrix() {
    local made=out/peers/$1 files=("$data/$1".*)
    [ ! -s "$made.petsc" ] || return 0
    case $1 in
        mesh2d) "$scipy" out/peers/make_mesh.py 2 600000 "$made.npz" ;;
        mesh3d) "$scipy" out/peers/make_mesh.py 3 200000 "$made.npz" ;;
        *)
            "$target_dir/release/dolmen" convert "${files[0]}" "$made.one.npz" &&
                "$scipy" scripts/repeat-matrix.py "$made.one.npz" 3000000 "$made.npz"
            ;;
    esac >&2 && "$target_dir/release/dolmen" convert "$made.npz" "$made.petsc" >&2
}

# Runs the cases of one matrix on a number of ranks, Dolmen and PETSc one after the other.
run_matrix() {
    local count=$1 name=$2 options
    options=(--matrix "out/peers/$name.petsc" --name "$name" --case "$others" --repeats "$repeats" --maxsec "$seconds")
    echo "bench: $name on $count rank(s)" >&2
    scripts/mpirun.sh -n "$count" "$target_dir/release/dolmen-bench" "${options[@]}" >>"$lines"
    if [ -n "$petsc" ]; then
        PYTHONPATH=$petsc scripts/mpirun.sh -n "$count" "$python" scripts/bench-petsc.py "${options[@]}" \
            2>out/bench-petsc.log >>"$lines" || echo "bench: PETSc failed; see out/bench-petsc.log" >&2
    fi
}

# The names in a list that are of files, or the others.
chosen() { tr , '\n' <<<"$cases" | grep "$@" | paste -sd , || true; }

. scripts/python.sh
# With SciPy, and the folder of petsc4py for real numbers, where they are installed.
scipy=$python
[ ! -x out/venv/bin/python ] || scipy=out/venv/bin/python
petsc=$(compgen -G "/usr/lib/petscdir/petsc3*/*-real/lib/python3/dist-packages" | head -n 1 || true)
[ "$MPI" = openmpi ] || petsc=
# Spinning while waiting: yielding would cost milliseconds, and there is a core a rank.
export OMPI_MCA_mpi_yield_when_idle=0
others=$(chosen -v '^j\.') stored=$(chosen '^j\.')
for count in $ranks; do
    [ -z "$others" ] || run "$count" "$others"
done
for name in $matrices; do
    if ! grep -q "$(printf '\(^\|,\)[cdef]\.')" <<<"$others"; then
        break
    elif ! matrix "$name"; then
        echo "bench: $name cannot be made here; left out" >&2
        continue
    fi
    for ((round = 1; round <= rounds; round++)); do
        for count in $ranks; do
            run_matrix "$count" "$name"
        done
    done
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
