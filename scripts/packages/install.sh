#!/bin/sh
# Build the programs and the Python module against the MPI of mpicc (or MPICC) and install them:
#   scripts/packages/install.sh PREFIX [OPTIONS OF PIP ...]
# The programs go to PREFIX/bin, the module into the Python PREFIX/bin/python, or the one that PYTHON names.
# The recipes for Spack and conda and the containers run this script.
set -eu
prefix=$1
shift
python=${PYTHON:-$prefix/bin/python}
cd "$(dirname "$0")/../.."

# With the features that the module has, so that crates are compiled once.
cargo build --release --locked --bins -p dolmen-py -p dolmen-command -p dolmen-mapmaker
mkdir -p "$prefix/bin"
install "${CARGO_TARGET_DIR:-target}/release/dolmen" "${CARGO_TARGET_DIR:-target}/release/mapmaker" "$prefix/bin"
"$python" -m pip install --prefix "$prefix" --no-deps "$@" ./bindings
