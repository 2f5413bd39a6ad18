#!/usr/bin/env bash
# Install the wheel with MPI from PyPI in a new virtual environment and use it on four ranks:
#   scripts/wheel-test.sh [WHEEL]
# The wheel is that of out/wheel unless given. Needs Python 3.10 or later with venv; neither a compiler nor MPI.
# scripts/bare-machine.sh -c wheel runs this in a system that has neither.
set -euo pipefail
cd "$(dirname "$0")/.."

wheel=${1:-$(echo out/wheel/dolmen-*.whl)}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

fail() {
    echo "wheel-test: $*" >&2
    exit 1
}

# Runs a command, shows it and what it prints, and refuses output without the given words.
expect() {
    local words=$1
    shift
    echo "\$ $*"
    timeout 300 "$@" 2>&1 | tee "$folder/printed"
    grep -qF -- "$words" "$folder/printed" || fail "the output of $* does not say \"$words\""
}

[ -e "$wheel" ] || fail "$wheel does not exist: run make wheel"
wheel=$(realpath "$wheel")
for name in cc mpicc mpirun; do
    ! command -v "$name" >/dev/null || echo "wheel-test: this machine has $name: a system without it shows more"
done

python3 -m venv "$folder/venv"
. "$folder/venv/bin/activate"
python -m pip install --quiet "$wheel"
expect "pip install mpich" sh -c 'python -c "import dolmen" || true'
python -m pip install --quiet "$wheel[mpich]" mpi4py

cat >"$folder/file.py" <<'PYTHON'
import dolmen as dm

with dm.File("ones.h5", "w") as file:
    file["ones"] = dm.ones(100)
with dm.File("ones.h5") as file:
    ones = file["ones"].read(dm.Layout(100))
print(f"{ones.sum():.0f} on {dm.world.size} ranks")
PYTHON

poisson=$PWD/examples/python/poisson.py settings=$PWD/examples/mapmaker/demo.toml matrix=$PWD/examples/dolmen/plate.mtx
sed "s|../../out/demo|.|; s|^hours.*|hours = 1.0|" "$settings" >"$folder/demo.toml"
cd "$folder"
expect "rank 0 of 1" python -c "import dolmen; print(dolmen.world)"
expect "MPICH" python -c "import dolmen; print(dolmen.environment())"
expect "u in the middle" mpirun -n 4 python "$poisson"
expect "100 on 4 ranks" mpirun -n 4 python file.py
expect "rank 1 of 2" mpirun -n 2 python -c "from mpi4py import MPI; import dolmen; print(dolmen.Comm(MPI.COMM_WORLD))"
expect "rank 1 of 2" mpirun -n 2 python -c "import dolmen; print(dolmen.world); from mpi4py import MPI; dolmen.Comm(MPI.COMM_WORLD)"
expect "converged: the true residual meets the tolerance" mpirun -n 4 dolmen solve "$matrix"
expect "wrote 288000 samples" mapmaker simulate demo.toml --output tod.h5
expect "report.html" mpirun -n 4 mapmaker run demo.toml
echo "wheel-test: passed"
